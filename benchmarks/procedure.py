"""What the settings in which the paper's text and its code differ do to the training samples.

    python -m benchmarks.procedure [--data DIR] [--draws 3]

Of real people's true poses wrong ones are drawn with each setting: how often keypoints are swapped or missed, and how
far off these lie, in units of the distance at which KS by the annotated area is .5. Beside it, what the settings of the
loss weigh: how many keypoints have a label, and how much less people with few of them count in a mean over all. Keeps
benchmarks/results/procedure.json. Data.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from benchmarks.environment import DATA, describe, keep

from posefix import load_skeleton
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.nn.model import IMAGENET_STD
from posefix.people import Neighbours, build_records
from posefix.pose.similarity import distance_at
from posefix.pose_errors.profile import load_error_profile
from posefix.pose_errors.synthesis import PersonArea, synthesize
from posefix.pose_errors.taxonomy import JITTER_SIMILARITY, Status

SETS = ("coco/person_keypoints_train.json", "everyday/person_keypoints_train.json")
FEW_LABELS = 5


def samples(truth: Annotations, area: PersonArea, neighbours: Neighbours, draws: int) -> dict[str, float]:
    """Shares of swaps and misses, and the median distance of each from its own true place."""
    people, skeleton = truth.people, load_skeleton(truth.skeleton.name)
    photos = dict.fromkeys(people.image_ids, Path())
    annotated = build_records(truth, photos, skeleton, neighbours=neighbours)
    # As `synthesis.person_area` has it.
    boxes = replace(people, area=people.bbox_xywh[:, 2:].prod(axis=1)) if area == "box" else people
    records = build_records(replace(truth, people=boxes), photos, skeleton, neighbours=neighbours)
    rows = np.arange(len(records))
    unit = np.stack([distance_at(JITTER_SIMILARITY, one, skeleton.sigmas) for one in annotated.area])
    generator, profile = np.random.default_rng(0), load_error_profile()
    found: dict[Status, list[Any]] = {Status.SWAP: [], Status.MISS: []}
    labelled = 0
    for _ in range(draws):
        wrong = synthesize(records.people(rows), skeleton, profile, generator)
        labelled += int(wrong.present.sum())
        far = np.linalg.norm(wrong.keypoints - records.keypoints, axis=-1) / unit
        for status, distances in found.items():
            distances.append(far[wrong.status == int(status)])
    joined = {status: np.concatenate(distances) for status, distances in found.items()}
    return {
        f"{status.label}_{what}": value
        for status, distances in joined.items()
        for what, value in (
            ("share", len(distances) / labelled),
            ("median_distance", float(np.median(distances))),
        )
    }


def labels(truth: Annotations) -> dict[str, float]:
    """How many keypoints have a label, of all people and of those with few."""
    labelled = truth.people.visibility[truth.people.counted()] > 0
    few = labelled.sum(axis=1) <= FEW_LABELS
    return {
        "labelled_share": float(labelled.mean()),
        "people_with_few": float(few.mean()),
        "labelled_share_of_these": float(labelled[few].mean()),
    }


def main() -> None:
    """Measure all settings on all sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--draws", type=int, default=3)
    arguments = parser.parse_args()
    measured: dict[str, Any] = {"height_of_255": 1 / float(np.mean(IMAGENET_STD)), "sets": {}}
    print(f"Gaussians of 255 beside a photo of unit deviation: {measured['height_of_255']:.2f}")
    for name in SETS:
        truth = read_annotations(arguments.data / name)
        people = truth.people
        box = people.bbox_xywh[:, 2:].prod(axis=1)
        reach = float(np.median(np.sqrt(box / people.area)))
        drawn = {
            f"{neighbours}, {area}": samples(truth, area, neighbours, arguments.draws)
            for neighbours in get_args(Neighbours)
            for area in get_args(PersonArea)
        }
        measured["sets"][name] = {"labels": labels(truth), "box_reach": reach, "samples": drawn}
        print(f"{name}: {len(people)} people, distances by the box {reach:.2f} times as long")
        print("  " + ", ".join(f"{what} {value:.3f}" for what, value in labels(truth).items()))
        for setting, numbers in drawn.items():
            print(f"  {setting}: " + ", ".join(f"{what} {value:.3f}" for what, value in numbers.items()))
    print(f"kept: {keep('procedure', describe([]), measured)}")


if __name__ == "__main__":
    main()
