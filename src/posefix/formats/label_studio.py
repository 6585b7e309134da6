"""Label Studio: tasks with annotations, or with predictions to begin from.

Shape as in https://labelstud.io/guide/task_format and https://labelstud.io/tags/keypointlabels: a list of tasks; in
each `data` with the photo's address, and `annotations` and `predictions`, each with a `result`, a list of regions. A
keypoint is a region of type `keypointlabels` with its place in percent of the photo, from edge to edge; whose it is, is
told by `parentID`, the region that it was drawn into, by a relation with one, or not at all where a photo shows one
person.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from posefix.formats.label_studio_tasks import (
    KEYPOINT,
    SCORE,
    VALUE,
    Person,
    Region,
    Tasks,
    is_number,
    read_tasks,
)
from posefix.formats.label_studio_writing import write
from posefix.pose.poses import BoolArray, FloatArray, Poses
from posefix.pose_files.json_numbers import edited_with_numbers
from posefix.pose_files.json_text import REMOVED, JsonText, Place
from posefix.pose_files.named_points import (
    EDGE_TO_CENTRE,
    NamedPoint,
    NamedPoints,
    PointChanges,
    layout_of_labels,
    of_category,
)
from posefix.pose_files.pose_file import (
    Contents,
    Format,
    PoseFile,
    Reading,
    Source,
    boxes_to_write,
    check_same_poses,
    needs_new_box,
)
from posefix.pose_files.records import Record
from posefix.pose_files.units import Unit, sizes_of_photos

NAME = "label-studio"
DECIMALS = 5
"""Of percent: a thousandth of a pixel in photos of 10,000."""
SIDES = ("x", "y", "width", "height")


def recognise(source: Source) -> str | None:
    """Why a source is of Label Studio: tasks with `data` and lists of annotations or predictions."""
    content = source.opening
    tasks = content if isinstance(content, list) else [content]
    known = any(
        isinstance(task, dict)
        and isinstance(task.get("data"), dict)
        and any(isinstance(task.get(field), list) for field in ("annotations", "predictions", "completions"))
        for task in tasks
    )
    return "tasks with 'data' and 'annotations' or 'predictions'" if known else None


def read(source: Source, reading: Reading) -> PoseFile:
    """Read the people of all tasks: of each task those of its last annotation, or if it has none, its last prediction.

    Scores are those of the regions; annotations have none.

    Raises:
        FormatError: The file is faulty, or the photos' sizes are told neither by it nor by the photos.
    """
    text, path = source.document, source.path
    tasks = read_tasks(text)
    chosen = of_category(path, [person.category for person in tasks.people], reading.category)
    tasks.people = [tasks.people[row] for row in chosen.rows]
    labels = list(dict.fromkeys(region.label for person in tasks.people for region in person.keypoints))
    skeleton = layout_of_labels(path, labels, reading.skeleton)
    tasks.keep_people_of(skeleton)
    points = NamedPoints.of(
        [
            NamedPoint(row, region.label, region.x, region.y, region.score, region)
            for row, person in enumerate(tasks.people)
            for region in person.keypoints
        ],
        len(tasks.people),
        skeleton,
        lambda point: tasks.where(point.record),
    )
    unit = _percent(_sizes(tasks, reading))
    poses = points.poses([person.image_id for person in tasks.people], unit)
    boxes = _boxes(tasks, unit)
    return PoseFile(
        path,
        NAME,
        poses,
        _Rewrite(text, tasks, points, poses, unit),
        boxes=boxes if np.isfinite(boxes).any() else None,
        notes=(*tasks.notes, *chosen.notes),
        left_out=(*chosen.left_out, *tasks.left_out),
        has_scores=any(SCORE in region.record for person in tasks.people for region in person.keypoints),
    )


FORMAT = Format(
    NAME,
    "Label Studio: tasks with annotations or predictions (JSON)",
    recognise,
    read,
    write,
    keypoints_needed=True,
    one_file=True,
)


def _sizes(tasks: Tasks, reading: Reading) -> FloatArray:
    """(N, 2) width and height of each person's photo, as the file says them, else the photos."""
    sizes = np.array([person.size_wh for person in tasks.people], dtype=np.float64).reshape(-1, 2)
    unknown = np.asarray(np.isnan(sizes).any(axis=1))
    ids = [person.image_id for person, lacking in zip(tasks.people, unknown.tolist(), strict=True) if lacking]
    if ids:
        sizes[unknown] = sizes_of_photos(tasks.path, reading.photo_size, ids)
    return sizes


def _percent(sizes_wh: FloatArray) -> Unit:
    scale = np.maximum(sizes_wh, 1.0)[:, None] / 100
    return Unit(scale, np.full_like(scale, -EDGE_TO_CENTRE), DECIMALS)


def _boxes(tasks: Tasks, unit: Unit) -> FloatArray:
    """bbox_xywh (N, 4) of the people, NaN of those without one that is upright."""
    sides = np.array([person.box_xywh for person in tasks.people], dtype=np.float64).reshape(-1, 4)
    low = unit.to_pixels(sides[:, None, :2])[:, 0]
    return np.concatenate([low, sides[:, 2:] * unit.scale[:, 0]], axis=1)


@dataclass(frozen=True, eq=False)
class _Rewrite:
    """The same tasks with other poses; see `posefix.pose_files.pose_file.Rewrite`."""

    text: JsonText
    tasks: Tasks
    points: NamedPoints
    poses: Poses
    unit: Unit

    def __call__(
        self, poses: Poses, *, keep: Sequence[int] | None = None, update_boxes: bool = False
    ) -> Contents:
        check_same_poses(self.text.path, poses, self.poses)
        changes = self.points.changes(poses, self.poses, self.unit, keep)
        boxed = needs_new_box(poses, changes.written, self.points.numbers) & update_boxes & ~changes.dropped
        numbers = chain(self._numbers(changes), self._box_numbers(poses, np.asarray(boxed)))
        edits = self._removals(changes.gone, changes.dropped)
        edits.update(self._additions(changes.added, changes.written))
        return {"": edited_with_numbers(self.text, numbers, edits).encode()}

    def _numbers(self, changes: PointChanges) -> Iterator[tuple[Place, float]]:
        """Place and value of each number of a keypoint that changes."""
        for place, which, value in changes.numbers():
            region: Region = self.points.records[place]
            if which < 2:
                yield (*region.place, VALUE, SIDES[which]), value
            elif is_number(region.record.get(SCORE)):
                yield (*region.place, SCORE), value

    def _box_numbers(self, poses: Poses, boxed: BoolArray) -> Iterator[tuple[Place, float]]:
        boxes = boxes_to_write(poses)
        low = self.unit.to_numbers(boxes[:, None, :2])[:, 0]
        size = np.round(boxes[:, 2:] / self.unit.scale[:, 0], DECIMALS)
        for row in np.flatnonzero(boxed).tolist():
            box = self.tasks.people[row].box
            if box is not None and np.isfinite(self.tasks.people[row].box_xywh).all():
                for side, value in zip(SIDES, (*low[row].tolist(), *size[row].tolist()), strict=True):
                    if value != box.record[VALUE][side]:
                        yield (*box.place, VALUE, side), value

    def _removals(self, gone: BoolArray, dropped: BoolArray) -> dict[Place, Any]:
        """Regions that go, of dropped people their other keypoints and boxes too, and relations with them."""
        regions = [self.points.records[row, keypoint] for row, keypoint in np.argwhere(gone).tolist()]
        for row in np.flatnonzero(dropped).tolist():
            person = self.tasks.people[row]
            regions += [*person.keypoints, *([person.box] if person.box else [])]
        edits: dict[Place, Any] = {region.place: REMOVED for region in regions}
        for region in regions:
            edits.update(dict.fromkeys(self.tasks.relations_of(region), REMOVED))
        return edits

    def _additions(self, added: BoolArray, written: FloatArray) -> dict[Place, Any]:
        """New regions of keypoints that were filled in, made like the person's first one, and tied as that is."""
        edits: dict[Place, Any] = {}
        counts: dict[Place, int] = {}
        for row, keypoint in np.argwhere(added).tolist():
            person = self.tasks.people[row]
            place = person.place
            number = counts.get(place, self.tasks.counts[place]) + 1
            region = _like(person, self.points.labels[keypoint], written[row, keypoint].tolist(), number)
            edits[(*place, number - 1)] = region
            if (tie := self._tie(person, region["id"])) is not None:
                edits[(*place, number)] = tie
                number += 1
            counts[place] = number
        return edits

    def _tie(self, person: Person, name: str) -> Record | None:
        """The relation that says whose a new region is; None where the person's first one has none."""
        first = person.keypoints[0].record.get("id")
        own = [region.record.get("id") for region in person.keypoints]
        for place, start, end in self.tasks.relations.get(person.place, ()):
            if first in (start, end) and not (start in own and end in own):
                relation: Any = self.text.root
                for key in place:
                    relation = relation[key]
                return {**relation, "from_id" if start == first else "to_id": name}
        return None


def _like(person: Person, label: str, numbers: Sequence[float], number: int) -> Record:
    """A keypoint's region like the first one of a person, with a label, x, y and score."""
    pattern = person.keypoints[0].record
    value = {**pattern[VALUE], "x": numbers[0], "y": numbers[1], KEYPOINT: [label]}
    region = {**pattern, VALUE: value, "id": f"posefix-{number}"}
    if is_number(pattern.get(SCORE)):
        region[SCORE] = numbers[2]
    return region
