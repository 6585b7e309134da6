"""How the packaged model's network learned: its gain after each part of its training.

    python -m benchmarks.learning_curve NAME=FOLDER NAME=FOLDER ... [--add] [--data DIR] [--images 200]

FOLDERs are the outputs of the parts' trainings in their order, NAMEs what the figure calls them. As in
`benchmarks.ablation`, the networks refine the results of all eight estimators on photos that nothing was trained on,
with every keypoint moved and the input's scores, and the gain is the mean in AP. The last point is the packaged model,
its rule off as well, but with the strengths and the looks elsewhere that its calibration sets.

With --add the parts follow those of the kept result, whose networks are not needed any more.

Keeps benchmarks/results/learning_curve.json and draws docs/figures/learning_curve.svg; with another --images only the
text.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from benchmarks.ablation import measure
from benchmarks.documents import TITLES
from benchmarks.environment import DATA, describe, keep, kept
from benchmarks.growth_figure import COLOURS, MARKERS
from matplotlib.figure import Figure

from posefix.files import write_bytes_atomic
from posefix.training.loop import LOG_FILE

FIGURE = Path(__file__).parent.parent / "docs" / "figures" / "learning_curve.svg"
RESULT = "learning_curve"
PACKAGED = "packaged"
IMAGES = 200

Point = dict[str, Any]
"""Name of a part, epochs of training up to its end, and the mean gain by set."""


def measure_part(name: str, folder: str, epochs: int, arguments: argparse.Namespace) -> Point:
    """The gains of one model, averaged over the estimators."""
    gains = measure(Path(folder), arguments.data, arguments.images)
    means = {part: float(np.mean(list(values.values()))) for part, values in gains.items()}
    print(
        f"{name:<14}{epochs:>4} epochs" + "".join(f"  {k} {100 * v:+.1f}" for k, v in means.items()),
        flush=True,
    )
    return {"name": name, "epochs": epochs, "mean_gain": means}


def environments_of(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Where the points of a kept result were measured, the oldest first."""
    return [*result.get("earlier", ()), result["environment"]] if result else []


def draw(points: Sequence[Point]) -> bytes:
    """Mean gain against epochs as SVG; the packaged model stands as a star."""
    settings: dict[Any, Any] = {"svg.hashsalt": "posefix", "svg.fonttype": "none", "font.size": 9}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained", facecolor="white")
        axes = figure.subplots()
        parts = [point for point in points if point["name"] != PACKAGED]
        for part, colour, marker in zip(TITLES, COLOURS, MARKERS, strict=False):
            gains = [100 * point["mean_gain"][part] for point in parts]
            epochs = [point["epochs"] for point in parts]
            axes.plot(epochs, gains, color=colour, marker=marker, markersize=4, label=TITLES[part])
            for point in points[len(parts) :]:
                axes.plot(
                    point["epochs"], 100 * point["mean_gain"][part], color=colour, marker="*", markersize=11
                )
        axes.axhline(0, color="0.5", linewidth=0.8)
        axes.set(xlabel="epochs", ylabel="mean gain in AP, every keypoint moved")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--images", type=int, default=IMAGES, help="the first so many photos of each set")
    parser.add_argument("--add", action="store_true", help="after the parts of the kept result")
    arguments = parser.parse_args()
    before = kept(RESULT) if arguments.add else {}
    points: list[Point] = [point for point in before.get("points", ()) if point["name"] != PACKAGED]
    epochs = points[-1]["epochs"] if points else 0
    for name, _, folder in (part.partition("=") for part in arguments.parts):
        epochs += len((Path(folder) / LOG_FILE).read_text(encoding="utf-8").splitlines())
        points.append(measure_part(name, folder, epochs, arguments))
    points.append(measure_part(PACKAGED, "small", epochs, arguments))
    if arguments.images == IMAGES:
        environment = describe(["torch", "onnxruntime", "openvino"])
        measured = {"images": IMAGES, "points": points, "earlier": environments_of(before)}
        print(f"kept in {keep(RESULT, environment, measured)}")
        write_bytes_atomic(FIGURE, draw(points))


if __name__ == "__main__":
    main()
