"""Colours of the errors in plots and pages: those of their examples, Okabe and Ito's."""

from __future__ import annotations

import numpy as np

from posefix.drawing import DARK_TEXT_ABOVE, LIGHT, LUMINANCE, RIM, Colour


def css(colour: Colour) -> str:
    """As matplotlib and browsers write it."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def ink_on(colour: Colour) -> Colour:
    """Dark or light, whichever stands out."""
    return RIM if float(np.dot(colour, LUMINANCE)) > DARK_TEXT_ABOVE else LIGHT
