"""PoseTrack from the command line: evaluated, converted, refused in one sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posefix.interchange import read_pose_file, write_new_pose_file
from posefix.skeletons import load_skeleton

Run = Callable[..., tuple[int, str, str]]
CATEGORY = {"id": 1, "name": "person", "keypoints": list(load_skeleton("posetrack18").keypoint_names)}
IMAGES = [{"id": number, "file_name": f"images/val/000001/{number:06}.jpg"} for number in (1, 2)]


def people(shift: float) -> list[dict[str, Any]]:
    """One person in each frame, the nose off by so many pixels; head size is 30."""
    rows = []
    for number in (1, 2):
        places = np.random.default_rng(number).uniform(20, 400, (17, 2)).round(1)
        places[0, 0] += shift
        rows.append(
            {
                "id": number,
                "image_id": number,
                "track_id": 7,
                "category_id": 1,
                "keypoints": np.column_stack([places, np.ones(17)]).ravel().tolist(),
            }
        )
    return rows


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    boxes = {"bbox": [0, 0, 400, 400], "bbox_head": [0, 0, 30, 40]}
    return write(tmp_path / "truth", [{**row, **boxes} for row in people(0)])


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write(tmp_path / "results", [{**row, "scores": [0.5] * 17} for row in people(100)])


def write(folder: Path, rows: list[dict[str, Any]], images: list[dict[str, Any]] | None = None) -> Path:
    folder.mkdir()
    content = {"images": images or IMAGES, "annotations": rows, "categories": [CATEGORY]}
    (folder / "000001.json").write_text(json.dumps(content))
    return folder


def test_a_folder_of_annotations_means_posetrack_rules(run: Run, truth: Path, results: Path) -> None:
    code, out, _ = run("evaluate", results, "--annotations", truth)
    assert code == 0
    assert out.splitlines()[0].split() == ["Head", "Shou", "Elb", "Wri", "Hip", "Knee", "Ankl", "Total"]
    assert out.splitlines()[1].split() == ["66.7", *["100.0"] * 6, "93.3"]


def test_coco_results_are_measured_by_posetrack_rules_and_against_others(
    run: Run, truth: Path, results: Path, tmp_path: Path
) -> None:
    merged, better, coco = tmp_path / "truth.json", tmp_path / "better.json", tmp_path / "coco.json"
    assert run("posetrack", "merge-annotations", truth, "-o", merged)[0] == 0
    rows = [{**row, "score": 1.0} for row in people(0)]
    better.write_text(json.dumps(rows))
    write_new_pose_file(coco, read_pose_file(results).poses)
    layout = ("--layout", "posetrack18")
    code, out, _ = run("evaluate", better, *layout, "--annotations", truth, "--against", coco)
    assert code == 0
    assert [line.split()[-1] for line in out.splitlines()[2:]] == ["Total", "93.3", "100.0", "+6.7"]
    code, out, _ = run("evaluate", better, *layout, "--annotations", merged, "--metric", "coco")
    assert (code, out.splitlines()[1].split()[0]) == (0, "100.0")
    assert run("evaluate", better, *layout, "--annotations", truth, "--metric", "coco")[1] == out


def test_annotations_without_posetrack_s_keypoints_are_named_with_what_to_do(
    run: Run, truth: Path, results: Path
) -> None:
    (file,) = truth.iterdir()
    content = json.loads(file.read_text())
    names = ["beak" if name == "nose" else name for name in content["categories"][0]["keypoints"]]
    content["categories"][0]["keypoints"] = names
    file.write_text(json.dumps(content))
    code, _, err = run("evaluate", results, "--annotations", truth)
    assert code == 2
    assert (
        f"{truth}, field 'categories': expected PoseTrack's 15 keypoints, got none named nose; measure" in err
    )
    assert err.endswith("(--metric coco)\n")


def test_posetrack_rules_name_the_file_whose_frame_is_not_annotated(
    run: Run, truth: Path, results: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps([{**row, "image_id": 77, "score": 1.0} for row in people(0)]))
    options = ("--layout", "posetrack18", "--annotations", truth, "--against", other)
    code, _, err = run("evaluate", results, *options)
    assert code == 2
    assert f"{other}, row 0, field 'image_id': 77 is not among" in err


def test_results_go_to_coco_and_back(run: Run, truth: Path, results: Path, tmp_path: Path) -> None:
    coco, back = tmp_path / "coco.json", tmp_path / "back"
    assert run("convert", results, coco, "--to", "coco-results")[0] == 0
    assert [row["track_id"] for row in json.loads(coco.read_text())] == [7, 7]
    code, *_ = run(
        "posetrack", "write-results", coco, "--layout", "posetrack18", "--annotations", truth, "-o", back
    )
    assert code == 0
    scores = run("evaluate", back, "--annotations", truth)
    assert scores == run("evaluate", results, "--annotations", truth)


def test_results_are_written_to_a_new_folder_only(
    run: Run, truth: Path, results: Path, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    for output, message in (
        (truth, "expected another file than those that are read"),
        (results, "expected another file than those that are read"),
        (tmp_path / "full", "expected a new or an empty folder"),
    ):
        code, out, err = run("posetrack", "write-results", results, "--annotations", truth, "-o", output)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert message in err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before


def test_the_annotations_that_are_merged_stay(run: Run, truth: Path) -> None:
    (file,) = truth.iterdir()
    content = file.read_bytes()
    for annotations in (truth, file):
        code, _, err = run("posetrack", "merge-annotations", annotations, "-o", file)
        assert (code, err.count("\n")) == (2, 1)
        assert "expected another file than those that are read" in err
    assert file.read_bytes() == content


def test_photo_names_are_ids_where_results_are_measured_and_where_they_are_written(
    run: Run, truth: Path, tmp_path: Path
) -> None:
    named, back = tmp_path / "named.json", tmp_path / "back"
    names = {image["id"]: image["file_name"] for image in IMAGES}
    rows = [{**row, "image_id": names[row["image_id"]], "score": 1.0} for row in people(100)]
    named.write_text(json.dumps(rows))
    options = ("--layout", "posetrack18", "--annotations", truth)
    assert run("posetrack", "write-results", named, *options, "-o", back)[0] == 0
    (written,) = back.iterdir()
    assert [row["image_id"] for row in json.loads(written.read_text())["annotations"]] == [1, 2]
    assert run("evaluate", back, "--annotations", truth) == run("evaluate", named, *options)


def test_no_other_format_sees_what_poseval_takes_for_a_missing_score(
    run: Run, truth: Path, tmp_path: Path
) -> None:
    coco, back = tmp_path / "coco.json", tmp_path / "back"
    assert run("convert", truth, coco, "--to", "coco-results")[0] == 0
    rows = json.loads(coco.read_text())
    assert {score for row in rows for score in (row["score"], *row["keypoints"][2::3])} == {1.0}
    assert run("posetrack", "write-results", truth, "--annotations", truth, "-o", back)[0] == 0
    (written,) = back.iterdir()
    assert not any("scores" in row for row in json.loads(written.read_text())["annotations"])


def test_frames_that_results_leave_out_are_named(run: Run, truth: Path, tmp_path: Path) -> None:
    part = write(tmp_path / "part", people(0)[:1], IMAGES[:1])
    code, out, err = run("evaluate", part, "--annotations", truth)
    assert (code, out) == (2, "")
    assert "lists 1 of the 2 annotated frames" in err
    assert err.count("\n") == 1


def test_help_names_the_commands_and_their_options(run: Run) -> None:
    code, out, _ = run("posetrack", "--help")
    assert code == 0
    assert all(command in out for command in ("merge-annotations", "write-results"))
    assert "--metric" in run("evaluate", "--help")[1]
