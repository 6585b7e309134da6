"""The rows of a table that are measured: results files, before and after refinement, against one ground truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from posefix.errors import InputError, plural
from posefix.evaluation.coco import describe_keypoints
from posefix.evaluation.judge import Judge, Metrics
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
        InputError: A file is faulty, results hold poses of different images, or refined ones have other keypoints.
    """
    found = [
        [(label, path, judge.read_poses(path, file.skeleton)) for label, path in _labelled(file)]
        for file in files
    ]
    sides = list(chain.from_iterable(found))
    if not any_images:
        check_same_images({str(path): set(judged.poses.image_ids) for _, path, judged in sides})
    rows: list[Row] = []
    measured: list[Metrics] = []
    for file, own in zip(files, found, strict=True):
        for _, _, judged in own:
            measured.append(judge.measure(judged.poses))
            if progress is not None:
                progress(len(measured), len(sides))
        rows += _rows(file, measured[-len(own) :], judge.annotations)
    labels = [label for label, _, _ in sides]
    further = _further_notes(labels, measured)
    if judge.metric == "posetrack":
        return MeasuredRows(tuple(rows), (_described(judge.annotations), *further))
    truth = judge.annotations
    compared = {label: metrics.keypoint_names for label, metrics in zip(labels, measured, strict=True)}
    chosen = (f"{path.name}: {note}" for _, path, judged in sides for note in judged.notes)
    lines = (_described(truth), *truth.notes, *truth.left_out, *chosen, *keypoint_notes(compared), *further)
    return MeasuredRows(tuple(rows), lines)


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
    lines = [describe_keypoints(names) for names in groups]
    if len(groups) == 1:
        return tuple(lines)
    named = (f"{', '.join(rows)}: {line}" for rows, line in zip(groups.values(), lines, strict=True))
    return ("not all rows are measured on the same keypoints, so compare with care:", *named)


def _labelled(file: ResultsToMeasure) -> list[tuple[str, Path]]:
    """A file and its refined one, by what notes call them: rows of refined files are all called alike."""
    refined = [] if file.refined is None else [(f"{file.name} {REFINED}", file.refined)]
    return [(file.name, file.path), *refined]


def _rows(file: ResultsToMeasure, measured: Sequence[Metrics], truth: Annotations) -> list[Row]:
    """The row of a file, and those of its refined one.

    Raises:
        InputError: The two were measured on different keypoints.
    """
    before, *refined = (metrics.as_dict() for metrics in measured)
    rows = [Row(file.name, before)]
    for after in refined:
        _check_keypoints(file, measured, truth)
        # Undefined is a matter of the annotations alone, hence of both; but lengths may lack a person to measure.
        change = {name: after[name] - before[name] for name in after if min(before[name], after[name]) >= 0}
        rows += [Row(REFINED, after), Row(CHANGE, change, is_change=True)]
    return rows


def _check_keypoints(file: ResultsToMeasure, measured: Sequence[Metrics], truth: Annotations) -> None:
    """Refuse the change of a number that means two things."""
    before, after = (metrics.keypoint_names for metrics in measured)
    if before != after:
        only = sorted(set(before) ^ set(after))
        raise InputError(
            f"{file.path} and {file.refined}: expected the same keypoints of {truth.path}, before refinement and "
            f"after, got {len(before)} and {len(after)}, {', '.join(only)} in one alone; give refined results of the "
            "same layout, or each file as a row of its own."
        )


def _further_notes(labels: Sequence[str], measured: Sequence[Metrics]) -> list[str]:
    """What else than the keypoints a reader of the numbers must know; of all rows once.

    Args:
        labels: Of the rows.
        measured: Their numbers.
    """
    told: dict[str, list[str]] = {}
    for label, metrics in zip(labels, measured, strict=True):
        for note in metrics.notes():
            told.setdefault(_without_keypoints(note, metrics.keypoint_names), []).append(label)
    told.pop("", None)
    return [
        note if len(those) == len(labels) else f"{', '.join(those)}: {note}" for note, those in told.items()
    ]


def _without_keypoints(note: str, names: Sequence[str]) -> str:
    return note.removeprefix(describe_keypoints(names)).removeprefix("; ")


def _described(truth: Annotations) -> str:
    people = plural(len(truth.people), "person")
    images = plural(len(truth.images), "image")
    return f"measured on {truth.path.name}: {people} in {images}"


def _listed(images: set[ImageId]) -> str:
    shown = [repr(image_id) for image_id in sorted(images, key=lambda one: (isinstance(one, str), one))]
    rest = len(shown) - IDS_SHOWN
    return ", ".join(shown[:IDS_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
