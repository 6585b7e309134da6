"""Recipes: read, overridden, refused."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from posefix.errors import InputError  # noqa: E402
from posefix.nn.model import RefinementNetwork  # noqa: E402
from posefix.pose_errors.profile import load_error_profile  # noqa: E402
from posefix.skeletons import load_skeleton  # noqa: E402
from posefix.training.config import load_recipe, recipe_names, with_defaults  # noqa: E402
from posefix.training.run import initial_network  # noqa: E402
from posefix.training.validation import load_validation  # noqa: E402


@pytest.mark.parametrize("name", recipe_names())
def test_packaged_recipes_are_complete(name: str) -> None:
    config = load_recipe(name)
    assert config.name == name
    assert len(config.data.annotations) > 0
    assert not Path(config.data.root).is_absolute()
    load_skeleton(config.skeleton)
    load_error_profile(config.data.error_profile)
    for results, layout in zip(config.data.estimates, config.data.estimate_layouts, strict=True):
        assert results.endswith(f".{layout}.json")
        load_skeleton(layout)


def test_large_has_at_most_28_million_parameters() -> None:
    config = load_recipe("large")
    network = RefinementNetwork(config.model, load_skeleton(config.skeleton), pretrained=False)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert 20e6 < parameters <= 28e6
    width, height = config.model.input_size_wh
    with torch.no_grad():
        logits = network.eval()(torch.zeros(1, height, width, 3), torch.zeros(1, 19, 2), torch.zeros(1, 19))
    assert logits.shape == (1, 19, height // 4, width // 4)


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


def test_the_options_of_the_training_data_are_off_unless_asked_for() -> None:
    config = load_recipe("coco-resnet50-256x192")
    data, augmentation = config.data, config.augmentation
    assert not (data.estimates or data.estimate_sets or data.consensus_labels or data.held_out)
    assert augmentation.half_body_rate == augmentation.crowding_rate == 0


def test_estimates_belong_to_the_set_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(ESTIMATES + "estimate_sets = [1]\nheld_out = [1, 0.25]")
    data = load_recipe(path).data
    assert list(data.estimate_sets) == [1]
    assert list(data.held_out) == [1, 0.25]


ESTIMATES = """
name = 'x'
[data]
annotations = ['a', 'b']
images = ['a', 'b']
estimates = ['c']
estimate_layouts = ['coco17']
"""


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
        ("name = 'x'\n[optimiser]\ndrop_factor = 0", "drop_factor must be above 0 and at most 1"),
        (
            "name = 'x'\n[data]\ncrop_around = 'pose'",
            "data.crop_around must be one of input, truth, box, got 'pose'",
        ),
        ("name = 'x'\n[data]\nlimit = -1", "limit must be at least 0"),
        ("name = 'x'\n[model]\narchitecture = 'refine_net'", "'refine_net' takes no input pose"),
        ("name = 'x'\nworkers = -1", "workers must be at least 0"),
        ("name = 'x'\n[data]\nvalidate_every = 0", "validate_every must be at least 1"),
        ("name = 'x'\n[data]\nrepeats = [-1]", "repeats must be whole numbers from 1"),
        ("name = 'x'\n[data]\nannotations = [3]", "annotations must be texts"),
        (
            "name = 'x'\n[model]\nbackbone_stride = 0",
            "backbone_stride must be a whole number from 1 to 4096, got 0",
        ),
        ("name = 'x'\n[model]\ninput_size_wh = ['a', 'b']", "input_size_wh must be two multiples"),
        ("name = 'x'\n[model]\ninput_size_wh = [192]", r"input_size_wh must be two multiples .*got \(192,\)"),
        ("name = 'x'\n[model]\ndeconvolution_channels = []", "deconvolution_channels must be whole numbers"),
        ("name = 'x'\n[model]\ndeconvolution_channels = [8, 0]", "deconvolution_channels must be whole"),
        ("name = 'x'\n[optimiser]\ndrops = ['a']", r"drops must be whole numbers of epochs, got \('a',\)"),
        ("name = 'ä'", "recipe.toml: expected text in UTF-8, got other bytes"),
        ("name = 'x'\n[model]\ndeconvolution_channels = [8, 8, 8, 8, 8, 8]", "6 layers are more than"),
        (ESTIMATES + "held_out = [0, 1.5]", r"held_out must be shares from 0 to 1, got \(0, 1.5\)"),
        (ESTIMATES + "held_out = [0, nan]", "held_out: 1: expected a finite number, got nan"),
        (ESTIMATES + "held_out = [0, -1]", "held_out must be shares from 0 to 1"),
        (ESTIMATES + "held_out = [0, true]", "held_out must be shares from 0 to 1"),
        (ESTIMATES + "held_out = [0, 'all']", "held_out must be shares from 0 to 1"),
        (
            ESTIMATES + "held_out = [0.1]",
            "data.annotations and data.held_out must be of one length, got 2 and 1",
        ),
        ("name = 'x'\n[data]\nestimate_rate = 2", "estimate_rate must be from 0 to 1, got 2.0"),
        ("name = 'x'\n[data]\nconsensus_labels = 1", "consensus_labels must be of type bool"),
        ("name = 'x'\n[augmentation]\ncrowding_rate = 7", "crowding_rate must be from 0 to 1, got 7.0"),
        ("name = 'x'\n[augmentation]\ncolour = 1.5", "colour must be from 0 to 1, got 1.5"),
        ("name = 'x'\n[augmentation]\nscale = 1.0", "scale must be at least 0 and below 1, got 1.0"),
        ("name = 'x'\n[augmentation]\nshift = -0.1", "shift must be at least 0, got -0.1"),
        ("name = 'x'\n[augmentation]\nstretch = -1", "stretch must be at least 0, got -1.0"),
        (
            "name = 'x'\n[augmentation]\nrotation_degrees = -5",
            "rotation_degrees must be at least 0, got -5.0",
        ),
        (ESTIMATES + "estimate_sets = [2]", r"estimate_sets must be numbers of annotation .*got \(2,\)"),
        (ESTIMATES + "estimate_sets = [-1]", r"estimate_sets must be numbers of annotation files from 0"),
        (ESTIMATES + "estimate_sets = ['b']", r"estimate_sets must be numbers of annotation files from 0"),
        (ESTIMATES + "estimate_sets = [true]", r"estimate_sets must be numbers of annotation files from 0"),
        (ESTIMATES + "estimate_sets = [0, 1]", "data.estimates and data.estimate_sets must be of one length"),
        ("name = 'x'\n[data]\nannotations = ['a']", "data.annotations and data.images must be of one length"),
    ],
)
def test_faulty_recipes_say_what_is_wrong(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=message) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_an_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"neither a file nor one of .*small"):
        load_recipe("smal")


def test_results_to_validate_on_need_true_poses() -> None:
    results = {"data.validation_results": "['poses.json']", "data.validation_layouts": "['coco17']"}
    config = load_recipe("coco-resnet50-256x192", {**results, "data.validation_annotations": ""})
    with pytest.raises(InputError, match=r"coco-resnet50-256x192: data.validation_annotations is empty"):
        load_validation(config, load_skeleton("coco17"))


def test_a_trunk_without_its_weights_is_not_trained_on() -> None:
    config = load_recipe("small", {"backbone_weights": "", "model.backbone": "movenet_lightning"})
    with pytest.raises(
        InputError, match=r"small: backbone_weights is empty, .*'movenet_lightning'.* or 'none'"
    ):
        initial_network(config, load_skeleton(config.skeleton))


def test_a_setting_below_another_is_refused() -> None:
    with pytest.raises(InputError, match="'name' holds no others"):
        load_recipe("small", {"name.x": "1"})


def test_settings_that_an_older_version_did_not_have_are_at_their_defaults() -> None:
    saved = {"name": "old", "model": {"backbone": "resnet18"}, "data": {"root": "there"}}
    filled = with_defaults(saved)
    assert (filled["name"], filled["data"]["root"]) == ("old", "there")
    assert (filled["model"]["backbone"], filled["model"]["loss"]) == ("resnet18", "integral")
    assert filled["data"]["crop_around"] == "input"
