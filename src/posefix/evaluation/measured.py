"""The rows of a table that are measured: results files, before and after refinement, against one ground truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from posefix.errors import InputError, plural
from posefix.evaluation.judge import Judge
from posefix.evaluation.posetrack import PoseTrackMetrics
from posefix.evaluation.tables import Row
from posefix.formats.coco_annotations import Annotations
from posefix.pose.poses import ImageId
from posefix.skeletons import Skeleton

REFINED = "+ refined"
CHANGE = "  change"
IDS_SHOWN = 3


@dataclass(frozen=True)
class ResultsToMeasure:
    """One file of results, or two.

    Attributes:
        name: Of the row.
        path: A pose file of any format, or a folder of one.
        skeleton: Layout of a file that does not say it.
        refined: The same people refined, in the same layout; None for a row without a second one.
    """

    name: str
    path: Path
    skeleton: Skeleton | None
    refined: Path | None = None


@dataclass(frozen=True)
class MeasuredRows:
    """What was measured.

    Attributes:
        rows: One for each file; for refined ones also a row of the change.
        notes: What was compared with what.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def measure_files(
    files: Sequence[ResultsToMeasure],
    judge: Judge,
    *,
    any_images: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> MeasuredRows:
    """Measure results by the rules of their ground truth.

    Args:
        files: What to measure; all are read and checked before the first is measured.
        judge: The ground truth and its metric.
        any_images: Accept results that hold poses of different images.
        progress: Called with how many results are measured, and of how many.

    Raises:
        InputError: A file is faulty, or results hold poses of different images.
    """
    found = [
        (file.name, path, judge.read_poses(path, file.skeleton))
        for file in files
        for path in (file.path, file.refined)
        if path is not None
    ]
    if not any_images:
        check_same_images({str(path): set(judged.poses.image_ids) for _, path, judged in found})
    measured = []
    for number, (_, _, judged) in enumerate(found):
        measured.append(judge.measure(judged.poses))
        if progress is not None:
            progress(number + 1, len(found))
    names = [name for name, _, _ in found]
    rows = _rows(files, [metrics.as_dict() for metrics in measured])
    if judge.metric == "posetrack":
        absent = {
            name: metrics.absent
            for name, metrics in zip(names, measured, strict=True)
            if isinstance(metrics, PoseTrackMetrics)
        }
        return MeasuredRows(rows, (_described(judge.annotations), *_absences(absent)))
    truth = judge.annotations
    compared = {name: metrics.keypoint_names for name, metrics in zip(names, measured, strict=True)}
    chosen = (f"{path.name}: {note}" for _, path, judged in found for note in judged.notes)
    lines = (_described(truth), *truth.notes, *truth.left_out, *chosen, *keypoint_notes(compared))
    return MeasuredRows(rows, lines)


def check_same_images(images: Mapping[str, set[ImageId]]) -> None:
    """Refuse results that hold poses of different images: their numbers mean different things.

    Args:
        images: Images of each results file.

    Raises:
        InputError: Names two files, and images that only one of them has.
    """
    (first, expected), *others = images.items()
    for name, own in others:
        if own != expected:
            sides = ((first, expected - own), (name, own - expected))
            differences = " and ".join(f"{_listed(only)} only in {owner}" for owner, only in sides if only)
            raise InputError(
                f"{first} and {name} hold poses of different images, {differences}; compare results of the same "
                "images, or pass --any-images if an image without poses is one where nobody was found."
            )


def keypoint_notes(compared: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Lines that say on which keypoints rows were measured.

    Args:
        compared: Row name -> keypoints.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, keypoints in compared.items():
        groups.setdefault(keypoints, []).append(name)
    lines = [f"keypoints compared ({len(names)}): {', '.join(names)}" for names in groups]
    if len(groups) == 1:
        return tuple(lines)
    named = (f"{', '.join(rows)}: {line}" for rows, line in zip(groups.values(), lines, strict=True))
    return ("not all rows are measured on the same keypoints, so compare with care:", *named)


def _rows(files: Sequence[ResultsToMeasure], measured: Sequence[Mapping[str, float]]) -> tuple[Row, ...]:
    rows, values = [], iter(measured)
    for file in files:
        before = next(values)
        rows.append(Row(file.name, before))
        if file.refined is not None:
            after = next(values)
            # Undefined is a matter of the annotations alone, hence of both.
            change = {name: after[name] - before[name] for name in after if after[name] >= 0}
            rows += [Row(REFINED, after), Row(CHANGE, change, is_change=True)]
    return tuple(rows)


def _described(truth: Annotations) -> str:
    people = plural(len(truth.people), "person")
    images = plural(len(truth.images), "image")
    return f"measured on {truth.path.name}: {people} in {images}"


def _absences(absent: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(
        f"{name}: not in the results' layout, counted as not found: {', '.join(names)}"
        for name, names in absent.items()
        if names
    )


def _listed(images: set[ImageId]) -> str:
    shown = [repr(image_id) for image_id in sorted(images, key=lambda one: (isinstance(one, str), one))]
    rest = len(shown) - IDS_SHOWN
    return ", ".join(shown[:IDS_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
