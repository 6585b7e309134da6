"""`posefix profile`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from cyclopts import Parameter

from posefix.cli.options import AnnotationsLayout, Category, Flag, Output, Words
from posefix.errors import InputError, plural

if TYPE_CHECKING:
    from posefix.analysis.profile_observation import ObservedErrors

Item = TypeVar("Item")


@Parameter(name="*", group="Ground truth")
@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """Which of the annotated people are meant, and what their keypoints are; the same in all annotations."""

    annotations_layout: AnnotationsLayout = None
    category: Category = None


AS_THE_FILES_SAY = LabelOptions()


def profile(
    results: Annotated[list[Path], Parameter(negative=())],
    /,
    *,
    annotations: Annotated[list[Path], Parameter(consume_multiple=True, negative=())],
    output: Output,
    layout: Words = None,
    name: str | None = None,
    strict: Flag = False,
    labels: LabelOptions = AS_THE_FILES_SAY,
) -> None:
    """Measure the errors of estimators, for `posefix train --errors` and `posefix synthesize --profile`.

    Several results files are measured as one: the profile is that of them together.

    Args:
        results: Poses: files of any format that `posefix refine` takes.
        annotations: Ground truth: a COCO keypoint annotation file; one for all results, or one for each of them.
        output: The profile to write.
        layout: Skeleton of the results: a name of `posefix skeleton`, or a skeleton file; one for all, or one for each.
        name: Name of the profile; the output's by default.
        strict: Stop where a photo is in one of the two files only, instead of counting such photos.
        labels: Which of the annotated people are meant, and what their keypoints are.
    """
    from posefix.analysis.profile_fitting import fit_profile
    from posefix.analysis.profile_observation import pool
    from posefix.analysis.profile_tables import describe
    from posefix.cli.progress import ProgressBar
    from posefix.files import ensure_not_input, ensure_writable

    ensure_not_input(output, [*results, *annotations, *(layout or []), labels.annotations_layout])
    ensure_writable(output)
    truths = _one_each(annotations, results, "--annotations")
    layouts = _one_each(layout or [None], results, "--layout")
    observed = []
    with ProgressBar("measuring") as progress:
        for number, (file, truth, skeleton) in enumerate(zip(results, truths, layouts, strict=True), start=1):
            observed.append(_observe(file, truth, skeleton, labels, strict=strict))
            progress(number, len(results))
    source = f"Measured: {', '.join(file.name for file in results)} on {', '.join(file.name for file in annotations)}."
    fitted = fit_profile(pool(observed), name or output.stem, source)
    fitted.write(output)
    print(describe(fitted))
    print(f"\nprofile: {output}")


def _observe(
    results: Path, annotations: Path, layout: str | None, labels: LabelOptions, *, strict: bool
) -> ObservedErrors:
    """The errors of one file; says what was compared."""
    from posefix.analysis.coverage import describe_coverage
    from posefix.analysis.profile_observation import observe_errors
    from posefix.interchange import read_compared_poses, read_truth

    named = labels.annotations_layout
    truth = read_truth(annotations, named or layout, labels.category, overrule=named is not None)
    found = read_compared_poses(results, truth, layout)
    poses = found.poses
    observed = observe_errors(poses, truth, strict=strict)
    print(
        f"{results} on {annotations}: {len(observed):,} of {plural(len(poses), 'pose')} show an annotated person"
    )
    for line in (*truth.notes, *truth.left_out, *found.notes):
        print(f"  {line}")
    for line in describe_coverage(poses, truth, observed.keypoint_names).lines():
        print(f"  {line}")
    if lost := observed.never_estimated():
        print(f"  left out, missed in nearly everybody: {', '.join(lost)}; are they estimated at all?")
    return observed.without(lost)


def _one_each(given: Sequence[Item], results: list[Path], option: str) -> list[Item]:
    """What was given for all results, or for each of them.

    Raises:
        InputError: There are several, but not as many as results.
    """
    if len(given) not in (1, len(results)):
        raise InputError(
            f"{option}: expected one for all {len(results)} results files or one for each, got {len(given)}"
        )
    return list(given) * (1 if len(given) == len(results) else len(results))
