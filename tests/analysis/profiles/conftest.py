"""Scenes of synthesised errors, as annotations and results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from posefix.formats.coco_annotations import Annotations, ImageInfo, PersonAnnotations
from posefix.people import build_records
from posefix.pose.poses import Poses
from posefix.pose_errors.profile import ErrorProfile
from posefix.pose_errors.synthesis import synthesize
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")
Scene = tuple[Annotations, Poses]


@pytest.fixture(scope="session")
def draw() -> Callable[..., Scene]:
    """Called with a profile and numbers of people and of people per photo; gives annotations and synthesised poses."""
    return draw_scene


def draw_scene(
    profile: ErrorProfile, *, people: int = 900, together: int = 1, labelled: float = 1.0, seed: int = 0
) -> Scene:
    generator = np.random.default_rng(seed)
    photo = np.arange(people) // together
    # Keypoints 60 px and more apart, falloff distances of 4 (eyes) to 15 px (hips): nothing is near by chance.
    grid = np.stack([np.arange(17) % 5, np.arange(17) // 5], axis=-1) * 90.0
    shift = (np.arange(people) % together)[:, None, None] * np.array([1000.0, 0.0])
    keypoints = grid + shift + generator.uniform(-15, 15, (people, 17, 2))
    visibility = (generator.random((people, 17)) < labelled) * 2
    visibility[:, 5] = 2
    truth = annotate(keypoints, photo, visibility.astype(np.int8))
    records = build_records(truth, {number: Path() for number in truth.images}, COCO)
    found = synthesize(records.people(np.arange(people)), COCO, profile, generator).keypoints
    return truth, find(found.astype(np.float64), photo)


def annotate(
    keypoints: npt.NDArray[np.float64], photo: npt.NDArray[np.int64], visibility: npt.NDArray[np.int8]
) -> Annotations:
    low, high = keypoints.min(axis=1), keypoints.max(axis=1)
    ids = tuple(range(len(keypoints)))
    people = PersonAnnotations(
        keypoints=keypoints,
        visibility=visibility,
        area=np.full(len(keypoints), 2500.0),
        bbox_xywh=np.concatenate([low, high - low], axis=1),
        image_ids=tuple(photo.tolist()),
        ids=ids,
        is_crowd=np.zeros(len(keypoints), dtype=np.bool_),
        area_is_estimated=False,
        num_keypoints=np.full(len(keypoints), np.nan),
        head_size=np.full(len(keypoints), np.nan),
    )
    images = {number: ImageInfo(f"{number}.jpg", None, None) for number in set(photo.tolist())}
    return Annotations(Path("truth.json"), images, people, COCO)


def find(keypoints: npt.NDArray[np.float64], photo: npt.NDArray[np.int64]) -> Poses:
    ones = np.ones(keypoints.shape[:2])
    return Poses(keypoints, ones, ones > 0, tuple(photo.tolist()), ones[:, 0], COCO)
