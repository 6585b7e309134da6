"""People in their crops."""

from __future__ import annotations

import math

import numpy as np
from tests.refine.looks import COUNT, MISSING, SHAPE, people


def test_agreement_is_the_mean_similarity_to_the_given_places() -> None:
    given = people()
    step = np.zeros((*SHAPE, 2))
    step[1, :, 0] = given.falloff[1]
    step[MISSING] = 1e6
    expected = np.ones(COUNT)
    expected[1] = math.exp(-1)
    np.testing.assert_allclose(given.agreement(given.keypoints + step), expected)
