"""Training what is not trained yet: comparisons of many systems that are stopped go on where they were."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from posefix.errors import InputError
from posefix.files import read_json
from posefix.network.models import DESCRIPTION_FILE
from posefix.training.config import TrainConfig, with_defaults
from posefix.training.loop import CHECKPOINT_FILE, OnEpoch, OnStep
from posefix.training.run import train

WHERE_ONLY = (
    "workers",
    "compile",
    "crop_on",
    "data.root",
    "data.shards",
    "data.validation_annotations",
    "data.validation_images",
    "data.validation_results",
    "data.validation_layouts",
    "data.validate_every",
)
"""Settings that say how or where a system was trained or on whom it was judged, and make no other system of it."""


def is_trained(config: TrainConfig, folder: Path) -> bool:
    """Whether a folder holds a model, trained as a recipe says.

    Raises:
        InputError: It holds one that was trained with other settings.
    """
    path = folder / DESCRIPTION_FILE
    if not path.is_file():
        return False
    before, now = (
        _settings(settings)
        for settings in (with_defaults(read_json(path)["training"]), dataclasses.asdict(config))
    )
    for key in now:
        if before[key] != now[key]:
            raise InputError(
                f"{path}: trained with {key} = {before[key]!r}, this recipe has {now[key]!r}; choose another "
                "output folder"
            )
    return True


def train_once(
    config: TrainConfig,
    folder: Path,
    *,
    device: str = "auto",
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
) -> None:
    """Train, from the newest checkpoint of the folder if it has one, unless the model is there.

    Raises:
        InputError: As `is_trained` and `train` do.
    """
    if not is_trained(config, folder):
        resume = (folder / CHECKPOINT_FILE).is_file()
        train(config, folder, resume=resume, device=device, on_step=on_step, on_epoch=on_epoch)


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as dotted names and the values that JSON makes of them, without `WHERE_ONLY`."""
    flat: dict[str, Any] = {}
    for key, value in json.loads(json.dumps(config)).items():
        nested = _settings(value) if isinstance(value, dict) else {"": value}
        flat |= {f"{key}.{name}".rstrip("."): entry for name, entry in nested.items()}
    return {key: value for key, value in flat.items() if key not in WHERE_ONLY}
