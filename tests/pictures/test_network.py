"""Pictures of the inside of the packaged network, and the commands that draw."""

import json
import shutil
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from posefix.errors import InputError
from posefix.network.models import load_model
from posefix.photos.finding import Exif, decode_image
from posefix.pictures.drawing import BAR_HEIGHT
from posefix.pictures.network import (
    GAP,
    LARGE_HEIGHT,
    MAPS_SHOWN,
    SMALL_HEIGHT,
    Glimpse,
    draw_features,
    draw_heatmaps,
    look_inside,
)
from posefix.pose import geometry
from posefix.pose.poses import Poses
from posefix.skeletons import load_skeleton

pytest.importorskip("torch")
COCO = load_skeleton("coco17")
ORIENTATION_TAG = 0x0112
Run = Callable[..., tuple[int, str, str]]


def poses(*, valid: bool = True) -> Poses:
    places = np.random.default_rng(0).uniform([20, 20], [180, 280], (1, 17, 2))
    return Poses(places, np.ones((1, 17)), np.full((1, 17), valid), (1,), np.ones(1), COCO)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    for number in (1, 2):
        cv2.imwrite(str(folder / f"{number}.png"), cv2.GaussianBlur(noise, (0, 0), 5))
    return folder


@pytest.fixture(scope="module")
def glimpse(folder: Path) -> Glimpse:
    return look_inside(load_model("small"), poses(), 0, folder / "1.png")


def test_what_was_seen_is_in_pixels_of_the_crop(glimpse: Glimpse) -> None:
    width, height = glimpse.model.input_size_wh
    assert glimpse.crop.shape == (height, width, 3)
    given = glimpse.given[glimpse.valid]
    assert (given > 0).all()
    assert (given < [width, height]).all()
    assert glimpse.valid.sum() == glimpse.known.sum() == 17
    assert glimpse.heatmaps.sum(axis=(1, 2)) == pytest.approx(1)


def test_the_network_drawing_has_photo_heatmaps_and_coordinates(glimpse: Glimpse) -> None:
    picture = draw_heatmaps(glimpse)
    panel = round(glimpse.crop.shape[1] * LARGE_HEIGHT / glimpse.crop.shape[0])
    # Titles above; below, whom it shows, and which keypoints.
    assert picture.shape == (3 * BAR_HEIGHT + LARGE_HEIGHT, 4 * panel + 3 * 4, 3)
    # An input Gaussian glows at its keypoint.
    scale = LARGE_HEIGHT / glimpse.crop.shape[0]
    x, y = np.rint(geometry.scaled(glimpse.given[0], scale)).astype(int)
    assert picture[BAR_HEIGHT + y, panel + 4 + x].tolist() == pytest.approx([255, 220, 60], abs=25)


def test_the_stages_stand_in_feed_forward_order(glimpse: Glimpse) -> None:
    picture = draw_features(glimpse)
    panel = round(glimpse.crop.shape[1] * SMALL_HEIGHT / glimpse.crop.shape[0])
    stages = len(glimpse.activations.features)
    assert stages == 5
    assert picture.shape[1] == (stages + 4) * (panel + 4) - 4
    assert picture.shape[0] == 4 * BAR_HEIGHT + MAPS_SHOWN * SMALL_HEIGHT + (MAPS_SHOWN - 1) * GAP


def test_a_person_without_keypoints_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="row 0: expected two keypoints that the model knows"):
        look_inside(load_model("small"), poses(valid=False), 0, folder / "1.png")


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Results of two photos, and their refinement."""
    paths = tmp_path / "before.json", tmp_path / "after.json"
    for path, shift in zip(paths, (0, 8), strict=True):
        triples = np.concatenate([poses().keypoints[0] + shift, np.ones((17, 1))], axis=1)
        row = {"category_id": 1, "keypoints": triples.ravel().tolist(), "score": 1.0}
        path.write_text(json.dumps([{**row, "image_id": number} for number in (1, 2)]))
    return paths


@pytest.mark.parametrize("show", ["heatmaps", "features"])
def test_one_person_is_looked_at(
    run: Run, files: tuple[Path, Path], folder: Path, tmp_path: Path, show: str
) -> None:
    target = tmp_path / "look.png"
    options = ("--layout", "coco17", "--images", folder, "--row", 1, "--show", show, "-o", target)
    assert run("look", files[0], *options) == (0, f"picture: {target}\n", "")
    assert decode_image(target).shape[0] > 400


def test_people_and_photos_are_drawn(
    run: Run, files: tuple[Path, Path], folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "poses.png"
    options = ("--layout", "coco17", "--images", folder, "-o", target)
    assert run("draw", *files, *options) == (0, f"picture: {target}\n", "")
    two = decode_image(target).shape
    assert run("draw", *files, *options, "--photos", 2)[0] == 0
    one = decode_image(target).shape
    assert one[0] < two[0]
    assert one[1] == two[1]
    assert run("draw", files[0], *options, "--people", 1)[0] == 0
    assert decode_image(target).shape[1] < one[1]


def test_people_in_another_order_are_not_drawn(run: Run, files: tuple[Path, Path], folder: Path) -> None:
    before, after = files
    after.write_text(json.dumps(json.loads(after.read_text())[::-1]))
    code, _, err = run("draw", before, after, "--layout", "coco17", "--images", folder)
    assert code == 2
    assert f"{after}, person 0: expected image id 1 as in {before}, got 2; they are in another order" in err


@pytest.mark.parametrize("exif", ["apply", "ignore"])
@pytest.mark.parametrize("command", ["draw", "look"])
def test_shares_of_a_turned_photo_are_places_in_what_is_shown_of_it(
    run: Run, folder: Path, tmp_path: Path, command: str, exif: Exif
) -> None:
    """Labels of Ultralytics, and the same places in pixels of a photo that needs no turning."""
    turned, plain = tmp_path / "turned", tmp_path / "plain"
    for place in (turned, plain):
        place.mkdir()
    orientation = Image.Exif()
    orientation[ORIENTATION_TAG] = 6
    Image.open(folder / "1.png").save(turned / "7.png", exif=orientation)
    shown = decode_image(turned / "7.png", exif=exif)
    Image.fromarray(shown).save(plain / "7.png")
    keypoints = np.random.default_rng(0).uniform([20, 20], [180, 180], (17, 2))
    triples = np.column_stack([keypoints, np.ones(17)])
    row = {"image_id": 7, "category_id": 1, "keypoints": triples.ravel().tolist(), "score": 1.0}
    (tmp_path / "7.json").write_text(json.dumps([row]))
    shares = triples / [*shown.shape[1::-1], 1]
    (tmp_path / "7.txt").write_text(" ".join(map(repr, [0, 0.5, 0.5, 1.0, 1.0, *shares.ravel().tolist()])))
    pictures = []
    for results, images in (("7.txt", turned), ("7.json", plain)):
        options = ("--layout", "coco17", "--images", images, "--exif", exif, "-o", tmp_path / "picture.png")
        assert run(command, tmp_path / results, *options) == (0, f"picture: {tmp_path / 'picture.png'}\n", "")
        pictures.append(decode_image(tmp_path / "picture.png"))
    assert np.array_equal(pictures[0], pictures[1])


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("draw", ("--photos", "7"), "--photos: expected image ids of the results, got 7, which has no pose"),
        ("draw", ("--people", "0"), "--people: expected 1 or more, got 0"),
        ("look", ("--row", "2"), "--row: expected a row of"),
        ("look", ("--model", "nowhere"), "model: expected a packaged model"),
    ],
)
def test_faults_are_one_sentence(
    command: str, options: tuple[str, str], message: str, run: Run, files: tuple[Path, Path], folder: Path
) -> None:
    code, out, err = run(command, files[0], "--layout", "coco17", "--images", folder, *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


@pytest.mark.parametrize(
    ("command", "words"),
    [("draw", "expected poses to draw, got none"), ("look", "expected poses to look at, got none")],
)
def test_nobody_is_told(command: str, words: str, run: Run, folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text("[]")
    code, out, err = run(command, empty, "--layout", "coco17", "--images", folder)
    assert (code, out, err) == (2, "", f"posefix: results: {words}\n")


@pytest.mark.parametrize("command", ["draw", "look"])
@pytest.mark.parametrize("name", ["2.png", "sub/1.png", "in.png", "names.png", "layout.png"])
def test_no_input_is_replaced(command: str, name: str, run: Run, folder: Path, tmp_path: Path) -> None:
    """Whatever endings inputs have: what is in them tells what they are."""
    photos = tmp_path / "photos"
    (photos / "sub").mkdir(parents=True)
    for place in ("2.png", "sub/1.png"):
        shutil.copy(folder / "1.png", photos / place)
    triples = np.concatenate([poses().keypoints[0], np.ones((17, 1))], axis=1).ravel().tolist()
    row = {"image_id": 1, "category_id": 1, "keypoints": triples, "score": 1.0}
    names = {"images": [{"id": 1, "file_name": "sub/1.png"}]}
    layout = json.loads((resources.files("posefix") / "data/skeletons/coco17.json").read_text())
    for file, content in (("in.png", [row]), ("names.png", names), ("layout.png", layout)):
        (tmp_path / file).write_text(json.dumps(content))
    target = (photos if name in ("2.png", "sub/1.png") else tmp_path) / name
    before = target.read_bytes()
    given = ("--layout", tmp_path / "layout.png", "--annotations", tmp_path / "names.png")
    options = (*given, "--format", "coco-results", "--images", photos)
    code, out, err = run(command, tmp_path / "in.png", *options, "-o", target)
    assert (code, out) == (2, "")
    assert err == f"posefix: {target}: expected another file than those that are read; choose another name\n"
    assert target.read_bytes() == before
    new = photos / "new.png"
    assert run(command, tmp_path / "in.png", *options, "-o", new) == (0, f"picture: {new}\n", "")
