"""COCO-WholeBody's annotations: feet, face and hands of a person in fields of their own beside the body's keypoints.

Fields and their order as in https://github.com/jin-s13/COCO-WholeBody and mmpose/datasets/datasets/wholebody. Files
that people make hold empty lists for parts that nobody labelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from posefix.formats.coco_people import keypoint_triples
from posefix.pose.poses import FloatArray
from posefix.pose_files.layouts import TRIPLE, misfit
from posefix.pose_files.records import Record, Records
from posefix.skeletons import Skeleton, load_skeleton

LAYOUT, BODY = "wholebody133", "coco17"
KEYPOINTS = "keypoints"


@dataclass(frozen=True)
class Part:
    """Keypoints of a layout that stand in one field of an annotation: from a first one up to another."""

    field: str
    start: int
    stop: int


PARTS = (
    Part(KEYPOINTS, 0, 17),
    Part("foot_kpts", 17, 23),
    Part("face_kpts", 23, 91),
    Part("lefthand_kpts", 91, 112),
    Part("righthand_kpts", 112, 133),
)


def has_parts(rows: Sequence[Record]) -> bool:
    """Whether some annotations have fields for feet, face or hands."""
    return any(part.field in row for row in rows for part in PARTS[1:])


def layout_of(rows: Sequence[Record], named: Skeleton) -> Skeleton:
    """The layout of annotations whose category names the keypoints of one: the whole body's if its parts are there."""
    whole = named == load_skeleton(BODY) and has_parts(rows)
    return load_skeleton(LAYOUT) if whole else named


def parts_of(rows: Sequence[Record], skeleton: Skeleton) -> tuple[Part, ...]:
    """The fields in which annotations hold the keypoints of a layout."""
    if skeleton == load_skeleton(LAYOUT) and has_parts(rows):
        return PARTS
    return (Part(KEYPOINTS, 0, len(skeleton)),)


def part_lengths(records: Records, parts: Sequence[Part]) -> list[int]:
    """As of `Records.lengths`, of whole people."""
    rest = sum(TRIPLE * (part.stop - part.start) for part in parts[1:])
    return [length + rest for length in records.lengths(KEYPOINTS)]


def part_triples(records: Records, parts: Sequence[Part], skeleton: Skeleton) -> FloatArray:
    """(N, K, 3): x, y and visibility of each keypoint; zeros where a part other than the body is not there.

    Raises:
        FormatError: A list is faulty.
    """
    others = parts[1:]
    names = [skeleton.keypoint_names[part.start : part.stop] for part in others]
    first = keypoint_triples(records, load_skeleton(BODY) if others else skeleton)
    rest = (_triples(records, part.field, own) for part, own in zip(others, names, strict=True))
    return np.concatenate([first, *rest], axis=1)


def _triples(records: Records, field: str, names: Sequence[str]) -> FloatArray:
    numbers = [f"{what} of {name}" for name in names for what in ("x", "y", "visibility")]
    triples = np.zeros((len(records.rows), len(numbers)))
    there = [bool(row.get(field)) for row in records.rows]
    triples[there] = (
        records.choose(there).with_flat(field).number_lists(field, numbers, partial(misfit, TRIPLE))
    )
    return triples.reshape(-1, len(names), TRIPLE)
