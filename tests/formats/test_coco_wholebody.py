"""COCO-WholeBody's annotations: five fields, one pose."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from tests.formats.mutations import mutated_texts
from tests.formats.recorded import (
    INDENTS,
    contents_of,
    moved,
    printed,
    read,
    recorded,
    refusal,
    try_everything,
)

from posefix.formats.coco_annotation_poses import FORMAT
from posefix.formats.coco_wholebody import PARTS
from posefix.interchange.pose_files import Hints
from posefix.interchange.validation import validate
from posefix.skeletons import load_skeleton

WHOLE = load_skeleton("wholebody133")
COCO = load_skeleton("coco17")


def person(**fields: Any) -> dict[str, Any]:
    parts = {
        part.field: [
            number for index in range(part.start, part.stop) for number in (index + 0.50, 2 * index, 2)
        ]
        for part in PARTS
    }
    parts["face_kpts"] = [0] * 204
    rest = {"num_keypoints": 17, "bbox": [1, 2, 30, 40], "face_valid": False, "face_box": [0, 0, 0, 0]}
    return {"id": 1, "image_id": 1, "category_id": 1, **parts, **rest, **fields}


def content(*people: dict[str, Any]) -> dict[str, Any]:
    category = {"id": 1, "name": "person", "keypoints": list(COCO.keypoint_names)}
    return {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": list(people),
        "categories": [category],
    }


def test_the_five_fields_are_one_pose(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "truth.json", content(person())))
    assert file.poses.skeleton == WHOLE
    assert file.poses.keypoints[0, [0, 17, 91, 132]].tolist() == [
        [0.5, 0],
        [17.5, 34],
        [91.5, 182],
        [132.5, 264],
    ]
    assert np.flatnonzero(~file.poses.valid[0]).tolist() == [*range(23, 91)]
    assert file.notes[1] == "feet, face and hands are in foot_kpts, face_kpts, lefthand_kpts, righthand_kpts"


def test_the_body_alone_is_read_if_it_is_named(tmp_path: Path) -> None:
    path = recorded(tmp_path / "truth.json", content(person()))
    assert read(FORMAT, path, COCO).poses.skeleton == COCO
    assert read(FORMAT, path, WHOLE).poses.skeleton == WHOLE
    plain = recorded(tmp_path / "plain.json", content({"id": 1, "image_id": 1, "keypoints": [1, 2, 2] * 17}))
    assert read(FORMAT, plain).poses.skeleton == COCO
    assert "expected 133 keypoints in each annotation" in refusal(FORMAT, plain, WHOLE)


def test_parts_may_be_empty_or_not_there(tmp_path: Path) -> None:
    other = {"id": 2, "image_id": 1, "category_id": 1, "keypoints": [3, 4, 2] * 17, "foot_kpts": []}
    path = recorded(tmp_path / "truth.json", content(person(), other))
    file = read(FORMAT, path)
    assert file.poses.valid.sum(axis=1).tolist() == [65, 17]
    assert file.rewrite(file.poses) == contents_of(path)
    after = json.loads(file.rewrite(moved(file.poses, 1, 16, 5, 6))[""])["annotations"]
    assert after == [person(), {**other, "keypoints": [3, 4, 2] * 16 + [5, 6, 2]}]


@pytest.mark.parametrize("indent", INDENTS)
def test_only_what_moved_is_rewritten(tmp_path: Path, indent: Any) -> None:
    text = printed(content(person()), indent).replace("17.5", "17.50")
    path = recorded(tmp_path / "truth.json", text)
    file = read(FORMAT, path)
    assert file.rewrite(file.poses, update_boxes=True) == contents_of(path)
    edited = file.rewrite(moved(file.poses, 0, 91, 7.25, 182))[""].decode()
    assert edited == text.replace("91.5", "7.25")
    valid = file.poses.valid.copy()
    valid[0, [3, 30]] = False, True
    after = json.loads(file.rewrite(file.poses.with_keypoints(np.full((1, 133, 2), 9.0), valid))[""])
    row = after["annotations"][0]
    assert row["num_keypoints"] == 16
    assert row["keypoints"][9:15] == [0, 0, 0, 9, 9, 2]
    assert row["face_kpts"][18:27] == [0, 0, 0, 9, 9, 2, 0, 0, 0]
    assert row["face_valid"] is False


def test_a_fault_names_the_part(tmp_path: Path) -> None:
    path = recorded(tmp_path / "truth.json", content(person(foot_kpts=[1, 2, 3])))
    assert "annotation 0, field 'foot_kpts': expected 18 numbers, got 3" in refusal(FORMAT, path)


@given(text=mutated_texts(json.dumps([person()])))
@settings(max_examples=40, deadline=None)
def test_faulty_files_are_refused_in_words(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "mutated.json"
    try_everything(
        FORMAT, recorded(path, printed(content()).replace('"annotations": []', f'"annotations": {text}'))
    )


def test_as_the_truth_a_file_is_its_body_whatever_layout_is_named(tmp_path: Path) -> None:
    path = recorded(tmp_path / "truth.json", content(person(area=600)))
    for layout in (None, WHOLE, COCO):
        validation = validate(path, Hints(layout=layout))
        assert (validation.faults, validation.truth_faults) == ((), ())
