"""PoseTrack 2018 results: one file for each video, with scores beside the keypoints.

A person of such a file has ``keypoints`` (x, y, 1 for each keypoint; 0, 0, 0 for a missing one), ``scores`` (one for
each keypoint) and ``track_id``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, count, islice
from pathlib import Path
from typing import Any

import numpy as np

from posefix.errors import InputError, Where
from posefix.files import write_folder_atomic
from posefix.formats.coco_annotation_poses import (
    boxes_of,
    file_names_of,
    flat_numbers,
    new_boxes,
    removals,
    visible_triples_to_write,
)
from posefix.formats.coco_annotations import as_object
from posefix.formats.coco_people import keypoint_triples, labelled_records, listed_records
from posefix.formats.coco_posetrack import PoseTrackAnnotations, check_unique, video_files
from posefix.pose.poses import BoolArray, FloatArray, ImageId, Poses, rows_by_image
from posefix.pose_files.gaps import without_gaps
from posefix.pose_files.json_text import JsonText, Place
from posefix.pose_files.pose_file import (
    OPENING_RECORDS,
    Contents,
    Format,
    FormatError,
    PoseFile,
    Reading,
    Source,
    check_same_poses,
    differs,
    numbers_to_write,
)
from posefix.pose_files.records import NO_ID, Record, Records, ids_as_known, report_fault
from posefix.skeletons import Skeleton, match_keypoints

NAME = "posetrack18"
NO_SCORE = -9999.0
"""What poseval takes for the score of a keypoint without one: it ranks last. No other format knows this number."""
KEYPOINT_SCORE = 1.0
"""Of a keypoint without score, where poses are not ranked as poseval does; as of `coco_annotation_poses`."""
VIDEO_FIELDS = {"vid_id", "is_labeled", "nframes"}
"""Of these, PoseTrack's images have some and COCO's none."""


@dataclass(frozen=True, eq=False)
class PoseTrackResults:
    """Results of several videos.

    Attributes:
        file: The people.
        image_ids: All frames that the files list, those without people too.
    """

    file: PoseFile
    image_ids: frozenset[ImageId]


def recognise(source: Source) -> str | None:
    """Why a source is of PoseTrack 2018: an object, or a folder of such files, of a video's frames or with scores."""
    files = (path for path in source.files if path.suffix.lower() == ".json")
    content = next(filter(None, (Source(path).opening for path in islice(files, OPENING_RECORDS))), None)
    if not isinstance(content, dict) or "annotations" not in content:
        return None
    if source.path.is_dir() and "images" in content and "categories" in content:
        return "a folder of files with 'images', 'annotations' and 'categories'"
    if any(VIDEO_FIELDS & set(image) for image in _objects(content.get("images"))):
        return "an object with 'annotations', and 'images' that are frames of a video"
    if any("scores" in person and "keypoints" in person for person in _objects(content["annotations"])):
        return "an object with 'annotations' that have 'keypoints' and 'scores'"
    return None


def read(source: Source, reading: Reading) -> PoseFile:
    """Read PoseTrack 2018 files as `read_posetrack_results` does, but with `KEYPOINT_SCORE` instead of `NO_SCORE`."""
    return read_posetrack_results(
        source.path, reading.skeleton, reading.category, no_score=KEYPOINT_SCORE
    ).file


FORMAT = Format(
    NAME,
    "PoseTrack 2018: a file for each video, with scores beside the keypoints",
    recognise,
    read,
    needs="`posefix posetrack write-results` does that",
)


def read_posetrack_results(
    path: str | Path,
    skeleton: Skeleton | None = None,
    category: str | None = None,
    *,
    no_score: float = NO_SCORE,
) -> PoseTrackResults:
    """Read PoseTrack 2018 results; the layout is the one that the files' categories name, unless it is given.

    A keypoint at 0, 0 with visibility 0 is missing, any other was found. A person without score has the mean of the
    keypoints', `NO_SCORE` left out.

    Args:
        path: A folder with one JSON file for each video, or one such file.
        skeleton: Layout to read the keypoints in.
        category: As of `posefix.pose_files.pose_file.Reading`.
        no_score: Score of the keypoints of a person without ``scores``.

    Raises:
        InputError: There is no such file, one is faulty, two hold the same image or name different keypoints.
    """
    path = Path(path)
    videos = _videos(path, skeleton, category, no_score)
    poses = _join([video.poses for video in videos], videos[0].poses.skeleton)
    file = PoseFile(
        path,
        NAME,
        poses,
        _Rewrite(path, videos, poses),
        tracks=tuple(track for video in videos for track in video.records.tracks("track_id")),
        boxes=boxes_of(*(video.records for video in videos)),
        notes=_notes(videos),
        left_out=tuple(dict.fromkeys(line for video in videos for line in video.left_out)),
        file_names=file_names_of(*(video.text.root for video in videos)) or None,
        has_scores=any(map(_is_scored, (person for video in videos for person in video.records.rows))),
    )
    return PoseTrackResults(file, frozenset[ImageId]().union(*(video.image_ids for video in videos)))


def write_posetrack_results(folder: str | Path, results: PoseFile, truth: PoseTrackAnnotations) -> None:
    """Write results as poseval takes them: a file for each annotated video, with all of its frames.

    Keypoints are matched by name. People without a track get the first numbers that nobody in their frame has, which
    is all that an evaluation of poses needs.

    Args:
        folder: A new folder, or an empty one.
        results: Poses of any file. Scores of people all of whose keypoints have `NO_SCORE` are left out.
        truth: Annotations of the same videos.

    Raises:
        InputError: A row's image is in no video, the layouts share no keypoint, or the folder cannot be written.
    """
    contents = posetrack_contents(results, truth)
    write_folder_atomic(
        folder, {name: f"{json.dumps(content)}\n".encode() for name, content in contents.items()}
    )


def posetrack_contents(results: PoseFile, truth: PoseTrackAnnotations) -> dict[str, Record]:
    """What `write_posetrack_results` writes, by file name.

    Raises:
        InputError: See there.
    """
    rows_of = rows_by_image(results.poses.image_ids)
    for image_id, rows in rows_of.items():
        if image_id not in truth.annotations.images:
            raise InputError(
                f"{results.path}, row {rows[0]}, field 'image_id': {image_id!r} is not among the frames of "
                f"{truth.annotations.path}; give the annotations of the same videos."
            )
    triples, scores = _in_layout(results.poses, truth.annotations.skeleton)
    contents: dict[str, Record] = {}
    for video in truth.videos:
        people = [
            _person(results, row, track, triples[row], scores[row])
            for image_id in video.image_ids
            if image_id in rows_of
            for row, track in _tracks(results, rows_of[image_id].tolist()).items()
        ]
        contents[video.file_name] = {
            "images": list(video.images),
            "annotations": people,
            "categories": list(video.categories),
        }
    return contents


def _tracks(results: PoseFile, rows: Sequence[int]) -> dict[int, int | str]:
    """The track of each person of a frame: the own one, or the first number that nobody else has."""
    own = {row: None if results.tracks is None else results.tracks[row] for row in rows}
    free = (number for number in count() if number not in own.values())
    return {row: next(free) if track is None else track for row, track in own.items()}


def _person(results: PoseFile, row: int, track: int | str, triples: FloatArray, scores: FloatArray) -> Record:
    """A person of a PoseTrack file."""
    person: Record = {
        "image_id": results.poses.image_ids[row],
        "category_id": 1,
        "track_id": track,
        "keypoints": triples.ravel().tolist(),
    }
    if (results.poses.scores[row] != NO_SCORE).any():
        person["scores"] = scores.tolist()
    if results.boxes is not None and np.isfinite(results.boxes[row]).all():
        person["bbox"] = results.boxes[row].tolist()
    return {**person, "score": float(results.poses.pose_scores[row])}


def _in_layout(poses: Poses, skeleton: Skeleton) -> tuple[FloatArray, FloatArray]:
    """Poses as x, y, 1 (N, K, 3) and scores (N, K) of another layout; zeros where a keypoint is missing."""
    known = poses.in_layout(match_keypoints(poses.skeleton, skeleton))
    triples = np.concatenate([known.keypoints, np.ones((*known.valid.shape, 1))], axis=-1)
    return np.where(known.valid[..., None], triples, 0.0), np.where(known.valid, known.scores, 0.0)


@dataclass(frozen=True, eq=False)
class _Video:
    """One file."""

    text: JsonText
    records: Records
    triples: FloatArray
    poses: Poses
    image_ids: tuple[ImageId, ...]
    left_out: tuple[str, ...]

    @classmethod
    def read(cls, path: Path, given: Skeleton | None, category: str | None, no_score: float) -> _Video:
        text = JsonText.read(path)
        content = as_object(text.root, path)
        image_ids = listed_records(content, path, "images", "image").unique_ids()
        labelled = labelled_records(content, path, given, category, overrule=True)
        records, skeleton = labelled.records, labelled.skeleton
        triples = keypoint_triples(records, skeleton)
        known = frozenset(image_ids)
        people = ids_as_known(records.ids("image_id"), known)
        for number in records.asked():
            if people[number] not in known and people[number] != NO_ID:
                report_fault(records.fault(number, "image_id", "the id of an image of this file"))
        whole = without_gaps(triples)
        valid = (whole != 0).any(axis=-1)
        scores = _scores(records, skeleton, no_score)
        poses = Poses(whole[..., :2], scores, valid, people, _pose_scores(records, valid, scores), skeleton)
        return cls(text, records, triples, poses, image_ids, labelled.left_out)

    def with_poses(self, poses: Poses, keep: Sequence[int] | None, update_boxes: bool) -> bytes:
        """The file with other poses; of these only some are kept if so asked."""
        written = visible_triples_to_write(poses, self.triples, self.poses.valid, np.ones(poses.valid.shape))
        scores = numbers_to_write(self.poses.scores, np.where(poses.valid, poses.scores, self.poses.scores))
        scores[self.poses.valid & ~poses.valid] = 0.0
        boxes = new_boxes(poses, written, self.triples, self.text.root) if update_boxes else {}
        edits: dict[Place, Any] = {}
        for row, person in enumerate(self.records.rows):
            place = ("annotations", self.records.place(row))
            if differs(written[row], self.triples[row]).any():
                edits[(*place, "keypoints")] = flat_numbers(written[row])
                if "num_keypoints" in person:  # those with a visibility, as COCO counts
                    edits[(*place, "num_keypoints")] = int((written[row, :, 2] > 0).sum())
            if person.get("scores") and (scores[row] != self.poses.scores[row]).any():
                edits[(*place, "scores")] = scores[row].tolist()
            if "score" in person and poses.pose_scores[row] != self.poses.pose_scores[row]:
                edits[(*place, "score")] = float(poses.pose_scores[row])
            if row in boxes and person.get("bbox"):
                edits[(*place, "bbox")] = boxes[row]
        return self.text.edited({**edits, **removals(self.records, keep, edits)}).encode()


@dataclass(frozen=True, eq=False)
class _Rewrite:
    """The files with other poses; see `posefix.pose_files.pose_file.Rewrite`."""

    path: Path
    videos: Sequence[_Video]
    poses: Poses

    def __call__(
        self, poses: Poses, *, keep: Sequence[int] | None = None, update_boxes: bool = False
    ) -> Contents:
        check_same_poses(self.path, poses, self.poses)
        kept_rows = set(range(len(poses)) if keep is None else keep)
        contents = {}
        for video, end in zip(
            self.videos, accumulate(len(video.poses) for video in self.videos), strict=True
        ):
            start = end - len(video.poses)
            kept = [row - start for row in range(start, end) if row in kept_rows]
            name = video.text.path.name if self.path.is_dir() else ""
            contents[name] = video.with_poses(poses[start:end], kept, update_boxes)
        return contents


def _videos(path: Path, skeleton: Skeleton | None, category: str | None, no_score: float) -> list[_Video]:
    """The videos of a folder, or the one of a file; where faults are noted, those that can be read together."""
    videos: list[_Video] = []
    for file in video_files(path):
        try:
            videos.append(_Video.read(file, skeleton, category, no_score))
        except InputError as error:
            fault = error
            fault.where = fault.where or Where(file)
            report_fault(fault)
    if not videos:
        raise fault
    check_unique((video.text.path, "image", video.image_ids) for video in videos)
    return [video for video in videos if _is_alike(video, videos[0])]


def _is_alike(video: _Video, first: _Video) -> bool:
    """Whether two videos have the same keypoints; where others raise no fault, it is noted."""
    # Not the skeletons: one that is not packaged is called as its file.
    alike = video.poses.skeleton.keypoint_names == first.poses.skeleton.keypoint_names
    if not alike:
        report_fault(
            FormatError.at(
                Where(video.text.path, field="categories"),
                f"expected the keypoints of {first.text.path}, got "
                f"{', '.join(video.poses.skeleton.keypoint_names)}.",
                "Keep videos of one layout together.",
            )
        )
    return alike


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    return (entry for entry in value if isinstance(entry, dict)) if isinstance(value, list) else iter(())


def _is_scored(person: Record) -> bool:
    """Whether a person has scores, as results have them and annotations do not."""
    return "score" in person or bool(person.get("scores"))


def _notes(videos: Sequence[_Video]) -> tuple[str, ...]:
    lacking = sum(not person.get("scores") for video in videos for person in video.records.rows)
    return (f"people without keypoint scores, which are not written either: {lacking}",) if lacking else ()


def _scores(records: Records, skeleton: Skeleton, no_score: float) -> FloatArray:
    scores = np.full((len(records.rows), len(skeleton)), no_score)
    there = [row.get("scores") not in (None, []) for row in records.rows]
    if any(there):
        names = [f"score of {name}" for name in skeleton.keypoint_names]
        scores[there] = records.choose(there).number_lists("scores", names)
    return scores


def _pose_scores(records: Records, valid: BoolArray, scores: FloatArray) -> FloatArray:
    """Of each person: as given, else the mean of the valid keypoints' scores, else 0."""
    counted = valid & (scores != NO_SCORE)
    means = np.where(counted, scores, 0).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    given = ["score" in row for row in records.rows]
    if any(given):
        means[given] = records.choose(given).numbers("score")
    return np.asarray(means, dtype=np.float64)


def _join(parts: list[Poses], skeleton: Skeleton) -> Poses:
    return Poses(
        np.concatenate([part.keypoints for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.valid for part in parts]),
        tuple(image_id for part in parts for image_id in part.image_ids),
        np.concatenate([part.pose_scores for part in parts]),
        skeleton,
    )
