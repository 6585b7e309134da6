"""A run from beginning to end: what is to be done, who does it, and what became of it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from posefix import __version__
from posefix.bulk.cluster import Fleet, Share, connected, require_ray, share_out
from posefix.bulk.fleet import Crew, make_worker, told
from posefix.bulk.inputs import Unit, list_units
from posefix.bulk.ledger import Done, Fault, Ledger, write_faults
from posefix.bulk.photos import open_photos
from posefix.bulk.places import Store, absolute, is_remote, reason_of
from posefix.bulk.settings import COMPANY_FILE, IDENTITY, REPORT_FILE, RUN_FILE, Settings, claim, read_given
from posefix.bulk.survey import table_layout
from posefix.errors import InputError, plural


@dataclass(frozen=True)
class Standing:
    """How far a run is.

    Attributes:
        units: How many there are, `done_units` of them done, those of earlier runs too.
        people: Done by this run.
        seconds: Since the work began.
        people_per_second: Of this run.
        remaining_seconds: By the bytes of the inputs; None while nothing tells.
        faults: Of all units done.
        workers: At work.
    """

    units: int
    done_units: int
    people: int
    seconds: float
    people_per_second: float
    remaining_seconds: float | None
    faults: int
    workers: int

    def as_line(self) -> str:
        """For machines: JSON in a line."""
        return json.dumps({key: _rounded(value) for key, value in vars(self).items()})


OnStanding = Callable[[Standing], None]


@dataclass(frozen=True)
class Report:
    """What became of a run.

    Attributes:
        counts: Of all units, by `posefix.bulk.ledger.COUNTS`.
        units: Done, with those that were done before.
        before: Done by earlier runs.
        aside: Units put aside.
        seconds: This run's work.
        people_per_second: Of this run.
        by_worker: Units, people and shares of time of each worker.
    """

    counts: dict[str, int]
    units: int
    before: int
    aside: int
    seconds: float
    people_per_second: float
    by_worker: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def faults(self) -> int:
        """Rows of `faults.parquet`."""
        return self.counts.get("faults", 0) + self.aside

    def __str__(self) -> str:
        counts = self.counts
        moved, filled = counts.get("moved_keypoints", 0), counts.get("filled_keypoints", 0)
        lines = [
            f"{plural(counts.get('people', 0), 'person')} of {plural(counts.get('photos', 0), 'photo')} in "
            f"{plural(self.units, 'unit')}" + (f", {self.before} of them done before" if self.before else ""),
            f"{counts.get('refined', 0)} refined: {plural(moved, 'keypoint')} moved, {filled} filled in",
            f"{self.people_per_second:.1f} people/s for {self.seconds:.0f} s",
        ]
        lines += [
            f"  {name}: {plural(round(own['units']), 'unit')}, {plural(round(own['people']), 'person')}, "
            f"computing {own['computing']:.0%}, "
            f"waiting for photos {own['waiting']:.0%}"
            for name, own in self.by_worker.items()
        ]
        if counts.get("failed_photos"):
            lines.append(f"missing or unreadable photos: {counts['failed_photos']}")
        if self.aside:
            lines.append(f"put aside, to be tried again by the same command: {plural(self.aside, 'unit')}")
        if self.faults:
            lines.append(f"passed on as they were, listed in faults.parquet: {self.faults}")
        return "\n".join(lines)


def run(
    inputs: Sequence[str],
    settings: Settings,
    fleet: Fleet,
    *,
    company: str | Path | None = None,
    sample: int = 1000,
    on_standing: OnStanding | None = None,
) -> Report:
    """Refine all that some inputs hold; goes on where an earlier run of the same stopped.

    Args:
        inputs: As of `posefix.bulk.inputs.list_units`.
        settings: What the workers are told.
        fleet: Which workers.
        company: A file that `posefix company` wrote; None measures it on a sample, and keeps it.
        sample: People of that sample.
        on_standing: Called every second or so.

    Raises:
        InputError: Nothing can be begun, see docs/bulk.md; or faults are to stop the run, and there is one.
    """
    require_ray()
    if sample < 1:
        raise InputError(f"--sample: expected 1 or more, got {sample}")
    given = read_given(company)
    units = list_units(inputs)
    if units[0].group is not None:
        table_layout(settings.layout, units[0].address)
    _check_given(settings, company)
    store, ledger = Store(settings.out), Ledger(Store(settings.out))
    document = settings.document(
        tuple(map(_spelled, inputs)), hashlib.sha256(given).hexdigest() if given else ""
    )
    _ensure_apart(settings.out, units)
    with _told_as_input_error(store.address):
        store.check_writable()
        goes_on = claim(store, document)
        store.clear_unfinished()
        if given and store.get(COMPANY_FILE) is None:
            store.put(COMPANY_FILE, given)
        before, now = Done(), Done()
        outstanding = ledger.outstanding(units, before)
    aside: list[Fault] = []
    start = time.monotonic()
    if outstanding:
        with _given_back(store, goes_on, given), connected(fleet) as ray:
            share = share_out(ray, fleet, settings.model.device)
            work = _Work(settings, store, ray, share, hashlib.sha256(store.get(RUN_FILE) or b"").hexdigest())
            kind, first = work.survey(units, sample)
            start = time.monotonic()
            watch = _Watch(len(units), sum(unit.bytes for unit in units), before, now, start, on_standing)
            aside = work.do(outstanding, kind, first, watch)
    with _told_as_input_error(store.address):
        return _finish(store, ledger, units, (before, now), aside, time.monotonic() - start)


@dataclass
class _Watch:
    """Counts what is done, and tells how far that is."""

    units: int
    bytes: int
    before: Done
    now: Done
    start: float
    tell: OnStanding | None

    def done(self, unit: Unit, entry: dict[str, Any]) -> None:
        self.now.add(entry, unit.bytes)

    def tick(self, workers: int) -> None:
        if self.tell is None:
            return
        seconds = time.monotonic() - self.start
        left = self.bytes - self.before.bytes - self.now.bytes
        people = self.now.counts["people"]
        self.tell(
            Standing(
                self.units,
                self.before.units + self.now.units,
                people,
                seconds,
                people / max(seconds, 1e-9),
                seconds * left / self.now.bytes if self.now.bytes else None,
                self.before.counts["faults"] + self.now.counts["faults"],
                workers,
            )
        )


@dataclass(frozen=True)
class _Work:
    """Has workers do what is to be done."""

    settings: Settings
    store: Store
    ray: Any
    share: Share
    checksum: str

    def survey(self, units: Sequence[Unit], sample: int) -> tuple[dict[str, Any], Any]:
        """What the units have in common, and the worker that looked; the company is measured and kept if need be."""
        wanted = 0 if self.store.get(COMPANY_FILE) is not None else sample
        make = make_worker(self.ray, self.settings, self.share)
        failure: BaseException | None = None
        for _ in range(self.settings.patience.attempts):
            worker = make()
            try:
                self._check(self.ray.get(worker.hello.remote(None)))
                found: dict[str, Any] = self.ray.get(worker.survey.remote(list(units), wanted))
            except self.ray.exceptions.RayTaskError as error:
                self.ray.kill(worker)
                if isinstance(error.cause, InputError | OSError):
                    raise InputError(str(error.cause)) from error
                if isinstance(error.cause, MemoryError):
                    raise InputError(f"a look at the first files: {told(error.cause)}") from error
                raise
            except self.ray.exceptions.RayError as error:
                self.ray.kill(worker)
                failure = error
                continue
            if wanted:
                self.store.put(COMPANY_FILE, found["company"].encode())
            return found, worker
        raise InputError(f"the first worker dies each time: {reason_of(failure or RuntimeError())}")

    def do(self, units: Sequence[Unit], kind: dict[str, Any], first: Any, watch: _Watch) -> list[Fault]:
        """Have units done by a worker that is there and others; returns those that were put aside."""
        crew = Crew(
            self.ray,
            make_worker(self.ray, self.settings, self.share),
            kind,
            self.settings.patience.attempts,
            self._check,
        )
        crew.run([first], self.share.workers, units, watch.done, watch.tick)
        return crew.aside

    def _check(self, answer: dict[str, str]) -> None:
        """Refuse a worker that would write other bytes, or elsewhere."""
        who = answer["worker"]
        if answer["posefix"] != __version__:
            raise InputError(
                f"worker {who}: has posefix {answer['posefix']}, and this is {__version__}; install the same"
            )
        if answer["model"] != self.settings.model.fingerprint():
            raise InputError(
                f"worker {who}: has another model called {self.settings.model.model!r}; install the same"
            )
        if answer["run"] != self.checksum:
            raise InputError(
                f"worker {who}: does not see {self.store.address}; name a folder that all machines share, or a store"
            )


def _finish(
    store: Store,
    ledger: Ledger,
    units: Sequence[Unit],
    done: tuple[Done, Done],
    aside: list[Fault],
    seconds: float,
) -> Report:
    """Write the faults and the report."""
    before, now = done
    write_faults(store, chain(ledger.faults(units), aside))
    by_worker = {
        name: {
            "units": own["units"],
            "people": own["people"],
            "computing": own["milliseconds"] / 1000 / max(seconds, 1e-9),
            "waiting": own["waiting_milliseconds"] / 1000 / max(seconds, 1e-9),
        }
        for name, own in sorted(now.by_worker.items())
    }
    report = Report(
        dict(before.counts + now.counts),
        before.units + now.units,
        before.units,
        len(aside),
        round(seconds, 3),
        now.counts["people"] / max(seconds, 1e-9),
        by_worker,
    )
    store.put(REPORT_FILE, (json.dumps(vars(report), indent=1) + "\n").encode())
    store.clear_unfinished()
    return report


def _check_given(settings: Settings, company: str | Path | None) -> None:
    """Find out before the work whether the model, and the company that was named, are of use."""
    if company is not None:
        from posefix.network.models import load_model
        from posefix.refine.calibration import read_calibration
        from posefix.refine.company import read_company

        identity = settings.model.model == IDENTITY
        read_company(Path(company), None if identity else read_calibration(load_model(settings.model.model)))
    elif settings.model.model != IDENTITY:
        settings.model.fingerprint()
    open_photos(settings.images, settings.patience)
    threshold = settings.oks_nms
    if threshold is not None and not 0 < threshold <= 1:
        raise InputError(f"--oks-nms: expected an OKS above 0 and at most 1, got {threshold}; 0.9 is usual")


def _ensure_apart(out: str, units: Sequence[Unit]) -> None:
    """Refuse an output that holds what is read."""
    inside = f"{out.rstrip('/')}/"
    for unit in units:
        if unit.address.startswith(inside):
            raise InputError(f"{out}: holds {unit.address}, which is read; choose another output")


def _spelled(text: str) -> str:
    return f"@{absolute(text[1:])}" if text.startswith("@") else absolute(text)


@contextlib.contextmanager
def _given_back(store: Store, goes_on: bool, given: bytes) -> Iterator[None]:
    """Leave an output as it was where work could not be begun: whoever mends an option may name it again."""
    try:
        yield
    except InputError:
        # A company that was measured, and poses, are of a run that did begin.
        claimed = [COMPANY_FILE, RUN_FILE] if given else [RUN_FILE]
        with contextlib.suppress(OSError):
            if not goes_on and {one.name for one in store.files("")} <= set(claimed):
                for name in claimed:
                    store.remove(name)
        raise


@contextlib.contextmanager
def _told_as_input_error(address: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = "the store" if is_remote(address) else "the disk"
        raise InputError(f"{address}: {kind} does not do what is asked of it ({reason_of(error)})") from error


def _rounded(value: Any) -> Any:
    return round(value, 1) if isinstance(value, float) else value
