"""Pose files read and written whole; poses compared with annotations."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posefix.errors import InputError
from posefix.evaluation.coco import evaluate_coco
from posefix.formats.coco_annotations import read_annotations
from posefix.interchange import (
    read_annotated_poses,
    read_pose_file,
    write_new_pose_file,
    write_pose_file,
)
from posefix.interchange.catalogue import FORMATS
from posefix.interchange.pose_files import ensure_output, write_contents
from posefix.pose.poses import Poses
from posefix.pose_files.pose_file import NewFile
from posefix.skeletons import load_skeleton

PAIR = load_skeleton("coco17").subset(["left_eye", "right_eye"])


def poses(*image_ids: int | str) -> Poses:
    count = len(image_ids)
    shape = (count, 2)
    return Poses(
        np.full((*shape, 2), 5.0), np.ones(shape), np.ones(shape, np.bool_), image_ids, np.ones(count), PAIR
    )


def test_formats_have_names_of_their_own_and_say_what_they_are() -> None:
    assert len({known.name for known in FORMATS}) == len(FORMATS)
    assert all(known.title and known.name == known.name.lower() for known in FORMATS)
    assert FORMATS[-1].name == "coco-results"


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    output = tmp_path / "out"
    write_contents(output, {"a/b.json": b"1", "c.json": b"2"})
    assert (output / "a" / "b.json").read_bytes() == b"1"
    assert sorted(path.name for path in output.iterdir()) == ["a", "c.json"]
    with pytest.raises(InputError, match="expected a new or an empty folder"):
        write_contents(output, {"c.json": b"3"})
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError):
        write_contents(tmp_path / "empty", {"a": b"1", "a/b": b"2"})  # a file and a folder of one name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "out"]
    write_contents(tmp_path / "empty", {"a": b"1"})
    assert (tmp_path / "empty" / "a").read_bytes() == b"1"


@pytest.mark.parametrize("name", ["openpose", "mmpose", "ultralytics", "ultralytics-labels"])
def test_nobody_is_not_written_as_a_folder(name: str, tmp_path: Path) -> None:
    """It would be an empty one, which nobody can read."""
    skeleton = load_skeleton("body25")
    nobody = Poses(
        np.zeros((0, 25, 2)), np.zeros((0, 25)), np.zeros((0, 25), np.bool_), (), np.zeros(0), skeleton
    )
    with pytest.raises(InputError, match="out: there is nobody, and these poses would be a file for each"):
        write_new_pose_file(tmp_path / "out", NewFile(nobody, photo_size=lambda _: (9, 9)), name)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("format", "layout", "name"),
    [
        ("openpose", "body25", "new"),
        ("alphapose", "coco17", "new.json"),
        ("ultralytics-labels", "coco17", "new"),
    ],
)
def test_tracks_with_names_are_numbered_where_a_format_has_numbers(
    format: str, layout: str, name: str, tmp_path: Path
) -> None:
    skeleton = load_skeleton(layout)
    shape = (4, len(skeleton))
    people = Poses(
        np.full((*shape, 2), 5.0),
        np.full(shape, 0.5),
        np.ones(shape, np.bool_),
        ("a", "a", "b", "b"),
        np.full(4, 0.5),
        skeleton,
    )
    new = NewFile(people, ("anna", 7, "bo", "anna"), photo_size=lambda _: (9, 9))
    write_new_pose_file(tmp_path / name, new, format)
    assert read_pose_file(tmp_path / name, layout, photo_size=lambda _: (9, 9)).tracks == (0, 1, 2, 0)


@pytest.mark.parametrize("name", ["a\0.jpg", "\ud800.jpg"])
@pytest.mark.parametrize("format", ["deeplabcut", "mmpose", "coco-results"])
def test_names_that_no_file_can_hold_are_refused(name: str, format: str, tmp_path: Path) -> None:
    for new in (NewFile(poses(name)), NewFile(poses(1), file_names={1: name})):
        with pytest.raises(InputError, match="expected as name of its photo a text without"):
            write_new_pose_file(tmp_path / "out", new, format)
    assert not list(tmp_path.iterdir())


def test_whether_an_output_can_be_written_is_found_out_before_the_work(tmp_path: Path) -> None:
    ensure_output(tmp_path / "new", tmp_path)
    (tmp_path / "file").touch()
    ensure_output(tmp_path / "file", tmp_path / "file")
    with pytest.raises(InputError, match="new or an empty folder"):
        ensure_output(tmp_path, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_of_another_ending_that_was_read_is_written_as_its_format_is(tmp_path: Path) -> None:
    write_new_pose_file(tmp_path / "poses.json", poses(1))
    path = (tmp_path / "poses.json").rename(tmp_path / "poses.txt")
    file = read_pose_file(path, PAIR, format="coco-results")
    with pytest.raises(InputError, match=r"expected a name that ends in \.json, .* got \.txt"):
        write_pose_file(tmp_path / "same.txt", file)
    write_pose_file(tmp_path / "same.JSON", file)
    assert (tmp_path / "same.JSON").read_bytes() == path.read_bytes()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.json: there is no such file or folder"):
        read_pose_file(tmp_path / "nowhere.json")


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    images = [
        {"id": 7, "file_name": "val/000000000036.jpg"},
        {"id": 8, "file_name": "b c.png"},
        {"id": 9, "file_name": "one/x.jpg"},
        {"id": 10, "file_name": "two/x.jpg"},
    ]
    person: dict[str, Any] = {
        "id": 1,
        "image_id": 7,
        "keypoints": [1, 2, 2, 3, 4, 2],
        "bbox": [0, 0, 9, 9],
        "area": 9,
    }
    content = {
        "images": images,
        "annotations": [person],
        "categories": [{"id": 1, "keypoints": list(PAIR.keypoint_names)}],
    }
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(content))
    return path


def test_names_of_photos_become_the_ids_of_annotations(truth: Path, tmp_path: Path) -> None:
    names = ("000000000036.jpg", 36, "C:\\photos\\B%20C.PNG", "/home/two/x.jpg", "else")
    write_new_pose_file(tmp_path / "poses.json", poses(*names))
    read = read_annotated_poses(tmp_path / "poses.json", read_annotations(truth), PAIR)
    assert read.image_ids == (7, 7, 8, 10, "else")


def test_poses_of_another_folder_are_no_photo_s(truth: Path, tmp_path: Path) -> None:
    write_new_pose_file(tmp_path / "poses.json", poses("one/x.jpg", "three/x.jpg", "eval/000000000036.jpg"))
    read = read_annotated_poses(tmp_path / "poses.json", read_annotations(truth), PAIR)
    assert read.image_ids == (9, "three/x.jpg", "eval/000000000036.jpg")


def test_two_paths_for_one_annotated_photo_are_refused(truth: Path, tmp_path: Path) -> None:
    path = tmp_path / "poses.json"
    write_new_pose_file(path, poses("one/b c.png", "two/b c.png"))
    with pytest.raises(InputError) as caught:
        read_annotated_poses(path, read_annotations(truth), PAIR)
    assert str(caught.value) == (
        f"{path}: image ids 'one/b c.png' and 'two/b c.png' are two photos, and the annotations know only one that "
        "fits, of id 8; give its file_name the photo's folder, or leave the other photo's poses out."
    )
    write_new_pose_file(path, poses("one/b c.png", "b c.png", "b%20c", "one/b c.png"))
    assert read_annotated_poses(path, read_annotations(truth), PAIR).image_ids == (8, 8, 8, 8)


def test_numbers_are_no_names_where_one_of_them_is_an_id(truth: Path, tmp_path: Path) -> None:
    write_new_pose_file(tmp_path / "poses.json", poses(8, 36, "000000000036.jpg"))
    read = read_annotated_poses(tmp_path / "poses.json", read_annotations(truth), PAIR)
    assert read.image_ids == (8, 36, 7)


def test_people_whom_nobody_labelled_are_no_estimates(truth: Path) -> None:
    content = json.loads(truth.read_text())
    (person,) = content["annotations"]
    content["annotations"].append(person | {"id": 2, "keypoints": [0] * 6, "num_keypoints": 0})
    truth.write_text(json.dumps(content))
    assert len(read_pose_file(truth).poses) == 2
    annotations = read_annotations(truth)
    assert evaluate_coco(read_annotated_poses(truth, annotations), annotations).ap == pytest.approx(1)


def test_ids_that_the_annotations_know_are_left_alone(truth: Path, tmp_path: Path) -> None:
    write_new_pose_file(tmp_path / "poses.json", poses(7, 10))
    assert read_annotated_poses(tmp_path / "poses.json", read_annotations(truth), PAIR).image_ids == (7, 10)


def test_a_name_of_two_annotated_photos_is_an_error(truth: Path, tmp_path: Path) -> None:
    write_new_pose_file(tmp_path / "poses.json", poses("x.jpg"))
    with pytest.raises(InputError, match=r"annotations: image id 'x\.jpg' fits two photos"):
        read_annotated_poses(tmp_path / "poses.json", read_annotations(truth), PAIR)
