"""The tools that find people in photos and run estimators on them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tools import find_people as detection
from tools import run_estimators as estimation

from posefix.formats.coco_annotations import read_annotations
from posefix.photos.finding import decode_image
from posefix.pose.geometry import enlarge, invert, transform, warp


def test_peaks_are_shifted_towards_the_higher_neighbours() -> None:
    heatmaps = np.zeros((1, 3, 5, 6), np.float32)
    heatmaps[0, 0, 2, 3], heatmaps[0, 0, 2, 4], heatmaps[0, 0, 1, 3] = 1, 0.5, 0.25
    heatmaps[0, 1, 0, 5] = 0.75  # at the border, where one neighbour is missing
    heatmaps[0, 2, 4, 1], heatmaps[0, 2, 4, 0] = 0.5, 0.25
    found = estimation.from_shifted_peaks(heatmaps, (60, 50))
    np.testing.assert_allclose(found[0], [[32.5, 17.5, 1], [50, 0, 0.75], [7.5, 40, 0.5]])


def test_heatmaps_of_channels_last_are_scaled_to_the_crop() -> None:
    heatmaps = np.zeros((1, 4, 8, 1), np.float32)
    heatmaps[0, 1, 6, 0] = 0.5
    np.testing.assert_allclose(estimation.from_channels_last(0.5)(heatmaps, (80, 20)), [[[65, 7.5, 0.5]]])


def test_shares_are_y_before_x() -> None:
    found = estimation.from_shares(np.array([[[0.25, 0.5, 0.9]]], np.float32), (200, 100))
    np.testing.assert_allclose(found, [[[100, 25, 0.9]]], rtol=1e-6)


def test_a_box_fills_the_crop_with_a_margin_and_keeps_its_shape() -> None:
    matrix = estimation.crop_matrix(np.array([10.0, 20, 60, 160]), (192, 256), 0.0, np.random.default_rng(0))
    corners = transform(matrix[None], np.array([[[10.0, 20], [70, 180]]]))[0]
    np.testing.assert_allclose(corners.mean(axis=0), [96, 128])
    np.testing.assert_allclose(corners[1] - corners[0], np.array([60, 160]) * 256 / 160 / 1.25)


class Mirror:
    """Stands for a graph whose 17 keypoints lie at the brightest column, the left eye's a tenth to the right of it."""

    def get_inputs(self) -> list[object]:
        return [type("Input", (), {"name": "image"})]

    def run(self, _: list[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        images = feed["image"]
        column = images.sum(axis=(1, 2)).argmax(axis=1) + 0.5
        poses = np.repeat((column / images.shape[3])[:, None, None], 17, axis=1) * [[[0, 1, 0]]]
        poses[..., 2] = 0.5
        poses[:, 1, 1] += 0.1
        return [poses.astype(np.float32)]


def test_the_mirrored_crop_is_mirrored_back() -> None:
    crops = np.zeros((1, 256, 256, 3), np.uint8)
    crops[:, :, 40] = 255
    found = estimation.estimate(Mirror(), estimation.ESTIMATORS["thunder"], crops)
    np.testing.assert_allclose(found[0, 0], [40.5, 0, 0.5], atol=1e-4)
    # What lies to the right in both is the left eye in one and, exchanged, the right eye in the other.
    np.testing.assert_allclose(found[0, 1:3, 0], [40.5 + 12.8, 40.5 - 12.8], atol=1e-4)


def test_letterboxes_are_padded_on_the_right_and_below() -> None:
    picture, scale = detection.letterbox(np.full((104, 208, 3), (1, 2, 3), np.uint8))
    assert scale == 2
    assert picture[0, :, 207, 415].tolist() == [3, 2, 1]
    assert (picture[0, :, 208:] == detection.PADDING).all()


def test_the_detector_s_output_becomes_boxes() -> None:
    output = np.zeros((3549, 85))
    row = 52 * 52 + 26 + 3  # stride 16, second row, fourth column
    output[row, :6] = [0.5, 0.25, np.log(2), np.log(4), 0.5, 0.5]
    boxes, scores = detection.decode(output)
    np.testing.assert_allclose(boxes[row], [3.5 * 16 - 16, 1.25 * 16 - 32, 32, 64])
    assert scores[row] == 0.25
    assert np.count_nonzero(scores) == 1


def test_a_file_of_boxes_can_be_read_and_all_its_people_are_estimated(tmp_path: Path) -> None:
    image = {"id": 3, "file_name": "a.jpg", "width": 200, "height": 100}
    content = detection.annotation_file([(image, np.array([[1.0, 2, 30, 90], [5, 6, 70, 80]]), np.ones(2))])
    path = tmp_path / "people.json"
    path.write_text(json.dumps(content))
    people = read_annotations(path).people
    assert people.bbox_xywh.tolist() == [[1, 2, 30, 90], [5, 6, 70, 80]]
    assert estimation.rows_to_estimate(people).tolist() == [0, 1]


def test_photos_are_drawn_by_their_names(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}.jpg").touch()
    (tmp_path / "notes.txt").touch()
    few, many = detection.draw_photos(tmp_path, 5), detection.draw_photos(tmp_path, 10)
    assert len(few) == 5
    assert set(few) < set(many)
    assert len(detection.draw_photos(tmp_path, None)) == 20


@pytest.fixture
def real(shared_data: Path) -> tuple[Path, np.ndarray, np.ndarray, int | str]:
    """Models, the photo, box and id of a person whose crop lies inside of the photo."""
    models = shared_data / "estimators"
    if not (models / "yolox_nano.onnx").is_file():
        pytest.skip("the estimators' graphs are not there")
    annotations = read_annotations(shared_data / "coco" / "person_keypoints_dev.json")
    people = annotations.people
    images = [annotations.images[image_id] for image_id in people.image_ids]
    sizes = np.array([(image.width, image.height) for image in images])
    crops = enlarge(people.bbox_xywh, 1.5)
    inside = np.asarray(((crops[:, :2] >= 0) & (crops[:, :2] + crops[:, 2:] <= sizes)).all(axis=1))
    row = int((people.area * inside * (people.visibility > 0).all(axis=1)).argmax())
    assert inside[row]
    image_id = people.image_ids[row]
    photo = decode_image(shared_data / "coco" / "images" / annotations.images[image_id].file_name)
    return models, photo, people.bbox_xywh[row], image_id


def test_the_detector_finds_a_real_person(real: tuple[Path, np.ndarray, np.ndarray, int | str]) -> None:
    models, photo, box, _ = real
    session = estimation.open_session(models / "yolox_nano.onnx", threads=1)
    boxes, scores = detection.find_people(session, photo)
    low = np.maximum(boxes[:, :2], box[:2])
    high = np.minimum(boxes[:, :2] + boxes[:, 2:], box[:2] + box[2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    iou = shared / (boxes[:, 2:].prod(axis=1) + box[2:].prod() - shared)
    assert iou.max() > 0.7
    assert (scores >= detection.SCORE).all()


@pytest.mark.parametrize("name", ["tinypose128", "efficientpose-rt"])
def test_estimators_find_what_they_found_elsewhere(
    name: str, real: tuple[Path, np.ndarray, np.ndarray, int | str], shared_data: Path
) -> None:
    models, photo, box, image_id = real
    estimator = estimation.ESTIMATORS[name]
    session = estimation.open_session(models / f"{estimator.file}.onnx", threads=1)
    matrix = estimation.crop_matrix(box, estimator.size_wh, 0.0, np.random.default_rng(0))
    found = estimation.estimate(session, estimator, warp(photo, matrix, estimator.size_wh)[None])[0]
    places = transform(invert(matrix[None]), found[None, :, :2])[0]
    (path,) = (shared_data / "predictions" / "coco_dev").glob(f"{name}.*.json")
    rows = [row["keypoints"] for row in json.loads(path.read_text()) if row["image_id"] == image_id]
    known = np.array(rows).reshape(len(rows), -1, 3)
    apart = np.linalg.norm(known[..., :2] - places, axis=2) / np.sqrt(box[2:].prod())
    assert np.median(apart, axis=1).min() < 0.02
