"""The refinement network (paper section 5): photo and input pose in, heatmap logits out.

The input pose is rendered inside the network, so an exported graph takes coordinates. A convolution over a
concatenation is the sum of two convolutions; hence the paper's concatenation of photo and heatmaps is a first
convolution widened by K input channels, and entering at a later stride is the same sum taken there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor, nn

from posefix.decoding import DecoderName
from posefix.errors import InputError
from posefix.nn.backbones import Backbone
from posefix.nn.heatmaps import render_gaussians
from posefix.skeletons import Skeleton

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
OUTPUT_LAYER_STD = 0.01


@dataclass(frozen=True)
class ModelConfig:
    """Everything that decides the network's shape; the defaults are the paper's ResNet-50 at 256x192.

    Attributes:
        backbone: A timm model's name.
        backbone_stride: Stride of the deepest feature map used; 32 is the whole network, 16 leaves out its last stage.
        input_size_wh: Crop width and height in pixels.
        sigma: Standard deviation of the input Gaussians in crop pixels.
        pose_stride: Where the input heatmaps enter: 1 joins them to the photo as in the paper, 2 or 4 adds them to the
            backbone's first features of that stride, which costs less.
        pose_input: Whether the network sees the input pose at all; without it this is IntegralPose (Sun et al. 2018),
            the control that tells what the photo alone gives on the same boxes.
        deconvolution_channels: Channels of each upsampling layer.
        lateral: Add backbone features of the same stride to the upsampled ones.
        decoder: How coordinates are read off the heatmaps, see `posefix.decoding`.
    """

    backbone: str = "resnet50"
    backbone_stride: int = 32
    input_size_wh: tuple[int, int] = (192, 256)
    sigma: float = 7.0
    pose_stride: int = 1
    pose_input: bool = True
    deconvolution_channels: tuple[int, ...] = (256, 256, 256)
    lateral: bool = False
    decoder: DecoderName = "soft_argmax"

    def __post_init__(self) -> None:
        if self.backbone_stride < 1 or any(
            type(side) is not int or side <= 0 or side % self.backbone_stride for side in self.input_size_wh
        ):
            raise InputError(
                f"input_size_wh must be multiples of the backbone's stride {self.backbone_stride}, "
                f"got {self.input_size_wh}"
            )
        if self.heatmap_stride < 1:
            raise InputError(
                f"deconvolution_channels: {len(self.deconvolution_channels)} layers are more than a stride of "
                f"{self.backbone_stride} can be undone by"
            )
        if self.pose_stride not in (1, 2, 4):
            raise InputError(f"pose_stride must be 1, 2 or 4, got {self.pose_stride}")
        if self.sigma <= 0:
            raise InputError(f"sigma must be above 0, got {self.sigma}")
        if self.decoder not in get_args(DecoderName):
            raise InputError(
                f"decoder must be one of {', '.join(get_args(DecoderName))}, got {self.decoder!r}"
            )

    @property
    def heatmap_stride(self) -> int:
        """Input pixels per cell of the output heatmaps."""
        return self.backbone_stride >> len(self.deconvolution_channels)


class RefinementNetwork(nn.Module):
    """Backbone, deconvolutions (Xiao et al. 2018), heatmap logits.

    Args:
        config: Shape of the network.
        skeleton: Names the K keypoints.
        pretrained: Load timm's ImageNet weights for the backbone.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: ModelConfig, skeleton: Skeleton, *, pretrained: bool = False) -> None:
        super().__init__()
        self.config = config
        self.num_keypoints = len(skeleton)
        self.register_buffer("mean", 255 * torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self.backbone = Backbone(
            config.backbone,
            stride=config.backbone_stride,
            pose_channels=self.num_keypoints,
            pose_stride=config.pose_stride,
            pretrained=pretrained,
        )
        self.head = DeconvolutionHead(
            self.backbone.channels,
            config.backbone_stride,
            config.deconvolution_channels,
            lateral=config.lateral,
        )
        self.output = nn.Conv2d(config.deconvolution_channels[-1], self.num_keypoints, 1)
        nn.init.kaiming_normal_(self.output.weight)
        assert self.output.bias is not None
        nn.init.zeros_(self.output.bias)

    def forward(self, image: Tensor, keypoints: Tensor, weights: Tensor) -> Tensor:
        """Heatmap logits (B, K, h, w) of a batch of poses.

        Args:
            image: (B, H, W, 3) RGB in 0..255, uint8 or float.
            keypoints: (B, K, 2) input pose in crop pixels.
            weights: (B, K) heights of the input Gaussians, 0 for an absent keypoint.
        """
        # (B, H, W, 3) permuted is a channels-last tensor already: no copy.
        pixels = (image.permute(0, 3, 1, 2).float() - self.mean) / self.std
        width, height = self.config.input_size_wh
        stride = self.config.pose_stride
        if not self.config.pose_input:
            weights = torch.zeros_like(weights)
        pose = render_gaussians(
            keypoints, weights, (width // stride, height // stride), stride, self.config.sigma
        )
        features = self.backbone(pixels, pose)
        logits: Tensor = self.output(self.head(features))
        return logits


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
            nn.init.normal_(layer.weight, std=OUTPUT_LAYER_STD)
            self.upsample.append(nn.Sequential(layer, nn.BatchNorm2d(width)))
            if lateral:
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
