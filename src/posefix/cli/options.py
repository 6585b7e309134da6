"""Options that several commands have, each declared once; what a command says of it in its own words stands there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

Output = Annotated[Path, Parameter(alias="-o")]
OptionalOutput = Annotated[Path | None, Parameter(alias="-o")]
Flag = Annotated[bool, Parameter(negative=())]
Files = Annotated[list[Path] | None, Parameter(consume_multiple=True, negative=())]
Words = Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())]
"""Several values in one list of words, up to the next option."""
Settings = Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True, negative=())]
"""Changes to a recipe, see `posefix.cli.recipe_options.read_recipe`."""

Layout = Annotated[
    str | None,
    Parameter(
        help="Skeleton of the poses, if the file does not say it: a name of `posefix skeleton`, or a skeleton file."
    ),
]
PoseFormat = Annotated[
    str | None,
    Parameter(
        help="Format of the poses, one of docs/formats.md; by default, recognised by the content (see `posefix "
        "inspect`)."
    ),
]
PhotoNames = Annotated[
    Path | None,
    Parameter(
        help="COCO annotation file that names the photos; by default, image ids are matched to file names."
    ),
]
Category = Annotated[
    str | None,
    Parameter(
        help="The category that is meant: its name or id in COCO's annotations; in its results the id, or the name "
        "that annotations give it (--annotations); in others the label of skeletons or boxes."
    ),
]
AnnotationsLayout = Annotated[
    str | None,
    Parameter(
        help="Skeleton of the annotated people, if the file does not name their keypoints, or by other names; by "
        "default that of the results, if the file names none."
    ),
]
Exif = Annotated[
    Literal["apply", "ignore"],
    Parameter(
        help="Whether the coordinates are those of the photo turned as its EXIF orientation says, or as stored."
    ),
]
VideoFile = Annotated[
    Path | None,
    Parameter(
        help="The video, instead of --images: image ids are numbers of frames, or end in one, such as clip_0012.jpg."
    ),
]
