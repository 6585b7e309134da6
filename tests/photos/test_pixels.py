"""Photos decoded smaller show the same in the same places."""

from __future__ import annotations

import io
import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from posefix import Refiner
from posefix.cli.demo_scene import packaged_scene
from posefix.errors import InputError
from posefix.photos.finding import decode_image, decode_reduced
from posefix.photos.pixels import read_size
from posefix.pose.geometry import compose, crop_matrices, transform, warp

Pixels = npt.NDArray[np.uint8]
ORIENTATION_TAG = 0x0112
WIDTH, HEIGHT = 403, 309
"""Neither is a multiple of 2, 4 or 8: 3 columns and 5 rows are left over at 8."""


def clouds(generator: np.random.Generator, size_wh: tuple[int, int], coarseness: int = 24) -> Pixels:
    """Coloured clouds so smooth that a block's mean is what its lowest frequencies say."""
    coarse = generator.integers(40, 216, (size_wh[1] // coarseness, size_wh[0] // coarseness, 3))
    smooth = cv2.resize(coarse.astype(np.float32), size_wh, interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth, 0, 255).astype(np.uint8)


def jpeg(pixels: Pixels, orientation: int = 1, **options: Any) -> bytes:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[ORIENTATION_TAG] = orientation
    settings = {"quality": 97, "subsampling": 0, **options}
    Image.fromarray(pixels).save(buffer, "JPEG", exif=exif, **settings)
    return buffer.getvalue()


def block_means(pixels: Pixels, first_xy: npt.NDArray[np.float64], shape: tuple[int, ...]) -> Any:
    """Means of whole blocks of a photo, the first of which begins at a pixel."""
    factor = pixels.shape[0] // shape[0]
    x, y = first_xy.astype(int)
    part = pixels[y : y + shape[0] * factor, x : x + shape[1] * factor]
    return part.reshape(shape[0], factor, shape[1], factor, 3).mean(axis=(1, 3))


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_small_pixel_is_the_block_of_the_photo_that_its_matrix_says(orientation: int, factor: int) -> None:
    content = jpeg(clouds(np.random.default_rng(orientation), (WIDTH, HEIGHT)), orientation)
    whole, small = decode_image(content), decode_reduced(content, factor)
    assert small.factor == factor
    assert small.pixels.shape == (whole.shape[0] // factor, whole.shape[1] // factor, 3)
    centre = transform(small.to_photo[None], np.zeros((1, 1, 2)))[0, 0]
    first = centre - (factor - 1) / 2  # the block's first pixel
    assert (first == np.round(first)).all()
    assert (first >= 0).all()
    means = block_means(whole, first, small.pixels.shape)
    assert np.abs(means - small.pixels).mean() < 0.6
    assert np.abs(means - small.pixels).max() <= 4
    for x, y in ((1, 0), (0, 1), (-1, 0), (0, -1)):  # a pixel beside it is not
        beside = np.clip(first + np.array([x, y]), 0, None)
        room = np.array(whole.shape[1::-1]) - factor * np.array(small.pixels.shape[1::-1])
        if (beside <= room).all() and (beside != first).any():
            off = np.abs(block_means(whole, beside, small.pixels.shape) - small.pixels).mean()
            assert off > 2 * np.abs(means - small.pixels).mean()


def test_the_matrix_of_a_photo_as_stored_is_the_stride_rule() -> None:
    content = jpeg(clouds(np.random.default_rng(0), (WIDTH, HEIGHT)), 3)
    small = decode_reduced(content, 8, exif="ignore")
    np.testing.assert_array_equal(small.to_photo, [[8, 0, 3.5], [0, 8, 3.5]])
    turned = decode_reduced(content, 8)
    np.testing.assert_array_equal(turned.to_photo, [[8, 0, 6.5], [0, 8, 8.5]])  # 3 columns, 5 rows cut off
    np.testing.assert_array_equal(turned.pixels, small.pixels[::-1, ::-1])


@pytest.mark.parametrize(
    ("most", "factor"), [(0.3, 1), (1.99, 1), (2, 2), (3.9, 2), (7.9, 4), (8, 8), (1e9, 8)]
)
def test_a_photo_gets_no_smaller_than_it_may(most: float, factor: int) -> None:
    content = jpeg(clouds(np.random.default_rng(0), (WIDTH, HEIGHT)))
    assert decode_reduced(content, most).factor == factor


@pytest.mark.parametrize("size_wh", [(1, 1), (15, 400), (16, 16), (31, 200), (70, 63)])
def test_tiny_photos_keep_eight_pixels_a_side(size_wh: tuple[int, int]) -> None:
    content = jpeg(np.full((size_wh[1], size_wh[0], 3), 90, np.uint8))
    small = decode_reduced(content, 8)
    assert small.pixels.shape == (size_wh[1] // small.factor, size_wh[0] // small.factor, 3)
    assert small.factor == 1 or min(small.pixels.shape[:2]) >= 8
    assert np.abs(small.pixels.astype(int) - 90).max() <= 1


def test_other_formats_stay_as_they_are() -> None:
    pixels, buffer = clouds(np.random.default_rng(0), (WIDTH, HEIGHT)), io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    small = decode_reduced(buffer.getvalue(), 8)
    np.testing.assert_array_equal(small.pixels, pixels)
    np.testing.assert_array_equal(small.to_photo, [[1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_print_colours_get_smaller_too(mode: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(clouds(np.random.default_rng(0), (WIDTH, HEIGHT))).convert(mode).save(
        buffer, "JPEG", quality=97
    )
    whole, small = decode_image(buffer.getvalue()), decode_reduced(buffer.getvalue(), 4)
    means = block_means(whole, np.zeros(2), small.pixels.shape)
    assert small.factor == 4
    assert np.abs(means - small.pixels).mean() < 1


def test_progressive_and_subsampled_photos_get_smaller_too() -> None:
    pixels = clouds(np.random.default_rng(0), (WIDTH, HEIGHT))
    content = jpeg(pixels, progressive=True, subsampling=2)
    small = decode_reduced(content, 4)
    assert small.factor == 4
    assert np.abs(block_means(pixels, np.zeros(2), small.pixels.shape) - small.pixels).mean() < 2


@pytest.mark.parametrize("kept", [0.3, 0.95])
def test_a_truncated_photo_is_an_error_at_every_size(kept: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    content = jpeg(noise)
    (tmp_path / "a.jpg").write_bytes(content[: int(len(content) * kept)])
    for most in (1, 2, 8):
        with pytest.raises(InputError, match=r"a\.jpg: cannot be read as a photo"):
            decode_reduced(tmp_path / "a.jpg", most)


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("shrink", [2.2, 4.7, 9.0])
def test_a_crop_of_the_smaller_photo_is_the_crop_of_the_photo(orientation: int, shrink: float) -> None:
    generator = np.random.default_rng(3)
    pixels = clouds(generator, (2003, 1501), coarseness=60).astype(int) + generator.normal(
        0, 6, (1501, 2003, 1)
    )
    content = jpeg(np.clip(pixels, 0, 255).astype(np.uint8), orientation, quality=92)
    whole, small = decode_image(content), decode_reduced(content, shrink)
    size_wh = (96, 128)
    box = np.array([[300.0, 200.0, 96 * shrink, 128 * shrink]])
    matrix = crop_matrices(box, size_wh)[0]
    expected = warp(whole, matrix, size_wh).astype(int)
    found = warp(small.pixels, compose(matrix, small.to_photo), size_wh).astype(int)
    assert small.factor > 1
    difference = np.abs(found - expected)
    assert difference.mean() < 2.5
    shifted = warp(whole, matrix + np.array([[0, 0, 1], [0, 0, 0]]), size_wh).astype(int)
    assert difference.mean() < np.abs(shifted - expected).mean()


@pytest.mark.parametrize("factor", [2, 4])
def test_a_pose_is_refined_to_the_same_places(factor: int) -> None:
    scene = packaged_scene()
    enlarged = np.kron(scene.image, np.ones((8, 8, 1), np.uint8))
    content = jpeg(cv2.GaussianBlur(enlarged, (0, 0), 4).astype(np.uint8), quality=92)
    # One look: the crop of a second follows places filled in by guess, which a hair's breadth may turn.
    refiner = replace(Refiner.from_pretrained(device="cpu", threads=1), looks=1)
    keypoints = np.where(scene.poses.valid[..., None], 8 * scene.poses.keypoints + 3.5, 0.0)
    expected = refiner(decode_image(content), keypoints, skeleton=scene.poses.skeleton)
    small = decode_reduced(content, factor)
    inside = np.where(scene.poses.valid[..., None], (keypoints - small.to_photo[:, 2]) / small.factor, 0.0)
    found = refiner(small.pixels, inside, skeleton=scene.poses.skeleton)
    # What was filled in lies outside of the photo, which shows no more than a bust: there is nothing to compare there.
    given = scene.poses.valid
    places = transform(small.to_photo[None], found.keypoints)
    height = np.ptp(keypoints[scene.poses.valid][:, 1])
    assert small.factor == factor
    assert np.median(np.linalg.norm(places - expected.keypoints, axis=-1)[given]) < 0.005 * height
    np.testing.assert_allclose(found.confidence[given], expected.confidence[given], atol=0.08)


@pytest.mark.parametrize(
    "kind", ["JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF", "JPEG2000"]
)
def test_formats_of_photos_are_read(kind: str, tmp_path: Path) -> None:
    if kind == "AVIF":
        pytest.importorskip("PIL.AvifImagePlugin")
    pixels = np.full((16, 24, 3), 128, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "1.jpg", kind)
    assert np.abs(decode_image(tmp_path / "1.jpg").astype(int) - 128).max() < 4
    assert read_size(tmp_path / "1.jpg") == (24, 16)
    assert decode_image((tmp_path / "1.jpg").read_bytes()).shape == (16, 24, 3)


@pytest.mark.parametrize("kind", ["EPS", "PDF", "TGA", "PCX", "SGI", "ICO"])
def test_what_is_no_photo_is_opened_by_no_reader(kind: str, tmp_path: Path) -> None:
    """An EPS would be handed to Ghostscript: a program, run on a stranger's file."""
    Image.new("RGB", (64, 64)).save(tmp_path / "1.jpg", kind)
    for read in (decode_image, read_size):
        with pytest.raises(InputError, match=r"1\.jpg: cannot be read as a photo \(cannot identify"):
            read(tmp_path / "1.jpg")
    with pytest.raises(InputError, match=r"image: cannot be read as a photo \(cannot identify"):
        decode_image((tmp_path / "1.jpg").read_bytes())


def test_a_photo_for_which_there_is_no_memory_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_much(*_: object, **__: object) -> None:
        raise MemoryError

    Image.new("RGB", (24, 16)).save(tmp_path / "1.png")
    monkeypatch.setattr(Image, "open", too_much)
    with pytest.raises(InputError, match=r"1\.png: cannot be read as a photo"):
        decode_image(tmp_path / "1.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="only POSIX has named pipes")
def test_pipes_folders_devices_and_sockets_are_told_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "1.jpg")
    (tmp_path / "2.jpg").mkdir()
    (tmp_path / "3.jpg").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(tmp_path)  # a socket's path may have a hundred letters or so
        listening.bind("4.jpg")
        os.chdir(here)
        things = ("a named pipe", "a folder", "a device", "a socket")
        for number, thing in enumerate(things, start=1):
            path = tmp_path / f"{number}.jpg"
            for read in (decode_image, read_size):
                with pytest.raises(InputError) as caught:
                    read(path)
                assert str(caught.value) == f"{path}: expected a photo, got {thing}; replace it"


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "I;16", "CMYK", "RGBA", "1"])
def test_huge_photos_of_any_format_are_averaged(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = clouds(np.random.default_rng(2), (WIDTH, HEIGHT))
    photo = (
        Image.fromarray(pixels[..., 0].astype(np.uint16) * 256)
        if mode == "I;16"
        else Image.fromarray(pixels).convert(mode)
    )
    photo.save(tmp_path / "a", "TIFF")
    monkeypatch.setattr("posefix.photos.pixels.STRIP_PIXELS", 5000)
    whole = decode_image(tmp_path / "a")
    assert decode_reduced(tmp_path / "a", 8).factor == 1
    monkeypatch.setattr("posefix.photos.pixels.HUGE_PIXELS", WIDTH * HEIGHT - 1)
    np.testing.assert_array_equal(decode_image(tmp_path / "a"), whole)
    small = decode_reduced(tmp_path / "a", 4.5)
    assert (small.factor, small.pixels.shape) == (4, (HEIGHT // 4, WIDTH // 4, 3))
    means = block_means(whole, np.zeros(2), small.pixels.shape)
    assert np.abs(means - small.pixels).max() <= 0.5
    np.testing.assert_array_equal(small.to_photo, [[4, 0, 1.5], [0, 4, 1.5]])
