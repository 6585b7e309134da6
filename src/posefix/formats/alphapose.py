"""AlphaPose's results: its own list, and the two shapes of its ``--format``.

Shapes as ``write_json`` of alphapose/utils/pPose_nms.py, https://github.com/MVIG-SJTU/AlphaPose, writes them:

| ``--format`` | content |
|---|---|
| none | a list like COCO's results: ``image_id`` is the photo's file name, ``box`` its sides, ``idx`` the track |
| ``cmu`` | photo name -> ``version`` and ``bodies``, each with ``joints``; or the same of one photo |
| ``open`` | photo name -> ``version`` and ``people``, each with ``pose_keypoints_2d``; or the same of one photo |

Of the three only the list has scores of the poses: mean and 1.25 times the highest score of the keypoints on top of the
detector's, so above 1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from posefix.errors import quoted
from posefix.files import file_stem
from posefix.photos.finding import IMAGE_SUFFIXES
from posefix.pose.poses import ImageId
from posefix.pose_files.json_people import (
    Document,
    JsonRewrite,
    PeopleList,
    PersonChange,
    documents,
    flat_triples,
    joined,
    json_files,
    odd_scores,
    openings,
    people_poses,
)
from posefix.pose_files.json_text import Place
from posefix.pose_files.layouts import layout_of_lengths
from posefix.pose_files.pose_file import Contents, Format, FormatError, NewFile, PoseFile, Reading, Source
from posefix.pose_files.records import BOX_SIDES, PLAIN_TEXT, Record, Records, is_plain, report_fault
from posefix.pose_files.units import new_boxes, new_triples
from posefix.skeletons import load_skeleton

NAME = "alphapose"
LAYOUTS = {17: "coco17", 26: "halpe26", 136: "halpe136", 133: "wholebody133", 16: "mpii16"}
LAYOUTS_OF_VARIANTS = {18: "openpose18"}
IMAGE, POINTS, SCORE, BOX, TRACK = "image_id", "keypoints", "score", "box", "idx"
VERSION = "version"


@dataclass(frozen=True)
class _Variant:
    """One of the shapes: where the people of a photo stand, and their keypoints."""

    people: str
    points: str


_CMU, _OPEN = _Variant("bodies", "joints"), _Variant("people", "pose_keypoints_2d")


def recognise(source: Source) -> str | None:
    """Why a source is of AlphaPose."""
    if source.path.is_dir():
        found = any(_is_photo(opening) for opening in openings(json_files(source)))
        return "a folder of files with AlphaPose's 'version' and people, or 'bodies'" if found else None
    content = source.opening
    if isinstance(content, dict):
        by_name = bool(content) and all(_variant(value) for value in content.values())
        if by_name or _is_photo(content):
            return "people in 'bodies', or in 'people' by photo name or of AlphaPose's 'version'"
        return None
    rows = [row for row in content if isinstance(row, dict)] if isinstance(content, list) else []
    if any(isinstance(row.get(IMAGE), str) and isinstance(row.get(POINTS), list) for row in rows):
        return _why_not_coco(rows)
    return None


def read(source: Source, reading: Reading) -> PoseFile:
    """Read results of AlphaPose in any of its shapes.

    The number of values says the layout: AlphaPose's models have one for each number of keypoints, and the other two
    shapes are in OpenPose's order of 18.

    Raises:
        FormatError: The layout is neither given nor one of AlphaPose's, or a file is faulty.
    """
    texts = documents(source, json_files(source))
    found = [_lists(document) for document in texts]
    lists = [people for some, _ in found for people in some]
    variant = next((variant for _, variant in found if variant is not None), None)
    points = variant.points if variant else POINTS
    defined = LAYOUTS if variant is None else LAYOUTS_OF_VARIANTS
    lengths = [length for people in lists for length in people.records.lengths(points)]
    skeleton, notes = layout_of_lengths(source.path, lengths, reading.skeleton, defined, "AlphaPose")
    triples = joined(
        (flat_triples(people.records, points, skeleton, may_lack=bool(lengths)) for people in lists),
        (len(skeleton), 3),
    )
    scores = joined((people.records.numbers_where_given(SCORE) for people in lists), ())
    poses = people_poses(lists, triples, skeleton, scores=scores)
    boxes = joined((people.records.lists_where_given(BOX, BOX_SIDES) for people in lists), (4,))
    tracks, why = _tracks(lists)

    def edit(change: PersonChange) -> Mapping[Place, Any]:
        return _edit(change, points)

    return PoseFile(
        source.path,
        NAME,
        poses,
        JsonRewrite(source.path, texts, lists, poses, triples, edit),
        tracks=tracks,
        boxes=boxes if np.isfinite(boxes).any() else None,
        notes=(*notes, *why, *odd_scores(poses)),
    )


def write(new: NewFile) -> Contents:
    """A new list, as AlphaPose writes it without ``--format``.

    Raises:
        FormatError: AlphaPose has another layout of so many keypoints, which is what their number would say.
    """
    skeleton = new.poses.skeleton
    known = LAYOUTS.get(len(skeleton))
    if known is not None and skeleton.keypoint_names != load_skeleton(known).keypoint_names:
        raise FormatError(
            f"AlphaPose has no place for poses of {skeleton.name}: {len(skeleton)} keypoints are those of {known}; "
            "choose another format, or convert to that layout (--to-layout)."
        )
    rows, boxes, tracks = [], new_boxes(new), new.track_numbers()
    for row, triples in enumerate(new_triples(new.poses)):
        image_id = new.poses.image_ids[row]
        content: Record = {
            IMAGE: new.file_names.get(image_id, str(image_id)),
            "category_id": 1,
            POINTS: triples.ravel().tolist(),
            SCORE: float(new.poses.pose_scores[row]),
            BOX: boxes[row].tolist(),
        }
        if tracks[row] is not None:
            content[TRACK] = tracks[row]
        rows.append(content)
    return {"": (json.dumps(rows) + "\n").encode()}


FORMAT = Format(NAME, "AlphaPose: its list, and --format cmu and open", recognise, read, write, one_file=True)


def _why_not_coco(rows: Sequence[Record]) -> str | None:
    """Why a list of people with photo names is of AlphaPose and not of COCO; None if nothing says so."""
    for field in (BOX, TRACK):
        if any(field in row for row in rows):
            return f"a list of people with photo names and {field!r}"
    if any(
        "bbox" in row or "track_id" in row for row in rows
    ):  # COCO's names of what AlphaPose calls otherwise
        return None
    above = any(isinstance(row.get(SCORE), float) and row[SCORE] > 1 for row in rows)
    named = all(PurePath(str(row.get(IMAGE))).suffix.lower() in IMAGE_SUFFIXES for row in rows)
    return "a list of people with photo file names and scores above 1" if above and named else None


def _variant(photo: Any) -> _Variant | None:
    """The shape of what may be the people of one photo."""
    if not isinstance(photo, dict):
        return None
    return next((variant for variant in (_CMU, _OPEN) if isinstance(photo.get(variant.people), list)), None)


def _is_photo(content: Any) -> bool:
    """Whether it is one photo's people in one of the two shapes, and not OpenPose's own."""
    variant = _variant(content)
    return variant is _CMU or (variant is _OPEN and str(content.get(VERSION)).startswith("AlphaPose"))


def _lists(document: Document) -> tuple[list[PeopleList], _Variant | None]:
    """The people of a document, and its shape if it is not the list."""
    content, path = document[1].root, document[1].path
    if isinstance(content, list):
        records = Records(path, "row", content)
        return [PeopleList(*document, (), records, records.ids(IMAGE))], None
    if variant := _variant(content):
        return [_photo(document, (), content, variant, file_stem(path))], variant
    if not isinstance(content, dict):
        message = f"{path}: expected a list of people or photos by name, got {quoted(content)}."
        report_fault(FormatError(message, "Write it again with AlphaPose, or take it out of the folder."))
        return [], None
    variant = next((found for found in map(_variant, content.values()) if found), _OPEN)
    lists = []
    for name, photo in content.items():
        if not is_plain(name):
            message = f"{path}: expected as name of a photo {PLAIN_TEXT}, got {quoted(name)}."
            report_fault(FormatError(message, "Rename the photo."))
        elif not isinstance(photo, dict):
            message = f"{path}, photo {quoted(name)}: expected an object, got {quoted(photo)}."
            report_fault(FormatError(message, "Take the photo out of the file."))
        else:
            lists.append(_photo(document, (name,), photo, variant, name))
    return lists, variant


def _photo(
    document: Document, place: Place, photo: Record, variant: _Variant, image_id: ImageId
) -> PeopleList:
    noun = f"photo {quoted(image_id)}, person" if place else "person"
    return PeopleList.of_photo(document, (*place, variant.people), photo.get(variant.people), noun, image_id)


def _tracks(lists: Sequence[PeopleList]) -> tuple[tuple[int | None, ...] | None, tuple[str, ...]]:
    """``idx`` of each person, and what to note of it.

    It is a number, also within a list, which pose suppression makes of the numbers of merged poses. Without tracking
    AlphaPose gives all people the same one.
    """
    tracks = [_track(row.get(TRACK)) for people in lists for row in people.records.rows]
    photos = [image_id for people in lists for image_id in people.image_ids]
    known = [(photo, track) for photo, track in zip(photos, tracks, strict=True) if track is not None]
    if not known:
        return None, ()
    if len(set(known)) < len(known):
        return None, (f"two people of one photo have the same {TRACK!r}: no tracks",)
    return tuple(tracks), ()


def _track(value: Any) -> int | None:
    while isinstance(value, list) and value:
        value = value[0]
    whole = type(value) is int or (isinstance(value, float) and value.is_integer())
    return int(value) if whole else None


def _edit(change: PersonChange, points: str) -> Mapping[Place, Any]:
    edit: dict[Place, Any] = {}
    if change.triples is not None:
        edit[points,] = change.triples.ravel().tolist()
    if change.corners is not None and change.record.get(BOX):
        low, high = change.corners
        edit[BOX,] = np.round(np.concatenate([low, high - low]), 3).tolist()
    if change.pose_score is not None and change.record.get(SCORE) is not None:
        edit[SCORE,] = change.pose_score
    return edit
