"""Golden cases of each status with a neighbour, what repairing does, and what must not change a status."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posefix.analysis import analyze
from posefix.analysis.ground_truth import GroundTruth
from posefix.analysis.statuses import FoundPeople, classify_found, repaired_places, true_places, with_places
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.interchange import read_pose_file
from posefix.pose.poses import Poses
from posefix.pose_errors.profile import load_error_profile
from posefix.pose_errors.synthesis import synthesize
from posefix.pose_errors.taxonomy import ERRORS, Status
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")
NOSE, LEFT_HIP, RIGHT_HIP, LEFT_KNEE = (
    COCO.index(name) for name in ("nose", "left_hip", "right_hip", "left_knee")
)
NEIGHBOUR = np.array([0.0, 400.0])
FAR = np.array([5000.0, 9000.0])
Annotate = Callable[..., Annotations]
Find = Callable[..., Poses]
Below = Callable[..., np.ndarray]
Scene = tuple[Annotations, Poses]


def classified(poses: Poses, truth: Annotations, people: list[int] | None = None) -> FoundPeople:
    """Statuses with pose i on person i, or on those given."""
    rows = np.arange(len(poses))
    return classify_found(
        poses, GroundTruth.of(poses, truth), rows, rows if people is None else np.array(people)
    )


def moved(poses: Poses, places: dict[int, np.ndarray]) -> Poses:
    """The poses with keypoints of the first one elsewhere."""
    keypoints = poses.keypoints.copy()
    for keypoint, place in places.items():
        keypoints[0, keypoint] = place
    return poses.with_keypoints(keypoints)


@pytest.fixture
def scene(annotate: Annotate, find: Find, line: np.ndarray) -> Scene:
    """Two people in one photo, one 400 px below the other, and their true poses."""
    keypoints = np.stack([line, line + NEIGHBOUR])
    return annotate(keypoints, (1, 1)), find(keypoints, (1, 1))


@pytest.mark.parametrize(
    ("similarity", "status"),
    [
        (0.999, Status.GOOD),
        (0.851, Status.GOOD),
        (0.849, Status.JITTER),
        (0.501, Status.JITTER),
        (0.499, Status.MISS),
    ],
)
def test_the_distance_to_the_true_place_decides(
    scene: Scene, line: np.ndarray, below: Below, similarity: float, status: Status
) -> None:
    truth, poses = scene
    found = classified(moved(poses, {LEFT_HIP: line[LEFT_HIP] + below(similarity)}), truth)
    assert found.statuses[0, LEFT_HIP] == status
    assert found.similarity[0, LEFT_HIP] == pytest.approx(similarity)
    assert (np.delete(found.statuses, LEFT_HIP, axis=1) == Status.GOOD).all()


@pytest.mark.parametrize("similarity", [1.0, 0.501])
def test_near_the_partner_is_an_inversion(
    scene: Scene, line: np.ndarray, below: Below, similarity: float
) -> None:
    truth, poses = scene
    found = classified(moved(poses, {LEFT_HIP: line[RIGHT_HIP] + below(similarity)}), truth)
    assert found.statuses[0, LEFT_HIP] == Status.INVERSION
    assert found.confusion[0, LEFT_HIP] == pytest.approx(similarity, abs=1e-4)


@pytest.mark.parametrize("of_neighbour", [LEFT_HIP, RIGHT_HIP])
def test_near_a_neighbour_is_a_swap_measured_by_the_neighbour_s_area(
    annotate: Annotate, find: Find, line: np.ndarray, below: Below, of_neighbour: int
) -> None:
    keypoints = np.stack([line, line + NEIGHBOUR])
    poses = find(keypoints, (1, 1))
    place = line[of_neighbour] + NEIGHBOUR + below(0.6, area=40_000.0)
    large = annotate(keypoints, (1, 1), area=np.array([10_000.0, 40_000.0]))
    small = annotate(keypoints, (1, 1), area=10_000.0)
    found = classified(moved(poses, {LEFT_HIP: place}), large)
    assert found.statuses[0, LEFT_HIP] == Status.SWAP
    assert found.confusion[0, LEFT_HIP] == pytest.approx(0.6, abs=1e-4)
    assert classified(moved(poses, {LEFT_HIP: place}), small).statuses[0, LEFT_HIP] == Status.MISS


def test_a_missing_keypoint_is_a_miss_and_said_to_be_missing(scene: Scene) -> None:
    truth, poses = scene
    valid = poses.valid.copy()
    valid[0, NOSE] = False
    found = classified(poses.with_keypoints(poses.keypoints, valid), truth)
    assert found.statuses[0, NOSE] == Status.MISS
    assert found.missing.nonzero()[1].tolist() == [NOSE]
    assert found.oks.tolist() == pytest.approx([16 / 17, 1.0])


def test_keypoints_without_a_label_have_no_status(annotate: Annotate, find: Find, line: np.ndarray) -> None:
    visibility = np.full((1, 17), 1, np.int8)
    visibility[0, NOSE] = 0
    found = classified(
        moved(find(line[None], (1,)), {NOSE: FAR}), annotate(line[None], (1,), visibility=visibility)
    )
    assert found.statuses[0, NOSE] == Status.UNLABELLED
    assert found.oks.tolist() == [1.0]
    assert len(found.columns()["status"]) == 16


def test_repairs_reach_the_similarity_they_promise(scene: Scene, line: np.ndarray, below: Below) -> None:
    truth, poses = scene
    wrong = moved(
        poses,
        {
            LEFT_HIP: line[RIGHT_HIP] + below(0.8),
            RIGHT_HIP: line[RIGHT_HIP] + NEIGHBOUR + below(0.7),
            LEFT_KNEE: line[LEFT_KNEE] + below(0.6, "left_knee"),
            NOSE: FAR,
        },
    )
    found = classified(wrong, truth)
    again = classified(
        with_places(wrong, found, GroundTruth.of(wrong, truth).shared, repaired_places(found, ERRORS)), truth
    )
    expected = {LEFT_HIP: 0.8, RIGHT_HIP: 0.7, LEFT_KNEE: 0.85, NOSE: 0.5}
    for keypoint, similarity in expected.items():
        assert again.similarity[0, keypoint] == pytest.approx(similarity, abs=1e-4)
    # At the border the smallest rounding counts.
    assert again.similarity[0, LEFT_KNEE] >= 0.85
    assert again.similarity[0, NOSE] >= 0.5


def test_only_the_errors_that_are_named_are_repaired(scene: Scene) -> None:
    truth, poses = scene
    wrong = moved(poses, {NOSE: FAR, LEFT_HIP: poses.keypoints[0, RIGHT_HIP]})
    found = classified(wrong, truth)
    places = repaired_places(found, (Status.INVERSION,))
    assert places[0, NOSE].tolist() == FAR.tolist()
    assert places[0, LEFT_HIP] == pytest.approx(truth.people.keypoints[0, LEFT_HIP], abs=1e-6)
    assert (true_places(found) == truth.people.keypoints).all()


def test_a_missing_keypoint_is_there_after_its_repair(scene: Scene) -> None:
    truth, poses = scene
    valid = poses.valid.copy()
    valid[0, [NOSE, LEFT_HIP]] = False
    lacking = poses.with_keypoints(poses.keypoints, valid)
    found = classified(lacking, truth)
    shared = GroundTruth.of(lacking, truth).shared
    assert with_places(lacking, found, shared, repaired_places(found, (Status.JITTER,))).valid.sum() == 32
    repaired = with_places(lacking, found, shared, repaired_places(found, (Status.MISS,)))
    assert repaired.valid.all()
    assert classified(repaired, truth).similarity[0, NOSE] == pytest.approx(0.5)


def loop_statuses(
    found: FoundPeople, truth: Annotations, columns: np.ndarray, sigmas: np.ndarray
) -> np.ndarray:
    """The rules of the public reference, keypoint by keypoint; people are in the order own, others, both mirrored."""
    people, flip = truth.people, truth.skeleton.subset(found.keypoint_names).flip_index
    statuses = np.full(found.statuses.shape, int(Status.UNLABELLED))
    for row, person in enumerate(found.people.tolist()):
        others = [
            other for other, image_id in enumerate(people.image_ids)
            if image_id == people.image_ids[person] and other != person
        ]  # fmt: skip
        everyone = [person, *others]
        for column in np.flatnonzero(found.labelled[row]).tolist():
            similarities = []
            for source in (columns[column], columns[flip[column]]):
                for other in everyone:
                    squared = ((people.keypoints[other, source] - found.places[row, column]) ** 2).sum()
                    scale = 2 * people.area[other] * (2 * sigmas[column]) ** 2
                    labelled = people.visibility[other, source] > 0
                    similarities.append(np.exp(-squared / scale) if labelled else -1.0)
            best, highest = int(np.argmax(similarities)), max(similarities)
            if highest < 0.5:
                statuses[row, column] = Status.MISS
            elif best == 0:
                statuses[row, column] = Status.GOOD if highest > 0.85 else Status.JITTER
            else:
                statuses[row, column] = Status.INVERSION if best == len(everyone) else Status.SWAP
    return statuses


@pytest.mark.parametrize("name", ["tfpose.openpose18", "tinypose128.coco17"])
def test_real_statuses_are_those_of_the_reference_s_rules(shared_data: Path, name: str) -> None:
    truth = read_annotations(shared_data / "coco" / "person_keypoints_dev.json")
    path = shared_data / "predictions" / "coco_dev" / f"{name}.json"
    poses = read_pose_file(path, load_skeleton(name.split(".")[1])).poses
    found, shared = analyze(poses, truth).found, GroundTruth.of(poses, truth).shared
    expected = loop_statuses(found, truth, shared.annotation_columns, shared.sigmas)
    np.testing.assert_array_equal(found.statuses, expected)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_statuses_do_not_depend_on_scale_order_or_mirror(
    random_scene: Callable[[int], Scene], seed: int
) -> None:
    truth, poses = random_scene(seed)
    plain = analyze(poses, truth).found
    people = truth.people
    scaled = replace(
        truth,
        people=replace(
            people, keypoints=people.keypoints * 4, area=people.area * 16, bbox_xywh=people.bbox_xywh * 4
        ),
    )
    np.testing.assert_array_equal(
        plain.statuses, analyze(poses.with_keypoints(poses.keypoints * 4), scaled).found.statuses
    )

    order = np.random.default_rng(seed).permutation(len(poses))
    shuffled = analyze(poses[order], truth).found
    place = {row: number for number, row in enumerate(order[shuffled.poses].tolist())}
    if len(np.unique(poses.pose_scores)) == len(poses):  # equal scores are taken in the order of the file
        same = shuffled.take(np.array([place[row] for row in plain.poses.tolist()]))
        np.testing.assert_array_equal(plain.statuses, same.statuses)

    flip = COCO.flip_index
    mirror = np.array([-1.0, 1.0])
    mirrored = replace(
        truth,
        people=replace(
            people, keypoints=people.keypoints[:, flip] * mirror, visibility=people.visibility[:, flip]
        ),
    )
    turned = analyze(poses.with_keypoints(poses.keypoints[:, flip] * mirror), mirrored).found
    np.testing.assert_array_equal(plain.statuses, turned.statuses[:, flip])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_synthesised_errors_are_recovered(
    random_scene: Callable[[int], Scene], find: Find, seed: int
) -> None:
    truth, poses = random_scene(seed)
    ground = GroundTruth.of(poses, truth)
    people = ground.records.people(np.arange(len(ground.records)))
    wrong = synthesize(people, ground.skeleton, load_error_profile(), np.random.default_rng(seed))
    image_ids = tuple(truth.people.image_ids[row] for row in ground.countable)
    synthesised = find(wrong.keypoints, image_ids)
    found = classify_found(synthesised, ground, np.arange(len(synthesised)), ground.countable)
    np.testing.assert_array_equal(found.statuses, wrong.status)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_repair_makes_a_keypoint_less_similar(random_scene: Callable[[int], Scene], seed: int) -> None:
    truth, poses = random_scene(seed)
    ground = GroundTruth.of(poses, truth)
    found = analyze(poses, truth).found
    for error in ERRORS:
        repaired = with_places(poses, found, ground.shared, repaired_places(found, (error,)))
        after = classify_found(repaired, ground, found.poses, found.people)
        assert (after.similarity >= found.similarity - 1e-4).all()
        others = found.statuses != error
        np.testing.assert_allclose(after.similarity[others], found.similarity[others])
