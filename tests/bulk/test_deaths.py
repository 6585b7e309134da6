"""Whoever dies, and whenever: nothing is lost, nothing is doubled, nothing is left over."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.bulk.conftest import ROOT, Work, contents, make_work
from tests.bulk.processes import descendants, is_there, kill

from posefix.bulk.cluster import Fleet
from posefix.bulk.fleet import Crew
from posefix.bulk.inputs import Unit
from posefix.bulk.places import Patience
from posefix.bulk.run import Report, run
from posefix.bulk.settings import Model, Settings
from posefix.errors import InputError

FILES, LONGEST = 16, 4.0


@pytest.fixture
def long_work(tmp_path: Path) -> Work:
    return make_work(tmp_path, files=FILES, photos=160, people=4)


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--kills"))


def refine(work: Work, out: str) -> Report:
    settings = Settings(
        out=str(work.place / out),
        images=str(work.photos),
        model=Model(model="identity"),
        layout="coco17",
        patience=Patience(5, 0.05),
    )
    return run([str(work.poses)], settings, Fleet(workers=2))


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


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_a_worker_may_be_killed_at_any_moment(long_work: Work, kills: int) -> None:
    for number in range(kills):
        pause = random.Random(number).uniform(0, LONGEST)
        killed: list[int] = []
        ended = threading.Event()

        def strike(pause: float = pause, killed: list[int] = killed, ended: threading.Event = ended) -> None:
            while not ended.is_set() and not descendants(os.getpid(), "ray::Worker"):
                time.sleep(0.05)
            time.sleep(pause)
            killed += descendants(os.getpid(), "ray::Worker")[:1]
            for process in killed:
                kill(process)

        thread = threading.Thread(target=strike)
        thread.start()
        report = refine(long_work, f"out{number}")
        ended.set()
        thread.join()
        assert report.aside == 0
        check(long_work, f"out{number}")


@pytest.mark.slow
def test_the_driver_may_be_killed_at_any_moment(long_work: Work, kills: int) -> None:
    command = [
        sys.executable, "-m", "posefix", "bulk", str(long_work.poses), "--images", str(long_work.photos),
        "--layout", "coco17", "--model", "identity", "--workers", "2", "-o",
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}"}
    for number in range(kills):
        out = long_work.place / f"out{number}"
        process = subprocess.Popen([*command, str(out)], env=environment, stdout=subprocess.DEVNULL)
        until = time.monotonic() + 60
        # Half of the moments before the first unit is done, half after it.
        while number % 2 and not list(out.glob("ledger/*")) and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(random.Random(number).uniform(0, 1.0 if number % 2 else 12.0))
        helpers = descendants(process.pid)
        kill(process.pid)
        process.wait()
        until = time.monotonic() + 180  # Ray's parts look for each other once a minute or so
        while any(map(is_there, helpers)) and time.monotonic() < until:
            time.sleep(0.1)
        assert not any(map(is_there, helpers)), "a Ray without a driver ends"
        again = subprocess.run(
            [*command, str(out)], env=environment, capture_output=True, text=True, check=False
        )
        assert again.returncode == 0, again.stderr
        check(long_work, out.name)


@pytest.mark.slow
def test_a_machine_of_the_cluster_may_be_lost(long_work: Work, kills: int) -> None:
    script = Path(__file__).parent / "two_machines.py"
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    for number in range(kills):
        out = f"out{number}"
        pause = random.Random(number).uniform(0, LONGEST)
        arguments = [str(long_work.poses), str(long_work.photos), str(long_work.place / out), str(pause)]
        done = subprocess.run(
            [sys.executable, str(script), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1]) == {"aside": 0, "units": FILES, "machines": 1}
        check(long_work, out)


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
