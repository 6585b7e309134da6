"""Is a difference of AP more than luck? A paired bootstrap over images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import hotcoco
import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.evaluation.coco import (
    CocoMetrics,
    read_metrics,
    run_evaluator,
)
from posefix.evaluation.percentages import change_table, percent, signed
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import Poses

CONFIDENCE = 0.95


@dataclass(frozen=True)
class CocoComparison:
    """Two results on the same annotations, and how sure the difference of their APs is.

    Attributes:
        low: lower end of the interval that holds 95 % of the resampled differences (after minus before, 0 to 1).
        high: its upper end.
        resamples: how often the images were drawn.
    """

    before: CocoMetrics
    after: CocoMetrics
    low: float
    high: float
    resamples: int

    @property
    def difference(self) -> float:
        """AP after minus AP before."""
        return self.after.ap - self.before.ap

    def as_dict(self) -> dict[str, object]:
        """All numbers, ready for JSON."""
        return {
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
            "difference": self.difference,
            "interval": [self.low, self.high],
            "confidence": CONFIDENCE,
            "resamples": self.resamples,
        }

    def table(self) -> str:
        """Names, before, after and difference, one line each, and a last one with the interval."""
        changes = change_table(self.before.as_dict(), self.after.as_dict())
        return "\n".join([*changes, str(self), *self.after.notes()])

    def __str__(self) -> str:
        interval = f"{100 * CONFIDENCE:.0f} % interval {signed(self.low)} to {signed(self.high)}"
        change = f"AP {percent(self.before.ap)} -> {percent(self.after.ap)}, {signed(self.difference)}"
        return f"{change} ({interval}, {self.resamples} resamples of the images)"


def compare_coco(
    before: Poses,
    after: Poses,
    annotations: Annotations,
    *,
    resamples: int = 1000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> CocoComparison:
    """Compare the AP of two results, with a 95 % interval of the difference.

    Both results are measured on the same resamples of the annotated images (drawn with replacement, as many as
    there are), so that hard images cancel; the interval is that of the percentiles. It says how much the difference
    depends on which images happened to be in the set, not how it carries over to photos of another kind.

    Args:
        before: the poses to start from.
        after: the poses to compare with them; both must name the same annotated keypoints.
        annotations: see `evaluate_coco`.
        resamples: how many times to draw.
        seed: of the draws.
        progress: called with the number of resamples that are measured and of all.

    Raises:
        InputError: if the two results share different keypoints with the annotations, nobody is labelled on them,
            `resamples` is below 1, or `evaluate_coco` refuses one of the results.
    """
    if resamples < 1:
        raise InputError(f"resamples: expected at least 1, got {resamples}; 1000 give a steady interval.")
    (evaluator_before, truth_before), (evaluator_after, truth_after) = (
        run_evaluator(poses, annotations) for poses in (before, after)
    )
    names_before, names_after = truth_before.shared.names, truth_after.shared.names
    check_same_keypoints(names_before, names_after, annotations)
    matches_before, matches_after = _ImageMatches.of(evaluator_before), _ImageMatches.of(evaluator_after)
    images = len(matches_before.people)
    draws = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=resamples)
    # Without any person, AP is undefined, and a draw of such images alone says nothing.
    draws = draws[draws @ matches_before.people > 0]
    if not len(draws):
        raise InputError(
            f"{annotations.path}: expected people with labels on {', '.join(names_before)}, got none in "
            f"{resamples} resamples; compare on annotations of the same keypoints."
        )
    differences = []
    for counts in draws:
        differences.append(matches_after.average_precision(counts) - matches_before.average_precision(counts))
        if progress is not None:
            progress(len(differences), len(draws))
    low, high = np.quantile(differences, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return CocoComparison(
        read_metrics(evaluator_before, names_before, annotations),
        read_metrics(evaluator_after, names_after, annotations),
        float(low),
        float(high),
        resamples,
    )


def check_same_keypoints(before: tuple[str, ...], after: tuple[str, ...], annotations: Annotations) -> None:
    """Refuse to compare results that are measured on different keypoints.

    Raises:
        InputError: if the names that they share with the annotations differ.
    """
    if before != after:
        raise InputError(
            f"Before and after must share the same keypoints with {annotations.path}, got {', '.join(before)} "
            f"and {', '.join(after)}; compare results of one layout."
        )


@dataclass(frozen=True)
class _ImageMatches:
    """Which poses were matched, best score first, and how many people each image counts.

    D poses, I images, T thresholds of OKS.

    Attributes:
        image: (D,) the image of each pose, 0 to I - 1.
        scores: (D,), falling.
        matched: (T, D).
        ignored: (T, D); matched with an ignored person, say.
        people: (I,) annotated people that count.
    """

    image: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    matched: npt.NDArray[np.bool_]
    ignored: npt.NDArray[np.bool_]
    people: npt.NDArray[np.int64]

    @classmethod
    def of(cls, evaluator: hotcoco.COCOeval) -> _ImageMatches:
        """Read an evaluator's matches for people of all sizes."""
        images, everyone = evaluator.params.img_ids, evaluator.params.area_rng[0]
        thresholds = len(evaluator.params.iou_thrs)
        # None stands for an image without poses and people; the order of the cells is the library's own affair.
        cells = [cell for cell in evaluator.eval_imgs if cell is not None and cell["aRng"] == everyone]
        cells.sort(key=lambda cell: int(cell["image_id"]))
        rows = np.searchsorted(images, [cell["image_id"] for cell in cells])
        people = np.zeros(len(images), dtype=np.int64)
        people[rows] = [len(cell["gtIgnore"]) - sum(cell["gtIgnore"]) for cell in cells]
        scores = np.concatenate([np.array(cell["dtScores"], dtype=np.float64) for cell in cells])
        order = np.argsort(-scores, kind="stable")
        matched, ignored = (
            np.concatenate([np.reshape(cell[name], (thresholds, -1)) for cell in cells], axis=1)[:, order] > 0
            for name in ("dtMatches", "dtIgnore")
        )
        image = np.repeat(rows, [len(cell["dtScores"]) for cell in cells])
        return cls(image[order], scores[order], matched, ignored, people)

    def average_precision(self, counts: npt.NDArray[np.int64]) -> float:
        """AP of a sample that holds image i `counts[i]` times."""
        rows = np.repeat(np.arange(len(self.scores)), counts[self.image])
        total = int(counts @ self.people)
        scores, matched, ignored = self.scores[rows], self.matched[:, rows], self.ignored[:, rows]
        values = [
            hotcoco.metrics.average_precision(scores, hit, total, skip)
            for hit, skip in zip(matched, ignored, strict=True)
        ]
        return float(np.mean(values))
