"""Fifth step: who is worth another look, and from which pose; the photo alone is the second opinion.

A network that is given a pose leans on it, and where the pose is hopeless that misleads: on such poses a network that
sees the photo alone is the better one, on all others the worse. A refiner trained with poses withheld is both. Where
its refinement moved a pose far, the network is asked again without the pose, and a logistic regression, fitted with
the calibration, tells from what it then says of the given pose whether its own pose is the better start.
"""

from __future__ import annotations

import numpy as np

from posefix.pose.poses import BoolArray, FloatArray
from posefix.refine.calibration import Calibration, Regression
from posefix.refine.crops import CroppedPeople, recrop
from posefix.refine.features import log_odds
from posefix.refine.judge import Choice
from posefix.refine.look import Look

SETTLED = 0.9
"""A pose is settled, and not looked at again, when its refinement agrees with it to this mean KS."""


def unsettled(
    look: Look, alone: Look, choice: Choice, calibration: Calibration | None, caution: float
) -> CroppedPeople:
    """Whom to look at again: those of a look whose pose changed so much that its crop was a poor one, in their new one.

    Args:
        look: At people with their pose.
        alone: At the same with it withheld.
        choice: What became of them, among all poses.
        calibration: Of the model, or None.
        caution: As of `Refiner`.

    Returns:
        The people with the pose to start from: what was chosen, or what the photo alone shows where it contradicts.
    """
    start = choice.keypoints[look.people.rows]
    if calibration is not None and alone.seen.any():
        anew = contradicted(measure_contradiction(look, alone), calibration.anew, caution)
        places = np.flatnonzero(alone.seen)[anew]
        start[places] = alone.evidence.keypoints[places]
    again = np.flatnonzero(look.seen & (look.people.agreement(start) < SETTLED))
    return recrop(look.people.of(again), start[again])


def measure_contradiction(look: Look, alone: Look) -> FloatArray:
    """What the regression sees of the M people seen without their pose, (M, 1, F) in the order of `PERSON_FEATURES`.

    Mean log odds that the photo alone gives the places that were given, and the wider vicinity of them; mean log odds
    that it gives its own; and how far the refinement with the pose agrees with the pose.

    Args:
        look: At N people with their pose.
        alone: At the same with it withheld.
    """
    asked = np.flatnonzero(alone.seen)
    some = alone.of(asked)
    people, evidence = some.people, some.evidence
    count = np.maximum(people.valid.sum(axis=1), 1)
    given, vicinity = (
        np.where(people.valid, log_odds(values), 0.0).sum(axis=1) / count
        for values in (evidence.given_similarity, evidence.given_vicinity)
    )
    own = log_odds(evidence.similarity).mean(axis=1)
    refined = people.agreement(look.evidence.keypoints[asked])
    return np.stack([given, vicinity, own, refined], axis=-1)[:, None]


def contradicted(features: FloatArray, anew: Regression, caution: float) -> BoolArray:
    """Whether the photo's own pose is the better start for each person (N,).

    Args:
        features: (N, 1, F), see `measure_contradiction`.
        anew: Probability that it is.
        caution: As of `Refiner`: 0 believes what is more likely than not, 1 nothing.
    """
    return np.asarray(anew(features)[:, 0] > (1 + max(caution, 0.0)) / 2)
