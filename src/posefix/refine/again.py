"""Fifth step: who is worth another look, and from which pose."""

from __future__ import annotations

import numpy as np

from posefix.refine.crops import CroppedPeople, recrop
from posefix.refine.judge import Choice
from posefix.refine.look import Look

SETTLED = 0.9
"""A pose is settled, and not looked at again, when its refinement agrees with it to this mean KS."""


def unsettled(look: Look, choice: Choice) -> CroppedPeople:
    """Whom to look at again: those of a look whose pose changed so much that its crop was a poor one, in their new one.

    Args:
        look: At people with their pose.
        choice: What became of them, among all poses.

    Returns:
        The people with what was chosen as the pose to start from.
    """
    again = np.flatnonzero(look.seen & (look.people.agreement_among(choice.keypoints) < SETTLED))
    people = look.people.of(again)
    return recrop(people, choice.keypoints[people.rows])
