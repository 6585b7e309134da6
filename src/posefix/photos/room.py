"""Room for photos in memory: decoding threads together hold no more than so many pixels of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from posefix.photos.pixels import pixels_to_decode

MOST_PIXELS = 100_000_000
"""Of all photos that are being decoded and cut, each of which takes 7 bytes: 4 in Pillow, 3 here. A photo with more
has the room for itself."""

_changed = threading.Condition()
_taken: list[int] = []


@contextmanager
def room_for(photo: str | Path, most: float = 1.0) -> Iterator[None]:
    """Wait until there is room for a photo, and keep it until the photo is no longer needed.

    Args:
        photo: The file; a thread holds one at a time.
        most: As in `posefix.photos.pixels.decode_reduced`.

    Raises:
        InputError: It cannot be read as a photo.
    """
    pixels = min(pixels_to_decode(photo, most), MOST_PIXELS)
    with _changed:
        _changed.wait_for(lambda: sum(_taken) + pixels <= MOST_PIXELS)
        _taken.append(pixels)
    try:
        yield
    finally:
        with _changed:
            _taken.remove(pixels)
            _changed.notify_all()
