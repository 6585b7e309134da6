"""Recipes: read, overridden, refused."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("timm")

from posefix.errors import InputError
from posefix.training.config import load_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_packaged_recipes_are_complete(name: str) -> None:
    config = load_recipe(name)
    assert config.name == name
    assert len(config.data.annotations) > 0


def test_the_paper_s_settings() -> None:
    config = load_recipe("coco-resnet152-384x288")
    optimiser, augmentation = config.optimiser, config.augmentation
    assert (config.model.backbone, config.model.input_size_wh, config.model.sigma) == (
        "resnet152",
        (288, 384),
        9.0,
    )
    assert config.model.deconvolution_channels == (256, 256, 256)
    assert (optimiser.learning_rate, optimiser.batch_size, optimiser.epochs) == (5e-4, 128, 140)
    assert (optimiser.drops, optimiser.weight_decay) == ((90, 120), 1e-5)
    assert (augmentation.scale, augmentation.rotation_degrees, augmentation.flip_rate) == (0.3, 40.0, 0.5)


def test_overrides_reach_nested_settings() -> None:
    config = load_recipe(
        "small", {"optimiser.epochs": "3", "data.root": "elsewhere", "optimiser.average": "0"}
    )
    assert (config.optimiser.epochs, config.data.root, config.optimiser.average) == (3, "elsewhere", 0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 'x'\n[optimiser]\nepoch = 3", "unknown key 'epoch'; did you mean 'epochs'"),
        ("name = 'x'\n[optimiser]\nepochs = 'many'", "epochs must be of type int"),
        ("name = 'x'\nprecision = 'half'", "precision must be one of float32, bfloat16"),
        ("name = 'x'\nmodel = 3", "model must be a table"),
        ("skeleton = 'coco17'", "name"),
        ("name = ", "not a TOML file"),
        ("name = 'x'\n[optimiser]\nbatch_size = 0", "batch_size must be at least 1, got 0"),
        ("name = 'x'\n[optimiser]\naverage = 2", "average must be below 1"),
        ("name = 'x'\nworkers = -1", "workers must be at least 0"),
        ("name = 'x'\n[data]\nvalidate_every = 0", "validate_every must be at least 1"),
        ("name = 'x'\n[data]\nrepeats = [-1]", "repeats must be whole numbers from 1"),
        ("name = 'x'\n[data]\nannotations = [3]", "annotations must be texts"),
        ("name = 'x'\n[model]\nbackbone_stride = 0", "multiples of the backbone's stride 0"),
        ("name = 'x'\n[model]\ninput_size_wh = ['a', 'b']", "input_size_wh must be multiples"),
        ("name = 'x'\n[model]\ndeconvolution_channels = [8, 8, 8, 8, 8, 8]", "6 layers are more than"),
        ("name = 'x'\n[data]\nannotations = ['a']", "data.annotations and data.images must be of one length"),
    ],
)
def test_faulty_recipes_say_what_is_wrong(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_recipe(path)


def test_an_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"neither a file nor one of .*small"):
        load_recipe("smal")


def test_a_setting_below_another_is_refused() -> None:
    with pytest.raises(InputError, match="'name' holds no others"):
        load_recipe("small", {"name.x": "1"})
