"""COCO annotation files: photos, annotated people, and the layout that the file's categories name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, Where, plural, quoted
from posefix.files import file_ending, read_json, without_collection
from posefix.formats.coco_people import (
    NO_CATEGORIES,
    AnnotatedCategories,
    LabelledRecords,
    labelled_records,
    listed_records,
)
from posefix.pose import geometry
from posefix.pose.poses import BoolArray, FloatArray, ImageId, Rows
from posefix.pose_files.corners import check_sides
from posefix.pose_files.gaps import without_gaps
from posefix.pose_files.number_lists import is_gap
from posefix.pose_files.pose_file import FormatError
from posefix.pose_files.records import (
    BOX_SIDES,
    NO_ID,
    Records,
    id_or_none,
    ids_as_known,
    is_whole_number,
    report_fault,
)
from posefix.pose_files.units import check_pixels
from posefix.skeletons import Skeleton, called, categories_of, load_skeleton

VISIBILITIES = (0, 1, 2)
LABELS_OTHERWISE = frozenset({".csv", ".h5", ".mat", ".nwb", ".slp", ".txt", ".xml"})
"""Endings of labels of other programs."""
OTHERS = "are these results? `posefix convert` makes annotations of other labels (--to coco-annotations)."
AREA_OF_BOX = 0.53
"""A person's area as a share of the box, where a file has no areas: that of COCO's people on average."""


@dataclass(frozen=True)
class ImageInfo:
    """What a file says about a photo; None where it does not say it.

    Attributes:
        file_name: Name of the photo; its id where the file says no name.
        width: Pixels.
        height: Pixels.
        crowd_index: How much people hide each other, 0 to 1, as CrowdPose's annotations say.
    """

    file_name: str
    width: int | None
    height: int | None
    crowd_index: float | None = None


@dataclass(frozen=True, eq=False)
class PersonAnnotations:
    """Annotated people, one row each, in the file's order.

    Attributes:
        keypoints: (N, K, 2) float64, x and y in pixels of the original photo.
        visibility: (N, K) int8: 0 not labelled, 1 labelled but hidden, 2 visible.
        area: (N,) float64, square pixels of the person.
        bbox_xywh: (N, 4) float64, pixels of the original photo.
        image_ids: Photo of each person.
        ids: Id of each annotation.
        is_crowd: (N,) bool, True for a region with many people.
        area_is_estimated: Whether an area was missing and `AREA_OF_BOX` of the box is used instead.
        num_keypoints: (N,) what the file says, NaN where it says nothing. Whoever has 0 of them does not count, as in
            COCO's evaluation, whatever is labelled: CrowdPose counts visible keypoints only.
        head_size: (N,) pixels, the unit of PCKh; NaN where the file does not say it.
    """

    keypoints: FloatArray
    visibility: npt.NDArray[np.int8]
    area: FloatArray
    bbox_xywh: FloatArray
    image_ids: tuple[ImageId, ...]
    ids: tuple[ImageId, ...]
    is_crowd: npt.NDArray[np.bool_]
    area_is_estimated: bool
    num_keypoints: FloatArray
    head_size: FloatArray

    def __len__(self) -> int:
        return len(self.ids)

    def counted(self, columns: Rows | slice = slice(None)) -> BoolArray:
        """(N,) whom COCO's evaluation counts: no crowd, and somebody with a label on one of the keypoints `columns`."""
        labelled = (self.visibility[:, columns] > 0).any(axis=1)
        return np.asarray(labelled & ~self.is_crowd & (self.num_keypoints != 0), dtype=np.bool_)


@dataclass(frozen=True, eq=False)
class Annotations:
    """An annotation file.

    Attributes:
        path: The file.
        images: Photos by id.
        people: Annotated people.
        skeleton: Layout of the people's keypoints.
        notes: What a user should know of how the file was read.
        left_out: A line on annotations of other categories, who are nobody here.
        categories: Those of the file, which tell of whom results are.
    """

    path: Path
    images: dict[ImageId, ImageInfo]
    people: PersonAnnotations
    skeleton: Skeleton
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    categories: AnnotatedCategories = NO_CATEGORIES

    def __repr__(self) -> str:
        people, photos = plural(len(self.people), "person"), plural(len(self.images), "photo")
        return f"Annotations({people} of {self.skeleton.name} in {photos})"


def read_annotations(
    path: str | Path,
    layout: Skeleton | str | Path | None = None,
    category: str | None = None,
    *,
    overrule: bool = False,
) -> Annotations:
    """Read a COCO keypoint annotation file.

    The layout is the one that the category with ``keypoints`` names (see `posefix.skeletons.skeleton_from_coco`);
    annotations of other categories are left out, and `Annotations.left_out` tells how many.

    Args:
        path: The file.
        layout: Skeleton of the people, where the file does not name their keypoints, or names as many as nobody has.
        category: Name of the category that is meant, where several name different keypoints.
        overrule: Whether the layout is taken for keypoints that the file names, too, if it has none of them elsewhere.

    Raises:
        InputError: The file is faulty or annotates nobody; names file, record (from 0) and field.
    """
    skeleton = layout if layout is None or isinstance(layout, Skeleton) else load_skeleton(layout)
    with without_collection():
        annotations = parse_annotations(read_object(path), Path(path), skeleton, category, overrule=overrule)
    check_places(annotations)
    if not len(annotations.people):
        raise nobody_annotated(annotations)
    return annotations


def check_places(annotations: Annotations) -> None:
    """Refuse annotations in another unit than pixels, or whose areas would be made of boxes that are corners.

    Raises:
        InputError: They are such.
    """
    path, people = annotations.path, annotations.people
    check_pixels(path, people.keypoints, people.visibility > 0)
    if people.area_is_estimated:  # else boxes are not needed
        check_sides(path, people.bbox_xywh, people.keypoints, people.visibility > 0)


def nobody_annotated(annotations: Annotations) -> InputError:
    """The error for a file without people."""
    why = f" ({'; '.join(annotations.left_out)})" if annotations.left_out else ""
    where = Where(annotations.path, field="annotations")
    return FormatError.at(where, f"expected annotated people, got none{why}.")


def parse_annotations(
    content: Mapping[str, Any],
    path: Path,
    layout: Skeleton | None = None,
    category: str | None = None,
    *,
    overrule: bool = False,
) -> Annotations:
    """The annotations of a parsed file; they may be of nobody.

    Args:
        content: The parsed file.
        path: The file.
        layout: As of `read_annotations`.
        category: The same.
        overrule: The same.

    Raises:
        InputError: The file is faulty; names file, record (from 0) and field.
    """
    labelled = labelled_records(content, path, layout, category, overrule=overrule)
    images = _images(content, path)
    people = _people(labelled, images)
    notes = (*labelled.notes, *_uncounted(people))
    return Annotations(path, images, people, labelled.skeleton, notes, labelled.left_out, labelled.categories)


def _uncounted(people: PersonAnnotations) -> tuple[str, ...]:
    """A line on people with labels of whom the file says that they have none."""
    denied = (people.num_keypoints == 0) & (people.visibility > 0).any(axis=1) & ~people.is_crowd
    count = int(denied.sum())
    return (
        (f"people with num_keypoints 0, who do not count whatever is labelled: {count:,}",) if count else ()
    )


def read_image_infos(path: str | Path) -> dict[ImageId, ImageInfo]:
    """The photos that a COCO file lists, by id; the file needs no annotations.

    Raises:
        InputError: The file is faulty; names file, record (from 0) and field.
    """
    path = Path(path)
    return _images(read_object(path), path)


def read_file_names(path: str | Path | None) -> dict[ImageId, str] | None:
    """Name of the photo of each image id that a COCO file lists; None where there is no such file.

    Raises:
        InputError: The file is faulty; names file, record (from 0) and field.
    """
    if path is None:
        return None
    return {image_id: image.file_name for image_id, image in read_image_infos(path).items()}


def read_category_names(path: str | Path | None) -> dict[ImageId, str]:
    """Name of each category id that a COCO file lists; none where there is no such file.

    Raises:
        InputError: The file is faulty.
    """
    if path is None:
        return {}
    ids = ((id_or_none(one.get("id")), one) for one in categories_of(read_object(path), str(path)))
    return {known: called(one) for known, one in ids if known is not None}


def read_object(path: str | Path) -> Mapping[str, Any]:
    """Parse a file that must hold an object.

    Raises:
        InputError: It cannot be read, is not JSON, or holds something else.
    """
    if file_ending(path) in LABELS_OTHERWISE and Path(path).is_file():
        raise InputError(f"{path}: expected COCO's annotations, which are JSON; {OTHERS}", Where(Path(path)))
    return as_object(read_json(path), path)


def as_object(content: Any, path: str | Path) -> Mapping[str, Any]:
    """Check that a parsed file holds an object.

    Raises:
        InputError: It holds something else.
    """
    if not isinstance(content, dict):
        got = f"a list; {OTHERS}" if isinstance(content, list) else f"{quoted(content)}."
        raise InputError(f"{path}: expected an object with 'images' and 'annotations', got {got}")
    return content


def _images(content: Mapping[str, Any], path: Path) -> dict[ImageId, ImageInfo]:
    records = listed_records(content, path, "images", "image")
    records.check_texts("file_name")
    crowd_index = records.numbers_where_given("crowdIndex")
    infos: dict[ImageId, ImageInfo] = {}
    for number, (image_id, row) in enumerate(zip(records.unique_ids(), records.rows, strict=True)):
        name = str(image_id) if row.get("file_name") is None else row["file_name"]
        if not isinstance(name, str):
            report_fault(records.fault(number, "file_name", "a text"))
        width, height = (_side(records, number, side) for side in ("width", "height"))
        crowding = None if np.isnan(crowd_index[number]) else float(crowd_index[number])
        infos[image_id] = ImageInfo(str(name), width, height, crowding)
    return infos


def _side(records: Records, number: int, side: str) -> int | None:
    value = records.rows[number].get(side)
    if is_whole_number(value):
        return int(value)
    if value is not None:
        report_fault(records.fault(number, side, "a whole number"))
    return None


def _people(labelled: LabelledRecords, images: Mapping[ImageId, ImageInfo]) -> PersonAnnotations:
    records, triples = labelled.records, without_gaps(labelled.triples())
    visibility = triples[..., 2]
    for row, keypoint in np.argwhere(~np.isin(visibility, VISIBILITIES)).tolist():
        where = records.where(row, "keypoints", f"visibility of {labelled.skeleton.keypoint_names[keypoint]}")
        report_fault(FormatError.at(where, f"expected 0, 1 or 2, got {visibility[row, keypoint]:g}."))
    image_ids = ids_as_known(records.ids("image_id"), images)
    for number, image_id in enumerate(image_ids):
        if image_id not in images and image_id != NO_ID:
            report_fault(records.fault(number, "image_id", "the id of an image of this file"))
    bbox_xywh, area, is_estimated = _boxes_and_areas(records, triples)
    return PersonAnnotations(
        keypoints=np.ascontiguousarray(triples[..., :2]),
        visibility=visibility.astype(np.int8),
        area=area,
        bbox_xywh=bbox_xywh,
        image_ids=image_ids,
        ids=records.unique_ids(),
        is_crowd=_crowds(records),
        area_is_estimated=is_estimated,
        num_keypoints=records.numbers_where_given("num_keypoints"),
        head_size=records.numbers_where_given("head_size"),
    )


def _crowds(records: Records) -> npt.NDArray[np.bool_]:
    """(N,): a field that is 0 or 1, false or true, or not there; a text would count as a crowd, whatever it says."""
    values = [row.get("iscrowd") for row in records.rows]
    for number in records.asked():
        value = values[number]
        if not (isinstance(value, bool) or is_gap(value) or is_whole_number(value)):
            report_fault(records.fault(number, "iscrowd", "0 or 1"))
    return np.array([bool(value) and not is_gap(value) for value in values], dtype=np.bool_)


def _boxes_and_areas(records: Records, triples: FloatArray) -> tuple[FloatArray, FloatArray, bool]:
    """bbox_xywh (N, 4) and area (N,) of each person, and whether an area is `AREA_OF_BOX` of the box.

    Who has an area and no box has the box around the labelled keypoints; who has neither is a fault.
    """
    lacks_area = np.array([row.get("area") is None for row in records.rows], dtype=np.bool_)
    boxes = records.lists_where_given("bbox", BOX_SIDES)
    lacks_both = np.isnan(boxes).any(axis=1) & lacks_area
    for number in records.asked():
        if lacks_both[number]:
            report_fault(records.fault(number, "bbox", "a list of 4 numbers, or a field 'area'"))
    tight = geometry.box_from_keypoints(triples[..., :2], triples[..., 2] > 0)
    boxes = np.where(np.isnan(boxes), geometry.enlarge(tight, geometry.KEYPOINT_BOX_FACTOR), boxes)
    area = AREA_OF_BOX * boxes[:, 2] * boxes[:, 3]
    area[~lacks_area] = records.choose(~lacks_area).numbers("area")
    for number in np.flatnonzero(area < 0).tolist():
        report_fault(records.fault(number, "area", "0 or more square pixels"))
    return boxes, area, bool(lacks_area.any())
