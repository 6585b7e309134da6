"""Frequencies and distances: counted by hand, and recovered from what was synthesised."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from posefix.analysis.profile_fitting import LEVELS, POSSIBLE, SMOOTHING, estimate_frequencies, fit_profile
from posefix.analysis.profile_observation import ObservedErrors, observe_errors, pool
from posefix.errors import InputError
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import Poses
from posefix.pose_errors.profile import NO_LIMIT, REACHES, Case, ErrorProfile, frequencies, load_error_profile
from posefix.pose_errors.taxonomy import ERRORS, Status
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")
PAPER = load_error_profile()
KNOWN = ErrorProfile(
    "known",
    "",
    {"hips": ("left_hip", "right_hip")},
    {
        Status.JITTER: (Case({"other": 0.2, "hips": 0.1}),),
        Status.INVERSION: (Case({"other": 0.1}),),
        Status.SWAP: (Case({"other": 0.15}),),
        Status.MISS: (Case({"other": 0.05, "hips": 0.3}, max_labelled=10), Case({"other": 0.1})),
    },
)
Draw = Callable[..., tuple[Annotations, Poses]]


def observed(statuses: list[list[int]], **changes: object) -> ObservedErrors:
    """Poses of a hip each side and a nose, with everything possible but an inversion of the nose."""
    shape = (len(statuses), 3)
    possible = np.ones((*shape, 5), dtype=bool)
    possible[:, 2, Status.INVERSION] = False
    values = {
        "keypoint_names": ("left_hip", "right_hip", "nose"),
        "groups": ("hip", "hip", "nose"),
        "num_labelled": np.full(shape[0], 3),
        "overlap": np.zeros(shape[0], dtype=np.int64),
        "statuses": np.array(statuses),
        "possible": possible,
        "distances": np.full(shape, 0.1),
        "missing": np.zeros(shape, dtype=bool),
    }
    return ObservedErrors(**{**values, **changes})  # type: ignore[arg-type]


def test_hand_made_counts_are_smoothed_as_documented() -> None:
    """Two poses of few keypoints; the hips' statuses are counted together, in one band."""
    fitted = fit_profile(observed([[0, 1, -1], [0, 4, -1]]), "mine", "by hand")
    assert fitted.counts[0, 0, 0].sum(axis=0).tolist() == [2, 1, 0, 0, 1]
    assert fitted.counts.sum() == 4
    assert list(fitted.profile.groups) == ["hip"]
    paper = frequencies(PAPER, COCO, np.array([17]), np.array([0]))[0].mean(axis=0)
    counts = np.array([2, 1, 0, 0, 1])
    overall = (counts + SMOOTHING * paper) / (4 + SMOOTHING)
    group = (counts + SMOOTHING * overall) / (4 + SMOOTHING)
    band = (counts + SMOOTHING * group) / (4 + SMOOTHING)
    found = frequencies(fitted.profile, COCO.subset(["left_hip"]), np.array([5, 17]), np.array([0, 0]))
    np.testing.assert_allclose(found[0, 0], band, atol=2e-5)
    np.testing.assert_allclose(found[1, 0], group, atol=2e-5)  # a band that nobody is in


def test_bands_are_told_apart_and_their_order_is_that_of_a_profile() -> None:
    many = observed([[4, 4, -1]] * 400 + [[0, 0, -1]] * 400)
    crowded = replace(many, overlap=np.repeat([3, 0], 400))
    fitted = fit_profile(crowded, "mine", "")
    miss = fitted.profile.cases[Status.MISS]
    assert [(case.max_labelled, case.min_overlap) for case in miss[:4]] == [(5, 3), (5, 1), (5, 0), (10, 3)]
    assert (miss[-1].max_labelled, miss[-1].min_overlap) == (NO_LIMIT, 0)
    found = frequencies(fitted.profile, COCO.subset(["left_hip"]), np.array([3, 3]), np.array([5, 0]))
    assert found[0, 0, Status.MISS] > 0.95
    assert found[1, 0, Status.GOOD] > 0.95


def test_a_keypoint_without_partner_is_never_inverted() -> None:
    fitted = fit_profile(observed([[2, 0, 0]] * 50), "mine", "")
    nose = frequencies(fitted.profile, COCO.subset(["nose"]), np.array([3]), np.array([0]))[0, 0]
    assert nose[Status.INVERSION] == 0
    assert fitted.by_group[0, Status.INVERSION] > 0.3


def test_swaps_that_no_label_allows_get_the_paper_s_frequency() -> None:
    possible = np.ones((500, 3, 5), dtype=bool)
    possible[..., Status.SWAP] = False
    fitted = fit_profile(observed([[0, 0, -1]] * 500, possible=possible), "mine", "")
    paper = frequencies(PAPER, COCO, np.array([17]), np.array([0]))[0].mean(axis=0)
    assert fitted.overall[Status.SWAP] == pytest.approx(paper[Status.SWAP], abs=1e-6)
    assert fitted.by_group[0, Status.SWAP] == pytest.approx(paper[Status.SWAP], abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(arrays(np.int64, (3, 4, 5), elements=st.integers(0, 200)), st.integers(0, 10**6))
def test_estimated_frequencies_solve_the_likelihood_equations(counts: np.ndarray, seed: int) -> None:
    """Every status is expected as often as it was counted, smoothing included."""
    prior = np.random.default_rng(seed).dirichlet(np.full(5, 3.0))
    counts = counts * POSSIBLE
    found = estimate_frequencies(counts, prior)
    np.testing.assert_allclose(found.sum(axis=-1), 1)
    weighted = counts.astype(float)
    weighted[:, -1] += SMOOTHING * prior
    chances = found[:, None] * POSSIBLE
    expected = (weighted.sum(axis=-1, keepdims=True) * chances / chances.sum(axis=-1, keepdims=True)).sum(
        axis=1
    )
    np.testing.assert_allclose(expected, weighted.sum(axis=1), rtol=1e-4, atol=1e-4)


def test_a_known_profile_is_measured_back(draw: Draw) -> None:
    """Within sampling error in both bands, though unlabelled partners and neighbours make statuses impossible."""
    truth, poses = draw(KNOWN, people=1500, together=3, labelled=0.6)
    fitted = fit_profile(observe_errors(poses, truth), "back", "")
    labelled, overlap = np.array([8, 14]), np.array([0, 0])
    # From the shoulders on: some jitters of an eye are inversions, as eyes are near each other.
    back = frequencies(fitted.profile, COCO, labelled, overlap)[:, 5:]
    np.testing.assert_allclose(back, frequencies(KNOWN, COCO, labelled, overlap)[:, 5:], atol=0.05)


def test_proportions_are_measured_back_where_swaps_are_impossible(draw: Draw) -> None:
    truth, poses = draw(KNOWN, people=1000, labelled=0.8)
    found = fit_profile(observe_errors(poses, truth), "back", "").by_group[-6:]
    others = np.delete(found, Status.SWAP, axis=1)
    known = np.tile([0.5, 0.2, 0.1, 0.05], (6, 1))
    hips, few = 3, float(np.mean(truth.people.visibility.astype(bool).sum(axis=1) <= 10))
    known[:, 3] = 0.05 * few + 0.1 * (1 - few)
    known[hips, 1], known[hips, 3] = 0.1, 0.3 * few + 0.1 * (1 - few)
    known[:, 0] = 0.85 - known[:, 1:].sum(axis=1)
    np.testing.assert_allclose(others / others.sum(axis=1, keepdims=True), known / 0.85, atol=0.04)


@pytest.mark.parametrize("seed", [1, 2])
def test_distances_are_measured_back(draw: Draw, seed: int) -> None:
    truth, poses = draw(PAPER, seed=seed)
    found = fit_profile(observe_errors(poses, truth), "back", "").profile
    for status in (Status.GOOD, Status.JITTER):
        low, high = REACHES[status]
        np.testing.assert_allclose(found.distances[status]["other"], low + (high - low) * LEVELS, atol=0.02)
    # Misses twice as far as the paper's, and jitters that crowd near the good ones.
    reach = {
        Status.MISS: {"other": tuple(0.84 + 2.2 * LEVELS)},
        Status.JITTER: {"other": tuple(0.41 + 0.42 * LEVELS**2)},
    }
    truth, poses = draw(replace(PAPER, distances=reach), seed=seed)
    again = fit_profile(observe_errors(poses, truth), "again", "").profile
    for status, rows in reach.items():
        np.testing.assert_allclose(again.distances[status]["other"], rows["other"], atol=0.15)
        assert len(again.distances[status]) > 3  # groups of their own


def test_a_profile_survives_its_file(draw: Draw, tmp_path: Path) -> None:
    truth, poses = draw(PAPER)
    fitted = fit_profile(observe_errors(poses, truth), "mine", "synthesised")
    fitted.write(tmp_path / "mine.json")
    assert load_error_profile(tmp_path / "mine.json") == fitted.profile
    document = json.loads((tmp_path / "mine.json").read_text())
    counts = np.array([list(case["keypoints"].values()) for case in document["counts"]["cases"]])
    assert counts.sum() == 900 * 17
    assert document["counts"]["poses"] == 900
    assert set(document["errors"]) == {error.label for error in ERRORS}


def test_pooling_adds_counts_by_keypoint_name() -> None:
    first = observed([[0, 1, 0]])
    second = replace(first.without(["right_hip"]), statuses=np.array([[4, 4]]))
    third = ObservedErrors(
        ("knee",), ("knee",), np.array([1]), np.array([0]), np.array([[3]]), np.ones((1, 1, 5), bool),
        np.ones((1, 1)), np.zeros((1, 1), bool),
    )  # fmt: skip
    pooled = pool([first, second, third])
    assert pooled.keypoint_names == ("left_hip", "right_hip", "nose", "knee")
    assert pooled.statuses.tolist() == [[0, 1, 0, -1], [4, -1, 4, -1], [-1, -1, -1, 3]]
    fitted = fit_profile(pooled, "pooled", "")
    assert fitted.counts.sum(axis=(1, 2, 3)).tolist() == [[1, 1, 0, 0, 1], [1, 0, 0, 0, 1], [0, 0, 0, 1, 0]]


def test_nothing_to_count_is_refused() -> None:
    with pytest.raises(InputError, match="no labelled keypoint was estimated"):
        fit_profile(observed([[-1, -1, -1]]), "mine", "")
