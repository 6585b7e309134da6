"""Poses and the photos they were found in, as `posefix draw`, `look` and `review` are told of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Parameter

from posefix.cli.options import Category, Exif, PhotoNames, PoseFormat

if TYPE_CHECKING:
    from posefix.cli.refine import InputOptions
    from posefix.photos.finding import ImageId
    from posefix.pose_files.pose_file import PhotoSize, PoseFile


@Parameter(name="*", group="Input")
@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How poses and photos are read."""

    images: Path
    """Folder of the photos."""
    layout: str | None = None
    """Skeleton of the poses, if the files do not say it: a name of `posefix skeleton`, or a skeleton file."""
    format: PoseFormat = None
    annotations: PhotoNames = None
    category: Category = None
    exif: Exif = "apply"

    def read(self, path: Path) -> PoseFile:
        """A pose file."""
        from posefix.photos.finding import photo_sizes
        from posefix.pictures.reach import check_drawable

        sizes = photo_sizes(self.images, self._names, exif=self.exif)
        file = read_poses(path, self, sizes)
        check_drawable(file.poses, file.path)
        return file

    def find(self, file: PoseFile, image_ids: Collection[ImageId]) -> dict[ImageId, Path]:
        """The photos of some of a file's image ids."""
        from posefix.photos.finding import find_images

        return find_images(image_ids, self.images, self._names or file.file_names)

    @cached_property
    def _names(self) -> dict[ImageId, str] | None:
        from posefix.formats.coco_annotations import read_file_names

        return read_file_names(self.annotations)


def read_poses(path: Path, how: SourceOptions | InputOptions, photo_size: PhotoSize | None) -> PoseFile:
    """A pose file, read as the options of a command say."""
    from posefix.formats.coco_annotations import read_category_names
    from posefix.interchange import read_pose_file

    return read_pose_file(
        path,
        how.layout,
        format=how.format,
        photo_size=photo_size,
        category=how.category,
        category_names=read_category_names(how.annotations if how.category else None),
    )
