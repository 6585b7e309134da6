"""`posefix draw`, `look` and `synthesize`: poses on photos, the inside of the network, and errors made on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from posefix.cli.options import Category, Exif, Output, Words
from posefix.cli.recipe_options import require_pytorch
from posefix.cli.source_options import SourceOptions
from posefix.errors import InputError
from posefix.network import DEFAULT_MODEL_NAME

if TYPE_CHECKING:
    from posefix.photos.finding import ImageId
    from posefix.pictures.drawing import Image
    from posefix.pose.poses import Poses
    from posefix.pose_files.pose_file import PoseFile


@Parameter(name="*", group="Input")
@dataclass(frozen=True, kw_only=True)
class LabelledPhotosOptions:
    """How labelled people and their photos are read."""

    images: Path
    """Folder of the photos."""
    annotations_layout: str | None = None
    """Skeleton of the annotated people, if the file does not name their keypoints, or by other names, or no sigmas are
    known of them."""
    category: Category = None
    exif: Exif = "apply"


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
    from posefix.pictures.drawing import write_picture

    if people < 1:
        raise InputError(f"--people: expected 1 or more, got {people}")
    _check_output(output, results, refined, source.images, source.annotations, source.layout)
    before = source.read(results)
    after = source.read(refined) if refined else None
    write_picture(output, _picture(before, after, source, photos or [], people, output))
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
    from posefix.pictures.drawing import write_picture
    from posefix.pictures.network import draw_features, draw_heatmaps, look_inside

    _check_output(output, results, source.images, source.annotations, source.layout)
    file = source.read(results)
    poses = file.poses
    if not len(poses):
        raise InputError("results: expected poses to look at, got none")
    if not 0 <= row < len(poses):
        raise InputError(f"--row: expected a row of {results}, 0 to {len(poses) - 1}, got {row}")
    image_id = poses.image_ids[row]
    photo = _find(source, file, [image_id], output)[image_id]
    glimpse = look_inside(load_model(model), poses, row, photo, exif=source.exif)
    write_picture(output, draw_heatmaps(glimpse) if what == "heatmaps" else draw_features(glimpse))
    print(f"picture: {output}")


def synthesize(
    annotations: Path,
    /,
    *,
    source: LabelledPhotosOptions,
    output: Output = Path("posefix-synthesis.png"),
    profile: str = "paper",
    people: int = 6,
    seed: int = 0,
    figure: Literal["both", "errors", "poses"] = "both",
) -> None:
    """Draw an example of each error, and true poses beside wrong poses made from them with each error marked.

    Args:
        annotations: A COCO keypoint annotation file.
        source: How its people and their photos are read.
        output: The picture to write, .png or .jpg.
        profile: How often each error is made: a packaged profile's name, or a profile file.
        people: How many people to show.
        seed: Another number draws other people and errors.
        figure: One panel for each error (figure 3), true beside synthesised poses (figure 4), or both.
    """
    from posefix.files import ensure_not_input
    from posefix.formats.coco_annotations import read_annotations
    from posefix.people import find_photos
    from posefix.pictures.drawing import write_picture
    from posefix.pictures.synthesised import draw_examples

    _check_output(output, annotations, source.images, source.annotations_layout, profile)
    truth = read_annotations(annotations, source.annotations_layout, source.category, overrule=True)
    photos = find_photos(truth, source.images)
    ensure_not_input(output, photos.values())
    picture = draw_examples(truth, photos, profile, people=people, seed=seed, figure=figure, exif=source.exif)
    write_picture(output, picture)
    for line in (*truth.notes, *truth.left_out):
        print(f"{annotations}: {line}")
    print(f"picture: {output}")


def _check_output(output: Path, *inputs: Path | str | None) -> None:
    """Find out before the work whether a picture can be written, and in the place of nothing that is read.

    Raises:
        InputError: It cannot, or is one of the inputs, or a photo that is in the folder of the photos already.
    """
    from posefix.files import ensure_not_input
    from posefix.pictures.drawing import check_picture_path

    check_picture_path(output)
    ensure_not_input(output, inputs)


def _find(
    source: SourceOptions, file: PoseFile, image_ids: Sequence[ImageId], output: Path
) -> dict[ImageId, Path]:
    """The photos of image ids, which may lie in folders of their folder; none is where the picture is written."""
    from posefix.files import ensure_not_input

    photos = source.find(file, image_ids)
    ensure_not_input(output, photos.values())
    return photos


def _picture(
    file: PoseFile,
    refined: PoseFile | None,
    source: SourceOptions,
    chosen: Sequence[str],
    people: int,
    output: Path,
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
        photos = _find(source, file, image_ids, output)
        return draw_photos(photos, image_ids, before, after, exif=source.exif)
    rows = most_certain(before, people) if after is None else most_changed(before, after, people)
    photos = _find(source, file, [before.image_ids[row] for row in rows], output)
    return draw_close_ups(photos, rows, before, after, exif=source.exif)


def _find_id(poses: Poses, name: str) -> ImageId:
    for image_id in poses.image_ids:
        if str(image_id) == name:
            return image_id
    raise InputError(f"--photos: expected image ids of the results, got {name}, which has no pose")
