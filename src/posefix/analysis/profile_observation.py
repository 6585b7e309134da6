"""Errors of real poses, as far as synthesis can imitate them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from itertools import compress
from typing import Any

import numpy as np
import numpy.typing as npt

from posefix.analysis.coverage import known_rows
from posefix.analysis.ground_truth import GroundTruth
from posefix.analysis.pairing import check_found, pair_people
from posefix.formats.coco_annotations import Annotations
from posefix.pose import geometry
from posefix.pose.poses import BoolArray, FloatArray, Poses, Rows
from posefix.pose_errors.synthesis import structurally_possible
from posefix.pose_errors.taxonomy import Status, classify_places, gather_references, nearest_reference
from posefix.skeletons import Skeleton

IntArray = npt.NDArray[np.int64]

NEVER_ESTIMATED = 0.9
"""Who misses so large a share of a keypoint does not estimate it, whatever the layout says."""
ENOUGH_KEYPOINTS = 50
"""Fewer keypoints say too little about a distribution of distances, or about whether a keypoint is estimated."""


@dataclass(frozen=True, eq=False)
class ObservedErrors:
    """P poses of annotated people, on S keypoints, as far as synthesis can imitate them.

    Attributes:
        keypoint_names: (S,) as the annotations name them.
        groups: (S,) of each keypoint; left and right are one.
        num_labelled: (P,) labelled keypoints of the person, those that were not compared too.
        overlap: (P,) people who overlap the person.
        statuses: (P, S) of `Status`, `UNLABELLED` where there is no label or no estimate.
        possible: (P, S, 5) bool, the statuses that the labels allow.
        distances: (P, S) to the reference that decided the status, in units of its falloff distance.
        missing: (P, S) bool, labelled keypoints that the pose lacks.
    """

    keypoint_names: tuple[str, ...]
    groups: tuple[str, ...]
    num_labelled: IntArray
    overlap: IntArray
    statuses: IntArray
    possible: BoolArray
    distances: FloatArray
    missing: BoolArray

    def __len__(self) -> int:
        return len(self.num_labelled)

    def take(self, rows: Rows) -> ObservedErrors:
        """Some of the poses."""
        return replace(self, **{field.name: getattr(self, field.name)[rows] for field in fields(self)[2:]})

    def without(self, names: Collection[str]) -> ObservedErrors:
        """The same without some keypoints."""
        kept = np.array([name not in names for name in self.keypoint_names])
        by_keypoint = ("statuses", "possible", "distances", "missing")
        return replace(
            self,
            keypoint_names=tuple(compress(self.keypoint_names, kept)),
            groups=tuple(compress(self.groups, kept)),
            **{name: getattr(self, name)[:, kept] for name in by_keypoint},
        )

    def never_estimated(self) -> tuple[str, ...]:
        """Keypoints that are missed in nearly everybody: no estimator is that bad."""
        compared = (self.statuses >= 0).sum(axis=0)
        missed = (self.statuses == Status.MISS).sum(axis=0)
        lost = (compared >= ENOUGH_KEYPOINTS) & (missed > NEVER_ESTIMATED * compared)
        return tuple(compress(self.keypoint_names, lost))


def observe_errors(results: Poses, annotations: Annotations, *, strict: bool = False) -> ObservedErrors:
    """What the poses that show an annotated person do wrong; these are the poses that `analyze` finds.

    Args:
        results: poses in pixels of the original photos.
        annotations: people in these photos; keypoints are matched by name.
        strict: refuse results and annotations that do not show the same photos.

    Raises:
        InputError: no photo, keypoint or person is shared, a sigma is unknown on both sides, or `strict` refuses.
    """
    poses = results[known_rows(results, annotations, strict=strict)]
    truth = GroundTruth.of(poses, annotations)
    pairing = pair_people(poses, truth)
    check_found(pairing, annotations)
    return observe_pairs(poses, truth, pairing.poses, pairing.people)


def observe_pairs(poses: Poses, truth: GroundTruth, rows: Rows, people: Rows) -> ObservedErrors:
    """The same for poses of which somebody knows whom they show.

    Args:
        poses: in pixels of the original photos.
        truth: people in these photos.
        rows: (P,) rows of the poses.
        people: (P,) rows of the people whom they show, in the annotations; all of them countable.
    """
    cells = np.ix_(rows, truth.shared.result_columns)
    there = poses.valid[cells]
    index = np.searchsorted(truth.countable, people)
    labelled = truth.records.labelled[index]
    statuses, possible, distances = _classify(poses.keypoints[cells], truth, index)
    return ObservedErrors(
        keypoint_names=truth.skeleton.keypoint_names,
        groups=_groups(truth.skeleton),
        num_labelled=(truth.annotations.people.visibility[people] > 0).sum(axis=1),
        overlap=truth.records.overlap[index],
        statuses=np.where(labelled & there, statuses, int(Status.UNLABELLED)),
        possible=possible,
        distances=distances,
        missing=labelled & ~there,
    )


def _classify(places: FloatArray, truth: GroundTruth, index: Rows) -> tuple[IntArray, BoolArray, FloatArray]:
    """Status, possible statuses and distance of places (P, S, 2) of the people at `index` in the records."""
    found: list[tuple[IntArray, BoolArray, FloatArray]] = []
    for block in geometry.parts(max(len(index), 1)):  # of nobody, too, an array of each kind
        references = gather_references(truth.records.people(index[block]), truth.skeleton)
        candidates = places[block][:, :, None]
        statuses = classify_places(candidates, references)[..., 0]
        remoteness = nearest_reference(candidates, references)[1][..., 0]
        # Without a label there may be no reference at all; nobody looks at these.
        remoteness = np.where(np.isfinite(remoteness), remoteness, 0.0)
        found.append((statuses, structurally_possible(references), np.sqrt(remoteness)))
    statuses, possible, distances = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return statuses, possible, distances


def _groups(skeleton: Skeleton) -> tuple[str, ...]:
    """The name of each keypoint without its side: left and right are one group."""
    names = list(skeleton.keypoint_names)
    for pair in skeleton.flip_pairs:
        first, second = (name.split("_") for name in pair)
        shared = "_".join(word for word in first if word in second)
        for name in pair:
            names[skeleton.index(name)] = shared or pair[0]
    return tuple(names)


def pool(parts: Sequence[ObservedErrors]) -> ObservedErrors:
    """Several estimators' poses as those of one, or of one estimator on several sets; keypoints match by name."""
    group_of = {
        name: group for part in parts for name, group in zip(part.keypoint_names, part.groups, strict=True)
    }
    names = tuple(group_of)

    def joined(field: str, missing: object) -> npt.NDArray[Any]:
        rows = []
        for part in parts:
            values = getattr(part, field)
            wide = np.full((len(part), len(names), *values.shape[2:]), missing, dtype=values.dtype)
            wide[:, [names.index(name) for name in part.keypoint_names]] = values
            rows.append(wide)
        return np.concatenate(rows)

    return ObservedErrors(
        names,
        tuple(group_of.values()),
        np.concatenate([part.num_labelled for part in parts]),
        np.concatenate([part.overlap for part in parts]),
        joined("statuses", int(Status.UNLABELLED)),
        joined("possible", False),
        joined("distances", 0.0),
        joined("missing", False),
    )
