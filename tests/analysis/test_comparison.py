"""The same people before and after."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posefix.analysis import analyze, compare
from posefix.errors import InputError
from posefix.evaluation import compare_coco, count_repairs
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.interchange import read_pose_file
from posefix.pose.poses import Poses
from posefix.pose_errors.taxonomy import Status
from posefix.skeletons import load_skeleton

Annotate = Callable[..., Annotations]
Find = Callable[..., Poses]
Scene = tuple[Annotations, Poses]
COCO = load_skeleton("coco17")
NOSE, LEFT_HIP, RIGHT_HIP = (COCO.index(name) for name in ("nose", "left_hip", "right_hip"))
FAR = 9000.0


@pytest.fixture
def people(annotate: Annotate, line: np.ndarray) -> Annotations:
    """Three people, each in a photo."""
    return annotate(np.stack([line, line, line]), (1, 2, 3))


@pytest.fixture
def poses(find: Find, line: np.ndarray) -> Poses:
    """Poses of these people: the first wrong in two keypoints, the second in none, the third in one."""
    keypoints = np.stack([line, line, line])
    keypoints[0, NOSE] = FAR
    keypoints[0, LEFT_HIP] = line[RIGHT_HIP]
    keypoints[2, NOSE] = FAR
    return find(keypoints, (1, 2, 3))


@pytest.fixture
def refined(poses: Poses, line: np.ndarray) -> Poses:
    """The first person's errors repaired, one new error of the second."""
    keypoints = poses.keypoints.copy()
    keypoints[0] = line
    keypoints[1, RIGHT_HIP] = FAR
    return poses.with_keypoints(keypoints)


def test_statuses_before_and_after_by_hand(people: Annotations, poses: Poses, refined: Poses) -> None:
    comparison = compare(poses, refined, people, resamples=20)
    moves = comparison.repairs.counts
    assert moves[Status.MISS].tolist() == [1, 0, 0, 0, 1]
    assert moves[Status.INVERSION, Status.GOOD] == moves[Status.GOOD, Status.MISS] == 1
    assert moves.sum() == 51
    assert (comparison.repairs.repaired, comparison.repairs.broken) == (2, 1)
    head = comparison.groups_before.labels.index("head")
    assert comparison.groups_before.counts[head, Status.MISS] == 2
    assert comparison.groups_after.counts[head, Status.MISS] == 1
    assert (comparison.found_before, comparison.found_after, comparison.match) == (3, 3, "rows")


def test_who_gained_and_who_lost(people: Annotations, poses: Poses, refined: Poses) -> None:
    comparison = compare(poses, refined, people, resamples=20)
    assert comparison.most_improved().tolist() == [0]
    assert comparison.most_harmed().tolist() == [1]
    assert comparison.gain[1:] == pytest.approx([-1 / 17, 0.0])
    assert comparison.after.oks[0] == 1.0
    assert comparison.before.statuses[0, NOSE] == Status.MISS
    assert comparison.after.statuses[0, NOSE] == Status.GOOD


def test_oks_after_by_oks_before(people: Annotations, poses: Poses, refined: Poses) -> None:
    bands = compare(poses, refined, people, resamples=20).oks_bands()
    assert [(band.low, band.people) for band in bands] == [(0.8, 1), (0.9, 2)]
    assert bands[0].after == pytest.approx(1.0)
    assert bands[1].before - bands[1].after == pytest.approx(1 / 34)


def test_the_ap_is_that_of_the_bootstrap(people: Annotations, poses: Poses, refined: Poses) -> None:
    assert compare(poses, refined, people, resamples=20).coco == compare_coco(
        poses, refined, people, resamples=20
    )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_nothing_changes_in_a_copy_and_a_way_back_undoes(
    random_scene: Callable[[int], Scene], seed: int
) -> None:
    truth, poses = random_scene(seed)
    same = compare(poses, poses, truth, resamples=1)
    assert (same.gain == 0).all()
    assert not same.most_improved().size and not same.most_harmed().size
    assert len(same.tables()) == 3 and "-0.0" not in same.table()
    assert (same.repairs.counts == np.diag(np.diag(same.repairs.counts))).all()
    np.testing.assert_array_equal(same.before.statuses, analyze(poses, truth).found.statuses)
    assert same.repairs.counts.sum() == same.before.labelled.sum()
    moved = poses.with_keypoints(poses.keypoints + np.random.default_rng(seed).normal(0, 9, (20, 17, 2)))
    there = compare(poses, moved, truth, match="people", resamples=1)
    back = compare(moved, poses, truth, match="people", resamples=1)
    np.testing.assert_array_equal(there.repairs.counts, back.repairs.counts.T)
    np.testing.assert_allclose(there.gain, -back.gain)


def test_rows_that_differ_are_matched_by_person(people: Annotations, poses: Poses, refined: Poses) -> None:
    comparison = compare(poses, refined[[2, 0]], people, resamples=20)
    assert comparison.match == "people"
    assert comparison.before.people.tolist() == comparison.after.people.tolist() == [0, 2]
    assert comparison.after.poses.tolist() == [1, 0]
    assert "2 people compared, whom both results find; found before 3, after 2" in comparison.table()
    with pytest.raises(InputError, match="must be the same people in the same order and layout"):
        compare(poses, refined[[2, 0]], people, match="rows")


def test_by_row_nobody_changes_identity_by_being_moved(
    annotate: Annotate, find: Find, line: np.ndarray
) -> None:
    keypoints = np.stack([line, line + np.array([0.0, 400.0])])
    truth, before = annotate(keypoints, (1, 1)), find(keypoints, (1, 1))
    exchanged = before.with_keypoints(before.keypoints[::-1])
    assert compare(before, exchanged, truth, resamples=5).repairs.counts[Status.GOOD, Status.SWAP] == 34
    by_person = compare(before, exchanged, truth, match="people", resamples=5)
    assert by_person.repairs.counts[Status.GOOD, Status.GOOD] == 34


def test_keypoints_that_get_lost_or_are_filled(people: Annotations, poses: Poses, refined: Poses) -> None:
    valid = np.ones((3, 17), bool)
    valid[0, NOSE] = False
    lacking = poses.with_keypoints(poses.keypoints, valid)
    filled = compare(lacking, refined, people, resamples=5)
    assert filled.repairs.filled_right == 1
    assert filled.repairs.counts.sum() == 50
    lost = compare(refined, lacking, people, resamples=5)
    assert lost.repairs.counts[Status.GOOD, Status.MISS] == 1
    assert lost.after.missing[0, NOSE]


def test_repairs_are_those_of_count_repairs_where_everybody_is_found(
    people: Annotations, poses: Poses, refined: Poses
) -> None:
    expected = count_repairs(poses, refined, people)
    actual = compare(poses, refined, people, resamples=5).repairs
    np.testing.assert_array_equal(actual.counts, expected.counts)


def test_results_that_cannot_be_compared_are_refused(
    annotate: Annotate, people: Annotations, poses: Poses, find: Find, line: np.ndarray
) -> None:
    others = find(line[None, :14], (1,), load_skeleton("lsp14"))
    with pytest.raises(InputError, match="must share the same keypoints"):
        compare(poses, others, people)
    with pytest.raises(InputError, match="before finds 1 person and after 1, none of them the same"):
        compare(poses[[0]], poses[[1]], people)
    with pytest.raises(InputError, match=r"truth\.json does not know 2 photos"):
        compare(poses, poses, annotate(line[None], (1,)), strict=True)


def test_rows_are_those_of_the_files(people: Annotations, find: Find, line: np.ndarray) -> None:
    poses = find(np.stack([line + FAR, line, line]), ("unknown", 1, 2))
    comparison = compare(poses, poses, people, resamples=5)
    assert comparison.before.poses.tolist() == comparison.after.poses.tolist() == [1, 2]
    assert comparison.coverage.left_out == 1


def test_what_is_shown_and_kept(people: Annotations, poses: Poses, refined: Poses) -> None:
    comparison = compare(poses, refined, people, resamples=20)
    text = comparison.table()
    for line_of_text in (
        "3 people compared, row by row; found before 3, after 3; mean OKS 94.1 -> 96.1, +2.0; better 1, worse 1",
        "  inversion     1       0          0     0     0    1",
        "Most harmed",
        "keypoints compared (17): nose",
    ):
        assert line_of_text in text
    assert comparison._repr_html_().count("<table>") == 5
    assert str(comparison).startswith("3 people, AP ")
    kept = json.loads(json.dumps(comparison.as_dict(), allow_nan=False))
    first = kept["compared_people"][0]
    assert (first["statuses"][NOSE], first["statuses_after"][NOSE]) == ("miss", "good")
    assert first["oks_after"] == 1.0
    assert kept["oks_bands"][0]["people"] == 1


def test_a_data_frame_holds_both_statuses(people: Annotations, poses: Poses, refined: Poses) -> None:
    pytest.importorskip("pandas")
    frame = compare(poses, refined, people, resamples=5).to_pandas()
    assert len(frame) == 51
    assert frame.loc[0, ["status", "status_after"]].tolist() == ["miss", "good"]


def test_real_estimators_of_two_layouts(shared_data: Path) -> None:
    truth = read_annotations(shared_data / "lspet" / "person_keypoints_val.json")
    folder = shared_data / "predictions" / "lspet_val"
    before, after = (
        read_pose_file(folder / f"{name}.json", load_skeleton(name.split(".")[1])).poses
        for name in ("blazepose.blazepose33", "movenet.coco17")
    )
    comparison = compare(before, after, truth, resamples=20)
    assert comparison.match == "people"
    assert comparison.gain.mean() > 0.1
    assert comparison.coco.difference > 0.2
