"""The refiner: NumPy in, NumPy out, one photo or many."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from posefix import geometry
from posefix.errors import InputError
from posefix.images import Exif, ImageId, find_images
from posefix.models import load_model
from posefix.poses import Poses
from posefix.refine.backends import Backend, flip_averaged, open_backend
from posefix.refine.boxes import check_boxes
from posefix.refine.pipeline import Crops, CropStream, FailedPhoto, PhotoTask, batches, cut_crops
from posefix.refine.results import RefinedPoses, Refinement, RefinementReport
from posefix.refine.vocabulary import (
    BoolArray,
    FloatArray,
    MergedPoses,
    Missing,
    People,
    merge,
    poses_from_arrays,
    prepare,
)
from posefix.skeletons import Skeleton, load_skeleton

OnError = Literal["stop", "keep"]
Progress = Callable[[int, int], None]
"""Called with the number of people done and of people in all, after each batch."""


@dataclass(frozen=True)
class Refiner:
    """Moves the keypoints of poses to where the photo shows them.

    Attributes:
        backend: Runs the network.
        skeleton: The keypoints that the network knows, in the order of its channels.
        input_size_wh: Width and height of the crops that the network takes, pixels.
        batch_size: People refined at once.
        flip_test: Average with the result for the mirrored photo; twice the work, better coordinates.

    Example:
        >>> refiner = Refiner.from_pretrained("small")  # doctest: +SKIP
        >>> refined = refiner(image, keypoints, scores, skeleton="coco17")  # doctest: +SKIP
    """

    backend: Backend
    skeleton: Skeleton
    input_size_wh: tuple[int, int]
    batch_size: int = 32
    flip_test: bool = True

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InputError(f"batch_size: expected 1 or more, got {self.batch_size}")

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | Path = "small",
        *,
        device: str = "auto",
        threads: int | None = None,
        batch_size: int = 32,
    ) -> Refiner:
        """Load a trained model.

        Args:
            name_or_folder: A packaged model's name, or a folder with a model of your own.
            device: As in `posefix.refine.backends.open_backend`.
            threads: Of the network on a CPU; None is one per core.
            batch_size: People refined at once.

        Raises:
            InputError: No such model or device.
        """
        model = load_model(name_or_folder)
        backend = open_backend(model, device=device, threads=threads)
        return cls(backend, model.skeleton, model.input_size_wh, batch_size)

    def __call__(
        self,
        image: npt.NDArray[np.uint8],
        keypoints: npt.ArrayLike,
        scores: npt.ArrayLike | None = None,
        *,
        skeleton: Skeleton | str,
        missing: Missing = "fill",
        boxes: npt.ArrayLike | None = None,
    ) -> RefinedPoses:
        """Refine the poses of one photo.

        Args:
            image: (H, W, 3) RGB uint8.
            keypoints: (N, K, 2) or, with scores, (N, K, 3); pixels of the photo. A keypoint at exactly (0,
                0), at NaN, or with score 0 is missing.
            scores: (N, K); all 1 when neither given here nor with the keypoints.
            skeleton: The layout of the keypoints.
            missing: "fill" gives missing keypoints the network's place, "keep" leaves them missing.
            boxes: bbox_xywh (N, 4) of the people, instead of boxes made from the keypoints.

        Raises:
            InputError: An array of another shape or type, or a layout that shares no keypoint with the model.
        """
        _check_choice("missing", missing, Missing)
        photo = np.asarray(image)
        if photo.dtype != np.uint8 or photo.shape[2:] != (3,):
            raise InputError(
                f"image: expected uint8 (H, W, 3) RGB, got {photo.dtype} {photo.shape}; "
                "use posefix.images.decode_image"
            )
        layout = load_skeleton(skeleton) if isinstance(skeleton, str) else skeleton
        poses = poses_from_arrays(keypoints, scores, layout)
        people = self._prepare(poses, boxes)
        crops = cut_crops(photo, people.rows, people.matrices, self.input_size_wh)
        refined, done = self._run(people, batches(crops, self.batch_size), None)
        merged = merge(poses, people, refined, done, missing)
        after = merged.poses
        return RefinedPoses(after.keypoints, after.scores, after.valid, merged.moved, merged.filled)

    def refine(
        self,
        poses: Poses,
        images: str | Path | Mapping[ImageId, Path],
        *,
        boxes: npt.ArrayLike | None = None,
        missing: Missing = "fill",
        on_error: OnError = "stop",
        exif: Exif = "apply",
        progress: Progress | None = None,
    ) -> Refinement:
        """Refine the poses of many photos.

        Args:
            poses: In original-image pixels, any layout that shares keypoints with the model.
            images: The folder with the photos, or the file of each image id (`posefix.images.find_images`).
            boxes: bbox_xywh (N, 4) of the people, instead of boxes made from the keypoints.
            missing: "fill" gives missing keypoints the network's place and the smallest valid score of their
                person, "keep" leaves them missing.
            on_error: "stop" raises at the first photo that cannot be read, "keep" passes its poses through
                unchanged and lists it in the report.
            exif: "apply" for coordinates in the photo as viewers show it, "ignore" for the photo as stored.
            progress: Called after each batch.

        Raises:
            InputError: Photos that are not found, fit twice or cannot be read, or faulty arguments.
        """
        for name, value, choices in (
            ("missing", missing, Missing),
            ("on_error", on_error, OnError),
            ("exif", exif, Exif),
        ):
            _check_choice(name, value, choices)
        paths = images if isinstance(images, Mapping) else find_images(poses.image_ids, images)
        people = self._prepare(poses, boxes)
        stream = CropStream(
            tasks=_photo_tasks(poses.image_ids, people.rows, paths),
            matrices=people.matrices,
            size_wh=self.input_size_wh,
            people_ahead=2 * self.batch_size,
            exif=exif,
            stop_on_error=on_error == "stop",
        )
        refined, done = self._run(people, batches(stream, self.batch_size), progress)
        merged = merge(poses, people, refined, done, missing)
        report = _report(poses, people, merged, done, tuple(stream.failed))
        return Refinement(merged.poses, merged.moved, merged.filled, report)

    def _prepare(self, poses: Poses, boxes: npt.ArrayLike | None) -> People:
        checked = None if boxes is None else check_boxes(boxes, len(poses))
        return prepare(poses, self.skeleton, self.input_size_wh, checked)

    def _run(
        self, people: People, crops: Iterable[Crops], progress: Progress | None
    ) -> tuple[FloatArray, BoolArray]:
        """Refined keypoints (N, K, 2) in original-image pixels, and whose they are: (N,)."""
        backend = flip_averaged(self.backend, self.skeleton.flip_index) if self.flip_test else self.backend
        refined = people.keypoints.copy()
        done = np.zeros(len(refined), dtype=bool)
        for rows, images in crops:
            matrices = people.matrices[rows]
            weights = people.valid[rows].astype(np.float32)
            inside = geometry.transform(matrices, people.keypoints[rows]) * weights[..., None]
            found = backend(images, inside.astype(np.float32), weights)
            if found.shape != inside.shape or not np.isfinite(found).all():
                raise InputError(
                    f"backend: expected finite keypoints of shape {inside.shape}, got {found.shape} with "
                    f"{(~np.isfinite(found)).sum()} not finite; the model is damaged or of another skeleton"
                )
            refined[rows] = geometry.transform(geometry.invert(matrices), found.astype(np.float64))
            done[rows] = True
            if progress is not None:
                progress(int(done.sum()), len(people.rows))
        return refined, done


def _photo_tasks(
    image_ids: Sequence[ImageId], rows: npt.NDArray[np.int64], paths: Mapping[ImageId, Path]
) -> list[PhotoTask]:
    """One task per photo, in the order in which the photos first appear."""
    by_photo: dict[ImageId, list[int]] = defaultdict(list)
    for row in rows.tolist():
        by_photo[image_ids[row]].append(row)
    if lost := [image_id for image_id in by_photo if image_id not in paths]:
        raise InputError(
            f"images: no photo for image id {lost[0]!r} ({len(lost)} of {len(by_photo)} ids); add them"
        )
    return [PhotoTask(paths[image_id], np.array(members)) for image_id, members in by_photo.items()]


def _report(
    poses: Poses, people: People, merged: MergedPoses, done: BoolArray, failed: tuple[FailedPhoto, ...]
) -> RefinementReport:
    unknown = np.ones(len(poses.skeleton), dtype=bool)
    unknown[people.mapping.source_index] = False
    return RefinementReport(
        people=len(poses),
        refined=int(done.sum()),
        unchanged=len(poses) - len(people.rows),
        outside=len(people.rows) - int(done.sum()) - sum(photo.people for photo in failed),
        moved_keypoints=int(merged.moved.sum()),
        filled_keypoints=int(merged.filled.sum()),
        passed_through_keypoints=int((poses.valid & unknown & done[:, None]).sum()),
        failed=failed,
    )


def _check_choice(name: str, value: str, choices: Any) -> None:
    if value not in get_args(choices):
        raise InputError(f"{name}: expected {' or '.join(map(repr, get_args(choices)))}, got {value!r}")
