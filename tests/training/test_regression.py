"""Logistic regression: that it finds what made the data, as it is and in products of features."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from posefix.training.regression import fit_regression


def test_a_regression_finds_the_weights_that_made_the_data() -> None:
    generator = np.random.default_rng(0)
    features = generator.standard_normal((20_000, 2, 3))
    bias, weights = np.array([-1.0, 0.5]), np.array([1.5, 0.0, -0.7])
    chance = 1 / (1 + np.exp(-(features @ weights + bias)))
    right = generator.random(chance.shape) < chance
    found = fit_regression(features, right, np.ones(right.shape))
    np.testing.assert_allclose(found.weights, weights, atol=0.1)
    np.testing.assert_allclose(found.bias, bias, atol=0.1)
    np.testing.assert_allclose(found(features), chance, atol=0.05)


def test_targets_between_zero_and_one_are_met_in_the_mean() -> None:
    similarity = np.random.default_rng(1).uniform(0.2, 0.8, (500, 1))
    found = fit_regression(np.zeros((500, 1, 2)), similarity, np.ones((500, 1)))
    assert found(np.zeros((1, 1, 2))).item() == pytest.approx(similarity.mean(), abs=0.01)


def test_examples_of_no_importance_are_left_out() -> None:
    targets = np.array([[1.0], [0.0]])
    found = fit_regression(np.zeros((2, 1, 2)), targets, np.array([[1.0], [0.0]]))
    assert found(np.zeros((1, 1, 2))).item() > 0.9
    nothing = fit_regression(np.zeros((2, 1, 2)), targets, np.zeros((2, 1)))
    assert not nothing.weights.any() and not nothing.bias.any()


def test_products_are_found_and_hold_for_features_that_are_not_standardised() -> None:
    generator = np.random.default_rng(2)
    features = generator.standard_normal((20_000, 2, 2)) * [3.0, 0.1] + [5.0, -0.2]
    products = np.array([[0.05, 1.0], [0.0, 0.0]])
    logits = 0.5 - 0.4 * features[..., 0] + (features @ products.T * features).sum(axis=-1)
    chance = 1 / (1 + np.exp(-logits))
    right = generator.random(chance.shape) < chance
    found = fit_regression(features, right, np.ones(right.shape), products=2)
    assert found.products is not None and not np.tril(found.products, -1).any()
    assert np.abs(found(features) - chance).mean() < 0.01
    # A third feature takes part, but not in products.
    more = np.concatenate([features, features.prod(axis=-1, keepdims=True)], axis=-1)
    found = fit_regression(more, right, np.ones(right.shape), products=1)
    assert found.products is not None and found.products.shape == (1, 1)
    assert np.abs(found(more) - chance).mean() < 0.01
    for first in (0, 1):
        found = fit_regression(features, right, np.ones(right.shape), products=first)
        assert (found.products is None) == (first == 0)
        assert np.abs(found(features) - chance).mean() > 0.03


def test_a_feature_that_never_varies_has_no_weight() -> None:
    generator = np.random.default_rng(3)
    features = np.stack([generator.standard_normal((100, 1)), np.full((100, 1), 7.0)], axis=-1)
    found = fit_regression(features, generator.random((100, 1)) < 0.5, np.ones((100, 1)), products=2)
    assert found.weights[1] == 0.0
    assert np.isfinite(found(features)).all()
