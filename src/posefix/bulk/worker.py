"""A worker of the fleet: holds a refiner and does one unit after the other, fetching for the next meanwhile."""

from __future__ import annotations

import hashlib
import os
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from posefix import __version__
from posefix.bulk import survey
from posefix.bulk.files import Kind, refine_file
from posefix.bulk.inputs import Unit
from posefix.bulk.ledger import COUNTS, Entry, Fault, Ledger
from posefix.bulk.people import Desk, Tally
from posefix.bulk.photos import clear_folders, open_photos, own_folder
from posefix.bulk.places import Store, read_bytes
from posefix.bulk.settings import COMPANY_FILE, POSES, RUN_FILE, Settings
from posefix.bulk.tables import photo_column, refine_table
from posefix.errors import InputError
from posefix.formats.coco_annotations import read_category_names, read_file_names
from posefix.pose.poses import ImageId
from posefix.skeletons import load_skeleton


class Worker:
    """Refines units; made by Ray on any machine.

    Args:
        settings: Of the run.
    """

    def __init__(self, settings: Settings) -> None:
        clear_folders()
        self._settings = settings
        self._stack = ExitStack()
        folder = self._stack.enter_context(own_folder())
        refiner = settings.model.refiner(settings.threads, settings.batch_size)
        photos = open_photos(settings.images, settings.patience)
        self._desk = Desk(settings, refiner, photos, _names(settings), folder, _category_names(settings))
        self._store = Store(settings.out)
        self._ledger = Ledger(self._store)
        self._name = f"{socket.gethostname()} {os.getpid()}"
        self._kind = Kind("", ())

    def hello(self, kind: dict[str, Any] | None) -> dict[str, str]:
        """Get ready, and say who this is and what it would work with.

        Args:
            kind: What `survey` found; None where that is still to come, else the run's company is read, too.

        Raises:
            OSError: A store does not answer.
        """
        if kind is not None:
            self._kind = Kind(kind["format"], tuple(kind["keypoints"]))
            company = Path(self._desk.folder, COMPANY_FILE)
            company.write_bytes(self._settings.patience(lambda: self._store.get(COMPANY_FILE)) or b"")
            self._desk.refiner = self._desk.refiner.with_company(company)
        return {
            "worker": self._name,
            "posefix": __version__,
            "model": self._settings.model.fingerprint(),
            "run": _checksum(self._settings.patience(lambda: self._store.get(RUN_FILE)) or b""),
        }

    def survey(self, units: Sequence[Unit], sample: int) -> dict[str, Any]:
        """What the units have in common and, with a sample, the company; see `posefix.bulk.survey.look_around`."""
        return survey.look_around(self._desk, units, sample)

    def refine(self, unit: Unit) -> dict[str, Any]:
        """Do a unit; returns its entry in the ledger without the faults, and how many these are.

        Raises:
            InputError: With `on_error` "stop", the first fault.
            OSError: A store does not answer.
        """
        patience = self._settings.patience
        content = patience(lambda: read_bytes(unit.address)) if unit.group is None else b""
        checksum = _checksum(content) if unit.group is None else ""
        tally = Tally()
        if unit.group is None:
            output = refine_file(self._desk, unit, content, self._kind, tally)
        else:
            output = self._refine_group(unit, tally)
        self._stop_on(tally.faults)
        tally.counts["faults"] = len(tally.faults)
        patience(lambda: self._store.put(f"{POSES}/{unit.name}", output))
        entry = Entry(
            unit.name,
            unit.address,
            unit.bytes,
            unit.changed,
            checksum,
            len(output),
            _checksum(output),
            {name: tally.counts[name] for name in COUNTS},
            round(tally.seconds, 3),
            round(tally.waiting, 3),
            self._name,
            tuple(tally.faults),
        )
        patience(lambda: self._ledger.write(entry))
        return {
            "counts": dict(entry.counts),
            "seconds": entry.seconds,
            "waiting": entry.waiting,
            "worker": entry.worker,
        }

    def _refine_group(self, unit: Unit, tally: Tally) -> bytes:
        """The bytes of the refined rows; a faulty table's rows as they are, as faulty files are."""
        import pyarrow as pa
        from pyarrow import parquet

        table = survey.read_group(unit, self._settings.patience)
        skeleton, column = load_skeleton(str(self._settings.layout)), photo_column(self._settings)
        try:
            table = refine_table(self._desk, table, skeleton, unit.address, tally, column)
        except InputError as error:
            tally.counts.clear()
            tally.faults[:] = [Fault(unit.address, f"row group {unit.group}", "", str(error))]
        sink = pa.BufferOutputStream()
        parquet.write_table(table, sink)
        return bytes(sink.getvalue().to_pybytes())

    def _stop_on(self, faults: Sequence[Fault]) -> None:
        if faults and self._settings.on_error == "stop":
            first = faults[0]
            told = (
                first.reason
                if first.file in first.reason
                else f"{first.file}, {first.record}: {first.reason}"
            )
            raise InputError(told)


def _names(settings: Settings) -> dict[ImageId, str] | None:
    """Names of photos from the annotation file that was named, wherever it is."""
    if settings.annotations is None:
        return None
    with _annotations(settings, settings.annotations) as path:
        return read_file_names(path)


def _category_names(settings: Settings) -> dict[ImageId, str]:
    """Names of categories from the same file, where one was chosen."""
    if settings.annotations is None or settings.category is None:
        return {}
    with _annotations(settings, settings.annotations) as path:
        return read_category_names(path)


@contextmanager
def _annotations(settings: Settings, address: str) -> Iterator[Path]:
    """The annotation file on a disk, wherever it is."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, Path(address).name)
        copy.write_bytes(settings.patience(lambda: read_bytes(address)))
        yield copy


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
