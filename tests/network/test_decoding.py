"""Heatmaps to places and evidence: against closed forms and sums over all cells, in NumPy and in PyTorch."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from posefix.errors import InputError
from posefix.network.decoding import WIDER, Decoder, DecoderName, Evidence, normalize
from posefix.skeletons import load_skeleton

Array = npt.NDArray[Any]
COCO = load_skeleton("coco17")
SIZE_WH = (96, 128)
STRIDE = 4
GRID_HW = (32, 24)
X = (np.arange(24) + 0.5) * STRIDE - 0.5
Y = (np.arange(32) + 0.5) * STRIDE - 0.5
# KS is 1/e at 2 sigma sqrt(2 area), the area a fifth of the crop's, blurred by three quarters of a cell.
REACH = np.hypot(2 * COCO.sigmas * math.sqrt(2 * 0.2 * 96 * 128), 3.0)
NAMES: tuple[DecoderName, ...] = ("soft_argmax", "expected_similarity")
FIELDS = [field.name for field in dataclasses.fields(Evidence)]


def blobs(*places: tuple[float, float, float]) -> Array:
    """The same heatmap for every keypoint, (1, 17, 32, 24): a mixture of blobs (x, y, share) in crop pixels."""
    total = np.zeros(GRID_HW)
    for x, y, share in places:
        total += share * np.exp(-((X - x) ** 2 + (Y[:, None] - y) ** 2) / (2 * 5.0**2))
    return np.tile((total / total.sum()).astype(np.float32), (1, 17, 1, 1))


def one_cell(row: int, column: int) -> Array:
    heatmaps = np.zeros((1, 17, *GRID_HW), np.float32)
    heatmaps[:, :, row, column] = 1
    return heatmaps


def rough(count: int, seed: int = 0) -> Array:
    """Heatmaps (count, 17, 32, 24) with several peaks."""
    logits = np.random.default_rng(seed).normal(0, 9, (count, 17, GRID_HW[0] + 4, GRID_HW[1] + 4))
    windows = np.lib.stride_tricks.sliding_window_view(logits, (5, 5), axis=(2, 3))
    return normalize(windows.mean(axis=(4, 5)).astype(np.float32))  # type: ignore[no-any-return]


def places(count: int, seed: int = 0) -> Array:
    """Given places (count, 17, 2), some outside the crop."""
    return np.random.default_rng(seed).uniform(-20, 140, (count, 17, 2)).astype(np.float32)


def decode(heatmaps: Array, given: Any = (0.0, 0.0), name: DecoderName = "expected_similarity") -> Evidence:
    spread = np.broadcast_to(np.array(given, np.float32), (*heatmaps.shape[:2], 2))
    return Decoder(COCO, SIZE_WH, name)(heatmaps, spread)


@pytest.mark.parametrize("name", NAMES)
def test_one_peak_is_found_to_a_fraction_of_a_pixel(name: DecoderName) -> None:
    found = decode(blobs((40.3, 71.8, 1.0)), name=name).keypoints
    assert np.abs(found - [40.3, 71.8]).max() < 0.2


def test_of_two_peaks_the_likelier_is_chosen_where_the_mean_is_neither() -> None:
    heatmaps = blobs((20.0, 100.0, 0.6), (75.0, 100.0, 0.4))
    assert np.abs(decode(heatmaps).keypoints - [20, 100]).max() < 2
    mean = decode(heatmaps, name="soft_argmax").keypoints
    assert np.abs(mean - [0.6 * 20 + 0.4 * 75, 100]).max() < 0.5


def test_of_a_wide_and_a_sharp_peak_the_sharp_one_is_more_similar() -> None:
    """Equal shares; a hip is found within a wide blob too, an eye is not."""
    wide = np.exp(-((X - 70) ** 2 + (Y[:, None] - 30) ** 2) / (2 * 14.0**2))
    heatmaps = 0.5 * blobs((20.0, 100.0, 1.0)) + 0.5 * (wide / wide.sum()).astype(np.float32)
    evidence = decode(heatmaps, given=(70.0, 30.0))
    assert np.abs(evidence.keypoints - [20, 100]).max() < 2
    ratio = (evidence.given_similarity / evidence.similarity)[0]
    assert ratio[COCO.index("left_eye")] < 0.5 * ratio[COCO.index("left_hip")]


def test_no_place_nearby_has_a_higher_expected_similarity() -> None:
    heatmaps = rough(3)
    found = decode(heatmaps)
    for shift in ([4, 0], [-4, 0], [0, 4], [0, -4]):
        assert (decode(heatmaps, found.keypoints + shift).given_similarity <= found.similarity + 1e-3).all()
    assert (decode(heatmaps, name="soft_argmax").similarity <= found.similarity + 1e-3).all()


def test_the_evidence_of_one_sure_cell_is_keypoint_similarity() -> None:
    evidence = decode(one_cell(row=10, column=5), given=(X[5] + 6, Y[10] - 8))
    np.testing.assert_allclose(
        evidence.keypoints, np.broadcast_to([X[5], Y[10]], evidence.keypoints.shape), atol=1e-4
    )
    np.testing.assert_allclose(evidence.similarity, 1, atol=1e-5)
    np.testing.assert_allclose(evidence.vicinity, 1, atol=1e-5)
    np.testing.assert_allclose(evidence.given_similarity[0], np.exp(-((10 / REACH) ** 2)), atol=1e-5)
    np.testing.assert_allclose(evidence.given_vicinity[0], np.exp(-((10 / (WIDER * REACH)) ** 2)), atol=1e-5)


def test_evidence_is_the_sum_over_all_cells() -> None:
    heatmaps, given = rough(2), places(2)
    evidence = decode(heatmaps, given)
    for person, keypoint in ((0, 0), (0, 11), (1, 5), (1, 16)):
        for where, similarity, vicinity in (
            (evidence.keypoints, evidence.similarity, evidence.vicinity),
            (given, evidence.given_similarity, evidence.given_vicinity),
        ):
            x, y = where[person, keypoint]
            for factor, value in ((1.0, similarity), (WIDER, vicinity)):
                expected = sum(
                    float(heatmaps[person, keypoint, row, column])
                    * math.exp(-((X[column] - x) ** 2 + (Y[row] - y) ** 2) / (factor * REACH[keypoint]) ** 2)
                    for row in range(32)
                    for column in range(24)
                )
                assert value[person, keypoint] == pytest.approx(expected, abs=1e-5)


def test_a_gaussian_s_peak_moves_a_quarter_of_a_cell_to_its_higher_neighbours() -> None:
    """By hand: cell (5, 10) is highest, its right neighbour higher than its left, its upper as high as its lower."""
    heatmaps = one_cell(row=10, column=5)
    heatmaps[:, :, 10, 4], heatmaps[:, :, 10, 6] = 0.2, 0.6
    heatmaps[:, :, 9, 5] = heatmaps[:, :, 11, 5] = 0.7
    found = decode(heatmaps, name="gaussian_peak").keypoints
    np.testing.assert_allclose(found, np.broadcast_to([X[5] + 1, Y[10]], found.shape))


@pytest.mark.parametrize(("row", "column"), [(0, 0), (31, 23), (0, 23)])
def test_at_the_border_a_peak_stays_in_its_cell(row: int, column: int) -> None:
    found = decode(one_cell(row, column) + 1e-3 * blobs((40.0, 60.0, 1.0)), name="gaussian_peak").keypoints
    np.testing.assert_allclose(found, np.broadcast_to([X[column], Y[row]], found.shape))


def test_a_gaussian_is_found_to_a_quarter_of_a_cell() -> None:
    found = decode(blobs((40.3, 71.8, 1.0)), name="gaussian_peak").keypoints
    assert np.abs(found - [40.3, 71.8]).max() <= STRIDE / 4


def test_learned_gaussians_become_probability() -> None:
    gaussians = 255 * blobs((40.3, 71.8, 1.0)) - 0.1
    probability = Decoder(COCO, SIZE_WH, "gaussian_peak").probability(gaussians)
    assert (probability >= 0).all()
    np.testing.assert_allclose(probability.sum(axis=(2, 3)), 1, rtol=1e-5)
    logits = rough(1)
    np.testing.assert_array_equal(Decoder(COCO, SIZE_WH).probability(logits), normalize(logits))


@pytest.mark.parametrize("name", [*NAMES, "gaussian_peak"])
def test_pytorch_and_numpy_agree(name: DecoderName) -> None:
    torch = pytest.importorskip("torch")
    decoder = Decoder(COCO, SIZE_WH, name)
    heatmaps, given = rough(4), places(4)
    # One decoder for both: what it keeps of one kind must not meet the other.
    expected = decoder(heatmaps, given)
    found = decoder(torch.from_numpy(heatmaps), torch.from_numpy(given))
    for field in FIELDS:
        assert getattr(expected, field).dtype == np.float32
        assert isinstance(getattr(found, field), torch.Tensor)
        np.testing.assert_allclose(getattr(found, field).numpy(), getattr(expected, field), atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_gives_what_single_people_give(name: DecoderName) -> None:
    decoder, heatmaps, given = Decoder(COCO, SIZE_WH, name), rough(5), places(5)
    batched = decoder(heatmaps, given)
    for row in range(5):
        single = decoder(heatmaps[[row]], given[[row]])
        for field in FIELDS:
            np.testing.assert_allclose(getattr(single, field)[0], getattr(batched, field)[row], atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_flipping_commutes(name: DecoderName) -> None:
    heatmaps = blobs((20.0, 100.0, 0.6), (71.0, 30.0, 0.4))
    plain = decode(heatmaps, given=(30.0, 90.0), name=name)
    mirrored = decode(heatmaps[..., ::-1], given=(95 - 30.0, 90.0), name=name)
    np.testing.assert_allclose(95 - mirrored.keypoints[..., 0], plain.keypoints[..., 0], atol=1e-3)
    for field in FIELDS[1:]:
        np.testing.assert_allclose(getattr(mirrored, field), getattr(plain, field), atol=1e-4)


@pytest.mark.parametrize("given", [(-500.0, 60.0), (1e5, -1e5), (48.0, 1e7)])
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_a_place_outside_the_grid_has_no_similarity(given: tuple[float, float], kind: str) -> None:
    heatmaps, spread = rough(2), np.full((2, 17, 2), given, np.float32)
    evidence = Decoder(COCO, SIZE_WH)(*(as_kind(array, kind) for array in (heatmaps, spread)))
    assert not np.asarray(evidence.given_similarity).any()
    assert not np.asarray(evidence.given_vicinity).any()
    assert np.isfinite(np.asarray(evidence.keypoints)).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 23), (31, 0), (31, 23)])
def test_a_corner_of_the_grid_is_a_place(row: int, column: int, name: DecoderName) -> None:
    found = decode(one_cell(row, column), name=name).keypoints
    assert np.abs(found - [X[column], Y[row]]).max() < 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_a_flat_heatmap_gives_some_place_inside(name: DecoderName) -> None:
    evidence = decode(np.full((1, 17, *GRID_HW), 1 / (32 * 24), np.float32), name=name)
    assert ((evidence.keypoints > 0) & (evidence.keypoints < SIZE_WH)).all()
    # The share of the crop that KS covers: pi reach^2 of its area at most.
    share = np.minimum(1, math.pi * REACH**2 / (SIZE_WH[0] * SIZE_WH[1]))
    assert (evidence.similarity[0] <= share + 1e-4).all()


def test_heatmaps_sum_to_one_however_large_the_logits() -> None:
    logits = np.random.default_rng(0).normal(0, 1, (2, 3, 8, 6)).astype(np.float32)
    logits[1] *= 1e4
    heatmaps = normalize(logits)
    assert np.isfinite(heatmaps).all()
    np.testing.assert_allclose(heatmaps.sum(axis=(2, 3)), 1, atol=1e-5)
    shares = np.exp(logits[0].astype(np.float64))
    np.testing.assert_allclose(heatmaps[0], shares / shares.sum(axis=(1, 2), keepdims=True), rtol=1e-4)
    torch = pytest.importorskip("torch")
    np.testing.assert_allclose(normalize(torch.from_numpy(logits)).numpy(), heatmaps, atol=1e-6)


def test_the_mean_is_what_the_network_is_trained_through() -> None:
    torch = pytest.importorskip("torch")
    from posefix.nn.heatmaps import soft_argmax

    heatmaps = rough(2)
    trained = soft_argmax(torch.from_numpy(heatmaps).log(), STRIDE)
    np.testing.assert_allclose(decode(heatmaps, name="soft_argmax").keypoints, trained.numpy(), atol=1e-3)


def test_a_skeleton_without_sigmas_is_an_error() -> None:
    with pytest.raises(InputError, match="sigma"):
        Decoder(load_skeleton("blazepose33"), SIZE_WH)


def as_kind(array: Array, kind: str) -> Any:
    return pytest.importorskip("torch").from_numpy(array) if kind == "torch" else array
