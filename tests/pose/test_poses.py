from typing import Any

import numpy as np
import pytest

from posefix.errors import InputError
from posefix.pose.poses import Poses, rows_by_image
from posefix.skeletons import load_skeleton


def make_poses(**changes: Any) -> Poses:
    """Three poses in two photos; keypoint k of pose n lies at (n, k)."""
    places = np.stack(np.meshgrid(np.arange(3.0), np.arange(17.0), indexing="ij"), axis=-1)
    fields: dict[str, Any] = {
        "keypoints": places,
        "scores": np.full((3, 17), 0.5),
        "valid": np.ones((3, 17), dtype=bool),
        "image_ids": (1, 1, "two"),
        "pose_scores": np.array([0.3, 0.2, 0.1]),
        "skeleton": load_skeleton("coco17"),
    }
    return Poses(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"keypoints": np.zeros((3, 18, 2))},
            "keypoints: expected shape (3, 17, 2) for 3 poses of skeleton 'coco17', ",
        ),
        (
            {"scores": np.zeros((3, 17, 1))},
            "scores: expected shape (3, 17) for 3 poses of skeleton 'coco17', got (3, 17,",
        ),
        (
            {"valid": np.zeros((2, 17))},
            "valid: expected shape (3, 17) for 3 poses of skeleton 'coco17', got (2, 17).",
        ),
        (
            {"pose_scores": np.zeros(2)},
            "pose_scores: expected shape (3,) for 3 poses of skeleton 'coco17', got (2,).",
        ),
        (
            {"pose_scores": [0, np.nan, 0]},
            "pose_scores: expected finite numbers below 1e+15, got another in row 1; mark missing",
        ),
        (
            {"keypoints": np.full((3, 17, 2), np.inf)},
            "keypoints: expected finite numbers below 1e+15, got another in row 0; mark",
        ),
        (
            {"scores": [[0.5] * 17, [0.5] * 17, [0.5] * 16 + [-1e15]]},
            "scores: expected finite numbers below 1e+15, got another in row 2; mark",
        ),
        ({"image_ids": (1, 2.5, 3)}, "image_ids: expected integers or texts, got 2.5 in row 1"),
        ({"image_ids": (1, 2, True)}, "image_ids: expected integers or texts, got True in row 2"),
        ({"image_ids": "abc"}, "image_ids: expected one id per pose, got the text 'abc'"),
    ],
)
def test_faulty_arrays_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        make_poses(**changes)
    assert str(caught.value).startswith(message)


def test_arrays_are_converted_and_locked_but_the_callers_stay_open() -> None:
    given = np.zeros((3, 17, 2))
    poses = make_poses(keypoints=given, scores=np.ones((3, 17), dtype=int).tolist())
    assert poses.scores.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        poses.keypoints[0] = 1
    given[0] = 1
    assert not poses.keypoints.any()


def test_locked_arrays_are_shared_with_other_poses_but_not_with_their_owner() -> None:
    poses = make_poses()
    assert poses.with_keypoints(poses.keypoints + 1).scores is poses.scores
    owner = np.zeros((3, 17, 2))
    view = owner.view()
    view.flags.writeable = False
    poses = make_poses(keypoints=view)
    owner[:] = 1
    assert not poses.keypoints.any()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([3, 1, "a"], (3, 1, "a")),
        (np.array([3, 1, 2]), (3, 1, 2)),
        (np.array(["x", "y", "z"]), ("x", "y", "z")),
        ((np.uint8(3), 1, np.str_("a")), (3, 1, "a")),
    ],
)
def test_image_ids_are_plain_numbers_and_texts(given: Any, expected: tuple[Any, ...]) -> None:
    ids = make_poses(image_ids=given).image_ids
    assert ids == expected
    assert [type(value) for value in ids] == [type(value) for value in expected]


def test_a_single_pose_is_asked_for_by_a_list() -> None:
    with pytest.raises(TypeError, match="by a slice, a list of row numbers or a mask, got 0"):
        make_poses()[0]  # type: ignore[index]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (np.array([2, 0]), [2, 0]),
        ([1], [1]),
        (slice(1, None), [1, 2]),
        (np.array([False, True, False]), [1]),
        (np.array([], dtype=int), []),
    ],
)
def test_rows_are_chosen_in_order(rows: Any, expected: list[int]) -> None:
    chosen = make_poses()[rows]
    assert chosen.keypoints[:, 0, 0].tolist() == expected
    assert chosen.image_ids == tuple((1, 1, "two")[row] for row in expected)
    assert len(chosen) == len(expected)


def test_other_keypoints_leave_all_else() -> None:
    poses = make_poses()
    moved = poses.with_keypoints(poses.keypoints + 1)
    assert (moved.keypoints - poses.keypoints == 1).all()
    assert (moved.scores is poses.scores or (moved.scores == poses.scores).all()) and moved.valid.all()
    hidden = poses.with_keypoints(
        poses.keypoints, valid=np.zeros((3, 17), dtype=bool), scores=np.zeros((3, 17))
    )
    assert not hidden.valid.any()
    assert not hidden.scores.any()


def test_the_rows_of_a_photo_need_not_follow_each_other() -> None:
    rows = rows_by_image(("two", 1, "two", 1, 0))
    assert {image_id: of_photo.tolist() for image_id, of_photo in rows.items()} == {
        "two": [0, 2],
        1: [1, 3],
        0: [4],
    }
    assert list(rows) == ["two", 1, 0]


def test_poses_say_what_they_are() -> None:
    assert repr(make_poses()) == "Poses(3 of coco17 in 2 photos)"


def test_there_may_be_no_poses() -> None:
    assert len(make_poses()[:0]) == 0
