"""What decisions make of the poses, and which files can be reviewed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.review.conftest import COCO, LEFT_WRIST, NOSE, made_poses

from posefix.errors import InputError
from posefix.pose.poses import Poses
from posefix.review.session import PLACED_SCORE, Review, StaleError, check_people
from posefix.skeletons import load_skeleton

BEFORE, AFTER = made_poses()


@pytest.fixture
def review(tmp_path: Path) -> Review:
    return opened(tmp_path)


def opened(folder: Path, before: Poses = BEFORE, after: Poses = AFTER) -> Review:
    return Review(before, after, folder / "out.review.jsonl", ("poses.json", "refined.json"))


def decide(review: Review, person: int, verdict: str, **edits: Any) -> Poses:
    decision = {"verdict": verdict, "edits": edits}
    review.take({"step": "decide", "person": person, "decision": decision}, review.version)
    return review.snapshot()[1]


def same(poses: Poses, row: int, other: Poses) -> bool:
    pairs = zip(arrays(poses), arrays(other), strict=True)
    return all(np.array_equal(a[row], b[row]) for a, b in pairs)


def arrays(poses: Poses) -> tuple[Any, ...]:
    return poses.keypoints, poses.scores, poses.valid, poses.pose_scores


def test_until_it_is_decided_the_refined_pose_stands(review: Review) -> None:
    assert all(same(review.snapshot()[1], row, AFTER) for row in range(6))
    assert review.standings() == ["undecided"] * 6


def test_accepted_is_refined_and_rejected_is_before(review: Review) -> None:
    decide(review, 0, "accepted")
    poses = decide(review, 1, "rejected")
    assert same(poses, 0, AFTER) and same(poses, 1, BEFORE) and same(poses, 2, AFTER)
    assert review.standings()[:3] == ["accepted", "rejected", "undecided"]


def test_edits_start_from_the_pose_of_the_verdict(review: Review) -> None:
    poses = decide(review, 2, "rejected", nose=[7.5, 9.25])
    assert poses.keypoints[2, NOSE].tolist() == [7.5, 9.25]
    assert np.array_equal(poses.keypoints[2, 1:], BEFORE.keypoints[2, 1:])
    poses = decide(review, 2, "accepted", left_wrist=None)
    assert not poses.valid[2, LEFT_WRIST]
    assert np.array_equal(poses.keypoints[2, NOSE], AFTER.keypoints[2, NOSE])


def test_a_keypoint_that_is_put_gets_the_other_poses_score_or_one(review: Review) -> None:
    poses = decide(review, 1, "rejected", nose=[1.0, 2.0])  # missing before, found by the refinement
    assert poses.valid[1, NOSE] and poses.scores[1, NOSE] == AFTER.scores[1, NOSE]


def test_a_keypoint_that_neither_pose_has_can_be_put(tmp_path: Path) -> None:
    valid = AFTER.valid.copy()
    valid[1, NOSE] = False
    review = opened(tmp_path, after=replace(AFTER, valid=valid))
    poses = decide(review, 1, "accepted", nose=[1.0, 2.0])
    assert poses.valid[1, NOSE] and poses.scores[1, NOSE] == PLACED_SCORE


def test_undo_brings_everything_back(review: Review) -> None:
    decide(review, 2, "accepted", left_wrist=[0.0, 0.0])
    assert review.take({"step": "undo"}, 1) == 2
    assert same(review.snapshot()[1], 2, AFTER) and review.standings() == ["undecided"] * 6
    with pytest.raises(InputError, match="nothing to undo"):
        review.take({"step": "undo"}, 2)
    assert review.take({"step": "redo"}, 2) == 2
    assert review.snapshot()[1].keypoints[2, LEFT_WRIST].tolist() == [0, 0]


def test_who_does_not_know_the_latest_step_takes_none(review: Review) -> None:
    decide(review, 0, "accepted")
    with pytest.raises(StaleError, match=r"another window; load this page again .* were not taken"):
        review.take({"step": "undo"}, 0)
    assert review.version == 1


EDITED = {"verdict": "accepted", "edits": {"nose": [7, 9.25], "left_wrist": None}}
DECIDE = {"step": "decide", "person": 3, "decision": EDITED}


@pytest.mark.parametrize("again", [False, True])
def test_the_last_step_sent_twice_is_taken_once(review: Review, tmp_path: Path, again: bool) -> None:
    for version, entry in enumerate((DECIDE, {"step": "undo"}, {"step": "redo"}, DECIDE)):
        assert review.take(entry, version) == 3
        if again:  # killed when the journal had it, and nobody heard the answer
            review.close()
            review = opened(tmp_path)
        state, journal = review.state(range(6)), (tmp_path / "out.review.jsonl").read_bytes()
        assert review.take(entry, version) == 3
        assert (review.version, review.state(range(6))) == (version + 1, state)
        assert (tmp_path / "out.review.jsonl").read_bytes() == journal


@pytest.mark.parametrize(
    ("entry", "version"),
    [
        ({"step": "undo"}, 1),  # another one than the last
        ({"step": "decide", "person": 4, "decision": {"verdict": "accepted", "edits": {}}}, 1),
        ({"step": "decide", "person": 3, "decision": {"verdict": "rejected", "edits": {}}}, 1),
        (DECIDE, 0),  # the last, of who does not know the one before it
        (DECIDE, 3),
    ],
)
def test_only_the_last_step_can_be_sent_twice(review: Review, entry: Any, version: int) -> None:
    decide(review, 0, "accepted")
    review.take(DECIDE, 1)
    with pytest.raises(StaleError):
        review.take(entry, version)
    assert review.version == 2


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (None, "expected decide, undo or redo"),
        ({"step": "delete"}, "expected decide, undo or redo"),
        ({"step": "redo"}, "nothing to redo"),
        ({"step": "decide", "person": 6, "decision": {}}, "number below 6"),
        ({"step": "decide", "person": -1, "decision": {}}, "number below 6"),
        ({"step": "decide", "person": True, "decision": {}}, "number below 6"),
        ({"step": "decide", "person": 0}, "expected a verdict"),
    ],
)
def test_what_is_no_step_is_not_kept(review: Review, tmp_path: Path, entry: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        review.take(entry, 0)
    assert review.version == 0 and opened(tmp_path).version == 0


STEPS = st.one_of(
    st.sampled_from(("undo", "redo")),
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(("accepted", "rejected")),
        st.dictionaries(
            st.sampled_from(COCO.keypoint_names),
            st.none() | st.tuples(*[st.floats(-900, 900)] * 2),
            max_size=3,
        ),
    ),
)


@settings(max_examples=25, deadline=None)  # as fast as the disk
@given(steps=st.lists(STEPS, max_size=12))
def test_a_review_that_is_opened_again_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("review")
    review = opened(folder)
    for step in steps:
        if not isinstance(step, str):
            edits = {name: place and list(place) for name, place in step[2].items()}
            decide(review, step[0], step[1], **edits)
        elif review.state(())[f"can_{step}"]:
            review.take({"step": step}, review.version)
    again = opened(folder)
    assert review.state(range(6)) == again.state(range(6))
    for old, new in zip(arrays(review.snapshot()[1]), arrays(again.snapshot()[1]), strict=True):
        assert np.array_equal(old, new)


def test_a_faulty_step_in_the_journal_is_named(review: Review, tmp_path: Path) -> None:
    decide(review, 0, "accepted")
    review.close()
    journal = tmp_path / "out.review.jsonl"
    journal.write_text(journal.read_text().replace('"person":0', '"person":9'))
    with pytest.raises(InputError, match=r"out.review.jsonl, line 2: person: expected a number below 6"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (AFTER[:4], "expected the 6 people of a.json, got 4"),
        (AFTER[[0, 1, 4, 5, 2, 3]], "person 2: expected image id 2 as in a.json, got 3"),
        (
            replace(AFTER, skeleton=replace(load_skeleton("coco17"), name="other")),
            "expected the layout of a.json",
        ),
    ],
)
def test_other_people_cannot_be_reviewed(after: Poses, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_people(Path("a.json"), BEFORE, Path("b.json"), after)


def test_nobody_cannot_be_reviewed() -> None:
    with pytest.raises(InputError, match="expected people to review"):
        check_people(Path("a.json"), BEFORE[:0], Path("b.json"), AFTER[:0])
