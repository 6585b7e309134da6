"""A trained network on disk: half-precision weights in safetensors, and a description in JSON."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from posefix.errors import InputError
from posefix.files import write_bytes_atomic, write_text_atomic
from posefix.network.models import DESCRIPTION_FILE, FORMAT, ONNX_FILE, SKELETON_FILE, WEIGHTS_FILE, Model
from posefix.nn.architectures import build_network
from posefix.nn.backbones import read_weights
from posefix.nn.model import ModelConfig, PoseNetwork


def save_network(
    network: PoseNetwork, skeleton: str, folder: Path, name: str, training: dict[str, Any]
) -> None:
    """Write a model folder: weights in half precision and the description that the refiner reads.

    Of a model that was there before, the graph and the calibration go: they were of its weights. The description goes
    before the new weights come, so that whoever stops in between leaves no model, not one of two trainings.

    Args:
        network: The trained network.
        skeleton: A packaged skeleton's name, or a skeleton file, which is copied into the folder.
        folder: Existing folder.
        name: Of the model.
        training: How it was trained; kept in the description.
    """
    weights = {
        key: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for key, value in network.state_dict().items()
    }
    for old in (DESCRIPTION_FILE, ONNX_FILE):
        (folder / old).unlink(missing_ok=True)
    write_bytes_atomic(folder / WEIGHTS_FILE, save(weights))
    if Path(skeleton).is_file():
        write_bytes_atomic(folder / SKELETON_FILE, Path(skeleton).read_bytes())
        skeleton = SKELETON_FILE
    description = {
        "format": FORMAT,
        "name": name,
        "skeleton": skeleton,
        "input_size_wh": list(network.config.input_size_wh),
        "network": dataclasses.asdict(network.config),
        "training": training,
    }
    write_text_atomic(folder / DESCRIPTION_FILE, json.dumps(description, indent=1) + "\n")


def load_network(model: Model) -> PoseNetwork:
    """Build a model's network and load its weights, in single precision and evaluation mode.

    Raises:
        InputError: The description or the weights do not fit this version or each other.
    """
    path = model.folder / DESCRIPTION_FILE
    if not model.network:
        raise InputError(
            f"{path}: expected an object 'network' with the network's shape; export the model again"
        )
    # A stranger's description may be of more than the memory holds. The outline is cheap beside the network, and cannot
    # become it: constants that are no weights, such as the photos' mean, have no values there.
    outline = _build(model, "meta")
    weights = model.file(WEIGHTS_FILE)
    count = sum(weight.numel() for weight in outline.state_dict().values())
    if count > weights.stat().st_size:
        raise InputError(
            f"{path}: network: expected as many weights as {WEIGHTS_FILE} may hold, got a network of {count:,}; "
            "export the model again"
        )
    network = _build(model, "cpu")
    load_weights(network, weights)
    return network.eval()


def _build(model: Model, device: str) -> PoseNetwork:
    """A model's network with random weights; on the device "meta", which has no memory, its shape alone.

    Raises:
        InputError: The description is of no network of this version.
    """
    shape: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in model.network.items()
    }
    try:
        config = ModelConfig(**shape)
        if config.input_size_wh != model.input_size_wh:
            raise InputError(
                f"input_size_wh: expected that of the model, {model.input_size_wh}, got {config.input_size_wh}"
            )
        with torch.device(device):
            return build_network(config, model.skeleton)
    # What Python, timm and PyTorch make of settings that are no network's.
    except (TypeError, ValueError, OverflowError, RuntimeError, MemoryError) as error:
        raise InputError(
            f"{model.folder / DESCRIPTION_FILE}: network: {error}; the model needs another version of posefix"
        ) from error


def load_weights(network: nn.Module, path: Path) -> None:
    """Fill a network with a safetensors file's weights; every weight must be there and fit.

    Raises:
        InputError: The file is no safetensors file, or of another network or skeleton.
    """
    weights = read_weights(path)
    try:
        network.load_state_dict({key: value.float() for key, value in weights.items()})
    except (RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise InputError(f"{path}: the weights are of another network or skeleton: {reason}") from error
