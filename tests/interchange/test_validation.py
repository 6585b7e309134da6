"""All faults of a file at once, in the formats that have shapes of their own."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from posefix.interchange.pose_files import Hints
from posefix.interchange.validation import validate
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
    return [str(fault).removeprefix(f"{path}, ") for fault in validation.faults]


MMPOSE = [
    (
        [INSTANCE, "nobody", {**INSTANCE, "keypoints": [1, 2]}, {**INSTANCE, "keypoint_scores": "high"}, {}],
        [
            "instance 1: expected an object, got 'nobody'.",
            "instance 2, field 'keypoints': expected a list of [x, y], got [1, 2].",
            "instance 4, field 'keypoints': expected a list of [x, y], got no such field.",
            "instance 3, field 'keypoint_scores': expected a list of 2 numbers, got 'high'.",
            "instance 4, field 'keypoint_scores': expected a list of 2 numbers, got no such field.",
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
            "frame 2: expected an object, got 'no frame'.",
            "frame 1, field 'frame_id': expected an integer or a text, got None.",
            "frame 0, field 'frame_id': expected a whole number that is not negative, got -1.",
            "frame 3, field 'frame_id': expected a whole number that is not negative, got 'b'.",
            "field 'instances': expected a list of people, got None.",
            "frame 1, instance 0, field 'keypoints': expected a list of [x, y], got 5.",
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
        "detection 2: expected an object, got 'nobody'.",
        "detection 1, field 'keypoints': expected an object, got [1, 2].",
        "detection 5, field 'keypoints': expected an object, got no such field.",
        f"keypoints of detection 3, field 'x': expected 2 numbers, got 1, which are not the keypoints of {PAIR.name}; "
        "a file has people of one layout.",
        "detection 0, field 'box': expected an object, got None.",
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
        "annotation 2: expected an object, got 'nobody'.",
        "annotation 1, field 'image_id': expected an integer or a text, got None.",
        "annotation 0, field 'image_id': expected the id of an image of this file, got 8.",
        "annotation 3, field 'image_id': expected the id of an image of this file, got '7'.",
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
        "line 5, column 5: expected a number, got 'inf'.",
        "line 4: expected shares of the photo's width and height, from 0 to 1, got 640; divide pixels by them.",
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


def photos(folder: Path, *stems: str) -> Path:
    """A folder of small photos."""
    images = folder / "images"
    images.mkdir()
    for stem in stems:
        Image.new("RGB", (64, 48)).save(images / f"{stem}.png")
    return images
