"""Third step: what is known of the estimator, from all the poses that are refined together.

They are taken to be of one estimator. What is measured is a handful of numbers about it, not about anybody in the
photos: how its keypoints look to the network on the whole, and what follows from how much they have to gain. Kept in a
file, they make the refinement of one photo that of a thousand.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from posefix.errors import InputError
from posefix.files import read_json, write_text_atomic
from posefix.pose.poses import FloatArray
from posefix.refine.calibration import ALL_MEANS, Calibration
from posefix.refine.features import LEAST, measure_poses
from posefix.refine.look import Look

TRUST_FADE = 14
"""Power of the contradiction with which trust fades: .9 of it are left at .85 times `Calibration.trusted`, .1 at 1.17
times."""
FORMAT = "posefix company"


@dataclass(frozen=True)
class Company:
    """What is known of the estimator of poses.

    Attributes:
        means: (len(`ALL_MEANS`),) of what regressions see of its keypoints; (N, len(`ALL_MEANS`)) where N people are
            not of one company.
        reserve: Gain in KS beyond the caution that a move must bring.
    """

    means: FloatArray
    reserve: float = 0.0

    def means_of(self, count: int) -> FloatArray:
        """The means for each of so many people, (count, len(`ALL_MEANS`))."""
        return np.broadcast_to(self.means, (count, len(ALL_MEANS)))

    def write(self, path: Path, calibration: Calibration | None, people: int) -> None:
        """Keep it in a JSON file.

        Args:
            path: The file.
            calibration: Of the model that saw the people, for which alone the numbers hold.
            people: How many they were, for whoever reads the file.
        """
        document = {
            "format": FORMAT,
            "people": people,
            "calibration": _fingerprint(calibration),
            "means": dict(zip(ALL_MEANS, self.means.tolist(), strict=True)),
            "reserve": self.reserve,
        }
        write_text_atomic(path, json.dumps(document, indent=1) + "\n")


def read_company(path: Path, calibration: Calibration | None) -> Company:
    """What `Company.write` kept.

    Raises:
        InputError: It is no such file, or of another model.
    """
    document = read_json(path)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"{path}: expected a file that `posefix company` wrote; measure the estimator again")
    if document.get("calibration") != _fingerprint(calibration):
        raise InputError(
            f"{path}: was measured with another model; measure the estimator again with this one"
        )
    try:
        numbers = [float(document["means"][name]) for name in ALL_MEANS] + [float(document["reserve"])]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{path}: means or reserve: expected numbers ({error!r}); measure the estimator again"
        ) from error
    if not np.isfinite(numbers).all():
        raise InputError(f"{path}: a number is not finite; measure the estimator again")
    return Company(np.array(numbers[:-1]), numbers[-1])


def _fingerprint(calibration: Calibration | None) -> str:
    """By which a calibration is known again."""
    content: dict[str, Any] = {} if calibration is None else calibration.as_dict()
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def measure_company(look: Look, calibration: Calibration | None) -> Company:
    """Get to know an estimator by the people whom the network saw; of nobody what is usual is known, and not held back.

    Args:
        look: At its people, with their pose and, for a calibration, with it withheld.
        calibration: Of the model; without one nothing is asked of a company, and nothing known of it.
    """
    if calibration is None:
        return Company(np.zeros(len(ALL_MEANS)))
    if not look.seen.any():
        return Company(calibration.usual.means)
    measured = measure_poses(look)[look.seen].mean(axis=0)
    means = calibration.usual.with_people(measured, int(look.seen.sum()))
    return Company(means, hold_back(means, calibration))


def hold_back(means: FloatArray, calibration: Calibration) -> float:
    """Gain in KS beyond the caution that a move must bring.

    Where little is to be gained on the whole, the poses are those of a good estimator, which is more often right about
    the odd keypoint than the network. This shows where the photo alone hardly ever contradicts a place of which it is
    sure.

    Args:
        means: Of the company.
        calibration: Of the model.
    """
    return calibration.reserve * trust(means, calibration.trusted)


def trust(means: FloatArray, trusted: float) -> float:
    """How far an estimator is trusted, 0 to 1: half where the photo contradicts it by `trusted`, more where by less.

    Args:
        means: Of the company.
        trusted: Share of what the photo is sure of, see `Calibration`; 0 trusts nobody.
    """
    contradiction = contradiction_of(means)
    return float(trusted**TRUST_FADE / (trusted**TRUST_FADE + contradiction**TRUST_FADE)) if trusted else 0.0


def contradiction_of(means: FloatArray) -> float:
    """Share of what the photo alone is sure of by which it contradicts the places of a company with these means."""
    contradicted, sure = (means[ALL_MEANS.index(name)] for name in ("contradicted", "sure"))
    return float(np.clip(contradicted / max(sure, LEAST), LEAST, 1))
