"""Drawing wrong poses from true ones (paper section 4), a whole batch at once.

`synthesize` draws a status for each keypoint from an error profile, then a place that `taxonomy.classify_places`
gives that very status. Statuses that a person's situation makes impossible (an inversion without a labelled partner,
a swap without neighbours, a jitter where a reference of someone else is nearer everywhere) get probability 0 and the
rest is renormalised: the candidates of an exponential race are tried in order of arrival, and the first possible one
is kept, which is the same distribution.

The plain procedure is the paper's. `SynthesisOptions` adds, each off by default, what real estimators do beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import array_api_compat
import numpy as np

from posefix.errors import InputError
from posefix.pose.similarity import Array
from posefix.pose_errors.profile import GOOD_REACH, REACHES, ErrorProfile, frequencies
from posefix.pose_errors.taxonomy import (
    MISS_SIMILARITY,
    NUM_STATUSES,
    LabelledPeople,
    References,
    Status,
    classify,
    classify_places,
    gather_references,
)
from posefix.skeletons import Skeleton

Generator = Any
"""`numpy.random.Generator` for NumPy arrays, `torch.Generator` of the arrays' device for torch tensors."""
ConfusionRadius = Literal["disc", "annulus"]
PersonArea = Literal["annotated", "box"]

CANDIDATE_ROUNDS = (6, 40, 454)
"""Candidates drawn per keypoint before a status counts as impossible: 500 in all, as in the paper's code. Most
keypoints are settled by the first few, so only the unsettled ones see the larger rounds."""
MISS_REACH = float(np.sqrt(-np.log(MISS_SIMILARITY)))
"""Where the paper's misses end, in units of the keypoint's falloff distance."""
FAR_MISS_REACH = 4.0
"""Length of a far miss in units of the keypoint's falloff distance at most."""


@dataclass(frozen=True)
class SynthesisOptions:
    """What is drawn beyond the paper's independent errors; the defaults are the paper's.

    Attributes:
        confusion_radius: Inversions and swaps fall anywhere within KS .5 of the confused keypoint ("disc", as in the
            paper's code and as classification accepts) or only where KS is .5 to .85 ("annulus", the paper's text).
            Without effect on statuses whose distances the profile knows.
        person_area: What distances are measured by: the "annotated" area, as keypoint similarity is defined and as
            results are judged, or the whole "box", as in the paper's code, where errors of one similarity lie farther
            off, by the root of box over area, 1.37 where a body fills .53 of the box.
        severity: Standard deviation of a normal number per person that is added to the log odds of error against
            good: some people come out nearly right, others nearly all wrong.
        severity_mean: Mean of that number.
        exchange_rate: Probability that both legs, both arms or the whole body (each as likely) have left and right
            exchanged.
        displaced_rate: Probability that a limb's or the whole body's true places are shifted together before errors
            are drawn around them; the status is then whatever classification says.
        far_miss_rate: Fraction of misses that land up to `FAR_MISS_REACH` falloff distances away.
        keypoint_dropout: Largest fraction of a person's keypoints that are left out of the input; the fraction is
            uniform between 0 and this.
        pose_dropout: Probability that a person has no input keypoint at all.
    """

    confusion_radius: ConfusionRadius = "disc"
    person_area: PersonArea = "annotated"
    severity: float = 0.0
    severity_mean: float = 0.0
    exchange_rate: float = 0.0
    displaced_rate: float = 0.0
    far_miss_rate: float = 0.0
    keypoint_dropout: float = 0.0
    pose_dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.confusion_radius not in get_args(ConfusionRadius):
            raise InputError(f"confusion_radius must be disc or annulus, got {self.confusion_radius!r}")
        if self.person_area not in get_args(PersonArea):
            raise InputError(f"person_area must be annotated or box, got {self.person_area!r}")
        for name in ("exchange_rate", "displaced_rate", "far_miss_rate", "keypoint_dropout", "pose_dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} must be from 0 to 1, got {getattr(self, name)}")


@dataclass(frozen=True)
class WrongPoses:
    """Synthesised poses.

    Attributes:
        keypoints: (B, K, 2) in the frame of the true poses; the true place where `present` is False.
        present: (B, K) bool: False for keypoints without a label, dropped ones and ones no status was possible for.
        status: (B, K) the `Status` each keypoint realised, `UNLABELLED` where not present.
    """

    keypoints: Array
    present: Array
    status: Array


def synthesize(
    people: LabelledPeople,
    skeleton: Skeleton,
    profile: ErrorProfile,
    generator: Generator,
    options: SynthesisOptions | None = None,
) -> WrongPoses:
    """Draw one wrong pose for each person.

    Args:
        people: B true poses with their neighbours; NumPy arrays or torch tensors on any device.
        skeleton: Names the K keypoints, their flip pairs and sigmas.
        profile: Error frequencies.
        generator: Source of all randomness: the same state gives the same poses.
        options: What to draw beyond the paper.
    """
    options = options or SynthesisOptions()
    draw = Draw(generator, people.keypoints)
    xp = draw.xp
    probability = frequencies(
        profile, skeleton, xp.sum(xp.astype(people.labelled, xp.int32), axis=1), people.overlap
    )
    probability = _vary(probability, skeleton, draw, options)
    references = gather_references(people, skeleton)
    quantiles = profile.distance_quantiles(skeleton, _reaches(options))
    lengths = Lengths(xp.asarray(quantiles, dtype=xp.float32, device=draw.device))
    keypoints, status = _draw_places(references, probability, lengths, draw, options)
    if options.displaced_rate > 0:
        keypoints = _displace(keypoints, people, skeleton, draw, options.displaced_rate)
        moved = classify(keypoints, people, skeleton)
        status = xp.where(status == int(Status.UNLABELLED), status, moved)
    present = (status != int(Status.UNLABELLED)) & _kept(people, draw, options)
    status = xp.where(present, status, int(Status.UNLABELLED))
    return WrongPoses(xp.where(present[..., None], keypoints, people.keypoints), present, status)


class Draw:
    """Uniform and normal numbers of one array library and device from one generator."""

    def __init__(self, generator: Generator, like: Array) -> None:
        self.xp = array_api_compat.array_namespace(like)
        self.device = array_api_compat.device(like)
        self.generator = generator

    def uniform(self, *shape: int) -> Array:
        """Numbers in [0, 1), float32."""
        if isinstance(self.generator, np.random.Generator):
            return self.generator.random(shape, dtype=np.float32)
        return self.xp.rand(shape, generator=self.generator, device=self.device)

    def normal(self, *shape: int) -> Array:
        """Standard normal numbers, float32."""
        if isinstance(self.generator, np.random.Generator):
            return self.generator.standard_normal(shape, dtype=np.float32)
        return self.xp.randn(shape, generator=self.generator, device=self.device)

    def mask(self, names: list[str], skeleton: Skeleton) -> Array:
        """(K,) bool: which keypoints have a name that contains one of these words."""
        chosen = [any(word in name for word in names) for name in skeleton.keypoint_names]
        return self.xp.asarray(chosen, device=self.device)


@dataclass(frozen=True)
class Lengths:
    """How far candidates lie from the reference they are drawn around, in units of its falloff distance.

    Attributes:
        quantiles: (K, 5, Q) in equal steps of probability, by keypoint and status.
    """

    quantiles: Array

    def at(self, keypoint: Array, status: Array, uniform: Array) -> Array:
        """The lengths (n, C) at these probabilities (n, C) in [0, 1), of keypoints (n,) and statuses (n,)."""
        xp = array_api_compat.array_namespace(uniform)
        _, statuses, count = self.quantiles.shape
        step = draw_index(uniform, count - 1, xp)
        flat = xp.reshape(self.quantiles, (-1,))
        place = ((keypoint * statuses + status) * count)[:, None] + step
        start, end = (xp.take(flat, xp.reshape(place + side, (-1,))) for side in (0, 1))
        start, end = xp.reshape(start, uniform.shape), xp.reshape(end, uniform.shape)
        return start + (end - start) * (uniform * (count - 1) - xp.astype(step, uniform.dtype))


LIMBS = (["hip", "knee", "ankle"], ["shoulder", "elbow", "wrist"], [""])
"""Words that name the keypoints of both legs, both arms, the whole body."""


def _vary(probability: Array, skeleton: Skeleton, draw: Draw, options: SynthesisOptions) -> Array:
    """Apply severity and left/right exchanges to the frequencies (B, K, 5)."""
    xp, people = draw.xp, probability.shape[0]
    if options.severity > 0 or options.severity_mean != 0:
        odds = xp.exp(options.severity_mean + options.severity * draw.normal(people, 1, 1))
        good = probability[..., :1]
        probability = xp.concat([good, probability[..., 1:] * odds], axis=-1)
        probability = probability / xp.sum(probability, axis=-1, keepdims=True)
    if options.exchange_rate > 0:
        groups = xp.stack([draw.mask(words, skeleton) for words in LIMBS])
        exchanged = xp.take(groups, draw_index(draw.uniform(people), len(LIMBS), xp), axis=0)
        exchanged = exchanged & (draw.uniform(people) < options.exchange_rate)[:, None]
        # Where a keypoint has no partner the inversion is impossible, and the small rest decides.
        inversion = xp.asarray([0.0, 0.0, 1.0, 0.0, 0.0], dtype=xp.float32, device=draw.device)
        mixed = 0.02 * probability + 0.98 * inversion
        probability = xp.where(exchanged[..., None], mixed, probability)
    return probability


def draw_index(uniform: Array, count: int, xp: Any) -> Array:
    """Whole numbers below `count` from uniform numbers in [0, 1)."""
    return xp.clip(xp.astype(uniform * count, xp.int64), 0, count - 1)


def _draw_places(
    references: References, probability: Array, lengths: Lengths, draw: Draw, options: SynthesisOptions
) -> tuple[Array, Array]:
    """A status and a place that realises it for each labelled keypoint: (B, K, 2) and (B, K)."""
    xp = draw.xp
    shape = probability.shape[:2]
    structure = structurally_possible(references)
    # An exponential race: the order of arrival is the order of draws without replacement, so keeping the first
    # possible status equals renormalising over the possible ones.
    arrival = -xp.log(1.0 - draw.uniform(*shape, NUM_STATUSES)) / xp.where(probability > 0, probability, 1.0)
    arrival = xp.where((probability > 0) & structure, arrival, xp.inf)
    arrival = arrival.reshape(-1, NUM_STATUSES)
    order = xp.argsort(arrival, axis=1)
    places = xp.asarray(references.places[:, :, 0].reshape(-1, 2), copy=True)
    status = xp.full(places.shape[0], int(Status.UNLABELLED), dtype=xp.int64, device=draw.device)
    rows = xp.arange(places.shape[0], device=draw.device)
    for rank in range(NUM_STATUSES):
        wanted = order[:, rank]
        open_rows = xp.nonzero((status == int(Status.UNLABELLED)) & xp.isfinite(arrival[rows, wanted]))[0]
        for found, chosen in _realise(references, open_rows, wanted, lengths, draw, options):
            places[found] = chosen
            status[found] = wanted[found]
    return places.reshape(*shape, 2), status.reshape(shape)


def structurally_possible(references: References) -> Array:
    """(B, K, 5) bool: statuses for which the needed references exist at all; none without a label."""
    xp = array_api_compat.array_namespace(references.exists)
    own = references.exists[:, :, 0]
    inversion = own & references.exists[:, :, 1]
    swap = own & xp.any(references.exists[:, :, 2:], axis=-1)
    return xp.stack([own, own, inversion, swap, own], axis=-1)


def _realise(
    references: References,
    rows: Array,
    wanted: Array,
    lengths: Lengths,
    draw: Draw,
    options: SynthesisOptions,
) -> Iterator[tuple[Array, Array]]:
    """Try candidates for some keypoints; yield (rows that found one, their places (n, 2)) round by round."""
    xp = draw.xp
    for count in CANDIDATE_ROUNDS:
        if rows.shape[0] == 0:
            return
        near = references.take(rows)
        reach = partial(lengths.at, rows % references.places.shape[1], wanted[rows])
        candidates = _candidates(near, wanted[rows], count, reach, draw, options)
        accepted = classify_places(candidates, near) == wanted[rows][:, None]
        first = xp.argmax(xp.astype(accepted, xp.int8), axis=1)
        hit = xp.any(accepted, axis=1)
        chosen = candidates[xp.arange(rows.shape[0], device=draw.device), first]
        yield rows[hit], chosen[hit]
        rows = rows[~hit]


def _candidates(
    near: References,
    wanted: Array,
    count: int,
    reach: Callable[[Array], Array],
    draw: Draw,
    options: SynthesisOptions,
) -> Array:
    """Random places (n, C, 2) around the references that each wanted status (n,) allows."""
    xp, keypoints = draw.xp, wanted.shape[0]
    source = _choose_reference(near.exists, wanted, count, draw)
    row = xp.arange(keypoints, device=draw.device)[:, None]
    shape = (keypoints, count)
    length = reach(draw.uniform(*shape))
    if options.far_miss_rate > 0:
        far = (draw.uniform(*shape) < options.far_miss_rate) & (wanted == int(Status.MISS))[:, None]
        length = xp.where(far, length + (FAR_MISS_REACH - length) * draw.uniform(*shape), length)
    length = length * near.falloff[row, source]
    angle = 2 * np.pi * draw.uniform(*shape)
    return near.places[row, source] + length[..., None] * xp.stack([xp.cos(angle), xp.sin(angle)], axis=-1)


def _choose_reference(exists: Array, wanted: Array, count: int, draw: Draw) -> Array:
    """Which reference (n, C) each candidate is drawn around, uniformly among those its status allows."""
    xp, (rows, references) = draw.xp, exists.shape
    index = xp.arange(references, device=draw.device)[None, :]
    status = wanted[:, None]
    own = (index == 0) & (status <= int(Status.JITTER))
    partner = (index == 1) & (status == int(Status.INVERSION))
    neighbour = (index >= 2) & (status == int(Status.SWAP))
    allowed = exists & (own | partner | neighbour | (status == int(Status.MISS)))
    # The place of the n-th allowed reference: the first index whose running count exceeds n.
    running = xp.cumulative_sum(xp.astype(allowed, xp.int64), axis=1)
    pick = draw.uniform(rows, count) * running[:, -1:]
    chosen = xp.sum(xp.astype(running[:, None, :] <= pick[..., None], xp.int64), axis=-1)
    return xp.clip(chosen, 0, references - 1)


def _reaches(options: SynthesisOptions) -> dict[Status, tuple[float, float]]:
    """The paper's shortest and longest displacement of each status, in units of the falloff distance."""
    reaches = dict(REACHES)
    reaches[Status.MISS] = (REACHES[Status.MISS][0], MISS_REACH)
    if options.confusion_radius == "annulus":
        reaches[Status.INVERSION] = reaches[Status.SWAP] = (GOOD_REACH, REACHES[Status.SWAP][1])
    return reaches


def _displace(keypoints: Array, people: LabelledPeople, skeleton: Skeleton, draw: Draw, rate: float) -> Array:
    """Shift a limb or the whole body together, by up to half the person's size."""
    xp, count = draw.xp, len(people)
    sides = [[f"{side}_{part}" for part in limb[-2:]] for limb in LIMBS[:2] for side in ("left", "right")]
    groups = xp.stack([draw.mask(words, skeleton) for words in (*sides, [""])])
    moved = xp.take(groups, draw_index(draw.uniform(count), groups.shape[0], xp), axis=0)
    moved = moved & (draw.uniform(count) < rate)[:, None]
    length = 0.5 * draw.uniform(count) * xp.sqrt(people.area)
    angle = 2 * np.pi * draw.uniform(count)
    shift = length[:, None] * xp.stack([xp.cos(angle), xp.sin(angle)], axis=-1)
    return keypoints + xp.where(moved[..., None], shift[:, None, :], 0.0)


def _kept(people: LabelledPeople, draw: Draw, options: SynthesisOptions) -> Array:
    """(B, K) bool: keypoints that survive dropout."""
    count, keypoints = people.labelled.shape
    fraction = options.keypoint_dropout * draw.uniform(count, 1)
    kept = draw.uniform(count, keypoints) >= fraction
    return kept & (draw.uniform(count, 1) >= options.pose_dropout)
