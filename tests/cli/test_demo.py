"""The demo's photo, pose and table."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from posefix.cli.demo_scene import KeypointChange, packaged_scene, read_scene, refine_scene
from posefix.errors import InputError
from posefix.network.decoding import Evidence
from posefix.photos.finding import decode_image
from posefix.refine.backends import Backend, identity_backend
from posefix.refine.refiner import Refiner
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")


def refiner(backend: Backend = identity_backend) -> Refiner:
    return Refiner(backend, load_skeleton("posefix19"), (144, 192), looks=1)


def shift_backend(images: Any, keypoints: Any, weights: Any) -> Evidence:
    """Is sure of the place four crop pixels below."""
    unsure = np.zeros(weights.shape, np.float32)
    sure = identity_backend(images, keypoints + np.array([0, 4], np.float32), weights)
    return replace(sure, given_similarity=unsure, given_vicinity=unsure)


@pytest.fixture
def own(tmp_path: Path) -> tuple[Path, Path]:
    """A photo of one's own, and results of it and of another photo."""
    Image.fromarray(np.full((90, 70, 3), 128, np.uint8)).save(tmp_path / "beach_7.png")
    keypoints = (
        np.column_stack([np.random.default_rng(0).uniform(5, 60, (17, 2)), np.ones(17)]).ravel().tolist()
    )
    rows = [{"image_id": image_id, "category_id": 1, "keypoints": keypoints} for image_id in (7, 8, 7)]
    (tmp_path / "poses.json").write_text(json.dumps(rows), encoding="utf-8")
    return tmp_path / "beach_7.png", tmp_path / "poses.json"


def test_the_packaged_pose_has_typical_errors() -> None:
    scene = packaged_scene()
    assert scene.truth is not None
    errors = np.linalg.norm(scene.poses.keypoints - scene.truth, axis=-1)[0]
    wrong = [name for name, error in zip(COCO.keypoint_names, errors, strict=True) if error > 10]
    assert wrong == ["nose", "left_ear", "left_shoulder", "right_shoulder"]
    assert np.array_equal(np.isnan(errors), ~scene.poses.valid[0])
    left, right = COCO.index("left_shoulder"), COCO.index("right_shoulder")
    assert np.linalg.norm(scene.poses.keypoints[0, left] - scene.truth[0, right]) < 20


def test_the_table_tells_how_far_from_the_truth_each_keypoint_is() -> None:
    scene = packaged_scene()
    lines = refine_scene(scene, refiner()).summary().splitlines()
    assert lines[0] == "1 person, coco17, photo of 512 x 600 pixels"
    assert lines[1].split("  ")[0] == "keypoint"
    assert lines[2].split() == ["nose", "0.0", "px", "17.2", "px", "17.2", "px"]
    assert len(lines) == 2 + 7 + 1
    assert lines[-1].startswith("held back, as so few people (1) do not tell how good their estimator is: ")


def test_a_refinement_to_the_truth_leaves_no_error() -> None:
    scene = packaged_scene()
    assert scene.truth is not None
    refined = refine_scene(scene, refiner())
    perfect = scene.poses.with_keypoints(np.nan_to_num(scene.truth))
    changes = type(refined)(scene, perfect, refined.report).changes()
    assert [change.after for change in changes] == [0.0] * 7
    assert all(change.moved == change.before for change in changes)


def test_the_picture_is_written(tmp_path: Path) -> None:
    refine_scene(packaged_scene(), refiner(shift_backend)).write(tmp_path / "demo.jpg")
    assert decode_image(tmp_path / "demo.jpg").shape[0] > 700


def test_ones_own_photo_takes_its_rows_of_the_results(own: tuple[Path, Path]) -> None:
    scene = read_scene(*own, COCO)
    refined = refine_scene(scene, refiner(shift_backend))
    assert len(scene.poses) == 2
    assert scene.truth is None
    assert len(refined.changes()) == 17
    assert isinstance(refined.changes()[0], KeypointChange)
    assert refined.changes()[0].before is None
    assert all(change.moved > 0 for change in refined.changes())
    assert " ".join(refined.summary().split()).startswith(
        "2 people, medians, coco17, photo of 70 x 90 pixels keypoint moved nose"
    )


def test_shares_of_ones_own_photo_become_pixels(own: tuple[Path, Path]) -> None:
    photo, results = own
    labels = results.with_name("beach_7.txt")
    places = read_scene(photo, results, COCO).poses.keypoints[0]
    shares = (places / [70, 90]).ravel().tolist()
    labels.write_text(" ".join(map(repr, [0, 0.5, 0.5, 1.0, 1.0, *shares])))
    assert read_scene(photo, labels, COCO).poses.keypoints[0] == pytest.approx(places)


def test_results_of_other_photos_are_an_error(own: tuple[Path, Path]) -> None:
    photo, results = own
    other = photo.rename(photo.with_name("beach_9.png"))
    with pytest.raises(InputError, match=r"poses\.json: expected poses of beach_9\.png, got none in 3 rows"):
        read_scene(other, results, COCO)
