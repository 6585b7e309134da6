"""Poses that are compared with annotations: an estimator's names of photos become the annotations' ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from posefix.errors import InputError
from posefix.formats.coco import Annotations, ImageInfo
from posefix.images import match_ids
from posefix.interchange.pose_files import Layout, read_pose_file
from posefix.pose_file import PhotoSize
from posefix.poses import ImageId, Poses


def read_annotated_poses(path: str | Path, annotations: Annotations, layout: Layout | None = None) -> Poses:
    """Read the poses of a file of any format, with the image ids of annotations.

    An id that the annotations do not know, such as `000000000036.jpg`, is that of the photo which it names by the rule
    of `posefix.images.find_images`; one that names none stays as it is.

    Args:
        path: The file, or the folder of a format that is one.
        annotations: What the poses are to be compared with; sizes of photos are read from them as well.
        layout: Skeleton of the poses; None where the file says it.

    Raises:
        FormatError: The file is faulty, or does not say its layout; names file, record and field.
        InputError: An id names two photos.
    """
    poses = read_pose_file(path, layout, photo_size=_sizes(annotations.images)).poses
    if annotations.images.keys() >= set(poses.image_ids):
        return poses
    names = {image_id: image.file_name for image_id, image in annotations.images.items()}
    ids = match_ids(set(poses.image_ids) - names.keys(), names)
    return replace(poses, image_ids=tuple(ids.get(image_id, image_id) for image_id in poses.image_ids))


def _sizes(images: Mapping[ImageId, ImageInfo]) -> PhotoSize:
    names = {image_id: image.file_name for image_id, image in images.items()}

    def size_of(image_id: ImageId) -> tuple[int, int]:
        known = image_id if image_id in images else match_ids({image_id}, names).get(image_id)
        image = images[known] if known is not None else None
        if image is None or image.width is None or image.height is None:
            raise InputError(f"annotations: expected width and height of the photo {image_id!r}, got none")
        return image.width, image.height

    return size_of
