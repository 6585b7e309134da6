"""Batches that tests of several networks share."""

from __future__ import annotations

import torch
from torch import Tensor

from posefix.nn.export import example_inputs
from posefix.nn.model import PoseNetwork


def half_labelled(network: PoseNetwork) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What `losses` takes: two people, every second keypoint of whom has no label."""
    image, keypoints, weights = example_inputs(network, batch=2)
    labelled = torch.ones_like(weights, dtype=torch.bool)
    labelled[:, ::2] = False
    return image, keypoints, weights, keypoints.clamp(2, 40), labelled
