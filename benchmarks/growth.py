"""How time and memory grow with people, people per photo, the size of photos and keypoints.

    python -m benchmarks.growth [--quick] [--only CURVE ...]

Files are made for every point: photos of coloured clouds, poses that stand about in them. Each point is measured in a
fresh process after a warm-up (`benchmarks.growth_point`): seconds, processor time of all threads, peak of resident
memory. For each curve the exponent of a power of x is fitted to all points by least squares of the logarithms, and
between the last two, where costs that do not grow weigh least; 1 is linear. Memory that grows with x is what the last
two points differ in. Refinement is from a results file and a folder of photos to a refined results file.

Keeps benchmarks/results/growth.json and draws docs/figures/growth.svg; with --quick (small points, a minute) or --only
(some curves) nothing is kept. On Linux, which alone tells a process's own peak.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.environment import describe, keep
from benchmarks.growth_figure import FIGURE, draw
from benchmarks.growth_point import Point, make_files

from posefix.files import write_bytes_atomic

Numbers = dict[str, Any]

PEOPLE_OF_COCO = 2.5
"""Per photo."""
PHOTO_SHAPE = 4 / 3
QUICK_SHARE = 0.3
"""With --quick a curve ends at this share of its points, though not before the second."""


@dataclass(frozen=True)
class Curve:
    """One thing that grows.

    Attributes:
        title: What is measured.
        unit: Of x.
        values: Of x.
        point: What is measured at x.
    """

    title: str
    unit: str
    values: tuple[float, ...]
    point: Callable[[float], Point]


def photo_wh(megapixels: float) -> tuple[int, int]:
    """Width and height of a photo of 4 to 3, whole blocks of JPEG."""
    height = (megapixels * 1e6 / PHOTO_SHAPE) ** 0.5
    return round(height * PHOTO_SHAPE / 16) * 16, round(height / 16) * 16


MEGAPIXELS = (0.3, 1.0, 3.0, 12.0, 25.0, 50.0)
PER_PHOTO = (1, 3, 10, 30, 100)
CURVES = {
    "people, network": Curve(
        "refine, packaged network",
        "people",
        (1e3, 3e3, 1e4),
        lambda x: Point("refine with the network", int(x), 10),
    ),
    "people": Curve(
        "refine, identity",
        "people",
        (1e3, 1e4, 1e5, 1e6),
        lambda x: Point("refine", int(x), 100, (320, 240)),
    ),
    "people, analysis": Curve(
        "analyze", "people", (1e3, 3e3, 1e4, 3e4), lambda x: Point("analyze", int(x), PEOPLE_OF_COCO)
    ),
    "people per photo": Curve(
        "refine, identity, 60 photos",
        "people per photo",
        PER_PHOTO,
        lambda x: Point("refine", 60 * int(x), x),
    ),
    "people per photo, analysis": Curve(
        "analyze, 3,000 people", "people per photo", PER_PHOTO, lambda x: Point("analyze", 3000, x)
    ),
    "megapixels": Curve(
        "refine, identity, 4 photos", "megapixels", MEGAPIXELS, lambda x: Point("refine", 4, 1, photo_wh(x))
    ),
    "megapixels, decode": Curve(
        "decode 4 photos", "megapixels", MEGAPIXELS, lambda x: Point("decode", 4, 1, photo_wh(x))
    ),
    "megapixels, decode reduced": Curve(
        "decode 4 photos at a quarter",
        "megapixels",
        MEGAPIXELS,
        lambda x: Point("decode reduced", 4, 1, photo_wh(x)),
    ),
    "keypoints": Curve(
        "refine, identity, 3,000 people",
        "keypoints",
        (5, 17, 26, 68, 133),
        lambda x: Point("refine", 3000, 100, (640, 480), int(x)),
    ),
}


def measure_point(point: Point) -> Numbers:
    """One point, by a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "files"
        make_files(point, files)
        command = [sys.executable, "-m", "benchmarks.growth_point", str(files), json.dumps(asdict(point))]
        program = subprocess.run(command, capture_output=True, text=True, check=False)
    if program.returncode:
        raise RuntimeError(f"{point} was not measured:\n{program.stderr}")
    measured: Numbers = json.loads(program.stdout.splitlines()[-1])
    return measured


def measure_curve(curve: Curve, values: Sequence[float]) -> Numbers:
    """All points of a curve, and how it grows."""
    points = []
    for value in values:
        measured = {"x": value, **measure_point(curve.point(value))}
        points.append(measured)
        print(
            f"{curve.title}, {value:,g} {curve.unit}: {measured['seconds']:.2f} s, processor "
            f"{measured['processor_seconds']:.2f} s, {measured['memory_mib']:.0f} MiB",
            flush=True,
        )
    return {"title": curve.title, "unit": curve.unit, "points": points, **growth(points)}


def growth(points: Sequence[Numbers]) -> Numbers:
    """Exponents of wall-clock and processor time, and the memory that another unit of x costs."""
    (near, far) = points[-2:]
    grown = max(0.0, far["memory_mib"] - near["memory_mib"]) * 2**20
    return {
        "exponent": exponent(points, "seconds"),
        "processor_exponent": exponent(points, "processor_seconds"),
        "last_exponent": exponent([near, far], "seconds"),
        "last_processor_exponent": exponent([near, far], "processor_seconds"),
        "bytes_per_unit": grown / (far["x"] - near["x"]),
    }


def exponent(points: Sequence[Numbers], name: str) -> float:
    """Slope of the logarithm of a number over the logarithm of x, by least squares."""
    x, y = (np.log([point[key] for point in points]) for key in ("x", name))
    return float(np.polyfit(x, y, 1)[0])


def quick(values: Sequence[float]) -> Sequence[float]:
    """The first values of a curve."""
    return values[: max(2, int(QUICK_SHARE * len(values)))]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the smallest points only; not kept")
    parser.add_argument("--only", nargs="+", choices=CURVES, help="some of the curves; not kept")
    options = parser.parse_args()
    environment = describe(["onnxruntime", "opencv-python-headless", "pillow"])
    curves = {
        name: measure_curve(
            CURVES[name], quick(CURVES[name].values) if options.quick else CURVES[name].values
        )
        for name in options.only or CURVES
    }
    for curve in curves.values():
        print(
            f"{curve['title']}: {curve['unit']}^{curve['exponent']:.2f}, at the end ^{curve['last_exponent']:.2f} "
            f"(processor ^{curve['last_processor_exponent']:.2f}), {curve['bytes_per_unit']:,.0f} bytes each"
        )
    if not (options.quick or options.only):
        print(f"kept: {keep('growth', environment, {'curves': curves})}")
        write_bytes_atomic(FIGURE, draw(curves))
        print(f"drawn: {FIGURE}")


if __name__ == "__main__":
    main()
