"""Plots as SVG inside a page: text stays text, and colours are those of the page, light or dark."""

from __future__ import annotations

import io
import re

from markupsafe import Markup, escape

from posefix.report.style import NAMES, Plot, draw

STAND_INS = {name: f"#0a0b{number:02}" for number, name in enumerate(NAMES, start=1)}
"""What matplotlib draws with; the variables of the page's style replace them."""
WIDTH_INCHES = 5.2
"""The plot of a phone: at a phone's width its text has the size of small print, and it grows on wider screens."""


def render(plot: Plot, *, height: float, name: str, description: str) -> Markup:
    """Draw a plot and return it as an `<svg>` element.

    Args:
        plot: draws on an empty figure.
        height: in inches, beside a width of `WIDTH_INCHES`.
        name: unlike that of every other plot in the page; keeps their definitions apart.
        description: what the plot shows, for who does not see it.
    """
    text = io.StringIO()
    draw(plot, text, "svg", STAND_INS, size=(WIDTH_INCHES, height), salt=name)
    return _inline(text.getvalue(), description)


def _inline(document: str, description: str) -> Markup:
    """The element of an SVG document, freed of what would reach beyond it: its style sheet, ids and fixed size."""
    element = document[document.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", element, count=1, flags=re.DOTALL)
    element = re.sub(r'<g id="[^"]*"', "<g", element)
    element = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--font)", element)
    element = re.sub(r"<!--.*?-->", "", element, flags=re.DOTALL)
    for name, colour in STAND_INS.items():
        element = element.replace(colour, f"var(--{name})")
    view = re.search(r'viewBox="[^"]*"', element)
    assert view is not None, "matplotlib writes a viewBox"
    body = element[element.index(">") + 1 :]
    return Markup(f'<svg {view.group()} role="img" aria-label="{escape(description)}">{body}')
