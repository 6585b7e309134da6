"""What the order of the scores costs: scoring errors, and the best order there is (Ronchi and Perona, section 3.2)."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import hotcoco.primitives
import numpy as np

from posefix.analysis.ground_truth import GroundTruth
from posefix.errors import plural
from posefix.evaluation.matching import oks_tables
from posefix.pose.poses import FloatArray, Poses

NEAR_OKS = 0.5
"""A pose competes for a person from this OKS on."""


@dataclass(frozen=True)
class Scoring:
    """How often the score prefers the worse of several poses of one person.

    Attributes:
        contested: people for whom at least two poses compete, with an OKS of `NEAR_OKS` or more.
        errors: those of them where the pose of the highest score is not the most similar one.
    """

    contested: int
    errors: int

    def as_dict(self) -> dict[str, int]:
        """All numbers, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        people = plural(self.contested, "person has", "people have")
        return f"{people} several poses near; for {self.errors:,} of them, the best is not the one of the highest score"


def count_scoring_errors(poses: Poses, truth: GroundTruth) -> Scoring:
    """Count the people whose most similar pose is not the one of the highest score.

    Photo by photo, the person with the most similar pose first: the poses near this person that are nobody's yet
    compete, and the most similar one becomes this person's.

    Args:
        poses: in pixels of the original photos.
        truth: people in these photos.
    """
    contested = errors = 0
    for rows, _, table in oks_tables(poses, truth.annotations, truth.shared):
        if len(rows) < 2:
            continue
        free = np.ones(len(rows), dtype=bool)
        for person in np.argsort(-table.max(axis=0, initial=0.0), kind="stable"):
            rivals = np.flatnonzero(free & (table[:, person] >= NEAR_OKS))
            if not len(rivals):
                continue
            best = rivals[table[rivals, person].argmax()]
            free[best] = False
            highest = poses.pose_scores[rows[rivals]].max()
            contested += len(rivals) > 1
            errors += bool(poses.pose_scores[rows[best]] < highest)
    return Scoring(contested, errors)


def optimal_scores(poses: Poses, truth: GroundTruth) -> FloatArray:
    """The scores (N,) of perfect foresight: the OKS with the person that each pose shows, 0 for all others.

    Who shows whom is the assignment of poses to people with the highest sum of OKS in each photo.

    Args:
        poses: in pixels of the original photos.
        truth: people in these photos.
    """
    scores = np.zeros(len(poses))
    for rows, people, table in oks_tables(poses, truth.annotations, truth.shared):
        if len(people):
            chosen, persons = hotcoco.primitives.lsap(table, maximize=True)
            scores[rows[chosen]] = table[chosen, persons]
    return scores
