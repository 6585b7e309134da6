"""AP before and after refinement for every estimator whose results the data set holds.

    python -m benchmarks.accuracy [--data DIR] [--model NAME] [--limit IMAGES]

The crops come from the estimators' keypoints; annotated boxes are never used. Prints a Markdown table, losses
beside wins, and keeps benchmarks/results/accuracy.json; with --limit (the first images of each set) nothing is kept.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.environment import DATA, describe, keep

from posefix import Poses, Refiner, compare_coco, load_skeleton, read_annotations, read_results
from posefix.evaluation import CocoComparison
from posefix.formats.coco import Annotations

# Set -> annotations, photos.
SETS = {
    "lspet_val": ("lspet/person_keypoints_val.json", "lspet/images"),
    "coco_dev": ("coco/person_keypoints_dev.json", "coco/images"),
}


def first_images(path: Path, limit: int | None) -> Annotations:
    """The annotations of the first `limit` images of a file; of all when None."""
    if limit is None:
        return read_annotations(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["images"] = content["images"][:limit]
    ids = {image["id"] for image in content["images"]}
    content["annotations"] = [person for person in content["annotations"] if person["image_id"] in ids]
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / path.name
        part.write_text(json.dumps(content), encoding="utf-8")
        return read_annotations(part)


def read_poses(path: Path, annotations: Annotations) -> Poses:
    """The poses of a results file NAME.LAYOUT.json in the annotated images."""
    poses = read_results(path, load_skeleton(path.name.split(".")[1])).poses
    return poses[np.array([image_id in annotations.images for image_id in poses.image_ids])]


def measure(data: Path, name: str, refiner: Refiner, limit: int | None) -> dict[str, CocoComparison]:
    """The comparison of each estimator's results with their refinement, the best estimator first."""
    annotations_path, photos = SETS[name]
    annotations = first_images(data / annotations_path, limit)
    comparisons = {}
    for path in sorted((data / "predictions" / name).glob("*.json")):
        before = read_poses(path, annotations)
        after = refiner.refine(before, data / photos).poses
        comparisons[path.name.removesuffix(".json")] = comparison = compare_coco(before, after, annotations)
        print(f"{name} {path.name}: {comparison}", flush=True)
    return dict(sorted(comparisons.items(), key=lambda item: -item[1].before.ap))


def summarize(comparisons: dict[str, CocoComparison]) -> dict[str, Any]:
    """Wins, losses and the mean gain in AP points (0 to 100)."""
    gains = [100 * comparison.difference for comparison in comparisons.values()]
    return {
        "wins": sum(gain > 0 for gain in gains),
        "losses": sum(gain < 0 for gain in gains),
        "certain_wins": sum(comparison.low > 0 for comparison in comparisons.values()),
        "certain_losses": sum(comparison.high < 0 for comparison in comparisons.values()),
        "mean_gain": float(np.mean(gains)),
        "worst_gain": min(gains),
    }


def markdown(name: str, comparisons: dict[str, CocoComparison]) -> str:
    """One row per estimator, and a line with the summary."""
    lines = [
        f"| {name}: estimator | layout | AP before | AP after | gain (95 % interval) | AP50 | AP75 |",
        "|---|---|---|---|---|---|---|",
    ]
    for estimator, comparison in comparisons.items():
        before, after = comparison.before, comparison.after
        gain = f"{100 * comparison.difference:+.1f} ({100 * comparison.low:+.1f} to {100 * comparison.high:+.1f})"
        cells = [
            *estimator.split(".", 1),
            f"{100 * before.ap:.1f}",
            f"{100 * after.ap:.1f}",
            gain,
            f"{100 * before.ap50:.1f} -> {100 * after.ap50:.1f}",
            f"{100 * before.ap75:.1f} -> {100 * after.ap75:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    total = summarize(comparisons)
    sentence = (
        f"{total['wins']} go up ({total['certain_wins']} beyond the interval), {total['losses']} go down "
        f"({total['certain_losses']} beyond the interval); mean gain {total['mean_gain']:+.1f}."
    )
    return "\n".join([*lines, "", sentence])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--model", default="small", help="a packaged model's name, or a model folder")
    parser.add_argument("--limit", type=int, help="only the first so many images of each set; not kept")
    options = parser.parse_args()
    refiner = Refiner.from_pretrained(options.model)
    measured = {name: measure(options.data, name, refiner, options.limit) for name in SETS}
    for name, comparisons in measured.items():
        print(f"\n{markdown(name, comparisons)}")
    if options.limit is None:
        sets = {
            name: {
                "summary": summarize(comparisons),
                "estimators": {estimator: item.as_dict() for estimator, item in comparisons.items()},
            }
            for name, comparisons in measured.items()
        }
        environment = describe(["hotcoco", "onnxruntime", "opencv-python-headless"])
        content = {"model": options.model, "flip_test": refiner.flip_test, "sets": sets}
        path = keep("accuracy", environment, content)
        print(f"\nkept in {path}")


if __name__ == "__main__":
    main()
