"""Poses of a video instead of photos: `posefix refine --video`, and what only a video allows."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cyclopts import Parameter

from posefix.cli.options import Exif, Flag, VideoFile
from posefix.errors import InputError, plural

if TYPE_CHECKING:
    from posefix.photos.finding import Absent, Exif, ImageId
    from posefix.photos.video import Frame, Video
    from posefix.pose.poses import Poses
    from posefix.pose_files.pose_file import PhotoSize, PoseFile
    from posefix.refine.cutting import Photo
    from posefix.refine.smoothing import OneEuro, Track


@Parameter(name="*", group="Video")
@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """What is done where the poses are of a video."""

    video: VideoFile = None
    first_frame: Literal[0, 1] = 0
    """The number of the first frame in the file of the poses."""
    smooth: Flag = False
    """Smooth the refined poses of each track over time; without tracks, people are followed from frame to frame."""
    min_cutoff: float = 1.0
    """Of --smooth: cutoff frequency at rest, Hz; lower takes away more jitter."""
    beta: float = 10.0
    """Of --smooth: by how many Hz a speed of one body size a second raises the cutoff; higher follows faster."""
    render: Path | None = None
    """Write a video (.mp4 or .webm) with the poses before and after side by side."""

    def settings(self) -> OneEuro:
        """Of the smoothing; raises InputError."""
        from posefix.refine.smoothing import OneEuro

        return OneEuro(self.min_cutoff, self.beta)


@dataclass(frozen=True)
class Photos:
    """Where the photos are: a folder, or a video.

    Attributes:
        size: Width and height of the photo of an image id.
        find: Image ids, and maybe their file names -> where each photo is.
        exif: How they are turned.
        video: The video; None for a folder.
    """

    size: PhotoSize
    find: Callable[[Sequence[ImageId], Mapping[ImageId, str] | None], Mapping[ImageId, Photo]]
    exif: Exif
    video: Video | None = None

    def render(
        self,
        path: Path,
        photos: Mapping[ImageId, Photo],
        before: Poses,
        after: Poses,
        tracks: Sequence[Track | None] | None,
    ) -> None:
        """Write the video of before and after, with a progress bar."""
        from posefix.cli.progress import ProgressBar
        from posefix.pictures.video import render_before_after

        assert self.video is not None
        with ProgressBar("frames") as progress:
            render_before_after(
                path,
                self.video,
                {image_id: _frame(photo) for image_id, photo in photos.items()},
                (before, after),
                tracks=tracks,
                exif=self.exif,
                progress=progress,
            )
        print(f"before and after written to {path}")


def open_photos(
    images: Path | None,
    options: VideoOptions,
    names: Mapping[ImageId, str] | None,
    exif: Exif,
    absent: Absent = "stop",
) -> Photos:
    """The photos in a folder, or those of a video; says so where the video seems to be damaged.

    Args:
        images: The folder.
        options: The video, and what is done with it.
        names: Name of the photo of each image id.
        exif: How photos are turned.
        absent: Photos that are not in the folder: stop, or name the files that are not there.

    Raises:
        InputError: Neither is given or both are, options do not fit together, or the video cannot be read.
    """
    if (images is None) == (options.video is None):
        raise InputError("--images, --video: expected a folder of photos or a video, one of the two")
    if images is not None:
        _check_unused(options)
        return _folder(images, names, exif, absent)
    video = _checked_video(options)

    def find(
        image_ids: Sequence[ImageId], file_names: Mapping[ImageId, str] | None
    ) -> Mapping[ImageId, Photo]:
        from posefix.photos.video import find_frames

        return dict(find_frames(image_ids, video, options.first_frame, file_names))

    size_wh = video.size_wh(exif)
    return Photos(lambda _: size_wh, find, exif, video)


def _folder(images: Path, names: Mapping[ImageId, str] | None, exif: Exif, absent: Absent) -> Photos:
    from posefix.photos.finding import find_images, photo_sizes

    return Photos(
        photo_sizes(images, names, exif=exif),
        lambda image_ids, file_names: dict(find_images(image_ids, images, file_names, absent=absent)),
        exif,
    )


def _checked_video(options: VideoOptions) -> Video:
    """The video, where what is asked for can be done with it."""
    from posefix.pictures.video import check_video_path

    options.settings()
    assert options.video is not None
    if options.render is not None:
        check_video_path(options.render, options.video)
    return open_video(options.video)


def open_video(path: Path) -> Video:
    """A video; says so where it seems to be damaged.

    Raises:
        InputError: It cannot be read.
    """
    import cv2

    # What FFmpeg and OpenCV have to say of damaged files goes to standard error otherwise, a line for each block of
    # pixels; here a fault is one sentence.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    from posefix.photos.video import Video

    video = Video(path)
    if video.damage:
        print(f"warning: {video.damage}", file=sys.stderr)
    return video


def _check_unused(options: VideoOptions) -> None:
    """Options that have no meaning without a video are mistakes."""
    default = VideoOptions()
    for name in ("first_frame", "smooth", "min_cutoff", "beta", "render"):
        if getattr(options, name) != getattr(default, name):
            raise InputError(
                f"--{name.replace('_', '-')}: needs --video, which says how frames follow each other"
            )


def check_film(options: VideoOptions, file: PoseFile, photos: Mapping[ImageId, Photo]) -> None:
    """Find out before the work whether the file's poses can be drawn and its tracks smoothed, if that is asked for.

    Raises:
        InputError: A keypoint is where no photo is, or a track has two poses in one frame.
    """
    from posefix.pictures.reach import check_drawable
    from posefix.refine.smoothing import rows_of_tracks

    if options.render is not None:
        check_drawable(file.poses, file.path)
    if options.smooth and file.tracks is not None:
        rows_of_tracks(file.poses, file.tracks, _times(file.poses, photos))


def smooth_tracks(
    poses: Poses,
    tracks: Sequence[Track | None] | None,
    photos: Mapping[ImageId, Photo],
    settings: OneEuro,
) -> tuple[Poses, Sequence[Track | None], str]:
    """The refined poses smoothed, whom each is of, and what was done in words."""
    from posefix.refine.smoothing import associate, smooth

    times = _times(poses, photos)
    note = ""
    if tracks is None or not any(track is not None for track in tracks):
        tracks = associate(poses, times)
        note = ", made by following people from frame to frame, since the file has none"
    elif nobody := sum(track is None for track in tracks):
        note = f"; left as they were, without a track: {plural(nobody, 'pose')}"
    count = len(set(tracks) - {None})
    smoothed = smooth(poses, tracks, times, settings)
    return smoothed, tracks, f"smoothed over time: {plural(count, 'track')}{note}"


def _times(poses: Poses, photos: Mapping[ImageId, Photo]) -> list[float]:
    """Seconds at which the frame of each pose is shown."""
    frames = [_frame(photos[image_id]) for image_id in poses.image_ids]
    return [float(frame.video.times[frame.number]) for frame in frames]


def _frame(photo: Photo) -> Frame:
    """Photos found in a video are its frames."""
    from posefix.photos.video import Frame

    assert isinstance(photo, Frame)
    return photo
