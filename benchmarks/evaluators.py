"""COCO keypoint evaluators side by side, this package's among them: do they give pycocotools' numbers, and how fast?

    python -m benchmarks.evaluators [--data DIR] [--repeats 5] [--copies 60]

Exactness: all results files of the data set, reduced to the keypoints that both sides name. Speed: coco_dev with
the results of its four COCO-17 estimators at once, repeated under new image ids to the size of COCO val2017. Stops
with exit code 1 unless this package's numbers are exactly pycocotools' and come at least five times as fast.
Needs: pip install pycocotools faster-coco-eval hotcoco
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hotcoco
import numpy as np
import numpy.typing as npt
from benchmarks.environment import DATA, describe, keep, seconds, spread
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from posefix.evaluation import evaluate_coco
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.interchange import read_pose_file
from posefix.pose.poses import Poses
from posefix.skeletons import load_skeleton, match_keypoints, skeleton_from_coco

SETS = {"coco_dev": "coco/person_keypoints_dev.json", "lspet_val": "lspet/person_keypoints_val.json"}
OURS = "posefix"
LEAST_TIMES_PYCOCOTOOLS = 5.0
Json = dict[str, Any]
Evaluator = Callable[[Json, list[Json], list[float]], npt.NDArray[np.float64]]


def pycocotools_stats(truth: Json, rows: list[Json], sigmas: list[float]) -> npt.NDArray[np.float64]:
    dataset = COCO()
    dataset.dataset = truth
    dataset.createIndex()
    evaluator = COCOeval(dataset, dataset.loadRes([dict(row) for row in rows]), "keypoints")
    evaluator.params.kpt_oks_sigmas = np.array(sigmas)
    return _run(evaluator)


def faster_coco_eval_stats(truth: Json, rows: list[Json], sigmas: list[float]) -> npt.NDArray[np.float64]:
    import faster_coco_eval

    dataset = faster_coco_eval.COCO(truth)
    results = dataset.loadRes([dict(row) for row in rows])
    return _run(
        faster_coco_eval.COCOeval_faster(dataset, results, "keypoints", kpt_oks_sigmas=np.array(sigmas))
    )


def hotcoco_stats(truth: Json, rows: list[Json], sigmas: list[float]) -> npt.NDArray[np.float64]:
    dataset = hotcoco.COCO(truth)
    evaluator = hotcoco.COCOeval(dataset, dataset.load_res(rows), "keypoints")
    evaluator.params.kpt_oks_sigmas = sigmas
    return _run(evaluator)


def posefix_stats(poses: Poses, annotations: Annotations) -> npt.NDArray[np.float64]:
    """This package's ten numbers; it cuts both sides down to the keypoints they share by itself."""
    return np.array(list(evaluate_coco(poses, annotations).as_dict().values()))


def _run(evaluator: Any) -> npt.NDArray[np.float64]:
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    return np.asarray(evaluator.stats, dtype=np.float64)[:10]


EVALUATORS: dict[str, Evaluator] = {
    "pycocotools": pycocotools_stats,
    **({"faster-coco-eval": faster_coco_eval_stats} if importlib.util.find_spec("faster_coco_eval") else {}),
    "hotcoco": hotcoco_stats,
}


def reduce(truth: Json, rows: list[Json], layout: str) -> tuple[Json, list[Json], list[float]]:
    """Both sides with their shared keypoints only, and these keypoints' sigmas."""
    skeleton = skeleton_from_coco(truth["categories"][0], "truth")
    mapping = match_keypoints(load_skeleton(layout), skeleton)
    people = [_reduce_row(person, mapping.target_index) for person in truth["annotations"]]
    for number, person in enumerate(people, start=1):
        person["id"] = number
        person["num_keypoints"] = sum(value > 0 for value in person["keypoints"][2::3])
    reduced = [_reduce_row(row, mapping.source_index) for row in rows]
    sigmas = [float(value) for value in skeleton.sigmas[mapping.target_index]]
    return {**truth, "annotations": people}, reduced, sigmas


def _reduce_row(row: Json, index: npt.NDArray[np.int64]) -> Json:
    return {**row, "keypoints": np.reshape(row["keypoints"], (-1, 3))[index].ravel().tolist()}


def repeat(truth: Json, rows: list[Json], copies: int) -> tuple[Json, list[Json]]:
    """The same people and results under `copies` times as many image ids."""
    step = max(image["id"] for image in truth["images"]) + 1
    people, count = truth["annotations"], len(truth["annotations"])
    repeated = {
        **truth,
        "images": [
            {**image, "id": image["id"] + copy * step} for copy in range(copies) for image in truth["images"]
        ],
        "annotations": [
            {**person, "id": number + copy * count, "image_id": person["image_id"] + copy * step}
            for copy in range(copies)
            for number, person in enumerate(people, start=1)
        ],
    }
    return repeated, [
        {**row, "image_id": row["image_id"] + copy * step} for copy in range(copies) for row in rows
    ]


def exactness(data: Path) -> dict[str, dict[str, float]]:
    """For each evaluator and set, the largest difference from pycocotools over files and the ten numbers."""
    differences: dict[str, dict[str, float]] = {name: {} for name in (*EVALUATORS, OURS)}
    for name, truth_path in SETS.items():
        truth = json.loads((data / truth_path).read_text(encoding="utf-8"))
        annotations = read_annotations(data / truth_path)
        for path in sorted((data / "predictions" / name).glob("*.json")):
            layout = path.name.split(".")[1]
            case = reduce(truth, json.loads(path.read_text(encoding="utf-8")), layout)
            expected = pycocotools_stats(*case)
            found = {evaluator: stats(*case) for evaluator, stats in EVALUATORS.items()}
            found[OURS] = posefix_stats(read_pose_file(path, layout).poses, annotations)
            for evaluator, numbers in found.items():
                worst = float(np.abs(numbers - expected).max())
                differences[evaluator][name] = max(worst, differences[evaluator].get(name, 0.0))
    return differences


def coco_dev(data: Path) -> tuple[Json, list[Json]]:
    """Annotations of a set, and the results of all COCO-17 estimators on it."""
    truth = json.loads((data / SETS["coco_dev"]).read_text(encoding="utf-8"))
    paths = sorted((data / "predictions" / "coco_dev").glob("*.coco17.json"))
    return truth, [row for path in paths for row in json.loads(path.read_text(encoding="utf-8"))]


def speed(data: Path, copies: int, repeats: int) -> dict[str, Any]:
    """Seconds per evaluation from dictionaries, for this package `Poses`, in memory to the ten numbers."""
    truth, rows = repeat(*coco_dev(data), copies)
    sigmas = [float(value) for value in load_skeleton("coco17").sigmas]
    times = {
        name: spread(seconds(lambda stats=stats: stats(truth, rows, sigmas), repeats))  # type: ignore[misc]
        for name, stats in EVALUATORS.items()
    }
    poses, annotations = read_back(truth, rows)
    times[OURS] = spread(seconds(lambda: posefix_stats(poses, annotations), repeats))
    return {
        "images": len(truth["images"]),
        "people": len(truth["annotations"]),
        "results": len(rows),
        "seconds": times,
        "times_pycocotools": times["pycocotools"]["median"] / times[OURS]["median"],
    }


def read_back(truth: Json, rows: list[Json]) -> tuple[Poses, Annotations]:
    """COCO dictionaries as this package holds them."""
    with tempfile.TemporaryDirectory() as folder:
        results, annotations = Path(folder) / "results.json", Path(folder) / "truth.json"
        results.write_text(json.dumps(rows), encoding="utf-8")
        annotations.write_text(json.dumps(truth), encoding="utf-8")
        return read_pose_file(results, "coco17").poses, read_annotations(annotations)


def broken_promises(measured: dict[str, Any]) -> list[str]:
    """What is not as it should be, a sentence each."""
    worst = max(measured["largest_difference_from_pycocotools"][OURS].values())
    times = measured["speed"]["times_pycocotools"]
    broken = [f"a number differs from pycocotools' by {worst:g}, expected 0"] if worst != 0 else []
    if times < LEAST_TIMES_PYCOCOTOOLS:
        broken.append(f"{times:.1f} times as fast as pycocotools, expected {LEAST_TIMES_PYCOCOTOOLS:g}")
    return broken


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--copies", type=int, default=60, help="of coco_dev, for the speed; 60 is val2017's size"
    )
    options = parser.parse_args()
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hotcoco: twelve or fourteen sigmas are not COCO's benchmark
        measured = {
            "largest_difference_from_pycocotools": exactness(options.data),
            "speed": speed(options.data, options.copies, options.repeats),
        }
    path = keep("evaluators", describe(list(EVALUATORS)), measured)
    print(json.dumps(measured, indent=1))
    print(f"kept in {path}")
    if broken := broken_promises(measured):
        sys.exit("; ".join(broken))


if __name__ == "__main__":
    main()
