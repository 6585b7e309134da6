"""Checkpoints: tensors in safetensors, everything else in JSON; never pickle."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from posefix.errors import InputError, plural
from posefix.files import write_bytes_atomic, write_text_atomic
from posefix.json_values import parse_json
from posefix.training.config import TrainConfig, with_defaults

MODEL, AVERAGE, OPTIMISER = "model.", "average.", "optimiser."
STATE = "posefix"
SAME_IN_ONE_RUN = (
    "skeleton",
    "model",
    "seed",
    "precision",
    "optimiser.batch_size",
    "optimiser.average",
    "data.annotations",
    "data.repeats",
    "data.estimates",
    "data.estimate_sets",
    "data.consensus_labels",
    "data.held_out",
    "data.crop_around",
    "data.limit",
)


@dataclasses.dataclass(frozen=True)
class Standing:
    """Where a run stands: epochs and steps done."""

    epoch: int
    step: int


def save_checkpoint(
    path: Path,
    model: nn.Module,
    average: nn.Module | None,
    optimiser: torch.optim.Optimizer,
    standing: Standing,
    config: TrainConfig,
    people: int,
) -> None:
    """Write `path`: tensors, and where the run stands, in one safetensors file that appears whole or not at all.

    The same name with .json holds the second part once more, for people to read. The number of people who are trained
    on is kept, since batches and learning rates follow from it and files of the same names may come to hold others.
    """
    tensors = {MODEL + key: value for key, value in model.state_dict().items()}
    if average is not None:
        tensors |= {AVERAGE + key: value for key, value in average.state_dict().items()}
    for index, entry in optimiser.state_dict()["state"].items():
        tensors |= {f"{OPTIMISER}{index}.{key}": torch.as_tensor(value) for key, value in entry.items()}
    document = {
        "progress": dataclasses.asdict(standing),
        "people": people,
        "config": dataclasses.asdict(config),
        "versions": {"torch": str(torch.__version__)},
    }
    flat = {key: value.detach().contiguous().cpu() for key, value in tensors.items()}
    write_bytes_atomic(path, save(flat, metadata={STATE: json.dumps(document)}))
    write_text_atomic(path.with_suffix(".json"), json.dumps(document, indent=1) + "\n")


def load_checkpoint(
    path: Path,
    model: nn.Module,
    average: nn.Module | None,
    optimiser: torch.optim.Optimizer,
    config: TrainConfig,
    people: int,
) -> Standing:
    """Restore what `save_checkpoint` wrote.

    Raises:
        InputError: There is no checkpoint, or it belongs to another model, data or batch order.
    """
    if not path.is_file():
        raise InputError(f"{path}: no checkpoint to resume from; start without --resume")
    tensors, document = _read(path)
    try:
        _check_same_run(path, document["config"], json.loads(json.dumps(dataclasses.asdict(config))))
        _check_same_people(path, document, people)
        return _restore(tensors, document, model, average, optimiser)
    except InputError:
        raise
    # What a document or tensors of another kind lead to, in Python and in PyTorch.
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: the checkpoint is damaged ({reason}); start again without it") from error


def _restore(
    tensors: dict[str, Tensor],
    document: dict[str, Any],
    model: nn.Module,
    average: nn.Module | None,
    optimiser: torch.optim.Optimizer,
) -> Standing:
    """See `load_checkpoint`; what is damaged raises whatever it leads to."""
    model.load_state_dict(_with_prefix(tensors, MODEL))
    if average is not None:
        average.load_state_dict(_with_prefix(tensors, AVERAGE))
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in _with_prefix(tensors, OPTIMISER).items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
    standing = Standing(**document["progress"])
    if not all(type(count) is int and count >= 0 for count in dataclasses.astuple(standing)):
        raise ValueError(f"expected whole numbers of epochs and steps, got {standing}")
    return standing


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path}: cannot be read as a checkpoint ({error}); start again without it"
        ) from error
    if STATE not in metadata:
        raise InputError(f"{path}: holds weights but no training state; name it as initial_weights instead")
    document = parse_json(path, metadata[STATE])
    if not isinstance(document, dict):
        raise InputError(f"{path}: the checkpoint is damaged (no object of JSON); start again without it")
    return tensors, document


def _check_same_run(path: Path, saved: dict[str, Any], current: dict[str, Any]) -> None:
    saved = with_defaults(saved)
    for key in SAME_IN_ONE_RUN:
        before, now = (
            functools.reduce(dict.__getitem__, key.split("."), config) for config in (saved, current)
        )
        if before != now:
            raise InputError(f"{path}: the checkpoint was trained with {key} = {before}, this run has {now}")


def _check_same_people(path: Path, document: dict[str, Any], people: int) -> None:
    """Raise if a run has more or fewer people than before; earlier versions did not say how many there were."""
    before = document.get("people", people)
    if before != people:
        raise InputError(
            f"{path}: the checkpoint was trained on {plural(before, 'person')}, this run has {people:,}; resume it "
            "with the annotations as they were, or train in another folder"
        )


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
