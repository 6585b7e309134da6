"""Sixth step, the second opinion: who is elsewhere according to the photo alone is looked for there, too.

A network that is given a pose leans on it, and where the pose is hopeless that misleads: then what it sees in the photo
alone is the better start; on all other poses it is the worse one. Only after both have been followed can they be held
side by side: a logistic regression, fitted with the calibration, tells from the two outcomes which one is the better
pose of this person. A pose of somebody else in the same call is never taken for it.
"""

from __future__ import annotations

import numpy as np

from posefix.pose.poses import BoolArray, FloatArray
from posefix.refine.calibration import Regression
from posefix.refine.crops import CroppedPeople, recrop
from posefix.refine.features import log_odds
from posefix.refine.identity import Neighbours
from posefix.refine.judge import Choice
from posefix.refine.look import Look

APART = 0.7
"""The photo alone shows people elsewhere if its places agree with the chosen ones to less than this mean KS."""


def elsewhere(look: Look, choice: Choice, neighbours: Neighbours) -> CroppedPeople:
    """Whom the photo alone shows elsewhere than they were put, there, in the crop that this makes.

    Args:
        look: The first one, at N people, with their pose and with it withheld.
        choice: What has become of them, among all poses.
        neighbours: Of all poses.
    """
    people, alone = look.people, look.alone.keypoints
    apart = people.at(alone).agreement_among(choice.keypoints) < APART
    places = np.flatnonzero(look.seen & apart)
    places = places[~neighbours.taken(alone[places], people.rows[places])]
    return recrop(people.of(places), alone[places])


def prefer(
    choice: Choice,
    first: Look,
    there: Look,
    found: Choice,
    neighbours: Neighbours,
    regression: Regression,
    caution: float,
) -> Choice:
    """What was found elsewhere, where that is the better pose.

    Args:
        choice: What has become of all people so far.
        first: The first look at them.
        there: The look at n of them elsewhere.
        found: What became of these there.
        neighbours: Of all poses.
        regression: Probability that what was found is the better pose.
        caution: As of `Refiner`: 0 believes what is more likely than not, 1 nothing.
    """
    features = measure_opinions(choice, first, there, found, neighbours)
    better = is_better(features, regression, caution)
    return found.among(better)


def is_better(features: FloatArray, regression: Regression, caution: float) -> BoolArray:
    """Whether what was found elsewhere is the better pose, (n,).

    Args:
        features: (n, 1, F), see `measure_opinions`.
        regression: Probability that it is.
        caution: As of `prefer`.
    """
    return np.asarray(regression(features)[:, 0] > (1 + max(caution, 0.0)) / 2)


def measure_opinions(
    choice: Choice, first: Look, there: Look, found: Choice, neighbours: Neighbours
) -> FloatArray:
    """What the regression sees of n people, (n, 1, F) in the order of `OPINION_FEATURES`.

    Log odds of the expected OKS of what was chosen and of what was found elsewhere; how far both agree with the given
    pose and with each other; how far the photo alone agrees with the given pose, and what it says of it and of its own;
    how far the photo alone agrees, seen from there, with what was found; and how far what was chosen and what was found
    agree with somebody else's pose.

    Args:
        choice: As of `prefer`.
        first: As there.
        there: As there.
        found: As there.
        neighbours: As there.
    """
    rows = found.rows
    at = first.of(rows)
    given, again, places, kept = at.people, there.people, found.keypoints, choice.keypoints[rows]
    features = (
        log_odds(again.mean(choice.expected_similarity[rows])),
        log_odds(again.mean(found.expected_similarity)),
        given.agreement(kept),
        given.agreement(places),
        again.at(kept).agreement(places),
        given.agreement(at.alone.keypoints),
        given.mean(log_odds(at.alone.given_similarity)),
        given.mean(log_odds(at.alone.given_vicinity)),
        again.mean(log_odds(at.alone.similarity)),
        again.at(places).agreement(there.alone.keypoints),
        neighbours.agreement(kept, rows),
        neighbours.agreement(places, rows),
    )
    return np.stack(features, axis=-1)[:, None]
