"""`posefix prepare`: people cut out of their photos once, for training."""

from __future__ import annotations

import json

from posefix.cli.options import Files, Output, Settings
from posefix.cli.recipe_options import read_recipe, require_pytorch
from posefix.errors import InputError, plural

DEFAULT_RECIPE = "coco-simple-resnet50-256x192"
"""Where no recipe says how large crops are, they are the paper's; people and labels are as by default."""


def prepare(
    recipe: str | None = None,
    /,
    *,
    output: Output,
    annotations: Files = None,
    images: Files = None,
    resolution: float = 1.25,
    quality: int = 92,
    settings: Settings = None,
) -> None:
    """Cut people out of their photos once, so that `posefix train --shards` decodes no photo again.

    Finished shards stay: the same command goes on where it stopped, and mends what was damaged. All people that the
    recipe does not hold out are cut, so that the shards serve any `data.limit` and `data.repeats`.

    Args:
        recipe: A packaged recipe's name, or a recipe file (TOML); needed where there are no --annotations.
        output: A new folder for the shards, or one in which the same was begun.
        annotations: COCO keypoint files, instead of the recipe's; may be given several times.
        images: The folder of each file's photos, in the same order.
        resolution: Pixels kept for each pixel of the crop around a true pose, at most.
        quality: Of the JPEG files, 1 to 100.
        settings: A change to the recipe, such as data.root=../data; may be given several times.
    """
    require_pytorch("prepare")
    from posefix.cli.progress import ProgressBar
    from posefix.training.prepared import prepare as run

    if recipe is None and not annotations:
        raise InputError(
            "name a recipe, or COCO keypoint files with --annotations and their photos with --images"
        )
    changes = {}
    for key, paths in (("annotations", annotations), ("images", images)):
        if paths:
            changes[f"data.{key}"] = json.dumps([str(path.resolve()) for path in paths])
    config = read_recipe(recipe or DEFAULT_RECIPE, settings, changes)
    with ProgressBar("preparing") as bar:
        done = run(config, output, resolution=resolution, quality=quality, on_person=bar)
    size = f"{done.bytes / 2**20:.0f} MiB"
    print(f"shards: {output}: {plural(done.people, 'person')} of {plural(done.photos, 'photo')}, {size}")
