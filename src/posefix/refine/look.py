"""Second step, and part of every later look: what the network says of people, with their pose and without it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from posefix.errors import InputError
from posefix.network.decoding import Evidence
from posefix.pose import geometry
from posefix.pose.poses import BoolArray, FloatArray, Rows
from posefix.refine.backends import Backend
from posefix.refine.crops import CroppedPeople
from posefix.refine.cutting import Crop, Image, Progress, batches

EVIDENCE = tuple(field.name for field in dataclasses.fields(Evidence))
NOBODY, EVERYBODY = -np.inf, np.inf
"""As doubt, see `look_at`: who is looked at with the pose withheld."""
PEOPLE_AT_ONCE = 2048
"""What is measured of people takes several times the memory of what is known of them, so it is done by parts."""


@dataclass(frozen=True)
class Look:
    """What the network says of N people from one start, such as their pose, or none.

    Attributes:
        people: With the pose that they were given, whether or not the network was shown it.
        evidence: Its places in original-image pixels.
        seen: (N,) of whom it was asked; the others' evidence says nothing.
    """

    people: CroppedPeople
    evidence: Evidence
    seen: BoolArray

    @classmethod
    def of_nobody(cls, people: CroppedPeople) -> Look:
        """Evidence to be filled in, in the network's precision but for the places."""
        shape = people.valid.shape
        numbers = (np.zeros(shape, np.float32) for _ in EVIDENCE[1:])
        return cls(people, Evidence(np.zeros((*shape, 2)), *numbers), np.zeros(len(people.valid), dtype=bool))

    def take(self, places: Rows, found: Evidence) -> None:
        """Write down what the network says of some of the people."""
        for name in EVIDENCE:
            getattr(self.evidence, name)[places] = getattr(found, name)
        self.seen[places] = True

    def of(self, places: Rows) -> Look:
        """That at some of the people."""
        evidence = Evidence(*(getattr(self.evidence, name)[places] for name in EVIDENCE))
        return Look(self.people.of(places), evidence, self.seen[places])

    def parts(self) -> Iterator[tuple[Rows, Look]]:
        """That at `PEOPLE_AT_ONCE` people after another, with their places among these."""
        everyone = np.arange(len(self.seen))
        for places in np.split(everyone, everyone[PEOPLE_AT_ONCE::PEOPLE_AT_ONCE]):
            yield places, self.of(places)


def look_at(
    people: CroppedPeople,
    crops: Iterable[Crop],
    backend: Backend,
    batch_size: int,
    *,
    strength: float = 1.0,
    doubt: float = NOBODY,
    progress: Progress | None = None,
) -> tuple[Look, Look]:
    """Show people to the network.

    Args:
        people: With poses.
        crops: Of those of them who can be seen.
        backend: Runs the network.
        batch_size: People shown at once.
        strength: Share of its strength with which a pose enters the network.
        doubt: Whom the network is asked about again, with the pose withheld: those whose pose its places agree with
            less than so.
        progress: Called after each batch.

    Returns:
        The look with the pose, and that at the same people with the pose withheld.

    Raises:
        InputError: The network returns no such places, or crops cannot be made.
    """
    look, alone = Look.of_nobody(people), Look.of_nobody(people)
    for places, images in batches(crops, batch_size):
        some = people.of(places)
        weights = some.valid * np.float32(strength)
        found = _ask(backend, some, images, weights)
        look.take(places, found)
        unsure = np.flatnonzero(some.agreement(found.keypoints) < doubt)
        if unsure.size:
            withheld = np.zeros_like(weights[unsure])
            alone.take(places[unsure], _ask(backend, some.of(unsure), images[unsure], withheld))
        if progress is not None:
            progress(int(look.seen.sum()), int(people.usable.sum()))
    # Who was not seen is where they were.
    look.evidence.keypoints[~look.seen] = people.keypoints[~look.seen]
    return look, alone


def places_of(look: Look, otherwise: Look) -> FloatArray:
    """Where one look shows people (N, K, 2), and another look at them those whom the first did not see."""
    seen = look.seen[:, None, None]
    return np.asarray(np.where(seen, look.evidence.keypoints, otherwise.evidence.keypoints))


def _ask(
    backend: Backend, people: CroppedPeople, images: Image, weights: npt.NDArray[np.float32]
) -> Evidence:
    """What the network says of people in their crops (N, H, W, 3), in original-image pixels."""
    inside = geometry.transform(people.matrices, people.keypoints) * people.valid[..., None]
    found = backend(images, inside.astype(np.float32), weights)
    _check_evidence(found, inside.shape)
    places = geometry.transform(geometry.invert(people.matrices), found.keypoints.astype(np.float64))
    return dataclasses.replace(found, keypoints=places)


def _check_evidence(found: Evidence, shape: tuple[int, ...]) -> None:
    places = found.keypoints
    if places.shape != shape or not np.isfinite(places).all():
        raise InputError(
            f"backend: expected finite keypoints of shape {shape}, got {places.shape} with "
            f"{(~np.isfinite(places)).sum()} not finite; the model is damaged or of another skeleton"
        )
