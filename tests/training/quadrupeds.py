"""A made data set that is not human: drawn quadrupeds, and poses of them with the errors that estimators make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]

NAMES = [
    "muzzle", "withers", "croup", "tail_tip",
    "left_fore_knee", "right_fore_knee", "left_fore_hoof", "right_fore_hoof",
    "left_hock", "right_hock", "left_hind_hoof", "right_hind_hoof",
]  # fmt: skip
LIMBS = [(0, 1), (1, 2), (2, 3), (1, 4), (4, 6), (1, 5), (5, 7), (2, 8), (8, 10), (2, 9), (9, 11)]
LEFT, RIGHT, BODY = (60, 90, 200), (200, 160, 40), (110, 110, 110)
WIDTH, HEIGHT = 160, 128


def standing(generator: np.random.Generator) -> Points:
    """(12, 2): an animal with its legs and neck in some position, about 90 pixels long, looking left or right."""
    length, leg = generator.uniform(38, 52), generator.uniform(13, 18)
    withers, croup = np.array([0.0, 0.0]), np.array([length, generator.uniform(-3, 3)])

    def toward(start: Points, angle_degrees: float, distance: float) -> Points:
        angle = np.deg2rad(angle_degrees)
        return start + distance * np.array([np.cos(angle), np.sin(angle)])

    below = np.array([0.0, 6.0])
    points = [toward(withers, generator.uniform(160, 260), length * 0.55), withers, croup]
    points.append(toward(croup, generator.uniform(-30, 60), leg))
    fore = [toward(withers + below, generator.uniform(60, 125), leg) for _ in range(2)]
    hind = [toward(croup + below, generator.uniform(55, 120), leg) for _ in range(2)]
    points += [*fore, *(toward(knee, generator.uniform(70, 115), leg) for knee in fore)]
    points += [*hind, *(toward(hock, generator.uniform(65, 110), leg) for hock in hind)]
    placed = np.array(points)
    if generator.random() < 0.5:
        placed[:, 0] *= -1
    placed -= (placed.min(axis=0) + placed.max(axis=0)) / 2
    centred: Points = placed + np.array([WIDTH / 2, HEIGHT / 2]) + generator.uniform(-18, 18, 2)
    return centred


def draw(generator: np.random.Generator, points: Points) -> npt.NDArray[np.uint8]:
    """A photo of the animal before a noisy ground: left legs in one colour, right legs in another."""
    ground = generator.integers(0, 50, (HEIGHT // 8, WIDTH // 8, 3)) + generator.integers(150, 200, 3)
    photo = cv2.resize(ground.astype(np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    places = [tuple(point) for point in points.round().astype(int).tolist()]
    for first, second in LIMBS:
        name = NAMES[second]
        colour = LEFT if name.startswith("left") else RIGHT if name.startswith("right") else BODY
        cv2.line(photo, places[first], places[second], colour, 5 if colour is not BODY else 10, cv2.LINE_AA)
    for place, name in zip(places, NAMES, strict=True):
        if name.endswith("hoof"):
            cv2.circle(photo, place, 4, (20, 20, 20), -1, cv2.LINE_AA)
        if name == "muzzle":
            cv2.circle(photo, place, 6, (40, 160, 40), -1, cv2.LINE_AA)
    return np.asarray(photo, dtype=np.uint8)


def estimated(generator: np.random.Generator, points: Points) -> tuple[Points, Points]:
    """A pose as an estimator would give it, and its scores.

    All keypoints of an animal err together as much as its pose is hard; legs are taken for one another; some are lost
    far away, and their scores tell it only half the time.
    """
    guess = points + generator.normal(0, generator.uniform(2, 5), points.shape)
    for leg in ((4, 5, 6, 7), (8, 9, 10, 11)):
        if generator.random() < 0.3:
            guess[[*leg]] = guess[[leg[1], leg[0], leg[3], leg[2]]]
    lost = generator.random(len(points)) < 0.08
    guess[lost] = generator.uniform([0, 0], [WIDTH, HEIGHT], (int(lost.sum()), 2))
    scores = np.where(
        lost & (generator.random(len(points)) < 0.5), 0.2, generator.uniform(0.5, 1.0, len(points))
    )
    return guess, scores


def write_set(folder: Path, name: str, count: int, seed: int) -> None:
    """Photos, NAME.json with the truth and NAME-results.json with an estimator's poses."""
    generator = np.random.default_rng(seed)
    (folder / name).mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        points = standing(generator)
        cv2.imwrite(str(folder / name / f"{number:05d}.png"), draw(generator, points))
        guess, scores = estimated(generator, points)
        size = np.ptp(points, axis=0)
        images.append({"id": number, "file_name": f"{number:05d}.png", "width": WIDTH, "height": HEIGHT})
        annotations.append({
            "id": number, "image_id": number, "category_id": 1, "iscrowd": 0, "num_keypoints": len(NAMES),
            "keypoints": np.column_stack([points.round(1), np.full(len(NAMES), 2)]).ravel().tolist(),
            "bbox": [*points.min(axis=0).tolist(), *size.tolist()], "area": 0.53 * float(size.prod()),
        })  # fmt: skip
        row = np.column_stack([guess, scores]).round(3).ravel().tolist()
        results.append(
            {"image_id": number, "category_id": 1, "keypoints": row, "score": float(scores.mean())}
        )
    limbs = [[first + 1, second + 1] for first, second in LIMBS]
    categories = [{"id": 1, "name": "quadruped", "keypoints": NAMES, "skeleton": limbs}]
    truth = {"images": images, "annotations": annotations, "categories": categories}
    (folder / f"{name}.json").write_text(json.dumps(truth), encoding="utf-8")
    (folder / f"{name}-results.json").write_text(json.dumps(results), encoding="utf-8")
