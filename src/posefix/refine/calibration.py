"""What turns a model's evidence into probabilities: logistic regressions in its description.

`posefix calibrate` fits them on people held out of training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from posefix.errors import InputError
from posefix.network.models import DESCRIPTION_FILE, Model
from posefix.pose.poses import FloatArray

KEYPOINT_FEATURES = (
    "similarity",
    "vicinity",
    "given_similarity",
    "given_vicinity",
    "distance",
    "nearness",
)
MEANS = ("similarity", "vicinity", "given_similarity", "distance", "nearness")
"""Of which there are means over a pose, and over the poses refined together."""
FEATURES = (
    *KEYPOINT_FEATURES,
    *(f"pose_{name}" for name in MEANS),
    *(f"company_{name}" for name in MEANS),
)
"""What regressions see of a keypoint: `posefix.refine.features.measure_features`."""
MULTIPLIED = len(KEYPOINT_FEATURES) + len(MEANS)
"""Products are those of so many first features, the keypoint's and its pose's. A calibration meets too few companies
for theirs: an estimator that is unlike all of them would get anything."""
PERSON_FEATURES = ("given_similarity", "given_vicinity", "similarity", "agreement")
"""What they see of a person: `posefix.refine.again.measure_contradiction`."""
FULL_STRENGTH = (1.0, 1.0)
DECIMALS = 5
"""Of a regression's numbers in a model's description; features and their products are below a hundred."""


@dataclass(frozen=True)
class Regression:
    """A logistic regression: one bias for each keypoint, one weight for each feature and each product of two.

    What one feature says depends on the others: a large distance speaks against the given place where the heatmap is
    sure of its own, and against the network where the estimator is a good one.

    Attributes:
        bias: (K,), K = 1 for one of persons.
        weights: (F,), one for each of `FEATURES` or of `PERSON_FEATURES`.
        products: (P, P), one for each product of two of the first P features, their squares included, above the
            diagonal and on it; None where there are none.
    """

    bias: FloatArray
    weights: FloatArray
    products: FloatArray | None = None

    def __call__(self, features: FloatArray) -> FloatArray:
        """Features (N, K, F) -> values in 0..1, (N, K)."""
        logits = features @ self.weights + self.bias
        if self.products is not None:
            multiplied = features[..., : len(self.products)]
            logits = logits + (multiplied @ self.products.T * multiplied).sum(axis=-1)
        return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float64)

    def as_dict(self) -> dict[str, list[float]]:
        """For a model's description; of the products those above the diagonal and on it, row after row."""
        parts = {"bias": self.bias, "weights": self.weights}
        if self.products is not None:
            parts["products"] = self.products[np.triu_indices(len(self.products))]
        return {name: [round(value, DECIMALS) for value in part.tolist()] for name, part in parts.items()}


@dataclass(frozen=True)
class Calibration:
    """Regressions of a model, for a refined place, for a place that was given, for one filled in where none was given.

    Attributes:
        refined_similarity: Expected KS of the refined place.
        refined_right: Probability that its KS is above .5.
        given_similarity: The same of the place that was given.
        given_right: The same of the place that was given.
        filled_similarity: The same where no place was given.
        filled_right: The same where no place was given.
        anew: Probability that the pose which the photo alone shows is a better start than the given one, see
            `posefix.refine.again`; one bias.
        strengths: With what share of its strength a pose enters the network at the first look and at later ones, see
            `posefix.refine.refiner.Refiner`; the regressions hold for these.
    """

    refined_similarity: Regression
    refined_right: Regression
    given_similarity: Regression
    given_right: Regression
    filled_similarity: Regression
    filled_right: Regression
    anew: Regression
    strengths: tuple[float, float] = FULL_STRENGTH

    def as_dict(self) -> dict[str, Any]:
        """For a model's description."""
        regressions = {name: getattr(self, name).as_dict() for name in REGRESSIONS}
        return {**regressions, "strengths": list(self.strengths)}


REGRESSIONS = tuple(field.name for field in dataclasses.fields(Calibration) if field.name != "strengths")


def read_calibration(model: Model) -> Calibration | None:
    """The calibration in a model's description; None if it has none.

    Raises:
        InputError: It is not one that this version understands.
    """
    if not model.calibration:
        return None
    path = model.folder / DESCRIPTION_FILE
    try:
        regressions = {name: _read_regression(model.calibration[name]) for name in REGRESSIONS}
        first, later = (float(value) for value in model.calibration["strengths"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: calibration: expected objects {', '.join(REGRESSIONS)} with numbers 'bias' and 'weights', and "
            f"two 'strengths' ({error!r}); calibrate the model again"
        ) from error
    try:
        check_strengths((first, later))
    except InputError as error:
        raise InputError(f"{path}: calibration: {error}; calibrate the model again") from error
    for name, regression in regressions.items():
        person = name == "anew"
        expected = (1, len(PERSON_FEATURES)) if person else (len(model.skeleton), len(FEATURES))
        if regression.bias.shape != expected[:1] or regression.weights.shape != expected[1:]:
            raise InputError(
                f"{path}: calibration: {name}: expected {expected[0]} biases and {expected[1]} weights, "
                f"got {regression.bias.shape} and {regression.weights.shape}; calibrate the model again"
            )
    return Calibration(**regressions, strengths=(first, later))


def check_strengths(strengths: tuple[float, float]) -> None:
    """Raise InputError unless both are above 0 and at most 1."""
    if not all(0 < strength <= 1 for strength in strengths):
        raise InputError(f"strengths: expected two numbers above 0 and at most 1, got {strengths}")


def _read_regression(content: Mapping[str, Any]) -> Regression:
    bias, weights = (np.asarray(content[name], dtype=np.float64) for name in ("bias", "weights"))
    products = None
    if "products" in content:
        products, upper = np.zeros((MULTIPLIED, MULTIPLIED)), np.triu_indices(MULTIPLIED)
        numbers = np.asarray(content["products"], dtype=np.float64)
        if numbers.shape != upper[0].shape:
            raise ValueError(f"expected {len(upper[0])} products, got {numbers.shape}")
        products[upper] = numbers
    if not all(np.isfinite(part).all() for part in (bias, weights, products) if part is not None):
        raise ValueError("a number is missing or not finite")
    return Regression(bias, weights, products)
