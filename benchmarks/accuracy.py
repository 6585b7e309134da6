"""What refinement is worth, for every estimator whose results the data set holds.

    python -m benchmarks.accuracy [--data DIR] [--model NAME] [--control FOLDER]
        [--sets NAME ...] [--estimators NAME ...] [--limit IMAGES] [--only PART ...] [--add]

For each file of poses: AP before and after, with the input's scores (and the bootstrap interval of the difference),
the model's and their product; a second pass; a fifth of the input keypoints missing; people of whom knees and ankles
were not found; inputs with errors three tenths as large, as a much better estimator would make them; each photo's
poses of both kinds refined by themselves, as when photos come one at a time; people helped, harmed and handed to
somebody else; the never-worse rule switched off; keypoints repaired and broken; pairs of people on top of each other;
what the model's confidence is worth; and, as a control, the AP of what the photo alone tells, in the same boxes: by
the same network with every pose withheld, or with --control by one that was trained without a pose. The crops come
from the estimators' keypoints; annotated boxes are never used.
`python -m benchmarks.everyday` gathers the everyday photos.

Prints the table, losses beside wins, and keeps benchmarks/results/accuracy.json, or another file with --keep, from
which `python -m benchmarks.accuracy_report` writes the documents. A run of some sets, estimators or images only is not
kept, one of some parts only with --keep; with --add some parts, of all or some sets and estimators, join the kept
result, if the model still gives the AP that stands there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from benchmarks.accuracy_report import is_seen, short
from benchmarks.environment import DATA, EVERYDAY, describe, keep, kept

from posefix import Poses, Refinement, Refiner, compare_coco, evaluate_coco, match_keypoints
from posefix.evaluation import (
    collapsed_pairs,
    count_people_changes,
    count_repairs,
    match_people,
    measure_confidence,
)
from posefix.evaluation.coco import share_keypoints
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.interchange import read_pose_file, write_new_pose_file
from posefix.network import DEFAULT_MODEL_NAME
from posefix.network.decoding import Evidence
from posefix.photos.finding import find_images
from posefix.pose.geometry import box_from_keypoints
from posefix.refine.backends import Backend
from posefix.refine.networks import Float32Array
from posefix.refine.results import Scores
from posefix.refine.scores import rescore, usual_scores

# Set -> annotations, photos; relative to the data, but for photos that lie elsewhere.
SETS: dict[str, tuple[str, str | Path]] = {
    "lspet_val": ("lspet/person_keypoints_val.json", "lspet/images"),
    "everyday_dev": ("everyday/person_keypoints_dev.json", EVERYDAY / "coco"),
}
RULE_OFF = -1.0
"""The caution at which the never-worse rule moves every keypoint."""
MISSING_SHARE = 0.2
LEGS = ("_knee", "_ankle")
"""How the names end of keypoints that are missing of people of whom only a part was found."""
ERROR_SHARE = 0.3
"""Errors this share as large as an estimator's own stand for those of a much better one."""
SEED = 0
Numbers = dict[str, Any]
"""What JSON can hold, by name."""


@dataclass(frozen=True)
class Trial:
    """One estimator's poses of one set, and what to refine and judge them with.

    Attributes:
        control: What sees no pose and moves every keypoint.
    """

    before: Poses
    annotations: Annotations
    photos: Path
    refiner: Refiner
    control: Refiner

    def refine(self, poses: Poses, refiner: Refiner | None = None) -> Refinement:
        """The refinement of some poses, with the scores that they came with."""
        return (refiner or self.refiner).refine(poses, self.photos)

    def metrics(self, poses: Poses) -> dict[str, float]:
        return evaluate_coco(poses, self.annotations).as_dict()


def scores(trial: Trial, first: Refinement) -> Numbers:
    """The refined places ranked by other scores; "usual" are those that `posefix refine` writes unasked."""
    modes: tuple[Scores, ...] = ("model", "product")
    known = first.confidence, first.expected_oks
    found: Numbers = {mode: trial.metrics(rescore(first.poses, *known, mode)) for mode in modes}
    usual = usual_scores(first.report.trust)
    return {**found, "usual": trial.metrics(first.poses) if usual == "input" else found[usual]}


def second_pass(trial: Trial, first: Refinement) -> Numbers:
    """Refine what was refined, as it comes back from a file without any further field."""
    again = trial.refine(from_rows(first.poses)).poses
    known = match_keypoints(again.skeleton, trial.refiner.skeleton).source_index
    return {"metrics": trial.metrics(again), "movement": movement(first.poses, again, known)}


def missing(trial: Trial, _: Refinement) -> Numbers:
    """Refine poses that lack some keypoints."""
    sparse = drop_keypoints(trial.before, MISSING_SHARE, SEED)
    after = trial.refine(sparse).poses
    return {"share": MISSING_SHARE, "before": trial.metrics(sparse), "after": trial.metrics(after)}


def parts_only(trial: Trial, _: Refinement) -> Numbers:
    """Refine poses of whom knees and ankles were not found, as where a photo, or a detector's box, ends at the hips."""
    names = trial.before.skeleton.keypoint_names
    gone = np.array([name.endswith(LEGS) for name in names])
    partial = without(trial.before, np.broadcast_to(gone, trial.before.valid.shape))
    after = trial.refine(partial).poses
    return {"gone": list(LEGS), "before": trial.metrics(partial), "after": trial.metrics(after)}


def better_input(trial: Trial, _: Refinement) -> Numbers:
    """Refine the poses with most of their error taken away: what a much better estimator would gain or lose."""
    better = shrink_errors(trial.before, trial.annotations, ERROR_SHARE)
    after = trial.refine(better).poses
    return {"share": ERROR_SHARE, "before": trial.metrics(better), "after": trial.metrics(after)}


def photo_by_photo(trial: Trial, _: Refinement) -> Numbers:
    """Refine the poses of each photo by themselves: little tells then how good their estimator is."""
    return trial.metrics(refine_photos(trial, trial.before))


def better_input_by_photo(trial: Trial, _: Refinement) -> Numbers:
    """The same of poses with most of their error taken away."""
    better = shrink_errors(trial.before, trial.annotations, ERROR_SHARE)
    return trial.metrics(refine_photos(trial, better))


def refine_photos(trial: Trial, poses: Poses) -> Poses:
    """The poses of one photo after another, each refined by themselves."""
    keypoints, valid, scores = poses.keypoints.copy(), poses.valid.copy(), poses.scores.copy()
    ids = np.array(poses.image_ids)
    for image_id, path in find_images(poses.image_ids, trial.photos).items():
        rows = ids == image_id
        after = trial.refiner.refine(poses[rows], {image_id: path}).poses
        keypoints[rows], valid[rows], scores[rows] = after.keypoints, after.valid, after.scores
    return poses.with_keypoints(keypoints, valid, scores)


def repairs(trial: Trial, first: Refinement) -> Numbers:
    return count_repairs(trial.before, first.poses, trial.annotations).as_dict()


def changes(trial: Trial, first: Refinement) -> Numbers:
    """Whom the refinement helped and whom it harmed."""
    return count_people_changes(trial.before, first.poses, trial.annotations).as_dict()


def rule_off(trial: Trial, _: Refinement) -> Numbers:
    """Refine with the never-worse rule switched off."""
    after = trial.refine(trial.before, replace(trial.refiner, caution=RULE_OFF)).poses
    repaired = count_repairs(trial.before, after, trial.annotations).as_dict()
    return {"metrics": trial.metrics(after), "repairs": repaired, "collapsed": collapsed_pairs(after)}


def collapsed(trial: Trial, first: Refinement) -> Numbers:
    return {"before": collapsed_pairs(trial.before), "after": collapsed_pairs(first.poses)}


def confidence(trial: Trial, first: Refinement) -> Numbers:
    """The model's own confidence in the refined places."""
    measured = measure_confidence(
        first.poses, trial.annotations, confidence=first.confidence, expected_oks=first.expected_oks
    )
    return measured.as_dict()


def control(trial: Trial, _: Refinement) -> Numbers:
    """What the photo alone tells, in the same boxes and with the same scores."""
    return trial.metrics(trial.refine(trial.before, trial.control).poses)


PARTS: dict[str, Callable[[Trial, Refinement], Numbers]] = {
    "scores": scores,
    "second_pass": second_pass,
    "missing": missing,
    "parts_only": parts_only,
    "better_input": better_input,
    "photo_by_photo": photo_by_photo,
    "better_input_by_photo": better_input_by_photo,
    "changes": changes,
    "repairs": repairs,
    "rule_off": rule_off,
    "collapsed": collapsed,
    "confidence": confidence,
    "control": control,
}


def measure(trial: Trial, parts: Collection[str]) -> Numbers:
    """AP before and after, and what else is asked for, each under its name in `PARTS`."""
    first = trial.refine(trial.before)
    comparison = compare_coco(trial.before, first.poses, trial.annotations)
    print(f"  {comparison}", flush=True)
    numbers: Numbers = {
        "people": len(trial.before),
        "comparison": comparison.as_dict(),
    }
    for name in parts:
        numbers[name] = PARTS[name](trial, first)
    return numbers


def from_rows(poses: Poses) -> Poses:
    """The poses as they come back from a file with image_id, category_id, keypoints and score only."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "refined.json"
        write_new_pose_file(path, poses)
        return read_pose_file(path, poses.skeleton).poses


def movement(first: Poses, second: Poses, columns: npt.NDArray[np.int64]) -> float:
    """Mean distance that the keypoints of some columns moved, relative to the square root of the pose's box area."""
    size = np.sqrt(box_from_keypoints(first.keypoints, first.valid)[:, 2:].prod(axis=1))
    moved = (first.valid & second.valid & (size > 0)[:, None])[:, columns]
    distance = np.linalg.norm(second.keypoints - first.keypoints, axis=-1)[:, columns]
    relative = distance / np.where(size > 0, size, 1.0)[:, None]
    return float(relative[moved].mean()) if moved.any() else 0.0


def drop_keypoints(poses: Poses, share: float, seed: int) -> Poses:
    """The poses without a random share of their keypoints."""
    return without(poses, np.random.default_rng(seed).random(poses.valid.shape) < share)


def without(poses: Poses, gone: npt.NDArray[np.bool_]) -> Poses:
    """The poses without some of their keypoints (N, K)."""
    return poses.with_keypoints(
        np.where(gone[..., None], 0.0, poses.keypoints),
        poses.valid & ~gone,
        np.where(gone, 0.0, poses.scores),
    )


def shrink_errors(poses: Poses, annotations: Annotations, share: float) -> Poses:
    """The poses of annotated people with each labelled keypoint's offset from the truth made smaller."""
    pairs = match_people(poses, annotations)
    columns = share_keypoints(poses, annotations)
    here = np.ix_(pairs.poses, columns.result_columns)
    there = np.ix_(pairs.people, columns.annotation_columns)
    keypoints, truth = poses.keypoints.copy(), annotations.people.keypoints[there]
    known = poses.valid[here] & (annotations.people.visibility[there] > 0)
    keypoints[here] = np.where(known[..., None], truth + share * (keypoints[here] - truth), keypoints[here])
    return poses.with_keypoints(keypoints)


def first_images(path: Path, limit: int | None) -> Annotations:
    """The annotations of the first `limit` images of a file; of all when None."""
    if limit is None:
        return read_annotations(path)
    with tempfile.TemporaryDirectory() as folder:
        return read_annotations(write_first_images(path, limit, Path(folder) / path.name))


def write_first_images(path: Path, limit: int, part: Path) -> Path:
    """Write the first `limit` images of an annotation file, and their people, as a file of their own; returns it."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content["images"] = content["images"][:limit]
    ids = {image["id"] for image in content["images"]}
    content["annotations"] = [person for person in content["annotations"] if person["image_id"] in ids]
    part.write_text(json.dumps(content), encoding="utf-8")
    return part


def read_poses(path: Path, annotations: Annotations) -> Poses:
    """The poses of a results file NAME.LAYOUT.json in the annotated images."""
    poses = read_pose_file(path, path.name.split(".")[1]).poses
    return poses[np.array([image_id in annotations.images for image_id in poses.image_ids], dtype=bool)]


@dataclass(frozen=True)
class PosesWithheld:
    """A network that is never shown a pose.

    Attributes:
        backend: As of `Refiner`.
    """

    backend: Backend

    def __call__(
        self, images: npt.NDArray[np.uint8], keypoints: Float32Array, weights: Float32Array
    ) -> Evidence:
        return self.backend(images, keypoints, np.zeros_like(weights))


def photo_alone(refiner: Refiner) -> Refiner:
    """A refiner that takes no more than boxes from the poses: all places are the network's, and none is doubted."""
    return replace(refiner, backend=PosesWithheld(refiner.backend), calibration=None, caution=RULE_OFF)


def measure_set(options: argparse.Namespace, name: str, refiner: Refiner, other: Refiner) -> Numbers:
    """Every estimator of a set, the best one first, and a summary."""
    annotations_path, photos = SETS[name]
    annotations = first_images(options.data / annotations_path, options.limit)
    estimators: dict[str, Numbers] = {}
    for path in sorted((options.data / "predictions" / name).glob("*.json")):
        if options.estimators is None or path.name.split(".")[0] in options.estimators:
            print(f"{name} {path.name}", flush=True)
            trial = Trial(read_poses(path, annotations), annotations, options.data / photos, refiner, other)
            estimators[path.name.removesuffix(".json")] = measure(trial, options.only or PARTS)
    if not estimators:
        raise SystemExit(f"{name}: no results file of {', '.join(options.estimators or ['any estimator'])}")
    ranked = sorted(estimators.items(), key=lambda item: -item[1]["comparison"]["before"]["AP"])
    return {
        "photos": len(annotations.images),
        "people": len(annotations.people),
        "summary": summarize(
            [numbers["comparison"] for key, numbers in estimators.items() if not is_seen(key)]
            or [numbers["comparison"] for numbers in estimators.values()]
        ),
        "estimators": dict(ranked),
    }


def summarize(comparisons: list[Numbers]) -> Numbers:
    """Wins, losses and the mean gain in AP points (0 to 100)."""
    gains = [100 * comparison["difference"] for comparison in comparisons]
    intervals = [comparison["interval"] for comparison in comparisons]
    return {
        "wins": sum(gain > 0 for gain in gains),
        "losses": sum(gain < 0 for gain in gains),
        "certain_wins": sum(low > 0 for low, _ in intervals),
        "certain_losses": sum(high < 0 for _, high in intervals),
        "mean_gain": float(np.mean(gains)),
        "worst_gain": min(gains),
    }


def add(measured: Numbers, environment: Numbers, name_of_result: str) -> None:
    """Put the parts that were measured into the kept result of the same model.

    Raises:
        SystemExit: The AP after refinement is not the kept one.
    """
    result = kept(name_of_result)
    for name, part in measured["sets"].items():
        for estimator, numbers in part["estimators"].items():
            there = result["sets"][name]["estimators"][estimator]
            if numbers["comparison"]["after"] != there["comparison"]["after"]:
                raise SystemExit(
                    f"{name} {estimator}: the kept result is of another model; measure everything"
                )
            there |= {key: numbers[key] for key in PARTS if key in numbers}
    added = sorted({key for part in measured["sets"].values() for key in PARTS if key in first_of(part)})
    if "control" in added:
        result["control"] = measured["control"]
    result.setdefault("added", []).append({"parts": added, "environment": environment})
    print(f"\nadded to {keep(name_of_result, result.pop('environment'), result)}")


def first_of(part: Numbers) -> Numbers:
    """The numbers of a set's first estimator."""
    numbers: Numbers = next(iter(part["estimators"].values()))
    return numbers


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument(
        "--model", default=DEFAULT_MODEL_NAME, help="a packaged model's name, or a model folder"
    )
    parser.add_argument("--control", help="folder of a model for the control; by default --model")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--estimators", nargs="+", metavar="NAME", help="such as movenet; all by default")
    parser.add_argument("--limit", type=int, help="only the first so many images of each set")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, help="besides AP before and after; all by default"
    )
    parser.add_argument(
        "--keep", metavar="NAME", help="keep the result, be it of some parts only, under this name"
    )
    parser.add_argument(
        "--add", action="store_true", help="with --only: join the kept result, or that of --keep"
    )
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    refiner = Refiner.from_pretrained(options.model, scores="input")
    other = photo_alone(
        Refiner.from_pretrained(options.control, scores="input") if options.control else refiner
    )
    measured = {
        "model": Path(options.model).name,
        "control": Path(options.control or options.model).name,
        "caution": refiner.caution,
        "sets": {name: measure_set(options, name, refiner, other) for name in options.sets},
    }
    print(f"\n{short(measured)}")
    every_file = set(options.sets) == set(SETS) and not (options.estimators or options.limit)
    environment = describe(["hotcoco", "onnxruntime", "opencv-python-headless"])
    if options.only and options.add and not options.limit:
        add(measured, environment, options.keep or "accuracy")
    elif every_file and (options.keep or not options.only):
        print(f"\nkept in {keep(options.keep or 'accuracy', environment, measured)}")


if __name__ == "__main__":
    main()
