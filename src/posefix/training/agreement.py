"""Where estimators agree about people whom nobody labelled: poses to learn from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.formats.coco_annotations import AREA_OF_BOX
from posefix.pose.geometry import KEYPOINT_BOX_FACTOR, box_from_keypoints, box_iou, enlarge
from posefix.pose.poses import BoolArray, FloatArray, ImageId, Poses, Rows, rows_by_image
from posefix.pose.similarity import best_pairs, keypoint_similarity, oks
from posefix.skeletons import Skeleton, match_keypoints


@dataclass(frozen=True)
class AgreementRule:
    """When estimators agree; measured by `python -m benchmarks.pseudo_labels`.

    Attributes:
        same_person: OKS from which poses of two estimators show one person.
        same_place: KS from which two estimators have a keypoint in one place.
        certainty: Of a keypoint, the least that makes it a label.
        keypoints: A person with fewer labels is left out.
        overlap: IoU above which people who overlap are left out, as estimators like to agree on the wrong one of them.

    Raises:
        InputError: One is out of its range.
    """

    same_person: float = 0.5
    same_place: float = 0.7
    certainty: float = 0.3
    keypoints: int = 5
    overlap: float = 0.4

    def __post_init__(self) -> None:
        for name in ("same_person", "same_place", "certainty", "overlap"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}: expected a number from 0 to 1, got {getattr(self, name)}")
        if self.keypoints < 1:
            raise InputError(f"keypoints: expected 1 or more, got {self.keypoints}")


@dataclass(frozen=True, eq=False)
class Agreement:
    """People on whom estimators agree, and how many were left out.

    Attributes:
        poses: One row each: where they agree, and in `scores` how certain that is, from 0 to 1. A keypoint on which
            they do not agree is not valid. `pose_scores` are the means over a person's valid keypoints.
        bbox_xywh: (N, 4) around all that is known of a person, cut at the photo's edges, pixels.
        alone: People whom one estimator found alone.
        disputed: People with too few keypoints on which estimators agree.
        overlapping: Others, whose box overlaps another person's.
    """

    poses: Poses
    bbox_xywh: FloatArray
    alone: int
    disputed: int
    overlapping: int

    @property
    def area(self) -> FloatArray:
        """(N,) square pixels: the share of the box that people cover on average."""
        return np.asarray(AREA_OF_BOX * self.bbox_xywh[:, 2:].prod(axis=1))


def find_agreement(
    estimates: Sequence[Poses],
    photo_size: Callable[[ImageId], tuple[int, int]],
    rule: AgreementRule | None = None,
) -> Agreement:
    """Find the people on whom estimators agree.

    Poses of different estimators that resemble each other show one person. A keypoint's label is the mean of the places
    that lie near the place with most support; its certainty is the mean over all estimators of KS to the label times
    score, 0 for who has no such keypoint. So whoever disagrees, doubts or did not see the person lowers it.

    Args:
        estimates: Poses of at least two estimators, people whose scores are from 0 to 1 (what is above counts 1).
            Their keypoints are matched by name with those of the first, whose layout the labels have.
        photo_size: Width and height in pixels of the photo of an image id; keypoints outside of it are no labels.
        rule: When estimators agree.

    Raises:
        InputError: There are fewer than two estimators, they share no keypoint, or a keypoint has no sigma.
    """
    rule = rule or AgreementRule()
    if len(estimates) < 2:
        raise InputError(f"expected poses of two estimators or more, got {len(estimates)}")
    estimates = [_in_layout_of(estimates[0], poses) for poses in estimates]
    image_ids, members = _match(estimates, rule.same_person)
    together = (members >= 0).sum(axis=1) >= 2
    image_ids = [image_ids[person] for person in np.flatnonzero(together)]
    views = _Views.of(estimates, members[together])
    sizes = np.array([photo_size(image_id) for image_id in image_ids], dtype=np.float64).reshape(-1, 2)
    boxes = views.boxes(sizes)
    poses = views.labels(boxes, sizes, image_ids, rule)
    certain = poses.valid.sum(axis=1) >= rule.keypoints
    free = ~_overlapping(image_ids, boxes, rule.overlap)
    return Agreement(
        poses[certain & free],
        boxes[certain & free],
        alone=int((~together).sum()),
        disputed=int((~certain).sum()),
        overlapping=int((certain & ~free).sum()),
    )


def _in_layout_of(first: Poses, poses: Poses) -> Poses:
    if poses.skeleton == first.skeleton:
        return poses
    return poses.in_layout(match_keypoints(poses.skeleton, first.skeleton))


def _match(estimates: Sequence[Poses], same_person: float) -> tuple[list[ImageId], Rows]:
    """Who is who: the photo of each of P people, and their rows (P, E) in each estimator's poses, -1 for none."""
    by_photo = [rows_by_image(poses.image_ids) for poses in estimates]
    nobody = np.empty(0, dtype=np.int64)
    photos = dict.fromkeys(image_id for rows in by_photo for image_id in rows)
    image_ids: list[ImageId] = []
    members: list[list[int]] = []
    for image_id in photos:
        rows = [found.get(image_id, nobody) for found in by_photo]
        people = _match_in_photo(estimates, rows, same_person)
        members += people
        image_ids += [image_id] * len(people)
    return image_ids, np.array(members, dtype=np.int64).reshape(-1, len(estimates))


def _match_in_photo(estimates: Sequence[Poses], rows: Sequence[Rows], same_person: float) -> list[list[int]]:
    """Rows of each person of one photo: an estimator's poses join the people found before, the most similar first."""
    people: list[list[int]] = []
    known = np.empty((0, len(estimates[0].skeleton), 3))
    for number, (poses, own) in enumerate(zip(estimates, rows, strict=True)):
        found = np.dstack([poses.keypoints[own], poses.valid[own]])
        table = _similarity(found, known, poses.skeleton.sigmas)
        pairs = best_pairs(np.where(table >= same_person, table, 0.0))
        for pose, person in pairs:
            people[person][number] = int(own[pose])
        new = np.setdiff1d(np.arange(len(own)), [pose for pose, _ in pairs]).astype(np.int64)
        absent = [-1] * len(estimates)
        people += [[*absent[:number], int(row), *absent[number + 1 :]] for row in own[new]]
        known = np.concatenate([known, found[new]])
    return people


def _similarity(found: FloatArray, known: FloatArray, sigmas: FloatArray) -> FloatArray:
    """OKS (N, M) of poses with known ones; both x, y, there: (N, K, 3), (M, K, 3)."""
    valid = known[..., 2] > 0
    places = np.where(found[..., 2:] > 0, found[..., :2], np.inf)  # what is missing is far from everything
    return oks(places, known[..., :2], valid, _person_area(known[..., :2], valid), sigmas)


def _person_area(keypoints: FloatArray, valid: BoolArray) -> FloatArray:
    boxes = enlarge(box_from_keypoints(keypoints, valid), KEYPOINT_BOX_FACTOR)
    return np.asarray(AREA_OF_BOX * boxes[:, 2:].prod(axis=1))


@dataclass(frozen=True, eq=False)
class _Views:
    """What E estimators say of P people.

    Attributes:
        skeleton: Their layout.
        places: (P, E, K, 2) pixels.
        scores: (P, E, K) from 0 to 1, 0 for what is not there.
        there: (P, E, K) bool.
    """

    skeleton: Skeleton
    places: FloatArray
    scores: FloatArray
    there: BoolArray

    @classmethod
    def of(cls, estimates: Sequence[Poses], members: Rows) -> _Views:
        """The views of people whose rows (P, E) are given; -1 where an estimator did not find them."""
        shape = (len(members), len(estimates), len(estimates[0].skeleton))
        places, scores = np.zeros((*shape, 2)), np.zeros(shape)
        there = np.zeros(shape, dtype=np.bool_)
        for number, poses in enumerate(estimates):
            seen = members[:, number] >= 0
            rows = members[seen, number]
            places[seen, number], there[seen, number] = poses.keypoints[rows], poses.valid[rows]
            scores[seen, number] = np.where(poses.valid[rows], np.clip(poses.scores[rows], 0.0, 1.0), 0.0)
        return cls(estimates[0].skeleton, places, scores, there)

    def boxes(self, sizes_wh: FloatArray) -> FloatArray:
        """bbox_xywh (P, 4) around the median places of all keypoints, cut at the edges of photos (P, 2)."""
        known: BoolArray = np.asarray(self.there.any(axis=1))
        places = np.where(self.there[..., None], self.places, np.nan)
        places[np.broadcast_to(~known[:, None], self.there.shape)] = 0.0
        boxes = enlarge(box_from_keypoints(np.nanmedian(places, axis=1), known), KEYPOINT_BOX_FACTOR)
        low, high = (np.clip(corner, 0.0, sizes_wh) for corner in (boxes[:, :2], boxes[:, :2] + boxes[:, 2:]))
        return np.hstack([low, high - low])

    def labels(
        self, boxes: FloatArray, sizes_wh: FloatArray, image_ids: Sequence[ImageId], rule: AgreementRule
    ) -> Poses:
        """Where estimators agree, see `Agreement.poses`."""
        area = np.maximum(AREA_OF_BOX * boxes[:, 2:].prod(axis=1), 1.0)
        side = self._largest_side(area, rule.same_place)
        count = side.sum(axis=1)
        places = (self.places * side[..., None]).sum(axis=1) / np.maximum(count, 1)[..., None]
        closeness = self._similarity(self.places - places[:, None], area)
        certainty = (closeness * self.scores).mean(axis=1)
        inside = ((places >= -0.5) & (places <= sizes_wh[:, None] - 0.5)).all(axis=-1)
        valid = (count >= 2) & (certainty >= rule.certainty) & inside
        certainty = np.where(valid, certainty, 0.0)
        return Poses(
            keypoints=np.where(valid[..., None], places, 0.0),
            scores=certainty,
            valid=valid,
            image_ids=tuple(image_ids),
            pose_scores=certainty.sum(axis=1) / np.maximum(valid.sum(axis=1), 1),
            skeleton=self.skeleton,
        )

    def _largest_side(self, area: FloatArray, same_place: float) -> BoolArray:
        """Who is near the place that has most support, which is similarity times score of all near it (P, E, K)."""
        similarity = self._similarity(self.places[:, :, None] - self.places[:, None], area)
        near = (similarity >= same_place) & self.there[:, :, None] & self.there[:, None]
        support = (near * similarity * self.scores[:, None]).sum(axis=2)
        best = support.argmax(axis=1)[:, None, None]
        return np.asarray(np.take_along_axis(near, best, axis=1)[:, 0], dtype=np.bool_)

    def _similarity(self, offset: FloatArray, area: FloatArray) -> npt.NDArray[np.float64]:
        """KS (P, ..., K) of offsets (P, ..., K, 2)."""
        squared = (offset**2).sum(axis=-1)
        shaped = area.reshape(-1, *[1] * (squared.ndim - 1))
        return np.asarray(keypoint_similarity(squared, shaped, self.skeleton.sigmas))


def _overlapping(image_ids: Sequence[ImageId], bbox_xywh: FloatArray, limit: float) -> BoolArray:
    """(N,) whether a box overlaps another of the same photo by an IoU above the limit."""
    overlapping = np.zeros(len(bbox_xywh), dtype=np.bool_)
    for rows in rows_by_image(image_ids).values():
        overlapping[rows] = (box_iou(bbox_xywh[rows]) > limit).sum(axis=1) > 1
    return overlapping
