"""MMPose predictions: of the inferencer, for photos and videos, and of the demos.

Shapes as ``split_instances`` (mmpose/structures/utils.py), ``BaseMMPoseInferencer`` (mmpose/apis/inferencers) and
demo/topdown_demo_with_mmdet.py of https://github.com/open-mmlab/mmpose, version 1, write them.

| | content | photo |
|---|---|---|
| inferencer, photo | a list of instances | named as the file |
| inferencer, video | a list of frames with ``frame_id`` from 0 and ``instances`` | the frame |
| demo, video | ``meta_info`` and ``instance_info``, a list of frames with ``frame_id`` from 1 | the frame |
| demo, photo | ``meta_info`` and ``instance_info``, a list of instances | named as the file behind ``results_`` |
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from posefix.errors import Where, quoted
from posefix.files import file_stem
from posefix.photos.names import are_frames, photo_stems
from posefix.pose.poses import BoolArray, FloatArray, rows_by_image
from posefix.pose_files.gaps import check_gaps
from posefix.pose_files.json_people import (
    Document,
    JsonRewrite,
    PeopleList,
    PersonChange,
    documents,
    joined,
    json_files,
    missing_frames,
    odd_scores,
    openings,
    people_poses,
    tracks_in,
)
from posefix.pose_files.json_text import JsonText, Place
from posefix.pose_files.layouts import anonymous_layout, check_layout, check_order, misfit, unnamed_layout
from posefix.pose_files.number_lists import holds_lists
from posefix.pose_files.pose_file import (
    Contents,
    Format,
    FormatError,
    NewFile,
    PoseFile,
    Reading,
    Source,
)
from posefix.pose_files.records import NO_ID, Record, Records, id_or_none, report_fault
from posefix.pose_files.units import new_triples
from posefix.skeletons import Skeleton, skeleton_from_names

NAME = "mmpose"
META, INFO, FRAME, INSTANCES = "meta_info", "instance_info", "frame_id", "instances"
POINTS, SCORES, BOX, BOX_SCORE, TRACK = "keypoints", "keypoint_scores", "bbox", "bbox_score", "track_id"
DEMO_PREFIX = "results_"
CORNERS = ("left", "top", "right", "bottom")


def recognise(source: Source) -> str | None:
    """Why a source is of MMPose."""
    if source.path.is_dir():
        found = any(_is_instances(opening) for opening in openings(json_files(source)))
        return "a folder of lists of instances with 'keypoints' and 'keypoint_scores'" if found else None
    content = source.opening
    if isinstance(content, dict) and INFO in content:
        return f"an object with {INFO!r}"
    if _is_instances(content):
        return "a list of instances with 'keypoints' and 'keypoint_scores'"
    frames = isinstance(content, list) and any(isinstance(row, dict) and INSTANCES in row for row in content)
    return f"a list of frames with {INSTANCES!r}" if frames else None


def read(source: Source, reading: Reading) -> PoseFile:
    """Read predictions of MMPose.

    The layout is the one that ``meta_info`` names, if it is there. A pose's score is ``bbox_score``; without it, the
    mean score of its keypoints.

    Raises:
        FormatError: The layout is neither given nor named, or a file is faulty.
    """
    lists: list[PeopleList] = []
    notes: list[str] = []
    skeleton = reading.skeleton
    texts = documents(source, json_files(source))
    for document in texts:
        found, said = _lists(document)
        lists += found
        notes += said
        named = _named_layout(document[1])
        if reading.skeleton is not None and named is not None:
            check_order(f"{document[1].path}, field {META!r}", reading.skeleton, named.keypoint_names)
        skeleton = skeleton or named
    lengths = _keypoint_counts(lists)
    if skeleton is None:
        raise unnamed_layout(source.path, lengths[:1])
    if reading.skeleton is not None:
        check_layout(source.path, skeleton, lengths, "instance", each=1)
    triples = joined(
        (_triples(people.records, skeleton, may_lack=bool(lengths)) for people in lists), (len(skeleton), 3)
    )
    scores = joined((people.records.numbers_where_given(BOX_SCORE) for people in lists), ())
    poses = people_poses(lists, triples, skeleton, scores=scores)
    boxes = joined((_boxes(people.records) for people in lists), (4,))
    return PoseFile(
        source.path,
        NAME,
        poses,
        JsonRewrite(source.path, texts, lists, poses, triples, _edit),
        tracks=tracks_in(lists, TRACK),
        boxes=boxes if np.isfinite(boxes).any() else None,
        notes=(*notes, *odd_scores(poses)),
    )


def write(new: NewFile) -> Contents:
    """Predictions as the inferencer writes them: a file for each photo; of frames one file, as the video demo's.

    The demo's shape is taken for frames because it names the keypoints.
    """
    instances = _instances(new)
    if are_frames(new):
        names = new.poses.skeleton.keypoint_names
        content = {
            META: {
                "dataset_name": new.poses.skeleton.name,
                "num_keypoints": len(names),
                "keypoint_id2name": {str(number): name for number, name in enumerate(names)},
                "skeleton_links": new.poses.skeleton.limb_index.tolist(),
            },
            INFO: [
                {FRAME: int(image_id) + 1, INSTANCES: [instances[row] for row in rows]}
                for image_id, rows in sorted(rows_by_image(new.poses.image_ids).items())
            ],
        }
        return {"": (json.dumps(content, indent="\t") + "\n").encode()}
    stems = photo_stems(new, "MMPose's files")
    return {
        f"{stems[image_id]}.json": (json.dumps([instances[row] for row in rows], indent=2) + "\n").encode()
        for image_id, rows in rows_by_image(new.poses.image_ids).items()
    }


FORMAT = Format(NAME, "MMPose: predictions of the inferencer or a demo", recognise, read, write)


def _is_instances(content: Any) -> bool:
    return isinstance(content, list) and any(isinstance(row, dict) and _is_instance(row) for row in content)


def _is_instance(row: Record) -> bool:
    """Whether it is an instance of MMPose; COCO results, each of which says its photo, may have such scores, too."""
    return SCORES in row and "image_id" not in row


def _lists(document: Document) -> tuple[list[PeopleList], tuple[str, ...]]:
    """The people of a document, photo by photo or frame by frame, and what to note."""
    content, path = document[1].root, document[1].path
    place: Place = ()
    stem = file_stem(path)
    if isinstance(content, dict):
        if INFO not in content:
            what = f"a list of instances or a field {INFO!r}"
            mend = "Write it again with MMPose, or take it out of the folder."
            report_fault(FormatError.at(Where(path), f"expected {what}, got {quoted(content)}.", mend))
            return [], ()
        content, place, stem = content[INFO], (INFO,), stem.removeprefix(DEMO_PREFIX)
    if isinstance(content, list) and any(isinstance(row, dict) and INSTANCES in row for row in content):
        return _frames(document, place, content)
    return [PeopleList.of_photo(document, place, content, "instance", stem)], ()


def _frames(document: Document, place: Place, content: list[Any]) -> tuple[list[PeopleList], tuple[str, ...]]:
    records = Records(document[1].path, "frame", content)
    ids = records.unique_ids(FRAME)
    for number in records.asked():
        frame = records.rows[number].get(FRAME)
        if id_or_none(frame) is not None and not _is_frame(frame):
            report_fault(records.fault(number, FRAME, "a whole number that is not negative"))
    numbers = [frame if isinstance(frame, int) else 0 for frame in ids]
    # The demo counts before it stores a frame, the inferencer numbers what it stored.
    first = 1 if place and 0 not in numbers else 0
    lists = [
        PeopleList.of_photo(
            document,
            (*place, number, INSTANCES),
            records.rows[number].get(INSTANCES),
            f"frame {number}, instance",
            numbers[number] - first if _is_frame(ids[number]) else NO_ID,
        )
        for number in records.asked()
    ]
    base = (f"frames are counted from {first}",)
    return lists, base + missing_frames([people - first for people in numbers])


def _is_frame(value: Any) -> bool:
    return isinstance(known := id_or_none(value), int) and known >= 0


def _named_layout(text: JsonText) -> Skeleton | None:
    """The layout whose keypoints ``meta_info`` names; None where it does not."""
    content = text.root
    meta = content.get(META) if isinstance(content, dict) else None
    by_number = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if not isinstance(meta, dict) or not isinstance(by_number, dict) or not by_number:
        return None
    names = [by_number.get(str(number)) for number in range(len(by_number))]
    if not all(isinstance(name, str) for name in names):
        report_fault(
            FormatError.at(
                Where(text.path, field=META),
                f"expected names of the keypoints 0 to {len(names) - 1} in 'keypoint_id2name', got "
                f"{quoted(by_number)}; mend it, or name the layout (--layout).",
            )
        )
        return anonymous_layout(len(names))
    links = meta.get("skeleton_links")
    limbs = [
        (names[link[0]], names[link[1]])
        for link in (links if isinstance(links, list) else [])
        if _is_link(link, len(names))
    ]
    return skeleton_from_names(
        [str(name) for name in names], str(meta.get("dataset_name", text.path.name)), limbs
    )


def _is_link(link: Any, count: int) -> bool:
    ends = link if isinstance(link, list) and len(link) == 2 else [None]
    return all(type(end) is int and 0 <= end < count for end in ends) and ends[0] != ends[1]


def _keypoint_counts(lists: Sequence[PeopleList]) -> list[int]:
    """Of each instance, as far as it has a list of points."""
    values = (row.get(POINTS) for people in lists for row in people.records.rows)
    return [len(value) for value in values if value and isinstance(value, list) and holds_lists(value)]


def _triples(records: Records, skeleton: Skeleton, *, may_lack: bool) -> FloatArray:
    """(n, K, 3): x, y, score of some instances; zeros for who has none, where others have some."""
    there = np.array(
        [not may_lack or row.get(POINTS) not in (None, []) for row in records.rows], dtype=np.bool_
    )
    triples = np.zeros((len(there), len(skeleton), 3))
    if there.any():
        triples[there] = _triples_of(records.choose(there), skeleton)
    return triples


def _triples_of(records: Records, skeleton: Skeleton) -> FloatArray:
    """(n, K, 3) the same of instances that all have keypoints."""
    names = skeleton.keypoint_names
    coordinates = [f"{axis} of {name}" for name in names for axis in "xy"]
    points = np.zeros((len(records.rows), len(coordinates)))
    paired = _paired(records)
    points[paired] = _flattened(records.choose(paired)).number_lists(POINTS, coordinates, partial(misfit, 2))
    scores = records.number_lists(SCORES, [f"score of {name}" for name in names], partial(misfit, 1))
    triples = np.concatenate([points.reshape(-1, len(names), 2), scores[..., None]], axis=-1)
    check_gaps(triples, records, (POINTS, POINTS, SCORES), names)
    return triples


def _paired(records: Records) -> BoolArray:
    """(n,): whose keypoints are a list of pairs; where others raise no fault, it is noted."""
    paired = np.zeros(len(records.rows), dtype=np.bool_)
    for number in records.asked():
        points = records.rows[number].get(POINTS)
        paired[number] = isinstance(points, list) and all(
            isinstance(point, list) and len(point) == 2 for point in points
        )
        if not paired[number]:
            report_fault(records.fault(number, POINTS, "a list of [x, y]"))
    return paired


def _flattened(records: Records) -> Records:
    """Instances whose keypoints are one list of numbers each."""
    rows: list[Record] = [{POINTS: list(chain.from_iterable(row[POINTS]))} for row in records.rows]
    return replace(records, rows=rows)


def _boxes(records: Records) -> FloatArray:
    """bbox_xywh (n, 4); the file has the corners, in a list of its own."""
    plain = [{BOX: row[BOX][0] if _is_nested(row.get(BOX)) else row.get(BOX)} for row in records.rows]
    boxes = Records(records.path, records.noun, plain).lists_where_given(BOX, CORNERS)
    boxes[:, 2:] -= boxes[:, :2]
    return boxes


def _is_nested(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 1


def _edit(change: PersonChange) -> Mapping[Place, Any]:
    edit: dict[Place, Any] = {}
    if change.triples is not None:
        edit[POINTS,] = change.triples[:, :2].tolist()
        edit[SCORES,] = change.triples[:, 2].tolist()
    if change.corners is not None and change.record.get(BOX):
        corners = change.corners.ravel().tolist()
        edit[BOX,] = [corners] if _is_nested(change.record[BOX]) else corners
    if change.pose_score is not None and change.record.get(BOX_SCORE) is not None:
        edit[BOX_SCORE,] = change.pose_score
    return edit


def _instances(new: NewFile) -> list[Record]:
    """The instance of each pose."""
    poses = new.poses
    rows: list[Record] = []
    for row, numbers in enumerate(new_triples(poses)):
        instance: Record = {POINTS: numbers[:, :2].tolist(), SCORES: numbers[:, 2].tolist()}
        if new.boxes is not None and np.isfinite(new.boxes[row]).all():
            left, top, width, height = new.boxes[row].tolist()
            instance[BOX] = [[left, top, left + width, top + height]]
        instance[BOX_SCORE] = float(poses.pose_scores[row])
        if new.tracks is not None and new.tracks[row] is not None:
            instance[TRACK] = new.tracks[row]
        rows.append(instance)
    return rows
