"""JSON with landmarks: of frames, of one photo, or alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import PureWindowsPath
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from posefix.errors import quoted
from posefix.files import file_stem
from posefix.formats.mediapipe_landmarks import (
    FRAMES,
    PHOTOS,
    VIDEOS,
    Landmarks,
    layout_of_names,
    layout_of_numbers,
    plain,
)
from posefix.photos.finding import IMAGE_SUFFIXES
from posefix.photos.names import ids_of_frames
from posefix.pose.poses import LARGEST_NUMBER, BoolArray, FloatArray, ImageId
from posefix.pose_files.json_numbers import edited_with_numbers
from posefix.pose_files.json_text import JsonText, Place
from posefix.pose_files.pose_file import FormatError, Reading
from posefix.pose_files.records import NO_ID, PLAIN_TEXT, id_or_none, is_plain, report_fault
from posefix.skeletons import Skeleton

CERTAIN = ("pose_landmarks", "poseLandmarks")
"""Fields that only MediaPipe's results have."""
FIELDS = (*CERTAIN, "landmarks", "landmark")
"""Where frames have their landmarks; the last one is that of messages made dictionaries."""
VISIBILITY = "visibility"
COORDINATES = ("x", "y", VISIBILITY)
OWN_NAMES = ("name", "landmark", "landmark_name", "id", "index", "landmark_id", "landmark_index")
"""Fields in which a landmark says which it is."""
LONGEST_FRAME = 15
"""Digits of a frame's number."""
NUMBERS_OF_LISTS = (0, 1, 3)
"""Where x, y and visibility stand in landmarks that are lists: x, y, z, visibility."""


class _Frame(NamedTuple):
    """A frame, or a photo, and the video where one is named."""

    image_id: ImageId
    video: str = ""


@dataclass(frozen=True, eq=False)
class _Person:
    """Landmarks of a person: where they stand in the document, all of them, and the frame or photo."""

    place: Place
    landmarks: Any
    frame: _Frame


def is_landmark_document(opening: Any) -> bool:
    """Whether the beginning of a document holds landmarks."""
    if isinstance(opening, dict) and any(field in opening for field in CERTAIN):
        return True
    listed = [opening]
    if isinstance(opening, dict):
        listed = [value for value in opening.values() if isinstance(value, list)]
    frames = [
        frame for value in listed if isinstance(value, list) for frame in value if isinstance(frame, dict)
    ]
    if any(field in frame for frame in frames for field in CERTAIN):
        return True
    return any(_is_sure(person.landmarks) for person in _people(opening, "a"))


def _is_sure(landmarks: Any) -> bool:
    """Whether somebody's landmarks are such that nobody else's look alike: with depth or visibility."""
    first = next(iter(landmarks.values() if isinstance(landmarks, dict) else landmarks), None)
    return isinstance(first, dict) and {"x", "y"} <= first.keys() and bool({"z", VISIBILITY} & first.keys())


def read_document(text: JsonText, reading: Reading) -> Landmarks:
    """The landmarks of a document.

    Raises:
        FormatError: It is faulty, or its layout unknown.
    """
    people = list(_people(text.root, file_stem(text.path)))
    ids = _image_ids(text, people)
    skeleton, keys = _layout(text, people, reading)
    values = np.full((len(people), len(skeleton), 3), np.nan)
    placed = np.zeros((len(people), len(skeleton)), dtype=np.bool_)
    for row, person in enumerate(people):
        _check_order(text, person, skeleton)
        found = _numbers(text, person, keys, len(skeleton))
        if found is not None:
            values[row] = found
            placed[row] = [isinstance(landmark, dict | list) for landmark in _landmarks(person, keys)]
    return Landmarks(skeleton, ids, values, placed, partial(_write, text, people, keys))


def _image_ids(text: JsonText, people: Sequence[_Person]) -> tuple[ImageId, ...]:
    """Frame or photo of each person; frames of several videos are told apart."""
    ids = [person.frame.image_id for person in people]
    framed = [(row, image_id) for row, image_id in enumerate(ids) if isinstance(image_id, int)]
    videos = [people[row].frame.video for row, _ in framed]
    for (row, _), named in zip(framed, ids_of_frames(videos, [number for _, number in framed]), strict=True):
        ids[row] = named
    for row, image_id in enumerate(ids):
        if isinstance(image_id, str) and not is_plain(image_id):
            message = f"{_where(text, people[row].place)}: expected as name of its photo {PLAIN_TEXT}."
            report_fault(FormatError(message, "Rename the photo."))
            ids[row] = NO_ID
    return tuple(ids)


def _people(content: Any, stem: str) -> Iterator[_Person]:
    """The people of a document, frame by frame."""
    if isinstance(content, list) and content and not _is_landmark(content[0]):
        yield from _frames((), content)
    elif isinstance(content, list):
        yield from _people_of((), content, _Frame(stem))
    elif isinstance(content, dict):
        yield from _people_of_object(content, stem)


def _people_of_object(content: Mapping[str, Any], stem: str) -> Iterator[_Person]:
    """Those of an object that is a frame, or that holds a list of frames."""
    for field in FIELDS:
        value = content.get(field)
        if isinstance(value, list) and any(isinstance(one, dict) and _field(one) for one in value):
            yield from _frames((field,), value)
            return
    if (field_name := _field(content)) is not None:
        yield from _people_of((field_name,), content[field_name], _frame(content, stem))
        return
    for key, value in content.items():
        if isinstance(value, list) and any(isinstance(one, dict) and _field(one) for one in value):
            yield from _frames((key,), value)
            return


def _frames(place: Place, frames: Sequence[Any]) -> Iterator[_Person]:
    """The people of frames, which are objects with landmarks, or the landmarks themselves."""
    for number, frame in enumerate(frames):
        if isinstance(frame, list):
            yield from _people_of((*place, number), frame, _Frame(number))
        elif isinstance(frame, dict) and (field := _field(frame)) is not None:
            yield from _people_of((*place, number, field), frame[field], _frame(frame, number))


def _field(frame: Mapping[str, Any]) -> str | None:
    return next((field for field in FIELDS if field in frame), None)


def _frame(frame: Mapping[str, Any], otherwise: ImageId) -> _Frame:
    """The number or the photo that a frame says, else its place or the file's name."""
    named = {plain(key): value for key, value in frame.items()}
    values = [id_or_none(named.get(plain(key))) for key in FRAMES]
    number = next((value for value in values if value is not None and value != ""), None)
    if isinstance(number, str) and number.isdecimal() and len(number) <= LONGEST_FRAME:
        number = int(number)
    photo = _text(named, PHOTOS)
    is_photo = PureWindowsPath(photo).suffix.lower() in (*IMAGE_SUFFIXES, "")
    if photo and (is_photo or not isinstance(number, int)):
        return _Frame(photo)
    if number is None or (isinstance(number, int) and number < 0):
        return _Frame(otherwise)
    return _Frame(number, photo or _text(named, VIDEOS))


def _text(named: Mapping[str, Any], keys: Sequence[str]) -> str:
    """The first text in some fields; the empty one where there is none."""
    values = (named.get(plain(key)) for key in keys)
    return next((value for value in values if isinstance(value, str)), "")


def _people_of(place: Place, value: Any, frame: _Frame) -> Iterator[_Person]:
    """The people of one frame: several, one, or nobody."""
    if isinstance(value, dict) and isinstance(value.get(FIELDS[-1]), list):
        yield from _people_of((*place, FIELDS[-1]), value[FIELDS[-1]], frame)
    elif value and (isinstance(value, dict) or (isinstance(value, list) and _is_landmark(value[0]))):
        yield _Person(place, value, frame)
    elif isinstance(value, list):
        for number, person in enumerate(value):
            if isinstance(person, list) and person:
                yield _Person((*place, number), person, frame)


def _is_landmark(value: Any) -> bool:
    """Whether a value may be a landmark: an object with x, or a list that begins with a number."""
    if isinstance(value, dict):
        return "x" in value
    return isinstance(value, list) and bool(value) and _is_number(value[0])


def _layout(
    text: JsonText, people: Sequence[_Person], reading: Reading
) -> tuple[Skeleton, tuple[str | int | None, ...]]:
    """The layout, and the key or index of each of its keypoints among somebody's landmarks."""
    named = list(
        dict.fromkeys(name for one in people if isinstance(one.landmarks, dict) for name in one.landmarks)
    )
    if not named:
        counts = [len(person.landmarks) for person in people]
        skeleton = layout_of_numbers(text.path, max(set(counts), key=counts.count, default=33), reading)
        return skeleton, tuple(range(len(skeleton)))
    skeleton = layout_of_names(text.path, named, reading)
    of_keypoint = {skeleton.find(name): name for name in reversed(named)}
    return skeleton, tuple(of_keypoint.get(place) for place in range(len(skeleton)))


def _check_order(text: JsonText, person: _Person, skeleton: Skeleton) -> None:
    """Refuse a list of landmarks that say themselves that they stand in another order, or are some of them only.

    Raises:
        FormatError: One has the name or the number of another place.
    """
    landmarks = person.landmarks
    first = landmarks[0] if isinstance(landmarks, list) else None
    if not isinstance(first, dict):
        return
    for field in OWN_NAMES:
        if field not in first:
            continue
        start = 1 if first[field] == 1 else 0
        said = [one.get(field) if isinstance(one, dict) else None for one in landmarks]
        meant = [value - start if type(value) is int else skeleton.find(str(value)) for value in said]
        wrong = next((place for place, known in enumerate(meant) if known not in (None, place)), None)
        if wrong is not None:
            where = f"{_where(text, person.place)}, landmark {wrong}, field {field!r}"
            expected = f"expected landmarks in the order of {skeleton.name}, got {quoted(said[wrong])} there"
            mend = "Sort them, or write an object with each landmark by its name."
            report_fault(FormatError(f"{where}: {expected}.", mend))


def _numbers(
    text: JsonText, person: _Person, keys: Sequence[str | int | None], count: int
) -> Sequence[tuple[float, ...]] | FloatArray | None:
    """x, y and visibility of each keypoint of a person; None where they are faulty and that is noted."""
    landmarks = person.landmarks
    if isinstance(landmarks, list) and (len(landmarks) != count or isinstance(keys[0], str)):
        message = f"{_where(text, person.place)}: expected {count} landmarks, got {len(landmarks)}."
        report_fault(FormatError(message, "Write all of them, in MediaPipe's order."))
        return None
    found = _landmarks(person, keys)
    if (plain_ones := _plain_numbers(found)) is not None:
        return plain_ones
    numbers = [_number_triple(landmark) for landmark in found]
    good = [triple for triple in numbers if triple is not None]
    if len(good) == len(numbers):
        return good
    place = next(place for place, triple in enumerate(numbers) if triple is None)
    message = f"{_where(text, person.place)}, landmark {place}: expected x and y, got {quoted(found[place])}."
    report_fault(FormatError(message, "Correct it, or write null where there is nobody."))
    return None


def _landmarks(person: _Person, keys: Sequence[str | int | None]) -> Sequence[Any]:
    """Those of each keypoint, None where there is none; where they are objects or lists, numbers can be written."""
    landmarks = person.landmarks
    return landmarks if isinstance(landmarks, list) else [landmarks.get(key) for key in keys]


def _plain_numbers(landmarks: Sequence[Any]) -> FloatArray | None:
    """(K, 3) of landmarks that are objects with all three, as almost all are; None where they must be looked at."""
    found = [tuple(map(one.get, COORDINATES)) for one in landmarks if type(one) is dict]
    if len(found) < len(landmarks) or not set(map(type, chain.from_iterable(found))) <= {int, float}:
        return None
    array = np.array(found)
    return None if array.dtype.kind not in "if" or (np.abs(array) >= LARGEST_NUMBER).any() else array


def _number_triple(landmark: Any) -> tuple[float, ...] | None:
    """x, y and visibility of a landmark, NaN where there is none; None where it is something else."""
    if landmark is None:
        return (math.nan,) * 3
    if isinstance(landmark, dict):
        values = [landmark.get(what) for what in COORDINATES]
    elif isinstance(landmark, list) and len(landmark) > 1:
        values = [landmark[place] if place < len(landmark) else None for place in NUMBERS_OF_LISTS]
    else:
        return None
    numbers = tuple(_number(value) for value in values)
    return None if math.inf in numbers else numbers


def _number(value: Any) -> float:
    """A number, NaN where there is none; infinity for anything else."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return math.nan  # which some programs write
    return value if _is_number(value) else math.inf


def _is_number(value: Any) -> TypeGuard[float]:
    return type(value) in (int, float) and abs(value) < LARGEST_NUMBER


def _where(text: JsonText, place: Place) -> str:
    return ", ".join(
        [str(text.path), *(f"{key}" if isinstance(key, str) else f"element {key}" for key in place)]
    )


def _write(
    text: JsonText,
    people: Sequence[_Person],
    keys: Sequence[str | int | None],
    values: FloatArray,
    changed: BoolArray,
) -> bytes:
    """The document with other numbers, which have a place there."""
    edits: dict[Place, Any] = {}

    def numbers() -> Iterator[tuple[Place, float]]:
        chosen = np.nonzero(changed)
        places = zip(*(axis.tolist() for axis in chosen), strict=True)
        for (row, keypoint, which), value in zip(places, values[chosen].tolist(), strict=True):
            person, key = people[row], keys[keypoint]
            landmark, inner = person.landmarks[key], COORDINATES[which]
            place = inner if isinstance(landmark, dict) else NUMBERS_OF_LISTS[which]
            before = landmark.get(inner) if isinstance(landmark, dict) else landmark[NUMBERS_OF_LISTS[which]]
            if type(before) in (int, float):
                yield (*person.place, key, place), value
            else:
                edits[(*person.place, key, place)] = value

    return edited_with_numbers(text, numbers(), edits).encode()
