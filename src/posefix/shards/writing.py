"""Cutting people out of their photos into shards.

Photos are taken in an order that depends on the checksums of their names alone, so that each shard is a sample of all.
Each photo is decoded once. A shard appears whole or not at all, and one that is there, and whole, is not written again.

Memory: the photos that the threads have decoded, and the files of one shard.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from posefix.errors import InputError
from posefix.files import (
    ensure_new_folder,
    make_folder,
    write_bytes_atomic,
    write_text_atomic,
    written_elsewhere,
)
from posefix.people import PersonRecords
from posefix.photos.finding import decode_image
from posefix.photos.room import room_for
from posefix.pose.poses import FloatArray
from posefix.shards.contexts import (
    ContextOptions,
    Picture,
    context_squares,
    cut_context,
    overview,
)
from posefix.shards.folder import (
    INDEX_FILE,
    PEOPLE_FILE,
    PERSON_COLUMNS,
    PICTURE_COLUMNS,
    Index,
    check_settings,
    is_whole,
    people_as_bytes,
    read_index,
    sha256_of,
    shard_path,
)

PEOPLE_PER_SHARD = 1000
OnPerson = Callable[[int, int], None]
"""Called with the people done and the people in all."""


@dataclass(frozen=True)
class ShardWriter:
    """Writes the shards of some people.

    Attributes:
        folder: Where they go.
        records: The people.
        options: What is kept of each.
        threads: Photos that are decoded at a time.
    """

    folder: Path
    records: PersonRecords
    options: ContextOptions
    threads: int

    def write(self, number: int, rows: Sequence[int], on_person: OnPerson | None = None) -> int:
        """Write one shard; returns its size in bytes.

        Args:
            number: Of the shard.
            rows: Its people; those of a photo follow one another.
            on_person: Called with the people done and in all of this shard.

        Raises:
            InputError: A photo cannot be read, or the disk is full.
        """
        path = shard_path(self.folder, number)
        photos: dict[Path, list[int]] = {}
        for row in rows:
            photos.setdefault(self.records.images[row], []).append(row)
        places: dict[str, Any] = {"people": [], "overviews": []}
        with written_elsewhere(path) as temporary:
            with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as archive:
                for cut in self._cut(photos):
                    self._add(archive, places, *cut)
                    if on_person is not None:
                        on_person(len(places["people"]), len(rows))
            size, checksum = temporary.stat().st_size, sha256_of(temporary)
        columns = {"people": PERSON_COLUMNS, "overviews": PICTURE_COLUMNS}
        document = {"bytes": size, "sha256": checksum, "columns": columns, **places}
        write_text_atomic(path.with_suffix(".json"), json.dumps(document) + "\n")
        return size

    def _cut(
        self, photos: Mapping[Path, list[int]]
    ) -> Iterator[tuple[list[int], list[Picture], Picture | None]]:
        """The people of each photo with their contexts, and the small photo where a context is not enough."""
        rows = [row for people in photos.values() for row in people]
        records = self.records
        squares, scales = context_squares(
            records.keypoints[rows],
            records.labelled[rows],
            records.area[rows],
            records.boxes[rows],
            self.options,
        )
        frames = {row: (squares[place], float(scales[place])) for place, row in enumerate(rows)}

        def cut(path: Path) -> tuple[list[int], list[Picture], Picture | None]:
            people = photos[path]
            with room_for(path):
                photo = decode_image(path)
                contexts = [cut_context(photo, *frames[row], self.options.quality) for row in people]
                small = None if all(context.whole for context in contexts) else overview(photo, self.options)
            return people, contexts, small

        with ThreadPoolExecutor(self.threads) as pool:
            yield from pool.map(cut, photos)

    def _add(
        self,
        archive: tarfile.TarFile,
        places: dict[str, Any],
        rows: list[int],
        contexts: list[Picture],
        small: Picture | None,
    ) -> None:
        """Add the people of one photo."""
        for row, context in zip(rows, contexts, strict=True):
            number = -1 if small is None or context.whole else len(places["overviews"])
            places["people"].append([*_add_picture(archive, f"{row:09d}.jpg", context), row, number])
            label = json.dumps(self._label(row, context)).encode()
            _add_file(archive, f"{row:09d}.json", label)
        if small is not None:
            places["overviews"].append(_add_picture(archive, f"{rows[-1]:09d}.overview.jpg", small))

    def _label(self, row: int, context: Picture) -> dict[str, Any]:
        """A person's label in the pixels of the context, for readers that know nothing of `people.npz`."""
        records = self.records
        labelled = records.labelled[row, :, None]
        keypoints = (records.keypoints[row] * context.scale_xy + context.offset_xy).round(2)
        triples = np.column_stack([np.where(labelled, keypoints, 0.0), 2 * labelled])
        return {
            "photo": records.images[row].name,
            "keypoints": triples.ravel().tolist(),
            "area": round(float(records.area[row] * context.scale_xy.prod()), 2),
            "photo_to_context": [*context.scale_xy.tolist(), *context.offset_xy.tolist()],
        }


def write_shards(
    folder: Path,
    records: PersonRecords,
    parts: Sequence[int],
    settings: Mapping[str, Any],
    options: ContextOptions,
    *,
    threads: int = 4,
    on_person: OnPerson | None = None,
) -> int:
    """Write the people of one or several annotation files, or what is missing of them.

    Args:
        folder: A new or empty folder, or one in which the same was begun.
        records: The people.
        parts: Number of people of each annotation file, in their order.
        settings: What is prepared, and how, for JSON.
        options: What is kept of each person.
        threads: Photos that are decoded at a time.
        on_person: Called after each photo.

    Returns:
        Bytes of all pictures.

    Raises:
        InputError: The folder holds something else, a photo cannot be read, or the disk is full.
    """
    plan = plan_shards(records.images)
    _begin(folder, Index(dict(settings), list(parts), len(plan), ""), records)
    writer = ShardWriter(folder, records, options, threads)
    done = total = 0
    for number, rows in enumerate(plan):
        if is_whole(folder, number):
            total += shard_path(folder, number).stat().st_size
        else:
            _check_space(folder, total, done, len(records))
            total += writer.write(number, rows, _after(done, len(records), on_person))
        done += len(rows)
        if on_person is not None:
            on_person(done, len(records))
    return total


def plan_shards(images: Sequence[Path], size: int = PEOPLE_PER_SHARD) -> list[list[int]]:
    """The rows of each shard: photo by photo, in the order of the checksums of the photos' names."""
    photos: dict[Path, list[int]] = {}
    for row, path in enumerate(images):
        photos.setdefault(path, []).append(row)
    plan: list[list[int]] = []
    for path in sorted(photos, key=lambda path: (zlib.crc32(path.name.encode()), path)):
        if not plan or len(plan[-1]) >= size:
            plan.append([])
        plan[-1] += photos[path]
    return plan


def _begin(folder: Path, index: Index, records: PersonRecords) -> None:
    """Write labels and index, or see that those that are there are of the same people."""
    content = people_as_bytes(records)
    if (folder / INDEX_FILE).exists():
        check_settings(folder, read_index(folder).settings, index.settings, "this run")
    else:
        make_folder(folder.parent)
        ensure_new_folder(folder)
        make_folder(folder)
    write_bytes_atomic(folder / PEOPLE_FILE, content)
    document = replace(index, people_sha256=sha256_of(folder / PEOPLE_FILE)).as_dict()
    write_text_atomic(folder / INDEX_FILE, json.dumps(document, indent=1) + "\n")


def _after(done: int, total: int, on_person: OnPerson | None) -> OnPerson | None:
    if on_person is None:
        return None
    return lambda people, _: on_person(done + people, total)


def _check_space(folder: Path, written: int, done: int, total: int) -> None:
    """Raise where what is left to write will not fit on the disk, as far as the shards before tell."""
    needed = written / done * (total - done) if done else 0.0
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{folder}: the rest of the shards needs about {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free; "
            "make room and run the same command again, which goes on where it stopped"
        )


def _add_picture(archive: tarfile.TarFile, name: str, picture: Picture) -> list[float]:
    """Add a picture and return its `PICTURE_COLUMNS`."""
    start = _add_file(archive, name, picture.jpeg)
    frame: FloatArray = np.concatenate([picture.scale_xy, picture.offset_xy])
    return [start, len(picture.jpeg), zlib.crc32(picture.jpeg), *frame.tolist(), *picture.size_wh.tolist()]


def _add_file(archive: tarfile.TarFile, name: str, content: bytes) -> int:
    """Add a file and return where its content starts."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    start = int(archive.offset) + tarfile.BLOCKSIZE  # names are short: one block of header
    archive.addfile(member, io.BytesIO(content))
    return start
