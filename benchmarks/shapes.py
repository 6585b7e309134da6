"""What the shape of the fusion network is worth: one thing changed at a time, all else equal.

    python -m benchmarks.shapes [--data DIR] [--shards DIR] [--only NAME ...] [--epochs N] [--people N] [--images N]
        [--output DIR]

Networks are trained as the recipe beside this file says: the packaged model `small`, on the people that people
labelled, for one epoch; then with another trunk, input, width, depth, place where the pose enters, or resolution of
the heatmaps, without the pose, and with another seed: smaller differences than that one say nothing. They refine the
results of all estimators on photos that nothing was trained on, uncalibrated, with one look and every keypoint moved,
so that only the network differs. Beside the mean gains in AP stands what a network costs: multiply-adds of trunk and
fusing part for a crop.

`python -m tools.convert_efficientnet_lite` makes the weights of EfficientNet-Lite2.

With --shards people are cut out of their photos once, in the size of the largest input, for all networks; a folder in
which that was done is used as it is. What was trained or measured is not trained or measured again.
Keeps benchmarks/results/shapes.json and writes the table into docs/training.md, beside what an earlier run kept of
other networks, after each; a run with --people does neither.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from benchmarks.documents import markdown
from benchmarks.environment import EVERYDAY
from benchmarks.variants import Comparison, Measured, Settings, options, summary
from torch.utils.flop_counter import FlopCounterMode

from posefix import load_skeleton
from posefix.nn.architectures import build_network
from posefix.nn.fusion import FusionNetwork
from posefix.training.config import DataConfig, TrainConfig, load_recipe
from posefix.training.prepared import prepare

RECIPE = Path(__file__).parent / "shapes.toml"
LARGEST = {"model.input_size_wh": "[256, 352]", "model.sigma": "8.7"}
"""Each input's Gaussians cover the same share of it."""
SHAPES: dict[str, Settings] = {
    "as in the recipe": {},
    "another seed": {"seed": "8"},
    "trunk ResNet-18": {
        "model.backbone": "resnet18",
        "backbone_weights": "backbones/resnet18_imagenet_to_layer3.safetensors",
    },
    "trunk MobileNetV2": {
        "model.backbone": "mobilenetv2_100",
        "backbone_weights": "backbones/mobilenet_v2_imagenet.safetensors",
    },
    "trunk EfficientNet-Lite2": {
        "model.backbone": "tf_efficientnet_lite2",
        "backbone_weights": "backbones/tf_efficientnet_lite2.safetensors",
    },
    "input 128x192": {"model.input_size_wh": "[128, 192]", "model.sigma": "4.6"},
    "input 192x256": {"model.input_size_wh": "[192, 256]", "model.sigma": "6.4"},
    "input 256x256": {"model.input_size_wh": "[256, 256]", "model.sigma": "7.4"},
    "input 256x352": LARGEST,
    "half as wide": {"model.fusion_channels": "[32, 48, 64]", "model.deconvolution_channels": "[32, 32]"},
    "half again as wide": {
        "model.fusion_channels": "[96, 144, 192]",
        "model.deconvolution_channels": "[96, 96]",
    },
    "no residual blocks": {"model.fusion_blocks": "[0, 0]"},
    "twice the residual blocks": {"model.fusion_blocks": "[2, 4]"},
    "pose at stride 16": {"model.fusion_pose_strides": "[16]"},
    "pose at strides 4, 8 and 16": {"model.fusion_pose_strides": "[4, 8, 16]"},
    "no pose": {"model.pose_input": "false"},
    "heatmaps of stride 8": {"model.deconvolution_channels": "[64]"},
}


def multiply_adds(config: TrainConfig) -> dict[str, float]:
    """What a network takes: multiply-adds of trunk and fusing part, for one crop and one pose in it."""
    skeleton = load_skeleton(config.skeleton)
    width, height = config.model.input_size_wh
    with torch.device("meta"):
        network = build_network(config.model, skeleton).eval()
        pose = torch.zeros(1, len(skeleton), 2), torch.zeros(1, len(skeleton))
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.zeros(1, height, width, 3), *pose)
    trunk = sum(counter.get_flop_counts()[f"{FusionNetwork.__name__}.trunk"].values())
    # An operation there is a multiplication or an addition.
    return {
        "trunk_multiply_adds": trunk / 2,
        "fusing_multiply_adds": (counter.get_total_flops() - trunk) / 2,
    }


def table(results: Mapping[str, Measured], met: set[str]) -> str:
    """Gains and costs of each network."""
    means = {name: summary(measured.gains, met) for name, measured in results.items()}
    heads = [f"gain in AP, {column}" for column in next(iter(means.values()))]
    rows = [
        [
            name,
            *(f"{100 * gain:+.1f}" for gain in means[name].values()),
            *(f"{measured.others[f'{part}_multiply_adds'] / 1e9:.2f}" for part in ("trunk", "fusing")),
        ]
        for name, measured in results.items()
    ]
    costs = ["G multiply-adds, trunk", "G multiply-adds, fusing part"]
    return markdown(["network", *heads, *costs], rows)


COMPARISON = Comparison(
    "shapes", RECIPE, SHAPES, table, lambda config, folder: multiply_adds(config), looks=1
)


def photos(data: DataConfig) -> dict[str, str]:
    """The setting that finds a recipe's everyday photos where they were gathered."""
    return {
        "data.images": json.dumps([name.replace("everyday-photos", str(EVERYDAY)) for name in data.images])
    }


def where(arguments: argparse.Namespace) -> dict[str, str]:
    """Settings that say where the people are; with --shards, cut out of their photos."""
    settings = photos(load_recipe(RECIPE).data)
    if arguments.shards is None:
        return settings
    root = {"data.root": json.dumps(str(arguments.data))}
    done = prepare(load_recipe(RECIPE, {**root, **settings, **LARGEST}), arguments.shards)
    print(f"shards: {arguments.shards}: {done.people} people of {done.photos} photos", flush=True)
    return {**settings, "data.shards": json.dumps(str(arguments.shards.resolve()))}


def main() -> None:
    """Train, measure, print, keep."""
    parser = options(__doc__, COMPARISON, epochs=1, images=60)
    parser.add_argument("--shards", type=Path, help="a folder for people cut out of their photos")
    arguments = parser.parse_args()
    COMPARISON.run(arguments, where(arguments))


if __name__ == "__main__":
    main()
