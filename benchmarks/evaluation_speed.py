"""COCO's AP from two files: what of the time is the evaluator's, what parsing the files, what checking them.

    python -m benchmarks.evaluation_speed [--data DIR] [--copies 12 200] [--repeats 5]

The results of the four COCO-17 estimators on coco_dev and their annotations, repeated under new image ids, written as
two files. hotcoco reads and evaluates them by itself; this package reads them, checks every number, and hands hotcoco
what both sides name. In processor time of all threads, in turn, after a run to warm up. Needs: pip install pycocotools
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hotcoco
from benchmarks.environment import DATA, describe, keep, spread
from benchmarks.evaluators import coco_dev, repeat

from posefix.evaluation.judge import Judge

LAYOUT = "coco17"
Times = dict[str, list[float]]


def by_hotcoco(truth: Path, results: Path) -> None:
    people = hotcoco.COCO(str(truth))
    evaluator = hotcoco.COCOeval(people, people.load_res(str(results)), "keypoints")
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator.run()


def by_json(truth: Path, results: Path) -> None:
    for path in (truth, results):
        json.loads(path.read_bytes())


def by_posefix(truth: Path, results: Path, times: Times) -> None:
    """The steps of `posefix evaluate`."""
    judge = _timed(times, "annotations", lambda: Judge.read(truth))
    found = _timed(times, "results", lambda: judge.read_poses(results, LAYOUT))
    _timed(times, "measures", lambda: judge.measure(found.poses))


def _timed(times: Times, name: str, work: Callable[[], Any]) -> Any:
    start = time.process_time()
    made = work()
    times.setdefault(name, []).append(time.process_time() - start)
    return made


def measure(truth: Path, results: Path, repeats: int) -> dict[str, Any]:
    """Seconds of each, and how many times hotcoco's."""
    times: Times = {}
    for _ in range(1 + repeats):
        _timed(times, "hotcoco", lambda: by_hotcoco(truth, results))
        _timed(times, "json", lambda: by_json(truth, results))
        _timed(times, "posefix", lambda: by_posefix(truth, results, times))
    seconds = {name: spread(runs[1:]) for name, runs in times.items()}
    least = seconds["hotcoco"]["median"]
    return {
        "processor_seconds": seconds,
        "times_hotcoco": {name: found["median"] / least for name, found in seconds.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--copies", type=int, nargs="+", default=[12, 200], help="of coco_dev")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    truth, rows = coco_dev(options.data)
    measured = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for copies in options.copies:
            contents = repeat(truth, rows, copies)
            paths = [Path(folder) / name for name in ("truth.json", "results.json")]
            for path, content in zip(paths, contents, strict=True):
                path.write_text(json.dumps(content), encoding="utf-8")
            size = {"people": len(contents[0]["annotations"]), "poses": len(contents[1])}
            measured.append({**size, **measure(paths[0], paths[1], options.repeats)})
    path = keep("evaluation_speed", describe(["hotcoco"]), {"sizes": measured})
    print(json.dumps(measured, indent=1))
    print(f"kept in {path}")


if __name__ == "__main__":
    main()
