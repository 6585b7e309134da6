"""Pictures of synthesised poses: a panel for each error, marks that are told apart."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from posefix.errors import InputError
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.people import find_photos
from posefix.photos.finding import Exif, ImageId, decode_image
from posefix.pictures.drawing import BAR_HEIGHT
from posefix.pictures.synthesised import GAP, MARKS, PANEL_WH, Figure, draw_examples
from posefix.pose_errors.taxonomy import ERRORS
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")
ROW = BAR_HEIGHT + PANEL_WH[1] + GAP
ORIENTATION_TAG = 0x0112
Run = Callable[..., tuple[int, str, str]]
Scene = tuple[Annotations, dict[ImageId, Path]]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Two photos of two people each, who stand so near that their keypoints can be swapped."""
    rng = np.random.default_rng(0)
    images: list[dict[str, object]] = []
    people: list[dict[str, object]] = []
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((400, 500, 3), 90 * number, np.uint8))
        images.append({"id": number, "file_name": f"{number}.png"})
        body = rng.uniform([0, 0], [90, 240], (17, 2))
        for shift in (80, 200):
            low = [float(shift), 80.0]
            triples = np.column_stack([body + low, np.full(17, 2)]).ravel().tolist()
            row = {"image_id": number, "category_id": 1, "keypoints": triples, "bbox": [*low, 130, 240]}
            people.append({**row, "id": len(people), "area": 20_000.0})
    category = {"id": 1, "name": "person", "keypoints": list(COCO.keypoint_names)}
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"images": images, "annotations": people, "categories": [category]}))
    return path, tmp_path


@pytest.fixture
def scene(files: tuple[Path, Path]) -> Scene:
    truth = read_annotations(files[0])
    return truth, find_photos(truth, files[1])


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the contents of a JSON file."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_every_error_has_a_panel_with_a_box_of_its_colour(scene: Scene) -> None:
    picture = draw_examples(*scene, "paper", figure="errors")
    assert picture.shape == (ROW + BAR_HEIGHT, 4 * PANEL_WH[0] + 3 * 4, 3)
    for number, error in enumerate(ERRORS):
        left = number * (PANEL_WH[0] + 4)
        panel = picture[BAR_HEIGHT : BAR_HEIGHT + PANEL_WH[1], left : left + PANEL_WH[0]].reshape(-1, 3)
        there = [(panel == MARKS[other].colour).all(axis=-1).sum() > 50 for other in ERRORS]
        assert there == [other == error for other in ERRORS]


@pytest.mark.parametrize(("figure", "rows"), [("errors", 1), ("poses", 2), ("both", 3)])
def test_the_figures_are_drawn_alone_or_together(scene: Scene, figure: Figure, rows: int) -> None:
    picture = draw_examples(*scene, "paper", people=4, figure=figure)
    assert picture.shape[0] == rows * ROW + BAR_HEIGHT


def test_the_seed_decides(scene: Scene) -> None:
    first, again, other = (draw_examples(*scene, "paper", people=2, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_letters_colours_and_shapes_of_errors_all_differ() -> None:
    marks = [MARKS[error] for error in ERRORS]
    for values in (
        [mark.letter for mark in marks],
        [mark.colour for mark in marks],
        [mark.turns for mark in marks],
    ):
        assert len(set(values)) == len(ERRORS)


def test_faults_are_named(scene: Scene) -> None:
    with pytest.raises(InputError, match="seed: expected 0 or more, got -1"):
        draw_examples(*scene, "paper", seed=-1)
    with pytest.raises(InputError, match="people: expected 1 or more"):
        draw_examples(*scene, "paper", people=0)
    with pytest.raises(InputError, match="figure: expected one of both, errors, poses, got 'all'"):
        draw_examples(*scene, "paper", figure="all")  # type: ignore[arg-type]


@pytest.mark.parametrize("exif", ["apply", "ignore"])
def test_a_turned_photo_is_drawn_as_its_coordinates_are(scene: Scene, tmp_path: Path, exif: Exif) -> None:
    truth, photos = scene
    noise = np.random.default_rng(1).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    orientation = Image.Exif()
    orientation[ORIENTATION_TAG] = 6
    turned: dict[ImageId, Path] = {}
    for image_id in photos:
        turned[image_id] = tmp_path / f"turned{image_id}.png"
        Image.fromarray(noise).save(turned[image_id], exif=orientation)
        Image.fromarray(decode_image(turned[image_id], exif=exif)).save(photos[image_id])
    expected = draw_examples(truth, photos, "paper", people=1, figure="poses")
    assert np.array_equal(
        draw_examples(truth, turned, "paper", people=1, figure="poses", exif=exif), expected
    )


def test_the_command_takes_how_photos_are_turned(run: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    truth, images = files
    noise = np.random.default_rng(1).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    orientation = Image.Exif()
    orientation[ORIENTATION_TAG] = 6
    for number in (1, 2):
        Image.fromarray(noise).save(images / f"{number}.png", exif=orientation)
    pictures = []
    for exif in ("apply", "ignore"):
        target = tmp_path / f"{exif}.png"
        assert run("synthesize", truth, "--images", images, "--exif", exif, "-o", target)[0] == 0
        pictures.append(decode_image(target))
    assert not np.array_equal(pictures[0], pictures[1])


@pytest.mark.parametrize("name", ["1.png", "sub/2.png", "truth.json"])
def test_no_input_is_replaced(run: Run, files: tuple[Path, Path], name: str) -> None:
    truth, images = files
    (images / "sub").mkdir()
    (images / "2.png").rename(images / "sub" / "2.png")
    rewritten(truth, lambda content: content["images"][1].update(file_name="sub/2.png"))
    before = (images / name).read_bytes()
    code, out, err = run("synthesize", truth, "--images", images, "-o", images / name)
    assert (code, out, err.count("\n")) == (2, "", 1)
    # Of a name that is no picture's the ending is told.
    assert ("another file than those that are read" if name.endswith(".png") else "picture: expected") in err
    assert (images / name).read_bytes() == before


def test_a_new_picture_may_lie_among_the_photos(run: Run, files: tuple[Path, Path]) -> None:
    truth, images = files
    assert run("synthesize", truth, "--images", images, "-o", images / "new.png")[0] == 0


def test_one_of_several_categories_is_chosen(run: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    truth, images = files
    dog = {"id": 2, "name": "dog", "keypoints": ["nose", "left_ear", "right_ear"]}
    animal = {"id": 9, "image_id": 1, "category_id": 2, "keypoints": [9, 9, 2] * 3, "bbox": [5, 5, 9, 9]}

    def add_a_dog(content: dict[str, Any]) -> None:
        content["categories"].append(dog)
        content["annotations"].append({**animal, "area": 90.0})

    rewritten(truth, add_a_dog)
    options = ("synthesize", truth, "--images", images, "-o", tmp_path / "picture.png")
    code, _, err = run(*options)
    assert code == 2 and "choose a category (--category 'person')" in err
    code, out, err = run(*options, "--category", "person")
    assert (code, err) == (0, "")
    told = f"{truth}: annotations of other categories, left as they are: 1 (dog 1)"
    assert out.splitlines() == [told, f"picture: {tmp_path / 'picture.png'}"]


def test_a_layout_gives_sigmas_to_keypoints_of_ones_own(
    run: Run, files: tuple[Path, Path], tmp_path: Path
) -> None:
    truth, images = files
    names = [f"kp_{number}" for number in range(17)]
    rewritten(truth, lambda content: content["categories"][0].update(keypoints=names))
    options = ("synthesize", truth, "--images", images, "-o", tmp_path / "picture.png")
    code, _, err = run(*options)
    assert code == 2 and "give them a sigma in a skeleton file" in err
    layout = tmp_path / "mine.json"
    keypoints = [{"name": name, "sigma": 0.05} for name in names]
    pairs = [[names[first], names[first + 1]] for first in range(1, 17, 2)]
    layout.write_text(json.dumps({"name": "mine", "keypoints": keypoints, "flip_pairs": pairs, "limbs": []}))
    assert run(*options, "--annotations-layout", layout)[::2] == (0, "")
