"""MPII's annotations as JSON: a list with a row for each person, as HRNet's and MMPose's training read it.

Fields as in lib/dataset/mpii.py of https://github.com/leoxiaobin/deep-high-resolution-net.pytorch and
mmpose/datasets/datasets/body/mpii_dataset.py of https://github.com/open-mmlab/mmpose: `image`, `joints` (x, y of each),
`joints_vis` (0 or 1), `center` and `scale` (of a square of 200 scale pixels). Both take 1 off all coordinates, which
are counted as MATLAB does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from posefix.errors import quoted
from posefix.pose.poses import LARGEST_NUMBER, BoolArray, FloatArray, Poses, Rows
from posefix.pose_files.gaps import check_gaps
from posefix.pose_files.json_numbers import edited_with_numbers
from posefix.pose_files.json_text import REMOVED, JsonText, Place
from posefix.pose_files.layouts import TRIPLE, check_layout, misfit, unnamed_layout
from posefix.pose_files.pose_file import (
    DECIMALS,
    Contents,
    Format,
    FormatError,
    NewFile,
    PoseFile,
    Reading,
    Source,
    check_same_poses,
    rows_left_out,
)
from posefix.pose_files.records import Record, Records, report_fault
from posefix.pose_files.units import Unit, new_boxes, triples_in_unit
from posefix.skeletons import Skeleton, load_skeleton

NAME = "mpii-json"
IMAGE, POINTS, SEEN = "image", "joints", "joints_vis"
LAYOUT = "mpii16"
ONE_BASED = Unit(np.ones((1, 1, 2)), np.full((1, 1, 2), -1.0), DECIMALS)
"""MATLAB's: the centre of the top-left pixel is (1, 1)."""
NOWHERE = -1.0
"""Both coordinates of a keypoint that is missing."""
SCALE_PIXELS = 200.0
"""Side of the square whose scale is 1."""


def recognise(source: Source) -> str | None:
    """Why a source is MPII's JSON."""
    rows = source.opening
    known = isinstance(rows, list) and any(
        isinstance(row, dict) and POINTS in row and (SEEN in row or IMAGE in row) for row in rows
    )
    return f"a list of people with {POINTS!r}" if known else None


def read(source: Source, reading: Reading) -> PoseFile:
    """Read annotated people; who has 16 keypoints has MPII's, of any other number the layout must be named.

    A keypoint is there if `joints_vis` is above 0 or true, or in a file without that, if it does not lie at -1, -1 or
    0, 0. Who has no `joints` where others have some is a person without keypoints.

    Raises:
        FormatError: The file is faulty, or its layout unknown.
    """
    text, path = source.document, source.path
    if not isinstance(text.root, list):
        raise FormatError(f"{path}: expected a list of people, got {quoted(text.root)}.")
    records = Records(path, "person", text.root)
    skeleton = _skeleton(records, reading)
    numbers = _numbers(records, skeleton)
    there = _there(records, numbers, skeleton)
    gaps = np.isnan(numbers)
    seen = np.where(gaps.all(axis=-1), np.nan, there)
    triples = np.concatenate([numbers, seen[..., None]], axis=-1)
    check_gaps(triples, records, (POINTS,) * TRIPLE, skeleton.keypoint_names)
    there &= ~gaps.any(axis=-1)
    poses = Poses(
        keypoints=np.where(there[..., None], ONE_BASED.to_pixels(numbers), 0.0),
        scores=there.astype(np.float64),
        valid=there,
        image_ids=records.ids(IMAGE),
        pose_scores=np.ones(len(records.rows)),
        skeleton=skeleton,
    )
    return PoseFile(
        path,
        NAME,
        poses,
        _Rewrite(text, records, poses, numbers),
        notes=("annotations have no scores: only keypoints are written; 'center' and 'scale' stay",),
        has_scores=False,
    )


def write(new: NewFile) -> Contents:
    """A new file, one line for each person; center and scale are those of the box.

    Raises:
        FormatError: The layout has as many keypoints as MPII, whose these would be taken for.
    """
    skeleton, known = new.poses.skeleton, load_skeleton(LAYOUT)
    if len(skeleton) == len(known) and skeleton.keypoint_names != known.keypoint_names:
        raise FormatError(
            f"MPII's JSON has no place for poses of {skeleton.name}: as many keypoints are those of {LAYOUT}; "
            "choose another format, or convert to that layout (--to-layout)."
        )
    boxes = new_boxes(new)
    lines = [json.dumps(_new_row(new, row, boxes[row])) for row in range(len(new.poses))]
    return {"": ("[" + ",\n".join(lines) + "]\n").encode()}


FORMAT = Format(
    NAME,
    "MPII as HRNet and MMPose train with it: a list of people with joints",
    recognise,
    read,
    write,
    one_file=True,
)


def _skeleton(records: Records, reading: Reading) -> Skeleton:
    counts = [len(row[POINTS]) for row in records.rows if row.get(POINTS) and isinstance(row[POINTS], list)]
    given = reading.skeleton
    if given is not None:
        check_layout(records.path, given, counts, "person", each=1)
        return given
    if counts and max(set(counts), key=counts.count) != len(load_skeleton(LAYOUT)):
        raise unnamed_layout(records.path, [max(set(counts), key=counts.count)])
    return load_skeleton(LAYOUT)


def _numbers(records: Records, skeleton: Skeleton) -> FloatArray:
    """(N, K, 2) coordinates as the file has them."""
    if (plain := _plain_numbers(records, len(skeleton))) is not None:
        return plain
    rows: list[Record] = [{}] * len(records.rows)
    lacking = _lacking(records)
    for number in records.asked():
        points = records.rows[number].get(POINTS)
        if lacking[number]:
            rows[number] = {POINTS: [NOWHERE] * (2 * len(skeleton))}
        elif isinstance(points, list) and all(
            isinstance(point, list) and len(point) == 2 for point in points
        ):
            rows[number] = {POINTS: list(chain.from_iterable(points))}
        else:
            report_fault(records.fault(number, POINTS, "a list of [x, y]"))
            rows[number] = {POINTS: [NOWHERE] * (2 * len(skeleton))}
    names = [f"{axis} of {name}" for name in skeleton.keypoint_names for axis in "xy"]
    flat = Records(records.path, records.noun, rows)
    return flat.number_lists(POINTS, names, partial(misfit, 2)).reshape(-1, len(skeleton), 2)


def _lacking(records: Records) -> BoolArray:
    """(N,): who has no joints where others have some."""
    lacking = np.array([not row.get(POINTS) for row in records.rows], dtype=np.bool_)
    return lacking & ~lacking.all()


def _plain_numbers(records: Records, count: int) -> FloatArray | None:
    """The same, all at once, where all are as they should be; None where each must be looked at."""
    values: list[Any] = [row.get(POINTS) for row in records.rows]
    try:
        array = np.array(values)
        types = set(map(type, chain.from_iterable(chain.from_iterable(values))))
    except (TypeError, ValueError):  # lists of different lengths, or none
        return None
    if array.shape != (len(values), count, 2) or not types <= {int, float} or array.dtype.kind not in "if":
        return None
    return array.astype(np.float64) if (np.abs(array) < LARGEST_NUMBER).all() else None


def _there(records: Records, numbers: FloatArray, skeleton: Skeleton) -> BoolArray:
    """(N, K) which keypoints are there."""
    lacking = _lacking(records)
    marked = np.array([row.get(SEEN) is not None for row in records.rows], dtype=np.bool_) & ~lacking
    there = ~((numbers == NOWHERE) | (numbers == 0)).all(axis=-1)
    names = [f"{SEEN} of {name}" for name in skeleton.keypoint_names]
    seen = _with_numbers(records.choose(marked))
    there[marked] = seen.number_lists(SEEN, names, partial(misfit, 1)) > 0
    return np.asarray(there)


def _with_numbers(records: Records) -> Records:
    """People whose `joints_vis` holds 1 and 0 for true and false."""
    rows = [
        {SEEN: [int(value) if isinstance(value, bool) else value for value in row[SEEN]]}
        if isinstance(row[SEEN], list) and bool in set(map(type, row[SEEN]))
        else row
        for row in records.rows
    ]
    return replace(records, rows=rows)


@dataclass(frozen=True, eq=False)
class _Rewrite:
    """The file with other poses; see `posefix.pose_files.pose_file.Rewrite`. It has no boxes to write."""

    text: JsonText
    records: Records
    poses: Poses
    numbers: FloatArray

    def __call__(
        self, poses: Poses, *, keep: Sequence[int] | None = None, update_boxes: bool = False
    ) -> Contents:
        check_same_poses(self.text.path, poses, self.poses)
        before = np.concatenate([self.numbers, self.poses.valid[..., None]], axis=-1)
        after = triples_in_unit(poses, self.poses, before, ONE_BASED)[..., :2]
        after[self.poses.valid & ~poses.valid] = NOWHERE
        gone = rows_left_out(len(poses), keep)
        after[gone] = self.numbers[gone]
        edits: dict[Place, Any] = {(row,): REMOVED for row in gone.tolist()}
        gaps = np.isnan(self.numbers).any(axis=-1)
        for row, keypoint in np.argwhere(gaps & ~np.isnan(after).any(axis=-1)).tolist():  # null is no number
            edits[row, POINTS, keypoint] = after[row, keypoint].tolist()
        edits.update(self._truths(poses, gone))
        return {"": edited_with_numbers(self.text, self._numbers(poses, after, gone), edits).encode()}

    def _numbers(self, poses: Poses, after: FloatArray, gone: Rows) -> Iterator[tuple[Place, float]]:
        """Place and value of each number that changes, but for keypoints that lack one."""
        gaps = np.isnan(self.numbers).any(axis=-1, keepdims=True)
        changed = np.nonzero((after != self.numbers) & ~gaps)
        rows, keypoints, axes = (indices.tolist() for indices in changed)
        for row, keypoint, axis, value in zip(rows, keypoints, axes, after[changed].tolist(), strict=True):
            yield (row, POINTS, keypoint, axis), value
        for row, keypoint in self._seen_or_gone(poses, gone):
            if not isinstance(self.records.rows[row][SEEN][keypoint], bool):
                yield (row, SEEN, keypoint), int(poses.valid[row, keypoint])

    def _truths(self, poses: Poses, gone: Rows) -> Iterator[tuple[Place, bool]]:
        """The same of `joints_vis` where it holds true and false, which are no numbers."""
        for row, keypoint in self._seen_or_gone(poses, gone):
            if isinstance(self.records.rows[row][SEEN][keypoint], bool):
                yield (row, SEEN, keypoint), bool(poses.valid[row, keypoint])

    def _seen_or_gone(self, poses: Poses, gone: Rows) -> list[tuple[int, int]]:
        """Row and keypoint of each `joints_vis` that becomes another."""
        other = poses.valid != self.poses.valid
        other[gone] = False
        found = np.argwhere(other).tolist()
        return [(row, keypoint) for row, keypoint in found if self.records.rows[row].get(SEEN) is not None]


def _new_row(new: NewFile, row: int, box: FloatArray) -> Record:
    there = new.poses.valid[row]
    points = ONE_BASED.to_numbers(new.poses.keypoints[row : row + 1])[0]
    left, top, width, height = box.tolist()
    image_id = new.poses.image_ids[row]
    centre = np.round([left + width / 2 + 1, top + height / 2 + 1], DECIMALS)
    return {
        SEEN: there.astype(int).tolist(),
        POINTS: np.where(there[:, None], points, NOWHERE).tolist(),
        IMAGE: str(new.file_names.get(image_id, image_id)),
        "scale": max(width, height) / SCALE_PIXELS,
        "center": centre.tolist(),
    }
