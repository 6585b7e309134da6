"""From heatmap logits to coordinates.

The network is always trained through the soft-argmax. For the result there are two ways: the soft-argmax itself, the
mean of the heatmap (paper eq. 2), and the place of the highest expected similarity. Where the heatmap has two peaks,
at both ankles say, the mean lies between them and is right about neither; the other way chooses one.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from posefix.nn.heatmaps import cell_centres, soft_argmax
from posefix.similarity import falloff
from posefix.skeletons import Skeleton

Decoder = Literal["soft_argmax", "expected_similarity"]

PERSON_SHARE = 0.2
"""Area of a person (COCO's, a mask's) as a share of the crop: .53 of a box that fills 1 / 1.5 of each side, a little
less since most people are narrower than the crop."""
GRID_BLUR = 0.75
"""The heatmap itself is no sharper than this many cells."""
ASCENT_STEPS = 8


class SoftArgmax(nn.Module):
    """Mean place under the spatial softmax.

    Args:
        stride: Input pixels per cell.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, logits: Tensor) -> Tensor:
        """Logits (B, K, h, w) -> places (B, K, 2) in input pixels."""
        return soft_argmax(logits, self.stride)


class ExpectedSimilarity(nn.Module):
    """The place whose expected keypoint similarity (KS) to the truth is highest, the heatmap being what is believed.

    KS falls off as a Gaussian of the distance, so expected KS is the heatmap's probability smoothed by that Gaussian,
    and mean-shift with it climbs to a maximum. It starts at the best cell.

    Args:
        skeleton: Names the keypoints and their sigmas.
        size_wh: Crop width and height in pixels; the size of the person follows from it.
        stride: Input pixels per cell.

    Raises:
        InputError: A keypoint of the skeleton has no sigma.
    """

    reach: Tensor
    x: Tensor
    y: Tensor
    smooth_x: Tensor
    smooth_y: Tensor

    def __init__(self, skeleton: Skeleton, size_wh: tuple[int, int], stride: int) -> None:
        super().__init__()
        width, height = size_wh
        reach = np.hypot(
            falloff(np.array(PERSON_SHARE * width * height), skeleton.sigmas), GRID_BLUR * stride
        )
        values = {"reach": torch.as_tensor(reach, dtype=torch.float32)[:, None]}
        for axis, side in (("x", width), ("y", height)):
            centres = cell_centres(side // stride, stride, torch.zeros(()))
            values[axis] = centres
            distance = centres[:, None] - centres[None]
            values[f"smooth_{axis}"] = torch.exp(-((distance / values["reach"][..., None]) ** 2))
        for name, value in values.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, logits: Tensor) -> Tensor:
        """Logits (B, K, h, w) -> places (B, K, 2) in input pixels."""
        height, width = logits.shape[2:]
        probability = torch.softmax(logits.float().flatten(2), dim=-1).unflatten(2, (height, width))
        best = (self.smooth_y @ probability @ self.smooth_x).flatten(2).argmax(dim=-1)
        places = torch.stack([self.x[best % width], self.y[best // width]], dim=-1)
        for _ in range(ASCENT_STEPS):
            places = self._climb(probability, places)
        return places

    def _climb(self, probability: Tensor, places: Tensor) -> Tensor:
        """One step of mean-shift: the mean of the heatmap under the similarity to the present place."""
        row = torch.exp(-(((self.x - places[..., :1]) / self.reach) ** 2))
        column = torch.exp(-(((self.y - places[..., 1:]) / self.reach) ** 2))
        weight = probability * (column[..., :, None] * row[..., None, :])
        total = weight.sum(dim=(2, 3)).clamp(min=1e-12)
        x = (weight.sum(dim=2) * self.x).sum(dim=-1) / total
        y = (weight.sum(dim=3) * self.y).sum(dim=-1) / total
        return torch.stack([x, y], dim=-1)
