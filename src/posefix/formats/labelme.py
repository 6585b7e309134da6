"""LabelMe: a JSON file for each photo, with a shape for each keypoint.

Fields as in labelme/label_file.py and labelme/shape.py of https://github.com/wkentaro/labelme: `imagePath` and
`shapes`; a keypoint is a shape of type `point`, whose `group_id` tells whose it is, as that of a person's `rectangle`.
Places are pixels from the photo's edge. Other programs (AnyLabeling) add a `score`.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from posefix.errors import quoted
from posefix.files import file_stem
from posefix.photos.names import photo_stems
from posefix.pose.poses import LARGEST_NUMBER, BoolArray, FloatArray, ImageId, Poses, Rows, rows_by_image
from posefix.pose_files.json_numbers import edited_with_numbers
from posefix.pose_files.json_people import Document, documents, json_files, openings
from posefix.pose_files.json_text import REMOVED, Place
from posefix.pose_files.named_points import (
    FROM_EDGE,
    NamedPoint,
    NamedPoints,
    layout_of_labels,
    left_as_they_are,
    of_category,
)
from posefix.pose_files.pose_file import (
    Contents,
    Format,
    FormatError,
    NewFile,
    PoseFile,
    Reading,
    Source,
    boxes_to_write,
    check_same_poses,
    needs_new_box,
)
from posefix.pose_files.records import Record, Records, report_fault

NAME = "labelme"
SHAPES, LABEL, POINTS, GROUP, TYPE, SCORE, PHOTO = (
    "shapes", "label", "points", "group_id", "shape_type", "score", "imagePath",
)  # fmt: skip
POINT, RECTANGLE = "point", "rectangle"
VERSION = "5.5.0"
"""Whose fields new files have."""
PERSON = "person"


class Shape(NamedTuple):
    """A shape: its document and place among the shapes there, and the shape as parsed."""

    document: int
    number: int
    record: Record


@dataclass(frozen=True, eq=False)
class Person:
    """Shapes of one group: the keypoints, at least one, and the rectangle, if there is one."""

    image_id: ImageId
    keypoints: list[Shape]
    box: Shape | None


def recognise(source: Source) -> str | None:
    """Why a source is of LabelMe."""
    if source.path.is_dir():
        found = any(_is_labelme(opening) for opening in openings(json_files(source)))
        return f"a folder of files with {SHAPES!r}" if found else None
    return f"an object with {SHAPES!r}" if _is_labelme(source.opening) else None


def read(source: Source, reading: Reading) -> PoseFile:
    """Read the points of a file, or of all files of a folder; other shapes stay as they are.

    Raises:
        FormatError: A file is faulty.
    """
    texts = documents(source, json_files(source))
    people = [person for number, document in enumerate(texts) for person in _people(number, document)]
    others = _others(texts, people)
    chosen = of_category(source.path, [_category(person) for person in people], reading.category)
    people = [people[row] for row in chosen.rows]
    labels = list(dict.fromkeys(shape.record[LABEL] for person in people for shape in person.keypoints))
    skeleton = layout_of_labels(source.path, labels, reading.skeleton)
    people = [
        person
        for person in people
        if any(skeleton.find(shape.record[LABEL]) is not None for shape in person.keypoints)
    ]
    points = NamedPoints.of(
        [_point(row, shape) for row, person in enumerate(people) for shape in person.keypoints],
        len(people),
        skeleton,
        lambda point: f"{texts[point.record.document][1].path}, shape {point.record.number}",
    )
    poses = points.poses([person.image_id for person in people], FROM_EDGE)
    boxes = np.array([_box(person) for person in people], dtype=np.float64).reshape(-1, 4)
    return PoseFile(
        source.path,
        NAME,
        poses,
        _Rewrite(source.path, texts, people, points, poses),
        boxes=boxes if np.isfinite(boxes).any() else None,
        notes=chosen.notes,
        left_out=(*chosen.left_out, *others),
        has_scores=any(
            _is_number(shape.record.get(SCORE)) for person in people for shape in person.keypoints
        ),
    )


def write(new: NewFile) -> Contents:
    """A folder with a file for each photo: a group for each person, with a rectangle where the box is known.

    Who has no keypoint is left out: a rectangle alone is nobody when the folder is read.

    Raises:
        FormatError: A photo has no name, or two have one.
    """
    stems = photo_stems(new, "LabelMe's files")
    return {
        f"{stems[image_id]}.json": (json.dumps(_new_document(new, image_id, rows), indent=2) + "\n").encode()
        for image_id, rows in rows_by_image(new.poses.image_ids).items()
    }


FORMAT = Format(
    NAME,
    "LabelMe: a JSON file for each photo, with points",
    recognise,
    read,
    write,
    keypoints_needed=True,
)


def _is_labelme(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get(SHAPES), list) and PHOTO in content


def _people(number: int, document: Document) -> list[Person]:
    """The people of a document, in the order of their first keypoints."""
    content, path = document[1].root, document[1].path
    if not isinstance(content, dict) or not isinstance(content.get(SHAPES), list):
        message = f"{path}: expected an object with a list {SHAPES!r}, got {quoted(content)}."
        report_fault(FormatError(message, "Write it again with LabelMe, or take it out of the folder."))
        return []
    records = Records(path, "shape", content[SHAPES])
    groups: dict[Any, list[Shape]] = defaultdict(list)
    boxes: dict[Any, list[Shape]] = defaultdict(list)
    for place in records.asked():
        shape = Shape(number, place, records.rows[place])
        kind, group = shape.record.get(TYPE), _group(shape.record)
        if kind == POINT and _is_good_point(records, place):
            groups[group].append(shape)
        elif kind == RECTANGLE and _corners(shape) is not None:
            boxes[group].append(shape)
    image_id = _photo(path, content)
    return [
        Person(image_id, shapes, boxes[group][0] if len(boxes[group]) == 1 else None)
        for group, shapes in groups.items()
    ]


def _others(texts: Sequence[Document], people: Sequence[Person]) -> tuple[str, ...]:
    """A line on shapes that are neither a keypoint nor the box of somebody."""
    used = {(box.document, box.number) for person in people if (box := person.box) is not None}
    kinds = Counter(
        str(shape.get(TYPE))
        for number, (_, text) in enumerate(texts)
        for place, shape in enumerate(_shapes(text.root))
        if isinstance(shape, dict) and shape.get(TYPE) != POINT and (number, place) not in used
    )
    return (left_as_they_are("shapes other than points", kinds),) if kinds else ()


def _shapes(content: Any) -> list[Any]:
    """The shapes of a document; none of one that is faulty."""
    shapes = content.get(SHAPES) if isinstance(content, dict) else None
    return shapes if isinstance(shapes, list) else []


def _category(person: Person) -> str:
    """Label of a person's rectangle; nothing where there is none."""
    label = None if person.box is None else person.box.record.get(LABEL)
    return label if isinstance(label, str) else ""


def _group(record: Record) -> ImageId | None:
    group = record.get(GROUP)
    return group if isinstance(group, int | str) else None


def _photo(path: Path, content: Record) -> ImageId:
    """The photo's path; without one, the name of the file."""
    name = Records(path, "file", [{PHOTO: content.get(PHOTO) or file_stem(path)}]).ids(PHOTO)[0]
    return name if isinstance(name, str) else str(name)


def _is_good_point(records: Records, place: int) -> bool:
    """Whether it is a label at a place; where others raise no fault, it is noted."""
    record = records.rows[place]
    points = record.get(POINTS)
    if not isinstance(record.get(LABEL), str):
        report_fault(records.fault(place, LABEL, "a text"))
    elif not isinstance(points, list) or len(points) != 1 or not _is_pair(points[0]):
        report_fault(records.fault(place, POINTS, "a list with one [x, y]"))
    else:
        return True
    return False


def _is_number(value: Any) -> TypeGuard[float]:
    return type(value) in (int, float) and abs(value) < LARGEST_NUMBER


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and _is_number(value[0]) and _is_number(value[1])


def _point(row: int, shape: Shape) -> NamedPoint:
    (x, y), score = shape.record[POINTS][0], shape.record.get(SCORE)
    return NamedPoint(row, shape.record[LABEL], x, y, score if _is_number(score) else 1.0, shape)


def _corners(shape: Shape) -> FloatArray | None:
    """(2, 2) top left and bottom right of a rectangle, which may be drawn from any corner; None if it is none."""
    points = shape.record.get(POINTS)
    if not isinstance(points, list) or len(points) != 2 or not all(map(_is_pair, points)):
        return None
    return np.sort(np.array(points, dtype=np.float64), axis=0)


def _box(person: Person) -> list[float]:
    """bbox_xywh of a person; NaN where there is none."""
    corners = None if person.box is None else _corners(person.box)
    if corners is None:
        return [np.nan] * 4
    low, high = FROM_EDGE.to_pixels(corners[None])[0]
    return [*low.tolist(), *(high - low).tolist()]


@dataclass(frozen=True, eq=False)
class _Rewrite:
    """The same files with other poses; see `posefix.pose_files.pose_file.Rewrite`."""

    path: Path
    texts: Sequence[Document]
    people: Sequence[Person]
    points: NamedPoints
    poses: Poses

    def __call__(
        self, poses: Poses, *, keep: Sequence[int] | None = None, update_boxes: bool = False
    ) -> Contents:
        check_same_poses(self.path, poses, self.poses)
        changes = self.points.changes(poses, self.poses, FROM_EDGE, keep)
        numbers: list[list[tuple[Place, float]]] = [[] for _ in self.texts]
        for place, which, value in changes.numbers():
            shape: Shape = self.points.records[place]
            if which < 2:
                numbers[shape.document].append(((SHAPES, shape.number, POINTS, 0, which), value))
            elif _is_number(shape.record.get(SCORE)):
                numbers[shape.document].append(((SHAPES, shape.number, SCORE), value))
        if update_boxes:
            boxed = needs_new_box(poses, changes.written, self.points.numbers) & ~changes.dropped
            for document, box_place, value in self._box_numbers(poses, np.asarray(boxed)):
                numbers[document].append((box_place, value))
        edits: list[dict[Place, Any]] = [{} for _ in self.texts]
        for shape in self._removed(changes.gone, changes.dropped):
            edits[shape.document][SHAPES, shape.number] = REMOVED
        for document, record in self._added(changes.added, changes.written):
            count = len(self.texts[document][1].root[SHAPES])
            new = sum(edit is not REMOVED for edit in edits[document].values())
            edits[document][SHAPES, count + new] = record
        return {
            name: edited_with_numbers(text, numbers[number], edits[number]).encode()
            for number, (name, text) in enumerate(self.texts)
        }

    def _box_numbers(self, poses: Poses, boxed: BoolArray) -> Iterator[tuple[int, Place, float]]:
        boxes = boxes_to_write(poses)
        corners = FROM_EDGE.to_numbers(np.stack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1))
        for row in np.flatnonzero(boxed).tolist():
            shape = self.people[row].box
            for corner, axis in np.ndindex(2, 2) if shape is not None else ():
                value = float(corners[row, corner, axis])
                if shape is not None and value != shape.record[POINTS][corner][axis]:
                    yield shape.document, (SHAPES, shape.number, POINTS, corner, axis), value

    def _removed(self, gone: BoolArray, dropped: BoolArray) -> Iterator[Shape]:
        for row, keypoint in np.argwhere(gone).tolist():
            yield self.points.records[row, keypoint]
        for row in np.flatnonzero(dropped).tolist():
            yield from self.people[row].keypoints
            if (box := self.people[row].box) is not None:
                yield box

    def _added(self, added: BoolArray, written: FloatArray) -> Iterator[tuple[int, Record]]:
        """New shapes of keypoints that were filled in, like the person's first one."""
        for row, keypoint in np.argwhere(added).tolist():
            pattern = self.people[row].keypoints[0]
            x, y, score = written[row, keypoint].tolist()
            shape = {**pattern.record, LABEL: self.points.labels[keypoint], POINTS: [[x, y]]}
            if _is_number(shape.get(SCORE)):
                shape[SCORE] = score
            yield pattern.document, shape


def _new_document(new: NewFile, image_id: ImageId, rows: Rows) -> Record:
    width, height = (None, None) if new.photo_size is None else new.photo_size(image_id)
    return {
        "version": VERSION,
        "flags": {},
        SHAPES: [
            shape
            for group, row in enumerate(rows.tolist())
            if new.poses.valid[row].any()
            for shape in _new_shapes(new, row, group)
        ],
        PHOTO: str(new.file_names.get(image_id, image_id)),
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def _new_shapes(new: NewFile, row: int, group: int) -> Iterator[Record]:
    rest = {GROUP: group, "description": "", "flags": {}, "mask": None}
    if new.boxes is not None and np.isfinite(new.boxes[row]).all():
        left, top, width, height = new.boxes[row].tolist()
        corners = FROM_EDGE.to_numbers(np.array([[[left, top], [left + width, top + height]]]))[0]
        yield {LABEL: PERSON, POINTS: corners.tolist(), TYPE: RECTANGLE, **rest}
    places = FROM_EDGE.to_numbers(new.poses.keypoints[row : row + 1])[0]
    for keypoint in np.flatnonzero(new.poses.valid[row]).tolist():
        label = new.poses.skeleton.keypoint_names[keypoint]
        yield {LABEL: label, POINTS: [places[keypoint].tolist()], TYPE: POINT, **rest}
