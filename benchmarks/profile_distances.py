"""How similar the errors of different estimators are: the premise that one profile of errors serves for all.

    python -m benchmarks.profile_distances [--data DIR] [--resamples 200]

On each set the profile of every estimator is counted, on the same people and the keypoints that all of them name. The
distance of two profiles is the square root of the Jensen-Shannon divergence (base 2, hence 0 to 1) of their statuses,
by group of keypoints, averaged over the groups by their numbers of keypoints. It is taken of all five statuses, and of
the four errors alone, which leaves out how often an estimator errs. The paper's profile is measured as the statuses it
would give the same people. Spread: people are resampled, the same ones for both sides. Floor: the distance between the
same estimator's profiles on two random halves of the people, which is what chance alone gives at half the size. Sets
are compared, too: the same estimator on LSP-Extended and on COCO.

Keeps benchmarks/results/profile_distances.json and writes docs/figures/profile_distances.svg.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from benchmarks.environment import DATA, describe, keep
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from posefix.analysis.ground_truth import GroundTruth
from posefix.analysis.profile_observation import ObservedErrors, observe_pairs
from posefix.files import make_folder, read_json, write_bytes_atomic
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.interchange import read_pose_file
from posefix.pose_errors.profile import REACHES, frequencies, load_error_profile
from posefix.pose_errors.synthesis import MISS_REACH
from posefix.pose_errors.taxonomy import NUM_STATUSES, Status
from posefix.skeletons import load_skeleton

FIGURE = Path(__file__).parent.parent / "docs" / "figures" / "profile_distances.svg"
SETS = {
    "mpii": ("MPII", "mpii/person_keypoints_valid.json", "mpii/predictions"),
    "lspet_train": ("LSP-Extended", "lspet/person_keypoints_train.json", "predictions/lspet_train"),
    "lspet_val": ("LSP-Extended, held out", "lspet/person_keypoints_val.json", "predictions/lspet_val"),
    "coco_dev": ("COCO", "coco/person_keypoints_dev.json", "predictions/coco_dev"),
}
PAPER = "the paper's"
PARTS = {"statuses": [0, 1, 2, 3, 4], "errors": [1, 2, 3, 4], "without swaps": [0, 1, 2, 4]}
"""Which statuses are compared; labels of one person per photo allow no swaps, so sets are compared without them."""
COLOURS = ("#dddddd", "#009e73", "#cc79a7", "#d55e00", "#0072b2")  # Okabe and Ito's, good in grey
SEED = 0

FloatArray = npt.NDArray[np.float64]
Numbers = dict[str, Any]


@dataclass(frozen=True)
class Counted:
    """Statuses of one estimator on P people, in G groups of keypoints.

    Attributes:
        groups: (G,) names.
        counts: (P, G, 5), numbers of keypoints; expected ones for the paper's profile.
        far_misses: Share of the misses that lie farther away than any of the paper's; 0 for the paper's profile.
        jitter: Median distance of the jitters, in units of the falloff distance.
    """

    groups: tuple[str, ...]
    counts: FloatArray
    far_misses: float = 0.0
    jitter: float = float(np.mean(REACHES[Status.JITTER]))

    def everybody(self, part: str) -> tuple[FloatArray, FloatArray]:
        """`shares` of all people."""
        return self.shares(np.arange(len(self.counts)), part)

    def only(self, groups: Collection[str]) -> Counted:
        """The same of some groups, by name in the order of the alphabet."""
        return Counted(
            tuple(sorted(groups)), self.counts[:, [self.groups.index(name) for name in sorted(groups)]]
        )

    def shares(self, rows: npt.NDArray[np.int64], part: str) -> tuple[FloatArray, FloatArray]:
        """Shares of the statuses (G, 5 or 4) of some people, and the groups' shares of the keypoints (G,)."""
        counts = self.counts[rows].sum(axis=0)[:, PARTS[part]]
        totals = counts.sum(axis=1, keepdims=True)
        return counts / np.maximum(totals, 1e-9), totals[:, 0] / max(totals.sum(), 1e-9)


def distance(first: tuple[FloatArray, FloatArray], second: tuple[FloatArray, FloatArray]) -> float:
    """Square root of the mean Jensen-Shannon divergence of the groups, in bits."""
    (p, weight_p), (q, weight_q) = first, second
    mean = (p + q) / 2
    divergence = (_relative_entropy(p, mean) + _relative_entropy(q, mean)) / 2
    return float(np.sqrt(max((divergence * (weight_p + weight_q) / 2).sum(), 0.0)))


def _relative_entropy(p: FloatArray, q: FloatArray) -> FloatArray:
    """(G,): of each row, in bits."""
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    return np.asarray((p * np.log2(ratio)).sum(axis=1))


def observe(annotations: Annotations, path: Path) -> tuple[npt.NDArray[np.int64], ObservedErrors]:
    """Rows of the people, and the errors of the poses that were made of them.

    Each row of a results file is of one annotation: that of its ``annotation_id``, or of the same place in the file.
    """
    poses = read_pose_file(path, path.name.split(".")[1]).poses
    truth = GroundTruth.of(poses, annotations)
    row_of = {number: row for row, number in enumerate(annotations.people.ids)}
    rows = read_json(path)
    people = np.array(
        [row_of[row.get("annotation_id", annotations.people.ids[n])] for n, row in enumerate(rows)]
    )
    same_photo = [
        annotations.people.image_ids[row] == image for row, image in zip(people, poses.image_ids, strict=True)
    ]
    assert all(same_photo), f"{path}: rows are not those of the annotations"
    countable = np.flatnonzero(np.isin(people, truth.countable))
    return people[countable], observe_pairs(poses, truth, countable, people[countable])


def count_set(data: Path, name: str) -> dict[str, Counted]:
    """Every estimator of a set and the paper's profile, on the people and keypoints that all of them have."""
    _, truth, folder = SETS[name]
    annotations = read_annotations(data / truth)
    files = sorted((data / folder).glob("*.json"))
    observed = {file.name.split(".")[0]: observe(annotations, file) for file in files}
    people = set.intersection(*(set(rows.tolist()) for rows, _ in observed.values()))
    lost = {name for _, errors in observed.values() for name in errors.never_estimated()}
    names = set.intersection(*(set(errors.keypoint_names) for _, errors in observed.values())) - lost
    same = {
        estimator: errors.take(np.flatnonzero(np.isin(rows, list(people)))).without(
            set(errors.keypoint_names) - names
        )
        for estimator, (rows, errors) in observed.items()
    }
    first = next(iter(same.values()))
    groups = tuple(dict.fromkeys(first.groups))
    counted = {
        estimator: Counted(
            groups,
            _by_group(errors, _one_hot(errors.statuses)),
            far_misses=float((errors.distances[errors.statuses == Status.MISS] > MISS_REACH).mean()),
            jitter=float(np.median(errors.distances[errors.statuses == Status.JITTER])),
        )
        for estimator, errors in same.items()
    }
    return counted | {PAPER: Counted(groups, _by_group(first, _expected(first)))}


def _by_group(errors: ObservedErrors, values: FloatArray) -> FloatArray:
    """(P, G, 5): sums of values (P, S, 5) over the keypoints of each group."""
    groups = np.array(errors.groups)
    return np.stack(
        [values[:, groups == group].sum(axis=1) for group in dict.fromkeys(errors.groups)], axis=1
    )


def _one_hot(statuses: npt.NDArray[np.int64]) -> FloatArray:
    return np.asarray(statuses[..., None] == np.arange(NUM_STATUSES), dtype=np.float64)


def _expected(errors: ObservedErrors) -> FloatArray:
    """(P, S, 5): the paper's frequencies among the possible statuses of each labelled keypoint."""
    # Groups of the paper that no layout here needs do not matter; only the names of the keypoints do.
    skeleton = load_skeleton("posefix19").subset(errors.keypoint_names)
    chances = (
        frequencies(load_error_profile(), skeleton, errors.num_labelled, errors.overlap) * errors.possible
    )
    labelled = (errors.statuses >= 0)[..., None]
    return np.asarray(
        labelled * chances / np.maximum(chances.sum(axis=-1, keepdims=True), 1e-9), dtype=np.float64
    )


def measure_set(counted: Mapping[str, Counted], resamples: int) -> Numbers:
    """Shares, distances with their spread, and floors of one set."""
    people = len(counted[PAPER].counts)
    generator = np.random.default_rng(SEED)
    draws = [generator.integers(people, size=people) for _ in range(resamples)]
    halves = [np.array_split(generator.permutation(people), 2) for _ in range(resamples)]
    estimators = [estimator for estimator in counted if estimator != PAPER]
    measured: Numbers = {
        "people": people,
        "groups": list(counted[PAPER].groups),
        "shares": {
            estimator: (errors.counts.sum(axis=(0, 1)) / errors.counts.sum()).round(4).tolist()
            for estimator, errors in counted.items()
        },
        "far misses": {estimator: round(errors.far_misses, 4) for estimator, errors in counted.items()},
        "median jitter": {estimator: round(errors.jitter, 4) for estimator, errors in counted.items()},
        "distances": {},
        "floors": {},
    }
    for part in PARTS:
        pairs = {}
        for first, second in combinations(counted, 2):
            sides = counted[first], counted[second]
            value = distance(*(side.everybody(part) for side in sides))
            spread = np.std([distance(*(side.shares(draw, part) for side in sides)) for draw in draws])
            pairs[f"{first} | {second}"] = [round(value, 4), round(float(spread), 4)]
        measured["distances"][part] = pairs
        measured["floors"][part] = {
            estimator: round(
                float(
                    np.mean(
                        [distance(*(counted[estimator].shares(half, part) for half in two)) for two in halves]
                    )
                ),
                4,
            )
            for estimator in estimators
        }
    return measured


def across(first: Mapping[str, Counted], second: Mapping[str, Counted]) -> Numbers:
    """Distances of the same estimators on two sets, and of different ones within each, on the groups of both."""
    groups = set(first[PAPER].groups) & set(second[PAPER].groups)
    both = sorted((set(first) & set(second)) - {PAPER})
    sides = [
        {name: side[name].only(groups).everybody("without swaps") for name in both}
        for side in (first, second)
    ]
    same = {name: round(distance(sides[0][name], sides[1][name]), 4) for name in both}
    within = [[distance(side[a], side[b]) for a, b in combinations(both, 2)] for side in sides]
    return {
        "groups": sorted(groups),
        "same": same,
        "different": [round(float(np.mean(row)), 4) for row in within],
    }


def matrix(measured: Numbers, part: str) -> tuple[list[str], FloatArray]:
    """The distances of a set as a symmetric table."""
    names = sorted(measured["shares"], key=lambda name: (name == PAPER, -measured["shares"][name][0]))
    table = np.zeros((len(names), len(names)))
    for pair, (value, _) in measured["distances"][part].items():
        first, second = (names.index(name) for name in pair.split(" | "))
        table[first, second] = table[second, first] = value
    return names, table


def summary(measured: Numbers, part: str) -> Numbers:
    """Means over pairs of estimators, over estimators and the paper's, and of the floor."""
    pairs = measured["distances"][part]
    among = [value for pair, (value, _) in pairs.items() if PAPER not in pair]
    paper = [value for pair, (value, _) in pairs.items() if PAPER in pair]
    return {
        "among": [round(float(np.mean(among)), 4), min(among), max(among)],
        "paper": [round(float(np.mean(paper)), 4), min(paper), max(paper)],
        "floor": round(float(np.mean(list(measured["floors"][part].values()))), 4),
        "correlation with the gap in good keypoints": _correlation(measured, part),
    }


def _correlation(measured: Numbers, part: str) -> float | None:
    """Of the distances of estimators and the differences of their shares of good keypoints; None for few pairs."""
    rows = []
    for pair, (value, _) in measured["distances"][part].items():
        first, second = pair.split(" | ")
        if PAPER not in pair:
            rows.append([value, abs(measured["shares"][first][0] - measured["shares"][second][0])])
    return round(float(np.corrcoef(np.array(rows).T)[0, 1]), 4) if len(rows) > 2 else None


def draw(sets: Mapping[str, Numbers]) -> bytes:
    """Shares of the statuses, and both tables of distances, as SVG; the same numbers give the same bytes."""
    shown = [name for name in sets if len(sets[name]["shares"]) > 3]
    with mpl.rc_context({"svg.hashsalt": "posefix", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(4.6 * len(shown), 11), layout="constrained")
        axes = figure.subplots(3, len(shown), squeeze=False)
        for column, name in enumerate(shown):
            draw_shares(axes[0, column], SETS[name][0], sets[name])
            for row, (part, what) in enumerate(
                (("statuses", "all statuses"), ("errors", "errors alone")), start=1
            ):
                draw_matrix(axes[row, column], f"Distances, {what}", *matrix(sets[name], part))
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=NUM_STATUSES, frameon=False)
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def draw_shares(axes: Axes, title: str, measured: Numbers) -> None:
    """A bar for each estimator, best first, the paper's last."""
    names, _ = matrix(measured, "statuses")
    start = np.zeros(len(names))
    for status in range(NUM_STATUSES):
        width = np.array([measured["shares"][name][status] for name in names])
        axes.barh(names, width, left=start, color=COLOURS[status], label=Status(status).label)
        start += width
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="share of the labelled keypoints")
    axes.set_title(f"{title}, {measured['people']:,} people", fontsize=10)


def draw_matrix(axes: Axes, title: str, names: list[str], table: FloatArray) -> None:
    """Distances in cells, the darker the farther."""
    axes.imshow(table, cmap="Blues", vmin=0, vmax=0.6)
    for row, column in np.ndindex(*table.shape):
        if row != column:
            colour = "white" if table[row, column] > 0.35 else "black"
            axes.text(
                column,
                row,
                f"{table[row, column]:.2f}"[1:],
                ha="center",
                va="center",
                color=colour,
                fontsize=8,
            )
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_title(title, fontsize=10)


def main() -> None:
    """Measure, print, draw, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--resamples", type=int, default=200)
    arguments = parser.parse_args()
    environment = describe(["array-api-compat", "matplotlib"])
    counted = {name: count_set(arguments.data, name) for name in SETS}
    sets: dict[str, Numbers] = {}
    for name, estimators in counted.items():
        sets[name] = measure_set(estimators, arguments.resamples)
        sets[name]["summary"] = {part: summary(sets[name], part) for part in PARTS}
        print(name, json.dumps(sets[name]["shares"]), json.dumps(sets[name]["summary"]), sep="\n")
    measured = {
        "resamples": arguments.resamples,
        "sets": sets,
        "lspet_val and coco_dev": across(counted["lspet_val"], counted["coco_dev"]),
    }
    print(
        json.dumps(measured["lspet_val and coco_dev"]),
        keep("profile_distances", environment, measured),
        sep="\n",
    )
    make_folder(FIGURE.parent)
    write_bytes_atomic(FIGURE, draw(sets))


if __name__ == "__main__":
    main()
