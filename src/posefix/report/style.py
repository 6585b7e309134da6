"""How plots look: colours by name, which pages and picture files give different values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, Literal

import matplotlib
from matplotlib import colors
from matplotlib.figure import Figure

from posefix.pictures.drawing import Colour

Plot = Callable[[Figure], None]

NAMES = ("ink", "muted", "grid", "paper", "good", "before", "after")
INK, MUTED, GRID, PAPER, GOOD, BEFORE, AFTER = (f"posefix:{name}" for name in NAMES)


def css(colour: Colour) -> str:
    """As matplotlib and browsers write it."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def draw(
    plot: Plot,
    stream: IO[Any],
    kind: Literal["svg", "png", "pdf"],
    palette: Mapping[str, str],
    *,
    size: tuple[float, float],
    salt: str,
    background: str = "none",
) -> None:
    """Draw a plot and write it to a stream; the same plot gives the same bytes.

    Args:
        plot: Draws on an empty figure.
        stream: For text or, but for SVG, bytes.
        kind: Of the file.
        palette: A colour for each of `NAMES`, as matplotlib writes it.
        size: Width and height in inches.
        salt: Keeps the definitions of an SVG apart from those of others in a page.
        background: Colour behind the plot.
    """
    settings: dict[Any, Any] = {  # Any: newer versions type the keys, older ones do not
        "svg.fonttype": "none",
        "svg.hashsalt": salt,
        "pdf.fonttype": 42,  # text stays text
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
    undated: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
    with named_colours(palette), matplotlib.rc_context(settings):
        figure = Figure(figsize=size, layout="constrained", facecolor=background)
        plot(figure)
        figure.savefig(stream, format=kind, metadata=undated[kind], dpi=200)


@contextmanager
def named_colours(palette: Mapping[str, str]) -> Iterator[None]:
    """Within it, matplotlib knows the colours by their names."""
    known: Any = colors.get_named_colors_mapping()
    named = {f"posefix:{name}": palette[name] for name in NAMES}
    for name, colour in named.items():  # one by one: only that empties matplotlib's cache of colours
        known[name] = colour
    try:
        yield
    finally:
        for name in named:
            del known[name]
