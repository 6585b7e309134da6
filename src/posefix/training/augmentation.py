"""Random changes of a crop: what a recipe may ask for, what is drawn, and how pixels change.

What is drawn for a crop is drawn apart from its pixels, so that a crop is the same wherever it is made.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from posefix.errors import InputError

MOST_DETAIL_LOST = 4.0
"""A crop that loses detail is made smaller by up to this factor and enlarged again."""
LEAST_COVER, MOST_COVER = 0.1, 0.4
"""A covering rectangle's sides are at least and at most this share of the crop's."""


@dataclass(frozen=True)
class AugmentationConfig:
    """Random changes of the crop; the defaults are the paper's (section 6) in the form of its code.

    Attributes:
        scale: The box is scaled by a normal number around one with this standard deviation, clipped there.
        rotation_degrees: Standard deviation of the rotation, clipped at twice that.
        rotation_rate: Probability of a rotation.
        flip_rate: Probability of a mirror image.
        shift: The box moves by up to this share of its sides.
        stretch: The crop's sides are stretched against each other by up to this share, as photos are that somebody
            squeezed into a square.
        colour: Gain and offset of each colour channel vary by up to this share.
        half_body_rate: Probability that only the upper or only the lower body is input, box and target, as with
            people cut off by the edge of a photo.
        crowding_rate: Probability that another person of the batch is pasted beside (`posefix.training.crowding`).
        low_resolution_rate: Probability that the crop loses detail, as if the person were small in the photo.
        cut_out_rate: Probability that a rectangle of the crop is covered, as by a thing in front of the person.
    """

    scale: float = 0.3
    rotation_degrees: float = 40.0
    rotation_rate: float = 0.6
    flip_rate: float = 0.5
    shift: float = 0.0
    stretch: float = 0.0
    colour: float = 0.0
    half_body_rate: float = 0.0
    crowding_rate: float = 0.0
    low_resolution_rate: float = 0.0
    cut_out_rate: float = 0.0

    def __post_init__(self) -> None:
        shares = (field.name for field in dataclasses.fields(self) if field.name.endswith("_rate"))
        for name in (*shares, "colour"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must be from 0 to 1, got {getattr(self, name)}")
        for name in ("rotation_degrees", "shift", "stretch"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} must be at least 0, got {getattr(self, name)}")
        if not 0 <= self.scale < 1:
            raise InputError(f"scale must be at least 0 and below 1, got {self.scale}")


@dataclass(frozen=True)
class Spoil:
    """How a crop loses detail or is covered.

    Attributes:
        small_wh: Width and height that the crop is shrunk to before it is enlarged again; None to keep its detail.
        cover: left, top, right, bottom of the covering rectangle, right and bottom excluded; None for none.
        colour: Of the rectangle.
    """

    small_wh: tuple[int, int] | None = None
    cover: tuple[int, int, int, int] | None = None
    colour: tuple[int, int, int] = (0, 0, 0)

    def apply(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """A crop (H, W, 3) that has lost detail, or is partly covered, or is what it was."""
        height, width = image.shape[:2]
        if self.small_wh is not None:
            small = cv2.resize(image, self.small_wh, interpolation=cv2.INTER_AREA)
            enlarged = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
            image = np.asarray(enlarged, dtype=np.uint8)
        if self.cover is not None:
            left, top, right, bottom = self.cover
            image = image.copy()
            image[top:bottom, left:right] = self.colour
        return image


def draw_spoil(
    augmentation: AugmentationConfig, size_wh: tuple[int, int], generator: np.random.Generator
) -> Spoil:
    """How the next crop of this width and height is spoiled, if it is."""
    small, cover, colour = None, None, (0, 0, 0)
    width, height = size_wh
    if augmentation.low_resolution_rate > generator.random():
        factor = generator.uniform(1, MOST_DETAIL_LOST)
        small = round(width / factor), round(height / factor)
    if augmentation.cut_out_rate > generator.random():
        sides = np.array([width, height])
        half = sides * generator.uniform(LEAST_COVER, MOST_COVER, 2) / 2
        centre = sides * generator.random(2)
        (left, top), (right, bottom) = np.clip([centre - half, centre + half], 0, sides).round().astype(int)
        cover = int(left), int(top), int(right), int(bottom)
        red, green, blue = generator.integers(0, 256, 3).tolist()
        colour = red, green, blue
    return Spoil(small, cover, colour)


def change_colours(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Random gain and offset for each colour channel: (B, H, W, 3) -> float of the same shape in 0..255.

    Half of the change is common to the three channels (brightness and contrast), half is each channel's own.
    """
    shape = (images.shape[0], 1, 1, 1)
    channels = (images.shape[0], 1, 1, 3)

    def spread() -> Tensor:
        common = torch.rand(shape, generator=generator, device=images.device) * 2 - 1
        own = torch.rand(channels, generator=generator, device=images.device) * 2 - 1
        return strength * (common + own) / 2

    pixels = images.float()
    mean = pixels.mean(dim=(1, 2), keepdim=True)
    return ((pixels - mean) * (1 + spread()) + mean * (1 + spread())).clamp(0, 255)
