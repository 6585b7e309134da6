"""One photo refined and shown: what `posefix demo` does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError, plural
from posefix.files import read_json
from posefix.interchange import read_pose_file
from posefix.photos.finding import decode_image, image_ids_of
from posefix.pictures.drawing import before_after, write_picture
from posefix.pose.poses import FloatArray, Poses
from posefix.pose_errors.taxonomy import LabelledPeople, Status, classify
from posefix.refine.boxes import WholeBoxes
from posefix.refine.refiner import Refiner
from posefix.refine.results import RefinementReport
from posefix.skeletons import Skeleton, load_skeleton

DEMO = Path(__file__).parent.parent / "data" / "demo"
SAMPLE_PHOTO = DEMO / "apollo11.jpg"
"""The crew of Apollo 11 (NASA, public domain)."""
SAMPLE_POSES = DEMO / "apollo11.efficientpose16.json"
"""What an estimator found in it; ``annotated_keypoints`` are the true places, annotated by hand."""
SAMPLE_LAYOUT = "efficientpose16"
TELLING_CHANGE = 10.0
"""Pixels by which an error becomes smaller or larger that is worth a line."""
AREA_OF_BOX = 0.53
"""Of a person in a box, as where COCO's segments are not known."""


@dataclass(frozen=True)
class Scene:
    """A photo and the poses that an estimator found in it.

    Attributes:
        photo: The file.
        image: (H, W, 3) uint8 RGB.
        poses: In pixels of the photo.
        boxes: bbox_xywh (N, 4) of the people, where the file has them.
        truth: (N, K, 2) where the keypoints truly are, NaN where nobody knows; None without annotations.
        names: Of the people; empty where nobody knows.
    """

    photo: Path
    image: npt.NDArray[np.uint8]
    poses: Poses
    boxes: FloatArray | None = None
    truth: FloatArray | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class ErrorChange:
    """A keypoint that is nearer to the truth now, or farther from it.

    Attributes:
        person: Row in the poses.
        keypoint: Its name.
        kind: Of its error before, as `posefix.pose_errors.taxonomy` calls it.
        before: From the truth to its old place, pixels.
        after: From the truth to its new place, pixels.
    """

    person: int
    keypoint: str
    kind: str
    before: float
    after: float


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

    def error_changes(self) -> tuple[ErrorChange, ...]:
        """What became better or worse by `TELLING_CHANGE` or more, person by person; nothing without a truth."""
        scene = self.scene
        if scene.truth is None or scene.boxes is None:
            return ()
        before = np.linalg.norm(scene.poses.keypoints - scene.truth, axis=-1)
        after = np.linalg.norm(self.after.keypoints - scene.truth, axis=-1)
        kinds = _kinds(scene.poses, scene.truth, scene.boxes)
        both = scene.poses.valid & self.after.valid
        telling = both & (np.abs(np.nan_to_num(after - before)) >= TELLING_CHANGE)
        return tuple(
            ErrorChange(
                person,
                scene.poses.skeleton.keypoint_names[index],
                Status(kinds[person, index]).label,
                float(before[person, index]),
                float(after[person, index]),
            )
            for person, index in np.argwhere(telling).tolist()
        )

    def moves(self) -> dict[str, float]:
        """How far each keypoint moved, in pixels: the median over the people who have it before and after."""
        before, after = self.scene.poses, self.after
        moved = np.linalg.norm(after.keypoints - before.keypoints, axis=-1)
        both = before.valid & after.valid
        return {
            name: float(np.median(moved[both[:, index], index]))
            for index, name in enumerate(before.skeleton.keypoint_names)
            if both[:, index].any()
        }

    def summary(self) -> str:
        """What changed: errors where the truth is known, else moves; and a line if keypoints were held back."""
        scene, (height, width) = self.scene, self.scene.image.shape[:2]
        people = plural(len(scene.poses), "person")
        head = f"{people}, {scene.poses.skeleton.name}, photo of {width} x {height} pixels"
        lines = [head, *(self._errors() if scene.truth is not None else self._moves())]
        held_back = self.report.held_back()
        return "\n".join([*lines, *([held_back] if held_back else [])])

    def _errors(self) -> list[str]:
        changes = self.error_changes()
        names = self.scene.names or tuple(f"person {row + 1}" for row in range(len(self.scene.poses)))
        better = [change for change in changes if change.after < change.before]
        rows = [["person", "keypoint", "error", "before", "after"]]
        for change in changes:
            who = names[change.person]
            rows.append([who, change.keypoint, change.kind, _pixels(change.before), _pixels(change.after)])
        return [
            *_table(rows, texts=3),
            f"{plural(len(better), 'keypoint')} repaired, {len(changes) - len(better)} made worse",
        ]

    def _moves(self) -> list[str]:
        heading = "moved" if len(self.scene.poses) == 1 else "moved, median"
        rows = [["keypoint", heading], *([name, _pixels(moved)] for name, moved in self.moves().items())]
        return _table(rows, texts=1)


def packaged_scene() -> Scene:
    """A sample photo, and poses with an estimator's own errors."""
    scene = read_scene(SAMPLE_PHOTO, SAMPLE_POSES, load_skeleton(SAMPLE_LAYOUT))
    rows = read_json(SAMPLE_POSES)
    annotated = np.array([row["annotated_keypoints"] for row in rows], dtype=np.float64).reshape(
        len(rows), -1, 3
    )
    truth = np.where(annotated[..., 2:] > 0, annotated[..., :2], np.nan)
    return replace(scene, truth=truth, names=tuple(row["name"] for row in rows))


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
    file = read_pose_file(results, skeleton, photo_size=lambda _: (width, height))
    poses = file.poses
    wanted = image_ids_of(photo, set(poses.image_ids))
    rows = [row for row, image_id in enumerate(poses.image_ids) if image_id in wanted]
    if not rows:
        raise InputError(
            f"{results}: expected poses of {photo.name}, got none in {plural(len(poses), 'row')}; an image_id must "
            "equal the "
            "photo's file name, without its ending, or the number that ends it"
        )
    return Scene(photo, image, poses[rows], None if file.boxes is None else file.boxes[rows])


def refine_scene(scene: Scene, refiner: Refiner) -> RefinedScene:
    """Refine all people of a scene; keypoints that the estimator did not find stay missing."""
    poses = scene.poses
    photos = dict.fromkeys(poses.image_ids, scene.photo)
    boxes = None if scene.boxes is None else WholeBoxes(scene.boxes)
    refined = refiner.refine(poses, photos, boxes=boxes, missing="keep")
    return RefinedScene(scene, poses.with_keypoints(refined.poses.keypoints), refined.report)


def _kinds(poses: Poses, truth: FloatArray, boxes: FloatArray) -> npt.NDArray[np.int64]:
    """The `Status` (N, K) of each keypoint of people who are each other's neighbours."""
    labelled = ~np.isnan(truth[..., 0])
    places, area = np.nan_to_num(truth), AREA_OF_BOX * boxes[:, 2] * boxes[:, 3]
    count = len(poses)
    others = np.array(
        [[other for other in range(count) if other != row] for row in range(count)], dtype=np.intp
    )
    people = LabelledPeople(
        places, labelled, area, places[others], labelled[others], area[others], np.full(count, count - 1)
    )
    return np.asarray(classify(poses.keypoints, people, poses.skeleton))


def _pixels(distance: float) -> str:
    return f"{distance:.1f} px"


def _table(rows: list[list[str]], texts: int) -> list[str]:
    """Lines with the first columns to the left, which are text, and numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if column < texts else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
