"""Plots as SVG inside a page: text stays text, and colours are those of the page, light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import matplotlib
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from posefix.pictures.drawing import Colour

INK, MUTED, GRID, PAPER = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04"
GOOD, BEFORE, AFTER = "#0a0b05", "#0a0b06", "#0a0b07"
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    PAPER: "--paper",
    GOOD: "--good",
    BEFORE: "--before",
    AFTER: "--after",
}
"""Stand-ins that matplotlib draws with, and the variables of the page's style that replace them."""
WIDTH_INCHES = 5.2
"""The plot of a phone: at a phone's width its text has the size of small print, and it grows on wider screens."""

Plot = Callable[[Figure], None]


def css(colour: Colour) -> str:
    """As matplotlib and browsers write it."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def render(plot: Plot, *, height: float, name: str, description: str) -> Markup:
    """Draw a plot and return it as an `<svg>` element.

    Args:
        plot: draws on an empty figure.
        height: in inches, beside a width of `WIDTH_INCHES`.
        name: unlike that of every other plot in the page; keeps their definitions apart.
        description: what the plot shows, for who does not see it.
    """
    settings: dict[Any, Any] = {  # Any: newer versions type the keys, older ones do not
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.size": 10,
        "text.color": INK,
        "text.parse_math": False,  # names from files may hold dollar signs
        "axes.labelcolor": INK,
        "axes.edgecolor": MUTED,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.axisbelow": True,
        "grid.color": GRID,
        "grid.linewidth": 0.8,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "legend.frameon": False,
        "hatch.color": PAPER,
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained", facecolor="none")
        plot(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None}, dpi=200)
    return _inline(text.getvalue(), description)


def _inline(document: str, description: str) -> Markup:
    """The element of an SVG document, freed of what would reach beyond it: its style sheet, ids and fixed size."""
    element = document[document.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", element, count=1, flags=re.DOTALL)
    element = re.sub(r'<g id="[^"]*"', "<g", element)
    element = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--font)", element)
    element = re.sub(r"<!--.*?-->", "", element, flags=re.DOTALL)
    for colour, variable in VARIABLES.items():
        element = element.replace(colour, f"var({variable})")
    view = re.search(r'viewBox="[^"]*"', element)
    assert view is not None, "matplotlib writes a viewBox"
    body = element[element.index(">") + 1 :]
    return Markup(f'<svg {view.group()} role="img" aria-label="{escape(description)}">{body}')
