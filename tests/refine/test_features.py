"""What a calibration sees of keypoints."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.refine.looks import COUNT, MISSING, SHAPE, alone, evidence, look, people

from posefix.network.decoding import Evidence
from posefix.refine.calibration import ALL_MEANS, ALONE_FEATURES, FEATURES, Calibration
from posefix.refine.company import Company
from posefix.refine.features import LEAST, measure_features, measure_poses
from posefix.refine.judge import judge

Array = npt.NDArray[Any]
OF_THE_NETWORK = ("similarity", "alone_similarity", "alone_refined_nearness")
"""Features that a keypoint which was not given has all the same; its vicinity is one, too."""


def of_everyone_alone(*args: Any, **more: Any) -> Array:
    at = look(*args, **more)
    return measure_features(at, alone(at).means)


def test_features_against_closed_forms() -> None:
    given = people()
    odds = [math.log(share / (1 - share)) for share in (0.8, 0.9, 0.3, 0.4)]
    found = evidence(similarity=0.8, vicinity=0.9, given_similarity=0.3, given_vicinity=0.4)
    blind_odds = [math.log(share / (1 - share)) for share in (0.7, 0.2, 0.25)]
    blind = evidence(similarity=0.7, vicinity=0.5, given_similarity=0.2, given_vicinity=0.25)
    # Every keypoint moves to the right by the distance at which its similarity is 1/e; alone, as far to the left.
    step = np.stack([given.falloff, np.zeros(SHAPE)], axis=-1)
    features = of_everyone_alone(
        dataclasses.replace(found, keypoints=given.keypoints + step),
        given,
        withheld=dataclasses.replace(blind, keypoints=given.keypoints - step),
    )
    assert features.shape == (*SHAPE, len(FEATURES))
    near, apart = math.exp(-1), math.exp(-4)
    sure = 0.7**8
    means = [*odds[:3], math.log(2), near, blind_odds[1], near, sure * (1 - near), sure]
    rest = [*means, *means]
    expected = [*odds, math.log(2), near, *blind_odds, near, apart, *rest]
    np.testing.assert_allclose(
        features[given.valid], np.broadcast_to(expected, (given.valid.sum(), len(FEATURES)))
    )
    expected = [*odds[:2], 0, 0, 0, 0, blind_odds[0], 0, 0, 0, apart, *rest]
    np.testing.assert_allclose(features[MISSING], expected)


def test_features_are_chosen_by_name() -> None:
    at = look()
    company = np.arange(float(len(ALL_MEANS)))
    everything = measure_features(at, company)
    names = ("company_alone_nearness", "distance", "pose_vicinity")
    chosen = measure_features(at, company, names)
    np.testing.assert_array_equal(chosen, everything[..., [FEATURES.index(name) for name in names]])
    assert (chosen[..., 0] == ALL_MEANS.index("alone_nearness")).all()


def test_means_are_over_the_keypoints_of_one_person() -> None:
    given = people()
    one = evidence()
    names = [name for name in ALL_MEANS if name in FEATURES]
    single = [FEATURES.index(name) for name in names]
    pose = [FEATURES.index(f"pose_{name}") for name in names]
    features = of_everyone_alone(one, given)
    for row in range(COUNT):
        means = features[row][given.valid[row]][:, single].mean(axis=0)
        np.testing.assert_allclose(features[row][:, pose], np.tile(means, (19, 1)))


def test_company_is_seen_beside_everybody() -> None:
    at = look()
    poses = measure_poses(at)
    features = measure_features(at, poses)
    own = [FEATURES.index(f"pose_{name}") for name in ALL_MEANS]
    others = [FEATURES.index(f"company_{name}") for name in ALL_MEANS]
    np.testing.assert_allclose(features[:, 0, own], poses)
    np.testing.assert_array_equal(features[..., others], features[..., own])
    company = np.arange(float(len(ALL_MEANS)))
    together = measure_features(at, company)
    np.testing.assert_array_equal(together[..., others], np.broadcast_to(company, (*SHAPE, len(ALL_MEANS))))
    np.testing.assert_array_equal(together[..., own], features[..., own])
    one_by_one = measure_features(at, Company(company).means_of(COUNT))
    np.testing.assert_array_equal(one_by_one, together)


@pytest.mark.parametrize("value", [0.0, 1.0, 1e-30, 1 + 1e-6, -1e-6])
def test_features_of_extreme_evidence_are_finite(value: float, believing: Calibration) -> None:
    names = ("similarity", "vicinity", "given_similarity", "given_vicinity")
    found = dataclasses.replace(
        evidence(**dict.fromkeys(names, value)), keypoints=np.full((*SHAPE, 2), 1e9 * (value - 0.5))
    )
    features = of_everyone_alone(found, people(), withheld=found)
    assert np.isfinite(features).all()
    odds = [*range(4), *(FEATURES.index(name) for name in ALONE_FEATURES[:3])]
    assert np.abs(features[..., odds]).max() <= math.log((1 - LEAST) / LEAST) + 1e-9
    choice = judge(look(found), alone(look(found)), believing, 0.0)
    assert ((choice.confidence > 0) & (choice.confidence < 1)).all()


def test_features_do_not_overflow_in_single_precision() -> None:
    single = {
        field.name: getattr(evidence(similarity=1, given_similarity=0), field.name).astype(np.float32)
        for field in dataclasses.fields(Evidence)
    }
    found = Evidence(**single)
    assert np.isfinite(of_everyone_alone(found, people(), withheld=found)).all()


def test_a_keypoint_that_was_not_given_contributes_nothing() -> None:
    given, found = people(), evidence()
    features = of_everyone_alone(found, given)
    changed = {
        field.name: np.array(getattr(found, field.name), copy=True) for field in dataclasses.fields(Evidence)
    }
    for name in ("similarity", "given_similarity", "given_vicinity"):
        changed[name][MISSING] = 0.999
    changed["keypoints"][MISSING] = 1e6
    elsewhere = given.keypoints.copy()
    elsewhere[MISSING] = -1e6
    after = of_everyone_alone(
        Evidence(**changed),
        dataclasses.replace(given, keypoints=elsewhere),
        withheld=dataclasses.replace(Evidence(**changed), keypoints=found.keypoints),
    )
    own = [FEATURES.index(name) for name in ("given_similarity", "given_vicinity", "distance", "nearness")]
    own += [FEATURES.index(f"alone_{name}") for name in ("given_similarity", "given_vicinity", "nearness")]
    assert not after[MISSING][own].any()
    for name in OF_THE_NETWORK:
        place = (*MISSING, FEATURES.index(name))
        assert after[place] != features[place]
        after[place] = features[place]
    np.testing.assert_array_equal(after, features)


def test_people_of_no_keypoint_have_features() -> None:
    given = people()
    valid = given.valid.copy()
    valid[2] = False
    features = of_everyone_alone(evidence(), dataclasses.replace(given, valid=valid))
    assert np.isfinite(features).all()
    nothing = [name not in (*OF_THE_NETWORK, "vicinity") for name in FEATURES]
    assert not features[2][:, nothing].any()
