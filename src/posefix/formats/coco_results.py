"""COCO results files: a list with one row per pose.

A file of a hundred thousand people is never parsed as a whole: its text is kept once, its rows are read, edited and
written one after the other.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from posefix.errors import InputError, Where, quoted
from posefix.formats.coco_row_categories import CATEGORY, RowChoice, category_of, several_categories
from posefix.pose.poses import BoolArray, FloatArray, Poses
from posefix.pose_files.gaps import check_gaps, without_gaps
from posefix.pose_files.json_text import JsonText, Place
from posefix.pose_files.layouts import TRIPLE, check_layout, count_of_lengths, misfit, unnamed_layout
from posefix.pose_files.number_lists import list_lengths
from posefix.pose_files.pose_file import (
    Contents,
    Format,
    FormatError,
    NewFile,
    PieceByPiece,
    PoseFile,
    Reading,
    Source,
    boxes_to_write,
    check_same_poses,
    differs,
    needs_new_box,
    triples_to_write,
)
from posefix.pose_files.records import BOX_SIDES, Record, Records, report_fault
from posefix.pose_files.units import new_triples
from posefix.skeletons import Skeleton

NAME = "coco-results"
ROWS_AT_ONCE = 2000
"""Rows that are made text together, and so many tell what a file's layout may be."""
TRACK = "track_id"
FIELDS_SHOWN = 5
"""Of rows without keypoints."""


def recognise(source: Source) -> str | None:
    """Why a source is a COCO results file: a list of objects with `image_id` or a flat list of keypoints."""
    rows = source.opening
    if not isinstance(rows, list):
        return None
    if not rows:
        return "an empty list"
    if any(isinstance(row, dict) and "image_id" in row for row in rows):
        return "a list of people with 'image_id'" + (
            " and 'keypoints'" if any("keypoints" in row for row in rows if isinstance(row, dict)) else ""
        )
    return None


def read(source: Source, reading: Reading) -> PoseFile:
    """Read a COCO results file: rows with ``image_id``, ``keypoints`` and, in all or none, ``score``.

    ``keypoints`` is x, y, score of each keypoint of the skeleton. A keypoint is missing when it lies at 0, 0 or has
    score 0. An empty list is a file with no poses; a person may have no valid keypoint. Where no row has a ``score``,
    all poses get 1. ``bbox``, ``track_id`` and ``category_id`` are read where they are there. Rows of other categories
    than the one that was chosen are left as they are, whatever they hold.

    Raises:
        FormatError: No skeleton is given (it is never guessed), no row is of the category that was chosen, or the file
            is faulty; names file, row (from 0) and field.
    """
    text, skeleton = source.document, reading.skeleton
    if not text.is_list:
        held = text.root
        what = "an annotation file" if isinstance(held, dict) and "annotations" in held else quoted(held)
        raise FormatError(f"{source.path}: expected a list of poses, got {what}.")
    choice = RowChoice.of(text, reading)
    if skeleton is None:
        opening = text.opening(ROWS_AT_ONCE)
        _check_poses(source.path, opening)
        lengths = _lengths(filter(choice.reads, opening))
        raise unnamed_layout(source.path, [count_of_lengths(source.path, lengths)] if lengths else [])
    opening = _opening(text)
    check_layout(source.path, skeleton, _lengths(filter(choice.reads, opening)), "row")
    starts, ends, numbers = array("q"), array("q"), array("d")
    places = None if choice.ids is None else array("q")
    chunk = partial(
        _Chunk.of,
        skeleton=skeleton,
        numbers=numbers,
        misfit=_misfit(opening),
        may_lack=bool(_lengths(opening)),
    )
    del opening  # of a long file only some rows are held
    chunks = list(map(chunk, _record_chunks(text, starts, ends, choice, places)))
    rows = _Chunk.joined(chunks, source.path, places)
    triples = np.frombuffer(numbers, dtype=np.float64).reshape(-1, len(skeleton), 3)
    whole = without_gaps(triples)
    poses = Poses(
        keypoints=whole[..., :2],
        scores=whole[..., 2],
        valid=(whole[..., 2] != 0) & (whole[..., :2] != 0).any(axis=-1),
        image_ids=rows.image_ids,
        pose_scores=rows.pose_scores,
        skeleton=skeleton,
    )
    known = any(track is not None for track in rows.tracks)
    # Poses hold the same numbers, unless some are gaps; both would be most of what a large file takes.
    rewrite = _Rewrite(
        text, starts, ends, poses, None if whole is triples else triples, rows.boxes, rows.scored, places
    )
    return PoseFile(
        source.path,
        NAME,
        poses,
        rewrite,
        tracks=rows.tracks if known else None,
        boxes=rows.boxes,
        notes=choice.notes or several_categories(Counter(rows.categories), reading),
        left_out=choice.left_out,
        categories=rows.categories if any(one is not None for one in rows.categories) else None,
    )


def write(new: NewFile) -> Contents:
    """A new results file, one line for each pose; missing keypoints are written as 0, 0, 0, scores in full."""
    poses = new.poses
    triples = new_triples(poses)
    lines = (json.dumps(_new_row(new, row, triples[row].ravel().tolist())) for row in range(len(poses)))
    return {"": ("[" + ",\n".join(lines) + "]\n").encode()}


FORMAT = Format(NAME, "COCO results: a list with a row for each pose", recognise, read, write, one_file=True)


@dataclass(frozen=True, eq=False)
class _Chunk:
    """What some rows hold besides coordinates; no boxes where nobody has one, and whether they have a score."""

    image_ids: tuple[int | str, ...]
    pose_scores: FloatArray
    boxes: FloatArray | None
    tracks: tuple[int | str | None, ...]
    categories: tuple[int | str | None, ...]
    scored: bool = True

    @classmethod
    def of(
        cls,
        records: Records,
        skeleton: Skeleton,
        numbers: array[float],
        misfit: Callable[[int], str],
        *,
        may_lack: bool,
    ) -> _Chunk:
        """Some rows; NaN for a score or box that is not there. Adds x, y, score of all keypoints to `numbers`.

        A row may lack keypoints where others of the file have some.
        """
        names = [f"{what} of {name}" for name in skeleton.keypoint_names for what in ("x", "y", "score")]
        # One array that grows: parts that are joined in the end would need their memory twice.
        triples = records.keypoint_lists("keypoints", names, misfit, may_lack=may_lack)
        numbers.frombytes(triples.tobytes())
        shaped = triples.reshape(-1, len(skeleton), TRIPLE)
        check_gaps(shaped, records, ("keypoints",) * TRIPLE, skeleton.keypoint_names)
        scores = np.zeros(len(records.rows))
        scores[records.asked()] = np.nan
        if (scored := np.array([row.get("score") is not None for row in records.rows], dtype=np.bool_)).any():
            scores[scored] = records.choose(scored).numbers("score")
        boxes = records.lists_where_given("bbox", BOX_SIDES)
        boxed = bool(np.isfinite(boxes).any())
        categories = tuple(map(category_of, records.rows))
        return cls(
            records.ids("image_id"), scores, boxes if boxed else None, records.tracks(TRACK), categories
        )

    @classmethod
    def joined(cls, chunks: Sequence[_Chunk], path: Path, places: array[int] | None) -> _Chunk:
        """All rows that are read, whose places in the file are told where those are not all.

        Raises:
            FormatError: Some have a score, others not.
        """
        scores = np.concatenate([np.zeros(0), *(chunk.pose_scores for chunk in chunks)])
        if (lacking := np.flatnonzero(np.isnan(scores))).size and lacking.size < scores.size:
            for row in lacking:
                where = Where(path, f"row {row if places is None else places[row]}", "score")
                problem = "expected a finite number, got none, where other rows have one."
                report_fault(FormatError.at(where, problem, "Give all rows a score, or none."))
        ids: dict[int | str, int | str] = {}  # of equal ones one is kept
        return cls(
            tuple(
                ids.setdefault(one, one) for one in chain.from_iterable(chunk.image_ids for chunk in chunks)
            ),
            np.ones(scores.size) if lacking.size else scores,
            _joined_boxes(chunks),
            tuple(chain.from_iterable(chunk.tracks for chunk in chunks)),
            tuple(chain.from_iterable(chunk.categories for chunk in chunks)),
            scored=not lacking.size,
        )


def _joined_boxes(chunks: Sequence[_Chunk]) -> FloatArray | None:
    """(N, 4) boxes of all rows, NaN where there is none; None where nobody has one."""
    if all(chunk.boxes is None for chunk in chunks):
        return None
    boxes = np.full((sum(len(chunk.image_ids) for chunk in chunks), len(BOX_SIDES)), np.nan)
    start = 0
    for chunk in chunks:
        end = start + len(chunk.image_ids)
        if chunk.boxes is not None:
            boxes[start:end] = chunk.boxes
        start = end
    return boxes


@dataclass(frozen=True, eq=False)
class _Rewrite:
    """The file with other poses; see `posefix.pose_files.pose_file.Rewrite`.

    Attributes:
        text: The file.
        starts: Where the rows begin.
        ends: Where they end.
        poses: As they were read.
        triples: (N, K, 3) what the file holds of them; None where that are the numbers of the poses.
        boxes: (N, 4) NaN where there is none; None where nobody has one.
        scored: Whether the rows have a `score`.
        places: Of the poses among the rows; None where all rows are poses.
    """

    text: JsonText
    starts: array[int]
    ends: array[int]
    poses: Poses
    triples: FloatArray | None
    boxes: FloatArray | None
    scored: bool
    places: array[int] | None

    def __call__(
        self, poses: Poses, *, keep: Sequence[int] | None = None, update_boxes: bool = False
    ) -> Contents:
        check_same_poses(self.text.path, poses, self.poses)
        if not self.scored and self.places is not None and len(self.places) < len(self.starts):
            # Rows that stay as they are have none either: all rows of a file have one, or none.
            poses = replace(poses, pose_scores=self.poses.pose_scores)
        kept = None if keep is None else set(keep)
        return PieceByPiece(lambda: self._edited(poses, kept, update_boxes))

    def _edited(self, poses: Poses, kept: set[int] | None, update_boxes: bool) -> Iterator[bytes]:
        edits: Iterable[Mapping[Place, Any] | None] = self._edits(poses, update_boxes)
        if kept is not None:
            edits = (edit if number in kept else None for number, edit in enumerate(edits))
        if self.places is not None:
            edits = _among_all_rows(edits, self.places, len(self.starts))
        return self.text.edited_elements(zip(self.starts, self.ends, strict=True), edits)

    def _edits(self, poses: Poses, update_boxes: bool) -> Iterator[dict[Place, Any]]:
        rescored = poses.pose_scores != self.poses.pose_scores
        if not self.scored and rescored.any():
            rescored[:] = True  # a file in which some rows have a score could not be read again
        for start in range(0, len(poses), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            yield from self._edits_of(rows, poses[rows], rescored[rows], update_boxes)

    def _edits_of(
        self, rows: slice, poses: Poses, rescored: BoolArray, update_boxes: bool
    ) -> Iterator[dict[Place, Any]]:
        before = self._triples_of(rows)
        written = triples_to_write(poses, before, self.poses.valid[rows])
        changed = np.any(differs(written, before), axis=(1, 2))
        boxed = np.zeros(len(poses), dtype=np.bool_)
        if update_boxes and self.boxes is not None:
            boxed = needs_new_box(poses, written, before) & np.isfinite(self.boxes[rows]).all(axis=1)
        boxes = boxes_to_write(poses) if boxed.any() else np.empty((0, 4))
        for row, numbers in enumerate(written):
            edit: dict[Place, Any] = {}
            if changed[row]:
                edit["keypoints",] = numbers.ravel().tolist()
            if rescored[row]:
                edit["score",] = float(poses.pose_scores[row])
            if boxed[row]:
                edit["bbox",] = boxes[row].tolist()
            yield edit

    def _triples_of(self, rows: slice) -> FloatArray:
        if self.triples is not None:
            return self.triples[rows]
        poses = self.poses
        return np.concatenate([poses.keypoints[rows], poses.scores[rows, :, None]], axis=-1)


def _among_all_rows(
    edits: Iterable[Mapping[Place, Any] | None], places: Sequence[int], count: int
) -> Iterator[Mapping[Place, Any] | None]:
    """Edits of rows at some places, and none of the other rows of a file."""
    own, following = iter(edits), iter(places)
    place = next(following, None)
    for row in range(count):
        if row == place:
            yield next(own)
            place = next(following, None)
        else:
            yield {}


def _record_chunks(
    text: JsonText, starts: array[int], ends: array[int], choice: RowChoice, places: array[int] | None
) -> Iterator[Records]:
    """The rows that are read, some at a time; fills in where each row of the file begins and ends, and their places."""
    for elements in text.elements():
        numbers = range(len(starts), len(starts) + len(elements))
        starts.extend(element.start for element in elements)
        ends.extend(element.end for element in elements)
        records = Records(text.path, "row", [element.value for element in elements], numbers)
        if places is not None:
            records = records.choose([choice.reads(row) for row in records.rows])
            places.extend(map(records.place, range(len(records.rows))))
        if records.rows:
            yield records
        elements.clear()


def _new_row(new: NewFile, row: int, keypoints: list[float]) -> Record:
    content: Record = {
        "image_id": new.poses.image_ids[row],
        CATEGORY: 1,
        "keypoints": [number or 0 for number in keypoints],
        "score": float(new.poses.pose_scores[row]),
    }
    if new.boxes is not None and np.isfinite(new.boxes[row]).all():
        content["bbox"] = new.boxes[row].tolist()
    if new.tracks is not None and new.tracks[row] is not None:
        content[TRACK] = new.tracks[row]
    return content


def _check_poses(path: Path, rows: Sequence[Any]) -> None:
    """Refuse rows none of which has keypoints, such as those of a detector, with another word than that of a layout.

    Raises:
        FormatError: They are such.
    """
    found = [row for row in rows if isinstance(row, dict)]
    if found and not any("keypoints" in row for row in found):
        fields = ", ".join(map(repr, list(found[0])[:FIELDS_SHOWN]))
        boxes = "; boxes alone are no poses" if "bbox" in found[0] else ""
        raise FormatError(f"{path}: expected people with 'keypoints', got rows with {fields}{boxes}.")


def _opening(text: JsonText) -> list[Any]:
    """The first rows; none if these are not JSON, which is told after the faults of rows before."""
    try:
        return list(text.opening(ROWS_AT_ONCE))
    except InputError:
        return []


def _misfit(opening: Sequence[Any]) -> Callable[[int], str]:
    """What tells what another length of a row says; where rows are of several categories, how to read one of them."""
    categories = {category_of(row) for row in opening if isinstance(row, dict)}
    hint = "; --category reads the rows of one category_id" if len(categories) > 1 else ""
    return lambda length: f"{misfit(TRIPLE, length)}{'' if length % TRIPLE else hint}"


def _lengths(rows: Iterable[Any]) -> list[int]:
    return list_lengths(row.get("keypoints") for row in rows if isinstance(row, dict))
