"""What became of the same people: statuses, OKS and AP before and after (figures 7 to 11 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from posefix.analysis.breakdowns import Breakdown, keypoint_breakdowns
from posefix.analysis.costs import Progress
from posefix.analysis.coverage import Coverage, describe_coverage, known_rows
from posefix.analysis.ground_truth import GroundTruth
from posefix.analysis.pairing import Pairing, check_found, pair_people
from posefix.analysis.statuses import FoundPeople, classify_found
from posefix.analysis.tables import Table, as_html, as_text, data_frame, share
from posefix.errors import InputError, plural
from posefix.evaluation.bootstrap import CocoComparison, check_same_keypoints, compare_coco
from posefix.evaluation.percentages import percent, signed
from posefix.evaluation.repairs import Repairs, tally_repairs
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import FloatArray, Poses, Rows
from posefix.pose_errors.taxonomy import STATUS_NAMES

NUM_BANDS = 10
"""Bands of the OKS before in which the OKS after is averaged."""
LISTED = 5
"""How many people a table names."""


Match = Literal["rows", "people"]


@dataclass(frozen=True, eq=False)
class OksBand:
    """People whose OKS before was from `low` up to, but below, `high`; the last band includes 1.

    Attributes:
        people: how many there are.
        before: their mean OKS before.
        after: their mean OKS after.
    """

    low: float
    high: float
    people: int
    before: float
    after: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """The same people before and after.

    Attributes:
        coverage: what the results before and the annotations share.
        coverage_after: what the results after and the annotations share.
        match: how people were matched, see `compare`.
        before: keypoints, statuses and similarities of P people before.
        after: of the same people after.
        found_before: number of people whom the results before find.
        found_after: number of people whom the results after find.
        repairs: statuses before by statuses after, keypoints repaired and broken.
        groups_before: statuses by group of keypoints, before.
        groups_after: statuses by group of keypoints, after.
        coco: AP of all results before and after, with the interval of the difference.
    """

    coverage: Coverage
    coverage_after: Coverage
    match: Match
    before: FoundPeople
    after: FoundPeople
    found_before: int
    found_after: int
    repairs: Repairs
    groups_before: Breakdown
    groups_after: Breakdown
    coco: CocoComparison

    @property
    def gain(self) -> FloatArray:
        """(P,): OKS after minus OKS before."""
        return np.asarray(self.after.oks - self.before.oks)

    def most_improved(self, count: int = LISTED) -> Rows:
        """The people whose OKS rose most, the most first; fewer if fewer rose."""
        order = np.argsort(-self.gain, kind="stable")[:count]
        return order[self.gain[order] > 0]

    def most_harmed(self, count: int = LISTED) -> Rows:
        """The people whose OKS fell most, the most first; fewer if fewer fell."""
        order = np.argsort(self.gain, kind="stable")[:count]
        return order[self.gain[order] < 0]

    def oks_bands(self) -> tuple[OksBand, ...]:
        """OKS after by OKS before, in tenths (figure 7 of the paper); bands without people are left out."""
        band = np.minimum((NUM_BANDS * self.before.oks).astype(int), NUM_BANDS - 1)
        chosen = [(number, band == number) for number in np.unique(band).tolist()]
        return tuple(
            OksBand(
                low=number / NUM_BANDS,
                high=(number + 1) / NUM_BANDS,
                people=int(mask.sum()),
                before=float(self.before.oks[mask].mean()),
                after=float(self.after.oks[mask].mean()),
            )
            for number, mask in chosen
        )

    def as_dict(self) -> dict[str, object]:
        """All numbers, ready for JSON."""
        after = self.after.as_records()
        return {
            "coverage": self.coverage.as_dict(),
            "coverage_after": self.coverage_after.as_dict(),
            "match": self.match,
            "people": len(self.before),
            "found_before": self.found_before,
            "found_after": self.found_after,
            "coco": self.coco.as_dict(),
            "repairs": self.repairs.as_dict(),
            "groups_before": self.groups_before.as_dict(),
            "groups_after": self.groups_after.as_dict(),
            "oks_bands": [vars(band) for band in self.oks_bands()],
            "compared_people": [
                {
                    **person,
                    "row_after": after[number]["row"],
                    "score_after": after[number]["score"],
                    "oks_after": after[number]["oks"],
                    "statuses_after": after[number]["statuses"],
                }
                for number, person in enumerate(self.before.as_records())
            ],
        }

    def to_pandas(self) -> Any:
        """A data frame of one row per labelled keypoint of these people; columns after end in ``_after``.

        Raises:
            InputError: pandas is not installed.
        """
        changing = ("row", "score", "oks", "status", "similarity", "missing", "x", "y")
        after = self.after.columns()
        return data_frame({**self.before.columns(), **{f"{name}_after": after[name] for name in changing}})

    def lines(self) -> list[str]:
        """The difference in AP, who was compared, and what was repaired and broken, a line each."""
        before, after = self.before.oks.mean(), self.after.oks.mean()
        kind = "row by row" if self.match == "rows" else "whom both results find"
        return [
            str(self.coco),
            f"{plural(len(self.before), 'person')} compared, {kind}; found before {self.found_before:,}, "
            f"after {self.found_after:,}; mean OKS {percent(before)} -> {percent(after)}, {signed(after - before)}; "
            f"better {(self.gain > 0).sum():,}, worse {(self.gain < 0).sum():,}",
            str(self.repairs),
            *self.coverage.lines(),
            *(f"after: {line}" for line in self.coverage_after.lines() if line not in self.coverage.lines()),
        ]

    def tables(self) -> tuple[Table, ...]:
        """Changes of the errors' frequencies and of the statuses, OKS before and after, and who changed most."""
        people = (
            self._people_table("Most improved", self.most_improved()),
            self._people_table("Most harmed", self.most_harmed()),
        )
        changed = (table for table in people if table.rows)
        return (self._frequency_table(), self._matrix_table(), self._oks_table(), *changed)

    def table(self) -> str:
        """The same as text, for a terminal."""
        return as_text(self.lines(), self.tables())

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        return as_html(self.lines(), self.tables())

    def __repr__(self) -> str:
        return f"Comparison({self})"

    def __str__(self) -> str:
        return f"{plural(len(self.before), 'person')}, {self.coco}"

    def _frequency_table(self) -> Table:
        """Frequencies before and after, overall and by group."""
        rows = []
        pairs = zip(self.groups_before.counts, self.groups_after.counts, strict=True)
        whole = (self.groups_before.counts.sum(axis=0), self.groups_after.counts.sum(axis=0))
        for label, (first, second) in zip(("all", *self.groups_before.labels), (whole, *pairs), strict=True):
            if first.sum():
                cells = (
                    f"{share(a, first.sum())} -> {share(b, second.sum())}"
                    for a, b in zip(first, second, strict=True)
                )
                rows.append((label, f"{first.sum():,}", *cells))
        return Table("Labelled keypoints, % before -> after", ("", "keypoints", *STATUS_NAMES), tuple(rows))

    def _matrix_table(self) -> Table:
        """How many keypoints of each status before have which status after."""
        rows = [
            (name, *(f"{count:,}" for count in counts), f"{sum(counts):,}")
            for name, counts in zip(STATUS_NAMES, self.repairs.counts.tolist(), strict=True)
        ]
        return Table(
            "Keypoints by status before (rows) and after (columns)", ("", *STATUS_NAMES, "all"), tuple(rows)
        )

    def _oks_table(self) -> Table:
        rows = [
            (
                f"{band.low:.1f}-{band.high:.1f}",
                f"{band.people:,}",
                percent(band.before),
                percent(band.after),
                signed(band.after - band.before),
            )
            for band in self.oks_bands()
        ]
        return Table(
            "OKS after by OKS before", ("OKS before", "people", "before", "after", "change"), tuple(rows)
        )

    def _people_table(self, title: str, people: Rows) -> Table:
        rows = [
            (
                str(self.before.image_ids[person]),
                str(self.before.annotation_ids[person]),
                str(self.before.poses[person]),
                percent(self.before.oks[person]),
                percent(self.after.oks[person]),
                signed(self.gain[person]),
            )
            for person in people.tolist()
        ]
        header = ("image", "annotation", "row", "OKS before", "after", "change")
        return Table(title, header, tuple(rows))


def compare(
    before: Poses,
    after: Poses,
    annotations: Annotations,
    *,
    match: Match | None = None,
    strict: bool = False,
    resamples: int = 1000,
    progress: Progress | None = None,
) -> Comparison:
    """Tell what became of people: which errors were repaired, which made, and what that is worth.

    With `match` "rows", for a refinement, the people whom the poses before show are compared row by row, so that nobody
    changes identity by being moved. With "people", for another estimator, each result finds its own people, and those
    found by both are compared.

    Args:
        before: poses in pixels of the original photos.
        after: other poses in these photos, on the same shared keypoints.
        annotations: people in these photos.
        match: how the same people are found; by default "rows" where both hold the same photos in the same order and
            layout, else "people".
        strict: refuse results and annotations that do not show the same photos.
        resamples: how often the photos are drawn for the interval of the difference in AP.
        progress: called with the number of them that are done and of all.

    Raises:
        InputError: `match` is "rows" and the rows differ, the results share different keypoints with the annotations,
            find nobody or nobody in common, or `analyze` refuses one of them.
    """
    match = _choose_match(before, after, match)
    first_rows, second_rows = (known_rows(poses, annotations, strict=strict) for poses in (before, after))
    first, second = before[first_rows], after[second_rows]
    truth, other_truth = GroundTruth.of(before, annotations), GroundTruth.of(after, annotations)
    check_same_keypoints(truth.shared.names, other_truth.shared.names, annotations)
    pairing, other_pairing = pair_people(first, truth), pair_people(second, other_truth)
    check_found(pairing, annotations)
    rows, other_rows, people = _same_people(pairing, other_pairing, match)
    if not len(people):
        raise InputError(
            f"{annotations.path}: before finds {plural(len(pairing), 'person')} and after {len(other_pairing)}, "
            "none of them the "
            "same; compare results on the same photos."
        )
    found = classify_found(first, truth, rows, people)
    other_found = classify_found(second, other_truth, other_rows, people)
    valid = found.labelled & ~found.missing, other_found.labelled & ~other_found.missing
    return Comparison(
        coverage=describe_coverage(before, annotations, truth.shared.names),
        coverage_after=describe_coverage(after, annotations, truth.shared.names),
        match=match,
        before=found.renumbered(first_rows),
        after=other_found.renumbered(second_rows),
        found_before=len(pairing),
        found_after=len(other_pairing),
        repairs=tally_repairs(found.statuses, other_found.statuses, *valid),
        groups_before=keypoint_breakdowns(found, truth.skeleton)[0],
        groups_after=keypoint_breakdowns(other_found, truth.skeleton)[0],
        coco=compare_coco(first, second, annotations, resamples=resamples, progress=progress),
    )


def _choose_match(before: Poses, after: Poses, match: Match | None) -> Match:
    """How to find the same people, as asked for or by what the rows allow."""
    same_rows = before.same_people_as(after)
    if match == "rows" and not same_rows:
        raise InputError(
            f"Before and after must be the same people in the same order and layout, got {before!r} and {after!r}; "
            "match people instead of rows."
        )
    return match or ("rows" if same_rows else "people")


def _same_people(before: Pairing, after: Pairing, match: Match) -> tuple[Rows, Rows, Rows]:
    """Rows of the poses before, of the poses after, and of the people they show."""
    if match == "rows":
        return before.poses, before.poses, before.people
    people, first, second = np.intersect1d(before.people, after.people, return_indices=True)
    return before.poses[first], after.poses[second], people
