"""All faults of a file at once, in the formats that have shapes of their own."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from posefix.interchange.pose_files import Hints
from posefix.interchange.validation import validate
from posefix.pose_files.pose_file import FormatError
from posefix.skeletons import load_skeleton

PAIR = load_skeleton("coco17").subset(["left_eye", "right_eye"])
INSTANCE: dict[str, Any] = {"keypoints": [[10.5, 20.25], [30, 40]], "keypoint_scores": [0.9, 0.5]}
DETECTION: dict[str, Any] = {
    "box": {"x1": 1, "y1": 2, "x2": 30, "y2": 40},
    "keypoints": {"x": [10.5, 30], "y": [20.25, 40], "visible": [0.9, 0.5]},
}
TRACKED: dict[str, Any] = {"image_id": 7, "keypoints": [10.5, 20.25, 1, 30, 40, 1], "scores": [0.9, 0.5]}


def faults(path: Path, hints: Hints) -> list[str]:
    """What is said of each fault of a file, without the file's name."""
    validation = validate(path, hints)
    assert validation.file is None
    for fault in validation.faults:
        assert ";" in str(fault) or (isinstance(fault, FormatError) and fault.mend), f"nothing mends: {fault}"
    return [str(fault).removeprefix(f"{path}, ") for fault in validation.faults]


MMPOSE = [
    (
        [INSTANCE, "nobody", {**INSTANCE, "keypoints": [1, 2]}, {**INSTANCE, "keypoint_scores": "high"}, {}],
        [
            "instance 1: expected an object, got 'nobody'.",
            "instance 2, field 'keypoints': expected a list of [x, y], got [1, 2].",
            "instance 3, field 'keypoint_scores': expected a list of 2 numbers, got 'high'.",
        ],
    ),
    (
        [
            {"frame_id": -1, "instances": [INSTANCE]},
            {"frame_id": None, "instances": [{**INSTANCE, "keypoints": 5}]},
            "no frame",
            {"frame_id": "b", "instances": None},
            {"frame_id": 4, "instances": [{**INSTANCE, "bbox_score": "high"}]},
        ],
        [
            "frame 0, field 'frame_id': expected a whole number that is not negative, got -1.",
            "frame 1, field 'frame_id': expected an integer or a text, got None.",
            "frame 1, instance 0, field 'keypoints': expected a list of [x, y], got 5.",
            "frame 2: expected an object, got 'no frame'.",
            "frame 3, field 'frame_id': expected a whole number that is not negative, got 'b'.",
            "frame 3, field 'instances': expected a list of people, got None.",
            "frame 4, instance 0, field 'bbox_score': expected a finite number, got 'high'.",
        ],
    ),
]


@pytest.mark.parametrize(("content", "expected"), MMPOSE, ids=["photo", "video"])
def test_all_faults_of_mmpose(tmp_path: Path, content: Any, expected: list[str]) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    assert faults(path, Hints(layout=PAIR, format="mmpose")) == expected


def test_all_faults_of_ultralytics(tmp_path: Path) -> None:
    content = [
        {**DETECTION, "box": None},
        {**DETECTION, "keypoints": [1, 2]},
        "nobody",
        {**DETECTION, "keypoints": {"x": [1], "y": [2, 3]}},
        {**DETECTION, "box": {"x1": 1, "y1": 2, "x2": "right", "y2": 4}},
        {"box": DETECTION["box"]},
    ]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    assert faults(path, Hints(layout=PAIR, format="ultralytics")) == [
        "detection 0, field 'box': expected an object, got None.",
        "detection 1, field 'keypoints': expected an object, got [1, 2].",
        "detection 2: expected an object, got 'nobody'.",
        "keypoints of detection 3, field 'x': expected 2 numbers, got 1; a file has people of one layout.",
        "box of detection 4, field 'x2': expected a finite number, got 'right'.",
    ]


def test_all_faults_of_posetrack(tmp_path: Path) -> None:
    names = list(PAIR.keypoint_names)
    people = [
        {**TRACKED, "image_id": 8},
        {**TRACKED, "image_id": None},
        "nobody",
        {**TRACKED, "image_id": "7"},
        {**TRACKED, "scores": [1]},
    ]
    content = {
        "images": [{"id": 7, "vid_id": 1}],
        "annotations": people,
        "categories": [{"id": 1, "keypoints": names}],
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    assert faults(path, Hints(format="posetrack18")) == [
        "annotation 0, field 'image_id': expected the id of an image of this file, got 8.",
        "annotation 1, field 'image_id': expected an integer or a text, got None.",
        "annotation 2: expected an object, got 'nobody'.",
        "annotation 4, field 'scores': expected 2 numbers, got 1.",
    ]


def test_all_faults_of_label_files(tmp_path: Path) -> None:
    good = "0 .5 .5 .2 .2 .1 .2 .9 .3 .4 .8 .7"
    words = good.split()
    lines = [
        good,
        " ".join(words[:-1]),
        " ".join(["a", *words[1:]]),
        " ".join([*words[:5], "640", *words[6:]]),
        " ".join([*words[:5], "inf", *words[6:]]),
        " ".join([*words[:5], "12.5", "480", *words[7:]]),
    ]
    path = tmp_path / "a.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    assert faults(path, Hints(layout=PAIR, format="ultralytics-labels", images=photos(tmp_path, "a"))) == [
        f"line 2: expected 12 columns as in {path}, line 1, got 11; keep labels of one kind together.",
        "line 3, column 0: expected the number of a class, got 'a'.",
        "line 4: expected shares of the photo's width and height, from 0 to 1, got 640; divide pixels by them.",
        "line 5, column 5: expected a number, got 'inf'.",
        "line 6: expected shares of the photo's width and height, from 0 to 1, got 12.5; divide pixels by them.",
    ]


def test_all_odd_tracks_of_label_files(tmp_path: Path) -> None:
    start = "0 .5 .5 .2 .2 .1 .2 .9 .3 .4 .8 .7 "
    path = tmp_path / "a.txt"
    path.write_text("\n".join(start + track for track in ("3", "1.5", "4", "2.5")), encoding="utf-8")
    assert faults(path, Hints(layout=PAIR, images=photos(tmp_path, "a"))) == [
        "line 2, column 12: expected a whole number, the track, got 1.5.",
        "line 4, column 12: expected a whole number, the track, got 2.5.",
    ]


def test_photos_are_not_looked_for_by_faulty_records(tmp_path: Path) -> None:
    row = {"image_id": "a", "keypoints": [1, 2, 0.5, 3, 4, 0.5], "score": 0.5}
    path = tmp_path / "poses.json"
    path.write_text(json.dumps([row, {**row, "image_id": None}]), encoding="utf-8")
    assert faults(path, Hints(layout=PAIR, images=photos(tmp_path, "a"))) == [
        "row 1, field 'image_id': expected an integer or a text, got None."
    ]


def test_photos_are_looked_for_beside_faulty_records(tmp_path: Path) -> None:
    row = {"image_id": "a", "keypoints": [1, 2, 0.5, 3, 4, 0.5], "score": 0.5}
    nan = {**row, "keypoints": [float("nan"), 2, 0.5, 3, 4, 0.5]}
    path = tmp_path / "poses.json"
    path.write_text(
        json.dumps([nan, {**row, "image_id": None}, {**row, "image_id": "a\0"}, {**row, "image_id": 77}])
    )
    told = faults(path, Hints(layout=PAIR, images=photos(tmp_path, "a")))
    assert [fault.split(":")[0] for fault in told[:-1]] == [
        "row 0, field 'keypoints', x of left_eye",
        "row 1, field 'image_id'",
        "row 2, field 'image_id'",
    ]
    assert told[-1].startswith(f"{tmp_path / 'images'}: no photo for image id 77; ")


def test_photos_are_looked_for_beside_coordinates_of_another_unit(tmp_path: Path) -> None:
    row = {"image_id": "b", "keypoints": [0.1, 0.2, 0.5, 0.3, 0.4, 0.5], "score": 0.5}
    path = tmp_path / "poses.json"
    path.write_text(json.dumps([row] * 3))
    unit, photo = faults(path, Hints(layout=PAIR, images=photos(tmp_path, "a")))
    assert "expected pixels, got coordinates that all lie in -2 to 2" in unit
    assert "no photo for image id 'b'" in photo


def test_frames_are_looked_for_by_numbers_that_can_be_read(tmp_path: Path) -> None:
    content = [{"frame_id": frame, "instances": [INSTANCE]} for frame in ("b", -1, 3)]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    told = faults(path, Hints(layout=PAIR, format="mmpose", images=photos(tmp_path, "0")))
    assert [fault.split(";")[0] for fault in told[2:]] == [f"{tmp_path / 'images'}: no photo for image id 3"]


def photos(folder: Path, *stems: str) -> Path:
    """A folder of small photos."""
    images = folder / "images"
    images.mkdir()
    for stem in stems:
        Image.new("RGB", (64, 48)).save(images / f"{stem}.png")
    return images


def test_a_layout_that_fits_nobody_is_one_fault(tmp_path: Path) -> None:
    row = {"image_id": "a", "keypoints": [1, 2, 0.5] * 14, "score": 0.5}
    path = tmp_path / "poses.json"
    path.write_text(json.dumps([row] * 3), encoding="utf-8")
    found = validate(path, Hints(layout="coco17")).faults
    assert [str(fault) for fault in found] == [
        f"{path}: expected 17 keypoints in each row, as coco17 has (--layout), got 14; with 14 keypoints it may be "
        "lsp14 or aic14 or hourglass14 or crowdpose14."
    ]


OPENPOSE = {"people": [{"pose_keypoints_2d": [20.5, 30, 0.5] * 25}]}


def test_all_faulty_files_of_a_folder(tmp_path: Path) -> None:
    texts = {
        "a": json.dumps(OPENPOSE)[:-5],
        "b": json.dumps(OPENPOSE),
        "c": "",
        "d": "[]",
        "e": json.dumps({"people": [{"pose_keypoints_2d": [1, 2, 3]}, 4]}),
    }
    for name, text in texts.items():
        (tmp_path / f"{name}_keypoints.json").write_text(text, encoding="utf-8")
    assert [fault.removeprefix(f"{tmp_path}/") for fault in faults(tmp_path, Hints())] == [
        "a_keypoints.json: expected JSON, got a text that ends in the middle, at line 1, column "
        f"{len(texts['a']) + 1}; it is cut off, copy or write it again.",
        "c_keypoints.json: expected JSON, got an empty file; write it again.",
        "d_keypoints.json: expected an object with 'people', got [].",
        "e_keypoints.json, person 0, field 'pose_keypoints_2d': expected 75 numbers, got 3; a file has people of one "
        "layout.",
        "e_keypoints.json, person 1: expected an object, got 4.",
    ]


def test_everybody_in_another_unit_is_told(tmp_path: Path) -> None:
    people = [{"pose_keypoints_2d": [x, 0.5, 0.5] * 25} for x in (0.5, 300, 0.25)]
    path = tmp_path / "a_keypoints.json"
    path.write_text(json.dumps({"people": people}), encoding="utf-8")
    why = "expected pixels as of the others, got shares of the photo; keep files of one unit together."
    assert faults(path, Hints()) == [f"person {n}, field 'pose_keypoints_2d': {why}" for n in (0, 2)]


def test_all_missing_photos_of_shares(tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    folder.mkdir()
    for stem in "abc":
        (folder / f"{stem}.txt").write_text("0 .5 .5 .2 .2 .1 .2 .9 .3 .4 .8 .7")
    images = photos(tmp_path, "b")
    found = faults(folder, Hints(layout=PAIR, images=images))
    assert [fault.split(";")[0] for fault in found] == [
        f"{images}: no photo for image id '{stem}'" for stem in "ac"
    ]


def test_all_faults_of_alphapose_by_photo_name(tmp_path: Path) -> None:
    content = {"a.jpg": {"version": "AlphaPose v0.3", "people": []}, "b.jpg": 3, "c.jpg": None}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    assert faults(path, Hints(format="alphapose")) == [
        "photo 'b.jpg': expected an object, got 3.",
        "photo 'c.jpg': expected an object, got None.",
    ]


def test_faults_of_mmpose_behind_faulty_names(tmp_path: Path) -> None:
    content = {
        "meta_info": {"keypoint_id2name": {"0": "nose", "2": "tail"}},
        "instance_info": [{"frame_id": 1, "instances": [INSTANCE, {**INSTANCE, "keypoint_scores": None}]}],
    }
    path = tmp_path / "results_a.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    names, scores = faults(path, Hints())
    assert names.startswith("field 'meta_info': expected names of the keypoints 0 to 1 in 'keypoint_id2name'")
    assert scores == "frame 0, instance 1, field 'keypoint_scores': expected a list of 2 numbers, got None."


def test_all_faults_of_a_folder_of_posetrack(tmp_path: Path) -> None:
    def video(image_id: int, names: Sequence[str] = PAIR.keypoint_names, **fields: Any) -> dict[str, Any]:
        content = {
            "images": [{"id": image_id, "vid_id": 1}],
            "annotations": [{**TRACKED, "image_id": image_id}],
            "categories": [{"id": 1, "keypoints": list(names)}],
        }
        return content | fields

    contents = {
        "1": video(7),
        "2": video(7),
        "3": video(8, ["nose", "tail"]),
        "4": video(9, categories=[]),
        "5": video(9, annotations=None, images=None),
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / "0.json").write_text("{", encoding="utf-8")
    assert [fault.removeprefix(f"{tmp_path}/") for fault in faults(tmp_path, Hints())] == [
        "0.json: expected JSON, got a text that ends in the middle, at line 1, column 2; it is cut off, copy or "
        "write it again.",
        f"2.json: image id 7 is also in {tmp_path}/1.json; give each video's images their own ids.",
        f"3.json, field 'categories': expected the keypoints of {tmp_path}/1.json, got nose, tail.",
        "4.json: expected the name of its layout (--layout), which is never guessed; no packaged layout has 2 "
        "keypoints, give a skeleton file of your own.",
        "5.json, field 'images': expected a list, got None.",
        "5.json, field 'annotations': expected a list, got None.",
    ]


def test_a_folder_of_which_nothing_can_be_read(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text("{", encoding="utf-8")
    found = validate(tmp_path, Hints(format="posetrack18")).faults
    assert [str(fault).split(":")[0] for fault in found] == [
        str(tmp_path / "a.json"),
        str(tmp_path / "b.json"),
    ]


def test_what_mends_several_faults_is_said_once(tmp_path: Path) -> None:
    row = {"image_id": "a", "keypoints": [1, 2, 0.5, 3, 4, 0.5], "score": 0.5}
    path = tmp_path / "poses.json"
    path.write_text(json.dumps([row, {**row, "score": "a"}, {**row, "score": "b"}]), encoding="utf-8")
    assert str(validate(path, Hints(layout=PAIR))).splitlines() == [
        f"{path}, row 1, field 'score': expected a finite number, got 'a'.",
        f"{path}, row 2, field 'score': expected a finite number, got 'b'.",
        "    The last 2: Correct the value, or take the row out of the list.",
        "2 faults",
    ]
