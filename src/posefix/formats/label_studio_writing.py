"""New tasks for Label Studio: poses as predictions, from which labelling begins."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from posefix.formats.label_studio_tasks import BOX, KEYPOINT, PARENT, RESULT, SCORE, VALUE
from posefix.pose.poses import FloatArray, ImageId, Rows, rows_by_image
from posefix.pose_files.named_points import EDGE_TO_CENTRE
from posefix.pose_files.pose_file import Contents, NewFile
from posefix.pose_files.records import Record
from posefix.pose_files.units import new_boxes, sizes_of_photos

DECIMALS = 5
KEYPOINTS_NAME, BOXES_NAME, IMAGE_NAME = "keypoints", "boxes", "image"
"""What the labelling interface must call its two kinds of labels and the photo."""
PERSON = "person"
POINT_WIDTH = 0.5
"""How large a keypoint is shown, in percent."""


def write(new: NewFile) -> Contents:
    """A task for each photo with one prediction: a box for each person, and in it the keypoints that are there.

    Who has no keypoint is left out: a box alone is nobody when the tasks are read.

    Raises:
        FormatError: The photos' sizes are not known.
    """
    sizes = sizes_of_photos(Path("Label Studio's tasks"), new.photo_size, new.poses.image_ids)
    percent = np.round((new.poses.keypoints + EDGE_TO_CENTRE) / sizes[:, None] * 100, DECIMALS)
    boxes = new_boxes(new)
    low, size = (boxes[:, :2] + EDGE_TO_CENTRE) / sizes * 100, boxes[:, 2:] / sizes * 100
    sides = np.round(np.concatenate([low, size], axis=1), DECIMALS)
    tasks = [
        _task(
            new,
            image_id,
            [
                region
                for row in rows
                if new.poses.valid[row].any()
                for region in _regions(new, int(row), percent, sides, sizes)
            ],
            rows,
        )
        for image_id, rows in rows_by_image(new.poses.image_ids).items()
    ]
    return {"": (json.dumps(tasks, indent=1) + "\n").encode()}


def _task(new: NewFile, image_id: ImageId, regions: list[Record], rows: Rows) -> Record:
    score = float(new.poses.pose_scores[rows].mean())
    prediction = {"model_version": "posefix", SCORE: score, RESULT: regions}
    return {"data": {IMAGE_NAME: str(new.file_names.get(image_id, image_id))}, "predictions": [prediction]}


def _regions(
    new: NewFile, row: int, percent: FloatArray, sides: FloatArray, sizes: FloatArray
) -> Iterator[Record]:
    """The box of a person, and a region for each keypoint."""
    box = f"person-{row}"
    width, height = sizes[row].tolist()
    photo = {
        "to_name": IMAGE_NAME,
        "original_width": int(width),
        "original_height": int(height),
        "image_rotation": 0,
    }
    rectangle = dict(zip(("x", "y", "width", "height"), sides[row].tolist(), strict=True))
    value = {**rectangle, "rotation": 0, BOX: [PERSON]}
    yield {"id": box, "type": BOX, "from_name": BOXES_NAME, **photo, VALUE: value}
    for keypoint in np.flatnonzero(new.poses.valid[row]).tolist():
        x, y = percent[row, keypoint].tolist()
        label = new.poses.skeleton.keypoint_names[keypoint]
        yield {
            "id": f"{box}-{keypoint}",
            PARENT: box,
            "type": KEYPOINT,
            "from_name": KEYPOINTS_NAME,
            **photo,
            VALUE: {"x": x, "y": y, "width": POINT_WIDTH, KEYPOINT: [label]},
            SCORE: float(new.poses.scores[row, keypoint]),
        }
