"""E2E-refine (paper section 7.2, table 1): a pose network with a refinement network behind it, trained as one.

The refinement network sees the pose network's own output only, never a synthesised pose; that is what the paper holds
against it.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from posefix.nn.heatmaps import soft_argmax
from posefix.nn.losses import integral_loss
from posefix.nn.model import ModelConfig, PoseNetwork, RefinementNetwork
from posefix.skeletons import Skeleton


class EndToEndNetwork(PoseNetwork):
    """IntegralPose, whose soft-argmax is the input pose of our refinement network; gradients flow through it.

    Both parts have the shape of the configuration and a backbone each.

    Args:
        config: Shape of both networks.
        skeleton: Names the K keypoints.
        pretrained: Load timm's ImageNet weights for both backbones.
    """

    def __init__(self, config: ModelConfig, skeleton: Skeleton, *, pretrained: bool = False) -> None:
        super().__init__(config, skeleton)
        part = dataclasses.replace(config, architecture="refinement")
        self.pose_network = RefinementNetwork(part, skeleton, pretrained=pretrained)
        second = dataclasses.replace(part, pose_input=True)
        self.refinement = RefinementNetwork(second, skeleton, pretrained=pretrained)

    def forward(self, image: Tensor, keypoints: Tensor, weights: Tensor) -> Tensor:
        """Heatmap logits of the refinement network, see `PoseNetwork`."""
        return self._both(image, keypoints, weights)[1]

    def losses(
        self, image: Tensor, keypoints: Tensor, weights: Tensor, targets: Tensor, labelled: Tensor
    ) -> dict[str, Tensor]:
        """The integral loss of both parts, and their sum."""
        config = self.config
        first, second = (
            integral_loss(logits, targets, labelled, config.heatmap_stride, config.weighting)["total"]
            for logits in self._both(image, keypoints, weights)
        )
        return {"total": first + second, "pose": first, "refinement": second}

    def _both(self, image: Tensor, keypoints: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Heatmap logits (B, K, h, w) of the pose network and of the refinement network."""
        first = self.pose_network(image, keypoints, weights)
        places = soft_argmax(first, self.config.heatmap_stride)
        return first, self.refinement(image, places, torch.ones_like(weights))
