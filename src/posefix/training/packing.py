"""Batches whose crops the device makes: workers read and decode, the device cuts, turns, pastes, blurs and covers.

A worker sends the pictures as they are, one behind the other, with a matrix for each crop. The device does what
OpenCV does in a worker, for the whole batch at once, with the same numbers drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from posefix.nn.heatmaps import to_grid
from posefix.people import PersonRecords
from posefix.pose import geometry
from posefix.training.augmentation import Spoil
from posefix.training.datasets import Batch, Drawn, WrongPoseDataset
from posefix.training.loading import TensorBatch


@dataclass(frozen=True)
class PackedBatch(TensorBatch):
    """B training samples whose crops are still to be made, of V = B + D pictures; the last D are donors'.

    Attributes:
        pixels: (P, 3) uint8 RGB of all pictures, row by row.
        starts: (V,) first pixel of each picture.
        sizes_wh: (V, 2) width and height of each picture.
        matrices: (V, 2, 3) from the crop to the picture.
        pasted: (D,) place in the batch that each donor is pasted at.
        shares: (D, H, W) uint8, how much of the donor is seen; 255 is all.
        blurred: (L,) places in the batch of crops that lose detail.
        small_wh: (L, 2) width and height that they are shrunk to.
        covers: (B, 4) left, top, right, bottom of covering rectangles, right and bottom excluded; zeros for none.
        colours: (B, 3) uint8 of the rectangles.
        keypoints, weights, targets, labelled: As in `Batch`.
    """

    pixels: Tensor
    starts: Tensor
    sizes_wh: Tensor
    matrices: Tensor
    pasted: Tensor
    shares: Tensor
    blurred: Tensor
    small_wh: Tensor
    covers: Tensor
    colours: Tensor
    keypoints: Tensor
    weights: Tensor
    targets: Tensor
    labelled: Tensor

    def unpacked(self, size_wh: tuple[int, int]) -> Batch:
        """The batch, its crops made on the device that these tensors are on, without a wait for it.

        Args:
            size_wh: Crop width and height.
        """
        count = len(self.covers)
        crops = cut_packed_crops(self.pixels, self.starts, self.sizes_wh, self.matrices, size_wh)
        images = crops[:count]
        if len(self.pasted):
            under = images.index_select(0, self.pasted)
            mixed = under + self.shares[..., None].float() / 255 * (crops[count:] - under)
            images = images.index_copy(0, self.pasted, mixed.round())
        if len(self.blurred):
            chosen = images.index_select(0, self.blurred)
            images = images.index_copy(0, self.blurred, lose_detail(chosen, self.small_wh))
        images = cover(images, self.covers, self.colours)
        return Batch(images.to(torch.uint8), self.keypoints, self.weights, self.targets, self.labelled)


class PackedDataset(Dataset[PackedBatch]):
    """The samples of a `WrongPoseDataset`, packed; indexed by whole batches in the same way.

    Args:
        samples: Draws the batches and reads the pictures, which must be small ones.
    """

    def __init__(self, samples: WrongPoseDataset) -> None:
        self.samples = samples

    @property
    def records(self) -> PersonRecords:
        """The people."""
        return self.samples.records

    def __getitem__(self, key: tuple[int, ...]) -> PackedBatch:
        """One batch; `key` is (epoch, number of the batch, row, row, ...)."""
        drawn = self.samples.draw(key)
        pasted = np.flatnonzero(drawn.donors.rows >= 0)
        donors = [self.samples.donor(int(place), drawn) for place in pasted]
        views = list(zip(drawn.rows.tolist(), drawn.matrices, strict=True))
        views += [
            (int(drawn.rows[drawn.donors.rows[place]]), matrix)
            for place, (matrix, _, _) in zip(pasted, donors, strict=True)
        ]
        pictures = [self.samples.picture(row, matrix) for row, matrix in views]
        return PackedBatch(
            *_packed_pictures(pictures),
            torch.from_numpy(pasted),
            self._shares([(mask, covered) for _, mask, covered in donors]),
            *_packed_spoils(drawn),
            *drawn.poses,
        )

    def _shares(
        self, masks: Sequence[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]]
    ) -> Tensor:
        """How much of each donor is seen (D, H, W), uint8."""
        width, height = self.samples.input_size_wh
        shares = np.zeros((len(masks), height, width), dtype=np.uint8)
        for share, (mask, covered) in zip(shares, masks, strict=True):
            seen = mask if covered is None else mask * (1 - covered)
            share[:] = np.rint(255 * seen)
        return torch.from_numpy(shares)


def _packed_pictures(
    pictures: Sequence[tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`pixels`, `starts`, `sizes_wh` and `matrices` of a `PackedBatch`."""
    counts = [picture.shape[0] * picture.shape[1] for picture, _ in pictures]
    pixels = np.concatenate([picture.reshape(-1, 3) for picture, _ in pictures])
    starts = np.cumsum([0, *counts[:-1]]).astype(np.int32)
    sizes = np.array([picture.shape[1::-1] for picture, _ in pictures], dtype=np.int32)
    back = geometry.invert(np.stack([matrix for _, matrix in pictures])).astype(np.float32)
    return torch.from_numpy(pixels), torch.from_numpy(starts), torch.from_numpy(sizes), torch.from_numpy(back)


def _packed_spoils(drawn: Drawn) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`blurred`, `small_wh`, `covers` and `colours` of a `PackedBatch`."""
    spoils: list[Spoil] = drawn.spoils
    blurred = [place for place, spoil in enumerate(spoils) if spoil.small_wh is not None]
    small = [spoil.small_wh for spoil in spoils if spoil.small_wh is not None]
    return (
        torch.tensor(blurred, dtype=torch.int64),
        torch.tensor(small, dtype=torch.float32).reshape(-1, 2),
        torch.tensor([spoil.cover or (0, 0, 0, 0) for spoil in spoils], dtype=torch.int32),
        torch.tensor([spoil.colour for spoil in spoils], dtype=torch.uint8),
    )


def cut_packed_crops(
    pixels: Tensor, starts: Tensor, sizes_wh: Tensor, matrices: Tensor, size_wh: tuple[int, int]
) -> Tensor:
    """Cut crops by bilinear interpolation, black outside of the pictures: `geometry.warp` for a whole batch.

    OpenCV rounds places to 1/32 of a pixel, this does not.

    Args:
        pixels: (P, 3) of all pictures, row by row.
        starts: (V,) first pixel of each picture.
        sizes_wh: (V, 2) width and height of each picture.
        matrices: (V, 2, 3) from the crop to the picture.
        size_wh: Crop width and height.

    Returns:
        (V, H, W, 3) float32, whole numbers from 0 to 255.
    """
    width, height = (sizes_wh[:, axis, None, None] for axis in (0, 1))
    x = torch.arange(size_wh[0], device=pixels.device, dtype=torch.float32)
    y = torch.arange(size_wh[1], device=pixels.device, dtype=torch.float32)[:, None]
    places = []
    for axis, limit in ((0, width), (1, height)):
        along_x, along_y, offset = (matrices[:, axis, column, None, None] for column in range(3))
        # Far outside is as black as just outside, and fits whole numbers.
        places.append((along_x * x + along_y * y + offset).clamp(min=-2.0).minimum(limit + 1.0))
    left, top = (place.floor() for place in places)
    right_share, bottom_share = places[0] - left, places[1] - top
    left, top = left.int(), top.int()
    crops = torch.zeros((*left.shape, 3), device=pixels.device)
    for row, row_share in ((top, 1 - bottom_share), (top + 1, bottom_share)):
        for column, column_share in ((left, 1 - right_share), (left + 1, right_share)):
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            index = starts[:, None, None] + row * width + column
            found = pixels.index_select(0, torch.where(inside, index, 0).flatten()).view(crops.shape)
            crops += (row_share * column_share * inside)[..., None] * found
    return crops.round()


def lose_detail(images: Tensor, small_wh: Tensor) -> Tensor:
    """Shrink images by area averaging, each to a size of its own, and enlarge them by bilinear interpolation.

    Args:
        images: (L, H, W, 3) float32.
        small_wh: (L, 2) width and height to shrink to, whole numbers as float32.

    Returns:
        (L, H, W, 3), whole numbers.
    """
    _, height, width, _ = images.shape
    across, down = _resampling(small_wh[:, 0], width), _resampling(small_wh[:, 1], height)
    rows = torch.einsum("lij,ljwc->liwc", down, images)
    return torch.einsum("lij,lhjc->lhic", across, rows).round().clamp(0, 255)


def _resampling(small: Tensor, size: int) -> Tensor:
    """Matrices (L, size, size) that shrink a line of pixels to each of (L,) small sizes and enlarge it again."""
    index = torch.arange(size, device=small.device, dtype=torch.float32)
    step = (size / small)[:, None, None]
    cell, pixel = index[:, None], index[None, :]
    # A small pixel is the mean of the large ones under it; cells from `small` on lie behind the line's end.
    shared = ((cell + 1) * step).minimum(pixel + 1) - (cell * step).maximum(pixel)
    shrink = shared.clamp(min=0) / step * (cell < small[:, None, None])
    place = to_grid(index, step[:, 0]).clamp(min=0).minimum(small[:, None] - 1)
    enlarge = (1 - (place[:, :, None] - index).abs()).clamp(min=0)
    return enlarge @ shrink


def cover(images: Tensor, covers: Tensor, colours: Tensor) -> Tensor:
    """Images (B, H, W, 3) with rectangles (B, 4) of colours (B, 3) over them."""
    _, height, width, _ = images.shape
    left, top, right, bottom = (covers[:, side, None, None] for side in range(4))
    x = torch.arange(width, device=images.device, dtype=torch.int32)
    y = torch.arange(height, device=images.device, dtype=torch.int32)[:, None]
    covered = (x >= left) & (x < right) & (y >= top) & (y < bottom)
    return torch.where(covered[..., None], colours[:, None, None].float(), images)
