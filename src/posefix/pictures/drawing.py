"""Poses drawn on photos, before and after.

Sides are told apart twice, by colour (Okabe and Ito's, distinct in every kind of colour vision) and by shape; every
line has a dark rim, so it stands out on light and dark photos alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.files import ensure_writable, write_bytes_atomic
from posefix.pose import geometry
from posefix.skeletons import Skeleton

Image = npt.NDArray[np.uint8]
Points = npt.NDArray[np.float64]
Colour = tuple[int, int, int]

RIM: Colour = (20, 20, 20)
LIGHT: Colour = (245, 245, 245)
TRAIL: Colour = (240, 120, 170)
PICTURE_HEIGHT = 720
BAR_HEIGHT = 40
TEXT_SCALE = 0.65
CONTEXT = 0.3
"""How much of the photo a close-up shows on each side of a person, in units of the longer side of the box."""
SUBPIXEL_BITS = 4
ONE_PIXEL = 1 << SUBPIXEL_BITS
FARTHEST_PIXEL = 10_000.0
"""OpenCV draws with 32-bit numbers in fractions of a pixel; points beyond are drawn here."""
VISIBLE_MOVE = 3.0
"""Shorter moves, in units of the line width, would hide under their own keypoint."""
PEOPLE: tuple[Colour, ...] = (
    (0, 158, 115),
    (204, 121, 167),
    (240, 228, 66),
    (213, 94, 0),
    (0, 114, 178),
    (235, 235, 235),
)
"""Colours of people: Okabe and Ito's without those of the sides, and white; for more, `people.people_colours`."""
DIAMOND = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
SQUARE = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]]) / np.sqrt(2)
"""Corners of markers, at the distance 1 from the middle."""
TAG_SIDE = 17
LUMINANCE = (0.2126, 0.7152, 0.0722)
DARK_TEXT_ABOVE = 105.0


class Side(Enum):
    """Side of the body that a keypoint is on, with its colour (RGB)."""

    LEFT = (240, 165, 0)
    RIGHT = (86, 180, 233)
    MIDDLE = LIGHT


@dataclass(frozen=True)
class View:
    """The part of a photo that a picture shows, and how large.

    Attributes:
        matrix: (2, 3), photo pixels -> picture pixels.
        size_wh: Width and height of the picture, pixels.
    """

    matrix: Points
    size_wh: tuple[int, int]

    def show(self, image: Image) -> Image:
        """The picture without poses."""
        return geometry.warp(image, self.matrix, self.size_wh)

    def place(self, keypoints: Points) -> Points:
        """Keypoints (N, K, 2) in pixels of the picture."""
        return geometry.transform(np.broadcast_to(self.matrix, (len(keypoints), 2, 3)), keypoints)


def close_up(
    image: Image, keypoints: Points, valid: npt.NDArray[np.bool_], *, height: int = PICTURE_HEIGHT
) -> View:
    """The view of a photo in which its people fill the picture.

    Args:
        image: (H, W, 3).
        keypoints: (N, K, 2) in pixels of the photo.
        valid: (N, K).
        height: Of the picture, pixels.
    """
    photo = geometry.photo_box(image.shape)
    boxes = geometry.box_from_keypoints(keypoints, valid)[valid.any(axis=1)]
    box = photo
    if len(boxes):
        margin = CONTEXT * boxes[:, 2:].max(axis=1, keepdims=True)
        low = np.maximum((boxes[:, :2] - margin).min(axis=0), photo[:2])
        high = np.minimum((boxes[:, :2] + boxes[:, 2:] + margin).max(axis=0), photo[:2] + photo[2:])
        if (high - low).min() >= 1:
            box = np.concatenate([low, high - low])
    scale = height / box[3]
    # The picture's top-left corner, at the same place as the photo's own, shows that of the box.
    matrix = np.column_stack([np.eye(2) * scale, photo[:2] - box[:2] * scale])
    return View(matrix, (max(1, round(box[2] * scale)), height))


def draw_poses(
    image: Image,
    keypoints: Points,
    valid: npt.NDArray[np.bool_],
    skeleton: Skeleton,
    *,
    limb_colours: Sequence[Colour] | None = None,
    size: float | None = None,
) -> Image:
    """Draw limbs and keypoints on a copy of a photo.

    Left is orange and round, right blue and square, the middle white and diamond-shaped.

    Args:
        image: (H, W, 3) uint8 RGB.
        keypoints: (N, K, 2) in pixels of this photo; keypoints outside the photo are legal.
        valid: (N, K); other keypoints, and limbs that end in them, are not drawn.
        skeleton: Says what limbs there are and which side a keypoint is on.
        limb_colours: One for each person's limbs; those of their sides by default.
        size: Of the people, pixels, for the width of lines; by default each has the width of the pose's own size.
    """
    canvas = np.ascontiguousarray(image).copy()
    sides = keypoint_sides(skeleton)
    colours: Sequence[Colour | None] = limb_colours or [None] * len(keypoints)
    units = _units(keypoints, valid) if size is None else [_unit(size)] * len(keypoints)
    for pose, there, unit, own in zip(keypoints, valid, units, colours, strict=True):
        limbs = [(start, end) for start, end in skeleton.limb_index.tolist() if there[start] and there[end]]
        width = max(1, round(2 * unit))
        for start, end in limbs:  # all rims first, so that none cuts through a limb
            draw_line(canvas, pose[start], pose[end], RIM, width + _rim(unit))
        for start, end in limbs:
            draw_line(
                canvas, pose[start], pose[end], own or _limb_side(sides[start], sides[end]).value, width
            )
        for index in np.flatnonzero(there).tolist():
            _marker(canvas, pose[index], sides[index], 2.6 * unit)
    return canvas


def draw_line(canvas: Image, start: Points, end: Points, colour: Colour, width: int) -> None:
    """Draw a line between two places (2,) of a canvas, which is drawn on."""
    cv2.line(canvas, _fixed(start), _fixed(end), colour, width, cv2.LINE_AA, SUBPIXEL_BITS)


def draw_tag(canvas: Image, text: str, place: Points, colour: Colour) -> None:
    """Write a short text into a small box of a colour, centred at a place, or as near as the canvas has room.

    Args:
        canvas: (H, W, 3) uint8 RGB; drawn on.
        text: A letter or number.
        place: (2,) pixels of the canvas.
        colour: Of the box; the text is black or white, whichever stands out.
    """
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
    half = np.array([max(width + 6, TAG_SIDE), TAG_SIDE]) / 2
    limits = np.maximum(np.array(canvas.shape[1::-1]) - 2 - half, half + 1)
    x, y = np.clip(place, half + 1, limits)
    low, high = (round(x - half[0]), round(y - half[1])), (round(x + half[0]), round(y + half[1]))
    cv2.rectangle(canvas, low, high, RIM, 3)
    cv2.rectangle(canvas, low, high, colour, -1)
    start = (round(x - width / 2), round(y + height / 2))
    cv2.putText(canvas, text, start, cv2.FONT_HERSHEY_SIMPLEX, 0.45, ink_on(colour), 1, cv2.LINE_AA)


def ink_on(colour: Colour) -> Colour:
    """The colour of text on another: dark or light, whichever stands out."""
    return RIM if float(np.dot(colour, LUMINANCE)) > DARK_TEXT_ABOVE else LIGHT


def draw_moves(image: Image, before: Points, after: Points, moved: npt.NDArray[np.bool_]) -> Image:
    """Draw on a copy of a photo where keypoints came from: a ring at the old place and a line to the new one.

    Args:
        image: (H, W, 3) uint8 RGB.
        before: (N, K, 2) in pixels of this photo.
        after: (N, K, 2) in pixels of this photo.
        moved: (N, K); moves too short to be seen are left out.
    """
    canvas = np.ascontiguousarray(image).copy()
    for old, new, shown, unit in zip(before, after, moved, _units(after, moved), strict=True):
        far = shown & (np.linalg.norm(new - old, axis=-1) > VISIBLE_MOVE * unit)
        width = max(1, round(unit))
        for colour, thickness in ((RIM, width + _rim(unit)), (TRAIL, width)):
            for index in np.flatnonzero(far).tolist():
                _trail(canvas, old[index], new[index], colour, thickness, 3.2 * unit)
    return canvas


def side_by_side(pictures: Sequence[Image], titles: Sequence[str]) -> Image:
    """Set pictures of one height beside each other, each under its title.

    Args:
        pictures: (H, W, 3) uint8 RGB each.
        titles: One for each picture; ASCII, the font has no other letters.

    Returns:
        (H + `BAR_HEIGHT`, sum of widths and gaps, 3) uint8 RGB.
    """
    gap = np.full((pictures[0].shape[0] + BAR_HEIGHT, 4, 3), RIM, dtype=np.uint8)
    columns: list[Image] = []
    for picture, title in zip(pictures, titles, strict=True):
        columns += [gap, np.concatenate([caption(title, picture.shape[1]), picture])]
    return np.concatenate(columns[1:], axis=1)


def caption(text: str, width: int) -> Image:
    """A dark bar (`BAR_HEIGHT`, width, 3) with a line of ASCII text, smaller where it would not fit."""
    bar = np.full((BAR_HEIGHT, width, 3), RIM, dtype=np.uint8)
    (length, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, TEXT_SCALE, 1)
    _text(bar, text, 12, scale=min(TEXT_SCALE, TEXT_SCALE * (width - 24) / max(length, 1)))
    return bar


def before_after(
    image: Image,
    before: tuple[Points, npt.NDArray[np.bool_]],
    after: tuple[Points, npt.NDArray[np.bool_]],
    skeleton: Skeleton,
    *,
    view: View | None = None,
    limb_colours: Sequence[Colour] | None = None,
) -> Image:
    """Show the people of a photo twice, with a legend: as they were, and as they are with what moved marked.

    Args:
        image: (H, W, 3) uint8 RGB.
        before: Keypoints (N, K, 2) in pixels of the photo, and which of them (N, K) are valid.
        after: The same people's.
        skeleton: Names the keypoints.
        view: What is shown of the photo; by default its people, `PICTURE_HEIGHT` high.
        limb_colours: As in `draw_poses`.

    Returns:
        (height of the view + two bars, W, 3) uint8 RGB.
    """
    (old, old_valid), (new, new_valid) = before, after
    if view is None:
        view = close_up(image, np.concatenate([old, new]), np.concatenate([old_valid, new_valid]))
    photo, old, new = view.show(image), view.place(old), view.place(new)
    left = draw_poses(photo, old, old_valid, skeleton, limb_colours=limb_colours)
    marked = draw_moves(photo, old, new, old_valid & new_valid)
    right = draw_poses(marked, new, new_valid, skeleton, limb_colours=limb_colours)
    pair = side_by_side([left, right], ["before", "after"])
    return np.concatenate([pair, _legend(pair.shape[1])])


def check_picture_path(path: str | Path) -> None:
    """Find out before the work whether `write_picture` will be able to write.

    Raises:
        InputError: The ending is not that of a picture format, or the file cannot be written.
    """
    if not Path(path).suffix or not cv2.haveImageWriter(str(path)):
        raise InputError(
            f"picture: expected a file name ending in .png or .jpg, got {path}; rename the output"
        )
    ensure_writable(path)


def write_picture(path: str | Path, picture: Image) -> None:
    """Write a picture, (H, W, 3) uint8 RGB, in the format that the file name's ending says.

    Raises:
        InputError: See `check_picture_path`.
    """
    check_picture_path(path)
    _, encoded = cv2.imencode(Path(path).suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    write_bytes_atomic(path, encoded.tobytes())


def keypoint_sides(skeleton: Skeleton) -> list[Side]:
    """The side of each keypoint: told by the name of the left one of each flip pair."""
    sides = dict.fromkeys(skeleton.keypoint_names, Side.MIDDLE)
    for first, second in skeleton.flip_pairs:
        left, right = (second, first) if "right" in first.lower() else (first, second)
        sides[left], sides[right] = Side.LEFT, Side.RIGHT
    return [sides[name] for name in skeleton.keypoint_names]


def _limb_side(start: Side, end: Side) -> Side:
    """A limb between the middle and a side belongs to the side; one from left to right to neither."""
    if start is Side.MIDDLE:
        return end
    return start if end in (start, Side.MIDDLE) else Side.MIDDLE


def _units(keypoints: Points, valid: npt.NDArray[np.bool_]) -> list[float]:
    """Half the width of a limb's line, pixels, by the person's size: thin on small people, never below a pixel."""
    return [
        _unit(size) for size in geometry.box_from_keypoints(keypoints, valid)[:, 2:].max(axis=1, initial=0)
    ]


def _unit(size: float) -> float:
    return float(np.clip(size / 200, 0.8, 2.5))


def _fixed(values: Iterable[float]) -> list[int]:
    """Numbers in the fractions of a pixel that OpenCV draws with."""
    # In plain Python: NumPy takes ten times as long for two numbers, and a photo may show thousands of people.
    return [round(min(max(float(one), -FARTHEST_PIXEL), FARTHEST_PIXEL) * ONE_PIXEL) for one in values]


def _rim(unit: float) -> int:
    """How much wider than a line its rim is: never less than a pixel on each side."""
    return max(2, round(1.6 * unit))


def _trail(canvas: Image, old: Points, new: Points, colour: Colour, width: int, radius: float) -> None:
    cv2.circle(canvas, _fixed(old), round(radius * ONE_PIXEL), colour, width, cv2.LINE_AA, SUBPIXEL_BITS)
    direction = (new - old) / np.linalg.norm(new - old)
    draw_line(canvas, old + direction * radius, new, colour, width)


def _marker(canvas: Image, point: Points, side: Side, radius: float) -> None:
    for colour, size in ((RIM, radius + max(1.0, 0.35 * radius)), (side.value, radius)):
        if side is Side.LEFT:
            cv2.circle(canvas, _fixed(point), round(size * ONE_PIXEL), colour, -1, cv2.LINE_AA, SUBPIXEL_BITS)
            continue
        corners = point + (SQUARE if side is Side.RIGHT else DIAMOND) * (size * 1.25)
        polygon = np.array([_fixed(corner) for corner in corners.tolist()], dtype=np.int32)
        cv2.fillConvexPoly(canvas, polygon, colour, cv2.LINE_AA, SUBPIXEL_BITS)


def _legend(width: int) -> Image:
    bar = np.full((BAR_HEIGHT, width, 3), RIM, dtype=np.uint8)
    x = 20.0
    for side, text in ((Side.LEFT, "left"), (Side.RIGHT, "right"), (Side.MIDDLE, "middle")):
        _marker(bar, np.array([x, BAR_HEIGHT / 2]), side, 6.0)
        x = _text(bar, text, round(x) + 14) + 32.0
    old, new = np.array([x, BAR_HEIGHT / 2]), np.array([x + 34, BAR_HEIGHT / 2])
    _trail(bar, old, new, TRAIL, 2, 6.0)
    _text(bar, "moved from", round(x) + 44)
    return bar


def _text(bar: Image, text: str, x: int, *, scale: float = TEXT_SCALE) -> int:
    """Write text into a bar and return where it ends."""
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    cv2.putText(bar, text, (x, BAR_HEIGHT // 2 + 7), cv2.FONT_HERSHEY_SIMPLEX, scale, LIGHT, 1, cv2.LINE_AA)
    return x + width
