"""Who is judged by whom."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from posefix.analysis.ground_truth import GroundTruth
from posefix.analysis.pairing import Pairing, pair_people
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import Poses

Annotate = Callable[..., Annotations]
Find = Callable[..., Poses]
Below = Callable[..., np.ndarray]
FAR = np.array([3000.0, 3000.0])


def lower(places: np.ndarray, pixels: float) -> np.ndarray:
    return np.asarray(places + np.array([0.0, pixels]))


def pair(poses: Poses, truth: Annotations) -> Pairing:
    return pair_people(poses, GroundTruth.of(poses, truth))


def test_the_highest_score_takes_the_person_the_better_pose_is_a_second_one(
    annotate: Annotate, find: Find, line: np.ndarray
) -> None:
    poses = find(np.stack([line, lower(line, 12)]), (1, 1), scores=(0.3, 0.9))
    pairing = pair(poses, annotate(line[None], (1,)))
    assert (pairing.poses.tolist(), pairing.people.tolist()) == ([1], [0])
    assert pairing.duplicates.tolist() == [0]
    assert pairing.background.tolist() == pairing.not_found.tolist() == []


def test_of_equal_scores_the_earlier_row_is_first(annotate: Annotate, find: Find, line: np.ndarray) -> None:
    poses = find(np.stack([lower(line, 12), line]), (1, 1))
    assert pair(poses, annotate(line[None], (1,))).poses.tolist() == [0]


def test_a_pose_takes_the_most_similar_person_who_is_free(
    annotate: Annotate, find: Find, line: np.ndarray
) -> None:
    truth = annotate(np.stack([line, lower(line, 20)]), (1, 1))
    poses = find(np.stack([lower(line, 15), lower(line, 18)]), (1, 1), scores=(0.9, 0.8))
    pairing = pair(poses, truth)
    assert (pairing.poses.tolist(), pairing.people.tolist()) == ([0, 1], [1, 0])


def test_an_oks_of_a_tenth_is_the_border(annotate: Annotate, find: Find, line: np.ndarray) -> None:
    truth = annotate(line[None], (1,))
    for right, found in ((2, 1), (1, 0)):  # of 17 keypoints: .118 and .059
        keypoints = np.where(np.arange(17)[:, None] < right, line, FAR)[None]
        pairing = pair(find(keypoints, (1,)), truth)
        assert (len(pairing), len(pairing.background), len(pairing.not_found)) == (
            found,
            1 - found,
            1 - found,
        )


def test_nobody_is_paired_across_photos(annotate: Annotate, find: Find, line: np.ndarray) -> None:
    pairing = pair(find(line[None], ("b",)), annotate(line[None], ("a",), more_images=("b",)))
    assert (len(pairing), pairing.background.tolist(), pairing.not_found.tolist()) == (0, [0], [0])


def test_people_who_do_not_count_take_their_poses_with_them(
    annotate: Annotate, find: Find, line: np.ndarray
) -> None:
    visibility = np.full((3, 17), 2, np.int8)
    visibility[1] = 0
    keypoints = np.stack([line, lower(line, 2000), lower(line, 9000)])
    truth = annotate(keypoints, (1, 1, 1), visibility=visibility, is_crowd=(2,))
    pairing = pair(find(keypoints, (1, 1, 1)), truth)
    assert pairing.poses.tolist() == [0]
    assert pairing.ignored.tolist() == [1, 2]
    assert pairing.not_found.tolist() == []
    assert (pairing.num_poses, pairing.num_people) == (3, 1)


def test_poses_beyond_twenty_do_not_take_part(annotate: Annotate, find: Find, line: np.ndarray) -> None:
    scores = (0.0, *np.linspace(1, 0.5, 22))
    poses = find(np.stack([line, *[lower(line, 500 * n) for n in range(1, 23)]]), (1,) * 23, scores=scores)
    pairing = pair(poses, annotate(line[None], (1,)))
    assert pairing.surplus.tolist() == [0, 21, 22]
    assert pairing.not_found.tolist() == [0]
    assert "3 poses beyond 20 in a photo" in str(pairing)


def test_people_without_an_area_are_not_found(annotate: Annotate, find: Find, line: np.ndarray) -> None:
    truth = annotate(np.stack([line, lower(line, 999)]), (1, 1), area=np.array([10_000.0, 0.0]))
    pairing = pair(find(line[None], (1,)), truth)
    assert pairing.not_found.tolist() == [1]
    exact = pair(find(np.stack([line, lower(line, 999)]), (1, 1)), truth)
    assert (exact.not_found.tolist(), exact.ignored.tolist()) == ([], [1])


def test_rows_are_those_of_the_file(annotate: Annotate, find: Find, line: np.ndarray) -> None:
    pairing = pair(find(np.stack([line, line, line + FAR]), (1, 1, 1)), annotate(line[None], (1,)))
    numbered = pairing.renumbered(np.array([4, 6, 9]))
    assert (numbered.poses.tolist(), numbered.duplicates.tolist(), numbered.background.tolist()) == (
        [4],
        [6],
        [9],
    )
    assert str(pairing) == (
        "3 poses, 1 annotated person: 1 found, 0 not found; 1 pose on nobody, 1 second pose of a person"
    )
