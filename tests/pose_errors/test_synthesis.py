"""What is synthesised as X is classified as X, as often as the profile says, reproducibly."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posefix.errors import InputError
from posefix.pose.similarity import distance_at
from posefix.pose_errors.profile import ErrorProfile, frequencies, load_error_profile
from posefix.pose_errors.synthesis import SynthesisOptions, synthesize
from posefix.pose_errors.taxonomy import (
    ERRORS,
    LabelledPeople,
    Status,
    classify,
    gather_references,
    nearest_reference,
)
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")
PAPER = load_error_profile()
EVERYTHING = SynthesisOptions(
    severity=1.2,
    severity_mean=0.7,
    exchange_rate=0.3,
    displaced_rate=0.3,
    far_miss_rate=0.3,
    keypoint_dropout=0.3,
    pose_dropout=0.1,
)
# A standing person of about 120 x 300 px, COCO order.
STANDING = np.array(
    [
        [60, 20], [66, 14], [54, 14], [74, 18], [46, 18], [90, 60], [30, 60], [104, 110], [16, 110],
        [110, 155], [10, 155], [80, 160], [40, 160], [82, 225], [38, 225], [84, 285], [36, 285],
    ],
    dtype=np.float32,
)  # fmt: skip


def crowd(count: int, neighbours: int, seed: int, *, labelled_share: float = 0.8) -> LabelledPeople:
    """People of different sizes, each with neighbours of other sizes beside them, some labels missing."""
    generator = np.random.default_rng(seed)
    size = generator.uniform(0.5, 2, (count, 1, 1))
    keypoints = STANDING * size + generator.normal(0, 4, (count, 17, 2))
    neighbour_size = size[:, None] * generator.uniform(0.4, 2.5, (count, neighbours, 1, 1))
    shift = generator.uniform(-120, 120, (count, neighbours, 1, 2))
    return LabelledPeople(
        keypoints.astype(np.float32),
        generator.random((count, 17)) < labelled_share,
        (120 * 300 * 0.53 * size[:, 0, 0] ** 2).astype(np.float32),
        (STANDING * neighbour_size + shift).astype(np.float32),
        generator.random((count, neighbours, 17)) < labelled_share,
        (120 * 300 * 0.53 * neighbour_size[:, :, 0, 0] ** 2).astype(np.float32),
        np.full(count, neighbours),
    )


# Left wrists that the version before profiles knew distances drew, everything turned on but dropout.
DRAWN_BEFORE = np.array(
    [
        [68.53272247314453, 104.13636016845703],
        [127.2038803100586, 195.81439208984375],
        [49.371864318847656, 143.60720825195312],
        [54.56630325317383, 151.19277954101562],
        [94.12664794921875, -15.382991790771484],
        [203.4846954345703, 293.3425598144531],
    ],
    dtype=np.float32,
)


def only(status: Status, probability: float = 0.9) -> ErrorProfile:
    """A profile in which one status has (nearly) all the probability."""
    cases = {
        error: (
            replace(PAPER.cases[error][-1], probability={"other": probability if error == status else 0.0}),
        )
        for error in ERRORS
    }
    return replace(PAPER, groups={}, cases=cases)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 4), st.sampled_from([SynthesisOptions(), EVERYTHING]))
def test_classifying_gives_the_realised_status(seed: int, neighbours: int, options: SynthesisOptions) -> None:
    people = crowd(16, neighbours, seed)
    wrong = synthesize(people, COCO, PAPER, np.random.default_rng(seed), options)
    status = classify(wrong.keypoints, people, COCO)
    np.testing.assert_array_equal(status[wrong.present], wrong.status[wrong.present])
    assert not (wrong.present & ~people.labelled).any()


@pytest.mark.parametrize("status", list(Status)[1:])
@pytest.mark.parametrize("radius", ["disc", "annulus"])
def test_every_status_is_realised_when_asked_for(status: Status, radius: str) -> None:
    people = crowd(200, 3, seed=1)
    options = SynthesisOptions(confusion_radius=radius)  # type: ignore[arg-type]
    wrong = synthesize(people, COCO, only(status), np.random.default_rng(0), options)
    possible = wrong.present
    if status == Status.INVERSION:
        possible = possible & people.labelled[:, COCO.flip_index] & (COCO.flip_index != np.arange(17))
    assert np.mean(wrong.status[possible] == int(status)) > 0.8
    np.testing.assert_array_equal(
        classify(wrong.keypoints, people, COCO)[wrong.present], wrong.status[wrong.present]
    )


def test_frequencies_are_the_profile_s() -> None:
    """Far from confusion everything is possible but swaps, so the counts follow the renormalised profile."""
    people = crowd(4000, 0, seed=2, labelled_share=1.0)
    wrong = synthesize(people, COCO, PAPER, np.random.default_rng(0))
    expected = frequencies(PAPER, COCO, np.full(4000, 17), np.zeros(4000, int))[0]
    expected[:, Status.SWAP] = 0
    expected[0, Status.INVERSION] = 0  # the nose has no partner
    expected /= expected.sum(axis=1, keepdims=True)
    counted = (wrong.status[..., None] == np.arange(5)).mean(axis=0)
    # Eyes are so near each other that many of their jitters belong to the other eye: looked at from the ears on.
    np.testing.assert_allclose(counted[3:], expected[3:], atol=0.03)


def test_impossible_statuses_never_happen() -> None:
    alone = crowd(300, 0, seed=3)
    wrong = synthesize(alone, COCO, PAPER, np.random.default_rng(0))
    assert not (wrong.status == int(Status.SWAP)).any()
    partner = alone.labelled[:, COCO.flip_index]
    assert not ((wrong.status == int(Status.INVERSION)) & ~partner).any()
    assert not (wrong.status[:, 0] == int(Status.INVERSION)).any()


def test_swaps_reach_same_and_mirrored_keypoints_of_neighbours() -> None:
    people = crowd(400, 1, seed=4, labelled_share=1.0)
    wrong = synthesize(people, COCO, only(Status.SWAP), np.random.default_rng(0))
    swapped = wrong.status == int(Status.SWAP)
    same = np.linalg.norm(wrong.keypoints - people.neighbour_keypoints[:, 0], axis=-1)
    mirrored = np.linalg.norm(wrong.keypoints - people.neighbour_keypoints[:, 0][:, COCO.flip_index], axis=-1)
    share = np.mean((same < mirrored)[swapped][:, None])
    assert 0.3 < share < 0.8


def test_annulus_keeps_inversions_off_the_partner() -> None:
    people = crowd(300, 0, seed=5, labelled_share=1.0)
    partner = people.keypoints[:, COCO.flip_index]
    inner = distance_at(0.85, people.area[:, None], COCO.sigmas)
    closest = {}
    for radius in ("disc", "annulus"):
        options = SynthesisOptions(confusion_radius=radius)
        wrong = synthesize(people, COCO, only(Status.INVERSION), np.random.default_rng(0), options)
        inverted = wrong.status == int(Status.INVERSION)
        closest[radius] = (np.linalg.norm(wrong.keypoints - partner, axis=-1) / inner)[inverted].min()
    assert closest["disc"] < 0.5
    assert closest["annulus"] >= 0.999


def test_misses_end_where_the_paper_says() -> None:
    people = crowd(300, 0, seed=6, labelled_share=1.0)
    wrong = synthesize(people, COCO, only(Status.MISS), np.random.default_rng(0))
    missed = wrong.status == int(Status.MISS)
    reach = distance_at(0.1, people.area[:, None], COCO.sigmas)
    own = np.linalg.norm(wrong.keypoints - people.keypoints, axis=-1) / reach
    partner = np.linalg.norm(wrong.keypoints - people.keypoints[:, COCO.flip_index], axis=-1) / reach
    assert np.minimum(own, partner)[missed].max() <= 1.001


def test_the_same_generator_state_gives_the_same_poses() -> None:
    people = crowd(8, 2, seed=7)
    first, second, other = (
        synthesize(people, COCO, PAPER, np.random.default_rng(seed), EVERYTHING).keypoints
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_inputs_are_left_alone() -> None:
    people = crowd(8, 2, seed=8)
    before = people.keypoints.copy()
    synthesize(people, COCO, PAPER, np.random.default_rng(0), EVERYTHING)
    np.testing.assert_array_equal(people.keypoints, before)


def test_dropout_and_severity_change_what_they_say() -> None:
    people = crowd(500, 0, seed=9, labelled_share=1.0)
    dropped = synthesize(people, COCO, PAPER, np.random.default_rng(0), SynthesisOptions(pose_dropout=0.5))
    assert 0.4 < np.mean(~dropped.present.any(axis=1)) < 0.6
    plain, severe = (
        synthesize(people, COCO, PAPER, np.random.default_rng(0), SynthesisOptions(severity=s)).status == 0
        for s in (0.0, 2.0)
    )
    assert severe.mean(axis=1).std() > 2 * plain.mean(axis=1).std()


def test_torch_tensors_give_torch_tensors_of_the_same_statistics() -> None:
    torch = pytest.importorskip("torch")
    people = crowd(500, 2, seed=10)
    tensors = LabelledPeople(*(torch.from_numpy(getattr(people, item.name)) for item in fields(people)))
    wrong = synthesize(tensors, COCO, PAPER, torch.Generator().manual_seed(0), EVERYTHING)
    status = classify(wrong.keypoints, tensors, COCO)
    assert bool((status == wrong.status)[wrong.present].all())
    reference = synthesize(people, COCO, PAPER, np.random.default_rng(0), EVERYTHING)
    counts = [
        np.bincount(np.asarray(w.status)[np.asarray(w.present)], minlength=5) for w in (wrong, reference)
    ]
    found, expected = (count / count.sum() for count in counts)
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_without_distances_the_draws_are_those_of_before_there_were_any() -> None:
    """To the last few bits, which another processor may round otherwise."""
    people = crowd(6, 2, seed=11)
    options = replace(EVERYTHING, keypoint_dropout=0, pose_dropout=0)
    wrong = synthesize(people, COCO, PAPER, np.random.default_rng(11), options)
    np.testing.assert_allclose(wrong.keypoints[:, 9], DRAWN_BEFORE, rtol=1e-5)


@pytest.mark.parametrize("radius", ["disc", "annulus"])
def test_the_paper_s_distances_written_out_give_the_same_poses(radius: str) -> None:
    people = crowd(40, 2, seed=12)
    options = SynthesisOptions(confusion_radius=radius)  # type: ignore[arg-type]
    good, jitter, miss = (float(np.sqrt(-np.log(similarity))) for similarity in (0.85, 0.5, 0.1))
    confused = (good if radius == "annulus" else 0.0, jitter)
    limits = [(0.0, good), (good, jitter), confused, confused, (jitter, miss)]
    written = {Status(number): {"other": pair} for number, pair in enumerate(limits)}
    plain, out = (
        synthesize(people, COCO, profile, np.random.default_rng(0), options).keypoints
        for profile in (PAPER, replace(PAPER, distances=written))
    )
    np.testing.assert_array_equal(plain, out)


def test_distances_of_the_profile_are_drawn_by_group() -> None:
    """All misses of the hips lie far, those of the knees near; misses of the rest are the paper's."""
    people = crowd(400, 0, seed=13, labelled_share=1.0)
    groups = {"hips": ("left_hip", "right_hip"), "knees": ("left_knee", "right_knee")}
    cases = {
        error: (replace(case[-1], probability={"other": 0.9 if error == Status.MISS else 0.0}),)
        for error, case in PAPER.cases.items()
    }
    distances = {Status.MISS: {"hips": (3.0, 3.0, 4.0), "knees": (0.9, 0.9, 1.0), "other": (0.85, 1.2, 1.5)}}
    profile = replace(PAPER, groups=groups, cases=cases, distances=distances)
    wrong = synthesize(people, COCO, profile, np.random.default_rng(0))
    _, remoteness = nearest_reference(wrong.keypoints[:, :, None], gather_references(people, COCO))
    distance = np.sqrt(remoteness[..., 0])
    missed = wrong.status == Status.MISS
    hips, knees = distance[:, 11:13][missed[:, 11:13]], distance[:, 13:15][missed[:, 13:15]]
    # Half of the draws are in the first, empty step.
    assert np.quantile(knees, [0.05, 0.4, 1]) == pytest.approx([0.9, 0.9, 1.0], abs=0.01)
    assert hips.max() == pytest.approx(4.0, abs=0.01)
    assert distance[:, :11][missed[:, :11]].max() < 1.501


@pytest.mark.parametrize("options", [{"pose_dropout": 1.5}, {"confusion_radius": "square"}])
def test_bad_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        SynthesisOptions(**options)  # type: ignore[arg-type]
