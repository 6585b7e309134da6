"""The people in Label Studio's tasks: regions of keypoints gathered by whose they are."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeGuard
from urllib.parse import parse_qs, urlsplit

from posefix.errors import quoted
from posefix.photos.finding import IMAGE_SUFFIXES
from posefix.pose.poses import LARGEST_NUMBER, ImageId
from posefix.pose_files.json_text import JsonText, Place
from posefix.pose_files.named_points import left_as_they_are
from posefix.pose_files.pose_file import FormatError
from posefix.pose_files.records import NO_ID, PLAIN_TEXT, Record, is_plain, report_fault
from posefix.skeletons import Skeleton

KEYPOINT, BOX, RELATION = "keypointlabels", "rectanglelabels", "relation"
VALUE, RESULT, SCORE, PARENT = "value", "result", "score", "parentID"
LISTS = ("annotations", "completions", "predictions")
"""Where tasks have their regions, the likeliest first; completions are what old versions call annotations."""

_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
"""Label Studio puts this before the names of photos that were uploaded."""


class Region(NamedTuple):
    """A keypoint, or the box of a person.

    Attributes:
        place: Where it stands in the document.
        record: As parsed.
        label: Of a keypoint.
        x: In percent.
        y: The same.
        score: 1 where it has none.
    """

    place: Place
    record: Record
    label: str = ""
    x: float = 0.0
    y: float = 0.0
    score: float = 1.0


@dataclass(frozen=True, eq=False)
class Person:
    """A person in a task.

    Attributes:
        image_id: The photo.
        place: Where the list of regions stands in the document.
        keypoints: At least one.
        box: Whose keypoints they are, if it is a box.
    """

    image_id: ImageId
    place: Place
    keypoints: list[Region]
    box: Region | None

    @property
    def category(self) -> str:
        """Label of the box; nothing where there is none."""
        value = {} if self.box is None else self.box.record.get("value")
        labels = value.get(BOX) if isinstance(value, dict) else None
        return labels[0] if isinstance(labels, list) and labels and isinstance(labels[0], str) else ""

    @property
    def size_wh(self) -> tuple[float, float]:
        """Of the photo in pixels, as the first keypoint says it; NaN where it does not."""
        record = self.keypoints[0].record
        width, height = record.get("original_width"), record.get("original_height")
        if is_number(width) and is_number(height) and width > 0 and height > 0:
            return width, height
        return float("nan"), float("nan")

    @property
    def box_xywh(self) -> tuple[float, ...]:
        """Left, top, width and height in percent; NaN where there is no box, or one that is turned."""
        value = {} if self.box is None else self.box.record[VALUE]
        sides = [value.get(side) for side in ("x", "y", "width", "height")]
        known = tuple(side for side in sides if is_number(side))
        return known if len(known) == len(sides) and not value.get("rotation") else (float("nan"),) * 4


@dataclass(eq=False)
class Tasks:
    """What is read of a document.

    Attributes:
        path: The file.
        people: The people of all tasks.
        counts: How many regions each list of regions has.
        relations: List of regions -> place and ends of each relation in it.
        others: How many annotations or predictions are left alone.
        unread: How many regions of each type are neither a keypoint nor the box of somebody.
    """

    path: Path
    people: list[Person] = field(default_factory=list)
    counts: dict[Place, int] = field(default_factory=dict)
    relations: dict[Place, list[tuple[Place, Any, Any]]] = field(default_factory=dict)
    others: int = 0
    unread: Counter[str] = field(default_factory=Counter)

    @property
    def left_out(self) -> tuple[str, ...]:
        """A line on regions that are nobody's here: boxes without keypoints, and what other tools drew."""
        return (left_as_they_are("regions without a keypoint's label", self.unread),) if self.unread else ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know."""
        if not self.others:
            return ()
        return (f"annotations and predictions beside the last one of their task, left alone: {self.others}",)

    def keep_people_of(self, skeleton: Skeleton) -> None:
        """Leave out who has no keypoint of a layout: no person."""
        self.people = [
            person
            for person in self.people
            if any(skeleton.find(region.label) is not None for region in person.keypoints)
        ]

    def where(self, region: Region) -> str:
        """How messages name a region."""
        return where(self.path, region.place)

    def relations_of(self, region: Region) -> Iterator[Place]:
        """Where the relations stand that a region is an end of."""
        for place, *ends in self.relations.get(region.place[:-1], ()):
            if region.record.get("id") in ends:
                yield place


def where(path: Path, place: Place) -> str:
    """How messages name a place: `a.json, task 0, annotations 0, result 3`."""
    words = [str(path)] if place and isinstance(place[0], str) else [str(path), "task"]
    parts = [f" {key}" if isinstance(key, int) else f", {key}" for key in place]
    return ", ".join(words) + "".join(parts)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a number of a photo."""
    return type(value) in (int, float) and abs(value) < LARGEST_NUMBER


def read_tasks(text: JsonText) -> Tasks:
    """The people of all tasks of a document, which is a list of tasks or one.

    Raises:
        FormatError: A task is faulty.
    """
    tasks = Tasks(text.path)
    content = text.root
    listed = list(enumerate(content)) if isinstance(content, list) else [(None, content)]
    for number, task in listed:
        place: Place = () if number is None else (number,)
        if not isinstance(task, dict):
            message = f"{where(text.path, place)}: expected an object, got {quoted(task)}."
            report_fault(FormatError(message, "Take it out of the list."))
            continue
        _read_task(tasks, place, task)
    return tasks


def _read_task(tasks: Tasks, place: Place, task: Record) -> None:
    chosen = _chosen(tasks, task)
    if chosen is None:
        return
    name, number = chosen
    place = (*place, name, number, RESULT)
    result = task[name][number].get(RESULT)
    if not isinstance(result, list):
        message = f"{where(tasks.path, place)}: expected a list of regions, got {quoted(result)}."
        report_fault(FormatError(message, "Write an empty list where there is nobody."))
        return
    records = [(index, record) for index, record in enumerate(result) if isinstance(record, dict)]
    groups = _grouped(tasks, place, records)
    boxes = [box.place[-1] for box, _ in groups if box is not None]
    tasks.unread.update(
        str(record.get("type"))
        for index, record in records
        if record.get("type") != KEYPOINT and index not in boxes and _is_drawn(record)
    )
    if not groups:
        return
    tasks.counts[place] = len(result)
    image_id = _photo(tasks, place, task)
    for box, keypoints in groups:
        tasks.people.append(Person(image_id, place, keypoints, box))


def _is_drawn(record: Record) -> bool:
    """Whether it is a region, which has a place; relations and what is said of the whole photo have none."""
    value = record.get(VALUE)
    return isinstance(value, dict) and not value.keys().isdisjoint(("x", "points", "rle"))


def _chosen(tasks: Tasks, task: Record) -> tuple[str, int] | None:
    """The list and the number in it of what is read of a task; None where there is nothing."""
    found = None
    for name in LISTS:
        listed = task.get(name)
        for number, one in enumerate(listed if isinstance(listed, list) else []):
            # Elsewhere a task has the ids of its predictions in the place of these.
            if not isinstance(one, dict) or one.get("was_cancelled"):
                continue
            if found is not None and found[0] != name:
                tasks.others += 1
                continue
            tasks.others += found is not None
            found = name, number
    return found


def _photo(tasks: Tasks, place: Place, task: Record) -> ImageId:
    """The photo's path of a task, from the text `image` of its data, or the one that ends as a photo, or the first."""
    data = task.get("data")
    texts = (
        [(key, value) for key, value in data.items() if isinstance(value, str)]
        if isinstance(data, dict)
        else []
    )
    texts.sort(key=lambda pair: (pair[0] != "image", not _is_photo(pair[1])))
    if not texts or not is_plain(texts[0][1]):
        expected = "the photo's address, a text" if not texts else f"as the photo's address {PLAIN_TEXT}"
        got = quoted(data if not texts else texts[0][1])
        message = f"{where(tasks.path, place[:-3])}, field 'data': expected {expected}, got {got}."
        report_fault(FormatError(message, "Add it, or take the task out of the list."))
        return NO_ID
    return photo_name(texts[0][1])


def _is_photo(address: str) -> bool:
    return PurePosixPath(photo_name(address)).suffix.lower() in IMAGE_SUFFIXES


def photo_name(address: str) -> str:
    """The path of a photo within an address, as of local files `?d=photos/im.jpg`, of uploads or of a web page."""
    try:
        parts = urlsplit(address)
    except ValueError:  # brackets that are no address of the sixth version
        return address
    path = parse_qs(parts.query).get("d", [parts.path])[0]
    folder, _, name = path.rpartition("/")
    if "/upload/" in f"{folder}/":
        name = _UPLOADED.sub("", name, count=1) if _UPLOADED.match(name) else name
    return (f"{folder}/{name}" if folder else name).lstrip("/") or address


def _grouped(
    tasks: Tasks, place: Place, records: Sequence[tuple[int, Record]]
) -> list[tuple[Region | None, list[Region]]]:
    """The keypoints of each person with the person's box, in the order of the first keypoints."""
    regions = {id_of(record): (index, record) for index, record in records if "id" in record}
    tasks.relations[place] = [
        ((*place, index), record.get("from_id"), record.get("to_id"))
        for index, record in records
        if record.get("type") == RELATION
    ]
    related = _related(tasks.relations[place])
    groups: dict[Any, list[Region]] = defaultdict(list)
    for index, record in records:
        if (
            record.get("type") == KEYPOINT
            and (region := _keypoint(tasks, (*place, index), record)) is not None
        ):
            groups[_owner(record, regions, related)].append(region)
    _give_to_the_only_one(groups, regions)
    return [(_box((*place,), regions.get(owner)), members) for owner, members in groups.items()]


def _related(relations: Sequence[tuple[Place, Any, Any]]) -> Mapping[Any, list[Any]]:
    """Id of a region -> those that a relation ties it to."""
    ties: dict[Any, list[Any]] = defaultdict(list)
    for _, start, end in relations:
        if isinstance(start, str | int) and isinstance(end, str | int) and start != end:
            ties[start].append(end)
            ties[end].append(start)
    return ties


def _owner(
    record: Record, regions: Mapping[Any, tuple[int, Record]], related: Mapping[Any, list[Any]]
) -> Any:
    """Id of the region that a keypoint belongs to; None where nothing says it."""
    parent = record.get(PARENT)
    if isinstance(parent, str | int) and parent in regions:
        return parent
    ties = related.get(id_of(record), [])
    return next((tie for tie in ties if tie in regions and regions[tie][1].get("type") != KEYPOINT), None)


def _give_to_the_only_one(groups: dict[Any, list[Region]], regions: Mapping[Any, tuple[int, Record]]) -> None:
    """Give keypoints of nobody to the box, if the photo has one, and these are one person's."""
    boxes = [name for name, (_, record) in regions.items() if record.get("type") == BOX]
    if None not in groups or len(boxes) != 1:
        return
    names = Counter(region.label for region in [*groups[None], *groups.get(boxes[0], [])])
    if max(names.values()) == 1:
        groups[boxes[0]] = [*groups.get(boxes[0], []), *groups.pop(None)]


def id_of(record: Record) -> Any:
    """Id of a region; None where it has none."""
    value = record.get("id")
    return value if isinstance(value, str | int) else None


def _box(place: Place, found: tuple[int, Record] | None) -> Region | None:
    if found is None or found[1].get("type") != BOX or not isinstance(found[1].get(VALUE), dict):
        return None
    return Region((*place, found[0]), found[1])


def _keypoint(tasks: Tasks, place: Place, record: Record) -> Region | None:
    """A keypoint's region; None where it is faulty and that is noted."""
    value = record.get(VALUE)
    label = value.get(KEYPOINT) if isinstance(value, dict) else None
    score = record.get(SCORE)
    if not isinstance(value, dict) or not (isinstance(label, list) and label and isinstance(label[0], str)):
        got = value if not isinstance(value, dict) else label
        expected = f"field {VALUE!r}: expected an object with a label in {KEYPOINT!r}, got {quoted(got)}"
    elif not (is_number(value.get("x")) and is_number(value.get("y"))):
        expected = f"field {VALUE!r}: expected numbers x and y in percent, got {quoted(value)}"
    elif SCORE in record and score is not None and not is_number(score):
        expected = f"field {SCORE!r}: expected a number, got {quoted(score)}"
    elif record.get("image_rotation"):
        expected = f"field 'image_rotation': expected 0, got {quoted(record['image_rotation'])}"
    else:
        return Region(place, record, label[0], value["x"], value["y"], score if is_number(score) else 1.0)
    message = f"{where(tasks.path, place)}, {expected}."
    report_fault(FormatError(message, "Correct it, or take the region out of the list."))
    return None
