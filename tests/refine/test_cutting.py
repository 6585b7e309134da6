"""Decoding and cutting ahead of the network."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from posefix.errors import InputError
from posefix.network.decoding import Evidence
from posefix.photos import finding as images
from posefix.pose.poses import Poses
from posefix.refine import cutting
from posefix.refine.cutting import CropStream, PhotoTask, batches, photo_tasks
from posefix.refine.refiner import Refiner
from posefix.skeletons import load_skeleton

MATRIX = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def stream(folder: Path, people: list[int], **options: Any) -> CropStream:
    """One photo for each number of people; photo i is uniformly grey of level i."""
    tasks, row = [], 0
    for level, count in enumerate(people):
        path = folder / f"{level}.png"
        Image.fromarray(np.full((8, 8, 3), level, np.uint8)).save(path)
        tasks.append(PhotoTask(path, np.arange(row, row + count)))
        row += count
    return CropStream(tasks, np.tile(MATRIX, (row, 1, 1)), (8, 8), **{"people_ahead": 4, **options})


def test_crops_come_in_the_order_of_the_photos(tmp_path: Path) -> None:
    crops = [(row, int(image[4, 4, 0])) for row, image in stream(tmp_path, [2, 1, 3, 1])]
    assert crops == [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 2), (6, 3)]


def test_batches_are_full_but_for_the_last(tmp_path: Path) -> None:
    sizes = [(rows.tolist(), images.shape) for rows, images in batches(stream(tmp_path, [2, 1, 2]), 3)]
    assert sizes == [([0, 1, 2], (3, 8, 8, 3)), ([3, 4], (2, 8, 8, 3))]


def test_photos_are_decoded_once_and_not_far_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []
    decode = images.decode_reduced

    def counting(path: Path, most: float, **options: Any) -> Any:
        decoded.append(path.name)
        return decode(path, most, **options)

    monkeypatch.setattr(cutting, "decode_reduced", counting)
    monkeypatch.setattr(cutting, "MOST_THREADS", 2)
    crops = iter(stream(tmp_path, [1] * 40))
    for taken in range(1, 41):
        next(crops)
        # Those waiting (people_ahead and the one that exceeds it), and the one just taken.
        assert len(decoded) <= taken + 5
    assert sorted(decoded) == sorted(f"{number}.png" for number in range(40))


def test_leaving_early_ends_the_threads(tmp_path: Path) -> None:
    crops = iter(stream(tmp_path, [1] * 20))
    next(crops)
    crops.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("posefix")]


def test_an_unreadable_photo_stops_or_is_left_out(tmp_path: Path) -> None:
    for stop in (True, False):
        crops = stream(tmp_path, [1, 2, 1], stop_on_error=stop)
        (tmp_path / "1.png").write_bytes(b"")
        if stop:
            with pytest.raises(InputError, match=r"1\.png"):
                list(crops)
        else:
            assert [row for row, _ in crops] == [0, 3]
            assert [(photo.path.name, photo.people) for photo in crops.failed] == [("1.png", 2)]


BLOB_XY = np.array([1203.3, 871.8])
"""The middle of what is bright in the photo of `photo_of_a_blob`."""


def photo_of_a_blob(path: Path, orientation: int) -> None:
    """A black photo of 5 megapixels, upright 2402 wide and 1805 high, with one soft bright blob."""
    x, y = np.meshgrid(np.arange(2402) - BLOB_XY[0], np.arange(1805) - BLOB_XY[1])
    grey = 255 * np.exp(-(x**2 + y**2) / (2 * 90**2))
    # As stored: Pillow turns it upright again.
    back = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}[orientation]
    photo, exif = Image.fromarray(grey.astype(np.uint8)).convert("RGB"), Image.Exif()
    exif[0x0112] = orientation
    (photo if back is None else photo.transpose(back)).save(path, quality=95, exif=exif)


def blob_backend(crops: Any, keypoints: Any, weights: Any) -> Evidence:
    """Puts every keypoint in the middle of what is bright in its crop."""
    grey = np.maximum(crops[..., 0].astype(np.float64) - 10, 0)
    total = grey.sum(axis=(1, 2))
    x, y = ((grey.sum(axis=axis) * np.arange(grey.shape[3 - axis])).sum(axis=1) / total for axis in (1, 2))
    places = np.broadcast_to(np.stack([x, y], axis=-1)[:, None], keypoints.shape).astype(np.float32)
    sure = np.ones_like(weights)
    return Evidence(places, sure, sure, np.zeros_like(sure), np.zeros_like(sure))


def people_around_the_blob(heights: list[float]) -> Poses:
    skeleton = load_skeleton("coco17")
    shape = np.linspace([-0.3, -0.5], [0.3, 0.5], 17)
    keypoints = BLOB_XY + shape * np.array(heights)[:, None, None]
    valid, count = np.ones(keypoints.shape[:2], bool), len(heights)
    return Poses(keypoints, np.ones(valid.shape), valid, (1,) * count, np.ones(count), skeleton)


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize(
    ("heights", "factor"),
    [([1500.0], 8), ([1500.0, 900.0], 4), ([1500.0, 500.0], 2), ([1500.0, 900.0, 240.0], 1)],
)
def test_large_photos_are_decoded_no_larger_than_needed_and_places_stay(
    heights: list[float], factor: int, orientation: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo_of_a_blob(tmp_path / "1.jpg", orientation)
    poses, factors = people_around_the_blob(heights), []

    def noting(photo: Path, most: float, **options: Any) -> Any:
        reduced = images.decode_reduced(photo, most, **options)
        factors.append(reduced.factor)
        return reduced

    monkeypatch.setattr(cutting, "decode_reduced", noting)
    refiner = Refiner(blob_backend, poses.skeleton, (96, 128), caution=-1.0, looks=1)
    found = refiner.refine(poses, tmp_path).poses.keypoints
    monkeypatch.setattr(cutting, "decode_reduced", lambda photo, _, **options: noting(photo, 1, **options))
    whole = refiner.refine(poses, tmp_path).poses.keypoints
    assert factors == [factor, 1]
    # A pixel of the largest crop is 18 pixels of the photo: places stay to a thirtieth of that.
    assert np.abs(found - whole).max() <= (0.6 if factor > 1 else 0.0)
    assert np.abs(found - BLOB_XY).max() < 1.2


def test_a_missing_photo_is_called_so(tmp_path: Path) -> None:
    crops = stream(tmp_path, [1, 2], stop_on_error=False)
    (tmp_path / "1.png").unlink()
    assert [row for row, _ in crops] == [0]
    assert [photo.reason for photo in crops.failed] == [
        f"{tmp_path / '1.png'}: there is no such photo; add it"
    ]


@dataclass(frozen=True)
class Page:
    """A frame of a file that can only be read from its start on."""

    number: int
    asked: list[int]
    path: Path = Path("clip.mp4")

    def read(self, exif: str) -> np.ndarray:
        assert (exif, threading.current_thread().name) == ("ignore", "posefix-decode_0")
        self.asked.append(self.number)
        if self.number == 13:
            raise InputError("clip.mp4, frame 13: is damaged")
        return np.full((8, 8, 3), self.number, np.uint8)


def test_frames_are_read_once_in_their_order_by_one_thread() -> None:
    asked: list[int] = []
    frames = {image_id: Page(number, asked) for image_id, number in ((5, 5), ("b", 12), (3, 3), ("c", 13))}
    tasks = photo_tasks([5, "b", 3, 5, "c"], np.arange(5), frames)
    crops = CropStream(
        tasks, np.tile(MATRIX, (5, 1, 1)), (8, 8), people_ahead=4, exif="ignore", stop_on_error=False
    )
    assert [(row, int(image[4, 4, 0])) for row, image in crops] == [(2, 3), (0, 5), (3, 5), (1, 12)]
    assert asked == [3, 5, 12, 13]
    assert [(photo.path, photo.people) for photo in crops.failed] == [(Path("clip.mp4"), 1)]


def test_a_photo_without_a_place_is_an_error() -> None:
    with pytest.raises(InputError, match=r"no photo for image id 2 \(1 of 2 ids\)"):
        photo_tasks([1, 2, 2], np.arange(3), {1: Path("1.png")})
