"""`posefix pseudo-label`: annotations that nobody drew, from estimators that agree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import Parameter

from posefix.cli.options import Output
from posefix.cli.source_options import SourceOptions
from posefix.errors import InputError, plural

if TYPE_CHECKING:
    from posefix.photos.finding import ImageId
    from posefix.pose_files.pose_file import PoseFile
    from posefix.training.agreement import Agreement


@Parameter(name="*", group="Agreement")
@dataclass(frozen=True, kw_only=True)
class AgreementOptions:
    """When estimators agree."""

    same_person: float = 0.5
    """OKS from which poses of two estimators show one person."""
    same_place: float = 0.7
    """KS from which two estimators have a keypoint in one place."""
    certainty: float = 0.3
    """The least certainty of a keypoint that is labelled, from 0 to 1: more is right more often, and labels less."""
    keypoints: int = 5
    """People with fewer labelled keypoints are left out."""
    overlap: float = 0.4
    """IoU of boxes above which people who overlap are left out; 1 keeps them."""


DEFAULT_AGREEMENT = AgreementOptions()


def pseudo_label(
    *results: Path,
    output: Output,
    source: SourceOptions,
    agreement: AgreementOptions = DEFAULT_AGREEMENT,
) -> None:
    """Label people where several estimators agree: a COCO keypoint file to train with, from photos without labels.

    Args:
        results: Poses of each estimator on the same photos: two files or more, of any format of docs/formats.md. The
            labels have the first one's keypoints.
        output: The annotation file to write.
        source: How the poses and photos are read.
        agreement: When estimators agree.
    """
    import dataclasses
    import functools
    import json

    from posefix.files import ensure_not_input, ensure_writable, write_text_atomic
    from posefix.photos.pixels import read_size
    from posefix.training.agreement import AgreementRule, find_agreement
    from posefix.training.pseudo_labels import annotation_file, with_common_ids

    _check_different(results)
    rule = AgreementRule(**dataclasses.asdict(agreement))
    ensure_not_input(output, [*results, source.annotations, source.layout])
    ensure_writable(output)
    files = [source.read(path) for path in results]
    estimates, photos = with_common_ids(
        [file.poses for file in files], [_photos_within(source, file) for file in files]
    )
    size_of = functools.cache(lambda image_id: read_size(source.images / photos[image_id], exif=source.exif))
    found = find_agreement(estimates, size_of, rule)
    if not len(found.poses):
        raise InputError(f"the estimators agree on nobody; nothing written ({_left_out(found)})")
    names = {image_id: path.as_posix() for image_id, path in photos.items()}
    content = annotation_file(found, names, size_of)
    write_text_atomic(output, json.dumps(content) + "\n")
    labels = found.poses.valid
    print(
        f"{plural(len(labels), 'person')} with {plural(int(labels.sum()), 'keypoint')} in "
        f"{plural(len(content['images']), 'photo')} written to {output}"
    )
    print(f"mean certainty of a keypoint: {found.poses.scores[labels].mean():.2f}")
    print(_left_out(found))


def _check_different(results: tuple[Path, ...]) -> None:
    if len(results) < 2:
        raise InputError(f"RESULTS: expected the files of two estimators or more, got {len(results)}")
    for number, path in enumerate(results):
        if path.resolve() in [other.resolve() for other in results[:number]]:
            raise InputError(f"{path}: given twice, and an estimator always agrees with itself; give it once")


def _photos_within(source: SourceOptions, file: PoseFile) -> dict[ImageId, Path]:
    """The photo of each of a file's image ids, as a path in the folder of the photos."""
    found = source.find(file, file.poses.image_ids)
    return {image_id: path.relative_to(source.images) for image_id, path in found.items()}


def _left_out(found: Agreement) -> str:
    return (
        f"left out: {plural(found.alone, 'person')} found by one estimator alone, {found.disputed} on whose "
        f"keypoints they do not agree, {found.overlapping} who overlap"
    )
