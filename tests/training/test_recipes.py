"""Every packaged recipe: its network in full size, and two steps of its training on made photos."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from posefix.nn.architectures import build_network  # noqa: E402
from posefix.pose_errors.profile import load_error_profile  # noqa: E402
from posefix.skeletons import load_skeleton  # noqa: E402
from posefix.training.ad_hoc_synthesis import synthesize_ad_hoc  # noqa: E402
from posefix.training.config import CropAround, load_recipe, recipe_names  # noqa: E402
from posefix.training.datasets import InputSource, WrongPoseDataset  # noqa: E402
from posefix.training.recipe_people import load_records  # noqa: E402
from posefix.training.run import train  # noqa: E402


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_s_network_can_be_built(name: str) -> None:
    config = load_recipe(name)
    skeleton = load_skeleton(config.skeleton)
    with torch.device("meta"):
        network = build_network(config.model, skeleton).eval()
    width, height = config.model.input_size_wh
    inputs = (
        torch.zeros(1, height, width, 3),
        torch.zeros(1, len(skeleton), 2),
        torch.zeros(1, len(skeleton)),
    )
    heatmaps = network(*(value.to("meta") for value in inputs))
    assert heatmaps.shape == (1, len(skeleton), height // 4, width // 4)


@pytest.mark.parametrize("name", recipe_names())
def test_a_dry_run_of_every_recipe(name: str, made_data: Path, tmp_path: Path) -> None:
    """Two steps with everything but the data, a small network and small crops as the recipe says."""
    config = load_recipe(name)
    stride, channels = config.model.backbone_stride, config.model.deconvolution_channels
    model = dataclasses.replace(
        config.model,
        backbone="resnet18",
        input_size_wh=(2 * stride, 2 * stride),
        deconvolution_channels=(16,) * len(channels),
    )
    data = dataclasses.replace(
        type(config.data)(),
        root=str(made_data),
        annotations=("train.json",),
        images=("images",),
        error_profile=config.data.error_profile,
        crop_around=config.data.crop_around,
        ad_hoc_synthesis=config.data.ad_hoc_synthesis,
    )
    run = dataclasses.replace(
        config,
        model=model,
        data=data,
        optimiser=dataclasses.replace(config.optimiser, batch_size=6, epochs=1),
        backbone_weights="none",
        initial_weights="",
        workers=0,
    )
    steps: list[float] = []
    train(run, tmp_path / "run", device="cpu", on_step=lambda epoch, done, of, loss: steps.append(loss))
    assert len(steps) == 2
    assert json.loads((tmp_path / "run" / "model.json").read_text())["network"]["backbone"] == "resnet18"


def test_crops_lie_around_what_the_recipe_says(recipe: Path) -> None:
    """Around the true pose or its box, its middle is that of the crop, whatever the wrong pose."""
    config = load_recipe(recipe)
    skeleton = load_skeleton(config.skeleton)
    records = load_records(config, skeleton)
    plain = dataclasses.replace(config.augmentation, scale=0.0, rotation_rate=0.0)
    wild = dataclasses.replace(config.synthesis, severity=2.0)
    off = {}
    for around in get_args(CropAround):
        source = InputSource(load_error_profile(), wild, crop_around=around)
        dataset = WrongPoseDataset(records, skeleton, source, plain, input_size_wh=(48, 64), seed=0)
        targets = dataset[(0, 0, *range(12))].targets
        middle = (targets.amin(dim=1) + targets.amax(dim=1)) / 2
        off[around] = float((middle - torch.tensor([23.5, 31.5])).norm(dim=-1).max())
    # The made boxes are drawn tightly around the keypoints.
    assert off["truth"] < 0.01 and off["box"] < 0.01 and off["input"] > 1


def test_a_limit_takes_about_so_many_people(recipe: Path) -> None:
    config = load_recipe(recipe, {"data.limit": "6"})
    assert 4 <= len(load_records(config, load_skeleton(config.skeleton))) <= 8


def test_a_drop_factor_of_its_own() -> None:
    from posefix.training.loop import learning_rate

    optimiser = load_recipe("coco-cpn-refine-resnet50-256x192").optimiser
    assert [learning_rate(optimiser, epoch, 1) for epoch in (23, 24, 48)] == [5e-4, 2.5e-4, 1.25e-4]


def test_ad_hoc_poses_take_the_place_of_synthesised_ones(recipe: Path) -> None:
    config = load_recipe(recipe)
    skeleton = load_skeleton(config.skeleton)
    records = load_records(config, skeleton)
    generator = np.random.default_rng([0, 0, 0])
    wrong = synthesize_ad_hoc(records.people(np.arange(12)), skeleton, generator)
    source = InputSource(load_error_profile(), config.synthesis, ad_hoc=True)
    plain = dataclasses.replace(config.augmentation, flip_rate=0.0)
    dataset = WrongPoseDataset(records, skeleton, source, plain, input_size_wh=(48, 64), seed=0)
    assert torch.equal(dataset[(0, 0, *range(12))].weights, torch.from_numpy(wrong.present).float())
