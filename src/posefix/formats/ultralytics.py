"""Ultralytics results as JSON: what ``Results.to_json()`` and ``Results.summary()`` give, a list for each photo.

Shape as in ultralytics/engine/results.py of https://github.com/ultralytics/ultralytics: ``name``, ``class``,
``confidence``, ``box`` (x1, y1, x2, y2), ``track_id`` of trackers, ``keypoints`` (x, y, ``visible``). With
``normalize=True`` coordinates are shares of the photo's width and height: x / W, without half a pixel.

Its ``predictions.json`` (``save_json``) is a COCO results file, its label files (``save_txt``) have a format of their
own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from posefix.files import file_stem
from posefix.photos.names import photo_stems
from posefix.pose.poses import FloatArray, rows_by_image
from posefix.pose_files.gaps import check_gaps, without_gaps
from posefix.pose_files.json_people import (
    JsonRewrite,
    PeopleList,
    PersonChange,
    documents,
    joined,
    json_files,
    measured_in_shares,
    odd_scores,
    openings,
    people_poses,
    tracks_in,
)
from posefix.pose_files.json_text import Place
from posefix.pose_files.layouts import check_layout, misfit, unnamed_layout
from posefix.pose_files.pose_file import (
    Contents,
    Format,
    NewFile,
    PoseFile,
    Reading,
    Source,
)
from posefix.pose_files.records import Record, Records
from posefix.pose_files.units import PIXELS, Unit, new_boxes, new_triples, shares, sizes_of_photos
from posefix.skeletons import Skeleton

NAME = "ultralytics"
POINTS, BOX, SCORE, TRACK = "keypoints", "box", "confidence", "track_id"
X, Y, VISIBLE = "x", "y", "visible"
CORNERS = ("x1", "y1", "x2", "y2")


def recognise(source: Source) -> str | None:
    """Why a source is of Ultralytics."""
    if source.path.is_dir():
        found = any(_has_detections(opening) for opening in openings(json_files(source)))
        return "a folder of lists of detections with 'box' and 'keypoints'" if found else None
    return "a list of detections with 'box' and 'keypoints'" if _has_detections(source.opening) else None


def read(source: Source, reading: Reading) -> PoseFile:
    """Read results as JSON: one file, or a folder of them, each called as its photo.

    Keypoints without ``visible`` have score 1.

    Raises:
        FormatError: No layout is given (the file does not say it), a file is faulty, or coordinates are shares of
            photos that are not given.
    """
    texts = documents(source, json_files(source))
    lists = [
        PeopleList.of_photo(document, (), document[1].root, "detection", file_stem(document[1].path))
        for document in texts
    ]
    lengths, skeleton = _keypoint_counts(lists), reading.skeleton
    if skeleton is None:
        raise unnamed_layout(source.path, lengths[:1])
    check_layout(source.path, skeleton, lengths, "detection", each=1)
    triples = joined(
        (_triples(people.records, skeleton, may_lack=bool(lengths)) for people in lists), (len(skeleton), 3)
    )
    unit, notes = _unit(source, lists, triples, reading)
    scores = joined((people.records.numbers_where_given(SCORE) for people in lists), ())
    poses = people_poses(lists, triples, skeleton, scores=scores, unit=unit)
    boxes = joined((_boxes(people.records) for people in lists), (4,))
    return PoseFile(
        source.path,
        NAME,
        poses,
        JsonRewrite(source.path, texts, lists, poses, triples, _edit, unit),
        tracks=tracks_in(lists, TRACK),
        boxes=_in_pixels(boxes, unit) if np.isfinite(boxes).any() else None,
        notes=(*notes, *odd_scores(poses)),
    )


def write(new: NewFile) -> Contents:
    """A folder with a file for each photo, in pixels.

    Raises:
        FormatError: Two photos have one name.
    """
    stems = photo_stems(new, "these files")
    triples = new_triples(new.poses)
    boxes = new_boxes(new)
    return {
        f"{stems[image_id]}.json": json.dumps(
            [_detection(new, row, triples[row], boxes[row]) for row in rows], indent=2
        ).encode()
        for image_id, rows in rows_by_image(new.poses.image_ids).items()
    }


FORMAT = Format(NAME, "Ultralytics: Results.to_json(), a list for each photo", recognise, read, write)


def _has_detections(content: Any) -> bool:
    rows = content if isinstance(content, list) else []
    return any(isinstance(row, dict) and isinstance(row.get(BOX), dict) and POINTS in row for row in rows)


def _keypoint_counts(lists: Sequence[PeopleList]) -> list[int]:
    """Of each detection, as far as it has a list of x."""
    points = (row.get(POINTS) for people in lists for row in people.records.rows)
    values = (value.get(X) for value in points if isinstance(value, dict))
    return [len(value) for value in values if isinstance(value, list)]


def _triples(records: Records, skeleton: Skeleton, *, may_lack: bool) -> FloatArray:
    """(n, K, 3): x, y, score of some detections; zeros for boxes without keypoints, where others have some."""
    there = np.array([not may_lack or _has_points(row) for row in records.rows], dtype=np.bool_)
    triples = np.zeros((len(there), len(skeleton), 3))
    if there.any():
        triples[there] = _triples_of(records.choose(there), skeleton)
    return triples


def _has_points(row: Record) -> bool:
    """Whether a detection has keypoints: something in the field, and not merely empty lists."""
    points = row.get(POINTS)
    return bool(any(value != [] for value in points.values()) if isinstance(points, dict) else points)


def _triples_of(records: Records, skeleton: Skeleton) -> FloatArray:
    """(n, K, 3) the same of detections that all have keypoints."""
    points, single = records.objects(POINTS), partial(misfit, 1)
    columns = [
        points.number_lists(axis, [f"{axis} of {name}" for name in skeleton.keypoint_names], single)
        for axis in (X, Y)
    ]
    scores = np.ones((len(points.rows), len(skeleton)))
    scored = np.array([row.get(VISIBLE) is not None for row in points.rows], dtype=np.bool_)
    if scored.any():
        names = [f"visibility of {name}" for name in skeleton.keypoint_names]
        scores[scored] = points.choose(scored).number_lists(VISIBLE, names, single)
    absent = np.isnan(columns[0]) & np.isnan(columns[1])
    scores[~scored] = np.where(absent, np.nan, 1.0)[~scored]
    triples = np.stack([*columns, scores], axis=-1)
    check_gaps(triples, points, (X, Y, VISIBLE), skeleton.keypoint_names)
    return triples


def _boxes(records: Records) -> FloatArray:
    """(n, 4) left, top, width, height in the file's unit; NaN for who has none."""
    boxes = np.full((len(records.rows), 4), np.nan)
    if (given := np.array([BOX in row for row in records.rows], dtype=np.bool_)).any():
        inner = records.choose(given).objects(BOX)
        boxes[given] = np.stack([inner.numbers(side) for side in CORNERS], axis=-1)
        boxes[:, 2:] -= boxes[:, :2]
    return boxes


def _in_pixels(boxes: FloatArray, unit: Unit) -> FloatArray:
    return np.concatenate([boxes[:, :2] * unit.scale[:, 0], boxes[:, 2:] * unit.scale[:, 0]], axis=1)


def _unit(
    source: Source, lists: Sequence[PeopleList], triples: FloatArray, reading: Reading
) -> tuple[Unit, tuple[str, ...]]:
    triples = without_gaps(triples)
    found = (triples[..., :2] != 0).any(axis=-1)
    if not measured_in_shares(lists, POINTS, triples[..., :2], found):
        return PIXELS, ()
    ids = [image_id for people in lists for image_id in people.image_ids]
    unit = shares(sizes_of_photos(source.path, reading.photo_size, ids))
    low, high = triples[found][:, :2].min(), triples[found][:, :2].max()
    return unit, (f"coordinates from {low:g} to {high:g} are shares of the photo (normalize=True)",)


def _edit(change: PersonChange) -> Mapping[Place, Any]:
    edit: dict[Place, Any] = {}
    if change.triples is not None:
        x, y, scores = change.triples.T.tolist()
        edit |= {(POINTS, X): x, (POINTS, Y): y}
        if change.record[POINTS].get(VISIBLE) is not None:
            edit[POINTS, VISIBLE] = scores
    if change.corners is not None and BOX in change.record:
        edit |= {
            (BOX, side): value for side, value in zip(CORNERS, change.corners.ravel().tolist(), strict=True)
        }
    if change.pose_score is not None and change.record.get(SCORE) is not None:
        edit[SCORE,] = change.pose_score
    return edit


def _detection(new: NewFile, row: int, triples: FloatArray, box: FloatArray) -> Record:
    left, top, width, height = box.tolist()
    x, y, scores = triples.T.tolist()
    content: Record = {
        "name": "person",
        "class": 0,
        SCORE: float(new.poses.pose_scores[row]),
        BOX: dict(zip(CORNERS, (left, top, left + width, top + height), strict=True)),
    }
    if new.tracks is not None and new.tracks[row] is not None:
        content[TRACK] = new.tracks[row]
    return content | {POINTS: {X: x, Y: y, VISIBLE: scores}}
