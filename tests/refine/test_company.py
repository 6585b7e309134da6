"""What is known of an estimator by the people who are refined together."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tests.refine.looks import COUNT, look

from posefix.refine.calibration import Calibration
from posefix.refine.company import RESERVE, RESERVE_FADE, STRANGERS, measure_company
from posefix.refine.features import measure_poses
from posefix.refine.look import Look


def test_the_means_are_those_of_the_people_seen(calibration: Calibration | None) -> None:
    at = look(seen=[True, True, False, True])
    poses = measure_poses(at)
    np.testing.assert_allclose(measure_company(at, calibration).means, (poses[0] + poses[1] + poses[3]) / 3)


def test_poses_are_held_back_by_what_their_company_gains(
    calibration: Calibration | None, promising: Look
) -> None:
    for seen, total in (([False, True, True, True], 3 * 0.1 / 19), ([True] * 4, 0.4 + 3 * 0.1 / 19)):
        mean_gain = total / (sum(seen) + STRANGERS)
        company = measure_company(dataclasses.replace(promising, seen=np.array(seen)), calibration)
        assert company.reserve == pytest.approx(
            RESERVE * np.exp(-((mean_gain / RESERVE_FADE) ** 2)), rel=1e-6
        )


def test_a_calibration_may_say_how_much_is_held_back(believing: Calibration, promising: Look) -> None:
    reserves = [
        measure_company(promising, dataclasses.replace(believing, reserve=reserve)).reserve
        for reserve in (RESERVE, RESERVE / 2, 0.0)
    ]
    assert reserves[0] > 0
    np.testing.assert_allclose(reserves, [reserves[0], reserves[0] / 2, 0.0])


def test_nobody_seen_is_no_fault(calibration: Calibration | None, promising: Look) -> None:
    company = measure_company(dataclasses.replace(promising, seen=np.zeros(COUNT, dtype=bool)), calibration)
    assert company.reserve == 0.0  # nothing was held back
    assert not company.means.any()
