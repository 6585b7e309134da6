"""Shares and metrics as people quote them."""

from __future__ import annotations


def percent(value: float) -> str:
    """A number of `CocoMetrics` as people quote it: 0.4213 is 42.1."""
    return "-" if value < 0 else f"{100 * value:.1f}"


def signed(difference: float) -> str:
    """A difference of shares or metrics in percent, with its sign: 0.042 is +4.2, and nothing is never below 0."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}"
