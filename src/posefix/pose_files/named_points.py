"""Keypoints that stand in a file one by one, each with its name: as labelling programs keep them.

A keypoint that is missing is not in the file; one that is filled in is a new record, one that is gone takes its record
along.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from posefix.errors import InputError, listed_counts
from posefix.pose.poses import BoolArray, FloatArray, ImageId, Poses
from posefix.pose_files.layouts import LayoutError
from posefix.pose_files.pose_file import DECIMALS, FormatError, rows_left_out
from posefix.pose_files.records import report_fault
from posefix.pose_files.units import Unit, triples_in_unit
from posefix.skeletons import Skeleton, load_skeleton, skeleton_from_names, skeleton_names
from posefix.skeletons.skeleton import normalise

PERSON = "person"
"""What people are called beside animals."""
EDGE_TO_CENTRE = 0.5
"""Labelling programs count from the photo's edge, on which the page draws it: so far is the first pixel's centre."""
FROM_EDGE = Unit(np.ones((1, 1, 2)), np.full((1, 1, 2), -EDGE_TO_CENTRE), DECIMALS)
"""Pixels, the photo's edge at 0."""


class NamedPoint(NamedTuple):
    """A keypoint as a record of a file.

    Attributes:
        person: Row of the person.
        label: What the file calls it.
        x: As the file has it.
        y: The same.
        score: 1 where the file has none.
        record: How the format finds the record again.
    """

    person: int
    label: str
    x: float
    y: float
    score: float
    record: Any


@dataclass(frozen=True, eq=False)
class NamedPoints:
    """The keypoints of all people of a file.

    Attributes:
        skeleton: Their layout.
        labels: What the file calls each of the layout's keypoints; the layout's name where the file has none.
        numbers: (N, K, 3) x, y and score as the file has them; zeros where there is none.
        there: (N, K) which keypoints the file has.
        records: Row and keypoint -> how the format finds the record again.
    """

    skeleton: Skeleton
    labels: tuple[str, ...]
    numbers: FloatArray
    there: BoolArray
    records: dict[tuple[int, int], Any]

    @classmethod
    def of(
        cls,
        points: Sequence[NamedPoint],
        people: int,
        skeleton: Skeleton,
        where: Callable[[NamedPoint], str],
    ) -> NamedPoints:
        """Gather points; those whose label the layout does not have stay in the file as they are.

        Args:
            points: The points.
            people: How many there are.
            skeleton: The layout.
            where: How messages name a point.

        Raises:
            FormatError: Somebody has a keypoint twice.
        """
        positions = {label: skeleton.find(label) for label in {point.label for point in points}}
        known = [(point, keypoint) for point in points if (keypoint := positions[point.label]) is not None]
        records = {(point.person, keypoint): point.record for point, keypoint in known}
        if len(records) < len(known):
            _report_twice(known, where)
        labels = list(skeleton.keypoint_names)
        for label, keypoint in positions.items():
            if keypoint is not None:
                labels[keypoint] = label
        numbers = np.zeros((people, len(skeleton), 3))
        there = np.zeros(numbers.shape[:2], dtype=np.bool_)
        if known:
            places = [point.person for point, _ in known], [keypoint for _, keypoint in known]
            numbers[places] = [(point.x, point.y, point.score) for point, _ in known]
            there[places] = True
        return cls(skeleton, tuple(labels), numbers, there, records)

    def poses(self, image_ids: Sequence[ImageId], unit: Unit, pose_scores: FloatArray | None = None) -> Poses:
        """The people as poses.

        Args:
            image_ids: Photo of each.
            unit: Of the numbers.
            pose_scores: (N,) NaN where the file has none, or none for all: then the mean of the keypoints' scores.
        """
        scores = self.numbers[..., 2]
        mean = scores.sum(axis=1) / np.maximum(self.there.sum(axis=1), 1)
        return Poses(
            keypoints=np.where(self.there[..., None], unit.to_pixels(self.numbers[..., :2]), 0.0),
            scores=scores,
            valid=self.there,
            image_ids=tuple(image_ids),
            pose_scores=mean if pose_scores is None else np.where(np.isnan(pose_scores), mean, pose_scores),
            skeleton=self.skeleton,
        )

    def changes(self, poses: Poses, before: Poses, unit: Unit, keep: Sequence[int] | None) -> PointChanges:
        """What other poses change in the file; see `posefix.pose_files.pose_file.Rewrite`."""
        written = triples_in_unit(poses, before, self.numbers, unit)
        dropped = np.zeros(len(poses), dtype=np.bool_)
        dropped[rows_left_out(len(poses), keep)] = True
        stays = self.there & poses.valid & ~dropped[:, None]
        return PointChanges(
            written,
            changed=(written != self.numbers) & stays[..., None],
            added=poses.valid & ~self.there & ~dropped[:, None],
            gone=self.there & (~poses.valid | dropped[:, None]),
            dropped=dropped,
        )


def _report_twice(known: Sequence[tuple[NamedPoint, int]], where: Callable[[NamedPoint], str]) -> None:
    """Refuse points that are there again, of one person and keypoint."""
    seen: set[tuple[int, int]] = set()
    for point, keypoint in known:
        if (point.person, keypoint) in seen:
            message = f"{where(point)}: expected each keypoint of a person once, got {point.label!r} again."
            report_fault(FormatError(message, "Take one out, or tell which person it is of."))
        seen.add((point.person, keypoint))


@dataclass(frozen=True, eq=False)
class PointChanges:
    """What becomes of the records of a file.

    Attributes:
        written: (N, K, 3) x, y and score as the file gets them.
        changed: (N, K, 3) which numbers of records that stay are others.
        added: (N, K) which keypoints need a new record.
        gone: (N, K) which records are taken out, those of people who are dropped too.
        dropped: (N,) which people are taken out.
    """

    written: FloatArray
    changed: BoolArray
    added: BoolArray
    gone: BoolArray
    dropped: BoolArray

    def numbers(self) -> Iterator[tuple[tuple[int, int], int, float]]:
        """Row and keypoint, which of x, y, score, and the new value, of all numbers that change."""
        places = np.nonzero(self.changed)
        for row, keypoint, which, value in zip(
            *(place.tolist() for place in places), self.written[places].tolist(), strict=True
        ):
            yield (row, keypoint), which, value


class OfCategory(NamedTuple):
    """The people whose boxes are called as somebody asked for.

    Attributes:
        rows: Of all people of a file.
        notes: A line where boxes have several labels and all are read.
        left_out: A line on the others.
    """

    rows: list[int]
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def of_category(path: Path, boxes: Sequence[str], category: str | None) -> OfCategory:
    """Choose people by the labels of their boxes, which say person or dog where the keypoints do not.

    Where one of several labels is `PERSON`, the others are no people; who has no box may be one. People may as well be
    told apart by these labels (person 1, person 2), so that otherwise all are taken.

    Args:
        path: The file, for the message.
        boxes: Label of each person's box; nothing where there is none.
        category: The label that is meant; None where nobody chose one.

    Raises:
        FormatError: No box is called so.
    """
    counts = Counter(filter(None, boxes))
    if category is None and PERSON not in counts:
        return OfCategory(list(range(len(boxes))), read_together("boxes", counts))
    wanted = {"", PERSON} if category is None else {category}
    rows = [row for row, label in enumerate(boxes) if label in wanted]
    if not rows:
        raise FormatError(
            f"{path}: there is no box {category!r} with keypoints (--category); expected one of "
            f"{listed_counts(counts) or 'none'}."
        )
    others = Counter(label or "no box" for label in boxes if label not in wanted)
    line = left_as_they_are("people whose boxes are called otherwise", others)
    return OfCategory(rows, left_out=(line,) if others else ())


def read_together(what: str, counts: Counter[str]) -> tuple[str, ...]:
    """A line where several labels are read as of one layout.

    Args:
        what: Has the labels.
        counts: How many have each label.
    """
    if len(counts) < 2:
        return ()
    listed = listed_counts(counts)
    return (
        f"{what} have several labels, and all are read as of one layout ({listed}); --category reads one",
    )


def layout_of_labels(path: Path, labels: Sequence[str], given: Skeleton | None) -> Skeleton:
    """The layout of a file that names its keypoints, in an order that means nothing.

    Args:
        path: The file.
        labels: The names in the file.
        given: The layout that somebody named; names that it does not have are left alone.

    Returns:
        The given one; else the packaged one of exactly these names, else one of its own.

    Raises:
        LayoutError: The given layout has none of the names, or the file's names do not make a layout.
    """
    if given is not None:
        if labels and all(given.find(label) is None for label in labels):
            raise LayoutError(
                f"{path}: its keypoints {', '.join(labels)} are none of layout {given.name!r}, "
                f"{', '.join(given.keypoint_names)}; leave --layout out, or give a skeleton file with these aliases."
            )
        return given
    if not labels:
        raise LayoutError(
            f"{path}: expected keypoints with names, which say the layout, got none that can be read; label some, or "
            "name the layout (--layout)."
        )
    spelled: dict[str, str] = {}
    for label in labels:
        spelled.setdefault(normalise(label), label)
    labels = list(spelled.values())
    for packaged in map(load_skeleton, skeleton_names()):
        if {packaged.find(label) for label in labels} == set(range(len(packaged))) and len(packaged) == len(
            labels
        ):
            return packaged
    try:
        return skeleton_from_names(labels, path.name)
    except InputError as error:
        raise LayoutError(
            f"{path}: its keypoints do not make a layout ({error}); name one (--layout)."
        ) from error


def left_as_they_are(what: str, counts: Counter[str]) -> str:
    """A line on records that are not read, how many there are of each kind."""
    listed = ", ".join(f"{kind} {count:,}" for kind, count in counts.items())
    return f"{what}, left as they are: {counts.total():,} ({listed})"
