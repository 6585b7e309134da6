"""From a recipe to the people it trains on: estimates by set, consensus labels, held-out photos."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("timm")

from posefix.errors import InputError
from posefix.people import PersonRecords
from posefix.skeletons import load_skeleton
from posefix.training.config import TrainConfig, load_recipe
from posefix.training.recipe_people import load_records, load_sets

BOTH = {"annotations": '["train.json", "train.json"]', "images": '["images", "images"]'}


def config_of(recipe: Path, settings: dict[str, str]) -> TrainConfig:
    """The recipe with settings of its data; every estimator has the recipe's layout."""
    overrides = {f"data.{name}": value for name, value in settings.items()}
    count = settings.get("estimates", "").count(".json")
    overrides["data.estimate_layouts"] = json.dumps([load_recipe(recipe).skeleton] * count)
    return load_recipe(recipe, overrides)


def records_of(recipe: Path, **settings: str) -> PersonRecords:
    config = config_of(recipe, settings)
    return load_records(config, load_skeleton(config.skeleton))


def sets_of(recipe: Path, *, held: bool, **settings: str) -> list[PersonRecords]:
    config = config_of(recipe, settings)
    return load_sets(config, load_skeleton(config.skeleton), held=held)


def test_estimates_belong_to_the_first_set_unless_said_otherwise(recipe: Path) -> None:
    given = records_of(recipe, **BOTH, estimates='["results.json"]')
    assert given.estimated.any(axis=(1, 2)).tolist() == [True] * 12 + [False] * 12


def test_estimates_go_to_the_set_they_name(recipe: Path) -> None:
    given = records_of(recipe, **BOTH, estimates='["results.json"]', estimate_sets="[1]")
    assert given.estimated.any(axis=(1, 2)).tolist() == [False] * 12 + [True] * 12
    # The made results are the truth with x 3 pixels larger.
    off = given.estimates[12:, 0] - given.keypoints[12:]
    np.testing.assert_allclose(off, np.broadcast_to([3, 0], off.shape), atol=1e-4)


def test_estimates_may_name_their_photos(recipe: Path, made_data: Path) -> None:
    images = json.loads((made_data / "train.json").read_text())["images"]
    names = {image["id"]: image["file_name"] for image in images}
    rows = json.loads((made_data / "results.json").read_text())
    named = [{**row, "image_id": names[row["image_id"]]} for row in rows]
    (recipe.parent / "named.json").write_text(json.dumps(named))
    given = records_of(recipe, estimates=json.dumps(["results.json", str(recipe.parent / "named.json")]))
    assert given.estimated.any(axis=2).all()
    np.testing.assert_array_equal(given.estimates[:, 0], given.estimates[:, 1])


def test_each_set_has_its_own_estimators(recipe: Path) -> None:
    files = '["results.json", "results.json", "results.json"]'
    given = records_of(recipe, **BOTH, estimates=files, estimate_sets="[1, 0, 1]")
    assert given.estimated.any(axis=2).tolist() == [[True, False]] * 12 + [[True, True]] * 12


@pytest.fixture
def blind(made_data: Path, tmp_path: Path) -> dict[str, str]:
    """Settings of data in which nobody labelled the left eyes, and two estimators that agree on them."""
    document = json.loads((made_data / "train.json").read_text())
    for row in document["annotations"]:
        row["keypoints"][3:6] = [0, 0, 0]
    path = tmp_path / "blind.json"
    path.write_text(json.dumps(document))
    return {"annotations": json.dumps([str(path)]), "estimates": '["results.json", "results.json"]'}


def test_consensus_labels_come_only_where_asked_for(recipe: Path, blind: dict[str, str]) -> None:
    left_eye = load_skeleton(load_recipe(recipe).skeleton).index("left_eye")
    assert not records_of(recipe, **blind).labelled[:, left_eye].any()
    given = records_of(recipe, **blind, consensus_labels="true")
    assert given.labelled.all()
    truth = records_of(recipe).keypoints[:, left_eye]
    np.testing.assert_allclose(given.keypoints[:, left_eye], truth + np.array([3, 0]), atol=1e-4)
    alone = blind | {"estimates": '["results.json"]'}
    assert not records_of(recipe, **alone, consensus_labels="true").labelled[:, left_eye].any()


def test_held_out_people_have_their_own_labels_only(recipe: Path, blind: dict[str, str]) -> None:
    """What estimators agreed on would say that these very estimators are right."""
    left_eye = load_skeleton(load_recipe(recipe).skeleton).index("left_eye")
    (held,) = sets_of(recipe, held=True, **blind, consensus_labels="true", held_out="[0.5]")
    assert not held.labelled[:, left_eye].any()
    assert held.estimated.any(axis=2).all()


def test_held_out_photos_are_the_others(recipe: Path) -> None:
    (trained,), (held,) = (sets_of(recipe, held_out="[0.5]", held=held) for held in (False, True))
    assert len(trained) + len(held) == len(records_of(recipe)) == 12
    assert 0 < len(held) < 12
    assert not {path.name for path in trained.images} & {path.name for path in held.images}
    for part in (trained, held):
        # Two people a photo stay two people a photo, each the other's neighbour.
        assert part.neighbours[:, 0].tolist() == [row ^ 1 for row in range(len(part))]
        assert all(part.images[row] == part.images[row ^ 1] for row in range(len(part)))


def test_each_set_has_its_own_share(recipe: Path) -> None:
    first, second = sets_of(recipe, **BOTH, held_out="[0, 1]", held=True)
    assert (len(first), len(second)) == (0, 12)
    trained = records_of(recipe, **BOTH, estimates='["results.json"]', held_out="[1, 0]", estimate_sets="[1]")
    assert len(trained) == 12
    assert trained.estimated.any(axis=(1, 2)).all()


def test_repeats_repeat_what_is_left(recipe: Path) -> None:
    once = records_of(recipe, **BOTH, held_out="[0.5, 0.5]")
    often = records_of(recipe, **BOTH, held_out="[0.5, 0.5]", repeats="[1, 3]")
    assert len(often) == 2 * len(once)
    half = len(once) // 2
    np.testing.assert_array_equal(often.neighbours[-half:] - len(often), once.neighbours[-half:] - len(once))


@pytest.mark.parametrize(
    ("shares", "held", "message"),
    [("[1, 1]", False, "left to train on"), ("[0, 0]", True, "held out"), ("[]", True, "held out")],
)
def test_shares_that_leave_nobody_are_refused(recipe: Path, shares: str, held: bool, message: str) -> None:
    with pytest.raises(InputError, match=rf"data.held_out is \[.*: no photo is {message}"):
        sets_of(recipe, **BOTH, held_out=shares, held=held)


def test_distances_may_be_those_of_the_boxes_but_not_for_who_calibrates(recipe: Path) -> None:
    settings = {"data.held_out": "[0.3]"}
    plain = load_recipe(recipe, settings)
    boxed = load_recipe(recipe, {**settings, "synthesis.person_area": "box"})
    skeleton = load_skeleton(plain.skeleton)
    annotated, by_box = (load_sets(config, skeleton)[0] for config in (plain, boxed))
    assert (annotated.area == 3000).all()
    size = np.ptp(by_box.keypoints, axis=1).prod(axis=1)  # the boxes are tight around the keypoints
    np.testing.assert_allclose(by_box.area, size, rtol=1e-5)
    assert (load_sets(boxed, skeleton, held=True)[0].area == 3000).all()
