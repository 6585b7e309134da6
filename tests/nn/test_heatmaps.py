"""Gaussians, soft-argmax and bilinear targets against closed forms."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from posefix.nn import heatmaps  # noqa: E402

SIZE_WH = (12, 16)


def test_gaussian_is_the_paper_equation() -> None:
    keypoints, weights = torch.tensor([[[10.0, 22.0]]]), torch.tensor([[0.5]])
    rendered = heatmaps.render_gaussians(keypoints, weights, SIZE_WH, 4, 5.0)
    x, y = (3 + 0.5) * 4 - 0.5, (6 + 0.5) * 4 - 0.5
    expected = 0.5 * torch.exp(torch.tensor(-((x - 10.0) ** 2 + (y - 22.0) ** 2) / (2 * 5.0**2)))
    assert rendered.shape == (1, 1, 16, 12)
    torch.testing.assert_close(rendered[0, 0, 6, 3], expected)


def test_a_keypoint_outside_is_legal_and_an_absent_one_is_empty() -> None:
    keypoints = torch.tensor([[[-900.0, 5.0], [3.0, 3.0]]])
    rendered = heatmaps.render_gaussians(keypoints, torch.tensor([[1.0, 0.0]]), SIZE_WH, 4, 5.0)
    assert torch.equal(rendered, torch.zeros_like(rendered))


@pytest.mark.parametrize("place", [(0.0, 0.0), (11.0, 0.0), (0.0, 15.0), (11.0, 15.0), (4.25, 7.75)])
def test_encoding_then_decoding_gives_the_place_back(place: tuple[float, float]) -> None:
    cells, shares = heatmaps.bilinear_target(torch.tensor([[place]]), SIZE_WH)
    probability = torch.zeros(1, 1, 16 * 12).scatter_add(2, cells, shares)
    torch.testing.assert_close(probability.sum(), torch.tensor(1.0))
    decoded = heatmaps.soft_argmax(probability.clamp(min=1e-30).log().unflatten(2, (16, 12)), 4)
    torch.testing.assert_close(decoded, (torch.tensor([[place]]) + 0.5) * 4 - 0.5, atol=1e-3, rtol=0)


def test_flipping_commutes_with_rendering_and_decoding() -> None:
    width = SIZE_WH[0] * 4
    keypoints = torch.tensor([[[10.3, 22.9], [40.0, 5.5]]])
    flipped = torch.stack([width - 1 - keypoints[..., 0], keypoints[..., 1]], dim=-1)
    weights = torch.ones(1, 2)
    plain = heatmaps.render_gaussians(keypoints, weights, SIZE_WH, 4, 5.0)
    mirrored = heatmaps.render_gaussians(flipped, weights, SIZE_WH, 4, 5.0)
    torch.testing.assert_close(mirrored, plain.flip(-1))
    decoded, decoded_mirror = heatmaps.soft_argmax(plain, 4), heatmaps.soft_argmax(plain.flip(-1), 4)
    torch.testing.assert_close(decoded_mirror[..., 0], width - 1 - decoded[..., 0])


def test_soft_argmax_has_the_right_gradient() -> None:
    logits = torch.randn(1, 1, 3, 4, dtype=torch.float64, requires_grad=True)
    # soft_argmax computes in single precision, hence the coarse step.
    assert torch.autograd.gradcheck(
        lambda x: heatmaps.soft_argmax(x, 2).double(), logits, eps=1e-2, atol=2e-2
    )


def test_one_hot_is_the_nearest_cell_and_nothing_outside() -> None:
    # Cell 2 of stride 4 has its centre at 9.5 and reaches from 7.5 to 11.5.
    keypoints = torch.tensor([[[7.6, 11.4], [11.6, 9.5], [-0.6, 5.0], [47.6, 5.0], [0.0, 0.0]]])
    weights = torch.tensor([[1.0, 0.5, 1.0, 1.0, 0.0]])
    rendered = heatmaps.render_one_hot(keypoints, weights, SIZE_WH, 4)
    expected = torch.zeros(1, 5, 16, 12)
    expected[0, 0, 2, 2], expected[0, 1, 2, 3] = 1.0, 0.5
    assert torch.equal(rendered, expected)
