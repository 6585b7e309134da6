"""The photo alone, as a second opinion: poses that it contradicts are not refined, the person is looked for anew.

A network that is given a pose leans on it, and where the pose is hopeless that misleads: on such poses a network that
sees the photo alone is the better one, on all others the worse. A refiner trained with poses withheld is both. Where
its refinement moved a pose far, the network is asked again without the pose, and a logistic regression, fitted with
the calibration, tells from what it then says of the given pose whether its own pose is the better start.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posefix.decoding import Evidence
from posefix.refine.calibration import Regression
from posefix.refine.decision import agreement, log_odds
from posefix.refine.vocabulary import BoolArray, FloatArray, People


@dataclass(frozen=True)
class Look:
    """What the network says of N people, K keypoints each; places in original-image pixels.

    Attributes:
        evidence: With the pose that was given.
        seen: (N,) whom it saw; the others' evidence says nothing.
        alone: With the pose withheld.
        asked: (N,) of whom it was asked that.
    """

    evidence: Evidence
    seen: BoolArray
    alone: Evidence
    asked: BoolArray

    @classmethod
    def of_nobody(cls, people: People) -> Look:
        """Arrays to be filled in."""
        shape = people.valid.shape
        evidence, alone = (
            Evidence(people.keypoints.copy(), *(np.zeros(shape) for _ in range(4))) for _ in range(2)
        )
        return cls(evidence, np.zeros(shape[:1], dtype=bool), alone, np.zeros(shape[:1], dtype=bool))


def measure_contradiction(look: Look, people: People) -> FloatArray:
    """What the regression sees, (N, 1, F) in the order of `PERSON_FEATURES`.

    Mean log odds that the photo alone gives the places that were given, and the wider vicinity of them; mean log odds
    that it gives its own; and how far the refinement with the pose agrees with the pose.

    Args:
        look: At N people.
        people: The people as they were given.
    """
    count = np.maximum(people.valid.sum(axis=1), 1)
    given, vicinity = (
        np.where(people.valid, log_odds(values), 0.0).sum(axis=1) / count
        for values in (look.alone.given_similarity, look.alone.given_vicinity)
    )
    own = log_odds(look.alone.similarity).mean(axis=1)
    return np.stack([given, vicinity, own, agreement(look.evidence.keypoints, people)], axis=-1)[:, None]


def contradicted(features: FloatArray, anew: Regression, caution: float) -> BoolArray:
    """Whether the photo's own pose is the better start for each person (N,).

    Args:
        features: (N, 1, F), see `measure_contradiction`.
        anew: Probability that it is.
        caution: As of `Refiner`: 0 believes what is more likely than not, 1 nothing.
    """
    return np.asarray(anew(features)[:, 0] > (1 + max(caution, 0.0)) / 2)
