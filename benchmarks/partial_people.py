"""People of whom only a part was found: the true keypoints of that part are given, the others must be filled in.

    python -m benchmarks.partial_people

For each set AP of what is given, and refined: with crops by the proportions of people, with the boxes of the whole
people beside the keypoints, and with these boxes alone (--boxes); and how far the filled keypoints are off, as shares
of the square root of the box. Keeps benchmarks/results/partial_people.json.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.environment import DATA, EVERYDAY, describe, keep

from posefix import Refiner
from posefix.analysis.costs import select_people
from posefix.evaluation.coco import evaluate_coco
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.network import DEFAULT_MODEL_NAME
from posefix.people import find_photos
from posefix.pose.poses import Poses
from posefix.refine.boxes import WholeBoxes
from posefix.refine.results import Refinement

SETS = {
    "coco_dev": (DATA / "coco" / "person_keypoints_dev.json", DATA / "coco" / "images"),
    "everyday_dev": (DATA / "everyday" / "person_keypoints_dev.json", EVERYDAY / "coco"),
}
PARTS = {
    "face": range(5),
    "head and shoulders": range(7),
    "all but knees and ankles": range(13),
    "hips to ankles": range(11, 17),
}
"""Which of COCO's 17 keypoints are given."""
FEWEST_LABELS = 15
GIVEN_SCORE = 0.8
NEAR = 0.1


def whole_people(path: Path, limit: int) -> Annotations:
    """The first people nearly all of whose keypoints are labelled, with their photos."""
    annotations = read_annotations(path)
    enough = (annotations.people.visibility > 0).sum(axis=1) >= FEWEST_LABELS
    chosen = select_people(annotations, np.flatnonzero(enough & ~annotations.people.is_crowd)[:limit])
    seen = set(chosen.people.image_ids)
    return dataclasses.replace(
        chosen, images={key: annotations.images[key] for key in chosen.images if key in seen}
    )


def partial_poses(annotations: Annotations, part: Sequence[int]) -> Poses:
    """The labels of some keypoints of each person as an estimator's pose."""
    people = annotations.people
    valid = (people.visibility > 0) & np.isin(np.arange(people.visibility.shape[1]), part)
    return Poses(
        keypoints=np.where(valid[..., None], people.keypoints, 0.0),
        scores=np.where(valid, GIVEN_SCORE, 0.0),
        valid=valid,
        image_ids=people.image_ids,
        pose_scores=np.full(len(people), GIVEN_SCORE),
        skeleton=annotations.skeleton,
    )


def measure(refinement: Refinement, annotations: Annotations) -> dict[str, Any]:
    """AP, and how far filled keypoints with a label are off."""
    people = annotations.people
    filled = refinement.filled & (people.visibility > 0)
    size = np.sqrt(people.bbox_xywh[:, 2] * people.bbox_xywh[:, 3])[:, None]
    off = (np.linalg.norm(refinement.poses.keypoints - people.keypoints, axis=-1) / size)[filled]
    return {
        "ap": evaluate_coco(refinement.poses, annotations).ap,
        "filled": int(filled.sum()),
        "median_off": float(np.median(off)) if off.size else None,
        "near": float((off < NEAR).mean()) if off.size else None,
    }


def measure_set(refiner: Refiner, truth: Path, photos: Path, limit: int) -> dict[str, Any]:
    """All parts of the people of a set."""
    annotations = whole_people(truth, limit)
    found = find_photos(annotations, photos)
    boxes = annotations.people.bbox_xywh
    parts = {}
    for name, part in PARTS.items():
        poses = partial_poses(annotations, part)
        ways: dict[str, Any] = {"proportions": None, "boxes beside": WholeBoxes(boxes), "boxes alone": boxes}
        parts[name] = {"given": {"ap": evaluate_coco(poses, annotations).ap}}
        for way, around in ways.items():
            parts[name][way] = measure(refiner.refine(poses, found, boxes=around), annotations)
            print(name, way, parts[name][way], flush=True)
    return {"people": len(annotations.people), "parts": parts}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--model", default=DEFAULT_MODEL_NAME, help="a packaged model's name, or a model folder"
    )
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--limit", type=int, default=60, help="people of each set")
    options = parser.parse_args()
    refiner = Refiner.from_pretrained(options.model, device="cpu")
    measured = {name: measure_set(refiner, *SETS[name], options.limit) for name in options.sets}
    environment = describe(["onnxruntime", "opencv-python-headless", "pillow"])
    print(f"kept in {keep('partial_people', environment, {'model': options.model, 'sets': measured})}")


if __name__ == "__main__":
    main()
