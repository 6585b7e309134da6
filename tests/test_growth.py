"""The benchmark of growth: its made files, its points, its fits and its figure, on little."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from benchmarks.growth import CURVES, exponent, growth, measure_curve, photo_wh, quick
from benchmarks.growth_figure import draw
from benchmarks.growth_point import Point, Task, make_files, measure
from benchmarks.made_files import make_skeleton, write_results

from posefix import read_pose_file
from posefix.photos.finding import decode_image

Numbers = dict[str, Any]


@pytest.mark.parametrize("num_keypoints", [1, 2, 5, 17, 26, 133])
def test_made_poses_have_as_many_keypoints_and_photos_as_asked_for(
    num_keypoints: int, tmp_path: Path
) -> None:
    path = tmp_path / "poses.json"
    write_results(path, 1003, 4, num_keypoints, (640, 480))
    poses = read_pose_file(path, make_skeleton(num_keypoints)).poses
    assert poses.keypoints.shape == (1003, num_keypoints, 2)
    assert poses.image_ids == tuple(number // 4 for number in range(1003))
    inside = (poses.keypoints >= 0) & (poses.keypoints < (640, 480))
    assert inside.all(axis=-1).mean() > 0.9


def test_photos_differ_and_have_the_size_asked_for(tmp_path: Path) -> None:
    make_files(Point("decode", 9, 1, (96, 64)), tmp_path / "files")
    photos = [decode_image(path) for path in sorted((tmp_path / "files" / "photos").iterdir())]
    assert [photo.shape for photo in photos] == [(64, 96, 3)] * 9
    assert len({photo.tobytes() for photo in photos}) == 4
    assert 20 < photos[0].std() < 100


@pytest.mark.parametrize("task", ["refine", "analyze", "decode", "decode reduced"])
def test_every_task_is_measured(task: Task, tmp_path: Path) -> None:
    point = Point(task, people=12, people_per_photo=3, photo_wh=(160, 120))
    make_files(point, tmp_path / "files")
    measured = measure(tmp_path / "files", point)
    assert measured["seconds"] == pytest.approx(sum(measured["steps"].values()))
    assert measured["seconds"] > 0
    assert measured["memory_mib"] >= measured["memory_before_mib"] > 10
    assert measured["runs"] == 3
    if task == "refine":
        given, refined = (
            json.loads((tmp_path / "files" / name).read_text()) for name in ("poses.json", "refined.json")
        )
        assert [row["keypoints"] for row in refined] == [row["keypoints"] for row in given]


def test_the_identity_backend_takes_any_number_of_keypoints(tmp_path: Path) -> None:
    point = Point("refine", people=6, people_per_photo=3, photo_wh=(160, 120), num_keypoints=133)
    make_files(point, tmp_path / "files")
    assert measure(tmp_path / "files", point)["num_keypoints"] == 133


def test_points_are_measured_in_processes_of_their_own() -> None:
    curve = replace(CURVES["people"], point=lambda x: Point("refine", int(x), 5, (160, 120)))
    measured = measure_curve(curve, (10, 20))
    assert [(point["x"], point["people"]) for point in measured["points"]] == [(10, 10), (20, 20)]
    assert -3 < measured["processor_exponent"] < 3


def test_exponents_of_powers_are_found() -> None:
    points = [
        {"x": x, "seconds": 3 * x**2, "processor_seconds": 5 * x, "memory_mib": 100 + 4 * x}
        for x in (1, 10, 40)
    ]
    assert exponent(points, "seconds") == pytest.approx(2)
    found = growth(points)
    assert found["exponent"] == pytest.approx(2)
    assert found["last_processor_exponent"] == pytest.approx(1)
    assert found["bytes_per_unit"] == pytest.approx(4 * 2**20)


def test_memory_that_shrinks_does_not_grow() -> None:
    points = [{"x": x, "seconds": 1, "processor_seconds": 1, "memory_mib": 100 - x} for x in (1, 2)]
    assert growth(points)["bytes_per_unit"] == 0


@pytest.mark.parametrize("megapixels", [0.3, 1, 12, 50])
def test_photos_have_whole_blocks_and_the_shape_of_photos(megapixels: float) -> None:
    width, height = photo_wh(megapixels)
    assert (width % 16, height % 16) == (0, 0)
    assert width * height == pytest.approx(1e6 * megapixels, rel=0.05)
    assert width / height == pytest.approx(4 / 3, rel=0.05)


def test_the_curves_span_what_they_promise() -> None:
    spans = {name: (curve.values[0], curve.values[-1]) for name, curve in CURVES.items()}
    assert spans["people, network"] == (1e3, 1e4)
    assert spans["people"] == (1e3, 1e6)
    assert spans["people per photo"] == (1, 100)
    assert spans["megapixels"] == (0.3, 50)
    assert spans["keypoints"] == (5, 133)
    assert all(1 < len(quick(curve.values)) < len(curve.values) for curve in CURVES.values())


def test_the_figure_is_a_drawing_that_repeats_to_the_byte() -> None:
    generator = np.random.default_rng(0)
    curves: dict[str, Numbers] = {}
    for name, curve in CURVES.items():
        points = [
            {
                "x": x,
                "seconds": 0.01 * x,
                "processor_seconds": 0.02 * x,
                "memory_mib": 100 + generator.random(),
            }
            for x in curve.values
        ]
        curves[name] = {"title": curve.title, "unit": curve.unit, "points": points, **growth(points)}
    drawing = draw(curves)
    assert drawing == draw(curves)
    assert ElementTree.fromstring(drawing).tag == "{http://www.w3.org/2000/svg}svg"
    text = drawing.decode()
    assert all(curve.title in text for curve in CURVES.values())
    assert "exponent 1.00" in text
