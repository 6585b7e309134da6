"""COCO annotation files: photos, annotated people, and the layout that the file's categories name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, quoted
from posefix.files import read_json
from posefix.pose.poses import BoolArray, FloatArray, ImageId, Rows
from posefix.pose_files.pose_file import FormatError
from posefix.pose_files.records import BOX_SIDES, Records, report_fault
from posefix.skeletons import Skeleton, keypoint_category, skeleton_from_coco

AREA_OF_BOX = 0.53
"""A person's area as a share of the box, where a file has no areas: that of COCO's people on average."""


@dataclass(frozen=True)
class ImageInfo:
    """What a file says about a photo; None where it does not say it.

    Attributes:
        file_name: Name of the photo.
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
    """

    path: Path
    images: dict[ImageId, ImageInfo]
    people: PersonAnnotations
    skeleton: Skeleton

    def __repr__(self) -> str:
        return f"Annotations({len(self.people)} people of {self.skeleton.name} in {len(self.images)} photos)"


def read_annotations(path: str | Path) -> Annotations:
    """Read a COCO keypoint annotation file.

    The layout is the one that the category with ``keypoints`` names (see `skeleton_from_coco`); annotations
    of other categories are left out.

    Raises:
        InputError: The file is faulty or annotates nobody; names file, record (from 0) and field.
    """
    annotations = parse_annotations(read_object(path), Path(path))
    if not len(annotations.people):
        raise InputError(f"{path}, field 'annotations': expected annotated people, got none.")
    return annotations


def parse_annotations(content: Mapping[str, Any], path: Path) -> Annotations:
    """The annotations of a parsed file; they may be of nobody.

    Raises:
        InputError: The file is faulty; names file, record (from 0) and field.
    """
    skeleton = skeleton_from_coco(keypoint_category(content, str(path)), path.name)
    images = _images(content, path)
    return Annotations(path, images, _people(keypoint_records(content, path), images, skeleton), skeleton)


def keypoint_triples(records: Records, skeleton: Skeleton) -> FloatArray:
    """(N, K, 3): x, y and visibility of each keypoint.

    Raises:
        FormatError: A list is missing, has another length or holds something that is not a finite number.
    """
    names = [f"{what} of {name}" for name in skeleton.keypoint_names for what in ("x", "y", "visibility")]
    return records.number_lists("keypoints", names).reshape(-1, len(skeleton), 3)


def keypoint_records(content: Mapping[str, Any], path: Path) -> Records:
    """The annotations of the category that names keypoints.

    Raises:
        InputError: The file has no such category or no list of annotations.
    """
    person = keypoint_category(content, str(path)).get("id")
    records = listed_records(content, path, "annotations", "annotation")
    return records.choose([row.get("category_id", person) == person for row in records.rows])


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


def read_object(path: str | Path) -> Mapping[str, Any]:
    """Parse a file that must hold an object.

    Raises:
        InputError: It cannot be read, is not JSON, or holds something else.
    """
    return as_object(read_json(path), path)


def as_object(content: Any, path: str | Path) -> Mapping[str, Any]:
    """Check that a parsed file holds an object.

    Raises:
        InputError: It holds something else.
    """
    if not isinstance(content, dict):
        got = "a list; are these results?" if isinstance(content, list) else f"{quoted(content)}."
        raise InputError(f"{path}: expected an object with 'images' and 'annotations', got {got}")
    return content


def listed_records(content: Mapping[str, Any], path: Path, field: str, noun: str) -> Records:
    """The records of one of a file's lists.

    Raises:
        InputError: There is no such list, or it holds something else than objects.
    """
    rows = content.get(field)
    if not isinstance(rows, list):
        message = f"{path}, field {field!r}: expected a list, got {quoted(rows)}."
        report_fault(FormatError(message, "Write a list, be it empty."))
        rows = []
    return Records(path, noun, rows)


def _images(content: Mapping[str, Any], path: Path) -> dict[ImageId, ImageInfo]:
    records = listed_records(content, path, "images", "image")
    records.check_texts("file_name")
    infos = {}
    crowd_index = records.numbers_where_given("crowdIndex")
    for number, (image_id, row) in enumerate(zip(records.unique_ids(), records.rows, strict=True)):
        if not isinstance(row.get("file_name"), str):
            raise records.fault(number, "file_name", "a text")
        for field in ("width", "height"):
            if not isinstance(row.get(field), int | None):
                raise records.fault(number, field, "a whole number")
        crowding = None if np.isnan(crowd_index[number]) else float(crowd_index[number])
        infos[image_id] = ImageInfo(row["file_name"], row.get("width"), row.get("height"), crowding)
    return infos


def _people(records: Records, images: Mapping[ImageId, ImageInfo], skeleton: Skeleton) -> PersonAnnotations:
    triples = keypoint_triples(records, skeleton)
    visibility = triples[..., 2]
    if (bad := np.argwhere(~np.isin(visibility, (0, 1, 2)))).size:
        row, keypoint = bad[0]
        what = f"visibility of {skeleton.keypoint_names[keypoint]}"
        got = visibility[row, keypoint]
        raise InputError(f"{records.where(row, 'keypoints')}, {what}: expected 0, 1 or 2, got {got:g}.")
    image_ids = records.ids("image_id")
    if unknown := [number for number, image_id in enumerate(image_ids) if image_id not in images]:
        raise records.fault(unknown[0], "image_id", "the id of an image of this file")
    bbox_xywh = records.number_lists("bbox", BOX_SIDES)
    lacks_area = np.array([row.get("area") is None for row in records.rows], dtype=np.bool_)
    area = AREA_OF_BOX * bbox_xywh[:, 2] * bbox_xywh[:, 3]
    area[~lacks_area] = records.choose(~lacks_area).numbers("area")
    if (negative := np.flatnonzero(area < 0)).size:
        raise records.fault(int(negative[0]), "area", "0 or more square pixels")
    return PersonAnnotations(
        keypoints=np.ascontiguousarray(triples[..., :2]),
        visibility=visibility.astype(np.int8),
        area=area,
        bbox_xywh=bbox_xywh,
        image_ids=image_ids,
        ids=records.unique_ids(),
        is_crowd=np.array([bool(row.get("iscrowd")) for row in records.rows], dtype=np.bool_),
        area_is_estimated=bool(lacks_area.any()),
        num_keypoints=records.numbers_where_given("num_keypoints"),
        head_size=records.numbers_where_given("head_size"),
    )
