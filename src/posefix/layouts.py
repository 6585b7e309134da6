"""The layout of a file that says no more of its keypoints than how many they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from posefix.pose_file import FormatError
from posefix.skeletons import Skeleton, layouts_of_count, load_skeleton


def layout_of_count(path: Path, count: int, defined: Mapping[int, str], whose: str) -> tuple[Skeleton, str]:
    """The layout that an estimator defines for a number of keypoints, and the note that says so.

    Args:
        path: The file, for the message.
        count: Keypoints of each person.
        defined: Number of keypoints -> packaged layout.
        whose: Who defines them.

    Raises:
        FormatError: It defines none of that number.
    """
    if count not in defined:
        raise unnamed_layout(path, count)
    name = defined[count]
    return load_skeleton(name), f"layout {name}: what {whose} writes with {count} keypoints"


def unnamed_layout(path: Path, count: int | None) -> FormatError:
    """The error that asks for a layout; None for an unknown number of keypoints."""
    never = f"{path}: expected the name of its layout (--layout), which is never guessed"
    if count is None:
        return FormatError(f"{never}.")
    if names := layouts_of_count(count):
        return FormatError(f"{never}; with {count} keypoints it may be {' or '.join(names)}.")
    return FormatError(
        f"{never}; no packaged layout has {count} keypoints, give a skeleton file of your own."
    )
