"""Writes what the results of the speed benchmarks say into docs/performance.md: no number is copied by hand.

    python -m benchmarks.performance_report

Between the marks of each table stands what its file in benchmarks/results says; a file that is not there leaves its
table as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.documents import insert, markdown
from benchmarks.environment import RESULTS, kept

from posefix.files import write_text_atomic

DOCUMENT = Path(__file__).parent.parent / "docs" / "performance.md"
ONE_THIRD_ABOVE = 1.33
"""A step this near to its floor needs no reason."""

Numbers = dict[str, Any]


def ceilings(measured: Numbers) -> str:
    """What the machine can do."""
    found = measured["ceilings"]
    rows = [["a large copy, read and written", f"{found['copy_bytes_per_second']['median'] / 1e9:.1f} GB/s"]]
    for kind in ("float32", "bfloat16"):
        if rate := found.get(f"{kind}_multiply_adds_per_second"):
            rows.append([f"a large matrix product, {kind}", f"{rate['median'] / 1e9:.0f} G multiply-adds/s"])
    return _machine(measured) + markdown(["ceiling", "measured"], rows)


def floors(measured: Numbers) -> str:
    """What a person costs at least, and does cost."""
    rows = [
        [
            step["name"],
            step["unit"],
            _amount(step["multiply_adds"]),
            _amount(step["bytes"]),
            f"{_microseconds(step['floor_seconds'])} ({step['bound']})",
            _microseconds(step["seconds"]["median"]),
            f"{step['times_floor']:.1f}" if step["times_floor"] < 10 else f"{step['times_floor']:,.0f}",
            step["reason"] if step["times_floor"] > ONE_THIRD_ABOVE else "",
        ]
        for step in measured["steps"]
    ]
    heads = ["step", "for a", "multiply-adds", "bytes", "floor, us", "measured, us", "times", "why"]
    return markdown(heads, rows)


def growth(measured: Numbers) -> str:
    """How each curve grows."""
    rows = []
    for curve in measured["curves"].values():
        first, last = curve["points"][0], curve["points"][-1]
        rows.append(
            [
                curve["title"],
                f"{first['x']:,g} to {last['x']:,g} {curve['unit']}",
                f"{curve['exponent']:.2f}",
                f"{curve['last_exponent']:.2f}",
                f"{last['seconds']:,.1f} s",
                f"{first['memory_mib']:,.0f} -> {last['memory_mib']:,.0f} MiB",
            ]
        )
    heads = ["what", "from, to", "exponent", "at the end", "longest", "peak memory"]
    return _machine(measured) + markdown(heads, rows)


def evaluators(measured: Numbers) -> str:
    """The evaluators side by side."""
    speed = measured["speed"]
    slowest = speed["seconds"]["pycocotools"]["median"]
    rows = [
        [
            name,
            f"{times['median']:.2f} s",
            f"{slowest / times['median']:.1f}",
            f"{max(measured['largest_difference_from_pycocotools'][name].values()):.0e}",
        ]
        for name, times in speed["seconds"].items()
    ]
    size = f"{speed['images']:,} photos, {speed['people']:,} people, {speed['results']:,} poses.\n\n"
    heads = ["evaluator", "time", "times as fast as pycocotools", "largest difference from it"]
    return size + markdown(heads, rows)


def analysis(measured: Numbers) -> str:
    """`analyze` and `compare` on a file of COCO val's size."""
    rows = [
        [
            "analyze",
            f"{measured['analyze_seconds']['median']:.1f} s",
            f"{measured['analyze_peak_mib']:.0f} MiB",
        ],
        [
            f"compare, {measured['compare_resamples']:,} resamples",
            f"{measured['compare_seconds']:.1f} s",
            f"{measured['compare_peak_mib']:.0f} MiB",
        ],
    ]
    size = f"{measured['people']:,} people, {measured['poses']:,} poses, {measured['photos']:,} photos.\n\n"
    text = size + markdown(["command", "time", "peak memory"], rows)
    if exponent := measured.get("linearity", {}).get("exponent"):
        text += (
            f"\nOver a quarter to twice as many people the time of analyze grows as people^{exponent:.2f}.\n"
        )
    return text


def runtimes(measured: Numbers) -> str:
    """What computes the network, how fast, and what that does to AP."""
    found = measured["candidates"]
    reference = next(iter(found.values()))
    rows = [
        [
            name,
            f"{entry['people_per_second']['median']:.0f}",
            *(f"{ap:.2f} ({ap - reference['ap'][part]:+.2f})" for part, ap in entry["ap"].items()),
        ]
        for name, entry in found.items()
    ]
    return _machine(measured) + markdown(
        ["runtime", "people/s", *(f"AP, {part}" for part in reference["ap"])], rows
    )


def training(measured: Numbers) -> str:
    """Each way of the data alone against the network alone, and both together."""
    rows = [
        [
            name,
            way,
            f"{network['consumption_people_per_second']['median']:.0f}",
            f"{numbers['data_people_per_second']['median']:.0f} ({numbers['data_over_consumption']:.1f} x)",
            f"{numbers['people_per_second']:.0f}",
            f"{numbers['shares']['waiting for data']:.1%}",
            f"{numbers['projected_hours']:.0f} h",
        ]
        for name, network in measured["models"].items()
        for way, numbers in network["ways"].items()
    ]
    heads = [
        "network",
        "data from",
        "network alone, people/s",
        "data alone",
        "both",
        "waiting for data",
        "projected",
    ]
    return _machine(measured) + markdown(heads, rows)


def refinement(measured: Numbers) -> str:
    """A whole file against the bare network."""
    speed, memory = measured["speed"], measured["peak_memory_mib_by_copies"]
    seconds = speed["end_to_end_seconds"]["median"]
    peaks = ", ".join(f"{peak:.0f} MiB for {copies} x" for copies, peak in memory.items())
    people, looks = speed["people"], speed.get("looks")
    # A result without "looks" counted these as people.
    counted = f"{people} looks at people" if looks is None else f"{people} people, {looks} looks at them"
    return (
        f"{_machine(measured)}{counted}, from file to file: {seconds:.1f} s, "
        f"{speed['ratio']['median']:.2f} times what the network alone takes on the same crops. Peak memory by number "
        f"of photos: {peaks}.\n"
    )


def _machine(measured: Numbers) -> str:
    environment = measured["environment"]
    return f"{environment['cores']} cores of {environment['device']}, commit {environment['commit']}.\n\n"


def _amount(number: float) -> str:
    """A count in thousands, millions or billions."""
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return f"{number:.3g}"


def _microseconds(duration: float) -> str:
    return f"{1e6 * duration:,.0f}" if duration >= 1e-5 else f"{1e6 * duration:.2g}"


TABLES: Mapping[str, tuple[str, Callable[[Numbers], str]]] = {
    "ceilings": ("floors", ceilings),
    "floors": ("floors", floors),
    "runtimes": ("backend_speed", runtimes),
    "training": ("training_speed", training),
    "refinement": ("refinement_speed", refinement),
    "growth": ("growth", growth),
    "evaluators": ("evaluators", evaluators),
    "analysis": ("analysis_speed", analysis),
}
"""Mark -> the file in benchmarks/results, and what stands between the marks."""


def main() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for mark, (name, table) in TABLES.items():
        if (RESULTS / f"{name}.json").exists():
            text = insert(text, mark, table(kept(name)))
    write_text_atomic(DOCUMENT, text)


if __name__ == "__main__":
    main()
