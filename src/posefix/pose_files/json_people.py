"""People in JSON pose files of several shapes: their records, wherever they stand, as arrays and edited in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from posefix.errors import InputError, Where, quoted
from posefix.files import file_ending
from posefix.pose.poses import BoolArray, FloatArray, ImageId, Poses
from posefix.pose_files.gaps import check_gaps, without_gaps
from posefix.pose_files.json_text import REMOVED, JsonText, Place
from posefix.pose_files.layouts import TRIPLE, misfit
from posefix.pose_files.pose_file import (
    JSON_ENDINGS,
    OPENING_RECORDS,
    Contents,
    FormatError,
    Source,
    boxes_to_write,
    check_same_poses,
    differs,
    needs_new_box,
)
from posefix.pose_files.records import Record, Records, report_fault
from posefix.pose_files.units import PIXELS, Unit, are_shares, triples_in_unit
from posefix.skeletons import Skeleton

Document = tuple[str, JsonText]
"""Name within its folder, empty for a file, and text."""

FRAMES_SHOWN = 5
OWN_PHOTO = frozenset(
    (
        "image_id", "image", "image_name", "image_path", "img", "img_id", "img_name", "img_path",
        "file", "file_name", "filename", "path",
        "frame", "frame_id", "frame_idx", "frame_index", "frame_num", "frame_number",
    )
)  # fmt: skip
"""Fields in which programs write the photo or frame of a record."""


@dataclass(frozen=True, eq=False)
class PeopleList:
    """A list of people somewhere in a JSON document.

    Attributes:
        name: Path of the document within its folder; empty for a file.
        text: The document.
        place: Where the list stands in it.
        records: The people.
        image_ids: Photo of each.
    """

    name: str
    text: JsonText
    place: Place
    records: Records
    image_ids: tuple[ImageId, ...]

    @classmethod
    def of_photo(
        cls, document: Document, place: Place, value: Any, noun: str, image_id: ImageId
    ) -> PeopleList:
        """The people of one photo.

        Args:
            document: Its name and text.
            place: Where the list stands in it.
            value: What stands there.
            noun: What messages call a person.
            image_id: The photo.

        Raises:
            FormatError: It is not a list of objects, or these say that they are of different photos.
        """
        name, text = document
        if not isinstance(value, list):
            where = Where(text.path, noun.rpartition(", ")[0], str(place[-1]) if place else "")
            problem = f"expected a list of people, got {quoted(value)}."
            report_fault(FormatError.at(where, problem, "Write an empty list where there is nobody."))
            value = []
        records = Records(text.path, noun, value)
        _check_same_photo(records, image_id)
        return cls(name, text, place, records, (image_id,) * len(value))


@dataclass(frozen=True, eq=False)
class PersonChange:
    """What is new of one person.

    Attributes:
        record: The person's record, as parsed.
        triples: (K, 3) x, y, score as the file gets them; None where none changed.
        pose_score: None where it is as before.
        corners: (2, 2) top left and bottom right of the new box, as the file gets them; None to keep the old one.
    """

    record: Record
    triples: FloatArray | None
    pose_score: float | None
    corners: FloatArray | None


@dataclass(frozen=True, eq=False)
class JsonRewrite:
    """The same documents with other poses: a `posefix.pose_files.pose_file.Rewrite`.

    Attributes:
        path: The file or folder.
        documents: Name and text of each, those without people too.
        lists: The people in them.
        poses: The same, as they were read.
        triples: (N, K, 3) what the file holds of them.
        edit: A person's new values by their place in the record.
        unit: Of the file's coordinates.
    """

    path: Path
    documents: Sequence[Document]
    lists: Sequence[PeopleList]
    poses: Poses
    triples: FloatArray
    edit: Callable[[PersonChange], Mapping[Place, Any]]
    unit: Unit = PIXELS

    def __call__(
        self, poses: Poses, *, keep: Sequence[int] | None = None, update_boxes: bool = False
    ) -> Contents:
        """The contents of the file with these poses, everything else as it was."""
        check_same_poses(self.path, poses, self.poses)
        kept = range(len(poses)) if keep is None else set(keep)
        changes = self._changes(poses, update_boxes)
        edits: dict[str, dict[Place, Any]] = {name: {} for name, _ in self.documents}
        for row, ((people, number), change) in enumerate(zip(_people(self.lists), changes, strict=True)):
            place = (*people.place, number)
            if row not in kept:
                edits[people.name][place] = REMOVED
            else:
                inner = self.edit(change).items()
                edits[people.name].update({(*place, *key): value for key, value in inner})
        return {name: text.edited(edits[name]).encode() for name, text in self.documents}

    def _changes(self, poses: Poses, update_boxes: bool) -> Iterator[PersonChange]:
        triples = triples_in_unit(poses, self.poses, self.triples, self.unit)
        changed = np.any(differs(triples, self.triples), axis=(1, 2))
        rescored = poses.pose_scores != self.poses.pose_scores
        boxed = needs_new_box(poses, triples, self.triples) & update_boxes
        boxes = boxes_to_write(poses)
        corners = self.unit.to_numbers(np.stack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1))
        for row, (people, number) in enumerate(_people(self.lists)):
            yield PersonChange(
                people.records.rows[number],
                triples[row] if changed[row] else None,
                float(poses.pose_scores[row]) if rescored[row] else None,
                corners[row] if boxed[row] else None,
            )


def _check_same_photo(records: Records, image_id: ImageId) -> None:
    """Refuse people of one photo, as their format has it, of whom a field says that they are of several.

    Somebody has put the records of many files into one list: all people would be looked for in one photo.

    Raises:
        FormatError: A field names different photos or frames.
    """
    rows = records.rows
    for field in OWN_PHOTO.intersection(rows[0] if rows else ()):
        first = rows[0][field]
        other = next((number for number, row in enumerate(rows) if row.get(field, first) != first), None)
        if other is None:
            continue
        problem = (
            f"expected people of one photo, {quoted(image_id)}, got {quoted(rows[other][field])} and "
            f"{quoted(first)} in one list; this format has a list for each photo."
        )
        mend = (
            "Write a file for each photo, called as the photo, or a list for COCO results, with 'image_id'."
        )
        report_fault(FormatError.at(records.where(other, field), problem, mend))


def documents(source: Source, files: Sequence[Path]) -> list[Document]:
    """Name within the folder, empty for a file, and text of each document of a source.

    Where faults are noted, the files of a folder that are not JSON are left out.

    Raises:
        InputError: A file cannot be read or is not JSON, or there is none.
    """
    if source.path.is_file():
        return [("", source.document)]
    if not files:
        raise FormatError(f"{source.path}: expected a folder with JSON files, got none.")
    return [(path.name, text) for path in files if (text := _document(path)) is not None]


def _document(path: Path) -> JsonText | None:
    """The document in a file of a folder; None where it is not JSON and that is noted."""
    try:
        text = JsonText.read(path)
        _ = text.root
    except InputError as error:
        report_fault(error)
        return None
    return text


def openings(files: Iterable[Path]) -> Iterator[Any]:
    """How the first documents of a folder begin, for recognising them; what is not JSON is left out."""
    for path, _ in zip(files, range(OPENING_RECORDS), strict=False):
        try:
            yield JsonText.read(path).opening(OPENING_RECORDS)
        except InputError:
            continue


def json_files(source: Source) -> tuple[Path, ...]:
    """The JSON files of a source, packed ones too."""
    return tuple(path for path in source.files if file_ending(path) in JSON_ENDINGS)


def flat_triples(records: Records, field: str, skeleton: Skeleton, *, may_lack: bool) -> FloatArray:
    """(n, K, 3): a field that holds x, y, score of each keypoint in one list; NaN where a number is not there.

    Raises:
        FormatError: A list has another length or holds something that is not a finite number.
    """
    names = [f"{what} of {name}" for name in skeleton.keypoint_names for what in ("x", "y", "score")]
    numbers = records.keypoint_lists(field, names, partial(misfit, TRIPLE), may_lack=may_lack)
    triples = numbers.reshape(-1, len(skeleton), 3)
    check_gaps(triples, records, (field,) * TRIPLE, skeleton.keypoint_names)
    return triples


def joined(arrays: Iterable[FloatArray], shape: tuple[int, ...]) -> FloatArray:
    """Arrays (n, *shape) of several lists as one (N, *shape); there may be none."""
    return np.concatenate([np.zeros((0, *shape)), *arrays])


def people_poses(
    lists: Sequence[PeopleList],
    triples: FloatArray,
    skeleton: Skeleton,
    *,
    scores: FloatArray | None = None,
    unit: Unit = PIXELS,
) -> Poses:
    """The people of several lists as poses.

    A keypoint is missing when it lies at pixel 0, 0, has score 0, or lacks a number.

    Args:
        lists: The people.
        triples: (N, K, 3) x, y, score in the file's unit; NaN where a number is not there.
        skeleton: Their layout.
        scores: (N,) confidence in each pose; where it is NaN or not given, the mean score of the pose's keypoints.
        unit: Of the file's coordinates.
    """
    whole = without_gaps(triples)
    keypoints, certainty = unit.to_pixels(whole[..., :2]), whole[..., 2]
    valid = (certainty != 0) & (keypoints != 0).any(axis=-1)
    mean = np.where(valid, certainty, 0.0).sum(axis=1) / np.maximum(valid.sum(axis=1), 1)
    return Poses(
        keypoints=keypoints,
        scores=certainty,
        valid=valid,
        image_ids=tuple(image_id for people in lists for image_id in people.image_ids),
        pose_scores=mean if scores is None else np.where(np.isnan(scores), mean, scores),
        skeleton=skeleton,
    )


def tracks_in(lists: Sequence[PeopleList], field: str) -> tuple[int | str | None, ...] | None:
    """Whom each pose is of, from a field with a number or a text; None if nobody has one.

    Raises:
        FormatError: One is a text that no file can hold.
    """
    tracks = tuple(track for people in lists for track in people.records.tracks(field))
    return tracks if any(track is not None for track in tracks) else None


def measured_in_shares(
    lists: Sequence[PeopleList], field: str, numbers: FloatArray, found: BoolArray
) -> bool:
    """Whether the coordinates of a file are so small that they are shares of the photo.

    Args:
        lists: The people.
        field: Where their coordinates stand, for the message.
        numbers: (N, K, 2) x and y as the file has them.
        found: (N, K) which keypoints are there.

    Raises:
        FormatError: Those of some people are shares, those of others pixels.
    """
    shares, odd = are_shares(numbers, found)
    for (people, number), among in zip(_people(lists), odd, strict=True) if odd.any() else ():
        if among:
            problem = (
                "expected pixels as of the others, got shares of the photo; keep files of one unit together."
            )
            report_fault(FormatError.at(people.records.where(number, field), problem))
    return shares


def odd_scores(poses: Poses) -> tuple[str, ...]:
    """A note where scores of keypoints are not from 0 to 1."""
    scores = poses.scores[poses.valid]
    if not scores.size or 0 <= scores.min() <= scores.max() <= 1:
        return ()
    return (f"keypoint scores from {scores.min():g} to {scores.max():g}, not from 0 to 1; taken as they are",)


def missing_frames(frames: Sequence[int]) -> tuple[str, ...]:
    """A note where some numbers between the first and the last frame are left out.

    Where most are, somebody chose some frames on purpose, or the numbers are those of photos.
    """
    known = sorted(set(frames))
    gaps = [(before + 1, after) for before, after in pairwise(known) if after - before > 1]
    count = sum(after - start for start, after in gaps)
    if not 0 < count < len(known):
        return ()
    missing = [frame for gap in gaps for frame in range(*gap)]
    shown = ", ".join(map(str, missing[:FRAMES_SHOWN]))
    rest = f" and {count - FRAMES_SHOWN} more" if count > FRAMES_SHOWN else ""
    return (f"frames that are not there, counted from 0: {shown}{rest}",)


def _people(lists: Sequence[PeopleList]) -> Iterator[tuple[PeopleList, int]]:
    """Each person: the list and the place in it."""
    return ((people, number) for people in lists for number in range(len(people.records.rows)))
