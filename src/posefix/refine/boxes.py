"""Boxes of people given by the user, instead of those made from keypoints."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, quoted
from posefix.files import read_json
from posefix.pose.poses import LARGEST_NUMBER, FloatArray
from posefix.refine.arrays import as_numbers
from posefix.skeletons import Skeleton, agreeing_categories, categories_of, keypoint_categories

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


def read_boxes(
    path: str | Path,
    image_ids: Sequence[int | str],
    skeleton: Skeleton | None = None,
    category: str | None = None,
    categories: Collection[int | str] = (),
) -> npt.NDArray[np.float64]:
    """Read one box per pose.

    The file lists COCO rows with `image_id` and `bbox`: a results file (the one to be refined, if it has
    boxes), a detections file, or an annotation file. Row i is the box of pose i; where there are more rows than poses,
    of those rows that are of the poses' category.

    Args:
        path: JSON file.
        image_ids: Of the poses, in their order.
        skeleton: Of the poses, by which their category is known in an annotation file.
        category: Its name or id, where somebody chose one.
        categories: Ids of those that the poses are of, where their file says it.

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
    own = list(enumerate(rows))
    if len(rows) > len(image_ids):
        ids = categories or _categories_of_poses(content, rows, str(path), skeleton, category)
        own = [(place, row) for place, row in own if not _is_of_others(row, ids)]
    if len(own) != len(image_ids):
        of_poses = f", {len(own)} of them of the poses' category" if len(own) < len(rows) else ""
        raise InputError(
            f"{path}: expected {len(image_ids)} rows, one per pose in the same order, got {len(rows)}{of_poses}"
        )
    boxes = [
        _box(row, f"{path}, row {place}", image_id)
        for (place, row), image_id in zip(own, image_ids, strict=True)
    ]
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def _categories_of_poses(
    content: Any, rows: Sequence[Any], where: str, skeleton: Skeleton | None, category: str | None
) -> list[Any]:
    """Ids of the categories of an annotation file that its poses are of; none where nobody knows them.

    Raises:
        InputError: There is no such category, or a choice to be made.
    """
    known = categories_of(content, where) if isinstance(content, dict) else []
    if category is not None and known:
        return [one.get("id") for one in keypoint_categories(known, where, category)]
    used = [one for one in known if any(_category_of(row) == one.get("id") for row in rows)]
    return [one.get("id") for one in agreeing_categories(used, where, skeleton, people_alone=True)]


def _is_of_others(row: Any, ids: Collection[Any]) -> bool:
    """Whether a row says that it is of another category than these, if there are any."""
    told = _category_of(row)
    return bool(ids) and told is not None and all(told != one and str(told) != str(one) for one in ids)


def _category_of(row: Any) -> Any:
    return row.get("category_id") if isinstance(row, dict) else None


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
