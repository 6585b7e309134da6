"""People cut out of their photos, small enough for a page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from posefix.analysis.statuses import FoundPeople
from posefix.photos.finding import Exif, decode_image
from posefix.pictures.drawing import Image, View, close_up
from posefix.pose.poses import BoolArray, FloatArray

LONGEST_SIDE = 400
"""Pixels; more would be seen on large screens only."""
JPEG_QUALITY = 80


@dataclass(frozen=True)
class CloseUp:
    """One person in a photo.

    Attributes:
        jpeg: the picture, in base64.
        size_wh: its width and height, pixels.
        states: of each state the keypoints (S, 2) in pixels of the picture, measured from its top-left corner; without
            meaning where missing or not labelled.
        truth: (S, 2) the annotated ones.
    """

    jpeg: str
    size_wh: tuple[int, int]
    states: tuple[FloatArray, ...]
    truth: FloatArray


def cut_out(
    photo: Path,
    states: tuple[FoundPeople, ...],
    person: int,
    bbox_xywh: FloatArray,
    exif: Exif = "apply",
) -> CloseUp:
    """Cut a person out of a photo, with all poses inside and some of what is around.

    Args:
        photo: the file.
        states: the same people as estimated, and refined if they were.
        person: which of them.
        bbox_xywh: (4,) box of the annotated person, who may have few labelled keypoints; pixels of the photo.
        exif: as in `decode_image`.

    Raises:
        InputError: the photo cannot be read.
    """
    image = decode_image(photo, exif=exif)
    poses = [(state.places[person], state.labelled[person] & ~state.missing[person]) for state in states]
    poses.append((states[0].truth[person], states[0].labelled[person]))
    keypoints = np.stack([places for places, _ in poses])
    # The box joins in as one more pose, whose keypoints lie on two of its corners in turn.
    corners = np.resize(np.stack([bbox_xywh[:2], bbox_xywh[:2] + bbox_xywh[2:]]), keypoints.shape[1:])
    shown = np.concatenate([keypoints, corners[None]])
    there = np.stack([*(there for _, there in poses), np.ones(len(corners), dtype=bool)])
    view = _small_view(image, shown, there)
    # SVG counts from the corner of the top-left pixel, coordinates here from its centre.
    *placed, truth = view.place(keypoints) + 0.5
    _, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(view.show(image), cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    return CloseUp(base64.b64encode(encoded.tobytes()).decode("ascii"), view.size_wh, tuple(placed), truth)


def _small_view(image: Image, keypoints: FloatArray, valid: BoolArray) -> View:
    """A close-up whose sides are at most `LONGEST_SIDE`, and which shows no pixel larger than it is."""
    view = close_up(image, keypoints, valid, height=LONGEST_SIDE)
    height = min(LONGEST_SIDE, LONGEST_SIDE * LONGEST_SIDE / view.size_wh[0])
    scale = float(view.matrix[0, 0]) * height / LONGEST_SIDE
    return close_up(image, keypoints, valid, height=max(1, round(height / max(scale, 1.0))))
