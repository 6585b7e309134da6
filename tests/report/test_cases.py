"""Who is shown, and that keypoints lie on their pixels."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.report.conftest import LEFT_HIP, LEFT_WRIST, Scene

from posefix.photos.finding import Exif
from posefix.pictures.drawing import keypoint_sides
from posefix.report import cases
from posefix.report.cases import build_gallery, changed_most, worst_of_each_error
from posefix.report.close_ups import LONGEST_SIDE, cut_out
from posefix.report.people import analysis_columns, comparison_columns, people_data, sizes
from posefix.skeletons import load_skeleton

ORIENTATION_TAG = 0x0112


def test_the_worst_of_each_error_have_most_of_it(scene: Scene) -> None:
    found = scene.analysis().found
    kinds = {name: rows.tolist() for name, rows in worst_of_each_error(found, np.full(6, 100.0)).items()}
    assert kinds["worst inversion"] == [0]
    assert kinds["worst miss"] == [1]
    assert kinds["worst swap"] == []


def test_people_too_small_to_see_come_last(scene: Scene) -> None:
    found = scene.comparison().after
    big, small = np.full(6, 100.0), np.array([100.0, 10.0, 100.0, 100.0, 100.0, 100.0])
    assert worst_of_each_error(found, big)["worst miss"].tolist() == [1, 2]
    assert worst_of_each_error(found, small)["worst miss"].tolist() == [2, 1]


def test_who_changed_most(scene: Scene) -> None:
    kinds = changed_most(scene.comparison())
    assert kinds["most improved"].tolist() == [0]
    assert kinds["most harmed"].tolist() == [2]
    assert kinds["lowest OKS after"][:2].tolist() == [1, 2]


def test_each_person_has_one_picture_and_may_be_shown_for_several_reasons(scene: Scene) -> None:
    comparison = scene.comparison()
    kinds = {"first": np.array([2, 0]), "second": np.array([0, 1])}
    gallery = build_gallery(kinds, (comparison.before, comparison.after), scene.annotations, scene.photos)
    assert [case.person for case in gallery.cases] == [2, 0, 1]
    assert gallery.kinds == {"first": (0, 1), "second": (1, 2)}
    assert gallery.left_out == 0


def test_pictures_have_a_limit_and_who_is_left_out_is_counted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = scene.analysis().found
    kinds = {"one": np.array([0, 2]), "two": np.array([1, 3])}
    one = cut_out(scene.photos[1], (found,), 0, scene.annotations.people.bbox_xywh[0])
    monkeypatch.setattr(cases, "PICTURE_BYTES", 2 * len(one.jpeg) + 200)
    gallery = build_gallery(kinds, (found,), scene.annotations, scene.photos)
    assert [case.person for case in gallery.cases] == [0, 1]
    assert gallery.kinds == {"one": (0,), "two": (1,)}
    assert gallery.left_out == 2


def test_keypoints_lie_on_their_pixels(scene: Scene) -> None:
    found = scene.analysis().found
    close_up = cut_out(scene.photos[1], (found,), 0, scene.annotations.people.bbox_xywh[0])
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(close_up.jpeg))))
    assert picture.shape[1::-1] == close_up.size_wh and max(close_up.size_wh) <= LONGEST_SIDE
    # SVG's pixel i covers i to i + 1, so that the pixel under a point is its floor.
    columns, rows = np.floor(close_up.truth).astype(int).T
    assert (picture[rows, columns].mean(axis=1) > 170).all()
    assert (picture[rows, columns - 8].mean(axis=1) < 80).all()


@pytest.mark.parametrize("exif", ["apply", "ignore"])
def test_a_turned_photo_is_shown_as_its_coordinates_are(scene: Scene, tmp_path: Path, exif: Exif) -> None:
    """On a photo turned by half both ways of looking at it have one size."""
    orientation = Image.Exif()
    orientation[ORIENTATION_TAG] = 3
    upright = Image.open(scene.photos[1])
    stored = upright if exif == "ignore" else upright.transpose(Image.Transpose.ROTATE_180)
    stored.save(tmp_path / "turned.png", exif=orientation)
    found, box = scene.analysis().found, scene.annotations.people.bbox_xywh[0]
    expected = cut_out(scene.photos[1], (found,), 0, box)
    assert cut_out(tmp_path / "turned.png", (found,), 0, box, exif).jpeg == expected.jpeg


def test_a_person_with_one_label_is_shown_whole(scene: Scene) -> None:
    found = scene.analysis().found
    found.visibility[3, 1:] = 0
    box = scene.annotations.people.bbox_xywh[3]
    close_up = cut_out(scene.photos[2], (found,), 3, box)
    scale = np.hypot(*(close_up.truth[1] - close_up.truth[0])) / 60.0
    assert min(close_up.size_wh) >= scale * box[2:].min()


def test_the_table_of_one_results_file(scene: Scene) -> None:
    found = scene.analysis().found
    columns = {column.title: column for column in analysis_columns(found, scene.annotations)}
    assert columns["good"].values == [15, 16, 17, 17, 17, 17]
    assert columns["I inversion"].values == [2, 0, 0, 0, 0, 0]
    assert columns["M miss"].values == [0, 1, 0, 0, 0, 0]
    assert columns["size px"].as_dict()["values"] == [100.0] * 5 + [30.0]
    assert columns["person"].values == [str(number) for number in range(100, 106)]


def test_the_table_of_two_results_files(scene: Scene) -> None:
    columns = {column.title: column for column in comparison_columns(scene.comparison(), scene.annotations)}
    assert columns["repaired"].values == [2, 0, 0, 0, 0, 0]
    assert columns["broken"].values == [0, 0, 1, 0, 0, 0]
    assert columns["errors before"].values == [2, 1, 0, 0, 0, 0]
    assert columns["errors after"].values == [0, 1, 1, 0, 0, 0]
    change = columns["change"].as_dict()["values"]
    assert isinstance(change, list) and change[0] == pytest.approx(100 * 2 / 17, abs=0.1)


def test_a_letter_for_each_keypoint(scene: Scene) -> None:
    found = scene.analysis().found
    found.visibility[0, 0], found.statuses[0, 0] = 0, -1
    found.missing[1, LEFT_WRIST] = True
    data = people_data(
        analysis_columns(found, scene.annotations),
        [("estimated", found)],
        scene.annotations,
        None,
        sort=("OKS %", False),
    )
    assert isinstance(data["statuses"], list)
    letters = data["statuses"][0]
    assert letters[0][0] == "-" and letters[0][LEFT_HIP] == "I"
    assert letters[1][LEFT_WRIST] == "m"
    assert data["sort"] == {"column": 1, "descending": False}


def test_sizes_are_roots_of_areas(scene: Scene) -> None:
    assert sizes(scene.analysis().found, scene.annotations).tolist() == [100.0] * 5 + [30.0]


@pytest.mark.parametrize("layout", ["coco17", "lsp14", "mpii16"])
def test_sides_are_the_names(layout: str) -> None:
    skeleton = load_skeleton(layout)
    for name, side in zip(skeleton.keypoint_names, keypoint_sides(skeleton), strict=True):
        assert side.name.lower() == (
            "left" if name.startswith("left") else "right" if name.startswith("right") else "middle"
        )
