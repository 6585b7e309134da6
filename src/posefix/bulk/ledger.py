"""What is done: a small JSON file for each unit, written after its output.

A unit counts as done when its entry is there, speaks of the input as it is now, and the output has the size that the
entry says. Whoever dies between output and entry leaves a unit that is not done; done again, it gets the same bytes.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from posefix.bulk.inputs import Unit
from posefix.bulk.places import Store
from posefix.bulk.settings import FAULTS_FILE, LEDGER, POSES

READ_AT_ONCE = 16
FAULTS_AT_ONCE = 10_000
COUNTS = (
    "people", "photos", "refined", "moved_keypoints", "filled_keypoints", "unchanged", "outside",
    "failed_photos", "faults",
)  # fmt: skip
"""Numbers of an entry that add up."""


@dataclass(frozen=True)
class Fault:
    """Something that was passed on as it was.

    Attributes:
        file: Address of the file.
        record: Which record of it, as messages name it; empty for the whole file.
        field: Of the record; empty for all of it.
        reason: One sentence.
    """

    file: str
    record: str
    field: str
    reason: str


@dataclass(frozen=True)
class Entry:
    """What is known of a unit that is done.

    Attributes:
        unit: Its name.
        input: Address of the file; `input_bytes`, `input_changed` and `input_sha256` are of it as it was read.
        output_bytes: Of its output.
        output_sha256: Checksum of it.
        counts: By `COUNTS`.
        seconds: Spent computing.
        waiting: Seconds spent on fetching photos.
        worker: Machine and process.
        faults: What was passed on as it was.
    """

    unit: str
    input: str
    input_bytes: int
    input_changed: int
    input_sha256: str
    output_bytes: int
    output_sha256: str
    counts: Mapping[str, int]
    seconds: float
    waiting: float
    worker: str
    faults: tuple[Fault, ...] = ()

    def fits(self, unit: Unit) -> bool:
        """Whether it speaks of a unit's input as a listing shows it."""
        return (self.input, self.input_bytes, self.input_changed) == (unit.address, unit.bytes, unit.changed)


@dataclass
class Done:
    """What a run has done so far; grows with neither units nor people.

    Attributes:
        units: How many.
        bytes: Of their inputs.
        counts: By `COUNTS`.
        by_worker: Units, people, seconds and waiting of each worker.
    """

    units: int = 0
    bytes: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    by_worker: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, entry: Mapping[str, Any], size: int) -> None:
        """Count a unit's entry, without its faults."""
        self.units += 1
        self.bytes += size
        self.counts.update(entry["counts"])
        own = self.by_worker.setdefault(entry["worker"], Counter())
        own.update(
            {
                "units": 1,
                "people": entry["counts"]["people"],
                "milliseconds": round(1000 * entry["seconds"]),
                "waiting_milliseconds": round(1000 * entry["waiting"]),
            }
        )


@dataclass(frozen=True)
class Ledger:
    """The entries of a run.

    Attributes:
        store: The run's output.
    """

    store: Store

    def read(self, name: str) -> Entry | None:
        """The entry of a unit, None where there is none that can be read.

        Raises:
            OSError: The store does not answer.
        """
        content = self.store.get(_entry_name(name))
        try:
            return None if content is None else _entry(json.loads(content))
        except (KeyError, TypeError, ValueError):
            return None  # damaged: the unit is not done

    def write(self, entry: Entry) -> None:
        """Say that a unit is done, after its output was written.

        Raises:
            OSError: It cannot be written.
        """
        text = json.dumps(dataclasses.asdict(entry), indent=1)
        self.store.put(_entry_name(entry.unit), (text + "\n").encode())

    def outstanding(self, units: Sequence[Unit], done: Done) -> list[Unit]:
        """The units that are still to be done; the others are counted.

        Raises:
            OSError: The store does not answer.
        """
        entries = {one.name.removesuffix(".json") for one in self.store.files(LEDGER)}
        sizes = {one.name: one.bytes for one in self.store.files(POSES)} if entries else {}
        asked = [unit for unit in units if unit.name in entries]
        known = {unit.name for unit, entry in zip(asked, self._read_all(asked), strict=True)
                 if entry is not None and _is_done(unit, entry, sizes, done)}  # fmt: skip
        return [unit for unit in units if unit.name not in known]

    def faults(self, units: Iterable[Unit]) -> Iterator[Fault]:
        """The faults of all units, in their order.

        Raises:
            OSError: The store does not answer.
        """
        for entry in self._read_all(units):
            if entry is not None:
                yield from entry.faults

    def _read_all(self, units: Iterable[Unit]) -> Iterator[Entry | None]:
        with ThreadPoolExecutor(READ_AT_ONCE) as pool:
            yield from pool.map(lambda unit: self.read(unit.name), units)


def _is_done(unit: Unit, entry: Entry, sizes: Mapping[str, int], done: Done) -> bool:
    fits = entry.fits(unit) and sizes.get(unit.name) == entry.output_bytes
    if fits:
        done.add(dataclasses.asdict(entry), unit.bytes)
    return fits


def _entry_name(unit: str) -> str:
    return f"{LEDGER}/{unit}.json"


def _entry(document: dict[str, Any]) -> Entry:
    faults = tuple(Fault(**fault) for fault in document.pop("faults"))
    return Entry(**document, faults=faults)


def write_faults(store: Store, faults: Iterator[Fault]) -> int:
    """Write `faults.parquet`; returns how many there are.

    Raises:
        OSError: It cannot be written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    names = [column.name for column in dataclasses.fields(Fault)]
    schema = pa.schema([(name, pa.string()) for name in names])
    sink, count = pa.BufferOutputStream(), 0
    with parquet.ParquetWriter(sink, schema) as writer:
        while rows := [dataclasses.asdict(fault) for fault in islice(faults, FAULTS_AT_ONCE)]:
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            count += len(rows)
    store.put(FAULTS_FILE, sink.getvalue().to_pybytes())
    return count
