"""What the settings in which the paper's text and its code differ do to the training samples.

    python -m benchmarks.procedure [--data DIR] [--draws 3]

Of real people's true poses wrong ones are drawn with each setting: how often keypoints are swapped or missed, and how
far off these lie, in units of the distance at which KS by the annotated area is .5. Of people with enough labels to
know their size, how many fill less than a third of the crop, by what that lies around. Beside it, what the settings of
the loss weigh: how many keypoints have a label, and how much less people with few of them count in a mean over all.
Keeps benchmarks/results/procedure.json. Data.
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
from posefix.pose import geometry
from posefix.pose.similarity import distance_at
from posefix.pose_errors.profile import load_error_profile
from posefix.pose_errors.synthesis import PersonArea, SynthesisOptions, synthesize
from posefix.pose_errors.taxonomy import JITTER_SIMILARITY, Status
from posefix.training.augmentation import AugmentationConfig
from posefix.training.config import CropAround
from posefix.training.datasets import InputSource, WrongPoseDataset

SETS = ("coco/person_keypoints_train.json", "everyday/person_keypoints_train.json")
FEW_LABELS = 5
ENOUGH_LABELS = 8
CROP_WH = (192, 256)
PLAIN = AugmentationConfig(scale=0.0, rotation_rate=0.0, flip_rate=0.0)


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


def small_in_crop(truth: Annotations, neighbours: Neighbours, around: CropAround, draws: int) -> float:
    """Share of samples in which both sides of the true pose are below a third of the crop's, unaugmented."""
    skeleton = load_skeleton(truth.skeleton.name)
    photos = dict.fromkeys(truth.people.image_ids, Path())
    records = build_records(truth, photos, skeleton, neighbours=neighbours)
    source = InputSource(load_error_profile(), SynthesisOptions(), crop_around=around)
    dataset = WrongPoseDataset(records, skeleton, source, PLAIN, input_size_wh=CROP_WH, seed=0)
    rows = np.flatnonzero(records.labelled.sum(axis=1) >= ENOUGH_LABELS)
    small = 0
    for epoch in range(draws):
        _, _, targets, labelled = (part.numpy() for part in dataset.draw((epoch, 0, *rows.tolist())).poses)
        sides = geometry.box_from_keypoints(targets.astype(np.float64), labelled)[:, 2:]
        small += int((sides < np.array(CROP_WH) / 3).all(axis=1).sum())
    return small / (draws * len(rows))


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
        small = {
            f"{neighbours}, {around}": small_in_crop(truth, neighbours, around, arguments.draws)
            for neighbours in get_args(Neighbours)
            for around in get_args(CropAround)
        }
        measured["sets"][name] = {
            "labels": labels(truth),
            "box_reach": reach,
            "samples": drawn,
            "below_a_third_of_the_crop": small,
        }
        print(f"{name}: {len(people)} people, distances by the box {reach:.2f} times as long")
        print("  " + ", ".join(f"{what} {value:.3f}" for what, value in labels(truth).items()))
        for setting, numbers in drawn.items():
            print(f"  {setting}: " + ", ".join(f"{what} {value:.3f}" for what, value in numbers.items()))
        for setting, value in small.items():
            print(f"  {setting}: true pose below a third of the crop {value:.4f}")
    print(f"kept: {keep('procedure', describe([]), measured)}")


if __name__ == "__main__":
    main()
