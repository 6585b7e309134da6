"""MPII Human Pose: results and annotations in the structure of its evaluation toolkit.

A variable `pred` or `annolist`, or `RELEASE.annolist`, with annolist(i).annorect(j).annopoints.point(k) and in each
point an id (0 to 15), x, y and maybe a score. Source: the toolkit's README, "Preparing predictions".
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from posefix.errors import quoted
from posefix.formats.mpii_matlab import HEADER_BYTES, Variable, check_variable, list_variables
from posefix.pose.poses import LARGEST_NUMBER, BoolArray, FloatArray, Poses
from posefix.pose_files.layouts import LayoutError
from posefix.pose_files.pose_file import (
    Contents,
    Format,
    FormatError,
    PoseFile,
    Reading,
    Source,
    check_same_poses,
    numbers_to_write,
    require_libraries,
    rows_left_out,
)
from posefix.skeletons import load_skeleton

NAME = "mpii"
LAYOUT = "mpii16"
ONE_BASED = 1.0
"""MATLAB's: the centre of the top-left pixel is (1, 1)."""
VARIABLES = ("pred", "annolist", "RELEASE")
SCORE = "score"
FIELDS = ("x", "y", SCORE)

Struct = npt.NDArray[Any]
"""A MATLAB struct array as scipy reads it: fields of objects."""


def recognise(source: Source) -> str | None:
    """Whether a file is of MATLAB; MPII's are the only such files with poses."""
    return "its name ends in .mat" if source.path.suffix.lower() == ".mat" and source.path.is_file() else None


def read(source: Source, reading: Reading) -> PoseFile:
    """Read results or annotations; people without points are not there, and no poses.

    Raises:
        FormatError: The file is faulty, not of MATLAB 5 to 7.2, or scipy is not installed.
    """
    path = source.path
    require_libraries(path, "scipy")
    if reading.skeleton is not None and reading.skeleton != load_skeleton(LAYOUT):
        raise LayoutError(
            f"{path}: MPII's files have layout {LAYOUT}, got --layout {reading.skeleton.name}; leave it out."
        )
    content = _content(source)
    try:
        variable, people = _people(path, content)
    except FormatError:
        raise
    # What scipy raises on damaged contents, an unbound name of its own too; the file is the user's, so none of it is a
    # fault of ours.
    except (OSError, KeyError, ValueError, TypeError, IndexError, AttributeError, zlib.error, struct.error,
            OverflowError, MemoryError, NameError, NotImplementedError) as error:  # fmt: skip
        raise FormatError(
            f"{path}: expected a file as MATLAB writes it, got a damaged one ({error})."
        ) from error
    triples = np.full((len(people), len(load_skeleton(LAYOUT)), 3), np.nan)
    for number, person in enumerate(people):
        for place, keypoint in enumerate(person.keypoints):
            triples[number, keypoint] = person.triple(path, place)
    valid = ~np.isnan(triples[..., :2]).any(axis=-1)
    scores = np.where(valid & ~np.isnan(triples[..., 2]), triples[..., 2], valid.astype(np.float64))
    poses = Poses(
        keypoints=np.where(valid[..., None], triples[..., :2] - ONE_BASED, 0.0),
        scores=scores,
        valid=valid,
        image_ids=tuple(person.photo for person in people),
        pose_scores=scores.sum(axis=-1) / np.maximum(valid.sum(axis=-1), 1),
        skeleton=load_skeleton(LAYOUT),
    )
    rewrite = _Rewrite(path, content, variable, poses)
    has_scores = any(SCORE in (person.points.dtype.names or ()) for person in people)
    return PoseFile(path, NAME, poses, rewrite, notes=(f"variable {variable.name}",), has_scores=has_scores)


@dataclass(frozen=True, eq=False)
class _Person:
    """A person in the structure of MPII.

    Attributes:
        photo: Name of the photo.
        where: For messages, counted from 1 as MATLAB does.
        rect: The struct array of people that holds this one.
        place: Of the person in it.
        points: Struct array of the points.
        keypoints: Which of the layout's keypoints each point is.
    """

    photo: str
    where: str
    rect: Struct
    place: tuple[int, ...]
    points: Struct
    keypoints: list[int]

    def triple(self, path: Path, number: int) -> tuple[float, float, float]:
        """x, y and score of a point; NaN where a field is empty or not there."""
        names = self.points.dtype.names or ()
        x, y, score = (
            _number(
                path, f"{self.where}.annopoints.point({number + 1}).{field}", self.points[field].flat[number]
            )
            if field in names
            else np.nan
            for field in FIELDS
        )
        return x, y, score


@dataclass(frozen=True, eq=False)
class _Rewrite:
    """Makes the file again; see `pose_file.Rewrite`. It has no boxes of people."""

    path: Path
    content: bytes
    variable: Variable
    poses: Poses

    def __call__(
        self, poses: Poses, *, keep: Sequence[int] | None = None, update_boxes: bool = False
    ) -> Contents:
        check_same_poses(self.path, poses, self.poses)
        before = np.concatenate([self.poses.keypoints + ONE_BASED, self.poses.scores[..., None]], axis=-1)
        after = np.concatenate([poses.keypoints + ONE_BASED, poses.scores[..., None]], axis=-1)
        written = numbers_to_write(before, after)
        gone = self.poses.valid & ~poses.valid
        gone[rows_left_out(len(poses), keep)] = True
        changed = ((written != before) | (poses.valid & ~self.poses.valid)[..., None]) & poses.valid[
            ..., None
        ]
        if not changed.any() and not (gone & self.poses.valid).any():
            return {"": self.content}
        values = _load(self.content, self.variable)
        people = _people_of(self.path, self.variable.name, values)
        for number in np.flatnonzero((changed.any(axis=-1) | gone).any(axis=-1)):
            _edit(people[number], written[number], changed[number], gone[number])
        return {"": _spliced(self.content, self.variable, values)}


def _edit(person: _Person, written: FloatArray, changed: BoolArray, gone: BoolArray) -> None:
    """Change, in the structure, a person's points that moved, take out those that are gone and add new ones."""
    names = person.points.dtype.names or ()
    for place, keypoint in enumerate(person.keypoints):
        for coordinate, field in enumerate(FIELDS):
            if changed[keypoint, coordinate] and field in names:
                person.points[field].flat[place] = np.array([[written[keypoint, coordinate]]])
    kept = [place for place, keypoint in enumerate(person.keypoints) if not gone[keypoint]]
    added = [
        keypoint
        for keypoint in np.flatnonzero(changed.any(axis=-1)).tolist()
        if keypoint not in person.keypoints
    ]
    if not kept and not added:
        person.rect["annopoints"][person.place] = np.zeros((0, 0))
    elif len(kept) < len(person.keypoints) or added:
        points = np.empty((1, len(kept) + len(added)), dtype=person.points.dtype)
        points[:, : len(kept)] = person.points.reshape(1, -1)[:, kept]
        for place, keypoint in enumerate(added, start=len(kept)):
            values = dict(zip(FIELDS, written[keypoint].tolist(), strict=True), id=float(keypoint))
            for name in names:
                points[name][0, place] = np.array([[values[name]]]) if name in values else np.zeros((0, 0))
        person.rect["annopoints"][person.place]["point"].flat[0] = points


def _people(path: Path, content: bytes) -> tuple[Variable, list[_Person]]:
    """The variable with the poses, and the people in it."""
    variables = {variable.name: variable for variable in list_variables(content) if variable.name}
    known: list[str] = [name for name in VARIABLES if name in variables] or list(variables)
    if not known:
        raise FormatError(f"{path}: expected a variable pred, annolist or RELEASE, got none.")
    variable = variables[known[0]]
    check_variable(content, variable)
    return variable, _people_of(path, variable.name, _load(content, variable))


def _load(content: bytes, variable: Variable) -> Any:
    """The value of a variable that was checked, numbers in the classes that they have in MATLAB."""
    from scipy.io import loadmat

    alone = content[:HEADER_BYTES] + content[variable.start : variable.end]
    return loadmat(io.BytesIO(alone), mat_dtype=True)[variable.name]


def _people_of(path: Path, variable: str, value: Any) -> list[_Person]:
    """Everybody who has points, photo by photo."""
    photos, where = value, variable
    if _fields(photos) >= {"annolist"}:
        photos, where = photos["annolist"].flat[0], f"{variable}.annolist"
    if not _fields(photos) >= {"image", "annorect"}:
        raise FormatError(
            f"{path}, variable {variable}: expected a struct array with fields image and annorect, as MPII has, "
            f"got {', '.join(sorted(_fields(photos))) or f'an array of shape {np.shape(photos)}'}."
        )
    people = []
    for number in range(photos.size):
        here = f"{where}({number + 1})"
        image, rect = photos["image"].flat[number], photos["annorect"].flat[number]
        if not _fields(rect) >= {"annopoints"}:
            continue
        if not _fields(image) >= {"name"} or not np.size(image["name"].flat[0]):
            raise FormatError(f"{path}, {here}.image.name: expected the name of a photo, got none.")
        photo = str(image["name"].flat[0].flat[0])
        for person, place in enumerate(np.ndindex(rect.shape)):
            points = rect["annopoints"][place]
            points = points["point"].flat[0] if _fields(points) >= {"point"} and points.size else None
            if points is not None and points.size:
                people.append(_person(path, photo, f"{here}.annorect({person + 1})", rect, place, points))
    return people


def _person(
    path: Path, photo: str, where: str, rect: Struct, place: tuple[int, ...], points: Struct
) -> _Person:
    if not _fields(points) >= {"x", "y", "id"}:
        raise FormatError(f"{path}, {where}.annopoints.point: expected fields x, y and id.")
    ids = []
    for number in range(points.size):
        field = f"{where}.annopoints.point({number + 1}).id"
        value = _number(path, field, points["id"].flat[number])
        if value not in range(len(load_skeleton(LAYOUT))) or value in ids:
            raise FormatError(f"{path}, {field}: expected a number from 0 to 15, each once, got {value:g}.")
        ids.append(int(value))
    return _Person(photo, where, rect, place, points, ids)


def _number(path: Path, where: str, value: Any) -> float:
    """A number that a field holds; NaN for an empty field."""
    array = np.asarray(value)
    if array.size == 0:
        return float("nan")
    if array.size > 1 or array.dtype.kind not in "iufb" or abs(array.flat[0]) >= LARGEST_NUMBER:
        raise FormatError(f"{path}, {where}: expected a number, got {quoted(array.tolist())}.")
    return float(array.flat[0])


def _fields(value: Any) -> set[str]:
    return set(value.dtype.names or ()) if isinstance(value, np.ndarray) else set()


def _content(source: Source) -> bytes:
    path, content = source.path, source.content
    # The last two bytes of the header tell the order of bytes, here that of PCs.
    if not content.startswith(b"MATLAB 5.0") or content[HEADER_BYTES - 2 : HEADER_BYTES] != b"IM":
        raise FormatError(
            f"{path}: expected a file of MATLAB 5 to 7.2, got another; in MATLAB: save('{path.name}', '-v7')."
        )
    return content


def _spliced(content: bytes, variable: Variable, value: Any) -> bytes:
    """The file with another value of a variable; the bytes of all other variables as they were."""
    from scipy.io import savemat

    buffer = io.BytesIO()
    savemat(buffer, {variable.name: value}, do_compression=variable.compressed, long_field_names=True)
    return content[: variable.start] + buffer.getvalue()[HEADER_BYTES:] + content[variable.end :]


FORMAT = Format(
    NAME,
    "MPII Human Pose, results and annotations (.mat)",
    recognise,
    read,
    endings=(".mat",),
    needs="write mpii-json",
)
