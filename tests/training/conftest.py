"""A made data set: photos with a bright square where each keypoint is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

NAMES = ["nose", "left_eye", "right_eye", "left_hip", "right_hip"]


@pytest.fixture(scope="session")
def made_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with train.json (twelve people, two a photo, and a crowd region), results.json and images/."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "images").mkdir()
    generator = np.random.default_rng(0)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for number in range(1, 7):
        photo = np.full((120, 160, 3), 40, np.uint8)
        for person in range(2):
            places = generator.uniform([10 + 80 * person, 10], [65 + 80 * person, 110], (5, 2)).round(1)
            for keypoint, (x, y) in enumerate(places.astype(int)):
                photo[y - 2 : y + 3, x - 2 : x + 3] = (50 * keypoint, 255 - 50 * keypoint, 200)
            flat = [value for x, y in places for value in (float(x), float(y), 2)]
            box = [*places.min(0).tolist(), *(places.max(0) - places.min(0)).tolist()]
            annotation = {"id": len(annotations) + 1, "image_id": number, "category_id": 1, "iscrowd": 0}
            annotations.append(
                {**annotation, "keypoints": flat, "num_keypoints": 5, "bbox": box, "area": 3000.0}
            )
            guess = [value + 3 if index % 3 == 0 else value for index, value in enumerate(flat)]
            results.append({"image_id": number, "category_id": 1, "keypoints": guess, "score": 0.9})
        cv2.imwrite(str(folder / "images" / f"{number:05d}.png"), photo)
        images.append({"id": number, "file_name": f"{number:05d}.png", "width": 160, "height": 120})
    annotations.append({**annotations[0], "id": 99, "iscrowd": 1})
    categories = [{"id": 1, "name": "person", "keypoints": NAMES, "skeleton": []}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    pairs = [["left_eye", "right_eye"], ["left_hip", "right_hip"]]
    keypoints = [{"name": name, "sigma": 0.05} for name in NAMES]
    skeleton = {"name": "made", "keypoints": keypoints, "flip_pairs": pairs, "limbs": []}
    (folder / "skeleton.json").write_text(json.dumps(skeleton))
    (folder / "train.json").write_text(json.dumps(document))
    (folder / "results.json").write_text(json.dumps(results))
    return folder


RECIPE = """
name = "made"
skeleton = "{root}/skeleton.json"
backbone_weights = "none"
workers = {workers}

[model]
backbone = "resnet18"
backbone_stride = 16
input_size_wh = [48, 64]
sigma = 2.0
pose_stride = 4
deconvolution_channels = [32, 32]
lateral = true

[optimiser]
batch_size = 4
epochs = {epochs}
average = 0.9

[data]
root = "{root}"
annotations = ["train.json"]
images = ["images"]

[augmentation]
colour = 0.3
"""


@pytest.fixture
def recipe(made_data: Path, tmp_path: Path) -> Path:
    """A recipe file that trains a tiny network on the made data for two epochs."""
    path = tmp_path / "made.toml"
    path.write_text(RECIPE.format(root=made_data.as_posix(), epochs=2, workers=0))
    return path
