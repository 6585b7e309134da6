"""The trunk of MoveNet, a network that knows people (Google; MobileNetV2 with a feature pyramid and CenterNet heads).

Batch normalisation is folded into the convolutions, as in the graph that Google published; the names of the weights are
those of a safetensors file of it. Only what features are made of is here: the trunk, the pyramid, the keypoints'
heatmaps.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = {"movenet_thunder": 1.75, "movenet_lightning": 1.0}
"""Networks by name, and how much wider than MobileNetV2 they are."""

MOBILENET_V2 = (32, 16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320)
"""Channels of the first convolution and of the blocks (Sandler et al. 2018, table 2)."""
STRIDES = (1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1)
EXPANSION = 6
LAST_CHANNELS = 1280
LATERAL_CHANNELS, PYRAMID_CHANNELS, HEAD_CHANNELS = (64, 64, 32, 24), (32, 24, 24), 96
KEYPOINTS = 17
PYRAMID_BLOCKS = (9, 5, 2)
"""Blocks whose features join the pyramid, of strides 16, 8 and 4."""
PIXEL_SCALE = 0.00784301757812
"""1 / 127.5 as the graph stores it, in half precision: pixels of 0..255 come to -1..1."""
LOGIT_SCALE = 0.2
"""Heatmap logits reach -25; this brings them to the size of the other features."""


def rounded_channels(channels: int, width: float) -> int:
    """Channels of a wider MobileNetV2: multiples of 8, not below nine tenths of the exact number."""
    exact = channels * width
    rounded = max(8, int(exact + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * exact else rounded


class SameConvolution(nn.Conv2d):
    """A convolution that pads as TensorFlow's "SAME" does where sides are even: of stride 2, right and bottom only."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        if self.kernel_size[0] == 3:
            features = functional.pad(features, (1, 1, 1, 1) if self.stride[0] == 1 else (0, 1, 0, 1))
        return functional.conv2d(features, self.weight, self.bias, self.stride, 0, 1, self.groups)


class InvertedResidual(nn.Module):
    """A block of MobileNetV2: wider, depthwise, narrower; beside an identity where shapes allow it."""

    def __init__(self, before: int, after: int, stride: int, *, expands: bool) -> None:
        super().__init__()
        inner = before * EXPANSION if expands else before
        self.expand = SameConvolution(before, inner, 1) if expands else None
        self.depthwise = SameConvolution(inner, inner, 3, stride, groups=inner)
        self.project = SameConvolution(inner, after, 1)
        self.is_residual = stride == 1 and before == after

    def forward(self, features: Tensor) -> Tensor:
        """(B, before, H, W) -> (B, after, H / stride, W / stride)."""
        wide = features if self.expand is None else functional.relu6(self.expand(features))
        narrow: Tensor = self.project(functional.relu6(self.depthwise(wide)))
        return features + narrow if self.is_residual else narrow


class Separable(nn.Module):
    """A depthwise convolution and a pointwise one, with ReLU."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.depthwise = SameConvolution(before, before, 3, groups=before, bias=False)
        self.pointwise = SameConvolution(before, after, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, before, H, W) -> (B, after, H, W)."""
        return functional.relu(self.pointwise(self.depthwise(features)))


class MoveNetTrunk(nn.Module):
    """Features of strides 4, 8 and 16 of a photo.

    Args:
        name: One of `WIDTHS`.

    Attributes:
        channels: Stride -> channels of the features: those of the trunk and of the pyramid, at stride 4 the heatmap
            logits of 17 keypoints, too.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        widths = [rounded_channels(channels, WIDTHS[name]) for channels in MOBILENET_V2]
        self.stem = SameConvolution(3, widths[0], 3, 2)
        self.blocks = nn.ModuleList(
            InvertedResidual(before, after, stride, expands=number > 0)
            for number, (before, after, stride) in enumerate(
                zip(widths[:-1], widths[1:], STRIDES, strict=True)
            )
        )
        self.last = SameConvolution(widths[-1], LAST_CHANNELS, 1)
        sources = (LAST_CHANNELS, *(widths[block + 1] for block in PYRAMID_BLOCKS))
        self.lateral = nn.ModuleList(map(_pointwise, sources, LATERAL_CHANNELS))
        self.fpn = nn.ModuleList(map(Separable, LATERAL_CHANNELS[1:], PYRAMID_CHANNELS))
        finest = PYRAMID_CHANNELS[-1]
        heatmap = nn.Sequential(
            Separable(finest, HEAD_CHANNELS), SameConvolution(HEAD_CHANNELS, KEYPOINTS, 1)
        )
        self.heads = nn.ModuleDict({"heatmap": heatmap})
        coarse, middle, fine = PYRAMID_CHANNELS
        self.channels = {4: widths[3] + fine + KEYPOINTS, 8: widths[6] + middle, 16: widths[13] + coarse}

    def forward(self, image: Tensor) -> dict[int, Tensor]:
        """Features (B, C, H / stride, W / stride) by stride.

        Args:
            image: (B, H, W, 3) RGB in 0..255; sides are multiples of 32.
        """
        found = self._blocks(functional.relu6(self.stem(image.permute(0, 3, 1, 2).float() * PIXEL_SCALE - 1)))
        deepest = self.lateral[0](functional.relu6(self.last(found[16])))
        pyramid = []
        for lateral, smooth, block in zip(self.lateral[1:], self.fpn, PYRAMID_BLOCKS, strict=True):
            finer = functional.interpolate(deepest, scale_factor=2.0, mode="bilinear", align_corners=False)
            deepest = smooth(finer + lateral(found[block]))
            pyramid.append(deepest)
        coarse, middle, fine = pyramid
        heatmaps = LOGIT_SCALE * self.heads["heatmap"](fine)
        return {
            4: torch.cat([found[2], fine, heatmaps], dim=1),
            8: torch.cat([found[5], middle], dim=1),
            16: torch.cat([found[12], coarse], dim=1),
        }

    def _blocks(self, features: Tensor) -> list[Tensor]:
        found = []
        for block in self.blocks:
            features = block(features)
            found.append(features)
        return found


def _pointwise(before: int, after: int) -> SameConvolution:
    return SameConvolution(before, after, 1)
