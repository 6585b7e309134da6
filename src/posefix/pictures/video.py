"""Videos with the poses drawn in, before and after side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from posefix.errors import InputError
from posefix.files import ensure_not_input, ensure_writable, written_elsewhere
from posefix.photos.finding import Exif, ImageId
from posefix.photos.video import Frame, Video
from posefix.pictures.drawing import Colour, Image, View, before_after
from posefix.pictures.people import people_colours
from posefix.pose import geometry
from posefix.pose.poses import Poses
from posefix.refine.smoothing import Track

PANEL_WH = (960, 720)
"""Each of the two pictures is at most this large, pixels; small videos stay as they are."""
CODECS = {".mp4": "mp4v", ".webm": "VP80"}
"""Ending -> code of the codec: those that OpenCV's wheels write without further libraries."""


def check_video_path(path: str | Path, video: str | Path) -> None:
    """Find out before the work whether `render_before_after` will be able to write.

    Args:
        path: The file to write.
        video: The file that is read, which must be another one.

    Raises:
        InputError: It is the same file, its ending is not that of a video format, or it cannot be written.
    """
    path = Path(path)
    ensure_not_input(path, [video])
    if path.suffix.lower() not in CODECS:
        raise InputError(
            f"video: expected a file name ending in {' or '.join(CODECS)}, got {path}; rename the output"
        )
    ensure_writable(path)


def render_before_after(
    path: str | Path,
    video: Video,
    frames: Mapping[ImageId, Frame],
    poses: tuple[Poses, Poses],
    *,
    tracks: Sequence[Track | None] | None = None,
    exif: Exif = "apply",
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a video's frames twice beside each other, all of them, with the poses of each.

    Where frames follow each other at a variable rate, the new video has their mean rate. It has no sound.

    Args:
        path: Ends in .mp4 (MPEG-4 part 2) or .webm (VP8).
        video: The video.
        frames: Its frame of each image id.
        poses: As they were given, and refined: the same people.
        tracks: (N) whom each pose is of; with more than one person, each keeps a colour of his own.
        exif: As in `Video.read`.
        progress: Called after each frame with the number done and in all.

    Raises:
        InputError: See `check_video_path`; or OpenCV cannot write such a file here.
    """
    check_video_path(path, video.path)
    pictures = _pictures(video, frames, poses, _colours(tracks), exif)
    with written_elsewhere(path) as temporary:
        count = _write(temporary, Path(path), pictures, video, progress)
        # OpenCV does not say when a disk is full: look at what is there.
        if not count or len(Video(temporary)) != count:
            raise InputError(f"{path}: the video could not be written whole; is the disk full?")


def _pictures(
    video: Video,
    frames: Mapping[ImageId, Frame],
    poses: tuple[Poses, Poses],
    colours: Sequence[Colour] | None,
    exif: Exif,
) -> Iterator[Image]:
    """One picture for each frame of the video."""
    before, after = poses
    rows: dict[int, list[int]] = defaultdict(list)
    for row, image_id in enumerate(before.image_ids):
        rows[frames[image_id].number].append(row)
    view = _view(video.size_wh(exif))
    for number, image in enumerate(video.frames(exif)):
        people = rows[number]
        yield before_after(
            image,
            (before.keypoints[people], before.valid[people]),
            (after.keypoints[people], after.valid[people]),
            before.skeleton,
            view=view,
            limb_colours=[colours[row] for row in people] if colours else None,
        )


def _write(
    temporary: Path,
    path: Path,
    pictures: Iterator[Image],
    video: Video,
    progress: Callable[[int, int], None] | None,
) -> int:
    """Write pictures of one size, and return their number."""
    writer, count = None, 0
    try:
        for picture in pictures:
            writer = writer or _open(temporary, path, picture, video.frame_rate)
            writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
            count += 1
            if progress is not None:
                progress(count, len(video))
    finally:
        if writer is not None:
            writer.release()
    return count


def _open(temporary: Path, path: Path, picture: Image, rate: float) -> cv2.VideoWriter:
    codec, (height, width) = CODECS[path.suffix.lower()], picture.shape[:2]
    writer = cv2.VideoWriter(
        str(temporary), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), rate, (width, height)
    )
    if not writer.isOpened():
        raise InputError(
            f"{path}: the OpenCV that is installed cannot write {codec} video; try another ending"
        )
    return writer


def _view(size_wh: tuple[int, int]) -> View:
    """A whole frame, no larger than a panel and with even sides, as codecs want them."""
    scale = min(1.0, *(panel / side for panel, side in zip(PANEL_WH, size_wh, strict=True)))
    width, height = (max(2, 2 * round(scale * side / 2)) for side in size_wh)
    stretch = np.array([width / size_wh[0], height / size_wh[1]])
    return View(np.column_stack([np.diag(stretch), geometry.scaled(np.zeros(2), stretch)]), (width, height))


def _colours(tracks: Sequence[Track | None] | None) -> list[Colour] | None:
    """A colour for each row by its track; None, the colours of the sides, where there is one person or nobody knows."""
    order = {track: number for number, track in enumerate(dict.fromkeys(tracks or ()))}
    colours = people_colours(len(order))
    return [colours[order[track]] for track in tracks] if tracks and len(order) > 1 else None
