"""People put into the objects of pose libraries and taken out again: stand-ins for the libraries' classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from tests.estimators import stand_ins

from posefix.skeletons import load_skeleton

torch = pytest.importorskip("torch", reason="the objects hold tensors; install the extra `train`")

Array = npt.NDArray[Any]
SIZE_WH = (80, 60)
PHOTO = np.zeros((SIZE_WH[1], SIZE_WH[0], 3), np.uint8)


def people(count: int, layout: str) -> tuple[Array, Array]:
    """Places in pixels and scores, as single-precision numbers of them have it."""
    rng = np.random.default_rng(0)
    shape = (count, len(load_skeleton(layout)))
    return rng.uniform(5, 55, (*shape, 2)).astype(np.float32), rng.uniform(0.1, 1, shape).astype(np.float32)


class Library(NamedTuple):
    """Puts people (in pixels, centre of the top-left one at 0, 0) into a library's object, and takes them out."""

    layout: str
    make: Callable[[Array, Array], Any]
    take: Callable[[Any], tuple[Array, Array]]
    skeleton: str | None = None


def tensor(array: Array) -> Any:
    return torch.tensor(np.asarray(array, np.float32))


def triples(keypoints: Array, scores: Array) -> Any:
    return tensor(np.concatenate([keypoints, scores[..., None]], axis=-1))


def make_ultralytics(keypoints: Array, scores: Array) -> Any:
    return stand_ins.Results(PHOTO, "photo.jpg", {0: "person"}, object(), triples(keypoints, scores))


def take_triples(data: Any) -> tuple[Array, Array]:
    return data[..., :2].numpy(), data[..., 2].numpy()


def make_detectron2(keypoints: Array, scores: Array) -> Any:
    found = triples(keypoints + 0.5, scores)
    return stand_ins.Instances(PHOTO.shape[:2], scores=torch.ones(len(found)), pred_keypoints=found)


def take_detectron2(instances: Any) -> tuple[Array, Array]:
    keypoints, scores = take_triples(instances.pred_keypoints)
    return keypoints - 0.5, scores


def make_torchvision(keypoints: Array, scores: Array) -> Any:
    ones = torch.ones(len(keypoints))
    seen = triples(keypoints, np.ones_like(scores))
    boxes = torch.zeros(len(keypoints), 4)
    return {
        "boxes": boxes, "labels": ones, "scores": ones, "keypoints": seen, "keypoints_scores": tensor(scores),
    }  # fmt: skip


def make_transformers(keypoints: Array, scores: Array) -> Any:
    labels, box = torch.arange(keypoints.shape[1]), torch.zeros(4)
    return [
        {"keypoints": tensor(places), "scores": tensor(row), "labels": labels, "bbox": box}
        for places, row in zip(keypoints, scores, strict=True)
    ]


def take_transformers(result: Any) -> tuple[Array, Array]:
    keypoints = np.array([person["keypoints"].numpy() for person in result])
    return keypoints, np.array([person["scores"].numpy() for person in result])


def landmarks(keypoints: Array, scores: Array, kind: type[Any] = stand_ins.NormalizedLandmark) -> list[Any]:
    shares = (np.asarray(keypoints, np.float64) + 0.5) / SIZE_WH
    return [
        [kind(float(x), float(y), 0.1, float(score)) for (x, y), score in zip(person, row, strict=True)]
        for person, row in zip(shares, scores, strict=True)
    ]


def take_landmarks(people: Any) -> tuple[Array, Array]:
    shares = np.array([[(one.x, one.y) for one in person] for person in people])
    return shares * SIZE_WH - 0.5, np.array([[one.visibility for one in person] for person in people])


def make_solutions(keypoints: Array, scores: Array) -> Any:
    (person,) = landmarks(keypoints[:1], scores[:1], stand_ins.MessageLandmark)
    return stand_ins.solution_outputs(stand_ins.NormalizedLandmarkList(person))


LIBRARIES = {
    "ultralytics": Library("coco17", make_ultralytics, lambda result: take_triples(result.keypoints.data)),
    "detectron2": Library("coco17", make_detectron2, take_detectron2),
    "torchvision": Library(
        "coco17",
        make_torchvision,
        lambda output: (output["keypoints"][..., :2].numpy(), output["keypoints_scores"].numpy()),
    ),
    "transformers": Library("coco17", make_transformers, take_transformers),
    "mediapipe": Library(
        "blazepose33",
        lambda keypoints, scores: stand_ins.PoseLandmarkerResult(landmarks(keypoints, scores), [["world"]]),
        lambda result: take_landmarks(result.pose_landmarks),
    ),
    "holistic": Library(
        "blazepose33",
        lambda keypoints, scores: stand_ins.HolisticLandmarkerResult([], landmarks(keypoints, scores)[0]),
        lambda result: take_landmarks([result.pose_landmarks]),
    ),
    "solutions": Library(
        "blazepose33", make_solutions, lambda result: take_landmarks([result.pose_landmarks.landmark])
    ),
    "supervision": Library(
        "halpe26",
        lambda keypoints, scores: stand_ins.KeyPoints(keypoints, keypoint_confidence=scores, data={"a": 1}),
        lambda found: (found.xy, found.keypoint_confidence),
        "halpe26",
    ),
}
