"""`posefix posetrack`: between PoseTrack 2018's files, one for each video, and COCO's, one for all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def merge_annotations(annotations: Path, /, *, output: Annotated[Path, Parameter(alias="-o")]) -> None:
    """Write the annotations of all videos as one COCO file: to train, to name photos for `refine`, to draw.

    Args:
        annotations: Folder of PoseTrack 2018 annotation files, or one of them.
        output: The COCO annotation file to write.
    """
    from posefix.files import ensure_writable
    from posefix.formats.coco_posetrack import read_posetrack_annotations, write_merged_annotations

    ensure_writable(output)
    truth = read_posetrack_annotations(annotations)
    write_merged_annotations(output, truth)
    people, frames = len(truth.annotations.people), len(truth.annotations.images)
    print(f"{people} people in {frames} frames of {len(truth.videos)} videos written to {output}")


def read_results(results: Path, /, *, output: Annotated[Path, Parameter(alias="-o")]) -> None:
    """Write PoseTrack 2018 results as one COCO results file, which `refine` takes; track ids stay with their rows.

    Args:
        results: Folder of PoseTrack 2018 results, or one of its files.
        output: The COCO results file to write.
    """
    from posefix.files import ensure_writable
    from posefix.formats.coco import write_results as write
    from posefix.formats.coco_posetrack_results import read_posetrack_results

    ensure_writable(output)
    file = read_posetrack_results(results).file
    write(output, file.rows)
    print(f"{len(file.rows)} rows of layout {file.poses.skeleton.name} written to {output}")


def write_results(
    results: Path, /, *, layout: str, annotations: Path, output: Annotated[Path, Parameter(alias="-o")]
) -> None:
    """Write a COCO results file as PoseTrack 2018 results: one file for each video, with all of its frames.

    Args:
        results: Poses: a COCO results file.
        layout: Skeleton of the results: a name of `posefix skeleton`, or a skeleton file.
        annotations: Folder of the PoseTrack 2018 annotation files, which name the videos and their frames.
        output: Folder to write the files into.
    """
    from posefix.formats.coco import read_results as read
    from posefix.formats.coco_posetrack import read_posetrack_annotations
    from posefix.formats.coco_posetrack_results import write_posetrack_results
    from posefix.skeletons import load_skeleton

    file = read(results, load_skeleton(layout))
    truth = read_posetrack_annotations(annotations)
    write_posetrack_results(output, file, truth)
    print(f"{len(file.rows)} people written to {len(truth.videos)} files in {output}")
