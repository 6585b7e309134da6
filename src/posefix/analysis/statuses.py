"""Every labelled keypoint of the people who were found: its status, its similarity, and where it would be repaired."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from posefix.analysis.ground_truth import GroundTruth
from posefix.evaluation.coco import SharedKeypoints
from posefix.pose.geometry import parts
from posefix.pose.poses import BoolArray, FloatArray, ImageId, Poses, Rows
from posefix.pose.similarity import falloff, keypoint_similarity
from posefix.pose_errors.taxonomy import (
    GOOD_SIMILARITY,
    JITTER_SIMILARITY,
    STATUS_NAMES,
    Status,
    classify_places,
    gather_references,
    nearest_reference,
)

StatusArray = npt.NDArray[np.int64]
INWARD = 1 - 1e-9
"""Repaired places lie this much nearer than the similarity asks for, so that rounding never puts them below it."""


@dataclass(frozen=True, eq=False)
class FoundPeople:
    """The poses of P people who were found, on the S keypoints that results and annotations share.

    Attributes:
        keypoint_names: (S,) as the annotations name them.
        image_ids: (P,) photo of each person.
        annotation_ids: (P,) id of each person in the annotations.
        people: (P,) rows in the annotations.
        poses: (P,) rows in the results.
        scores: (P,) of the poses.
        oks: (P,) of the poses; a keypoint that the pose lacks counts 0.
        places: (P, S, 2) of the poses, in pixels of the original photo; without meaning where missing.
        truth: (P, S, 2) as annotated; without meaning where not labelled.
        visibility: (P, S) int8: 0 not labelled, 1 labelled but hidden, 2 visible.
        missing: (P, S) bool, labelled keypoints that the pose lacks; their status is miss.
        statuses: (P, S) of `Status`, `UNLABELLED` where there is no label.
        similarity: (P, S) KS with the true keypoint, 0 where missing or not labelled.
        confusion: (P, S) KS with the place that decided the status: the true keypoint, its partner, a neighbour's.
        falloff: (P, S) distance in pixels at which KS is 1/e.
    """

    keypoint_names: tuple[str, ...]
    image_ids: tuple[ImageId, ...]
    annotation_ids: tuple[ImageId, ...]
    people: Rows
    poses: Rows
    scores: FloatArray
    oks: FloatArray
    places: FloatArray
    truth: FloatArray
    visibility: npt.NDArray[np.int8]
    missing: BoolArray
    statuses: StatusArray
    similarity: FloatArray
    confusion: FloatArray
    falloff: FloatArray

    def __len__(self) -> int:
        return len(self.poses)

    @property
    def labelled(self) -> BoolArray:
        """(P, S)."""
        return np.asarray(self.visibility > 0)

    def take(self, rows: Rows) -> FoundPeople:
        """Some of the people, by their places here."""
        chosen: dict[str, Any] = {}
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            chosen[field.name] = (
                tuple(value[row] for row in rows) if isinstance(value, tuple) else value[rows]
            )
        return replace(self, **chosen)

    def renumbered(self, rows: Rows) -> FoundPeople:
        """The same with rows of other results, of which these poses are the ones at `rows`."""
        return replace(self, poses=rows[self.poses])

    def columns(self) -> dict[str, Any]:
        """One entry per labelled keypoint, columns by name: ready for a data frame."""
        person, keypoint = np.nonzero(self.labelled)
        return {
            "image_id": [self.image_ids[row] for row in person],
            "annotation_id": [self.annotation_ids[row] for row in person],
            "row": self.poses[person],
            "score": self.scores[person],
            "oks": self.oks[person],
            "keypoint": [self.keypoint_names[column] for column in keypoint],
            "visibility": self.visibility[person, keypoint],
            "status": [STATUS_NAMES[value] for value in self.statuses[person, keypoint]],
            "similarity": self.similarity[person, keypoint],
            "missing": self.missing[person, keypoint],
            "x": self.places[person, keypoint, 0],
            "y": self.places[person, keypoint, 1],
            "true_x": self.truth[person, keypoint, 0],
            "true_y": self.truth[person, keypoint, 1],
        }

    def as_records(self) -> list[dict[str, object]]:
        """One object per person, ready for JSON; statuses in the order of `keypoint_names`, None where not labelled."""
        names = dict(enumerate(STATUS_NAMES))
        return [
            {
                "image_id": self.image_ids[person],
                "annotation_id": self.annotation_ids[person],
                "row": int(self.poses[person]),
                "score": float(self.scores[person]),
                "oks": round(float(self.oks[person]), 4),
                "statuses": [names.get(value) for value in self.statuses[person].tolist()],
            }
            for person in range(len(self))
        ]


def classify_found(poses: Poses, truth: GroundTruth, rows: Rows, people: Rows) -> FoundPeople:
    """The status of each keypoint of the poses that show a person, with the other labelled people as neighbours.

    Args:
        poses: in pixels of the original photos.
        truth: people in these photos.
        rows: (P,) rows of the poses.
        people: (P,) rows of the people they show.
    """
    shared, annotated = truth.shared, truth.annotations.people
    cells, labels = np.ix_(rows, shared.result_columns), np.ix_(people, shared.annotation_columns)
    true, visibility = annotated.keypoints[labels], annotated.visibility[labels]
    labelled, missing = visibility > 0, (visibility > 0) & ~poses.valid[cells]
    places = np.where(poses.valid[cells][..., None], poses.keypoints[cells], np.inf)
    area = annotated.area[people][:, None]
    squared = np.where(labelled, ((places - true) ** 2).sum(axis=-1), np.inf)
    similarity = keypoint_similarity(squared, area, shared.sigmas)
    statuses, confusion = _classify(places, similarity, truth, np.searchsorted(truth.countable, people))
    return FoundPeople(
        keypoint_names=shared.names,
        image_ids=tuple(poses.image_ids[row] for row in rows),
        annotation_ids=tuple(annotated.ids[row] for row in people),
        people=people,
        poses=rows,
        scores=poses.pose_scores[rows],
        oks=similarity.sum(axis=1) / labelled.sum(axis=1),
        places=poses.keypoints[cells],
        truth=true,
        visibility=visibility,
        missing=missing,
        statuses=statuses,
        similarity=similarity,
        confusion=confusion,
        falloff=falloff(area, shared.sigmas),
    )


def _classify(
    places: FloatArray, similarity: FloatArray, truth: GroundTruth, index: Rows
) -> tuple[StatusArray, FloatArray]:
    """Status (P, S), and KS with the place that decided it (P, S), of the people at `index` in the records."""
    statuses, confusion = np.empty(similarity.shape, dtype=np.int64), similarity.copy()
    for block in parts(len(places)):
        people = truth.records.people(index[block])
        references = gather_references(people, truth.skeleton)
        kinds = classify_places(places[block][:, :, None], references)[..., 0]
        statuses[block] = np.where(people.labelled, kinds, int(Status.UNLABELLED))
        confused = np.flatnonzero(np.isin(statuses[block], (Status.INVERSION, Status.SWAP)))
        candidates = places[block].reshape(-1, 1, 2)[confused]
        _, remoteness = nearest_reference(candidates, references.take(confused))
        confusion[block].reshape(-1)[confused] = np.exp(-remoteness[:, 0])
    return statuses, confusion


def repaired_places(found: FoundPeople, errors: Collection[Status]) -> FloatArray:
    """The poses' places (P, S, 2) after some kinds of error are repaired, in pixels of the original photo.

    A repaired keypoint comes as near to its true place as the analysis of Ronchi and Perona grants: a jitter to KS
    .85, where good begins; a miss to KS .5, where jitter begins; an inversion or swap to the KS that it had to the
    place it was confused with. It stays in the direction in which it lay; if it was missing, it comes to lie to the
    right.

    Args:
        found: the people.
        errors: the kinds to repair.
    """
    target = np.select(
        [found.statuses == Status.JITTER, found.statuses == Status.MISS],
        [GOOD_SIMILARITY, JITTER_SIMILARITY],
        found.confusion,
    )
    chosen = np.isin(found.statuses, list(errors))
    distance = INWARD * found.falloff * np.sqrt(-np.log(np.where(chosen, target, 1.0)))
    offset = np.where(found.missing[..., None], 0.0, found.places - found.truth)
    length = np.linalg.norm(offset, axis=-1, keepdims=True)
    direction = np.where(length > 0, offset / np.where(length > 0, length, 1.0), (1.0, 0.0))
    repaired = found.truth + distance[..., None] * direction
    return np.where(chosen[..., None], repaired, found.places)


def true_places(found: FoundPeople) -> FloatArray:
    """The poses' places (P, S, 2) with every labelled keypoint where it truly is: perfect localisation."""
    return np.where(found.labelled[..., None], found.truth, found.places)


def with_places(poses: Poses, found: FoundPeople, shared: SharedKeypoints, places: FloatArray) -> Poses:
    """All poses, those of the found people with other places (P, S, 2) of their labelled keypoints."""
    keypoints, valid = poses.keypoints.copy(), poses.valid.copy()
    person, keypoint = np.nonzero(found.labelled)
    cells = found.poses[person], shared.result_columns[keypoint]
    moved = (places != found.places).any(axis=-1) | ~found.missing
    keypoints[cells] = places[person, keypoint]
    valid[cells] = moved[person, keypoint]
    return poses.with_keypoints(keypoints, valid)
