"""What every network is, and the refinement network (paper section 5): photo and input pose in, heatmaps out.

The input pose is rendered inside the network, so an exported graph takes coordinates. A convolution over a
concatenation is the sum of two convolutions; hence the paper's concatenation of photo and heatmaps is a first
convolution widened by K input channels, and entering at a later stride is the same sum taken there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from posefix.errors import InputError, quoted
from posefix.network.decoding import DecoderName
from posefix.network.models import LARGEST_SIDE
from posefix.nn.backbones import Backbone
from posefix.nn.heads import DeconvolutionHead
from posefix.nn.heatmaps import render_gaussians, render_one_hot
from posefix.nn.losses import LossAverage, LossName, Weighting, heatmap_losses
from posefix.skeletons import Skeleton

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

GAUSSIAN_OUTPUT_STD = 0.001
"""First weights of an output that learns Gaussians (Xiao et al. 2018): empty heatmaps, as nearly all of theirs are."""

MOST_CHANNELS = 4096
MOST_BLOCKS = 64
LARGEST_NUMBER = 1e9

Architecture = Literal["refinement", "fusion", "end_to_end", "global_net", "refine_net", "pose_refiner"]
POSE_NETWORKS: tuple[Architecture, ...] = ("end_to_end", "global_net", "refine_net")
"""Architectures that find the pose in the photo alone."""
InputForm = Literal["gaussian", "one_hot"]


@dataclass(frozen=True)
class ModelConfig:
    """Everything that decides the network's shape; the defaults are the paper's ResNet-50 at 256x192.

    The pipelines of the paper's figure 6 are settings of the refinement network: C2F the defaults, F2F one-hot input,
    C2F-LC and C2F-LH one of the two losses, C2C Gaussian targets. Simple (Xiao et al. 2018) is C2C without the input
    pose, IntegralPose (Sun et al. 2018) is C2F without it.

    Attributes:
        architecture: "refinement" is the paper's; "fusion" stands on a trunk that stays as it is
            (`posefix.nn.fusion`); "end_to_end" is a pose network with a refinement network behind it
            (`posefix.nn.end_to_end`), "global_net" and "refine_net" are CPN's stages (`posefix.nn.baselines.cpn`),
            "pose_refiner" is Fieraru et al.'s (`posefix.nn.baselines.pose_refiner`).
        backbone: A timm model's name; of a fusion network also a trunk's of `posefix.nn.movenet`.
        backbone_stride: Stride of the deepest feature map used; 32 is the whole network, 16 leaves out its last stage.
        input_size_wh: Crop width and height in pixels.
        sigma: Standard deviation of the input Gaussians in crop pixels.
        input_height: Of the input Gaussians, or cells, beside a photo of unit deviation. The paper's code has Gaussians
            255 high beside photos of 0 to 255, which is 4.4 here.
        input_form: Whether an input keypoint is a Gaussian, which is coarse, or a single cell, which is fine
            (paper section 5.2).
        pose_stride: Where the input heatmaps enter: 1 joins them to the photo as in the paper, 2 or 4 adds them to the
            backbone's first features of that stride, which costs less.
        pose_input: Whether the network sees the input pose at all; without it, it is a pose network, and a control
            that tells what the photo alone gives on the same boxes.
        deconvolution_channels: Channels of each upsampling layer.
        fusion_channels: Of a fusion network, channels at strides 4, 8 and 16.
        fusion_blocks: Of a fusion network, residual blocks at strides 8 and 16.
        fusion_pose_strides: Of a fusion network, those of the strides 4, 8 and 16 at which the pose enters; at 8 and 16
            its Gaussians of stride 4 are averaged.
        lateral: Add backbone features of the same stride to the upsampled ones.
        loss: What the refinement network learns by, see `posefix.nn.losses`; the baselines have losses of their own.
        coordinate_weight: Of the coordinate loss beside the heatmap loss, in the integral loss: 1 takes the sum of x
            and y, as the paper's equation 5, .5 their mean, as its code.
        loss_average: Losses are means over the "labelled" keypoints, as in equations 4 and 5 with N of these, or over
            "all", unlabelled ones costing nothing, as in the paper's code: people with few labels count less. The
            second stage of "refine_net" averages over a fixed share of all in either case.
        target_sigma: Standard deviation of Gaussian targets in cells of the heatmap; Xiao et al.'s is 2.
        decoder: How coordinates are read off the heatmaps, see `posefix.network.decoding`.
    """

    architecture: Architecture = "refinement"
    backbone: str = "resnet50"
    backbone_stride: int = 32
    input_size_wh: tuple[int, int] = (192, 256)
    sigma: float = 7.0
    input_height: float = 1.0
    input_form: InputForm = "gaussian"
    pose_stride: int = 1
    pose_input: bool = True
    deconvolution_channels: tuple[int, ...] = (256, 256, 256)
    fusion_channels: tuple[int, ...] = (96, 128, 192)
    fusion_blocks: tuple[int, ...] = (1, 2)
    fusion_pose_strides: tuple[int, ...] = (4,)
    lateral: bool = False
    loss: LossName = "integral"
    coordinate_weight: float = 1.0
    loss_average: LossAverage = "labelled"
    target_sigma: float = 2.0
    decoder: DecoderName = "soft_argmax"

    def __post_init__(self) -> None:
        self._check_sizes()
        self._check_values()
        if self.architecture == "fusion":
            self._check_fusion()
        self._check_pose_input()
        self._check_decoder()

    def _check_sizes(self) -> None:
        if type(self.backbone_stride) is not int or not 1 <= self.backbone_stride <= LARGEST_SIDE:
            raise InputError(
                f"backbone_stride must be a whole number from 1 to {LARGEST_SIDE}, got {quoted(self.backbone_stride)}"
            )
        sides: tuple[int, ...] = self.input_size_wh
        if len(sides) != 2 or not all(self._is_side(side) for side in sides):
            raise InputError(
                f"input_size_wh must be two multiples of the backbone's stride {self.backbone_stride} up to "
                f"{LARGEST_SIDE}, got {quoted(sides)}"
            )
        widths = self.deconvolution_channels
        if not widths or any(type(width) is not int or not 1 <= width <= MOST_CHANNELS for width in widths):
            raise InputError(
                f"deconvolution_channels must be whole numbers from 1 to {MOST_CHANNELS}, got {quoted(widths)}"
            )
        if self.heatmap_stride < 1:
            raise InputError(
                f"deconvolution_channels: {len(self.deconvolution_channels)} layers are more than a stride of "
                f"{self.backbone_stride} can be undone by"
            )

    def _check_values(self) -> None:
        if self.pose_stride not in (1, 2, 4):
            raise InputError(f"pose_stride must be 1, 2 or 4, got {self.pose_stride}")
        for name in ("sigma", "target_sigma", "input_height", "coordinate_weight"):
            number = getattr(self, name)
            if type(number) not in (int, float) or not 0 < number <= LARGEST_NUMBER:
                raise InputError(
                    f"{name} must be a number above 0 and at most {LARGEST_NUMBER:g}, got {quoted(number)}"
                )
        for name in ("pose_input", "lateral"):
            if type(getattr(self, name)) is not bool:
                raise InputError(f"{name} must be true or false, got {quoted(getattr(self, name))}")
        for name, choices in (
            ("architecture", Architecture),
            ("input_form", InputForm),
            ("loss", LossName),
            ("loss_average", LossAverage),
            ("decoder", DecoderName),
        ):
            if getattr(self, name) not in get_args(choices):
                raise InputError(
                    f"{name} must be one of {', '.join(get_args(choices))}, got {getattr(self, name)!r}"
                )

    def _is_side(self, side: object) -> bool:
        """Whether crops may be so many pixels wide or high."""
        return type(side) is int and 0 < side <= LARGEST_SIDE and side % self.backbone_stride == 0

    def _check_fusion(self) -> None:
        for name, count, least, most in (
            ("fusion_channels", 3, 1, MOST_CHANNELS),
            ("fusion_blocks", 2, 0, MOST_BLOCKS),
        ):
            numbers = getattr(self, name)
            if len(numbers) != count or any(
                type(number) is not int or not least <= number <= most for number in numbers
            ):
                raise InputError(
                    f"{name} must be {count} whole numbers from {least} to {most}, got {quoted(numbers)}"
                )
        entered = self.fusion_pose_strides
        if not entered or list(entered) != [stride for stride in (4, 8, 16) if stride in entered]:
            raise InputError(
                f"fusion_pose_strides must be one or more of 4, 8 and 16, the finest first, got {quoted(entered)}"
            )
        if self.backbone_stride != 16 or any(side % 32 for side in self.input_size_wh):
            raise InputError(
                "a fusion network takes backbone_stride = 16 and an input_size_wh of multiples of 32, got "
                f"{self.backbone_stride} and {self.input_size_wh}"
            )

    def _check_pose_input(self) -> None:
        if self.architecture in POSE_NETWORKS and self.pose_input:
            raise InputError(
                f"architecture {self.architecture!r} takes no input pose; set pose_input = false"
            )
        if self.architecture == "pose_refiner" and not self.pose_input:
            raise InputError("architecture 'pose_refiner' needs an input pose; set pose_input = true")

    def _check_decoder(self) -> None:
        """Gaussian heatmaps and logits are read in different ways; the wrong one gives wrong places silently."""
        if self.gaussian_heatmaps != (self.decoder == "gaussian_peak"):
            kind = "Gaussian heatmaps" if self.gaussian_heatmaps else "heatmap logits"
            fit = ["gaussian_peak"] if self.gaussian_heatmaps else ["soft_argmax", "expected_similarity"]
            raise InputError(
                f"decoder {self.decoder!r} cannot read the {kind} of architecture {self.architecture!r} with loss "
                f"{self.loss!r}; set decoder to {' or '.join(map(repr, fit))}"
            )

    @property
    def gaussian_heatmaps(self) -> bool:
        """Whether the heatmaps are Gaussians learned by regression, not logits of a spatial softmax."""
        if self.architecture in ("global_net", "refine_net"):
            return True
        return self.architecture in ("refinement", "fusion") and self.loss == "gaussian_mse"

    @property
    def shares_features(self) -> bool:
        """Whether the network takes several poses in one photo, whose features it makes once."""
        return self.architecture == "fusion"

    @property
    def weighting(self) -> Weighting:
        """How parts of the loss are added up."""
        return Weighting(self.coordinate_weight, self.loss_average)

    @property
    def heatmap_stride(self) -> int:
        """Input pixels per cell of the output heatmaps."""
        return self.backbone_stride >> len(self.deconvolution_channels)


class PoseNetwork(nn.Module, ABC):
    """What the training loop, checkpoints, export and the refiner know of a network.

    Args:
        config: Shape of the network.
        skeleton: Names the K keypoints.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: ModelConfig, skeleton: Skeleton) -> None:
        super().__init__()
        self.config = config
        self.num_keypoints = len(skeleton)
        self.register_buffer("mean", 255 * torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def normalized(self, image: Tensor) -> Tensor:
        """Photos (B, H, W, 3), RGB in 0..255, as a backbone takes them: (B, 3, H, W)."""
        # (B, H, W, 3) permuted is a channels-last tensor already: no copy.
        return (image.permute(0, 3, 1, 2).float() - self.mean) / self.std

    @abstractmethod
    def forward(self, image: Tensor, keypoints: Tensor, weights: Tensor) -> Tensor:
        """Heatmaps (B, K, h, w) of a batch of poses: logits of a spatial softmax, or Gaussians (`ModelConfig`).

        Args:
            image: (B, H, W, 3) RGB in 0..255, uint8 or float.
            keypoints: (B, K, 2) input pose in crop pixels; pose networks ignore it.
            weights: (B, K) heights of the input heatmaps, 0 for an absent keypoint; pose networks ignore them.
        """

    def losses(
        self, image: Tensor, keypoints: Tensor, weights: Tensor, targets: Tensor, labelled: Tensor
    ) -> dict[str, Tensor]:
        """The scalar ``total`` that training makes small, and its parts: the configured loss, if a network has no own.

        Args:
            image: (B, H, W, 3) RGB in 0..255, uint8 or float.
            keypoints: (B, K, 2) input pose in crop pixels.
            weights: (B, K) heights of the input heatmaps, 0 for an absent keypoint.
            targets: (B, K, 2) true places in crop pixels; those outside the crop get no loss.
            labelled: (B, K) bool.
        """
        config = self.config
        heatmaps = self(image, keypoints, weights)
        return heatmap_losses(
            heatmaps,
            targets,
            labelled,
            config.heatmap_stride,
            config.loss,
            config.target_sigma,
            config.weighting,
        )

    def rendered(self, keypoints: Tensor, weights: Tensor, stride: int) -> Tensor:
        """Poses as heatmaps (B, K, H / stride, W / stride) for the network to see, in the configured form.

        Args:
            keypoints: (B, K, 2) in crop pixels.
            weights: (B, K) heights, in units of the configured one.
            stride: Crop pixels per cell.
        """
        width, height = self.config.input_size_wh
        size_wh = width // stride, height // stride
        weights = weights * self.config.input_height
        if self.config.input_form == "one_hot":
            return render_one_hot(keypoints, weights, size_wh, stride)
        return render_gaussians(keypoints, weights, size_wh, stride, self.config.sigma)


def heatmap_layer(config: ModelConfig, num_keypoints: int) -> nn.Conv2d:
    """The last layer: from the last deconvolution's channels to a heatmap for each keypoint."""
    layer = nn.Conv2d(config.deconvolution_channels[-1], num_keypoints, 1)
    if config.gaussian_heatmaps:
        nn.init.normal_(layer.weight, std=GAUSSIAN_OUTPUT_STD)
    else:
        nn.init.kaiming_normal_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class RefinementNetwork(PoseNetwork):
    """Backbone, deconvolutions (Xiao et al. 2018), heatmaps.

    Args:
        config: Shape of the network.
        skeleton: Names the K keypoints.
        pretrained: Load timm's ImageNet weights for the backbone.
    """

    def __init__(self, config: ModelConfig, skeleton: Skeleton, *, pretrained: bool = False) -> None:
        super().__init__(config, skeleton)
        self.backbone = Backbone(
            config.backbone,
            stride=config.backbone_stride,
            pose_channels=self.num_keypoints if config.pose_input else 0,
            pose_stride=config.pose_stride,
            pretrained=pretrained,
        )
        self.head = DeconvolutionHead(
            self.backbone.channels,
            config.backbone_stride,
            config.deconvolution_channels,
            lateral=config.lateral,
        )
        self.output = heatmap_layer(config, self.num_keypoints)

    def forward(self, image: Tensor, keypoints: Tensor, weights: Tensor) -> Tensor:
        """Heatmaps of a batch, see `PoseNetwork`."""
        stride = self.config.pose_stride
        pose = self.rendered(keypoints, weights, stride) if self.config.pose_input else None
        features = self.backbone(self.normalized(image), pose)
        heatmaps: Tensor = self.output(self.head(features))
        return heatmaps

    def keypoint_axes(self) -> dict[str, int]:
        """Weights that have an axis of keypoints, at whose end these are, by name: the axis."""
        axes = {"output.weight": 0, "output.bias": 0}
        if self.config.pose_input:
            own = dict(self.named_parameters(remove_duplicate=False))
            axes |= {name: 1 for name, weight in own.items() if weight is self.backbone.pose_weight}
        return axes
