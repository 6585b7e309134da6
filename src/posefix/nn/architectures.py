"""From a configuration to its network."""

from __future__ import annotations

from typing import Protocol

from posefix.nn.baselines.cpn import GlobalNet, RefineNet
from posefix.nn.baselines.pose_refiner import PoseRefiner
from posefix.nn.end_to_end import EndToEndNetwork
from posefix.nn.fusion import FusionNetwork
from posefix.nn.model import Architecture, ModelConfig, PoseNetwork, RefinementNetwork
from posefix.skeletons import Skeleton


class Constructor(Protocol):
    """How every network is made."""

    def __call__(self, config: ModelConfig, skeleton: Skeleton, *, pretrained: bool = False) -> PoseNetwork:
        """See `build_network`."""


NETWORKS: dict[Architecture, Constructor] = {
    "refinement": RefinementNetwork,
    "fusion": FusionNetwork,
    "end_to_end": EndToEndNetwork,
    "global_net": GlobalNet,
    "refine_net": RefineNet,
    "pose_refiner": PoseRefiner,
}


def build_network(config: ModelConfig, skeleton: Skeleton, *, pretrained: bool = False) -> PoseNetwork:
    """The network of a configuration.

    Args:
        config: Its shape.
        skeleton: Names the K keypoints.
        pretrained: Load timm's ImageNet weights for its backbones.
    """
    return NETWORKS[config.architecture](config, skeleton, pretrained=pretrained)
