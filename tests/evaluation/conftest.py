"""The oracle: pycocotools, fed from plain COCO dictionaries by none of the package's code. And scenes."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from posefix.formats.coco_annotations import Annotations, ImageInfo, PersonAnnotations, read_annotations
from posefix.interchange import read_pose_file
from posefix.pose.poses import ImageId, Poses
from posefix.skeletons import Skeleton, load_skeleton

Json = dict[str, Any]
Oracle = Callable[[Json, list[Json], list[str]], list[float]]
Scene = tuple[Json, list[Json]]

SIGMAS = {
    "nose": 0.026,
    "eye": 0.025,
    "ear": 0.035,
    "shoulder": 0.079,
    "elbow": 0.072,
    "wrist": 0.062,
    "hip": 0.107,
    "knee": 0.087,
    "ankle": 0.089,
    "neck": 0.079,
    "head_top": 0.06,
}


@pytest.fixture(scope="session")
def oracle() -> Oracle:
    """Called with COCO annotations, COCO results and the results' keypoint names; gives the ten numbers."""
    return pycocotools_stats


def pycocotools_stats(truth: Json, rows: list[Json], names: list[str]) -> list[float]:
    truth_names = truth["categories"][0]["keypoints"]
    shared = [name for name in truth_names if name in names]
    people = [pick(person, [truth_names.index(name) for name in shared]) for person in truth["annotations"]]
    for number, person in enumerate(people, start=1):
        person["id"] = number
        person["num_keypoints"] = sum(value > 0 for value in person["keypoints"][2::3])
    dataset = COCO()
    dataset.dataset = {**truth, "annotations": people}
    with contextlib.redirect_stdout(io.StringIO()):
        dataset.createIndex()
        results = dataset.loadRes([pick(row, [names.index(name) for name in shared]) for row in rows])
        evaluator = COCOeval(dataset, results, "keypoints")
        evaluator.params.kpt_oks_sigmas = np.array([sigma(name) for name in shared])
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return [float(value) for value in evaluator.stats]


def sigma(name: str) -> float:
    return SIGMAS.get(name) or SIGMAS[name.rsplit("_", maxsplit=1)[-1]]


def pick(row: Json, index: list[int]) -> Json:
    return {**row, "keypoints": np.reshape(row["keypoints"], (-1, 3))[index].ravel().tolist()}


@pytest.fixture(scope="session")
def random_scene() -> Callable[[int], Scene]:
    """Called with a seed; gives COCO annotations and COCO-17 results."""
    return make_scene


@pytest.fixture
def read_scene(tmp_path: Path) -> Callable[..., tuple[Poses, Annotations]]:
    """Called with annotations, results and a layout; writes them and reads them back."""

    def read(truth: Json, rows: list[Json], layout: str = "coco17") -> tuple[Poses, Annotations]:
        annotations, results = tmp_path / "truth.json", tmp_path / "results.json"
        annotations.write_text(json.dumps(truth), encoding="utf-8")
        results.write_text(json.dumps(rows), encoding="utf-8")
        return read_pose_file(results, load_skeleton(layout)).poses, read_annotations(annotations)

    return read


def make_scene(seed: int) -> Scene:
    """Photos with 0 to 4 people of all sizes, some crowds, some unlabelled; poses near and far, equal scores."""
    rng = np.random.default_rng(seed)
    people: list[Json] = []
    rows: list[Json] = []
    for image_id in range(30):
        for _ in range(rng.integers(5)):
            size = float(np.exp(rng.uniform(2.5, 6)))
            places = rng.uniform(0, 400, 2) + rng.uniform(0, size, (17, 2))
            visibility = rng.choice([0, 1, 2], 17) * (rng.random() > 0.1)
            low = places.min(axis=0)
            people.append(
                {
                    "id": len(people),
                    "image_id": image_id,
                    "category_id": 1,
                    "keypoints": np.column_stack([places, visibility]).ravel().tolist(),
                    "bbox": [*low.tolist(), *(places.max(axis=0) - low).tolist()],
                    "area": 0.6 * size**2,
                    "iscrowd": int(rng.random() < 0.1),
                }
            )
            for _ in range(rng.integers(7)):
                found = places + rng.normal(0, rng.choice([0.02, 0.1]) * size, (17, 2))
                score = round(float(rng.random()), 1)
                keypoints = np.column_stack([found, np.ones(17)]).ravel().tolist()
                rows.append({"image_id": image_id, "category_id": 1, "keypoints": keypoints, "score": score})
    images = [{"id": image_id, "file_name": f"{image_id}.jpg"} for image_id in range(30)]
    category = {"id": 1, "name": "person", "keypoints": list(load_skeleton("coco17").keypoint_names)}
    return {"images": images, "annotations": people, "categories": [category]}, rows


@pytest.fixture(scope="session")
def annotate() -> Callable[..., Annotations]:
    """Called with keypoints (N, K, 2), image ids and a skeleton; gives annotations of these people, all labelled."""
    return annotate_people


def annotate_people(
    keypoints: npt.NDArray[np.float64],
    image_ids: tuple[ImageId, ...],
    skeleton: Skeleton,
    *,
    area: float = 10_000.0,
    labelled: npt.NDArray[np.bool_] | None = None,
    is_crowd: tuple[int, ...] = (),
) -> Annotations:
    count = len(image_ids)
    low, high = keypoints.min(axis=1), keypoints.max(axis=1)
    people = PersonAnnotations(
        keypoints=keypoints,
        visibility=np.full(keypoints.shape[:2], 2, np.int8) if labelled is None else labelled.astype(np.int8),
        area=np.full(count, area),
        bbox_xywh=np.concatenate([low, high - low], axis=1),
        image_ids=image_ids,
        ids=tuple(range(count)),
        is_crowd=np.isin(np.arange(count), is_crowd),
        area_is_estimated=False,
        num_keypoints=np.full(count, np.nan),
        head_size=np.full(count, np.nan),
    )
    images = {image_id: ImageInfo(f"{image_id}.jpg", None, None) for image_id in image_ids}
    return Annotations(Path("truth.json"), images, people, skeleton)


@pytest.fixture(scope="session")
def find() -> Callable[..., Poses]:
    """Called with keypoints (N, K, 2), image ids and a skeleton; gives poses with all keypoints and scores of 1."""
    return find_poses


def find_poses(
    keypoints: npt.NDArray[np.float64], image_ids: tuple[ImageId, ...], skeleton: Skeleton
) -> Poses:
    shape = keypoints.shape[:2]
    return Poses(
        keypoints, np.ones(shape), np.ones(shape, bool), image_ids, np.ones(len(image_ids)), skeleton
    )
