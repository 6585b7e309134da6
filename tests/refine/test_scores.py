"""Whose scores refined poses carry."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from posefix.errors import InputError
from posefix.network.decoding import Evidence
from posefix.pose.poses import Poses
from posefix.refine.backends import identity_backend
from posefix.refine.calibration import Calibration
from posefix.refine.refiner import Refiner
from posefix.refine.results import Refinement, RefinementReport, Scores
from posefix.refine.scores import as_labels, rescore, usual_scores
from posefix.skeletons import load_skeleton

Array = npt.NDArray[Any]
COCO = load_skeleton("coco17")
BODY25 = load_skeleton("body25")
MODEL = load_skeleton("posefix19")
MODES: tuple[Scores, ...] = ("input", "model", "product")
UNKNOWN = [name not in MODEL.keypoint_names for name in BODY25.keypoint_names]


def even_backend(images: Array, keypoints: Array, weights: Array) -> Evidence:
    """Sees a gain for every other keypoint, which it puts one pixel to the right."""
    even = np.broadcast_to(np.arange(keypoints.shape[1]) % 2 == 0, weights.shape)
    similarity = np.full(weights.shape, 0.6, np.float32)
    given = np.where(even, 0.4, 0.8).astype(np.float32)
    return Evidence(keypoints + np.array([1, 0], np.float32), similarity, similarity, given, given)


def people() -> Poses:
    """Three: the first lacks a nose, the second lies far outside the photo, the third has a single keypoint."""
    rng = np.random.default_rng(0)
    valid = np.ones((3, 25), bool)
    valid[0, BODY25.index("nose")] = False
    valid[2, 1:] = False
    keypoints = rng.uniform(0, 60, (3, 25, 2))
    keypoints[1] += 5000
    scores = np.where(valid, rng.uniform(0.1, 1, (3, 25)), 0.0)
    return Poses(keypoints, scores, valid, (1, 1, 1), np.array([0.5, 0.6, 0.7]), BODY25)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    Image.fromarray(np.full((60, 80, 3), 99, np.uint8)).save(tmp_path / "1.png")
    return tmp_path


def refiner(calibration: Calibration | None, **options: Any) -> Refiner:
    return Refiner(even_backend, MODEL, (144, 192), calibration=calibration, looks=1, **options)


def test_confidence_comes_in_the_layout_of_the_poses(believing: Calibration, photos: Path) -> None:
    refinement = refiner(believing).refine(people(), photos)
    assert np.array_equal(np.isnan(refinement.confidence[0]), UNKNOWN)
    for index, name in enumerate(BODY25.keypoint_names):
        if name in MODEL.keypoint_names and name != "nose":
            expected = 0.9 if MODEL.index(name) % 2 == 0 else 0.8
            assert refinement.confidence[0, index] == pytest.approx(expected)
            assert refinement.moved[0, index] == (expected == 0.9)
    assert refinement.confidence[0, BODY25.index("nose")] == pytest.approx(0.7)
    known = [MODEL.index(name) % 2 == 1 and name != "nose" for name in known_names()]
    assert refinement.expected_oks[0] == pytest.approx(np.where(known, 0.8, 0.6).mean())


def known_names() -> list[str]:
    return [name for name in BODY25.keypoint_names if name in MODEL.keypoint_names]


def test_of_people_who_were_not_seen_nothing_is_known(believing: Calibration, photos: Path) -> None:
    refinement = refiner(believing).refine(people(), photos)
    assert np.isnan(refinement.confidence[1:]).all()
    assert np.isnan(refinement.expected_oks).tolist() == [False, True, True]


def test_a_keypoint_that_stays_missing_has_no_confidence(believing: Calibration, photos: Path) -> None:
    refinement = refiner(believing).refine(people(), photos, missing="keep")
    assert np.isnan(refinement.confidence[0, BODY25.index("nose")])


@pytest.mark.parametrize(("trusted", "usual"), [(0.0, "model"), (1.0, "product")])
def test_an_estimator_that_is_trusted_has_a_say_in_its_scores(
    trusted: float, usual: Scores, believing: Calibration, photos: Path
) -> None:
    calibration = dataclasses.replace(believing, trusted=trusted)
    after, named = (refiner(calibration, scores=scores).refine(people(), photos) for scores in (None, usual))
    assert np.array_equal(after.poses.scores, named.poses.scores)
    assert np.array_equal(after.poses.pose_scores, named.poses.pose_scores)
    assert after.report.scores == named.report.scores == usual


def test_usual_scores() -> None:
    assert [usual_scores(trusted) for trusted in (None, 0.0, 0.4, 0.6, 1.0)] == [
        "input", "model", "model", "product", "product",
    ]  # fmt: skip


@pytest.mark.parametrize("scores", ["input", None])
def test_the_estimators_scores_stay(scores: Scores | None, believing: Calibration, photos: Path) -> None:
    before = people()
    after = refiner(believing if scores else None, scores=scores).refine(before, photos).poses
    assert np.array_equal(after.scores[before.valid], before.scores[before.valid])
    assert np.array_equal(after.pose_scores, before.pose_scores)


@pytest.mark.parametrize("scores", ["model", "product"])
def test_scores_of_the_model(scores: Scores, believing: Calibration, photos: Path) -> None:
    before = people()
    refinement = refiner(believing, scores=scores).refine(before, photos)
    after = refinement.poses
    known = np.isfinite(refinement.confidence)
    placed = refiner(believing, scores="input").refine(before, photos).poses
    own = placed.scores if scores == "product" else np.ones((3, 25))
    np.testing.assert_allclose(after.scores[known], (own * refinement.confidence)[known])
    # Keypoints that the model does not know, and people it did not see, keep the estimator's scores.
    assert np.array_equal(after.scores[~known], before.scores[~known])
    oks = refinement.expected_oks[0]
    factor, *unseen = before.pose_scores
    factor = factor if scores == "product" else 1.0
    np.testing.assert_allclose(after.pose_scores, [factor * oks, *unseen])


@pytest.mark.parametrize("wanted", MODES)
def test_other_scores_than_the_estimators_need_no_second_run(
    wanted: Scores, believing: Calibration, photos: Path
) -> None:
    refinement = refiner(believing, scores="input").refine(people(), photos)
    rescored = rescore(refinement.poses, refinement.confidence, refinement.expected_oks, wanted)
    expected = refiner(believing, scores=wanted).refine(people(), photos).poses
    assert np.array_equal(rescored.scores, expected.scores)
    assert np.array_equal(rescored.pose_scores, expected.pose_scores)
    assert np.array_equal(rescored.keypoints, expected.keypoints)


@pytest.mark.parametrize("scores", MODES)
def test_one_photo_and_many_photos_give_the_same(
    scores: Scores, believing: Calibration, photos: Path
) -> None:
    poses, around = people(), refiner(believing, scores=scores)
    image = np.asarray(Image.open(photos / "1.png"))
    one = around(image, poses.keypoints, poses.scores, skeleton=BODY25)
    many = around.refine(poses, photos)
    assert np.array_equal(one.scores, many.poses.scores)
    assert np.array_equal(one.confidence, many.confidence, equal_nan=True)
    assert np.array_equal(one.expected_oks, many.expected_oks, equal_nan=True)


@pytest.mark.parametrize("scores", ["model", "product"])
def test_a_model_without_calibration_is_told_before_a_photo_is_read(scores: Scores) -> None:
    with pytest.raises(InputError, match=f"scores: '{scores}' needs a model with a calibration"):
        refiner(None, scores=scores)


def test_a_refinement_without_calibration_has_the_estimators_scores_alone(photos: Path) -> None:
    refinement = refiner(None).refine(people(), photos)
    assert np.isnan(refinement.confidence).all()
    assert np.isnan(refinement.expected_oks).all()
    assert np.array_equal(refinement.poses.pose_scores, people().pose_scores)


@pytest.mark.parametrize("rows", [[], [1], [1, 2]])
def test_a_calibrated_model_that_saw_nobody_still_has_scores(
    rows: list[int], believing: Calibration, photos: Path
) -> None:
    poses = people()[np.array(rows, int)]
    after = refiner(believing, scores="model").refine(poses, photos).poses
    assert np.array_equal(after.scores, poses.scores)
    assert np.array_equal(after.pose_scores, poses.pose_scores)


def test_a_known_keypoint_may_be_right_with_probability_zero() -> None:
    poses = people()
    confidence, oks = np.zeros((3, 25)), np.zeros(3)
    confidence[:, 1] = np.nan
    rescored = rescore(poses, confidence, oks, "model")
    assert np.array_equal(rescored.scores[:, 1], poses.scores[:, 1])
    assert not np.delete(rescored.scores, 1, axis=1).any()
    assert rescore(poses, confidence, oks, "input") is poses


def test_doubt_lowers_scores_below_zero_too() -> None:
    poses = people()
    poses = dataclasses.replace(poses, scores=np.full((3, 25), -2.0), pose_scores=np.array([-1.0, 0.0, 1.0]))
    confidence = np.tile(np.linspace(0, 1, 25), (3, 1))
    rescored = rescore(poses, confidence, np.full(3, 0.25), "product")
    np.testing.assert_allclose(rescored.scores, np.tile(np.linspace(-4, -2, 25), (3, 1)))
    np.testing.assert_allclose(rescored.pose_scores, [-1.75, 0, 0.25])


def test_the_input_s_scores_need_no_confidence() -> None:
    Refiner(identity_backend, MODEL, (144, 192), scores="input")


def test_labels_say_no_more_than_the_model_believes() -> None:
    poses = people()
    filled = ~poses.valid & np.array([[True], [True], [False]])
    confidence = np.full(filled.shape, 0.75)
    confidence[0, BODY25.index("nose")], confidence[1, 3] = 0.05, 0.3
    filled[1, 3] = True
    report = RefinementReport(3, 3, 0, 0, 0, int(filled.sum()), 0)
    whole = poses.with_keypoints(poses.keypoints, valid=poses.valid | filled, scores=np.ones(filled.shape))
    refinement = Refinement(whole, filled & False, filled, confidence, np.ones(3), report)
    labels = as_labels(refinement)
    assert not labels.poses.valid[0, BODY25.index("nose")]
    assert labels.poses.scores[1, 3] == 0.3 and labels.poses.scores[1, 4] == 1
    assert (labels.report.filled_keypoints, labels.report.doubtful_keypoints) == (int(filled.sum()) - 1, 1)
    assert "left missing, as hardly seen: 1 keypoint" in str(labels.report)
    unknown = as_labels(dataclasses.replace(refinement, confidence=np.full(filled.shape, np.nan)))
    assert (
        unknown.poses.valid.tolist() == whole.valid.tolist()
    )  # a model without a calibration believes in all
