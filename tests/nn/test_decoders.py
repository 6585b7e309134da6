"""The two ways to read a heatmap: where they agree, and where they must not."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from posefix.nn.decoders import ExpectedSimilarity, SoftArgmax  # noqa: E402
from posefix.nn.heatmaps import render_gaussians  # noqa: E402
from posefix.skeletons import load_skeleton  # noqa: E402

COCO = load_skeleton("coco17")
SIZE_WH = (96, 128)
STRIDE = 4


def peaks(*places: tuple[float, float, float]) -> Any:
    """Logits of every keypoint whose softmax is a mixture of (x, y, share) blobs, in input pixels."""
    total = torch.zeros(1, 17, SIZE_WH[1] // STRIDE, SIZE_WH[0] // STRIDE)
    for x, y, share in places:
        keypoints = torch.tensor([[[x, y]]]).expand(1, 17, 2)
        total += render_gaussians(keypoints, torch.full((1, 17), share), (24, 32), STRIDE, 5.0)
    return (total + 1e-9).log()


@pytest.fixture
def decoder() -> ExpectedSimilarity:
    return ExpectedSimilarity(COCO, SIZE_WH, STRIDE)


def test_one_peak_is_found_to_a_fraction_of_a_pixel(decoder: ExpectedSimilarity) -> None:
    logits = peaks((40.3, 71.8, 1.0))
    expected = torch.tensor([40.3, 71.8]).expand(1, 17, 2)
    torch.testing.assert_close(decoder(logits), expected, atol=0.2, rtol=0)
    torch.testing.assert_close(SoftArgmax(STRIDE)(logits), expected, atol=0.1, rtol=0)


def test_of_two_peaks_the_likelier_is_chosen_where_the_mean_is_neither(decoder: ExpectedSimilarity) -> None:
    logits = peaks((20.0, 100.0, 0.6), (75.0, 100.0, 0.4))
    assert (decoder(logits)[..., 0] - 20).abs().max() < 2
    mean = SoftArgmax(STRIDE)(logits)[..., 0]
    assert ((mean > 35) & (mean < 50)).all()


def test_no_place_nearby_has_a_higher_expected_similarity(decoder: ExpectedSimilarity) -> None:
    torch.manual_seed(0)
    logits = 3 * torch.nn.functional.avg_pool2d(torch.randn(1, 17, 34, 26), 3, stride=1)
    probability = torch.softmax(logits.flatten(2), dim=-1).unflatten(2, (32, 24))

    def expected(places: Any) -> Any:
        row = torch.exp(-(((decoder.x - places[..., :1]) / decoder.reach) ** 2))
        column = torch.exp(-(((decoder.y - places[..., 1:]) / decoder.reach) ** 2))
        return (probability * column[..., :, None] * row[..., None, :]).sum(dim=(2, 3))

    found = decoder(logits)
    best = expected(found)
    for shift in ([4.0, 0], [-4, 0], [0, 4], [0, -4]):
        assert (expected(found + torch.tensor(shift)) <= best + 1e-3).all()
    assert (best >= expected(SoftArgmax(STRIDE)(logits)) - 1e-4).all()


def test_flipping_commutes(decoder: ExpectedSimilarity) -> None:
    logits = peaks((20.0, 100.0, 0.6), (71.0, 30.0, 0.4))
    mirrored = decoder(logits.flip(-1))
    torch.testing.assert_close(SIZE_WH[0] - 1 - mirrored[..., 0], decoder(logits)[..., 0], atol=1e-3, rtol=0)
