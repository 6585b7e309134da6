"""Checkpoints: tensors in safetensors, everything else in JSON; never pickle."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from posefix.errors import InputError
from posefix.files import read_json, write_bytes_atomic, write_text_atomic
from posefix.training.config import TrainConfig

MODEL, AVERAGE, OPTIMISER = "model.", "average.", "optimiser."


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where a run stands: epochs and steps done, and which skeleton and settings it has."""

    epoch: int
    step: int


def save_checkpoint(
    path: Path,
    model: nn.Module,
    average: nn.Module | None,
    optimiser: torch.optim.Optimizer,
    progress: Progress,
    config: TrainConfig,
) -> None:
    """Write `path` (safetensors) and beside it the same name with .json; each appears whole or not at all."""
    tensors = {MODEL + key: value for key, value in model.state_dict().items()}
    if average is not None:
        tensors |= {AVERAGE + key: value for key, value in average.state_dict().items()}
    for index, entry in optimiser.state_dict()["state"].items():
        tensors |= {f"{OPTIMISER}{index}.{key}": torch.as_tensor(value) for key, value in entry.items()}
    write_bytes_atomic(path, save({key: value.detach().contiguous().cpu() for key, value in tensors.items()}))
    document = {
        "progress": dataclasses.asdict(progress),
        "config": dataclasses.asdict(config),
        "versions": {"torch": str(torch.__version__)},
    }
    write_text_atomic(path.with_suffix(".json"), json.dumps(document, indent=1) + "\n")


def load_checkpoint(
    path: Path,
    model: nn.Module,
    average: nn.Module | None,
    optimiser: torch.optim.Optimizer,
    config: TrainConfig,
) -> Progress:
    """Restore what `save_checkpoint` wrote.

    Raises:
        InputError: There is no checkpoint, or it belongs to another model, skeleton or batch order.
    """
    if not path.is_file():
        raise InputError(f"{path}: no checkpoint to resume from; start without --resume")
    document = read_json(path.with_suffix(".json"))
    _check_same_run(path, document["config"], json.loads(json.dumps(dataclasses.asdict(config))))
    tensors = load_file(path)
    model.load_state_dict(_with_prefix(tensors, MODEL))
    if average is not None:
        average.load_state_dict(_with_prefix(tensors, AVERAGE))
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in _with_prefix(tensors, OPTIMISER).items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
    return Progress(**document["progress"])


def _check_same_run(path: Path, saved: dict[str, Any], current: dict[str, Any]) -> None:
    for key in ("skeleton", "model", "seed", "precision"):
        if saved[key] != current[key]:
            raise InputError(
                f"{path}: the checkpoint was trained with {key} = {saved[key]}, this run has {current[key]}"
            )


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
