"""PoseTrack 2018 results: one file for each video, with scores beside the keypoints.

A person of such a file has ``keypoints`` (x, y, 1 for each keypoint; 0, 0, 0 for a missing one), ``scores`` (one for
each keypoint) and ``track_id``. Read, it becomes a row of a COCO results file that keeps its other fields.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from posefix.errors import InputError
from posefix.files import make_folder, write_text_atomic
from posefix.formats.coco_annotations import read_object
from posefix.formats.coco_posetrack import PoseTrackAnnotations, check_unique, video_files
from posefix.formats.coco_records import Record, Records
from posefix.formats.coco_results import ResultsFile
from posefix.poses import BoolArray, FloatArray, ImageId, Poses
from posefix.skeletons import Skeleton, keypoint_category, match_keypoints, skeleton_from_coco

NO_SCORE = -9999.0
"""What poseval takes for the score of a keypoint without one: it ranks last."""
SMALLEST_SCORE = 1e-6
"""In a COCO results file a keypoint of score 0 is missing: it gets this score."""


@dataclass(frozen=True, eq=False)
class PoseTrackResults:
    """Results of several videos.

    Attributes:
        file: The same people as rows of a COCO results file, and as arrays.
        image_ids: All frames that the files list, those without people too.
    """

    file: ResultsFile
    image_ids: frozenset[ImageId]


def read_posetrack_results(path: str | Path) -> PoseTrackResults:
    """Read PoseTrack 2018 results; the layout is the one that the files' categories name.

    A keypoint at 0, 0 with visibility 0 is missing, any other was found. A keypoint without score gets
    `NO_SCORE`, a person without one the mean of the keypoints'.

    Args:
        path: A folder with one JSON file for each video, or one such file.

    Raises:
        InputError: There is no such file, one is faulty, two hold the same image or name different keypoints.
    """
    path = Path(path)
    parts = [_read_video(file) for file in video_files(path)]
    skeleton = parts[0].file.poses.skeleton
    for part in parts:
        if part.file.poses.skeleton != skeleton:
            raise InputError(
                f"{part.file.path}, field 'categories': expected the keypoints of {parts[0].file.path}, got "
                f"{', '.join(part.file.poses.skeleton.keypoint_names)}."
            )
    check_unique((part.file.path, "image", part.image_ids) for part in parts)
    rows = [row for part in parts for row in part.file.rows]
    poses = _join([part.file.poses for part in parts], skeleton)
    return PoseTrackResults(
        ResultsFile(path, rows, poses), frozenset[ImageId]().union(*(part.image_ids for part in parts))
    )


def write_posetrack_results(folder: str | Path, results: ResultsFile, truth: PoseTrackAnnotations) -> None:
    """Write results as poseval takes them: a file for each annotated video, with all of its frames.

    Keypoints are matched by name. ``track_id``, ``bbox`` and ``id`` are those of the rows; without them people are
    numbered within their frame, which is all that an evaluation of poses needs.

    Args:
        folder: Made if it is not there.
        results: A COCO results file's, or PoseTrack results.
        truth: Annotations of the same videos.

    Raises:
        InputError: A row's image is in no video, the layouts share no keypoint, or a file cannot be written.
    """
    contents = posetrack_contents(results, truth)
    make_folder(folder)
    for name, content in contents.items():
        write_text_atomic(Path(folder) / name, json.dumps(content) + "\n")


def posetrack_contents(results: ResultsFile, truth: PoseTrackAnnotations) -> dict[str, Record]:
    """What `write_posetrack_results` writes, by file name.

    Raises:
        InputError: See there.
    """
    rows_of: dict[ImageId, list[int]] = {}
    for row, image_id in enumerate(results.poses.image_ids):
        if image_id not in truth.annotations.images:
            raise InputError(
                f"{results.path}, row {row}, field 'image_id': {image_id!r} is not among the frames of "
                f"{truth.annotations.path}; give the annotations of the same videos."
            )
        rows_of.setdefault(image_id, []).append(row)
    triples, scores = _in_layout(results.poses, truth.annotations.skeleton)
    contents: dict[str, Record] = {}
    for video in truth.videos:
        people = [
            _person(results.rows[row], number, triples[row], scores[row])
            for image_id in video.image_ids
            for number, row in enumerate(rows_of.get(image_id, []))
        ]
        contents[video.file_name] = {
            "images": list(video.images),
            "annotations": people,
            "categories": list(video.categories),
        }
    return contents


def _person(row: Mapping[str, Any], number: int, triples: FloatArray, scores: FloatArray) -> Record:
    """A person of a PoseTrack file; `number` counts the people of the frame."""
    person: Record = {
        "image_id": row["image_id"],
        "category_id": 1,
        "track_id": row.get("track_id", number),
        "keypoints": triples.ravel().tolist(),
    }
    if (scores != NO_SCORE).any():
        person["scores"] = scores.tolist()
    return {**person, **{field: row[field] for field in ("id", "score", "bbox") if field in row}}


def _in_layout(poses: Poses, skeleton: Skeleton) -> tuple[FloatArray, FloatArray]:
    """Poses as x, y, 1 (N, K, 3) and scores (N, K) of another layout; zeros where a keypoint is missing."""
    mapping = match_keypoints(poses.skeleton, skeleton)
    triples = np.zeros((len(poses), len(skeleton), 3))
    scores = np.zeros(triples.shape[:2])
    found = np.concatenate([poses.keypoints, np.ones((*poses.valid.shape, 1))], axis=-1)
    found, there = np.where(poses.valid[..., None], found, 0.0), np.where(poses.valid, poses.scores, 0.0)
    triples[:, mapping.target_index] = found[:, mapping.source_index]
    scores[:, mapping.target_index] = there[:, mapping.source_index]
    return triples, scores


def _read_video(path: Path) -> PoseTrackResults:
    content = read_object(path)
    skeleton = skeleton_from_coco(keypoint_category(content, str(path)), path.name)
    image_ids = Records(path, "image", _list(content, "images", path)).unique_ids()
    records = Records(path, "annotation", _list(content, "annotations", path))
    names = [f"{what} of {name}" for name in skeleton.keypoint_names for what in ("x", "y", "visibility")]
    triples = records.number_lists("keypoints", names).reshape(-1, len(skeleton), 3)
    people = records.ids("image_id")
    known = set(image_ids)
    if unknown := [number for number, image_id in enumerate(people) if image_id not in known]:
        raise records.fault(unknown[0], "image_id", "the id of an image of this file")
    valid = (triples != 0).any(axis=-1)
    scores = _scores(records, skeleton)
    pose_scores = _pose_scores(records, valid, scores)
    poses = Poses(triples[..., :2], scores, valid, people, pose_scores, skeleton)
    return PoseTrackResults(ResultsFile(path, _coco_rows(records.rows, poses), poses), frozenset(image_ids))


def _list(content: Mapping[str, Any], field: str, path: Path) -> list[Record]:
    value = content.get(field)
    if not isinstance(value, list):
        raise InputError(
            f"{path}, field {field!r}: expected a list, as in PoseTrack 2018's files, got {type(value).__name__}."
        )
    return value


def _scores(records: Records, skeleton: Skeleton) -> FloatArray:
    scores = np.full((len(records.rows), len(skeleton)), NO_SCORE)
    there = [row.get("scores") not in (None, []) for row in records.rows]
    if any(there):
        names = [f"score of {name}" for name in skeleton.keypoint_names]
        scores[there] = records.choose(there).number_lists("scores", names)
    return scores


def _pose_scores(records: Records, valid: BoolArray, scores: FloatArray) -> FloatArray:
    """Of each person: as given, else the mean of the valid keypoints' scores, else 0."""
    counted = valid & (scores != NO_SCORE)
    means = np.where(counted, scores, 0).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    given = ["score" in row for row in records.rows]
    if any(given):
        means[given] = records.choose(given).numbers("score")
    return np.asarray(means, dtype=np.float64)


def _coco_rows(people: list[Record], poses: Poses) -> list[Record]:
    scores = np.where(poses.scores == 0, SMALLEST_SCORE, poses.scores)
    triples = np.concatenate([poses.keypoints, scores[..., None]], axis=-1)
    triples[~poses.valid] = 0
    rows = []
    for person, numbers, score in zip(people, triples, poses.pose_scores.tolist(), strict=True):
        other = {field: value for field, value in person.items() if field != "scores"}
        rows.append({"category_id": 1, **other, "keypoints": numbers.ravel().tolist(), "score": score})
    return rows


def _join(parts: list[Poses], skeleton: Skeleton) -> Poses:
    return Poses(
        np.concatenate([part.keypoints for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.valid for part in parts]),
        tuple(image_id for part in parts for image_id in part.image_ids),
        np.concatenate([part.pose_scores for part in parts]),
        skeleton,
    )
