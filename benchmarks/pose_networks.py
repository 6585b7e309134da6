"""What the packaged model makes of the poses of the paper's pose networks, after `posefix experiment` trained these.

    python -m benchmarks.pose_networks [--data DIR] [--runs DIR]

Runs the commands that docs/paper.md names: each pose network of seed 0 looks at the photos of LSP-Extended's validation
part, `base` refines its poses with every keypoint moved and one look, and both are judged. Keeps
benchmarks/results/pose_networks.json and writes the table into docs/paper.md, beside what C2F, trained with the pose
networks, makes of the same poses (benchmarks/results/experiments). A second table holds what a pose network, and a
refinement network that was trained on its errors, find of people that they were trained on, and of new ones.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.accuracy import write_first_images
from benchmarks.documents import insert, markdown
from benchmarks.environment import DATA, describe, keep
from benchmarks.paper_report import DOCUMENT, FOLDER, kept_lines

from posefix.evaluation.percentages import percent, signed
from posefix.files import write_text_atomic

NETWORKS = ("IntegralPose", "GlobalNet", "Simple", "RefineNet")
MARK = "pose networks"
PAIRS = (("IntegralPose", "E2E-refine"), ("GlobalNet", "RefineNet"))
"""Pose networks, and what was trained on the errors that they make."""
SEEN_MARK = "seen people"
SEEN_PHOTOS = 1000
"""Of the training part, one person each."""


def measure(network: Path, data: Path) -> dict[str, Any]:
    """What `posefix evaluate --json` says of a pose network's poses, refined against as they are."""
    photos = ["--images", str(data / "lspet" / "images")]
    truth = ["--annotations", str(data / "lspet" / "person_keypoints_val.json")]
    layout = ["--layout", "posefix19"]
    every_keypoint_once = ["--caution", "-1", "--looks", "1", "--scores", "input"]
    with tempfile.TemporaryDirectory() as folder:
        before, after, numbers = (f"{folder}/{name}.json" for name in ("before", "after", "numbers"))
        posefix("estimate", str(network), *truth, *photos, "-o", before)
        posefix("refine", before, *layout, *photos, "-o", after, *every_keypoint_once)
        posefix("evaluate", after, *layout, "--against", before, *truth, "--json", numbers)
        found = json.loads(Path(numbers).read_text(encoding="utf-8"))
    return {
        "before": found["before"]["AP"],
        "after": found["after"]["AP"],
        "difference": found["difference"],
        "interval": found["interval"],
    }


def measure_seen(runs: Path, data: Path) -> dict[str, float]:
    """AP of the networks of `PAIRS` on people that they were trained on."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        truth = write_first_images(
            data / "lspet" / "person_keypoints_train.json", SEEN_PHOTOS, Path(folder) / "truth.json"
        )
        for name in (name for pair in PAIRS for name in pair):
            poses, numbers = (str(Path(folder) / f"{name}-{part}.json") for part in ("poses", "numbers"))
            people = ["--annotations", str(truth)]
            photos = ["--images", str(data / "lspet" / "images")]
            posefix("estimate", str(runs / f"{name.lower()}-seed0"), *people, *photos, "-o", poses)
            posefix("evaluate", poses, "--layout", "posefix19", *people, "--json", numbers)
            found[name] = json.loads(Path(numbers).read_text(encoding="utf-8"))["numbers"]["AP"]
    return found


def posefix(*arguments: str) -> None:
    """Run a command as a user would."""
    subprocess.run([sys.executable, "-m", "posefix", *arguments], check=True)


def measured_lines(folder: Path) -> dict[str, float]:
    """AP of all lines of the experiments on a set of people, by their labels."""
    lines = [
        line
        for name in ("pipelines", "baselines", "end-to-end")
        for line in kept_lines(folder / f"{name}.json")
    ]
    return {line["label"]: float(line["mean"]["AP"]) for line in lines}


def by_c2f(folder: Path) -> dict[str, float]:
    """AP of each pose network's poses, refined by the C2F that was trained beside it."""
    found = measured_lines(folder)
    return {name: found[f"{name} + C2F"] for name in NETWORKS}


def table(measured: Mapping[str, Mapping[str, Any]], trained_beside: Mapping[str, float]) -> str:
    """AP of the pose networks, and refined by either."""
    rows = []
    for name, numbers in measured.items():
        before, beside = numbers["before"], trained_beside[name]
        low, high = (signed(end) for end in numbers["interval"])
        rows.append(
            [
                name,
                percent(before),
                f"{percent(beside)} ({signed(beside - before)})",
                f"**{percent(numbers['after'])}** ({signed(numbers['difference'])}; {low} to {high})",
            ]
        )
    heads = [
        "pose network",
        "AP",
        "refined by C2F after 10 epochs",
        "refined by `base` (gain; 95 % interval)",
    ]
    return markdown(heads, rows)


def seen_table(seen: Mapping[str, float], new: Mapping[str, float]) -> str:
    """AP on people that networks were trained on and on new ones, with the change by what learnt their errors."""
    rows = []
    for network, refiner in PAIRS:
        rows.append([network, *(percent(of[network]) for of in (seen, new))])
        changes = (f"{percent(of[refiner])} ({signed(of[refiner] - of[network])})" for of in (seen, new))
        rows.append([refiner, *changes])
    return markdown(["network", "AP, people it was trained on", "AP, new people"], rows)


def main() -> None:
    """Measure, keep, write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--runs", type=Path, default=Path("runs/experiment"), help="of `posefix experiment`")
    options = parser.parse_args()
    environment = describe(["onnxruntime", "openvino"])
    measured = {name: measure(options.runs / f"{name.lower()}-seed0", options.data) for name in NETWORKS}
    seen = measure_seen(options.runs, options.data)
    print(keep("pose_networks", environment, {"networks": measured, "seen_people": seen}))
    text = insert(DOCUMENT.read_text(encoding="utf-8"), MARK, table(measured, by_c2f(FOLDER / "lspet_val")))
    text = insert(text, SEEN_MARK, seen_table(seen, measured_lines(FOLDER / "lspet_val")))
    write_text_atomic(DOCUMENT, text)


if __name__ == "__main__":
    main()
