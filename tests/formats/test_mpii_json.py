import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.formats.mutations import mutated_texts
from tests.formats.recorded import (
    INDENTS,
    contents_of,
    moved,
    printed,
    read,
    recorded,
    refusal,
    saved,
    try_everything,
)

from posefix.formats.mpii_json import FORMAT
from posefix.pose.poses import Poses
from posefix.pose_files.pose_file import FormatError, NewFile
from posefix.skeletons import load_skeleton

MPII = load_skeleton("mpii16")
PAIR = load_skeleton("coco17").subset(["left_eye", "right_eye"])


def person(image: Any = "a.jpg", **fields: Any) -> dict[str, Any]:
    joints = [[100.0 + number, 200.50 - number] for number in range(16)]
    joints[3] = [-1.0, -1.0]
    seen = [0 if number == 3 else 1 for number in range(16)]
    rest = {"scale": 2.125, "center": [110.0, 190.0]}
    return {"joints_vis": seen, "joints": joints, "image": image, **rest, **fields}


ROWS = [person(), person("b.jpg", more={"a": [1]})]


def test_one_is_taken_off_as_who_trains_with_it_does(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "train.json", ROWS))
    poses = file.poses
    assert (file.format, poses.skeleton, poses.image_ids) == ("mpii-json", MPII, ("a.jpg", "b.jpg"))
    assert poses.keypoints[0, 0].tolist() == [99, 199.5]
    assert poses.valid.sum(axis=1).tolist() == [15, 15]
    assert not poses.valid[0, 3]
    assert not file.has_scores


def test_without_visibilities_the_place_says_what_is_missing(tmp_path: Path) -> None:
    rows = [{key: value for key, value in person().items() if key != "joints_vis"}]
    rows[0]["joints"][5] = [0, 0]
    valid = read(FORMAT, recorded(tmp_path / "train.json", rows)).poses.valid
    assert np.flatnonzero(~valid[0]).tolist() == [3, 5]


def test_visibilities_may_be_true_and_false(tmp_path: Path) -> None:
    rows = [person(joints_vis=[number != 4 for number in range(16)])]
    file = read(FORMAT, recorded(tmp_path / "train.json", rows))
    assert np.flatnonzero(~file.poses.valid[0]).tolist() == [4]
    assert file.rewrite(file.poses) == contents_of(tmp_path / "train.json")


@pytest.mark.parametrize("joints", [..., None, []])
def test_who_has_no_joints_beside_others_is_a_person_without_keypoints(tmp_path: Path, joints: Any) -> None:
    lacking = {key: value for key, value in person("c.jpg", joints=joints).items() if value is not ...}
    file = read(FORMAT, recorded(tmp_path / "train.json", [lacking, *ROWS]))
    assert file.poses.valid.sum(axis=1).tolist() == [0, 15, 15]
    assert file.rewrite(file.poses) == contents_of(tmp_path / "train.json")
    changed = json.loads(file.rewrite(moved(file.poses, 1, 0, 5, 6))[""])
    assert changed[0] == lacking
    assert changed[1]["joints"][0] == [6, 7]


@pytest.mark.parametrize("gap", [[None, None], [float("nan"), float("nan")]])
def test_a_keypoint_without_numbers_is_missing_and_can_be_filled_in(tmp_path: Path, gap: list[Any]) -> None:
    rows = [person()]
    rows[0]["joints"][0], rows[0]["joints_vis"][0] = gap, 0
    file = read(FORMAT, recorded(tmp_path / "train.json", rows))
    assert np.flatnonzero(~file.poses.valid[0]).tolist() == [0, 3]
    assert file.rewrite(file.poses)[""] == (tmp_path / "train.json").read_bytes()
    places, valid = file.poses.keypoints.copy(), file.poses.valid.copy()
    places[0, 0], valid[0, 0] = (7, 8), True
    written = json.loads(file.rewrite(file.poses.with_keypoints(places, valid=valid))[""])[0]
    assert (written["joints"][0], written["joints_vis"][0]) == ([8.0, 9.0], 1)


def test_a_keypoint_that_lacks_a_number_is_a_fault(tmp_path: Path) -> None:
    rows = [person()]
    rows[0]["joints"][2] = [None, 3.5]
    path = recorded(tmp_path / "train.json", rows)
    message = "person 0, field 'joints', x of right_hip: expected a finite number, got None."
    with pytest.raises(FormatError, match=message):
        read(FORMAT, path)


@pytest.mark.parametrize("indent", INDENTS)
def test_only_what_moved_is_rewritten(tmp_path: Path, indent: Any) -> None:
    text = printed(ROWS, indent).replace("200.5", "200.50")
    path = recorded(tmp_path / "train.json", text)
    file = read(FORMAT, path)
    assert file.rewrite(file.poses, update_boxes=True) == contents_of(path)
    after = json.loads(file.rewrite(moved(file.poses, 1, 2, 7.00049, 8.1239))[""])
    expected = json.loads(text)
    expected[1]["joints"][2] = [8, 9.124]
    assert after == expected
    assert file.rewrite(moved(file.poses, 0, 1, 100, 198.5004)) == contents_of(path)
    assert file.rewrite(moved(file.poses, 0, 1, 100, 7))[""].decode() == text.replace("199.5", "8.0", 1)


def test_keypoints_come_and_go_with_their_visibility(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "train.json", ROWS))
    keypoints, valid = file.poses.keypoints.copy(), file.poses.valid.copy()
    valid[0, 3], keypoints[0, 3], valid[0, 4] = True, (10.5, 20), False
    rows = json.loads(file.rewrite(file.poses.with_keypoints(keypoints, valid), keep=[0])[""])
    assert len(rows) == 1
    assert rows[0]["joints"][3:5] == [[11.5, 21.0], [-1, -1]]
    assert rows[0]["joints_vis"][3:5] == [1, 0]


def test_true_and_false_change_in_their_places(tmp_path: Path) -> None:
    rows = [person(joints_vis=[number != 3 for number in range(16)])]
    file = read(FORMAT, recorded(tmp_path / "train.json", rows))
    keypoints, valid = file.poses.keypoints.copy(), file.poses.valid.copy()
    valid[0, 3], keypoints[0, 3], valid[0, 4] = True, (10.5, 20), False
    after = json.loads(file.rewrite(file.poses.with_keypoints(keypoints, valid))[""])
    rows[0]["joints"][3:5] = [[11.5, 21.0], [-1, -1]]
    rows[0]["joints_vis"][3:5] = [True, False]
    assert after == rows


def test_visibilities_of_null_are_none(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "train.json", [person(joints_vis=None)]))
    assert np.flatnonzero(~file.poses.valid[0]).tolist() == [3]
    again = json.loads(file.rewrite(moved(file.poses, 0, 1, 7, 8))[""])
    assert (again[0]["joints"][1], again[0]["joints_vis"]) == ([8, 9], None)


def test_sixteen_keypoints_of_another_layout_are_not_written_as_those_of_mpii() -> None:
    other = load_skeleton("efficientpose16")
    poses = Poses(
        np.ones((1, 16, 2)), np.ones((1, 16)), np.ones((1, 16), np.bool_), ("a",), np.ones(1), other
    )
    assert FORMAT.write is not None
    with pytest.raises(
        FormatError, match="no place for poses of efficientpose16: as many keypoints are those of mpii16"
    ):
        FORMAT.write(NewFile(poses))


def test_a_new_file_is_read_as_it_was(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    valid = generator.uniform(size=(3, 16)) < 0.7
    places = generator.uniform(0, 99, (3, 16, 2)).round(3)
    poses = Poses(places, valid.astype(float), valid, ("a.jpg", "a.jpg", "c"), np.ones(3), MPII)
    file = read(FORMAT, saved(tmp_path / "new.json", FORMAT.write(NewFile(poses)) if FORMAT.write else {}))
    assert file.poses.image_ids == poses.image_ids
    assert np.array_equal(file.poses.valid, valid)
    assert np.allclose(file.poses.keypoints[valid], places[valid], atol=1e-9)


def test_the_square_of_a_new_file_holds_the_box() -> None:
    poses = Poses(
        np.full((1, 16, 2), 5.0), np.ones((1, 16)), np.ones((1, 16), np.bool_), ("a",), np.ones(1), MPII
    )
    assert FORMAT.write is not None
    row = json.loads(FORMAT.write(NewFile(poses, boxes=np.array([[10.0, 20, 30, 100]])))[""])[0]
    assert (row["center"], row["scale"]) == ([26, 71], 0.5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": 1}, "expected a list of people"),
        ([person(joints=[[1, 2, 3]] * 16)], "person 0, field 'joints': expected a list of [x, y]"),
        ([person(joints_vis=[1])], "person 0, field 'joints_vis': expected 16 numbers, got 1"),
        ([person(image=None)], "person 0, field 'image': expected an integer or a text"),
        ([person(joints=[[1, 2]] * 17)], "with 17 keypoints it may be coco17"),
        ([person(), person(joints=[[1, 2]] * 15)], "person 1, field 'joints': expected 32 numbers, got 30"),
    ],
)
def test_faults_are_named(tmp_path: Path, content: Any, message: str) -> None:
    assert message in refusal(FORMAT, recorded(tmp_path / "a.json", content))


def test_other_numbers_of_keypoints_need_a_layout(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.json", [person(joints=[[2, 3], [4, 5]], joints_vis=[1, 1])])
    assert read(FORMAT, path, PAIR).poses.keypoints[0].tolist() == [[1, 2], [3, 4]]
    assert "expected 17 keypoints in each person" in refusal(FORMAT, path, load_skeleton("coco17"))


@given(text=mutated_texts(json.dumps(ROWS)), layout=st.sampled_from([None, MPII]))
@settings(max_examples=60, deadline=None)
def test_faulty_files_are_refused_in_words(
    text: str, layout: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = recorded(tmp_path_factory.getbasetemp() / "mutated.json", text)
    try_everything(FORMAT, path, layout)
