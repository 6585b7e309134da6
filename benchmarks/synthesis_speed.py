"""How much faster the batched synthesis is than a loop over keypoints.

    python -m benchmarks.synthesis_speed [--data DIR] [--repeats 5]

The loop is the way of the original code, written well: for each keypoint and each kind of error 500 candidates at
once in NumPy, shared out among the places they may surround, rejection by distance, one survivor each, then a draw
among the kinds that are possible. Both make the same people's poses wrong in one run, on one core; the ratio is of
medians. Keeps benchmarks/results/synthesis_speed.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from benchmarks.environment import DATA, describe, keep, seconds, spread

from posefix import load_skeleton
from posefix.formats.coco_annotations import read_annotations
from posefix.people import PersonRecords, build_records
from posefix.pose.similarity import distance_at
from posefix.pose_errors.profile import ErrorProfile, frequencies, load_error_profile
from posefix.pose_errors.synthesis import synthesize
from posefix.pose_errors.taxonomy import GOOD_SIMILARITY, JITTER_SIMILARITY, MISS_SIMILARITY, LabelledPeople
from posefix.skeletons import Skeleton

CANDIDATES = 500
BATCH = 128
LOOP_PEOPLE = 24
FloatArray = npt.NDArray[Any]


class KeypointLoop:
    """One keypoint at a time, 500 candidates for each kind of error."""

    def __init__(self, skeleton: Skeleton, profile: ErrorProfile, generator: np.random.Generator) -> None:
        self.skeleton = skeleton
        self.profile = profile
        self.generator = generator

    def __call__(self, people: LabelledPeople) -> FloatArray:
        """Wrong poses (B, K, 2)."""
        labelled = people.labelled
        chances = frequencies(self.profile, self.skeleton, labelled.sum(axis=1), people.overlap)
        wrong: FloatArray = people.keypoints.copy()
        for person in range(len(people)):
            near, mid, far = (
                distance_at(k, people.area[person], self.skeleton.sigmas)
                for k in (GOOD_SIMILARITY, JITTER_SIMILARITY, MISS_SIMILARITY)
            )
            for keypoint in np.flatnonzero(labelled[person]).tolist():
                radii = (near[keypoint], mid[keypoint], far[keypoint])
                wrong[person, keypoint] = self._keypoint(
                    people, person, keypoint, radii, chances[person, keypoint]
                )
        return wrong

    def _keypoint(
        self, people: LabelledPeople, person: int, keypoint: int, radii: tuple[float, ...], chance: FloatArray
    ) -> FloatArray:
        near, mid, far = radii
        partner = int(self.skeleton.flip_index[keypoint])
        own = people.keypoints[person, keypoint][None]
        exists = partner != keypoint and people.labelled[person, partner]
        inverted = people.keypoints[person, [partner] if exists else []]
        others = people.neighbour_labelled[person]
        columns = [keypoint, partner] if partner != keypoint else [keypoint]
        swapped = np.concatenate([people.neighbour_keypoints[person][others[:, c], c] for c in columns])
        rest = np.concatenate([inverted, swapped])
        everyone = np.concatenate([own, rest])
        survivors = [
            self._around(own, rest, 0, near),
            self._around(own, rest, near, mid),
            self._around(inverted, np.concatenate([own, swapped]), 0, mid),
            self._around(swapped, np.concatenate([own, inverted]), 0, mid),
            self._around(everyone, everyone, mid, far, apart=mid),
        ]
        chance = chance * [len(places) > 0 for places in survivors]
        if chance.sum() == 0:
            return np.asarray(own[0])
        kind = self.generator.choice(5, p=chance / chance.sum())
        return np.asarray(survivors[kind][self.generator.integers(len(survivors[kind]))])

    def _around(
        self,
        sources: FloatArray,
        others: FloatArray,
        low: float,
        high: float,
        apart: float | None = None,
    ) -> FloatArray:
        """Candidates around each source that are nearer to it than to the others, or `apart` from all."""
        kept = [np.empty((0, 2))]
        count = -(-CANDIDATES // max(len(sources), 1))
        for source in sources:
            angle = self.generator.uniform(0, 2 * np.pi, count)
            length = self.generator.uniform(low, high, count)
            places = source + length[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
            distance = np.linalg.norm(places[:, None] - others[None], axis=-1)
            limit = length[:, None] if apart is None else apart
            kept.append(places[(distance >= limit).all(axis=1)])
        return np.concatenate(kept)


def batches(records: PersonRecords, size: int) -> Iterator[LabelledPeople]:
    """People of a set in batches."""
    for start in range(0, len(records), size):
        yield records.people(np.arange(start, min(start + size, len(records))))


def poses_per_second(name: str, records: PersonRecords, skeleton: Skeleton, repeats: int) -> dict[str, Any]:
    """Both ways on one set of people."""
    profile = load_error_profile()
    generator = np.random.default_rng(0)
    loop = KeypointLoop(skeleton, profile, generator)
    some = records.people(np.linspace(0, len(records) - 1, LOOP_PEOPLE).astype(int))
    whole = list(batches(records, BATCH))
    loop_times = seconds(lambda: loop(some), repeats)
    batched_times = seconds(
        lambda: [synthesize(people, skeleton, profile, generator) for people in whole], repeats
    )
    slow = spread([LOOP_PEOPLE / value for value in loop_times])
    fast = spread([len(records) / value for value in batched_times])
    ratio = fast["median"] / slow["median"]
    print(
        f"{name}: loop {slow['median']:.0f} poses/s ({1000 / slow['median']:.1f} ms a pose), "
        f"batched {fast['median']:.0f} poses/s, {ratio:.0f} times as many"
    )
    return {
        "people": len(records),
        "loop_poses_per_second": slow,
        "batched_poses_per_second": fast,
        "ratio": ratio,
    }


def main() -> None:
    """Measure on people alone in their photos (LSP-Extended) and among others (COCO)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    measured = {}
    for name in ("coco/person_keypoints_train.json", "lspet/person_keypoints_val.json"):
        annotations = read_annotations(arguments.data / name)
        photos = dict.fromkeys(annotations.people.image_ids, Path())
        skeleton = load_skeleton(annotations.skeleton.name)
        records = build_records(annotations, photos, skeleton)
        measured[name] = poses_per_second(name, records, skeleton, arguments.repeats)
    print(f"kept: {keep('synthesis_speed', describe(['array-api-compat']), {'sets': measured})}")


if __name__ == "__main__":
    main()
