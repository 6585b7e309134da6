"""What turns a model's evidence into probabilities: logistic regressions in its description.

`posefix calibrate` fits them on people held out of training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from posefix.errors import InputError, quoted
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
ALONE_FEATURES = (
    "alone_similarity",
    "alone_given_similarity",
    "alone_given_vicinity",
    "alone_nearness",
    "alone_refined_nearness",
)
"""Of the photo alone: what it says of its own place and of the given one, and how near its place is to the given one
and to the refined one."""
ALL_MEANS = (
    "similarity",
    "vicinity",
    "given_similarity",
    "distance",
    "nearness",
    "alone_given_similarity",
    "alone_nearness",
    "contradicted",
    "sure",
)
"""Of which there are means over a pose, and over the poses refined together."""
COMPANY = "company_"
FEATURES = (
    *KEYPOINT_FEATURES,
    *ALONE_FEATURES,
    *(f"pose_{name}" for name in ALL_MEANS),
    *(f"{COMPANY}{name}" for name in ALL_MEANS),
)
"""What regressions see of a keypoint: `posefix.refine.features.measure_features`."""
OPINION_FEATURES = (
    "chosen_similarity",
    "found_similarity",
    "chosen_agreement",
    "found_agreement",
    "found_chosen_agreement",
    "alone_agreement",
    "alone_given_similarity",
    "alone_given_vicinity",
    "alone_similarity",
    "found_alone_agreement",
    "chosen_taken",
    "found_taken",
)
"""What `Calibration.elsewhere` sees of a person: `posefix.refine.elsewhere.measure_opinions`."""
RESERVE = 0.5
"""Gain in KS that a keypoint must promise to be moved where nothing is to be gained on the whole."""
REGRESSIONS = (
    "refined_similarity",
    "refined_right",
    "given_similarity",
    "given_right",
    "filled_similarity",
    "filled_right",
)
"""Those of a calibration that see keypoints."""
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
        weights: (F,), one for each of some of `FEATURES`, or of what is seen of a person.
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
            factors = features[..., : len(self.products)]
            logits = logits + (factors @ self.products.T * factors).sum(axis=-1)
        # The logistic function; by the exponential it would overflow for logits beyond -700.
        return np.asarray((1 + np.tanh(logits / 2)) / 2, dtype=np.float64)

    def as_dict(self) -> dict[str, list[float]]:
        """For a model's description; of the products those above the diagonal and on it, row after row."""
        parts = {"bias": self.bias, "weights": self.weights}
        if self.products is not None:
            parts["products"] = self.products[np.triu_indices(len(self.products))]
        return {name: [round(value, DECIMALS) for value in part.tolist()] for name, part in parts.items()}


@dataclass(frozen=True)
class UsualCompany:
    """What is expected of an estimator before any of its poses is seen.

    Attributes:
        means: (M,) of what regressions see of the poses of most estimators, in the order of `ALL_MEANS`.
        people: (M,) so many people of the usual company are taken to stand beside those who are seen: the means of a
            few people say more about them than about their estimator.
    """

    means: FloatArray
    people: FloatArray

    def with_people(self, means: FloatArray, count: int) -> FloatArray:
        """The means (M,) or (N, M) to be expected of an estimator of which so many people have these means."""
        return np.asarray((count * means + self.people * self.means) / (count + self.people))

    def as_dict(self) -> dict[str, dict[str, float]]:
        """For a model's description."""
        parts = {"means": self.means, "people": self.people}
        return {
            name: dict(zip(ALL_MEANS, [round(value, DECIMALS) for value in part.tolist()], strict=True))
            for name, part in parts.items()
        }


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
        elsewhere: Probability that what is found where the photo alone shows a person is the better pose, see
            `posefix.refine.elsewhere`; one bias.
        usual: What is expected of an estimator beforehand.
        trusted: Little is to be gained of estimators whose places the photo alone, where it is sure, contradicts to a
            share (0 to 1) below this (`posefix.refine.company.trust`); 0 trusts none.
        features: What the regressions of keypoints see, in their order.
        reserve: Gain in KS that a keypoint must promise to be moved where nothing is to be gained on the whole
            (`posefix.refine.company`).
        strengths: With what share of its strength a pose enters the network at the first look and at later ones
            (`posefix.refine.look.look_at`); the regressions hold for these.
        strength_in_crowds: The same at the first look at people whose boxes overlap (`posefix.refine.identity`), whom
            often nothing but the pose tells apart.
    """

    refined_similarity: Regression
    refined_right: Regression
    given_similarity: Regression
    given_right: Regression
    filled_similarity: Regression
    filled_right: Regression
    elsewhere: Regression
    usual: UsualCompany
    trusted: float
    features: tuple[str, ...] = FEATURES
    reserve: float = RESERVE
    strengths: tuple[float, float] = FULL_STRENGTH
    strength_in_crowds: float = 1.0

    def as_dict(self) -> dict[str, Any]:
        """For a model's description."""
        return {
            **{name: getattr(self, name).as_dict() for name in (*REGRESSIONS, "elsewhere")},
            "features": list(self.features),
            "usual_company": self.usual.as_dict(),
            "reserve": self.reserve,
            "trusted": round(self.trusted, DECIMALS),
            "strengths": list(self.strengths),
            "strength_in_crowds": self.strength_in_crowds,
        }


def multiplied(features: Sequence[str]) -> int:
    """Whose products are weighed: so many first features, a keypoint's and its pose's.

    A calibration meets too few companies for theirs: an estimator that is unlike all of them would get anything.
    """
    return sum(not name.startswith(COMPANY) for name in features)


def read_calibration(model: Model) -> Calibration | None:
    """The calibration in a model's description; None if it has none.

    Raises:
        InputError: It is not one that this version understands.
    """
    if not model.calibration:
        return None
    path = model.folder / DESCRIPTION_FILE
    try:
        return _read(model.calibration, len(model.skeleton))
    except InputError as error:
        raise InputError(f"{path}: calibration: {error}; calibrate the model again") from error
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{path}: calibration: expected objects {', '.join(REGRESSIONS)} and elsewhere with numbers 'bias' and "
            "'weights', names of 'features', an object 'usual_company', numbers 'reserve', 'trusted' and "
            f"'strength_in_crowds', and two 'strengths' ({error!r}); calibrate the model again"
        ) from error


def _read(content: Mapping[str, Any], keypoints: int) -> Calibration:
    """What `Calibration.as_dict` gave, of a model of so many keypoints."""
    features, (strengths, in_crowds) = _read_names(content["features"]), _read_strengths(content)
    calibration = Calibration(
        **{name: _read_regression(content[name], multiplied(features)) for name in REGRESSIONS},
        elsewhere=_read_regression(content["elsewhere"], len(OPINION_FEATURES)),
        usual=_read_usual(content["usual_company"]),
        trusted=_read_not_negative(content, "trusted"),
        features=features,
        reserve=_read_not_negative(content, "reserve"),
        strengths=strengths,
        strength_in_crowds=in_crowds,
    )
    for name in REGRESSIONS:
        _check_shape(name, getattr(calibration, name), keypoints, len(features))
    _check_shape("elsewhere", calibration.elsewhere, 1, len(OPINION_FEATURES))
    return calibration


def _read_names(names: Any) -> tuple[str, ...]:
    """Names of features, those of companies last, as products are of the first ones."""
    if not isinstance(names, (list, tuple)):
        raise InputError(f"features: expected a list of names, got {quoted(names)}")
    if unknown := [name for name in names if name not in FEATURES]:
        raise InputError(
            f"features: {quoted(unknown[0])} is not known to this version, which knows {', '.join(FEATURES)}"
        )
    if len(set(names)) < len(names):
        raise InputError("features: a name stands there twice")
    if any(name.startswith(COMPANY) for name in names[: multiplied(names)]):
        raise InputError(f"features: those of the company ({COMPANY}...) must stand last")
    return tuple(names)


def _read_usual(content: Mapping[str, Any]) -> UsualCompany:
    means, people = (
        np.array([content[part][name] for name in ALL_MEANS], dtype=np.float64)
        for part in ("means", "people")
    )
    if not np.isfinite(means).all() or not (np.isfinite(people) & (people > 0)).all():
        raise InputError("usual_company: expected finite means, and numbers of people above 0")
    return UsualCompany(means, people)


def _read_not_negative(content: Mapping[str, Any], field: str) -> float:
    number = float(content[field])
    if not 0 <= number < np.inf:
        raise InputError(f"{field}: expected a number of at least 0, got {number}")
    return number


def _read_strengths(content: Mapping[str, Any]) -> tuple[tuple[float, float], float]:
    """`strengths` and `strength_in_crowds`; that is the first strength where an older description has none."""
    first, later = (float(value) for value in content["strengths"])
    in_crowds = float(content.get("strength_in_crowds", first))
    check_strengths((first, later), in_crowds)
    return (first, later), in_crowds


def check_strengths(strengths: tuple[float, float], in_crowds: float) -> None:
    """Raise InputError unless all three are above 0 and at most 1."""
    if not all(0 < strength <= 1 for strength in strengths):
        raise InputError(f"strengths: expected two numbers above 0 and at most 1, got {strengths}")
    if not 0 < in_crowds <= 1:
        raise InputError(f"strength_in_crowds: expected a number above 0 and at most 1, got {in_crowds}")


def _read_regression(content: Mapping[str, Any], factors: int) -> Regression:
    bias, weights = (np.asarray(content[name], dtype=np.float64) for name in ("bias", "weights"))
    products = None
    if "products" in content:
        products, upper = np.zeros((factors, factors)), np.triu_indices(factors)
        numbers = np.asarray(content["products"], dtype=np.float64)
        if numbers.shape != upper[0].shape:
            raise ValueError(f"expected {len(upper[0])} products, got {numbers.shape}")
        products[upper] = numbers
    if not all(np.isfinite(part).all() for part in (bias, weights, products) if part is not None):
        raise ValueError("a number is missing or not finite")
    return Regression(bias, weights, products)


def _check_shape(name: str, regression: Regression, biases: int, weights: int) -> None:
    if regression.bias.shape != (biases,) or regression.weights.shape != (weights,):
        raise InputError(
            f"{name}: expected {biases} biases and {weights} weights, "
            f"got {regression.bias.shape} and {regression.weights.shape}"
        )
