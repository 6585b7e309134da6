"""A review: the same people before and refined, what was decided about them, and the poses that follow from it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from posefix.errors import InputError, quoted
from posefix.pictures.gallery import check_same_people
from posefix.pose.poses import BoolArray, FloatArray, Poses
from posefix.review.decisions import Decision, History, read_decision
from posefix.review.journal import Entry, Journal

PLACED_SCORE = 1.0
"""Score of a keypoint that was in neither file and that the reviewer put."""


class StaleError(InputError):
    """A step was taken by somebody who does not know the latest ones."""


def check_people(results: Path, before: Poses, refined: Path, after: Poses) -> None:
    """Refuse two files that do not hold the same people in the same order.

    Raises:
        InputError: They do not, or hold nobody.
    """
    check_same_people(before, after, (results, refined))
    if not len(before):
        raise InputError(f"{results}: expected people to review, got none.")


class Review:
    """Decisions about people, each in the journal before it counts.

    Safe to use from several threads.

    Args:
        before: The people as an estimator found them.
        after: The same people refined.
        journal_path: Where the steps are kept; those that are there are taken again.
        names: Of the two files, for the journal.

    Raises:
        InputError: The journal is another review's, or faulty.
    """

    def __init__(self, before: Poses, after: Poses, journal_path: Path, names: tuple[str, str]) -> None:
        self.before, self.after = before, after
        self.fingerprint = _fingerprint((before, after))
        self._names = after.skeleton.keypoint_names
        self._lock = threading.Lock()
        self._keypoints, self._scores = after.keypoints.copy(), after.scores.copy()
        self._valid, self._pose_scores = after.valid.copy(), after.pose_scores.copy()
        self._history = History(len(after))
        self._last: tuple[Entry, int] | None = None
        header = {
            "journal": "posefix review 1",
            "results": names[0],
            "refined": names[1],
            "poses": self.fingerprint,
        }
        self._journal = Journal(journal_path, header)
        for number, kept in enumerate(self._journal.entries, start=2):
            try:
                entry = self._read(kept)
                self._check_possible(entry)
                self._apply(entry)
            except InputError as error:
                self._journal.close()
                raise InputError(f"{journal_path}, line {number}: {error}") from error
        self.version = len(self._journal.entries)

    def take(self, entry: Any, version: Any) -> int:
        """Take a step, take the last one back, or take it again.

        The last step sent once more is not taken twice, but answered as it was: whoever sends it did not hear the
        answer, because the server was killed when the step was on the disk.

        Args:
            entry: `{"step": "decide", "person": 3, "decision": ...}`, `{"step": "undo"}` or `{"step": "redo"}`.
            version: How many steps the reviewer knows of.

        Returns:
            Whom it was about.

        Raises:
            StaleError: Steps were taken that the reviewer does not know of.
            InputError: It is no step, or cannot be kept.
        """
        with self._lock:
            entry = self._read(entry)
            if self._last and version == self.version - 1 and entry == self._last[0]:
                return self._last[1]
            if version != self.version:
                raise StaleError(
                    "Decisions were changed in another window; load this page again to see them, the last steps "
                    "here were not taken."
                )
            self._check_possible(entry)
            self._journal.append(entry)
            self.version += 1
            return self._apply(entry)

    def state(self, people: Iterable[int]) -> dict[str, Any]:
        """What a page needs to know after a step: how many there were, and what is decided about some people."""
        with self._lock:
            return {
                "version": self.version,
                "can_undo": self._history.can_undo,
                "can_redo": self._history.can_redo,
                "decisions": {
                    person: self._history.decisions[person].as_json(self._names) for person in people
                },
            }

    def standings(self) -> list[str]:
        """Of each person: undecided, accepted, rejected or corrected."""
        with self._lock:
            return [decision.standing for decision in self._history.decisions]

    def current(self, people: Sequence[int]) -> tuple[FloatArray, BoolArray]:
        """Keypoints (N, K, 2) and which of them are valid (N, K), of some people as decided."""
        rows = np.array(people, dtype=np.int64)
        with self._lock:
            return self._keypoints[rows], self._valid[rows]

    def snapshot(self) -> tuple[int, Poses]:
        """How many steps were taken, and the people as decided; those not decided about are as refined."""
        with self._lock:
            poses = Poses(
                self._keypoints.copy(),
                self._scores.copy(),
                self._valid.copy(),
                self.after.image_ids,
                self._pose_scores.copy(),
                self.after.skeleton,
            )
            return self.version, poses

    def close(self) -> None:
        """Let go of the journal."""
        self._journal.close()

    def _read(self, entry: Any) -> Entry:
        """The entry as the journal gets it, if it is a step."""
        step = entry.get("step") if isinstance(entry, dict) else None
        if step in ("undo", "redo"):
            return {"step": step}
        if step != "decide":
            raise InputError(f"step: expected decide, undo or redo, got {quoted(entry)}.")
        person = entry.get("person")
        if type(person) is not int or not 0 <= person < len(self.after):
            raise InputError(f"person: expected a number below {len(self.after)}, got {quoted(person)}.")
        decision = read_decision(entry.get("decision"), self._names)
        return {"step": step, "person": person, "decision": decision.as_json(self._names)}

    def _check_possible(self, entry: Entry) -> None:
        """Refuse to go back or forth where there is nothing to go to."""
        possible = {"undo": self._history.can_undo, "redo": self._history.can_redo}
        if not possible.get(entry["step"], True):
            raise InputError(f"There is nothing to {entry['step']}.")

    def _apply(self, entry: Entry) -> int:
        if entry["step"] == "decide":
            person: int = entry["person"]
            self._history.decide(person, read_decision(entry["decision"], self._names))
        else:
            person = self._history.undo() if entry["step"] == "undo" else self._history.redo()
        self._put(person, self._history.decisions[person])
        self._last = entry, person
        return person

    def _put(self, person: int, decision: Decision) -> None:
        """Make a person's pose what was decided."""
        rejected = decision.verdict == "rejected"
        chosen, other = (self.before, self.after) if rejected else (self.after, self.before)
        for array, source in zip(
            (self._keypoints, self._scores, self._valid, self._pose_scores), _arrays(chosen), strict=True
        ):
            array[person] = source[person]
        for keypoint, place in decision.edits.items():
            if place is not None:
                self._keypoints[person, keypoint] = place
            if place is not None and not chosen.valid[person, keypoint]:
                known = bool(other.valid[person, keypoint])
                self._scores[person, keypoint] = other.scores[person, keypoint] if known else PLACED_SCORE
            self._valid[person, keypoint] = place is not None


def _arrays(poses: Poses) -> tuple[Any, ...]:
    return poses.keypoints, poses.scores, poses.valid, poses.pose_scores


def _fingerprint(both: tuple[Poses, Poses]) -> str:
    """Tells these poses from any others."""
    digest = hashlib.sha256()
    for poses in both:
        digest.update(json.dumps([poses.image_ids, poses.skeleton.keypoint_names]).encode("ascii"))
        for array in _arrays(poses):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]
