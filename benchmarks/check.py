"""Whether something got slower: ratios measured now against those that are kept.

    python -m benchmarks.check [--data DIR] [--only RATIO ...]

Seconds differ from machine to machine, ratios of two times taken in one run hardly do: the batched synthesis over a
loop, a refinement over the bare network on its crops, the evaluation over pycocotools, reading a results file over
Python's json, and the exponents by which time grows with people. Each is measured on little, and compared with what
benchmarks/results says, with a tolerance for each; what seems worse is measured a second time, and the better of the
two counts. Exits with 1 and names what got worse. Takes two to three minutes on two cores; the first three need the
data (`--data`, or POSEFIX_DATA), and are left out with a word where there are none.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks import evaluators, format_speed, growth, refinement_speed, synthesis_speed
from benchmarks.environment import DATA, RESULTS

from posefix import Refiner, load_skeleton
from posefix.formats.coco_annotations import read_annotations
from posefix.people import build_records

SYNTHESIS_SET = "lspet/person_keypoints_val.json"
EVALUATED_COPIES, FORMAT_PEOPLE, REFINED_PHOTOS = 5, 20_000, 60
GROWTH_PEOPLE = {"people": (2e3, 2e4), "people, analysis": (1e3, 4e3)}
REPEATS = 3


@dataclass(frozen=True)
class Ratio:
    """One ratio.

    Attributes:
        name: What it is a ratio of.
        file: Where it is kept, in benchmarks/results.
        path: Keys of the kept number.
        better: Which direction is.
        tolerance: By what share it may be worse.
        measure: Measures it on the data of a folder.
        needs_data: Whether that folder must be there.
        least: A kept number on the good side of this counts as this.
    """

    name: str
    file: str
    path: tuple[str, ...]
    better: Literal["higher", "lower"]
    tolerance: float
    measure: Callable[[Path], float]
    needs_data: bool = False
    least: float | None = None

    def limit(self, kept: float) -> float:
        """What it may be at worst."""
        if self.better == "higher":
            return (kept if self.least is None else min(kept, self.least)) * (1 - self.tolerance)
        return (kept if self.least is None else max(kept, self.least)) * (1 + self.tolerance)

    def is_worse(self, found: float, kept: float) -> bool:
        """Whether it got worse by more than the tolerance."""
        return found < self.limit(kept) if self.better == "higher" else found > self.limit(kept)


def synthesis_ratio(data: Path) -> float:
    """Poses a second of the batched synthesis over those of the loop."""
    annotations = read_annotations(data / SYNTHESIS_SET)
    skeleton = load_skeleton(annotations.skeleton.name)
    records = build_records(annotations, dict.fromkeys(annotations.people.image_ids, Path()), skeleton)
    return float(synthesis_speed.poses_per_second("synthesis", records, skeleton, REPEATS)["ratio"])


def refinement_ratio(data: Path) -> float:
    """Seconds from file to file over those of the bare network, turn by turn."""
    refiner = Refiner.from_pretrained("small", device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        path = refinement_speed.first_rows(data / refinement_speed.RESULTS_FILE, REFINED_PHOTOS, Path(folder))
        measured = refinement_speed.speed(refiner, path, data / "coco" / "images", REPEATS)
    return float(measured["ratio"]["median"])


def evaluation_ratio(data: Path) -> float:
    """Seconds of pycocotools over those of the package."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pycocotools' rivals, measured beside it, warn of sigmas
        return float(evaluators.speed(data, EVALUATED_COPIES, REPEATS)["times_pycocotools"])


def format_ratio(_: Path) -> float:
    """Seconds to read and write a results file over those of Python's json."""
    with tempfile.TemporaryDirectory() as folder:
        return float(format_speed.measure(Path(folder), FORMAT_PEOPLE, REPEATS)["times_json"])


def growth_exponent(name: str) -> Callable[[Path], float]:
    """Measures the exponent by which processor time grows with people on a curve."""

    def measure(_: Path) -> float:
        curve = growth.CURVES[name]
        return float(growth.measure_curve(curve, GROWTH_PEOPLE[name])["processor_exponent"])

    return measure


RATIOS = (
    Ratio(
        "synthesis over a loop", "synthesis_speed", ("sets", SYNTHESIS_SET, "ratio"), "higher", 0.35,
        synthesis_ratio, True,
    ),
    Ratio(
        "refinement over the bare network", "refinement_speed", ("speed", "ratio", "median"), "lower", 0.12,
        refinement_ratio, True,
    ),
    Ratio(
        "evaluation over pycocotools", "evaluators", ("speed", "times_pycocotools"), "higher", 0.4,
        evaluation_ratio, True,
    ),
    Ratio("a results file over json", "format_speed", ("times_json",), "lower", 0.25, format_ratio),
    Ratio(
        "growth of refinement", "growth", ("curves", "people", "processor_exponent"), "lower", 0.15,
        growth_exponent("people"), least=1.0,
    ),
    Ratio(
        "growth of analysis", "growth", ("curves", "people, analysis", "processor_exponent"), "lower", 0.15,
        growth_exponent("people, analysis"), least=1.0,
    ),
)  # fmt: skip


def kept_number(ratio: Ratio, results: Path) -> float:
    """What is kept of a ratio."""
    path = results / f"{ratio.file}.json"
    try:
        numbers: Any = json.loads(path.read_text(encoding="utf-8"))
        for key in ratio.path:
            numbers = numbers[key]
        return float(numbers)
    except (OSError, KeyError) as error:
        sys.exit(f"{path}: no {' / '.join(ratio.path)} ({error}); run python -m benchmarks.{ratio.file}")


def worse(ratios: Iterable[Ratio], data: Path, results: Path = RESULTS) -> list[str]:
    """Measure ratios, print each, and name those that got worse."""
    found_worse = []
    for ratio in ratios:
        if ratio.needs_data and not data.is_dir():
            print(f"{ratio.name}: not measured, there is no data folder {data}")
            continue
        kept = kept_number(ratio, results)
        found = _measured(ratio, data)
        if ratio.is_worse(found, kept):
            second = _measured(ratio, data)
            found = max(found, second) if ratio.better == "higher" else min(found, second)
        bound = "at least" if ratio.better == "higher" else "at most"
        line = f"{ratio.name}: {found:.2f}, kept {kept:.2f}, {bound} {ratio.limit(kept):.2f}"
        print(line, flush=True)
        if ratio.is_worse(found, kept):
            found_worse.append(line)
    return found_worse


def _measured(ratio: Ratio, data: Path) -> float:
    with contextlib.redirect_stdout(io.StringIO()):
        return ratio.measure(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--only", nargs="+", choices=[ratio.name for ratio in RATIOS])
    options = parser.parse_args()
    chosen = [ratio for ratio in RATIOS if options.only is None or ratio.name in options.only]
    if lines := worse(chosen, options.data):
        sys.exit("got worse:\n" + "\n".join(lines))
    print("nothing got worse")


if __name__ == "__main__":
    main()
