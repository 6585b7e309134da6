"""The skeletons in an XML file of CVAT, and where each stands in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from posefix.errors import plural, quoted
from posefix.pose.poses import LARGEST_NUMBER
from posefix.pose_files.named_points import PERSON, left_as_they_are, read_together
from posefix.pose_files.people_alone import are_people_alone
from posefix.pose_files.pose_file import FormatError
from posefix.pose_files.records import NO_ID, PLAIN_TEXT, is_plain, report_fault
from posefix.pose_files.xml_text import parse_xml
from posefix.skeletons import are_of_people
from posefix.skeletons.skeleton import normalise

IMAGE, SKELETON, POINTS, TRACK = "image", "skeleton", "points", "track"
LABEL, OUTSIDE, OCCLUDED = "label", "outside", "occluded"


@dataclass
class Element:
    """A keypoint of a skeleton.

    Attributes:
        label: Its name.
        x: Pixels from the photo's edge.
        y: The same.
        text: Both as the file has them.
        outside: Whether it is not in the photo.
        occluded: Whether something hides it.
        at: The byte at which it begins.
        closing: The byte at which its closing tag begins.
    """

    label: str
    x: float
    y: float
    text: str
    outside: bool
    occluded: bool
    at: int
    closing: int = 0


@dataclass
class CvatSkeleton:
    """A person.

    Attributes:
        image: Name of the photo.
        where: How messages name it.
        label: Of the skeleton.
        at: The byte at which it begins.
        elements: Its keypoints.
        closing: The byte at which its closing tag begins.
    """

    image: str
    where: str
    label: str
    at: int
    elements: list[Element] = field(default_factory=list)
    closing: int = 0


@dataclass
class Skeletons:
    """What is read of a file, while the parser tells of it: a `posefix.pose_files.xml_text.Listener`.

    Attributes:
        path: The file, for messages.
        people: The skeletons, in order.
    """

    path: Path
    people: list[CvatSkeleton] = field(default_factory=list)
    _image: str = NO_ID
    _number: int = 0
    _skeleton: CvatSkeleton | None = None
    _element: Element | None = None
    _words: dict[str, str] = field(default_factory=dict)
    _named: list[tuple[str, str]] = field(default_factory=list)
    _texts: list[str] = field(default_factory=list)
    _root: str = ""
    _tracks: bool = False
    _loose: int = 0

    def labels_of(self, people: Sequence[CvatSkeleton]) -> list[str]:
        """Names of the keypoints of some: in the order of the task's labels, and then those that appear besides."""
        used = {person.label for person in people}
        of_task = [name for name, parent in self._named if parent in used]
        seen = [element.label for person in people for element in person.elements]
        return list(dict.fromkeys([*of_task, *seen]))

    def chosen(self, category: str | None) -> list[CvatSkeleton]:
        """The skeletons with the label that was asked for; without one, all where their labels have the same keypoints.

        Where one of several labels is `PERSON`, the others are no people.

        Raises:
            FormatError: There is none of that label, or there is a choice to be made.
        """
        kinds: dict[str, list[CvatSkeleton]] = {}
        for person in self.people:
            kinds.setdefault(person.label, []).append(person)
        if category is not None:
            if category not in kinds:
                names = ", ".join(kinds) or "none"
                raise FormatError(
                    f"{self.path}: there is no skeleton {category!r} (--category); expected one of {names}."
                )
            return kinds[category]
        names_of = {label: set(map(normalise, self.labels_of(people))) for label, people in kinds.items()}
        return kinds.get(PERSON, self.people) if _are_alike(names_of) else self._people_among(names_of)

    def _people_among(self, names_of: Mapping[str, set[str]]) -> list[CvatSkeleton]:
        """The people among skeletons whose labels have different keypoints, where only people are asked for.

        Raises:
            FormatError: Everybody is asked for, or nobody can tell who the people are.
        """
        of_people = {
            label: names
            for label, names in names_of.items()
            if label == PERSON or (PERSON not in names_of and are_of_people(sorted(names)))
        }
        if are_people_alone() and of_people and _are_alike(of_people):
            return [person for person in self.people if person.label in of_people]
        listed = ", ".join(f"{label} ({plural(len(names), 'keypoint')})" for label, names in names_of.items())
        raise FormatError(
            f"{self.path}: expected skeletons with the same keypoints, got {listed}; choose one of them (--category "
            f"{quoted(next(iter(of_people or names_of)))})."
        )

    def left_out(self, chosen: Sequence[CvatSkeleton]) -> tuple[str, ...]:
        """Lines on skeletons of other labels than those that were chosen, and on points that no skeleton holds."""
        used = {person.label for person in chosen}
        counts = Counter(person.label for person in self.people if person.label not in used)
        lines = []
        if used and counts:
            lines.append(left_as_they_are("skeletons of other labels", counts))
        if self._loose:
            lines.append(f"points outside of skeletons, left as they are: {self._loose:,}")
        return tuple(lines)

    def notes(self, chosen: Sequence[CvatSkeleton]) -> tuple[str, ...]:
        """What a user should know of the skeletons that were chosen."""
        note = "labels have no scores: only the places of skeletons' keypoints are read and written"
        if not self.people:
            return (note, "there are no skeletons")
        return (note, *read_together("skeletons", Counter(person.label for person in chosen)))

    def start(self, tag: str, attributes: dict[str, str], at: int) -> None:
        """An element begins."""
        self._texts = []
        self._root = self._root or tag
        if tag == IMAGE:
            self._image, self._number = self._photo(attributes), 0
        elif tag == SKELETON:
            where = f"image {quoted(self._image)}, skeleton {self._number}"
            self._skeleton = CvatSkeleton(self._image, where, attributes.get(LABEL, ""), at)
            self._number += 1
        elif tag == POINTS and self._skeleton is not None:
            self._element = self._read_element(attributes, at)
        elif tag == POINTS:
            self._loose += 1
        elif tag == TRACK:
            self._tracks = True
        elif tag == LABEL:
            self._words = {}

    def text(self, text: str) -> None:
        """Some text."""
        self._texts.append(text)

    def end(self, tag: str, at: int) -> None:
        """An element ends."""
        if tag in ("name", "parent"):
            self._words.setdefault(tag, "".join(self._texts))  # behind it come those of its attributes
        elif tag == LABEL and "name" in self._words and "parent" in self._words:
            self._named.append((self._words["name"], self._words["parent"]))
        elif tag == POINTS and self._skeleton is not None and self._element is not None:
            self._element.closing = at
            self._skeleton.elements.append(self._element)
            self._element = None
        elif tag == SKELETON and self._skeleton is not None:
            self._skeleton.closing = at
            if self._skeleton.elements:
                self.people.append(self._skeleton)
            self._skeleton = None

    def _photo(self, attributes: dict[str, str]) -> str:
        name = attributes.get("name", "")
        if not name or not is_plain(name):
            got = quoted(name) if name else "no such attribute"
            message = f"{self.path}, image, attribute 'name': expected {PLAIN_TEXT}, got {got}."
            report_fault(FormatError(message, "Name the photo."))
            return NO_ID
        return name

    def _read_element(self, attributes: dict[str, str], at: int) -> Element:
        text = attributes.get(POINTS, "")
        places = [_number(part) for part in text.split(",")]
        where = "" if self._skeleton is None else f"{self.path}, {self._skeleton.where}, {POINTS}"
        if len(places) != 2 or None in places:
            expected = f"expected a place x,y in {POINTS!r}, got {quoted(text)}"
            message = f"{where} {quoted(attributes.get(LABEL))}: {expected}."
            report_fault(FormatError(message, "Correct it, or take the element out."))
        if LABEL not in attributes:
            message = f"{where}: expected a {LABEL!r} that names the keypoint, got no such attribute."
            report_fault(FormatError(message, "Add it, or take the element out."))
        x, y = places if len(places) == 2 else (None, None)
        outside, occluded = (attributes.get(name) == "1" for name in (OUTSIDE, OCCLUDED))
        return Element(attributes.get(LABEL, ""), x or 0.0, y or 0.0, text, outside, occluded, at)

    def check_images(self) -> None:
        """Refuse a file that is not of images, or whose points do not say whose they are.

        Raises:
            FormatError: It is of videos, has points and no skeletons, or is something else.
        """
        if self._root != "annotations":
            raise FormatError(f"{self.path}: expected an element 'annotations', got {quoted(self._root)}.")
        if self._tracks:
            raise FormatError(
                f"{self.path}: expected CVAT for images, got tracks of CVAT for videos, which leave out frames; export "
                "the task as CVAT for images."
            )
        if self._loose and not self.people:
            raise FormatError(
                f"{self.path}: expected skeletons, got {plural(self._loose, 'shape')} of points outside of any, which "
                "do not say whose they are; label people with a skeleton, and export them again."
            )


def _are_alike(names_of: Mapping[str, set[str]]) -> bool:
    """Whether all labels have the keypoints of one of them, or some of these."""
    most = max(names_of.values(), key=len, default=set())
    return all(names <= most for names in names_of.values())


def _number(text: str) -> float | None:
    """A coordinate; None if it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < LARGEST_NUMBER else None


def read_skeletons(path: Path, content: bytes) -> Skeletons:
    """All skeletons of a file.

    Raises:
        FormatError: It is faulty, or CVAT's for videos.
    """
    found = Skeletons(path)
    parse_xml(path, content, found)
    found.check_images()
    return found
