"""Pictures of synthesised poses (paper figures 3 and 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import cv2
import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.formats.coco_annotations import Annotations
from posefix.people import PersonRecords, build_records
from posefix.photos.finding import Exif, ImageId, decode_image
from posefix.pictures.drawing import (
    RIM,
    TRAIL,
    Colour,
    Image,
    caption,
    draw_poses,
    draw_tag,
    side_by_side,
)
from posefix.pictures.reach import check_drawable_people
from posefix.pose import geometry
from posefix.pose.geometry import BoolArray, FloatArray
from posefix.pose_errors.profile import ErrorProfile, load_error_profile
from posefix.pose_errors.synthesis import synthesize
from posefix.pose_errors.taxonomy import ERRORS, LabelledPeople, Status
from posefix.skeletons import Skeleton

PANEL_WH = (300, 400)
CONTEXT = 1.6
"""How much larger than the person's box a panel is, so that swaps and misses stay in it."""
FARTHEST_CONTEXT = 2.4
"""A panel never shows more than this, however far the synthesised pose reaches."""
LABELLED_TO_SHOW = 10
AREA_TO_SHOW = 80.0**2
"""Square pixels of people who are large enough to be looked at."""
TRIES = 300
MARGIN = 24
"""Pixels between a boxed keypoint and the border of its panel."""
SHORTEST_MOVE = {Status.JITTER: 10.0}
SHORTEST_OTHER_MOVE = 30.0
"""Panel pixels: shorter moves cannot be seen."""
GAP = 8
MARK_RADIUS = 9.0
BOX_HALF = 15

Figure = Literal["both", "errors", "poses"]


@dataclass(frozen=True)
class Mark:
    """How an error is drawn: told apart by letter, colour (Okabe and Ito's) and shape.

    Attributes:
        letter: For its tag.
        colour: RGB.
        turns: Corners of its outline, in turns around the keypoint; none for a circle.
    """

    letter: str
    colour: Colour
    turns: tuple[float, ...]


MARKS: dict[Status, Mark] = {
    Status.JITTER: Mark("J", (0, 158, 115), ()),
    Status.INVERSION: Mark("I", (204, 121, 167), (0.0, 0.25, 0.5, 0.75)),
    Status.SWAP: Mark("S", (213, 94, 0), (0.125, 0.375, 0.625, 0.875)),
    Status.MISS: Mark("M", (0, 114, 178), (0.75, 1 / 12, 5 / 12)),
}


def draw_examples(
    truth: Annotations,
    photos: Mapping[ImageId, Path],
    profile: str,
    *,
    people: int = 6,
    seed: int = 0,
    figure: Figure = "both",
    exif: Exif = "apply",
) -> Image:
    """One panel per kind of error (figure 3) above truth beside synthesised pose (figure 4).

    Args:
        truth: Annotated people.
        photos: The photo of each image id that has some.
        profile: A packaged error profile's name, or a profile file.
        people: How many people the lower part shows.
        seed: Another number draws other people and errors.
        figure: "errors" is the upper part alone, "poses" the lower one.
        exif: As in `decode_image`.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: A faulty profile, a photo that cannot be read, nobody with enough labelled keypoints, or a
            coordinate that no photo has.
    """
    if people < 1:
        raise InputError(f"people: expected 1 or more, got {people}")
    if seed < 0:
        raise InputError(f"seed: expected 0 or more, got {seed}")
    if figure not in get_args(Figure):
        raise InputError(f"figure: expected one of {', '.join(get_args(Figure))}, got {figure!r}")
    check_drawable_people(truth)
    records = build_records(truth, photos, truth.skeleton)
    generator = np.random.default_rng(seed)
    panels = _Panels(records, truth.skeleton, load_error_profile(profile), generator, exif)
    rows = [] if figure == "poses" else [panels.of_errors()]
    if figure != "errors":
        shown = panels.choose(people)
        per_row = max(1, len(ERRORS) // 2)
        rows += [panels.of_people(shown[start : start + per_row]) for start in range(0, people, per_row)]
    width = max(row.shape[1] for row in rows)
    padded = [
        np.pad(row, ((0, GAP), (0, width - row.shape[1]), (0, 0)), constant_values=RIM[0]) for row in rows
    ]
    return np.concatenate([*padded, _legend(width)])


class _Panels:
    """Draws wrong poses of an annotation file's people."""

    def __init__(
        self,
        records: PersonRecords,
        skeleton: Skeleton,
        profile: ErrorProfile,
        generator: np.random.Generator,
        exif: Exif,
    ) -> None:
        self.records = records
        self.skeleton = skeleton
        self.profile = profile
        self.generator = generator
        self.exif = exif

    def choose(self, count: int) -> npt.NDArray[np.int64]:
        """Random people with enough labelled keypoints to look at, and large ones if there are any."""
        labelled = self.records.labelled.sum(axis=1) >= min(LABELLED_TO_SHOW, len(self.skeleton))
        large = labelled & (self.records.area >= AREA_TO_SHOW)
        rich = np.flatnonzero(large if large.any() else labelled)
        if len(rich) == 0:
            raise InputError(f"no person has {LABELLED_TO_SHOW} labelled keypoints to show")
        return self.generator.choice(rich, size=count, replace=count > len(rich))

    def of_errors(self) -> Image:
        """One panel for each kind of error: the pose is true but for one keypoint, which is boxed."""
        panels, titles = [], []
        for error in ERRORS:
            found = self._find(error)
            if found is not None:
                panels.append(self._error_panel(error, *found))
                titles.append(f"{MARKS[error].letter}  {error.label}")
        return side_by_side(panels, titles)

    def of_people(self, rows: npt.NDArray[np.int64]) -> Image:
        """Truth beside the synthesised pose of each person."""
        panels, titles = [], []
        for row in rows.tolist():
            wrong = synthesize(self._people(row), self.skeleton, self.profile, self.generator)
            matrix = self._view(row, wrong.keypoints[0].astype(np.float64), wrong.present[0])
            places = self._placed(row, matrix, wrong.keypoints[0])
            panels.append(self._panel(row, matrix, self._placed(row, matrix), self.records.labelled[row]))
            canvas = self._panel(row, matrix, places, wrong.present[0])
            for place, status in zip(places, wrong.status[0], strict=True):
                if Status(status) in MARKS:
                    _mark(canvas, place, MARKS[Status(status)])
            panels.append(canvas)
            titles += ["truth", "synthesised"]
        return side_by_side(panels, titles)

    def _find(self, error: Status) -> tuple[int, FloatArray, int] | None:
        """A person, a wrong place and its keypoint; the place is in the panel and visibly elsewhere."""
        shortest = SHORTEST_MOVE.get(error, SHORTEST_OTHER_MOVE)
        for row in self.choose(TRIES).tolist():
            wrong = synthesize(self._people(row), self.skeleton, self.profile, self.generator)
            matrix = self._view(row)
            places, true = self._placed(row, matrix, wrong.keypoints[0]), self._placed(row, matrix)
            inside = ((places >= MARGIN) & (places <= np.array(PANEL_WH) - 1 - MARGIN)).all(axis=-1)
            moved = np.linalg.norm(places - true, axis=-1) >= shortest
            hits = np.flatnonzero((wrong.status[0] == int(error)) & inside & moved)
            if len(hits):
                keypoint = int(hits[-1])
                return row, wrong.keypoints[0, keypoint].astype(np.float64), keypoint
        return None

    def _error_panel(self, error: Status, row: int, place: FloatArray, keypoint: int) -> Image:
        """The true pose but for one keypoint, with a box around it and a trail from its true place."""
        matrix = self._view(row)
        true = self._placed(row, matrix)
        places = true.copy()
        places[keypoint] = geometry.transform(matrix[None], place[None, None])[0, 0]
        canvas = self._panel(row, matrix, places, self.records.labelled[row])
        _trail(canvas, true[keypoint], places[keypoint])
        _box(canvas, places[keypoint], MARKS[error])
        return canvas

    def _people(self, row: int) -> LabelledPeople:
        return self.records.people(np.array([row]))

    def _placed(
        self, row: int, matrix: FloatArray, keypoints: npt.NDArray[np.float32] | None = None
    ) -> FloatArray:
        """Keypoints (K, 2), the true ones if none are given, in panel pixels."""
        own = self.records.keypoints[row] if keypoints is None else keypoints
        placed = geometry.transform(matrix[None], own[None].astype(np.float64))[0]
        return np.asarray(placed, dtype=np.float64)

    def _view(
        self, row: int, keypoints: FloatArray | None = None, present: BoolArray | None = None
    ) -> FloatArray:
        """Matrix (2, 3) to panel pixels: around the person, and around another pose within `FARTHEST_CONTEXT`."""
        true, labelled = self.records.keypoints[row].astype(np.float64), self.records.labelled[row]
        own = geometry.box_from_keypoints(true[None], labelled[None])
        box = geometry.enlarge(own, CONTEXT)
        if keypoints is not None and present is not None:
            both = np.concatenate([true, keypoints])[None], np.concatenate([labelled, present])[None]
            wide = geometry.enlarge(geometry.box_from_keypoints(*both), CONTEXT / 1.3)
            limit = geometry.enlarge(own, FARTHEST_CONTEXT)
            low = np.maximum(wide[:, :2], limit[:, :2])
            high = np.minimum(wide[:, :2] + wide[:, 2:], limit[:, :2] + limit[:, 2:])
            box = np.concatenate([low, high - low], axis=1)
        return np.asarray(geometry.crop_matrices(box, PANEL_WH)[0])

    def _panel(self, row: int, matrix: FloatArray, places: FloatArray, present: BoolArray) -> Image:
        photo = geometry.warp(decode_image(self.records.images[row], exif=self.exif), matrix, PANEL_WH)
        true = self._placed(row, matrix)[self.records.labelled[row]]
        size = float(np.ptp(true, axis=0).max())
        return draw_poses(photo, places[None], present[None], self.skeleton, size=size)


def _mark(canvas: Image, place: FloatArray, mark: Mark) -> None:
    """Draw an error's outline around a keypoint, and its letter; a place outside is moved to the border."""
    width, height = canvas.shape[1::-1]
    place = np.clip(place, MARK_RADIUS + 2, [width - MARK_RADIUS - 3, height - MARK_RADIUS - 3])
    _outline(canvas, place, mark)
    draw_tag(canvas, mark.letter, place + np.array([20, -14]), mark.colour)


def _outline(canvas: Image, place: FloatArray, mark: Mark) -> None:
    angles = 2 * np.pi * np.array(mark.turns or np.linspace(0, 1, 24, endpoint=False))
    reach = MARK_RADIUS * (1.3 if mark.turns else 1.1)
    corners = place + reach * np.column_stack([np.cos(angles), np.sin(angles)])
    polygon = np.rint(corners).astype(np.int32)
    for colour, width in ((RIM, 5), (mark.colour, 2)):
        cv2.polylines(canvas, [polygon], True, colour, width, cv2.LINE_AA)


def _box(canvas: Image, place: FloatArray, mark: Mark) -> None:
    x, y = np.rint(place).astype(int).tolist()
    low, high = (x - BOX_HALF, y - BOX_HALF), (x + BOX_HALF, y + BOX_HALF)
    for colour, width in ((RIM, 6), (mark.colour, 3)):
        cv2.rectangle(canvas, low, high, colour, width, cv2.LINE_AA)
    draw_tag(canvas, mark.letter, place + np.array([BOX_HALF + 8, -BOX_HALF - 8]), mark.colour)


def _trail(canvas: Image, true: FloatArray, place: FloatArray) -> None:
    """A ring at the true place, and a line from there to the wrong one."""
    start, end = (np.rint(point).astype(int).tolist() for point in (true, place))
    for colour, width in ((RIM, 5), (TRAIL, 2)):
        cv2.line(canvas, start, end, colour, width, cv2.LINE_AA)
        cv2.circle(canvas, start, 6, colour, width, cv2.LINE_AA)


def _legend(width: int) -> Image:
    """What the marks mean."""
    bar = caption("", width)
    x = 24.0
    for error, mark in MARKS.items():
        _outline(bar, np.array([x, bar.shape[0] / 2]), mark)
        draw_tag(bar, mark.letter, np.array([x + 26, bar.shape[0] / 2]), mark.colour)
        name = caption(error.label, 130)[:, 12:]
        left = round(x) + 42
        shown = min(name.shape[1], width - left)
        if shown > 0:
            bar[:, left : left + shown] = name[:, :shown]
        x += 180
    return bar
