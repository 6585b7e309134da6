"""`posefix draw`, `look` and `synthesize`: poses on photos, the inside of the network, and errors made on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from posefix.cli.options import Output, Words
from posefix.cli.recipe_options import require_pytorch
from posefix.cli.source_options import SourceOptions
from posefix.errors import InputError
from posefix.network import DEFAULT_MODEL_NAME

if TYPE_CHECKING:
    from posefix.photos.finding import ImageId
    from posefix.pictures.drawing import Image
    from posefix.pose.poses import Poses
    from posefix.pose_files.pose_file import PoseFile


def draw(
    results: Path,
    refined: Path | None = None,
    /,
    *,
    source: SourceOptions,
    photos: Words = None,
    people: int = 4,
    output: Output = Path("posefix-poses.png"),
) -> None:
    """Draw photos beside their poses, and beside the refined poses: the people who changed most, or chosen photos.

    Args:
        results: Poses: a file of any format that `posefix refine` takes.
        refined: The same people refined, as `posefix refine` writes them.
        source: How poses and photos are read.
        photos: Image ids of photos to show whole, with everybody in them.
        people: How many people to show, if no photos are chosen: those who changed most, each from another photo; the
            highest scored without REFINED.
        output: The picture to write, .png or .jpg.
    """
    from posefix.pictures.drawing import check_picture_path, write_picture

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
    model: str = DEFAULT_MODEL_NAME,
    output: Output = Path("posefix-look.png"),
) -> None:
    """Draw what the network makes of one person: input and output heatmaps, or feature maps in feed-forward order.

    Args:
        results: Poses: a file of any format that `posefix refine` takes.
        source: How poses and photos are read.
        row: Which row of the results, counted from 0.
        what: The heatmaps on the photo with the coordinates (figure 2), or all stages (figure 5).
        model: A packaged model's name, a model folder, or owner/name[@revision] on the Hugging Face Hub.
        output: The picture to write, .png or .jpg.
    """
    require_pytorch("look")
    from posefix.network.models import load_model
    from posefix.pictures.drawing import check_picture_path, write_picture
    from posefix.pictures.network import draw_features, draw_heatmaps, look_inside

    check_picture_path(output)
    file = source.read(results)
    poses = file.poses
    if not 0 <= row < len(poses):
        raise InputError(f"--row: expected a row of {results}, 0 to {len(poses) - 1}, got {row}")
    image_id = poses.image_ids[row]
    photo = source.find(file, [image_id])[image_id]
    glimpse = look_inside(load_model(model), poses, row, photo, exif=source.exif)
    write_picture(output, draw_heatmaps(glimpse) if what == "heatmaps" else draw_features(glimpse))
    print(f"picture: {output}")


def synthesize(
    annotations: Path,
    /,
    *,
    images: Path,
    output: Output = Path("posefix-synthesis.png"),
    profile: str = "paper",
    people: int = 6,
    seed: int = 0,
    figure: Literal["both", "errors", "poses"] = "both",
) -> None:
    """Draw an example of each error, and true poses beside wrong poses made from them with each error marked.

    Args:
        annotations: A COCO keypoint annotation file.
        images: Folder of its photos.
        output: The picture to write, .png or .jpg.
        profile: How often each error is made: a packaged profile's name, or a profile file.
        people: How many people to show.
        seed: Another number draws other people and errors.
        figure: One panel for each error (figure 3), true beside synthesised poses (figure 4), or both.
    """
    from posefix.pictures.drawing import check_picture_path, write_picture
    from posefix.pictures.synthesised import draw_examples

    check_picture_path(output)
    write_picture(
        output, draw_examples(annotations, images, profile, people=people, seed=seed, figure=figure)
    )
    print(f"picture: {output}")


def _picture(
    file: PoseFile, refined: PoseFile | None, source: SourceOptions, chosen: Sequence[str], people: int
) -> Image:
    from posefix.pictures.gallery import (
        check_same_people,
        draw_close_ups,
        draw_photos,
        most_certain,
        most_changed,
    )

    before, after = file.poses, refined.poses if refined else None
    if refined is not None:
        check_same_people(before, refined.poses, (file.path, refined.path))
    if not len(before):
        raise InputError("results: expected poses to draw, got none")
    if chosen:
        image_ids = [_find_id(before, name) for name in chosen]
        return draw_photos(source.find(file, image_ids), image_ids, before, after, exif=source.exif)
    rows = most_certain(before, people) if after is None else most_changed(before, after, people)
    photos = source.find(file, [before.image_ids[row] for row in rows])
    return draw_close_ups(photos, rows, before, after, exif=source.exif)


def _find_id(poses: Poses, name: str) -> ImageId:
    for image_id in poses.image_ids:
        if str(image_id) == name:
            return image_id
    raise InputError(f"--photos: expected image ids of the results, got {name}, which has no pose")
