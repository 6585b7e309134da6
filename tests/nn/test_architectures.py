"""Every architecture by its name: one interface; ours as the paper's pipelines, as Simple and end to end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from tests.nn.batches import half_labelled  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from posefix.errors import InputError  # noqa: E402
from posefix.network.decoding import Decoder  # noqa: E402
from posefix.nn.architectures import build_network  # noqa: E402
from posefix.nn.baselines.cpn import GlobalNet, RefineNet  # noqa: E402
from posefix.nn.baselines.pose_refiner import PoseRefiner  # noqa: E402
from posefix.nn.end_to_end import EndToEndNetwork  # noqa: E402
from posefix.nn.export import TOLERANCE, example_inputs, largest_difference, to_onnx  # noqa: E402
from posefix.nn.fusion import FusionNetwork  # noqa: E402
from posefix.nn.model import ModelConfig, RefinementNetwork  # noqa: E402
from posefix.skeletons import load_skeleton  # noqa: E402

COCO = load_skeleton("coco17")
TINY = ModelConfig(
    backbone="resnet18",
    backbone_stride=16,
    input_size_wh=(48, 64),
    sigma=2.0,
    pose_stride=4,
    deconvolution_channels=(32, 32),
)
GAUSSIAN = replace(TINY, loss="gaussian_mse", decoder="gaussian_peak")
SIMPLE = replace(GAUSSIAN, pose_input=False)
END_TO_END = replace(TINY, architecture="end_to_end", pose_input=False)
GLOBAL_NET = replace(TINY, architecture="global_net", pose_input=False, decoder="gaussian_peak")
POSE_REFINER = replace(TINY, architecture="pose_refiner")
FUSION = replace(
    TINY, architecture="fusion", input_size_wh=(64, 96), fusion_channels=(16, 16, 24), fusion_blocks=(1, 1)
)
CONFIGS = {
    "C2F": TINY,
    "F2F": replace(TINY, input_form="one_hot"),
    "C2F-LC": replace(TINY, loss="coordinate"),
    "C2F-LH": replace(TINY, loss="heatmap"),
    "C2C": GAUSSIAN,
    "IntegralPose": replace(TINY, pose_input=False),
    "Simple": SIMPLE,
    "E2E-refine": END_TO_END,
    "GlobalNet": GLOBAL_NET,
    "RefineNet": replace(GLOBAL_NET, architecture="refine_net"),
    "PoseRefiner": POSE_REFINER,
    "C2F, lateral": replace(TINY, lateral=True),
    "F2F on a trunk": replace(FUSION, input_form="one_hot"),
    "C2C on a trunk": replace(FUSION, loss="gaussian_mse", decoder="gaussian_peak"),
    "PoseRefiner, dilated": replace(
        POSE_REFINER, backbone_stride=32, input_size_wh=(64, 96), deconvolution_channels=(32, 32, 32)
    ),
}
KINDS = {
    "fusion": FusionNetwork,
    "refinement": RefinementNetwork,
    "end_to_end": EndToEndNetwork,
    "global_net": GlobalNet,
    "refine_net": RefineNet,
    "pose_refiner": PoseRefiner,
}


@pytest.mark.parametrize("name", CONFIGS)
def test_one_interface_for_all_and_no_parameter_without_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    config = CONFIGS[name]
    network = build_network(config, COCO).train()
    assert type(network) is KINDS[config.architecture]
    # timm starts each block's last scale at zero, which hides the block at first.
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
    image, keypoints, weights = example_inputs(network, batch=2)
    width, height = config.input_size_wh
    assert network(image, keypoints, weights).shape == (2, 17, height // 4, width // 4)
    labelled = torch.ones(2, 17, dtype=torch.bool)
    losses = network.losses(image, keypoints, weights, keypoints.clamp(2, 40), labelled)
    assert losses["total"].shape == () and torch.isfinite(losses["total"])
    losses["total"].backward()
    trained = {name: value for name, value in network.named_parameters() if value.requires_grad}
    assert all(name.startswith("trunk.") for name, _ in network.named_parameters() if name not in trained)
    assert [name for name, value in trained.items() if value.grad is None or not value.grad.any()] == []


@pytest.mark.parametrize("name", CONFIGS)
def test_only_refiners_see_the_input_pose_and_all_see_the_photo(name: str) -> None:
    torch.manual_seed(0)
    network = build_network(CONFIGS[name], COCO).eval()
    image, keypoints, weights = example_inputs(network, batch=2)
    with torch.no_grad():
        here, there = network(image, keypoints, weights), network(image, keypoints.flip(0) / 2, 1 - weights)
        other_photo = network(image.flip(0), keypoints, weights)
    assert torch.equal(here, there) is not CONFIGS[name].pose_input
    assert not torch.equal(here, other_photo)


@pytest.mark.parametrize("name", ["F2F", "Simple", "E2E-refine", "GlobalNet", "RefineNet", "PoseRefiner"])
def test_the_exported_graph_agrees(name: str) -> None:
    torch.manual_seed(0)
    network = build_network(CONFIGS[name], COCO).eval()
    assert largest_difference(network, to_onnx(network).SerializeToString()) < TOLERANCE


@pytest.mark.parametrize(
    "name", ["F2F", "C2C", "IntegralPose", "Simple", "E2E-refine", "F2F on a trunk", "C2C on a trunk"]
)
def test_overfits_four_people(name: str) -> None:
    """To a cell's fraction; the peak of a Gaussian is known to a quarter of a cell at best."""
    torch.manual_seed(0)
    config = CONFIGS[name]
    network = build_network(config, COCO).train()
    image, keypoints, weights = example_inputs(network, batch=4)
    target = keypoints.clamp(min=2).minimum(torch.tensor([45.0, 61.0]))
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    for _ in range(120):
        optimiser.zero_grad()
        network.losses(image, keypoints, weights, target, torch.ones(4, 17, dtype=torch.bool))[
            "total"
        ].backward()
        optimiser.step()
    decoder = Decoder(COCO, config.input_size_wh, config.decoder)
    with torch.no_grad():
        found = decoder(decoder.probability(network(image, keypoints, weights)), keypoints).keypoints
    assert float((found - target).norm(dim=-1).mean()) < (1.5 if config.gaussian_heatmaps else 1.0)


def test_simple_has_its_published_size() -> None:
    """34.0 M parameters, and 5.4e9 multiply-adds by the layers (Xiao et al. 2018 print 8.9 G, which they correct)."""
    config = ModelConfig(pose_input=False, loss="gaussian_mse", decoder="gaussian_peak")
    with torch.device("meta"):
        network = build_network(config, COCO).eval()
    inputs = [value.to("meta") for value in example_inputs(network, batch=1)]
    with FlopCounterMode(display=False) as counter:
        network(*inputs)
    assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(34.0e6, rel=0.03)
    assert counter.get_total_flops() / 2 == pytest.approx(5.4e9, rel=0.03)


def test_the_refinement_loss_reaches_the_pose_network() -> None:
    torch.manual_seed(0)
    network = EndToEndNetwork(END_TO_END, COCO).train()
    image, keypoints, weights = example_inputs(network, batch=2)
    losses = network.losses(image, keypoints, weights, keypoints.clamp(2, 40), weights > -1)
    assert float(losses["total"].detach()) == pytest.approx(
        float((losses["pose"] + losses["refinement"]).detach())
    )
    losses["refinement"].backward()
    gradient = network.pose_network.output.weight.grad
    assert gradient is not None and gradient.any()


def test_the_halves_of_the_integral_loss_are_its_parts() -> None:
    torch.manual_seed(0)
    network = build_network(TINY, COCO).eval()
    image, keypoints, weights = example_inputs(network, batch=2)
    batch = (image, keypoints, weights, keypoints.clamp(2, 40), weights > 0)
    whole = network.losses(*batch)
    for name, part in (("C2F-LC", "coordinate"), ("C2F-LH", "heatmap")):
        network.config = CONFIGS[name]
        torch.testing.assert_close(network.losses(*batch)["total"], whole[part])


def test_the_network_learns_by_its_weighting() -> None:
    torch.manual_seed(0)
    network = build_network(TINY, COCO).eval()
    batch = half_labelled(network)
    plain = network.losses(*batch)
    network.config = replace(TINY, coordinate_weight=0.5, loss_average="all")
    other = network.losses(*batch)
    share = float(batch[-1].float().mean())
    torch.testing.assert_close(other["total"], share * (plain["heatmap"] + 0.5 * plain["coordinate"]))


def test_input_gaussians_have_their_height() -> None:
    torch.manual_seed(0)
    network = build_network(TINY, COCO).eval()
    image, keypoints, weights = example_inputs(network, batch=2)
    with torch.no_grad():
        high = network(image, keypoints, 4.4 * weights)
        network.config = replace(TINY, input_height=4.4)
        torch.testing.assert_close(network(image, keypoints, weights), high)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"architecture": "transformer"}, "architecture must be one of refinement, fusion, end_to_end"),
        ({"architecture": "global_net"}, "'global_net' takes no input pose; set pose_input = false"),
        ({"architecture": "end_to_end"}, "'end_to_end' takes no input pose"),
        ({"architecture": "pose_refiner", "pose_input": False}, "'pose_refiner' needs an input pose"),
        ({"input_form": "disc"}, "input_form must be one of gaussian, one_hot"),
        ({"loss": "l2"}, "loss must be one of integral"),
        ({"loss": "gaussian_mse"}, "cannot read the Gaussian heatmaps .* set decoder to 'gaussian_peak'"),
        (
            {"decoder": "gaussian_peak"},
            "cannot read the heatmap logits .* 'soft_argmax' or 'expected_similarity'",
        ),
        ({"target_sigma": 0.0}, "target_sigma must be a number above 0"),
        ({"input_height": 0.0}, "input_height must be a number above 0"),
        ({"coordinate_weight": -1.0}, "coordinate_weight must be a number above 0"),
        ({"loss_average": "some"}, "loss_average must be one of labelled, all"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ModelConfig(**settings)
