"""`posefix draw` and `posefix look`: poses on photos, and what the network makes of a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from posefix.cli.training import require_pytorch
from posefix.errors import InputError

if TYPE_CHECKING:
    from posefix.drawing import Image
    from posefix.images import ImageId
    from posefix.poses import Poses


@Parameter(name="*", group="Poses and photos")
@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """How results and photos are read."""

    images: Path
    """Folder of the photos."""
    layout: str | None = None
    """Skeleton of the poses, if the file does not say it: a name of `posefix skeleton`, or a skeleton file."""
    annotations: Path | None = None
    """COCO annotation file that names the photos; by default, image ids are matched to file names."""

    def find(self, image_ids: Sequence[ImageId]) -> dict[ImageId, Path]:
        """The photos of some ids."""
        from posefix.formats.coco import read_file_names
        from posefix.images import find_images

        return find_images(image_ids, self.images, read_file_names(self.annotations))

    def read(self, results: Path) -> Poses:
        """The poses of a results file."""
        from posefix.interchange import read_pose_file

        return read_pose_file(results, self.layout).poses


def draw(
    results: Path,
    refined: Path | None = None,
    /,
    *,
    source: SourceOptions,
    photos: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    people: int = 4,
    output: Annotated[Path, Parameter(alias="-o")] = Path("posefix-poses.png"),
) -> None:
    """Draw photos beside their poses, and beside the refined poses: the people who changed most, or chosen photos.

    Args:
        results: Poses: a file of any format that `posefix refine` takes.
        refined: The same people refined, as `posefix refine` writes them.
        source: How results and photos are read.
        photos: Image ids of photos to show whole, with everybody in them.
        people: How many people to show, if no photos are chosen: those who changed most, each from another photo; the
            highest scored without REFINED.
        output: The picture to write, .png or .jpg.
    """
    from posefix.drawing import check_picture_path, write_picture

    if people < 1:
        raise InputError(f"--people: expected 1 or more, got {people}")
    check_picture_path(output)
    before = source.read(results)
    after = source.read(refined) if refined else None
    write_picture(output, _picture(before, after, source, photos or [], people))
    print(f"picture: {output}")


def look(
    results: Path,
    /,
    *,
    source: SourceOptions,
    row: int = 0,
    what: Annotated[Literal["heatmaps", "features"], Parameter(name="--show")] = "heatmaps",
    model: str = "small",
    output: Annotated[Path, Parameter(alias="-o")] = Path("posefix-look.png"),
) -> None:
    """Draw what the network makes of one person: input and output heatmaps, or feature maps in feed-forward order.

    Args:
        results: Poses: a file of any format that `posefix refine` takes.
        source: How results and photos are read.
        row: Which row of the results, counted from 0.
        what: The heatmaps on the photo with the coordinates (figure 2), or all stages (figure 5).
        model: A packaged model's name, or a model folder.
        output: The picture to write, .png or .jpg.
    """
    require_pytorch("look")
    from posefix.drawing import check_picture_path, write_picture
    from posefix.models import load_model
    from posefix.network_pictures import draw_features, draw_heatmaps, look_inside

    check_picture_path(output)
    poses = source.read(results)
    if not 0 <= row < len(poses):
        raise InputError(f"--row: expected a row of {results}, 0 to {len(poses) - 1}, got {row}")
    image_id = poses.image_ids[row]
    glimpse = look_inside(load_model(model), poses, row, source.find([image_id])[image_id])
    write_picture(output, draw_heatmaps(glimpse) if what == "heatmaps" else draw_features(glimpse))
    print(f"picture: {output}")


def _picture(
    before: Poses, after: Poses | None, source: SourceOptions, chosen: Sequence[str], people: int
) -> Image:
    from posefix.gallery import check_same_people, draw_close_ups, draw_photos, most_certain, most_changed

    check_same_people(before, after)
    if not len(before):
        raise InputError("results: expected poses to draw, got none")
    if chosen:
        image_ids = [_find_id(before, name) for name in chosen]
        return draw_photos(source.find(image_ids), image_ids, before, after)
    rows = most_certain(before, people) if after is None else most_changed(before, after, people)
    return draw_close_ups(source.find([before.image_ids[row] for row in rows]), rows, before, after)


def _find_id(poses: Poses, name: str) -> ImageId:
    for image_id in poses.image_ids:
        if str(image_id) == name:
            return image_id
    raise InputError(f"--photos: expected image ids of the results, got {name}, which has no pose")
