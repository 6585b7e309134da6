"""A calibration whose numbers can be told by heart."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from tests.refine.looks import SHAPE, calibration_of, evidence, look, people

from posefix.refine.calibration import FEATURES, Calibration, Regression
from posefix.refine.look import Look
from posefix.skeletons import load_skeleton

NUM_KEYPOINTS = len(load_skeleton("posefix19"))


@pytest.fixture
def believing() -> Calibration:
    """Of posefix19: expected similarities are what the heatmaps say.

    A refined place is right with probability .9, a given one with .8, a filled
    one with .7.
    """
    return calibration_of(
        regression("similarity"),
        regression(probability=0.9),
        regression("given_similarity"),
        regression(probability=0.8),
        regression("similarity"),
        regression(probability=0.7),
    )


def regression(feature: str = "", probability: float = 0.5) -> Regression:
    """One feature taken as it is, or a constant."""
    bias = np.full(NUM_KEYPOINTS, math.log(probability / (1 - probability)))
    return Regression(bias, np.array([float(name == feature) for name in FEATURES]))


@pytest.fixture(params=["uncalibrated", "calibrated"])
def calibration(request: pytest.FixtureRequest, believing: Calibration) -> Calibration | None:
    return believing if request.param == "calibrated" else None


@pytest.fixture
def promising() -> Look:
    """At people of whom the first stands to gain a lot, and the others a little of one keypoint."""
    gains = np.zeros(SHAPE)
    gains[0] = 0.4
    gains[1:, 0] = 0.1
    given = dataclasses.replace(people(), valid=np.ones(SHAPE, dtype=bool))
    return look(evidence(similarity=0.5 + gains, given_similarity=0.5), given)
