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
    FEATURES,
    MULTIPLIED,
    PERSON_FEATURES,
    REGRESSIONS,
    Calibration,
    Regression,
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
