"""Error profiles: how often each keypoint is jittered, inverted, swapped or missed.

A profile is a small JSON file. For each error it lists cases; the first case whose conditions hold for a person gives
the probabilities, by group of keypoints, ``other`` for keypoints in no listed group. What the four errors leave is
the probability of good.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import array_api_compat
import numpy as np

from posefix.errors import InputError, quoted
from posefix.files import read_json
from posefix.similarity import Array
from posefix.skeletons import Skeleton
from posefix.taxonomy import ERRORS, NUM_STATUSES, Status

NO_LIMIT = 10**6
CASE_FIELDS = ("probability", "max_labelled", "min_overlap")


@dataclass(frozen=True)
class Case:
    """Probabilities that hold for people with few enough labelled keypoints and enough overlapping neighbours."""

    probability: Mapping[str, float]
    max_labelled: int = NO_LIMIT
    min_overlap: int = 0

    def chance(self, group: str) -> float:
        """Probability for the keypoints of a group."""
        return self.probability.get(group, self.probability["other"])


@dataclass(frozen=True)
class ErrorProfile:
    """Error frequencies (paper section 4).

    Attributes:
        name: Short name.
        source: Where the numbers come from.
        groups: Group name -> keypoint names.
        cases: For each error its cases in order; the first that applies is used.
    """

    name: str
    source: str
    groups: Mapping[str, tuple[str, ...]]
    cases: Mapping[Status, tuple[Case, ...]]

    def table(self, skeleton: Skeleton) -> dict[Status, np.ndarray[Any, np.dtype[np.float64]]]:
        """Probabilities by keypoint: for each error an array (cases, K)."""
        group_of = {name: group for group, names in self.groups.items() for name in names}
        groups = [group_of.get(name, "other") for name in skeleton.keypoint_names]
        return {
            error: np.array([[case.chance(group) for group in groups] for case in cases])
            for error, cases in self.cases.items()
        }


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
        applies = xp.stack(
            [
                (num_labelled <= case.max_labelled) & (overlap >= case.min_overlap)
                for case in profile.cases[error]
            ],
            axis=1,
        )
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
    packaged = resources.files("posefix") / "data" / "profiles" / f"{name_or_path}.json"
    if packaged.is_file():
        return _parse(json.loads(packaged.read_text(encoding="utf-8")), str(name_or_path))
    return _parse(read_json(Path(name_or_path)), str(name_or_path))


def _parse(document: Any, path: str) -> ErrorProfile:
    if not isinstance(document, dict) or document.get("format") != 1:
        raise InputError(f'{path}: an error profile is an object with "format": 1, got {str(document)[:60]}')
    errors, groups = document.get("errors"), document.get("groups", {})
    expected = {error.name.lower() for error in ERRORS}
    if not isinstance(errors, dict) or set(errors) != expected:
        got = sorted(errors) if isinstance(errors, dict) else quoted(errors)
        raise InputError(f"{path}: errors must hold exactly {sorted(expected)}, got {got}")
    if not isinstance(groups, dict) or not all(map(_are_names, groups.values())):
        raise InputError(
            f"{path}: groups must be an object with a list of keypoint names for each group, got {quoted(groups)}"
        )
    known = {*groups, "other"}
    cases = {error: _parse_cases(errors[error.name.lower()], error, known, path) for error in ERRORS}
    for group in sorted(known):
        worst = sum(max(case.chance(group) for case in cases[error]) for error in ERRORS)
        if worst > 1:
            raise InputError(
                f"{path}: the errors' probabilities of group {group!r} may add up to {worst:.2f}; they must leave "
                "room for good"
            )
    names = {group: tuple(members) for group, members in groups.items()}
    return ErrorProfile(str(document.get("name", path)), str(document.get("source", "")), names, cases)


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _parse_cases(cases: Any, error: Status, groups: Collection[str], path: str) -> tuple[Case, ...]:
    where = f"{path}: errors.{error.name.lower()}"
    if not isinstance(cases, list) or not cases:
        raise InputError(f"{where} must be a list of cases")
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
