"""What bulk refinement costs beside plain refinement, how the driver's memory grows, and how far workers scale.

    python -m benchmarks.bulk [scaling] [overhead] [network] [memory]

By default all; what is not measured again is kept as it was. Processor time is that of all processes, Ray's own among
them. With the packaged network, few people and more of them are refined both ways in turn, one thread each, and what
the ones more cost is compared: neither starts nor other programs count. Scaling is measured with workers that sleep as
long as a unit takes to compute, eight in a process, so that 64 of them fit on few cores: it shows what the driver and
Ray bound, not what a disk or a store does.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.environment import RESULTS, describe, keep, kept, spread
from benchmarks.made_files import write_photos, write_results

from posefix.bulk.fleet import IN_FLIGHT
from posefix.bulk.settings import COMPANY_FILE, Model, Settings
from posefix.interchange import read_pose_file, write_pose_file
from posefix.network import DEFAULT_MODEL_NAME
from posefix.photos.finding import find_images

PEOPLE_PER_PHOTO, PHOTO_WH = 50, (640, 480)
THREADS = 1
COMPANY_PEOPLE = 20
UNIT_SECONDS, UNITS_PER_WORKER = 5.0, 6
PACKAGES = ["ray", "pyarrow"]
PR_SET_CHILD_SUBREAPER = 36
LOOK_SECONDS = 0.1
IN_A_PROCESS = 8
BARE_UNITS = 2000
WAYS = ("plain", "bulk")
PARTS = ("scaling", "overhead", "network", "memory")


def make(folder: Path, people: int, files: int) -> None:
    """Files of people in photos, each of its own."""
    folder.mkdir()
    write_photos(folder / "photos", -(-people // files // PEOPLE_PER_PHOTO), PHOTO_WH)
    (folder / "poses").mkdir()
    for number in range(files):
        write_results(folder / f"poses/{number:05d}.json", people // files, PEOPLE_PER_PHOTO, 17, PHOTO_WH)


def spent(command: list[str]) -> dict[str, float]:
    """Seconds of processors, and of the clock, that a program and all that it started took; on Linux only.

    Nobody waits for Ray's workers, so no process's account has their time: all are looked at while they run.
    """
    import ctypes

    # Whoever is left behind by a parent that ended becomes this process's child, and stays below it.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    seen: dict[tuple[int, int], float] = {}
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            seen.update(ticks_below(os.getpid()))
            time.sleep(LOOK_SECONDS)
        seconds = time.perf_counter() - start
        if process.returncode:
            raise SystemExit(process.communicate()[1])
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0] or ticks_below(os.getpid()):
            seen.update(ticks_below(os.getpid()))
            time.sleep(LOOK_SECONDS)
    processor = sum(seen.values()) / os.sysconf("SC_CLK_TCK")
    return {"processor_s": round(processor, 1), "seconds": round(seconds, 1)}


def ticks_below(ancestor: int) -> dict[tuple[int, int], float]:
    """Ticks of processors that each process below another has taken, by its number and the time it began."""
    found: dict[int, tuple[int, int, float]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # See proc(5): of the fields behind the name, 1 is the parent, 11 and 12 are ticks, 19 is the beginning.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            found[int(folder.name)] = int(fields[1]), int(fields[19]), float(fields[11]) + float(fields[12])
    below: dict[tuple[int, int], float] = {}
    for number, (above, began, ticks) in found.items():
        place = above
        while place != ancestor and place in found:
            place = found[place][0]
        if place == ancestor:
            below[number, began] = ticks
    return below


def compared(people: int, files: int, *more: str) -> dict[str, Any]:
    """Plain refinement of files one after the other in a process, and bulk."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "work")
        make(folder, people, files)
        if "--network" in more:
            measure_company(folder)
        plain = spent([sys.executable, "-m", "benchmarks.bulk", "--plain", str(folder), *more])
        bulk = spent([sys.executable, "-m", "benchmarks.bulk", "--bulk", str(folder), *more])
    return {"people": people, "files": files, "plain": plain, "bulk": bulk}


def measure_company(folder: Path) -> None:
    """For both ways: how many people bulk measures it on depends on how many there are."""
    refiner, file = model_of(True).refiner(), read_pose_file(folder / "poses/00000.json", "coco17")
    few = file.poses[:COMPANY_PEOPLE]
    company = refiner.measure_company(few, find_images(few.image_ids, folder / "photos"))
    company.write(folder / COMPANY_FILE, refiner.calibration, len(few))


def overhead(people: int, files: int) -> dict[str, Any]:
    """Both with the identity."""
    starts, found = compared(files, 2), compared(people, files)
    more = {way: {"processor_s": found[way]["processor_s"] - starts[way]["processor_s"]} for way in WAYS}
    return found | {
        "processor_ratio": _ratio(found["bulk"], found["plain"]),
        "starts": starts,
        "processor_ratio_without_starts": _ratio(more["bulk"], more["plain"]),
    }


def network(few: int, many: int, repeats: int) -> dict[str, Any]:
    """Both with the packaged network: processor time of each person more."""
    runs = []
    for _ in range(repeats):
        small, large = compared(few, 2, "--network"), compared(many, 2, "--network")
        costs = {way: (large[way]["processor_s"] - small[way]["processor_s"]) / (many - few) for way in WAYS}
        runs.append({"processor_ms_a_person": {way: round(1000 * cost, 2) for way, cost in costs.items()},
                     "ratio": round(costs["bulk"] / costs["plain"], 3), "few": small, "many": large})  # fmt: skip
        print(json.dumps(runs[-1]), flush=True)
    return {"model": DEFAULT_MODEL_NAME, "ratio": spread([run["ratio"] for run in runs]), "runs": runs}


def _ratio(one: dict[str, float], other: dict[str, float]) -> float:
    return round(one["processor_s"] / other["processor_s"], 3)


def model_of(network: bool) -> Model:
    """What refines."""
    return Model(runtime="onnxruntime") if network else Model(model="identity")


def refine_plainly(folder: Path, network: bool) -> None:
    """What `posefix refine` does, with a company."""
    refiner = model_of(network).refiner(THREADS)
    if network:
        refiner = refiner.with_company(folder / COMPANY_FILE)
    (folder / "plain").mkdir()
    for path in sorted((folder / "poses").iterdir()):
        file = read_pose_file(path, "coco17")
        photos = find_images(file.poses.image_ids, folder / "photos")
        if refiner.company is None:
            # As `posefix company` draws.
            sample = np.random.default_rng(0).permutation(len(file.poses))[:1000]
            refiner = refiner.with_company(refiner.measure_company(file.poses[sample], photos))
        write_pose_file(folder / "plain" / path.name, file, refiner.refine(file.poses, photos).poses)


def refine_in_bulk(folder: Path, network: bool) -> None:
    """The same as `posefix bulk`; prints the peak memory of the driver."""
    from posefix.bulk.cluster import Fleet
    from posefix.bulk.run import run

    settings = Settings(
        out=str(folder / "out"),
        images=str(folder / "photos"),
        model=model_of(network),
        layout="coco17",
        threads=THREADS,
    )
    fleet = Fleet(workers=1 if network else 2, cpus_per_worker=THREADS)
    run([str(folder / "poses")], settings, fleet, company=folder / COMPANY_FILE if network else None)
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


def scaling(workers: list[int], address: str | None = None) -> dict[str, Any]:
    """Units a second by sleeping workers, over what as many would do that never waited, and what bounds them."""
    from posefix.bulk.cluster import Fleet, connected

    shares = {}
    with connected(Fleet(address=address)) as ray:
        actor = ray.remote(Sleeper).options(num_cpus=0, max_concurrency=IN_FLIGHT * IN_A_PROCESS)
        processes = [actor.remote() for _ in range(-(-max(workers) // IN_A_PROCESS))]
        ray.get([one.hello.remote(None) for one in processes])
        for count in workers:
            there = [Seat(processes[number // IN_A_PROCESS]) for number in range(count)]
            seconds, own = have_done(ray, there, UNITS_PER_WORKER * count)
            efficiency = round(UNITS_PER_WORKER * UNIT_SECONDS / seconds, 3)
            shares[str(count)] = {
                "efficiency": efficiency,
                "driver_ms_a_unit": round(1000 * own / (UNITS_PER_WORKER * count), 2),
            }
            print(count, shares[str(count)], flush=True)
        idlers = [ray.remote(Idler).options(num_cpus=0).remote() for _ in range(2)]
        ray.get([one.hello.remote(None) for one in idlers])
        seconds, own = have_done(ray, idlers, BARE_UNITS)
    bare = {
        "units_a_second": round(BARE_UNITS / seconds),
        "driver_ms_a_unit": round(1000 * own / BARE_UNITS, 2),
    }
    return {"unit_seconds": UNIT_SECONDS, "by_workers": shares, "units_of_no_time": bare}


def have_done(ray: Any, there: list[Any], count: int) -> tuple[float, float]:
    """Seconds of the clock that a crew takes for so many units, and of the driver's processor."""
    from posefix.bulk.fleet import Crew
    from posefix.bulk.inputs import Unit

    crew = Crew(ray, lambda: None, {}, 3, lambda _: None)
    units = [Unit(str(number), "", 1, 0) for number in range(count)]
    start, own = time.perf_counter(), time.process_time()
    crew.run(there, len(there), units, lambda *_: None, lambda _: None)
    return time.perf_counter() - start, time.process_time() - own


class Idler(Sleeper):
    """A worker whose units take no time."""

    def refine(self, unit: Any) -> dict[str, Any]:
        return {}


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(PARTS))
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--network-people", type=_numbers, default=[200, 1000], help="few and many")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--growth", type=_numbers, default=[100_000, 1_000_000], help="people, for the driver's memory"
    )
    parser.add_argument("--workers", type=_numbers, default=[1, 4, 16, 64])
    parser.add_argument(
        "--address", help="of a Ray that is there, for the scaling; by default one is started"
    )
    parser.add_argument("--trial", action="store_true", help="keep nothing")
    parser.add_argument("--plain", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--bulk", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--network", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plain or options.bulk:
        work = refine_plainly if options.plain else refine_in_bulk
        work(options.plain or options.bulk, options.network)
        return
    few, many = options.network_people
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "scaling": lambda: scaling(options.workers, options.address),
        "overhead": lambda: overhead(options.people, options.files),
        "network": lambda: network(few, many, options.repeats),
        "memory": lambda: memory(options.growth, max(options.people, 100_000) // options.files),
    }
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"expected some of {' '.join(PARTS)}, got {' '.join(sorted(unknown))}")
    measured: dict[str, Any] = kept("bulk") if (RESULTS / "bulk.json").is_file() else {}
    for part in options.parts or PARTS:
        measured[part] = {"measured": describe(PACKAGES), **measures[part]()}
        print(json.dumps({part: measured[part]}), flush=True)
        if not options.trial:
            measured.pop("environment", None)
            print(f"kept in {keep('bulk', describe(PACKAGES), measured)}", flush=True)


if __name__ == "__main__":
    main()
