"""Files as estimators record them: written for a test, read, and with a keypoint in another place."""

import json
from pathlib import Path
from typing import Any

import pytest

from posefix.errors import InputError
from posefix.pose.poses import Poses
from posefix.pose_files.pose_file import Contents, Format, FormatError, PhotoSize, PoseFile, Reading, Source
from posefix.skeletons import Skeleton, load_skeleton

PAIR = load_skeleton("coco17").subset(["left_eye", "right_eye"])
"""The layout of most files, as two keypoints are enough to tell which is which."""
INDENTS: tuple[Any, ...] = (None, 2, "\t", "compact")
"""Ways in which libraries print JSON."""


def printed(content: Any, indent: Any = None) -> str:
    """A document as JSON in one of `INDENTS`."""
    if indent == "compact":
        return json.dumps(content, separators=(",", ":"))
    return json.dumps(content, indent=indent)


def recorded(path: Path, content: Any, indent: Any = None) -> Path:
    """A file with a document, or a folder with several by file name if the path has no ending."""
    if path.suffix:
        path.write_text(content if isinstance(content, str) else printed(content, indent), encoding="utf-8")
    else:
        path.mkdir()
        for name, inner in content.items():
            recorded(path / name, inner, indent)
    return path


def saved(path: Path, contents: Contents) -> Path:
    """The contents of a new file or folder."""
    if set(contents) == {""}:
        path.write_bytes(contents[""])
        return path
    path.mkdir()
    for name, content in contents.items():
        (path / name).write_bytes(content)
    return path


def read(
    format: Format, path: Path, skeleton: Skeleton | None = None, photo_size: PhotoSize | None = None
) -> PoseFile:
    """A file read by one format."""
    return format.read(Source(path), Reading(skeleton, photo_size))


def contents_of(path: Path) -> dict[str, bytes]:
    """What `Rewrite` gives for a file or folder that stays as it is."""
    if path.is_file():
        return {"": path.read_bytes()}
    return {file.name: file.read_bytes() for file in sorted(path.iterdir())}


def moved(poses: Poses, row: int, keypoint: int, x: float, y: float) -> Poses:
    """The same poses with one keypoint in another place."""
    keypoints = poses.keypoints.copy()
    keypoints[row, keypoint] = x, y
    return poses.with_keypoints(keypoints)


def refusal(
    format: Format, path: Path, skeleton: Skeleton | None = None, photo_size: PhotoSize | None = None
) -> str:
    """What is said of a faulty file, which begins with its path."""
    with pytest.raises(FormatError) as caught:
        read(format, path, skeleton, photo_size)
    message = str(caught.value)
    assert message.startswith(str(path))
    return message


def try_everything(
    format: Format,
    path: Path,
    skeleton: Skeleton | None = None,
    photo_size: PhotoSize | None = None,
    *,
    path_first: bool = True,
) -> None:
    """Recognise, read and write a file that may be faulty: it works, or is refused in words.

    They begin with its path, or only hold its name.
    """
    format.recognise(Source(path))
    try:
        file = read(format, path, skeleton, photo_size)
        assert file.rewrite(file.poses) == contents_of(path)
        file.rewrite(file.poses.with_keypoints(file.poses.keypoints + 1), update_boxes=True)
        if len(file.poses):
            file.rewrite(moved(file.poses, 0, 0, 5, 6), update_boxes=True, keep=range(1, len(file.poses)))
    except InputError as error:
        assert str(error).startswith(str(path)) if path_first else path.name in str(error)
