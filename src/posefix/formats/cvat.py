"""CVAT for images: its XML of version 1.1, with a skeleton for each person.

Elements as in https://docs.cvat.ai/docs/manual/advanced/xml_format and cvat/apps/dataset_manager/formats/cvat.py of
https://github.com/cvat-ai/cvat: in an `image` a `skeleton` for each person, in it a `points` for each keypoint with its
`label`, its place in pixels from the photo's edge, `outside="1"` where it is not in the photo, and `occluded="1"` where
it is hidden, which is COCO's visibility 1, as in CVAT's own export to COCO. The labels of the task, in `meta`, name the
elements of each skeleton in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

import numpy as np

from posefix.formats.cvat_skeletons import OUTSIDE, POINTS, CvatSkeleton, read_skeletons
from posefix.pose.poses import FloatArray, ImageId, Poses, rows_by_image
from posefix.pose_files.named_points import (
    FROM_EDGE,
    NamedPoint,
    NamedPoints,
    PointChanges,
    layout_of_labels,
)
from posefix.pose_files.pose_file import (
    DECIMALS,
    HIDDEN,
    VISIBLE,
    Contents,
    Format,
    FormatError,
    NewFile,
    PoseFile,
    Reading,
    Source,
    check_same_poses,
)
from posefix.pose_files.xml_text import (
    ByteChange,
    attribute_changes,
    changed_bytes,
    element_end,
    space_before,
)

NAME = "cvat"
OPENING = 4096
"""Bytes that are looked at to recognise a file."""


def recognise(source: Source) -> str | None:
    """Why a source is XML of CVAT."""
    if source.path.suffix.lower() != ".xml" or not source.path.is_file():
        return None
    try:
        opening = source.content[:OPENING]
    except FormatError:
        return None
    return "an XML file of annotations" if b"<annotations" in opening else None


def read(source: Source, reading: Reading) -> PoseFile:
    """Read the skeletons of all images; boxes and other shapes stay as they are.

    Raises:
        FormatError: The file is faulty, CVAT's for videos, or of skeletons with different keypoints.
    """
    found = read_skeletons(source.path, source.content)
    chosen = found.chosen(reading.category)
    skeleton = layout_of_labels(source.path, found.labels_of(chosen), reading.skeleton)
    people = [
        person
        for person in chosen
        if any(skeleton.find(element.label) is not None for element in person.elements)
    ]
    points = NamedPoints.of(
        [
            NamedPoint(row, element.label, element.x, element.y, 1.0, element)
            for row, person in enumerate(people)
            for element in person.elements
            if not element.outside
        ],
        len(people),
        skeleton,
        lambda point: f"{source.path}, {people[point.person].where}",
    )
    poses = points.poses([person.image for person in people], FROM_EDGE)
    return PoseFile(
        source.path,
        NAME,
        poses,
        _Rewrite(source, people, points, poses),
        notes=found.notes(chosen),
        left_out=found.left_out(chosen),
        has_scores=False,
        visibility=_visibility(points),
    )


def write(new: NewFile) -> Contents:
    """A new file: an image for each photo, a skeleton `person` for each person, keypoints that are missing outside."""
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "  <version>1.1</version>"]
    for number, (image_id, rows) in enumerate(rows_by_image(new.poses.image_ids).items()):
        name = quoteattr(str(new.file_names.get(image_id, image_id)))
        lines.append(f'  <image id="{number}" name={name}{_size(new, image_id)}>')
        lines += [line for row in rows.tolist() for line in _skeleton_lines(new, row)]
        lines.append("  </image>")
    return {"": "\n".join([*lines, "</annotations>", ""]).encode()}


FORMAT = Format(
    NAME, "CVAT for images, skeletons (XML)", recognise, read, write, endings=(".xml",), one_file=True
)


def _visibility(points: NamedPoints) -> FloatArray:
    """(N, K): 0 of a keypoint that is not there, 1 of one that is hidden, else 2."""
    visibility = np.where(points.there, VISIBLE, 0.0)
    for place, element in points.records.items():
        if element.occluded:
            visibility[place] = HIDDEN
    return visibility


def _size(new: NewFile, image_id: ImageId) -> str:
    if new.photo_size is None:
        return ""
    width, height = new.photo_size(image_id)
    return f' width="{width}" height="{height}"'


def _skeleton_lines(new: NewFile, row: int) -> Iterator[str]:
    poses = new.poses
    hidden = np.zeros(len(poses.skeleton)) if new.visibility is None else new.visibility[row] == HIDDEN
    yield '    <skeleton label="person" source="auto" z_order="0">'
    places = FROM_EDGE.to_numbers(poses.keypoints[row : row + 1])[0]
    middle = np.median(places[poses.valid[row]], axis=0) if poses.valid[row].any() else np.zeros(2)
    for keypoint, name in enumerate(poses.skeleton.keypoint_names):
        there = bool(poses.valid[row, keypoint])
        shown = places[keypoint] if there else np.round(middle, DECIMALS)
        occluded = there and bool(hidden[keypoint])
        yield f"      {_points_tag(name, shown.tolist(), outside=not there, occluded=occluded)}"
    yield "    </skeleton>"


def _points_tag(label: str, place: Sequence[float], *, outside: bool = False, occluded: bool = False) -> str:
    state = f'source="auto" outside="{int(outside)}" occluded="{int(occluded)}"'
    return f'<points label={quoteattr(label)} {state} points="{_pair(*place)}"></points>'


def _pair(x: float, y: float) -> str:
    return f"{x!r},{y!r}"


@dataclass(frozen=True, eq=False)
class _Rewrite:
    """The same file with other poses; see `posefix.pose_files.pose_file.Rewrite`. It has no boxes to write."""

    source: Source
    people: Sequence[CvatSkeleton]
    points: NamedPoints
    poses: Poses

    def __call__(
        self, poses: Poses, *, keep: Sequence[int] | None = None, update_boxes: bool = False
    ) -> Contents:
        check_same_poses(self.source.path, poses, self.poses)
        changes = self.points.changes(poses, self.poses, FROM_EDGE, keep)
        edits = [*self._moved(changes), *self._gone(changes), *self._added(changes), *self._dropped(changes)]
        return {"": changed_bytes(self.source.content, edits)}

    def _moved(self, changes: PointChanges) -> Iterator[ByteChange]:
        for row, keypoint in np.argwhere(changes.changed[..., :2].any(axis=-1)).tolist():
            element = self.points.records[row, keypoint]
            texts = element.text.split(",")
            for axis in range(2):
                if changes.changed[row, keypoint, axis]:
                    texts[axis] = repr(float(changes.written[row, keypoint, axis]))
            yield from attribute_changes(self.source.content, element.at, {POINTS: ",".join(texts)})

    def _gone(self, changes: PointChanges) -> Iterator[ByteChange]:
        """Keypoints that nobody sees any more stay where they were, outside."""
        for row, keypoint in np.argwhere(changes.gone & ~changes.dropped[:, None]).tolist():
            element = self.points.records[row, keypoint]
            yield from attribute_changes(self.source.content, element.at, {OUTSIDE: "1"})

    def _added(self, changes: PointChanges) -> Iterator[ByteChange]:
        """Keypoints that were filled in: those that were outside are so no more, others are put behind the last one."""
        content = self.source.content
        new: dict[int, list[bytes]] = {}
        for row, keypoint in np.argwhere(changes.added).tolist():
            place = changes.written[row, keypoint, :2].tolist()
            known = [
                one for one in self.people[row].elements if self.points.skeleton.find(one.label) == keypoint
            ]
            if known:
                values = {OUTSIDE: "0", POINTS: _pair(*place)}
                yield from attribute_changes(content, known[-1].at, values)
            else:
                tag = _points_tag(self.points.labels[keypoint], place)
                new.setdefault(row, []).append(tag.encode())
        for row, tags in new.items():
            last = self.people[row].elements[-1]
            end = element_end(content, last.at, last.closing)
            gap = content[space_before(content, last.at) : last.at]
            yield end, end, b"".join(gap + tag for tag in tags)

    def _dropped(self, changes: PointChanges) -> Iterator[ByteChange]:
        content = self.source.content
        for row in np.flatnonzero(changes.dropped).tolist():
            person = self.people[row]
            yield space_before(content, person.at), element_end(content, person.at, person.closing), b""
