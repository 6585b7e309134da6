"""Poses that become labels: new COCO annotation files."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.formats.recorded import saved

from posefix.formats.coco_annotation_writing import write
from posefix.formats.coco_annotations import read_annotations
from posefix.interchange import read_pose_file, write_new_pose_file
from posefix.interchange.conversion import convert
from posefix.pose.poses import Poses
from posefix.pose_files.pose_file import FormatError, NewFile
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")


def people(*image_ids: int | str) -> Poses:
    shape = (len(image_ids), len(COCO))
    scores = np.tile(np.linspace(0.1, 0.9, len(COCO)), (len(image_ids), 1))
    places = np.random.default_rng(0).uniform(10, 90, (*shape, 2)).round(3)
    valid = np.ones(shape, np.bool_)
    valid[0, 3] = False
    return Poses(places, scores, valid, image_ids, np.full(len(image_ids), 0.5), COCO)


def test_labels_can_be_read_as_truth_and_as_poses(tmp_path: Path) -> None:
    poses = people("a.jpg", "a.jpg", "b.jpg")
    new = NewFile(poses, tracks=(4, None, "anna"), photo_size=lambda _: (100, 200))
    path = saved(tmp_path / "truth.json", write(new))
    truth = read_annotations(path)
    assert truth.skeleton == COCO
    assert {image.file_name for image in truth.images.values()} == {"a.jpg", "b.jpg"}
    assert {(image.width, image.height) for image in truth.images.values()} == {(100, 200)}
    assert truth.people.ids == (1, 2, 3)
    assert np.array_equal(truth.people.visibility, np.where(poses.valid, 2, 0))
    assert not truth.people.area_is_estimated
    left, top, width, height = truth.people.bbox_xywh.T
    assert (left >= 0).all() and (left + width <= 100).all() and (top + height <= 200).all()
    file = read_pose_file(path)
    assert (file.format, file.poses.image_ids) == ("coco-annotations", (1, 1, 2))
    assert file.tracks == (4, None, "anna")
    assert np.array_equal(file.poses.valid, poses.valid)
    assert np.array_equal(file.poses.keypoints[poses.valid], poses.keypoints[poses.valid])
    content = json.loads(path.read_text())
    assert [row.get("track_id") for row in content["annotations"]] == [4, None, "anna"]
    assert [row["num_keypoints"] for row in content["annotations"]] == [16, 17, 17]
    assert content["annotations"][0]["keypoints"][9:12] == [0, 0, 0]


def test_numbers_of_images_and_known_boxes_stay() -> None:
    new = NewFile(
        people(42, 7), boxes=np.array([[1, 2, 3, 4], [np.nan] * 4]), file_names={42: "x.png", 7: "y.png"}
    )
    content = json.loads(write(new)[""])
    assert content["images"] == [{"id": 42, "file_name": "x.png"}, {"id": 7, "file_name": "y.png"}]
    assert content["annotations"][0]["bbox"] == [1, 2, 3, 4]
    assert content["annotations"][0]["area"] == 6.36


def test_a_photo_needs_a_name() -> None:
    with pytest.raises(FormatError, match=r"image id 42 has no name of a photo: .*\(--images\)"):
        write(NewFile(people(42)))


def test_keypoints_below_a_score_are_not_labelled(tmp_path: Path) -> None:
    write_new_pose_file(tmp_path / "poses.json", people("a.jpg", "b.jpg"))
    conversion = convert(read_pose_file(tmp_path / "poses.json", COCO), least_score=0.5)
    assert conversion.left_out == 15  # eight of each, one of which was not there
    assert conversion.report().endswith("keypoints of lower scores, left out: 15")
    path = saved(tmp_path / "truth.json", write(conversion.new))
    assert read_annotations(path).people.visibility.sum(axis=1).tolist() == [18, 18]
