"""CPN: shapes, published sizes, hard keypoint mining by hand, learning."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from tests.nn.batches import half_labelled  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from posefix.errors import InputError  # noqa: E402
from posefix.network.decoding import Decoder  # noqa: E402
from posefix.nn.baselines.cpn import (  # noqa: E402
    HARD_SHARE,
    Bottleneck,
    GlobalNet,
    Pyramid,
    RefineNet,
    hard_keypoint_error,
)
from posefix.nn.export import example_inputs  # noqa: E402
from posefix.nn.heatmaps import render_gaussians  # noqa: E402
from posefix.nn.losses import GAUSSIAN_LOSS_UNIT  # noqa: E402
from posefix.nn.model import ModelConfig  # noqa: E402
from posefix.skeletons import load_skeleton  # noqa: E402

COCO = load_skeleton("coco17")
PUBLISHED = ModelConfig(architecture="refine_net", pose_input=False, decoder="gaussian_peak")
TINY = replace(
    PUBLISHED,
    backbone="resnet18",
    backbone_stride=16,
    input_size_wh=(48, 64),
    deconvolution_channels=(32, 32),
    target_sigma=1.5,
)
BOTH = pytest.mark.parametrize("kind", [GlobalNet, RefineNet])


@pytest.mark.parametrize(
    ("config", "levels"),
    [
        (TINY, 3),
        (replace(TINY, deconvolution_channels=(32,)), 2),
        (replace(TINY, backbone_stride=32, input_size_wh=(64, 96), deconvolution_channels=(16,) * 3), 4),
    ],
)
@BOTH
def test_heatmaps_have_the_configured_stride(kind: type[GlobalNet], config: ModelConfig, levels: int) -> None:
    network = kind(config, COCO).eval()
    width, height = config.input_size_wh
    stride = config.heatmap_stride
    assert network(*example_inputs(network, batch=2)).shape == (2, 17, height // stride, width // stride)
    assert len(network.heads) == levels


@pytest.mark.parametrize(
    ("kind", "parameters", "multiply_adds"), [(GlobalNet, 25.1e6, 4.769e9), (RefineNet, 27.0e6, 6.2 * 2**30)]
)
def test_published_sizes(kind: type[GlobalNet], parameters: float, multiply_adds: float) -> None:
    """Within 3 %; GlobalNet's multiply-adds are those that the module's text compares with the published ones."""
    network = published(kind)
    assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(parameters, rel=0.03)
    assert count_multiply_adds(network) == pytest.approx(multiply_adds, rel=0.03)


def test_the_difference_to_globalnet_s_published_multiply_adds() -> None:
    """Without the head, and with strides where the ResNet of 2015 has them, 3.9 * 2^30 are left."""
    network = published(GlobalNet)
    for name in ("layer2", "layer3", "layer4"):
        first = network.backbone.body[name][0]
        first.conv1.stride, first.conv2.stride = first.conv2.stride, first.conv1.stride
    head = (256 * 256 + 256 * 17 * 9) * 64 * 48
    assert (count_multiply_adds(network) - head) / 2**30 == pytest.approx(3.9, rel=0.03)


def published(kind: type[GlobalNet]) -> GlobalNet:
    """The network of the published size, without numbers: shapes are enough to count."""
    with torch.device("meta"):
        return kind(PUBLISHED, COCO).eval()


def count_multiply_adds(network: GlobalNet) -> float:
    inputs = [value.to("meta") for value in example_inputs(network, batch=1)]
    with FlopCounterMode(display=False) as counter:
        network(*inputs)
    return float(counter.get_total_flops()) / 2


def test_convolving_before_upsampling_is_the_same_function() -> None:
    """Where the paper upsamples first, at four times the work."""
    torch.manual_seed(0)
    pyramid = Pyramid([8, 12, 16], 6).eval()
    features = [torch.rand(2, 8, 16, 12), torch.rand(2, 12, 8, 6), torch.rand(2, 16, 4, 3)]
    level = pyramid.lateral[2](features[2])
    for step in (1, 0):
        enlarged = functional.interpolate(level, scale_factor=2, mode="bilinear", align_corners=False)
        level = pyramid.lateral[step](features[step]) + pyramid.down[step](enlarged)
    torch.testing.assert_close(pyramid(features)[0], level)


def test_bottlenecks_project_only_what_changes_width() -> None:
    assert isinstance(Bottleneck(32, 32).shortcut, torch.nn.Identity)
    assert Bottleneck(96, 32)(torch.rand(2, 96, 5, 4)).shape == (2, 32, 5, 4)


def test_hard_keypoints_by_hand() -> None:
    """Four keypoints: two (8/17 of four) count, the two that are most wrong, unlabelled and outside ones aside."""
    targets = torch.tensor([[[5.5, 5.5], [9.5, 9.5], [13.5, 5.5], [-40.0, 5.5], [5.5, 13.5]]])[:, :4]
    wanted = render_gaussians(targets, torch.ones(1, 4), (6, 5), 4, 4.0)
    heatmaps = wanted.clone()
    heatmaps[:, 0] += 0.1  # mean squared difference 0.01
    heatmaps[:, 1] += 0.3  # 0.09
    heatmaps[:, 2] += 0.2  # 0.04
    heatmaps[:, 3] += 9.0  # outside the crop
    assert round(HARD_SHARE * 4) == 2
    labelled = torch.ones(1, 4, dtype=torch.bool)
    error = hard_keypoint_error(heatmaps, targets, labelled, 4, 1.0)
    assert float(error) == pytest.approx((0.09 + 0.04) / 2)
    labelled[0, 1] = False
    error = hard_keypoint_error(heatmaps, targets, labelled, 4, 1.0)
    assert float(error) == pytest.approx((0.04 + 0.01) / 2)
    assert float(hard_keypoint_error(heatmaps, targets, torch.zeros_like(labelled), 4, 1.0)) == 0


def test_the_first_stage_averages_as_the_recipe_says() -> None:
    torch.manual_seed(0)
    network = RefineNet(TINY, COCO).eval()
    batch = half_labelled(network)
    plain = network.losses(*batch)
    network.config = replace(TINY, loss_average="all")
    other = network.losses(*batch)
    torch.testing.assert_close(other["global"], batch[-1].float().mean() * plain["global"])
    torch.testing.assert_close(other["refine"], plain["refine"])


def test_only_hard_keypoints_are_learned() -> None:
    targets = torch.full((1, 17, 2), 7.5)
    heatmaps = torch.zeros(1, 17, 5, 6)
    heatmaps += torch.arange(17)[None, :, None, None]  # the last eight are the worst
    heatmaps.requires_grad_()
    hard_keypoint_error(heatmaps, targets, torch.ones(1, 17, dtype=torch.bool), 4, 1.0).backward()
    assert heatmaps.grad is not None
    learned = heatmaps.grad.abs().sum(dim=(0, 2, 3)) > 0
    assert learned.tolist() == [False] * 9 + [True] * 8


@BOTH
def test_losses_are_of_the_code_s_size_and_know_labels(kind: type[GlobalNet]) -> None:
    """Empty heatmaps miss a Gaussian of 255 by the square of its values."""
    network = kind(TINY, COCO).eval()
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    image, keypoints, weights = example_inputs(network, batch=2)
    targets = torch.full((2, 17, 2), 23.5)
    labelled = torch.zeros(2, 17, dtype=torch.bool)
    assert network.losses(image, keypoints, weights, targets, labelled)["total"].item() == 0
    losses = network.losses(image, keypoints, weights, targets, ~labelled)
    # The squares of a Gaussian of sigma s sum up to pi s^2 cells; the grid has 12 x 16.
    squares = [torch.pi * (1.5 * size) ** 2 / (12 * 16) for size in (0.7, 0.85, 1.0)]
    expected = 0.5 * sum(squares) / 3 + (squares[0] if kind is RefineNet else 0)
    assert losses["total"].item() == pytest.approx(GAUSSIAN_LOSS_UNIT * expected, rel=0.01)


@BOTH
def test_overfits_four_people(kind: type[GlobalNet]) -> None:
    torch.manual_seed(0)
    network = kind(TINY, COCO).train()
    image, keypoints, weights = example_inputs(network, batch=4)
    targets = keypoints.clamp(min=2).minimum(torch.tensor([45.0, 61.0]))
    labelled = torch.ones(4, 17, dtype=torch.bool)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(80):
        optimiser.zero_grad()
        network.losses(image, keypoints, weights, targets, labelled)["total"].backward()
        optimiser.step()
    decoder = Decoder(COCO, TINY.input_size_wh, "gaussian_peak")
    with torch.no_grad():
        found = decoder(decoder.probability(network(image, keypoints, weights)), keypoints).keypoints
    # A quarter of a cell, in x and in y, is what the peak's shift leaves.
    assert float((found - targets).norm(dim=-1).mean()) < 1.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"deconvolution_channels": (32, 16)}, "equal numbers"),
        ({"deconvolution_channels": (8, 8, 8, 8)}, "one to 3 equal numbers"),
        ({"backbone": "vit_tiny_patch16_224", "input_size_wh": (224, 224)}, "strides .* needs 4"),
    ],
)
def test_pyramids_that_cannot_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RefineNet(replace(TINY, **changes), COCO)  # type: ignore[arg-type]
