"""Made people and poses, drawn by nothing but NumPy: the peers' programs were given the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Json = dict[str, Any]

CROWDPOSE = ["shoulder", "elbow", "wrist", "hip", "knee", "ankle"]
CROWDPOSE_NAMES = [f"{side}_{name}" for name in CROWDPOSE for side in ("left", "right")] + ["head", "neck"]
RIGHT, LEFT = ["right_ankle", "right_knee", "right_hip"], ["left_hip", "left_knee", "left_ankle"]
TRUNK, RIGHT_ARM = ["pelvis", "thorax", "neck", "head_top"], ["right_wrist", "right_elbow", "right_shoulder"]
MPII_NAMES = [*RIGHT, *LEFT, *TRUNK, *RIGHT_ARM, "left_shoulder", "left_elbow", "left_wrist"]


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def triples(places: npt.NDArray[np.float64], last: npt.NDArray[Any]) -> list[float]:
    return [float(value) for value in np.column_stack([places, last]).ravel()]


def crowdpose_scene() -> tuple[Json, list[Json]]:
    """40 photos of 1 to 5 people: some crowds, some whose `num_keypoints` is 0 beside hidden labels; poses of most."""
    rng = np.random.default_rng(22)
    people: list[Json] = []
    for image_id in range(1, 41):
        for _ in range(rng.integers(1, 6)):
            size = float(rng.uniform(30, 200))
            places = rng.uniform(0, 300, 2) + rng.uniform(0, size, (14, 2))
            visibility = rng.choice([0, 1, 2], 14, p=[0.2, 0.3, 0.5]) * (rng.random() > 0.05)
            if rng.random() < 0.1:
                visibility = np.minimum(visibility, 1)
            low, high = places.min(axis=0), places.max(axis=0)
            people.append(
                {
                    "id": len(people) + 1, "image_id": image_id, "category_id": 1, "iscrowd": int(rng.random() < 0.05),
                    "keypoints": triples(places.round(1), visibility), "bbox": [*low, *(high - low)],
                    "num_keypoints": int((visibility == 2).sum()),
                }
            )  # fmt: skip
    images = [
        {"id": number, "file_name": f"{number}.jpg", "crowdIndex": round(float(rng.random()), 2)}
        for number in range(1, 41)
    ]
    category = {"id": 1, "name": "person", "keypoints": CROWDPOSE_NAMES}
    return {"images": images, "annotations": people, "categories": [category]}, made_poses(people)


def made_poses(people: list[Json]) -> list[Json]:
    """A pose of most people: places off by a hundredth to a twelfth of the box, with a score of two decimals."""
    rng = np.random.default_rng(7)
    rows = []
    for person in people:
        keypoints = np.reshape(np.array(person["keypoints"], dtype=np.float64), (-1, 3))
        size = np.sqrt(max(person["bbox"][2] * person["bbox"][3], 1))
        noise = rng.normal(0, rng.choice([0.01, 0.03, 0.08]), (len(keypoints), 2)) * size
        kept, score = rng.random(2)
        if kept < 0.15:
            continue
        places = triples(keypoints[:, :2] + noise, np.ones(len(keypoints)))
        row = {"image_id": person["image_id"], "category_id": 1, "keypoints": places}
        rows.append({**row, "score": round(float(score), 2)})
    return rows


def mpii_scene() -> tuple[Json, list[Json]]:
    """60 people, one a photo, keypoints partly unlabelled, and one pose of each, off by 1 to 30 pixels."""
    rng = np.random.default_rng(5)
    people, rows = [], []
    for number in range(1, 61):
        places = rng.uniform(50, 400, (16, 2)).round(1)
        visibility = rng.choice([0, 2], 16, p=[0.2, 0.8])
        low, high = places.min(axis=0), places.max(axis=0)
        head_size = round(float(rng.uniform(30, 80)), 2)
        row = {"image_id": number, "category_id": 1}
        box = [*low, *(high - low)]
        people.append(
            {
                **row, "id": number, "keypoints": triples(places, visibility), "bbox": box,
                "area": float(box[2] * box[3]), "iscrowd": 0, "head_size": head_size,
            }
        )  # fmt: skip
        found = (places + rng.normal(0, np.exp(rng.uniform(0, 3.4)), (16, 2))).round(1)
        rows.append({**row, "keypoints": triples(found, np.ones(16)), "score": 1.0})
    images = [{"id": number, "file_name": f"{number}.jpg"} for number in range(1, 61)]
    category = {"id": 1, "name": "person", "keypoints": MPII_NAMES}
    return {"images": images, "annotations": people, "categories": [category]}, rows
