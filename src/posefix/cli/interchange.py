"""`posefix inspect`, `posefix convert` and `posefix validate`: pose files of any format."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from posefix.cli.options import Category, Layout, PhotoNames, VideoFile
from posefix.errors import InputError
from posefix.network import DEFAULT_MODEL_NAME

if TYPE_CHECKING:
    from posefix.interchange.pose_files import Hints

EXIT_FAULTS = 2


@Parameter(name="*", group="Input")
@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """How a pose file is read."""

    layout: Layout = None
    format: Annotated[str | None, Parameter(name="--format")] = None
    """Format of the file, one of docs/formats.md; by default, recognised by the content."""
    images: Path | None = None
    """Folder of the photos: to look whether each is there, and for coordinates that are shares of a photo."""
    annotations: PhotoNames = None
    category: Category = None

    def hints(self) -> Hints:
        """The same, with the names that the annotation file gives."""
        from posefix.formats.coco_annotations import read_category_names, read_file_names
        from posefix.interchange.pose_files import Hints

        names = read_file_names(self.annotations)
        return Hints(
            layout=self.layout,
            format=self.format,
            images=self.images,
            file_names=names,
            category=self.category,
            category_names=read_category_names(self.annotations if self.category else None),
        )


@Parameter(name="*", group="Input")
@dataclass(frozen=True, kw_only=True)
class CheckingOptions(ReadingOptions):
    """How a pose file is read that is only looked at."""

    video: VideoFile = None
    first_frame: Literal[0, 1] = 0
    """The number of the video's first frame in the file of the poses."""

    def hints(self) -> Hints:
        """The same, with the names that the annotation file gives, and the video.

        Raises:
            InputError: Photos and a video are given, a first frame without one, or the video cannot be read.
        """
        from posefix.cli.video_options import open_video

        if self.images is not None and self.video is not None:
            raise InputError("--images, --video: expected a folder of photos or a video, not both")
        if self.video is None and self.first_frame != 0:
            raise InputError("--first-frame: needs --video, whose frames are counted")
        video = None if self.video is None else open_video(self.video)
        return replace(super().hints(), video=video, first_frame=self.first_frame)


DEFAULT_READING, DEFAULT_CHECKING = ReadingOptions(), CheckingOptions()


def inspect(
    file: Path, /, *, reading: CheckingOptions = DEFAULT_CHECKING, model: str = DEFAULT_MODEL_NAME
) -> int:
    """Say what a pose file holds: format, layout, people, photos, scores, what would be refined, what is odd.

    Args:
        file: A file of any format of docs/formats.md, or a folder of one.
        reading: How the file is read.
        model: A packaged model's name, a model folder, or owner/name[@revision] on the Hugging Face Hub: its keypoints
            are those that would be refined.

    Returns:
        Exit code: 2 if the file cannot be read, or its layout must be named first.
    """
    from posefix.interchange.inspection import inspect_file
    from posefix.network.models import load_model

    inspection = inspect_file(file, load_model(model).skeleton, reading.hints())
    print(inspection)
    return EXIT_FAULTS if inspection.faults else 0


def convert(
    file: Path,
    output: Path,
    /,
    *,
    to: Annotated[str, Parameter(name="--to")],
    to_layout: str | None = None,
    least_score: float | None = None,
    reading: ReadingOptions = DEFAULT_READING,
) -> None:
    """Write the poses of a file as a new file of another format or layout; says which keypoints are lost or missing.

    Args:
        file: A file of any format of docs/formats.md, or a folder of one.
        output: The file to write, ending as files of the new format do; a new folder for formats that are one.
        to: Format to write, one of docs/formats.md.
        to_layout: Skeleton to write, matched by keypoint names; that of the file when left out.
        least_score: Leave out keypoints with a lower score: labels have none, and would call each of them visible.
        reading: How the file is read.
    """
    from posefix.files import ensure_not_input
    from posefix.interchange import ensure_new_output
    from posefix.interchange.conversion import convert as convert_poses
    from posefix.interchange.detection import find_format
    from posefix.interchange.pose_files import load_layout
    from posefix.interchange.reading_back import write_checked_pose_file

    wanted = find_format(to, "--to")
    ensure_new_output(output, to)
    ensure_not_input(output, [file, reading.annotations, reading.layout, to_layout])
    layout, hints = load_layout(to_layout), reading.hints()
    source = hints.read(file)
    names = hints.photo_names(source)
    conversion = convert_poses(source, layout, hints.photo_size(names), names, least_score)
    # Who reads the new file finds photos by the names in it, and not by the ids of the old one.
    write_checked_pose_file(output, conversion.new, to, hints.photo_size(None))
    print("\n".join([conversion.report(), *source.left_out]))
    people, photos = len(source.poses), len(set(source.poses.image_ids))
    if wanted.keypoints_needed:
        people = int(conversion.new.poses.valid.any(axis=1).sum())
        if lost := len(source.poses) - people:
            print(f"people without a keypoint, for whom {to} has no place, left out: {lost}")
    whom, where = "person" if people == 1 else "people", "photo" if photos == 1 else "photos"
    print(f"{people} {whom} in {photos} {where} written to {output}: {source.format} -> {to}")


def validate(file: Path, /, *, reading: CheckingOptions = DEFAULT_CHECKING) -> int:
    """List everything that is wrong with a pose file: file, record, field, and how to mend it.

    Args:
        file: A file of any format of docs/formats.md, or a folder of one.
        reading: How the file is read.

    Returns:
        Exit code: 2 if there are faults.
    """
    from posefix.interchange.validation import validate as find_faults

    validation = find_faults(file, reading.hints())
    print(validation)
    return EXIT_FAULTS if validation.faults or validation.truth_faults else 0
