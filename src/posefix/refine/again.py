"""Fifth step: who is worth another look, and from which pose.

With a calibration that does not look elsewhere (`posefix.refine.elsewhere`), a logistic regression tells beforehand,
from what the network says with the pose and without it, whether its own pose is the better start; never where that is
somebody else's.
"""

from __future__ import annotations

import numpy as np

from posefix.pose.poses import BoolArray, FloatArray
from posefix.refine.calibration import Calibration, Regression
from posefix.refine.crops import CroppedPeople, recrop
from posefix.refine.features import log_odds
from posefix.refine.identity import Neighbours
from posefix.refine.judge import Choice
from posefix.refine.look import Look

SETTLED = 0.9
"""A pose is settled, and not looked at again, when its refinement agrees with it to this mean KS."""


def unsettled(
    look: Look, choice: Choice, calibration: Calibration | None, caution: float, neighbours: Neighbours
) -> CroppedPeople:
    """Whom to look at again: those of a look whose pose changed so much that its crop was a poor one, in their new one.

    Args:
        look: At people with their pose, and with it withheld.
        choice: What became of them, among all poses.
        calibration: Of the model, or None.
        caution: As of `Refiner`.
        neighbours: Of all poses.

    Returns:
        The people with the pose to start from: what was chosen, or what the photo alone shows where it contradicts.
    """
    start = choice.keypoints[look.people.rows]
    if calibration is not None and calibration.anew is not None:
        anew = look.asked & contradicted(measure_contradiction(look), calibration.anew, caution)
        places = np.flatnonzero(anew)
        alone, rows = look.alone.keypoints[places], look.people.rows[places]
        anew[places] = ~neighbours.taken(alone, rows)
        start[anew] = look.alone.keypoints[anew]
    again = np.flatnonzero(look.seen & (look.people.agreement(start) < SETTLED))
    return recrop(look.people.of(again), start[again])


def measure_contradiction(look: Look) -> FloatArray:
    """What the regression sees of N people, (N, 1, F) in the order of `CONTRADICTION_FEATURES`.

    Mean log odds that the photo alone gives the places that were given, and the wider vicinity of them; mean log odds
    that it gives its own; and how far the refinement with the pose agrees with it.

    Args:
        look: At N people with their pose, and with it withheld.
    """
    people, alone = look.people, look.alone
    features = (
        people.mean(log_odds(alone.given_similarity)),
        people.mean(log_odds(alone.given_vicinity)),
        log_odds(alone.similarity).mean(axis=1),
        people.agreement(look.evidence.keypoints),
    )
    return np.stack(features, axis=-1)[:, None]


def contradicted(features: FloatArray, anew: Regression, caution: float) -> BoolArray:
    """Whether the photo's own pose is the better start for each person (N,).

    Args:
        features: (N, 1, F), see `measure_contradiction`.
        anew: Probability that it is.
        caution: As of `Refiner`: 0 believes what is more likely than not, 1 nothing.
    """
    return np.asarray(anew(features)[:, 0] > (1 + max(caution, 0.0)) / 2)
