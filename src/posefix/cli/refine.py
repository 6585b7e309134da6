"""`posefix refine`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from posefix.errors import InputError

if TYPE_CHECKING:
    from posefix.formats.coco import ResultsFile
    from posefix.images import ImageId
    from posefix.poses import Poses
    from posefix.refine.refiner import Refiner
    from posefix.refine.results import Refinement
    from posefix.refine.scores import Scores
    from posefix.skeletons import Skeleton

EXIT_PHOTOS_FAILED = 3


@Parameter(name="*", group="Input")
@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """How the input is read."""

    layout: str | None = None
    """Skeleton of the poses: a name of `posefix skeleton`, or a skeleton file."""
    annotations: Path | None = None
    """COCO annotation file that names the photos; by default, image ids are matched to file names."""
    boxes: Path | None = None
    """Rows with `image_id` and `bbox`, one for each pose; by default, boxes are made from the keypoints."""
    exif: Literal["apply", "ignore"] = "apply"
    """Whether the coordinates are those of the photo turned as its EXIF orientation says, or as stored."""
    on_error: Literal["stop", "keep"] = "stop"
    """Unreadable photos: stop, or keep their poses as they are, list them, and exit with code 3."""


@Parameter(name="*", group="Output")
@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """What the output holds."""

    missing: Literal["fill", "keep"] = "fill"
    """Keypoints missing in the input: fill in what the model sees, or keep them missing."""
    update_boxes: Annotated[bool, Parameter(negative=())] = False
    """Rewrite each row's `bbox` to fit the refined keypoints."""
    scores: Literal["input", "model", "product"] | None = None
    """Scores of the output: the estimator's, the model's confidence and expected OKS, or their product; by default
    the product, or the estimator's where the model has no confidence."""
    oks_nms: float | None = None
    """Drop the lower-scored of two poses of one photo whose OKS is above this threshold, such as 0.9."""


@Parameter(name="*", group="Model")
@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """What runs, and where."""

    model: str = "small"
    """A packaged model's name, or a model folder."""
    flip: bool = True
    """Average with the mirrored photo: half as fast, a little more accurate."""
    caution: float = 0.0
    """Gain in keypoint similarity (0 to 1) that a move must promise: 0 moves on any gain, 1 never, -1 always."""
    device: str = "auto"
    """auto, cpu, cuda, or another device of PyTorch."""
    threads: int | None = None
    """Threads of the network on the CPU; one for each core by default."""
    looks: int = 2
    """Looks at a person at most: a pose that changed much is looked at again, in its new crop."""
    batch_size: int = 32
    """People refined at once."""


DEFAULT_INPUT, DEFAULT_OUTPUT, DEFAULT_MODEL = InputOptions(), OutputOptions(), ModelOptions()


def refine(
    results: Path,
    /,
    *,
    images: Path,
    output: Annotated[Path, Parameter(alias="-o")],
    reading: InputOptions = DEFAULT_INPUT,
    writing: OutputOptions = DEFAULT_OUTPUT,
    running: ModelOptions = DEFAULT_MODEL,
) -> int:
    """Refine the poses of a results file: the same rows, order, ids and extra fields, better coordinates.

    Args:
        results: Poses: a COCO results file.
        images: Folder of the photos.
        output: The results file to write.
        reading: How the input is read.
        writing: What the output holds.
        running: What runs, and where.

    Returns:
        Exit code.
    """
    from posefix.cli.progress import ProgressBar
    from posefix.files import ensure_writable
    from posefix.formats.coco import read_results, write_results
    from posefix.refine.boxes import read_boxes
    from posefix.skeletons import load_skeleton

    ensure_writable(output)
    file = read_results(results, load_skeleton(reading.layout) if reading.layout else None)
    _check_suppression(writing.oks_nms, file.poses.skeleton)
    boxes = read_boxes(reading.boxes, file.poses.image_ids) if reading.boxes else None
    photos = _find_photos(file.poses, images, reading.annotations)
    refiner = _load_refiner(running, writing.scores)
    with ProgressBar("people") as progress:
        refinement = refiner.refine(
            file.poses,
            photos,
            boxes=boxes,
            missing=writing.missing,
            on_error=reading.on_error,
            exif=reading.exif,
            progress=progress,
        )
    rows = _rows(file, refinement.poses, writing)
    write_results(output, rows)
    print(_summary(file.poses, refinement, refiner.skeleton))
    print(f"{len(rows)} rows written to {output}")
    return EXIT_PHOTOS_FAILED if refinement.report.failed else 0


def _check_suppression(threshold: float | None, skeleton: Skeleton) -> None:
    """Find out before the work whether poses can be suppressed afterwards."""
    if threshold is None:
        return
    if not 0 < threshold <= 1:
        raise InputError(f"--oks-nms: expected an OKS above 0 and at most 1, got {threshold}; 0.9 is usual")
    _ = skeleton.sigmas


def _find_photos(poses: Poses, folder: Path, annotations: Path | None) -> dict[ImageId, Path]:
    from posefix.formats.coco import read_image_infos
    from posefix.images import find_images

    names = None
    if annotations is not None:
        names = {image_id: image.file_name for image_id, image in read_image_infos(annotations).items()}
    return find_images(poses.image_ids, folder, names)


def _load_refiner(options: ModelOptions, scores: Scores | None) -> Refiner:
    from posefix.models import load_model
    from posefix.refine.refiner import Refiner

    model = load_model(options.model)
    if not model.takes_pose:
        raise InputError(
            f"--model: {model.name!r} is a pose network: it takes no poses and would ignore yours; use "
            "`posefix estimate`"
        )
    refiner = Refiner.from_pretrained(
        options.model,
        device=options.device,
        threads=options.threads,
        batch_size=options.batch_size,
        flip_test=options.flip,
        caution=options.caution,
        scores=scores,
    )
    return replace(refiner, looks=options.looks)


def _rows(file: ResultsFile, poses: Poses, options: OutputOptions) -> list[dict[str, Any]]:
    from posefix.refine.suppression import oks_nms

    rows = file.replace(poses, update_boxes=options.update_boxes)
    return rows if options.oks_nms is None else [rows[row] for row in oks_nms(poses, options.oks_nms)]


def _summary(before: Poses, refinement: Refinement, vocabulary: Skeleton) -> str:
    """What the refinement did; how far keypoints moved and which are unknown to the model by name."""
    import numpy as np

    from posefix.skeletons import match_keypoints

    lines = [f"{len(set(before.image_ids))} photos", str(refinement.report)]
    if refinement.moved.any():
        moves = np.linalg.norm(refinement.poses.keypoints - before.keypoints, axis=-1)[refinement.moved]
        lines.append(f"moved keypoints moved by {np.median(moves):.1f} px in the median")
    if unknown := match_keypoints(before.skeleton, vocabulary).passes_through:
        lines.append(f"unknown to the model: {', '.join(unknown)}")
    return "\n".join(lines)
