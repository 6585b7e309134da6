"""Pictures out of shards, in any order: one read and one decode each."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.pose import geometry
from posefix.pose.poses import FloatArray
from posefix.shards.contexts import Photo
from posefix.shards.folder import MEND, PERSON_COLUMNS, PICTURE_COLUMNS, Index, read_shard, shard_path

COARSEST = 2.0
"""A crop that its context does not hold is taken from the small photo unless that would have to be enlarged by more."""
_REDUCED = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}


@dataclass(frozen=True)
class StoredPictures:
    """Where n pictures lie.

    Attributes:
        shard: (n,) number of the shard.
        span: (n, 3) first byte, bytes and CRC-32 of the JPEG file in the archive.
        frame: (n, 6) scale_x, scale_y, offset_x, offset_y from the photo to the picture, width, height.
    """

    shard: npt.NDArray[np.int64]
    span: npt.NDArray[np.int64]
    frame: FloatArray

    def matrix(self, number: int) -> FloatArray:
        """From the photo to the picture (2, 3)."""
        scale_x, scale_y, offset_x, offset_y = self.frame[number, :4]
        return np.array([[scale_x, 0.0, offset_x], [0.0, scale_y, offset_y]])


@dataclass(frozen=True)
class ShardPictures:
    """The pictures of people (N,) in a folder of shards.

    Attributes:
        folder: Of the shards.
        size_wh: Width and height of the crops that are made of them.
        contexts: Of each person.
        overviews: Of M photos.
        overview: (N,) number of the person's small photo, -1 where the context holds the whole photo.
    """

    folder: Path
    size_wh: tuple[int, int]
    contexts: StoredPictures
    overviews: StoredPictures
    overview: npt.NDArray[np.int64]

    def select(self, rows: npt.NDArray[np.int64]) -> ShardPictures:
        """The pictures of some people."""
        kept = self.contexts
        contexts = StoredPictures(kept.shard[rows], kept.span[rows], kept.frame[rows])
        return ShardPictures(self.folder, self.size_wh, contexts, self.overviews, self.overview[rows])

    def __call__(self, row: int, matrix: FloatArray) -> tuple[Photo, FloatArray]:
        """What a crop needs of a person's photo.

        Args:
            row: Of the person.
            matrix: (2, 3), photo -> crop.

        Returns:
            A picture (H, W, 3) RGB, not more than about twice as fine as the crop, and (2, 3), picture -> crop.

        Raises:
            InputError: The shard was cut short or changed.
        """
        pictures, number = self.contexts, row
        if self._reaches_beyond(row, matrix):
            pictures, number = self.overviews, int(self.overview[row])
        frame = pictures.matrix(number)
        matrix = geometry.compose(matrix, geometry.invert(frame[None])[0])
        # A JPEG file that is decoded at a half, a quarter or an eighth is averaged as well as cut by area, and faster.
        shrink = 1.0 / np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        reduction = next(factor for factor in _REDUCED if factor <= max(shrink, 1.0))
        picture = self._decode(pictures, number, reduction)
        offset = matrix[:, :2] @ geometry.scaled(np.zeros(2), reduction) + matrix[:, 2]
        return picture, np.column_stack([matrix[:, :2] * reduction, offset])

    def _reaches_beyond(self, row: int, matrix: FloatArray) -> bool:
        """Whether a crop shows photo that the context lacks, and the small photo is fine enough for it."""
        number = self.overview[row]
        if number < 0:
            return False
        zoom = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        if zoom > COARSEST * self.overviews.frame[number, :2].mean():
            return False
        width, height = self.size_wh
        corners = np.array(
            [[[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]]], dtype=np.float64
        )
        corners = geometry.transform(geometry.invert(matrix[None]), corners)[0]
        limits = self.overviews.frame[number, 4:] / self.overviews.frame[number, :2] - 1
        shown = np.clip(corners, 0, limits) @ self.contexts.matrix(row)[:, :2] + self.contexts.frame[row, 2:4]
        return bool((shown < -1).any() or (shown > self.contexts.frame[row, 4:]).any())

    def _decode(self, pictures: StoredPictures, number: int, reduction: int) -> Photo:
        path = shard_path(self.folder, int(pictures.shard[number]))
        start, size, checksum = pictures.span[number].tolist()
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(start)
                content = file.read(size)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); {MEND}") from error
        if zlib.crc32(content) != checksum:
            raise InputError(
                f"{path}: the picture at byte {start} has a wrong checksum: the shard is damaged; {MEND}"
            )
        # Pixels as they lie in the file: photos were turned upright before.
        flags = _REDUCED[reduction] | cv2.IMREAD_IGNORE_ORIENTATION
        picture = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), flags)
        assert picture is not None  # its checksum is that of the file that was encoded
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def open_pictures(folder: Path, index: Index, size_wh: tuple[int, int]) -> ShardPictures:
    """The pictures of all people of a folder, in the order of its `people.npz`.

    Raises:
        InputError: A shard is missing, not finished or cut short.
    """
    shards = [read_shard(folder, number) for number in range(index.shards)]
    try:
        return _joined(folder, index, size_wh, shards)
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        raise InputError(f"{folder}: the places of pictures are damaged ({error}); {MEND}") from error


def _joined(
    folder: Path, index: Index, size_wh: tuple[int, int], shards: list[dict[str, Any]]
) -> ShardPictures:
    """The pictures of shards one after the other."""
    starts = np.cumsum([0, *(len(shard["overviews"]) for shard in shards)])
    people = [
        np.array(shard["people"], dtype=np.float64).reshape(-1, len(PERSON_COLUMNS)) for shard in shards
    ]
    for start, rows in zip(starts, people, strict=False):
        rows[:, -1] += np.where(rows[:, -1] >= 0, start, 0)
    small = [
        np.array(shard["overviews"], dtype=np.float64).reshape(-1, len(PICTURE_COLUMNS)) for shard in shards
    ]
    table = np.concatenate(people)
    order = np.argsort(table[:, -2], kind="stable")
    if len(table) != sum(index.parts) or (table[order, -2] != np.arange(len(table))).any():
        raise InputError(f"{folder}: the shards are not of the people of {folder.name}/people.npz; {MEND}")
    owner = np.repeat(np.arange(len(shards)), [len(rows) for rows in people])
    owner_small = np.repeat(np.arange(len(shards)), [len(rows) for rows in small])
    overview = table[order, -1].astype(np.int64)
    if (overview >= len(owner_small)).any():
        raise ValueError("a person's photo is none of theirs")
    sizes = np.array([shard["bytes"] for shard in shards], dtype=np.float64)
    return ShardPictures(
        folder,
        size_wh,
        _stored(owner[order], table[order], sizes),
        _stored(owner_small, np.concatenate(small), sizes),
        overview,
    )


def _stored(shard: npt.NDArray[np.int64], table: FloatArray, sizes: FloatArray) -> StoredPictures:
    """Where pictures lie, checked before any is read: a number beyond the file would ask for as much memory.

    Raises:
        ValueError: One lies outside of its shard, whose bytes are `sizes`, or has no scale.
    """
    inside = (table[:, :2] >= 0).all(axis=1) & (table[:, :2].sum(axis=1) <= sizes[shard])
    if not (inside & np.isfinite(table[:, 3:9]).all(axis=1) & (table[:, 3:5] > 0).all(axis=1)).all():
        raise ValueError("a picture lies outside of its shard, or has no scale")
    return StoredPictures(shard, table[:, :3].astype(np.int64), table[:, 3:9])
