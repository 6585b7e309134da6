"""Poses that are compared with annotations: an estimator's names of photos become the annotations' ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from posefix.errors import InputError, Where, listed_counts
from posefix.formats import coco_annotation_poses
from posefix.formats.coco_annotations import Annotations, ImageInfo, read_annotations
from posefix.formats.coco_people import AnnotatedCategories
from posefix.formats.coco_posetrack import read_posetrack_annotations
from posefix.formats.coco_row_categories import CATEGORY, UNTOLD
from posefix.interchange.pose_files import Layout, check_pixels, load_layout, read_unchecked
from posefix.photos.finding import id_matcher, is_path
from posefix.pose.poses import ImageId, Poses
from posefix.pose_files.pose_file import FormatError, PhotoSize, PoseFile, Reading
from posefix.pose_files.records import ids_as_known

SHOWN = 5
"""So many categories are named in a message."""


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


@dataclass(frozen=True, eq=False)
class ComparedPoses:
    """The poses of a file that can be compared with annotations.

    Attributes:
        poses: With the image ids of the annotations.
        notes: What a user should know of how they were chosen, a line each.
    """

    poses: Poses
    notes: tuple[str, ...] = ()


def read_annotated_poses(path: str | Path, annotations: Annotations, layout: Layout | None = None) -> Poses:
    """Read the poses of a file of any format, with the image ids of annotations; see `read_compared_poses`."""
    return read_compared_poses(path, annotations, layout).poses


def read_compared_poses(
    path: str | Path, annotations: Annotations, layout: Layout | None = None
) -> ComparedPoses:
    """Read the poses of a file of any format that are of what the annotated people are; see `read_annotated_file`.

    COCO results say by ``category_id`` what they are of. Those of other categories than the people's are left out, as
    by pycocotools; those that do not say it are kept. Where all say the same of `UNTOLD`, and the annotations have no
    such category, who wrote them knew no categories, and all are kept.

    Raises:
        FormatError: As of `read_annotated_file`; or all poses are of other categories.
        InputError: As of `read_annotated_file`.
    """
    file = read_annotated_file(path, annotations, layout, with_boxes=False)
    if file.format == coco_annotation_poses.NAME:
        # Whom nobody labelled in annotations is nobody's estimate.
        return ComparedPoses(file.poses[np.flatnonzero(file.poses.valid.any(axis=1))])
    if file.categories is None or not annotations.categories.people:
        return ComparedPoses(file.poses)
    return _of_people(file.path, file.poses, file.categories, annotations.categories)


def _of_people(
    path: Path, poses: Poses, given: Sequence[ImageId | None], known: AnnotatedCategories
) -> ComparedPoses:
    """The poses of categories that are people in the annotations.

    Raises:
        FormatError: There are poses, all of other categories.
    """
    counts = Counter(given)
    different = [one for one in counts if one is not None]
    as_known = dict(zip(different, ids_as_known(different, known.names), strict=True))
    others = {one for one in different if as_known[one] not in known.people}
    if not others:
        return ComparedPoses(poses)
    wanted = _named(known)
    if len(counts) == 1 and different[0] in UNTOLD and as_known[different[0]] not in known.names:
        note = (
            f"category_id {different[0]} in all rows, which is none of the annotations': taken for {wanted}"
        )
        return ComparedPoses(poses, (note,))
    found: Counter[str] = Counter()
    for one in others:
        found[known.names.get(as_known[one], f"category_id {one!r}")] += counts[one]
    listed = listed_counts(found)
    if len(others) == len(counts):
        problem = (
            f"expected poses of {wanted}, got only others ({listed}); correct the field or leave it out, or choose "
            "their category of the annotations (--category)."
        )
        raise FormatError.at(Where(path, field=CATEGORY), problem)
    kept = np.flatnonzero([one not in others for one in given])
    note = f"poses of other categories, left out: {len(poses) - len(kept):,} ({listed})"
    return ComparedPoses(poses[kept], (note,))


def _named(known: AnnotatedCategories) -> str:
    """The people's categories with their ids, for messages."""
    named = [f"{name} ({one!r})" for one, name in known.names.items() if one in known.people]
    return ", ".join(named[:SHOWN]) + (", ..." if len(named) > SHOWN else "")


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
        InputError: An id names two photos, or two paths one.
    """
    known_as = _known_as(annotations.images)
    reading = Reading(load_layout(layout), photo_size=_sizes(annotations.images, known_as))
    file = read_unchecked(path, reading)
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
    _check_claims(file.path, known)
    # 0 is an id, too.
    ids = {image_id: image_id if found is None else found for image_id, found in known.items()}
    image_ids = tuple(ids[image_id] for image_id in file.poses.image_ids)
    return replace(file, poses=replace(file.poses, image_ids=image_ids))


def _check_claims(path: Path, known: Mapping[ImageId, ImageId | None]) -> None:
    """Refuse two paths for one photo: the poses of another folder's photo would be measured on it, too.

    Args:
        path: The file.
        known: Its ids -> the annotations'.
    """
    claims: dict[ImageId, ImageId] = {}
    for image_id, photo in known.items():
        if photo is None or not is_path(str(image_id)):
            continue
        if (first := claims.setdefault(photo, image_id)) != image_id:
            raise InputError(
                f"{path}: image ids {first!r} and {image_id!r} are two photos, and the annotations know only one that "
                f"fits, of id {photo!r}; give its file_name the photo's folder, or leave the other photo's poses out."
            )


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
