import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.formats.contract import refuses_faults, stays_equal
from tests.formats.recorded import PAIR, moved, printed, read, recorded, refusal, saved

from posefix.formats.ultralytics import FORMAT
from posefix.pose_files.pose_file import FormatError, NewFile, Source

# What Results.summary() of Ultralytics 8.4 gave for two people at known places of a photo of 640 x 480, without and
# with normalize=True.
PIXELS = """[{"name": "person", "class": 0, "confidence": 0.91,
 "box": {"x1": 100.5, "y1": 50.25, "x2": 300.0, "y2": 400.0},
 "keypoints": {"x": [150.25, 160.125], "y": [80.5, 75.0], "visible": [0.99, 0.4]}},
 {"name": "person", "class": 0, "confidence": 0.5, "box": {"x1": 10.0, "y1": 20.0, "x2": 60.0, "y2": 90.0},
 "keypoints": {"x": [0.0, 40.0], "y": [0.0, 30.0], "visible": [0.1, 0.6]}}]"""
SHARES = """[{"name": "person", "class": 0, "confidence": 0.91,
 "box": {"x1": 0.15703, "y1": 0.10469, "x2": 0.46875, "y2": 0.83333},
 "keypoints": {"x": [0.23477, 0.2502], "y": [0.16771, 0.15625], "visible": [0.99, 0.4]}},
 {"name": "person", "class": 0, "confidence": 0.5, "box": {"x1": 0.01562, "y1": 0.04167, "x2": 0.09375, "y2": 0.1875},
 "keypoints": {"x": [0.0, 0.0625], "y": [0.0, 0.0625], "visible": [0.1, 0.6]}}]"""
PERSON, OTHER = json.loads(PIXELS)
EXTENDED = {
    name: [{**person, "extra": {"a": None}, "segments": {"x": [1.50]}} for person in json.loads(text)]
    for name, text in {"pixels": PIXELS, "shares": SHARES}.items()
}


def size(image_id: Any) -> tuple[int, int]:
    return 640, 480


@pytest.mark.parametrize("text", [PIXELS, SHARES], ids=["pixels", "shares"])
def test_results_become_arrays_in_pixels(tmp_path: Path, text: str) -> None:
    file = read(FORMAT, recorded(tmp_path / "im.json", text), PAIR, size)
    places = np.array([[[150.25, 80.5], [160.125, 75]], [[0, 0], [40, 30]]])
    assert file.poses.keypoints == pytest.approx(places, abs=0.0033)  # five decimals of 640 pixels
    assert file.poses.valid.tolist() == [[True, True], [False, True]]
    assert file.poses.scores.tolist() == [[0.99, 0.4], [0.1, 0.6]]
    assert file.poses.pose_scores.tolist() == [0.91, 0.5]
    assert file.poses.image_ids == ("im", "im")
    assert file.boxes == pytest.approx(np.array([[100.5, 50.25, 199.5, 349.75], [10, 20, 50, 70]]), abs=0.01)
    noted = ("coordinates from 0.0625 to 0.2502 are shares of the photo (normalize=True)",)
    assert file.notes == (noted if text == SHARES else ())


def test_shares_are_written_as_shares(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "im.json", SHARES), PAIR, size)
    new = file.rewrite(moved(file.poses, 0, 1, 320, 120))[""].decode()
    assert new == SHARES.replace("0.2502", "0.5", 1).replace("0.15625", "0.25", 1)


def test_shares_need_the_photos(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"shares of the photo's width and height, .* \(--images\)\.$"):
        read(FORMAT, recorded(tmp_path / "im.json", SHARES), PAIR)


def test_tracks_are_read_and_keypoints_may_have_no_scores(tmp_path: Path) -> None:
    people = [{**PERSON, "track_id": 7, "keypoints": {"x": [1, 2.5], "y": [3, 4.5]}}, OTHER]
    file = read(FORMAT, recorded(tmp_path / "im.json", people), PAIR)
    assert file.tracks == (7, None)
    assert file.poses.scores.tolist() == [[1, 1], [0.1, 0.6]]
    new = json.loads(file.rewrite(moved(file.poses, 0, 0, 1, 9))[""])
    assert new[0]["keypoints"] == {"x": [1, 2.5], "y": [9.0, 4.5]}


test_a_file_that_nothing_changed_is_equal = stays_equal(
    FORMAT,
    {name: {"im.json": content, "nobody.json": []} for name, content in EXTENDED.items()},
    "folder",
    size,
)


def test_only_the_numbers_of_a_moved_keypoint_change(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "im.json", PIXELS), PAIR)
    new = file.rewrite(moved(file.poses, 0, 0, 150.2504, 81.12345))[""].decode()
    assert new == PIXELS.replace("80.5", "81.123")


@pytest.mark.parametrize("text", [PIXELS, SHARES], ids=["pixels", "shares"])
def test_boxes_follow_if_asked(tmp_path: Path, text: str) -> None:
    file = read(FORMAT, recorded(tmp_path / "im.json", text), PAIR, size)
    poses = moved(moved(file.poses, 0, 0, 100, 200), 0, 1, 200, 100)
    box = json.loads(file.rewrite(poses, update_boxes=True)[""])[0]["box"]
    scale = (640, 480) if text == SHARES else (1, 1)
    assert [box["x1"] * scale[0], box["y1"] * scale[1]] == pytest.approx([90, 90], abs=1e-3)
    assert [box["x2"] * scale[0], box["y2"] * scale[1]] == pytest.approx([210, 210], abs=1e-3)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", PIXELS, "a list of detections with 'box' and 'keypoints'"),
        (
            "results",
            {"a.json": [], "b.json": PIXELS},
            "a folder of lists of detections with 'box' and 'keypoints'",
        ),
        ("a.json", [{"name": "person", "box": {"x1": 1}}], None),
        ("a.json", [{"image_id": 1, "keypoints": [], "box": [1, 2, 3, 4]}], None),
        ("a.json", [], None),
        ("results", {}, None),
    ],
)
def test_files_are_recognised_with_a_reason(
    tmp_path: Path, name: str, content: Any, reason: str | None
) -> None:
    assert FORMAT.recognise(Source(recorded(tmp_path / name, content))) == reason


FAULTS: list[tuple[Any, str]] = [
    ({}, "a.json: expected a list of people, got {}."),
    ([PERSON, 3], "a.json, detection 1: expected an object, got 3."),
    ([{**PERSON, "keypoints": [1, 2]}], "detection 0, field 'keypoints': expected an object, got [1, 2]."),
    (
        [PERSON, {**PERSON, "keypoints": {"x": [1], "y": [1, 2]}}],
        "keypoints of detection 1, field 'x': expected 2 numbers, got 1; a file has people of one layout.",
    ),
    ([{**PERSON, "keypoints": {"x": [1, 2]}}], "field 'y': expected a list of 2 numbers, got no such field."),
    (
        [{**PERSON, "keypoints": {"x": [1, 2], "y": [1, None]}}],
        "y of right_eye: expected a finite number, got None.",
    ),
    ([{**PERSON, "box": 3}], "detection 0, field 'box': expected an object, got 3."),
    (
        [{**PERSON, "box": {"x1": 3}}],
        "box of detection 0, field 'y1': expected a finite number, got no such field.",
    ),
    (
        [{**PERSON, "confidence": "high"}],
        "detection 0, field 'confidence': expected a finite number, got 'high'.",
    ),
]


@pytest.mark.parametrize(("content", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_faults_are_named(tmp_path: Path, content: Any, message: str) -> None:
    assert message in refusal(FORMAT, recorded(tmp_path / "a.json", content), PAIR)


def test_the_layout_is_asked_for(tmp_path: Path) -> None:
    person = {**PERSON, "keypoints": {"x": [1] * 17, "y": [1] * 17}}
    with pytest.raises(FormatError, match="never guessed; with 17 keypoints it may be coco17 or posetrack18"):
        read(FORMAT, recorded(tmp_path / "a.json", [person]))


test_a_faulty_file_is_refused_in_one_sentence = refuses_faults(
    FORMAT, PIXELS, SHARES, skeletons=[PAIR], photo_size=size
)


def test_new_files_read_as_they_were_written(tmp_path: Path) -> None:
    people = [{**PERSON, "track_id": 3}, {**OTHER, "track_id": 4}]
    source = read(FORMAT, recorded(tmp_path / "im.json", printed(people)), PAIR)
    assert FORMAT.write is not None
    contents = FORMAT.write(NewFile(source.poses, source.tracks, source.boxes))
    file = read(FORMAT, saved(tmp_path / "new", contents), PAIR)
    assert list(contents) == ["im.json"]
    assert file.poses.keypoints.tolist() == source.poses.keypoints.tolist()
    assert file.poses.pose_scores.tolist() == source.poses.pose_scores.tolist()
    assert file.tracks == (3, 4)
    assert np.array_equal(file.boxes, source.boxes)  # type: ignore[arg-type]
