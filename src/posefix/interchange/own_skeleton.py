"""A skeleton of one's own from an annotation file: its category, and sigmas where none are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from posefix.errors import InputError, plural
from posefix.files import read_json
from posefix.formats.coco_annotations import Annotations, parse_annotations
from posefix.skeletons import Skeleton, estimate_sigmas, parse_skeleton


def load_own_skeleton(path: str | Path, *, replace_known: bool = False) -> Skeleton:
    """The skeleton of a file of one's own, with sigmas guessed where it annotates people; the file is parsed once.

    Args:
        path: A skeleton file, or a COCO annotation file.
        replace_known: Guess the sigmas of all keypoints, those too that the packaged vocabulary knows of people.

    Returns:
        The skeleton; a keypoint that too few people show keeps having no sigma.

    Raises:
        InputError: The file is faulty, or sigmas are to be replaced and it annotates nobody.
    """
    path = Path(path)
    content = read_json(path)
    if isinstance(content, dict) and content.get("annotations"):
        return _with_sigmas(parse_annotations(content, path), replace_known=replace_known)
    if replace_known:
        raise InputError(
            f"{path}: annotates nobody from whom sigmas could be guessed; give an annotation file."
        )
    return parse_skeleton(content, path)


def _with_sigmas(annotations: Annotations, *, replace_known: bool) -> Skeleton:
    people, skeleton = annotations.people, annotations.skeleton
    chosen = ~people.is_crowd
    sigmas = estimate_sigmas(
        people.keypoints[chosen], people.visibility[chosen] > 0, people.area[chosen], skeleton.flip_index
    )
    source = f"guessed from {plural(int(chosen.sum()), 'annotation')} of {annotations.path.name}"
    keypoints = tuple(
        replace(keypoint, sigma=round(float(sigma), 4), sigma_source=source)
        if (replace_known or keypoint.sigma is None) and not np.isnan(sigma)
        else keypoint
        for keypoint, sigma in zip(skeleton.keypoints, sigmas, strict=True)
    )
    return replace(skeleton, keypoints=keypoints)
