"""A look around before the work: what files have in common, whether photos are there, the estimator's company."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from posefix.bulk.files import Kind, at_hand, read
from posefix.bulk.inputs import PARQUET, Unit
from posefix.bulk.people import Desk
from posefix.bulk.photos import Found
from posefix.bulk.places import Patience, file_system, read_bytes
from posefix.bulk.tables import annotated_names, photo_column, poses_of
from posefix.errors import InputError, plural
from posefix.photos.finding import decode_image
from posefix.pose.poses import ImageId, Poses, Rows
from posefix.refine.company import Company
from posefix.skeletons import Skeleton, load_skeleton, why_foreign

if TYPE_CHECKING:
    import pyarrow as pa

LOOKED_AT, FEWEST, SHARE = 16, 2, 16
"""So many units are read before the work starts, or more until there are people enough for the company; of few units
one in so many, but so many at least: what is read twice is to be little beside the work."""
AT_ONCE = 8
"""People of a photo whom the company is measured on before others of it: photos cost more, and those of many people
tell less of an estimator than as many people of many photos."""
SEED = 0


def look_around(desk: Desk, units: Sequence[Unit], sample: int) -> dict[str, Any]:
    """Read some units at random, the same ones each time.

    Args:
        desk: What is at hand.
        units: All of the run.
        sample: People to measure the company on, 0 for none.

    Returns:
        `format` and `keypoints` of `Kind`, and `company`, the text of its file, empty for none.

    Raises:
        InputError: Files are of several formats or layouts, of one that the model does not know, none can be read, or
            no photo is there.
    """
    order = np.random.default_rng(SEED).permutation(len(units))
    kind: Kind | None = None
    drawn: list[tuple[Poses, Any]] = []
    first_fault: InputError | None = None
    enough = min(LOOKED_AT, max(FEWEST, len(units) // SHARE))
    for count, place in enumerate(order.tolist()):
        people = sum(len(poses) for poses, _ in drawn)
        if count >= enough and people >= 2 * sample:
            break
        try:
            own, poses, names = _read(desk, units[place])
        except InputError as error:
            first_fault = first_fault or error
            continue
        if kind is not None and own != kind:
            raise InputError(
                f"{units[place].address}: expected the format and layout of the other files, {kind.format} of "
                f"{plural(len(kind.keypoints), 'keypoint')}, got {own.format} of {len(own.keypoints)}; refine them "
                "apart"
            )
        kind = own
        drawn.append((poses, names))
    if kind is None:
        raise InputError(f"none of {count + 1} files can be read; the first: {first_fault}")
    _check_photos(desk, drawn)
    company = _measure(desk, drawn, sample) if sample else ""
    return {"format": kind.format, "keypoints": list(kind.keypoints), "company": company}


def _read(desk: Desk, unit: Unit) -> tuple[Kind, Poses, Any]:
    """What kind a unit is of, its people, and the names by which their photos are found."""
    if unit.group is not None:
        return _read_table(desk, unit)
    content = desk.settings.patience(lambda: read_bytes(unit.address))
    with at_hand(desk, unit, content) as path:
        file = read(desk, path)
    if why := why_foreign(file.poses.skeleton, desk.refiner.skeleton):
        raise InputError(f"{unit.address}: {why}; name a model that was trained for it (--model)")
    return Kind.of(file), file.poses, desk.names or file.file_names


def _read_table(desk: Desk, unit: Unit) -> tuple[Kind, Poses, Any]:
    skeleton = table_layout(desk.settings.layout, unit.address)
    table = read_group(unit, desk.settings.patience)
    poses, names = poses_of(table, skeleton, photo_column(desk.settings), annotated_names(desk))
    return Kind(PARQUET, tuple(skeleton.keypoint_names)), poses, names


def table_layout(layout: str | None, where: str) -> Skeleton:
    """The layout of a table's keypoints, which must be named.

    Raises:
        InputError: It is not.
    """
    if layout is None:
        raise InputError(
            f"{where}: a table does not say its layout; name it with --layout (see `posefix skeleton`)"
        )
    return load_skeleton(layout)


def read_group(unit: Unit, patience: Patience) -> pa.Table:
    """The rows of a row group.

    Raises:
        OSError: It cannot be read.
    """
    from pyarrow import parquet

    system, path = file_system(unit.address)

    def load() -> pa.Table:
        with system.open_input_file(path) as source:
            return parquet.ParquetFile(source).read_row_group(unit.group)

    return patience(load)


def _check_photos(desk: Desk, drawn: Sequence[tuple[Poses, Any]]) -> None:
    """Find out before the work that photos are where they are said to be.

    Raises:
        InputError: Not one of the first photos of each unit is there.
    """
    tried: list[str] = []
    first_fault: InputError | None = None
    for poses, names in drawn:
        ids = list(dict.fromkeys(poses.image_ids))[:4]
        try:
            with _fetched(desk, ids, names) as found:
                if any(path.is_file() for path in found.values()):
                    return
        except InputError as error:  # an id that fits two photos is a fault of its unit alone
            first_fault = first_fault or error
        tried += [str((names or {}).get(one, one)) for one in ids]
    if first_fault is not None:
        raise first_fault
    if tried:
        raise InputError(
            f"images: {desk.settings.images}: no photo of {', '.join(map(repr, tried[:5]))} is there; name the folder, "
            "archives or column of the photos"
        )


@contextmanager
def _fetched(desk: Desk, image_ids: Sequence[ImageId], names: Any) -> Iterator[Found]:
    """Some photos, for a look."""
    with tempfile.TemporaryDirectory(dir=desk.folder) as folder:
        yield desk.photos.files(image_ids, names, Path(folder))[0]


def _measure(desk: Desk, drawn: Sequence[tuple[Poses, Any]], sample: int) -> str:
    """The text of the company's file, measured on people drawn from all that were read."""
    photos = [(number, one) for number, (poses, _) in enumerate(drawn) for one in poses.image_ids]
    chosen = draw(photos, sample)
    with tempfile.TemporaryDirectory(dir=desk.folder) as folder:
        poses, found = _gathered(desk, drawn, chosen, Path(folder))
        if not len(poses):
            raise InputError(
                "nobody of the sample has a photo that can be read; name the estimator's --company"
            )
        company: Company = desk.refiner.measure_company(poses, found, exif=desk.settings.exif)
        path = Path(folder, "company.json")
        company.write(path, desk.refiner.calibration, len(poses))
        return path.read_text(encoding="utf-8")


def draw(photos: Sequence[Hashable], count: int) -> Rows:
    """Rows (N,) of people at random, in order: a few of each photo, and more only where all photos gave as many.

    Args:
        photos: Of each person.
        count: People, of whom there may be fewer.
    """
    order = np.random.default_rng(SEED).permutation(len(photos)).tolist()
    before: Counter[Hashable] = Counter()
    # Of each person, which turn of their photo they have, and when that photo was drawn first.
    turns: list[tuple[int, int]] = []
    drawn_at: dict[Hashable, int] = {}
    for row in order:
        photo = photos[row]
        turns.append((before[photo] // AT_ONCE, drawn_at.setdefault(photo, len(drawn_at))))
        before[photo] += 1
    first = sorted(range(len(order)), key=turns.__getitem__)[:count]
    return np.sort(np.array([order[place] for place in first], dtype=np.int64))


def _gathered(
    desk: Desk, drawn: Sequence[tuple[Poses, Any]], chosen: Any, folder: Path
) -> tuple[Poses, Found]:
    """Chosen people of several units as one, whose image ids are numbers; those without a sound photo are left out."""
    parts: list[Poses] = []
    photos: Found = {}
    start = 0
    for number, (poses, names) in enumerate(drawn):
        own = poses[chosen[(chosen >= start) & (chosen < start + len(poses))] - start]
        start += len(poses)
        place = folder / str(number)
        place.mkdir()
        sound = {one: path for one, path in _found(desk, own, names, place).items() if is_sound(path)}
        rows = [row for row, one in enumerate(own.image_ids) if one in sound]
        fresh: dict[ImageId, ImageId] = {one: len(photos) + count for count, one in enumerate(sound)}
        photos |= {fresh[one]: path for one, path in sound.items()}
        parts.append(_renamed(own[rows], fresh))
    return _joined(parts), photos


def _found(desk: Desk, poses: Poses, names: Any, folder: Path) -> Found:
    """The photos of people of a unit; none where an id fits two, since then all of the unit stays as it is."""
    try:
        return desk.photos.files(list(dict.fromkeys(poses.image_ids)), names, folder)[0]
    except InputError:
        return {}


def is_sound(path: Path) -> bool:
    """Whether a photo is there and can be read."""
    try:
        decode_image(path)
    except InputError:
        return False
    return True


def _renamed(poses: Poses, fresh: dict[ImageId, ImageId]) -> Poses:
    ids = tuple(fresh[one] for one in poses.image_ids)
    return Poses(poses.keypoints, poses.scores, poses.valid, ids, poses.pose_scores, poses.skeleton)


def _joined(parts: Sequence[Poses]) -> Poses:
    def all_of(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    ids = tuple(one for part in parts for one in part.image_ids)
    return Poses(
        all_of("keypoints"), all_of("scores"), all_of("valid"), ids, all_of("pose_scores"), parts[0].skeleton
    )
