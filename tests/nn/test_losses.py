"""The loss against closed forms."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from posefix.nn import losses  # noqa: E402
from posefix.nn.heatmaps import soft_argmax  # noqa: E402

EVERY = torch.ones(1, 1, dtype=torch.bool)


def test_flat_logits_cost_the_logarithm_of_the_number_of_cells() -> None:
    loss = losses.heatmap_cross_entropy(torch.zeros(1, 1, 6, 8), torch.tensor([[[2.5, 3.25]]]), EVERY)
    assert float(loss) == pytest.approx(math.log(48))


def test_sure_and_right_costs_nothing_sure_and_wrong_costs_much() -> None:
    logits = torch.full((1, 1, 6, 8), -50.0)
    logits[0, 0, 3, 2] = 50.0
    right, wrong = (
        losses.integral_loss(logits, torch.tensor([[place]]), EVERY, 4)
        for place in ([9.5, 13.5], [21.5, 13.5])
    )
    assert float(right["total"]) == pytest.approx(0, abs=1e-3)
    assert float(wrong["coordinate"]) == pytest.approx(3, abs=1e-3)  # three cells to the side
    assert float(wrong["total"]) == pytest.approx(103, abs=0.1)


def test_unlabelled_and_outside_keypoints_cost_nothing() -> None:
    logits = torch.randn(1, 3, 6, 8)
    places = torch.tensor([[[9.5, 13.5], [-40.0, 3.0], [5.0, 5.0]]])
    labelled = torch.tensor([[True, True, False]])
    alone = losses.integral_loss(logits[:, :1], places[:, :1], EVERY, 4)
    for key, value in losses.integral_loss(logits, places, labelled, 4).items():
        torch.testing.assert_close(value, alone[key])


def test_a_batch_without_labels_gives_zero_and_a_gradient() -> None:
    logits = torch.randn(1, 1, 6, 8, requires_grad=True)
    total = losses.integral_loss(logits, torch.zeros(1, 1, 2), ~EVERY, 4)["total"]
    total.backward()
    assert float(total.detach()) == 0.0
    assert logits.grad is not None and torch.isfinite(logits.grad).all()


def test_gaussian_error_by_hand() -> None:
    """A single cell at the true place: the Gaussian is 1 there."""
    place = torch.tensor([[[1.5, 1.5]]])
    assert float(
        losses.gaussian_error(torch.full((1, 1, 1, 1), 0.25), place, EVERY, 4, 2.0)
    ) == pytest.approx(0.5 * 0.75**2)
    # The neighbouring cell is one cell away, and sigma is two.
    beside = math.exp(-0.5 / 4)
    empty = torch.zeros(1, 1, 1, 2)
    assert float(losses.gaussian_error(empty, place, EVERY, 4, 2.0)) == pytest.approx(0.25 * (1 + beside**2))


def test_right_gaussians_cost_nothing_and_unlabelled_ones_neither() -> None:
    from posefix.nn.heatmaps import render_gaussians

    places = torch.tensor([[[9.5, 13.5], [-40.0, 3.0], [5.0, 5.0]]])
    heatmaps = render_gaussians(places, torch.tensor([[1.0, 0.0, 0.0]]), (8, 6), 4, 8.0)
    labelled = torch.tensor([[True, True, False]])
    assert float(losses.heatmap_losses(heatmaps, places, labelled, 4, "gaussian_mse", 2.0)["total"]) == 0
    assert float(losses.heatmap_losses(heatmaps, places, ~labelled, 4, "gaussian_mse", 2.0)["total"]) > 0


def test_the_coordinate_loss_has_its_weight_in_the_total_alone() -> None:
    torch.manual_seed(0)
    logits, places = torch.randn(2, 3, 6, 8), 20 * torch.rand(2, 3, 2)
    labelled = torch.ones(2, 3, dtype=torch.bool)
    plain = losses.integral_loss(logits, places, labelled, 4)
    halved = losses.integral_loss(logits, places, labelled, 4, losses.Weighting(coordinate=0.5))
    torch.testing.assert_close(plain["total"], plain["heatmap"] + plain["coordinate"])
    torch.testing.assert_close(halved["total"], plain["heatmap"] + 0.5 * plain["coordinate"])
    torch.testing.assert_close(halved["coordinate"], plain["coordinate"])


@pytest.mark.parametrize("loss", ["integral", "heatmap", "coordinate", "gaussian_mse"])
def test_over_all_keypoints_those_without_a_label_make_the_mean_smaller(loss: losses.LossName) -> None:
    torch.manual_seed(0)
    heatmaps, places = torch.randn(2, 4, 6, 8), 20 * torch.rand(2, 4, 2)
    labelled = torch.tensor([[True, True, False, False], [True, False, False, False]])
    settings = (heatmaps, places, labelled, 4, loss, 2.0)
    mean = losses.heatmap_losses(*settings)["total"]
    of_all = losses.heatmap_losses(*settings, losses.Weighting(average="all"))["total"]
    torch.testing.assert_close(of_all, mean * 3 / 8)


def test_the_original_s_loss_is_a_setting() -> None:
    """Cross-entropy times validity over people and keypoints, L1 times validity over x and y as well, both means."""
    torch.manual_seed(0)
    logits, places = torch.randn(2, 3, 6, 8), torch.rand(2, 3, 2) * torch.tensor([28.0, 20.0])
    valid = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    target = (places + 0.5) / 4 - 0.5
    cross_entropy = torch.stack(
        [
            losses.heatmap_cross_entropy(logits[b : b + 1, k : k + 1], target[b : b + 1, k : k + 1], EVERY)
            for b in range(2)
            for k in range(3)
        ]
    ).view(2, 3)
    found = (soft_argmax(logits, 4) + 0.5) / 4 - 0.5
    wanted = (cross_entropy * valid).mean() + ((found - target).abs() * valid[..., None]).mean()
    weighting = losses.Weighting(coordinate=0.5, average="all")
    ours = losses.integral_loss(logits, places, valid > 0, 4, weighting)["total"]
    torch.testing.assert_close(ours, wanted)
