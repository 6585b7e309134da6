"""Poses found from the photo alone by a pose network, one person's box after another (top-down)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.network.models import DESCRIPTION_FILE, Model
from posefix.photos.finding import ImageId
from posefix.pose import geometry
from posefix.pose.poses import Poses
from posefix.refine.backends import Backend
from posefix.refine.boxes import check_boxes
from posefix.refine.cutting import CropStream, Progress, batches, photo_tasks


def check_pose_network(model: Model) -> None:
    """Raise if a model needs poses to start from.

    Raises:
        InputError: It is a refiner.
    """
    if model.takes_pose:
        raise InputError(
            f"{model.folder / DESCRIPTION_FILE}: {model.name!r} refines poses and finds none by itself; give it some "
            "with `posefix refine`"
        )


def estimate_poses(
    model: Model,
    backend: Backend,
    image_ids: Sequence[ImageId],
    boxes: npt.ArrayLike,
    photos: Mapping[ImageId, Path],
    *,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> Poses:
    """The pose in each box, which grows by `geometry.CROP_FACTOR` before it is cropped.

    A keypoint's score is its expected similarity (KS) to the truth by the heatmap itself, a pose's score their mean. A
    box outside its photo gets a pose without keypoints.

    Args:
        model: A pose network.
        backend: Runs it.
        image_ids: (N) photo of each person.
        boxes: bbox_xywh (N, 4) in pixels of the photo.
        photos: File of each image id.
        batch_size: People looked at at once.
        progress: Called after each batch.

    Raises:
        InputError: The model is no pose network, or boxes or photos are faulty.
    """
    check_pose_network(model)
    count, width = len(image_ids), len(model.skeleton)
    grown = geometry.enlarge(check_boxes(boxes, count), geometry.CROP_FACTOR)
    matrices = geometry.crop_matrices(grown, model.input_size_wh)
    keypoints, scores = np.zeros((count, width, 2)), np.zeros((count, width))
    valid = np.zeros((count, width), dtype=bool)
    stream = CropStream(
        photo_tasks(image_ids, np.arange(count), photos),
        matrices,
        model.input_size_wh,
        people_ahead=2 * batch_size,
    )
    for rows, images in batches(stream, batch_size):
        nothing = np.zeros((len(rows), width, 2), dtype=np.float32)
        found = backend(images, nothing, nothing[..., 0])
        places = found.keypoints.astype(np.float64)
        keypoints[rows] = geometry.transform(geometry.invert(matrices[rows]), places)
        scores[rows], valid[rows] = found.similarity, True
        if progress is not None:
            progress(int(valid[:, 0].sum()), count)
    return Poses(keypoints, scores, valid, tuple(image_ids), scores.mean(axis=1), model.skeleton)
