"""What a reviewer decided about each person, step by step, and how steps are taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from posefix.errors import InputError, quoted

Verdict = Literal["undecided", "accepted", "rejected"]
Standing = Literal["undecided", "accepted", "rejected", "corrected"]
Place = tuple[float, float] | None
"""Where a keypoint was put, in pixels of the photo; None for one that was marked missing."""

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
FARTHEST = 1e6
"""Pixels; no keypoint is put farther away."""


@dataclass(frozen=True)
class Decision:
    """What was decided about a person.

    Attributes:
        verdict: Accepted is the refined pose, rejected the pose before; until it is decided, the refined one stands.
        edits: Index of a keypoint -> its place, for keypoints that the reviewer put or marked himself.
    """

    verdict: Verdict = "undecided"
    edits: Mapping[int, Place] = field(default_factory=dict)

    @property
    def standing(self) -> Standing:
        """The verdict, or "corrected" where the reviewer changed keypoints."""
        return "corrected" if self.edits else self.verdict

    def as_json(self, names: Sequence[str]) -> dict[str, Any]:
        """As the journal and the page write it, keypoints by name."""
        edits = {names[index]: place and list(place) for index, place in self.edits.items()}
        return {"verdict": self.verdict, "edits": edits}


UNDECIDED = Decision()


def read_decision(value: Any, names: Sequence[str]) -> Decision:
    """A decision from its JSON.

    Args:
        value: What `Decision.as_json` makes.
        names: Of the keypoints.

    Raises:
        InputError: It is something else.
    """
    if not isinstance(value, dict) or value.get("verdict") not in VERDICTS:
        raise InputError(f"decision: expected a verdict out of {', '.join(VERDICTS)}, got {quoted(value)}.")
    edits = value.get("edits")
    if not isinstance(edits, dict) or (edits and value["verdict"] == "undecided"):
        raise InputError(f"edits: expected an object, empty where nothing is decided, got {quoted(edits)}.")
    index = {name: number for number, name in enumerate(names)}
    if unknown := [name for name in edits if name not in index]:
        raise InputError(f"edits: there is no keypoint {quoted(unknown[0])}.")
    return Decision(value["verdict"], {index[name]: _read_place(place) for name, place in edits.items()})


def _read_place(value: Any) -> Place:
    if value is None:
        return None
    if isinstance(value, list) and len(value) == 2 and all(map(_is_coordinate, value)):
        return float(value[0]), float(value[1])
    raise InputError(f"edits: expected x and y in pixels, or null, got {quoted(value)}.")


def _is_coordinate(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= FARTHEST  # which NaN is not


@dataclass(frozen=True)
class Change:
    """A step: a person's decision before and after it."""

    person: int
    before: Decision
    after: Decision


class History:
    """The decisions about everybody, and the steps that led there.

    Args:
        people: How many there are.
    """

    def __init__(self, people: int) -> None:
        self.decisions = [UNDECIDED] * people
        self._done: list[Change] = []
        self._undone: list[Change] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back, and none taken since."""
        return bool(self._undone)

    def decide(self, person: int, decision: Decision) -> None:
        """Take a step; steps that were taken back are gone."""
        self._done.append(Change(person, self.decisions[person], decision))
        self._undone.clear()
        self.decisions[person] = decision

    def undo(self) -> int:
        """Take the last step back; returns whom it was about."""
        change = self._done.pop()
        self._undone.append(change)
        self.decisions[change.person] = change.before
        return change.person

    def redo(self) -> int:
        """Take the step again that was taken back last; returns whom it is about."""
        change = self._undone.pop()
        self._done.append(change)
        self.decisions[change.person] = change.after
        return change.person
