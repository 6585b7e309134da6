"""Keep or move, with and without a calibration, and what the calibration sees and how it is stored."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from posefix.errors import InputError
from posefix.network.decoding import Evidence
from posefix.network.models import Model, load_model
from posefix.pose.poses import Poses
from posefix.refine import decision
from posefix.refine.calibration import (
    FEATURES,
    MEANS,
    MULTIPLIED,
    PERSON_FEATURES,
    REGRESSIONS,
    Calibration,
    Regression,
    read_calibration,
)
from posefix.refine.decision import (
    LEAST,
    RESERVE,
    RESERVE_FADE,
    STRANGERS,
    agreement,
    choose,
    hold_back,
    measure_company,
    measure_features,
    measure_poses,
)
from posefix.refine.vocabulary import CroppedPeople, crop_people
from posefix.skeletons import load_skeleton

Array = npt.NDArray[Any]
MODEL = load_skeleton("posefix19")
COUNT, SHAPE = 4, (4, 19)
MISSING = (1, 7)
"""Person and keypoint that `people` leaves out."""


def people() -> CroppedPeople:
    rng = np.random.default_rng(1)
    valid = np.ones(SHAPE, bool)
    valid[MISSING] = False
    poses = Poses(
        keypoints=rng.uniform(100, 300, (*SHAPE, 2)),
        scores=np.ones(SHAPE),
        valid=valid,
        image_ids=(1,) * COUNT,
        pose_scores=np.ones(COUNT),
        skeleton=MODEL,
    )
    return crop_people(poses, MODEL, (144, 192))


def evidence(**fields: Any) -> Evidence:
    """Random evidence; fields are replaced by arrays, or by numbers for all keypoints."""
    rng = np.random.default_rng(0)
    numbers = {
        field.name: rng.uniform(0.1, 0.9, SHAPE)
        for field in dataclasses.fields(Evidence)
        if field.name != "keypoints"
    }
    numbers |= {name: np.broadcast_to(np.asarray(value, float), SHAPE) for name, value in fields.items()}
    return Evidence(rng.uniform(100, 300, (*SHAPE, 2)), **numbers)


def which_moved(
    found: Evidence, given: CroppedPeople, calibration: Calibration | None, caution: float
) -> Array:
    """(N, K) bool; every place is exactly the refined one or exactly the given one."""
    chosen = choose(found, given, calibration, caution).keypoints
    moved = (chosen == found.keypoints).all(axis=-1)
    kept = (chosen == given.keypoints).all(axis=-1)
    assert (moved ^ kept).all()
    return np.asarray(moved)


@pytest.fixture(params=["uncalibrated", "calibrated"])
def calibration(request: pytest.FixtureRequest, believing: Calibration) -> Calibration | None:
    return believing if request.param == "calibrated" else None


@pytest.mark.parametrize("caution", [-0.5, 0.0, 0.2])
def test_a_keypoint_moves_where_the_gain_is_above_the_caution(
    calibration: Calibration | None, caution: float
) -> None:
    found, given = evidence(), people()
    gain = found.similarity - found.given_similarity
    expected = (gain > caution) | ~given.valid
    assert np.array_equal(which_moved(found, given, calibration, caution), expected)
    assert 0 < expected.sum() < expected.size


@pytest.fixture
def promising() -> tuple[Evidence, CroppedPeople]:
    """People of whom the first stands to gain a lot, and the others a little of one keypoint."""
    gains = np.zeros(SHAPE)
    gains[0] = 0.4
    gains[1:, 0] = 0.1
    given = dataclasses.replace(people(), valid=np.ones(SHAPE, dtype=bool))
    return evidence(similarity=0.5 + gains, given_similarity=0.5), given


def test_poses_are_held_back_by_what_their_company_gains(
    calibration: Calibration | None, promising: tuple[Evidence, CroppedPeople]
) -> None:
    for seen, total in (([False, True, True, True], 3 * 0.1 / 19), ([True] * 4, 0.4 + 3 * 0.1 / 19)):
        mean_gain = total / (sum(seen) + STRANGERS)
        reserve = hold_back(*promising, calibration, np.array(seen))
        assert reserve == pytest.approx(RESERVE * np.exp(-((mean_gain / RESERVE_FADE) ** 2)), rel=1e-6)


def test_a_reserve_holds_back_small_gains(
    calibration: Calibration | None, promising: tuple[Evidence, CroppedPeople]
) -> None:
    for reserve, expected in ((0.0, [True, True]), (0.2, [True, False]), (0.5, [False, False])):
        chosen = choose(*promising, calibration, 0.0, reserve).keypoints
        moved = (chosen != promising[1].keypoints).all(axis=-1)
        assert [bool(moved[0].all()), bool(moved[1:, 0].all())] == expected
        assert not moved[1:, 1:].any()


def test_a_keypoint_far_off_its_pose_is_not_held_back(calibration: Calibration | None) -> None:
    given = people()
    given.keypoints[2, 5] = 9_000.0
    found = evidence(similarity=0.6, given_similarity=0.5)
    moved = (choose(found, given, calibration, 0.0, 0.3).keypoints != given.keypoints).all(axis=-1)
    assert np.argwhere(moved & given.valid).tolist() == [[2, 5]]
    moved = (choose(found, given, calibration, 0.2, 0.3).keypoints != given.keypoints).all(axis=-1)
    assert not (moved & given.valid).any(), "the caution holds for it, too"


def test_nobody_seen_is_no_fault(
    calibration: Calibration | None, promising: tuple[Evidence, CroppedPeople]
) -> None:
    assert hold_back(*promising, calibration, np.zeros(COUNT, dtype=bool)) == 0.0  # nothing was held back


@pytest.mark.parametrize("at_once", [1, 3, 4])
def test_people_decided_by_parts_are_decided_as_all_at_once(
    at_once: int, calibration: Calibration | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decided() -> list[Array]:
        found, given = evidence(), people()
        company = measure_company(measure_poses(found, given), np.array([0, 1, 1, -1]))
        reserve = hold_back(found, given, calibration, np.array([True, True, True, False]), company)
        choice = choose(found, given, calibration, 0.0, reserve, company)
        return [
            np.array([reserve]),
            company,
            choice.keypoints,
            choice.confidence,
            choice.expected_similarity,
        ]

    whole = decided()
    monkeypatch.setattr(decision, "PEOPLE_AT_ONCE", at_once)
    for one, other in zip(whole, decided(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("caution", "all_move"), [(-1.0, True), (1.0, False)])
def test_always_and_never_know_no_reserve(
    caution: float, all_move: bool, calibration: Calibration | None, promising: tuple[Evidence, CroppedPeople]
) -> None:
    chosen = choose(*promising, calibration, caution, 0.5).keypoints
    assert ((chosen != promising[1].keypoints).all(axis=-1) == all_move).all()


def test_equal_evidence_moves_nothing_by_default(calibration: Calibration | None) -> None:
    found = evidence(similarity=0.6, given_similarity=0.6)
    assert np.argwhere(which_moved(found, people(), calibration, 0.0)).tolist() == [list(MISSING)]


@pytest.mark.parametrize(("similarity", "given_similarity"), [(0, 1), (1, 0), (0.3, 0.3), (0, 1 + 1e-6)])
def test_caution_of_minus_one_moves_everything(
    similarity: float, given_similarity: float, calibration: Calibration | None
) -> None:
    found = evidence(similarity=similarity, given_similarity=given_similarity)
    assert which_moved(found, people(), calibration, -1.0).all()


@pytest.mark.parametrize(("similarity", "given_similarity"), [(0, 1), (1, 0), (0.3, 0.3), (1 + 1e-6, 0)])
def test_caution_of_one_moves_nothing_but_fills(
    similarity: float, given_similarity: float, calibration: Calibration | None
) -> None:
    found = evidence(similarity=similarity, given_similarity=given_similarity)
    assert np.argwhere(which_moved(found, people(), calibration, 1.0)).tolist() == [list(MISSING)]


@pytest.mark.parametrize("caution", [-1.0, 0.0, 0.3, 1.0])
def test_missing_keypoints_get_the_refined_place_at_any_caution(
    caution: float, calibration: Calibration | None
) -> None:
    found = evidence(similarity=0.01, given_similarity=0.99)
    assert which_moved(found, people(), calibration, caution)[MISSING]


def test_the_numbers_are_those_of_the_place_that_was_chosen(believing: Calibration) -> None:
    found, given = evidence(), people()
    choice = choose(found, given, believing, 0.0)
    moved = which_moved(found, given, believing, 0.0)
    confidence = np.asarray(np.where(moved, 0.9, 0.8))
    similarity = np.asarray(np.where(moved, found.similarity, found.given_similarity))
    confidence[MISSING], similarity[MISSING] = 0.7, found.similarity[MISSING]
    np.testing.assert_allclose(choice.confidence, confidence)
    np.testing.assert_allclose(choice.expected_similarity, similarity)


def test_without_a_calibration_there_are_no_numbers() -> None:
    choice = choose(evidence(), people(), None, 0.0)
    assert np.isnan(choice.confidence).all()
    assert np.isnan(choice.expected_similarity).all()


def test_features_against_closed_forms() -> None:
    given = people()
    odds = [math.log(share / (1 - share)) for share in (0.8, 0.9, 0.3, 0.4)]
    found = evidence(similarity=0.8, vicinity=0.9, given_similarity=0.3, given_vicinity=0.4)
    # Every keypoint moves to the right by the distance at which its similarity is 1/e.
    step = np.stack([given.falloff, np.zeros(SHAPE)], axis=-1)
    features = measure_features(dataclasses.replace(found, keypoints=given.keypoints + step), given)
    assert features.shape == (*SHAPE, len(FEATURES))
    near = math.exp(-1)
    means = [*odds[:3], math.log(2), near]
    expected = [*odds, math.log(2), near, *means, *means]
    np.testing.assert_allclose(
        features[given.valid], np.broadcast_to(expected, (given.valid.sum(), len(FEATURES)))
    )
    np.testing.assert_allclose(features[MISSING], [*odds[:2], 0, 0, 0, 0, *expected[6:]])


def test_means_are_over_the_keypoints_of_one_person() -> None:
    given = people()
    one = evidence()
    names = ("similarity", "vicinity", "given_similarity", "distance", "nearness")
    single = [FEATURES.index(name) for name in names]
    pose = [FEATURES.index(f"pose_{name}") for name in names]
    features = measure_features(one, given)
    for row in range(COUNT):
        means = features[row][given.valid[row]][:, single].mean(axis=0)
        np.testing.assert_allclose(features[row][:, pose], np.tile(means, (19, 1)))


def test_company_is_the_mean_pose_of_a_call() -> None:
    found, given = evidence(), people()
    poses = measure_poses(found, given)
    features = measure_features(found, given)
    own = [FEATURES.index(f"pose_{name}") for name in MEANS]
    np.testing.assert_allclose(features[:, 0, own], poses)
    company = measure_company(poses, np.array([7, 7, -1, 0]))
    np.testing.assert_allclose(company[:2], [(poses[0] + poses[1]) / 2] * 2)
    assert not company[2].any()
    np.testing.assert_array_equal(company[3], poses[3])
    together = measure_features(found, given, company)
    others = [FEATURES.index(f"company_{name}") for name in MEANS]
    np.testing.assert_array_equal(together[:, 5, others], company)
    np.testing.assert_array_equal(features[..., others], features[..., own])


@pytest.mark.parametrize("value", [0.0, 1.0, 1e-30, 1 + 1e-6, -1e-6])
def test_features_of_extreme_evidence_are_finite(value: float, believing: Calibration) -> None:
    names = ("similarity", "vicinity", "given_similarity", "given_vicinity")
    found = dataclasses.replace(
        evidence(**dict.fromkeys(names, value)), keypoints=np.full((*SHAPE, 2), 1e9 * (value - 0.5))
    )
    features = measure_features(found, people())
    assert np.isfinite(features).all()
    assert np.abs(features[..., :4]).max() <= math.log((1 - LEAST) / LEAST) + 1e-9
    choice = choose(found, people(), believing, 0.0)
    assert ((choice.confidence > 0) & (choice.confidence < 1)).all()


def test_features_do_not_overflow_in_single_precision() -> None:
    single = {
        field.name: getattr(evidence(similarity=1, given_similarity=0), field.name).astype(np.float32)
        for field in dataclasses.fields(Evidence)
    }
    assert np.isfinite(measure_features(Evidence(**single), people())).all()


def test_a_keypoint_that_was_not_given_contributes_nothing() -> None:
    given, found = people(), evidence()
    features = measure_features(found, given)
    changed = {
        field.name: np.array(getattr(found, field.name), copy=True) for field in dataclasses.fields(Evidence)
    }
    for name in ("similarity", "given_similarity", "given_vicinity"):
        changed[name][MISSING] = 0.999
    changed["keypoints"][MISSING] = 1e6
    elsewhere = given.keypoints.copy()
    elsewhere[MISSING] = -1e6
    after = measure_features(Evidence(**changed), dataclasses.replace(given, keypoints=elsewhere))
    own = [FEATURES.index(name) for name in ("given_similarity", "given_vicinity", "distance", "nearness")]
    assert not after[MISSING][own].any()
    after[MISSING][FEATURES.index("similarity")] = features[MISSING][FEATURES.index("similarity")]
    np.testing.assert_array_equal(after, features)


def test_people_of_no_keypoint_have_features() -> None:
    given = people()
    valid = given.valid.copy()
    valid[2] = False
    features = measure_features(evidence(), dataclasses.replace(given, valid=valid))
    assert np.isfinite(features).all()
    assert not features[2, :, 2:].any()


def test_a_regression_has_a_bias_for_each_keypoint_and_a_weight_for_each_feature() -> None:
    weights = np.zeros(len(FEATURES))
    weights[1] = 2.0
    regression = Regression(bias=np.array([0.0, 1.0, -1.0]), weights=weights)
    features = np.zeros((1, 3, len(FEATURES)))
    features[0, 2, 1] = 3.0
    expected = [1 / (1 + math.exp(-value)) for value in (0, 1, 5)]
    np.testing.assert_allclose(regression(features), [expected])


def test_products_of_features_are_weighed() -> None:
    products = np.array([[0.5, 2.0], [0.0, -1.0]])
    regression = Regression(np.zeros(1), np.array([1.0, 0.0, 0.1]), products)
    value = 3 + 0.5 * 9 + 2 * 3 * 4 - 16 + 0.1 * 7
    np.testing.assert_allclose(regression(np.array([[[3.0, 4.0, 7.0]]])), [[1 / (1 + math.exp(-value))]])


def stored(folder: Path, calibration: Any) -> Model:
    description = {
        "format": 2,
        "name": "tiny",
        "skeleton": "posefix19",
        "input_size_wh": [144, 192],
        "calibration": calibration,
    }
    (folder / "model.json").write_text(json.dumps(description), encoding="utf-8")
    return load_model(folder)


def random_calibration() -> Calibration:
    rng = np.random.default_rng(0)
    square = (MULTIPLIED, MULTIPLIED)
    regressions = {
        name: Regression(
            rng.normal(size=19), rng.normal(size=len(FEATURES)), np.triu(rng.normal(size=square))
        )
        for name in REGRESSIONS
    }
    regressions["anew"] = Regression(rng.normal(size=1), rng.normal(size=len(PERSON_FEATURES)))
    return Calibration(**regressions, strengths=(0.75, 0.5))


def test_a_calibration_comes_back_from_a_model_s_description(tmp_path: Path) -> None:
    calibration = random_calibration()
    back = read_calibration(stored(tmp_path, calibration.as_dict()))
    assert back is not None
    for name in REGRESSIONS:
        before, after = getattr(calibration, name), getattr(back, name)
        np.testing.assert_allclose(after.bias, before.bias, atol=5.1e-6)
        np.testing.assert_allclose(after.weights, before.weights, atol=5.1e-6)
        if before.products is None:
            assert after.products is None
        else:
            np.testing.assert_allclose(after.products, before.products, atol=5.1e-6)
    assert back.as_dict() == calibration.as_dict()


def test_a_model_may_have_no_calibration(tmp_path: Path) -> None:
    assert read_calibration(stored(tmp_path, {})) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"given_right": None}, "expected objects refined_similarity, .*'bias' and 'weights'"),
        ({"given_right": [1, 2]}, "expected objects"),
        ({"given_right": {"bias": [0.0] * 19}}, "KeyError.'weights'"),
        ({"given_right": {"bias": ["much"] * 19, "weights": [0.0] * 16}}, "expected objects"),
        ({"given_right": {"bias": [None] * 19, "weights": [0.0] * 16}}, "expected objects"),
        ({"given_right": {"bias": [0.0] * 17, "weights": [0.0] * 16}}, r"given_right: expected 19 biases"),
        ({"given_right": {"bias": [0.0] * 19, "weights": [0.0] * 7}}, r"16 weights, got \(19,\) and \(7,\)"),
        ({"given_right": {"bias": 0.0, "weights": [0.0] * 16}}, r"got \(\) and \(16,\)"),
        (
            {"given_right": {"bias": [0.0] * 19, "weights": [0.0] * 16, "products": [0.0] * 16}},
            "expected objects",
        ),
        ({"given_right": {"bias": [0.0] * 19, "weights": [0.0] * 16, "products": 1}}, "expected objects"),
        ({"strengths": [1]}, "two 'strengths'"),
        ({"strengths": ["much", 1]}, "two 'strengths'"),
        (
            {"strengths": [0.5, 2]},
            r"strengths: expected two numbers above 0 and at most 1, got \(0\.5, 2\.0\)",
        ),
    ],
)
def test_faulty_calibrations_are_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    model = stored(tmp_path, random_calibration().as_dict() | changes)
    with pytest.raises(
        InputError, match=rf"model\.json: calibration: .*{message}.*calibrate the model again"
    ):
        read_calibration(model)


@pytest.mark.parametrize("name", [*REGRESSIONS, "strengths"])
def test_a_regression_that_is_left_out_is_named(name: str, tmp_path: Path) -> None:
    content = random_calibration().as_dict()
    del content[name]
    with pytest.raises(InputError, match=f"KeyError.'{name}'"):
        read_calibration(stored(tmp_path, content))


@pytest.mark.parametrize("content", [[1], "yes", 3])
def test_a_calibration_of_another_type_is_an_error(content: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.json: calibration: expected a JSON object"):
        read_calibration(stored(tmp_path, content))


def test_agreement_is_the_mean_similarity_to_the_given_places() -> None:
    given = people()
    step = np.zeros((*SHAPE, 2))
    step[1, :, 0] = given.falloff[1]
    step[MISSING] = 1e6
    expected = np.ones(COUNT)
    expected[1] = math.exp(-1)
    np.testing.assert_allclose(agreement(given.keypoints + step, given), expected)
