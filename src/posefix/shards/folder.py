"""A folder of shards: what is in it, and whether it is whole.

``index.json``        settings and fingerprints of what was prepared; written first
``people.npz``        the labels of all people, arrays by name (NumPy's format, no pickle)
``shard-000000.tar``  pictures, as WebDataset lays them out: ``000000000.jpg`` and ``000000000.json`` for each person,
                      and ``000000000.overview.jpg``, the whole photo, with the last person of a photo
``shard-000000.json`` where in the archive each picture lies, and checksums; written after the archive
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, quoted
from posefix.files import check_contents, read_json
from posefix.people import PersonRecords

INDEX_FILE = "index.json"
PEOPLE_FILE = "people.npz"
FORMAT, VERSION = "posefix shards", 1
MOST_PEOPLE = 2**40
"""More are not numbers of people."""
MEND = "run `posefix prepare` again, which writes what is missing or damaged"
PICTURE_COLUMNS = (
    "start", "bytes", "crc32", "scale_x", "scale_y", "offset_x", "offset_y", "width", "height",
)  # fmt: skip
PERSON_COLUMNS = (*PICTURE_COLUMNS, "row", "overview")
"""`row` is that of `people.npz`, `overview` the number of the shard's small photo, -1 where the context is enough."""


@dataclass(frozen=True)
class Index:
    """What a folder of shards says about itself.

    Attributes:
        settings: What was prepared, and how; checksums of the files that it was made from.
        parts: Number of people of each annotation file, in their order.
        shards: Number of shards.
        people_sha256: Checksum of `PEOPLE_FILE`.
    """

    settings: dict[str, Any]
    parts: list[int]
    shards: int
    people_sha256: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"format": FORMAT, "version": VERSION, **dataclasses.asdict(self)}


def read_index(folder: Path) -> Index:
    """What is in a folder of shards.

    Raises:
        InputError: It is no such folder, or of a later version.
    """
    path = folder / INDEX_FILE
    if not path.is_file():
        raise InputError(
            f"{folder}: holds no shards, there is no {INDEX_FILE}; make them with `posefix prepare`"
        )
    document = read_json(path)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"{path}: expected the index of a folder of shards, got {quoted(document)}")
    if document.get("version") != VERSION:
        raise InputError(
            f"{path}: version {document.get('version')} is not the {VERSION} that this posefix reads; "
            "prepare the shards again in another folder"
        )
    try:
        index = Index(*(document[field.name] for field in dataclasses.fields(Index)))
    except KeyError as error:
        raise InputError(f"{path}: {error} is missing; delete the folder and prepare it again") from error
    parts = document["parts"]
    counts = parts if isinstance(parts, list) else [None]
    if not all(type(count) is int and 0 <= count < MOST_PEOPLE for count in (*counts, index.shards)):
        raise InputError(
            f"{path}: expected numbers of people and shards; delete the folder and prepare it again"
        )
    settings: Any = document["settings"]
    if isinstance(settings, dict) and isinstance(settings.get("context"), dict):
        settings["context"].setdefault("boxes", False)  # earlier versions knew of none
    return index


def shard_path(folder: Path, number: int) -> Path:
    """The archive of a shard; the file of its places has the same name and ends in .json."""
    return folder / f"shard-{number:06d}.tar"


def read_shard(folder: Path, number: int) -> dict[str, Any]:
    """Places and checksums of a finished shard's pictures, without a look at the pictures themselves.

    Raises:
        InputError: The shard is not there, not finished, cut short, or its places cannot be read.
    """
    path = shard_path(folder, number)
    places = path.with_suffix(".json")
    if not (places.is_file() and path.is_file()):
        raise InputError(f"{path}: the shard is missing or not finished; {MEND}")
    document = read_json(places)
    keys = {"bytes", "sha256", "people", "overviews"}
    if not isinstance(document, dict) or not keys <= document.keys():
        raise InputError(f"{places}: expected the places of a shard's pictures; {MEND}")
    if path.stat().st_size != document["bytes"]:
        raise InputError(
            f"{path}: the shard has {path.stat().st_size} bytes, expected {document['bytes']}: it was cut short or "
            f"changed; {MEND}"
        )
    return document


def is_whole(folder: Path, number: int) -> bool:
    """Whether a shard is finished and as it was written, to the bit."""
    try:
        document = read_shard(folder, number)
    except InputError:
        return False
    return bool(sha256_of(shard_path(folder, number)) == document["sha256"])


def sha256_of(path: Path) -> str:
    """Checksum of a file, which may be larger than memory.

    Raises:
        InputError: It cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(2**20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    return digest.hexdigest()


def people_as_bytes(records: PersonRecords) -> bytes:
    """The labels of all people as `PEOPLE_FILE` holds them."""
    arrays = {
        field.name: getattr(records, field.name)
        for field in dataclasses.fields(records)
        if field.name != "images"
    }
    names = np.array([path.as_posix() for path in records.images], dtype=np.str_)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=names, **arrays)
    return buffer.getvalue()


def read_people(folder: Path, index: Index) -> PersonRecords:
    """The labels of all people of a folder.

    Raises:
        InputError: They are not those that the index speaks of.
    """
    path = folder / PEOPLE_FILE
    if not path.is_file() or sha256_of(path) != index.people_sha256:
        raise InputError(f"{path}: is missing, or was changed after it was written; {MEND}")
    try:
        with zipfile.ZipFile(path) as archive:
            declared = sum(item.file_size for item in archive.infolist())
        check_contents(path, declared, path.stat().st_size)
        with np.load(path, allow_pickle=False) as arrays:
            values: dict[str, npt.NDArray[Any]] = {name: arrays[name] for name in arrays.files}
    except InputError:
        raise
    except (ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read ({error}); {MEND}") from error
    images = tuple(Path(name) for name in values.pop("images").tolist())
    # Folders of earlier versions have none; their contexts hold no crops around boxes either.
    values.setdefault("boxes", np.zeros((len(images), 4), dtype=np.float32))
    return PersonRecords(**values, images=images)


def check_settings(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any], task: str) -> None:
    """Raise unless the shards of a folder are of these settings.

    Args:
        folder: Of the shards.
        before: Settings of the shards.
        now: Settings that are wanted; a value of None fits everything.
        task: What this is, such as "this recipe".

    Raises:
        InputError: Names the first setting that differs.
    """
    for key, first, second in _differences(before, now):
        if key.startswith("sha256."):
            what = f"{key.removeprefix('sha256.')} has changed since"
        else:
            what = f"{key} was {quoted(first)} then, {task} has {quoted(second)}"
        raise InputError(
            f"{folder}: the shards were prepared of other data or settings: {what}; prepare them in another folder"
        )


def _differences(
    before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    for key, value in now.items():
        if isinstance(value, Mapping):
            yield from _differences(before.get(key, {}), value, f"{prefix}{key}.")
        elif value is not None and before.get(key) != value:
            yield f"{prefix}{key}", before.get(key), value
