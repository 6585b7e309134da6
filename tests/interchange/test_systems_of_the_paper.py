"""Files of the form that the systems of the paper's tables 2 and 4 write: docs/paper.md has a row for each of these."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posefix.interchange import read_pose_file, write_pose_file
from posefix.skeletons import load_skeleton

Json = dict[str, Any]
Run = Callable[..., tuple[int, str, str]]

COCO = load_skeleton("coco17")
BODY = np.column_stack([np.arange(17) * 7.25 + 100, np.arange(17) * 11.5 + 50])
LOST = 9
"""A keypoint that bottom-up systems may miss."""


def flat(third: object, places: np.ndarray = BODY) -> list[float]:
    return np.column_stack([places, np.broadcast_to(np.asarray(third), 17)]).ravel().tolist()


def lost(triples: list[float], x: float, y: float, third: float) -> list[float]:
    return [*triples[: 3 * LOST], x, y, third, *triples[3 * LOST + 3 :]]


SCORES = np.linspace(0.2, 0.95, 17).round(3)
ROW: Json = {"image_id": 42, "category_id": 1, "score": 0.8125}
MEAN = np.delete(BODY, LOST, axis=0).mean(axis=0).tolist()
DETECTRON = [{**ROW, "keypoints": flat(1)}]
# System -> name of its file, content, format that it is recognised as, whether the lost keypoint is missing.
FILES: dict[str, tuple[str, Any, str, bool]] = {
    "PAFs (OpenPose --write_coco_json)": (
        "person_keypoints_val2017_results.json", [{**ROW, "keypoints": lost(flat(1), 0, 0, 0)}], "coco-results", True,
    ),
    "AE": ("dt.json", [{**ROW, "keypoints": lost(flat(1), MEAN[0], MEAN[1], 1), "id": 1}], "coco-results", False),
    "Mask R-CNN (Detectron)": ("keypoints_coco_2017_val_results.json", DETECTRON, "coco-results", False),
    "Mask R-CNN (Detectron2)": (
        "coco_instances_results.json", [{**ROW, "bbox": [90, 40, 140, 210], "keypoints": flat(SCORES)}], "detectron2",
        False,
    ),
    "RMPE (AlphaPose)": (
        "alphapose-results.json",
        [{**ROW, "image_id": "000000000042.jpg", "keypoints": flat(SCORES), "box": [90, 40, 140, 210], "idx": [0.0]}],
        "alphapose", False,
    ),
    "MultiPoseNet (PRN)": (
        "val2017_PRN_keypoint_results_temporary.json",
        [{**ROW, "bbox": [90, 40, 140, 210], "keypoints": lost(flat(2), 0, 0, 2)}], "coco-results", True,
    ),
    "CPN": ("results.json", DETECTRON, "coco-results", False),
    "Simple": (
        "keypoints_val2017_results.json",
        [{**ROW, "keypoints": flat(SCORES), "center": [158.0, 142.0], "scale": [0.9, 1.2]}], "coco-results", False,
    ),
    "Integral": ("keypoints_val2017_results.json", [{**ROW, "keypoints": flat(SCORES)}], "coco-results", False),
    "G-RMI, CFN": ("person_keypoints_test-dev2017_x_results.json", DETECTRON, "coco-results", False),
}  # fmt: skip


@pytest.mark.parametrize("system", list(FILES))
def test_each_system_s_file_is_read_and_written_back(system: str, tmp_path: Path) -> None:
    name, content, format_name, is_missing = FILES[system]
    path = tmp_path / name
    path.write_text(json.dumps(content))
    file = read_pose_file(path, COCO)
    assert file.format == format_name
    assert file.poses.valid[0].sum() == 17 - is_missing
    others = np.arange(17) != LOST
    np.testing.assert_allclose(file.poses.keypoints[0][others], BODY[others], atol=1e-12)
    target = tmp_path / "refined" / name
    target.parent.mkdir()
    write_pose_file(target, file, file.poses.with_keypoints(file.poses.keypoints + 1.0))
    (after,) = json.loads(target.read_text())
    assert after.keys() == content[0].keys()
    assert [after[key] for key in after if key != "keypoints"] == [
        content[0][key] for key in after if key != "keypoints"
    ]
    written = np.reshape(after["keypoints"], (17, 3))[others, :2]
    np.testing.assert_allclose(written, BODY[others] + 1, atol=1e-9)


@pytest.mark.parametrize("system", list(FILES))
def test_each_system_s_file_is_evaluated(system: str, tmp_path: Path, run: Run) -> None:
    name, content, _, _ = FILES[system]
    path, truth = tmp_path / name, tmp_path / "truth.json"
    path.write_text(json.dumps(content))
    person = {
        "id": 1,
        "image_id": 42,
        "category_id": 1,
        "iscrowd": 0,
        "keypoints": lost(flat(2), 0, 0, 0),
        "num_keypoints": 16,
        "bbox": [90, 40, 140, 210],
        "area": 15000.0,
    }
    truth.write_text(
        json.dumps(
            {
                "images": [{"id": 42, "file_name": "000000000042.jpg", "width": 640, "height": 480}],
                "annotations": [person],
                "categories": [{"id": 1, "name": "person", "keypoints": list(COCO.keypoint_names)}],
            }
        )
    )
    code, out, _ = run("evaluate", path, "--layout", "coco17", "--annotations", truth)
    assert (code, out.splitlines()[1].split()[0]) == (0, "100.0")


def test_openpose_s_folder_is_read_too(tmp_path: Path) -> None:
    body25 = load_skeleton("body25")
    places = np.column_stack([np.arange(25) * 7.25 + 100, np.arange(25) * 9.5 + 50, np.full(25, 0.5)])
    places[4] = 0
    people = [{"person_id": [-1], "pose_keypoints_2d": places.ravel().tolist()}]
    path = tmp_path / "000000000042_keypoints.json"
    path.write_text(json.dumps({"version": 1.3, "people": people}))
    file = read_pose_file(tmp_path)
    assert (file.format, file.poses.skeleton.name, file.poses.valid.sum()) == ("openpose", body25.name, 24)


def test_the_page_names_every_system() -> None:
    page = (Path(__file__).parents[2] / "docs" / "paper.md").read_text(encoding="utf-8")
    section = page[page.index("## Systems whose results enter as files") :]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    for system, (name, _, format_name, _) in FILES.items():
        assert any((name in row or "no code" in row) and format_name in row for row in rows), system
