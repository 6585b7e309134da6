"""A keypoint field of a FiftyOne data set is refined into another: with stand-ins, and with the library itself."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.estimators import stand_ins

import posefix
from posefix.errors import InputError
from posefix.network.decoding import Evidence
from posefix.refine.refiner import Refiner

SIZE_WH = (200, 160)
SHIFT = 8.0
STAND_INS = stand_ins.Sample, stand_ins.Keypoints, stand_ins.Keypoint


def real() -> Any:
    return pytest.importorskip("fiftyone", reason="fiftyone is not installed (pip install fiftyone)")


@pytest.fixture(params=["stand-in", "fiftyone"])
def library(request: pytest.FixtureRequest) -> tuple[Any, Any, Any]:
    """Classes of samples, fields and people."""
    if request.param == "stand-in":
        return STAND_INS
    return real().Sample, real().Keypoints, real().Keypoint


@pytest.fixture
def photo(tmp_path: Path) -> str:
    path = tmp_path / "street.jpg"
    Image.fromarray(np.full((SIZE_WH[1], SIZE_WH[0], 3), 128, np.uint8)).save(path)
    return str(path)


def shift_backend(images: Any, keypoints: Any, weights: Any) -> Evidence:
    """Moves every keypoint down, and is sure of it."""
    everything, nothing = np.ones(weights.shape, np.float32), np.zeros(weights.shape, np.float32)
    return Evidence(keypoints + np.array([0, SHIFT], np.float32), everything, everything, nothing, nothing)


def refiner() -> Refiner:
    return Refiner(shift_backend, posefix.load_skeleton("posefix19"), (144, 192), looks=1)


def shares(seed: int) -> list[list[float]]:
    """Seventeen places, the third missing."""
    places = np.random.default_rng(seed).uniform(0.3, 0.6, (17, 2)).tolist()
    places[2] = [math.nan, math.nan]
    return [[float(x), float(y)] for x, y in places]


def sample(library: tuple[Any, Any, Any], photo: str, people: int = 2, **options: Any) -> Any:
    make_sample, make_people, make_person = library
    made = make_sample(filepath=photo)
    options = {"confidence": [0.5] * 17, **options}
    made["found"] = make_people(
        keypoints=[
            make_person(points=shares(seed), label=f"person {seed}", **options) for seed in range(people)
        ]
    )
    return made


def test_before_stays_and_after_lies_beside(library: tuple[Any, Any, Any], photo: str) -> None:
    one = sample(library, photo)
    report = posefix.refine_dataset(refiner(), [one], "found")
    assert (report.people, report.moved_keypoints, report.filled_keypoints) == (2, 32, 2)
    assert np.array_equal(one["found"].keypoints[1].points, shares(1), equal_nan=True)
    for number, person in enumerate(one["refined"].keypoints):
        before, after = np.array(shares(number)), np.array(person.points)
        assert person.label == f"person {number}"
        assert np.isfinite(after).all()
        there = [index for index in range(17) if index != 2]
        down = (after - before)[there] * SIZE_WH
        assert down[:, 0] == pytest.approx(0, abs=1e-3) and (down[:, 1] > 1).all()
        assert np.array(person["moved"])[there] == pytest.approx(down[:, 1], abs=1e-3)
        assert math.isnan(person["moved"][2])
        assert person.confidence == pytest.approx([0.5] * 17)
        assert len(person["right"]) == 17 and isinstance(person["expected_oks"], float)


def test_it_is_what_the_refiner_makes_of_the_same_poses(library: tuple[Any, Any, Any], photo: str) -> None:
    one = sample(library, photo, people=1)
    posefix.refine_dataset(refiner(), [one], "found", missing="keep")
    pixels = np.array([shares(0)]) * SIZE_WH
    with Image.open(photo) as image:
        expected = refiner()(
            np.array(image), pixels, np.full((1, 17), 0.5), skeleton="coco17", missing="keep"
        )
    points = np.array(one["refined"].keypoints[0].points) * SIZE_WH
    assert points == pytest.approx(
        np.where(expected.valid[0, :, None], expected.keypoints[0], np.nan), nan_ok=True
    )


def test_a_data_set_saves_its_samples_and_empty_ones_stay_empty(photo: str) -> None:
    nobody, unseen = sample(STAND_INS, photo, people=0), stand_ins.Sample(filepath=photo)
    unseen["found"] = None
    dataset = stand_ins.Dataset([nobody, sample(STAND_INS, photo), unseen])
    posefix.refine_dataset(refiner(), dataset, "found", into="better")
    assert dataset.saved == [photo] * 3
    assert [len(one["better"].keypoints) for one in dataset.samples[:2]] == [0, 2]
    assert not unseen.has_field("better")


def test_without_confidence_all_keypoints_count(library: tuple[Any, Any, Any], photo: str) -> None:
    one = sample(library, photo, confidence=None)
    posefix.refine_dataset(refiner(), [one], "found")
    assert one["refined"].keypoints[0].confidence == pytest.approx([1.0] * 17)


def test_what_cannot_be_refined_is_told(photo: str) -> None:
    one = sample(STAND_INS, photo)
    with pytest.raises(InputError, match=r"street\.jpg: expected a field 'poses', got filepath, found"):
        posefix.refine_dataset(refiner(), [one], "poses")
    with pytest.raises(InputError, match="expected Keypoints, got str"):
        posefix.refine_dataset(refiner(), [one], "filepath")
    with pytest.raises(InputError, match="expected another field than 'found'"):
        posefix.refine_dataset(refiner(), [one], "found", into="found")
    with pytest.raises(InputError, match="expected people to refine, got none"):
        posefix.refine_dataset(refiner(), [sample(STAND_INS, photo, people=0)], "found")
    with pytest.raises(InputError, match="expected a number for each of 17 keypoints, got 3"):
        posefix.refine_dataset(refiner(), [sample(STAND_INS, photo, confidence=[1.0] * 3)], "found")
    one["found"].keypoints[0].points = one["found"].keypoints[0].points[:14]
    with pytest.raises(InputError, match="got 14 to 17 keypoints"):
        posefix.refine_dataset(refiner(), [one], "found")
    one["found"].keypoints.pop()
    one["found"].keypoints[0].confidence = None
    with pytest.raises(
        InputError, match="FiftyOne does not say what its 14 keypoints are; name their layout"
    ):
        posefix.refine_dataset(refiner(), [one], "found")
