"""`posefix evaluate`."""

from __future__ import annotations

from pathlib import Path


def evaluate(
    results: Path,
    /,
    *,
    annotations: Path,
    layout: str | None = None,
    against: Path | None = None,
    against_layout: str | None = None,
) -> None:
    """Print the COCO AP and AR of a results file, on the keypoints it shares with the annotations.

    Args:
        results: Poses: a COCO results file.
        annotations: Ground truth: a COCO keypoint annotation file.
        layout: Skeleton of the results: a name of `posefix skeleton`, or a skeleton file.
        against: A second results file; adds the difference in AP (RESULTS minus this) with its 95 % bootstrap interval.
        against_layout: Skeleton of the second results file; that of the first when left out.
    """
    from posefix.evaluation.bootstrap import compare_coco
    from posefix.evaluation.coco import evaluate_coco
    from posefix.formats.coco import read_annotations, read_results
    from posefix.skeletons import load_skeleton

    skeleton = load_skeleton(layout) if layout else None
    truth = read_annotations(annotations)
    poses = read_results(results, skeleton).poses
    if against is None:
        print(evaluate_coco(poses, truth).table())
        return
    other_skeleton = load_skeleton(against_layout) if against_layout else skeleton
    other = read_results(against, other_skeleton).poses
    print(f"before: {against}\nafter: {results}")
    print(compare_coco(other, poses, truth).table())
