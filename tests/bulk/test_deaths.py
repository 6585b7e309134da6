"""Whoever dies, and whenever: nothing is lost, nothing is doubled, nothing is left over."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.bulk.conftest import ROOT, Work, contents, faults_of, make_work
from tests.bulk.processes import descendants, is_there, kill

from posefix.bulk.cluster import Fleet, Share
from posefix.bulk.fleet import IN_FLIGHT, Crew
from posefix.bulk.inputs import Unit
from posefix.bulk.places import Patience
from posefix.bulk.run import Report, run
from posefix.bulk.settings import Model, Settings
from posefix.bulk.worker import Worker
from posefix.errors import InputError
from posefix.network.decoding import Evidence
from posefix.refine.backends import identity_backend
from posefix.refine.refiner import Refiner

FILES, LONGEST = 16, 4.0
SLOWEST = 180.0
"""Seconds that a busy machine may take to begin, or to end, something."""
TOO_MANY = 2**47
"""Numbers that no machine has memory for, 1 PiB."""
WORKER = "ray::Worker"
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}


@pytest.fixture
def long_work(tmp_path: Path) -> Work:
    return make_work(tmp_path, files=FILES, photos=160, people=4)


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--kills"))


def refine(work: Work, out: str, company: Path | None = None) -> Report:
    settings = Settings(
        out=str(work.place / out),
        images=str(work.photos),
        model=Model(model="identity"),
        layout="coco17",
        patience=Patience(5, 0.05),
    )
    return run([str(work.poses)], settings, Fleet(workers=2), company=company)


def check(work: Work, out: str) -> None:
    """What a run left behind is what an undisturbed one writes."""
    found = contents(work.place / out)
    assert {f"poses/{path.name}": path.read_bytes() for path in work.files} == {
        name: content for name, content in found.items() if name.startswith("poses/")
    }
    assert len(list((work.place / out / "ledger").iterdir())) == FILES
    assert not (work.place / out / ".unfinished").exists()


class Sick:
    """A worker that dies of some units, or says that it cannot."""

    def hello(self, kind: object) -> dict[str, str]:
        return {}

    def refine(self, unit: Unit) -> dict[str, Any]:
        if "deadly" in unit.name:
            os._exit(1)
        if "large" in unit.name:
            raise MemoryError(unit.name)
        if "gone" in unit.name:
            raise OSError("the store does not answer")
        return {"unit": unit.name}


def test_units_that_workers_die_of_are_put_aside_and_all_others_done(ray_here: Any) -> None:
    names = ["1", "deadly", "2", "large", "3", "gone", *map(str, range(4, 9))]
    done: list[str] = []
    actor = ray_here.remote(Sick).options(num_cpus=0, max_concurrency=1)
    crew = Crew(ray_here, actor.remote, {}, 2, lambda _: None)
    crew.run(
        [],
        2,
        [Unit(name, name, 1, 0) for name in names],
        lambda unit, _: done.append(unit.name),
        lambda _: None,
    )
    assert sorted(done) == [str(number) for number in range(1, 9)]
    reasons = {fault.file: fault.reason for fault in crew.aside}
    assert reasons.keys() == {"deadly", "large", "gone"}
    assert "its worker died" in reasons["deadly"]
    assert "MemoryError" in reasons["large"]
    assert "the store does not answer" in reasons["gone"]


def test_where_nothing_succeeds_the_run_ends(ray_here: Any) -> None:
    actor = ray_here.remote(Sick).options(num_cpus=0)
    crew = Crew(ray_here, actor.remote, {}, 1, lambda _: None)
    units = [Unit(f"gone{number}", "", 1, 0) for number in range(99)]
    with pytest.raises(InputError, match="20 units failed one after the other"):
        crew.run([], 1, units, lambda *_: None, lambda _: None)


def strike_after(pause: float, ended: threading.Event, killed: list[int]) -> None:
    """Kill a worker some seconds after the first is there, unless the run has ended."""
    while not ended.is_set() and not descendants(os.getpid(), WORKER):
        time.sleep(0.02)
    time.sleep(pause)
    for process in [] if ended.is_set() else descendants(os.getpid(), WORKER)[:1]:
        with contextlib.suppress(ProcessLookupError):  # the run ended just now
            kill(process)
            killed.append(process)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_a_worker_may_be_killed_at_any_moment(long_work: Work, kills: int) -> None:
    killed: list[int] = []
    longest = LONGEST
    for number in range(kills):
        pause = random.Random(number).uniform(0, longest)
        ended = threading.Event()
        thread = threading.Thread(target=strike_after, args=(pause, ended, killed))
        thread.start()
        report = refine(long_work, f"out{number}")
        ended.set()
        thread.join()
        longest = min(longest, 1.5 * report.seconds + 1)  # so that most strike while the work goes on
        assert report.aside == 0
        check(long_work, f"out{number}")
    assert killed, "all came too late"


class Mortal(Worker):
    """A worker that kills itself (-9) in the middle of a batch; of all workers of a run the first that comes so far.

    Args:
        settings: Of the run.
        mark: A file that says that one has died.
        batch: Number of the batch in which it does.
    """

    def __init__(self, settings: Settings, mark: Path, batch: int) -> None:
        super().__init__(settings)
        left = itertools.count(batch, -1)

        def backend(images: Any, keypoints: Any, weights: Any) -> Evidence:
            if next(left) <= 0:
                with contextlib.suppress(FileExistsError):
                    mark.touch(exist_ok=False)
                    kill(os.getpid())
            return identity_backend(images, keypoints, weights)

        size = self._desk.refiner.batch_size
        self._desk.refiner = Refiner(backend, self._desk.refiner.skeleton, (16, 16), batch_size=size)


@pytest.mark.slow
def test_an_actor_may_be_killed_in_the_middle_of_a_batch(
    long_work: Work, kills: int, ray_here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(kills):
        mark = long_work.place / f"mark{number}"
        batch = random.Random(number).randrange(0, 8)  # of the survey, the first ones
        hire(monkeypatch, ray_here.remote(Mortal), mark, batch)
        assert refine(long_work, f"out{number}").aside == 0
        assert mark.exists()
        check(long_work, f"out{number}")


class Poor(Worker):
    """A worker that runs out of memory at a unit, and where it is to measure a company."""

    def survey(self, units: Sequence[Unit], sample: int) -> dict[str, Any]:
        if sample:
            np.ones(TOO_MANY)
        return super().survey(units, sample)

    def refine(self, unit: Unit) -> dict[str, Any]:
        if unit.name == "part3.json":
            np.ones(TOO_MANY)
        return super().refine(unit)


@pytest.mark.slow
def test_a_worker_without_memory_puts_aside_what_another_does(
    long_work: Work, ray_here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    refine(long_work, "before")
    company = long_work.place / "before" / "company.json"
    with monkeypatch.context() as poor:
        hire(poor, ray_here.remote(Poor))
        with pytest.raises(InputError, match=r"a look at the first files: .*MemoryError"):
            refine(long_work, "unknown")
        assert refine(long_work, "out", company).aside == 1
    (fault,) = faults_of(long_work.place / "out")
    assert Path(fault["file"]).name == "part3.json"
    assert "MemoryError" in fault["reason"]
    assert refine(long_work, "out", company).aside == 0
    check(long_work, "out")


def hire(monkeypatch: pytest.MonkeyPatch, worker: Any, *arguments: object) -> None:
    """Have a run's work done by workers of another kind."""

    def make_worker(_: Any, settings: Settings, share: Share) -> Any:
        actor = worker.options(num_cpus=share.cpus, max_restarts=0, max_concurrency=IN_FLIGHT)
        return lambda: actor.remote(settings, *arguments)

    monkeypatch.setattr("posefix.bulk.run.make_worker", make_worker)


def command_of(work: Work, *more: object) -> list[str]:
    words = (
        "bulk",
        work.poses,
        "--images",
        work.photos,
        "--layout",
        "coco17",
        "--model",
        "identity",
        "--workers",
        2,
    )
    return [sys.executable, "-m", "posefix", *map(str, (*words, *more))]


def kill_driver(command: list[str], out: Path, number: int, early: float) -> tuple[bool, list[int]]:
    """Start a driver and kill it: half of all before the first unit is done, half after it.

    Returns:
        Whether it was still at work, and what it had started.
    """
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + SLOWEST
    while number % 2 and not list(out.glob("ledger/*")) and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(random.Random(number).uniform(0, 1.0 if number % 2 else early))
    at_work = process.poll() is None
    started = descendants(process.pid)
    if at_work:
        kill(process.pid)
    process.wait()
    return at_work, started


def go_on(command: list[str]) -> None:
    again = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr


@pytest.mark.slow
def test_the_driver_may_be_killed_at_any_moment(long_work: Work, kills: int, ray_here: Any) -> None:
    address = ray_here.get_runtime_context().gcs_address
    at_work = 0
    for number in range(kills):
        out = long_work.place / f"out{number}"
        command = command_of(long_work, "--address", address, "-o", out)
        at_work += kill_driver(command, out, number, early=20.0)[0]
        go_on(command)  # while workers of the one that died may still be at it
        check(long_work, out.name)
    assert at_work, "all came too late"


@pytest.mark.slow
def test_a_ray_of_its_own_ends_with_its_driver(long_work: Work, kills: int) -> None:
    for number in range(min(kills, 4)):
        out = long_work.place / f"out{number}"
        command = command_of(long_work, "-o", out)
        _, helpers = kill_driver(command, out, number, early=30.0)
        until = time.monotonic() + SLOWEST  # Ray's parts look for each other once a minute or so
        while any(map(is_there, helpers)) and time.monotonic() < until:
            time.sleep(0.1)
        assert not any(map(is_there, helpers)), "a Ray without a driver ends"
        go_on(command)
        check(long_work, out.name)


@pytest.mark.slow
def test_a_machine_of_the_cluster_may_be_lost(long_work: Work, kills: int) -> None:
    script = Path(__file__).parent / "two_machines.py"
    pauses = [random.Random(number).uniform(0, 1) for number in range(kills)]  # the work takes about a second
    places = (long_work.poses, long_work.photos, long_work.place)
    done = subprocess.run(
        [sys.executable, *map(str, (script, *places, *pauses))],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [(one["aside"], one["units"], one["machines"]) for one in told] == [(0, FILES, 1)] * kills
    assert any(one["at work"] for one in told), "all came too late"
    for number in range(kills):
        check(long_work, f"out{number}")


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_a_full_disk_ends_a_run_that_goes_on_when_there_is_room(tmp_path: Path) -> None:
    work = make_work(tmp_path, files=FILES, photos=64, people=4)
    small = work.place / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        try:
            report: Report | None = refine(work, "small/out")
        except InputError as error:
            report = None
            assert "No space left" in str(error) or "space" in str(error)
        assert report is None or report.aside > 0
        subprocess.run(["mount", "-o", "remount,size=8m", str(small)], check=True)
        assert refine(work, "small/out").aside == 0
        check(work, "small/out")
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
