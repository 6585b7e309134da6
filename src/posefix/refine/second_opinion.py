"""The photo alone, as a second opinion: poses that it contradicts are not refined, the person is looked for anew.

A network that is given a pose leans on it, and where the pose is hopeless that misleads: on such poses a network that
sees the photo alone is the better one, on all others the worse. A refiner trained with poses withheld is both. Where
its refinement moved a pose far, the network is asked again without the pose, and a logistic regression, fitted with
the calibration, tells from what it then says of the given pose whether its own pose is the better start.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from posefix.network.decoding import Evidence
from posefix.pose.poses import BoolArray, FloatArray, Rows
from posefix.refine.calibration import Regression
from posefix.refine.decision import agreement, log_odds
from posefix.refine.vocabulary import CroppedPeople

EVIDENCE = tuple(field.name for field in dataclasses.fields(Evidence))


@dataclass(frozen=True)
class Look:
    """What the network says of N people, K keypoints each; places in original-image pixels.

    Attributes:
        evidence: With the pose that was given.
        seen: (N,) whom it saw; the others' evidence says nothing.
        alone: With the pose withheld, of the people of whom it was asked that, in their order.
        asked: (N,) who these are.
    """

    evidence: Evidence
    seen: BoolArray
    alone: Evidence
    asked: BoolArray

    @classmethod
    def of_nobody(cls, people: CroppedPeople) -> Look:
        """Evidence to be filled in, and nobody asked about."""
        nobody = np.zeros(len(people.valid), dtype=bool)
        return cls(_unseen(people.keypoints), nobody, _unseen(people.keypoints[:0]), nobody.copy())

    def take(self, rows: Rows, found: Evidence) -> None:
        """Write down what the network says of some people, with their pose."""
        for name in EVIDENCE:
            getattr(self.evidence, name)[rows] = getattr(found, name)
        self.seen[rows] = True

    def with_alone(self, parts: Sequence[tuple[Rows, Evidence]]) -> Look:
        """The same with what it says of some people by the photo alone, each named once."""
        if not parts:
            return self
        rows = np.concatenate([part for part, _ in parts])
        order = np.argsort(rows)
        alone = (np.concatenate([getattr(found, name) for _, found in parts])[order] for name in EVIDENCE)
        asked = np.zeros_like(self.seen)
        asked[rows] = True
        return Look(self.evidence, self.seen, Evidence(*alone), asked)

    def places_alone(self) -> FloatArray:
        """Where the photo alone shows people (N, K, 2); of those not asked about, what is said with their pose."""
        places: FloatArray = self.evidence.keypoints.copy()
        places[self.asked] = self.alone.keypoints
        return places


def _unseen(keypoints: FloatArray) -> Evidence:
    """Evidence of people of whom nothing is known, in the network's precision but for the places."""
    return Evidence(keypoints.copy(), *(np.zeros(keypoints.shape[:2], np.float32) for _ in EVIDENCE[1:]))


def measure_contradiction(look: Look, people: CroppedPeople) -> FloatArray:
    """What the regression sees of the M people asked about, (M, 1, F) in the order of `PERSON_FEATURES`.

    Mean log odds that the photo alone gives the places that were given, and the wider vicinity of them; mean log odds
    that it gives its own; and how far the refinement with the pose agrees with the pose.

    Args:
        look: At N people.
        people: The people as they were given.
    """
    rows = np.flatnonzero(look.asked)
    asked = people.of(rows)
    count = np.maximum(asked.valid.sum(axis=1), 1)
    given, vicinity = (
        np.where(asked.valid, log_odds(values), 0.0).sum(axis=1) / count
        for values in (look.alone.given_similarity, look.alone.given_vicinity)
    )
    own = log_odds(look.alone.similarity).mean(axis=1)
    refined = agreement(look.evidence.keypoints[rows], asked)
    return np.stack([given, vicinity, own, refined], axis=-1)[:, None]


def contradicted(features: FloatArray, anew: Regression, caution: float) -> BoolArray:
    """Whether the photo's own pose is the better start for each person (N,).

    Args:
        features: (N, 1, F), see `measure_contradiction`.
        anew: Probability that it is.
        caution: As of `Refiner`: 0 believes what is more likely than not, 1 nothing.
    """
    return np.asarray(anew(features)[:, 0] > (1 + max(caution, 0.0)) / 2)
