"""New COCO annotation files: poses that become labels."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np

from posefix.formats.coco_annotations import AREA_OF_BOX
from posefix.pose.poses import FloatArray, ImageId
from posefix.pose_files.pose_file import DECIMALS, Contents, FormatError, NewFile
from posefix.pose_files.records import Record
from posefix.pose_files.units import new_boxes, new_triples
from posefix.skeletons import Skeleton

CATEGORY = 1
VISIBLE, NOT_LABELLED = 2, 0


def write(new: NewFile) -> Contents:
    """An annotation file: the photos by name, a person each, and the layout as the one category.

    A keypoint that is there is visible (2), any other is not labelled (0): what hides a keypoint no score tells. Area
    is the usual share of the box, since labels need one.

    Raises:
        FormatError: A photo has no name.
    """
    numbers = _image_numbers(new.poses.image_ids)
    content = {
        "images": [_image(new, image_id, number) for image_id, number in numbers.items()],
        "annotations": list(_annotations(new, numbers)),
        "categories": [_category(new.poses.skeleton)],
    }
    return {"": (json.dumps(content) + "\n").encode()}


def _image_numbers(image_ids: Sequence[ImageId]) -> dict[ImageId, int]:
    """Id of each photo in the file, a number as COCO has them: its own, or where one is a text, counted from 1."""
    different = dict.fromkeys(image_ids)
    if all(isinstance(image_id, int) for image_id in different):
        return {image_id: int(image_id) for image_id in different}
    return {image_id: place for place, image_id in enumerate(different, 1)}


def _image(new: NewFile, image_id: ImageId, number: int) -> Record:
    name = new.file_names.get(image_id, image_id)
    if not isinstance(name, str):
        raise FormatError(
            f"image id {image_id!r} has no name of a photo: expected one, since annotations name their photos; name "
            "the photos' folder (--images), or a file that names them (--annotations)."
        )
    image: Record = {"id": number, "file_name": name}
    if new.photo_size is not None:
        image["width"], image["height"] = map(int, new.photo_size(image_id))
    return image


def _annotations(new: NewFile, numbers: dict[ImageId, int]) -> Iterator[Record]:
    boxes = _boxes_inside(new)
    triples = new_triples(new.poses)
    seen = VISIBLE if new.visibility is None else new.visibility
    triples[..., 2] = np.where(new.poses.valid, seen, NOT_LABELLED)
    triples[~new.poses.valid] = 0
    for row, (image_id, box) in enumerate(zip(new.poses.image_ids, boxes.tolist(), strict=True)):
        annotation: Record = {
            "id": row + 1,
            "image_id": numbers[image_id],
            "category_id": CATEGORY,
            "keypoints": _flat(triples[row]),
            "num_keypoints": int(new.poses.valid[row].sum()),
            "bbox": box,
            "area": round(AREA_OF_BOX * box[2] * box[3], DECIMALS),
            "iscrowd": 0,
        }
        if new.tracks is not None and new.tracks[row] is not None:
            annotation["track_id"] = new.tracks[row]
        yield annotation


def _flat(triples: FloatArray) -> list[float]:
    """x, y and visibility of all keypoints (K, 3) in one list, visibilities as whole numbers."""
    return [number for x, y, seen in triples.tolist() for number in (x or 0, y or 0, int(seen))]


def _boxes_inside(new: NewFile) -> FloatArray:
    """bbox_xywh (N, 4); those around keypoints are cut at the edges of the photo where its size is known."""
    sizes = None
    if new.photo_size is not None:
        sizes = np.array([new.photo_size(image_id) for image_id in new.poses.image_ids], dtype=np.float64)
    return new_boxes(new, None if sizes is None else sizes.reshape(-1, 2))


def _category(skeleton: Skeleton) -> Record:
    return {
        "id": CATEGORY,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(skeleton.keypoint_names),
        "skeleton": (skeleton.limb_index + 1).tolist(),
    }
