"""Photos and results files made for measurements, of any size: nothing of them is anybody's."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from benchmarks.analysis_speed import TEMPLATE
from PIL import Image

from posefix.skeletons import Keypoint, Skeleton

DISTINCT_PHOTOS = 4
"""So many photos are drawn, and linked to under as many names as are needed."""
DISTINCT_POSES = 997
"""So many poses are made, and repeated; a prime, so that photos differ in who is in them."""
OCTAVES = ((64, 70.0), (16, 30.0), (4, 12.0), (2, 6.0))
"""Side in pixels of the patches that are overlaid, and the spread of their grey levels: what photos' spectra are like,
and with it what they cost to decode."""
SIGMA = 0.06
"""Of made keypoints; COCO's are .025 to .107."""


def draw_photo(size_wh: tuple[int, int], generator: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Coloured clouds of all sizes, (H, W, 3)."""
    width, height = size_wh
    photo = np.full((height, width, 3), 128.0, dtype=np.float32)
    for side, spread in OCTAVES:
        coarse = generator.normal(0, spread, (height // side + 2, width // side + 2, 3)).astype(np.float32)
        photo += cv2.resize(coarse, size_wh, interpolation=cv2.INTER_LINEAR)
    return np.clip(photo, 0, 255, out=photo).astype(np.uint8)


def write_photos(folder: Path, count: int, size_wh: tuple[int, int]) -> None:
    """Write photos named by their numbers, 0 to `count` - 1."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    drawn = [folder / f"{number}.jpg" for number in range(min(count, DISTINCT_PHOTOS))]
    for path in drawn:
        Image.fromarray(draw_photo(size_wh, generator)).save(path, quality=90)
    for number in range(len(drawn), count):
        (folder / f"{number}.jpg").hardlink_to(drawn[number % len(drawn)])


def make_skeleton(num_keypoints: int) -> Skeleton:
    """A layout of so many keypoints, in pairs of left and right but for the first."""
    pairs = [(f"left_{number}", f"right_{number}") for number in range((num_keypoints - 1) // 2)]
    names = ["middle", *itertools.chain.from_iterable(pairs)]
    names += [f"single_{number}" for number in range(num_keypoints - len(names))]
    keypoints = tuple(Keypoint(name, SIGMA, f"made keypoint {name}") for name in names)
    return Skeleton(f"made{num_keypoints}", keypoints, tuple(pairs), ())


def write_results(
    path: Path, people: int, people_per_photo: int, num_keypoints: int, photo_wh: tuple[int, int]
) -> None:
    """Write a COCO results file of people who stand about in photos 0, 1, 2, ...

    Args:
        path: The file.
        people: How many.
        people_per_photo: The last photo may have fewer.
        num_keypoints: Those of `TEMPLATE` as often as needed, each somewhere else.
        photo_wh: Everybody is a quarter to two thirds of this height.
    """
    generator = np.random.default_rng(1)
    count = min(people, DISTINCT_POSES)
    shape = TEMPLATE[np.arange(num_keypoints) % len(TEMPLATE)]
    size = photo_wh[1] * generator.uniform(0.25, 0.66, (count, 1, 1))
    corner = np.array(photo_wh) * generator.uniform((0.2, 0.02), (0.8, 0.3), (count, 2))
    places = (shape + generator.normal(0, 0.03, (count, num_keypoints, 2))) * size + corner[:, None]
    scores = generator.uniform(0.2, 1, (count, num_keypoints, 1))
    triples = np.concatenate([places.round(2), scores.round(3)], axis=-1).reshape(count, -1).tolist()
    texts = [json.dumps({"category_id": 1, "keypoints": row, "score": 0.9})[1:] for row in triples]
    with path.open("w", encoding="utf-8") as file:
        for number in range(people):
            opening = "[" if number == 0 else ",\n"
            file.write(f'{opening}{{"image_id": {number // people_per_photo}, {texts[number % count]}')
        file.write("]\n")
