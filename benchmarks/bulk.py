"""What bulk refinement costs beside plain refinement, how the driver's memory grows, and how far workers scale.

    python -m benchmarks.bulk [--people 100000] [--growth 100000,1000000] [--workers 1,2,4,8,16,32,64]

Processor time is that of all processes, Ray's own among them. Scaling is measured with workers that sleep as long as a
unit takes to compute, eight in a process, so that 64 of them fit on few cores: it shows what the driver and Ray bound,
not what a disk or a store does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.environment import describe, keep
from benchmarks.made_files import write_photos, write_results

from posefix.bulk.fleet import IN_FLIGHT

PEOPLE_PER_PHOTO, PHOTO_WH = 50, (640, 480)
UNIT_SECONDS, UNITS_PER_WORKER = 1.0, 8
PACKAGES = ["ray", "pyarrow"]
PR_SET_CHILD_SUBREAPER = 36
IN_A_PROCESS = 8


def make(folder: Path, people: int, files: int) -> None:
    """Files of people in photos, each of its own."""
    folder.mkdir()
    write_photos(folder / "photos", -(-people // files // PEOPLE_PER_PHOTO), PHOTO_WH)
    (folder / "poses").mkdir()
    for number in range(files):
        write_results(folder / f"poses/{number:05d}.json", people // files, PEOPLE_PER_PHOTO, 17, PHOTO_WH)


def spent(command: list[str]) -> dict[str, float]:
    """Seconds of processors, and of the clock, that a program and all that it started took; on Linux only."""
    import ctypes
    import resource

    # Whoever is left behind by a parent that ended becomes this process's child, to be waited for and counted.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.perf_counter() - start
    with suppress(ChildProcessError):
        while True:
            os.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"processor_s": round(processor, 1), "seconds": round(seconds, 1)}


def overhead(people: int, files: int) -> dict[str, Any]:
    """Plain refinement of files one after the other in a process, and bulk, both with the identity."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "work")
        make(folder, people, files)
        plain = spent([sys.executable, "-m", "benchmarks.bulk", "--plain", str(folder)])
        bulk = spent([sys.executable, "-m", "benchmarks.bulk", "--bulk", str(folder)])
    ratio = round(bulk["processor_s"] / plain["processor_s"], 3)
    return {"people": people, "files": files, "plain": plain, "bulk": bulk, "processor_ratio": ratio}


def refine_plainly(folder: Path) -> None:
    """What `posefix refine` does, with the identity and a company."""
    from posefix.bulk.settings import identity_refiner
    from posefix.interchange import read_pose_file, write_pose_file
    from posefix.photos.finding import find_images

    refiner = identity_refiner()
    (folder / "plain").mkdir()
    for path in sorted((folder / "poses").iterdir()):
        file = read_pose_file(path, "coco17")
        photos = find_images(file.poses.image_ids, folder / "photos")
        if refiner.company is None:
            refiner = refiner.with_company(refiner.measure_company(file.poses[:1000], photos))
        write_pose_file(folder / "plain" / path.name, file, refiner.refine(file.poses, photos).poses)


def refine_in_bulk(folder: Path) -> None:
    """The same as `posefix bulk`; prints the peak memory of the driver."""
    from posefix.bulk.cluster import Fleet
    from posefix.bulk.run import run
    from posefix.bulk.settings import Model, Settings

    settings = Settings(
        out=str(folder / "out"), images=str(folder / "photos"), model=Model(model="identity"), layout="coco17"
    )
    run([str(folder / "poses")], settings, Fleet(workers=2))
    # Not getrusage: on Linux its peak is handed on from the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    print(int(peak.split()[1]) / 2**10)


def memory(people: list[int], per_file: int) -> dict[str, float]:
    """Peak memory of the driver in MiB by people, in files of one size."""
    peaks = {}
    for count in people:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place, "work")
            make(folder, count, max(1, count // per_file))
            command = [sys.executable, "-m", "benchmarks.bulk", "--bulk", str(folder)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            peaks[str(count)] = round(float(output.splitlines()[-1]), 1)
    return peaks


class Sleeper:
    """A worker that takes as long as a unit, and does nothing."""

    def hello(self, kind: object) -> dict[str, str]:
        return {}

    def refine(self, unit: Any) -> dict[str, Any]:
        time.sleep(IN_FLIGHT * UNIT_SECONDS)  # so many at a time
        return {}


class Seat:
    """A worker of several in a process."""

    def __init__(self, process: Any) -> None:
        self.hello, self.refine = process.hello, process.refine


def scaling(workers: list[int]) -> dict[str, Any]:
    """Units a second by sleeping workers, over what as many would do that never waited."""
    from posefix.bulk.cluster import Fleet, connected
    from posefix.bulk.fleet import Crew
    from posefix.bulk.inputs import Unit

    shares = {}
    with connected(Fleet()) as ray:
        actor = ray.remote(Sleeper).options(num_cpus=0, max_concurrency=IN_FLIGHT * IN_A_PROCESS)
        processes = [actor.remote() for _ in range(-(-max(workers) // IN_A_PROCESS))]
        ray.get([one.hello.remote(None) for one in processes])
        for count in workers:
            there = [Seat(processes[number // IN_A_PROCESS]) for number in range(count)]
            crew = Crew(ray, actor.remote, {}, 3, lambda _: None)
            units = [Unit(str(number), "", 1, 0) for number in range(UNITS_PER_WORKER * count)]
            start = time.perf_counter()
            crew.run(there, count, units, lambda *_: None, lambda _: None)
            shares[str(count)] = round(UNITS_PER_WORKER * UNIT_SECONDS / (time.perf_counter() - start), 3)
        driver = _units_a_second(ray)
    return {"unit_seconds": UNIT_SECONDS, "efficiency_by_workers": shares, "driver_units_per_second": driver}


def _units_a_second(ray: Any) -> float:
    """Units that one driver hands out and takes back in a second: what bounds the fleet."""
    from posefix.bulk.fleet import Crew
    from posefix.bulk.inputs import Unit

    actor = ray.remote(Idler).options(num_cpus=0)
    crew = Crew(ray, actor.remote, {}, 3, lambda _: None)
    there = [actor.remote() for _ in range(2)]
    ray.get([one.hello.remote(None) for one in there])
    units = [Unit(str(number), "", 1, 0) for number in range(2000)]
    start = time.perf_counter()
    crew.run(there, 2, units, lambda *_: None, lambda _: None)
    return round(len(units) / (time.perf_counter() - start))


class Idler(Sleeper):
    """A worker whose units take no time."""

    def refine(self, unit: Any) -> dict[str, Any]:
        return {}


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument(
        "--growth", type=_numbers, default=[100_000, 1_000_000], help="people, for the driver's memory"
    )
    parser.add_argument("--workers", type=_numbers, default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--trial", action="store_true", help="keep nothing")
    parser.add_argument("--plain", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--bulk", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "180")
    if options.plain or options.bulk:
        refine_plainly(options.plain) if options.plain else refine_in_bulk(options.bulk)
        return
    measured: dict[str, Any] = {"scaling": scaling(options.workers)}
    print(json.dumps(measured), flush=True)
    if options.people:
        measured["overhead"] = overhead(options.people, options.files)
        print(json.dumps(measured["overhead"]), flush=True)
    if options.growth:
        measured["driver_memory_mib_by_people"] = memory(
            options.growth, max(options.people, 100_000) // options.files
        )
    print(json.dumps(measured, indent=1))
    if not options.trial:
        print(f"kept in {keep('bulk', describe(PACKAGES), measured)}")


if __name__ == "__main__":
    main()
