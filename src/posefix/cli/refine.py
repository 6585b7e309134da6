"""`posefix refine`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cyclopts import Parameter

from posefix.cli.options import Category, Exif, Flag, Layout, Output, PhotoNames, PoseFormat
from posefix.cli.video_options import VideoOptions
from posefix.errors import InputError, plural
from posefix.network import DEFAULT_MODEL_NAME

if TYPE_CHECKING:
    from posefix.photos.finding import ImageId
    from posefix.pose.poses import FloatArray, Poses
    from posefix.pose_files.pose_file import PhotoSize, PoseFile
    from posefix.refine.cutting import Photo
    from posefix.refine.refiner import Refiner
    from posefix.refine.results import Refinement, Scores
    from posefix.skeletons import Skeleton

EXIT_PHOTOS_FAILED = 3


@Parameter(name="*", group="Input")
@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """How the input is read."""

    layout: Layout = None
    format: PoseFormat = None
    annotations: PhotoNames = None
    category: Category = None
    boxes: Path | None = None
    """Rows with `image_id` and `bbox`, one for each pose; by default, boxes are made from the keypoints; where some are
    missing, they hold the boxes of RESULTS, or what the proportions of people say."""
    exif: Exif = "apply"
    on_error: Literal["stop", "keep"] = "stop"
    """Photos that are missing or unreadable: stop, or keep their poses as they are, list them, and exit with code 3;
    stops all the same if none is there."""


@Parameter(name="*", group="Output")
@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """What the output holds."""

    missing: Literal["fill", "keep"] = "fill"
    """Keypoints missing in the input: fill in what the model sees, or keep them missing."""
    carry_along: Flag = False
    """Move fingers, toes and face points that the model does not know with wrists, ankles, nose and eyes."""
    update_boxes: Flag = False
    """Rewrite the boxes of people whose coordinates changed, to fit their refined keypoints."""
    scores: Literal["input", "model", "product"] | None = None
    """Scores of the output: the estimator's, the model's confidence and expected OKS, or their product (a score below 0
    times 2 minus the model's); by default the model's, the product where the estimator is as good as the model, and
    the estimator's where the model has no confidence."""
    oks_nms: float | None = None
    """Drop the lower-scored of two poses of one photo whose OKS is above this threshold, such as 0.9."""


@Parameter(name="*", group="Model")
@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """What looks at people, and where."""

    model: str = DEFAULT_MODEL_NAME
    """A packaged model's name, a model folder (./small for one of such a name), or owner/name[@revision] on the Hugging
    Face Hub."""
    flip: bool = True
    """Average with the mirrored photo: half as fast, a little more accurate."""
    device: str = "auto"
    """auto, cpu, cuda, or another device of PyTorch."""
    runtime: Literal["auto", "openvino", "onnxruntime", "pytorch"] = "auto"
    """What computes the network; by default the fastest that is installed (onnxruntime: always in single precision)."""
    threads: int | None = None
    """Threads of the network on the CPU; one for each core by default."""
    batch_size: int = 32
    """People looked at at once."""


@Parameter(name="*", group="Model")
@dataclass(frozen=True, kw_only=True)
class ModelOptions(NetworkOptions):
    """What runs, and where; and how it decides."""

    caution: float = 0.0
    """Gain in keypoint similarity (0 to 1) that a move must promise, more where the poses have little to gain on the
    whole: 0 moves on any gain, 1 never, -1 always."""
    company: Path | None = None
    """What `posefix company` measured of the estimator, so that everybody is judged alike however poses are split into
    calls; by default it is measured on the poses that are given."""
    looks: int = 2
    """1: one look at everybody; by default whose pose changed much is looked at again, and whom the photo alone shows
    elsewhere is looked for there."""


DEFAULT_INPUT, DEFAULT_OUTPUT = InputOptions(), OutputOptions()
DEFAULT_NETWORK, DEFAULT_MODEL = NetworkOptions(), ModelOptions()
NO_VIDEO = VideoOptions()


def refine(
    results: Path,
    /,
    *,
    images: Path | None = None,
    output: Output,
    reading: InputOptions = DEFAULT_INPUT,
    writing: OutputOptions = DEFAULT_OUTPUT,
    running: ModelOptions = DEFAULT_MODEL,
    filmed: VideoOptions = NO_VIDEO,
) -> int:
    """Refine the poses in an estimator's file: the same format, people, order and extra fields, better coordinates.

    Args:
        results: Poses: a file of any format of docs/formats.md, or a folder of one.
        images: Folder of the photos, unless the poses are of a video.
        output: The file to write, ending as RESULTS does; a new folder where RESULTS is one.
        reading: How the input is read.
        writing: What the output holds.
        running: What runs, and where.
        filmed: What is done where the poses are of a video.

    Returns:
        Exit code.
    """
    from posefix.cli.video_options import check_film, open_photos, smooth_tracks
    from posefix.files import ensure_not_input
    from posefix.formats.coco_annotations import read_file_names
    from posefix.interchange import ensure_ending, ensure_output, write_pose_file
    from posefix.refine.carrying import carriers, carry_along
    from posefix.refine.suppression import oks_nms

    ensure_not_input(output, [results, reading.annotations, reading.boxes, reading.layout, running.company])
    ensure_output(output, results)
    names = read_file_names(reading.annotations)
    source = open_photos(images, filmed, names, reading.exif, reading.on_error)
    file = _read(results, reading, source.size)
    ensure_ending(output, file)
    boxes = _boxes(file, reading)
    photos = source.find(file.poses.image_ids, names or file.file_names)
    check_film(filmed, file, photos)
    refiner = _decided(running, writing.scores)
    _check_layout(file, refiner.skeleton, writing.oks_nms)
    refinement = _run(refiner, file, photos, boxes, reading, writing)
    poses, notes = refinement.poses, []
    tracks: Sequence[int | str | None] | None = file.tracks
    if writing.carry_along:
        poses = carry_along(file.poses, poses, refiner.skeleton)
        notes.append(
            f"carried along by others: {plural(len(carriers(poses.skeleton, refiner.skeleton)), 'keypoint')}"
        )
    if filmed.smooth:
        poses, tracks, note = smooth_tracks(poses, file.tracks, photos, filmed.settings())
        notes.append(note)
    keep = None if writing.oks_nms is None else oks_nms(poses, writing.oks_nms).tolist()
    write_pose_file(output, file, poses, keep=keep, update_boxes=writing.update_boxes)
    notes += [] if keep is None else [f"dropped as second poses of a person: {len(poses) - len(keep)}"]
    seen = "frames" if filmed.video else "photos"
    notes.append(_scores_note(refinement.report.scores, file.has_scores))
    notes += [*file.notes, *file.left_out]
    print("\n".join([_summary(file.poses, refinement, refiner.skeleton, seen), *notes]))
    print(f"{plural(len(file.poses) if keep is None else len(keep), 'pose')} written to {output}")
    if filmed.render is not None:
        rows = list(range(len(poses))) if keep is None else keep
        owners = None if tracks is None else [tracks[row] for row in rows]
        source.render(filmed.render, photos, file.poses[rows], poses[rows], owners)
    return EXIT_PHOTOS_FAILED if refinement.report.failed else 0


def _read(results: Path, reading: InputOptions, photo_size: PhotoSize | None) -> PoseFile:
    """The people of a file, and not its animals."""
    from posefix.cli.source_options import read_poses
    from posefix.pose_files.people_alone import people_alone

    with people_alone():
        return read_poses(results, reading, photo_size)


def _boxes(file: PoseFile, reading: InputOptions) -> FloatArray | None:
    """The boxes that were given of the people of a file."""
    from posefix.refine.boxes import read_boxes

    if reading.boxes is None:
        return None
    poses, ids = file.poses, {one for one in file.categories or () if one is not None}
    return read_boxes(reading.boxes, poses.image_ids, poses.skeleton, reading.category, ids)


def _run(
    refiner: Refiner,
    file: PoseFile,
    photos: Mapping[ImageId, Photo],
    boxes: FloatArray | None,
    reading: InputOptions,
    writing: OutputOptions,
) -> Refinement:
    """The refinement, with a progress bar."""
    from posefix.cli.progress import ProgressBar
    from posefix.refine.boxes import WholeBoxes
    from posefix.refine.scores import as_labels

    with ProgressBar("people") as progress:
        refinement = refiner.refine(
            file.poses,
            photos,
            boxes=boxes if boxes is not None or file.boxes is None else WholeBoxes(file.boxes),
            missing=writing.missing,
            on_error=reading.on_error,
            exif=reading.exif,
            progress=progress,
        )
    return refinement if file.has_scores else as_labels(refinement)


def _check_layout(file: PoseFile, vocabulary: Skeleton, threshold: float | None) -> None:
    """Find out before the work whether the model can refine the poses, and they can be suppressed afterwards."""
    from posefix.skeletons import why_foreign

    if why := why_foreign(file.poses.skeleton, vocabulary):
        raise InputError(
            f"{file.path}: {why}; name a model that was trained for it (--model), or a skeleton file whose aliases say "
            "which keypoints are a person's (--layout)"
        )
    if threshold is None:
        return
    if not 0 < threshold <= 1:
        raise InputError(f"--oks-nms: expected an OKS above 0 and at most 1, got {threshold}; 0.9 is usual")
    _ = file.poses.skeleton.sigmas


def _decided(options: ModelOptions, scores: Scores | None) -> Refiner:
    """The refiner that these options ask for, whose poses carry these scores."""
    refiner = load_refiner(options, caution=options.caution, looks=options.looks, scores=scores)
    return refiner if options.company is None else refiner.with_company(options.company)


def load_refiner(options: NetworkOptions, **attributes: Any) -> Refiner:
    """A refiner whose network these options ask for.

    Args:
        options: What looks at people.
        attributes: Of `Refiner`.

    Raises:
        InputError: There is no such model, device or runtime, or the model takes no poses.
    """
    from posefix.network.models import load_model
    from posefix.refine.refiner import Refiner

    model = load_model(options.model)
    if not model.takes_pose:
        raise InputError(
            f"--model: {model.name!r} is a pose network: it takes no poses and would ignore yours; use "
            "`posefix estimate`"
        )
    return Refiner.from_pretrained(
        f"hf://{model.source}" if model.source else options.model,  # the commit that was just fetched
        device=options.device,
        runtime=options.runtime,
        threads=options.threads,
        flip_test=options.flip,
        batch_size=options.batch_size,
        **attributes,
    )


def _scores_note(scores: Scores, has_scores: bool) -> str:
    """Whose scores were written, if the file has any, and how to keep the estimator's."""
    if not has_scores:
        return "scores: none, the file has no scores"
    if scores == "input":
        return "scores: the estimator's"
    whose = "the model's" if scores == "model" else "the estimator's times the model's"
    return f"scores: {whose} (--scores input keeps the estimator's)"


def _summary(before: Poses, refinement: Refinement, vocabulary: Skeleton, seen: str) -> str:
    """What the refinement did; how far keypoints moved and which are unknown to the model by name."""
    import numpy as np

    from posefix.skeletons import match_keypoints

    count = len(set(before.image_ids))
    lines = [f"{count} {seen if count != 1 else seen.removesuffix('s')}", str(refinement.report)]
    if refinement.moved.any():
        moves = np.linalg.norm(refinement.poses.keypoints - before.keypoints, axis=-1)[refinement.moved]
        lines.append(f"moved keypoints moved by {np.median(moves):.1f} px in the median")
    if unknown := match_keypoints(before.skeleton, vocabulary).passes_through:
        lines.append(f"unknown to the model: {', '.join(unknown)}")
    return "\n".join(lines)
