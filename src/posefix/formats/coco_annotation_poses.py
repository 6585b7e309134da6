"""COCO annotation files as files of poses: the people in them refined in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from posefix.formats.coco_annotation_writing import write
from posefix.formats.coco_annotations import as_object
from posefix.formats.coco_people import labelled_records
from posefix.formats.coco_wholebody import Part, layout_of, part_lengths, part_triples, parts_of
from posefix.pose.poses import LARGEST_NUMBER, BoolArray, FloatArray, ImageId, Poses
from posefix.pose_files.gaps import without_gaps
from posefix.pose_files.json_text import REMOVED, JsonText, Place
from posefix.pose_files.pose_file import (
    Contents,
    Format,
    PoseFile,
    Reading,
    Source,
    boxes_to_write,
    check_same_poses,
    differs,
    needs_new_box,
    numbers_to_write,
    rows_left_out,
    visibility_of,
)
from posefix.pose_files.records import BOX_SIDES, Record, Records, id_or_none, ids_as_known
from posefix.skeletons import Skeleton

NAME = "coco-annotations"


def recognise(source: Source) -> str | None:
    """Why a source is a COCO annotation file: an object with the lists `images`, `annotations` and `categories`."""
    content = source.opening
    if isinstance(content, dict) and "annotations" in content and {"images", "categories"} & set(content):
        return "an object with 'annotations' and 'images' or 'categories'"
    return None


def read(source: Source, reading: Reading) -> PoseFile:
    """Read the people of an annotation file as poses, to refine what was annotated or estimated there in place.

    A keypoint is there if its visibility is above 0. Visibility is no score: all keypoints and poses get the score 1,
    and none is written. People of a category without keypoints are left alone.

    Raises:
        FormatError: The file is faulty; names file, annotation (from 0) and field.
    """
    text, path = source.document, source.path
    content = as_object(text.root, path)
    _check_ids_of_images(content, path)
    labelled = labelled_records(
        content,
        path,
        reading.skeleton,
        reading.category,
        overrule=True,
        lengths_of=_lengths_of(reading.skeleton),
    )
    records, file_names = labelled.records, file_names_of(content)
    skeleton = reading.skeleton or layout_of(records.rows, labelled.skeleton)
    parts = parts_of(records.rows, skeleton)
    triples, tracks = part_triples(records, parts, skeleton), records.tracks("track_id")
    whole = without_gaps(triples)
    visible = whole[..., 2] > 0
    poses = Poses(
        keypoints=whole[..., :2],
        scores=visible.astype(np.float64),
        valid=visible,
        image_ids=ids_as_known(records.ids("image_id"), file_names),
        pose_scores=np.ones(len(records.rows)),
        skeleton=skeleton,
    )
    return PoseFile(
        path,
        NAME,
        poses,
        _Rewrite(text, records, parts, poses, triples),
        tracks=tracks if any(track is not None for track in tracks) else None,
        boxes=boxes_of(records),
        notes=(*_notes(parts), *labelled.notes),
        left_out=labelled.left_out,
        file_names=file_names or None,
        has_scores=False,
        visibility=whole[..., 2],
    )


FORMAT = Format(
    NAME,
    "COCO annotations: an object with images, annotations and categories",
    recognise,
    read,
    write,
    one_file=True,
)


@dataclass(frozen=True, eq=False)
class _Rewrite:
    """The file with other poses; see `posefix.pose_files.pose_file.Rewrite`."""

    text: JsonText
    records: Records
    parts: Sequence[Part]
    poses: Poses
    triples: FloatArray

    def __call__(
        self, poses: Poses, *, keep: Sequence[int] | None = None, update_boxes: bool = False
    ) -> Contents:
        check_same_poses(self.text.path, poses, self.poses)
        written = visible_triples_to_write(poses, self.triples, self.poses.valid, visibility_of(poses.scores))
        changed = np.any(differs(written, self.triples), axis=(1, 2))
        boxes = new_boxes(poses, written, self.triples, self.text.root) if update_boxes else {}
        edits: dict[Place, Any] = {}
        slices = [slice(part.start, part.stop) for part in self.parts]
        differing = [(written[:, own] != self.triples[:, own]).any(axis=(1, 2)) for own in slices]
        counts = poses.valid[:, : self.parts[0].stop].sum(axis=1).tolist()
        for row in np.flatnonzero(changed).tolist():
            place = ("annotations", self.records.place(row))
            for part, own, differs_here in zip(self.parts, slices, differing, strict=True):
                if differs_here[row]:
                    edits[(*place, part.field)] = flat_numbers(written[row, own])
            if "num_keypoints" in self.records.rows[row]:  # of a whole body, those of the body
                edits[(*place, "num_keypoints")] = counts[row]
            if row in boxes and self.records.rows[row].get("bbox"):
                edits[(*place, "bbox")] = boxes[row]
        return {"": self.text.edited({**edits, **removals(self.records, keep, edits)}).encode()}


def _lengths_of(skeleton: Skeleton | None) -> Callable[[Records], list[int]]:
    """How many numbers people have who are read in a layout that was named."""

    def lengths_of(records: Records) -> list[int]:
        return (
            part_lengths(records, parts_of(records.rows, skeleton))
            if skeleton
            else records.lengths("keypoints")
        )

    return lengths_of


def _notes(parts: Sequence[Part]) -> tuple[str, ...]:
    notes = ["annotations have no scores: only keypoints, and boxes if asked, are written"]
    if len(parts) > 1:
        notes.append(f"feet, face and hands are in {', '.join(part.field for part in parts[1:])}")
    return tuple(notes)


def removals(records: Records, keep: Sequence[int] | None, edits: dict[Place, Any]) -> dict[Place, Any]:
    """Edits that take annotations out of the file; other edits of these are dropped from `edits`.

    Args:
        records: Annotations.
        keep: Which of them stay; None keeps all.
        edits: Edits of the annotations.
    """
    places = {records.place(row) for row in rows_left_out(len(records.rows), keep).tolist()}
    for edited in [edited for edited in edits if edited[1] in places]:
        del edits[edited]
    return {("annotations", place): REMOVED for place in sorted(places)}


def visible_triples_to_write(
    poses: Poses, before: FloatArray, was_valid: BoolArray, visibility: FloatArray
) -> FloatArray:
    """(N, K, 3) x, y, visibility as they are written; keypoints that are gone become 0, 0, 0.

    Args:
        poses: The new poses.
        before: (N, K, 3) the file's numbers as read.
        was_valid: (N, K) which keypoints were there.
        visibility: (N, K) of a keypoint if it was filled in.
    """
    after = np.concatenate([poses.keypoints, before[..., 2:]], axis=-1)
    after[..., 2] = np.where(poses.valid & ~was_valid, visibility, after[..., 2])
    written = np.where(poses.valid[..., None], numbers_to_write(before, after), before)
    written[was_valid & ~poses.valid] = 0.0
    return written


def flat_numbers(triples: FloatArray) -> list[float]:
    """One person's triples (K, 3) as a file has them: in one list, whole visibilities as whole numbers.

    Trackers put scores in the place of visibilities, which stay as they are.
    """
    return [
        number
        for x, y, seen in triples.tolist()
        for number in (x, y, int(seen) if seen.is_integer() else seen)
    ]


def boxes_of(*lists: Records) -> FloatArray | None:
    """bbox_xywh (N, 4) of the people of some lists, NaN where there is none; None where nobody has one.

    Raises:
        FormatError: One is faulty.
    """
    boxes = np.concatenate([records.lists_where_given("bbox", BOX_SIDES) for records in lists])
    return boxes if np.isfinite(boxes).any() else None


def file_names_of(*contents: Mapping[str, Any]) -> dict[ImageId, str]:
    """Photo of each image id, of the images that have an id; none where no image has a name, as a file of poses may.

    Among images with names, one without is found by its id all the same, as where none has a name.
    """
    images = [image for content in contents for image in _images_of(content).values()]
    if not any(isinstance(image.get("file_name"), str) for image in images):
        return {}
    named = ((id_or_none(image["id"]), image.get("file_name")) for image in images)
    names = {known: str(known) if name is None else name for known, name in named if known is not None}
    return {known: name for known, name in names.items() if isinstance(name, str)}


def _check_ids_of_images(content: Mapping[str, Any], path: Path) -> None:
    """Refuse an id of two photos, as in sets that somebody put together: people would be looked for in the wrong one.

    A photo that is listed again, with the same name, is no fault here.

    Raises:
        FormatError: Images with one id have different names.
    """
    images = _images_of(content)
    first: dict[tuple[ImageId | None, str], int] = {}
    for place, image in images.items():
        first.setdefault((id_or_none(image["id"]), str(image.get("file_name"))), place)
    places = list(first.values())
    Records(path, "image", [images[place] for place in places], places).unique_ids()


def new_boxes(
    poses: Poses, written: FloatArray, before: FloatArray, content: Mapping[str, Any]
) -> dict[int, list[float]]:
    """Row -> bbox_xywh of each person who needs a new one, cut at the photo's edges where `content` says its size.

    Args:
        poses: The new poses.
        written: See `posefix.pose_files.pose_file.needs_new_box`.
        before: The same.
        content: The file's, with `images`.
    """
    boxes = boxes_to_write(poses, _sizes_of_images(content, poses.image_ids))
    return {
        row: boxes[row].tolist() for row in np.flatnonzero(needs_new_box(poses, written, before)).tolist()
    }


def _sizes_of_images(content: Mapping[str, Any], image_ids: Sequence[ImageId]) -> FloatArray:
    """(N, 2) width and height in pixels of each pose's photo; NaN where the images do not say them."""
    sizes = {image["id"]: [image.get("width"), image.get("height")] for image in _images_of(content).values()}
    known = {image_id: size for image_id, size in sizes.items() if all(map(_is_side, size))}
    unknown = [np.nan, np.nan]
    return np.array([known.get(image_id, unknown) for image_id in image_ids], np.float64).reshape(-1, 2)


def _images_of(content: Mapping[str, Any]) -> dict[int, Record]:
    """The images that have an id, by their places in the list."""
    images = content.get("images")
    listed = enumerate(images if isinstance(images, list) else [])
    found = {place: image for place, image in listed if isinstance(image, dict)}
    return {place: image for place, image in found.items() if id_or_none(image.get("id")) is not None}


def _is_side(value: Any) -> bool:
    return isinstance(value, int | float) and 0 < value < LARGEST_NUMBER
