"""From errors that were observed to the profile whose synthesised poses make them as often and as far."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from posefix.analysis.profile_observation import ENOUGH_KEYPOINTS, IntArray, ObservedErrors
from posefix.errors import InputError
from posefix.files import write_text_atomic
from posefix.pose.poses import FloatArray
from posefix.pose_errors.profile import NO_LIMIT, REACHES, Case, ErrorProfile, frequencies, load_error_profile
from posefix.pose_errors.taxonomy import ERRORS, NUM_STATUSES, STATUS_NAMES, Status
from posefix.skeletons import load_skeleton

LABELLED_LIMITS = (5, 10, 15, NO_LIMIT)
"""At most so many labelled keypoints has a person of each band: the paper's bands."""
OVERLAP_LIMITS = (0, 1, 3)
"""At least so many people overlap a person of each band."""
BANDS = tuple(product(range(len(LABELLED_LIMITS)), reversed(range(len(OVERLAP_LIMITS)))))
"""Bands of labelled keypoints and of overlap in the order in which a profile must name them: the strictest first."""
SMOOTHING = 20.0
"""So many keypoints of the frequencies one level up are added to those that were counted."""
LEVELS = np.append(np.linspace(0, 0.95, 20), 0.99)
"""Probabilities of the quantiles in a profile. Synthesis takes them for equal steps up to 1; the last is lower, so that
one wild keypoint does not stretch the tail."""
POSSIBLE = np.array(
    [
        [status not in impossible for status in range(NUM_STATUSES)]
        for impossible in ((Status.INVERSION, Status.SWAP), (Status.SWAP,), (Status.INVERSION,), ())
    ]
)
"""(4, 5): the statuses a keypoint can have: no partner nor neighbour is labelled, a partner, a neighbour, both are."""
MOST_ITERATIONS = 1000


@dataclass(frozen=True, eq=False)
class FittedProfile:
    """A profile and the counts that it comes from; G groups, 4 bands of labelled keypoints, 3 bands of overlap.

    Attributes:
        profile: what synthesis reads.
        counts: (G, 4, 3, 4, 5) keypoints by group, band, statuses that were possible (`POSSIBLE`), and status.
        poses: (4, 3) poses by band.
        by_group: (G, 5) smoothed frequencies of each group over all bands.
        overall: (5,) frequencies of all groups.
        missing: labelled keypoints that the poses lack.
    """

    profile: ErrorProfile
    counts: IntArray
    poses: IntArray
    by_group: FloatArray
    overall: FloatArray
    missing: int

    def as_dict(self) -> dict[str, Any]:
        """The profile as its file says it, with the counts."""
        cases = [
            {
                **_limits(labelled, overlap),
                "poses": int(self.poses[labelled, overlap]),
                "keypoints": {
                    group: self.counts[number, labelled, overlap].sum(axis=0).tolist()
                    for number, group in enumerate(self.profile.groups)
                },
            }
            for labelled, overlap in BANDS
        ]
        counts = {
            "smoothing": SMOOTHING,
            "poses": int(self.poses.sum()),
            "statuses": list(STATUS_NAMES),
            "cases": cases,
        }
        return {**self.profile.as_dict(), "counts": counts}

    def write(self, path: str | Path) -> None:
        """Write the profile's file, a line for each of its fields.

        Raises:
            InputError: The file cannot be written.
        """
        fields = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in self.as_dict().items())
        write_text_atomic(path, "{\n" + ",\n".join(fields) + "\n}\n")


def fit_profile(observed: ObservedErrors, name: str, source: str) -> FittedProfile:
    """The profile whose synthesised poses make the errors that were observed, as often and as far.

    Frequencies are those among the statuses that were possible: who has no neighbour is never swapped, and synthesis
    leaves out what is impossible, too. They are smoothed with `SMOOTHING` keypoints of the frequencies one level up:
    those of a band with those of the group over all bands, those of a group with those of all groups, and these with
    the mean ones of the paper.

    Args:
        observed: poses of one estimator or several.
        name: of the profile.
        source: where the numbers come from.

    Raises:
        InputError: No keypoint was compared.
    """
    groups = _observed_groups(observed)
    if not groups:
        raise InputError(f"{name}: no labelled keypoint was estimated, so that there is no error to count.")
    counts = _count(observed, tuple(groups))
    overall = estimate_frequencies(counts.sum(axis=(0, 1, 2)), paper_frequencies())
    by_group = estimate_frequencies(counts.sum(axis=(1, 2)), _prior(groups, overall))
    by_band = estimate_frequencies(counts, by_group[:, None, None])
    other = estimate_frequencies(counts.sum(axis=0), overall)
    cases = {
        error: tuple(
            _case(
                labelled,
                overlap,
                groups,
                [*by_band[:, labelled, overlap, error], other[labelled, overlap, error]],
            )
            for labelled, overlap in BANDS
        )
        for error in ERRORS
    }
    profile = ErrorProfile(name, source, groups, cases, _fit_distances(observed))
    labelled, overlap = _bands(observed)
    poses = np.zeros((len(LABELLED_LIMITS), len(OVERLAP_LIMITS)), dtype=np.int64)
    np.add.at(poses, (labelled, overlap), 1)
    return FittedProfile(profile, counts, poses, by_group, overall, int(observed.missing.sum()))


def _prior(groups: Mapping[str, Sequence[str]], overall: FloatArray) -> FloatArray:
    """(G, 5): frequencies of all groups, without inversions where a keypoint has no partner."""
    alone = np.array([len(names) == 1 for names in groups.values()])
    inversion = np.arange(NUM_STATUSES) == Status.INVERSION
    prior = np.where(alone[:, None] & inversion, 0.0, overall)
    return np.asarray(prior / prior.sum(axis=1, keepdims=True))


def estimate_frequencies(counts: npt.NDArray[Any], prior: FloatArray) -> FloatArray:
    """Most likely frequencies of statuses of which not all were possible everywhere, after smoothing.

    Synthesis gives what is impossible for a keypoint probability 0 and renormalises the rest; these are the
    frequencies under which that gives the counts (a choice model of Luce, by the iteration of Hunter, "MM algorithms
    for generalized Bradley-Terry models", Annals of Statistics 2004).

    Args:
        counts: (..., 4, 5) keypoints by the statuses that were possible (`POSSIBLE`) and by status.
        prior: (..., 5) frequencies of which `SMOOTHING` keypoints are added where all are possible; a status of
            frequency 0 keeps it.

    Returns:
        (..., 5), which sum to one.
    """
    smoothed = counts.astype(np.float64)
    smoothed[..., -1, :] += SMOOTHING * prior
    seen, totals = smoothed.sum(axis=-2), smoothed.sum(axis=-1)
    found = np.broadcast_to(prior, seen.shape)
    for _ in range(MOST_ITERATIONS):
        chances = found @ POSSIBLE.T
        updated = seen / ((totals / chances) @ POSSIBLE)
        updated /= updated.sum(axis=-1, keepdims=True)
        done = np.abs(updated - found).max() < 1e-9
        found = updated
        if done:
            break
    return np.asarray(found)


def paper_frequencies() -> FloatArray:
    """(5,): the paper's mean over COCO's keypoints, of somebody with all of them labelled and nobody near."""
    coco = load_skeleton("coco17")
    values = frequencies(load_error_profile(), coco, np.array([len(coco)]), np.array([0]))
    return np.asarray(values[0].mean(axis=0), dtype=np.float64)


def _observed_groups(observed: ObservedErrors) -> dict[str, tuple[str, ...]]:
    """The keypoints of each group that was compared."""
    groups: dict[str, tuple[str, ...]] = {}
    compared = (observed.statuses >= 0).sum(axis=0) > 0
    for name, group, use in zip(observed.keypoint_names, observed.groups, compared, strict=True):
        if use:
            groups[group] = (*groups.get(group, ()), name)
    return groups


def _bands(observed: ObservedErrors) -> tuple[IntArray, IntArray]:
    """(P,) band of labelled keypoints and band of overlap of each pose."""
    labelled = np.searchsorted(LABELLED_LIMITS, observed.num_labelled)
    return labelled, np.searchsorted(OVERLAP_LIMITS, observed.overlap, side="right") - 1


def _count(observed: ObservedErrors, groups: Sequence[str]) -> IntArray:
    """Keypoints (G, 4, 3, 4, 5) by group, bands, possible statuses and status."""
    person, keypoint = np.nonzero(observed.statuses >= 0)
    group = np.array([groups.index(name) if name in groups else -1 for name in observed.groups])
    labelled, overlap = _bands(observed)
    possible = observed.possible[person, keypoint]
    pattern = possible[:, Status.INVERSION] + 2 * possible[:, Status.SWAP]
    shape = (len(groups), len(LABELLED_LIMITS), len(OVERLAP_LIMITS), len(POSSIBLE), NUM_STATUSES)
    status = observed.statuses[person, keypoint]
    places = np.ravel_multi_index(
        (group[keypoint], labelled[person], overlap[person], pattern, status), shape
    )
    return np.bincount(places, minlength=int(np.prod(shape))).reshape(shape)


def _fit_distances(observed: ObservedErrors) -> dict[Status, dict[str, tuple[float, ...]]]:
    """Quantiles of the distances of each status and group that has enough keypoints."""
    found: dict[Status, dict[str, tuple[float, ...]]] = {}
    groups = np.array(observed.groups)
    for status, limits in REACHES.items():
        of_status = observed.statuses == status
        if of_status.sum() < ENOUGH_KEYPOINTS:
            continue
        found[status] = {"other": _quantiles(observed.distances[of_status], limits)}
        for group in dict.fromkeys(observed.groups):
            chosen = of_status & (groups == group)
            if chosen.sum() >= ENOUGH_KEYPOINTS:
                found[status][group] = _quantiles(observed.distances[chosen], limits)
    return found


def _quantiles(distances: FloatArray, limits: tuple[float, float]) -> tuple[float, ...]:
    return tuple(np.clip(np.quantile(distances, LEVELS), *limits).round(4).tolist())


def _limits(labelled: int, overlap: int) -> dict[str, int]:
    """The conditions of a band, those that hold for everybody left out."""
    limits = {"max_labelled": LABELLED_LIMITS[labelled], "min_overlap": OVERLAP_LIMITS[overlap]}
    return {name: limit for name, limit in limits.items() if limit not in (NO_LIMIT, 0)}


def _case(labelled: int, overlap: int, groups: Iterable[str], chances: Sequence[float]) -> Case:
    """The case of a band; `chances` of the groups and of all others."""
    rounded = [round(float(chance), 5) for chance in chances]
    return Case(dict(zip([*groups, "other"], rounded, strict=True)), **_limits(labelled, overlap))
