"""Logistic regression, of which a calibration is made."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from posefix.pose.poses import BoolArray, FloatArray, Rows
from posefix.refine.calibration import Regression

RIDGE = 1e-3
"""Penalty on the squared weights of standardised features; it matters only where a keypoint has few examples."""
LEAST_DEVIATION = 1e-9
"""A feature that varies less is a constant."""


def fit_regression(
    features: FloatArray,
    targets: FloatArray | BoolArray,
    importance: FloatArray,
    *,
    products: int = 0,
) -> Regression:
    """Logistic regression by maximum likelihood; targets may lie between 0 and 1.

    Args:
        features: (N, K, F).
        targets: (N, K).
        importance: (N, K) weight of each example in any unit, 0 for those to leave out.
        products: Weigh the products of two of so many first features, too.
    """
    mask = importance > 0
    if not mask.any():
        return Regression(np.zeros(features.shape[1]), np.zeros(features.shape[2]))
    chosen = features[mask]
    centre, scale = chosen.mean(axis=0), chosen.std(axis=0)
    scale[scale < LEAST_DEVIATION] = 1.0
    inputs = (chosen - centre) / scale
    first, second = np.triu_indices(products)
    bias, weights = _maximise_likelihood(
        np.concatenate([inputs, inputs[:, first] * inputs[:, second]], axis=1),
        np.nonzero(mask)[1],
        targets[mask].astype(np.float64),
        importance[mask] / importance[mask].sum(),
        features.shape[1],
    )
    linear, product = weights[: len(scale)] / scale, np.zeros((products, products))
    product[first, second] = weights[len(scale) :] / (scale[first] * scale[second])
    # The same in features that are not standardised.
    middle = centre[:products]
    bias += middle @ product @ middle - linear @ centre
    linear[:products] -= (product + product.T) @ middle
    return Regression(bias, linear, product if products else None)


def _maximise_likelihood(
    inputs: FloatArray, keypoint: Rows, wanted: FloatArray, share: FloatArray, keypoints: int
) -> tuple[FloatArray, FloatArray]:
    """Biases (`keypoints`,) and weights (G,) for N inputs (N, G): the keypoint, target and share (N,) of each."""
    bias = torch.zeros(keypoints, dtype=torch.float64, requires_grad=True)
    weights = torch.zeros(inputs.shape[1], dtype=torch.float64, requires_grad=True)
    x, row, y, importance = (torch.as_tensor(part) for part in (inputs, keypoint, wanted, share))
    optimiser = torch.optim.LBFGS([bias, weights], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        logits = x @ weights + bias[row]
        penalty = RIDGE * ((weights**2).sum() + (bias**2).sum() / len(bias))
        value = functional.binary_cross_entropy_with_logits(logits, y, importance, reduction="sum")
        (value + penalty).backward()
        return value + penalty

    optimiser.step(loss)
    return bias.detach().numpy(), weights.detach().numpy()
