"""`posefix posetrack`: what PoseTrack 2018's annotations, one file for each video, are needed for."""

from __future__ import annotations

from pathlib import Path

from posefix.cli.options import Output
from posefix.errors import plural


def merge_annotations(annotations: Path, /, *, output: Output) -> None:
    """Write the annotations of all videos as one COCO file: to train, to name photos for `refine`, to draw.

    Args:
        annotations: Folder of PoseTrack 2018 annotation files, or one of them.
        output: The COCO annotation file to write.
    """
    from posefix.files import ensure_not_input, ensure_writable
    from posefix.formats.coco_posetrack import read_posetrack_annotations, write_merged_annotations

    ensure_not_input(output, [annotations])
    ensure_writable(output)
    truth = read_posetrack_annotations(annotations)
    write_merged_annotations(output, truth)
    people, frames = len(truth.annotations.people), len(truth.annotations.images)
    print(
        f"{plural(people, 'person')} in {plural(frames, 'frame')} of {plural(len(truth.videos), 'video')} written "
        f"to {output}"
    )


def write_results(
    results: Path,
    /,
    *,
    annotations: Path,
    output: Output,
    layout: str | None = None,
) -> None:
    """Write a pose file as PoseTrack 2018 results: one file for each video, with all of its frames.

    Args:
        results: Poses: a file of any format that `posefix refine` takes.
        annotations: Folder of the PoseTrack 2018 annotation files, which name the videos and their frames.
        output: The folder to write, a new or empty one.
        layout: Skeleton of the results, if the file does not say it: a name of `posefix skeleton`, or a skeleton file.
    """
    from posefix.evaluation.posetrack import read_judged_results
    from posefix.files import ensure_new_folder, ensure_not_input
    from posefix.formats.coco_posetrack import read_posetrack_annotations
    from posefix.formats.coco_posetrack_results import write_posetrack_results
    from posefix.interchange.pose_files import load_layout

    ensure_not_input(output, [results, annotations, layout])
    ensure_new_folder(output)
    skeleton = load_layout(layout)
    truth = read_posetrack_annotations(annotations)
    file = read_judged_results(results, skeleton, truth).file
    write_posetrack_results(output, file, truth)
    print(f"{plural(len(file.poses), 'person')} written to {plural(len(truth.videos), 'file')} in {output}")
