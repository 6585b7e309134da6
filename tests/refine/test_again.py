"""Poses that the photo alone contradicts, and what becomes of their people."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from posefix.network.decoding import Evidence
from posefix.pose.poses import Poses
from posefix.refine.again import contradicted, measure_contradiction
from posefix.refine.calibration import (
    CONTRADICTION_FEATURES,
    FIRST_FEATURES,
    REGRESSIONS,
    Calibration,
    Regression,
)
from posefix.refine.crops import CroppedPeople, crop_people
from posefix.refine.look import Look
from posefix.refine.refiner import Refiner
from posefix.skeletons import load_skeleton

Array = npt.NDArray[Any]
MODEL = load_skeleton("posefix19")
SIZE_WH = (96, 128)
TRUTH = np.stack([np.linspace(20, 76, 19), np.linspace(20, 108, 19)], axis=-1).astype(np.float32)
"""Where the network of these tests sees a person in any crop."""


def poses(shift: float = 0.0) -> Poses:
    """Two people: one true to the photo but for a shift, one anywhere."""
    keypoints = np.stack([TRUTH * 2 + shift, np.random.default_rng(0).uniform(40, 200, (19, 2))])
    return Poses(keypoints, np.ones((2, 19)), np.ones((2, 19), bool), (1, 1), np.ones(2), MODEL)


class Leaning:
    """Believes a pose that it is given and doubts none; without one it sees `TRUTH`."""

    def __init__(self) -> None:
        self.withheld: list[int] = []
        self.asked: list[tuple[int, int]] = []

    def __call__(self, images: Array, keypoints: Array, weights: Array) -> Evidence:
        blind = np.asarray(~weights.any(axis=1))
        self.withheld.append(int(blind.sum()))
        self.asked.append((len(images), len(keypoints)))
        places = np.where(blind[:, None, None], TRUTH, keypoints + np.array([0, 15]))
        shape = weights.shape
        near = np.exp(-(np.linalg.norm(keypoints - TRUTH, axis=-1) ** 2) / 200)
        given = np.where(blind[:, None], near, 0.1)
        sure = np.full(shape, 0.8, np.float32)
        return Evidence(places.astype(np.float32), sure, sure, given, given)


@pytest.fixture
def photo(tmp_path: Path) -> dict[int | str, Path]:
    path = tmp_path / "1.png"
    cv2.imwrite(str(path), np.full((260, 220, 3), 128, np.uint8))
    return {1: path}


def refiner(calibration: Calibration | None, believes_photo: float, **options: Any) -> Refiner:
    """With a calibration that looks anew where the photo alone gives the pose less than even odds, times a factor."""
    if calibration is not None:
        weights = [believes_photo if name == "given_similarity" else 0.0 for name in CONTRADICTION_FEATURES]
        calibration = dataclasses.replace(calibration, anew=Regression(np.zeros(1), -np.array(weights)))
    return Refiner(Leaning(), MODEL, SIZE_WH, calibration=calibration, **options)


def test_what_the_regression_sees() -> None:
    people = crop_people(poses(), MODEL, SIZE_WH)
    look = Look.of_nobody(people)
    odds = {"given_similarity": 0.2, "given_vicinity": 0.3, "similarity": 0.6}
    for row in (1, 0):
        look.take(np.array([row]), sure_of(row, people, {"similarity": 0.7}), sure_of(row, people, odds))
    look.evidence.keypoints[0] += 1e6  # with their pose, the first is seen nowhere near
    features = measure_contradiction(look)
    assert features.shape == (2, 1, len(CONTRADICTION_FEATURES))
    expected = [np.log(value / (1 - value)) for value in odds.values()]
    np.testing.assert_allclose(features[:, 0, :3], [expected] * 2, rtol=1e-6)
    step = np.exp(-2 / people.falloff[1] ** 2).mean()  # the second a pixel right and below
    np.testing.assert_allclose(features[:, 0, 3], [0, step], rtol=1e-6)
    assert measure_contradiction(look.of(np.arange(0))).shape == (0, 1, len(CONTRADICTION_FEATURES))


def sure_of(row: int, people: CroppedPeople, odds: dict[str, float]) -> Evidence:
    """Evidence of one person, at their places moved by their row."""
    shape = (1, people.valid.shape[1])
    values = {field.name: np.full(shape, odds.get(field.name, 0.5)) for field in dataclasses.fields(Evidence)}
    return Evidence(**{**values, "keypoints": people.keypoints[[row]] + row})


def test_looks_keep_everybody_in_their_rows() -> None:
    people = crop_people(poses(), MODEL, SIZE_WH)
    look = Look.of_nobody(people)
    assert not look.seen.any()
    for evidence in (look.evidence, look.alone):
        np.testing.assert_array_equal(
            evidence.keypoints, people.keypoints
        )  # who is not seen is where they were
        assert not evidence.similarity.any()
    shown, withheld = (sure_of(1, people, {"similarity": share}) for share in (0.25, 0.75))
    look.take(np.array([1]), shown, withheld)
    assert look.seen.tolist() == [False, True]
    assert look.evidence.similarity[:, 0].tolist() == [0.0, 0.25]
    assert look.alone.similarity[:, 0].tolist() == [0.0, 0.75]
    places = people.keypoints + np.array([0, 1])[:, None, None]
    np.testing.assert_array_equal(look.evidence.keypoints, places)
    back = look.of(np.array([1, 0]))
    assert back.seen.tolist() == [True, False]
    assert back.alone.similarity[:, 0].tolist() == [0.75, 0.0]
    only_shown = Look.of_nobody(people)
    only_shown.take(np.array([0]), sure_of(0, people, {"similarity": 0.5}))
    assert only_shown.seen.tolist() == [True, False]
    assert not only_shown.alone.similarity.any()


@pytest.mark.parametrize(
    ("caution", "expected"),
    [(-1, [False, True, True]), (0.0, [False, True, True]), (0.5, [False, False, True])],
)
def test_caution_asks_for_more_than_even_odds(caution: float, expected: list[bool]) -> None:
    log_odds = np.array([-0.1, 0.1, 2.0])[:, None, None]
    assert contradicted(log_odds, Regression(np.zeros(1), np.ones(1)), caution).tolist() == expected


def test_never_is_never() -> None:
    assert not contradicted(np.full((1, 1, 1), 1e3), Regression(np.zeros(1), np.ones(1)), 1.0).any()


def test_a_contradicted_pose_is_looked_for_anew(believing: Calibration, photo: dict[int | str, Path]) -> None:
    leaning = refiner(believing, believes_photo=1.0, caution=-1.0)
    after = leaning.refine(poses(), photo).poses.keypoints
    people = crop_people(poses(), MODEL, SIZE_WH)
    inverse = np.linalg.inv(np.concatenate([people.matrices[1], [[0, 0, 1]]]))
    seen = TRUTH @ inverse[:2, :2].T + inverse[:2, 2]
    # The network still shifts whatever it is given: by 15 pixels of the crop around the pose that it saw itself.
    moved = after[1] - seen
    assert np.ptp(moved, axis=0).max() < 1e-3
    assert 0 < moved[0, 1] < 80 and abs(moved[0, 0]) < 1e-3


def test_it_is_not_where_the_odds_are_against_it(
    believing: Calibration, photo: dict[int | str, Path]
) -> None:
    anew, trusting = (
        refiner(believing, believes_photo=sign, caution=-1.0).refine(poses(), photo).poses.keypoints[1]
        for sign in (1.0, -1.0)
    )
    given = poses().keypoints[1]
    assert np.ptp(trusting - given, axis=0).max() < 1e-3, "the given pose, shifted"
    assert np.abs(anew - given).max() > 10


@pytest.mark.parametrize("looks", [1, 2])
def test_nothing_is_withheld_without_a_calibration(looks: int, photo: dict[int | str, Path]) -> None:
    leaning = refiner(None, 1.0, looks=looks)
    leaning.refine(poses(), photo)
    assert isinstance(leaning.backend, Leaning)
    assert leaning.backend.withheld == [0] * looks


@pytest.mark.parametrize("looks", [1, 2])
def test_with_one_everybody_is_asked_about_with_the_pose_and_without_it_at_once(
    looks: int, believing: Calibration, photo: dict[int | str, Path]
) -> None:
    leaning = refiner(believing, 1.0, looks=looks, caution=-1.0)
    leaning.refine(poses(), photo)
    assert isinstance(leaning.backend, Leaning)
    assert leaning.backend.withheld == [2] * looks
    assert leaning.backend.asked == [(2, 4)] * looks


@pytest.mark.parametrize(("believes_photo", "calls"), [(-1.0, 1), (1.0, 2)])
def test_only_people_whose_pose_changes_are_looked_at_again(
    believes_photo: float, calls: int, believing: Calibration, photo: dict[int | str, Path]
) -> None:
    """A pose with which the refinement agrees, unless the photo alone contradicts it."""

    class Settled(Leaning):
        def __call__(self, images: Array, keypoints: Array, weights: Array) -> Evidence:
            found = super().__call__(images, keypoints, weights)
            blind = np.asarray(~weights.any(axis=1))
            places = np.where(blind[:, None, None], found.keypoints, keypoints).astype(np.float32)
            return dataclasses.replace(found, keypoints=places)

    backend = Settled()
    dataclasses.replace(refiner(believing, believes_photo), backend=backend).refine(poses()[[1]], photo)
    assert backend.asked == [(1, 2)] * calls


def test_poses_enter_with_the_strengths_that_the_calibration_holds_for(
    believing: Calibration, photo: dict[int | str, Path]
) -> None:
    class Weighing(Leaning):
        def __init__(self) -> None:
            super().__init__()
            self.strengths: list[float] = []

        def __call__(self, images: Array, keypoints: Array, weights: Array) -> Evidence:
            self.strengths += np.unique(weights).tolist()
            return super().__call__(images, keypoints, weights)

    backend = Weighing()
    weaker = dataclasses.replace(believing, strengths=(0.75, 0.5))
    dataclasses.replace(refiner(weaker, 1.0), backend=backend).refine(poses(), photo)
    assert backend.strengths == [0.0, 0.75, 0.0, 0.5], "with the pose and without it, at either look"
    uncalibrated = Weighing()
    dataclasses.replace(refiner(None, 1.0), backend=uncalibrated).refine(poses(), photo)
    assert set(uncalibrated.strengths) == {1.0}


def test_only_the_doubtful_are_asked_about_for_a_judge_that_does_not_see_the_photo_alone(
    believing: Calibration, photo: dict[int | str, Path]
) -> None:
    class Settled(Leaning):
        """Leaves the first person where they are."""

        def __call__(self, images: Array, keypoints: Array, weights: Array) -> Evidence:
            found = super().__call__(images, keypoints, weights)
            places = found.keypoints.copy()
            places[0] = keypoints[0]
            return dataclasses.replace(found, keypoints=places)

    regressions = {
        name: Regression(getattr(believing, name).bias, np.zeros(len(FIRST_FEATURES))) for name in REGRESSIONS
    }
    regressions["anew"] = Regression(np.array([-700.0]), np.zeros(len(CONTRADICTION_FEATURES)))
    settings: dict[str, Any] = {
        **regressions,
        "features": FIRST_FEATURES,
    }
    blind = Calibration(**settings)
    assert believing.sees_alone and not blind.sees_alone
    for calibration, looks, expected in ((blind, 2, [0, 1]), (blind, 1, [0]), (believing, 1, [2])):
        backend = Settled()
        chosen = dataclasses.replace(
            refiner(None, 1.0), backend=backend, calibration=calibration, looks=looks
        )
        chosen.refine(poses(), photo)
        assert backend.withheld[: len(expected)] == expected
        assert sum(backend.withheld) == sum(expected)
