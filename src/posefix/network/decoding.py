"""From heatmaps to places, and what the heatmaps say of a place.

The network is trained through the soft-argmax, the mean of the heatmap (paper eq. 2). Where a heatmap has two peaks,
at both ankles say, the mean lies between them and is right about neither; the place of the highest expected
similarity chooses one. Expected similarity is also the evidence by which a refined place is weighed against the given
one. Heatmaps that were learned as Gaussians are read at their peak.

Arrays are NumPy arrays or torch tensors of one device, whichever the network returns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import array_api_compat
import numpy as np

from posefix.pose import geometry
from posefix.pose.similarity import Array, falloff
from posefix.skeletons import Skeleton

DecoderName = Literal["soft_argmax", "expected_similarity", "gaussian_peak"]
"""The mean of the heatmap (paper eq. 2), the place of the highest expected similarity, or, for heatmaps learned as
Gaussians, the highest cell with a shift towards its higher neighbours (Xiao et al. 2018)."""

PERSON_SHARE = 0.2
"""Area of a person (COCO's, a mask's) as a share of the crop: .53 of a box that fills 1 / 1.5 of each side, a little
less since most people are narrower than the crop."""
GRID_BLUR = 0.75
"""The heatmap itself is no sharper than this many cells."""
WIDER = 2.5
"""How much further the vicinity of a place reaches than its keypoint similarity."""
ASCENT_STEPS = 8
PEAK_SHIFT = 0.25
"""Shift towards the higher neighbour of a peak, in cells (Xiao et al. 2018, after Newell et al. 2016)."""


@dataclass(frozen=True)
class Evidence:
    """What the network says of B people, K keypoints each.

    Attributes:
        keypoints: (B, K, 2) refined places in crop pixels.
        similarity: (B, K) expected keypoint similarity (KS) of the refined places to the truth, the heatmap being
            what is believed.
        vicinity: (B, K) the same with a reach `WIDER` times as long: how much of the heatmap lies thereabouts.
        given_similarity: (B, K) expected KS of the places that were given.
        given_vicinity: (B, K).
    """

    keypoints: Array
    similarity: Array
    vicinity: Array
    given_similarity: Array
    given_vicinity: Array


def normalize(logits: Array) -> Array:
    """Heatmaps (B, K, h, w) of probability from logits: the spatial softmax."""
    xp = array_api_compat.array_namespace(logits)
    shifted = xp.exp(logits - xp.max(logits, axis=(2, 3), keepdims=True))
    return shifted / xp.sum(shifted, axis=(2, 3), keepdims=True)


def clip_and_scale(gaussians: Array) -> Array:
    """Heatmaps (B, K, h, w) of probability from Gaussians that a network learned: what is above 0, summing to one."""
    xp = array_api_compat.array_namespace(gaussians)
    above = xp.clip(gaussians, 1e-12, None)
    return above / xp.sum(above, axis=(2, 3), keepdims=True)


class Decoder:
    """Reads places and evidence off heatmaps.

    Args:
        skeleton: Names the K keypoints and their sigmas.
        size_wh: Crop width and height in pixels; the size of the person follows from it.
        name: How places are read off.

    Raises:
        InputError: A keypoint of the skeleton has no sigma.
    """

    def __init__(
        self, skeleton: Skeleton, size_wh: tuple[int, int], name: DecoderName = "expected_similarity"
    ) -> None:
        self.size_wh = size_wh
        self.name = name
        self.falloff = falloff(np.array(PERSON_SHARE * size_wh[0] * size_wh[1]), skeleton.sigmas)
        self._grids: dict[Any, Grid] = {}

    def probability(self, heatmaps: Array) -> Array:
        """Heatmaps (B, K, h, w) as the network returns them -> the same, each summing to one."""
        return clip_and_scale(heatmaps) if self.name == "gaussian_peak" else normalize(heatmaps)

    def __call__(self, probability: Array, given: Array) -> Evidence:
        """Decode heatmaps.

        Args:
            probability: (B, K, h, w), each heatmap sums to one.
            given: (B, K, 2) in crop pixels.
        """
        grid = self._grid(probability)
        places = self._places(grid, probability)
        return Evidence(
            places,
            *(grid.smoothed(probability, places, factor) for factor in (1.0, WIDER)),
            *(grid.smoothed(probability, given, factor) for factor in (1.0, WIDER)),
        )

    def _places(self, grid: Grid, probability: Array) -> Array:
        if self.name == "soft_argmax":
            return grid.mean(probability)
        return grid.peak(probability) if self.name == "gaussian_peak" else grid.likely_place(probability)

    def _grid(self, probability: Array) -> Grid:
        """The grid of such heatmaps, kept for the next batch."""
        xp, device = array_api_compat.array_namespace(probability), array_api_compat.device(probability)
        key = (xp.__name__, str(device), probability.shape[2:])
        if key not in self._grids:
            height, width = probability.shape[2:]
            stride = self.size_wh[0] // width
            reach = np.hypot(self.falloff, GRID_BLUR * stride)

            def array(values: np.typing.NDArray[np.float64]) -> Array:
                return xp.asarray(values.astype(np.float32), device=device)

            self._grids[key] = Grid(
                x=array(geometry.scaled(np.arange(float(width)), stride)),
                y=array(geometry.scaled(np.arange(float(height)), stride)),
                reach=array(reach[:, None]),
            )
        return self._grids[key]


@dataclass(frozen=True)
class Grid:
    """Where the cells of a heatmap lie, and how far keypoint similarity reaches.

    KS falls off as a Gaussian, a product of one in x and one in y, so sums over the grid are two matrix products.

    Attributes:
        x: (w,) centres of the columns in crop pixels.
        y: (h,) centres of the rows.
        reach: (K, 1) distance at which KS is 1/e in crop pixels, not below what the grid can tell apart.
    """

    x: Array
    y: Array
    reach: Array

    def mean(self, probability: Array) -> Array:
        """The soft-argmax (paper eq. 2): (B, K, 2)."""
        xp = array_api_compat.array_namespace(probability)
        x = xp.sum(xp.sum(probability, axis=2) * self.x, axis=-1)
        y = xp.sum(xp.sum(probability, axis=3) * self.y, axis=-1)
        return xp.stack([x, y], axis=-1)

    def peak(self, probability: Array) -> Array:
        """The centre (B, K, 2) of the highest cell, shifted by `PEAK_SHIFT` towards its higher neighbours."""
        xp = array_api_compat.array_namespace(probability)
        height, width = probability.shape[2:]
        flat = xp.reshape(probability, (-1, height * width))
        best = xp.argmax(flat, axis=1)
        each = xp.arange(len(flat), device=array_api_compat.device(flat))
        places = []
        for centres, cell, step in ((self.x, best % width, 1), (self.y, best // width, width)):
            inner = (cell > 0) & (cell < len(centres) - 1)
            before, after = (flat[each, best + sign * step * inner] for sign in (-1, 1))
            places.append(centres[cell] + PEAK_SHIFT * (centres[1] - centres[0]) * xp.sign(after - before))
        return xp.reshape(xp.stack(places, axis=-1), (*probability.shape[:2], 2))

    def smoothed(self, probability: Array, places: Array, factor: float) -> Array:
        """The heatmap's mean of KS to places (B, K, 2), with `factor` times the reach: (B, K)."""
        column, row = self._around(places, factor * self.reach)
        return (column[..., None, :] @ probability @ row[..., None])[..., 0, 0]

    def likely_place(self, probability: Array) -> Array:
        """The place (B, K, 2) of the highest expected KS: the best cell, then mean-shift."""
        xp = array_api_compat.array_namespace(probability)
        smooth_x, smooth_y = self._kernels
        width = probability.shape[3]
        smooth = smooth_y @ probability @ smooth_x
        best = xp.argmax(smooth.reshape(*probability.shape[:2], -1), axis=-1)
        places = xp.stack([self.x[best % width], self.y[best // width]], axis=-1)
        for _ in range(ASCENT_STEPS):
            places = self._shifted(probability, places)
        return places

    def _shifted(self, probability: Array, places: Array) -> Array:
        """One step of mean-shift: the mean of the heatmap under the KS to the present places."""
        xp = array_api_compat.array_namespace(probability)
        column, row = self._around(places, self.reach)
        columns = xp.stack([column, column * self.y], axis=-2)
        rows = xp.stack([row, row * self.x], axis=-1)
        sums = columns @ probability @ rows
        total = xp.clip(sums[..., 0, 0], 1e-12, None)
        return xp.stack([sums[..., 0, 1] / total, sums[..., 1, 0] / total], axis=-1)

    def _around(self, places: Array, reach: Array) -> tuple[Array, Array]:
        """KS of each row (B, K, h) and of each column (B, K, w) of the grid to places (B, K, 2)."""
        xp = array_api_compat.array_namespace(places)
        column = xp.exp(-(((self.y - places[..., 1:]) / reach) ** 2))
        row = xp.exp(-(((self.x - places[..., :1]) / reach) ** 2))
        return column, row

    @cached_property
    def _kernels(self) -> tuple[Array, Array]:
        """KS between all columns (K, w, w) and between all rows (K, h, h)."""
        xp = array_api_compat.array_namespace(self.x)
        reach = self.reach[..., None]
        return (
            xp.exp(-(((self.x[:, None] - self.x) / reach) ** 2)),
            xp.exp(-(((self.y[:, None] - self.y) / reach) ** 2)),
        )
