"""`posefix evaluate`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from posefix.cli.options import Flag
from posefix.cli.truth_options import TruthOptions
from posefix.errors import InputError

if TYPE_CHECKING:
    from posefix.evaluation.bootstrap import CocoComparison
    from posefix.evaluation.judge import Judge, JudgedPoses, MetricChange, Metrics
    from posefix.formats.coco_annotations import Annotations
    from posefix.pose.poses import Poses


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """How poses are judged, and where the numbers go."""

    metric: Literal["coco", "crowdpose", "posetrack", "pckh", "pck"] | None = None
    """Whose rules; by default PoseTrack's where the annotations are a folder, CrowdPose's where they have crowd
    indices, MPII's PCKh where they have head sizes, else COCO's."""
    subset: Flag = False
    """Leave out poses of photos that are not annotated."""
    json_file: Annotated[Path | None, Parameter(name="--json")] = None
    """Also writes all numbers, with all digits, to this file."""


COCO_OPTIONS = EvaluationOptions()


def evaluate(
    results: Path,
    /,
    *,
    truth: TruthOptions,
    layout: str | None = None,
    against: Path | None = None,
    against_layout: str | None = None,
    options: EvaluationOptions = COCO_OPTIONS,
) -> None:
    """Print how good the poses of a results file are: COCO's AP and AR, or the metric of the annotations.

    Keypoints are compared that results and annotations both name; of PoseTrack all fifteen count.

    Args:
        results: Poses: a file of any format that `posefix refine` takes; PoseTrack 2018 results are a folder.
        truth: How the ground truth is read.
        layout: Skeleton of the results, if the file does not say it: a name of `posefix skeleton`, or a skeleton file.
        against: Second results; adds the difference (RESULTS minus this), of COCO's AP with its 95 % bootstrap
            interval.
        against_layout: Skeleton of the second results file; that of the first when left out.
        options: How poses are judged, and where the numbers go.
    """
    from posefix.evaluation.judge import Judge
    from posefix.files import ensure_not_input, ensure_writable
    from posefix.interchange.pose_files import load_layout

    if against_layout is not None and against is None:
        raise InputError("--against-layout: needs --against, whose layout it is")
    if options.json_file is not None:
        ensure_not_input(options.json_file, [results, truth.annotations, layout, against, against_layout])
        ensure_writable(options.json_file)
    named = truth.annotations_layout or layout
    overrule = truth.annotations_layout is not None
    judge = Judge.read(
        truth.annotations, options.metric, load_layout(named), truth.category, overrule=overrule
    )
    truth.tell(judge.annotations)
    after = _read(judge, results, layout, options)
    content: dict[str, Any] = {
        "metric": judge.metric,
        "annotations": str(truth.annotations),
        "results": str(results),
    }
    if against is None:
        metrics = judge.measure(after.poses)
        absence = _absence(judge.annotations, after.poses, metrics)
        lines = [metrics.table(), *_told(_left_out(after)), *_told(absence)]
        content |= {"keypoints": list(metrics.keypoint_names), "numbers": metrics.as_dict()}
    else:
        before = _read(judge, against, against_layout or layout, options)
        print(f"before: {against}\nafter: {results}")
        change = _compare(judge, before.poses, after.poses)
        absences = [
            _absence(judge.annotations, side.poses, metrics)
            for side, metrics in ((after, change.after), (before, change.before))
        ]
        lines = [change.table(), *_told(_left_out(after), _left_out(before)), *_told(*absences)]
        keypoints = list(change.after.keypoint_names)
        content |= {"against": str(against), "keypoints": keypoints, **change.as_dict()}
    print("\n".join(lines))
    _write(options.json_file, content)


def _read(judge: Judge, results: Path, layout: str | None, options: EvaluationOptions) -> JudgedPoses:
    """The poses that are judged; prints how they were chosen."""
    found = judge.read_poses(results, layout, subset=options.subset)
    for line in found.notes:
        print(f"{results}: {line}")
    return found


def _compare(judge: Judge, before: Poses, after: Poses) -> CocoComparison | MetricChange:
    from posefix.cli.progress import ProgressBar
    from posefix.evaluation.bootstrap import check_same_keypoints, compare_coco
    from posefix.evaluation.judge import MetricChange

    if judge.metric != "coco":
        change = MetricChange(judge.measure(before), judge.measure(after))
        check_same_keypoints(change.before.keypoint_names, change.after.keypoint_names, judge.annotations)
        return change
    with ProgressBar("resampling photos") as progress:
        return compare_coco(before, after, judge.annotations, progress=progress)


def _write(path: Path | None, content: dict[str, Any]) -> None:
    import json

    from posefix.files import write_text_atomic

    if path is not None:
        write_text_atomic(path, json.dumps(content, indent=1) + "\n")


def _left_out(found: JudgedPoses) -> str:
    """A line on the poses of photos that are not annotated; empty where there is none."""
    from posefix.analysis.coverage import left_out

    return left_out(len(found.left_out), dict.fromkeys(found.left_out)) if found.left_out else ""


def _absence(truth: Annotations, results: Poses, metrics: Metrics) -> str:
    """A line on the photos of which results hold no pose; empty where there is none."""
    from posefix.analysis.coverage import absence, empty_images

    empty = empty_images(results, truth, metrics.keypoint_names)
    return absence(empty) if empty else ""


def _told(after: str, before: str | None = None) -> Iterator[str]:
    """A line on results; of two results one for each, or a common one where it is the same."""
    if before is None or before == after:
        yield from [after] if after else []
        return
    yield from (f"{name}: {line}" for name, line in (("before", before), ("after", after)) if line)
