"""PoseTrack 2018's average precision by keypoint, with the rules of poseval (L. Pishchulin).

https://github.com/leonid-pishchulin/poseval, the evaluation of the data set's server and of the paper's tables 5 and 6:

* Frames that annotate nobody do not count, on either side, nor do points inside a frame's ignore regions.
* A keypoint is found if it is at most half a head size away; head size is .6 of the diagonal of the head box.
* A pose stands for the person of whom it finds the largest share of labelled keypoints; of the poses that stand for
  a person the one that finds the largest share is taken, all others are wrong from head to ankle.
* The precision of all points of one keypoint, ranked by their scores, is averaged over recall, at every point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posefix.errors import InputError, plural
from posefix.evaluation.coco import check_images
from posefix.evaluation.percentages import metric_table, percent
from posefix.formats.coco_posetrack import PoseTrackAnnotations
from posefix.formats.coco_posetrack_results import PoseTrackResults, read_posetrack_results
from posefix.interchange import read_annotated_file
from posefix.interchange.detection import detect_format
from posefix.pose.poses import BoolArray, FloatArray, ImageId, Poses, Rows, rows_by_image
from posefix.pose_files.pose_file import Source
from posefix.skeletons import Skeleton

GROUPS = {
    "Head": ("nose", "neck", "head_top"),
    "Shou": ("left_shoulder", "right_shoulder"),
    "Elb": ("left_elbow", "right_elbow"),
    "Wri": ("left_wrist", "right_wrist"),
    "Hip": ("left_hip", "right_hip"),
    "Knee": ("left_knee", "right_knee"),
    "Ankl": ("left_ankle", "right_ankle"),
}
"""Columns of the table, and the keypoints whose mean each shows."""
TOTAL = "Total"
POSETRACK_METRIC_NAMES = (*GROUPS, TOTAL)
SCORED = tuple(name for names in GROUPS.values() for name in names)
JUDGED_BY_FRAME = ("posetrack18", "coco-annotations")
"""Formats of files that say which frames were looked at, with or without people."""
FOUND_DISTANCE = 0.5
"""In head sizes."""
HEAD_SIZE_OF_DIAGONAL = 0.6


@dataclass(frozen=True)
class PoseTrackMetrics:
    """Average precision of the fifteen scored keypoints.

    Attributes:
        ap: Of each keypoint, 0 to 1; -1 where nobody is labelled with it. (poseval takes 0 for a keypoint that is
            neither labelled nor found anywhere; here such a keypoint does not count.)
        absent: Keypoints that the results' layout lacks; they count as not found.
    """

    ap: Mapping[str, float]
    absent: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        """Mean over the keypoints, not over the columns."""
        return self._mean(SCORED)

    def as_dict(self) -> dict[str, float]:
        """The eight numbers by their names in `POSETRACK_METRIC_NAMES`."""
        return {**{column: self._mean(names) for column, names in GROUPS.items()}, TOTAL: self.total}

    @property
    def keypoint_names(self) -> tuple[str, ...]:
        """The keypoints that were compared."""
        return SCORED

    def notes(self) -> list[str]:
        """A line where the results' layout lacks keypoints."""
        names = ", ".join(self.absent)
        return [f"not in the results' layout, counted as not found: {names}"] if names else []

    def table(self) -> str:
        """Names above percentages, and what the results' layout lacks."""
        return "\n".join([*metric_table(self.as_dict()), *self.notes()])

    def _mean(self, names: tuple[str, ...]) -> float:
        known = [self.ap[name] for name in names if self.ap[name] >= 0]
        return float(np.mean(known)) if known else -1.0

    def __str__(self) -> str:
        return ", ".join(f"{name} {percent(value)}" for name, value in self.as_dict().items())


@dataclass(frozen=True, eq=False)
class _Points:
    """N people with their J scored keypoints.

    Attributes:
        places: (N, J, 2) pixels.
        there: (N, J) labelled, or found.
        image_ids: Frame of each person.
    """

    places: FloatArray
    there: BoolArray
    image_ids: tuple[ImageId, ...]


def evaluate_posetrack(results: Poses, truth: PoseTrackAnnotations) -> PoseTrackMetrics:
    """Measure poses as PoseTrack 2018 does; see the module for the rules.

    Only the scores of keypoints matter, not those of poses. Of equal scores the later pose ranks first; in poseval
    their order depends on the CPU.

    Args:
        results: Poses in any layout, matched by name; a frame without poses is one where nobody was found.
        truth: Annotations of the same videos.

    Raises:
        InputError: A pose's frame is not annotated, a scored keypoint is not in the annotations' layout, or a labelled
            person has no head box.
    """
    check_images(results, truth.annotations)
    found, scores, absent = _found(results)
    people = _labelled(truth)
    head_sizes = _head_sizes(truth, people.there)
    found, people = (_outside_regions(side, truth) for side in (found, people))
    poses_of = rows_by_image(found.image_ids)
    frames = rows_by_image(people.image_ids)
    # Equal scores are ranked by the order of the frames.
    order = [frame for frame in truth.annotations.images if frame in frames]
    nobody = np.empty(0, dtype=np.int64)
    rows = np.concatenate([nobody, *(poses_of.get(frame, nobody) for frame in order)])
    right = np.zeros(found.there.shape, dtype=bool)
    for frame in order:
        poses, there = poses_of.get(frame, nobody), frames[frame]
        right[poses] = _right(found, poses, people, there, head_sizes[there])
    ap = {
        name: average_precision(
            scores[rows, column][found.there[rows, column]],
            right[rows, column][found.there[rows, column]],
            int(people.there[:, column].sum()),
        )
        for column, name in enumerate(SCORED)
    }
    return PoseTrackMetrics(ap, absent)


def average_precision(scores: FloatArray, right: BoolArray, labelled: int) -> float:
    """Area under precision over recall, precision being the best at this or any higher recall.

    Args:
        scores: (n,).
        right: (n,).
        labelled: How many points there are to find.

    Returns:
        0 to 1; -1 if there is nothing to find.
    """
    if labelled == 0:
        return -1.0
    ranked = right[np.argsort(scores, kind="stable")[::-1]]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    # Recall rises by 1 / labelled at each right point, and nowhere else.
    return float(best[ranked].sum() / labelled)


def inside(points: FloatArray, polygon: FloatArray) -> BoolArray:
    """Which points (n, 2) are inside a polygon (V, 2), by the even-odd rule; its border is outside."""
    x, y = points[:, :1], points[:, 1:]
    (left, top), (right, bottom) = polygon.T, np.roll(polygon, -1, axis=0).T
    straddles = (top > y) != (bottom > y)
    height = np.where(bottom == top, 1.0, bottom - top)
    crossings = straddles & (x < left + (y - top) * (right - left) / height)
    area = (right - left) * (y - top) - (bottom - top) * (x - left)
    within = (x >= np.minimum(left, right)) & (x <= np.maximum(left, right))
    within &= (y >= np.minimum(top, bottom)) & (y <= np.maximum(top, bottom))
    on_border = ((area == 0) & within).any(axis=1)
    return np.asarray((crossings.sum(axis=1) % 2 == 1) & ~on_border, dtype=np.bool_)


def check_frames(listed: frozenset[ImageId], truth: PoseTrackAnnotations, where: str) -> None:
    """Refuse PoseTrack results that leave out frames in which people are annotated.

    Args:
        listed: Frames that the results list, those without people too.
        truth: The annotations.
        where: Name of the results, for the message.

    Raises:
        InputError: Names a frame that is missing and its video.
    """
    annotated = set(truth.annotations.people.image_ids)
    for video in truth.videos:
        missing = [frame for frame in video.image_ids if frame in annotated and frame not in listed]
        if missing:
            raise InputError(
                f"{where}: lists {len(annotated & listed)} of the {plural(len(annotated), 'annotated frame')} of "
                f"{truth.annotations.path}, not {missing[0]!r} of {video.file_name}; give results that list every "
                "frame of every video, with or without people."
            )


def read_judged_poses(path: str | Path, skeleton: Skeleton | None, truth: PoseTrackAnnotations) -> Poses:
    """Read poses from PoseTrack results or from another pose file, those of frames without annotations too.

    Args:
        path: A folder of PoseTrack results, one of its files, or a pose file of another format.
        skeleton: Layout of a file that does not say it; PoseTrack's files name theirs.
        truth: The annotations that the poses will be compared with.

    Raises:
        InputError: A file is faulty, PoseTrack results leave out an annotated frame, or no skeleton is given for a
            file that does not say its layout.
    """
    found = read_judged_results(path, skeleton, truth)
    check_frames(found.image_ids, truth, str(path))
    return found.file.poses


def read_judged_results(
    path: str | Path, skeleton: Skeleton | None, truth: PoseTrackAnnotations
) -> PoseTrackResults:
    """Read PoseTrack results or another pose file, the other one with the image ids of the annotations.

    The other one says nothing of frames without people, and counts as listing all.

    Args:
        path: As of `read_judged_poses`.
        skeleton: As of `read_judged_poses`.
        truth: The annotations of the same videos.

    Raises:
        InputError: A file is faulty, or no skeleton is given for a file that does not say its layout.
    """
    if detect_format(Source(path)).format.name in JUDGED_BY_FRAME:
        return read_posetrack_results(path, skeleton)
    file = read_annotated_file(path, truth.annotations, skeleton)
    return PoseTrackResults(file, frozenset(truth.annotations.images))


def _found(results: Poses) -> tuple[_Points, FloatArray, tuple[str, ...]]:
    """The scored keypoints of poses, their scores (N, J), and the names that the layout lacks."""
    columns = [results.skeleton.find(name) for name in SCORED]
    shape = (len(results), len(SCORED))
    places, scores, there = np.zeros((*shape, 2)), np.zeros(shape), np.zeros(shape, dtype=bool)
    own = [column for column in columns if column is not None]
    target = [index for index, column in enumerate(columns) if column is not None]
    places[:, target], scores[:, target] = results.keypoints[:, own], results.scores[:, own]
    there[:, target] = results.valid[:, own]
    absent = tuple(name for name, column in zip(SCORED, columns, strict=True) if column is None)
    return _Points(places, there, results.image_ids), scores, absent


def _labelled(truth: PoseTrackAnnotations) -> _Points:
    people, skeleton = truth.annotations.people, truth.annotations.skeleton
    if lacking := [name for name in SCORED if skeleton.find(name) is None]:
        raise InputError(
            f"{truth.annotations.path}, field 'categories': expected PoseTrack's {len(SCORED)} keypoints, got none "
            f"named {', '.join(lacking)}; measure these annotations by COCO's rules (--metric coco)."
        )
    columns = [skeleton.index(name) for name in SCORED]
    return _Points(people.keypoints[:, columns], people.visibility[:, columns] > 0, people.image_ids)


def _head_sizes(truth: PoseTrackAnnotations, labelled: BoolArray) -> FloatArray:
    """(N,) pixels."""
    boxes, people = truth.head_boxes_xywh, truth.annotations.people
    lacking = np.flatnonzero(np.isnan(boxes).any(axis=1) & labelled.any(axis=1))
    if len(lacking):
        raise InputError(
            f"{truth.annotations.path}, annotation {people.ids[lacking[0]]!r}, field 'bbox_head': expected a box, got "
            "none, and distances are measured in head sizes; give every labelled person one."
        )
    return np.asarray(HEAD_SIZE_OF_DIAGONAL * np.linalg.norm(boxes[:, 2:], axis=1), dtype=np.float64)


def _outside_regions(points: _Points, truth: PoseTrackAnnotations) -> _Points:
    """Without the keypoints that lie in a region that their frame ignores."""
    there = points.there.copy()
    for frame, rows in rows_by_image(points.image_ids).items():
        for polygon in truth.ignore_regions.get(frame, ()):
            ignored = inside(points.places[rows].reshape(-1, 2), polygon)
            there[rows] &= ~ignored.reshape(len(rows), -1)
    return _Points(points.places, there, points.image_ids)


def _right(found: _Points, poses: Rows, people: _Points, rows: Rows, head_sizes: FloatArray) -> BoolArray:
    """(P, J): which keypoints of the P poses of a frame count as found, given its people's rows."""
    right = np.zeros((len(poses), len(SCORED)), dtype=bool)
    if not len(poses):
        return right
    both = found.there[poses][:, None] & people.there[rows][None]
    offset = found.places[poses][:, None] - people.places[rows][None]
    # A head box without extent finds nothing, as in poseval.
    sizes = np.where(head_sizes > 0, head_sizes, np.nan)[:, None]
    close = both & (np.linalg.norm(offset, axis=-1) / sizes <= FOUND_DISTANCE)
    share = close.sum(axis=-1) / np.maximum(people.there[rows].sum(axis=-1), 1)
    stands_for = share.argmax(axis=1)
    kept = np.where(stands_for[:, None] == np.arange(len(rows)), share, 0.0)
    best = kept.argmax(axis=0)
    taken = np.flatnonzero(kept.max(axis=0) > 0)
    right[best[taken]] = close[best[taken], taken]
    return right
