"""How often each error happens: by keypoint, by group of keypoints, and by what is known of the people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from posefix.analysis.costs import measure_precision, select_people
from posefix.analysis.ground_truth import GroundTruth
from posefix.analysis.statuses import FoundPeople
from posefix.evaluation.coco import EvaluatorTruth
from posefix.pose.poses import BoolArray, FloatArray, Poses
from posefix.pose_errors.taxonomy import NUM_STATUSES, STATUS_NAMES
from posefix.skeletons import Skeleton

HEAD = {"nose", "eye", "ear", "mouth", "head"}
"""First words, after left and right, of the names that belong to the group head."""

ENOUGH_PEOPLE = 20
"""The AP of fewer people says little about what they have in common."""

Bands = tuple[tuple[str, float, float], ...]
LABELLED_BANDS: Bands = (("1-5", 1, 6), ("6-10", 6, 11), ("11-15", 11, 16), ("16+", 16, np.inf))
"""Numbers of labelled keypoints, from and below, as Ronchi and Perona group them."""
OVERLAP_BANDS: Bands = (("0", 0, 1), ("1-2", 1, 3), ("3+", 3, np.inf))
"""Numbers of people whose boxes overlap by an IoU above .1, as they group them."""
SIZE_BANDS: Bands = (
    ("below 32 px", 0, 32**2),
    ("32-64 px", 32**2, 64**2),
    ("64-96 px", 64**2, 96**2),
    ("96-128 px", 96**2, 128**2),
    ("128+ px", 128**2, np.inf),
)
"""Areas in square pixels, named by their square roots; theirs, and the people below 32 px whom they leave out."""


@dataclass(frozen=True, eq=False)
class Breakdown:
    """Statuses of labelled keypoints of the people who were found, in G groups.

    Attributes:
        name: what the groups differ in.
        labels: (G,) names of the groups.
        counts: (G, 5) int64, keypoints by `Status`.
    """

    name: str
    labels: tuple[str, ...]
    counts: npt.NDArray[np.int64]

    @property
    def frequencies(self) -> FloatArray:
        """(G, 5): shares of the statuses, which sum to one; 0 in groups without keypoints."""
        return np.asarray(self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1))

    def as_dict(self) -> dict[str, object]:
        """All numbers, ready for JSON."""
        return {
            "name": self.name,
            "groups": [
                {"label": label, **dict(zip(STATUS_NAMES, row, strict=True))}
                for label, row in zip(self.labels, self.counts.tolist(), strict=True)
            ],
        }


@dataclass(frozen=True, eq=False)
class PeopleBreakdown(Breakdown):
    """The same in groups of people, and how well each group is found.

    Attributes:
        people: (G,) annotated people.
        found: (G,) those of them whom a pose shows.
        oks: (G,) mean OKS of the found ones, 0 without any.
        ap: (G,) AP of the group's people and of the poses that show them; poses on nobody belong to no group, so that
            this is above the AP of everything.
    """

    people: npt.NDArray[np.int64]
    found: npt.NDArray[np.int64]
    oks: FloatArray
    ap: FloatArray

    @property
    def sensitivity(self) -> float | None:
        """Highest minus lowest AP of the groups of at least `ENOUGH_PEOPLE`; None with fewer than two of them."""
        ap = self.ap[self.people >= ENOUGH_PEOPLE]
        return float(np.ptp(ap)) if len(ap) > 1 else None

    def as_dict(self) -> dict[str, object]:
        """All numbers, ready for JSON."""
        columns = {"people": self.people, "found": self.found, "OKS": self.oks, "AP": self.ap}
        groups = [
            {
                "label": label,
                **{name: values[number].item() for name, values in columns.items()},
                **dict(zip(STATUS_NAMES, self.counts[number].tolist(), strict=True)),
            }
            for number, label in enumerate(self.labels)
        ]
        return {"name": self.name, "sensitivity": self.sensitivity, "groups": groups}


def keypoint_breakdowns(found: FoundPeople, skeleton: Skeleton) -> tuple[Breakdown, Breakdown, Breakdown]:
    """By group of keypoints, by keypoint, and by whether the annotators saw it.

    Args:
        found: the people.
        skeleton: of the S shared keypoints.
    """
    names = tuple(keypoint_group(name) for name in skeleton.keypoint_names)
    groups = tuple(dict.fromkeys(names))
    by_group = [_count(found.statuses[:, [name == group for name in names]]) for group in groups]
    by_name = [_count(found.statuses[:, column]) for column in range(len(skeleton))]
    seen = {"hidden": found.visibility == 1, "visible": found.visibility == 2}
    return (
        Breakdown("keypoint group", groups, np.stack(by_group)),
        Breakdown("keypoint", skeleton.keypoint_names, np.stack(by_name)),
        Breakdown(
            "visibility", tuple(seen), np.stack([_count(found.statuses[mask]) for mask in seen.values()])
        ),
    )


def keypoint_group(name: str) -> str:
    """The group of a keypoint: left and right together, the head as one."""
    words = [word for word in name.split("_") if word not in ("left", "right")]
    return "head" if words[:1] and words[0] in HEAD else "_".join(words) or name


def people_breakdowns(
    poses: Poses, truth: GroundTruth, found: FoundPeople
) -> tuple[PeopleBreakdown, PeopleBreakdown, PeopleBreakdown]:
    """By number of labelled keypoints, by number of overlapping people, by size.

    Args:
        poses: in pixels of the original photos.
        truth: people in these photos.
        found: keypoints of those whom a pose shows.
    """
    traits: Sequence[tuple[str, npt.NDArray[np.floating | np.integer], Bands]] = (
        ("number of labelled keypoints", truth.records.labelled.sum(axis=1), LABELLED_BANDS),
        ("number of overlapping people", truth.records.overlap, OVERLAP_BANDS),
        ("size, the root of their area", truth.annotations.people.area[truth.countable], SIZE_BANDS),
    )
    first, second, third = (
        _by_band(name, _members(values, bands), poses, truth, found) for name, values, bands in traits
    )
    return first, second, third


def _members(values: npt.NDArray[np.floating | np.integer], bands: Bands) -> dict[str, BoolArray]:
    """Who of the G countable people is in which band; bands without people are left out."""
    masks = {label: np.asarray((values >= low) & (values < high)) for label, low, high in bands}
    return {label: mask for label, mask in masks.items() if mask.any()}


def _by_band(
    name: str, members: dict[str, BoolArray], poses: Poses, truth: GroundTruth, found: FoundPeople
) -> PeopleBreakdown:
    """One breakdown; `members` are masks of the countable people."""
    place = np.searchsorted(truth.countable, found.people)
    rows = [mask[place] for mask in members.values()]
    ap = []
    for mask, mine in zip(members.values(), rows, strict=True):
        annotations = select_people(truth.annotations, truth.countable[mask])
        evaluator = EvaluatorTruth.of(annotations, truth.shared)
        ap.append(measure_precision(poses[found.poses[mine]], evaluator).mean())
    return PeopleBreakdown(
        name,
        tuple(members),
        np.stack([_count(found.statuses[mine]) for mine in rows]),
        people=np.array([mask.sum() for mask in members.values()]),
        found=np.array([mine.sum() for mine in rows]),
        oks=np.array([found.oks[mine].mean() if mine.any() else 0.0 for mine in rows]),
        ap=np.array(ap),
    )


def _count(statuses: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """(5,): how many keypoints have each status."""
    return np.bincount(statuses[statuses >= 0], minlength=NUM_STATUSES)
