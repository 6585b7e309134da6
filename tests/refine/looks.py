"""Looks at four people of whom the network says what a test wants."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from posefix.network.decoding import Evidence
from posefix.pose.poses import Poses
from posefix.refine.calibration import (
    ALL_MEANS,
    FEATURES,
    OPINION_FEATURES,
    REGRESSIONS,
    Calibration,
    Regression,
    UsualCompany,
)
from posefix.refine.company import Company
from posefix.refine.crops import CroppedPeople, crop_people
from posefix.refine.features import measure_poses
from posefix.refine.look import Look
from posefix.skeletons import load_skeleton

MODEL = load_skeleton("posefix19")
COUNT, SHAPE = 4, (4, 19)
MISSING = (1, 7)
"""Person and keypoint that `people` leaves out."""
ALWAYS_BETTER, NEVER_BETTER = (
    Regression(np.array([bias]), np.zeros(len(OPINION_FEATURES))) for bias in (700.0, -700.0)
)
"""Of what is found elsewhere."""


def people() -> CroppedPeople:
    rng = np.random.default_rng(1)
    valid = np.ones(SHAPE, bool)
    valid[MISSING] = False
    poses = Poses(
        keypoints=rng.uniform(100, 300, (*SHAPE, 2)),
        scores=np.ones(SHAPE),
        valid=valid,
        image_ids=(1,) * COUNT,
        pose_scores=np.ones(COUNT),
        skeleton=MODEL,
    )
    return crop_people(poses, MODEL, (144, 192))


def evidence(**fields: Any) -> Evidence:
    """Random evidence; fields are replaced by arrays, or by numbers for all keypoints."""
    rng = np.random.default_rng(0)
    numbers = {
        field.name: rng.uniform(0.1, 0.9, SHAPE)
        for field in dataclasses.fields(Evidence)
        if field.name != "keypoints"
    }
    numbers |= {name: np.broadcast_to(np.asarray(value, float), SHAPE) for name, value in fields.items()}
    return Evidence(rng.uniform(100, 300, (*SHAPE, 2)), **numbers)


def look(
    found: Evidence | None = None,
    given: CroppedPeople | None = None,
    seen: npt.ArrayLike = (True,) * COUNT,
    withheld: Evidence | None = None,
) -> Look:
    """At `people`, with random evidence where none is named; everybody was seen."""
    return Look(given or people(), found or evidence(), withheld or evidence(), np.array(seen, dtype=bool))


def calibration_of(*regressions: Regression) -> Calibration:
    """With these of keypoints; it prefers nothing found elsewhere, expects nothing beforehand and trusts nobody."""
    nothing = np.zeros(len(ALL_MEANS))
    of_keypoints: dict[str, Any] = dict(zip(REGRESSIONS, regressions, strict=True))
    return Calibration(
        **of_keypoints, elsewhere=NEVER_BETTER, usual=UsualCompany(nothing, nothing), trusted=0.0
    )


def trusting() -> Calibration:
    """Trusts everybody whom the photo alone does not contradict, and expects of nothing that it is any better."""
    even = Regression(np.zeros(len(MODEL)), np.zeros(len(FEATURES)))
    return dataclasses.replace(calibration_of(*[even] * len(REGRESSIONS)), trusted=0.5)


def alone(of: Look) -> Company:
    """The company of people each of whom is refined alone, and of whom nothing is held back."""
    return Company(measure_poses(of))
