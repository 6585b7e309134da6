"""What a calibration's regressions see of keypoints in a look (`posefix.refine.calibration.FEATURES`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from posefix.pose.geometry import lengths
from posefix.pose.poses import BoolArray, FloatArray
from posefix.refine.calibration import ALL_MEANS, COMPANY, FEATURES
from posefix.refine.look import Look

SURE = 8
"""Power of the expected similarity by which the photo alone is sure of its place: of .5 hardly, of .9 by .4."""
LEAST = 1e-4
"""Evidence is taken as at least this and at most one minus this, so that its log odds stay finite."""


def measure_features(look: Look, company: FloatArray, names: Sequence[str] = FEATURES) -> FloatArray:
    """What the regressions see, (N, K, F) in the order of their names.

    Log odds of the evidence, with the pose and with it withheld; how far the network's place is from the given one, as
    logarithm in units of the distance at which KS is 1/e and as KS; the means of these over the keypoints of the pose
    that were given, since errors come by person; and the means of those over the people who are refined together,
    since estimators differ. Where no place was given, what concerns it is 0.

    Args:
        look: At N people, with their pose and with it withheld.
        company: Means over the people who are refined together, (len(`ALL_MEANS`),), or (N, len(`ALL_MEANS`)) where
            each of them has others (`posefix.refine.company`).
        names: Some of `FEATURES`.
    """
    single = _measure_keypoints(look)
    pose = _pose_means(single, look.people.valid)
    known = {
        **single,
        **{f"pose_{name}": pose[:, None, place] for place, name in enumerate(ALL_MEANS)},
        **{f"{COMPANY}{name}": company[..., None, place] for place, name in enumerate(ALL_MEANS)},
    }
    return np.stack([np.broadcast_to(known[name], look.people.valid.shape) for name in names], axis=-1)


def measure_poses(look: Look) -> FloatArray:
    """Means (N, len(`ALL_MEANS`)) of what regressions see of single keypoints, over those that were given."""
    means = np.zeros((len(look.seen), len(ALL_MEANS)))
    for places, part in look.parts():
        means[places] = _pose_means(_measure_keypoints(part), part.people.valid)
    return means


def _pose_means(single: Mapping[str, FloatArray], valid: BoolArray) -> FloatArray:
    averaged = np.stack([single[name] for name in ALL_MEANS], axis=-1)
    count = np.maximum(valid.sum(axis=1, keepdims=True), 1)
    return np.asarray(np.where(valid[..., None], averaged, 0.0).sum(axis=1) / count)


def _measure_keypoints(look: Look) -> dict[str, FloatArray]:
    """(N, K) of each of `KEYPOINT_FEATURES` and `ALONE_FEATURES`."""
    evidence, alone, people = look.evidence, look.alone, look.people
    offset, alone_offset = people.offset(evidence.keypoints), people.offset(alone.keypoints)
    apart = lengths(alone.keypoints - evidence.keypoints) / people.falloff
    sure, alone_nearness = alone.similarity.astype(np.float64) ** SURE, np.exp(-(alone_offset**2))
    given = {
        "given_similarity": log_odds(evidence.given_similarity),
        "given_vicinity": log_odds(evidence.given_vicinity),
        "distance": np.log1p(offset),
        "nearness": np.exp(-(offset**2)),
        "alone_given_similarity": log_odds(alone.given_similarity),
        "alone_given_vicinity": log_odds(alone.given_vicinity),
        "alone_nearness": alone_nearness,
        "contradicted": sure * (1 - alone_nearness),
        "sure": sure,
    }
    return {
        "similarity": log_odds(evidence.similarity),
        "vicinity": log_odds(evidence.vicinity),
        "alone_similarity": log_odds(alone.similarity),
        "alone_refined_nearness": np.asarray(np.exp(-(apart**2))),
        **{name: np.where(people.valid, values, 0.0) for name, values in given.items()},
    }


def log_odds(values: npt.NDArray[Any]) -> FloatArray:
    """Log odds of probabilities, those of certainty finite."""
    share = np.clip(values.astype(np.float64), LEAST, 1 - LEAST)
    return np.asarray(np.log(share / (1 - share)), dtype=np.float64)
