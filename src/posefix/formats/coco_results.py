"""COCO results files: rows, one per pose, read as arrays and written back with nothing else changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from posefix import geometry
from posefix.errors import InputError, quoted
from posefix.files import read_json, write_text_atomic
from posefix.formats.coco_records import Record, Records
from posefix.poses import FloatArray, Poses
from posefix.skeletons import Skeleton, load_skeleton, skeleton_names

DECIMALS = 3
SMALLEST = 10.0**-DECIMALS


@dataclass(frozen=True, eq=False)
class ResultsFile:
    """A results file as it was written, and as arrays.

    Attributes:
        path: The file.
        rows: Its rows, as parsed.
        poses: The same poses as arrays, row by row.
    """

    path: Path
    rows: list[Record]
    poses: Poses

    def replace(self, poses: Poses, *, update_boxes: bool = False) -> list[Record]:
        """The rows with other coordinates: same order, ids and further fields.

        A number is written, with three decimals, where it differs by at least half of the last one; all
        others stay as they were parsed, so rows that nothing changed are equal. A valid keypoint is never
        written as a missing one: instead of 0, 0 or the score 0 it gets .001. Keypoints that are no longer
        valid become 0, 0, 0.

        Args:
            poses: One pose per row, in the same order and layout.
            update_boxes: Whether a field ``bbox`` of changed rows becomes the box around the keypoints,
                enlarged by `geometry.KEYPOINT_BOX_FACTOR`.

        Raises:
            InputError: The poses are not those of these rows.
        """
        if poses.image_ids != self.poses.image_ids or poses.skeleton != self.poses.skeleton:
            raise InputError(
                f"{self.path}: expected its own {self.poses!r} in the same order, got {poses!r}."
            )
        old, new = _triples(self.poses), _written_triples(poses, self.poses)
        changed = (old != new).reshape(len(self.rows), 3 * len(poses.skeleton))
        rows = [dict(row) for row in self.rows]
        for number in np.flatnonzero(changed.any(axis=1)):
            before, after = rows[number]["keypoints"], new[number].ravel().tolist()
            chosen = zip(before, after, changed[number], strict=True)
            rows[number]["keypoints"] = [written if differs else kept for kept, written, differs in chosen]
        for number in np.flatnonzero(poses.pose_scores != self.poses.pose_scores):
            rows[number]["score"] = float(poses.pose_scores[number])
        if update_boxes:
            _update_boxes(rows, poses, changed.any(axis=1))
        return rows


def read_results(path: str | Path, skeleton: Skeleton | None) -> ResultsFile:
    """Read a COCO results file: rows with ``image_id``, ``keypoints`` and, in all or none, ``score``.

    ``keypoints`` is x, y, score of each keypoint of the skeleton. A keypoint is missing when it lies at 0,
    0 or has score 0. An empty list is a file with no poses; a person may have no valid keypoint. Where no
    row has a ``score``, all poses get 1.

    Args:
        path: The file.
        skeleton: Its layout; the file does not say it, and it is never guessed from the number of keypoints.

    Raises:
        InputError: No skeleton is given, or the file is faulty; names file, row (from 0) and field.
    """
    path = Path(path)
    rows = read_json(path)
    if not isinstance(rows, list):
        what = "an annotation file" if isinstance(rows, dict) and "annotations" in rows else quoted(rows)
        raise InputError(f"{path}: expected a list of poses, got {what}.")
    records = Records(path, "row", rows)
    if skeleton is None:
        raise InputError(f"{path}: {_ask_for_layout(rows)}.")
    names = [f"{what} of {name}" for name in skeleton.keypoint_names for what in ("x", "y", "score")]
    numbers = records.number_lists("keypoints", names, _other_layouts(rows, skeleton))
    triples = numbers.reshape(len(rows), len(skeleton), 3)
    keypoints, scores = triples[..., :2], triples[..., 2]
    poses = Poses(
        keypoints=keypoints,
        scores=scores,
        valid=(scores != 0) & (keypoints != 0).any(axis=-1),
        image_ids=records.ids("image_id"),
        pose_scores=records.numbers("score") if any("score" in row for row in rows) else np.ones(len(rows)),
        skeleton=skeleton,
    )
    return ResultsFile(path, rows, poses)


def result_rows(poses: Poses) -> list[Record]:
    """Rows of a new results file; missing keypoints are written as 0, 0, 0."""
    blank = [0] * (3 * len(poses.skeleton))
    rows: list[Record] = [
        {"image_id": image_id, "category_id": 1, "keypoints": blank, "score": score}
        for image_id, score in zip(poses.image_ids, poses.pose_scores.tolist(), strict=True)
    ]
    nothing = poses.with_keypoints(
        np.zeros_like(poses.keypoints), np.zeros_like(poses.valid), np.zeros_like(poses.scores)
    )
    return ResultsFile(Path("new results"), rows, nothing).replace(poses)


def write_results(path: str | Path, rows: list[Record]) -> None:
    """Write rows as a COCO results file, one line each; the file appears whole or not at all.

    Raises:
        InputError: The file cannot be written.
    """
    write_text_atomic(path, "[" + ",\n".join(json.dumps(row) for row in rows) + "]\n")


def _triples(poses: Poses) -> FloatArray:
    """(N, K, 3): x, y, score."""
    return np.concatenate([poses.keypoints, poses.scores[..., None]], axis=-1)


def _written_triples(poses: Poses, before: Poses) -> FloatArray:
    """(N, K, 3): the numbers to write, equal to those before wherever nothing changed."""
    old, new = _triples(before), np.round(_triples(poses), DECIMALS)
    same = np.abs(_triples(poses) - old) < SMALLEST / 2
    written = np.where(same | ~poses.valid[..., None], old, new)
    written[before.valid & ~poses.valid] = 0.0
    at_origin = (written[..., :2] == 0).all(axis=-1) & poses.valid
    written[at_origin, 0] = SMALLEST
    written[(written[..., 2] == 0) & poses.valid, 2] = SMALLEST
    return written


def _update_boxes(rows: list[Record], poses: Poses, changed: npt.NDArray[np.bool_]) -> None:
    tight = geometry.box_from_keypoints(poses.keypoints, poses.valid)
    boxes = np.round(geometry.enlarge(tight, geometry.KEYPOINT_BOX_FACTOR), DECIMALS)
    for number in np.flatnonzero(changed & poses.valid.any(axis=1)):
        if "bbox" in rows[number]:
            rows[number]["bbox"] = boxes[number].tolist()


def _ask_for_layout(rows: list[Record]) -> str:
    """What to tell who did not name the layout."""
    never = "expected the name of its layout (--layout), which is never guessed"
    lengths = {len(row["keypoints"]) for row in rows if isinstance(row.get("keypoints"), list)}
    return never + _layouts_of_length(lengths.pop()) if len(lengths) == 1 else never


def _other_layouts(rows: list[Record], skeleton: Skeleton) -> str:
    """Which layouts the first row of another length may have."""
    lengths = (len(row["keypoints"]) for row in rows if isinstance(row.get("keypoints"), list))
    other = next((length for length in lengths if length != 3 * len(skeleton)), None)
    return "" if other is None else f" (--layout){_layouts_of_length(other)}"


def _layouts_of_length(length: int) -> str:
    names = [name for name in skeleton_names() if 3 * len(load_skeleton(name)) == length]
    if names:
        return f"; with {length // 3} keypoints it may be {' or '.join(names)}"
    return f"; no packaged layout has {length / 3:g} keypoints, give a skeleton file of your own"
