"""Which errors results make, how often, where, and what each kind costs (Ronchi and Perona, ICCV 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from posefix.analysis.breakdowns import (
    ENOUGH_PEOPLE,
    Breakdown,
    PeopleBreakdown,
    keypoint_breakdowns,
    people_breakdowns,
)
from posefix.analysis.costs import Costs, Progress, Stage, measure_costs
from posefix.analysis.coverage import Coverage, describe_coverage, known_rows
from posefix.analysis.ground_truth import GroundTruth
from posefix.analysis.pairing import Pairing, check_found, pair_people
from posefix.analysis.scoring import Scoring, count_scoring_errors
from posefix.analysis.statuses import FoundPeople, classify_found
from posefix.analysis.tables import Table, as_html, as_text, data_frame, share
from posefix.errors import plural
from posefix.evaluation.collapse import COLLAPSED_OKS, collapsed_pairs
from posefix.evaluation.percentages import percent, signed
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import Poses
from posefix.pose_errors.taxonomy import STATUS_NAMES, Status

STAGE_TITLES = {
    "input": "as they are",
    "miss": "misses repaired",
    "swap": "swaps repaired",
    "inversion": "inversions repaired",
    "jitter": "jitters repaired",
    "places": "all keypoints true",
    "scores": "scores in the best order",
    "background": "without poses on nobody",
    "not found": "without people overlooked",
}


@dataclass(frozen=True, eq=False)
class ErrorAnalysis:
    """The errors of one results file.

    Attributes:
        coverage: what results and annotations share.
        pairing: which pose shows whom; rows of the results and of the annotations.
        found: keypoints, statuses and similarities of the people who were found.
        groups: statuses by group of keypoints (head, shoulder, elbow ...).
        keypoints: by keypoint.
        visibility: by whether the annotators saw the keypoint.
        labelled: by number of labelled keypoints of the person.
        overlap: by number of people who overlap the person.
        size: by size of the person.
        costs: AP after each kind of error is repaired.
        scoring: how often the score prefers the worse pose.
        collapsed: pairs of poses that lie on top of each other.
    """

    coverage: Coverage
    pairing: Pairing
    found: FoundPeople
    groups: Breakdown
    keypoints: Breakdown
    visibility: Breakdown
    labelled: PeopleBreakdown
    overlap: PeopleBreakdown
    size: PeopleBreakdown
    costs: Costs
    scoring: Scoring
    collapsed: int

    @property
    def overall(self) -> Breakdown:
        """Statuses of all labelled keypoints, in one group."""
        return Breakdown("all", ("all",), self.keypoints.counts.sum(axis=0, keepdims=True))

    @property
    def factors(self) -> tuple[PeopleBreakdown, ...]:
        """What may make people harder: few labelled keypoints, overlap, size."""
        return self.labelled, self.overlap, self.size

    def as_dict(self) -> dict[str, object]:
        """All numbers, ready for JSON."""
        breakdowns = (self.overall, self.groups, self.keypoints, self.visibility, *self.factors)
        pairing = self.pairing
        return {
            "coverage": self.coverage.as_dict(),
            "poses": pairing.num_poses,
            "people": pairing.num_people,
            "found": len(pairing),
            "background": len(pairing.background),
            "duplicates": len(pairing.duplicates),
            "ignored": len(pairing.ignored),
            "surplus": len(pairing.surplus),
            "collapsed_pairs": self.collapsed,
            "missing_keypoints": int(self.found.missing.sum()),
            "breakdowns": [breakdown.as_dict() for breakdown in breakdowns],
            "costs": self.costs.as_dict(),
            "scoring": self.scoring.as_dict(),
            "found_people": self.found.as_records(),
        }

    def to_pandas(self) -> Any:
        """A data frame of one row per labelled keypoint of the people who were found.

        Raises:
            InputError: pandas is not installed.
        """
        return data_frame(self.found.columns())

    def lines(self) -> list[str]:
        """What was found and what was compared, a line each."""
        on_top = f"{plural(self.collapsed, 'pair')} of poses on top of each other (OKS above {COLLAPSED_OKS})"
        lines = [str(self.pairing), on_top]
        if self.scoring.contested:
            lines.append(str(self.scoring))
        if missing := int(self.found.missing.sum()):
            lines.append(f"{plural(missing, 'labelled keypoint')} the poses lack; each counts as a miss")
        if lost := self._lost_keypoints():
            lines.append(
                f"missed in everybody: {', '.join(lost)}; is the layout right, and are they estimated at all?"
            )
        return [*lines, *self.coverage.lines()]

    def tables(self) -> tuple[Table, ...]:
        """Statuses, costs, and the people who are harder than others; groups that hold everybody are left out."""
        seen = (self.visibility,) if (self.visibility.counts.sum(axis=1) > 0).all() else ()
        return (
            status_table("Labelled keypoints of the people found, %", (self.overall, self.groups, *seen)),
            _cost_table(self.costs),
            *(_factor_table(factor) for factor in self.factors if len(factor.labels) > 1),
        )

    def _lost_keypoints(self) -> list[str]:
        """Keypoints that are a miss in all of many people: no estimator is that bad."""
        counts = self.keypoints.counts
        lost = (counts.sum(axis=1) >= ENOUGH_PEOPLE) & (counts[:, : Status.MISS].sum(axis=1) == 0)
        return [self.keypoints.labels[column] for column in np.flatnonzero(lost)]

    def table(self) -> str:
        """The same as text, for a terminal."""
        return as_text(self.lines(), self.tables())

    def _repr_html_(self) -> str:
        """The same for a notebook, with each keypoint."""
        first, *rest = self.tables()
        return as_html(self.lines(), (first, status_table("Each keypoint, %", (self.keypoints,)), *rest))

    def __repr__(self) -> str:
        return f"ErrorAnalysis({self})"

    def __str__(self) -> str:
        shares = ", ".join(
            f"{name} {percent(value)}"
            for name, value in zip(STATUS_NAMES, self.overall.frequencies[0], strict=True)
        )
        return f"{plural(len(self.pairing), 'person')} found, {shares} %, AP {percent(self.costs.input.ap)}"


def analyze(
    results: Poses, annotations: Annotations, *, strict: bool = False, progress: Progress | None = None
) -> ErrorAnalysis:
    """Find every error of poses, and what it costs.

    The rules and thresholds stand in docs/taxonomy.md.

    Args:
        results: poses in pixels of the original photos; `pose_scores` rank them.
        annotations: people in these photos; keypoints are matched by name.
        strict: refuse results and annotations that do not show the same photos; otherwise poses in unknown photos are
            left out, and counted.
        progress: called with the number of steps that are done and of all.

    Raises:
        InputError: no photo, keypoint or person is shared, a sigma is unknown on both sides, or `strict` refuses.
    """
    rows = known_rows(results, annotations, strict=strict)
    truth = GroundTruth.of(results, annotations)
    poses = results[rows]
    pairing = pair_people(poses, truth)
    check_found(pairing, annotations)
    found = classify_found(poses, truth, pairing.poses, pairing.people)
    groups, keypoints, visibility = keypoint_breakdowns(found, truth.skeleton)
    labelled, overlap, size = people_breakdowns(poses, truth, found)
    return ErrorAnalysis(
        coverage=describe_coverage(results, annotations, truth.shared.names),
        pairing=pairing.renumbered(rows),
        found=found.renumbered(rows),
        groups=groups,
        keypoints=keypoints,
        visibility=visibility,
        labelled=labelled,
        overlap=overlap,
        size=size,
        costs=measure_costs(poses, truth, pairing, found, progress),
        scoring=count_scoring_errors(poses, truth),
        collapsed=collapsed_pairs(poses),
    )


def status_table(title: str, breakdowns: tuple[Breakdown, ...]) -> Table:
    """Number of keypoints and shares of the statuses in percent, a row per group."""
    rows = []
    for breakdown in breakdowns:
        for label, counts in zip(breakdown.labels, breakdown.counts.tolist(), strict=True):
            if total := sum(counts):
                rows.append((label, f"{total:,}", *(share(count, total) for count in counts)))
    return Table(title, ("", "keypoints", *STATUS_NAMES), tuple(rows))


def _cost_table(costs: Costs) -> Table:
    alone = {stage.name: stage for stage in costs.alone}
    rows = [
        (
            STAGE_TITLES[stage.name],
            *(_gains(alone[stage.name], costs.input) if stage.name in alone else ("", "", "")),
            percent(stage.ap),
            percent(stage.ap50),
            percent(stage.ap75),
        )
        for stage in costs.stages
    ]
    header = ("", "alone: AP", "AP50", "AP75", "in turn: AP", "AP50", "AP75")
    return Table("AP if errors were repaired, each kind alone and one after the other", header, tuple(rows))


def _gains(stage: Stage, start: Stage) -> tuple[str, str, str]:
    return (
        signed(stage.ap - start.ap),
        signed(stage.ap50 - start.ap50),
        signed(stage.ap75 - start.ap75),
    )


def _factor_table(factor: PeopleBreakdown) -> Table:
    rows = [
        (
            label,
            f"{factor.people[number]:,}",
            share(factor.found[number], factor.people[number]),
            percent(factor.oks[number]),
            percent(factor.ap[number]),
            *(share(count, counts.sum()) for count in counts),
        )
        for number, (label, counts) in enumerate(zip(factor.labels, factor.counts, strict=True))
    ]
    header = ("", "people", "found %", "mean OKS", "AP", *STATUS_NAMES)
    spread = "" if factor.sensitivity is None else f" (AP differs by {100 * factor.sensitivity:.1f})"
    return Table(f"People by {factor.name}{spread}", header, tuple(rows))
