"""Poses found in boxes: where a made network says they are, in pixels of the photo."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from posefix.errors import InputError
from posefix.network.decoding import Evidence
from posefix.network.models import Model, load_model
from posefix.refine.estimation import estimate_poses

SMALL = load_model("small")
POSE_NETWORK = dataclasses.replace(SMALL, network={"pose_input": False})


def at_the_centre(images: np.ndarray, keypoints: np.ndarray, weights: np.ndarray) -> Evidence:
    """Every keypoint at the middle of the crop; the first is surer than the rest."""
    height, width = images.shape[1:3]
    places = np.zeros_like(keypoints) + np.array([(width - 1) / 2, (height - 1) / 2], dtype=np.float32)
    sure = np.full(weights.shape, 0.25, dtype=np.float32)
    sure[:, 0] = 1.0
    return Evidence(places, sure, sure, sure, sure)


@pytest.fixture
def photos(tmp_path: Path) -> dict[int | str, Path]:
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((80, 100, 3), np.uint8))
    return {number: tmp_path / f"{number}.png" for number in (1, 2)}


def test_the_middle_of_the_crop_is_the_middle_of_the_box(photos: dict[int | str, Path]) -> None:
    boxes = [[10, 20, 30, 40], [50, 5, 20, 60], [0, 0, 100, 30]]
    poses = estimate_poses(POSE_NETWORK, at_the_centre, (2, 1, 2), boxes, photos, batch_size=2)
    assert poses.image_ids == (2, 1, 2) and poses.valid.all()
    np.testing.assert_allclose(poses.keypoints[:, 3], [[25, 40], [60, 35], [50, 15]], atol=1e-3)
    count = len(SMALL.skeleton)
    np.testing.assert_allclose(poses.scores[0, :2], [1, 0.25])
    np.testing.assert_allclose(poses.pose_scores, (1 + 0.25 * (count - 1)) / count)


def test_a_box_outside_its_photo_gets_no_keypoints(photos: dict[int | str, Path]) -> None:
    poses = estimate_poses(POSE_NETWORK, at_the_centre, (1, 1), [[0, 0, 50, 50], [900, 0, 50, 50]], photos)
    assert poses.valid.all(axis=1).tolist() == [True, False]
    assert poses.pose_scores[1] == 0


@pytest.mark.parametrize(
    ("model", "boxes", "message"),
    [
        (SMALL, [[0, 0, 50, 50]], "'small' refines poses .* `posefix refine`"),
        (POSE_NETWORK, [[0, 0, 0, 50]], "boxes: expected finite numbers and sides above 0"),
    ],
)
def test_faults_are_named(
    model: Model, boxes: list[list[float]], message: str, photos: dict[int | str, Path]
) -> None:
    with pytest.raises(InputError, match=message):
        estimate_poses(model, at_the_centre, (1,), boxes, photos)
