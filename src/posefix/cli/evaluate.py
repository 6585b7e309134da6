"""`posefix evaluate`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from posefix.cli.truth_options import TruthOptions
from posefix.errors import InputError

if TYPE_CHECKING:
    from posefix.formats.coco_annotations import Annotations
    from posefix.pose.poses import Poses

Metric = Literal["coco", "posetrack"]


def evaluate(
    results: Path,
    /,
    *,
    truth: TruthOptions,
    layout: str | None = None,
    against: Path | None = None,
    against_layout: str | None = None,
    metric: Metric | None = None,
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
) -> None:
    """Print the COCO AP and AR of a results file, or PoseTrack 2018's AP by keypoint.

    COCO's is measured on the keypoints that results and annotations share, PoseTrack's on all of its fifteen.

    Args:
        results: Poses: a file of any format that `posefix refine` takes; PoseTrack 2018 results are a folder.
        truth: How the ground truth is read.
        layout: Skeleton of the results, if the file does not say it: a name of `posefix skeleton`, or a skeleton file.
        against: Second results; adds the difference (RESULTS minus this), of COCO's AP with its 95 % bootstrap
            interval.
        against_layout: Skeleton of the second results file; that of the first when left out.
        metric: Whose rules; PoseTrack's where the annotations are a folder, else COCO's.
        json_file: Also writes all numbers, with all their digits, to this file.
    """
    from posefix.evaluation.measured import metric_of
    from posefix.files import ensure_not_input, ensure_writable, write_text_atomic

    if against_layout is not None and against is None:
        raise InputError("--against-layout: needs --against, whose layout it is")
    if json_file is not None:
        ensure_not_input(json_file, [results, truth.annotations, against, layout, against_layout])
        ensure_writable(json_file)
    rules = metric or metric_of(truth.annotations)
    measure = _evaluate_posetrack if rules == "posetrack" else _evaluate_coco
    numbers = measure(results, truth, layout, against, against_layout or layout)
    if json_file is not None:
        files = {"results": str(results), "annotations": str(truth.annotations)}
        files |= {} if against is None else {"against": str(against)}
        write_text_atomic(json_file, json.dumps({"metric": rules, **files, **numbers}, indent=2) + "\n")


def _evaluate_coco(
    results: Path, truth: TruthOptions, layout: str | None, against: Path | None, against_layout: str | None
) -> dict[str, object]:
    """Print COCO's numbers; returns them for JSON."""
    from posefix.cli.progress import ProgressBar
    from posefix.evaluation.bootstrap import compare_coco
    from posefix.evaluation.coco import evaluate_coco, read_measured_poses

    labels = truth.read(layout)
    poses = read_measured_poses(results, labels, layout)
    if against is None:
        metrics = evaluate_coco(poses, labels)
        print("\n".join([metrics.table(), *_absences(labels, poses)]))
        return {"keypoints": list(metrics.keypoint_names), **metrics.as_dict()}
    other = read_measured_poses(against, labels, against_layout)
    print(f"before: {against}\nafter: {results}")
    with ProgressBar("resampling photos") as progress:
        comparison = compare_coco(other, poses, labels, progress=progress)
    print("\n".join([comparison.table(), *_absences(labels, poses, other)]))
    return {"keypoints": list(comparison.after.keypoint_names), **comparison.as_dict()}


def _evaluate_posetrack(
    results: Path, truth: TruthOptions, layout: str | None, against: Path | None, against_layout: str | None
) -> dict[str, object]:
    """Print PoseTrack's numbers; returns them for JSON."""
    from posefix.evaluation.posetrack import evaluate_posetrack, read_judged_poses
    from posefix.formats.coco_posetrack import read_posetrack_annotations
    from posefix.skeletons import load_skeleton

    skeleton = load_skeleton(layout) if layout else None
    videos = read_posetrack_annotations(truth.annotations)
    poses = read_judged_poses(results, skeleton, videos)
    after = evaluate_posetrack(poses, videos)
    if against is None:
        print("\n".join([after.table(), *_absences(videos.annotations, poses)]))
        return dict(after.as_dict())
    other_skeleton = load_skeleton(against_layout) if against_layout else None
    other = read_judged_poses(against, other_skeleton, videos)
    before = evaluate_posetrack(other, videos)
    print(f"before: {against}\nafter: {results}")
    print("\n".join([after.table_after(before), *_absences(videos.annotations, poses, other)]))
    return {"before": before.as_dict(), "after": after.as_dict()}


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
