import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posefix.errors import InputError
from posefix.evaluation import CocoMetrics, evaluate_coco
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.interchange import read_pose_file
from posefix.pose.poses import Poses
from posefix.skeletons import Keypoint, Skeleton, load_skeleton

Json = dict[str, Any]
Oracle = Callable[[Json, list[Json], list[str]], list[float]]
RandomScene = Callable[[int], tuple[Json, list[Json]]]
ReadScene = Callable[..., tuple[Poses, Annotations]]

ANNOTATIONS = {"coco_dev": "coco/person_keypoints_dev.json", "lspet_val": "lspet/person_keypoints_val.json"}
# AP / AP50 / AP75 as the data set's README prints them, by pycocotools.
TABLE = {
    ("coco_dev", "tinypose128.coco17"): "51.5 / 80.1 / 55.5",
    ("coco_dev", "ultralight.coco17"): "48.3 / 79.6 / 48.2",
    ("coco_dev", "movenet.coco17"): "33.5 / 62.8 / 32.8",
    ("coco_dev", "efficientpose-rt.efficientpose16"): "23.5 / 37.4 / 23.6",
    ("coco_dev", "blazepose.blazepose33"): "13.3 / 26.4 / 11.8",
    ("coco_dev", "tfpose.openpose18"): "11.5 / 30.1 / 8.0",
    ("coco_dev", "hourglass.hourglass14"): "11.2 / 26.0 / 9.8",
    ("coco_dev", "posenet.coco17"): "9.6 / 29.4 / 3.7",
    ("lspet_val", "tinypose128.coco17"): "40.3 / 66.7 / 38.9",
    ("lspet_val", "ultralight.coco17"): "31.4 / 57.8 / 29.6",
    ("lspet_val", "movenet.coco17"): "42.1 / 72.4 / 41.9",
    ("lspet_val", "efficientpose-rt.efficientpose16"): "30.4 / 57.5 / 28.2",
    ("lspet_val", "blazepose.blazepose33"): "13.7 / 28.3 / 13.2",
    # The README prints 4.9; for these files pycocotools itself gives .04953. One match has an OKS of .70001, and
    # if it falls below .7, as it may have before the annotations were rounded to .01 px, AP is .04949.
    ("lspet_val", "tfpose.openpose18"): "5.0 / 13.7 / 2.4",
    ("lspet_val", "hourglass.hourglass14"): "19.4 / 36.7 / 17.3",
    ("lspet_val", "posenet.coco17"): "6.9 / 18.5 / 5.0",
}


def labelled_as_poses(annotations: Annotations) -> Poses:
    """The annotated people as a perfect estimator would find them."""
    people = annotations.people
    return Poses(
        keypoints=people.keypoints,
        scores=np.ones(people.keypoints.shape[:2]),
        valid=np.ones(people.keypoints.shape[:2], dtype=bool),
        image_ids=tuple(people.image_ids),
        pose_scores=np.linspace(1, 0.5, len(people.image_ids)),
        skeleton=annotations.skeleton,
    )


def quoted(metrics: CocoMetrics) -> str:
    return " / ".join(f"{100 * value:.1f}" for value in (metrics.ap, metrics.ap50, metrics.ap75))


@pytest.mark.parametrize(("data_set", "estimator"), TABLE)
def test_real_results_get_the_numbers_of_the_oracle_and_of_the_table(
    shared_data: Path, oracle: Oracle, data_set: str, estimator: str
) -> None:
    results = shared_data / "predictions" / data_set / f"{estimator}.json"
    truth = shared_data / ANNOTATIONS[data_set]
    layout = estimator.split(".")[1]
    names = json.loads((shared_data / "layouts.json").read_text(encoding="utf-8"))[layout]
    metrics = evaluate_coco(read_pose_file(results, load_skeleton(layout)).poses, read_annotations(truth))
    expected = oracle(json.loads(truth.read_text("utf-8")), json.loads(results.read_text("utf-8")), names)
    assert list(metrics.as_dict().values()) == expected
    assert quoted(metrics) == TABLE[data_set, estimator]


@pytest.mark.parametrize("seed", range(5))
def test_crowds_unlabelled_people_and_equal_scores_count_as_in_the_oracle(
    oracle: Oracle, random_scene: RandomScene, read_scene: ReadScene, seed: int
) -> None:
    truth, rows = random_scene(seed)
    names = truth["categories"][0]["keypoints"]
    metrics = evaluate_coco(*read_scene(truth, rows))
    assert 0.05 < metrics.ap < 0.95
    assert list(metrics.as_dict().values()) == oracle(truth, rows, names)


def test_only_keypoints_that_both_sides_name_are_compared(
    oracle: Oracle, random_scene: RandomScene, read_scene: ReadScene
) -> None:
    truth, rows = random_scene(0)
    names = list(load_skeleton("hourglass14").keypoint_names)
    rows = [{**row, "keypoints": row["keypoints"][-42:]} for row in rows]
    metrics = evaluate_coco(*read_scene(truth, rows, "hourglass14"))
    assert metrics.keypoint_names == tuple(load_skeleton("coco17").keypoint_names[5:])
    assert list(metrics.as_dict().values()) == oracle(truth, rows, names)


def test_perfect_poses_score_one_and_none_at_all_zero(
    random_scene: RandomScene, read_scene: ReadScene
) -> None:
    _, annotations = read_scene(*random_scene(1))
    counted = (annotations.people.visibility > 0).any(axis=1) & ~annotations.people.is_crowd
    perfect = labelled_as_poses(annotations)[counted]
    assert list(evaluate_coco(perfect, annotations).as_dict().values()) == pytest.approx([1] * 10)
    nothing = perfect[:0]
    assert set(evaluate_coco(nothing, annotations).as_dict().values()) == {0.0}


def test_ochuman_s_files_are_coco_s_with_the_box_for_an_area(
    random_scene: RandomScene, read_scene: ReadScene, oracle: Oracle
) -> None:
    truth, rows = random_scene(5)
    for person in truth["annotations"]:
        width, height = person["bbox"][2:]
        person |= {"area": width * height, "segmentation": {"counts": "0", "size": [400, 400]}}
        person["num_keypoints"] = sum(value > 0 for value in person["keypoints"][2::3])
    metrics = evaluate_coco(*read_scene(truth, rows))
    assert list(metrics.as_dict().values()) == oracle(
        truth, rows, list(load_skeleton("coco17").keypoint_names)
    )


def one_person(annotation_id: int = 1, image_id: int | str = 0, area: float | None = 5000.0) -> Json:
    keypoints = np.column_stack([np.arange(17) * 5, np.arange(17) * 7, np.full(17, 2)]).ravel().tolist()
    person = {"id": annotation_id, "image_id": image_id, "category_id": 1, "keypoints": keypoints}
    names = list(load_skeleton("coco17").keypoint_names)
    return {
        "images": [{"id": image_id, "file_name": "a.jpg"}],
        "annotations": [{**person, "bbox": [0, 0, 80, 112], "area": area}],
        "categories": [{"id": 1, "name": "person", "keypoints": names}],
    }


def read_one(tmp_path: Path, truth: Json) -> Annotations:
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(truth), encoding="utf-8")
    return read_annotations(path)


@pytest.mark.parametrize("annotation_id", [0, 1, 10**12])
def test_any_annotation_id_can_be_matched(tmp_path: Path, annotation_id: int) -> None:
    annotations = read_one(tmp_path, one_person(annotation_id))
    assert evaluate_coco(labelled_as_poses(annotations), annotations).ap == pytest.approx(1)


@pytest.mark.parametrize("image_id", [0, 10**15, "camera-2/000017"])
def test_any_image_id_will_do(tmp_path: Path, image_id: int | str) -> None:
    annotations = read_one(tmp_path, one_person(image_id=image_id))
    assert evaluate_coco(labelled_as_poses(annotations), annotations).ap == pytest.approx(1)


def test_sizes_without_people_are_undefined_as_in_the_oracle(tmp_path: Path) -> None:
    annotations = read_one(tmp_path, one_person(area=5000.0))
    metrics = evaluate_coco(labelled_as_poses(annotations), annotations)
    assert (metrics.ap_large, metrics.ar_large) == (-1, -1)
    assert metrics.table().splitlines()[1].split() == ["100.0"] * 4 + ["-"] + ["100.0"] * 4 + ["-"]


def test_areas_that_are_missing_are_estimated_and_that_is_said(tmp_path: Path) -> None:
    annotations = read_one(tmp_path, one_person(area=None))
    metrics = evaluate_coco(labelled_as_poses(annotations), annotations)
    assert metrics.area_is_estimated
    assert metrics.table().endswith("areas estimated as .53 x box area")


def test_the_order_of_rows_does_not_matter(random_scene: RandomScene, read_scene: ReadScene) -> None:
    truth, rows = random_scene(2)
    rng = np.random.default_rng(0)
    rows = [{**row, "score": float(score)} for row, score in zip(rows, rng.random(len(rows)), strict=True)]
    poses, annotations = read_scene(truth, rows)
    shuffled = poses[rng.permutation(len(poses))]
    assert evaluate_coco(shuffled, annotations) == evaluate_coco(poses, annotations)


def test_unscored_keypoints_do_not_count(tmp_path: Path) -> None:
    annotations = read_one(tmp_path, one_person())
    poses = labelled_as_poses(annotations)
    wrong = poses.keypoints.copy()
    wrong[:, 3:5] += 500
    poses = poses.with_keypoints(wrong)
    assert evaluate_coco(poses, annotations).ap < 1
    no_ears = replace(annotations.skeleton, unscored=("left_ear", "right_ear"))
    assert evaluate_coco(poses, replace(annotations, skeleton=no_ears)).ap == pytest.approx(1)


def one_keypoint_skeleton(sigma: float | None, name: str = "nose") -> Skeleton:
    return Skeleton("mine", (Keypoint(name, sigma, "a point"),), (), ())


def test_a_sigma_may_come_from_the_results(tmp_path: Path) -> None:
    annotations = read_one(tmp_path, one_person())
    poses = labelled_as_poses(annotations)
    no_sigmas = tuple(replace(keypoint, sigma=None) for keypoint in annotations.skeleton.keypoints)
    unknown = replace(annotations, skeleton=replace(annotations.skeleton, keypoints=no_sigmas))
    assert evaluate_coco(poses, unknown).ap == pytest.approx(1)
    with pytest.raises(InputError, match=r"truth\.json: no sigma is known for keypoint 'nose'"):
        evaluate_coco(replace(poses, skeleton=unknown.skeleton), unknown)


def test_an_image_that_is_not_annotated_is_named(tmp_path: Path) -> None:
    annotations = read_one(tmp_path, one_person())
    poses = replace(labelled_as_poses(annotations), image_ids=(77,))
    with pytest.raises(InputError, match=r"row 0, field 'image_id': 77 is not among .*truth\.json"):
        evaluate_coco(poses, annotations)


def test_annotations_without_people_are_refused(tmp_path: Path) -> None:
    annotations = read_one(tmp_path, one_person())
    people = annotations.people
    nobody = replace(
        people,
        keypoints=people.keypoints[:0],
        visibility=people.visibility[:0],
        area=people.area[:0],
        bbox_xywh=people.bbox_xywh[:0],
        image_ids=(),
        ids=(),
        is_crowd=people.is_crowd[:0],
    )
    with pytest.raises(InputError, match=r"truth\.json: expected annotated people"):
        evaluate_coco(labelled_as_poses(annotations), replace(annotations, people=nobody))


def test_the_evaluator_prints_and_warns_nothing(
    random_scene: RandomScene, read_scene: ReadScene, capsys: pytest.CaptureFixture[str]
) -> None:
    truth, rows = random_scene(0)
    evaluate_coco(*read_scene(truth, [{**row, "keypoints": row["keypoints"][-42:]} for row in rows], "aic14"))
    assert capsys.readouterr() == ("", "")


def test_tables_quote_percentages() -> None:
    metrics = CocoMetrics(0.4213, 0.7238, 0.4186, -1, 0.5, 0.6, 0.7, 0.8, -1, 1.0, ("nose", "left_eye"))
    assert str(metrics) == (
        "AP 42.1, AP50 72.4, AP75 41.9, AP-M -, AP-L 50.0, AR 60.0, AR50 70.0, AR75 80.0, AR-M -, AR-L 100.0"
    )
    assert metrics.table().splitlines() == [
        "     AP   AP50   AP75   AP-M   AP-L     AR   AR50   AR75   AR-M   AR-L",
        "   42.1   72.4   41.9      -   50.0   60.0   70.0   80.0      -  100.0",
        "keypoints compared (2): nose, left_eye",
    ]
