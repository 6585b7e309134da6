"""From a recipe to shards."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from posefix.people import join_records
from posefix.shards.contexts import ContextOptions
from posefix.shards.writing import OnPerson, write_shards
from posefix.skeletons import load_skeleton
from posefix.training.config import TrainConfig
from posefix.training.prepared import label_settings
from posefix.training.run import load_sets


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
    threads: int | None = None,
    on_person: OnPerson | None = None,
) -> Prepared:
    """Cut the people of a recipe's annotation files out of their photos, so that training decodes no photo.

    All people that the recipe does not hold out are cut, whatever its `data.repeats` and `data.limit`. A folder in
    which the same was begun is finished.

    Args:
        config: The recipe.
        folder: A new or empty folder, or one that holds shards of the same.
        resolution: Pixels that are kept for each pixel of the crop around a true pose, at most.
        quality: Of the JPEG files.
        threads: Photos that are decoded at a time; one for each processor core when None.
        on_person: Called with the people done and in all.

    Raises:
        InputError: Data are missing, the folder holds something else, a photo cannot be read, or the disk is full.
    """
    skeleton = load_skeleton(config.skeleton)
    options = ContextOptions(config.model.input_size_wh, resolution, quality)
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
        threads=threads or os.cpu_count() or 1,
        on_person=on_person,
    )
    return Prepared(len(records), len(set(records.images)), written)
