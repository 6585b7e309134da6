"""Landmarks of people in frames, whichever way a file has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from posefix.pose.poses import BoolArray, FloatArray, ImageId
from posefix.pose_files.layouts import LayoutError, check_layout, unnamed_layout
from posefix.pose_files.named_points import layout_of_labels
from posefix.pose_files.pose_file import Reading
from posefix.skeletons import Skeleton, load_skeleton

LAYOUT = "blazepose33"
FRAMES = ("frame", "frame_index", "frame_idx", "frame_number", "frame_num", "frame_no", "frame_id")
"""What programs call the number of a frame; case, and underscores between words, do not matter."""
PHOTOS = ("image", "image_name", "image_id", "image_path", "file", "filename", "file_name")
"""What programs call the name of a photo."""
VIDEOS = ("video", "video_name", "video_file", "video_path", "video_id", "clip")
"""What programs call the video of a frame."""


@dataclass(frozen=True, eq=False)
class Landmarks:
    """What a file holds.

    Attributes:
        skeleton: The layout.
        image_ids: Frame or photo of each person.
        numbers: (N, K, 3) x, y and visibility as the file has them, NaN where it has none.
        placed: (N, K) which landmarks have a place in the file, be it an empty one: others cannot be filled in.
        write: The file with other numbers, given all (N, K, 3) and which of them changed.
        tracks: Whom each is, where the file says it.
    """

    skeleton: Skeleton
    image_ids: tuple[ImageId, ...]
    numbers: FloatArray
    placed: BoolArray
    write: Callable[[FloatArray, BoolArray], bytes]
    tracks: tuple[int | str | None, ...] | None = None


def plain(name: str) -> str:
    """A column's or a field's name without case, spaces and underscores."""
    return name.lower().replace("_", "").replace(" ", "")


def layout_of_numbers(path: Path, count: int, reading: Reading) -> Skeleton:
    """The layout of landmarks that have only numbers.

    Raises:
        LayoutError: None is named, and there are not as many as MediaPipe has; or another is named.
    """
    if reading.skeleton is not None:
        check_layout(path, reading.skeleton, [count], "person", each=1)
        return reading.skeleton
    if count != len(load_skeleton(LAYOUT)):
        raise unnamed_layout(path, [count])
    return load_skeleton(LAYOUT)


def layout_of_names(path: Path, names: Sequence[str], reading: Reading) -> Skeleton:
    """The layout of landmarks that have names: of those that MediaPipe has, in the file's order.

    Raises:
        LayoutError: MediaPipe has none of the names, or a layout that is named has not.
    """
    own = load_skeleton(LAYOUT)
    if reading.skeleton is not None:
        return layout_of_labels(path, names, reading.skeleton)
    known = [name for name in names if own.find(name) is not None]
    if not known:
        raise LayoutError(
            f"{path}: its landmarks {', '.join(names)} are none of {LAYOUT}; name their layout (--layout)."
        )
    return layout_of_labels(path, known, None)
