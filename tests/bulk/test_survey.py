"""The look around before the work: who is drawn for the company."""

from __future__ import annotations

from collections import Counter

import numpy as np

from posefix.bulk.survey import AT_ONCE, draw


def test_a_few_of_each_photo_are_drawn_before_more_of_any() -> None:
    photos = np.repeat(np.arange(40), 50).tolist()
    drawn = draw(photos, 200)
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    counts = Counter(photos[row] for row in drawn)
    assert set(counts.values()) == {AT_ONCE}
    assert len(counts) == 25
    assert len({row % 50 for row in drawn}) > 30, "not the first ones of a photo"
    more = Counter(photos[row] for row in draw(photos, 400))
    assert (len(more), max(more.values())) == (40, 2 * AT_ONCE), "all photos have given as many as go at once"


def test_photos_of_few_people_are_drawn_like_people() -> None:
    drawn = draw([("file", number // 2) for number in range(1000)], 100)
    assert len(drawn) == 100
    assert len({row // 2 for row in drawn}) <= 60
    assert 400 < drawn.mean() < 600
    assert draw(["a", "b"], 9).tolist() == [0, 1]
