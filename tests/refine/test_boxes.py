"""Boxes given by the user."""

import json
from pathlib import Path
from typing import Any

import pytest

from posefix.errors import InputError
from posefix.refine.boxes import read_boxes

ROWS = [{"image_id": 5, "bbox": [1, 2, 30, 40.5]}, {"image_id": "a", "bbox": [0, 0, 1, 1], "score": 0.5}]


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("content", [ROWS, {"images": [], "annotations": ROWS}])
def test_boxes_are_those_of_the_same_rows(content: Any, tmp_path: Path) -> None:
    boxes = read_boxes(write(tmp_path / "boxes.json", content), [5, "a"])
    assert boxes.tolist() == [[1, 2, 30, 40.5], [0, 0, 1, 1]]


def test_no_poses_need_no_boxes(tmp_path: Path) -> None:
    assert read_boxes(write(tmp_path / "boxes.json", []), []).shape == (0, 4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (3, "expected a list of rows"),
        ({"images": []}, "expected a list of rows"),
        (ROWS[:1], "expected 2 rows, one per pose in the same order, got 1"),
        (ROWS[::-1], "row 0: image_id: expected 5 as in this row of the results, got 'a'"),
        ([3, 4], "row 0: image_id: expected 5 as in this row of the results, got 3"),
        ([ROWS[0], {"image_id": "a"}], r"row 1: bbox: expected \[x, y, width, height\], got None"),
        ([ROWS[0], {"image_id": "a", "bbox": [1, 2, 3, "4"]}], "row 1: bbox"),
        (
            [ROWS[0], {"image_id": "a", "bbox": [1, 2, 3, 0]}],
            "row 1: bbox: expected finite numbers and sides above 0",
        ),
        (
            [ROWS[0], {"image_id": "a", "bbox": [1, 2, 3, float("nan")]}],
            "row 1: bbox: expected finite numbers",
        ),
        *(
            (
                [ROWS[0], {"image_id": "a", "bbox": box}],
                r"row 1: bbox: expected finite numbers and sides above 0, all below 1e\+15, got \[0, 0, 1",
            )
            for box in ([0, 0, 10**30, 5], [0, 0, 10**400, 5], [0, 0, 1e300, 1e300])
        ),
    ],
)
def test_faulty_boxes_are_named(content: Any, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "boxes.json", content)
    with pytest.raises(InputError, match=r"boxes\.json.*" + message):
        read_boxes(path, [5, "a"])
