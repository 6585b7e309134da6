"""The cross-entropy-based integral loss (paper eq. 3 to 5)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from posefix.nn.heatmaps import bilinear_target, soft_argmax, to_grid


def heatmap_cross_entropy(logits: Tensor, target: Tensor, labelled: Tensor) -> Tensor:
    """L_H (eq. 4): cross-entropy between the spatial softmax and the bilinear two-by-two target.

    Args:
        logits: (B, K, height, width).
        target: (B, K, 2) true places in grid units.
        labelled: (B, K) bool.

    Returns:
        Scalar: mean over the labelled keypoints, 0 if there are none.
    """
    height, width = logits.shape[2:]
    cells, shares = bilinear_target(target, (width, height))
    log_probability = functional.log_softmax(logits.float().flatten(2), dim=-1)
    loss = -(log_probability.gather(2, cells) * shares).sum(dim=-1)
    return masked_mean(loss, labelled)


def coordinate_l1(coordinates: Tensor, target: Tensor, labelled: Tensor) -> Tensor:
    """L_C (eq. 5): L1 distance of coordinates (B, K, 2), summed over x and y, mean over labelled keypoints."""
    return masked_mean((coordinates - target).abs().sum(dim=-1), labelled)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of `values` where `mask`, 0 where nothing is."""
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp(min=1)


def integral_loss(logits: Tensor, target_pixels: Tensor, labelled: Tensor, stride: int) -> dict[str, Tensor]:
    """L = L_H + L_C (eq. 3) in grid units.

    Args:
        logits: (B, K, height, width).
        target_pixels: (B, K, 2) true places in input pixels; those outside the crop get no loss.
        labelled: (B, K) bool.
        stride: Input pixels per grid cell.

    Returns:
        Scalars ``total``, ``heatmap`` and ``coordinate``.
    """
    height, width = logits.shape[2:]
    target = to_grid(target_pixels, stride)
    limit = torch.tensor([width - 0.5, height - 0.5], device=target.device)
    inside = labelled & ((target >= -0.5) & (target <= limit)).all(dim=-1)
    heatmap = heatmap_cross_entropy(logits, target, inside)
    coordinate = coordinate_l1(to_grid(soft_argmax(logits, stride), stride), target, inside)
    return {"total": heatmap + coordinate, "heatmap": heatmap, "coordinate": coordinate}
