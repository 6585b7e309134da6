"""Golden cases of the five statuses, by hand, with neighbours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from posefix.pose.similarity import distance_at
from posefix.pose_errors.taxonomy import LabelledPeople, Status, classify
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")
LEFT_HIP, RIGHT_HIP, NOSE = COCO.index("left_hip"), COCO.index("right_hip"), COCO.index("nose")
AREA = 10_000.0


def person(neighbour_area: float = AREA, *, neighbour_offset: float = 400.0) -> LabelledPeople:
    """Keypoints 100 px apart on a line, the same line shifted down for the neighbour."""
    keypoints = np.stack([np.arange(17) * 100.0, np.zeros(17)], axis=-1)[None]
    return LabelledPeople(
        keypoints,
        np.ones((1, 17), bool),
        np.array([AREA]),
        keypoints[:, None] + [0, neighbour_offset],
        np.ones((1, 1, 17), bool),
        np.array([[neighbour_area]]),
        np.array([1]),
    )


def status_of(keypoint: int, place: np.ndarray, people: LabelledPeople) -> Status:
    keypoints = people.keypoints.copy()
    keypoints[0, keypoint] = place
    return Status(classify(keypoints, people, COCO)[0, keypoint])


def at(similarity: float, area: float = AREA, keypoint: int = LEFT_HIP) -> np.ndarray:
    return np.array([0.0, -1.0]) * float(distance_at(similarity, np.array(area), COCO.sigmas[keypoint]))


@pytest.mark.parametrize(
    ("similarity", "expected"),
    [
        (1.0, Status.GOOD),
        (0.851, Status.GOOD),
        (0.849, Status.JITTER),
        (0.501, Status.JITTER),
        (0.499, Status.MISS),
    ],
)
def test_distance_from_the_own_keypoint_decides(similarity: float, expected: Status) -> None:
    people = person()
    assert status_of(LEFT_HIP, people.keypoints[0, LEFT_HIP] + at(similarity), people) == expected


@pytest.mark.parametrize(
    ("similarity", "expected"), [(1.0, Status.INVERSION), (0.501, Status.INVERSION), (0.49, Status.MISS)]
)
def test_near_the_own_partner_is_an_inversion(similarity: float, expected: Status) -> None:
    people = person()
    assert status_of(LEFT_HIP, people.keypoints[0, RIGHT_HIP] + at(similarity), people) == expected


@pytest.mark.parametrize("target", [LEFT_HIP, RIGHT_HIP])
def test_near_a_neighbour_s_keypoint_or_its_partner_is_a_swap(target: int) -> None:
    people = person()
    assert status_of(LEFT_HIP, people.neighbour_keypoints[0, 0, target] + at(0.6), people) == Status.SWAP


def test_the_neighbour_s_own_area_measures_a_swap() -> None:
    place = at(0.6)  # KS .6 with this person's area
    small, large = person(AREA / 10), person(AREA * 10)
    assert status_of(LEFT_HIP, small.neighbour_keypoints[0, 0, LEFT_HIP] + place, small) == Status.MISS
    assert status_of(LEFT_HIP, large.neighbour_keypoints[0, 0, LEFT_HIP] + 3 * place, large) == Status.SWAP


def test_the_nearest_in_similarity_wins_not_the_nearest_in_pixels() -> None:
    people = person(AREA * 25, neighbour_offset=30.0)
    place = people.keypoints[0, LEFT_HIP] + [
        0,
        14,
    ]  # nearer to the own keypoint, but the neighbour is 25 times larger
    assert status_of(LEFT_HIP, place, people) == Status.SWAP


def test_a_keypoint_without_partner_cannot_be_inverted() -> None:
    people = person()
    assert status_of(NOSE, people.keypoints[0, NOSE], people) == Status.GOOD
    assert status_of(NOSE, people.keypoints[0, LEFT_HIP], people) == Status.MISS


def test_unlabelled_keypoints_have_no_status_and_confuse_nobody() -> None:
    people = person()
    labelled = people.labelled.copy()
    labelled[0, RIGHT_HIP] = False
    hidden = replace(people, labelled=labelled, neighbour_labelled=np.zeros((1, 1, 17), bool))
    assert status_of(RIGHT_HIP, people.keypoints[0, RIGHT_HIP], hidden) == Status.UNLABELLED
    assert status_of(LEFT_HIP, people.keypoints[0, RIGHT_HIP], hidden) == Status.MISS
    assert status_of(LEFT_HIP, people.neighbour_keypoints[0, 0, LEFT_HIP], hidden) == Status.MISS


def test_a_tie_goes_to_the_own_keypoint() -> None:
    people = person(neighbour_offset=0.0)
    assert (classify(people.keypoints, people, COCO) == int(Status.GOOD)).all()


def test_scaling_picture_and_areas_together_changes_nothing() -> None:
    generator = np.random.default_rng(0)
    people = person(neighbour_offset=40.0)
    places = people.keypoints + generator.normal(0, 40, people.keypoints.shape)
    scaled = LabelledPeople(
        people.keypoints * 3, people.labelled, people.area * 9, people.neighbour_keypoints * 3,
        people.neighbour_labelled, people.neighbour_area * 9, people.overlap,
    )  # fmt: skip
    np.testing.assert_array_equal(classify(places, people, COCO), classify(places * 3, scaled, COCO))
