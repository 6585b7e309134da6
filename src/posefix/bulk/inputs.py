"""What there is to do: files of poses, or row groups of a Parquet data set, each a unit of work."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, takewhile
from pathlib import Path

from posefix.bulk.places import (
    Listed,
    absolute,
    file_system,
    is_folder,
    list_files,
    look_up,
    read_bytes,
    reason_of,
)
from posefix.errors import InputError
from posefix.files import file_ending
from posefix.interchange.catalogue import FORMATS
from posefix.pose_files.pose_file import JSON_ENDINGS

PARQUET = ".parquet"
ENDINGS = frozenset(chain(JSON_ENDINGS, *(known.endings for known in FORMATS), (PARQUET,)))
FOOTERS_AT_ONCE = 16


@dataclass(frozen=True)
class Unit:
    """A piece of work that is done whole or not at all.

    Attributes:
        name: Of its output, relative to the folder of poses; no two units have one.
        address: Of the file.
        bytes: How large it is; of a row group, its share.
        changed: When the file was written, nanoseconds.
        group: Number of the row group in a Parquet file.
    """

    name: str
    address: str
    bytes: int
    changed: int
    group: int | None = None


def list_units(inputs: Sequence[str]) -> list[Unit]:
    """All units of some inputs, in an order that depends on their names alone.

    Args:
        inputs: Files, folders, globs, or lists of files: `@` and the address of a text file with an address a line.

    Raises:
        InputError: There is nothing, it cannot be listed, two units would have one output, one would have none within
            the folder of poses, or files are of two kinds.
    """
    try:
        files = [_named(found) for found in map(_files, inputs)]
    except OSError as error:
        raise InputError(f"{' '.join(inputs)}: cannot be listed ({reason_of(error)})") from error
    listed = sorted(chain.from_iterable(files), key=lambda one: one.name)
    _check_kinds(inputs, listed)
    units = list(_in_row_groups(listed)) if listed[0].name.endswith(PARQUET) else list(map(_whole, listed))
    _check_names(units)
    return units


def _check_names(units: Iterable[Unit]) -> None:
    """Refuse units without an output of their own.

    Raises:
        InputError: Two would have one, or one would lie outside of the folder of poses.
    """
    owners: dict[str, Unit] = {}
    for unit in units:
        if ".." in unit.name.split("/"):
            raise InputError(
                f"{unit.address}: expected an address without .., after which its output is named; write out the "
                "folder that is meant"
            )
        if (other := owners.setdefault(unit.name, unit)) is not unit:
            raise InputError(
                f"{other.address} and {unit.address}: both would become {unit.name}; refine them into two folders"
            )


def _whole(file: Listed) -> Unit:
    return Unit(file.name, file.address, file.bytes, file.changed)


def _files(text: str) -> list[Listed]:
    """The files that one input means.

    Raises:
        InputError: There are none.
        OSError: They cannot be listed.
    """
    if text.startswith("@"):
        return _files_of_list(absolute(text[1:]))
    address = absolute(text)
    if re.search(r"[*?\[]", text.partition("://")[2] if "://" in text else text):
        found = list(_matching(address))
        if not found:
            raise InputError(f"{text}: no file fits; put a pattern in quotes, and ** for folders in folders")
        return found
    file = look_up(address)
    if file is not None:
        return [file]
    if not is_folder(address):
        raise InputError(f"{text}: there is no such file or folder")
    found = [one for one in list_files(address, deep=False) if _is_known(one.name)]
    if not found:
        raise InputError(
            f"{text}: no file of poses lies in this folder; folders in it are not searched, name '{text}/**/*.json'"
        )
    return found


def _is_known(name: str) -> bool:
    return file_ending(name) in ENDINGS and not name.rsplit("/", 1)[-1].startswith((".", "_"))


def _matching(pattern: str) -> Iterator[Listed]:
    """The files that fit a glob: * and ? within a folder's name, ** for any folders."""
    fixed = re.split(r"[*?\[]", pattern, maxsplit=1)[0].rsplit("/", 1)[0]
    rest = pattern[len(fixed) + 1 :]
    fits = re.compile(_expression(rest))
    yield from (
        one
        for one in list_files(fixed, deep="/" in rest or "**" in rest)
        if fits.fullmatch(one.name) and not one.name.rsplit("/", 1)[-1].startswith(".")
    )


def _expression(pattern: str) -> str:
    """The regular expression of a glob."""
    known = {"**/": r"(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern)
    return "".join(
        known.get(part) or (part.replace("[!", "[^") if re.fullmatch(r"\[.+\]", part) else re.escape(part))
        for part in parts
    )


def _files_of_list(address: str) -> list[Listed]:
    """The files that a text file names, an address a line; those that are not absolute begin at its folder."""
    try:
        lines = read_bytes(address).decode("utf-8").splitlines()
    except FileNotFoundError as error:
        raise InputError(f"{address}: there is no such list") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{address}: expected a list of files in UTF-8, an address a line") from error
    folder = address.rsplit("/", 1)[0]
    names = [line.strip() for line in lines if line.strip()]
    addresses = [
        absolute(name if "://" in name or name.startswith("/") else f"{folder}/{name}") for name in names
    ]
    if not addresses:
        raise InputError(f"{address}: the list is empty")
    with ThreadPoolExecutor(FOOTERS_AT_ONCE) as pool:
        found = list(pool.map(look_up, addresses))
    for name, file in zip(addresses, found, strict=True):
        if file is None:
            raise InputError(f"{address}: names {name}, which is not there")
    return [file for file in found if file is not None]


def _named(files: list[Listed]) -> list[Listed]:
    """Files with names relative to the folder that holds them all, of several buckets to the store."""
    schemes = {one.address.partition("://")[0] if "://" in one.address else "" for one in files}
    if len(schemes) > 1:
        raise InputError("INPUT: expected files of one store; refine those of another into another folder")
    folders = [one.address.split("/")[:-1] for one in files]
    shared = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False)))
    return [Listed(one.address, _below(one.address, shared), one.bytes, one.changed) for one in files]


def _below(address: str, levels: int) -> str:
    """An address without its first levels."""
    return "/".join(filter(None, address.split("/")[levels:]))


def _check_kinds(inputs: Sequence[str], files: Iterable[Listed]) -> None:
    """Refuse files that cannot be of one estimator's one format, as their names tell.

    Raises:
        InputError: Their names end in several ways.
    """
    firsts: dict[str, Listed] = {}
    for file in files:
        ending = file_ending(file.name)
        firsts.setdefault(".json" if ending in JSON_ENDINGS else ending, file)
    if len(firsts) > 1:
        one, other = (file.name for file in list(firsts.values())[:2])
        raise InputError(
            f"{' '.join(inputs)}: expected files of one format, got {one} and {other}; name one kind with a pattern, "
            f"such as '*{file_ending(one)}'"
        )


def _in_row_groups(files: Sequence[Listed]) -> Iterator[Unit]:
    """A unit for each row group of Parquet files, called as its file if that has one only."""
    with ThreadPoolExecutor(FOOTERS_AT_ONCE) as pool:
        for file, sizes in zip(files, pool.map(_row_groups, files), strict=True):
            stem = file.name.removesuffix(PARQUET)
            for group, size in enumerate(sizes):
                name = file.name if len(sizes) == 1 else f"{stem}-{group:05d}{PARQUET}"
                yield Unit(name, file.address, size, file.changed, group)


def _row_groups(file: Listed) -> list[int]:
    """The bytes of each row group of a Parquet file."""
    import pyarrow as pa
    from pyarrow import parquet

    system, path = file_system(file.address)
    try:
        with system.open_input_file(path) as source:
            footer = parquet.read_metadata(source)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{file.address}: expected a Parquet file ({reason_of(error)})") from error
    return [footer.row_group(number).total_byte_size for number in range(footer.num_row_groups)]


def local_name(address: str) -> str:
    """The last part of an address, as a file's name."""
    return Path(address).name
