"""The one error that a user can cause, and how its messages quote what they got."""

from __future__ import annotations


class InputError(ValueError):
    """An input is wrong; the message is one sentence: what, where, what was expected, what to do about it."""


def quoted(value: object) -> str:
    """A value as messages show it: its Python form, shortened."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
