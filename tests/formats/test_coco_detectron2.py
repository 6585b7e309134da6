import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.formats.recorded import PAIR, contents_of, moved, read, recorded

from posefix.formats.coco_detectron2 import FORMAT
from posefix.interchange.detection import detect_format
from posefix.pose_files.pose_file import FormatError, Source


def exported(pred_keypoints: Any) -> list[dict[str, Any]]:
    """Rows as Detectron2's evaluator makes them of the keypoints (K, 3) that it has in memory."""
    keypoints = np.array(pred_keypoints, dtype=np.float64)
    keypoints[:, :2] -= 0.5
    row = {"image_id": 7, "category_id": 1, "bbox": [1.5, 2.5, 30.0, 40.0], "score": 0.75}
    return [{**row, "keypoints": keypoints.ravel().tolist()}]


def test_the_centre_of_a_pixel_is_its_index(tmp_path: Path) -> None:
    """In memory the centre of the pixel in column 10, row 20 is 10.5, 20.5."""
    path = recorded(
        tmp_path / "coco_instances_results.json", exported([[10.5, 20.5, 0.875], [0.5, 0.5, 0.5]])
    )
    file = read(FORMAT, path, PAIR)
    assert file.poses.keypoints[0, 0].tolist() == [10, 20]
    assert file.format == "detectron2"
    assert file.notes == (
        "keypoints are pixel indices: the export took off the half pixel that Detectron2 adds in memory",
    )


def test_the_file_is_written_as_it_was(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.json", exported([[10.5, 20.5, 0.875], [30.25, 40.5, 0.5]]))
    file = read(FORMAT, path, PAIR)
    assert file.rewrite(file.poses) == contents_of(path)
    row = json.loads(file.rewrite(moved(file.poses, 0, 1, 31, 41))[""])[0]
    assert row["keypoints"] == [10, 20, 0.875, 31, 41, 0.5]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (
            "coco_instances_results.json",
            [{"image_id": 1, "keypoints": [1, 2, 3]}],
            "COCO results in a file called",
        ),
        ("results.json", [{"image_id": 1, "keypoints": [1, 2, 3]}], None),
        ("coco_instances_results.json", {"images": []}, None),
    ],
)
def test_it_is_recognised_by_its_name(tmp_path: Path, name: str, content: Any, reason: str | None) -> None:
    source = Source(recorded(tmp_path / name, content))
    found = FORMAT.recognise(source)
    assert (found is None) if reason is None else str(found).startswith(reason)
    if reason is not None:
        assert detect_format(source).format is FORMAT


def test_the_layout_is_asked_for(tmp_path: Path) -> None:
    path = recorded(tmp_path / "coco_instances_results.json", exported([[1, 2, 3]] * 17))
    with pytest.raises(FormatError, match="it may be coco17 or posetrack18"):
        read(FORMAT, path)
