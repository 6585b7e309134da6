"""What a look asks of people, with their pose and without it, and how a look keeps what it was told."""

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
from posefix.refine.calibration import Calibration
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


def refiner(calibration: Calibration | None, backend: Leaning, **options: Any) -> Refiner:
    return Refiner(backend, MODEL, SIZE_WH, calibration=calibration, **options)


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


@pytest.mark.parametrize("looks", [1, 2])
def test_nothing_is_withheld_without_a_calibration(looks: int, photo: dict[int | str, Path]) -> None:
    leaning = Leaning()
    refiner(None, leaning, looks=looks).refine(poses(), photo)
    assert leaning.withheld == [0] * looks


@pytest.mark.parametrize(("looks", "calls"), [(1, 1), (2, 3)])
def test_with_one_everybody_is_asked_about_with_the_pose_and_without_it_at_once(
    looks: int, calls: int, believing: Calibration, photo: dict[int | str, Path]
) -> None:
    """At the first look, again, and elsewhere."""
    leaning = Leaning()
    refiner(believing, leaning, looks=looks, caution=-1.0).refine(poses(), photo)
    assert leaning.withheld == [2] * calls
    assert leaning.asked == [(2, 4)] * calls


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
    weaker = dataclasses.replace(believing, strengths=(0.75, 0.5), strength_in_crowds=0.75)
    refiner(weaker, backend).refine(poses(), photo)
    expected = [0.0, 0.75, 0.0, 0.5, 0.0, 0.5]
    assert backend.strengths == expected, "with the pose and without it: at first, again, and elsewhere"
    backend = Weighing()
    crowded = dataclasses.replace(weaker, strength_in_crowds=1.0)
    refiner(crowded, backend).refine(poses(), photo)
    assert backend.strengths == [0.0, 1.0, 0.0, 0.5, 0.0, 0.5], "their boxes overlap"
    backend = Weighing()
    refiner(crowded, backend).refine(poses()[[1]], photo)
    assert backend.strengths[:2] == [0.0, 0.75], "nobody else is there"
    uncalibrated = Weighing()
    refiner(None, uncalibrated).refine(poses(), photo)
    assert set(uncalibrated.strengths) == {1.0}
