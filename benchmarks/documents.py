"""How results get into documents: tables, the marks they stand between, what sets are called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

TITLES = {
    "lspet_val": "LSP-Extended",
    "everyday_dev": "Everyday people (COCO val2017)",
    "coco_dev": "COCO val2017",
}
"""What documents call the sets that results are of."""


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def insert(text: str, mark: str, new: str) -> str:
    """A document's text with something else between two marks."""
    start, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->\n"
    before, rest = text.split(start)
    return f"{before}{start}{new}{end}{rest.split(end)[1]}"
