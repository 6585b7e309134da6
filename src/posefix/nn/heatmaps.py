"""Between coordinates and grids: Gaussians or single cells in, soft-argmax out.

Convention: pixel centres. Grid cell i of stride s has its centre at ``(i + 0.5) * s - 0.5`` input pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def cell_centres(count: int, stride: int, like: Tensor) -> Tensor:
    """Centres (count,) of a grid's cells in input pixels."""
    return (torch.arange(count, dtype=torch.float32, device=like.device) + 0.5) * stride - 0.5


def to_grid(coordinates: Tensor, stride: int | Tensor) -> Tensor:
    """Input pixels -> grid units."""
    return (coordinates + 0.5) / stride - 0.5


def render_gaussians(
    keypoints: Tensor, weights: Tensor, size_wh: tuple[int, int], stride: int, sigma: float
) -> Tensor:
    """One Gaussian per keypoint (paper eq. 1), sampled at the cells of a grid; places outside it are legal.

    Args:
        keypoints: (B, K, 2) in input pixels.
        weights: (B, K) heights; 0 leaves the channel empty.
        size_wh: Grid width and height in cells.
        stride: Input pixels per cell.
        sigma: Standard deviation in input pixels.

    Returns:
        (B, K, height, width) float32.
    """
    width, height = size_wh
    # exp(-(dx^2 + dy^2) / 2 sigma^2) is a product of two one-dimensional Gaussians.
    x = cell_centres(width, stride, keypoints) - keypoints[..., 0:1]
    y = cell_centres(height, stride, keypoints) - keypoints[..., 1:2]
    scale = -0.5 / sigma**2
    row = torch.exp(scale * x**2)
    column = torch.exp(scale * y**2) * weights[..., None]
    return column[..., :, None] * row[..., None, :]


def render_one_hot(keypoints: Tensor, weights: Tensor, size_wh: tuple[int, int], stride: int) -> Tensor:
    """One cell per keypoint (paper section 5.2, the fine form); a place outside the grid leaves its channel empty.

    Args:
        keypoints: (B, K, 2) in input pixels.
        weights: (B, K) values of the cells; 0 leaves the channel empty.
        size_wh: Grid width and height in cells.
        stride: Input pixels per cell.

    Returns:
        (B, K, height, width) float32.
    """
    width, height = size_wh
    nearest = torch.floor(to_grid(keypoints, stride) + 0.5)
    row = (torch.arange(width, device=keypoints.device) == nearest[..., 0:1]).float()
    column = (torch.arange(height, device=keypoints.device) == nearest[..., 1:2]).float()
    return (column * weights[..., None])[..., :, None] * row[..., None, :]


def soft_argmax(logits: Tensor, stride: int) -> Tensor:
    """Expected place under the spatial softmax (paper eq. 2).

    Args:
        logits: (B, K, height, width).
        stride: Input pixels per cell.

    Returns:
        (B, K, 2) in input pixels, float32.
    """
    _, _, height, width = logits.shape
    probability = functional.softmax(logits.float().flatten(2), dim=-1).unflatten(2, (height, width))
    x = (probability.sum(dim=2) * cell_centres(width, stride, logits)).sum(dim=-1)
    y = (probability.sum(dim=3) * cell_centres(height, stride, logits)).sum(dim=-1)
    return torch.stack([x, y], dim=-1)


def bilinear_target(coordinates: Tensor, size_wh: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The two-by-two cells around each place and their bilinear shares (paper, text after eq. 4).

    Args:
        coordinates: (B, K, 2) in grid units.
        size_wh: Grid width and height.

    Returns:
        Cell index (B, K, 4) into the flattened (height * width,) grid and shares (B, K, 4) that sum to one. Places
        outside the grid are clamped to its border; mask them before use.
    """
    width, height = size_wh
    x = coordinates[..., 0].clamp(0, width - 1)
    y = coordinates[..., 1].clamp(0, height - 1)
    left, top = x.floor().clamp(max=max(width - 2, 0)), y.floor().clamp(max=max(height - 2, 0))
    right_share, bottom_share = x - left, y - top
    index = (top * width + left).long()
    cells = torch.stack([index, index + 1, index + width, index + width + 1], dim=-1)
    shares = torch.stack(
        [
            (1 - right_share) * (1 - bottom_share),
            right_share * (1 - bottom_share),
            (1 - right_share) * bottom_share,
            right_share * bottom_share,
        ],
        dim=-1,
    )
    return cells, shares
