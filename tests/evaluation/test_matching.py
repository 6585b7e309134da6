"""Who is who: pairs of poses and annotated people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posefix.errors import InputError
from posefix.evaluation import Matches, match_people
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import Poses
from posefix.pose.similarity import oks
from posefix.skeletons import load_skeleton

Annotate = Callable[..., Annotations]
Find = Callable[..., Poses]

COCO = load_skeleton("coco17")
LINE = np.stack([np.arange(17) * 20.0, np.zeros(17)], axis=-1)
"""A person lying at the top of the photo."""


def people_at(*heights: float) -> np.ndarray:
    return np.stack([LINE + np.array([0.0, height]) for height in heights])


def pairs(matches: Matches) -> list[tuple[int, int]]:
    return list(zip(matches.poses.tolist(), matches.people.tolist(), strict=True))


def test_each_pose_gets_the_person_it_shows(annotate: Annotate, find: Find) -> None:
    truth = annotate(people_at(0, 100, 200), ("a", "a", "a"), COCO)
    matches = match_people(find(people_at(203, 1, 98), ("a", "a", "a"), COCO), truth)
    assert pairs(matches) == [(0, 2), (1, 0), (2, 1)]
    expected = oks(people_at(203), people_at(200), np.ones((1, 17), bool), np.array([1e4]), COCO.sigmas)
    assert matches.oks[0] == pytest.approx(expected[0, 0])


def test_photos_do_not_mix(annotate: Annotate, find: Find) -> None:
    truth = annotate(people_at(0, 0, 10), (7, "7", 8), COCO)
    matches = match_people(find(people_at(0, 0, 10), (8, "7", 7), COCO), truth)
    assert pairs(matches) == [(0, 2), (1, 1), (2, 0)]


def test_the_most_similar_pair_goes_first_and_nobody_is_matched_twice(annotate: Annotate, find: Find) -> None:
    truth = annotate(people_at(0, 30), (1, 1), COCO)
    # The first pose is nearest to person 0, but the second is nearer still.
    assert pairs(match_people(find(people_at(4, 1), (1, 1), COCO), truth)) == [(0, 1), (1, 0)]
    one = annotate(people_at(0), (1,), COCO)
    assert pairs(match_people(find(people_at(0, 0), (1, 1), COCO), one)) == [
        (0, 0)
    ]  # a tie: the earlier pose


def test_scores_play_no_part(annotate: Annotate, find: Find) -> None:
    truth = annotate(people_at(0), (1,), COCO)
    poses = replace(find(people_at(9, 1), (1, 1), COCO), pose_scores=np.array([0.9, 0.1]))
    assert pairs(match_people(poses, truth)) == [(1, 0)]


def test_crowds_the_unlabelled_and_the_distant_are_left_out(annotate: Annotate, find: Find) -> None:
    labelled = np.ones((4, 17), bool)
    labelled[1] = False
    truth = annotate(people_at(0, 0, 0, 0), (1, 2, 3, 4), COCO, labelled=labelled, is_crowd=(2,))
    matches = match_people(find(people_at(0, 0, 0, 9e9), (1, 2, 3, 4), COCO), truth)
    assert pairs(matches) == [(0, 0)]


def test_photos_without_poses_or_people_do_no_harm(annotate: Annotate, find: Find) -> None:
    truth = annotate(people_at(0, 0), (1, 2), COCO)
    assert pairs(match_people(find(people_at(0), (2,), COCO), truth)) == [(0, 1)]
    assert len(match_people(find(people_at(0)[:0], (), COCO), truth)) == 0


def test_a_missing_keypoint_is_similar_to_nothing(annotate: Annotate, find: Find) -> None:
    truth = annotate(people_at(0), (1,), COCO)
    poses = find(people_at(0), (1,), COCO)
    valid = np.arange(17)[None] < 9
    assert match_people(poses.with_keypoints(poses.keypoints, valid), truth).oks == pytest.approx([9 / 17])


def test_layouts_are_matched_by_name(annotate: Annotate, find: Find) -> None:
    lsp = load_skeleton("lsp14")
    truth = annotate(people_at(0), (1,), COCO)
    places = np.full((1, 14, 2), 999.0)
    for column, name in enumerate(lsp.keypoint_names):
        if name in COCO.keypoint_names:
            places[0, column] = LINE[COCO.index(name)]
    assert match_people(find(places, (1,), lsp), truth).oks == pytest.approx([1])


def test_a_photo_without_annotations_is_named(annotate: Annotate, find: Find) -> None:
    truth = annotate(people_at(0), (1,), COCO)
    with pytest.raises(
        InputError, match=r"row 0, field 'image_id': '1' is not among the images of truth.json"
    ):
        match_people(find(people_at(0), ("1",), COCO), truth)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_pairs_are_those_of_the_definition(annotate: Annotate, find: Find, seed: int) -> None:
    generator = np.random.default_rng(seed)
    truth_ids, pose_ids = ((*range(3), *generator.integers(3, size=6).tolist()) for _ in range(2))
    truth = annotate(people_at(*generator.uniform(0, 40, 9)), truth_ids, COCO)
    poses = find(people_at(*generator.uniform(0, 40, 9)), pose_ids, COCO)
    similarity = oks(
        poses.keypoints, truth.people.keypoints, np.ones((9, 17), bool), truth.people.area, COCO.sigmas
    )
    similarity[np.array(pose_ids)[:, None] != np.array(truth_ids)] = 0
    expected = []
    while similarity.max() > 0:
        pose, person = (int(place) for place in np.unravel_index(similarity.argmax(), similarity.shape))
        expected.append((pose, person))
        similarity[pose], similarity[:, person] = 0, 0
    assert pairs(match_people(poses, truth)) == sorted(expected)
