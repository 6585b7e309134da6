"""What is known of an estimator by the people who are refined together."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.refine.looks import COUNT, MODEL, look

from posefix.errors import InputError
from posefix.network.decoding import Evidence
from posefix.pose.poses import Poses
from posefix.refine.calibration import ALL_MEANS, RESERVE, Calibration, UsualCompany
from posefix.refine.company import hold_back, measure_company, read_company, trust
from posefix.refine.features import measure_poses
from posefix.refine.look import Look
from posefix.refine.refiner import Refiner


def test_the_means_are_those_of_the_people_seen(believing: Calibration) -> None:
    at = look(seen=[True, True, False, True])
    poses = measure_poses(at)
    np.testing.assert_allclose(measure_company(at, believing).means, (poses[0] + poses[1] + poses[3]) / 3)


def test_a_few_people_say_less_about_their_estimator_than_many(believing: Calibration) -> None:
    usual = UsualCompany(np.full(len(ALL_MEANS), 5.0), np.full(len(ALL_MEANS), 4.0))
    knowing = dataclasses.replace(believing, usual=usual)
    for seen in ([True] * 4, [False, True, False, False]):
        at = look(seen=seen)
        means = measure_poses(at)[seen].mean(axis=0)
        expected = (sum(seen) * means + 4 * 5) / (sum(seen) + 4)
        np.testing.assert_allclose(measure_company(at, knowing).means, expected)
    nobody = measure_company(look(seen=[False] * 4), knowing)
    np.testing.assert_array_equal(nobody.means, usual.means)


def test_a_calibration_says_how_much_is_held_back(believing: Calibration) -> None:
    reserves = [
        measure_company(look(), dataclasses.replace(believing, trusted=1.0, reserve=reserve)).reserve
        for reserve in (RESERVE, RESERVE / 2, 0.0)
    ]
    assert reserves[0] > 0
    np.testing.assert_allclose(reserves, [reserves[0], reserves[0] / 2, 0.0])


def test_without_a_calibration_nothing_is_held_back() -> None:
    assert measure_company(look(), None).reserve == 0.0


@pytest.mark.parametrize(
    ("contradicted", "trusted", "expected"),
    [(0.05, 0.1, 1.0), (0.1, 0.1, 0.5), (0.2, 0.1, 0.0), (0.05, 0.0, 0.0), (0.0, 0.1, 1.0)],
)
def test_an_estimator_whom_the_photo_hardly_contradicts_is_trusted(
    contradicted: float, trusted: float, expected: float, believing: Calibration
) -> None:
    means = np.zeros(len(ALL_MEANS))
    means[ALL_MEANS.index("sure")] = 0.5
    means[ALL_MEANS.index("contradicted")] = 0.5 * contradicted
    assert trust(means, trusted) == pytest.approx(expected, abs=1e-3)
    calibration = dataclasses.replace(believing, trusted=trusted, reserve=0.25)
    assert hold_back(means, calibration) == pytest.approx(0.25 * expected, abs=1e-3)


def test_nobody_seen_is_no_fault(calibration: Calibration | None, promising: Look) -> None:
    company = measure_company(dataclasses.replace(promising, seen=np.zeros(COUNT, dtype=bool)), calibration)
    assert company.reserve == 0.0  # nothing was held back
    assert not company.means.any()


def test_what_is_known_of_an_estimator_survives_a_file(
    believing: Calibration, promising: Look, tmp_path: Path
) -> None:
    company = measure_company(promising, believing)
    path = tmp_path / "company.json"
    company.write(path, believing, people=4)
    again = read_company(path, believing)
    np.testing.assert_array_equal(again.means, company.means)
    assert again.reserve == company.reserve
    assert json.loads(path.read_text())["people"] == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "else"}, "expected a file that `posefix company` wrote"),
        ({"calibration": "0"}, "was measured with another model"),
        ({"means": {}}, "means or reserve: expected numbers"),
        ({"reserve": None}, "means or reserve: expected numbers"),
        ({"reserve": 10**400}, "means or reserve: expected numbers"),
        ({"reserve": float("nan")}, "a number is not finite"),
    ],
)
def test_a_file_that_is_of_no_use_says_so(
    change: dict[str, object], message: str, believing: Calibration, promising: Look, tmp_path: Path
) -> None:
    path = tmp_path / "company.json"
    measure_company(promising, believing).write(path, believing, people=4)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match=message):
        read_company(path, believing)


def test_a_known_company_makes_one_photo_what_many_are(believing: Calibration, tmp_path: Path) -> None:
    """Of a company that is contradicted, one photo that contradicts nobody is moved as it is together with all."""
    photos: dict[int | str, Path] = {}
    for number in range(6):
        path = photos[number] = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), np.full((200, 160, 3), 40 * number, np.uint8))
    places = np.random.default_rng(0).uniform(40, 140, (6, 19, 2))
    ones = np.ones((6, 19))
    poses = Poses(places, ones, ones > 0, tuple(photos), ones[:, 0], MODEL)

    def contradicted_by_bright_photos(images: Any, keypoints: Any, weights: Any) -> Evidence:
        bright = images.mean(axis=(1, 2, 3))[np.arange(len(keypoints)) % len(images)]
        step = np.where(weights.any(axis=1), 5.0, bright)
        sure, half = np.full(weights.shape, 0.7), np.full(weights.shape, 0.5)
        return Evidence(keypoints + step[:, None, None], sure, sure, half, half)

    trusting = dataclasses.replace(believing, trusted=0.5)
    plain = Refiner(contradicted_by_bright_photos, MODEL, (96, 128), calibration=trusting)
    known = plain.with_company(plain.measure_company(poses, photos))
    together = known.refine(poses, photos).poses.keypoints
    np.testing.assert_array_equal(together, plain.refine(poses, photos).poses.keypoints)
    for row in range(6):
        alone = known.refine(poses[[row]], photos).poses.keypoints
        np.testing.assert_array_equal(alone[0], together[row])
    by_themselves = [plain.refine(poses[[row]], photos).poses.keypoints[0] for row in range(6)]
    assert not np.array_equal(by_themselves, together), "else the company is of no account here"
