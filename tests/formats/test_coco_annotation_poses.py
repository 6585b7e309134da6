"""COCO annotation files refined in place."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.formats.contract import refuses_faults

from posefix.errors import InputError
from posefix.formats.coco_annotation_poses import FORMAT
from posefix.formats.coco_annotations import read_annotations
from posefix.interchange import read_pose_file, write_new_pose_file
from posefix.interchange.conversion import convert
from posefix.interchange.validation import validate
from posefix.photos.finding import find_images
from posefix.pose_files.pose_file import FormatError
from posefix.skeletons import load_skeleton

PERSON: dict[str, Any] = {
    "id": 0,
    "image_id": 7,
    "category_id": 1,
    "keypoints": [10, 20.50, 2, 0, 0, 0],
    "num_keypoints": 1,
    "bbox": [5, 6, 10, 20],
    "segmentation": {"counts": 'a"b', "size": [3, 4]},
}
CONTENT: dict[str, Any] = {
    "info": {"year": 2017},
    "images": [{"id": 7, "file_name": "day/a.jpg", "height": 480}],
    "annotations": [
        {"id": 5, "image_id": 7, "category_id": 2},
        PERSON,
        {**PERSON, "id": 1, "keypoints": [1, 2, 1, 3, 4, 2]},
    ],
    "categories": [
        {"id": 2, "name": "dog"},
        {"id": 1, "name": "person", "keypoints": ["left_eye", "right_eye"]},
    ],
}


def write(folder: Path, text: str) -> Path:
    path = folder / "truth.json"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("layout", [{}, {"indent": 2}, {"separators": (",", ":")}])
def test_only_what_moved_is_rewritten(tmp_path: Path, layout: dict[str, Any]) -> None:
    text = json.dumps(CONTENT, **layout).replace("20.5", "20.50")
    file = read_pose_file(write(tmp_path, text))
    poses = file.poses
    assert (file.format, poses.image_ids, file.file_names) == ("coco-annotations", (7, 7), {7: "day/a.jpg"})
    assert poses.valid.tolist() == [[True, False], [True, True]]
    assert file.boxes is not None and file.boxes.tolist() == [[5, 6, 10, 20]] * 2
    assert file.rewrite(poses)[""].decode() == text

    keypoints, valid = poses.keypoints.copy(), poses.valid.copy()
    keypoints[0, 0], keypoints[0, 1], valid[0, 1] = (10, 21.123456), (30, 41.123), True
    after = json.loads(file.rewrite(poses.with_keypoints(keypoints, valid), update_boxes=True)[""])
    expected = json.loads(text)
    expected["annotations"][1] |= {
        "keypoints": [10, 21.123, 2, 30.0, 41.123, 2],
        "num_keypoints": 2,
        "bbox": [8.0, 19.124, 24.0, 23.999],  # around both, 1.2 times as large
    }
    assert after == expected


@pytest.mark.parametrize(
    ("image", "box"),
    [
        ({"width": 28, "height": 480}, [0.0, 0.0, 28.0, 44.0]),
        ({"width": 28}, [-1.6, -4.0, 43.2, 48.0]),
        ({"width": "28", "height": 480}, [-1.6, -4.0, 43.2, 48.0]),
    ],
)
def test_boxes_end_where_a_photo_of_known_size_does(
    tmp_path: Path, image: dict[str, Any], box: list[float]
) -> None:
    person = {**PERSON, "keypoints": [38, 41, 2, 2, 1, 2], "area": 7}
    content = {**CONTENT, "images": [{"id": 7, **image}], "annotations": [person]}
    file = read_pose_file(write(tmp_path, json.dumps(content)))
    moved = file.poses.with_keypoints(file.poses.keypoints - [0.0, 1.0])
    (after,) = json.loads(file.rewrite(moved, update_boxes=True)[""])["annotations"]
    assert (after["bbox"], after["area"]) == (box, 7)


@pytest.mark.parametrize(
    ("name", "images", "more"),
    [
        ("coco-annotations", [], {}),
        ("coco-annotations", [{"id": 7}], {}),
        ("posetrack18", [{"id": 7}], {"scores": [0.9, 0.8]}),
    ],
)
def test_photos_that_a_file_does_not_name_are_found_by_their_ids(
    tmp_path: Path, name: str, images: list[dict[str, Any]], more: dict[str, Any]
) -> None:
    people = [{**PERSON, "keypoints": [10, 20, 2, 3, 4, 2], **more}]
    file = read_pose_file(write(tmp_path, json.dumps({**CONTENT, "images": images, "annotations": people})))
    assert file.format == name
    (tmp_path / "00007.jpg").touch()
    assert find_images(file.poses.image_ids, tmp_path, file.file_names) == {7: tmp_path / "00007.jpg"}


NAMED = {"id": 7, "file_name": "a.jpg"}


@pytest.mark.parametrize(
    "other", [{"id": 7, "file_name": "b.jpg"}, {"id": 7.0, "file_name": "b.jpg"}, {"id": 7}]
)
def test_an_id_is_of_one_photo(tmp_path: Path, other: dict[str, Any]) -> None:
    images = [NAMED, {"file_name": "of nobody.jpg"}, {**NAMED, "id": 7.0}]
    path = write(tmp_path, json.dumps({**CONTENT, "images": images}))
    assert read_pose_file(path).file_names == {7: "a.jpg"}  # the same photo again
    path = write(tmp_path, json.dumps({**CONTENT, "images": [*images, other]}))
    fault = "truth.json, image 3, field 'id': expected another id than that of image 0, got 7"
    with pytest.raises(FormatError, match=fault) as caught:
        read_pose_file(path)
    assert caught.value.mend == "Correct the value, or take the image out of the list."
    assert [str(fault) for fault in validate(path).faults] == [str(caught.value)]


@pytest.mark.parametrize("more", [{}, {"scores": [0.9, 0.8]}])
def test_a_photo_without_a_name_among_others_is_found_by_its_id(tmp_path: Path, more: dict[str, Any]) -> None:
    people = [{**PERSON, **more}, {**PERSON, "id": 1, "image_id": 2, **more}]
    images = [
        {"id": 7, "file_name": "a.jpg"},
        {"id": 2},
        {"id": "3", "file_name": None},
        {"id": 4, "file_name": 4},
    ]
    file = read_pose_file(write(tmp_path, json.dumps({**CONTENT, "images": images, "annotations": people})))
    assert file.file_names == {7: "a.jpg", 2: "2", "3": "3"}
    photos = {7: tmp_path / "a.jpg", 2: tmp_path / "000000000002.jpg"}
    for photo in photos.values():
        photo.touch()
    assert find_images(file.poses.image_ids, tmp_path, file.file_names) == photos


def test_whom_a_pose_is_of_in_a_video_is_read_and_stays(tmp_path: Path) -> None:
    content = {
        **CONTENT,
        "annotations": [{**PERSON, "track_id": 4.0}, {**PERSON, "id": 1, "track_id": "anna"}],
    }
    file = read_pose_file(write(tmp_path, json.dumps(content)))
    assert file.tracks == (4, "anna")
    moved = json.loads(file.rewrite(file.poses.with_keypoints(file.poses.keypoints + 1))[""])
    assert [person["track_id"] for person in moved["annotations"]] == [4.0, "anna"]
    write_new_pose_file(tmp_path / "again.json", convert(file).new, "coco-annotations")
    assert read_pose_file(tmp_path / "again.json").tracks == (4, "anna")
    nobody = {**CONTENT, "annotations": [{**PERSON, "track_id": None}, {**PERSON, "id": 1}]}
    assert read_pose_file(write(tmp_path, json.dumps(nobody))).tracks is None


def test_people_can_be_taken_out_and_keypoints_lost(tmp_path: Path) -> None:
    file = read_pose_file(write(tmp_path, json.dumps(CONTENT)))
    assert json.loads(file.rewrite(file.poses, keep=[0])[""]) == {
        **CONTENT,
        "annotations": CONTENT["annotations"][:2],
    }
    valid = file.poses.valid.copy()
    valid[1, 0] = False
    after = json.loads(file.rewrite(file.poses.with_keypoints(file.poses.keypoints, valid), keep=[1])[""])
    assert [person["id"] for person in after["annotations"]] == [5, 1]
    assert after["annotations"][1]["keypoints"] == [0, 0, 0, 3, 4, 2]
    assert after["annotations"][1]["num_keypoints"] == 1


def test_a_layout_that_is_given_overrides_names_of_the_files_own(tmp_path: Path) -> None:
    ears = load_skeleton("coco17").subset(["left_ear", "right_ear"])
    with pytest.raises(InputError, match="keypoint 0 is 'left_eye', and left_ear in layout"):
        read_pose_file(write(tmp_path, json.dumps(CONTENT)), ears)
    own = json.dumps(CONTENT).replace("left_eye", "point a").replace("right_eye", "point b")
    assert read_pose_file(write(tmp_path, own), ears).poses.skeleton == ears


test_a_faulty_file_is_refused_in_one_sentence = refuses_faults(
    FORMAT, CONTENT, skeletons=[None], path_first=False
)


def test_keypoints_in_lists_of_their_own_are_read_and_written_so(tmp_path: Path) -> None:
    nested = {**PERSON, "keypoints": [[10, 20.5, 2], [0, 0, 0]]}
    text = json.dumps({**CONTENT, "annotations": [nested]}, indent=1)
    file = read_pose_file(write(tmp_path, text))
    poses = file.poses
    assert (poses.keypoints[0, 0].tolist(), poses.valid.tolist()) == ([10, 20.5], [[True, False]])
    assert file.rewrite(poses)[""].decode() == text
    written = json.loads(file.rewrite(poses.with_keypoints(poses.keypoints + np.array([[1, 0], [0, 0]])))[""])
    assert written["annotations"] == [{**nested, "keypoints": [[11, 20.5, 2], [0, 0, 0]]}]
    assert len(read_annotations(tmp_path / "truth.json").people) == 1
