"""Photos in archives (.tar) as WebDataset writes them: found by their names in the archive, read by their places."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import PurePosixPath

from posefix.bulk.places import Patience, file_system, is_folder, joined, list_files, read_bytes
from posefix.errors import InputError
from posefix.photos.finding import IMAGE_SUFFIXES, ImageId, id_matcher
from posefix.shards.folder import FORMAT, INDEX_FILE

TAR = ".tar"


def is_archive(address: str) -> bool:
    """Whether photos are in archives: an archive, a glob of them, or a folder that holds some.

    Raises:
        OSError: The store does not answer.
    """
    if address.endswith(TAR):
        return True
    if address.startswith("http") or not is_folder(address):
        return False
    return any(one.name.endswith(TAR) for one in list_files(address, deep=False))


@dataclass
class Archives:
    """The photos in some archives; these are looked through once, when the first photo is asked for.

    Attributes:
        address: An archive, a folder of them, or a glob.
        patience: With the store.
    """

    address: str
    patience: Patience

    def address_of(self, image_id: ImageId, name: str | None) -> str | None:
        """Where a photo is: archive, first byte and bytes; None where it is in none.

        Raises:
            InputError: The id fits two photos, or an archive is none.
            OSError: The store does not answer.
        """
        known = self._match(name if name is not None else image_id)
        if known is None:
            return None
        archive, first, size = self._places[str(known)]
        return f"{archive}#{first}+{size}{PurePosixPath(str(known)).suffix}"

    def read(self, address: str) -> bytes:
        """The bytes of a photo, by what `address_of` said.

        Raises:
            OSError: They cannot be read.
        """
        archive, _, place = address.rpartition("#")
        first, size = map(int, place.split(".")[0].split("+"))
        system, path = file_system(archive)
        with system.open_input_file(path) as file:
            content = bytes(file.read_at(size, first))
        if len(content) != size:
            raise OSError(f"{archive}: ends before byte {first + size}")
        return content

    @cached_property
    def _places(self) -> dict[str, tuple[str, int, int]]:
        """Archive, first byte and bytes of each photo, by its name; of one name in several archives, the first."""
        places: dict[str, tuple[str, int, int]] = {}
        for archive in self._archives():
            for name, first, size in self.patience(partial(_members, archive)):
                places.setdefault(name, (archive, first, size))
        if not places:
            raise InputError(f"images: {self.address}: no photo is in these archives")
        return places

    @cached_property
    def _match(self) -> Callable[[ImageId], ImageId | None]:
        return id_matcher({name: name for name in self._places})

    def _archives(self) -> list[str]:
        """Addresses of the archives, by name.

        Raises:
            InputError: There is none, or they hold people cut out of photos.
        """
        folder, pattern = self.address, None
        if self.address.endswith(TAR):
            folder, _, last = self.address.rpartition("/")
            pattern = _expression(last)
        found = self.patience(lambda: list(list_files(folder, deep=False)))
        archives = [
            one.name
            for one in found
            if one.name.endswith(TAR) and (pattern is None or pattern.fullmatch(one.name))
        ]
        if not archives:
            raise InputError(f"images: {self.address}: there is no such archive")
        if self.patience(lambda: _is_prepared(joined(folder, INDEX_FILE))):
            raise InputError(
                f"images: {folder}: holds people cut out for training by `posefix prepare`, shrunk and encoded anew, "
                "not whole photos; name the photos that they were cut out of"
            )
        return [joined(folder, name) for name in archives]


def _is_prepared(index: str) -> bool:
    """Whether a file is the index of shards of `posefix prepare`; other archives may have an index, too.

    Raises:
        OSError: The store does not answer.
    """
    try:
        document = json.loads(read_bytes(index))
    except (FileNotFoundError, ValueError):
        return False
    return isinstance(document, dict) and document.get("format") == FORMAT


def _expression(pattern: str) -> re.Pattern[str]:
    """A glob of names, with WebDataset's ranges such as {000..012}."""
    parts = re.split(r"(\*|\?|\{\d+\.\.\d+\})", pattern)
    return re.compile("".join(_part(part) for part in parts))


def _part(text: str) -> str:
    if text in ("*", "?"):
        return "[^/]" + text.replace("?", "")
    if found := re.fullmatch(r"\{(\d+)\.\.(\d+)\}", text):
        low, high = found.groups()
        return "(?:" + "|".join(f"{number:0{len(low)}d}" for number in range(int(low), int(high) + 1)) + ")"
    return re.escape(text)


def _members(archive: str) -> list[tuple[str, int, int]]:
    """Name, first byte and bytes of each photo in an archive.

    Raises:
        InputError: It is no archive.
        OSError: The store does not answer.
    """
    system, path = file_system(archive)
    with system.open_input_file(path) as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as members:
                return [
                    (member.name.removeprefix("./"), member.offset_data, member.size)
                    for member in members
                    if member.isfile() and PurePosixPath(member.name).suffix.lower() in IMAGE_SUFFIXES
                ]
        except tarfile.TarError as error:
            raise InputError(f"images: {archive}: expected an archive (.tar): {error}") from error
