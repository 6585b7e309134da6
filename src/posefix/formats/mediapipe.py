"""Landmarks of MediaPipe as people write them to files, CSV and JSON: MediaPipe itself writes none.

A landmark's x and y are shares of the photo's width and height, from edge to edge (posefix/estimators/mediapipe.py), or
pixels where somebody multiplied them. The shapes that are read are those of the programs that people publish:

| | a row or an element |
|---|---|
| CSV, long | a landmark: frame, landmark (number or name), x, y, z, visibility; person |
| CSV, wide | a frame: NOSE_x, NOSE_y, ... or x1, y1, z1, v1, ... or landmark_0_x, ... |
| JSON | frames, each with `pose_landmarks`, `poseLandmarks` or `landmarks`; a frame alone; lists of landmarks alone |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posefix.errors import Where
from posefix.formats.mediapipe_csv import is_landmark_table, read_table
from posefix.formats.mediapipe_json import is_landmark_document, read_document
from posefix.formats.mediapipe_landmarks import Landmarks
from posefix.pose.poses import BoolArray, FloatArray, Poses
from posefix.pose_files.json_people import missing_frames
from posefix.pose_files.named_points import EDGE_TO_CENTRE, FROM_EDGE
from posefix.pose_files.pose_file import (
    Contents,
    Format,
    FormatError,
    PoseFile,
    Reading,
    Source,
    check_same_poses,
    rows_left_out,
)
from posefix.pose_files.records import report_fault
from posefix.pose_files.units import Unit, are_shares, shares, sizes_of_photos, triples_in_unit

NAME = "mediapipe"
NEGATIVE = 0.25
"""Share of the coordinates below 0; of places in a photo hardly any are, of places around the hips half."""


def recognise(source: Source) -> str | None:
    """Why a source holds landmarks of MediaPipe."""
    if is_landmark_table(source):
        return "a CSV file with columns of landmarks"
    return "landmarks with x and y" if is_landmark_document(source.opening) else None


def read(source: Source, reading: Reading) -> PoseFile:
    """Read the landmarks of all frames; those without any are no poses.

    A landmark is missing where it is not there, or at 0, 0; visibility is its score, and none makes it missing.

    Raises:
        FormatError: The file is faulty, its layout unknown, or places are shares of photos that are not given.
    """
    is_table = source.path.suffix.lower() == ".csv"
    landmarks = read_table(source, reading) if is_table else read_document(source.document, reading)
    numbers = landmarks.numbers
    there = np.asarray(np.isfinite(numbers[..., :2]).all(axis=-1) & (numbers[..., :2] != 0).any(axis=-1))
    unit, note = _unit(source.path, landmarks, there, reading)
    known = np.isfinite(numbers[..., 2])
    scores = np.where(known, numbers[..., 2], 1.0)
    poses = Poses(
        keypoints=np.where(there[..., None], unit.to_pixels(np.nan_to_num(numbers[..., :2])), 0.0),
        scores=scores,
        valid=there,
        image_ids=landmarks.image_ids,
        pose_scores=np.where(there, scores, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1),
        skeleton=landmarks.skeleton,
    )
    frames = [image_id for image_id in landmarks.image_ids if isinstance(image_id, int)]
    return PoseFile(
        source.path,
        NAME,
        poses,
        _Rewrite(source, landmarks, poses, there, unit),
        tracks=landmarks.tracks,
        notes=(*note, *missing_frames(frames)),
        has_scores=bool(known.any()),
        left_out=_left_out(landmarks),
    )


FORMAT = Format(
    NAME,
    "MediaPipe's landmarks as people write them (.csv, .json)",
    recognise,
    read,
    endings=(".csv", ".json"),
    needs="landmarks need a depth, which poses do not have, and no program reads one shape of them",
)


def _left_out(landmarks: Landmarks) -> tuple[str, ...]:
    """A line on landmarks that cannot be filled in."""
    lacking = int((~landmarks.placed).sum())
    return (f"landmarks without a place in the file, which stay missing: {lacking}",) if lacking else ()


def _unit(
    path: Path, landmarks: Landmarks, there: BoolArray, reading: Reading
) -> tuple[Unit, tuple[str, ...]]:
    """What the numbers are, and the note that says so.

    Raises:
        FormatError: They are no places in a photo, or shares of photos that are not given.
    """
    places = landmarks.numbers[there][:, :2]
    if places.size and (places < 0).mean() > NEGATIVE:
        problem = (
            "expected places in a photo, got coordinates of which many are below 0, as of MediaPipe's world landmarks "
            "(metres from the hips) and other places in space; write the landmarks of the photo"
        )
        report_fault(FormatError.at(Where(path), problem))
    found, _ = are_shares(np.nan_to_num(landmarks.numbers[..., :2]), there)
    if not found:
        return FROM_EDGE, ("places are pixels from the photo's edge",) if there.any() else ()
    sizes = sizes_of_photos(path, reading.photo_size, landmarks.image_ids)
    unit = shares(sizes, np.full_like(sizes, -EDGE_TO_CENTRE))
    return unit, ("places are shares of the photo, from edge to edge",)


@dataclass(frozen=True, eq=False)
class _Rewrite:
    """The same file with other poses; see `posefix.pose_files.pose_file.Rewrite`. It has no boxes.

    Landmarks that are gone become zeros, as programs write them where nobody is found.
    """

    source: Source
    landmarks: Landmarks
    poses: Poses
    there: BoolArray
    unit: Unit

    def __call__(
        self, poses: Poses, *, keep: Sequence[int] | None = None, update_boxes: bool = False
    ) -> Contents:
        check_same_poses(self.source.path, poses, self.poses)
        before = self.landmarks.numbers
        written = triples_in_unit(poses, self.poses, np.nan_to_num(before), self.unit)
        gone = self.there & ~poses.valid
        gone[rows_left_out(len(poses), keep)] = True
        gone &= self.there
        written[gone] = 0.0
        changed = self._changed(poses, written, before, gone)
        return {"": self.landmarks.write(written, changed) if changed.any() else self._same()}

    def _changed(self, poses: Poses, written: FloatArray, before: FloatArray, gone: BoolArray) -> BoolArray:
        """(N, K, 3) which numbers of the file become others; visibilities only where there are some."""
        changed = written != before
        changed &= ((poses.valid | gone) & self.landmarks.placed)[..., None]
        rescored = (poses.scores != self.poses.scores) | gone
        changed[..., 2] &= rescored & np.isfinite(before[..., 2])
        return np.asarray(changed)

    def _same(self) -> bytes:
        if self.source.json is None:
            return self.source.content
        return self.source.json.text.encode()
