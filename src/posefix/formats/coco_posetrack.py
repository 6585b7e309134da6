"""PoseTrack 2018 annotations: COCO files, one for each video, with head boxes and regions to ignore.

Layout of the files as in https://github.com/leonid-pishchulin/poseval and the data set itself; images name their
regions in ``ignore_regions_x`` and ``ignore_regions_y``, people their head box in ``bbox_head``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from posefix.errors import InputError, Where, plural, quoted
from posefix.files import write_text_atomic
from posefix.formats.coco_annotations import (
    AREA_OF_BOX,
    Annotations,
    PersonAnnotations,
    check_places,
    parse_annotations,
    read_object,
)
from posefix.formats.coco_people import labelled_records
from posefix.pose import geometry
from posefix.pose.poses import FloatArray, ImageId
from posefix.pose_files.records import BOX_SIDES, Record, Records, report_fault

NO_BOX = [0, 0, 0, 0]


@dataclass(frozen=True)
class Video:
    """One file: the frames of a video, all of them, whether somebody is annotated or not.

    Attributes:
        file_name: Of the file; results of the video have the same.
        images: The frames, as parsed.
        categories: What the file says about keypoints, as parsed.
    """

    file_name: str
    images: Sequence[Record]
    categories: Sequence[Record]

    @property
    def image_ids(self) -> tuple[ImageId, ...]:
        """Ids of the frames."""
        return tuple(image["id"] for image in self.images)


@dataclass(frozen=True, eq=False)
class PoseTrackAnnotations:
    """The annotations of several videos.

    Attributes:
        annotations: The people and frames of all videos. A keypoint with coordinates is labelled, whatever its
            visibility, as in poseval; a person without ``bbox`` has the box around the labelled keypoints.
        head_boxes_xywh: (N, 4) pixels, one for each person; NaN where the file has none.
        ignore_regions: Corners (V, 2) in pixels of each polygon that a frame names.
        videos: The files, by name.
    """

    annotations: Annotations
    head_boxes_xywh: FloatArray
    ignore_regions: Mapping[ImageId, tuple[FloatArray, ...]]
    videos: tuple[Video, ...]

    def __repr__(self) -> str:
        return f"PoseTrackAnnotations({plural(len(self.videos), 'video')}, {self.annotations!r})"


def read_posetrack_annotations(path: str | Path) -> PoseTrackAnnotations:
    """Read PoseTrack 2018 annotations.

    Args:
        path: A folder with one JSON file for each video, or one such file.

    Raises:
        InputError: There is no such file, one is faulty, two hold the same image or annotation id or name different
            keypoints, or nobody is annotated.
    """
    path = Path(path)
    parts = [_read_video(file) for file in video_files(path)]
    first = parts[0].annotations
    for part in parts:
        if part.annotations.skeleton != first.skeleton:
            raise InputError(
                f"{part.annotations.path}, field 'categories': expected the keypoints of {first.path}, got "
                f"{', '.join(part.annotations.skeleton.keypoint_names)}."
            )
    check_unique((part.annotations.path, "image", part.annotations.images) for part in parts)
    check_unique((part.annotations.path, "annotation", part.annotations.people.ids) for part in parts)
    people = _join_people([part.annotations.people for part in parts])
    if not len(people):
        raise InputError(f"{path}: expected annotated people, got none in {plural(len(parts), 'video')}.")
    images = {key: image for part in parts for key, image in part.annotations.images.items()}
    return PoseTrackAnnotations(
        Annotations(path, images, people, first.skeleton),
        np.concatenate([part.head_boxes_xywh for part in parts]),
        {key: regions for part in parts for key, regions in part.ignore_regions.items()},
        tuple(video for part in parts for video in part.videos),
    )


def write_merged_annotations(path: str | Path, truth: PoseTrackAnnotations) -> None:
    """Write the annotations of all videos as one COCO file, for training, pictures and COCO's own metric.

    Raises:
        InputError: The file cannot be written.
    """
    people = truth.annotations.people
    triples = np.concatenate([people.keypoints, people.visibility[..., None]], axis=-1)
    rows: list[Record] = [
        {
            "id": people.ids[row],
            "image_id": people.image_ids[row],
            "category_id": 1,
            "keypoints": triples[row].ravel().tolist(),
            "num_keypoints": int((people.visibility[row] > 0).sum()),
            "bbox": people.bbox_xywh[row].tolist(),
            "iscrowd": int(people.is_crowd[row]),
        }
        for row in range(len(people))
    ]
    if not people.area_is_estimated:  # PoseTrack has no areas; readers estimate what is missing, and say so
        for row, area in zip(rows, people.area.tolist(), strict=True):
            row["area"] = area
    names = list(truth.annotations.skeleton.keypoint_names)
    content = {
        "images": [image for video in truth.videos for image in video.images],
        "annotations": rows,
        "categories": [{"id": 1, "name": "person", "keypoints": names, "skeleton": []}],
    }
    write_text_atomic(path, json.dumps(content) + "\n")


def video_files(path: Path) -> list[Path]:
    """The JSON files of a folder by name, or the one file that is given.

    Raises:
        InputError: There is none.
    """
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.glob("*.json") if not file.name.startswith("."))
    if not files:
        raise InputError(f"{path}: expected a folder with one JSON file for each video, got no such file.")
    return files


def check_unique(parts: Iterable[tuple[Path, str, Iterable[ImageId]]]) -> None:
    """Refuse an id that two files hold.

    Args:
        parts: File, what the ids are of, and the ids; unique within the file.

    Raises:
        InputError: Names the id and both files.
    """
    owner: dict[ImageId, Path] = {}
    for path, noun, ids in parts:
        for one in ids:
            if owner.setdefault(one, path) != path:
                report_fault(
                    InputError(
                        f"{path}: {noun} id {one!r} is also in {owner[one]}; give each video's {noun}s their own ids.",
                        Where(path),
                    )
                )


def _read_video(path: Path) -> PoseTrackAnnotations:
    content = dict(read_object(path))
    rows = content.get("annotations")
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        content["annotations"] = [{"bbox": NO_BOX, **row} for row in rows]
    annotations = parse_annotations(content, path)
    check_places(annotations)
    people = _as_poseval_reads(annotations.people)
    return PoseTrackAnnotations(
        replace(annotations, people=people),
        labelled_records(content, path).records.lists_where_given("bbox_head", BOX_SIDES),
        _ignore_regions(Records(path, "image", content["images"])),
        (Video(path.name, content["images"], content["categories"]),),
    )


def _as_poseval_reads(people: PersonAnnotations) -> PersonAnnotations:
    """The same people: what has coordinates is labelled, and who has no box gets one."""
    hidden = (people.visibility == 0) & (people.keypoints != 0).any(axis=-1)
    visibility = np.where(hidden, np.int8(1), people.visibility)
    boxes, area = people.bbox_xywh.copy(), people.area.copy()
    lacks_box = (boxes == 0).all(axis=1)
    tight = geometry.box_from_keypoints(people.keypoints, visibility > 0)
    boxes[lacks_box] = geometry.enlarge(tight, geometry.KEYPOINT_BOX_FACTOR)[lacks_box]
    lacks_area = lacks_box & (area == 0)
    area[lacks_area] = AREA_OF_BOX * boxes[lacks_area, 2:].prod(axis=1)
    return replace(people, visibility=visibility, bbox_xywh=boxes, area=area)


def _ignore_regions(records: Records) -> dict[ImageId, tuple[FloatArray, ...]]:
    regions = {}
    for number, row in enumerate(records.rows):
        across, down = (
            _polygons(records, number, field) for field in ("ignore_regions_x", "ignore_regions_y")
        )
        if list(map(len, across)) != list(map(len, down)):
            raise records.fault(number, "ignore_regions_y", "as many numbers as in 'ignore_regions_x'")
        if across:
            regions[row["id"]] = tuple(np.stack(pair, axis=-1) for pair in zip(across, down, strict=True))
    return regions


def _polygons(records: Records, number: int, field: str) -> list[FloatArray]:
    value = records.rows[number].get(field) or []
    lists = value if isinstance(value, list) else [value]
    if not all(isinstance(polygon, list) and all(map(_is_number, polygon)) for polygon in lists):
        where = records.where(number, field)
        raise InputError(f"{where}: expected lists of numbers, one for each region, got {quoted(value)}.")
    return [np.array(polygon, dtype=np.float64) for polygon in lists]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def _join_people(parts: Sequence[PersonAnnotations]) -> PersonAnnotations:
    values: dict[str, Any] = {}
    for field in fields(PersonAnnotations):
        each = [getattr(part, field.name) for part in parts]
        if isinstance(each[0], tuple):
            values[field.name] = tuple(item for items in each for item in items)
        elif isinstance(each[0], bool):
            values[field.name] = any(each)
        else:
            values[field.name] = np.concatenate(each)
    return PersonAnnotations(**values)
