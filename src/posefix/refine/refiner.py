"""The refiner: NumPy in, NumPy out, one photo or many."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.network import DEFAULT_MODEL_NAME
from posefix.network.models import load_model
from posefix.photos.finding import Exif, ImageId, find_images
from posefix.pose.poses import FloatArray, Poses
from posefix.refine.again import unsettled
from posefix.refine.arrays import poses_from_arrays
from posefix.refine.backends import Backend, Runtime, open_backend
from posefix.refine.boxes import WholeBoxes, check_boxes
from posefix.refine.calibration import FULL_STRENGTH, Calibration, read_calibration
from posefix.refine.company import Company, measure_company, read_company, trust
from posefix.refine.crops import CroppedPeople, crop_people
from posefix.refine.cutting import Cut, ManyPhotos, OnePhoto, Photo, Progress
from posefix.refine.elsewhere import elsewhere, prefer
from posefix.refine.identity import Neighbours
from posefix.refine.judge import ALWAYS, NEVER, Choice, judge
from posefix.refine.look import Look, look_at
from posefix.refine.merge import Missing, merge
from posefix.refine.results import RefinedPoses, Refinement, Scores
from posefix.refine.scores import check_scores, usual_scores, write_scores
from posefix.skeletons import Skeleton, load_skeleton

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
            this, and above it by more where the poses of the call have little to gain on the whole (see
            `posefix.refine.company`). 1 never moves, -1 always. Missing keypoints are filled whatever it is. But at
            -1, nobody is moved onto somebody else whose pose is in the same call (`posefix.refine.identity`).
        looks: How often a person is looked at, at most: one whose pose changed so much that its crop was a poor one is
            looked at again, in the crop that the refined pose makes (`posefix.refine.again`). At 2 or more, a model
            with a calibration also looks where the photo alone shows a person (`posefix.refine.elsewhere`).
        scores: Whose scores the refined poses carry: the estimator's ("input"), the model's confidence in each
            keypoint and expected OKS of each pose ("model"), or their product. None is the model's, the product for an
            estimator that is trusted (`posefix.refine.scores.usual_scores`), and the estimator's if the model has no
            calibration.
        company: What is known of the estimator, see `with_company`; None measures it on the poses of each call.
        source: Where the model comes from, for reports: `owner/name@commit` on the Hugging Face Hub, or nothing.

    Example:
        >>> refiner = Refiner.from_pretrained()  # doctest: +SKIP
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
    company: Company | None = None
    source: str = ""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InputError(f"batch_size: expected 1 or more, got {self.batch_size}")
        if self.looks < 1:
            raise InputError(f"looks: expected 1 or more, got {self.looks}")
        if not -1 <= self.caution <= 1:
            raise InputError(f"caution: expected a number from -1 to 1, got {self.caution}")
        if self.scores is not None:
            check_scores(self.scores, self.calibration is not None)

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | Path = DEFAULT_MODEL_NAME,
        *,
        device: str = "auto",
        runtime: Runtime = "auto",
        threads: int | None = None,
        flip_test: bool = True,
        **attributes: Any,
    ) -> Refiner:
        """Load a trained model.

        Args:
            name_or_folder: A packaged model's name, a folder with a model of your own, or `owner/name` or
                `owner/name@revision` of a model on the Hugging Face Hub.
            device: As in `posefix.refine.backends.open_backend`.
            runtime: As there.
            threads: Of the network on a CPU; None is one per core.
            flip_test: Average with the result for the mirrored photo; twice the work, better coordinates.
            attributes: Of `Refiner`: batch_size, caution, looks, scores.

        Raises:
            InputError: No such model, one that cannot be fetched, no such device or runtime, or numbers out of their
                range.
        """
        model = load_model(name_or_folder)
        backend = open_backend(model, device=device, runtime=runtime, threads=threads, flip_test=flip_test)
        return cls(
            backend,
            model.skeleton,
            model.input_size_wh,
            calibration=read_calibration(model),
            source=model.source,
            **attributes,
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
                0), at NaN, or with score 0 or NaN is missing.
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
        return RefinedPoses.of(self._refine(poses, self._crop(poses, boxes), OnePhoto(photo), missing))

    def refine(
        self,
        poses: Poses,
        images: str | Path | Mapping[ImageId, Photo],
        *,
        boxes: npt.ArrayLike | WholeBoxes | None = None,
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
            boxes: bbox_xywh (N, 4) of the people, instead of boxes made from the keypoints; or
                `posefix.refine.boxes.WholeBoxes`, which crops of people of whom keypoints are missing hold as well.
            missing: "fill" gives missing keypoints the network's place, "keep" leaves them missing. Where the
                estimator's scores are kept, a filled one gets the smallest of its person.
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
        _check_poses(poses)
        paths = (
            images if isinstance(images, Mapping) else find_images(poses.image_ids, images, absent=on_error)
        )
        ahead = 2 * self.batch_size
        cut = ManyPhotos(poses.image_ids, paths, ahead, exif, stop_on_error=on_error == "stop")
        return self._refine(poses, self._crop(poses, boxes), cut, missing, progress)

    def with_company(self, company: Company | str | Path) -> Refiner:
        """A refiner for one estimator's poses, that judges them alike however they are split into calls.

        Args:
            company: What `measure_company` returned, or a file that `posefix company` wrote.

        Raises:
            InputError: The file is none, or of another model.
        """
        known = company if isinstance(company, Company) else read_company(Path(company), self.calibration)
        return dataclasses.replace(self, company=known)

    def measure_company(
        self,
        poses: Poses,
        images: str | Path | Mapping[ImageId, Photo],
        *,
        exif: Exif = "apply",
        progress: Progress | None = None,
    ) -> Company:
        """Get to know an estimator by a sample of its poses, for `with_company`.

        Args:
            poses: Of many photos; a thousand people are plenty.
            images: As of `refine`.
            exif: As of `refine`.
            progress: Called after each batch.

        Raises:
            InputError: Photos that are not found or cannot be read, or nobody who can be seen.
        """
        _check_poses(poses)
        paths = images if isinstance(images, Mapping) else find_images(poses.image_ids, images)
        cut = ManyPhotos(poses.image_ids, paths, 2 * self.batch_size, exif)
        people = self._crop(poses)
        look = self._look(people, cut, self._first_strength(Neighbours.of(people, poses.image_ids)), progress)
        if not look.seen.any():
            raise InputError(
                "poses: nobody can be seen in these photos, so nothing is known of the estimator"
            )
        return measure_company(look, self.calibration)

    def examine(
        self,
        poses: Poses,
        images: Mapping[ImageId, Photo],
        *,
        strength: float = 1.0,
        in_crowds: float | None = None,
    ) -> tuple[Look, Neighbours]:
        """What the network says of people, with their pose and with it withheld, and who may be taken for whom.

        This is known before anything is decided: for calibration.

        Args:
            poses: As of `refine`.
            images: File of each image id.
            strength: Share of its strength with which the pose enters the network.
            in_crowds: The same of people whose boxes overlap; None for no other.
        """
        cut, people = ManyPhotos(poses.image_ids, images, 2 * self.batch_size), self._crop(poses)
        neighbours = Neighbours.of(people, poses.image_ids)
        strengths = _by_crowds(neighbours, strength, strength if in_crowds is None else in_crowds)
        return self._look(people, cut, strengths, withheld=True), neighbours

    def _refine(
        self,
        poses: Poses,
        people: CroppedPeople,
        cut: Cut,
        missing: Missing,
        progress: Progress | None = None,
    ) -> Refinement:
        """Look at people, get to know the estimator, judge, look again, merge, write scores."""
        neighbours, mapping, usable = Neighbours.of(people, poses.image_ids), people.mapping, people.usable
        look = first_look = self._look(people, cut, self._first_strength(neighbours), progress)
        failed = tuple(cut.failed)  # photos that fail at a later look have been seen
        company = self.company or measure_company(look, self.calibration)
        choice = judge(look, company, self.calibration, self.caution)
        for _ in range(self.looks - 1):
            progress = _later(progress, people)
            people = unsettled(look, choice)
            if not people.usable.any():
                break
            look = self._look(people, cut, self._later_strength, progress)
            choice.take(judge(look, company, self.calibration, self.caution))
        if self.looks > 1 and self.calibration is not None:
            choice.take(
                self._found_elsewhere(first_look, company, choice, neighbours, cut, _later(progress, people))
            )
        choice.take(self._leave(first_look, company, choice, neighbours))
        del look, first_look, neighbours, people  # of very many people the most memory
        merged = merge(poses, choice, mapping, usable, missing=missing, failed=failed, caution=self.caution)
        trusted = self._trust(company)
        return write_scores(merged.made_by(self.source, trusted), self.scores or usual_scores(trusted))

    def _trust(self, company: Company) -> float | None:
        """How far the estimator is trusted; None where the model has no calibration."""
        return None if self.calibration is None else trust(company.means, self.calibration.trusted)

    def _found_elsewhere(
        self,
        look: Look,
        company: Company,
        choice: Choice,
        neighbours: Neighbours,
        cut: Cut,
        progress: Progress | None,
    ) -> Choice:
        """What becomes of people of the first look whom the photo alone shows elsewhere and who are found there."""
        assert self.calibration is not None
        people = elsewhere(look, choice, neighbours)
        if not people.usable.any():
            return choice.of(people.rows)
        there = self._look(people, cut, self._later_strength, progress)
        found = judge(there, company, self.calibration, self.caution)
        regression = self.calibration.elsewhere
        return prefer(choice, look, there, found, neighbours, regression, self.caution)

    def _leave(self, look: Look, company: Company, choice: Choice, neighbours: Neighbours) -> Choice:
        """What becomes of people of the first look who would land on somebody else: they stay where they are.

        What they lack is not known then either, since the network saw it on somebody else.
        """
        landed = neighbours.taken(choice.keypoints, choice.rows) | neighbours.collided(choice.keypoints)
        landed &= self.caution > ALWAYS
        people = look.of(np.flatnonzero(landed))
        stay = judge(people, company, self.calibration, NEVER)
        stay.keypoints[~people.people.valid] = np.nan
        return stay

    def _crop(self, poses: Poses, boxes: npt.ArrayLike | WholeBoxes | None = None) -> CroppedPeople:
        if boxes is not None and not isinstance(boxes, WholeBoxes):
            boxes = check_boxes(boxes, len(poses))
        return crop_people(poses, self.skeleton, self.input_size_wh, boxes)

    def _first_strength(self, neighbours: Neighbours) -> float | FloatArray:
        """With what share of its strength each pose enters the network at the first look."""
        if self.calibration is None:
            return FULL_STRENGTH[0]
        return _by_crowds(neighbours, self.calibration.strengths[0], self.calibration.strength_in_crowds)

    @property
    def _later_strength(self) -> float:
        """The same of all poses at later looks."""
        return FULL_STRENGTH[1] if self.calibration is None else self.calibration.strengths[1]

    def _look(
        self,
        people: CroppedPeople,
        cut: Cut,
        strength: float | FloatArray,
        progress: Progress | None = None,
        *,
        withheld: bool = False,
    ) -> Look:
        """Look at people; with the pose withheld, too, for a calibration or if that is asked for."""
        return look_at(
            people,
            cut(people),
            self.backend,
            self.batch_size,
            withheld=withheld or self.calibration is not None,
            strength=strength,
            progress=progress,
        )


def _by_crowds(neighbours: Neighbours, strength: float, in_crowds: float) -> float | FloatArray:
    """With what share of its strength each pose enters the network, (N,) where that of crowds is another."""
    return strength if strength == in_crowds else np.where(neighbours.crowded(), in_crowds, strength)


def _later(progress: Progress | None, seen: CroppedPeople) -> Progress | None:
    """The progress of another look, after one at these people."""
    if progress is None:
        return None
    before = int(seen.usable.sum())
    return lambda done, total: progress(before + done, before + total)


def _check_choice(name: str, value: str, choices: Any) -> None:
    if value not in get_args(choices):
        raise InputError(f"{name}: expected {' or '.join(map(repr, get_args(choices)))}, got {value!r}")


def _check_poses(poses: object) -> None:
    if isinstance(poses, (str, Path)):
        raise InputError(
            f"poses: expected Poses, got the name {str(poses)!r}; pass posefix.read_pose_file({str(poses)!r}).poses"
        )
