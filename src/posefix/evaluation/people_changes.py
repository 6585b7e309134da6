"""Whom a refinement helped and whom it harmed: AP is an average, which hides people who lost."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from posefix.errors import InputError, plural
from posefix.evaluation.coco import share_keypoints
from posefix.evaluation.matching import match_people, oks_tables
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import FloatArray, Poses, Rows

LITTLE, MUCH = 0.1, 0.3
"""Changes of OKS that are counted."""
GOOD = 0.7
"""A pose of a higher OKS is a good one."""
NOBODY = 0.3
"""A pose of a lower OKS shows nobody in particular, so it is handed to nobody."""


@dataclass(frozen=True)
class PeopleChanges:
    """Numbers of people.

    Attributes:
        people: Annotated people with a pose.
        better: Whose OKS rose by more than `LITTLE`.
        much_better: Whose OKS rose by more than `MUCH`.
        worse: Whose OKS fell by more than `LITTLE`.
        much_worse: Whose OKS fell by more than `MUCH`.
        handed_over: Whose pose showed them, and after the change shows somebody else more than them.
        good: Whose OKS was above `GOOD`.
        broken: Those of `good` whose OKS fell below it by more than `LITTLE`.
    """

    people: int
    better: int
    much_better: int
    worse: int
    much_worse: int
    handed_over: int
    good: int
    broken: int

    def as_dict(self) -> dict[str, int]:
        """For JSON."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        return (
            f"{plural(self.people, 'person')}: {self.better} better by {LITTLE:g} OKS, {self.worse} worse "
            f"({self.much_worse} by "
            f"{MUCH:g}), {self.handed_over} handed to somebody else, {self.broken} of {self.good} good ones broken"
        )


def count_people_changes(before: Poses, after: Poses, annotations: Annotations) -> PeopleChanges:
    """Count whom a change of poses helped and whom it harmed.

    A pose belongs to the person whom `match_people` gives it before the change. It is handed over if another person's
    OKS with it is then the larger one and at least `NOBODY`, and was not so before.

    Args:
        before: The poses to start from.
        after: The same people in the same order, with other places.
        annotations: People in these photos.

    Raises:
        InputError: The two do not have the same rows, or `match_people` refuses the poses.
    """
    if not before.same_people_as(after):
        raise InputError(
            f"Before and after must be the same people in the same order and layout, got {before!r} and {after!r}; "
            "give the poses and their refinement."
        )
    matches = match_people(before, annotations)
    own_before, others_before = _own_and_others(before, annotations, matches.poses, matches.people)
    own_after, others_after = _own_and_others(after, annotations, matches.poses, matches.people)
    change, good = own_after - own_before, own_before > GOOD
    handed = (others_before <= own_before) & (others_after > own_after) & (others_after >= NOBODY)
    return PeopleChanges(
        people=len(matches),
        better=int((change > LITTLE).sum()),
        much_better=int((change > MUCH).sum()),
        worse=int((change < -LITTLE).sum()),
        much_worse=int((change < -MUCH).sum()),
        handed_over=int(handed.sum()),
        good=int(good.sum()),
        broken=int((good & (own_after < GOOD) & (change < -LITTLE)).sum()),
    )


def _own_and_others(
    poses: Poses,
    annotations: Annotations,
    rows: Rows,
    people: Rows,
) -> tuple[FloatArray, FloatArray]:
    """OKS (P,) of the poses `rows` with their own people, and the largest one with anybody else in the photo."""
    person_of = np.full(len(poses), -1, dtype=np.int64)
    person_of[rows] = people
    own, others = np.zeros(len(poses)), np.zeros(len(poses))
    for there, candidates, table in oks_tables(poses, annotations, share_keypoints(poses, annotations)):
        is_own = candidates[None] == person_of[there][:, None]
        own[there] = np.where(is_own, table, 0.0).max(axis=1, initial=0.0)
        others[there] = np.where(is_own, 0.0, table).max(axis=1, initial=0.0)
    return own[rows], others[rows]
