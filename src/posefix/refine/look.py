"""Second step, and part of every later look: what the network says of people, with their pose and without it.

A network that is given a pose leans on it. What it says with the pose withheld is a witness of its own: of the places
that were given, and of where the person is if these are hopeless.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from posefix.errors import InputError
from posefix.network.decoding import Evidence
from posefix.pose import geometry
from posefix.pose.poses import BoolArray, FloatArray, Rows
from posefix.refine.backends import Backend
from posefix.refine.crops import CroppedPeople
from posefix.refine.cutting import Crop, Image, Progress, batches
from posefix.refine.networks import Float32Array

EVIDENCE = tuple(field.name for field in dataclasses.fields(Evidence))
UNCALIBRATED = ("keypoints", "similarity", "given_similarity")
"""What is asked of the evidence without a calibration."""
PEOPLE_AT_ONCE = 2048
"""What is measured of people takes several times the memory of what is known of them, so it is done by parts."""


@dataclass(frozen=True)
class Look:
    """What the network says of N people.

    Attributes:
        people: With the pose that they were given.
        evidence: With this pose shown to the network; its places in original-image pixels. Where the pose was not
            withheld, too, as for a calibration, no more than `UNCALIBRATED`.
        alone: With the pose withheld: the photo's own opinion, also of the places that were given. It says nothing
            where this was not asked for.
        seen: (N,) of whom it was asked; of the others the evidence says nothing.
    """

    people: CroppedPeople
    evidence: Evidence
    alone: Evidence
    seen: BoolArray

    @classmethod
    def of_nobody(cls, people: CroppedPeople, *, withheld: bool = True) -> Look:
        """Evidence to be filled in, in the network's precision but for the places.

        Args:
            people: The people.
            withheld: Whether the pose will be withheld, too; else `alone` is not to be written to.
        """
        shown, places = people.keypoints.copy(), people.keypoints
        alone = places.copy() if withheld else places
        nobody = np.zeros(len(places), dtype=bool)
        return cls(people, _nothing(people, shown), _nothing(people, alone), nobody)

    def take(self, places: Rows, found: Evidence, alone: Evidence | None = None) -> None:
        """Write down what the network says of some of the people: with the pose and, if known, with it withheld."""
        self.seen[places] = True
        if alone is None:
            _write(self.evidence, places, found, UNCALIBRATED)  # what is not written to takes no memory
            return
        _write(self.evidence, places, found)
        _write(self.alone, places, alone)

    def of(self, places: Rows) -> Look:
        """That at some of the people."""
        evidence, alone = _of(self.evidence, places), _of(self.alone, places)
        return Look(self.people.of(places), evidence, alone, self.seen[places])

    def parts(self) -> Iterator[tuple[Rows, Look]]:
        """That at `PEOPLE_AT_ONCE` people after another, with their places among these."""
        everyone = np.arange(len(self.seen))
        for places in np.split(everyone, everyone[PEOPLE_AT_ONCE::PEOPLE_AT_ONCE]):
            yield places, self.of(places)


def _nothing(people: CroppedPeople, places: FloatArray) -> Evidence:
    """Evidence of people of whom nothing is known: they are where they were."""
    return Evidence(places, *(np.zeros(people.valid.shape, np.float32) for _ in EVIDENCE[1:]))


def _write(own: Evidence, places: Rows, new: Evidence, names: Sequence[str] = EVIDENCE) -> None:
    for name in names:
        getattr(own, name)[places] = getattr(new, name)


def _of(evidence: Evidence, places: Rows) -> Evidence:
    return Evidence(*(getattr(evidence, name)[places] for name in EVIDENCE))


def look_at(
    people: CroppedPeople,
    crops: Iterable[Crop],
    backend: Backend,
    batch_size: int,
    *,
    withheld: bool,
    strength: float | FloatArray = 1.0,
    progress: Progress | None = None,
) -> Look:
    """Show people to the network, with their pose and, if that is asked for, with it withheld.

    Args:
        people: With poses.
        crops: Of those of them who can be seen.
        backend: Runs the network.
        batch_size: People shown at once.
        withheld: Ask for `Look.alone`, too.
        strength: Share of its strength with which a pose enters the network; (N,) one for each of the people.
        progress: Called after each batch.

    Raises:
        InputError: The network returns no such places, or crops cannot be made.
    """
    look = Look.of_nobody(people, withheld=withheld)
    shown = np.broadcast_to(np.asarray(strength, dtype=np.float32), len(people.rows))
    shares = (shown, np.zeros_like(shown)) if withheld else (shown,)
    for places, images in batches(crops, batch_size):
        look.take(places, *_ask(backend, people.of(places), images, [share[places] for share in shares]))
        if progress is not None:
            progress(int(look.seen.sum()), int(people.usable.sum()))
    return look


def _ask(
    backend: Backend, people: CroppedPeople, images: Image, shares: Sequence[Float32Array]
) -> list[Evidence]:
    """What the network says of N people in their crops, the pose shown with some strengths (N,); photo's pixels."""
    inside = geometry.transform(people.matrices, people.keypoints) * people.valid[..., None]
    shown = np.concatenate([people.valid * share[:, None] for share in shares])
    found = backend(images, np.concatenate([inside] * len(shares)).astype(np.float32), shown)
    _check_evidence(found, (len(shown), *inside.shape[1:]))
    matrices = np.concatenate([people.matrices] * len(shares))
    places = geometry.transform(geometry.invert(matrices), found.keypoints.astype(np.float64))
    everything = dataclasses.replace(found, keypoints=places)
    return [_of(everything, rows) for rows in np.split(np.arange(len(shown)), len(shares))]


def _check_evidence(found: Evidence, shape: tuple[int, ...]) -> None:
    places = found.keypoints
    if places.shape != shape or not np.isfinite(places).all():
        raise InputError(
            f"backend: expected finite keypoints of shape {shape}, got {places.shape} with "
            f"{(~np.isfinite(places)).sum()} not finite; the model is damaged or of another skeleton"
        )
