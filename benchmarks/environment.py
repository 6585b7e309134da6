"""What every benchmark result says about itself, and how it is kept."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from posefix.files import write_text_atomic

RESULTS = Path(__file__).parent / "results"
EVERYDAY = Path(os.environ.get("POSEFIX_EVERYDAY", "everyday-photos"))
"""Folder of the everyday photos, which `python -m benchmarks.everyday` gathers: `coco/` and `unlabelled/`."""
DATA = Path(os.environ.get("POSEFIX_DATA", Path(__file__).parents[2] / "shared" / "data"))


def describe(packages: Sequence[str]) -> dict[str, Any]:
    """Device, cores, versions, commit and date of this run; `packages` are the libraries measured, where there."""
    versions = {name: found for name in sorted({"numpy", *packages}) if (found := _version(name))}
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": _commit(),
        "device": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "versions": {"python": platform.python_version(), **versions},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def keep(name: str, environment: dict[str, Any], measured: dict[str, Any]) -> Path:
    """Write benchmarks/results/NAME.json, whole or not at all."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    write_text_atomic(path, json.dumps({"environment": environment, **measured}, indent=1) + "\n")
    return path


def is_kept(name: str) -> bool:
    """Whether there is a benchmarks/results/NAME.json."""
    return (RESULTS / f"{name}.json").is_file()


def kept(name: str) -> dict[str, Any]:
    """What benchmarks/results/NAME.json keeps."""
    result: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return result


def seconds(work: Callable[[], object], repeats: int) -> list[float]:
    """Wall-clock times of `repeats` runs, after one run to warm up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times


def spread(samples: Sequence[float]) -> dict[str, Any]:
    """Median and quartiles of a list of measurements."""
    low, median, high = (float(value) for value in np.quantile(samples, [0.25, 0.5, 0.75]))
    return {"median": median, "quartiles": [low, high], "runs": len(samples)}


def _commit() -> str:
    """The short commit, with a plus sign when files differ from it."""
    here = Path(__file__).parent
    try:
        commit = _git(["rev-parse", "--short", "HEAD"], here)
        return commit + ("+" if _git(["status", "--porcelain", "--untracked-files=no"], here) else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(arguments: list[str], folder: Path) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def _processor() -> str:
    """The processor's name; platform.processor() is empty on Linux."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
