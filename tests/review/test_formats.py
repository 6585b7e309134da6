"""A review of files of labelling programs: what is put by hand is in the file, in its own format."""

from pathlib import Path

import numpy as np
import pytest

from posefix.interchange import read_pose_file, write_new_pose_file
from posefix.pose.poses import Poses
from posefix.pose_files.pose_file import NewFile
from posefix.review.output import ReviewedFile
from posefix.review.session import Review
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")


@pytest.mark.parametrize(
    ("format", "name"),
    [
        ("label-studio", "tasks.json"),
        ("cvat", "annotations.xml"),
        ("labelme", "labels"),
        ("mpii-json", "train.json"),
        ("coco-annotations", "truth.json"),
    ],
)
def test_what_is_put_is_in_the_file(tmp_path: Path, format: str, name: str) -> None:
    shape = (2, len(COCO))
    places = np.random.default_rng(0).uniform(5, 90, (*shape, 2)).round(2)
    poses = Poses(places, np.full(shape, 0.5), np.ones(shape, np.bool_), ("a.jpg", "b.jpg"), np.ones(2), COCO)
    write_new_pose_file(tmp_path / name, NewFile(poses, photo_size=lambda _: (100, 100)), format)
    file = read_pose_file(tmp_path / name, COCO)
    review = Review(file.poses, file.poses, tmp_path / "steps.jsonl", ("a", "b"))
    edits = {"nose": [7.25, 8.5], "left_eye": None}
    review.take({"step": "decide", "person": 1, "decision": {"verdict": "accepted", "edits": edits}}, 0)
    output = tmp_path / f"reviewed-{name}"
    ReviewedFile(output, file).write(review.snapshot()[1])
    review.close()
    after = read_pose_file(output, COCO).poses
    assert after.keypoints[1, 0].tolist() == [7.25, 8.5]
    assert np.flatnonzero(~after.valid[1]).tolist() == [1]
    assert np.allclose(after.keypoints[0], file.poses.keypoints[0])
