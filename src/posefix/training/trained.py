"""What the folder of a trained model says of its training."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

from posefix.errors import InputError
from posefix.files import read_json
from posefix.network.models import DESCRIPTION_FILE
from posefix.training.config import DataConfig, TrainConfig


def trained_epochs(folder: Path) -> int:
    """The epochs that a folder's model was trained for; 0 where it holds none, or one that does not say it.

    Raises:
        InputError: The description is no JSON.
    """
    path = folder / DESCRIPTION_FILE
    epochs = _part(_training(path), "optimiser").get("epochs") if path.is_file() else 0
    return epochs if type(epochs) is int else 0


def check_unseen(config: TrainConfig, folder: Path) -> None:
    """Raise where a model was trained on photos that a recipe holds out, as far as its description says it.

    Files are known by their names in the recipes, which stay the same wherever `data.root` is. Of a name that the
    training did not have, the end counts: the rest may have been in `data.root`. Other files were not trained on.

    Args:
        config: The recipe.
        folder: Of the model.

    Raises:
        InputError: The recipe holds out more of a file than the training did, or the description is damaged.
    """
    path = folder / DESCRIPTION_FILE
    trained = _held_out_shares(path)
    if not trained:
        return
    for file, share in zip(config.data.annotations, config.data.held_out, strict=True):
        if not share:
            continue
        known = [file] if file in trained else [name for name in trained if _end_alike(name, file)]
        most = min((trained[name] for name in known), default=1.0)
        if share > most:
            raise InputError(
                f"{config.name}: data.held_out is {share:g} for {file}, and {path} says that {most:g} of its photos "
                f"were held out of training; choose at most {most:g}, or train the model again with this recipe"
            )


def _held_out_shares(path: Path) -> dict[str, float]:
    """What a model was not trained on of each annotation file; nothing where the description does not say it.

    Raises:
        InputError: What it says is none.
    """
    said = _part(_training(path), "data")
    try:
        data = DataConfig(
            annotations=tuple(said.get("annotations", ())), held_out=tuple(said.get("held_out", ()))
        )
    except (TypeError, InputError) as error:
        raise InputError(f"{path}: training: data: {error}; train the model again") from error
    shares: dict[str, float] = {}
    for file, share in zip(data.annotations, data.held_out or (0.0,) * len(data.annotations), strict=False):
        shares[file] = min(share, shares.get(file, 1.0))
    return shares


def _training(path: Path) -> dict[str, Any]:
    """The recipe in a model's description; empty where there is none."""
    return _part(read_json(path), "training")


def _part(values: Any, name: str) -> dict[str, Any]:
    """A table of settings within others; empty where there is none."""
    part = values.get(name) if isinstance(values, dict) else None
    return part if isinstance(part, dict) else {}


def _end_alike(one: str, other: str) -> bool:
    """Whether one of two paths is the end of the other."""
    first, second = PurePath(one).parts, PurePath(other).parts
    shorter = min(len(first), len(second))
    return first[-shorter:] == second[-shorter:]
