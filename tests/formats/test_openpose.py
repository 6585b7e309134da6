import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.formats.contract import refuses_faults, stays_equal
from tests.formats.recorded import PAIR, contents_of, moved, read, recorded, refusal, saved

from posefix.formats.openpose import FORMAT
from posefix.pose.poses import Poses
from posefix.pose_files.pose_file import FormatError, NewFile, Source
from posefix.skeletons import load_skeleton

HANDS = {"face_keypoints_2d": [], "hand_left_keypoints_2d": [1.5, 2.50, 0.5], "pose_keypoints_3d": []}
SIZE = (101, 201)


def person(points: list[Any], track: int = -1) -> dict[str, Any]:
    return {"person_id": [track], "pose_keypoints_2d": points, **HANDS}


def frame(*people: dict[str, Any]) -> dict[str, Any]:
    return {"version": 1.3, "people": list(people), "part_candidates": []}


def size(image_id: Any) -> tuple[int, int]:
    return SIZE


MISSING_LAST = person([10.50, 20.25, 0.875, 0, 0, 0])
WHOLE = person([30, 40, 0.5, 50, 60, 0.25], track=4)
FRAMES = {
    "clip_000000000000_keypoints.json": frame(MISSING_LAST),
    "clip_000000000001_keypoints.json": frame(),
    "clip_000000000003_keypoints.json": frame(WHOLE, MISSING_LAST),
}


def test_a_folder_of_frames_becomes_arrays(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "json", FRAMES), PAIR)
    poses = file.poses
    assert poses.image_ids == (0, 3, 3)
    assert poses.keypoints[0].tolist() == [[10.5, 20.25], [0, 0]]
    assert poses.valid.tolist() == [[True, False], [True, True], [True, False]]
    assert poses.pose_scores.tolist() == [0.875, 0.375, 0.875]  # the mean of what is there
    assert file.tracks == (None, 4, None)
    assert file.boxes is None
    assert file.notes == (
        "the numbers in the names are image ids: frames, counted from 0",
        "frames that are not there, counted from 0: 2",
    )


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["COCO_val2014_000000000042", "COCO_val2014_000000000009"], {42, 9}),
        (["000000000042", "im"], {"000000000042", "im"}),
        (["a_000000000001", "b_000000000001"], {"a_000000000001", "b_000000000001"}),
        (["im_1", "im_2"], {"im_1", "im_2"}),
    ],
)
def test_names_are_image_ids_unless_they_are_frames_of_one_video(
    tmp_path: Path, names: list[str], ids: set[Any]
) -> None:
    path = recorded(tmp_path / "json", {f"{name}_keypoints.json": frame(WHOLE) for name in names})
    assert set(read(FORMAT, path, PAIR).poses.image_ids) == ids


@pytest.mark.parametrize(("count", "layout"), [(25, "body25"), (18, "openpose18")])
def test_the_number_of_values_says_the_layout(tmp_path: Path, count: int, layout: str) -> None:
    people = frame(person([9.0] * (3 * count)))
    file = read(FORMAT, recorded(tmp_path / "im_keypoints.json", people))
    assert file.poses.skeleton == load_skeleton(layout)
    assert file.poses.image_ids == ("im",)
    assert file.notes[0] == f"layout {layout}: what OpenPose writes with {count} keypoints"


def test_nobody_in_any_file_is_legal(tmp_path: Path) -> None:
    path = recorded(tmp_path / "json", {"a_keypoints.json": frame()})
    file = read(FORMAT, path)
    assert (len(file.poses), file.notes) == (0, ("nobody has keypoints",))
    assert file.rewrite(file.poses) == contents_of(path)


test_files_that_nothing_changed_are_equal = stays_equal(FORMAT, {"frames": FRAMES}, name="json")


def test_only_the_numbers_of_a_moved_keypoint_change(tmp_path: Path) -> None:
    path = recorded(tmp_path / "json", FRAMES)
    file = read(FORMAT, path, PAIR)
    new = file.rewrite(moved(file.poses, 1, 0, 31.23456, 40.0004))
    name = "clip_000000000003_keypoints.json"
    expected = (path / name).read_bytes().replace(b"30, 40", b"31.235, 40", 1)
    assert new == {**contents_of(path), name: expected}


def test_people_taken_out_leave_their_frames(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "json", FRAMES), PAIR)
    new = {name: json.loads(text) for name, text in file.rewrite(file.poses, keep=[2]).items()}
    assert [inner["people"] for inner in new.values()] == [[], [], [MISSING_LAST]]


def test_other_files_of_the_folder_are_named(tmp_path: Path) -> None:
    path = recorded(tmp_path / "json", {**FRAMES, "about.json": {"a": 1}})
    file = read(FORMAT, path, PAIR)
    assert "other JSON files are left out: about.json" in file.notes
    assert list(file.rewrite(file.poses)) == list(FRAMES)


# A keypoint whose place is known: the last pixel of a photo of 101 x 201, and its middle.
SCALES = {
    "from 0 to 1 (--keypoint_scale 3)": [1, 1, 0.9, 0.5, 0.5, 0.9, 0, 0, 0],
    "from -1 to 1 (--keypoint_scale 4)": [1, 1, 0.9, 0, 0, 0.9, -1, -1, 0],
}
THREE = load_skeleton("coco17").subset(["left_eye", "right_eye", "nose"])


@pytest.mark.parametrize("said", SCALES)
def test_shares_become_pixels_and_shares_again(tmp_path: Path, said: str) -> None:
    path = recorded(tmp_path / "a_keypoints.json", frame(person(SCALES[said])))
    file = read(FORMAT, path, THREE, size)
    assert file.poses.keypoints[0].tolist() == [[100, 200], [50, 100], [0, 0]]
    assert file.poses.valid[0].tolist() == [True, True, False]
    assert file.notes[0].endswith(said)
    assert file.rewrite(file.poses) == contents_of(path)
    numbers = json.loads(file.rewrite(moved(file.poses, 0, 1, 50.0004, 20))[""])["people"][0][
        "pose_keypoints_2d"
    ]
    expected = list(SCALES[said])
    expected[4] = 0.1 if "3" in said else -0.8
    assert numbers == expected


def test_a_share_is_written_anew_for_a_thousandth_of_a_pixel(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a_keypoints.json", frame(person([0.123456, 0.5, 0.9, 0.5, 0.5, 0.9])))
    file = read(FORMAT, path, PAIR, lambda image_id: (1921, 1081))
    shifted = file.poses.with_keypoints(file.poses.keypoints + 0.0004)
    assert file.rewrite(shifted) == contents_of(path)
    again = json.loads(file.rewrite(file.poses.with_keypoints(file.poses.keypoints + 0.25))[""])
    assert again["people"][0]["pose_keypoints_2d"][0] == pytest.approx(0.123456 + 0.25 / 1920, abs=1e-6)


def test_what_lies_outside_of_the_photo_does_not_change_the_scale(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a_keypoints.json", frame(person(SCALES["from 0 to 1 (--keypoint_scale 3)"])))
    file = read(FORMAT, path, THREE, size)
    new = saved(tmp_path / "new_keypoints.json", file.rewrite(moved(file.poses, 0, 0, -3, 205)))
    assert read(FORMAT, new, THREE, size).poses.keypoints[0, 0] == pytest.approx([-3, 205])


def test_shares_need_the_photos(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a_keypoints.json", frame(person([0.5, 0.5, 0.9, 0.5, 0.25, 0.9])))
    with pytest.raises(FormatError, match=r"shares of the photo's width and height, .* \(--images\)\.$"):
        read(FORMAT, path, PAIR)


def test_a_pose_in_the_corner_of_the_photo_is_in_pixels_as_the_others(tmp_path: Path) -> None:
    people = frame(person([1, 0.5, 0.9, 0, 0, 0]), WHOLE)
    poses = read(FORMAT, recorded(tmp_path / "a_keypoints.json", people), PAIR).poses
    assert poses.keypoints[0, 0].tolist() == [1, 0.5]


def test_two_scales_in_one_folder_are_refused(tmp_path: Path) -> None:
    five = load_skeleton("coco17").subset(["nose", "left_eye", "right_eye", "left_ear", "right_ear"])
    files = {
        "a_keypoints.json": frame(person([30, 40, 1] * 5)),
        "b_keypoints.json": frame(person([0.5, 0.5, 1] * 5)),
    }
    with pytest.raises(
        FormatError, match=r"b_keypoints\.json, person 0, field 'pose_keypoints_2d': expected pixels"
    ):
        read(FORMAT, recorded(tmp_path / "json", files), five, size)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", frame(WHOLE), "an object with 'people'"),
        ("a.json", frame(), "an object with 'people'"),
        ("a.json", {**frame(WHOLE), "version": "AlphaPose v0.3"}, None),
        ("a.json", {"images": []}, None),
        ("json", FRAMES, "a folder of files NAME_keypoints.json"),
        ("json", {"a_keypoints.json": "["}, "a folder of files NAME_keypoints.json"),
        ("json", {"a.json": frame(WHOLE)}, "a folder of files with 'people'"),
        ("json", {"a.json": [1]}, None),
        ("json", {}, None),
    ],
)
def test_files_are_recognised_with_a_reason(
    tmp_path: Path, name: str, content: Any, reason: str | None
) -> None:
    assert FORMAT.recognise(Source(recorded(tmp_path / name, content))) == reason


FAULTS: list[tuple[Any, str]] = [
    ([], "expected an object with 'people', got []."),
    ({}, "a_keypoints.json, field 'people': expected a list of people, got None."),
    (frame(WHOLE, 3), "a_keypoints.json, person 1: expected an object, got 3."),  # type: ignore[arg-type]
    (
        frame(WHOLE, person([1] * 75)),
        "person 1, field 'pose_keypoints_2d': expected 6 numbers, got 75, as of body25; a file has people of "
        "one layout.",
    ),
    (
        frame({"a": 1}),
        "person 0, field 'pose_keypoints_2d': expected a list of 6 numbers, got no such field.",
    ),
    (frame(person([1, 2, float("nan"), 4, 5, 6])), "score of left_eye: expected a finite number, got nan."),
]


@pytest.mark.parametrize(("content", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_faults_are_named(tmp_path: Path, content: Any, message: str) -> None:
    path = recorded(tmp_path / "a_keypoints.json", content)
    assert message in refusal(FORMAT, path, PAIR)


def test_an_unknown_number_of_values_asks_for_a_layout(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a_keypoints.json", frame(person([1] * 51)))
    with pytest.raises(FormatError, match="with 17 keypoints it may be coco17 or posetrack18"):
        read(FORMAT, path)


def test_one_person_of_another_length_is_named_and_not_the_layout(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a_keypoints.json", frame(person([1] * 74), person([1] * 75)))
    with pytest.raises(FormatError, match="person 0, field 'pose_keypoints_2d': expected 75 numbers, got 74"):
        read(FORMAT, path)


def test_a_folder_without_files_is_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="expected a folder with JSON files, got none"):
        read(FORMAT, recorded(tmp_path / "json", {}))


test_a_faulty_file_is_refused_in_one_sentence = refuses_faults(
    FORMAT,
    frame(WHOLE, MISSING_LAST),
    frame(person([0.5, 0.5, 0.9, 0.25, 0.5, 0.9])),
    name="a_keypoints.json",
    photo_size=size,
)


# New files


def test_new_files_read_as_they_were_written(tmp_path: Path) -> None:
    skeleton = load_skeleton("body25")
    numbers = np.arange(75.0).reshape(25, 3) + 1
    people = frame(person(numbers.ravel().tolist(), 3), person([0] * 75))
    source = read(FORMAT, recorded(tmp_path / "a_keypoints.json", people))
    contents = (
        FORMAT.write(NewFile(source.poses, source.tracks, file_names={"a": "in/photo.jpg"}))
        if FORMAT.write
        else {}
    )
    assert list(contents) == ["photo_keypoints.json"]
    file = read(FORMAT, saved(tmp_path / "new", contents))
    assert file.poses.keypoints.tolist() == source.poses.keypoints.tolist()
    assert file.poses.scores.tolist() == source.poses.scores.tolist()
    assert (file.poses.image_ids, file.tracks, file.poses.skeleton) == (
        ("photo", "photo"),
        (3, None),
        skeleton,
    )


def test_new_frames_are_frames_again(tmp_path: Path) -> None:
    people = {f"v_{number:012d}_keypoints.json": frame(person([9.0] * 54)) for number in (0, 7)}
    source = read(FORMAT, recorded(tmp_path / "json", people))
    contents = FORMAT.write(NewFile(source.poses)) if FORMAT.write else {}
    assert read(FORMAT, saved(tmp_path / "new", contents)).poses.image_ids == (0, 7)


@pytest.mark.parametrize("layout", ["halpe26", "coco17", "wholebody133"])
def test_other_layouts_are_read_back_if_they_are_named(tmp_path: Path, layout: str) -> None:
    skeleton = load_skeleton(layout)
    people = frame(person([float(number % 90 + 1) for number in range(3 * len(skeleton))]))
    poses = read(FORMAT, recorded(tmp_path / "im_keypoints.json", people), skeleton).poses
    assert FORMAT.write is not None
    again = read(FORMAT, saved(tmp_path / "json", FORMAT.write(NewFile(poses))), skeleton).poses
    assert again.same_people_as(poses)
    assert np.array_equal(again.keypoints, poses.keypoints)
    assert "expected the name of its layout" in refusal(FORMAT, tmp_path / "json")


def test_a_layout_that_would_be_taken_for_openposes_has_no_place() -> None:
    halpe = load_skeleton("halpe26")
    part = halpe.subset(halpe.keypoint_names[:18])
    poses = Poses(np.ones((1, 18, 2)), np.ones((1, 18)), np.ones((1, 18), np.bool_), ("a",), np.ones(1), part)
    assert FORMAT.write is not None
    with pytest.raises(
        FormatError, match=r"no place for poses of .*: 18 keypoints would be read back as openp"
    ):
        FORMAT.write(NewFile(poses))


def test_older_versions_call_the_keypoints_otherwise(tmp_path: Path) -> None:
    people = {
        "version": 1.0,
        "people": [{"pose_keypoints": [10, 20.50, 0.5, 30, 40, 0.5], "face_keypoints": []}],
    }
    path = recorded(tmp_path / "im_keypoints.json", people)
    file = read(FORMAT, path, PAIR)
    assert file.rewrite(file.poses) == contents_of(path)
    after = json.loads(file.rewrite(moved(file.poses, 0, 0, 11, 20.5))[""])
    assert after["people"][0]["pose_keypoints"] == [11, 20.5, 0.5, 30, 40, 0.5]
