from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from posefix.errors import InputError
from posefix.evaluation import CocoComparison, CocoMetrics, compare_coco, evaluate_coco
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import Poses

Json = dict[str, Any]
Oracle = Callable[[Json, list[Json], list[str]], list[float]]
RandomScene = Callable[[int], tuple[Json, list[Json]]]
ReadScene = Callable[..., tuple[Poses, Annotations]]


@pytest.fixture
def scene(random_scene: RandomScene) -> tuple[Json, list[Json]]:
    """A scene without equal scores, whose order a resample may change."""
    truth, rows = random_scene(3)
    scores = np.random.default_rng(0).permutation(len(rows)) / len(rows)
    return truth, [{**row, "score": float(score)} for row, score in zip(rows, scores, strict=True)]


def blurred(poses: Poses, pixels: float) -> Poses:
    noise = np.random.default_rng(1).normal(0, pixels, poses.keypoints.shape)
    return poses.with_keypoints(poses.keypoints + noise)


def repeat_images(truth: Json, rows: list[Json], counts: list[int]) -> tuple[Json, list[Json]]:
    """The scene with image i `counts[i]` times, under new ids."""
    copies = [(old, 1000 * old + copy) for old, count in enumerate(counts) for copy in range(count)]

    def repeated(records: list[Json]) -> list[Json]:
        return [{**row, "image_id": new} for old, new in copies for row in records if row["image_id"] == old]

    images = [{"id": new} for _, new in copies]
    return {**truth, "images": images, "annotations": repeated(truth["annotations"])}, repeated(rows)


def test_a_resample_has_the_average_precision_of_the_oracle(
    scene: tuple[Json, list[Json]], read_scene: ReadScene, oracle: Oracle
) -> None:
    truth, rows = scene
    worse = [{**row, "keypoints": [value + 3 for value in row["keypoints"]]} for row in rows]
    before, annotations = read_scene(truth, worse)
    after, _ = read_scene(truth, rows)
    comparison = compare_coco(before, after, annotations, resamples=1, seed=5)
    counts = np.random.default_rng(5).multinomial(30, np.full(30, 1 / 30)).tolist()
    names = truth["categories"][0]["keypoints"]
    aps = [oracle(*repeat_images(truth, some, counts), names)[0] for some in (worse, rows)]
    assert comparison.low == comparison.high == pytest.approx(aps[1] - aps[0], abs=1e-12)


def test_point_values_are_those_of_the_evaluation(
    scene: tuple[Json, list[Json]], read_scene: ReadScene
) -> None:
    after, annotations = read_scene(*scene)
    before = blurred(after, 5)
    calls: list[tuple[int, int]] = []
    comparison = compare_coco(
        before, after, annotations, resamples=20, progress=lambda *done: calls.append(done)
    )
    assert calls == [(number, calls[-1][1]) for number in range(1, calls[-1][1] + 1)]
    assert 0 < len(calls) <= 20
    assert comparison.before == evaluate_coco(before, annotations)
    assert comparison.after == evaluate_coco(after, annotations)
    assert comparison.difference == comparison.after.ap - comparison.before.ap


def test_the_interval_holds_the_difference_and_shrinks_to_nothing_for_equal_results(
    scene: tuple[Json, list[Json]], read_scene: ReadScene
) -> None:
    after, annotations = read_scene(*scene)
    better = compare_coco(blurred(after, 10), after, annotations, resamples=200)
    assert 0 < better.low < better.difference < better.high
    same = compare_coco(after, after, annotations, resamples=20)
    assert (same.low, same.difference, same.high) == (0, 0, 0)


def test_a_seed_repeats_the_interval(scene: tuple[Json, list[Json]], read_scene: ReadScene) -> None:
    after, annotations = read_scene(*scene)
    before = blurred(after, 5)
    first, again, other = (
        compare_coco(before, after, annotations, resamples=20, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first.low != other.low


def test_draws_of_images_without_people_are_left_out(
    scene: tuple[Json, list[Json]], read_scene: ReadScene
) -> None:
    truth, rows = scene
    alone = truth["annotations"][0]["image_id"]
    truth = {**truth, "annotations": [row for row in truth["annotations"] if row["image_id"] == alone]}
    after, annotations = read_scene(truth, rows)
    comparison = compare_coco(blurred(after, 30), after, annotations, resamples=50)
    assert np.isfinite([comparison.low, comparison.high]).all()


def test_no_poses_at_all_can_be_compared(scene: tuple[Json, list[Json]], read_scene: ReadScene) -> None:
    after, annotations = read_scene(*scene)
    nothing = after[:0]
    comparison = compare_coco(nothing, after, annotations, resamples=20)
    assert comparison.before.ap == 0
    assert 0 < comparison.low < comparison.high


def test_results_of_different_keypoints_are_refused(
    scene: tuple[Json, list[Json]], read_scene: ReadScene
) -> None:
    truth, rows = scene
    before, annotations = read_scene(truth, rows)
    after, _ = read_scene(truth, [{**row, "keypoints": row["keypoints"][-42:]} for row in rows], "aic14")
    with pytest.raises(InputError, match=r"must share the same keypoints with .*truth\.json"):
        compare_coco(before, after, annotations)
    with pytest.raises(InputError, match="resamples: expected at least 1, got 0"):
        compare_coco(before, before, annotations, resamples=0)


def test_annotations_without_labels_are_refused(
    scene: tuple[Json, list[Json]], read_scene: ReadScene
) -> None:
    truth, rows = scene
    people = [{**person, "keypoints": [0.0] * 51} for person in truth["annotations"]]
    poses, annotations = read_scene({**truth, "annotations": people}, rows)
    with pytest.raises(InputError, match=r"truth\.json: expected people with labels on nose, left_eye"):
        compare_coco(poses, poses, annotations, resamples=5)


def test_tables_show_both_results_and_the_interval() -> None:
    before = CocoMetrics(0.421, 0.7, 0.4, -1, 0.5, 0.6, 0.7, 0.8, -1, 1.0, ("nose",))
    comparison = CocoComparison(before, replace(before, ap=0.4537, ap50=0.69), 0.021, 0.0432, 1000)
    sentence = "AP 42.1 -> 45.4, +3.3 (95 % interval +2.1 to +4.3, 1000 resamples of the images)"
    assert str(comparison) == sentence
    assert comparison.table().splitlines() == [
        "               AP   AP50   AP75   AP-M   AP-L     AR   AR50   AR75   AR-M   AR-L",
        "before       42.1   70.0   40.0      -   50.0   60.0   70.0   80.0      -  100.0",
        "after        45.4   69.0   40.0      -   50.0   60.0   70.0   80.0      -  100.0",
        "difference   +3.3   -1.0   +0.0      -   +0.0   +0.0   +0.0   +0.0      -   +0.0",
        sentence,
        "keypoints compared (1): nose",
    ]
    assert comparison.as_dict()["interval"] == [0.021, 0.0432]
