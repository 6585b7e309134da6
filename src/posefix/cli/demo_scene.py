"""One photo refined and shown: what `posefix demo` does."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.files import read_json
from posefix.interchange import read_pose_file
from posefix.photos.finding import decode_image, image_ids_of
from posefix.pictures.drawing import before_after, write_picture
from posefix.pose.poses import FloatArray, Poses
from posefix.refine.refiner import Refiner
from posefix.refine.results import RefinementReport
from posefix.skeletons import Skeleton, load_skeleton

PACKAGED_POSES = Path(__file__).parent.parent / "data" / "demo" / "grace_hopper.coco17.json"
"""A pose as an estimator might find it: the nose jitters, the shoulders are exchanged, the left ear is missed, what
lies outside the photo is missing. ``annotated_keypoints`` are the true places, annotated by hand."""


@dataclass(frozen=True)
class Scene:
    """A photo and the poses that an estimator found in it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        poses: In pixels of the photo.
        truth: (N, K, 2) where the keypoints truly are, NaN where nobody knows; None without annotations.
    """

    image: npt.NDArray[np.uint8]
    poses: Poses
    truth: FloatArray | None = None


@dataclass(frozen=True)
class KeypointChange:
    """What became of one keypoint; distances in pixels, medians over the people who have it.

    Attributes:
        name: Of the keypoint.
        moved: From its old place to its new one.
        before: From the truth to its old place, None if the truth is not known.
        after: From the truth to its new place, None if the truth is not known.
    """

    name: str
    moved: float
    before: float | None = None
    after: float | None = None


@dataclass(frozen=True)
class RefinedScene:
    """A photo with its poses before and after.

    Attributes:
        scene: As the estimator found them.
        after: The same people, refined.
        report: What the refinement did.
    """

    scene: Scene
    after: Poses
    report: RefinementReport

    def write(self, path: str | Path) -> None:
        """Write the picture: before on the left, after on the right."""
        before, after = self.scene.poses, self.after
        picture = before_after(
            self.scene.image,
            (before.keypoints, before.valid),
            (after.keypoints, after.valid),
            before.skeleton,
        )
        write_picture(path, picture)

    def changes(self) -> tuple[KeypointChange, ...]:
        """What became of each keypoint that somebody has before and after."""
        before, after, truth = self.scene.poses, self.after, self.scene.truth
        changes = []
        for index, name in enumerate(before.skeleton.keypoint_names):
            rows = before.valid[:, index] & after.valid[:, index]
            old, new = before.keypoints[rows, index], after.keypoints[rows, index]
            if not rows.any():
                continue
            if truth is None or np.isnan(truth[rows, index]).any():
                changes.append(KeypointChange(name, _median_distance(old, new)))
            else:
                true = truth[rows, index]
                errors = _median_distance(old, true), _median_distance(new, true)
                changes.append(KeypointChange(name, _median_distance(old, new), *errors))
        return tuple(changes)

    def summary(self) -> str:
        """A table with a line for each keypoint, and a line if keypoints were held back."""
        poses, (height, width) = self.scene.poses, self.scene.image.shape[:2]
        people = "1 person" if len(poses) == 1 else f"{len(poses)} people, medians"
        head = f"{people}, {poses.skeleton.name}, photo of {width} x {height} pixels"
        known = self.scene.truth is not None
        rows = [["keypoint", "moved", *(["error before", "error after"] if known else [])]]
        for change in self.changes():
            errors = [change.before, change.after] if known else []
            rows.append([change.name, *map(_pixels, [change.moved, *errors])])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        held_back = self.report.held_back()
        return "\n".join([head, *(_line(row, widths) for row in rows), *([held_back] if held_back else [])])


def sample_photo() -> Path:
    """The portrait in matplotlib's sample data: Rear Admiral Grace Hopper (United States Navy, public domain).

    Raises:
        InputError: matplotlib is not installed, or without its sample data.
    """
    library = find_spec("matplotlib")
    folder = Path(library.origin).parent if library is not None and library.origin is not None else Path()
    photo = folder / "mpl-data" / "sample_data" / "grace_hopper.jpg"
    if not photo.is_file():
        raise InputError(
            "the sample photo is matplotlib's grace_hopper.jpg, which is not installed here; "
            "run `pip install matplotlib`, or give a photo and poses of your own"
        )
    return photo


def packaged_scene() -> Scene:
    """A sample photo, and a pose with an estimator's typical errors."""
    skeleton = load_skeleton("coco17")
    scene = read_scene(sample_photo(), PACKAGED_POSES, skeleton)
    rows = read_json(PACKAGED_POSES)
    annotated = np.array([row["annotated_keypoints"] for row in rows], dtype=np.float64).reshape(
        len(rows), -1, 3
    )
    truth = np.where(annotated[..., 2:] > 0, annotated[..., :2], np.nan)
    return Scene(scene.image, scene.poses, truth)


def read_scene(photo: Path, results: Path, skeleton: Skeleton | None) -> Scene:
    """Read a photo and, from a pose file, its poses.

    Args:
        photo: The photo.
        results: A pose file of any format; rows of other photos are left out.
        skeleton: Layout of the results; None where the file says it.

    Raises:
        InputError: One of the files is faulty, or no row belongs to the photo.
    """
    image = decode_image(photo)
    height, width = image.shape[:2]
    poses = read_pose_file(results, skeleton, photo_size=lambda _: (width, height)).poses
    wanted = image_ids_of(photo, set(poses.image_ids))
    rows = [row for row, image_id in enumerate(poses.image_ids) if image_id in wanted]
    if not rows:
        raise InputError(
            f"{results}: expected poses of {photo.name}, got none in {len(poses)} rows; an image_id must equal the "
            "photo's file name, without its ending, or the number that ends it"
        )
    return Scene(image, poses[rows])


def refine_scene(scene: Scene, refiner: Refiner) -> RefinedScene:
    """Refine all people of a scene; keypoints that the estimator did not find stay missing."""
    poses = scene.poses
    scores = np.where(poses.valid, 1.0, 0.0)
    refined = refiner(scene.image, poses.keypoints, scores, skeleton=poses.skeleton, missing="keep")
    return RefinedScene(scene, poses.with_keypoints(refined.keypoints), refined.report)


def _median_distance(start: FloatArray, end: FloatArray) -> float:
    return float(np.median(np.linalg.norm(end - start, axis=-1)))


def _pixels(distance: float | None) -> str:
    return "" if distance is None else f"{distance:.1f} px"


def _line(cells: list[str], widths: list[int]) -> str:
    """Names to the left, numbers to the right of their columns."""
    numbers = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
    return "  ".join([cells[0].ljust(widths[0]), *numbers]).rstrip()
