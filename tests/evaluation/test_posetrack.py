"""PoseTrack's metric: cases counted by hand, and the same rules as plain loops."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from posefix.errors import InputError
from posefix.evaluation.judge import MetricChange
from posefix.evaluation.posetrack import (
    GROUPS,
    POSETRACK_METRIC_NAMES,
    SCORED,
    PoseTrackMetrics,
    average_precision,
    check_frames,
    evaluate_posetrack,
    inside,
)
from posefix.formats.coco_posetrack import PoseTrackAnnotations, read_posetrack_annotations
from posefix.pose.poses import Poses
from posefix.skeletons import load_skeleton

Array = npt.NDArray[np.float64]
Json = dict[str, Any]
POSETRACK = load_skeleton("posetrack18")
COLUMNS = [POSETRACK.index(name) for name in SCORED]
LIMIT = 15.0
"""Half a head size of people whose head box is 30 x 40: .5 x .6 x 50."""
BODY = np.column_stack([np.arange(17) % 4 * 100.0, np.arange(17) // 4 * 100.0]) + 50
"""A pose whose keypoints are farther apart than any limit."""


def person(image_id: int, keypoints: Array, labelled: Sequence[int] = range(17), **fields: object) -> Json:
    triples = np.zeros((17, 3))
    triples[list(labelled)] = np.column_stack([keypoints, np.ones(17)])[list(labelled)]
    box = {"bbox": [0, 0, 400, 500], "bbox_head": [0, 0, 30, 40]}
    return {
        "image_id": image_id,
        "category_id": 1,
        "keypoints": triples.ravel().tolist(),
        **box,
        **fields,
    }


def annotate(
    folder: Path, people: Sequence[Json], *, frames: int = 3, regions: Sequence[Sequence[int]] = ()
) -> PoseTrackAnnotations:
    """One video whose frames are numbered from 0; `regions` are polygons x, y, x, y ... of frame 0."""
    images: list[Json] = [
        {"id": number, "file_name": f"{number:06}.jpg", "vid_id": "1"} for number in range(frames)
    ]
    images[0]["ignore_regions_x"] = [list(polygon[::2]) for polygon in regions]
    images[0]["ignore_regions_y"] = [list(polygon[1::2]) for polygon in regions]
    content = {
        "images": images,
        "annotations": [{"id": number, **entry} for number, entry in enumerate(people)],
        "categories": [{"id": 1, "name": "person", "keypoints": list(POSETRACK.keypoint_names)}],
    }
    path = folder / "000001.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return read_posetrack_annotations(path)


def poses(image_ids: Sequence[int], keypoints: Sequence[Array], scores: Sequence[float | Array]) -> Poses:
    """Poses with all keypoints, of one score each or of one for each keypoint."""
    count = len(image_ids)
    each = np.array([np.broadcast_to(score, 17) for score in scores]).reshape(count, 17)
    places = np.array(keypoints).reshape(count, 17, 2)
    return Poses(places, each, np.ones((count, 17), bool), tuple(image_ids), np.ones(count), POSETRACK)


def without(found: Poses, row: int, names: Sequence[str]) -> Poses:
    valid = found.valid.copy()
    valid[row, [POSETRACK.index(name) for name in names]] = False
    return replace(found, valid=valid)


def all_equal(metrics: PoseTrackMetrics, value: float) -> bool:
    return all(number == pytest.approx(value) for number in metrics.as_dict().values())


def test_the_truth_scores_100_everywhere(tmp_path: Path) -> None:
    truth = annotate(tmp_path, [person(0, BODY), person(0, BODY + 600), person(2, BODY, labelled=range(8))])
    found = poses([0, 0, 2], [BODY, BODY + 600, BODY], [0.2, 0.9, 0.5])
    found = without(found, 2, POSETRACK.keypoint_names[8:])
    metrics = evaluate_posetrack(found, truth)
    assert all_equal(metrics, 1.0)
    assert metrics.table().splitlines()[1].split() == ["100.0"] * 8


def test_a_difference_that_is_none_has_no_minus() -> None:
    before, after = (PoseTrackMetrics(dict.fromkeys(SCORED, value)) for value in (0.5, 0.4999999))
    assert MetricChange(before, after).table().splitlines()[-1].split() == ["difference", *["+0.0"] * 8]


def test_nobody_found_scores_0(tmp_path: Path) -> None:
    truth = annotate(tmp_path, [person(0, BODY)])
    assert all_equal(evaluate_posetrack(poses([], [], []), truth), 0.0)


def test_a_keypoint_half_a_head_size_away_is_found_and_one_farther_is_not(tmp_path: Path) -> None:
    truth = annotate(tmp_path, [person(0, BODY)])
    near, far = BODY.copy(), BODY.copy()
    near[0, 0] += LIMIT
    far[0, 0] += LIMIT + 0.01
    assert evaluate_posetrack(poses([0], [near], [1.0]), truth).ap["nose"] == 1
    assert evaluate_posetrack(poses([0], [far], [1.0]), truth).ap["nose"] == 0


def test_an_extra_pose_between_two_people_costs_precision_by_rank(tmp_path: Path) -> None:
    """Ranked right, wrong, right of two labelled: (1 + 2/3) / 2; with the wrong one last, 1; with it first, 7/12."""
    truth = annotate(tmp_path, [person(0, BODY), person(0, BODY + 600)])
    places = [BODY, BODY + 600, BODY + 1200]
    for extra, expected in ((0.8, 5 / 6), (0.1, 1.0), (0.95, 2 / 3)):
        found = poses([0, 0, 0], places, [0.9, 0.7, extra])
        assert all_equal(evaluate_posetrack(found, truth), expected)


def test_a_person_takes_the_better_of_two_poses_whatever_their_scores(tmp_path: Path) -> None:
    """The worse pose finds 16 of 17, yet none of its points count: of each keypoint it is a false positive, ranked
    first, so precision is 1/2 at full recall."""
    truth = annotate(tmp_path, [person(0, BODY)])
    worse = BODY.copy()
    worse[POSETRACK.index("left_wrist")] += 40
    assert all_equal(evaluate_posetrack(poses([0, 0], [worse, BODY], [0.9, 0.1]), truth), 0.5)


def test_a_pose_stands_for_one_person_only(tmp_path: Path) -> None:
    """Half of the pose is on each of two people, who stand 600 px apart: it stands for the one of whom it finds more
    (nine of seventeen), and what it found of the other is wrong."""
    truth = annotate(tmp_path, [person(0, BODY), person(0, BODY + 600)])
    mixed = BODY.copy()
    mixed[8:] += 600  # 8 keypoints on the first person, 9 on the second
    metrics = evaluate_posetrack(poses([0], [mixed], [1.0]), truth)
    assert metrics.ap["nose"] == metrics.ap["left_shoulder"] == 0  # keypoints 0 and 5, on the other person
    assert metrics.ap["left_knee"] == metrics.ap["right_ankle"] == 0.5  # one of two people found


def test_shares_count_the_labelled_keypoints_of_each_person(tmp_path: Path) -> None:
    """Two of two labelled outweigh three of seventeen."""
    truth = annotate(tmp_path, [person(0, BODY), person(0, BODY + 600, labelled=(11, 12))])
    mixed = np.full((17, 2), -900.0)
    mixed[[0, 5, 6]] = BODY[[0, 5, 6]]
    mixed[[11, 12]] = BODY[[11, 12]] + 600
    metrics = evaluate_posetrack(poses([0], [mixed], [1.0]), truth)
    assert metrics.as_dict()["Hip"] == 0.5
    assert metrics.as_dict()["Head"] == metrics.as_dict()["Shou"] == 0


def test_ties_go_to_the_first_pose_and_the_first_person(tmp_path: Path) -> None:
    truth = annotate(tmp_path, [person(0, BODY)])
    left, right = BODY.copy(), BODY.copy()
    left[POSETRACK.index("left_wrist")] += 40
    right[POSETRACK.index("right_wrist")] += 40
    metrics = evaluate_posetrack(poses([0, 0], [left, right], [0.9, 0.1]), truth)
    assert metrics.ap["left_wrist"] == 0  # the first pose was taken, and is wrong here
    assert metrics.ap["right_wrist"] == metrics.ap["nose"] == 1
    two = annotate(tmp_path, [person(0, BODY, labelled=(0, 1)), person(0, BODY, labelled=(0, 2))])
    metrics = evaluate_posetrack(poses([0], [BODY], [0.9]), two)
    assert (metrics.ap["nose"], metrics.ap["neck"], metrics.ap["head_top"]) == (0.5, 1.0, 0.0)


def test_of_equal_scores_the_later_pose_ranks_first(tmp_path: Path) -> None:
    truth = annotate(tmp_path, [person(0, BODY)])
    assert all_equal(evaluate_posetrack(poses([0, 0], [BODY, BODY + 900], [0.5, 0.5]), truth), 0.5)
    assert all_equal(evaluate_posetrack(poses([0, 0], [BODY + 900, BODY], [0.5, 0.5]), truth), 1.0)


def test_a_keypoint_without_score_ranks_last(tmp_path: Path) -> None:
    truth = annotate(tmp_path, [person(0, BODY)])
    assert all_equal(evaluate_posetrack(poses([0, 0], [BODY + 900, BODY], [-9999.0, -3.0]), truth), 1.0)


def test_frames_without_people_do_not_count(tmp_path: Path) -> None:
    truth = annotate(tmp_path, [person(0, BODY)])
    found = poses([1, 0, 2], [BODY + 30, BODY, BODY + 60], [0.99, 0.1, 0.98])
    assert all_equal(evaluate_posetrack(found, truth), 1.0)


def test_a_frame_whose_people_are_not_labelled_counts(tmp_path: Path) -> None:
    """Somebody is there, so what was found is wrong: of two points, the better-scored one."""
    truth = annotate(tmp_path, [person(0, BODY), person(1, BODY, labelled=(), bbox_head=None)])
    assert all_equal(evaluate_posetrack(poses([1, 0], [BODY, BODY], [0.9, 0.1]), truth), 0.5)


def test_points_in_ignore_regions_are_dropped_on_both_sides(tmp_path: Path) -> None:
    people = [person(0, BODY), person(0, BODY + 600)]
    found = poses([0, 0], [BODY, BODY + 620], [0.5, 0.9])  # the second is wrong everywhere
    region = [600, 600, 1300, 600, 1300, 1300, 600, 1300]
    assert all_equal(evaluate_posetrack(found, annotate(tmp_path, people)), 0.25)
    assert all_equal(evaluate_posetrack(found, annotate(tmp_path, people, regions=[region])), 1.0)


def test_missing_keypoints_are_neither_right_nor_wrong(tmp_path: Path) -> None:
    truth = annotate(tmp_path, [person(0, BODY), person(0, BODY + 600)])
    found = without(poses([0, 0], [BODY, BODY + 600], [0.9, 0.8]), 0, ["nose"])
    metrics = evaluate_posetrack(found, truth)
    assert metrics.ap["nose"] == 0.5  # precision 1, recall 1/2
    assert metrics.as_dict()["Head"] == pytest.approx(2.5 / 3)
    assert metrics.total == pytest.approx(14.5 / 15)


def test_ears_are_ignored(tmp_path: Path) -> None:
    truth = annotate(tmp_path, [person(0, BODY)])
    wrong = BODY.copy()
    wrong[3:5] += 300
    assert all_equal(evaluate_posetrack(poses([0], [wrong], [1.0]), truth), 1.0)


def test_a_keypoint_that_nobody_is_labelled_with_is_undefined(tmp_path: Path) -> None:
    truth = annotate(tmp_path, [person(0, BODY, labelled=range(9))])
    metrics = evaluate_posetrack(poses([0], [BODY], [1.0]), truth)
    assert metrics.ap["left_knee"] == -1
    assert metrics.table().splitlines()[1].split() == ["100.0", "100.0", "100.0", *"----", "100.0"]


def test_keypoints_that_a_layout_lacks_count_as_not_found_and_are_named(tmp_path: Path) -> None:
    truth = annotate(tmp_path, [person(0, BODY)])
    coco = load_skeleton("coco17")
    places = np.zeros((1, 17, 2))
    for index, name in enumerate(coco.keypoint_names):
        if POSETRACK.find(name) is not None:
            places[0, index] = BODY[POSETRACK.index(name)]
    found = Poses(places, np.ones((1, 17)), np.ones((1, 17), bool), (0,), np.ones(1), coco)
    metrics = evaluate_posetrack(found, truth)
    assert metrics.absent == ("neck", "head_top")
    assert metrics.as_dict()["Head"] == pytest.approx(1 / 3)
    assert metrics.table().endswith("not in the results' layout, counted as not found: neck, head_top")


def test_a_labelled_person_needs_a_head_box(tmp_path: Path) -> None:
    truth = annotate(tmp_path, [person(0, BODY), person(0, BODY, bbox_head=None)])
    with pytest.raises(InputError, match=r"annotation 1, field 'bbox_head': expected a box, got none"):
        evaluate_posetrack(poses([0], [BODY], [1.0]), truth)


def test_a_head_box_without_extent_finds_nothing(tmp_path: Path) -> None:
    truth = annotate(tmp_path, [person(0, BODY, bbox_head=[5, 5, 0, 0])])
    assert all_equal(evaluate_posetrack(poses([0], [BODY], [1.0]), truth), 0.0)


def test_a_frame_that_is_not_annotated_is_refused(tmp_path: Path) -> None:
    truth = annotate(tmp_path, [person(0, BODY)])
    with pytest.raises(InputError, match=r"row 0, field 'image_id': 77 is not among"):
        evaluate_posetrack(poses([77], [BODY], [1.0]), truth)


def test_results_that_leave_out_annotated_frames_are_refused(tmp_path: Path) -> None:
    truth = annotate(tmp_path, [person(0, BODY), person(2, BODY)])
    check_frames(frozenset({0, 2}), truth, "mine")
    with pytest.raises(
        InputError, match=r"mine: lists 1 of the 2 annotated frames of .*, not 2 of 000001\.json"
    ):
        check_frames(frozenset({0, 1}), truth, "mine")


@pytest.mark.parametrize(
    ("name", "columns", "total"),
    [
        ("Simple, table 5", (74.4, 76.9, 72.2, 65.2, 69.2, 70.0, 62.9), 70.4),
        ("PoseFix, table 5", (79.0, 81.6, 76.4, 69.7, 75.2, 74.3, 67.0), 75.0),
        ("PoseRefiner, table 6", (74.0, 76.8, 72.2, 65.4, 70.5, 69.7, 63.7), 70.6),
    ],
)
def test_the_total_is_the_mean_over_keypoints_as_in_the_paper(
    name: str, columns: tuple[float, ...], total: float
) -> None:
    ap = {
        keypoint: value / 100
        for value, keypoints in zip(columns, GROUPS.values(), strict=True)
        for keypoint in keypoints
    }
    metrics = PoseTrackMetrics(ap)
    assert [round(100 * value, 1) for value in metrics.as_dict().values()] == [*columns, total], name
    assert tuple(metrics.as_dict()) == POSETRACK_METRIC_NAMES


def test_precision_is_the_best_at_this_or_a_higher_recall() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    right = np.array([False, True, True, True, False])
    # Ranks 2, 3, 4 are right: precision 1/2, 2/3, 3/4, of which the best to come is 3/4; four are to be found.
    assert average_precision(scores, right, 4) == pytest.approx(3 * 0.75 / 4)
    assert average_precision(scores[:0], right[:0], 4) == 0
    assert average_precision(scores, right, 0) == -1


def test_the_inside_of_a_polygon_leaves_out_its_border_and_its_notch() -> None:
    notched = np.array([[0, 0], [4, 0], [4, 4], [2, 1], [0, 4]], dtype=float)
    points = np.array(
        [[1, 1], [2, 3], [2, 0.5], [0, 2], [4, 4], [2, 1], [5, 1], [3, 2.4], [2, 0]], dtype=float
    )
    expected = [True, False, True, False, False, False, False, True, False]
    assert inside(points, notched).tolist() == expected
    assert inside(points, notched[::-1]).tolist() == expected
    assert not inside(points, notched[:2]).any()


# The same rules, one person and one keypoint at a time.


def loops(found: Poses, truth: PoseTrackAnnotations) -> dict[str, float]:
    people = truth.annotations.people
    outcomes: dict[int, list[tuple[float, bool]]] = {joint: [] for joint in COLUMNS}
    labelled = dict.fromkeys(COLUMNS, 0)
    for frame in truth.annotations.images:
        rows = [row for row, image_id in enumerate(people.image_ids) if image_id == frame]
        guesses = [row for row, image_id in enumerate(found.image_ids) if image_id == frame]
        regions = truth.ignore_regions.get(frame, ())
        joints = {row: usable(people.keypoints[row], people.visibility[row], regions) for row in rows}
        points = {row: usable(found.keypoints[row], found.valid[row], regions) for row in guesses}
        for joint in COLUMNS:
            labelled[joint] += sum(joint in joints[row] for row in rows)
        if rows:
            for guess, right in looped_frame(found, points, truth, joints):
                for joint in points[guess]:
                    outcomes[joint].append((float(found.scores[guess, joint]), joint in right))
    return {
        POSETRACK.keypoint_names[joint]: looped_precision(outcomes[joint], labelled[joint])
        for joint in COLUMNS
    }


def usable(places: Array, there: npt.NDArray[Any], regions: Sequence[Array]) -> set[int]:
    return {
        joint
        for joint in COLUMNS
        if there[joint] and not any(inside(places[joint][None], polygon)[0] for polygon in regions)
    }


def looped_frame(
    found: Poses, points: dict[int, set[int]], truth: PoseTrackAnnotations, joints: dict[int, set[int]]
) -> list[tuple[int, set[int]]]:
    """Each pose of a frame with the keypoints that it is right about."""
    places = truth.annotations.people.keypoints
    near: dict[tuple[int, int], set[int]] = {}
    for guess, row in itertools.product(points, joints):
        head = 0.6 * float(np.hypot(*truth.head_boxes_xywh[row, 2:]))
        offset = np.hypot(*(found.keypoints[guess] - places[row]).T)
        near[guess, row] = {j for j in points[guess] & joints[row] if offset[j] <= 0.5 * head}
    share = {(guess, row): len(near[guess, row]) / max(1, len(joints[row])) for guess, row in near}
    choice = {guess: max(joints, key=lambda row: share[guess, row]) for guess in points}
    taken: dict[int, set[int]] = {}
    for row in joints:
        candidates = [guess for guess in points if choice[guess] == row and share[guess, row] > 0]
        if candidates:
            best = max(candidates, key=lambda guess: share[guess, row])
            taken[best] = near[best, row]
    return [(guess, taken.get(guess, set())) for guess in points]


def looped_precision(outcomes: list[tuple[float, bool]], labelled: int) -> float:
    if labelled == 0:
        return -1.0
    ranked = sorted(outcomes, key=lambda outcome: -outcome[0])
    hits, curve = 0, []
    for rank, (_, right) in enumerate(ranked, start=1):
        hits += right
        curve.append((hits / labelled, hits / rank))
    area, recall = 0.0, 0.0
    for index, (reached, _) in enumerate(curve):
        area += (reached - recall) * max(precision for _, precision in curve[index:])
        recall = reached
    return area


def random_scene(folder: Path, seed: int) -> tuple[Poses, PoseTrackAnnotations]:
    """Frames with 0 to 4 people and 0 to 6 poses near them, missing keypoints, regions; scores all different."""
    rng = np.random.default_rng(seed)
    people, places, image_ids = [], [], []
    for frame in range(5):
        for _ in range(rng.integers(5)):
            body = rng.uniform(0, 400, 2) + rng.uniform(0, 150, (17, 2))
            labelled = np.flatnonzero(rng.random(17) < 0.8).tolist()
            head = [0, 0, *rng.uniform(10, 40, 2)]
            people.append(person(frame, body, labelled, bbox_head=head))
            for _ in range(rng.integers(3)):
                places.append(body + rng.normal(0, rng.choice([1, 8, 30]), (17, 2)))
                image_ids.append(frame)
    people.append(person(4, BODY))
    polygons = [rng.uniform(0, 500, 8).tolist() for _ in range(2)]
    truth = annotate(folder, people, frames=5, regions=polygons)
    scores = [rng.random(17) for _ in image_ids]
    found = poses(image_ids, places, scores)
    return replace(found, valid=rng.random(found.valid.shape) < 0.9), truth


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("posetrack")


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_same_rules_as_plain_loops_give_the_same_numbers(folder: Path, seed: int) -> None:
    found, truth = random_scene(folder, seed)
    assert evaluate_posetrack(found, truth).ap == pytest.approx(loops(found, truth))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_truth_as_results_scores_1_wherever_somebody_is_labelled(folder: Path, seed: int) -> None:
    _, truth = random_scene(folder, seed)
    people = truth.annotations.people
    perfect = replace(
        poses(people.image_ids, list(people.keypoints), [1.0] * len(people)),  # type: ignore[arg-type]
        valid=people.visibility > 0,
    )
    assert set(evaluate_posetrack(perfect, truth).ap.values()) <= {1.0, -1.0}


@settings(max_examples=15, deadline=None)
@example(seed=240)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_people_and_poses_does_not_matter(folder: Path, seed: int) -> None:
    """Each person's own pose is complete and exact, all others find less: no ties, which only the order could break."""
    _, scene = random_scene(folder, seed)
    truth = replace(scene, ignore_regions={})
    people = truth.annotations.people
    exact = poses(people.image_ids, list(people.keypoints), [0.0] * len(people))  # type: ignore[arg-type]
    rng = np.random.default_rng(seed)
    wrong = rng.random((len(people), 17)) < 0.5
    counts = (people.visibility > 0) & np.isin(POSETRACK.keypoint_names, SCORED)
    wrong[np.arange(len(people)), counts.argmax(axis=1)] = True  # else the two poses could tie
    spoiled = exact.keypoints + 2000 * wrong[..., None]
    both = Poses(
        np.concatenate([exact.keypoints, spoiled]),
        rng.random((2 * len(people), 17)),
        np.ones((2 * len(people), 17), bool),
        people.image_ids * 2,
        np.ones(2 * len(people)),
        POSETRACK,
    )
    expected = evaluate_posetrack(both, truth)
    shuffled = both[rng.permutation(len(both))]
    order = rng.permutation(len(people))
    mixed = replace(
        truth,
        head_boxes_xywh=truth.head_boxes_xywh[order],
        annotations=replace(
            truth.annotations,
            people=replace(
                people,
                keypoints=people.keypoints[order],
                visibility=people.visibility[order],
                area=people.area[order],
                bbox_xywh=people.bbox_xywh[order],
                image_ids=tuple(people.image_ids[row] for row in order),
                ids=tuple(people.ids[row] for row in order),
                is_crowd=people.is_crowd[order],
            ),
        ),
    )
    assert evaluate_posetrack(shuffled, mixed).ap == pytest.approx(expected.ap)


def test_annotations_of_the_fifteen_keypoints_alone_give_the_same(tmp_path: Path) -> None:
    """PoseTrack's files name ears that nobody annotates; some tools write the fifteen that are."""
    rows = [person(0, BODY), person(0, BODY + 600)]
    found = poses([0, 0], [BODY + 9, BODY + 600], [0.2, 0.9])
    whole = evaluate_posetrack(found, annotate(tmp_path, rows))
    path = tmp_path / "000001.json"
    content = json.loads(path.read_text())
    content["categories"][0]["keypoints"] = list(SCORED)
    for row in content["annotations"]:
        row["keypoints"] = np.reshape(row["keypoints"], (-1, 3))[COLUMNS].ravel().tolist()
    path.write_text(json.dumps(content))
    assert evaluate_posetrack(found, read_posetrack_annotations(path)) == whole
