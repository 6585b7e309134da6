"""What refining very many people takes."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from posefix.pose.poses import Poses
from posefix.refine.backends import identity_backend
from posefix.refine.refiner import Refiner
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")
COUNT, PER_PHOTO = 3000, 100
MOST_BYTES = 1800
"""For each person beyond what is given; some of these are asked for and never written to."""


@pytest.mark.parametrize("layout", ["coco17", "posefix19"])
def test_a_person_takes_little_memory(layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in crowds, where everybody has a hundred neighbours."""
    monkeypatch.setattr("posefix.pose.geometry.POSES_AT_ONCE", 64)
    monkeypatch.setattr("posefix.refine.look.PEOPLE_AT_ONCE", 64)
    poses, photo = crowd(), tmp_path / "photo.png"
    photos = dict.fromkeys(poses.image_ids, photo)
    Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(photo)
    refiner = Refiner(identity_backend, load_skeleton(layout), (16, 16))
    refiner.refine(poses[:PER_PHOTO], photos)  # imports what is imported late
    tracemalloc.start()
    try:
        refiner.refine(poses, photos)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MOST_BYTES * COUNT


def crowd() -> Poses:
    """Everybody in the middle of a photo."""
    shape = (COUNT, len(COCO))
    keypoints = np.random.default_rng(0).uniform(0, 60, (*shape, 2))
    image_ids = tuple(number // PER_PHOTO for number in range(COUNT))
    return Poses(keypoints, np.ones(shape), np.ones(shape, dtype=bool), image_ids, np.ones(COUNT), COCO)
