"""What new files are called in formats that have a file for each photo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PureWindowsPath

from posefix.photos.finding import IMAGE_SUFFIXES
from posefix.pose.poses import ImageId
from posefix.pose_files.pose_file import FormatError, NewFile


def photo_stems(new: NewFile, files: str) -> dict[ImageId, str]:
    """The name of each photo without its ending.

    Args:
        new: What is to be written.
        files: What messages call the format's files.

    Raises:
        FormatError: A photo has no name, or two have one, so that their files would be the same.
    """
    stems = {image_id: photo_stem(new, image_id) for image_id in dict.fromkeys(new.poses.image_ids)}
    owners: dict[str, ImageId] = {}
    for image_id, stem in stems.items():
        if not stem:
            raise FormatError(
                f"image id {image_id!r} has no name of a photo: expected one, since {files} are called as the photos; "
                "give the photo a name."
            )
        # To the file systems of macOS and Windows, A.txt and a.txt are one file.
        if (other := owners.setdefault(stem.casefold(), image_id)) != image_id:
            raise FormatError(
                f"image ids {other!r} and {image_id!r} are both of a photo {stem!r}: expected names of their own, "
                f"whatever their case, since {files} are called as the photos; rename one of them."
            )
    return stems


def photo_stem(new: NewFile, image_id: ImageId) -> str:
    """A photo's name without folder and ending; the image id where the name is not known."""
    name = PureWindowsPath(str(new.file_names.get(image_id, image_id)))  # knows both kinds of slashes
    return name.stem if name.suffix.lower() in IMAGE_SUFFIXES else name.name


def are_frames(new: NewFile) -> bool:
    """Whether image ids are numbers of frames rather than of photos, whose names would be known."""
    ids = new.poses.image_ids
    return bool(ids) and not new.file_names and all(isinstance(image_id, int) for image_id in ids)


def ids_of_frames(videos: Sequence[str], frames: Sequence[int]) -> list[ImageId]:
    """Ids of frames: their numbers, and where there are several videos, VIDEO/NUMBER.

    Args:
        videos: Of each frame the video, by name or path; the empty text where nobody says it.
        frames: The number of each.

    Example:
        >>> ids_of_frames(["a.mp4", "a.mp4"], [0, 1]), ids_of_frames(["v/a.mp4", "b.mp4"], [0, 0])
        ([0, 1], ['a.mp4/0', 'b.mp4/0'])
    """
    if len(set(videos)) < 2:
        return list(frames)
    names = {video: PureWindowsPath(video).name for video in set(videos)}
    if len(set(names.values())) < len(names):  # folders tell them apart
        names = {video: video for video in names}
    return [f"{names[video]}/{frame}" for video, frame in zip(videos, frames, strict=True)]
