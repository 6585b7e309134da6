"""How messages quote and count."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from posefix.errors import plural

SOURCE = Path(__file__).parents[1] / "src" / "posefix"
THINGS = "people|poses|keypoints|photos|frames|videos|faults|annotations|units|instances"
COUNTED = re.compile(rf"\{{(len\(\w+(\.\w+)*\)|\w+(\.\w+)*\.sum\(\))(:,)?\}} ({THINGS})\b")
"""A number of things in a message, with the word for several of them, whatever the number is."""


@pytest.mark.parametrize(
    ("count", "noun", "told"),
    [
        (0, "pose", "0 poses"),
        (1, "pose", "1 pose"),
        (1000, "pose", "1,000 poses"),
        (1, "person", "1 person"),
        (2, "person", "2 people"),
        (2, "annotated person", "2 annotated people"),
    ],
)
def test_things_are_counted(count: int, noun: str, told: str) -> None:
    assert plural(count, noun) == told
    assert plural(2, "person is", "people are") == "2 people are"


@pytest.mark.repository
def test_messages_leave_counting_to_one_function() -> None:
    """The exceptions are numbers that are never 1: of layouts that a format has."""
    found = [
        f"{path.relative_to(SOURCE)}: {match[0]}"
        for path in sorted(SOURCE.rglob("*.py"))
        for match in COUNTED.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == [
        "evaluation/posetrack.py: {len(SCORED)} keypoints",
        "formats/alphapose.py: {len(skeleton)} keypoints",
    ]
