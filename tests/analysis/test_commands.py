"""`posefix analyze` and `posefix compare` as a user meets them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posefix.formats.coco_annotations import Annotations
from posefix.interchange import write_new_pose_file
from posefix.pose.poses import Poses

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def files(
    tmp_path: Path, random_scene: Callable[[int], tuple[Annotations, Poses]]
) -> tuple[Path, Path, Path]:
    """Annotations, results, and the same results moved by a pixel."""
    truth, poses = random_scene(4)
    people = truth.people
    triples = np.concatenate([people.keypoints, people.visibility[..., None]], axis=-1)
    content = {
        "images": [{"id": image_id, "file_name": info.file_name} for image_id, info in truth.images.items()],
        "annotations": [
            {
                "id": people.ids[row],
                "image_id": people.image_ids[row],
                "category_id": 1,
                "keypoints": triples[row].ravel().tolist(),
                "bbox": people.bbox_xywh[row].tolist(),
                "area": people.area[row],
                "iscrowd": int(people.is_crowd[row]),
            }
            for row in range(len(people))
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(truth.skeleton.keypoint_names)}],
    }
    annotations, results, moved = (tmp_path / f"{name}.json" for name in ("truth", "results", "moved"))
    annotations.write_text(json.dumps(content), encoding="utf-8")
    write_new_pose_file(results, poses)
    write_new_pose_file(moved, (poses.with_keypoints(poses.keypoints + 1)))
    return annotations, results, moved


def test_analyze_prints_tables_and_writes_json(run: Run, files: tuple[Path, ...], tmp_path: Path) -> None:
    annotations, results, _ = files
    kept = tmp_path / "analysis.json"
    code, out, _ = run("analyze", results, "--annotations", annotations, "--layout", "coco17", "--json", kept)
    assert code == 0
    assert out.startswith(f"{results} on {annotations}\n20 poses, ")
    for word in ("jitter", "misses repaired", "People by size", "keypoints compared (17)"):
        assert word in out
    assert json.loads(kept.read_text(encoding="utf-8"))["poses"] == 20


def test_compare_prints_tables_and_writes_json(run: Run, files: tuple[Path, ...], tmp_path: Path) -> None:
    annotations, results, moved = files
    kept = tmp_path / "comparison.json"
    options = ["--annotations", annotations, "--layout", "coco17"]
    code, out, _ = run("compare", results, moved, *options, "--json", kept)
    assert code == 0
    assert "compared, row by row" in out
    assert "95 % interval" in out
    assert json.loads(kept.read_text(encoding="utf-8"))["match"] == "rows"
    assert "whom both results find" in run("compare", results, moved, *options, "--match", "people")[1]


def change(path: Path, edit: Callable[[Any], object]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    edit(content)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "edit", "message"),
    [
        (
            1,
            lambda rows: rows[3]["keypoints"].__setitem__(0, float("nan")),
            "row 3, field 'keypoints', x of nose",
        ),
        (1, lambda rows: rows[3]["keypoints"].pop(), "row 3, field 'keypoints'"),
        (
            0,
            lambda truth: truth["annotations"][1].update(id=100),
            "expected another id than that of annotation 0",
        ),
        (0, lambda truth: truth["images"].append(truth["images"][0]), "another id than that of image 0"),
        (0, lambda truth: truth["annotations"][2]["keypoints"].__setitem__(4, float("inf")), "annotation 2"),
        (0, lambda truth: truth["annotations"][0].update(category_id=9), "category_id"),
    ],
)
def test_faulty_files_are_named_in_one_sentence(
    run: Run, files: tuple[Path, ...], file: int, edit: Callable[[Any], object], message: str
) -> None:
    change(files[file], edit)
    for command in (["analyze", files[1]], ["compare", files[1], files[2]]):
        code, out, error = run(*command, "--annotations", files[0], "--layout", "coco17")
        assert (code, out, error.count("\n")) == (2, "", 1)
        assert message in error


def test_photos_in_one_file_only_stop_with_strict(run: Run, files: tuple[Path, ...]) -> None:
    annotations, results, moved = files
    for path in (results, moved):
        change(path, lambda rows: rows[0].update(image_id=77))
    options = ["--annotations", annotations, "--layout", "coco17"]
    assert (
        "left out: 1 pose in 1 photo that the annotations do not know (77)"
        in run("analyze", results, *options)[1]
    )
    for command in (["analyze", results], ["compare", results, moved]):
        code, out, error = run(*command, *options, "--strict")
        assert (code, out) == (2, "")
        assert "does not know 1 photo (77)" in error


def test_the_json_file_is_checked_before_the_work(run: Run, files: tuple[Path, ...], tmp_path: Path) -> None:
    target = tmp_path / "nowhere" / "analysis.json"
    code, out, error = run(
        "analyze", files[1], "--annotations", files[0], "--layout", "coco17", "--json", target
    )
    assert (code, out) == (2, "")
    assert "there is no folder" in error


@pytest.mark.parametrize("option", ["--json", "--html"])
@pytest.mark.parametrize("file", [0, 1, 2])
def test_no_input_is_replaced(run: Run, files: tuple[Path, ...], option: str, file: int) -> None:
    before = files[file].read_bytes()
    commands = [["compare", files[1], files[2]], *([] if file == 2 else [["analyze", files[1]]])]
    for command in commands:
        options = ("--annotations", files[0], "--layout", "coco17", option, files[file])
        code, out, error = run(*command, *options)
        assert (code, out, error.count("\n")) == (2, "", 1)
        assert "expected another file than those that are read" in error
    assert files[file].read_bytes() == before


def test_the_layout_is_asked_for(run: Run, files: tuple[Path, ...]) -> None:
    code, _, error = run("analyze", files[1], "--annotations", files[0])
    assert code == 2
    assert "--layout" in error
