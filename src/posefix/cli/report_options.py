"""What `posefix analyze` and `posefix compare` write besides their text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from posefix.cli.options import Exif
from posefix.errors import InputError

if TYPE_CHECKING:
    from posefix.formats.coco_annotations import Annotations
    from posefix.photos.finding import ImageId
    from posefix.pose.poses import Poses


def require_plots(option: str) -> None:
    """Refuse to plot where the library that does is not installed.

    Raises:
        InputError: It is not.
    """
    if find_spec("matplotlib") is None:
        raise InputError(
            f"{option}: plots need matplotlib, not installed here; run: pip install 'posefix[report]'"
        )


@Parameter(name="*", group="Files to write")
@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """Files besides the text on the terminal."""

    json_file: Annotated[Path | None, Parameter(name="--json")] = None
    """Also writes all numbers, with the statuses of every person, to this file."""
    html: Path | None = None
    """Also writes a page for a browser, complete in this one file: figures, a table of people to sort and filter."""
    images: Path | None = None
    """Folder of the photos, for a gallery of people in the page."""
    exif: Exif = "apply"
    plot: Path | None = None
    """Also draws how often each error happens, .svg, .png or .pdf."""

    def check(self, *inputs: Path | str | None) -> None:
        """Find out before the work whether the files can be written.

        Args:
            inputs: What is read, which must stay.

        Raises:
            InputError: They cannot, or one is an input, or photos are given without a page to show them in, or how they
                are turned without photos.
        """
        from posefix.files import ensure_not_input, ensure_writable

        if self.images is not None and self.html is None:
            raise InputError(
                f"--images: photos ({self.images}) are only for the page, give it a name with --html"
            )
        if self.exif != "apply" and self.images is None:
            raise InputError("--exif: only photos are turned, give their folder with --images")
        if self.html is not None or self.plot is not None:
            require_plots("--plot" if self.html is None else "--html")
        for path in self._written():
            ensure_not_input(path, inputs)
            ensure_writable(path)
        if self.plot is not None:
            from posefix.report.files import check_figure_path

            check_figure_path(self.plot)
            ensure_not_input(self.plot, [self.images])

    def find_photos(
        self, results: Mapping[Path, Poses], annotations: Annotations
    ) -> dict[ImageId, Path] | None:
        """The photos that both results and annotations know; None where no folder is given.

        Args:
            results: By their files.
            annotations: What they are measured against.

        Raises:
            InputError: The folder lacks one of them, or one would be replaced by what is written, or a pose cannot be
                drawn on any photo.
        """
        from posefix.files import ensure_not_input
        from posefix.photos.finding import find_images
        from posefix.pictures.reach import check_drawable, check_drawable_people

        if self.images is None:
            return None
        check_drawable_people(annotations)
        for path, poses in results.items():
            check_drawable(poses, path)
        names = {image_id: info.file_name for image_id, info in annotations.images.items()}
        wanted = [image_id for poses in results.values() for image_id in poses.image_ids if image_id in names]
        photos = find_images(wanted, self.images, names)
        for path in self._written():
            ensure_not_input(path, photos.values())
        return photos

    def _written(self) -> list[Path]:
        """The files besides the text."""
        return [path for path in (self.json_file, self.html, self.plot) if path is not None]
