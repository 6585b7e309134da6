"""Tables of landmarks: a row for each landmark, or a row for each frame."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from posefix.errors import quoted
from posefix.formats.mediapipe_landmarks import (
    FRAMES,
    LAYOUT,
    PHOTOS,
    VIDEOS,
    Landmarks,
    layout_of_names,
    layout_of_numbers,
    plain,
)
from posefix.photos.names import ids_of_frames
from posefix.pose.poses import BoolArray, FloatArray, ImageId
from posefix.pose_files.csv_text import CsvText, column_names
from posefix.pose_files.pose_file import FormatError, Reading, Source
from posefix.pose_files.records import report_fault
from posefix.skeletons import Skeleton, load_skeleton

LANDMARKS = (
    "landmark_name", "landmark", "landmark_id", "landmark_index", "landmark_idx", "keypoint_name", "keypoint",
    "keypoint_id", "keypoint_index", "joint_name", "joint", "joint_id", "name", "index", "id",
)  # fmt: skip
BOX_SIDES = ("w", "h", "width", "height", "x2", "xmax", "right")
"""A table that has one of them beside x and y has boxes, such as a tracker's, and no landmarks."""
PEOPLE = ("person", "person_id", "person_index", "pose", "pose_id", "pose_index")
VISIBILITIES = (
    "visibility", "vis", "v", "confidence", "conf", "score", "likelihood", "probability", "prob", "c", "presence",
)  # fmt: skip
IN_SPACE = ("_ncams", "_n_cams")
"""What columns of Anipose's tables end with, whose x and y are places in space."""
FEWEST = 5
"""Landmarks of a row, fewer of which no table is recognised by."""
LONGEST_NUMBER = 3
"""Digits of a landmark's number; MediaPipe's models have 543 at most."""
NONE = -1

_VALUES = "|".join(("x", "y", *VISIBILITIES))
_BEHIND = re.compile(rf"(?P<stem>.+)[_. ](?P<what>{_VALUES})")
_BEFORE = re.compile(rf"(?P<what>{_VALUES})[_. ]?(?P<stem>.+)")
_WHOLE = re.compile(r"([0-9]+)\.0*")
_NUMBERED = re.compile(r"(?P<prefix>.*?)(?P<number>[0-9]{1,4})")


@dataclass(frozen=True, eq=False)
class _Wide:
    """Columns of a table with a row for each frame: landmark -> columns of x, y and visibility, or `NONE`."""

    columns: Mapping[str, tuple[int, int, int]]

    @classmethod
    def of(cls, names: Sequence[str]) -> _Wide:
        tables = [cls._by(pattern, names) for pattern in (_BEHIND, _BEFORE)]
        return cls(max(tables, key=len))

    @staticmethod
    def _by(pattern: re.Pattern[str], names: Sequence[str]) -> dict[str, tuple[int, int, int]]:
        found: dict[str, dict[str, int]] = {}
        for column, name in enumerate(names):
            if match := pattern.fullmatch(name.lower()):
                found.setdefault(match["stem"], {}).setdefault(match["what"], column)
        return {
            stem: (
                columns["x"],
                columns["y"],
                next((columns[what] for what in VISIBILITIES if what in columns), NONE),
            )
            for stem, columns in found.items()
            if {"x", "y"} <= columns.keys()
        }

    @property
    def numbered(self) -> bool:
        """Whether the landmarks have numbers instead of names, in their order, from 0 or 1."""
        parts = [_NUMBERED.fullmatch(stem) for stem in self.columns]
        numbers = [int(part["number"]) for part in parts if part]
        prefixes = {part["prefix"] for part in parts if part}
        ordered = bool(numbers) and numbers == list(range(numbers[0], numbers[0] + len(parts)))
        return ordered and numbers[0] in (0, 1) and len(prefixes) == 1


def is_landmark_table(source: Source) -> bool:
    """Whether the first line of a file names columns of landmarks."""
    names = column_names(source)
    if _column(names, LANDMARKS) is not None and _column(names, FRAMES + PHOTOS) is not None:
        return {"x", "y"} <= {plain(name) for name in names} and _column(names, BOX_SIDES) is None
    wide = _Wide.of(names)
    if any(name.lower().endswith(IN_SPACE) for name in names):
        return False
    known = sum(load_skeleton(LAYOUT).find(stem) is not None for stem in wide.columns)
    return len(wide.columns) >= FEWEST and (wide.numbered or 2 * known >= len(wide.columns))


def read_table(source: Source, reading: Reading) -> Landmarks:
    """The landmarks of a table.

    Raises:
        FormatError: It is faulty, or its layout unknown.
    """
    text = CsvText.parse(source.path, source.content)
    if _column(text.names, LANDMARKS) is not None and {"x", "y"} <= {plain(name) for name in text.names}:
        return _long(text, reading)
    return _wide(text, reading)


def _column(names: Sequence[str], wanted: Sequence[str]) -> int | None:
    """The column that has the first of some names that there is."""
    places = {plain(name): column for column, name in reversed(list(enumerate(names)))}
    return next((places[plain(name)] for name in wanted if plain(name) in places), None)


def _image_ids(text: CsvText) -> list[ImageId]:
    """Frame or photo of each row; where no column says it, the row's number.

    What is called a file and has several frames is a video; frames of several videos are told apart.
    """
    photo, frame = _column(text.names, PHOTOS), _column(text.names, FRAMES)
    names = [] if photo is None else text.texts(photo)
    if photo is not None and (frame is None or _have_one_frame(names, _words(text, frame))):
        return list(names)
    if frame is None:
        return list(range(len(text.rows)))
    numbers = text.numbers([frame])[:, 0]
    wrong = ~(numbers == np.floor(numbers)) | (numbers < 0)
    for row in np.flatnonzero(wrong).tolist():
        message = f"{text.where(row, frame)}: expected the number of a frame, from 0."
        report_fault(FormatError(message, "Correct it, or take the line out."))
    frames = [int(number) for number in np.where(wrong, 0, numbers).tolist()]
    video = _column(text.names, VIDEOS)
    videos = names or ([""] * len(frames) if video is None else text.texts(video))
    return ids_of_frames(videos, frames)


def _have_one_frame(names: Sequence[str], frames: Sequence[str]) -> bool:
    return len(set(names)) == len(set(zip(names, frames, strict=True)))


def _wide(text: CsvText, reading: Reading) -> Landmarks:
    wide = _Wide.of(text.names)
    stems = list(wide.columns)
    if not stems:
        raise FormatError(
            f"{text.path}, line 1: expected columns of landmarks, such as nose_x, nose_y, got none."
        )
    if wide.numbered:
        skeleton = layout_of_numbers(text.path, len(stems), reading)
        of_keypoint: dict[int, str] = dict(enumerate(stems))
    else:
        skeleton = layout_of_names(text.path, stems, reading)
        of_keypoint = {place: stem for stem in reversed(stems) if (place := skeleton.find(stem)) is not None}
    nowhere = (NONE, NONE, NONE)
    columns = np.array(
        [wide.columns.get(of_keypoint.get(place, ""), nowhere) for place in range(len(skeleton))],
        dtype=np.int64,
    )
    values = _taken(text, columns.ravel()).reshape(-1, len(skeleton), 3)
    rows = np.flatnonzero(np.asarray(np.isfinite(values[..., :2]).all(axis=-1)).any(axis=1))
    ids = _image_ids(text)
    cells = np.broadcast_to(rows[:, None], (len(rows), len(skeleton)))
    every = np.broadcast_to(columns, (len(rows), *columns.shape))
    return Landmarks(
        skeleton,
        tuple(ids[row] for row in rows.tolist()),
        values[rows],
        _placed(cells, every),
        partial(_write, text, cells, every),
    )


def _long(text: CsvText, reading: Reading) -> Landmarks:
    landmark = _column(text.names, LANDMARKS)
    names = _words(text, landmark) if landmark is not None else []
    different = list(dict.fromkeys(names))
    if all(name.isdecimal() for name in different):
        different = _checked_numbers(text, landmark, names)
        skeleton = _layout_of_lines(text, different, reading)
        places = {name: int(name) for name in different}
    else:
        skeleton = layout_of_names(text.path, different, reading)
        found = {name: skeleton.find(name) for name in different}
        places = {name: place for name, place in found.items() if place is not None}
    person = _column(text.names, PEOPLE)
    who = [""] * len(text.rows) if person is None else _words(text, person)
    ids = _image_ids(text)
    people: dict[tuple[ImageId, str], int] = {}
    rows: list[list[int]] = []
    last: tuple[ImageId, str] | None = None
    own: list[int] = []
    for row, (name, image_id, whose) in enumerate(zip(names, ids, who, strict=True)):
        place = places.get(name)
        if place is None:
            continue
        key = image_id, whose
        if key != last:  # most tables have a person's landmarks one after the other
            last, number = key, people.setdefault(key, len(rows))
            if number == len(rows):
                rows.append([NONE] * len(skeleton))
            own = rows[number]
        if own[place] != NONE:
            message = f"{text.where(row)}: expected each landmark of a person once, got {name!r} again."
            report_fault(FormatError(message, "Take the line out, or add a column person."))
        own[place] = row
    cells = np.array(rows, dtype=np.int64).reshape(-1, len(skeleton))
    columns = np.array(
        [_column(text.names, wanted) for wanted in (("x",), ("y",), VISIBILITIES)], dtype=object
    )
    own_columns = np.array([NONE if column is None else column for column in columns], dtype=np.int64)
    values = np.concatenate([_taken(text, own_columns), np.full((1, 3), np.nan)])[
        cells
    ]  # NONE is the last one
    tracks = None if person is None else tuple(int(name) if name.isdecimal() else name for _, name in people)
    every = np.broadcast_to(own_columns, (*cells.shape, 3))
    return Landmarks(
        skeleton,
        tuple(image_id for image_id, _ in people),
        values,
        _placed(cells, every),
        partial(_write, text, cells, every),
        tracks,
    )


def _words(text: CsvText, column: int) -> list[str]:
    """The texts of a column; 1.0 is 1, as tables write it in a column that has an empty cell, or had one."""
    return [whole[1] if (whole := _WHOLE.fullmatch(word)) else word for word in text.texts(column)]


def _checked_numbers(text: CsvText, column: int | None, names: Sequence[str]) -> list[str]:
    """The different numbers of landmarks; what is none of any model's is a fault, and would ask for a huge layout."""
    good = {name for name in names if len(name) <= LONGEST_NUMBER}
    for row, name in enumerate(names):
        if name not in good:
            message = f"{text.where(row, column)}: expected the number of a landmark, got {quoted(name)}."
            report_fault(FormatError(message, "Correct it, or take the line out."))
    return [name for name in dict.fromkeys(names) if name in good]


def _layout_of_lines(text: CsvText, numbers: Sequence[str], reading: Reading) -> Skeleton:
    """The layout of landmarks with these numbers, some of which may never be there where the layout is named."""
    count = max(map(int, numbers), default=len(load_skeleton(LAYOUT)) - 1) + 1
    if reading.skeleton is not None and count <= len(reading.skeleton):
        return reading.skeleton
    return layout_of_numbers(text.path, count, reading)


def _taken(text: CsvText, columns: npt.NDArray[np.int64]) -> FloatArray:
    """(rows, columns) numbers, NaN for columns that are not there."""
    there = columns != NONE
    values = np.full((len(text.rows), len(columns)), np.nan)
    values[:, there] = text.numbers(columns[there].tolist())
    return values


def _placed(rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]) -> BoolArray:
    """(N, K) which landmarks have cells for x and y, by their rows (N, K) and columns (N, K, 3)."""
    return np.asarray((rows != NONE) & (columns[..., :2] != NONE).all(axis=-1))


def _write(
    text: CsvText,
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    values: FloatArray,
    changed: BoolArray,
) -> bytes:
    """The table with other numbers.

    Args:
        text: The table.
        rows: (N, K) row of each landmark.
        columns: (N, K, 3) columns of x, y and visibility.
        values: (N, K, 3) the new numbers.
        changed: (N, K, 3) which of them are new; they have cells.
    """
    person, keypoint, which = np.nonzero(changed)
    places = rows[person, keypoint], columns[person, keypoint, which]
    return text.edited(*places, values[person, keypoint, which])
