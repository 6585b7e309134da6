"""The demo's photo, pose and table."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.refine.looks import trusting

from posefix.cli.app import main
from posefix.cli.demo_files import write_demo_files
from posefix.cli.demo_scene import SAMPLE_PHOTO, packaged_scene, read_scene, refine_scene
from posefix.errors import InputError
from posefix.formats.coco_annotations import read_annotations
from posefix.interchange import read_pose_file
from posefix.network import DEFAULT_MODEL_NAME
from posefix.network.decoding import Evidence
from posefix.network.models import model_names
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


def test_the_packaged_poses_are_of_three_people_with_errors() -> None:
    scene = packaged_scene()
    assert scene.names == ("Armstrong", "Collins", "Aldrin")
    assert scene.truth is not None
    errors = np.linalg.norm(scene.poses.keypoints - scene.truth, axis=-1)
    assert (np.nanmax(errors, axis=1) > 25).all()
    assert scene.poses.valid[~np.isnan(errors)].all()


def test_the_picture_says_where_it_is_from() -> None:
    assert "NASA" in (SAMPLE_PHOTO.parent / "README.md").read_text(encoding="utf-8")


def test_no_change_is_no_repair() -> None:
    held_back = replace(refiner(), calibration=trusting())
    lines = refine_scene(packaged_scene(), held_back).summary().splitlines()
    assert lines[0] == "3 people, efficientpose16, photo of 600 x 471 pixels"
    assert lines[1].split() == ["person", "keypoint", "error", "before", "after"]
    assert lines[2] == "0 keypoints repaired, 0 made worse"
    assert lines[-1].startswith("held back, as so few people (3) do not tell how good their estimator is: ")


def test_the_table_names_what_was_repaired_and_what_was_made_worse() -> None:
    scene = packaged_scene()
    assert scene.truth is not None
    refined = refine_scene(scene, refiner())
    places = np.where(np.isnan(scene.truth), scene.poses.keypoints, scene.truth)
    index = scene.poses.skeleton.index("head_top")
    places[1, index] += [0, 40]
    shown = type(refined)(scene, scene.poses.with_keypoints(places), refined.report)
    changes = shown.error_changes()
    worse = [change for change in changes if change.after > change.before]
    assert [(change.person, change.keypoint, change.after) for change in worse] == [(1, "head_top", 40.0)]
    assert all(change.after == 0 for change in changes if change not in worse)
    assert {change.kind for change in changes if change.before > 100} == {"miss"}
    lines = shown.summary().splitlines()
    assert ["Collins", "head_top", "40.0", "px"] in [
        [*line.split()[:2], *line.split()[-2:]] for line in lines
    ]
    assert f"{len(changes) - 1} keypoints repaired, 1 made worse" in lines


@pytest.mark.skipif(
    DEFAULT_MODEL_NAME not in model_names(), reason="the packaged model is not in this checkout"
)
def test_the_packaged_model_repairs_much_and_breaks_nothing() -> None:
    changes = refine_scene(packaged_scene(), Refiner.from_pretrained()).error_changes()
    assert all(change.after < change.before for change in changes)
    assert len(changes) >= 8


def test_the_picture_is_written(tmp_path: Path) -> None:
    refine_scene(packaged_scene(), refiner(shift_backend)).write(tmp_path / "demo.jpg")
    assert decode_image(tmp_path / "demo.jpg").shape[0] > 700


def test_ones_own_photo_takes_its_rows_of_the_results(own: tuple[Path, Path]) -> None:
    scene = read_scene(*own, COCO)
    refined = refine_scene(scene, refiner(shift_backend))
    assert len(scene.poses) == 2
    assert scene.truth is None
    moves = refined.moves()
    assert list(moves) == list(COCO.keypoint_names)
    assert all(moved > 0 for moved in moves.values())
    assert " ".join(refined.summary().split()).startswith(
        "2 people, coco17, photo of 70 x 90 pixels keypoint moved, median nose"
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


def test_files_to_try_the_other_commands_on(tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    assert [path.relative_to(folder).as_posix() for path in write_demo_files(folder)] == [
        "poses.json",
        "truth.json",
        "photos/apollo11.jpg",
    ]
    poses = read_pose_file(folder / "poses.json", "coco17").poses
    people = read_annotations(folder / "truth.json").people
    scene = packaged_scene()
    assert scene.truth is not None
    for name in ("left_wrist", "right_shoulder"):
        index, own = COCO.index(name), scene.poses.skeleton.index(name)
        assert np.array_equal(poses.keypoints[:, index], scene.poses.keypoints[:, own])
        known = ~np.isnan(scene.truth[:, own, 0])
        assert np.array_equal(people.keypoints[known, index], scene.truth[known, own])
    assert (folder / "photos" / "apollo11.jpg").read_bytes() == SAMPLE_PHOTO.read_bytes()


def test_files_that_are_there_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "truth.json").write_text("mine", encoding="utf-8")
    assert main(["demo", "--files", str(tmp_path)]) == 2
    assert "truth.json: is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["truth.json"]
    assert main(["demo", "--files", str(tmp_path), "--layout", "coco17"]) == 2
    assert "leave --image, --poses and --layout out" in capsys.readouterr().err
