"""Drawing wrong poses as PoseRefiner does (Fieraru et al., CVPR workshops 2018, their section 3).

The rules are made up, not measured, which is what the paper holds against them: left and right keypoints change places,
keypoints go to the same keypoint of somebody near by, all are shifted, most a little and some far, and some are
removed. Nothing is asked of the result, so that a shifted keypoint may well be good, and a switched one a miss.

Their code does not contain this step, and neither these rules nor their numbers, the defaults of `AdHocOptions`, could
be checked against their text: a comparison has to say so.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from posefix.errors import InputError
from posefix.pose.similarity import Array
from posefix.pose_errors.synthesis import Draw, Generator, WrongPoses
from posefix.pose_errors.taxonomy import LabelledPeople, Status, classify
from posefix.skeletons import Skeleton

PIXELS = 1 / 157
"""Of a person 340 pixels tall, the size that PoseRefiner brings everybody to, in units of the square root of the
area: the area is .53 of a box of 340 x 136 pixels, as in the data's conventions for people without a mask."""


@dataclass(frozen=True)
class AdHocOptions:
    """How often and how far; lengths in units of the square root of the person's area.

    Attributes:
        switch_rate: Probability that a left keypoint and its right partner change places.
        neighbour_rate: Probability that a keypoint goes to the same keypoint of a neighbour that is near enough.
        neighbour_reach: How near that is.
        short_shift: Longest of the short shifts.
        long_shift: Longest of the long shifts, which begin where the short ones end.
        long_shift_rate: Share of the shifts that are long.
        removal_rate: Probability that a keypoint is removed.
    """

    switch_rate: float = 0.1
    neighbour_rate: float = 0.3
    neighbour_reach: float = 75 * PIXELS
    short_shift: float = 25 * PIXELS
    long_shift: float = 125 * PIXELS
    long_shift_rate: float = 0.1
    removal_rate: float = 0.3

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not value >= 0 or (name.endswith("_rate") and value > 1):
                limits = "from 0 to 1" if name.endswith("_rate") else "at least 0"
                raise InputError(f"{name} must be {limits}, got {value}")
        if self.long_shift < self.short_shift:
            raise InputError(f"long_shift must be at least short_shift, got {self.long_shift}")


def synthesize_ad_hoc(
    people: LabelledPeople, skeleton: Skeleton, generator: Generator, options: AdHocOptions | None = None
) -> WrongPoses:
    """Draw one wrong pose for each person; the statuses are those that classification finds.

    Args:
        people: B true poses with their neighbours; NumPy arrays or torch tensors on any device.
        skeleton: Names the K keypoints and their flip pairs.
        generator: Source of all randomness: the same state gives the same poses.
        options: How often and how far.
    """
    options = options or AdHocOptions()
    draw = Draw(generator, people.keypoints)
    xp, shape = draw.xp, people.labelled.shape
    size = xp.sqrt(people.area)[:, None]
    keypoints = _switch(people, skeleton, draw, options)
    keypoints = _go_to_neighbours(keypoints, people, size, draw, options)
    keypoints = keypoints + _shifts(shape, draw, options) * size[..., None]
    present = people.labelled & (draw.uniform(*shape) >= options.removal_rate)
    status = xp.where(present, classify(keypoints, people, skeleton), int(Status.UNLABELLED))
    return WrongPoses(xp.where(present[..., None], keypoints, people.keypoints), present, status)


def _switch(people: LabelledPeople, skeleton: Skeleton, draw: Draw, options: AdHocOptions) -> Array:
    """The true places (B, K, 2), some labelled left/right pairs exchanged."""
    xp = draw.xp
    flip = xp.asarray(skeleton.flip_index.copy(), device=draw.device)
    # Both keypoints of a pair look at the number that was drawn for the first of them.
    first = xp.asarray(np.minimum(skeleton.flip_index, np.arange(len(skeleton))), device=draw.device)
    drawn = xp.take(draw.uniform(*people.labelled.shape), first, axis=1) < options.switch_rate
    able = people.labelled & xp.take(people.labelled, flip, axis=1)
    return xp.where((drawn & able)[..., None], xp.take(people.keypoints, flip, axis=1), people.keypoints)


def _go_to_neighbours(
    keypoints: Array, people: LabelledPeople, size: Array, draw: Draw, options: AdHocOptions
) -> Array:
    """Some keypoints (B, K, 2) put on the nearest neighbour's of the same name, if it is within reach."""
    xp = draw.xp
    chosen = draw.uniform(*people.labelled.shape) < options.neighbour_rate
    if people.neighbour_keypoints.shape[1] == 0:
        return keypoints
    offset = people.neighbour_keypoints - people.keypoints[:, None]
    distance = xp.sqrt(xp.sum(offset**2, axis=-1))
    distance = xp.where(people.neighbour_labelled, distance, xp.inf)
    nearest = xp.argmin(distance, axis=1)
    row = xp.arange(nearest.shape[0], device=draw.device)[:, None]
    column = xp.arange(nearest.shape[1], device=draw.device)[None, :]
    near = xp.min(distance, axis=1) <= options.neighbour_reach * size
    return xp.where((chosen & near)[..., None], people.neighbour_keypoints[row, nearest, column], keypoints)


def _shifts(shape: tuple[int, ...], draw: Draw, options: AdHocOptions) -> Array:
    """Displacements (B, K, 2) of even direction and, within the short and the long ones, even length."""
    xp = draw.xp
    long, part = draw.uniform(*shape) < options.long_shift_rate, draw.uniform(*shape)
    least = xp.where(long, options.short_shift, 0.0)
    most = xp.where(long, options.long_shift, options.short_shift)
    angle = 2 * np.pi * draw.uniform(*shape)
    length = least + part * (most - least)
    return xp.astype(length[..., None] * xp.stack([xp.cos(angle), xp.sin(angle)], axis=-1), xp.float32)
