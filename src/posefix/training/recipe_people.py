"""The people of a recipe: its annotation files with the estimators' poses of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from posefix.errors import InputError
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.interchange import read_annotated_poses
from posefix.people import (
    PersonRecords,
    add_consensus_labels,
    build_records,
    find_photos,
    held_out_mask,
    join_records,
    select,
    thin_out,
)
from posefix.pose.poses import Poses
from posefix.skeletons import Skeleton
from posefix.training.config import TrainConfig


def load_records(config: TrainConfig, skeleton: Skeleton) -> PersonRecords:
    """The people to train on, of all of a recipe's annotation files.

    Raises:
        InputError: A file is missing or faulty, or nobody is left.
    """
    parts = load_sets(config, skeleton)
    repeats = config.data.repeats or (1,) * len(parts)
    records = join_records([part for part, times in zip(parts, repeats, strict=True) for _ in range(times)])
    return thin_out(records, config.data.limit) if config.data.limit else records


def load_sets(config: TrainConfig, skeleton: Skeleton, *, held: bool = False) -> list[PersonRecords]:
    """The people of each annotation file: those to train on, or those held out, with their own labels only.

    Raises:
        InputError: A file is missing or faulty, or nobody is left.
    """
    data, root = config.data, Path(config.data.root)
    if not data.annotations:
        raise InputError(f"{config.name}: data.annotations is empty; name COCO keypoint files to train on")
    shares = data.held_out or (0.0,) * len(data.annotations)
    truths = [read_annotations(root / file, skeleton) for file in data.annotations]
    estimates = _load_estimates(config, truths)
    parts: list[PersonRecords] = []
    for number, (truth, images) in enumerate(zip(truths, data.images, strict=True)):
        photos = find_photos(truth, root / images)
        # Who is held out calibrates the model, by the areas by which results are judged.
        by_box = config.synthesis.person_area == "box" and not held
        people = _with_box_areas(truth) if by_box else truth
        records = build_records(people, photos, skeleton, estimates[number], data.neighbours)
        if data.consensus_labels and not held:
            records = add_consensus_labels(records, skeleton)
        parts.append(select(records, held_out_mask(records, shares[number]) == held))
    if not any(len(part) for part in parts):
        kind = "held out" if held else "left to train on"
        raise InputError(
            f"{config.name}: data.held_out is {list(data.held_out)}: no photo is {kind}; choose other shares"
        )
    return parts


def _with_box_areas(annotations: Annotations) -> Annotations:
    people = annotations.people
    return replace(annotations, people=replace(people, area=people.bbox_xywh[:, 2:].prod(axis=1)))


def _load_estimates(config: TrainConfig, truths: Sequence[Annotations]) -> list[list[Poses]]:
    """Estimators' poses of each annotation file: image ids of two of them may be equal."""
    data, root = config.data, Path(config.data.root)
    sets = data.estimate_sets or (0,) * len(data.estimates)
    estimates: list[list[Poses]] = [[] for _ in truths]
    for number, results, layout in zip(sets, data.estimates, data.estimate_layouts, strict=True):
        estimates[number].append(read_annotated_poses(root / results, truths[number], layout))
    return estimates
