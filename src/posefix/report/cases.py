"""Who is shown in the gallery: the worst cases of each error, or who improved and who was harmed most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from posefix.analysis.comparison import Comparison
from posefix.analysis.costs import Progress
from posefix.analysis.statuses import FoundPeople
from posefix.formats.coco_annotations import Annotations
from posefix.photos.finding import Exif
from posefix.pose.poses import FloatArray, ImageId, Rows
from posefix.pose_errors.taxonomy import ERRORS
from posefix.report.close_ups import CloseUp, cut_out

WORST = 12
"""How many people the gallery shows of each error."""
CHANGED = 24
"""How many people it shows of the most improved, and of the most harmed."""
VISIBLE_SIZE = 48.0
"""Root of the area in pixels; of smaller people little is seen, so that they come last."""
PICTURE_BYTES = 3_000_000
"""All pictures of a page together, in base64."""

Kinds = Mapping[str, Rows]


@dataclass(frozen=True)
class Case:
    """A person with a picture.

    Attributes:
        person: which of the people found.
        close_up: the picture.
    """

    person: int
    close_up: CloseUp


@dataclass(frozen=True)
class Gallery:
    """The people of the gallery.

    Attributes:
        kinds: what people are shown for, and the places of its examples in `cases`, the best one first.
        cases: these people, each once.
        left_out: people for whom there was no room.
    """

    kinds: Mapping[str, tuple[int, ...]]
    cases: tuple[Case, ...]
    left_out: int


def worst_of_each_error(found: FoundPeople, size: FloatArray) -> Kinds:
    """People with the most keypoints of each kind of error, of equal ones those of the lowest OKS.

    Args:
        found: the people.
        size: (P,) roots of their areas in pixels.
    """
    kinds = {}
    for error in ERRORS:
        count = (found.statuses == error).sum(axis=1)
        order = np.lexsort((found.oks, -count, size < VISIBLE_SIZE))
        kinds[f"worst {error.label}"] = order[count[order] > 0][:WORST]
    return kinds


def changed_most(comparison: Comparison) -> Kinds:
    """The most improved, the most harmed, and those of the lowest OKS after."""
    return {
        "most improved": comparison.most_improved(CHANGED),
        "most harmed": comparison.most_harmed(CHANGED),
        "lowest OKS after": np.argsort(comparison.after.oks, kind="stable")[:WORST],
    }


def build_gallery(
    kinds: Kinds,
    states: tuple[FoundPeople, ...],
    annotations: Annotations,
    photos: Mapping[ImageId, Path],
    progress: Progress | None = None,
    exif: Exif = "apply",
) -> Gallery:
    """Cut the people out of their photos, the first of each kind first, until `PICTURE_BYTES` are reached.

    Args:
        kinds: people, by what they are examples of.
        states: the people as estimated, and refined if they were.
        annotations: the people's.
        photos: file of each photo.
        progress: called with the number of pictures that are done and of all.
        exif: whether photos are turned as their EXIF orientation says.

    Raises:
        InputError: a photo cannot be read.
    """
    people = list(dict.fromkeys(_in_turn(kinds)))
    cases: list[Case] = []
    room = PICTURE_BYTES
    for number, person in enumerate(people, start=1):
        box = annotations.people.bbox_xywh[states[0].people[person]]
        close_up = cut_out(photos[states[0].image_ids[person]], states, person, box, exif)
        room -= len(close_up.jpeg)
        if room < 0:
            break
        cases.append(Case(person, close_up))
        if progress is not None:
            progress(number, len(people))
    place = {case.person: number for number, case in enumerate(cases)}
    shown = {kind: tuple(place[row] for row in rows.tolist() if row in place) for kind, rows in kinds.items()}
    return Gallery(shown, tuple(cases), len(people) - len(cases))


def _in_turn(kinds: Kinds) -> Iterator[int]:
    """The first of each kind, then the second of each, and so on."""
    for row in zip_longest(*(rows.tolist() for rows in kinds.values())):
        yield from (person for person in row if person is not None)
