"""Pictures of synthesised poses: a panel for each error, marks that are told apart."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from posefix.errors import InputError
from posefix.pictures.drawing import BAR_HEIGHT
from posefix.pictures.synthesised import GAP, MARKS, PANEL_WH, Figure, draw_examples
from posefix.pose_errors.taxonomy import ERRORS
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")
ROW = BAR_HEIGHT + PANEL_WH[1] + GAP


@pytest.fixture
def scene(tmp_path: Path) -> tuple[Path, Path]:
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


def test_every_error_has_a_panel_with_a_box_of_its_colour(scene: tuple[Path, Path]) -> None:
    picture = draw_examples(*scene, "paper", figure="errors")
    assert picture.shape == (ROW + BAR_HEIGHT, 4 * PANEL_WH[0] + 3 * 4, 3)
    for number, error in enumerate(ERRORS):
        left = number * (PANEL_WH[0] + 4)
        panel = picture[BAR_HEIGHT : BAR_HEIGHT + PANEL_WH[1], left : left + PANEL_WH[0]].reshape(-1, 3)
        there = [(panel == MARKS[other].colour).all(axis=-1).sum() > 50 for other in ERRORS]
        assert there == [other == error for other in ERRORS]


@pytest.mark.parametrize(("figure", "rows"), [("errors", 1), ("poses", 2), ("both", 3)])
def test_the_figures_are_drawn_alone_or_together(scene: tuple[Path, Path], figure: Figure, rows: int) -> None:
    picture = draw_examples(*scene, "paper", people=4, figure=figure)
    assert picture.shape[0] == rows * ROW + BAR_HEIGHT


def test_the_seed_decides(scene: tuple[Path, Path]) -> None:
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


def test_faults_are_named(scene: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match="seed: expected 0 or more, got -1"):
        draw_examples(*scene, "paper", seed=-1)
    with pytest.raises(InputError, match="people: expected 1 or more"):
        draw_examples(*scene, "paper", people=0)
    with pytest.raises(InputError, match="figure: expected one of both, errors, poses, got 'all'"):
        draw_examples(*scene, "paper", figure="all")  # type: ignore[arg-type]
