"""OpenPose's JSON: a file for each photo or frame, with the people in it.

Fields as in doc/02_output.md and src/openpose/filestream of https://github.com/CMU-Perceptual-Computing-Lab/openpose,
scales as in src/openpose/core/keypointScaler.cpp:

| ``--keypoint_scale`` | a coordinate x in a photo of width W |
|---|---|
| 0, 1, 2 | pixels; of the photo, unless another output size was asked for |
| 3 | x / (W - 1), from 0 to 1 |
| 4 | 2 x / (W - 1) - 1, from -1 to 1 |

Missing keypoints are 0, 0, 0 before that, so with scale 4 they lie at -1, -1. OpenPose adds half a pixel to the peaks
of its heat maps, a correction found by trial against COCO's annotations (nmsBase.cpp), not another origin: nothing is
taken off again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from posefix.errors import Where, plural, quoted
from posefix.files import file_stem
from posefix.photos.names import are_frames, photo_stems
from posefix.pose.poses import FloatArray, ImageId, rows_by_image
from posefix.pose_files.gaps import without_gaps
from posefix.pose_files.json_people import (
    Document,
    JsonRewrite,
    PeopleList,
    PersonChange,
    documents,
    flat_triples,
    joined,
    json_files,
    measured_in_shares,
    missing_frames,
    odd_scores,
    openings,
    people_poses,
)
from posefix.pose_files.json_text import Place
from posefix.pose_files.layouts import layout_of_lengths
from posefix.pose_files.pose_file import Contents, Format, FormatError, NewFile, PoseFile, Reading, Source
from posefix.pose_files.records import Record, id_or_none, report_fault
from posefix.pose_files.units import PIXELS, Unit, new_triples, shares, sizes_of_photos
from posefix.skeletons import load_skeleton

NAME = "openpose"
PEOPLE, POINTS, PERSON = "people", "pose_keypoints_2d", "person_id"
OLD_POINTS = "pose_keypoints"
"""What versions before 1.2 call the field."""
SUFFIX = "_keypoints"
LAYOUTS = {25: "body25", 18: "openpose18"}
NO_PERSON = -1
LEFT_OF_PHOTO = -0.05
"""OpenPose finds nothing outside of a photo: of coordinates from 0 to 1 none is below this, refined ones included."""

_FRAME = re.compile(r"(?P<video>.+)_(?P<number>[0-9]{12})")
_OTHERS = ("face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d")
_OTHERS_3D = ("pose_keypoints_3d", "face_keypoints_3d", "hand_left_keypoints_3d", "hand_right_keypoints_3d")


def recognise(source: Source) -> str | None:
    """Why a source is of OpenPose."""
    if source.path.is_dir():
        files = [path for path in json_files(source) if file_stem(path).endswith(SUFFIX)]
        if files:
            return f"a folder of files NAME{SUFFIX}.json"
        found = any(_has_people(opening) for opening in openings(json_files(source)))
        return f"a folder of files with {PEOPLE!r}" if found else None
    return f"an object with {PEOPLE!r}" if _has_people(source.opening) else None


def read(source: Source, reading: Reading) -> PoseFile:
    """Read the files of OpenPose: a folder of them, or one.

    The number of values says the layout, BODY_25 or COCO with 18 keypoints. A pose's score is the mean of its
    keypoints'.

    Raises:
        FormatError: A file is faulty, the layout unknown, or coordinates are shares of photos that are not given.
    """
    files = _files(source)
    texts = [document for document in documents(source, files) if _is_object(document)]
    ids = _image_ids([text.path for _, text in texts])
    lists = [
        PeopleList.of_photo(document, (PEOPLE,), document[1].root.get(PEOPLE), "person", image_id)
        for document, image_id in zip(texts, ids, strict=True)
    ]
    field = _points_field(lists)
    lengths = [length for people in lists for length in people.records.lengths(field)]
    skeleton, notes = layout_of_lengths(source.path, lengths, reading.skeleton, LAYOUTS, "OpenPose")
    triples = joined(
        (flat_triples(people.records, field, skeleton, may_lack=bool(lengths)) for people in lists),
        (len(skeleton), 3),
    )
    unit, why = _unit(source.path, lists, field, triples, reading)
    poses = people_poses(lists, triples, skeleton, unit=unit)
    notes += (*why, *_frame_notes(ids), *_left_alone(source, files), *odd_scores(poses))
    return PoseFile(
        source.path,
        NAME,
        poses,
        JsonRewrite(source.path, texts, lists, poses, triples, partial(_edit, field=field), unit),
        tracks=_tracks(lists),
        notes=notes,
    )


def write(new: NewFile) -> Contents:
    """A folder with a file for each photo, in pixels, of any layout, as other programs read OpenPose's files.

    Raises:
        FormatError: The layout has as many keypoints as one of OpenPose's own and is another, or two photos have one
            name.
    """
    skeleton = new.poses.skeleton
    own = LAYOUTS.get(len(skeleton))
    if own is not None and skeleton != load_skeleton(own):
        raise FormatError(
            f"OpenPose has no place for poses of {skeleton.name}: {plural(len(skeleton), 'keypoint')} would be read "
            "back as "
            f"{own}; convert them to that (--to-layout {own}), or choose another format."
        )
    triples = new_triples(new.poses)
    frames = are_frames(new)
    stems = {} if frames else photo_stems(new, "OpenPose's files")
    contents, tracks = {}, new.track_numbers()
    for image_id, rows in rows_by_image(new.poses.image_ids).items():
        stem = f"frame_{image_id:012d}" if frames else stems[image_id]
        people = [_person(triples[row], tracks[row]) for row in rows]
        text = json.dumps({"version": 1.3, PEOPLE: people}, separators=(",", ":"))
        contents[f"{stem}{SUFFIX}.json"] = f"{text}\n".encode()
    return contents


FORMAT = Format(NAME, "OpenPose: a JSON file for each photo or frame", recognise, read, write)


def _has_people(content: Any) -> bool:
    """Whether it is an object with people; AlphaPose writes such objects too, and says so in the version."""
    return (
        isinstance(content, dict)
        and isinstance(content.get(PEOPLE), list)
        and not str(content.get("version")).startswith("AlphaPose")
    )


def _is_object(document: Document) -> bool:
    """Whether a document may hold people; where others raise no fault, it is noted."""
    content, path = document[1].root, document[1].path
    if not isinstance(content, dict):
        problem = f"expected an object with {PEOPLE!r}, got {quoted(content)}."
        mend = "Write it again with OpenPose, or take it out of the folder."
        report_fault(FormatError.at(Where(path), problem, mend))
    return isinstance(content, dict)


def _files(source: Source) -> list[Path]:
    """The files of a folder that OpenPose wrote: by their names, if any has such a name."""
    files = json_files(source)
    return [path for path in files if file_stem(path).endswith(SUFFIX)] or list(files)


def _left_alone(source: Source, files: Sequence[Path]) -> tuple[str, ...]:
    read_ones = set(files)
    there = () if source.path.is_file() else json_files(source)
    others = [path.name for path in there if path not in read_ones]
    return (f"other JSON files are left out: {', '.join(others)}",) if others else ()


def _image_ids(files: Sequence[Path]) -> list[ImageId]:
    """The name of each photo; the number of each frame, where all files are called as frames of one video.

    OpenPose calls frames VIDEO_000000000012_keypoints.json, from 0 on. Where these are photos of such names after
    all (COCO_val2014_000000000042), the number still finds them.
    """
    stems = [file_stem(path).removesuffix(SUFFIX) for path in files]
    frames = [_FRAME.fullmatch(stem) for stem in stems]
    if len({frame["video"] if frame else None for frame in frames}) == 1 and frames[0]:
        return [int(frame["number"]) for frame in frames if frame]
    return list(stems)


def _frame_notes(ids: Sequence[ImageId]) -> tuple[str, ...]:
    frames = [image_id for image_id in ids if isinstance(image_id, int)]
    if not frames:
        return ()
    return ("the numbers in the names are image ids: frames, counted from 0", *missing_frames(frames))


def _points_field(lists: Sequence[PeopleList]) -> str:
    """What the files call the list of a person's keypoints."""
    rows = [row for people in lists for row in people.records.rows]
    old = any(OLD_POINTS in row for row in rows) and not any(POINTS in row for row in rows)
    return OLD_POINTS if old else POINTS


def _unit(
    path: Path, lists: Sequence[PeopleList], field: str, triples: FloatArray, reading: Reading
) -> tuple[Unit, tuple[str, ...]]:
    """What the coordinates are, and the note that says why."""
    triples = without_gaps(triples)
    found = triples[..., 2] != 0
    if not measured_in_shares(lists, field, triples[..., :2], found):
        return PIXELS, ()
    ids = [image_id for people in lists for image_id in people.image_ids]
    span = sizes_of_photos(path, reading.photo_size, ids) - 1
    low, high = triples[..., :2].min(), triples[found][..., :2].max()
    said = f"coordinates from {low:g} to {high:g} are shares of the photo"
    if _from_minus_one(triples, low):
        return shares(span / 2, span / 2), (f"{said}, from -1 to 1 (--keypoint_scale 4)",)
    return shares(span), (f"{said}, from 0 to 1 (--keypoint_scale 3)",)


def _from_minus_one(triples: FloatArray, lowest: float) -> bool:
    """Whether shares are from -1 to 1: what is missing lies at -1, -1 then, else at 0, 0, whatever was guessed.

    Args:
        triples: (N, K, 3) x, y, score.
        lowest: The smallest x or y.
    """
    missing = triples[triples[..., 2] == 0][:, :2]
    at_corner, at_origin = (int((missing == place).all(axis=1).sum()) for place in (-1, 0))
    return at_corner > at_origin if at_corner != at_origin else lowest < LEFT_OF_PHOTO


def _tracks(lists: Sequence[PeopleList]) -> tuple[ImageId | None, ...] | None:
    """``person_id`` of each person; -1 and an empty list are OpenPose without tracking."""
    tracks: list[ImageId | None] = []
    for people in lists:
        people.records.check_texts(PERSON)
        for row in people.records.rows:
            value = row.get(PERSON)
            track = id_or_none(value[0] if isinstance(value, list) and value else value)
            tracks.append(None if track in (NO_PERSON, "") else track)
    return tuple(tracks) if any(track is not None for track in tracks) else None


def _edit(change: PersonChange, field: str) -> Mapping[Place, Any]:
    return {} if change.triples is None else {(field,): change.triples.ravel().tolist()}


def _person(triples: FloatArray, track: int | None) -> Record:
    """A person with the fields that OpenPose writes, in its order."""
    return {
        PERSON: [NO_PERSON if track is None else track],
        POINTS: [number or 0 for number in triples.ravel().tolist()],
        **{field: [] for field in (*_OTHERS, *_OTHERS_3D)},
    }
