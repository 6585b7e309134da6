"""Shards of a recipe's people, and training from them: the same people and labels as from annotations and photos."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from posefix.errors import InputError
from posefix.people import PersonRecords, join_records, select, thinned_mask
from posefix.shards.contexts import ContextOptions
from posefix.shards.folder import check_settings, read_index, read_people, sha256_of
from posefix.shards.reading import ShardPictures, open_pictures
from posefix.shards.writing import OnPerson, write_shards
from posefix.skeletons import Skeleton, load_skeleton
from posefix.training.config import TrainConfig
from posefix.training.recipe_people import load_sets

LABEL_SETTINGS = ("estimate_layouts", "estimate_sets", "consensus_labels", "held_out", "neighbours")
"""Settings of `DataConfig` that decide, besides the files, who the people are and where their keypoints lie."""


@dataclass(frozen=True)
class Prepared:
    """What a folder of shards holds.

    Attributes:
        people: To train on, each once.
        photos: That they are in.
        bytes: Of all pictures.
    """

    people: int
    photos: int
    bytes: int


def prepare(
    config: TrainConfig,
    folder: Path,
    *,
    resolution: float = 1.25,
    quality: int = 92,
    on_person: OnPerson | None = None,
) -> Prepared:
    """Cut the people of a recipe's annotation files out of their photos, so that training decodes no photo.

    All people that the recipe does not hold out are cut, whatever its `data.repeats` and `data.limit`. With
    `data.crop_around = "box"` what is kept of each holds the crop around the annotated box, too. A folder in which the
    same was begun is finished.

    Args:
        config: The recipe.
        folder: A new or empty folder, or one that holds shards of the same.
        resolution: Pixels that are kept for each pixel of the crop around a true pose or the box, at most.
        quality: Of the JPEG files.
        on_person: Called with the people done and in all.

    Raises:
        InputError: Data are missing, the folder holds something else, a photo cannot be read, or the disk is full.
    """
    skeleton = load_skeleton(config.skeleton)
    options = ContextOptions(
        config.model.input_size_wh, resolution, quality, boxes=config.data.crop_around == "box"
    )
    context = {**asdict(options), "size_wh": list(options.size_wh)}
    settings = {**label_settings(config, skeleton), "context": context}
    parts = load_sets(config, skeleton)
    records = join_records(parts)
    written = write_shards(
        folder,
        records,
        [len(part) for part in parts],
        settings,
        options,
        threads=os.cpu_count() or 1,
        on_person=on_person,
    )
    return Prepared(len(records), len(set(records.images)), written)


def label_settings(config: TrainConfig, skeleton: Skeleton) -> dict[str, Any]:
    """What decides the people and labels of a recipe, for JSON: settings, and checksums of the files that are here."""
    data, root = config.data, Path(config.data.root)
    annotations, estimates = ([root / file for file in files] for files in (data.annotations, data.estimates))
    return {
        "skeleton": list(skeleton.keypoint_names),
        "annotations": [_known_as(path) for path in annotations],
        "estimates": [_known_as(path) for path in estimates],
        "data": {name: json.loads(json.dumps(getattr(data, name))) for name in LABEL_SETTINGS},
        "person_area": config.synthesis.person_area,
        "sha256": _checksums([*annotations, *estimates]),
    }


def share_shards(one: TrainConfig, other: TrainConfig) -> bool:
    """Whether two recipes of the same files make the same people and labels of them, so that shards suit both."""
    return one.synthesis.person_area == other.synthesis.person_area and all(
        getattr(one.data, name) == getattr(other.data, name) for name in LABEL_SETTINGS
    )


def _checksums(paths: Sequence[Path]) -> dict[str, str | None]:
    """Checksums by the names by which files are known; None for files that are not here.

    Shards may be used where their sources are not, or lie elsewhere. Files that are known by one name are counted, in
    their order, so that none's checksum stands for another's.
    """
    files_of: dict[str, list[Path]] = {}
    for path in dict.fromkeys(path.resolve() for path in paths):
        files_of.setdefault(_known_as(path), []).append(path)
    return {
        name if len(files) == 1 else f"{name} ({number} of {len(files)})": (
            sha256_of(path) if path.is_file() else None
        )
        for name, files in files_of.items()
        for number, path in enumerate(files, start=1)
    }


def _known_as(path: Path) -> str:
    """A file's name and its folder's, by which it is known wherever the folder lies."""
    return "/".join(path.resolve().parts[-2:])


def load_prepared(config: TrainConfig, skeleton: Skeleton) -> tuple[PersonRecords, ShardPictures]:
    """The people to train on, and their pictures.

    Raises:
        InputError: The shards are missing, damaged, unfinished, or of other data or settings than the recipe's.
    """
    folder = Path(config.data.root) / config.data.shards
    index = read_index(folder)
    check_settings(folder, index.settings, label_settings(config, skeleton), "this recipe")
    _check_context(folder, index.settings["context"], config)
    people = read_people(folder, index)
    pictures = open_pictures(folder, index, config.model.input_size_wh)
    ends = np.cumsum(index.parts)
    rows = [np.arange(end - count, end) for end, count in zip(ends, index.parts, strict=True)]
    repeats = config.data.repeats or (1,) * len(rows)
    chosen = [part for part, times in zip(rows, repeats, strict=True) for _ in range(times)]
    records = join_records([select(people, np.isin(np.arange(len(people)), part)) for part in chosen])
    kept = np.concatenate(chosen)
    if config.data.limit:
        mask = thinned_mask(records, config.data.limit)
        records, kept = select(records, mask), kept[mask]
    return records, pictures.select(kept)


def _check_context(folder: Path, context: dict[str, Any], config: TrainConfig) -> None:
    if config.data.crop_around == "box" and not context["boxes"]:
        raise InputError(
            f"{folder}: the shards were prepared for crops around poses, data.crop_around is 'box'; prepare them with "
            "this recipe in another folder"
        )
    prepared_wh: list[int] = context["size_wh"]
    wanted_wh = config.model.input_size_wh
    if max(wanted_wh) > max(prepared_wh):
        raise InputError(
            f"{folder}: the shards were prepared for crops of {prepared_wh[0]} x {prepared_wh[1]} pixels, "
            f"model.input_size_wh is {wanted_wh[0]} x {wanted_wh[1]}; prepare them in another folder"
        )
