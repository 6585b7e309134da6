import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.formats.contract import refuses_faults, stays_equal
from tests.formats.recorded import PAIR, contents_of, moved, printed, read, recorded, refusal, saved

from posefix.formats.mmpose import FORMAT
from posefix.pose_files.pose_file import FormatError, NewFile, Source
from posefix.skeletons import load_skeleton

PERSON: dict[str, Any] = {
    "keypoints": [[10.50, 20.25], [30.0, 40]],
    "keypoint_scores": [0.9, 0.5],
    "bbox": [[1.0, 2.0, 51.0, 82.0]],
    "bbox_score": 0.75,
    "extra": {"a": None},
}
PLAIN = {"keypoints": [[1.0, 2.0], [0.0, 0.0]], "keypoint_scores": [0.5, 0.25]}
FRAMES = [
    {"frame_id": 0, "instances": [PERSON]},
    {"frame_id": 1, "instances": []},
    {"frame_id": 2, "instances": [PLAIN, PERSON]},
]
META = {
    "dataset_name": "coco",
    "num_keypoints": 2,
    "keypoint_id2name": {"0": "left_eye", "1": "right_eye"},
    "skeleton_links": [[0, 1]],
    "keypoint_colors": {"__ndarray__": [[1, 2, 3]], "dtype": "uint8", "shape": [1, 3]},
}
DEMO = {
    "meta_info": META,
    "instance_info": [{**frame, "frame_id": number} for number, frame in enumerate(FRAMES, 1)],
}
SHAPES: dict[str, Any] = {"photo": [PERSON, PLAIN], "video": FRAMES, "demo": DEMO}


def test_a_list_of_instances_is_the_photo_that_the_file_is_called_after(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "im_1.json", SHAPES["photo"]), PAIR)
    assert file.poses.image_ids == ("im_1", "im_1")
    assert file.poses.keypoints[0].tolist() == [[10.5, 20.25], [30, 40]]
    assert file.poses.scores[0].tolist() == [0.9, 0.5]
    assert file.poses.valid.tolist() == [[True, True], [True, False]]
    assert file.poses.pose_scores.tolist() == [0.75, 0.5]  # no score of the pose: the mean of what is there
    assert file.boxes is not None
    assert file.boxes[0].tolist() == [1, 2, 50, 80]  # nested corners
    assert np.isnan(file.boxes[1]).all()
    assert file.tracks is None


@pytest.mark.parametrize("shape", ["video", "demo"])
def test_frames_are_counted_from_zero_whatever_the_file_counts_from(tmp_path: Path, shape: str) -> None:
    file = read(FORMAT, recorded(tmp_path / "clip.json", SHAPES[shape]), PAIR)
    assert file.poses.image_ids == (0, 2, 2)
    assert file.notes == (f"frames are counted from {'1' if shape == 'demo' else '0'}",)


def test_a_demo_with_a_frame_zero_counts_from_zero(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "clip.json", {"meta_info": META, "instance_info": FRAMES}))
    assert file.poses.image_ids == (0, 2, 2)


def test_a_demo_of_a_photo_is_called_after_it(tmp_path: Path) -> None:
    content = {"meta_info": META, "instance_info": [PERSON]}
    assert read(FORMAT, recorded(tmp_path / "results_im.json", content)).poses.image_ids == ("im",)


@pytest.mark.parametrize(
    ("ids", "notes"),
    [
        ([0, 5, 1, 4], ["frames that are not there, counted from 0: 2, 3"]),
        (
            [*range(7), *range(13, 20)],
            ["frames that are not there, counted from 0: 7, 8, 9, 10, 11 and 1 more"],
        ),
        ([0, 10, 20], []),  # chosen on purpose
        ([0, 10**12], []),
    ],
)
def test_missing_frames_are_noted(tmp_path: Path, ids: list[int], notes: list[str]) -> None:
    frames = [{"frame_id": number, "instances": []} for number in ids]
    file = read(FORMAT, recorded(tmp_path / "clip.json", frames), PAIR)
    assert file.notes == ("frames are counted from 0", *notes)


def test_meta_info_names_the_layout(tmp_path: Path) -> None:
    skeleton = read(FORMAT, recorded(tmp_path / "clip.json", DEMO)).poses.skeleton
    assert skeleton.keypoint_names == ("left_eye", "right_eye")
    assert skeleton.flip_pairs == (("left_eye", "right_eye"),)
    assert skeleton.limbs == (("left_eye", "right_eye"),)
    assert skeleton.name == "coco"


def test_names_of_a_packaged_layout_mean_that_layout(tmp_path: Path) -> None:
    coco = load_skeleton("coco17")
    meta = {"keypoint_id2name": {str(number): name for number, name in enumerate(coco.keypoint_names)}}
    person = {"keypoints": [[1, 2]] * 17, "keypoint_scores": [1] * 17}
    content = {"meta_info": meta, "instance_info": [{"frame_id": 1, "instances": [person]}]}
    assert read(FORMAT, recorded(tmp_path / "clip.json", content)).poses.skeleton == coco


def test_a_folder_has_a_file_for_each_photo(tmp_path: Path) -> None:
    path = recorded(tmp_path / "predictions", {"b.json": [PERSON], "a.json": [], "c.json": [PLAIN]})
    file = read(FORMAT, path, PAIR)
    assert file.poses.image_ids == ("b", "c")
    assert file.rewrite(file.poses) == contents_of(path)


test_a_file_that_nothing_changed_is_equal = stays_equal(FORMAT, SHAPES)


@pytest.mark.parametrize("content", [[], {"meta_info": META, "instance_info": []}], ids=str)
def test_files_of_nobody_stay(tmp_path: Path, content: Any) -> None:
    path = recorded(tmp_path / "a.json", content)
    file = read(FORMAT, path, PAIR)
    assert (len(file.poses), file.rewrite(file.poses)) == (0, contents_of(path))


def test_only_the_numbers_of_a_moved_keypoint_change(tmp_path: Path) -> None:
    text = printed(FRAMES, 2).replace("10.5,", "10.500,")
    file = read(FORMAT, recorded(tmp_path / "clip.json", text), PAIR)
    assert file.rewrite(moved(file.poses, 0, 1, 30.0004, 41.12345)) == {
        "": text.replace("40", "41.123", 1).encode()
    }


def test_boxes_and_scores_follow_if_asked(tmp_path: Path) -> None:
    file = read(
        FORMAT, recorded(tmp_path / "im.json", [PERSON, PLAIN, {**PERSON, "bbox": [1, 2, 3, 4]}]), PAIR
    )
    keypoints = file.poses.keypoints + np.array([0.0, 10.0])
    poses = file.poses.with_keypoints(keypoints)
    rows = json.loads(file.rewrite(poses, update_boxes=True)[""])
    assert rows[0]["bbox"] == [
        [8.55, 28.275, 31.95, 51.975]
    ]  # 1.2 times the box around (10.5, 30.25) and (30, 50)
    assert rows[2]["bbox"] == rows[0]["bbox"][0]  # not nested, as before
    assert "bbox" not in rows[1]
    assert json.loads(file.rewrite(poses)[""])[0]["bbox"] == PERSON["bbox"]
    rescored = file.poses.with_keypoints(file.poses.keypoints, scores=file.poses.scores * 0.5)
    rows = json.loads(file.rewrite(rescored, update_boxes=True)[""])
    assert (rows[0]["bbox"], rows[2]["bbox"]) == (PERSON["bbox"], [1, 2, 3, 4])


def test_people_can_be_taken_out(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "clip.json", FRAMES), PAIR)
    frames = json.loads(file.rewrite(file.poses, keep=[2])[""])
    assert [frame["instances"] for frame in frames] == [[], [], [PERSON]]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", [PERSON], "a list of instances with 'keypoints' and 'keypoint_scores'"),
        ("a.json", FRAMES, "a list of frames with 'instances'"),
        ("a.json", DEMO, "an object with 'instance_info'"),
        (
            "folder",
            {"a.json": "[", "b.json": [], "c.json": [PERSON]},
            "a folder of lists of instances with 'keypoints' and 'keypoint_scores'",
        ),
        ("folder", {"a.json": []}, None),
        ("a.json", [], None),
        ("a.json", [{"image_id": 1, "keypoints": [1, 2, 3]}], None),
        ("a.json", 3, None),
        ("a.json", "[", None),
    ],
)
def test_files_are_recognised_with_a_reason(
    tmp_path: Path, name: str, content: Any, reason: str | None
) -> None:
    assert FORMAT.recognise(Source(recorded(tmp_path / name, content))) == reason


FAULTS: list[tuple[Any, str]] = [
    (3, "a.json: expected a list of people, got 3."),
    ({"a": 1}, "a.json: expected a list of instances or a field 'instance_info', got {'a': 1}."),
    ([PERSON, 3], "a.json, instance 1: expected an object, got 3."),
    (
        [{**PERSON, "keypoints": [1, 2]}],
        "instance 0, field 'keypoints': expected a list of [x, y], got [1, 2].",
    ),
    ([{**PERSON, "keypoints": [[1, 2, 3]] * 2}], "expected a list of [x, y], got [[1, 2, 3], [1, 2, 3]]."),
    (
        [PERSON, {**PERSON, "keypoints": [[1, 2]] * 3}],
        "instance 1, field 'keypoints': expected 4 numbers, got 6; a file has people of one layout.",
    ),
    (
        [{**PERSON, "keypoint_scores": [1]}],
        "field 'keypoint_scores': expected 2 numbers, got 1; a file has people of one layout.",
    ),
    ([{**PERSON, "keypoint_scores": [1, None]}], "score of right_eye: expected a finite number, got None."),
    ([{**PERSON, "bbox": [[1, 2, 3]]}], "instance 0, field 'bbox': expected 4 numbers, got 3."),
    ([{**PERSON, "bbox_score": "high"}], "field 'bbox_score': expected a finite number, got 'high'."),
    ([FRAMES[0], FRAMES[0]], "frame 1, field 'frame_id': expected another id than that of frame 0, got 0."),
    ([{**FRAMES[0], "frame_id": -1}], "expected a whole number that is not negative, got -1."),
    ([{**FRAMES[0], "frame_id": "1"}], "expected a whole number that is not negative, got '1'."),
    (
        [FRAMES[0], {"frame_id": 1}],
        "a.json, frame 1, field 'instances': expected a list of people, got None.",
    ),
    (
        [FRAMES[0], {"frame_id": 4, "instances": [1]}],
        "a.json, frame 1, instance 0: expected an object, got 1.",
    ),
]


@pytest.mark.parametrize(("content", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_faults_are_named(tmp_path: Path, content: Any, message: str) -> None:
    assert message in refusal(FORMAT, recorded(tmp_path / "a.json", content), PAIR)


def test_the_layout_is_asked_for_where_no_names_are(tmp_path: Path) -> None:
    person = {"keypoints": [[1, 2]] * 17, "keypoint_scores": [1] * 17}
    with pytest.raises(FormatError, match="never guessed; with 17 keypoints it may be coco17 or posetrack18"):
        read(FORMAT, recorded(tmp_path / "a.json", [person]))


def test_broken_names_are_told(tmp_path: Path) -> None:
    meta = {**META, "keypoint_id2name": {"1": "left_eye", "2": "right_eye"}}
    with pytest.raises(FormatError, match="field 'meta_info': expected names of the keypoints 0 to 1"):
        read(FORMAT, recorded(tmp_path / "a.json", {**DEMO, "meta_info": meta}))


def test_scores_above_one_are_noted(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "a.json", [{**PERSON, "keypoint_scores": [1.5, 0.5]}]), PAIR)
    assert file.notes == ("keypoint scores from 0.5 to 1.5, not from 0 to 1; taken as they are",)


test_a_faulty_file_is_refused_in_one_sentence = refuses_faults(FORMAT, *SHAPES.values())


# New files


def test_new_files_of_photos_are_a_folder(tmp_path: Path) -> None:
    source = read(FORMAT, recorded(tmp_path / "a.json", [PERSON, PLAIN]), PAIR)
    contents = (
        FORMAT.write(NewFile(source.poses, boxes=source.boxes, tracks=(7, None))) if FORMAT.write else {}
    )
    file = read(FORMAT, saved(tmp_path / "new", contents), PAIR)
    assert list(contents) == ["a.json"]
    assert file.poses.keypoints.tolist() == source.poses.keypoints.tolist()
    assert file.poses.valid.tolist() == source.poses.valid.tolist()
    assert file.tracks == (7, None)
    assert file.boxes is not None
    assert file.boxes[0].tolist() == [1, 2, 50, 80]


def test_new_files_of_frames_name_the_keypoints(tmp_path: Path) -> None:
    source = read(FORMAT, recorded(tmp_path / "clip.json", FRAMES), PAIR)
    contents = FORMAT.write(NewFile(source.poses)) if FORMAT.write else {}
    file = read(FORMAT, saved(tmp_path / "new.json", contents))
    assert file.poses.image_ids == (0, 2, 2)
    assert file.poses.keypoints.tolist() == source.poses.keypoints.tolist()
    assert file.poses.skeleton.keypoint_names == PAIR.keypoint_names


def test_two_photos_of_one_name_have_no_place(tmp_path: Path) -> None:
    poses = read(FORMAT, recorded(tmp_path / "clip.json", FRAMES), PAIR).poses
    assert FORMAT.write is not None
    with pytest.raises(FormatError, match="image ids 0 and 2 are both of a photo 'im'"):
        FORMAT.write(NewFile(poses, file_names={0: "a/im.jpg", 2: r"b\im.png"}))
