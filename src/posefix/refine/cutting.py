"""Crops cut out of one photo, or of many in batches: threads cut ahead while the network works on the batch before.

Only crops are kept, of no more than a stated number of people, so memory does not grow with the photos. A photo is a
file or the frame of a video; files are decoded no larger than their crops need (`posefix.photos.pixels`), frames by one
thread, in their order.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.photos.finding import Exif, ImageId, decode_reduced
from posefix.photos.room import room_for
from posefix.pose.geometry import compose, shows_photo, warp
from posefix.pose.poses import FloatArray, Rows, rows_by_image
from posefix.refine.crops import CroppedPeople

Image = npt.NDArray[np.uint8]
Crop = tuple[int, Image]
"""Row of a person, and the crop (H, W, 3)."""
Crops = tuple[Rows, Image]
"""Rows (B,) of people, and their crops (B, H, W, 3)."""

Progress = Callable[[int, int], None]
"""Called after each batch with the number of looks at people so far and of those that are due so far: a refiner's rises
where people are looked at again. Who is not seen, or whose photo cannot be read, is due, but never looked at."""

MOST_THREADS = 8
SPARE_RESOLUTION = 2.0
"""A photo is decoded smaller only so far that it stays so many times finer than its finest crop: what is left to be
shrunk is then averaged as in the whole photo."""


class FrameLike(Protocol):
    """A photo that is part of a longer file, which is read from its start on, such as a video."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def number(self) -> int:
        """The frame's place in the file's order."""

    def read(self, exif: Exif) -> Image:
        """Decode it, (H, W, 3) RGB; fast only in rising order. Raises InputError."""


Photo = str | Path | FrameLike
"""Where a photo is: a file of its own, or a frame."""


@dataclass(frozen=True)
class FailedPhoto:
    """A photo that could not be read.

    Attributes:
        path: The file, that of the video where the photo is a frame.
        reason: One sentence.
        people: How many poses in it stay as they were.
    """

    path: Path
    reason: str
    people: int


@dataclass(frozen=True)
class PhotoTask:
    """A photo and the rows of the people in it."""

    photo: Photo
    rows: Rows

    @property
    def path(self) -> Path:
        """The file that the photo is in."""
        return Path(self.photo) if isinstance(self.photo, str | Path) else self.photo.path


def photo_tasks(image_ids: Sequence[ImageId], rows: Rows, photos: Mapping[ImageId, Photo]) -> list[PhotoTask]:
    """One task per photo: files in the order in which they first appear, frames in that of their video.

    Args:
        image_ids: (N) photo of each person.
        rows: Of the people who are cut out.
        photos: Where the photo of each image id is.

    Raises:
        InputError: A photo is nowhere.
    """
    by_photo = rows_by_image(image_ids[row] for row in rows)
    if lost := [image_id for image_id in by_photo if image_id not in photos]:
        raise InputError(
            f"images: no photo for image id {lost[0]!r} ({len(lost)} of {len(by_photo)} ids); add them"
        )
    tasks = [PhotoTask(photos[image_id], rows[places]) for image_id, places in by_photo.items()]
    return sorted(tasks, key=_place)


def _place(task: PhotoTask) -> int:
    """What puts frames in order and, sorting being stable, leaves files in theirs."""
    return 0 if isinstance(task.photo, str | Path) else task.photo.number


@dataclass
class CropStream:
    """Iterates over the crops of all people, photo by photo; each photo is decoded once.

    People whose crop shows nothing of their photo are left out.

    Attributes:
        tasks: The photos, in the order of the crops.
        matrices: (N, 2, 3), original-image pixels -> crop pixels, of the rows that the tasks name.
        size_wh: Crop width and height, pixels.
        people_ahead: So many people are cut out ahead, or a photo for each thread if that is more.
        exif: As in `decode_reduced`.
        stop_on_error: Raise at the first unreadable photo, rather than leave it out and go on.
        failed: The unreadable photos left out so far.
    """

    tasks: list[PhotoTask]
    matrices: FloatArray
    size_wh: tuple[int, int]
    people_ahead: int
    exif: Exif = "apply"
    stop_on_error: bool = True
    failed: list[FailedPhoto] = field(default_factory=list)

    def __iter__(self) -> Iterator[Crop]:
        with closing(self._decoded()) as photos:
            for task, crops in photos:
                try:
                    cut = crops.result()
                except InputError as error:
                    if self.stop_on_error:
                        raise
                    self.failed.append(FailedPhoto(task.path, str(error), len(task.rows)))
                else:
                    yield from cut

    def _decoded(self) -> Generator[tuple[PhotoTask, Future[list[Crop]]], None, None]:
        files = all(isinstance(task.photo, str | Path) for task in self.tasks)
        threads = min(MOST_THREADS, os.cpu_count() or 1) if files else 1
        waiting: deque[tuple[PhotoTask, Future[list[Crop]]]] = deque()
        people = 0
        pool = ThreadPoolExecutor(threads, thread_name_prefix="posefix-decode")
        try:
            for task in self.tasks:
                waiting.append((task, pool.submit(self._cut, task)))
                people += len(task.rows)
                while len(waiting) > threads and people > self.people_ahead:
                    people -= len(waiting[0][0].rows)
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            pool.shutdown(cancel_futures=True)

    def _cut(self, task: PhotoTask) -> list[Crop]:
        matrices = self.matrices[task.rows]
        if not isinstance(task.photo, str | Path):
            return self._crops(task, task.photo.read(self.exif), matrices)
        most = 1 / (SPARE_RESOLUTION * np.sqrt(np.abs(np.linalg.det(matrices[:, :, :2]))).max())
        with room_for(task.photo, most):
            reduced = decode_reduced(task.photo, most, exif=self.exif)
            return self._crops(task, reduced.pixels, compose(matrices, reduced.to_photo))

    def _crops(self, task: PhotoTask, image: Image, matrices: npt.NDArray[np.float64]) -> list[Crop]:
        crops = cut_crops(image, np.arange(len(matrices)), matrices, self.size_wh)
        return [(int(task.rows[place]), crop) for place, crop in crops]


def cut_crops(image: Image, rows: Rows, matrices: FloatArray, size_wh: tuple[int, int]) -> Iterator[Crop]:
    """The crops of some people in one photo; those that would show nothing of it are left out.

    Args:
        image: (H, W, 3).
        rows: (n,) of the people.
        matrices: (N, 2, 3), photo pixels -> crop pixels.
        size_wh: Crop width and height, pixels.
    """
    for row in rows[shows_photo(matrices[rows], size_wh, image.shape)].tolist():
        yield row, warp(image, matrices[row], size_wh)


class Cut(Protocol):
    """Where the crops of a call come from, look after look."""

    @property
    def failed(self) -> Sequence[FailedPhoto]:
        """The photos that could not be read so far."""

    def __call__(self, people: CroppedPeople) -> Iterable[Crop]:
        """The crops of people, by their places among these."""


@dataclass(frozen=True)
class OnePhoto:
    """Cuts people out of a photo that is there, (H, W, 3)."""

    photo: Image
    failed: tuple[FailedPhoto, ...] = ()

    def __call__(self, people: CroppedPeople) -> Iterator[Crop]:
        """See `Cut`."""
        return cut_crops(self.photo, np.flatnonzero(people.usable), people.matrices, people.size_wh)


@dataclass(frozen=True)
class ManyPhotos:
    """Cuts people out of photos that are decoded once for each look.

    Attributes:
        image_ids: Photo of each pose of the call.
        photos: Where the photo of each image id is.
        people_ahead: As of `CropStream`.
        exif: The same.
        stop_on_error: The same.
        failed: The unreadable photos left out so far.
    """

    image_ids: Sequence[ImageId]
    photos: Mapping[ImageId, Photo]
    people_ahead: int
    exif: Exif = "apply"
    stop_on_error: bool = True
    failed: list[FailedPhoto] = field(default_factory=list)

    def __call__(self, people: CroppedPeople) -> CropStream:
        """See `Cut`."""
        image_ids = [self.image_ids[row] for row in people.rows]
        return CropStream(
            tasks=photo_tasks(image_ids, np.flatnonzero(people.usable), self.photos),
            matrices=people.matrices,
            size_wh=people.size_wh,
            people_ahead=self.people_ahead,
            exif=self.exif,
            stop_on_error=self.stop_on_error,
            failed=self.failed,
        )


def batches(crops: Iterable[Crop], size: int) -> Iterator[Crops]:
    """Collect crops into batches of `size`; the last one may be smaller."""
    rows: list[int] = []
    images: list[Image] = []
    for row, image in crops:
        rows.append(row)
        images.append(image)
        if len(rows) == size:
            yield np.array(rows), np.stack(images)
            rows, images = [], []
    if rows:
        yield np.array(rows), np.stack(images)
