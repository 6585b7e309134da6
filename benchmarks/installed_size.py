"""What a plain installation takes on the disk, package by package.

    python -m benchmarks.installed_size [--extra NAME] [--trial]

makes an empty virtual environment of this Python, installs this checkout into it as users do, and counts what that
added: as `du -m` does, so in MiB and whole blocks, bytecode included; neither pip nor the environment itself. Keeps the
numbers and writes them into docs/libraries.md; with `--trial` or an extra only prints them. Needs: a package index, and
Linux or macOS.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.documents import insert, markdown
from benchmarks.environment import describe, keep

from posefix.files import write_text_atomic

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "libraries.md"
MARK = "installed"
BLOCK = 512
"""Bytes of a block of `st_blocks`."""
SHOWN = 3.0
"""MiB from which a package has a row of its own."""


def disk_mib(files: Iterable[Path]) -> float:
    """Blocks that files take on the disk, MiB."""
    return sum(path.lstat().st_blocks for path in files) * BLOCK / 2**20


def measure(extra: str = "") -> dict[str, Any]:
    """Install this checkout into an empty environment.

    Returns:
        `total_mib` that it added, `packages` by name with their MiB, largest first, and their `versions`.
    """
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        there = set(Path(folder).rglob("*"))
        source = f"{ROOT}[{extra}]" if extra else str(ROOT)
        subprocess.run([f"{folder}/bin/python", "-m", "pip", "install", "--quiet", source], check=True)
        added = [path for path in Path(folder).rglob("*") if path not in there]
        site = next(Path(folder).glob("lib/python*/site-packages"))
        packages, versions = _packages(site, set(added))
        return {"total_mib": round(disk_mib(added), 1), "packages": packages, "versions": versions}


def _packages(site: Path, added: set[Path]) -> tuple[dict[str, float], dict[str, str]]:
    """MiB and version of each package whose files were added."""
    sizes, versions = {}, {}
    for package in importlib.metadata.distributions(path=[str(site)]):
        files = {site / path for path in package.files or ()} & added
        if files:
            sizes[package.name] = round(disk_mib(files), 1)
            versions[package.name] = package.version
    return dict(sorted(sizes.items(), key=lambda item: -item[1])), versions


def table(measured: dict[str, Any]) -> str:
    """A row for each large package, one for all others together with the folders, and the sum."""
    large = {name: size for name, size in measured["packages"].items() if size >= SHOWN}
    rest = measured["total_mib"] - sum(large.values())
    rows = [*large.items(), ("all others", rest), ("together", measured["total_mib"])]
    return markdown(("package", "MB on the disk"), ((name, f"{size:.0f}") for name, size in rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--extra", default="", help="with this extra of pyproject.toml")
    parser.add_argument("--trial", action="store_true", help="keep and write nothing")
    options = parser.parse_args()
    measured = measure(options.extra)
    print(table(measured), end="")
    if not options.trial and not options.extra:
        keep("installed_size", describe(()), measured)
        text = DOCUMENT.read_text(encoding="utf-8")
        write_text_atomic(DOCUMENT, insert(text, MARK, table(measured)))


if __name__ == "__main__":
    main()
