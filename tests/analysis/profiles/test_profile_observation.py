"""Who and what is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from posefix.analysis import analyze
from posefix.analysis.profile_observation import observe_errors
from posefix.errors import InputError
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import Poses
from posefix.pose_errors.profile import load_error_profile
from posefix.pose_errors.taxonomy import Status
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")
PAPER = load_error_profile()
Draw = Callable[..., tuple[Annotations, Poses]]


def test_people_and_statuses_are_those_of_the_analysis(draw: Draw) -> None:
    truth, poses = draw(PAPER, people=60, together=3, labelled=0.7)
    found = observe_errors(poses, truth)
    analysis = analyze(poses, truth)
    np.testing.assert_array_equal(found.statuses, analysis.found.statuses)
    np.testing.assert_array_equal(
        found.num_labelled, (truth.people.visibility[analysis.found.people] > 0).sum(axis=1)
    )


def test_left_and_right_are_one_group_without_their_side(draw: Draw) -> None:
    truth, poses = draw(PAPER, people=3)
    groups = observe_errors(poses, truth).groups
    assert groups[:5] == ("nose", "eye", "eye", "ear", "ear")
    assert groups[-2:] == ("ankle", "ankle")


def test_a_missing_keypoint_is_no_error(draw: Draw) -> None:
    truth, poses = draw(PAPER, people=20)
    valid = poses.valid.copy()
    valid[:, 3] = False
    found = observe_errors(poses.with_keypoints(poses.keypoints, valid), truth)
    assert (found.statuses[:, 3] == Status.UNLABELLED).all()
    assert found.missing[:, 3].all() and found.missing.sum() == len(found)


def test_what_labels_allow(draw: Draw) -> None:
    """Nobody alone is swapped, no nose is inverted, nothing without a label has a status at all."""
    truth, poses = draw(PAPER, people=40, together=2, labelled=0.6)
    found = observe_errors(poses, truth)
    labelled = found.statuses != Status.UNLABELLED
    assert (found.possible[..., Status.GOOD] == labelled).all()
    assert not found.possible[:, 0, Status.INVERSION].any()
    assert found.possible[..., Status.SWAP].any()
    chosen = np.take_along_axis(found.possible, np.maximum(found.statuses, 0)[..., None], axis=-1)[..., 0]
    assert chosen[labelled].all()
    truth, poses = draw(PAPER, people=40)
    alone = observe_errors(poses, truth)
    assert not alone.possible[..., Status.SWAP].any()


def test_distances_are_in_units_of_the_falloff(draw: Draw) -> None:
    """A hip of sigma .107 and area 2,500 px has a falloff distance of 2 x .107 x sqrt(5000) = 15.13 px."""
    truth, _ = draw(PAPER, people=2)
    places = truth.people.keypoints.copy()
    places[:, COCO.index("left_hip"), 1] += 15.132
    ones = np.ones((2, 17))
    poses = Poses(places, ones, ones > 0, truth.people.image_ids, ones[:, 0], COCO)
    found = observe_errors(poses, truth)
    np.testing.assert_allclose(found.distances[:, COCO.index("left_hip")], 1.0, atol=1e-3)
    assert (found.statuses[:, COCO.index("left_hip")] == Status.MISS).all()
    assert found.distances[:, 0].max() < 1e-6


def test_a_keypoint_nobody_estimates_is_named(draw: Draw) -> None:
    truth, poses = draw(PAPER, people=80)
    places = poses.keypoints.copy()
    places[:, 16] = 5000.0
    found = observe_errors(poses.with_keypoints(places), truth)
    assert found.never_estimated() == ("right_ankle",)
    assert found.without(["right_ankle"]).groups.count("ankle") == 1


def test_results_that_show_nobody_are_refused(draw: Draw) -> None:
    truth, poses = draw(PAPER, people=5)
    with pytest.raises(InputError, match=r"none of .*5 poses comes near an annotated person"):
        observe_errors(poses.with_keypoints(poses.keypoints + 10_000), truth)


def test_layouts_that_share_nothing_are_refused(draw: Draw) -> None:
    truth, poses = draw(PAPER, people=5)
    other = load_skeleton("lsp14").subset(["neck"])
    neck = Poses(
        poses.keypoints[:, :1],
        poses.scores[:, :1],
        poses.valid[:, :1],
        poses.image_ids,
        poses.pose_scores,
        other,
    )
    with pytest.raises(InputError, match="share no keypoint"):
        observe_errors(neck, truth)


def test_photos_of_one_file_only_are_left_out_or_refused(draw: Draw) -> None:
    truth, poses = draw(PAPER, people=6)
    other = replace(poses, image_ids=(*poses.image_ids[:-1], 99))
    assert len(observe_errors(other, truth)) == 5
    with pytest.raises(InputError, match=r"99.*--strict"):
        observe_errors(other, truth, strict=True)
