"""`posefix evaluate`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from posefix.errors import InputError

if TYPE_CHECKING:
    from posefix.formats.coco_annotations import Annotations
    from posefix.pose.poses import Poses

Metric = Literal["coco", "posetrack"]


def evaluate(
    results: Path,
    /,
    *,
    annotations: Path,
    layout: str | None = None,
    against: Path | None = None,
    against_layout: str | None = None,
    metric: Metric | None = None,
) -> None:
    """Print the COCO AP and AR of a results file, or PoseTrack 2018's AP by keypoint.

    COCO's is measured on the keypoints that results and annotations share, PoseTrack's on all of its fifteen.

    Args:
        results: Poses: a file of any format that `posefix refine` takes; PoseTrack 2018 results are a folder.
        annotations: Ground truth: a COCO keypoint annotation file, or a folder of PoseTrack 2018 annotation files.
        layout: Skeleton of the results, if the file does not say it: a name of `posefix skeleton`, or a skeleton file.
        against: Second results; adds the difference (RESULTS minus this), of COCO's AP with its 95 % bootstrap
            interval.
        against_layout: Skeleton of the second results file; that of the first when left out.
        metric: Whose rules; PoseTrack's where the annotations are a folder, else COCO's.
    """
    from posefix.evaluation.measured import metric_of

    if against_layout is not None and against is None:
        raise InputError("--against-layout: needs --against, whose layout it is")
    if (metric or metric_of(annotations)) == "posetrack":
        _evaluate_posetrack(results, annotations, layout, against, against_layout or layout)
    else:
        _evaluate_coco(results, annotations, layout, against, against_layout or layout)


def _evaluate_coco(
    results: Path, annotations: Path, layout: str | None, against: Path | None, against_layout: str | None
) -> None:
    from posefix.cli.progress import ProgressBar
    from posefix.evaluation.bootstrap import compare_coco
    from posefix.evaluation.coco import evaluate_coco, read_measured_poses
    from posefix.formats.coco_annotations import read_annotations
    from posefix.formats.coco_posetrack import read_posetrack_annotations

    if annotations.is_dir():
        truth = read_posetrack_annotations(annotations).annotations
    else:
        truth = read_annotations(annotations)
    poses = read_measured_poses(results, truth, layout)
    if against is None:
        print("\n".join([evaluate_coco(poses, truth).table(), *_absences(truth, poses)]))
        return
    other = read_measured_poses(against, truth, against_layout)
    print(f"before: {against}\nafter: {results}")
    with ProgressBar("resampling photos") as progress:
        comparison = compare_coco(other, poses, truth, progress=progress)
    print("\n".join([comparison.table(), *_absences(truth, poses, other)]))


def _evaluate_posetrack(
    results: Path, annotations: Path, layout: str | None, against: Path | None, against_layout: str | None
) -> None:
    from posefix.evaluation.posetrack import evaluate_posetrack, read_judged_poses
    from posefix.formats.coco_posetrack import read_posetrack_annotations
    from posefix.skeletons import load_skeleton

    skeleton = load_skeleton(layout) if layout else None
    truth = read_posetrack_annotations(annotations)
    poses = read_judged_poses(results, skeleton, truth)
    after = evaluate_posetrack(poses, truth)
    if against is None:
        print("\n".join([after.table(), *_absences(truth.annotations, poses)]))
        return
    other_skeleton = load_skeleton(against_layout) if against_layout else None
    other = read_judged_poses(against, other_skeleton, truth)
    before = evaluate_posetrack(other, truth)
    print(f"before: {against}\nafter: {results}")
    print("\n".join([after.table_after(before), *_absences(truth.annotations, poses, other)]))


def _absences(truth: Annotations, results: Poses, against: Poses | None = None) -> Iterator[str]:
    """Lines on the photos of which results hold no pose; one where it is the same in both."""
    from posefix.analysis.coverage import absence, empty_images

    after = empty_images(results, truth)
    before = after if against is None else empty_images(against, truth)
    if before == after:
        yield from [absence(after)] if after else []
        return
    yield from (
        f"{name}: {absence(empty)}" for name, empty in (("before", before), ("after", after)) if empty
    )
