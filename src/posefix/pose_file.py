"""What every pose file format has in common: a source to read, the poses in it, and the same file with other poses.

A format is a module of `posefix.formats` with a `FORMAT`; `posefix.interchange` holds the table of all formats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.json_text import JsonText
from posefix.poses import FloatArray, ImageId, Poses
from posefix.skeletons import Skeleton

Contents = Mapping[str, bytes]
"""Path within a folder -> content of a file; the only key of a format with one file is the empty text."""
PhotoSize = Callable[[ImageId], tuple[int, int]]
"""Width and height in pixels of the photo of an image id."""


class FormatError(InputError):
    """A pose file is not what its format asks for; the message names file, record and field, and what to do."""


class Source:
    """A file or folder that may hold poses; read once, however many formats look at it.

    Args:
        path: The file or folder.

    Raises:
        FormatError: There is no such file or folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise FormatError(f"{self.path}: there is no such file or folder.")

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files of a folder by name, hidden ones left out; of a file, itself."""
        if self.path.is_file():
            return (self.path,)
        return tuple(
            sorted(path for path in self.path.iterdir() if path.is_file() and not path.name.startswith("."))
        )

    @cached_property
    def json(self) -> JsonText | None:
        """The document in a JSON file; None for a folder or a file that is not named .json."""
        if self.path.is_dir() or self.path.suffix.lower() != ".json":
            return None
        return JsonText.read(self.path)


@dataclass(frozen=True)
class Reading:
    """What a file does not say, and who reads it knows.

    Attributes:
        skeleton: Layout of the poses; None where the format says it, or it is to be recognised.
        photo_size: Asked by formats whose coordinates are shares of the photo; None if there are no photos.
    """

    skeleton: Skeleton | None = None
    photo_size: PhotoSize | None = None


class Rewrite(Protocol):
    """Makes the file again with other poses."""

    def __call__(
        self, poses: Poses, *, keep: Sequence[int] | None = None, update_boxes: bool = False
    ) -> Contents:
        """The contents of the file with these poses, everything else as it was.

        Args:
            poses: As many as were read, in their order and layout. Numbers that did not change keep their text.
            keep: Poses to keep, others are taken out; None keeps all.
            update_boxes: Whether the box of a pose that moved becomes the one around its keypoints.
        """


@dataclass(frozen=True, eq=False)
class PoseFile:
    """Poses in an estimator's own file.

    Attributes:
        path: The file or folder.
        format: Name of its format.
        poses: In pixels of the photo, the centre of the top-left pixel at (0, 0) whatever the format's own rule.
        rewrite: Makes the file again with other poses.
        tracks: Whom each pose is of in a video, None where it says nothing; None for a format without tracks.
        boxes: bbox_xywh (N, 4) of the people, NaN where there is none; None for a file without boxes.
        notes: What a user should know of how the file was read: a layout that was recognised, odd values.
    """

    path: Path
    format: str
    poses: Poses
    rewrite: Rewrite
    tracks: tuple[int | str | None, ...] | None = None
    boxes: npt.NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class NewFile:
    """What is written to a new file of any format.

    Attributes:
        poses: The poses.
        tracks: As of `PoseFile`.
        boxes: As of `PoseFile`.
        file_names: Name of the photo of each image id, where known.
        photo_size: As of `Reading`.
    """

    poses: Poses
    tracks: tuple[int | str | None, ...] | None = None
    boxes: FloatArray | None = None
    file_names: Mapping[ImageId, str] = field(default_factory=dict)
    photo_size: PhotoSize | None = None


@dataclass(frozen=True)
class Format:
    """A pose file format: an entry of the table in `posefix.interchange`.

    Attributes:
        name: As `--format` takes it.
        title: Whose format it is and what it is called there, a few words.
        recognise: Why a source is of this format, in a few words, or None if it is not. Cheap, never raises: a faulty
            file that is meant to be of this format is recognised, and refused by `read`.
        read: Raises `FormatError`.
        write: The contents of a new file; None for a format that cannot be written anew. Raises `FormatError` if it
            has no place for such poses.
    """

    name: str
    title: str
    recognise: Callable[[Source], str | None]
    read: Callable[[Source, Reading], PoseFile]
    write: Callable[[NewFile], Contents] | None = None
