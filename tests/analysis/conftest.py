"""Scenes of people on a line, drawn by hand: keypoints 100 px apart, an area of 10,000 px."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from posefix.formats.coco_annotations import Annotations, ImageInfo, PersonAnnotations
from posefix.pose.poses import ImageId, Poses
from posefix.pose.similarity import distance_at
from posefix.skeletons import Skeleton, load_skeleton

COCO = load_skeleton("coco17")
FloatArray = npt.NDArray[np.float64]
Annotate = Callable[..., Annotations]
Find = Callable[..., Poses]


@pytest.fixture(scope="session")
def annotate() -> Annotate:
    """Called with keypoints (N, K, 2), image ids and a skeleton; gives annotations of these people, all labelled."""
    return annotate_people


def annotate_people(
    keypoints: FloatArray,
    image_ids: tuple[ImageId, ...],
    skeleton: Skeleton = COCO,
    *,
    area: float | FloatArray = 10_000.0,
    visibility: npt.NDArray[np.int8] | None = None,
    is_crowd: tuple[int, ...] = (),
    more_images: tuple[ImageId, ...] = (),
) -> Annotations:
    count = len(image_ids)
    low, high = keypoints.min(axis=1), keypoints.max(axis=1)
    people = PersonAnnotations(
        keypoints=keypoints,
        visibility=np.full(keypoints.shape[:2], 2, np.int8) if visibility is None else visibility,
        area=np.broadcast_to(np.asarray(area, dtype=np.float64), (count,)).copy(),
        bbox_xywh=np.concatenate([low, high - low], axis=1),
        image_ids=image_ids,
        ids=tuple(range(100, 100 + count)),
        is_crowd=np.isin(np.arange(count), is_crowd),
        area_is_estimated=False,
        num_keypoints=np.full(count, np.nan),
        head_size=np.full(count, np.nan),
    )
    images = {image_id: ImageInfo(f"{image_id}.jpg", None, None) for image_id in (*image_ids, *more_images)}
    return Annotations(Path("truth.json"), images, people, skeleton)


@pytest.fixture(scope="session")
def find() -> Find:
    """Called with keypoints (N, K, 2), image ids and a skeleton; gives poses with all keypoints and scores of 1."""
    return find_poses


def find_poses(
    keypoints: FloatArray,
    image_ids: tuple[ImageId, ...],
    skeleton: Skeleton = COCO,
    scores: tuple[float, ...] | None = None,
) -> Poses:
    shape = keypoints.shape[:2]
    pose_scores = np.ones(len(image_ids)) if scores is None else np.array(scores)
    return Poses(keypoints, np.ones(shape), np.ones(shape, bool), image_ids, pose_scores, skeleton)


@pytest.fixture(scope="session")
def line() -> FloatArray:
    """(17, 2): somebody whose keypoints lie on a line, 100 px apart."""
    return np.stack([np.arange(17) * 100.0, np.zeros(17)], axis=-1)


@pytest.fixture(scope="session")
def below() -> Callable[..., FloatArray]:
    """Called with KS, a keypoint's name and an area; gives the offset (2,) that is so far below the keypoint."""

    def offset(similarity: float, name: str = "left_hip", area: float = 10_000.0) -> FloatArray:
        sigma = COCO.sigmas[COCO.index(name)]
        return np.array([0.0, float(distance_at(similarity, np.array(area), sigma))])

    return offset


@pytest.fixture(scope="session")
def random_scene() -> Callable[[int], tuple[Annotations, Poses]]:
    """Called with a seed; gives people in groups and poses near them, of some twice, and poses elsewhere."""
    return make_scene


def make_scene(seed: int) -> tuple[Annotations, Poses]:
    generator = np.random.default_rng(seed)
    count = 14
    photo = np.sort(generator.integers(0, 6, count))
    size = np.exp(generator.uniform(3.5, 5.5, (count, 1, 1)))
    keypoints = generator.uniform(0, 300, (count, 1, 2)) + generator.uniform(0, 1, (count, 17, 2)) * size
    visibility = generator.choice([0, 1, 2], (count, 17), p=[0.3, 0.2, 0.5]).astype(np.int8)
    visibility[:, 5] = 2
    truth = annotate_people(
        keypoints,
        tuple(photo.tolist()),
        area=0.5 * size[:, 0, 0] ** 2,
        visibility=visibility,
        is_crowd=(3,),
        more_images=tuple(range(6)),
    )
    rows = generator.integers(0, count, 20)
    spread = generator.choice([0.02, 0.05, 0.2], (20, 1, 1)) * size[rows]
    found = keypoints[rows] + generator.normal(0, 1, (20, 17, 2)) * spread
    scores = tuple(generator.random(20).round(2).tolist())
    return truth, find_poses(found, tuple(photo[rows].tolist()), scores=scores)
