"""Poses in the rows of a table: a row is a photo, so that no split of the rows divides the people of one.

``image``      the photo's id or name, as in files of poses, or with `column:NAME` its address; text or number
``keypoints``  a list of people, each the x and y of all keypoints in the layout's order: pairs, or numbers in a row
``scores``     if there: a list of people, each a score for every keypoint
all others     are passed on as they are
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from posefix.bulk.ledger import Fault
from posefix.bulk.people import Desk, People, Tally, refine_people
from posefix.bulk.photos import COLUMN
from posefix.bulk.settings import Settings
from posefix.errors import InputError
from posefix.pose.poses import FloatArray, ImageId, Poses
from posefix.pose_files.pose_file import triples_to_write
from posefix.pose_files.records import ids_as_known
from posefix.refine.arrays import poses_from_arrays
from posefix.skeletons import Skeleton

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE, KEYPOINTS, SCORES = "image", "keypoints", "scores"
NO_NAMES: Mapping[ImageId, str] = {}


@dataclass(frozen=True)
class Rows:
    """The people of a table.

    Attributes:
        triples: (N, K, 3) x, y and score of everybody, as the table has them.
        valid: (N, K).
        counts: People of each row.
        faults: Why the people of a row cannot be read, by its number; they count none.
    """

    triples: FloatArray
    valid: FloatArray
    counts: list[int]
    faults: dict[int, str]


def photo_column(settings: Settings) -> str:
    """The column that says which photo a row is of."""
    return settings.images.removeprefix(COLUMN) if settings.images.startswith(COLUMN) else IMAGE


def annotated_names(desk: Desk) -> Mapping[ImageId, str]:
    """Names of photos by the ids that rows may hold, from an annotation file; addresses in a column need none."""
    return {} if desk.settings.images.startswith(COLUMN) else desk.names or {}


def check_columns(schema: pa.Schema, where: str, photo_column: str = IMAGE) -> None:
    """Refuse a table that has not the columns of one.

    Args:
        schema: Of the table.
        where: What messages call it.
        photo_column: That of the photos.

    Raises:
        InputError: One is not there, or of another type.
    """
    import pyarrow as pa

    for name in (photo_column, KEYPOINTS):
        if name not in schema.names:
            raise InputError(
                f"{where}: expected a column {name!r}, got {', '.join(schema.names)}; see docs/bulk.md"
            )
    for name in (KEYPOINTS, SCORES):
        kind = schema.field(name).type if name in schema.names else None
        if kind is not None and not (_is_list(kind) and _is_list(kind.value_type)):
            raise InputError(
                f"{where}, column {name!r}: expected a list of people in each row, each a list of numbers, got {kind}"
            )
    kind = schema.field(photo_column).type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)):
        raise InputError(f"{where}, column {photo_column!r}: expected names or numbers of photos, got {kind}")


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in tests)


def refine_table(
    desk: Desk, table: pa.Table, skeleton: Skeleton, where: str, tally: Tally, photo_column: str = IMAGE
) -> pa.Table:
    """The same rows with refined keypoints and, where there are some, scores.

    Args:
        desk: What is at hand.
        table: See the module.
        skeleton: Layout of the keypoints.
        where: What faults call the table.
        tally: What became of the people is added to it.
        photo_column: That of the photos.

    Raises:
        InputError: Columns are missing, or an id fits two photos.
        OSError: A store does not answer.
    """
    check_columns(table.schema, where, photo_column)
    rows = _read(table, skeleton)
    photos = _called(table.column(photo_column).to_pylist(), annotated_names(desk))
    poses, names = _poses(rows, photos, skeleton)
    has_scores = SCORES in table.schema.names
    refined = refine_people(desk, People(where, poses, has_scores, names=names, in_rows=True), tally)
    written = triples_to_write(refined, rows.triples, rows.valid.astype(bool))
    tally.faults += [
        Fault(where, f"row {row}", KEYPOINTS, reason) for row, reason in sorted(rows.faults.items())
    ]
    table = _with_column(table, KEYPOINTS, rows, written[..., :2])
    return _with_column(table, SCORES, rows, written[..., 2]) if has_scores else table


def poses_of(
    table: pa.Table,
    skeleton: Skeleton,
    photo_column: str = IMAGE,
    annotated: Mapping[ImageId, str] = NO_NAMES,
) -> tuple[Poses, dict[ImageId, str]]:
    """The people of a table whose image ids are numbers of rows, and the name of each row's photo.

    Args:
        table: See the module.
        skeleton: Layout of the keypoints.
        photo_column: That of the photos.
        annotated: See `annotated_names`.

    Raises:
        InputError: Columns are missing.
    """
    check_columns(table.schema, "table", photo_column)
    photos = _called(table.column(photo_column).to_pylist(), annotated)
    return _poses(_read(table, skeleton), photos, skeleton)


def _called(photos: Sequence[Any], annotated: Mapping[ImageId, str]) -> list[str]:
    """What the photo of each row is called: by annotations that know its id, else as the row says."""
    ids = ids_as_known(photos, annotated) if annotated else photos
    return [annotated.get(one, str(one)) for one in ids]


def _poses(rows: Rows, photos: Sequence[str], skeleton: Skeleton) -> tuple[Poses, dict[ImageId, str]]:
    """People whose image ids are numbers of rows, so that rows of one photo are alike wherever they lie."""
    image_ids = [row for row, count in enumerate(rows.counts) for _ in range(count)]
    poses = Poses(
        keypoints=np.where(rows.valid[..., None] > 0, rows.triples[..., :2], 0.0),
        scores=np.where(rows.valid > 0, rows.triples[..., 2], 0.0),
        valid=rows.valid > 0,
        image_ids=tuple(image_ids),
        pose_scores=np.ones(len(image_ids)),
        skeleton=skeleton,
    )
    return poses, {row: photos[row] for row in dict.fromkeys(image_ids)}


def _read(table: pa.Table, skeleton: Skeleton) -> Rows:
    keypoints = table.column(KEYPOINTS).to_pylist()
    scores = table.column(SCORES).to_pylist() if SCORES in table.schema.names else [None] * len(keypoints)
    triples, valid, counts, faults = [], [], [], {}
    for row, (places, own) in enumerate(zip(keypoints, scores, strict=True)):
        counts.append(0)
        try:
            some, there = _people_of_row(places or [], own, skeleton)
        except InputError as error:
            faults[row] = str(error)
            continue
        counts[-1] = len(some)
        triples.append(some)
        valid.append(there)
    nobody = np.empty((0, len(skeleton), 3))
    return Rows(np.concatenate([nobody, *triples]), np.concatenate([nobody[..., 0], *valid]), counts, faults)


def _people_of_row(places: Any, scores: Any, skeleton: Skeleton) -> tuple[FloatArray, FloatArray]:
    """x, y and score (N, K, 3) of the people of a row, and which of their keypoints are there (N, K).

    Raises:
        InputError: They are not of the layout.
    """
    if not places:
        return np.empty((0, len(skeleton), 3)), np.empty((0, len(skeleton)))
    if None in places:
        raise InputError(
            f"person {places.index(None)}: expected a list of numbers, got null; leave out who has no keypoints"
        )
    if not any(isinstance(pair, list) for pair in places[0]):
        places = [_pairs(person) for person in places]
    places = [[pair or (None, None) for pair in person] for person in places]
    poses = poses_from_arrays(places, scores or None, skeleton)
    given = np.asarray(places, dtype=np.float64).reshape(len(poses), len(skeleton), 2)
    own = np.asarray(scores, dtype=np.float64) if scores else np.ones(poses.valid.shape)
    return np.concatenate([given, own.reshape(poses.valid.shape)[..., None]], axis=-1), poses.valid.astype(
        float
    )


def _pairs(numbers: Sequence[Any]) -> list[Sequence[Any]]:
    """Numbers in a row as pairs of x and y."""
    return [numbers[place : place + 2] for place in range(0, len(numbers), 2)]


def _with_column(table: pa.Table, name: str, rows: Rows, written: FloatArray) -> pa.Table:
    """A table with other numbers in a column, of the same type; rows that cannot be read keep theirs."""
    import pyarrow as pa

    old = table.column(name)
    before, ends = old.to_pylist(), np.cumsum(rows.counts)
    after = []
    for row, (end, count) in enumerate(zip(ends, rows.counts, strict=True)):
        kept = row in rows.faults or not count
        after.append(before[row] if kept else _shaped(before[row], written[end - count : end]))
    return table.set_column(
        table.schema.get_field_index(name), table.schema.field(name), pa.array(after, old.type)
    )


def _shaped(before: Any, numbers: FloatArray) -> Any:
    """Numbers in lists as before: pairs, or all in a row; what is missing stays as it was written."""
    flat = numbers.ndim == 3 and not any(isinstance(pair, list) for pair in before[0])
    new = (numbers.reshape(len(numbers), -1) if flat else numbers).tolist()
    return [_missing_kept(old, own) for old, own in zip(before, new, strict=True)]


def _missing_kept(old: Any, new: Any) -> Any:
    """New numbers, but None where they are NaN that stands for it."""
    if not isinstance(new, list):
        return None if old is None and np.isnan(new) else new
    if old is None and np.isnan(new).all():
        return None
    return [_missing_kept(one, own) for one, own in zip(old or [None] * len(new), new, strict=True)]
