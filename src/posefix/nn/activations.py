"""What a refinement network computes on its way from the input pose to the heatmaps (paper figure 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from posefix.errors import InputError
from posefix.nn.fusion import FusionNetwork
from posefix.nn.model import RefinementNetwork

Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Stage:
    """Feature maps of one person at one place of the network.

    Attributes:
        name: Of the place: the resolution, 1/8 say, of the backbone; "up 1/4" of an upsampling.
        maps: (C, h, w).
    """

    name: str
    maps: Float32Array


@dataclass(frozen=True)
class Activations:
    """What a network computed for one person.

    Attributes:
        pose: Input heatmaps, one for each keypoint; None without pose input.
        features: In feed-forward order: the backbone's, or those that the fusing part joins with the pose, by falling
            resolution, and the upsampled ones.
        heatmaps: (K, h, w) as the network returns them.
    """

    pose: Stage | None
    features: tuple[Stage, ...]
    heatmaps: Float32Array


def record_activations(
    network: nn.Module, image: npt.NDArray[np.uint8], keypoints: Float32Array, weights: Float32Array
) -> Activations:
    """Run a network on one person and keep what it computes on the way.

    Args:
        network: In evaluation mode.
        image: (H, W, 3) RGB, the crop.
        keypoints: (K, 2) input pose in crop pixels.
        weights: (K,) 0 for an absent keypoint, else 1.

    Raises:
        InputError: The network is neither a backbone with deconvolutions nor one on a trunk.
    """
    if not isinstance(network, RefinementNetwork | FusionNetwork):
        raise InputError(
            f"model: expected a refinement network, got {type(network).__name__}; the stages of others are not drawn"
        )
    poses: list[Tensor | None] = []
    features: list[tuple[str, Tensor]] = []

    def keep_backbone(module: nn.Module, inputs: tuple[Any, ...], output: dict[int, Tensor]) -> None:
        poses.append(inputs[1])
        features.extend((f"1/{stride}", maps) for stride, maps in sorted(output.items()))

    def keep_pose(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        poses.append(inputs[1])

    def keep_joined(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        features.append((f"1/{image.shape[0] // output.shape[2]}", output))

    def keep_upsampled(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        features.append((f"up 1/{image.shape[0] // inputs[0].shape[2]}", inputs[0]))

    # What enters a layer is what the one before gave, lateral sum and ReLU included.
    if isinstance(network, RefinementNetwork):
        head, hooks = network.head, [network.backbone.register_forward_hook(keep_backbone)]
    else:
        fusing = network.fusing
        head, hooks = fusing.head, [fusing.register_forward_pre_hook(keep_pose)]
        hooks += [join.register_forward_hook(keep_joined) for join in fusing.joins]
    followers = [*list(head.upsample)[1:], network.output]
    hooks += [follower.register_forward_pre_hook(keep_upsampled) for follower in followers]
    try:
        with torch.inference_mode():
            batch = (
                torch.from_numpy(np.ascontiguousarray(array))[None] for array in (image, keypoints, weights)
            )
            heatmaps = network(*batch)
    finally:
        for hook in hooks:
            hook.remove()
    pose = None if poses[0] is None else Stage("input heatmaps", _maps(poses[0]))
    return Activations(pose, tuple(Stage(name, _maps(maps)) for name, maps in features), _maps(heatmaps))


def _maps(batch: Tensor) -> Float32Array:
    return np.asarray(batch[0].float().cpu().numpy(), dtype=np.float32)
