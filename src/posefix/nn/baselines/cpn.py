"""CPN, the cascaded pyramid network (Chen et al., CVPR 2018), a pose network of two stages.

GlobalNet (their section 3.2.1) is a ResNet with a feature pyramid and a heatmap head on each level; RefineNet (3.2.2)
takes all levels together and learns from the keypoints that are hardest for it. What the text leaves open is as in the
authors' code (chenyilun95/tf-cpn), except:

* The 1x1 convolution of each step down the pyramid comes before the bilinear upsampling, not after it. Both are linear
  and the weights of the interpolation sum to one, so the function is the same at a quarter of the work.
* Each coarser level's targets are wider. The code hands them out in reverse, by mistake as its comment says.
* Heatmaps are 1 high, not 255.
* GlobalNet learns all labelled keypoints, and nothing about unlabelled ones; in the code, unlabelled keypoints and
  those that are labelled but hidden have empty targets in this stage.

Size with ResNet-50 at 256x192 and COCO's 17 keypoints, in multiply-adds of 2^30:

=========  ============  =========  ==============  =========
           parameters    published  multiply-adds   published
=========  ============  =========  ==============  =========
GlobalNet  25.1 M        about 25   4.44 (4.77e9)   3.9
RefineNet  27.0 M        27.0       6.15 (6.61e9)   6.2
=========  ============  =========  ==============  =========

How the published multiply-adds were counted is not said. GlobalNet's differ by its head (.30) and by the strides of
timm's ResNet (.21), which like those of the authors' code are in the 3x3 convolutions and not, as in the ResNet of
2015, in the 1x1 before them: without both there are 3.93. With the strides of 2015 RefineNet has 5.94.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from posefix.errors import InputError
from posefix.nn.backbones import Backbone
from posefix.nn.heatmaps import render_gaussians
from posefix.nn.losses import GAUSSIAN_LOSS_UNIT, gaussian_error, inside_crop
from posefix.nn.model import ModelConfig, PoseNetwork
from posefix.skeletons import Skeleton

TARGET_SIZES = (0.7, 0.85, 1.0, 1.3)
"""Standard deviations of the targets, finest level first, in units of `ModelConfig.target_sigma`: with its default 1.4
to 2.6 cells, what OpenCV makes of the code's kernels of 7, 9, 11 and 15 cells."""
HARD_SHARE = 8 / 17
"""RefineNet learns from the 8 worst of COCO's 17 keypoints of each person, and from the same share of any other
number."""
OUTPUT_STD = 0.001
"""Standard deviation of the first weights that heatmaps are made by: small, so that the first heatmaps are empty."""


class GlobalNet(PoseNetwork):
    """The first stage: feature pyramid and a heatmap head on each level.

    The pyramid goes from the backbone's stride up to the stride of the heatmaps; its width is that of
    `ModelConfig.deconvolution_channels`, which must be equal (256 in the paper).

    Args:
        config: Shape of the network.
        skeleton: Names the K keypoints.
        pretrained: Load timm's ImageNet weights for the backbone.

    Raises:
        InputError: The configuration asks for a pyramid that cannot be.
    """

    def __init__(self, config: ModelConfig, skeleton: Skeleton, *, pretrained: bool = False) -> None:
        super().__init__(config, skeleton)
        self.width = _pyramid_width(config)
        self.backbone = Backbone(
            config.backbone, stride=config.backbone_stride, pose_channels=0, pretrained=pretrained
        )
        steps = range(len(config.deconvolution_channels) + 1)
        self.strides = tuple(config.heatmap_stride << step for step in steps)
        self.pyramid = Pyramid([self._backbone_channels(stride) for stride in self.strides], self.width)
        self.heads = nn.ModuleList(_heatmap_head(self.width, self.num_keypoints) for _ in self.strides)

    def _backbone_channels(self, stride: int) -> int:
        channels = self.backbone.channels
        if stride not in channels:
            raise InputError(
                f"backbone {self.config.backbone!r} has feature maps of strides {sorted(channels)}, and the pyramid "
                f"needs {stride}; choose another backbone or fewer deconvolution_channels"
            )
        return channels[stride]

    def forward(self, image: Tensor, keypoints: Tensor, weights: Tensor) -> Tensor:
        """Gaussian heatmaps (B, K, h, w) of the finest level, see `PoseNetwork`."""
        finest: Tensor = self.heads[0](self._levels(image)[0])
        return finest

    def losses(
        self, image: Tensor, keypoints: Tensor, weights: Tensor, targets: Tensor, labelled: Tensor
    ) -> dict[str, Tensor]:
        """Squared difference to the Gaussian targets, the mean over the levels, see `PoseNetwork`."""
        return {"total": self._level_loss(self._levels(image), targets, labelled)}

    def _levels(self, image: Tensor) -> list[Tensor]:
        """Pyramid levels (B, width, h, w), (B, width, h / 2, w / 2) ..., the finest first."""
        features = self.backbone(self.normalized(image))
        levels: list[Tensor] = self.pyramid([features[stride] for stride in self.strides])
        return levels

    def _level_loss(self, levels: Iterable[Tensor], targets: Tensor, labelled: Tensor) -> Tensor:
        """All levels' heatmaps are enlarged to the finest before they are compared."""
        config = self.config
        errors = []
        for step, (level, head) in enumerate(zip(levels, self.heads, strict=True)):
            heatmaps = _enlarge(head(level), 1 << step)
            inside = inside_crop(targets, labelled, heatmaps, config.heatmap_stride)
            sigma = TARGET_SIZES[step] * config.target_sigma
            errors.append(
                gaussian_error(heatmaps, targets, inside, config.heatmap_stride, sigma, config.loss_average)
            )
        return GAUSSIAN_LOSS_UNIT * torch.stack(errors).mean()


class RefineNet(GlobalNet):
    """Both stages: GlobalNet's levels through the more bottlenecks the coarser they are, then joined.

    Args:
        config: Shape of the network.
        skeleton: Names the K keypoints.
        pretrained: Load timm's ImageNet weights for the backbone.

    Raises:
        InputError: The configuration asks for a pyramid that cannot be.
    """

    def __init__(self, config: ModelConfig, skeleton: Skeleton, *, pretrained: bool = False) -> None:
        super().__init__(config, skeleton, pretrained=pretrained)
        width = self.width
        self.branches = nn.ModuleList(
            nn.Sequential(*(Bottleneck(width, width) for _ in range(step)))
            for step in range(len(self.strides))
        )
        self.join = Bottleneck(width * len(self.strides), width)
        self.output = _output_layer(width, self.num_keypoints)

    def forward(self, image: Tensor, keypoints: Tensor, weights: Tensor) -> Tensor:
        """Gaussian heatmaps (B, K, h, w) of the second stage, see `PoseNetwork`."""
        return self._refined(self._levels(image))

    def losses(
        self, image: Tensor, keypoints: Tensor, weights: Tensor, targets: Tensor, labelled: Tensor
    ) -> dict[str, Tensor]:
        """GlobalNet's loss (``global``), the hardest keypoints' of the second stage (``refine``), and their sum.

        The second stage's is over a fixed share of all keypoints, whatever `ModelConfig.loss_average`.
        """
        levels = self._levels(image)
        first = self._level_loss(levels, targets, labelled)
        sigma = TARGET_SIZES[0] * self.config.target_sigma
        second = GAUSSIAN_LOSS_UNIT * hard_keypoint_error(
            self._refined(levels), targets, labelled, self.config.heatmap_stride, sigma
        )
        return {"total": first + second, "global": first, "refine": second}

    def _refined(self, levels: list[Tensor]) -> Tensor:
        branches = [branch(level) for branch, level in zip(self.branches, levels, strict=True)]
        enlarged = [_enlarge(branch, 1 << step) for step, branch in enumerate(branches)]
        heatmaps: Tensor = self.output(self.join(torch.cat(enlarged, dim=1)))
        return heatmaps


class Pyramid(nn.Module):
    """Feature maps of one width on every level: each the backbone's, projected, plus the next coarser one, enlarged.

    Args:
        channels: Of the backbone's feature maps, the finest first; each level is half as large as the one before.
        width: Channels of the pyramid.
    """

    def __init__(self, channels: list[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(_convolution(count, width, 1) for count in channels)
        self.down = nn.ModuleList(_xavier(nn.Conv2d(width, width, 1)) for _ in channels[1:])

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Feature maps (B, C, h, w), the finest first -> as many of (B, width, h, w)."""
        levels = [self.lateral[-1](features[-1])]
        for step in reversed(range(len(self.down))):
            coarser = _enlarge(self.down[step](levels[0]), 2)
            levels.insert(0, self.lateral[step](features[step]) + coarser)
        return levels


class Bottleneck(nn.Module):
    """A residual unit (He et al. 2016) that is half as wide inside; its shortcut is projected if the width changes.

    Args:
        before: Channels that enter.
        width: Channels that leave.
    """

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        inner = width // 2
        self.residual = nn.Sequential(
            _convolution(before, inner, 1),
            _convolution(inner, inner, 3),
            nn.Conv2d(inner, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.shortcut: nn.Module = nn.Identity()
        if before != width:
            self.shortcut = nn.Sequential(nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, features: Tensor) -> Tensor:
        """(B, before, h, w) -> (B, width, h, w)."""
        return torch.relu(self.residual(features) + self.shortcut(features))


def hard_keypoint_error(
    heatmaps: Tensor, target_pixels: Tensor, labelled: Tensor, stride: int, sigma: float
) -> Tensor:
    """Online hard keypoint mining (section 3.2.2 there): the error of each person's worst keypoints alone.

    Args:
        heatmaps: (B, K, height, width).
        target_pixels: (B, K, 2) true places in input pixels; those outside the crop count as right.
        labelled: (B, K) bool; unlabelled keypoints count as right.
        stride: Input pixels per cell.
        sigma: Of the Gaussian targets, in cells.

    Returns:
        Scalar: mean squared difference over cells, people and the share `HARD_SHARE` of the K keypoints.
    """
    height, width = heatmaps.shape[2:]
    ones = torch.ones_like(target_pixels[..., 0])
    wanted = render_gaussians(target_pixels, ones, (width, height), stride, sigma * stride)
    error = ((heatmaps.float() - wanted) ** 2).mean(dim=(2, 3))
    error = torch.where(inside_crop(target_pixels, labelled, heatmaps, stride), error, 0.0)
    count = max(round(HARD_SHARE * heatmaps.shape[1]), 1)
    return error.topk(count, dim=1).values.mean()


def _pyramid_width(config: ModelConfig) -> int:
    widths = config.deconvolution_channels
    if len(set(widths)) != 1 or len(widths) >= len(TARGET_SIZES):
        raise InputError(
            f"architecture {config.architecture!r}: deconvolution_channels are the pyramid's, one to "
            f"{len(TARGET_SIZES) - 1} equal numbers such as [256, 256, 256], got {list(widths)}"
        )
    return widths[0]


def _convolution(before: int, width: int, size: int) -> nn.Sequential:
    """Convolution of odd size, batch norm, ReLU; as large as before."""
    layer = _xavier(nn.Conv2d(before, width, size, padding=size // 2, bias=False))
    return nn.Sequential(layer, nn.BatchNorm2d(width), nn.ReLU())


def _xavier(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.xavier_uniform_(layer.weight)
    return layer


def _heatmap_head(width: int, keypoints: int) -> nn.Sequential:
    return nn.Sequential(_convolution(width, width, 1), _output_layer(width, keypoints))


def _output_layer(width: int, keypoints: int) -> nn.Conv2d:
    layer = nn.Conv2d(width, keypoints, 3, padding=1)
    nn.init.normal_(layer.weight, std=OUTPUT_STD)
    return layer


def _enlarge(features: Tensor, factor: int) -> Tensor:
    """Bilinear upsampling between cell centres."""
    if factor == 1:
        return features
    return functional.interpolate(features, scale_factor=factor, mode="bilinear", align_corners=False)
