"""Boxes of people given by the user, instead of those made from keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, quoted
from posefix.files import read_json
from posefix.pose.poses import LARGEST_NUMBER, FloatArray
from posefix.refine.arrays import as_numbers

_EXPECTED = f"expected finite numbers and sides above 0, all below {LARGEST_NUMBER:.0e}"


@dataclass(frozen=True, eq=False)
class WholeBoxes:
    """Boxes of whole people as a detector or an annotator saw them, beside keypoints of which some may be missing.

    Attributes:
        bbox_xywh: (N, 4) NaN where there is none.
    """

    bbox_xywh: FloatArray


def check_boxes(bbox_xywh: npt.ArrayLike, count: int) -> npt.NDArray[np.float64]:
    """Boxes as an array (N, 4), one per pose.

    Raises:
        InputError: Another shape, something else than finite numbers, too large ones, or a side that is not above 0.
    """
    boxes = as_numbers("boxes", bbox_xywh, (0, 4))
    if boxes.shape != (count, 4):
        raise InputError(
            f"boxes: expected shape ({count}, 4), one x, y, width, height per pose, got {boxes.shape}"
        )
    faulty = np.flatnonzero(~((np.abs(boxes) < LARGEST_NUMBER).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1)))
    if faulty.size:
        raise InputError(f"boxes: {_EXPECTED}, got {boxes[faulty[0]].tolist()} for pose {faulty[0]}")
    return boxes


def read_boxes(path: str | Path, image_ids: Sequence[int | str]) -> npt.NDArray[np.float64]:
    """Read one box per pose.

    The file lists COCO rows with `image_id` and `bbox`: a results file (the one to be refined, if it has
    boxes), a detections file, or an annotation file. Row i is the box of pose i.

    Args:
        path: JSON file.
        image_ids: Of the poses, in their order.

    Returns:
        bbox_xywh (N, 4) in pixels of the original photo.

    Raises:
        InputError: Not such a file, or its rows are not those of the poses.
    """
    content = read_json(path)
    rows = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise InputError(
            f'{path}: expected a list of rows with "image_id" and "bbox", or a COCO annotation file'
        )
    if len(rows) != len(image_ids):
        raise InputError(
            f"{path}: expected {len(image_ids)} rows, one per pose in the same order, got {len(rows)}"
        )
    boxes = [_box(row, f"{path}, row {i}", image_ids[i]) for i, row in enumerate(rows)]
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def _box(row: Any, where: str, image_id: int | str) -> list[float]:
    if not isinstance(row, dict) or row.get("image_id") != image_id:
        found = row.get("image_id") if isinstance(row, dict) else row
        raise InputError(
            f"{where}: image_id: expected {image_id!r} as in this row of the results, got {found!r}"
        )
    box = row.get("bbox")
    numbers = box if isinstance(box, list) else []
    if len(numbers) != 4 or not all(type(number) in (int, float) for number in numbers):
        raise InputError(f"{where}: bbox: expected [x, y, width, height], got {box!r}")
    if not all(abs(number) < LARGEST_NUMBER for number in numbers) or min(numbers[2:]) <= 0:
        raise InputError(f"{where}: bbox: {_EXPECTED}, got {quoted(box)}")
    return numbers
