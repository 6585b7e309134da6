"""Classes of the module, name and attributes of the libraries' own, with nothing behind them.

Recorded from Ultralytics 8.4.190, Detectron2 0.6, MediaPipe 1.2.2 (Tasks) and 0.10.21 (Solutions), supervision
0.31.2, and FiftyOne 1.22.1. tests/test_estimator_pages.py meets the real ones where they are installed.
"""

from __future__ import annotations

import collections
import copy
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np


class UltralyticsKeypoints:
    def __init__(self, data: Any, orig_shape: tuple[int, int]) -> None:
        self.data = data[None] if data.ndim == 2 else data
        self.orig_shape = orig_shape
        self.has_visible = self.data.shape[-1] == 3


class Results:
    def __init__(self, orig_img: Any, path: str, names: dict[int, str], boxes: Any, keypoints: Any) -> None:
        self.orig_img, self.path, self.names, self.boxes = orig_img, path, names, boxes
        self.orig_shape = orig_img.shape[:2]
        self.keypoints = None if keypoints is None else UltralyticsKeypoints(keypoints, self.orig_shape)


Results.__module__ = "ultralytics.engine.results"


class Instances:
    def __init__(self, image_size: tuple[int, int], **fields: Any) -> None:
        self._image_size = image_size
        self._fields: dict[str, Any] = fields

    @property
    def image_size(self) -> tuple[int, int]:
        return self._image_size

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            self._fields[name] = value

    def __getattr__(self, name: str) -> Any:
        if name == "_fields" or name not in self._fields:
            raise AttributeError(name)
        return self._fields[name]

    def has(self, name: str) -> bool:
        return name in self._fields

    def get(self, name: str) -> Any:
        return self._fields[name]

    def get_fields(self) -> dict[str, Any]:
        return self._fields


Instances.__module__ = "detectron2.structures.instances"


@dataclasses.dataclass
class NormalizedLandmark:
    x: float | None = None
    y: float | None = None
    z: float | None = None
    visibility: float | None = None
    presence: float | None = None
    name: str | None = None


@dataclasses.dataclass
class PoseLandmarkerResult:
    pose_landmarks: list[list[NormalizedLandmark]]
    pose_world_landmarks: list[list[Any]]
    segmentation_masks: list[Any] | None = None


@dataclasses.dataclass
class HolisticLandmarkerResult:
    face_landmarks: list[NormalizedLandmark]
    pose_landmarks: list[NormalizedLandmark]


PoseLandmarkerResult.__module__ = "mediapipe.tasks.python.vision.pose_landmarker"
HolisticLandmarkerResult.__module__ = "mediapipe.tasks.python.vision.holistic_landmarker"


class MessageLandmark(NormalizedLandmark):
    """A landmark of the Solutions is a message: an unset field reads 0 and `HasField` tells."""

    def HasField(self, name: str) -> bool:  # noqa: N802, RUF100 (the message's own name)
        return getattr(self, name) is not None


@dataclasses.dataclass
class NormalizedLandmarkList:
    landmark: list[MessageLandmark]


def solution_outputs(landmarks: NormalizedLandmarkList | None) -> Any:
    """What `Pose().process(photo)` returns: not a named tuple but its class, with the values in the attributes."""
    module = "mediapipe.python.solution_base"
    outputs: Any = collections.namedtuple("outputs", ["pose_landmarks", "segmentation_mask"], module=module)
    outputs.pose_landmarks, outputs.segmentation_mask = landmarks, None
    return outputs


@dataclasses.dataclass
class KeyPoints:
    xy: np.ndarray[Any, Any]
    class_id: Any = None
    keypoint_confidence: np.ndarray[Any, Any] | None = None
    detection_confidence: Any = None
    visible: Any = None
    data: dict[str, Any] = dataclasses.field(default_factory=dict)


KeyPoints.__module__ = "supervision.key_points.core"


class Fields:
    """Fields by name, as FiftyOne's documents have them."""

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def copy(self) -> Any:
        return copy.deepcopy(self)


@dataclasses.dataclass
class Keypoint(Fields):
    """A person of FiftyOne."""

    points: list[Any]
    confidence: list[float] | None = None
    label: str | None = None


@dataclasses.dataclass
class Keypoints(Fields):
    """FiftyOne's field of a photo's people; `KeyPoints` are supervision's."""

    keypoints: list[Keypoint]


@dataclasses.dataclass
class Sample(Fields):
    """A photo of FiftyOne."""

    filepath: str

    def has_field(self, name: str) -> bool:
        return hasattr(self, name)

    @property
    def field_names(self) -> tuple[str, ...]:
        return tuple(vars(self))


@dataclasses.dataclass
class Dataset:
    """What saves its samples if it is asked to."""

    samples: list[Sample]
    saved: list[str] = dataclasses.field(default_factory=list)

    def iter_samples(self, autosave: bool = False) -> Iterator[Sample]:
        for sample in self.samples:
            yield sample
            if autosave:
                self.saved.append(sample.filepath)
