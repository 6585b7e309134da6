"""The refiner: NumPy in, NumPy out, one photo or many."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.network.decoding import Evidence
from posefix.network.models import load_model
from posefix.photos.finding import Exif, ImageId, find_images
from posefix.pose import geometry
from posefix.pose.poses import BoolArray, FloatArray, Poses, Rows
from posefix.refine.backends import Backend, Runtime, open_backend
from posefix.refine.boxes import check_boxes
from posefix.refine.calibration import FULL_STRENGTH, Calibration, read_calibration
from posefix.refine.decision import Choice, agreement, choose, hold_back, measure_company, measure_poses
from posefix.refine.pipeline import (
    Crop,
    CropStream,
    FailedPhoto,
    Photo,
    Progress,
    batches,
    cut_crops,
    photo_tasks,
)
from posefix.refine.results import RefinedPoses, Refinement, report_of
from posefix.refine.scores import Scores, rescore, resolve_scores
from posefix.refine.second_opinion import Look, contradicted, measure_contradiction
from posefix.refine.vocabulary import (
    CroppedPeople,
    Missing,
    crop_people,
    in_layout,
    merge,
    poses_from_arrays,
    revisit,
)
from posefix.skeletons import Skeleton, load_skeleton

SETTLED = 0.9
"""A pose is settled, and not looked at again, when its refinement agrees with it to this mean KS."""
Cut = Callable[[CroppedPeople, Rows], Iterable[Crop]]
"""Cuts out people, who have these rows in the call."""
OnError = Literal["stop", "keep"]


@dataclass(frozen=True)
class Refiner:
    """Moves the keypoints of poses to where the photo shows them.

    Attributes:
        backend: Runs the network.
        skeleton: The keypoints that the network knows, in the order of its channels.
        input_size_wh: Width and height of the crops that the network takes, pixels.
        batch_size: People refined at once.
        calibration: What turns the network's evidence into probabilities; None for a model that has none.
        caution: A keypoint moves only where its expected gain in keypoint similarity (KS), which is 0 to 1, is above
            this, and above it by more where the poses of the call have little to gain on the whole (`hold_back`). 1
            never moves, -1 always. Missing keypoints are filled whatever it is.
        looks: How often a person is looked at, at most: one whose pose changed so much that its crop was a poor one is
            looked at again, in the crop that the refined pose makes, or that the pose makes which the photo alone
            shows, where the photo contradicts the given one (`posefix.refine.second_opinion`).
        scores: Whose scores the refined poses carry: the estimator's ("input"), the model's confidence in each
            keypoint and expected OKS of each pose ("model"), or their product. None is the product if the model has a
            calibration, else the estimator's.

    Example:
        >>> refiner = Refiner.from_pretrained("small")  # doctest: +SKIP
        >>> refined = refiner(image, keypoints, scores, skeleton="coco17")  # doctest: +SKIP
    """

    backend: Backend
    skeleton: Skeleton
    input_size_wh: tuple[int, int]
    batch_size: int = 32
    calibration: Calibration | None = None
    caution: float = 0.0
    looks: int = 2
    scores: Scores | None = None

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InputError(f"batch_size: expected 1 or more, got {self.batch_size}")
        if self.looks < 1:
            raise InputError(f"looks: expected 1 or more, got {self.looks}")
        if not -1 <= self.caution <= 1:
            raise InputError(f"caution: expected a number from -1 to 1, got {self.caution}")
        resolve_scores(self.scores, self.calibration is not None)

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | Path = "small",
        *,
        device: str = "auto",
        runtime: Runtime = "auto",
        threads: int | None = None,
        flip_test: bool = True,
        caution: float = 0.0,
        scores: Scores | None = None,
    ) -> Refiner:
        """Load a trained model.

        Args:
            name_or_folder: A packaged model's name, or a folder with a model of your own.
            device: As in `posefix.refine.backends.open_backend`.
            runtime: As there.
            threads: Of the network on a CPU; None is one per core.
            flip_test: Average with the result for the mirrored photo; twice the work, better coordinates.
            caution: See `Refiner`.
            scores: See `Refiner`.

        Returns:
            The refiner; `dataclasses.replace(refiner, looks=1, batch_size=8)` is one with other attributes.

        Raises:
            InputError: No such model, device or runtime, or numbers out of their range.
        """
        model = load_model(name_or_folder)
        backend = open_backend(model, device=device, runtime=runtime, threads=threads, flip_test=flip_test)
        return cls(
            backend,
            model.skeleton,
            model.input_size_wh,
            calibration=read_calibration(model),
            caution=caution,
            scores=scores,
        )

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
            InputError: An array of another shape or type or with too large numbers, or a layout that shares no keypoint
                with the model.
        """
        _check_choice("missing", missing, Missing)
        photo = np.asarray(image)
        if photo.dtype != np.uint8 or photo.shape[2:] != (3,):
            raise InputError(
                f"image: expected uint8 (H, W, 3) RGB, got {photo.dtype} {photo.shape}; "
                "use posefix.photos.finding.decode_image"
            )
        layout = load_skeleton(skeleton) if isinstance(skeleton, str) else skeleton
        poses = poses_from_arrays(keypoints, scores, layout)
        people = self._prepare(poses, boxes)

        def cut(people: CroppedPeople, _: Rows) -> Iterable[Crop]:
            return cut_crops(photo, people.rows, people.matrices, self.input_size_wh)

        choice, done = self._refine(people, cut, None)
        refinement = self._result(poses, people, choice, done, missing, ())
        after = refinement.poses
        return RefinedPoses(
            after.keypoints,
            after.scores,
            after.valid,
            refinement.moved,
            refinement.filled,
            refinement.confidence,
            refinement.expected_oks,
            refinement.report,
        )

    def refine(
        self,
        poses: Poses,
        images: str | Path | Mapping[ImageId, Photo],
        *,
        boxes: npt.ArrayLike | None = None,
        missing: Missing = "fill",
        on_error: OnError = "stop",
        exif: Exif = "apply",
        progress: Progress | None = None,
    ) -> Refinement:
        """Refine the poses of many photos, which one estimator found: they are judged together.

        Args:
            poses: In original-image pixels, any layout that shares keypoints with the model.
            images: The folder with the photos, or the photo of each image id: a file
                (`posefix.photos.finding.find_images`) or a frame of a video (`posefix.photos.video.find_frames`).
            boxes: bbox_xywh (N, 4) of the people, instead of boxes made from the keypoints.
            missing: "fill" gives missing keypoints the network's place and the smallest valid score of their
                person, "keep" leaves them missing.
            on_error: "stop" raises at the first photo that is missing or cannot be read, "keep" passes its poses
                through unchanged and lists it in the report.
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
        paths = (
            images if isinstance(images, Mapping) else find_images(poses.image_ids, images, absent=on_error)
        )
        people = self._prepare(poses, boxes)
        streams: list[CropStream] = []

        def cut(people: CroppedPeople, rows: Rows) -> Iterable[Crop]:
            ids = [poses.image_ids[row] for row in rows]
            streams.append(self._stream(ids, people, paths, exif, on_error))
            return streams[-1]

        choice, done = self._refine(people, cut, progress)
        # Photos that fail at a later look have been seen.
        return self._result(poses, people, choice, done, missing, streams[0].failed)

    def examine(
        self,
        poses: Poses,
        images: Mapping[ImageId, Photo],
        *,
        alone: bool,
        strength: float = 1.0,
    ) -> tuple[CroppedPeople, Look]:
        """What the network says of people, before anything is decided: for calibration.

        Args:
            poses: As of `refine`.
            images: File of each image id.
            alone: Whether to ask it about everyone with the pose withheld, too.
            strength: Share of its strength with which the pose enters the network.
        """
        people = self._prepare(poses, None)
        stream = self._stream(poses.image_ids, people, images)
        threshold = np.inf if alone else -np.inf
        return people, self._look(people, stream, None, strength, alone_below=threshold)

    def _prepare(self, poses: Poses, boxes: npt.ArrayLike | None) -> CroppedPeople:
        checked = None if boxes is None else check_boxes(boxes, len(poses))
        return crop_people(poses, self.skeleton, self.input_size_wh, checked)

    def _stream(
        self,
        image_ids: Sequence[ImageId],
        people: CroppedPeople,
        paths: Mapping[ImageId, Photo],
        exif: Exif = "apply",
        on_error: OnError = "stop",
    ) -> CropStream:
        return CropStream(
            tasks=photo_tasks(image_ids, people.rows, paths),
            matrices=people.matrices,
            size_wh=self.input_size_wh,
            people_ahead=2 * self.batch_size,
            exif=exif,
            stop_on_error=on_error == "stop",
        )

    def _refine(self, people: CroppedPeople, cut: Cut, progress: Progress | None) -> tuple[Choice, BoolArray]:
        """Look, decide, and look again where that is worth it: what becomes of people, and who was seen."""
        ask = self.calibration is not None and self.looks > 1
        first, later = FULL_STRENGTH if self.calibration is None else self.calibration.strengths
        whom, looks = np.arange(len(people.valid)), len(people.rows)
        look = self._look(people, cut(people, whom), progress, first, SETTLED if ask else -np.inf)
        done = look.seen
        company = measure_company(measure_poses(look.evidence, people), np.where(done, 0, -1))
        reserve = hold_back(look.evidence, people, self.calibration, done, company)
        choice = choose(look.evidence, people, self.calibration, self.caution, reserve, company)
        start = self._starts(look, people, choice)
        for _ in range(self.looks - 1):
            again = np.flatnonzero(look.seen & (agreement(start, people) < SETTLED))
            if not again.size:
                break
            whom = whom[again]
            people = revisit(people.of(again), start[again], self.input_size_wh)
            look = self._look(people, cut(people, whom), _later(progress, looks), later)
            looks += len(people.rows)
            better = choose(look.evidence, people, self.calibration, self.caution, reserve, company[whom])
            choice.take(whom[look.seen], better.of(look.seen))
            start = better.keypoints
        return choice, done

    def _starts(self, look: Look, people: CroppedPeople, choice: Choice) -> FloatArray:
        """Poses (N, K, 2) to look at again: what was chosen, or what the photo alone shows where it contradicts."""
        if self.calibration is None or not look.asked.any():
            return choice.keypoints
        anew = contradicted(measure_contradiction(look, people), self.calibration.anew, self.caution)
        start = choice.keypoints.copy()
        start[np.flatnonzero(look.asked)[anew]] = look.alone.keypoints[anew]
        return start

    def _result(
        self,
        poses: Poses,
        people: CroppedPeople,
        choice: Choice,
        done: BoolArray,
        missing: Missing,
        failed: Sequence[FailedPhoto],
    ) -> Refinement:
        """The choice in the layout of the poses."""
        merged = merge(poses, people, choice.keypoints, done, missing)
        confidence = in_layout(choice.confidence, people, merged.known)
        similarity = in_layout(choice.expected_similarity, people, merged.known)
        known = np.isfinite(similarity)
        sums = np.where(known, similarity, 0.0).sum(axis=1)
        expected = np.where(known.any(axis=1), sums / np.maximum(known.sum(axis=1), 1), np.nan)
        scores = resolve_scores(self.scores, self.calibration is not None)
        return Refinement(
            rescore(merged.poses, confidence, expected, scores),
            merged.moved,
            merged.filled,
            confidence,
            expected,
            report_of(poses, people, merged, done, tuple(failed), choice.reserve, self.caution),
        )

    def _look(
        self,
        people: CroppedPeople,
        crops: Iterable[Crop],
        progress: Progress | None,
        strength: float,
        alone_below: float = -np.inf,
    ) -> Look:
        """What the network says of each person, and of the photo alone where it agrees with the pose less than so."""
        look, alone = Look.of_nobody(people), []
        for rows, images in batches(crops, self.batch_size):
            weights = people.valid[rows] * np.float32(strength)
            found = self._ask(people, rows, images, weights)
            look.take(rows, found)
            unsure = agreement(found.keypoints, people.of(rows)) < alone_below
            if unsure.any():
                asked, withheld = rows[unsure], np.zeros_like(weights[unsure])
                alone.append((asked, self._ask(people, asked, images[unsure], withheld)))
            if progress is not None:
                progress(int(look.seen.sum()), len(people.rows))
        return look.with_alone(alone)

    def _ask(
        self,
        people: CroppedPeople,
        rows: Rows,
        images: npt.NDArray[np.uint8],
        weights: npt.NDArray[np.float32],
    ) -> Evidence:
        """What the network says of some people, in original-image pixels."""
        matrices = people.matrices[rows]
        inside = geometry.transform(matrices, people.keypoints[rows]) * people.valid[rows, :, None]
        found = self.backend(images, inside.astype(np.float32), weights)
        _check_evidence(found, inside.shape)
        places = geometry.transform(geometry.invert(matrices), found.keypoints.astype(np.float64))
        return dataclasses.replace(found, keypoints=places)


def _later(progress: Progress | None, looks: int) -> Progress | None:
    """The progress of another look, after so many."""
    if progress is None:
        return None
    return lambda done, total: progress(looks + done, looks + total)


def _check_evidence(found: Evidence, shape: tuple[int, ...]) -> None:
    places = found.keypoints
    if places.shape != shape or not np.isfinite(places).all():
        raise InputError(
            f"backend: expected finite keypoints of shape {shape}, got {places.shape} with "
            f"{(~np.isfinite(places)).sum()} not finite; the model is damaged or of another skeleton"
        )


def _check_choice(name: str, value: str, choices: Any) -> None:
    if value not in get_args(choices):
        raise InputError(f"{name}: expected {' or '.join(map(repr, get_args(choices)))}, got {value!r}")
