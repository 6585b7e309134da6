"""Poses that are compared with annotations: an estimator's names of photos become the annotations' ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from posefix.errors import InputError
from posefix.formats import coco_annotation_poses
from posefix.formats.coco_annotations import Annotations, ImageInfo, read_annotations
from posefix.formats.coco_posetrack import read_posetrack_annotations
from posefix.interchange.pose_files import Layout, check_pixels, read_unchecked
from posefix.photos.finding import id_matcher
from posefix.pose.poses import ImageId, Poses
from posefix.pose_files.pose_file import PhotoSize, PoseFile


def read_truth(
    path: str | Path, layout: Layout | None = None, category: str | None = None, *, overrule: bool = False
) -> Annotations:
    """Read what poses are compared with: a COCO annotation file, or a folder of PoseTrack 2018 annotation files.

    Args:
        path: The file or folder.
        layout: As of `posefix.formats.coco_annotations.read_annotations`.
        category: The same.
        overrule: The same.

    Raises:
        InputError: A file is faulty or annotates nobody.
    """
    if Path(path).is_dir():
        return read_posetrack_annotations(path).annotations
    return read_annotations(path, layout, category, overrule=overrule)


def read_annotated_poses(path: str | Path, annotations: Annotations, layout: Layout | None = None) -> Poses:
    """Read the poses of a file of any format, with the image ids of annotations; see `read_annotated_file`."""
    file = read_annotated_file(path, annotations, layout, with_boxes=False)
    if file.format != coco_annotation_poses.NAME:
        return file.poses
    # Whom nobody labelled in annotations is nobody's estimate.
    return file.poses[np.flatnonzero(file.poses.valid.any(axis=1))]


def read_annotated_file(
    path: str | Path, annotations: Annotations, layout: Layout | None = None, *, with_boxes: bool = True
) -> PoseFile:
    """Read a pose file of any format, with the image ids of annotations: to be written anew, not by its `rewrite`.

    An id that the annotations do not know, such as `000000000036.jpg`, is that of the photo which it names by the rule
    of `posefix.photos.finding.find_images`; one that names none stays as it is. Numbers name no photo where some of
    them are the annotations' ids: the others are of photos that were not annotated.

    Args:
        path: The file, or the folder of a format that is one.
        annotations: What the poses are to be compared with; sizes of photos are read from them as well.
        layout: Skeleton of the poses; None where the file says it.
        with_boxes: Whether boxes are wanted; otherwise they are left out, and may be corners.

    Raises:
        FormatError: The file is faulty, or does not say its layout; names file, record and field.
        InputError: An id names two photos.
    """
    known_as = _known_as(annotations.images)
    file = read_unchecked(path, layout, photo_size=_sizes(annotations.images, known_as))
    file = file if with_boxes else replace(file, boxes=None)
    check_pixels(file)
    if annotations.images.keys() >= set(file.poses.image_ids):
        return file
    wanted = dict.fromkeys(file.poses.image_ids)
    numbers_are_ids = any(isinstance(image_id, int) and image_id in annotations.images for image_id in wanted)
    known = {
        image_id: None if numbers_are_ids and isinstance(image_id, int) else known_as(image_id)
        for image_id in wanted
    }
    # 0 is an id, too.
    ids = {image_id: image_id if found is None else found for image_id, found in known.items()}
    image_ids = tuple(ids[image_id] for image_id in file.poses.image_ids)
    return replace(file, poses=replace(file.poses, image_ids=image_ids))


def _known_as(images: Mapping[ImageId, ImageInfo]) -> Callable[[ImageId], ImageId | None]:
    """What tells the annotations' id of a photo; None for a photo that they do not know.

    The text "1" is the id 1, whatever photo's name ends in 1: many programs write ids as texts.
    """
    texts = {str(image_id): image_id for image_id in images}

    @cache  # the photos' names are looked into only for an id that is not known as it is
    def match() -> Callable[[ImageId], ImageId | None]:
        return id_matcher({image_id: image.file_name for image_id, image in images.items()})

    def known_as(image_id: ImageId) -> ImageId | None:
        if image_id in images:
            return image_id
        return match()(image_id) if (same := texts.get(str(image_id))) is None else same

    return known_as


def _sizes(images: Mapping[ImageId, ImageInfo], known_as: Callable[[ImageId], ImageId | None]) -> PhotoSize:
    def size_of(image_id: ImageId) -> tuple[int, int]:
        known = known_as(image_id)
        image = images[known] if known is not None else None
        if image is None or image.width is None or image.height is None:
            raise InputError(f"annotations: expected width and height of the photo {image_id!r}, got none")
        return image.width, image.height

    return size_of
