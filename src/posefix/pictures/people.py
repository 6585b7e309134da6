"""Several people in one picture, told apart by colour and number, in crowds too."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from posefix.pictures.drawing import (
    PEOPLE,
    RIM,
    TAG_SIDE,
    Colour,
    Image,
    Points,
    draw_line,
    draw_poses,
    draw_tag,
)
from posefix.skeletons import Skeleton

GOLDEN_SHARE = 0.381966
"""Of the circle of hues, from one person to the next: no hue comes twice, and neighbours in number are far apart."""
SHADES = ((0.62, 0.85), (0.5, 0.95), (0.78, 0.7))
"""Lightness and saturation, one after the other."""
RINGS = 8
"""So many times its own size a number looks for free room around a head."""

TURNS = 2 * np.pi * np.array([0.0, 0.5, 0.125, 0.375, 0.25, 0.625, 0.875, 0.75])
DIRECTIONS = np.stack([np.cos(TURNS), -np.sin(TURNS)], axis=1)
RINGS_AROUND = 1.3 * TAG_SIDE * np.arange(1, RINGS + 1)[:, None, None] * DIRECTIONS
AROUND = np.array([0, -1.6 * TAG_SIDE]) + np.concatenate([np.zeros((1, 2)), RINGS_AROUND.reshape(-1, 2)])
"""From a head to a number: above it, then on wider and wider rings around that place, the upper ones first."""
ROOM = np.array([TAG_SIDE + 8, TAG_SIDE + 3])
"""The middles of two numbers are so far apart, across or down."""


def people_colours(count: int) -> list[Colour]:
    """A colour for each of so many people, all different: `PEOPLE` as far as they go, else hues around the circle."""
    if count <= len(PEOPLE):
        return list(PEOPLE[:count])
    colours = []
    for number in range(count):
        lightness, saturation = SHADES[number % len(SHADES)]
        rgb = colorsys.hls_to_rgb(number * GOLDEN_SHARE % 1, lightness, saturation)
        red, green, blue = (round(255 * value) for value in rgb)
        colours.append((red, green, blue))
    return colours


def draw_people(image: Image, keypoints: Points, valid: npt.NDArray[np.bool_], skeleton: Skeleton) -> Image:
    """Draw several people so that they are told apart: limbs of one colour each, and a number beside the head.

    Keypoints keep the colour and shape of their side. The order of the people gives colours and numbers, so that the
    same people in the same order look the same before and after. A number that would cover another one stands farther
    off, with a line to its person.

    Args:
        image: (H, W, 3) uint8 RGB.
        keypoints: (N, K, 2) in pixels of this photo.
        valid: (N, K).
        skeleton: Names the keypoints.
    """
    colours = people_colours(len(keypoints))
    canvas = draw_poses(image, keypoints, valid, skeleton, limb_colours=colours)
    if len(keypoints) < 2:
        return canvas
    size_wh = np.array(canvas.shape[1::-1], dtype=np.float64)
    shown = valid & (keypoints > 0).all(axis=-1) & (keypoints < size_wh).all(axis=-1)
    tops = {
        number: pose[there][pose[there, 1].argmin()]
        for number, (pose, there) in enumerate(zip(keypoints, shown, strict=True))
        if there.any()
    }
    places = _free_places(list(tops.values()), size_wh)
    for (number, top), place in zip(tops.items(), places, strict=True):
        if np.linalg.norm(place - top) > 2.5 * TAG_SIDE:
            for colour, width in ((RIM, 3), (colours[number], 1)):
                draw_line(canvas, top, place, colour, width)
    for number, place in zip(tops, places, strict=True):
        draw_tag(canvas, str(number + 1), place, colours[number])
    return canvas


def _free_places(tops: Sequence[Points], size_wh: Points) -> list[Points]:
    """Where the numbers of people stand: above their heads, or as near as there is room beside those before them."""
    width, height = size_wh.astype(int).tolist()
    taken = np.zeros((height, width), dtype=bool)  # where the middle of another number would cover one
    places: list[Points] = []
    for top in tops:
        options = np.clip(top + AROUND, TAG_SIDE, np.maximum(size_wh - TAG_SIDE, TAG_SIDE))
        x, y = np.minimum(np.rint(options).astype(int), size_wh.astype(int) - 1).T
        free = np.flatnonzero(~taken[y, x])
        chosen = int(free[0]) if len(free) else 0
        places.append(options[chosen])
        low = np.maximum([x[chosen], y[chosen]] - ROOM, 0)
        taken[low[1] : y[chosen] + ROOM[1] + 1, low[0] : x[chosen] + ROOM[0] + 1] = True
    return places
