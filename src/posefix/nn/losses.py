"""What networks learn by: the cross-entropy-based integral loss (paper eq. 3 to 5), its parts, Gaussian targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from posefix.nn.heatmaps import bilinear_target, render_gaussians, soft_argmax, to_grid

LossName = Literal["integral", "heatmap", "coordinate", "gaussian_mse"]
"""L (eq. 3), L_H alone (eq. 4), L_C alone (eq. 5), or the squared difference to Gaussians (Xiao et al. 2018)."""
LossAverage = Literal["labelled", "all"]
"""Over whom losses are means: the keypoints with a label in the crop, or all, those without one costing nothing."""


@dataclass(frozen=True)
class Weighting:
    """How parts of the loss are added up.

    Attributes:
        coordinate: Weight of L_C beside L_H.
        average: Over which keypoints the losses are means.
    """

    coordinate: float = 1.0
    average: LossAverage = "labelled"


PLAIN = Weighting()


GAUSSIAN_LOSS_UNIT = 255.0**2
"""Losses of Gaussian heatmaps are as large as if these were 255 high, as in the code that CPN and PoseFix share: else
a weight decay that suits the other losses would outweigh them."""


def heatmap_losses(
    heatmaps: Tensor,
    target_pixels: Tensor,
    labelled: Tensor,
    stride: int,
    loss: LossName,
    target_sigma: float,
    weighting: Weighting = PLAIN,
) -> dict[str, Tensor]:
    """The loss of a name and its parts.

    Args:
        heatmaps: (B, K, height, width): logits, or Gaussians for "gaussian_mse".
        target_pixels: (B, K, 2) true places in input pixels; those outside the crop get no loss.
        labelled: (B, K) bool.
        stride: Input pixels per grid cell.
        loss: Which.
        target_sigma: Standard deviation of Gaussian targets in cells.
        weighting: How parts are added up.

    Returns:
        Scalars: ``total``, and for the integral loss and its halves ``heatmap`` and ``coordinate``.
    """
    if loss == "gaussian_mse":
        inside = inside_crop(target_pixels, labelled, heatmaps, stride)
        error = gaussian_error(heatmaps, target_pixels, inside, stride, target_sigma, weighting.average)
        return {"total": GAUSSIAN_LOSS_UNIT * error}
    losses = integral_loss(heatmaps, target_pixels, labelled, stride, weighting)
    return losses if loss == "integral" else losses | {"total": losses[loss]}


def heatmap_cross_entropy(
    logits: Tensor, target: Tensor, labelled: Tensor, average: LossAverage = "labelled"
) -> Tensor:
    """L_H (eq. 4): cross-entropy between the spatial softmax and the bilinear two-by-two target.

    Args:
        logits: (B, K, height, width).
        target: (B, K, 2) true places in grid units.
        labelled: (B, K) bool.
        average: Over which keypoints.

    Returns:
        Scalar, 0 if no keypoint is labelled.
    """
    height, width = logits.shape[2:]
    cells, shares = bilinear_target(target, (width, height))
    log_probability = functional.log_softmax(logits.float().flatten(2), dim=-1)
    loss = -(log_probability.gather(2, cells) * shares).sum(dim=-1)
    return masked_mean(loss, labelled, average)


def coordinate_l1(
    coordinates: Tensor, target: Tensor, labelled: Tensor, average: LossAverage = "labelled"
) -> Tensor:
    """L_C (eq. 5): L1 distance of coordinates (B, K, 2), summed over x and y, mean over keypoints."""
    return masked_mean((coordinates - target).abs().sum(dim=-1), labelled, average)


def gaussian_error(
    heatmaps: Tensor,
    target_pixels: Tensor,
    labelled: Tensor,
    stride: int,
    sigma: float,
    average: LossAverage = "labelled",
) -> Tensor:
    """Half the mean squared difference to Gaussians of height 1 (Xiao et al. 2018, section 2, and their code).

    The Gaussians stand at the true places; the released code rounds those to cells.

    Args:
        heatmaps: (B, K, height, width).
        target_pixels: (B, K, 2) in input pixels.
        labelled: (B, K) bool.
        stride: Input pixels per cell.
        sigma: Of the Gaussians, in cells.
        average: Over which keypoints.

    Returns:
        Scalar: mean over cells and keypoints, 0 if none is labelled.
    """
    height, width = heatmaps.shape[2:]
    ones = torch.ones_like(target_pixels[..., 0])
    wanted = render_gaussians(target_pixels, ones, (width, height), stride, sigma * stride)
    return masked_mean(0.5 * ((heatmaps.float() - wanted) ** 2).mean(dim=(2, 3)), labelled, average)


def masked_mean(values: Tensor, mask: Tensor, average: LossAverage = "labelled") -> Tensor:
    """Mean of `values` where `mask`, 0 where nothing is; or over all, those outside the mask counting 0."""
    count = mask.sum().clamp(min=1) if average == "labelled" else mask.numel()
    return torch.where(mask, values, 0.0).sum() / count


def inside_crop(target_pixels: Tensor, labelled: Tensor, heatmaps: Tensor, stride: int) -> Tensor:
    """The labelled keypoints (B, K) whose true places (B, K, 2), in input pixels, lie in the heatmaps' crop."""
    height, width = heatmaps.shape[2:]
    x, y = to_grid(target_pixels, stride).unbind(dim=-1)
    # Numbers, not a tensor of them, which a GPU would have to be waited for to get.
    return labelled & (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)


def integral_loss(
    logits: Tensor,
    target_pixels: Tensor,
    labelled: Tensor,
    stride: int,
    weighting: Weighting = PLAIN,
) -> dict[str, Tensor]:
    """L = L_H + L_C (eq. 3) in grid units.

    Args:
        logits: (B, K, height, width).
        target_pixels: (B, K, 2) true places in input pixels; those outside the crop get no loss.
        labelled: (B, K) bool.
        stride: Input pixels per grid cell.
        weighting: How parts are added up.

    Returns:
        Scalars ``total``, ``heatmap`` and ``coordinate``, the last without its weight.
    """
    target = to_grid(target_pixels, stride)
    inside = inside_crop(target_pixels, labelled, logits, stride)
    heatmap = heatmap_cross_entropy(logits, target, inside, weighting.average)
    coordinate = coordinate_l1(
        to_grid(soft_argmax(logits, stride), stride), target, inside, weighting.average
    )
    return {
        "total": heatmap + weighting.coordinate * coordinate,
        "heatmap": heatmap,
        "coordinate": coordinate,
    }
