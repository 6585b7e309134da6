"""`posefix profile` as a user meets it, and who reads its file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posefix.formats.coco_annotations import Annotations
from posefix.interchange import write_new_pose_file
from posefix.pose.poses import Poses
from posefix.pose_errors.profile import load_error_profile
from posefix.pose_errors.taxonomy import Status

PAPER = load_error_profile()
Draw = Callable[..., tuple[Annotations, Poses]]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def files(tmp_path: Path, draw: Draw) -> dict[str, Path]:
    """Annotations without areas, and results."""
    truth, poses = draw(PAPER, people=60, together=2)
    paths = {name: tmp_path / f"{name}.json" for name in ("truth", "results", "mine")}
    write_new_pose_file(paths["results"], poses)
    paths["truth"].write_text(json.dumps(as_coco(truth)), encoding="utf-8")
    return paths


def as_coco(truth: Annotations) -> dict[str, Any]:
    people = truth.people
    triples = np.concatenate([people.keypoints, people.visibility[..., None]], axis=-1)
    return {
        "images": [{"id": number, "file_name": f"{number}.jpg"} for number in truth.images],
        "annotations": [
            {
                "id": row,
                "image_id": people.image_ids[row],
                "category_id": 1,
                "keypoints": triples[row].ravel().tolist(),
                "bbox": people.bbox_xywh[row].tolist(),
            }
            for row in range(len(people))
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(truth.skeleton.keypoint_names)}],
    }


def test_a_profile_is_measured_and_read_again(run: Run, files: dict[str, Path]) -> None:
    code, out, err = run(
        "profile",
        files["results"],
        "--annotations",
        files["truth"],
        "--layout",
        "coco17",
        "-o",
        files["mine"],
    )
    assert (code, err) == (0, "")
    assert "60 of 60 poses show an annotated person" in out
    assert "errors of 60 poses, 1,020 labelled keypoints" in out
    assert "the annotations lack areas" in out
    profile = load_error_profile(files["mine"])
    assert profile.name == "mine"
    assert "results.json on truth.json" in profile.source
    assert Status.GOOD in profile.distances


def test_results_are_pooled(run: Run, files: dict[str, Path]) -> None:
    common = ("--annotations", files["truth"], "--layout", "coco17", "-o", files["mine"])
    code, out, _ = run("profile", files["results"], files["results"], *common)
    assert code == 0
    assert "errors of 120 poses, 2,040 labelled keypoints" in out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--layout": "mpii16"}, r"expected 16 keypoints in each row, as mpii16 has .*got 17"),
        ({"--layout": None}, "expected the name of its layout"),
        ({"--annotations": "absent.json"}, "absent.json"),
        ({"-o": "no/such/folder/mine.json"}, "no/such/folder"),
    ],
)
def test_faults_are_told_in_one_sentence(
    run: Run, files: dict[str, Path], change: dict[str, str | None], message: str
) -> None:
    options = {"--annotations": files["truth"], "--layout": "coco17", "-o": files["mine"]} | change
    arguments = [part for name, value in options.items() if value is not None for part in (name, value)]
    code, _, err = run("profile", files["results"], *arguments)
    assert code == 2
    assert err.count("\n") == 1
    assert re.search(message, err)
    assert not files["mine"].exists()


def with_a_dog(path: Path) -> None:
    """Annotations that name other keypoints of an animal."""
    content = json.loads(path.read_text())
    content["categories"].append({"id": 2, "name": "dog", "keypoints": ["nose", "left_ear"]})
    animal = {"id": "dog", "category_id": 2, "keypoints": [9, 9, 2] * 2}
    content["annotations"].append({**content["annotations"][0], **animal})
    path.write_text(json.dumps(content))


def test_one_of_several_categories_is_chosen(run: Run, files: dict[str, Path]) -> None:
    with_a_dog(files["truth"])
    options = ("--annotations", files["truth"], "--layout", "coco17", "-o", files["mine"])
    code, _, err = run("profile", files["results"], *options, "--category", "dog")
    assert code == 2
    code, out, err = run("profile", files["results"], *options, "--category", "person")
    assert (code, err) == (0, "")
    assert "  annotations of other categories, left as they are: 1 (dog 1)" in out


def test_a_layout_names_the_keypoints_of_annotations(
    run: Run, files: dict[str, Path], tmp_path: Path
) -> None:
    content = json.loads(files["truth"].read_text())
    content["categories"][0]["keypoints"] = [f"kp_{number}" for number in range(17)]
    files["truth"].write_text(json.dumps(content))
    options = ("--annotations", files["truth"], "--layout", "coco17", "-o", files["mine"])
    code, _, err = run("profile", files["results"], *options)
    assert code == 2 and "of annotations --annotations-layout" in err
    layout = tmp_path / "layout.json"
    assert run("skeleton", "coco17", "-o", layout)[0] == 0
    code, out, _ = run("profile", files["results"], *options, "--annotations-layout", layout)
    assert code == 0 and "60 of 60 poses show an annotated person" in out
    code, _, err = run("profile", files["results"], *options[:-1], layout, "--annotations-layout", layout)
    assert code == 2 and "expected another file than those that are read" in err


@pytest.mark.parametrize("name", ["results", "truth"])
def test_no_input_is_replaced(run: Run, files: dict[str, Path], name: str) -> None:
    before = files[name].read_bytes()
    options = ("--annotations", files["truth"], "--layout", "coco17", "-o", files[name])
    code, out, err = run("profile", files["results"], *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "expected another file than those that are read" in err
    assert files[name].read_bytes() == before


def test_layouts_must_be_one_or_as_many_as_results(run: Run, files: dict[str, Path]) -> None:
    layouts = [part for _ in range(2) for part in ("--layout", "coco17")]
    results = [files["results"]] * 3
    code, _, err = run("profile", *results, "--annotations", files["truth"], *layouts, "-o", files["mine"])
    assert code == 2
    assert "--layout: expected one for all 3 results files or one for each, got 2" in err


def test_nan_in_results_is_named(run: Run, files: dict[str, Path]) -> None:
    rows = json.loads(files["results"].read_text())
    rows[7]["keypoints"][4] = float("nan")
    files["results"].write_text(json.dumps(rows))
    code, _, err = run(
        "profile",
        files["results"],
        "--annotations",
        files["truth"],
        "--layout",
        "coco17",
        "-o",
        files["mine"],
    )
    assert code == 2
    assert "row 7" in err


def test_train_takes_the_profile_as_errors(run: Run, files: dict[str, Path], tmp_path: Path) -> None:
    """The recipe's own data are absent; what is asked here is which profile the recipe gets."""
    pytest.importorskip("torch")
    from posefix.training import run as training

    seen: list[str] = []

    def record(config: Any, *_: object, **__: object) -> bool:
        seen.append(config.data.error_profile)
        return False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "train", record)
        for name in ("123", str(files["mine"])):
            assert run("train", "small", "--errors", name, "-o", tmp_path)[0] == 0
    assert seen == ["123", str(files["mine"])]


def test_real_results_give_a_profile_that_synthesis_reads(
    run: Run, shared_data: Path, tmp_path: Path
) -> None:
    predictions, mine = shared_data / "predictions" / "coco_dev", tmp_path / "mine.json"
    code, out, _ = run(
        "profile", predictions / "tinypose128.coco17.json", predictions / "blazepose.blazepose33.json",
        "--annotations", shared_data / "coco" / "person_keypoints_dev.json",
        "--layout", "coco17", "--layout", "blazepose33", "-o", mine,
    )  # fmt: skip
    assert code == 0
    assert "keypoints compared (17)" in out
    profile = load_error_profile(mine)
    assert (
        max(profile.distances[Status.MISS]["other"]) > 2
    )  # misses of real estimators go beyond the paper's 1.52
