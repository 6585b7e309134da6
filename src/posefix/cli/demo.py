"""`posefix demo`."""

from __future__ import annotations

from pathlib import Path

from posefix.cli.options import Output
from posefix.errors import InputError
from posefix.network import DEFAULT_MODEL_NAME

NEXT = """
Next, with a file of your own estimator and its photos (or the demo's: posefix demo --files .):
  posefix inspect poses.json --layout coco17
  posefix refine poses.json --layout coco17 --images photos/ -o refined.json
  posefix draw poses.json refined.json --layout coco17 --images photos/"""

TRY = """
In that folder:
  posefix refine poses.json --layout coco17 --images photos/ -o refined.json
  posefix draw poses.json refined.json --layout coco17 --images photos/ --photos 11
  posefix evaluate refined.json --layout coco17 --annotations truth.json --against poses.json"""


def demo(
    *,
    image: Path | None = None,
    poses: Path | None = None,
    layout: str | None = None,
    output: Output = Path("posefix-demo.png"),
    model: str = DEFAULT_MODEL_NAME,
    files: Path | None = None,
) -> None:
    """Refine the poses of one photo, write a picture before and after, and say what was repaired.

    Args:
        image: A photo; a packaged one, with an estimator's poses, when left out.
        poses: Poses of the photo: a file of any format that `posefix refine` takes.
        layout: Skeleton of the poses: a name of `posefix skeleton`, or a skeleton file.
        output: The picture to write, .png or .jpg.
        model: A packaged model's name, a model folder, or owner/name[@revision] on the Hugging Face Hub.
        files: Only write the packaged photo, its poses and annotations into this folder, as photos/, poses.json and
            truth.json, to try the other commands on.
    """
    if files is not None:
        from posefix.cli.demo_files import write_demo_files

        if image or poses or layout:
            raise InputError("--files: writes what is packaged; leave --image, --poses and --layout out")
        written = write_demo_files(files)
        print("\n".join([*(f"written: {path}" for path in written), TRY]))
        return
    from posefix.cli.demo_scene import packaged_scene, read_scene, refine_scene
    from posefix.files import ensure_not_input
    from posefix.pictures.drawing import check_picture_path
    from posefix.refine.refiner import Refiner
    from posefix.skeletons import load_skeleton

    if (image is None) != (poses is None):
        raise InputError("--image and --poses: expected both or neither, got one; give a photo and its poses")
    check_picture_path(output)
    ensure_not_input(output, [image, poses, layout])
    skeleton = load_skeleton(layout) if layout else None
    scene = read_scene(image, poses, skeleton) if image and poses else packaged_scene()
    shown = refine_scene(scene, Refiner.from_pretrained(model))
    shown.write(output)
    print(f"{shown.summary()}\npicture: {output}\n{NEXT}")
