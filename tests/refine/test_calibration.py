"""A calibration's regressions, and how they are stored."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posefix.errors import InputError
from posefix.network.models import Model, load_model
from posefix.refine.calibration import (
    ALL_MEANS,
    FEATURES,
    OPINION_FEATURES,
    REGRESSIONS,
    Calibration,
    Regression,
    UsualCompany,
    multiplied,
    read_calibration,
)


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


def random_calibration(features: tuple[str, ...] = FEATURES) -> Calibration:
    rng = np.random.default_rng(0)

    def made(biases: int, weights: int, factors: int) -> Regression:
        products = np.triu(rng.normal(size=(factors, factors)))
        return Regression(rng.normal(size=biases), rng.normal(size=weights), products)

    one, two, three, four, five, six = (made(19, len(features), multiplied(features)) for _ in REGRESSIONS)
    return Calibration(
        one,
        two,
        three,
        four,
        five,
        six,
        elsewhere=made(1, len(OPINION_FEATURES), len(OPINION_FEATURES)),
        usual=UsualCompany(rng.normal(size=len(ALL_MEANS)), rng.uniform(1, 9, len(ALL_MEANS))),
        trusted=0.125,
        features=features,
        reserve=0.25,
        strengths=(0.75, 0.5),
        strength_in_crowds=0.875,
    )


def test_products_are_those_of_a_keypoint_and_its_pose() -> None:
    assert FEATURES[: multiplied(FEATURES)][-1] == "pose_sure"
    assert multiplied(("distance", "pose_distance", "company_distance")) == 2


@pytest.mark.parametrize("features", [FEATURES, FEATURES[:16], ("company_distance",)])
def test_a_calibration_comes_back_from_a_model_s_description(
    features: tuple[str, ...], tmp_path: Path
) -> None:
    calibration = random_calibration(features)
    back = read_calibration(stored(tmp_path, calibration.as_dict()))
    assert back is not None
    np.testing.assert_allclose(back.usual.means, calibration.usual.means, atol=5.1e-6)
    np.testing.assert_allclose(back.usual.people, calibration.usual.people, atol=5.1e-6)
    for name in REGRESSIONS:
        before, after = getattr(calibration, name), getattr(back, name)
        assert (back.features, back.reserve, back.trusted) == (features, 0.25, 0.125)
        np.testing.assert_allclose(after.bias, before.bias, atol=5.1e-6)
        np.testing.assert_allclose(after.weights, before.weights, atol=5.1e-6)
        if before.products is None:
            assert after.products is None
        else:
            np.testing.assert_allclose(after.products, before.products, atol=5.1e-6)
    assert back.as_dict() == calibration.as_dict()


def test_where_a_description_knows_no_crowds_their_strength_is_that_of_the_first_look(tmp_path: Path) -> None:
    content = random_calibration(FEATURES).as_dict()
    del content["strength_in_crowds"]
    back = read_calibration(stored(tmp_path, content))
    assert back is not None and back.strength_in_crowds == back.strengths[0] == 0.75


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
        ({"strength_in_crowds": 0}, r"strength_in_crowds: expected a number above 0 and at most 1, got 0\.0"),
        ({"strength_in_crowds": "much"}, "'strength_in_crowds'"),
        ({"strengths": ["much", 1]}, "two 'strengths'"),
        (
            {"strengths": [0.5, 2]},
            r"strengths: expected two numbers above 0 and at most 1, got \(0\.5, 2\.0\)",
        ),
        (
            {"features": ["distance", "colour"]},
            "features: 'colour' is not known to this version, .*similarity",
        ),
        ({"features": "distance"}, "features: expected a list of names, got 'distance'"),
        ({"features": None}, "features: expected a list of names, got None"),
        ({"features": [["distance"]]}, r"features: \['distance'\] is not known"),
        ({"features": ["distance", "distance"]}, "features: a name stands there twice"),
        ({"features": ["company_distance", "distance"]}, r"features: .*company_.* must stand last"),
        ({"features": ["distance"]}, "refined_similarity|products"),
        ({"elsewhere": {"bias": [0.0], "weights": [0.0] * 4}}, "elsewhere: expected 1 biases and 12 weights"),
        ({"usual_company": {"means": {}}}, "KeyError"),
        (
            {"usual_company": {"means": dict.fromkeys(ALL_MEANS, 1), "people": dict.fromkeys(ALL_MEANS, 0)}},
            "usual_company: expected finite means, and numbers of people above 0",
        ),
        ({"trusted": -0.5}, "trusted: expected a number of at least 0, got -0.5"),
        ({"reserve": -0.5}, "reserve: expected a number of at least 0, got -0.5"),
        ({"reserve": "much"}, "could not convert"),
        ({"reserve": 10**400}, "too large"),
    ],
)
def test_faulty_calibrations_are_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    of_sixteen = random_calibration(FEATURES[:16]).as_dict()
    model = stored(tmp_path, of_sixteen | changes)
    with pytest.raises(
        InputError, match=rf"model\.json: calibration: .*{message}.*calibrate the model again"
    ):
        read_calibration(model)


@pytest.mark.parametrize("name", sorted({*random_calibration().as_dict()} - {"strength_in_crowds"}))
def test_a_part_that_is_left_out_is_named(name: str, tmp_path: Path) -> None:
    content = random_calibration().as_dict()
    del content[name]
    with pytest.raises(InputError, match=f"KeyError.'{name}'.*calibrate the model again"):
        read_calibration(stored(tmp_path, content))


@pytest.mark.parametrize("content", [[1], "yes", 3])
def test_a_calibration_of_another_type_is_an_error(content: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.json: calibration: expected a JSON object"):
        read_calibration(stored(tmp_path, content))
