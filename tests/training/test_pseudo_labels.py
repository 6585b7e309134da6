"""`posefix pseudo-label`: from results files to an annotation file, as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from posefix import load_skeleton
from posefix.formats.coco_annotations import read_annotations
from posefix.interchange import read_pose_file
from posefix.pose.poses import Poses
from posefix.training.pseudo_labels import with_common_ids

Run = Callable[..., tuple[int, str, str]]
FILES = ("a.json", "b.json", "c.json")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three estimators' results on two photos: they agree on two people, and one sees somebody else."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name in ("000000000036.png", "37.png"):
        cv2.imwrite(f"photos/{name}", np.zeros((240, 320, 3), np.uint8))
    generator = np.random.default_rng(0)
    people = {36: generator.uniform(40, 200, (17, 2)), 37: generator.uniform(40, 200, (17, 2))}
    for number, name in enumerate(FILES):
        rows = [result(image_id, pose + generator.normal(0, 1, (17, 2))) for image_id, pose in people.items()]
        if number == 1:
            rows.append(result(37, generator.uniform([250, 0], [280, 30], (17, 2))))
        Path(name).write_text(json.dumps(rows))
    return tmp_path


def result(image_id: int, keypoints: Any) -> dict[str, Any]:
    triples = np.column_stack([keypoints, np.full(17, 0.7)])
    return {"image_id": image_id, "category_id": 1, "keypoints": triples.ravel().tolist(), "score": 0.7}


def label(run: Run, *arguments: object) -> tuple[int, str, str]:
    return run("pseudo-label", *arguments, "--images", "photos", "--layout", "coco17", "-o", "labels.json")


@pytest.mark.usefixtures("desk")
def test_labels_are_a_coco_file_with_certainties(run: Run) -> None:
    code, said, _ = label(run, *FILES)
    assert code == 0
    assert "2 people with 34 keypoints in 2 photos written to labels.json" in said
    assert "left out: 1 person found by one estimator alone, 0 on whose keypoints" in said
    annotations = read_annotations("labels.json")
    assert {image.file_name for image in annotations.images.values()} == {"000000000036.png", "37.png"}
    assert {(image.width, image.height) for image in annotations.images.values()} == {(320, 240)}
    assert annotations.skeleton == load_skeleton("coco17")
    estimates = [read_pose_file(name, "coco17").poses for name in FILES]
    mean = np.mean([poses[[0, 1]].keypoints for poses in estimates], axis=0)
    np.testing.assert_allclose(annotations.people.keypoints, mean, atol=0.01)
    assert (annotations.people.visibility == 2).all()
    assert not annotations.people.area_is_estimated
    for row in json.loads(Path("labels.json").read_text())["annotations"]:
        assert len(row["keypoint_certainty"]) == 17
        assert all(0.6 < certainty <= 0.7 for certainty in row["keypoint_certainty"])
        assert row["certainty"] == pytest.approx(np.mean(row["keypoint_certainty"]), abs=1e-4)


@pytest.mark.usefixtures("desk")
def test_keypoints_without_agreement_are_not_labelled(run: Run) -> None:
    rows = json.loads(Path("a.json").read_text())
    for name in FILES[:2]:
        rows = json.loads(Path(name).read_text())
        rows[0]["keypoints"][:3] = [200, 10, 0.9] if name == "a.json" else [10, 200, 0.9]
        Path(name).write_text(json.dumps(rows))
    assert label(run, *FILES[:2])[0] == 0
    row = json.loads(Path("labels.json").read_text())["annotations"][0]
    assert row["keypoints"][:3] == [0, 0, 0]
    assert row["keypoint_certainty"][0] == 0
    assert row["num_keypoints"] == 16


@pytest.mark.usefixtures("desk")
def test_photos_are_named_by_an_annotation_file_in_folders_of_the_folder(run: Run) -> None:
    Path("photos/deep").mkdir()
    Path("photos/37.png").rename("photos/deep/x.png")
    images = [{"id": 36, "file_name": "000000000036.png"}, {"id": 37, "file_name": "deep/x.png"}]
    Path("names.json").write_text(json.dumps({"images": images}))
    assert label(run, *FILES, "--annotations", "names.json")[0] == 0
    named = {image.file_name for image in read_annotations("labels.json").images.values()}
    assert named == {"000000000036.png", "deep/x.png"}


@pytest.mark.usefixtures("desk")
def test_estimators_that_spell_image_ids_differently_agree(run: Run) -> None:
    """Labels have the ids of the first file."""
    names = {36: "000000000036.png", 37: "37"}
    rows = json.loads(Path("b.json").read_text())
    Path("b.json").write_text(json.dumps([{**row, "image_id": names[row["image_id"]]} for row in rows]))
    code, said, _ = label(run, "a.json", "b.json")
    assert code == 0
    assert "2 people with 34 keypoints in 2 photos written" in said
    images = read_annotations("labels.json").images
    assert {image_id: image.file_name for image_id, image in images.items()} == {
        36: "000000000036.png",
        37: "37.png",
    }


def test_one_id_of_two_files_may_be_two_photos() -> None:
    """Files that name their photos count them as they like."""
    first, second, third = (Path(f"{name}.png") for name in "abc")
    layout = load_skeleton("coco17")
    estimates = [
        Poses(np.zeros((2, 17, 2)), np.ones((2, 17)), np.ones((2, 17), bool), ids, np.ones(2), layout)
        for ids in ((1, 2), (2, 1), ("c", 2))
    ]
    found: list[dict[int | str, Path]] = [
        {1: first, 2: second},
        {2: first, 1: third},
        {"c": third, 2: second},
    ]
    renamed, photos = with_common_ids(estimates, found)
    assert [poses.image_ids for poses in renamed] == [(1, 2), (1, "c.png"), ("c.png", 2)]
    assert photos == {1: first, 2: second, "c.png": third}


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.json",), "RESULTS: expected the files of two estimators or more, got 1"),
        (("a.json", "../{desk}/a.json"), "a.json: given twice"),
        (("a.json", "nobody.json"), "nobody.json: there is no such file"),
        (("a.json", "labels.json"), "labels.json: expected another file than those that are read"),
        ((*FILES, "--certainty", "1.5"), "certainty: expected a number from 0 to 1, got 1.5"),
        ((*FILES, "--certainty", "0.9"), "the estimators agree on nobody; nothing written"),
    ],
)
def test_what_cannot_be_is_refused(run: Run, desk: Path, arguments: tuple[str, ...], message: str) -> None:
    if "labels.json" in arguments:
        Path("labels.json").write_text(Path("b.json").read_text())
    before = sorted(desk.iterdir())
    code, _, fault = label(run, *(argument.format(desk=desk.name) for argument in arguments))
    assert code == 2
    assert message in fault
    assert len(fault.splitlines()) == 1
    assert sorted(desk.iterdir()) == before


@pytest.mark.usefixtures("desk")
def test_a_photo_that_is_not_there_is_named(run: Run) -> None:
    Path("photos/37.png").unlink()
    code, _, fault = label(run, *FILES)
    assert code == 2
    assert "no photo for image id 37" in fault


@pytest.mark.usefixtures("desk")
def test_the_command_s_defaults_are_the_rule_s() -> None:
    import dataclasses

    from posefix.cli.pseudo_label import AgreementOptions
    from posefix.training.agreement import AgreementRule

    assert dataclasses.asdict(AgreementOptions()) == dataclasses.asdict(AgreementRule())
