"""Photos that are decoded at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from posefix.errors import InputError
from posefix.photos.pixels import pixels_to_decode
from posefix.photos.room import room_for


def make_photo(path: Path, side: int) -> Path:
    Image.fromarray(np.zeros((side, side, 3), np.uint8)).save(path)
    return path


def test_threads_together_hold_no_more_pixels_than_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posefix.photos.room.MOST_PIXELS", 2000)
    photos = [make_photo(tmp_path / f"{side}.png", side) for side in (10, 20, 30, 40, 50, 30, 10, 20) * 5]
    held, most, lock = 0, 0, threading.Lock()

    def hold(photo: Path) -> None:
        nonlocal held, most
        pixels = min(pixels_to_decode(photo), 2000)  # the largest has the room for itself
        with room_for(photo):
            with lock:
                held += pixels
                most = max(most, held)
            threading.Event().wait(0.001)
            with lock:
                held -= pixels

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hold, photos))
    assert 1000 < most <= 2000


def test_room_is_given_back_after_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posefix.photos.room.MOST_PIXELS", 100)
    photo = make_photo(tmp_path / "a.png", 10)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), room_for(photo):
            _ = 1 / 0
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"b\.png: cannot be read as a photo"), room_for(tmp_path / "b.png"):
        pass


def test_a_jpeg_takes_the_room_of_its_smaller_self(tmp_path: Path) -> None:
    for name, expected in (("a.jpg", 100 * 100 // 16), ("a.png", 100 * 100)):
        assert pixels_to_decode(make_photo(tmp_path / name, 100), 4.2) == expected
