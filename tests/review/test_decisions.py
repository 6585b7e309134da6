"""Steps and how they are taken back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posefix.errors import InputError
from posefix.review.decisions import UNDECIDED, Decision, History, read_decision

NAMES = ("nose", "left_wrist")
PLACES = st.none() | st.tuples(*[st.floats(-1e6, 1e6)] * 2)
DECISIONS = st.one_of(
    st.just(UNDECIDED),
    st.builds(
        Decision, st.sampled_from(("accepted", "rejected")), st.dictionaries(st.sampled_from((0, 1)), PLACES)
    ),
)


@settings(max_examples=50, deadline=None)
@given(DECISIONS)
def test_a_decision_survives_its_json(decision: Decision) -> None:
    assert read_decision(json.loads(json.dumps(decision.as_json(NAMES))), NAMES) == decision


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "expected a verdict"),
        ({"verdict": "maybe", "edits": {}}, "expected a verdict"),
        ({"verdict": ["accepted"], "edits": {}}, "expected a verdict"),
        ({"verdict": "accepted"}, "edits: expected an object"),
        ({"verdict": "undecided", "edits": {"nose": None}}, "empty where nothing is decided"),
        ({"verdict": "accepted", "edits": {"tail": None}}, "no keypoint 'tail'"),
        ({"verdict": "accepted", "edits": {"nose": [1]}}, "x and y in pixels"),
        ({"verdict": "accepted", "edits": {"nose": [1, True]}}, "x and y in pixels"),
        ({"verdict": "accepted", "edits": {"nose": [1, float("nan")]}}, "x and y in pixels"),
        ({"verdict": "accepted", "edits": {"nose": [1, 1e7]}}, "x and y in pixels"),
        ({"verdict": "accepted", "edits": {"nose": [1, 10**400]}}, "x and y in pixels"),
    ],
)
def test_faulty_decisions_are_refused(value: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_decision(value, NAMES)


def test_edits_make_a_correction() -> None:
    assert Decision("rejected").standing == "rejected"
    assert Decision("rejected", {0: None}).standing == "corrected"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.tuples(st.integers(0, 2), DECISIONS), st.sampled_from(("undo", "redo")))))
def test_undo_and_redo_walk_along_the_states(steps: list[Any]) -> None:
    history = History(3)
    states, at = [[UNDECIDED] * 3], 0
    for step in steps:
        if step == "undo" and history.can_undo:
            history.undo()
            at -= 1
        elif step == "redo" and history.can_redo:
            history.redo()
            at += 1
        elif not isinstance(step, str):
            history.decide(*step)
            after = list(states[at])
            after[step[0]] = step[1]
            states, at = [*states[: at + 1], after], at + 1
        assert history.decisions == states[at]
        assert (history.can_undo, history.can_redo) == (at > 0, at < len(states) - 1)
