"""What is kept on the way through the network."""

import numpy as np
import pytest
import torch
from torch import nn

from posefix.errors import InputError
from posefix.nn.activations import record_activations
from posefix.nn.fusion import FusionNetwork
from posefix.nn.model import ModelConfig, RefinementNetwork
from posefix.skeletons import load_skeleton

SKELETON = load_skeleton("lsp14")
SIZE_WH = (64, 96)


def network(*, pose_input: bool = True) -> RefinementNetwork:
    torch.manual_seed(0)
    config = ModelConfig(
        backbone="resnet18",
        backbone_stride=16,
        input_size_wh=SIZE_WH,
        pose_stride=4,
        pose_input=pose_input,
        deconvolution_channels=(8, 8),
        lateral=True,
    )
    return RefinementNetwork(config, SKELETON).eval()


@pytest.fixture
def person() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (SIZE_WH[1], SIZE_WH[0], 3), dtype=np.uint8)
    keypoints = rng.uniform(5, 60, (14, 2)).astype(np.float32)
    weights = np.ones(14, dtype=np.float32)
    weights[3] = 0
    return image, keypoints, weights


def test_stages_come_in_feed_forward_order_with_their_resolution(
    person: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    found = record_activations(network(), *person)
    assert [stage.name for stage in found.features] == ["1/2", "1/4", "1/8", "1/16", "up 1/8", "up 1/4"]
    for stage in found.features:
        stride = int(stage.name.split("/")[1])
        assert stage.maps.shape[1:] == (SIZE_WH[1] // stride, SIZE_WH[0] // stride)
    assert found.features[-1].maps.shape[0] == 8
    assert found.features[-1].maps.min() >= 0  # after the ReLU


def test_a_network_on_a_trunk_shows_where_pose_and_photo_are_joined(
    person: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    torch.manual_seed(0)
    config = ModelConfig(
        architecture="fusion",
        backbone="resnet18",
        backbone_stride=16,
        input_size_wh=SIZE_WH,
        fusion_channels=(8, 12, 16),
        fusion_blocks=(1, 1),
        deconvolution_channels=(8, 8),
    )
    model = FusionNetwork(config, SKELETON).eval()
    found = record_activations(model, *person)
    assert [stage.name for stage in found.features] == ["1/4", "1/8", "1/16", "up 1/8", "up 1/4"]
    assert [len(stage.maps) for stage in found.features] == [8, 12, 16, 8, 8]
    assert found.pose is not None and not found.pose.maps[3].any() and found.pose.maps[0].any()
    with torch.inference_mode():
        expected = model(*(torch.from_numpy(array)[None] for array in person))[0].numpy()
    assert np.allclose(found.heatmaps, expected, atol=1e-5)


def test_the_heatmaps_are_those_of_the_network_and_its_input(
    person: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    model = network()
    found = record_activations(model, *person)
    with torch.inference_mode():
        expected = model(*(torch.from_numpy(array)[None] for array in person))[0].numpy()
    assert np.allclose(found.heatmaps, expected, atol=1e-5)
    assert found.pose is not None
    assert found.pose.maps.shape == (14, 24, 16)
    assert not found.pose.maps[3].any()  # absent
    cell = np.unravel_index(found.pose.maps[0].argmax(), (24, 16))
    assert np.allclose([(cell[1] + 0.5) * 4, (cell[0] + 0.5) * 4], person[1][0] + 0.5, atol=2.1)


def test_no_hook_stays_behind(person: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    model = network()
    record_activations(model, *person)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_pose_network_has_no_input_heatmaps(
    person: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    assert record_activations(network(pose_input=False), *person).pose is None


def test_other_networks_are_refused(person: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    with pytest.raises(InputError, match="expected a refinement network, got Linear"):
        record_activations(nn.Linear(1, 1), *person)
