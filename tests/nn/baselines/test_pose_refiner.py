"""PoseRefiner: discs by hand, losses, offsets, votes against the published decoding, learning."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from torch import Tensor  # noqa: E402

from posefix.errors import InputError  # noqa: E402
from posefix.network.decoding import Decoder  # noqa: E402
from posefix.nn.baselines.pose_refiner import OFFSET_UNIT, OFFSET_WEIGHT, PoseRefiner, render_discs  # noqa: E402
from posefix.nn.export import example_inputs  # noqa: E402
from posefix.nn.heatmaps import soft_argmax  # noqa: E402
from posefix.nn.model import ModelConfig  # noqa: E402
from posefix.skeletons import load_skeleton  # noqa: E402

COCO = load_skeleton("coco17")
TINY = ModelConfig(
    architecture="pose_refiner",
    backbone="resnet18",
    backbone_stride=16,
    input_size_wh=(48, 64),
    sigma=3.0,
    pose_stride=4,
    deconvolution_channels=(32, 32),
    decoder="expected_similarity",
)
WHOLE = replace(TINY, backbone_stride=32, input_size_wh=(64, 96), deconvolution_channels=(32, 32, 32))


class Fixed(PoseRefiner):
    """A PoseRefiner that finds given scores (B, 17, 8, 6) and offsets (B, 17, 2, 8, 6)."""

    def __init__(self, scores: Tensor, offsets: Tensor) -> None:
        super().__init__(TINY, COCO)
        self.found = scores, offsets

    def _maps(self, image: Tensor, keypoints: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        return self.found


def empty_maps() -> tuple[Tensor, Tensor]:
    return torch.full((2, 17, 8, 6), -8.0), torch.zeros(2, 17, 2, 8, 6)


NO_INPUT = torch.zeros(2, 64, 48, 3), torch.zeros(2, 17, 2), torch.zeros(2, 17)


@pytest.mark.parametrize("config", [TINY, WHOLE], ids=["cut", "dilated"])
def test_output_shapes(config: ModelConfig) -> None:
    network = PoseRefiner(config, COCO).eval()
    inputs = example_inputs(network, batch=2)
    width, height = config.input_size_wh
    scores, offsets = network._maps(*inputs)
    assert scores.shape == (2, 17, height // 8, width // 8)
    assert offsets.shape == (2, 17, 2, height // 8, width // 8)
    stride = config.heatmap_stride
    assert network(*inputs).shape == (2, 17, height // stride, width // stride)
    assert network.places(*inputs).shape == (2, 17, 2)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_dilation_is_what_timm_s_own_is(name: str) -> None:
    """Which has to be asked for when a network is made."""
    import timm

    torch.manual_seed(0)
    network = PoseRefiner(replace(WHOLE, backbone=name), COCO).eval()
    plain = timm.create_model(name, features_only=True, output_stride=16).eval()
    plain.load_state_dict(network.backbone.body.state_dict())
    image = torch.rand(1, 3, 96, 64)
    with torch.no_grad():
        found = network.backbone(image, torch.zeros(1, 17, 24, 16))
        torch.testing.assert_close(found[32], plain(image)[-1], atol=1e-4, rtol=1e-4)
    assert found[32].shape[2:] == (6, 4)


def test_discs_by_hand() -> None:
    """Cells of stride 4 have their centres at 1.5, 5.5, 9.5 ..."""
    keypoints = torch.tensor([[[5.5, 9.5], [5.5, 9.5], [-2.5, 1.5], [99.0, 99.0]]])
    discs = render_discs(keypoints, torch.tensor([[1.0, 0.0, 0.5, 1.0]]), (5, 6), 4, 4.0)
    expected = torch.zeros(4, 6, 5)
    expected[0, 2, 0:3] = 1
    expected[0, (1, 3), 1] = 1
    expected[2, 0, 0] = 0.5
    assert torch.equal(discs[0], expected)


def test_losses_by_hand() -> None:
    """One keypoint at the centre of a cell; radius 6 at stride 8: the disc is that cell."""
    scores, offsets = empty_maps()
    scores[:, :, 3, 2] = 2.0
    offsets[:, :, :, 3, 2] = torch.tensor([0.5, -3.0]) * OFFSET_UNIT
    network = Fixed(scores, offsets)
    targets = torch.tensor([2 * 8 + 3.5, 3 * 8 + 3.5]).expand(2, 17, 2)
    labelled = torch.zeros(2, 17, dtype=torch.bool)
    assert network.losses(*NO_INPUT, targets, labelled)["total"] == 0
    labelled[0, 5] = True
    losses = network.losses(*NO_INPUT, targets, labelled)
    heatmap = (math.log1p(math.exp(-2)) + 47 * math.log1p(math.exp(-8))) / 48
    offset = (0.5 * 0.5**2 + (3 - 0.5)) / 2
    assert float(losses["heatmap"]) == pytest.approx(heatmap, rel=1e-4)
    assert float(losses["offset"]) == pytest.approx(offset, rel=1e-4)
    assert float(losses["total"]) == pytest.approx(heatmap + OFFSET_WEIGHT * offset, rel=1e-4)
    assert network.losses(*NO_INPUT, targets - 100, labelled)["total"] == 0  # outside the crop
    network.config = replace(network.config, loss_average="all")
    assert float(network.losses(*NO_INPUT, targets, labelled)["total"]) == pytest.approx(
        float(losses["total"]) / (2 * 17)
    )


def test_small_discs_hold_the_nearest_cell() -> None:
    """Half-way between four cells, with a radius of half a pixel."""
    network = Fixed(*empty_maps())
    network.radius = 0.5
    targets = torch.full((2, 17, 2), 3.5 + 4 + 8)
    losses = network.losses(*NO_INPUT, targets, torch.ones(2, 17, dtype=torch.bool))
    assert float(losses["offset"]) == pytest.approx(0.5 * (4 / OFFSET_UNIT) ** 2, rel=1e-4)


def test_the_best_cell_and_its_offset_are_the_place() -> None:
    scores, offsets = empty_maps()
    scores[:, :, 5, 1], scores[:, :, 2, 4] = 4.0, 3.0
    offsets[:, :, :, 5, 1] = torch.tensor([9.25, -7.0])
    place = torch.tensor([1 * 8 + 3.5 + 9.25, 5 * 8 + 3.5 - 7.0]).expand(2, 17, 2)
    torch.testing.assert_close(Fixed(scores, offsets).places(*NO_INPUT), place)
    # A lonely vote: the heatmap is a Gaussian there, whichever way it is read.
    scores[:, :, 2, 4] = -8.0
    logits = Fixed(scores + 20 * (scores > 0), offsets)(*NO_INPUT)
    torch.testing.assert_close(soft_argmax(logits, 4), place, atol=0.02, rtol=0)
    decoder = Decoder(COCO, TINY.input_size_wh, "expected_similarity")
    found = decoder(decoder.probability(logits), place).keypoints
    torch.testing.assert_close(found, place, atol=0.4, rtol=0)  # its few steps end within a tenth of a cell


def test_votes_count_by_their_odds() -> None:
    """Two cells, one three times as likely right, point to two places: the heatmap holds three quarters there."""
    scores, offsets = empty_maps()
    scores -= 20
    scores[:, :, 1, 1], scores[:, :, 6, 4] = math.log(3.0), 0.0
    probability = torch.softmax(Fixed(scores, offsets)(*NO_INPUT).flatten(2), dim=-1).unflatten(2, (16, 12))
    torch.testing.assert_close(
        probability[:, :, :8].sum(dim=(2, 3)), torch.full((2, 17), 0.75), atol=0.01, rtol=0
    )


def test_votes_outside_the_crop_leave_finite_logits() -> None:
    scores, offsets = empty_maps()
    logits = Fixed(scores, offsets + 500)(*NO_INPUT)
    assert torch.isfinite(logits).all()


def test_the_input_pose_changes_the_result() -> None:
    torch.manual_seed(0)
    network = PoseRefiner(TINY, COCO).eval()
    image, keypoints, weights = example_inputs(network, batch=2)
    here = network(image, keypoints, weights)
    assert not torch.equal(here, network(image, keypoints.flip(0), weights))
    assert torch.equal(network(image, keypoints, 0 * weights), network(image, keypoints.flip(0), 0 * weights))


def test_overfits_four_people() -> None:
    torch.manual_seed(0)
    network = PoseRefiner(TINY, COCO).train()
    image, keypoints, weights = example_inputs(network, batch=4)
    targets = keypoints.clamp(min=2).minimum(torch.tensor([45.0, 61.0]))
    labelled = torch.ones(4, 17, dtype=torch.bool)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    for _ in range(60):
        optimiser.zero_grad()
        network.losses(image, keypoints, weights, targets, labelled)["total"].backward()
        optimiser.step()
    decoder = Decoder(COCO, TINY.input_size_wh, "expected_similarity")
    with torch.no_grad():
        published = network.places(image, keypoints, weights)
        voted = decoder(decoder.probability(network(image, keypoints, weights)), keypoints).keypoints
    assert float((published - targets).norm(dim=-1).mean()) < 0.5
    assert float((voted - targets).norm(dim=-1).mean()) < 1.0
    # Votes near the border lose the part of their Gaussian that lies outside.
    inner = ((targets > 8) & (targets < torch.tensor([39.0, 55.0]))).all(dim=-1)
    assert float((voted - published)[inner].norm(dim=-1).max()) < 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone_stride": 8, "deconvolution_channels": (8,)}, "backbone_stride must be 16 or 32, got 8"),
        ({"backbone": "resnet10t", "backbone_stride": 32, "input_size_wh": (64, 64)}, "cannot be dilated"),
        (
            {"backbone": "convnext_atto", "backbone_stride": 32, "input_size_wh": (64, 64)},
            "cannot be dilated",
        ),
    ],
)
def test_backbones_that_cannot_be_brought_to_stride_16_are_refused(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        PoseRefiner(replace(TINY, **{"pose_stride": 1, **changes}), COCO)  # type: ignore[arg-type]
