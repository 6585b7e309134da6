"""The picture of how the packaged network learned."""

from __future__ import annotations

from benchmarks.documents import TITLES
from benchmarks.learning_curve import PACKAGED, draw


def test_the_figure_has_a_line_for_each_set_and_a_star_for_what_is_packaged() -> None:
    points = [
        {"name": name, "epochs": epochs, "mean_gain": dict.fromkeys(TITLES, gain)}
        for name, epochs, gain in (("first", 20, 0.02), ("second", 47, 0.05), (PACKAGED, 47, 0.06))
    ]
    text = draw(points).decode()
    assert text == draw(points).decode()
    for title in TITLES.values():
        assert title in text
    assert "mean gain in AP" in text
