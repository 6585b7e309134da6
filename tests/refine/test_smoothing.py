"""Smoothing on made tracks whose truth is known, and who is who without tracks."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posefix.errors import InputError
from posefix.pose.poses import Poses
from posefix.refine.smoothing import LONGEST_GAP, OneEuro, associate, one_way, smooth
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")
SIZE = 200.0
RATE = 30.0
PAGE = (Path(__file__).parents[2] / "docs" / "video.md").read_text(encoding="utf-8")


def body(seed: int = 0) -> np.ndarray:
    """(17, 2): keypoints that fill a box as high as `SIZE`."""
    places = np.asarray(np.random.default_rng(seed).uniform(0.1, 0.9, (17, 2)) * [0.4 * SIZE, SIZE])
    places[:2] = np.array([[0, 0], [0.4 * SIZE, SIZE]])
    return places


def track(keypoints: np.ndarray, valid: np.ndarray | None = None) -> Poses:
    there = np.ones(keypoints.shape[:2], dtype=bool) if valid is None else valid
    count = len(keypoints)
    return Poses(keypoints, np.ones(there.shape), there, tuple(range(count)), np.ones(count), COCO)


def moving(path: np.ndarray) -> np.ndarray:
    """(T, 17, 2): a body that moves along a path (T, 2) in units of its size."""
    return np.asarray(body() + path[:, None] * SIZE)


def clock(seconds: float) -> np.ndarray:
    return np.arange(round(seconds * RATE)) / RATE


def error(found: np.ndarray, truth: np.ndarray) -> float:
    """Root mean square distance in units of the size, without half a second at each end."""
    ends = round(RATE / 2)
    return float(np.sqrt((((found - truth) / SIZE)[ends:-ends] ** 2).sum(axis=-1).mean()))


def test_one_way_is_the_published_filter() -> None:
    """One coordinate beside the paper's algorithm 1, written out for numbers."""
    times = np.array([0.0, 0.1, 0.15, 0.3])
    values = np.array([0.0, 10.0, 12.0, 4.0])
    keypoints = np.repeat(body()[None], 4, axis=0)
    keypoints[:, 5, 0] += values
    chosen = OneEuro(min_cutoff=1.5, beta=4.0)

    def share(cutoff: float, step: float) -> float:
        return 1 / (1 + 1 / (2 * math.pi * cutoff) / step)

    expected, speed = [0.0], 0.0
    for index in range(1, 4):
        step = times[index] - times[index - 1]
        rate = (values[index] - expected[-1]) / step
        speed = share(1.0, step) * rate + (1 - share(1.0, step)) * speed
        weight = share(1.5 + 4.0 * abs(speed) / SIZE, step)
        expected.append(weight * values[index] + (1 - weight) * expected[-1])
    found = one_way(track(keypoints), times, chosen)[:, 5, 0] - body()[5, 0]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert found[1] == pytest.approx(
        5.8803, abs=1e-4
    )  # by hand: speed 38.587, cutoff 2.2717 Hz, weight .58803


def test_a_pose_at_rest_stays_to_the_last_bit() -> None:
    still = moving(np.zeros((40, 2)))
    assert (smooth(track(still), [7] * 40, clock(40 / RATE)).keypoints == still).all()


def test_jitter_at_rest_falls_to_a_seventh_of_its_variance() -> None:
    truth = moving(np.zeros((300, 2)))
    noisy = truth + np.random.default_rng(1).normal(0, 0.01 * SIZE, truth.shape)
    found = smooth(track(noisy), [1] * 300, clock(10)).keypoints
    assert error(found, truth) ** 2 < error(noisy, truth) ** 2 / 7


@pytest.mark.parametrize("speed", [0.2, 1.0, 5.0])
def test_steady_motion_is_not_behind(speed: float) -> None:
    times = clock(6)
    truth = moving(np.stack([speed * times, np.zeros_like(times)], axis=1))
    middle = slice(80, 100)
    one = one_way(track(truth), times, OneEuro())[middle]
    behind = (truth[middle] - one)[..., 0] / SIZE
    assert 0 < behind.min() <= behind.max() < 1 / (2 * math.pi * OneEuro().beta)
    both = smooth(track(truth), [1] * len(times), times).keypoints[middle]
    np.testing.assert_allclose(both, truth[middle], atol=1e-3 * SIZE)


def test_swinging_limbs_with_jitter_come_out_better_than_they_went_in() -> None:
    times = clock(8)
    truth = moving(np.stack([0.15 * np.sin(2 * math.pi * times), np.zeros_like(times)], axis=1))
    noisy = truth + np.random.default_rng(2).normal(0, 0.01 * SIZE, truth.shape)
    found = smooth(track(noisy), [1] * len(times), times).keypoints
    assert error(found, truth) < 0.7 * error(noisy, truth)


Path2D = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
# Motion by the seconds, in body sizes; RMS distance to the truth in % of the size: input, one run, both, as in
# docs/video.md.
MOTIONS: list[tuple[str, Path2D, float, float, float]] = [
    ("at rest", lambda t: (0 * t, 0 * t), 1.42, 0.62, 0.51),
    ("walking", lambda t: (0.5 * t, 0 * t), 1.42, 1.23, 0.80),
    ("running", lambda t: (2.5 * t, 0 * t), 1.42, 1.66, 0.97),
    ("a swing", lambda t: (0.15 * np.sin(2 * math.pi * t), 0 * t), 1.42, 1.85, 0.92),
    ("a circle", lambda t: (0.25 * np.sin(4 * math.pi * t), 0.2 * np.cos(4 * math.pi * t)), 1.42, 5.39, 1.47),
]


@pytest.mark.parametrize(("name", "path", "raw", "one", "both"), MOTIONS)
def test_the_table_of_the_page_is_true(name: str, path: Path2D, raw: float, one: float, both: float) -> None:
    times = clock(8)
    truth = moving(np.stack(path(times), axis=1))
    noisy = truth + np.random.default_rng(0).normal(0, 0.01 * SIZE, truth.shape)
    poses = track(noisy)
    found = [noisy, one_way(poses, times, OneEuro()), smooth(poses, [1] * len(times), times).keypoints]
    np.testing.assert_allclose([100 * error(each, truth) for each in found], [raw, one, both], rtol=0.05)
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| {name}"))
    shown = [float(cell.strip(" *")) for cell in row.split("|")[2:5]]
    assert shown == [raw, one, both]


def test_a_step_is_followed() -> None:
    times = clock(4)
    truth = moving(np.where(times < 2, 0.0, 0.3)[:, None] * [1.0, 0.0])
    gap = np.abs(smooth(track(truth), [1] * len(times), times).keypoints - truth)[..., 0].max(axis=1) / SIZE
    assert gap[:58].max() < 0.1
    assert gap[62:].max() < 0.1
    assert max(gap[:45].max(), gap[75:].max()) < 0.02  # half a second away


def test_the_result_scales_with_the_picture() -> None:
    times = clock(2)
    path = np.random.default_rng(3).normal(0, 0.02, (len(times), 2)).cumsum(axis=0)
    small, large = moving(path), 3.5 * moving(path)
    found = [smooth(track(keypoints), [1] * len(times), times).keypoints for keypoints in (small, large)]
    np.testing.assert_allclose(found[1], 3.5 * found[0])


def test_missing_keypoints_stay_missing_and_do_not_pull() -> None:
    keypoints = moving(np.zeros((30, 2)))
    valid = np.ones((30, 17), dtype=bool)
    valid[10:13, 4] = False
    keypoints[10:13, 4] = 0.0
    result = smooth(track(keypoints, valid), [1] * 30, clock(1))
    assert (result.valid == valid).all()
    assert (result.keypoints == keypoints).all()


def test_after_a_long_gap_a_person_starts_anew() -> None:
    before, after = moving(np.zeros((5, 2))), moving(np.full((5, 2), 3.0))
    for gap, same in ((LONGEST_GAP + 0.1, True), (LONGEST_GAP - 0.1, False)):
        times = np.concatenate([np.arange(5) / RATE, 4 / RATE + gap + np.arange(5) / RATE])
        keypoints = np.concatenate([before, after])
        assert (smooth(track(keypoints), [1] * 10, times).keypoints == keypoints).all() == same


def test_people_are_filtered_apart_and_in_the_order_of_time() -> None:
    generator = np.random.default_rng(4)
    times = clock(1)
    one, other = (moving(np.zeros((30, 2))) + generator.normal(0, 3, (30, 17, 2)) for _ in range(2))
    alone = smooth(track(one), ["a"] * 30, times).keypoints
    order = generator.permutation(90)
    keypoints = np.concatenate([one, other, other])[order]
    tracks = np.array(["a"] * 30 + ["b"] * 30 + [None] * 30, dtype=object)[order].tolist()
    together = smooth(track(keypoints), tracks, np.tile(times, 3)[order]).keypoints
    back = np.argsort(order)
    np.testing.assert_allclose(together[back][:30], alone)
    assert (together[back][60:] == other).all()  # poses of nobody stay


def test_two_poses_of_one_person_in_a_frame_are_an_error() -> None:
    with pytest.raises(InputError, match=r"track 'a' has two poses of image 0; expected one of each person"):
        smooth(track(moving(np.zeros((2, 2)))), ["a", "a"], [0.5, 0.5])
    with pytest.raises(InputError, match="one track and one time for each of 2 poses, got 1 and 2"):
        smooth(track(moving(np.zeros((2, 2)))), ["a"], [0.5, 0.5])


@pytest.mark.parametrize(
    ("cutoff", "beta", "message"), [(0, 1, "min_cutoff"), (math.nan, 1, "min_cutoff"), (1, -1, "beta")]
)
def test_settings_are_checked(cutoff: float, beta: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        OneEuro(cutoff, beta)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 20), st.floats(0, 50))
def test_a_smoothed_keypoint_stays_within_its_track(seed: int, cutoff: float, beta: float) -> None:
    generator = np.random.default_rng(seed)
    keypoints = generator.uniform(0, 500, (12, 17, 2))
    valid = generator.random((12, 17)) < 0.7
    times = generator.uniform(0.01, 0.4, 12).cumsum()
    result = smooth(track(keypoints, valid), [1] * 12, times, OneEuro(cutoff, beta)).keypoints
    low = np.where(valid[..., None], keypoints, np.inf).min(axis=0)
    high = np.where(valid[..., None], keypoints, -np.inf).max(axis=0)
    inside = (result >= low - 1e-6) & (result <= high + 1e-6)
    assert inside[valid].all()
    assert (result[~valid] == keypoints[~valid]).all()


def crowd(frames: int, *starts: tuple[float, float], velocity: float = 0.05) -> tuple[Poses, np.ndarray]:
    """People who walk right, one after the other in each frame; poses and times."""
    paths = [np.array(start) + np.arange(frames)[:, None] * [velocity, 0.0] for start in starts]
    keypoints = np.stack([moving(path) for path in paths], axis=1).reshape(-1, 17, 2)
    return track(keypoints), np.repeat(np.arange(frames) / RATE, len(starts))


def test_people_are_told_apart_without_tracks() -> None:
    poses, times = crowd(10, (0, 0), (1, 0), (0, 2))
    assert associate(poses, times) == (1, 2, 3) * 10
    shuffled = np.random.default_rng(0).permutation(30)
    found = np.array(associate(poses[shuffled], times[shuffled]))
    for person in range(3):
        assert len(set(found[shuffled % 3 == person])) == 1


def test_who_is_missing_for_a_frame_keeps_the_track_and_for_long_gets_another() -> None:
    poses, times = crowd(40, (0, 0), velocity=0.01)
    here = np.r_[0:5, 6:10, 35:40]
    assert associate(poses[here], times[here]) == (1,) * 9 + (2,) * 5


def test_a_jump_is_another_person() -> None:
    poses, times = crowd(2, (0, 0), velocity=1.5)
    assert associate(poses, times) == (1, 2)


def test_keypoints_without_a_sigma_play_no_part_in_who_is_who() -> None:
    layout = load_skeleton("blazepose33")
    keypoints = np.random.default_rng(0).uniform(0, 100, (2, 33, 2))
    keypoints[1] = keypoints[0]
    keypoints[1, layout.index("left_thumb")] += 300
    shape = keypoints.shape[:2]
    poses = Poses(keypoints, np.ones(shape), np.ones(shape, dtype=bool), (0, 1), np.ones(2), layout)
    assert associate(poses, [0.0, 0.04]) == (1, 1)
    assert associate(poses[:0], []) == ()
