"""How near guessed sigmas come to those that people measured, on data sets whose keypoints have known sigmas.

    python -m benchmarks.sigmas

Four ways: one sigma for every keypoint; the share of the distance to the nearest keypoints that `posefix skeleton`
uses, as it is and with its two numbers fitted on the other data sets; and the spread of a keypoint around the place
that a similarity transform of the others predicts, times a number fitted likewise. Errors are factors: 1.2 is 20 % off.
Keeps benchmarks/results/sigmas.json.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from benchmarks.environment import DATA, describe, keep

from posefix.formats.coco_annotations import read_annotations
from posefix.skeletons import Skeleton, estimate_sigmas, neighbour_distances
from posefix.skeletons.sigmas import LARGEST

FILES = {
    "COCO": ("coco/person_keypoints_train.json", "coco/person_keypoints_dev.json"),
    "LSP Extended": ("lspet/person_keypoints_train.json",),
    "MPII": ("mpii/person_keypoints_valid.json",),
    "CrowdPose": ("crowdpose/crowdpose_val.json",),
}
SHARES = np.linspace(0.15, 0.6, 46)
CAPS = np.linspace(0.06, 0.12, 13)
ROUNDS = 5  # of aligning all people with their mean
FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class DataSet:
    """The people of a data set whose keypoints have known sigmas.

    Attributes:
        skeleton: Their layout.
        keypoints: (N, K, 2) pixels.
        labelled: (N, K)
        area: (N,) square pixels.
    """

    skeleton: Skeleton
    keypoints: FloatArray
    labelled: npt.NDArray[np.bool_]
    area: FloatArray


def load(files: tuple[str, ...]) -> DataSet:
    parts = [read_annotations(DATA / name) for name in files]
    people = [part.people for part in parts]
    shown = np.concatenate([some.visibility > 0 for some in people])
    enough = shown.sum(axis=1) >= 3
    return DataSet(
        parts[0].skeleton,
        np.concatenate([some.keypoints for some in people])[enough],
        shown[enough],
        np.concatenate([some.area for some in people])[enough],
    )


def spread_around_the_others(data: DataSet) -> FloatArray:
    """(K,) median distance, in square roots of the area, to the place that the other keypoints predict.

    The prediction is the mean pose under the similarity transform that fits the other keypoints best.
    """
    shown = data.labelled & (data.area > 0)[:, None]
    scaled = data.keypoints / np.sqrt(np.maximum(data.area, 1e-9))[:, None, None]
    places = np.asarray(scaled[..., 0] + 1j * scaled[..., 1], dtype=np.complex128)
    mean = _mean_pose(places, shown)
    spread = []
    for keypoint in range(len(mean)):
        rows = shown[:, keypoint]
        others = shown[rows].copy()
        others[:, keypoint] = False
        turn, shift = _similarity(mean, places[rows], others)
        spread.append(np.median(abs(places[rows, keypoint] - turn * mean[keypoint] - shift)))
    return np.array(spread)


def _mean_pose(places: ComplexArray, shown: npt.NDArray[np.bool_]) -> ComplexArray:
    mean = np.array([np.mean(column[known]) for column, known in zip(places.T, shown.T, strict=True)])
    for _ in range(ROUNDS):
        turn, shift = _similarity(mean, places, shown)
        aligned = (places - shift[:, None]) / np.where(abs(turn) < 1e-3, 1, turn)[:, None]
        mean = np.array([np.median(a[known].real) + 1j * np.median(a[known].imag)
                         for a, known in zip(aligned.T, shown.T, strict=True)])  # fmt: skip
        mean = (mean - mean.mean()) / np.sqrt((abs(mean) ** 2).mean())
    return mean


def _similarity(
    mean: ComplexArray, places: ComplexArray, shown: npt.NDArray[np.bool_]
) -> tuple[ComplexArray, ComplexArray]:
    """Turn and shift (N,), complex, that bring the mean pose nearest to each person."""
    count = np.maximum(shown.sum(axis=1), 1)
    centre = np.where(shown, mean, 0).sum(axis=1) / count
    target = np.where(shown, places, 0).sum(axis=1) / count
    source = np.where(shown, mean - centre[:, None], 0)
    products = (source.conj() * np.where(shown, places - target[:, None], 0)).sum(axis=1)
    turn = products / np.maximum((abs(source) ** 2).sum(axis=1), 1e-9)
    return turn, target - turn * centre


def fitted(
    distances: dict[str, FloatArray], truth: dict[str, FloatArray], left_out: str
) -> tuple[float, float]:
    """The share and the largest sigma that fit the other data sets best, each set counting the same."""
    errors = {
        (share, cap): sum(
            float(np.mean(np.log(np.minimum(share * distances[name], cap) / truth[name]) ** 2))
            for name in truth
            if name != left_out
        )
        for share in SHARES
        for cap in CAPS
    }
    return min(errors, key=errors.__getitem__)


def factors(guess: FloatArray, truth: FloatArray) -> dict[str, float]:
    """Root mean square and largest error, as factors."""
    error = np.log(guess / truth)
    return {"typical": round(float(np.exp(np.sqrt(np.mean(error**2)))), 2),
            "worst": round(float(np.exp(np.abs(error).max())), 2)}  # fmt: skip


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    data = {name: load(files) for name, files in FILES.items()}
    truth = {name: some.skeleton.sigmas for name, some in data.items()}
    distances = {
        name: neighbour_distances(some.keypoints, some.labelled, some.area) for name, some in data.items()
    }
    spread = {name: spread_around_the_others(some) for name, some in data.items()}
    measured = {}
    for name, some in data.items():
        others = [other for other in data if other != name]
        share, cap = fitted(distances, truth, name)
        scale = np.exp(np.mean([np.mean(np.log(truth[other] / spread[other])) for other in others]))
        guess = estimate_sigmas(some.keypoints, some.labelled, some.area, some.skeleton.flip_index)
        measured[name] = {
            "people": len(some.keypoints),
            "guess": factors(guess, truth[name]),
            "guess, fitted on the other sets": factors(np.minimum(share * distances[name], cap), truth[name]),
            "share and largest of that fit": [round(float(share), 2), round(float(cap), 3)],
            "one sigma for all": factors(np.full(len(guess), LARGEST), truth[name]),
            "spread around the others": factors(scale * spread[name], truth[name]),
            "sigmas": {
                keypoint: [round(float(guessed), 3), known]
                for keypoint, guessed, known in zip(
                    some.skeleton.keypoint_names, guess, truth[name].tolist(), strict=True
                )
            },
        }
        print(name, {key: value for key, value in measured[name].items() if key != "sigmas"})
    print(keep("sigmas", describe([]), {"sets": measured}))


if __name__ == "__main__":
    main()
