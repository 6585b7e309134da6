"""Starting a network from another's weights, of another skeleton if need be.

The paper fine-tunes on PoseTrack what was trained on COCO (supplement, section 2), and their keypoints differ.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from posefix.errors import InputError
from posefix.network.models import DESCRIPTION_FILE, WEIGHTS_FILE, load_model
from posefix.nn.checkpoint import load_network, load_weights
from posefix.nn.model import PoseNetwork, RefinementNetwork
from posefix.skeletons import KeypointMapping, Skeleton, match_keypoints


def start_from(network: PoseNetwork, skeleton: Skeleton, path: Path) -> None:
    """Fill a network with the weights of a model folder or of a safetensors file.

    Where a model folder names another skeleton, keypoints of the same name keep their input and output channels, and
    the others keep the network's own first weights. A pose network starts from a refiner without the filters that see
    its input pose.

    Args:
        network: To be trained.
        skeleton: Names its keypoints.
        path: The folder, or the file.

    Raises:
        InputError: The weights are of another network.
    """
    if not (path / DESCRIPTION_FILE).is_file():
        load_weights(network, path / WEIGHTS_FILE if path.is_dir() else path)
        return
    model = load_model(path)
    forgets_pose = model.takes_pose and not network.config.pose_input
    if model.skeleton.keypoint_names == skeleton.keypoint_names and not forgets_pose:
        load_weights(network, model.file(WEIGHTS_FILE))
        return
    source = load_network(model)
    if not isinstance(source, RefinementNetwork) or not isinstance(network, RefinementNetwork):
        raise InputError(
            f"{path}: a model of skeleton {model.skeleton.name!r} with pose_input {model.takes_pose}; only a "
            "refinement network starts so"
        )
    if network.config.pose_input and not source.config.pose_input:
        raise InputError(
            f"{path}: pose_input is false there and true here; start from a model that takes poses"
        )
    transfer(source, network, match_keypoints(model.skeleton, skeleton), path)


def transfer(
    source: RefinementNetwork, target: RefinementNetwork, mapping: KeypointMapping, path: Path
) -> None:
    """Copy all weights, and those that belong to keypoints by the keypoints' names.

    Raises:
        InputError: The networks differ in more than their keypoints.
    """
    weights, own = source.state_dict(), target.state_dict()
    axes = target.keypoint_axes()
    for key, axis in source.keypoint_axes().items():
        if key in own and key not in axes:
            weights[key] = weights[key].narrow(axis, 0, own[key].shape[axis])  # the photo's channels alone
    for key, value in own.items():
        fits = key in weights and _rest(weights[key], axes.get(key)) == _rest(value, axes.get(key))
        if not fits:
            raise InputError(
                f"{path}: the weights are of another network: {key} is missing or of another shape"
            )
        if key not in axes:
            value.copy_(weights[key])
        else:
            _copy_keypoints(weights[key], value, axes[key], mapping)


def _rest(weight: Tensor, axis: int | None) -> tuple[int, ...]:
    """A weight's shape without its axis of keypoints."""
    return tuple(size for number, size in enumerate(weight.shape) if number != axis)


def _copy_keypoints(source: Tensor, target: Tensor, axis: int, mapping: KeypointMapping) -> None:
    """Copy the keypoints' part of an axis, its end, by name, and what is before it, the photo's channels, as it is."""
    old, new = source.movedim(axis, 0), target.movedim(axis, 0)
    before = len(old) - len(mapping.source)
    new[:before] = old[:before]
    new[[before + index for index in mapping.target_index]] = old[
        [before + index for index in mapping.source_index]
    ]
