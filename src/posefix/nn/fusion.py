"""The fusion network: a trunk that knows people sees the photo, a small trained part joins the pose to its features.

The trunk never sees the pose, so what it says of a crop serves every question that is asked of it: with the pose, with
the pose withheld, with another one. `features` and `fuse` are these two parts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from posefix.nn.heads import DeconvolutionHead
from posefix.nn.model import ModelConfig, PoseNetwork, heatmap_layer
from posefix.nn.trunks import TRUNK_STRIDES, FrozenTrunk, build_trunk
from posefix.skeletons import Skeleton


def convolution(before: int, after: int, size: int) -> nn.Sequential:
    """A convolution with batch normalisation and ReLU."""
    layer = nn.Conv2d(before, after, size, padding=size // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside an identity (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = convolution(channels, channels, 3)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return functional.relu(features + self.second(self.first(features)))


class FusingPart(nn.Module):
    """From a trunk's features and the pose's Gaussians to features that heatmaps are made of.

    Going down, each stride joins the trunk's features to what the finer one made of pose and photo; going up, the
    deconvolutions of `DeconvolutionHead` add what was joined on the way down.

    Args:
        channels: Stride -> channels of the trunk's features.
        num_keypoints: K channels of Gaussians; 0 for none.
        widths: Channels at strides 4, 8 and 16.
        blocks: Residual blocks at strides 8 and 16.
        head_widths: Channels of the deconvolutions.
        pose_strides: Of 4, 8 and 16, those at which the Gaussians enter.
    """

    def __init__(
        self,
        channels: dict[int, int],
        num_keypoints: int,
        widths: tuple[int, ...],
        blocks: tuple[int, ...],
        head_widths: tuple[int, ...],
        pose_strides: tuple[int, ...],
    ) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.pose_strides = pose_strides
        entering = {
            stride: before + (num_keypoints if stride in pose_strides else 0)
            for stride, before in channels.items()
        }
        self.join_4 = nn.Sequential(convolution(entering[4], fine, 1), convolution(fine, fine, 3))
        self.join_8 = self._stage(entering[8] + fine, middle, blocks[0])
        self.join_16 = self._stage(entering[16] + middle, coarse, blocks[1])
        self.head = DeconvolutionHead({4: fine, 8: middle, 16: coarse}, 16, head_widths, lateral=True)

    @property
    def joins(self) -> tuple[nn.Sequential, ...]:
        """What joins pose and photo, from the finest stride to the coarsest."""
        return self.join_4, self.join_8, self.join_16

    @staticmethod
    def _stage(before: int, after: int, blocks: int) -> nn.Sequential:
        return nn.Sequential(convolution(before, after, 1), *(ResidualBlock(after) for _ in range(blocks)))

    def forward(self, features: dict[int, Tensor], pose: Tensor | None) -> Tensor:
        """Features by stride and Gaussians (B, K, h, w) of stride 4 -> (B, head_widths[-1], ...) of the last layer."""
        fine = self.join_4(self._entering(features, pose, 4))
        middle = self.join_8(
            torch.cat([self._entering(features, pose, 8), functional.avg_pool2d(fine, 2)], dim=1)
        )
        coarse = self.join_16(
            torch.cat([self._entering(features, pose, 16), functional.avg_pool2d(middle, 2)], dim=1)
        )
        out: Tensor = self.head({4: fine, 8: middle, 16: coarse})
        return out

    def _entering(self, features: dict[int, Tensor], pose: Tensor | None, stride: int) -> Tensor:
        """The trunk's features of a stride, and the pose if it enters there."""
        own = features[stride]
        if pose is None or stride not in self.pose_strides:
            return own
        times = stride // TRUNK_STRIDES[0]
        pose = pose if times == 1 else functional.avg_pool2d(pose, times)
        return torch.cat([own, pose.to(own.dtype)], dim=1)


def _of_each_pose(features: dict[int, Tensor], count: int) -> dict[int, Tensor]:
    """Features of B photos, again and again for so many poses in them, see `FusionNetwork.fuse`."""
    # Not len(), by which an exported graph would be for so many only.
    photos = features[TRUNK_STRIDES[0]].shape[0]
    # An exported graph takes any number of poses; there this is always done, and the numbers must not be compared.
    if not torch.compiler.is_exporting() and count == photos:
        return features
    pose = torch.arange(count, device=features[TRUNK_STRIDES[0]].device)
    photo = torch.remainder(pose, torch.full_like(pose, photos))
    return {stride: values[photo] for stride, values in features.items()}


class FusionNetwork(PoseNetwork):
    """A frozen trunk and a fusing part.

    Args:
        config: Shape of the network.
        skeleton: Names the K keypoints.
        pretrained: Load timm's weights for the trunk, if it is timm's.
    """

    def __init__(self, config: ModelConfig, skeleton: Skeleton, *, pretrained: bool = False) -> None:
        super().__init__(config, skeleton)
        self.trunk = FrozenTrunk(build_trunk(config.backbone, pretrained=pretrained))
        self.fusing = FusingPart(
            self.trunk.channels,
            self.num_keypoints if config.pose_input else 0,
            config.fusion_channels,
            config.fusion_blocks,
            config.deconvolution_channels,
            config.fusion_pose_strides,
        )
        self.output = heatmap_layer(config, self.num_keypoints)

    def features(self, image: Tensor) -> dict[int, Tensor]:
        """What the trunk sees in photos (B, H, W, 3), RGB in 0..255: features by stride."""
        found: dict[int, Tensor] = self.trunk(image)
        return found

    def fuse(self, features: dict[int, Tensor], keypoints: Tensor, weights: Tensor) -> Tensor:
        """Heatmaps (N, K, h, w) of poses in photos whose features are known.

        Args:
            features: Of B photos.
            keypoints: (N, K, 2), N a multiple of B: B poses, one a photo, then B others, and so on.
            weights: (N, K).
        """
        takes_pose = self.config.pose_input
        pose = self.rendered(keypoints, weights, TRUNK_STRIDES[0]) if takes_pose else None
        features = _of_each_pose(features, keypoints.shape[0])
        heatmaps: Tensor = self.output(self.fusing(features, pose))
        return heatmaps

    def forward(self, image: Tensor, keypoints: Tensor, weights: Tensor) -> Tensor:
        """Heatmaps of a batch, see `PoseNetwork`; of several poses in each photo as in `fuse`."""
        return self.fuse(self.features(image), keypoints, weights)
