"""Error profiles: how often each keypoint is jittered, inverted, swapped or missed.

A profile is a small JSON file. For each error it lists cases; the first case whose conditions hold for a person gives
the probabilities, by group of keypoints, ``other`` for keypoints in no listed group. What the four errors leave is
the probability of good. It may also say how far keypoints of each status lie from where they seem to be.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import array_api_compat
import numpy as np

from posefix.errors import InputError, quoted
from posefix.files import read_json
from posefix.pose.similarity import Array
from posefix.pose_errors.taxonomy import (
    ERRORS,
    GOOD_SIMILARITY,
    JITTER_SIMILARITY,
    NUM_STATUSES,
    Status,
)
from posefix.skeletons import Skeleton

PACKAGED_PROFILES = Path(__file__).parent.parent / "data" / "profiles"
NO_LIMIT = 10**6
MOST_CASES = 50
"""Of an error; which of them hold together is looked at for all combinations."""
CASE_FIELDS = ("probability", "max_labelled", "min_overlap")
GOOD_REACH, JITTER_REACH = (float(np.sqrt(-np.log(ks))) for ks in (GOOD_SIMILARITY, JITTER_SIMILARITY))
REACHES: Mapping[Status, tuple[float, float]] = {
    Status.GOOD: (0.0, GOOD_REACH),
    Status.JITTER: (GOOD_REACH, JITTER_REACH),
    Status.INVERSION: (0.0, JITTER_REACH),
    Status.SWAP: (0.0, JITTER_REACH),
    Status.MISS: (JITTER_REACH, np.inf),
}
"""Between which distances, in units of the falloff distance, classification accepts each status."""
FARTHEST = 1000.0
"""Largest distance that a file may name: far beyond any photo."""
ROUNDING = 1e-4
"""How far a number of a file may be beyond a limit: files have few decimals."""
FloatArray = np.ndarray[Any, np.dtype[np.float64]]
Distances = Mapping[Status, Mapping[str, Sequence[float]]]
"""For each status and group of keypoints quantiles of equal steps."""


@dataclass(frozen=True)
class Case:
    """Probabilities that hold for people with few enough labelled keypoints and enough overlapping neighbours."""

    probability: Mapping[str, float]
    max_labelled: int = NO_LIMIT
    min_overlap: int = 0

    def chance(self, group: str) -> float:
        """Probability for the keypoints of a group."""
        return self.probability.get(group, self.probability["other"])

    def holds(self, num_labelled: Array, overlap: Array) -> Array:
        """For whom of B people the case holds: (B,) bool."""
        return (num_labelled <= self.max_labelled) & (overlap >= self.min_overlap)

    def as_dict(self) -> dict[str, Any]:
        """The case as a file says it."""
        limits: dict[str, Any] = {}
        if self.max_labelled != NO_LIMIT:
            limits["max_labelled"] = self.max_labelled
        if self.min_overlap != 0:
            limits["min_overlap"] = self.min_overlap
        return {**limits, "probability": dict(self.probability)}


@dataclass(frozen=True)
class ErrorProfile:
    """Error frequencies (paper section 4).

    Attributes:
        name: Short name.
        source: Where the numbers come from.
        groups: Group name -> keypoint names.
        cases: For each error its cases in order; the first that applies is used.
        distances: For some statuses how far a keypoint lies from the reference that it is most similar to (its true
            place, its partner's, a neighbour's), in units of the falloff distance: quantiles in equal steps, all lists
            of one length, by group. A status that is not here has the distances of the paper.
    """

    name: str
    source: str
    groups: Mapping[str, tuple[str, ...]]
    cases: Mapping[Status, tuple[Case, ...]]
    distances: Distances = field(default_factory=dict)

    def table(self, skeleton: Skeleton) -> dict[Status, FloatArray]:
        """Probabilities by keypoint: for each error an array (cases, K)."""
        groups = self._groups_of(skeleton)
        return {
            error: np.array([[case.chance(group) for group in groups] for case in cases])
            for error, cases in self.cases.items()
        }

    def distance_quantiles(
        self, skeleton: Skeleton, otherwise: Mapping[Status, tuple[float, float]]
    ) -> FloatArray:
        """Quantiles of the distances (K, 5, Q) by keypoint and status, in units of the falloff distance.

        Args:
            skeleton: Names the K keypoints.
            otherwise: Least and greatest distance of the statuses that the profile knows no distances of; any distance
                between these is as likely.

        Returns:
            In equal steps of probability; Q is 2 where the profile knows no distances at all.
        """
        steps = max((len(row) for rows in self.distances.values() for row in rows.values()), default=2)
        quantiles = np.empty((len(skeleton), NUM_STATUSES, steps))
        for status, limits in otherwise.items():
            quantiles[:, status] = np.linspace(*limits, steps)
        for status, rows in self.distances.items():
            groups = [group if group in rows else "other" for group in self._groups_of(skeleton)]
            quantiles[:, status] = [rows[group] for group in groups]
        return quantiles

    def as_dict(self) -> dict[str, Any]:
        """The profile as its file says it."""
        document: dict[str, Any] = {
            "format": 1,
            "name": self.name,
            "source": self.source,
            "groups": {group: list(names) for group, names in self.groups.items()},
            "errors": {
                error.label: [case.as_dict() for case in cases] for error, cases in self.cases.items()
            },
        }
        if self.distances:
            document["distances"] = {
                status.label: {group: list(row) for group, row in rows.items()}
                for status, rows in self.distances.items()
            }
        return document

    def _groups_of(self, skeleton: Skeleton) -> list[str]:
        """The group of each keypoint."""
        group_of = {name: group for group, names in self.groups.items() for name in names}
        return [group_of.get(name, "other") for name in skeleton.keypoint_names]


def frequencies(profile: ErrorProfile, skeleton: Skeleton, num_labelled: Array, overlap: Array) -> Array:
    """Probability of each status for every keypoint.

    Args:
        profile: The error frequencies.
        skeleton: Names the K keypoints.
        num_labelled: (B,) number of labelled keypoints.
        overlap: (B,) number of overlapping people.

    Returns:
        (B, K, 5) in the order of `Status`; sums to one.
    """
    xp = array_api_compat.array_namespace(num_labelled)
    device = array_api_compat.device(num_labelled)
    columns = [None] * NUM_STATUSES
    for error, table in profile.table(skeleton).items():
        probability = xp.asarray(table, dtype=xp.float32, device=device)
        applies = xp.stack([case.holds(num_labelled, overlap) for case in profile.cases[error]], axis=1)
        first = xp.argmax(xp.astype(applies, xp.int8), axis=1)
        columns[error] = xp.take(probability, first, axis=0)
    errors = xp.stack([columns[error] for error in ERRORS], axis=-1)
    good = 1.0 - xp.sum(errors, axis=-1, keepdims=True)
    return xp.concat([good, errors], axis=-1)


def load_error_profile(name_or_path: str | Path = "paper") -> ErrorProfile:
    """Read a packaged profile by name, or a profile file.

    Raises:
        InputError: The file is unreadable, or a field is missing or wrong.
    """
    packaged = PACKAGED_PROFILES / f"{name_or_path}.json"
    return _parse(read_json(packaged if packaged.is_file() else Path(name_or_path)), str(name_or_path))


def _parse(document: Any, path: str) -> ErrorProfile:
    if not isinstance(document, dict) or document.get("format") != 1:
        raise InputError(f'{path}: an error profile is an object with "format": 1, got {str(document)[:60]}')
    errors, groups = document.get("errors"), document.get("groups", {})
    expected = {error.label for error in ERRORS}
    if not isinstance(errors, dict) or set(errors) != expected:
        got = sorted(errors) if isinstance(errors, dict) else quoted(errors)
        raise InputError(f"{path}: errors must hold exactly {sorted(expected)}, got {got}")
    if not isinstance(groups, dict) or not all(map(_are_names, groups.values())):
        raise InputError(
            f"{path}: groups must be an object with a list of keypoint names for each group, got {quoted(groups)}"
        )
    known = {*groups, "other"}
    cases = {error: _parse_cases(errors[error.label], error, known, path) for error in ERRORS}
    for group in sorted(known):
        if (worst := _largest_sum(cases, group)) > 1 + ROUNDING:
            raise InputError(
                f"{path}: the errors' probabilities of group {group!r} may add up to {worst:.2f}; they must leave "
                "room for good"
            )
    names = {group: tuple(members) for group, members in groups.items()}
    distances = _parse_distances(document.get("distances", {}), known, path)
    return ErrorProfile(
        str(document.get("name", path)), str(document.get("source", "")), names, cases, distances
    )


def _largest_sum(cases: Mapping[Status, tuple[Case, ...]], group: str) -> float:
    """The errors' probabilities of a group added up, for the people to whom the largest ones apply."""
    every = [case for listed in cases.values() for case in listed]
    people = itertools.product({case.max_labelled for case in every}, {case.min_overlap for case in every})
    return max(
        sum(next(case for case in listed if case.holds(*person)).chance(group) for listed in cases.values())
        for person in people
    )


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _parse_cases(cases: Any, error: Status, groups: Collection[str], path: str) -> tuple[Case, ...]:
    where = f"{path}: errors.{error.label}"
    if not isinstance(cases, list) or not 1 <= len(cases) <= MOST_CASES:
        raise InputError(f"{where} must be a list of 1 to {MOST_CASES} cases")
    parsed = [_parse_case(case, groups, f"{where}[{number}]") for number, case in enumerate(cases)]
    if parsed[-1].max_labelled != NO_LIMIT or parsed[-1].min_overlap != 0:
        raise InputError(f"{where}: the last case must have no condition, so that every person has one")
    return tuple(parsed)


def _parse_case(case: Any, groups: Collection[str], where: str) -> Case:
    if not isinstance(case, dict) or (unknown := sorted(set(case) - set(CASE_FIELDS))):
        got = f"unknown field {unknown[0]!r}" if isinstance(case, dict) else quoted(case)
        raise InputError(f"{where} must be an object with {', '.join(CASE_FIELDS)}, got {got}")
    probability = case.get("probability")
    if not isinstance(probability, dict) or "other" not in probability:
        raise InputError(f'{where}.probability needs an entry "other" for keypoints in no group')
    if unknown := sorted(set(probability) - set(groups)):
        raise InputError(f"{where}.probability names {unknown[0]!r}, which is not among the groups")
    if not all(type(value) in (int, float) and 0 <= value <= 1 for value in probability.values()):
        raise InputError(f"{where}.probability must hold numbers from 0 to 1")
    limits = {name: case[name] for name in CASE_FIELDS[1:] if name in case}
    for name, limit in limits.items():
        if type(limit) is not int or limit < 0:
            raise InputError(f"{where}.{name} must be a whole number, got {quoted(limit)}")
    return Case(probability, **limits)


def _parse_distances(distances: Any, groups: Collection[str], path: str) -> Distances:
    names = {status.label: status for status in REACHES}
    if not isinstance(distances, dict) or set(distances) - set(names):
        got = sorted(distances) if isinstance(distances, dict) else quoted(distances)
        raise InputError(f"{path}: distances may hold {', '.join(names)}, got {got}")
    parsed: dict[Status, dict[str, tuple[float, ...]]] = {}
    for name, rows in distances.items():
        where = f"{path}: distances.{name}"
        if not isinstance(rows, dict) or "other" not in rows:
            raise InputError(f'{where} needs a list "other" for keypoints in no group')
        if unknown := sorted(set(rows) - set(groups)):
            raise InputError(f"{where} names {unknown[0]!r}, which is not among the groups")
        parsed[names[name]] = {
            group: _parse_quantiles(row, REACHES[names[name]], f"{where}.{group}")
            for group, row in rows.items()
        }
    if len({len(row) for rows in parsed.values() for row in rows.values()}) > 1:
        raise InputError(f"{path}: distances must be lists of one length")
    return parsed


def _parse_quantiles(row: Any, limits: tuple[float, float], where: str) -> tuple[float, ...]:
    """Quantiles within the limits between which the status is what it is."""
    low, high = limits
    numbers = isinstance(row, list) and len(row) > 1 and all(type(value) in (int, float) for value in row)
    # Not a number is neither below nor above.
    if not numbers or not all(before <= after for before, after in itertools.pairwise(row)):
        raise InputError(f"{where} must be two or more numbers, none below the one before it")
    if not low - ROUNDING <= row[0] <= row[-1] <= min(high + ROUNDING, FARTHEST):
        most = f"to {high:.4f}" if high < FARTHEST else f"to {FARTHEST:g}"
        raise InputError(
            f"{where} must hold numbers from {low:.4f} {most}, where classification accepts them"
        )
    return tuple(float(value) for value in row)
