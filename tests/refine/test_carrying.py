"""Keypoints that the model does not know, moved with their parents."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posefix.errors import InputError
from posefix.interchange import read_pose_file
from posefix.pose.poses import Poses
from posefix.refine.carrying import carriers, carry_along, place_middles
from posefix.skeletons import Skeleton, load_skeleton, skeleton_text

MODEL = load_skeleton("posefix19")
LAYOUTS = ("blazepose33", "halpe26", "body25", "wholebody133", "halpe136", "openpose18", "mpii16")


def pose(layout: Skeleton, people: int = 1, seed: int = 0) -> Poses:
    shape = (people, len(layout))
    places = np.random.default_rng(seed).uniform(10, 200, (*shape, 2))
    return Poses(
        places, np.ones(shape), np.ones(shape, dtype=bool), tuple(range(people)), np.ones(people), layout
    )


def moved(poses: Poses, moves: dict[str, tuple[float, float]]) -> Poses:
    keypoints = poses.keypoints.copy()
    for name, move in moves.items():
        keypoints[:, poses.skeleton.index(name)] += move
    return poses.with_keypoints(keypoints)


def named(layout: str) -> dict[str, set[str]]:
    """Child -> parents, by name."""
    skeleton = load_skeleton(layout)
    names = skeleton.keypoint_names
    return {
        names[child]: {names[parent] for parent in parents}
        for child, parents in carriers(skeleton, MODEL).items()
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_whatever_the_model_does_not_know_has_parents_that_it_knows(layout: str) -> None:
    parents = named(layout)
    unknown = set(load_skeleton(layout).keypoint_names) - set(MODEL.keypoint_names)
    assert set(parents) == unknown
    assert all(names and names <= set(MODEL.keypoint_names) for names in parents.values())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_parents_are_mirror_images(layout: str) -> None:
    skeleton = load_skeleton(layout)
    flip = skeleton.flip_index
    parents = {child: set(found.tolist()) for child, found in carriers(skeleton, MODEL).items()}
    assert all(parents[int(flip[child])] == set(flip[list(found)]) for child, found in parents.items())


def test_the_parents_are_the_ones_that_one_expects() -> None:
    blazepose, whole = named("blazepose33"), named("wholebody133")
    assert blazepose["left_thumb"] == blazepose["left_pinky"] == {"left_wrist"}
    assert blazepose["right_heel"] == blazepose["right_foot_index"] == {"right_ankle"}
    assert blazepose["left_eye_outer"] == {"left_eye"}
    assert blazepose["mouth_left"] == {"nose", "left_eye", "right_eye"}
    assert whole["right_pinky_finger4"] == whole["right_hand_root"] == {"right_wrist"}
    assert whole["face_chin"] == {"nose", "left_eye", "right_eye"}
    assert named("body25")["hip_midpoint"] == {"left_hip", "right_hip"}


def test_fingers_move_with_the_wrist_and_nothing_else_does() -> None:
    before = pose(load_skeleton("blazepose33"))
    after = carry_along(before, moved(before, {"left_wrist": (3.0, -4.0)}), MODEL)
    changed = (after.keypoints != before.keypoints).any(axis=-1)[0]
    names = [name for name, there in zip(before.skeleton.keypoint_names, changed, strict=True) if there]
    assert names == ["left_wrist", "left_pinky", "left_index", "left_thumb"]
    np.testing.assert_allclose((after.keypoints - before.keypoints)[0][changed], [[3, -4]] * 4)


def test_faces_move_with_the_mean_of_nose_and_eyes() -> None:
    before = pose(load_skeleton("wholebody133"))
    after = carry_along(before, moved(before, {"nose": (3.0, 0.0), "left_eye": (0.0, 6.0)}), MODEL)
    chin = before.skeleton.index("face_chin")
    np.testing.assert_allclose(after.keypoints[0, chin] - before.keypoints[0, chin], [1, 2])


def placed(before: Poses, after: Poses) -> Poses:
    keypoints = after.keypoints.copy()
    moved = place_middles(before, keypoints, MODEL)
    assert np.array_equal(moved, (keypoints != after.keypoints).any(axis=-1))
    return after.with_keypoints(keypoints)


def with_neck(layout: str, at: tuple[float, float]) -> Poses:
    """Somebody with the right shoulder at (100, 50), the left one at (140, 50)."""
    poses = pose(load_skeleton(layout))
    keypoints = poses.keypoints.copy()
    for name, place in (
        ("right_shoulder", (100, 50)),
        ("left_shoulder", (140, 50)),
        ("shoulder_midpoint", at),
    ):
        keypoints[:, poses.skeleton.index(name)] = place
    return poses.with_keypoints(keypoints)


NECK = "shoulder_midpoint"


def neck_of(poses: Poses) -> list[float]:
    place: list[float] = poses.keypoints[0, poses.skeleton.index(NECK)].tolist()
    return place


@pytest.mark.parametrize("layout", ["openpose18", "body25"])
def test_a_neck_that_was_computed_goes_to_the_middle_of_the_refined_shoulders(layout: str) -> None:
    before = with_neck(layout, (120, 50))
    after = placed(before, moved(before, {"right_shoulder": (30.0, 8.0), "left_shoulder": (10.0, -8.0)}))
    assert neck_of(after) == [140, 50]
    others = np.arange(len(before.skeleton)) != before.skeleton.index(NECK)
    shoulders = [before.skeleton.index(f"{side}_shoulder") for side in ("left", "right")]
    others[shoulders] = False
    assert np.array_equal(after.keypoints[:, others], before.keypoints[:, others])
    # Asked to carry along what the model does not know, it is not moved twice.
    assert neck_of(carry_along(before, after, MODEL)) == [140, 50]


def test_a_neck_that_was_right_stays_when_a_wrong_shoulder_comes_back() -> None:
    before = with_neck("openpose18", (160, 52))  # the right shoulder was to be at (180, 50)
    assert neck_of(placed(before, moved(before, {"right_shoulder": (80.0, 0.0)}))) == [160, 52]


def test_a_neck_that_misses_or_lacks_a_shoulder_stays() -> None:
    for missing in (NECK, "left_shoulder"):
        before = with_neck("body25", (120, 50))
        valid = before.valid.copy()
        valid[:, before.skeleton.index(missing)] = False
        before = before.with_keypoints(before.keypoints, valid=valid)
        after = placed(before, moved(before, {"right_shoulder": (30.0, 0.0), "left_shoulder": (30.0, 0.0)}))
        assert neck_of(after) == [120, 50]


def test_necks_and_heads_that_the_model_knows_are_no_middles() -> None:
    before = pose(load_skeleton("posefix19"))
    after = moved(before, {"left_shoulder": (9.0, 0.0), "right_shoulder": (9.0, 0.0)})
    assert np.array_equal(placed(before, after).keypoints, after.keypoints)


def test_a_missing_parent_is_left_out_of_the_mean() -> None:
    before = pose(load_skeleton("wholebody133"))
    valid = before.valid.copy()
    valid[0, before.skeleton.index("left_eye")] = False
    before = before.with_keypoints(before.keypoints, valid=valid)
    # It is filled in by the refinement; where it was before says nothing.
    after = moved(before, {"nose": (3.0, 0.0), "left_eye": (500.0, 0.0)})
    after = after.with_keypoints(after.keypoints, valid=np.ones_like(valid))
    chin = before.skeleton.index("face_chin")
    np.testing.assert_allclose(
        carry_along(before, after, MODEL).keypoints[0, chin] - before.keypoints[0, chin], [1.5, 0]
    )


def test_without_a_valid_parent_a_keypoint_stays_and_so_does_a_missing_one() -> None:
    before = pose(load_skeleton("halpe26"))
    valid = before.valid.copy()
    valid[0, [before.skeleton.index(name) for name in ("left_ankle", "right_heel")]] = False
    before = before.with_keypoints(before.keypoints, valid=valid)
    moves = {"left_ankle": (9.0, 9.0), "right_ankle": (9.0, 9.0)}
    carried = carry_along(before, moved(before, moves), MODEL).keypoints - before.keypoints
    by_name = dict(zip(before.skeleton.keypoint_names, carried[0].tolist(), strict=True))
    assert by_name["left_heel"] == by_name["right_heel"] == [0, 0]
    np.testing.assert_allclose(by_name["right_big_toe"], [9, 9])


def test_limbs_find_the_parents_of_a_skeleton_of_ones_own(tmp_path: Path) -> None:
    names = ["nose", "left_wrist", "left_palm", "left_tip", "right_wrist", "right_palm", "right_tip", "tail"]
    limbs = [
        [f"{side}_{a}", f"{side}_{b}"]
        for side in ("left", "right")
        for a, b in (("wrist", "palm"), ("palm", "tip"))
    ]
    path = tmp_path / "hands.json"
    path.write_text(json.dumps({"keypoints": names, "limbs": limbs}))
    found = {child: parents.tolist() for child, parents in carriers(load_skeleton(path), MODEL).items()}
    assert found == {2: [1], 3: [1], 5: [4], 6: [4]}  # nothing joins the tail to anything


def test_a_skeleton_file_may_name_parents(tmp_path: Path) -> None:
    path = tmp_path / "monkey.json"
    tail = {"name": "tail", "parents": ["L Hip", "right_hip"]}
    path.write_text(json.dumps({"keypoints": ["left_hip", "right_hip", tail]}))
    assert carriers(load_skeleton(path), MODEL)[2].tolist() == [0, 1]
    written = tmp_path / "written.json"
    written.write_text(skeleton_text(load_skeleton(path)))
    assert load_skeleton(written).keypoints == load_skeleton(path).keypoints
    path.write_text(
        json.dumps({"keypoints": ["left_hip", "right_hip", {"name": "tail", "parents": ["hipp"]}]})
    )
    with pytest.raises(InputError, match=r"keypoint 'tail', field 'parents': there is no keypoint 'hipp'"):
        load_skeleton(path)
    path.write_text(json.dumps({"keypoints": [{"name": "tail", "parents": "hip"}]}))
    with pytest.raises(InputError, match="field 'parents': expected a list of names, got 'hip'"):
        load_skeleton(path)


def test_other_people_are_refused() -> None:
    with pytest.raises(InputError, match="the same people before and after"):
        carry_along(pose(MODEL), pose(MODEL, people=2), MODEL)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(LAYOUTS), st.integers(0, 1000), st.tuples(st.floats(-50, 50), st.floats(-50, 50)))
def test_a_person_who_moves_as_a_whole_stays_whole(
    layout: str, seed: int, shift: tuple[float, float]
) -> None:
    before = pose(load_skeleton(layout), people=2, seed=seed)
    known = [name for name in before.skeleton.keypoint_names if name in MODEL.keypoint_names]
    after = carry_along(before, moved(before, dict.fromkeys(known, shift)), MODEL)
    np.testing.assert_allclose(after.keypoints, before.keypoints + shift, atol=1e-9)


def test_on_real_hands_and_feet_the_offsets_to_wrist_and_ankle_are_kept(shared_data: Path) -> None:
    """There is no truth for hands: this says that it runs on a real estimator's file, not that it is right."""

    path = shared_data / "predictions" / "coco_dev" / "blazepose.blazepose33.json"
    before = read_pose_file(path, load_skeleton("blazepose33")).poses
    moves = np.random.default_rng(0).normal(0, 5, before.keypoints.shape)
    known = np.array([name in MODEL.keypoint_names for name in before.skeleton.keypoint_names])
    refined = before.with_keypoints(before.keypoints + np.where(known[:, None], moves, 0.0))
    after = carry_along(before, refined, MODEL)
    for child, parent in (("left_thumb", "left_wrist"), ("right_foot_index", "right_ankle")):
        ends = [before.skeleton.index(name) for name in (child, parent)]
        old, new = (np.diff(poses.keypoints[:, ends], axis=1) for poses in (before, after))
        np.testing.assert_allclose(new, old, atol=1e-9)
