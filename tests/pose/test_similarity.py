"""KS and OKS against COCO's own formula and evaluator."""

from __future__ import annotations

import numpy as np
import pytest

from posefix.pose.similarity import distance_at, keypoint_similarity, oks
from posefix.skeletons import load_skeleton

SIGMAS = load_skeleton("coco17").sigmas


@pytest.mark.parametrize("similarity", [0.85, 0.5, 0.1])
def test_distance_at_is_the_inverse_of_similarity(similarity: float) -> None:
    area = np.array(5000.0)
    distance = distance_at(similarity, area, SIGMAS)
    np.testing.assert_allclose(keypoint_similarity(distance**2, area, SIGMAS), similarity)


def test_a_hip_one_area_root_away() -> None:
    """exp(-1 / (2 * (2 * .107)^2)), by hand."""
    area = np.array(100.0)
    value = keypoint_similarity(np.array(100.0), area, np.array(0.107))
    assert float(value) == pytest.approx(np.exp(-1 / (2 * 0.214**2)))


def test_oks_equals_pycocotools() -> None:
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    generator = np.random.default_rng(0)
    truth = generator.uniform(0, 100, (3, 17, 2)).round(2)
    labelled = generator.random((3, 17)) < 0.7
    area = generator.uniform(1000, 9000, 3)
    guess = truth[:, None] + generator.normal(0, 5, (3, 2, 17, 2))
    guess = guess.reshape(6, 17, 2)

    def row(keypoints: np.ndarray, flags: np.ndarray) -> list[float]:
        return np.concatenate([keypoints, flags[:, None]], axis=1).ravel().tolist()

    ground = coco.COCO()
    ground.dataset = {
        "images": [{"id": 1}],
        "categories": [{"id": 1}],
        "annotations": [
            {"id": i + 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": area[i], "bbox": [0, 0, 100, 100],
             "keypoints": row(truth[i], 2.0 * labelled[i]), "num_keypoints": int(labelled[i].sum())}
            for i in range(3)
        ],
    }  # fmt: skip
    ground.createIndex()
    results = [
        {"image_id": 1, "category_id": 1, "keypoints": row(g, np.ones(17)), "score": 1 - i / 10}
        for i, g in enumerate(guess)
    ]
    evaluator = cocoeval.COCOeval(ground, ground.loadRes(results), "keypoints")
    evaluator.params.imgIds = [1]
    evaluator._prepare()
    expected = evaluator.computeOks(1, 1)
    np.testing.assert_allclose(oks(guess, truth, labelled, area, SIGMAS), expected, atol=1e-9)


def test_a_reference_without_labels_has_no_similarity() -> None:
    keypoints = np.zeros((1, 17, 2))
    value = oks(keypoints, keypoints, np.zeros((1, 17), bool), np.array([10.0]), SIGMAS)
    np.testing.assert_array_equal(value, [[0.0]])
