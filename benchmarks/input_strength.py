"""Why one cell beats a Gaussian as input on a trunk that knows people: a refiner that is shown the pose more faintly.

    python -m benchmarks.input_strength [--data DIR] [--runs DIR]

Takes the C2F that `posefix experiment pipelines-of-results --recipe experiment-trunk` trained (seed 0), shows it the
poses of real estimators with lower Gaussians than in its training, and measures as that experiment does: every keypoint
moved, one look, the estimator's scores. Keeps benchmarks/results/input_strength.json and writes the table into
docs/paper.md, between what the experiment found for C2F and for F2F (benchmarks/results/experiments).
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.accuracy import SETS, read_poses
from benchmarks.documents import TITLES, insert, markdown
from benchmarks.environment import DATA, describe, keep
from benchmarks.paper_report import DOCUMENT, FOLDER, kept_lines

from posefix import Refiner, evaluate_coco, read_annotations
from posefix.evaluation.percentages import signed
from posefix.files import write_text_atomic
from posefix.network.models import DESCRIPTION_FILE, WEIGHTS_FILE

SHARES = (0.25, 0.07)
"""Of the height of the Gaussians in training."""
LAYOUTS = {"movenet": "coco17", "hourglass": "hourglass14"}
"""Of the estimators' results."""
MARK = "input strength"
Gains = dict[str, float]
"""Change in AP by "SET ESTIMATOR"."""


def with_height(network: Path, share: float, folder: Path) -> Path:
    """A copy of a trained network whose input poses are this share as high."""
    content = json.loads((network / DESCRIPTION_FILE).read_text(encoding="utf-8"))
    content["network"]["input_height"] *= share
    (folder / DESCRIPTION_FILE).write_text(json.dumps(content), encoding="utf-8")
    shutil.copyfile(network / WEIGHTS_FILE, folder / WEIGHTS_FILE)
    return folder


def measure(network: Path, data: Path) -> Gains:
    """What a network makes of the estimators' poses."""
    refiner = Refiner.from_pretrained(network, caution=-1.0, looks=1, scores="input")
    gains = {}
    for name, (annotations_path, photos) in SETS.items():
        annotations = read_annotations(data / annotations_path)
        for estimator, layout in LAYOUTS.items():
            before = read_poses(data / "predictions" / name / f"{estimator}.{layout}.json", annotations)
            after = refiner.refine(before, data / photos).poses
            change = evaluate_coco(after, annotations).ap - evaluate_coco(before, annotations).ap
            gains[f"{name} {estimator}"] = change
            print(f"{name} {estimator}: {signed(change)}", flush=True)
    return gains


def found_by_experiment(pipeline: str) -> Gains:
    """The changes that the experiment keeps of one of its pipelines."""
    gains: Gains = {}
    for name in SETS:
        lines = kept_lines(FOLDER / name / "pipelines-of-results.json")
        changes = {line["label"]: line["change"]["mean"] for line in lines if line.get("change")}
        gains |= {f"{name} {estimator}": changes[f"{estimator} + {pipeline}"] for estimator in LAYOUTS}
    return gains


def table(rows: Mapping[str, Gains]) -> str:
    """A row for each way to show the pose."""
    columns = [(name, estimator) for estimator in LAYOUTS for name in SETS]
    heads = [f"{estimator}, {TITLES[name]}" for name, estimator in columns]
    cells = [
        [title, *(signed(gains[f"{name} {estimator}"]) for name, estimator in columns)]
        for title, gains in rows.items()
    ]
    return markdown(["change in AP", *heads], cells)


def main() -> None:
    """Measure, keep, write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--runs", type=Path, default=Path("runs/trunk"), help="of `posefix experiment`")
    options = parser.parse_args()
    measured = {}
    for share in SHARES:
        with tempfile.TemporaryDirectory() as folder:
            measured[f"{share:g}"] = measure(
                with_height(options.runs / "c2f-seed0", share, Path(folder)), options.data
            )
    print(keep("input_strength", describe([]), {"shares": measured}))
    rows = {
        "C2F, as trained": found_by_experiment("C2F"),
        **{f"C2F, input {share} as high": gains for share, gains in measured.items()},
        "F2F, as trained": found_by_experiment("F2F"),
    }
    write_text_atomic(DOCUMENT, insert(DOCUMENT.read_text(encoding="utf-8"), MARK, table(rows)))


if __name__ == "__main__":
    main()
