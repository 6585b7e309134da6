"""MobileNetV2's weights by torchvision's names, in timm's network."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("timm")

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from posefix.nn.backbones import Backbone, load_backbone_weights


class Block(nn.Module):
    """A block of MobileNetV2 as torchvision names its layers."""

    def __init__(self, before: int, after: int, stride: int, widening: int) -> None:
        super().__init__()
        inner = before * widening
        wide = [normalised(before, inner, 1)] if widening > 1 else []
        narrow = nn.Conv2d(inner, after, 1, bias=False), nn.BatchNorm2d(after)
        self.conv = nn.Sequential(*wide, normalised(inner, inner, 3, stride, inner), *narrow)
        self.is_residual = stride == 1 and before == after

    def forward(self, features: Tensor) -> Tensor:
        found: Tensor = self.conv(features)
        return features + found if self.is_residual else found


def normalised(before: int, after: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(before, after, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU6())


def test_mobilenet_v2_is_filled_from_torchvision_s_names(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layers: list[nn.Module] = [normalised(3, 32, 3, 2)]
    before = 32
    for widening, after, count, stride in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ):  # fmt: skip
        for number in range(count):
            layers.append(Block(before, after, 1 if number else stride, widening))
            before = after
    theirs = nn.Sequential(*layers, normalised(320, 1280, 1)).train()
    image = torch.randn(2, 3, 64, 96)
    theirs(image)  # gives the normalisation layers statistics of their own
    path = tmp_path / "mobilenet.safetensors"
    save_file({f"features.{key}": value for key, value in theirs.state_dict().items()}, path)
    backbone = Backbone("mobilenetv2_100", stride=16, pose_channels=0)
    load_backbone_weights(backbone, path)
    with torch.no_grad():
        found = backbone.eval()(image)
        expected, features = {}, image
        for number, layer in enumerate(theirs.eval()):
            features = layer(features)
            expected[number] = features
    for stride, block in {2: 1, 4: 3, 8: 6, 16: 13}.items():
        torch.testing.assert_close(found[stride], expected[block], rtol=1e-4, atol=1e-4)


def test_the_weights_of_imagenet_fill_mobilenet_v2(shared_data: Path) -> None:
    backbone = Backbone("mobilenetv2_100", stride=16, pose_channels=0)
    before = {key: value.clone() for key, value in backbone.body.state_dict().items()}
    load_backbone_weights(backbone, shared_data / "backbones" / "mobilenet_v2_imagenet.safetensors")
    after = backbone.body.state_dict()
    kept = [key for key, value in before.items() if torch.equal(value, after[key])]
    assert all(key.endswith("num_batches_tracked") for key in kept), kept
