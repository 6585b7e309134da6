"""What every pose file format has in common: a source to read, the poses in it, and the same file with other poses.

A format is a module of `posefix.formats` with a `FORMAT`; `posefix.interchange` holds the table of all formats.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, Where, quoted
from posefix.files import absent, file_ending
from posefix.pose import geometry
from posefix.pose.poses import BoolArray, FloatArray, ImageId, Poses, Rows
from posefix.pose_files.json_text import JsonText
from posefix.skeletons import Skeleton

Contents = Mapping[str, bytes]
"""Path within a folder -> content of a file; the only key of a format with one file is the empty text."""
PhotoSize = Callable[[ImageId], tuple[int, int]]
"""Width and height in pixels of the photo of an image id."""

DECIMALS = 3
"""Of the coordinates that are written, in pixels."""
LIKELY = 0.5
FIRST_INEXACT = 2**53
"""From here on readers that know numbers as floats take one track for another."""
OPENING_RECORDS = 20
"""So many records of a long list are looked at to recognise a format."""


JSON_ENDINGS = (".json", ".json.gz")
"""How JSON files are called, as they are or packed."""


class PieceByPiece(Mapping[str, bytes]):
    """Contents of one file, made piece by piece: whoever writes them needs no memory for the whole.

    Args:
        make: Makes the pieces, the same ones each time.
    """

    def __init__(self, make: Callable[[], Iterable[bytes]]) -> None:
        self._make = make

    def pieces(self) -> Iterable[bytes]:
        """What the file holds, one piece after the other."""
        return self._make()

    def __getitem__(self, name: str) -> bytes:
        if name:
            raise KeyError(name)
        return b"".join(self.pieces())

    def __iter__(self) -> Iterator[str]:
        return iter([""])

    def __len__(self) -> int:
        return 1


class FormatError(InputError):
    """A pose file is not what its format asks for; the message names file, record and field, and what to do.

    Args:
        message: One sentence.
        mend: How to mend the file, where the message does not say it; one sentence.
        where: As of `InputError`.
    """

    def __init__(self, message: str, mend: str = "", where: Where | None = None) -> None:
        super().__init__(message, where)
        self.mend = mend

    @classmethod
    def at(cls, where: Where, problem: str, mend: str = "") -> FormatError:
        """The error that names a place and then what is wrong there."""
        return cls(f"{where}: {problem}", mend, where)


class Source:
    """A file or folder that may hold poses; read once, however many formats look at it.

    Args:
        path: The file or folder.

    Raises:
        FormatError: There is no such file or folder, or nobody may look whether there is.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            there = self.path.exists()
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if not there:
            raise FormatError(absent(self.path))

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files of a folder by name, hidden ones left out; of a file, itself.

        Raises:
            FormatError: The folder cannot be read.
        """
        if self.path.is_file():
            return (self.path,)
        try:
            shown = [path for path in self.path.iterdir() if not path.name.startswith(".")]
            return tuple(sorted(path for path in shown if path.is_file()))
        except OSError as error:
            raise _unreadable(self.path, error) from error

    @cached_property
    def content(self) -> bytes:
        """All bytes of a file.

        Raises:
            FormatError: It cannot be read.
        """
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise _unreadable(self.path, error) from error

    @cached_property
    def json(self) -> JsonText | None:
        """The document in a JSON file; None for a folder or a file that is not named .json or .json.gz."""
        if self.path.is_dir() or file_ending(self.path) not in JSON_ENDINGS:
            return None
        return JsonText.read(self.path)

    @property
    def document(self) -> JsonText:
        """The JSON document of a format that must be one, whatever the file is called.

        Raises:
            InputError: It is a folder, cannot be read, or is not UTF-8.
        """
        return self.json or JsonText.read(self.path)

    @cached_property
    def opening(self) -> Any:
        """What formats are recognised by: the value of the JSON document, of a long list only its first records.

        A list of a hundred thousand people is not parsed whole for each look at it. None where there is no such
        document, or its beginning is not JSON.
        """
        try:
            return None if self.json is None else self.json.opening(OPENING_RECORDS)
        except InputError:
            return None


def _unreadable(path: Path, error: OSError) -> FormatError:
    return FormatError(f"{path}: cannot be read ({error.strerror}).")


@dataclass(frozen=True)
class Reading:
    """What a file does not say, and who reads it knows.

    Attributes:
        skeleton: Layout of the poses; None where the format says it, or it is to be recognised.
        photo_size: Asked by formats whose coordinates are shares of the photo; None if there are no photos.
        category: Name or id of the category that is meant in COCO's files, label of the skeletons in CVAT's, of the
            boxes in other labels; None where there is no choice.
        category_names: Of categories by their ids, from annotations beside results, which hold ids alone.
    """

    skeleton: Skeleton | None = None
    photo_size: PhotoSize | None = None
    category: str | None = None
    category_names: Mapping[ImageId, str] = field(default_factory=dict)


class Rewrite(Protocol):
    """Makes the file again with other poses."""

    def __call__(
        self, poses: Poses, *, keep: Sequence[int] | None = None, update_boxes: bool = False
    ) -> Contents:
        """The contents of the file with these poses, everything else as it was.

        Args:
            poses: As many as were read, in their order and layout. Numbers that did not change keep their text.
            keep: Poses to keep, others are taken out; None keeps all.
            update_boxes: Whether the box of a person whose coordinates changed becomes the one around the keypoints.
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
        file_names: Path of the photo of each image id; None where the file says no more than the ids do.
        has_scores: Whether the file has scores, of keypoints or poses; otherwise all count 1, and none are written.
        visibility: (N, K) of files that label each keypoint so instead of a score: 0 not labelled, 1 hidden, 2 visible.
        left_out: Lines on records that are no poses here, though somebody may expect them to be.
        categories: Id of what each pose is of (COCO's ``category_id``), None where it says nothing; None for a file
            without such ids.
    """

    path: Path
    format: str
    poses: Poses
    rewrite: Rewrite
    tracks: tuple[int | str | None, ...] | None = None
    boxes: npt.NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()
    file_names: Mapping[ImageId, str] | None = None
    has_scores: bool = True
    visibility: FloatArray | None = None
    left_out: tuple[str, ...] = ()
    categories: tuple[ImageId | None, ...] | None = None


@dataclass(frozen=True, eq=False)
class NewFile:
    """What is written to a new file of any format.

    Attributes:
        poses: The poses.
        tracks: As of `PoseFile`.
        boxes: As of `PoseFile`.
        file_names: Name of the photo of each image id, where known.
        photo_size: As of `Reading`.
        visibility: As of `PoseFile`, of keypoints in the layout of the poses.
    """

    poses: Poses
    tracks: tuple[int | str | None, ...] | None = None
    boxes: FloatArray | None = None
    file_names: Mapping[ImageId, str] = field(default_factory=dict)
    photo_size: PhotoSize | None = None
    visibility: FloatArray | None = None

    def track_numbers(self) -> tuple[int | None, ...]:
        """`tracks` for a format in which they are numbers: where one has a name, all are numbered as they appear."""
        tracks = self.tracks or (None,) * len(self.poses)
        different = dict.fromkeys(track for track in tracks if track is not None)
        named = any(isinstance(track, str) for track in different)
        beyond = [] if named else [track for track in different if abs(int(track)) >= FIRST_INEXACT]
        if beyond:
            raise FormatError(
                f"tracks: expected numbers below {FIRST_INEXACT}, got {quoted(beyond[0])}; renumber them."
            )
        numbers = {track: order if named else int(track) for order, track in enumerate(different)}
        return tuple(None if track is None else numbers[track] for track in tracks)


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
        needs: What a new file would have to say that poses do not, or how it is made instead, where `write` is None.
        keypoints_needed: Whether a new file has no place for people without any keypoint: they are not in it.
        endings: How names of its files end, that of a new file first.
        one_file: Whether what is written anew is always one file, never a folder.
    """

    name: str
    title: str
    recognise: Callable[[Source], str | None]
    read: Callable[[Source, Reading], PoseFile]
    write: Callable[[NewFile], Contents] | None = None
    keypoints_needed: bool = False
    endings: tuple[str, ...] = (".json",)
    one_file: bool = False
    needs: str = ""


def require_libraries(path: Path, *names: str) -> None:
    """Refuse a file that only libraries can read which are not installed.

    Raises:
        FormatError: Some are missing.
    """
    if missing := [name for name in names if importlib.util.find_spec(name) is None]:
        raise FormatError(
            f"{path}: reading it needs {' and '.join(missing)}, not installed here; run: pip install 'posefix[animals]'"
        )


def rows_left_out(count: int, keep: Sequence[int] | None) -> Rows:
    """Rows of so many poses that a `Rewrite` takes out of the file."""
    everybody = np.arange(count)
    return np.setdiff1d(everybody, everybody if keep is None else keep)


def numbers_to_write(before: FloatArray, after: FloatArray) -> FloatArray:
    """New numbers as a file gets them: rounded where they changed by at least half of the last decimal, else as before.

    Numbers equal to those before keep their text in the file (`JsonText.edited`).

    Args:
        before: The file's numbers as read, of any shape, in the file's own unit.
        after: The new ones, in the same unit.
    """
    same = np.abs(after - before) < 0.5 * 10.0**-DECIMALS
    return np.where(same, before, np.round(after, DECIMALS))


def differs(after: FloatArray, before: FloatArray) -> BoolArray:
    """Which numbers are others than before; NaN, a gap in the file, that stays is the same number."""
    return np.asarray((after != before) & ~(np.isnan(after) & np.isnan(before)))


HIDDEN, VISIBLE = 1.0, 2.0
"""Visibilities of keypoints that are labelled."""


def visibility_of(scores: FloatArray) -> FloatArray:
    """Visibilities, for labels, of keypoints that were filled in: 1 of those more likely wrong than right, else 2.

    A score of 0 says nothing: who placed the keypoint believes in it.
    """
    return np.where((scores > 0) & (scores < LIKELY), HIDDEN, VISIBLE)


def triples_to_write(poses: Poses, before: FloatArray, was_valid: BoolArray) -> FloatArray:
    """(N, K, 3) x, y, score as they are written where a keypoint at 0, 0 or with score 0 is a missing one.

    A valid keypoint is never written as a missing one: instead of 0, 0 or the score 0 it gets .001. A keypoint that is
    no longer valid becomes 0, 0, 0; one that was not and is not there keeps its numbers.

    Args:
        poses: The new poses.
        before: (N, K, 3) the file's numbers as read.
        was_valid: (N, K) which of them were valid.
    """
    after = np.concatenate([poses.keypoints, poses.scores[..., None]], axis=-1)
    written = np.where(poses.valid[..., None], numbers_to_write(before, after), before)
    written[was_valid & ~poses.valid] = 0.0
    at_origin = (written[..., :2] == 0).all(axis=-1) & poses.valid
    written[at_origin, 0] = 10.0**-DECIMALS
    written[(written[..., 2] == 0) & poses.valid, 2] = 10.0**-DECIMALS
    return written


def needs_new_box(poses: Poses, written: FloatArray, before: FloatArray) -> BoolArray:
    """(N,) whose boxes `Rewrite` writes anew if asked: who has a keypoint, and coordinates that changed.

    Args:
        poses: The new poses.
        written: (N, K, 3) x, y and score or visibility as they are written.
        before: The same as read.
    """
    changed = differs(written[..., :2], before[..., :2]).any(axis=(1, 2))
    return np.asarray(changed & poses.valid.any(axis=1))


def boxes_to_write(poses: Poses, sizes_wh: FloatArray | None = None) -> FloatArray:
    """bbox_xywh (N, 4) around the keypoints, `geometry.KEYPOINT_BOX_FACTOR` times as large.

    Args:
        poses: The new poses.
        sizes_wh: (N, 2) of the photos, from 0 to which boxes are cut, as COCO's are; NaN where unknown.
    """
    tight = geometry.box_from_keypoints(poses.keypoints, poses.valid)
    boxes = geometry.enlarge(tight, geometry.KEYPOINT_BOX_FACTOR)
    if sizes_wh is not None:
        low, high = (np.clip(corner, 0.0, sizes_wh) for corner in (boxes[:, :2], boxes[:, :2] + boxes[:, 2:]))
        inside = np.concatenate([low, high - low], axis=1)
        boxes = np.where(np.isnan(inside), boxes, inside)
    return np.asarray(np.round(boxes, DECIMALS), dtype=np.float64)


def check_same_poses(path: Path, poses: Poses, before: Poses) -> None:
    """Refuse poses that are not those of a file, in its order and layout: what every `Rewrite` asks first.

    Raises:
        FormatError: They are others.
    """
    if not poses.same_people_as(before):
        raise FormatError(f"{path}: expected its own {before!r} in the same order, got {poses!r}.")
