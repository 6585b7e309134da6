"""Heads on a backbone: from its feature maps to those that heatmaps are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from posefix.errors import InputError

UPSAMPLING_STD = 0.01


class DeconvolutionHead(nn.Module):
    """Upsampling layers of Xiao et al. 2018: 4x4 deconvolutions of stride 2 with batch norm and ReLU.

    Args:
        channels: Stride -> channels of the backbone's feature maps.
        stride: Stride of the feature map that enters.
        widths: Channels of each layer.
        lateral: Add 1x1-projected backbone features of the same stride before the ReLU.
    """

    def __init__(
        self, channels: dict[int, int], stride: int, widths: tuple[int, ...], *, lateral: bool
    ) -> None:
        super().__init__()
        self.stride = stride
        self.upsample = nn.ModuleList()
        self.project = nn.ModuleList()
        before = channels[stride]
        for width in widths:
            stride //= 2
            layer = nn.ConvTranspose2d(before, width, 4, stride=2, padding=1, bias=False)
            nn.init.normal_(layer.weight, std=UPSAMPLING_STD)
            self.upsample.append(nn.Sequential(layer, nn.BatchNorm2d(width)))
            if lateral:
                if stride not in channels:
                    raise InputError(
                        f"deconvolution_channels: {len(widths)} layers are too many for lateral: the backbone has no "
                        f"features of stride {stride}"
                    )
                self.project.append(nn.Conv2d(channels[stride], width, 1))
            before = width

    def forward(self, features: dict[int, Tensor]) -> Tensor:
        """Feature maps by stride -> (B, widths[-1], h, w) of the finest stride."""
        stride = self.stride
        out = features[stride]
        for level, upsample in enumerate(self.upsample):
            stride //= 2
            out = upsample(out)
            if self.project:
                out = out + self.project[level](features[stride])
            out = torch.relu(out)
        return out
