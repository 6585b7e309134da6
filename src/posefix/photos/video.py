"""Video files: frames by number, decoded one after the other.

OpenCV finds a frame by its number reliably in few kinds of file, so nothing here seeks: asking for an earlier frame
than the last one decodes the file again from its start.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

import cv2
import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, plural
from posefix.photos.finding import IMAGE_SUFFIXES, Exif, ImageId

Image = npt.NDArray[np.uint8]

RAW_STREAM = -1
"""As OpenCV's format of a capture: frames are not decoded, which counts them a hundred times faster."""

LISTS = (b"#EXTM3U", b"ffconcat", b"<MPD", b"c=IN IP")
"""What marks files that name videos, on any disk or server, which FFmpeg would go and read."""
OPENING_BYTES = 4096


class Video:
    """The frames of a video file.

    Frames are numbered from 0 as they are decoded, which is how estimators that read with OpenCV count them. Sound is
    ignored; of several pictures in one file the first is read.

    Args:
        path: A file in any format that OpenCV's FFmpeg reads.

    Attributes:
        path: The file.
        times: (F,) seconds from the start at which each frame is shown, rising; whatever the rate does in between.
        frame_rate: Frames per second, in the mean.
        announced: Number of frames that the file's header promises, 0 if it promises nothing. Formats that store only
            a duration are off by some where the rate varies.

    Raises:
        InputError: The file is missing, no video, or has no frame.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise InputError(f"video: expected a video file, got {self.path}, which is not a file")
        self._check_is_no_list()
        capture = self._open()
        self.announced = max(0, round(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        self.times = self._scan(capture)
        self.frame_rate = _rate(self.times, capture.get(cv2.CAP_PROP_FPS))
        self._capture = capture
        self._exif: Exif = "apply"
        # The frame that was decoded last, -1 before the first; None where the capture is used up, as by the scan.
        self._at: int | None = None

    def __len__(self) -> int:
        """Frames in the file; a damaged one, and one that an edit list cuts off, may hide some at the end."""
        return len(self.times)

    def read(self, number: int, exif: Exif = "apply") -> Image:
        """Decode a frame; the same one again, or a later one, does not begin anew.

        Args:
            number: Counted from 0.
            exif: "apply" turns the frame upright as the file's rotation says; "ignore" leaves it as stored.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            InputError: The video ends before this frame, or it cannot be decoded.
        """
        at = self._at
        if at is None or number < at or exif != self._exif:
            at = self._rewind(exif)
        while at < number:
            if not self._capture.grab():
                self._at = None
                raise InputError(self._end(number, frames=at + 1))
            at = self._at = at + 1
        return self._retrieve(at)

    def frames(self, exif: Exif = "apply") -> Iterator[Image]:
        """All frames up to where the file ends, (H, W, 3) uint8 RGB each, from the first one on.

        Raises:
            InputError: A frame cannot be decoded.
        """
        at = self._rewind(exif)
        while self._capture.grab():
            at = self._at = at + 1
            yield self._retrieve(at)
        self._at = None

    def size_wh(self, exif: Exif = "apply") -> tuple[int, int]:
        """Width and height of the frames, pixels; `exif` as in `read`."""
        capture = self._open(exif)
        return round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))

    @property
    def damage(self) -> str | None:
        """One sentence where the file holds fewer frames than it promises, else None."""
        # Where only a duration is promised, rounding may add a frame.
        if self.announced <= len(self) + 1:
            return None
        return (
            f"{self.path}: its header promises {plural(self.announced, 'frame')}, {len(self)} are there; it is cut "
            "off or "
            "damaged, or its frame rate varies"
        )

    def _retrieve(self, number: int) -> Image:
        """The frame that was grabbed last, whose number is for the message."""
        found, frame = self._capture.retrieve()
        if not found or frame is None:
            raise InputError(f"{self.path}, frame {number}: cannot be decoded; convert the video anew")
        return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), dtype=np.uint8)

    def _rewind(self, exif: Exif) -> int:
        """Begin anew; returns the number before that of the first frame."""
        self._capture.release()
        self._capture = self._open(exif)
        self._exif, self._at = exif, -1
        return -1

    def _open(self, exif: Exif = "apply") -> cv2.VideoCapture:
        # As an absolute path, since to FFmpeg "concat:a.mp4" is no file's name.
        capture = cv2.VideoCapture(str(self.path.absolute()), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise InputError(
                f"{self.path}: cannot be read as a video; it is cut off, damaged, or no video file"
            )
        # The default is to turn frames in some versions of OpenCV, and not to in others (4.11).
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, float(exif == "apply"))
        return capture

    def _check_is_no_list(self) -> None:
        """Refuse a file that names other files.

        Raises:
            InputError: It is one, or cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                opening = file.read(OPENING_BYTES)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror})") from error
        if any(mark in opening for mark in LISTS):
            raise InputError(
                f"{self.path}: expected a video, got a list that names others; give the video itself"
            )

    def _scan(self, capture: cv2.VideoCapture) -> npt.NDArray[np.float64]:
        """Times of all frames, without decoding them."""
        rate = capture.get(cv2.CAP_PROP_FPS)
        capture.set(cv2.CAP_PROP_FORMAT, RAW_STREAM)
        stamps = []
        while capture.grab():
            stamps.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        if not stamps:
            raise InputError(f"{self.path}: holds no frame; it is cut off, damaged, or no video file")
        times = np.sort(np.array(stamps))  # stored in the order of decoding, which is another
        if (np.diff(times) > 0).all():
            return np.asarray(times - times[0])
        if not rate > 0:
            raise InputError(f"{self.path}: says neither when its frames are shown nor how many a second")
        return np.arange(len(stamps)) / rate

    def _end(self, number: int, frames: int) -> str:
        ends = f"{self.path}: ends after {plural(frames, 'frame')}, wanted frame {number}, counted from 0"
        promised = max(self.announced, len(self))
        return (
            f"{ends}; its header promises {promised}, it is trimmed, cut off or damaged"
            if promised > number
            else ends
        )


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video.

    Attributes:
        video: The video.
        number: Counted from 0.
    """

    video: Video
    number: int

    @property
    def path(self) -> Path:
        """The file of the video."""
        return self.video.path

    def read(self, exif: Exif) -> Image:
        """Decode it; see `Video.read`."""
        return self.video.read(self.number, exif)


def find_frames(
    image_ids: Collection[ImageId],
    video: Video,
    first_frame: int = 0,
    file_names: Mapping[ImageId, str] | None = None,
) -> dict[ImageId, Frame]:
    """Find the frame of each image id: the video's counterpart of `posefix.photos.finding.find_images`.

    An id is a frame number, or text that ends in one, be it before the ending of a file name: 12, "12.jpg" and
    "clip_000000000012" are frame 12.

    Args:
        image_ids: Ids to look for; repeated ones are looked up once.
        video: The video.
        first_frame: The number of the first frame, 0 or 1, as the ids count.
        file_names: Image id -> file name, where names and not ids hold the numbers.

    Returns:
        Image id -> frame, in the order of `image_ids`.

    Raises:
        InputError: An id without a number, two ids of one frame, or a frame that the video does not have.
    """
    frames: dict[ImageId, Frame] = {}
    by_number: dict[int, ImageId] = {}
    for image_id in dict.fromkeys(image_ids):
        number = _frame_number((file_names or {}).get(image_id, image_id), video) - first_frame
        other = by_number.setdefault(number, image_id)
        if other != image_id:
            raise InputError(
                f"{video.path}: image ids {other!r} and {image_id!r} are both frame {number + first_frame}; give the "
                "poses of one video only"
            )
        frames[image_id] = Frame(video, number)
    _check_numbers(by_number, video, first_frame)
    return frames


def _frame_number(image_id: ImageId, video: Video) -> int:
    if isinstance(image_id, int):
        return image_id
    name = PurePath(image_id)
    digits = re.search("[0-9]+$", name.stem if name.suffix.lower() in IMAGE_SUFFIXES else image_id)
    if (
        digits is None or len(digits.group()) > 18
    ):  # more are no number of a frame, and too many for Python's int
        raise InputError(
            f"{video.path}: image id {image_id!r} does not end in a frame number; expected 12, '12.jpg' or 'clip_0012'"
        )
    return int(digits.group())


def _check_numbers(by_number: dict[int, ImageId], video: Video, first_frame: int) -> None:
    beyond = sorted(number for number in by_number if not 0 <= number < len(video))
    if not beyond:
        return
    last = len(video) - 1 + first_frame
    hint = "is this the video that the poses were found in?"
    if beyond == [len(video)] and first_frame == 0 and 0 not in by_number:
        hint = "if the poses count frames from 1, say --first-frame 1"
    elif beyond == [-1]:
        hint = "if the poses count frames from 0, leave out --first-frame"
    raise InputError(
        f"{video.path}: has no frame for image id {by_number[beyond[-1]]!r} ({len(beyond)} of {len(by_number)} ids); "
        f"its {plural(len(video), 'frame')} are {first_frame} to {last}; {hint}"
    )


def _rate(times: npt.NDArray[np.float64], stated: float) -> float:
    if len(times) > 1:
        return float((len(times) - 1) / (times[-1] - times[0]))
    return stated if stated > 0 else 1.0
