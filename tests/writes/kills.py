"""Commands killed while they write: `python -m tests.writes.kills --count 200`.

A process writes the same outputs again and again, in two versions in turn, and is killed as `kill -9` does, at a moment
that chance decides. Then every output must be whole, in one of the versions, or not there, and the input as it was.
Prints the kills, how many of them struck while something was being written, and whatever was broken.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

VERSIONS = (1, 2)
FORMATS = {
    "results.json": "coco-results",
    "packed.json.gz": "coco-results",
    "truth.json": "coco-annotations",
    "labels.xml": "cvat",
    "table.csv": "deeplabcut",
}
"""Outputs that are one file, and their formats; folders are those of LabelMe, which cannot be written twice."""
FOLDERS = "labelme"
LONGEST_WAIT = 0.03
"""Seconds after a file of a temporary name is seen; a folder takes longer, a file is there for less."""
MOST_SECONDS = 60.0
"""To wait for such a file."""
WRITER = """
import itertools, shutil, sys
from pathlib import Path
from posefix.cli.app import main
from tests.writes.kills import FOLDERS, FORMATS, VERSIONS
folder = Path(sys.argv[1])
def write(output, version, format):
    main(["convert", str(folder / f"in-{version}.json"), str(output), "--to", format, "--layout", "coco17"])
for number in itertools.count():
    version = VERSIONS[number % len(VERSIONS)]
    for name, format in FORMATS.items():
        write(folder / "out" / name, version, format)
    write(folder / "out" / f"{FOLDERS}-{number}", version, FOLDERS)
    print("ready", file=sys.stderr, flush=True)
"""
"""Says `ready` each time that all outputs are written."""


def make_inputs(folder: Path, people: int) -> None:
    """Results of so many people, a file for each version."""
    (folder / "out").mkdir()
    for version in VERSIONS:
        keypoints = [value for number in range(17) for value in (100.0 + number, 200.0 + version, 0.5)]
        rows = [
            {"image_id": f"im{number // 4}.jpg", "category_id": 1, "keypoints": keypoints, "score": 0.5}
            for number in range(people)
        ]
        (folder / f"in-{version}.json").write_text(json.dumps(rows))


def expected_outputs(folder: Path) -> Mapping[str, set[bytes]]:
    """What each file may hold, one content for each version; of folders by the names of their files."""
    from posefix.cli.app import main

    found: dict[str, set[bytes]] = {}
    for version in VERSIONS:
        whole = folder / f"whole-{version}"
        whole.mkdir()
        for name, format in {**FORMATS, FOLDERS: FOLDERS}.items():
            source = str(folder / f"in-{version}.json")
            main(["convert", source, str(whole / name), "--to", format, "--layout", "coco17"])
            files = sorted((whole / name).iterdir()) if (whole / name).is_dir() else [whole / name]
            for file in files:
                found.setdefault(str(file.relative_to(whole)), set()).add(file.read_bytes())
    return found


def broken_outputs(folder: Path, expected: Mapping[str, set[bytes]]) -> list[str]:
    """What lies in the folder of outputs and is not whole; files of temporary names are nobody's outputs."""
    broken = []
    of_folder = {name.partition("/")[2] for name in expected if name.startswith(f"{FOLDERS}/")}
    for entry in sorted((folder / "out").iterdir()):
        if entry.name.startswith(".posefix-"):
            continue
        if entry.is_file():
            broken += [entry.name] if entry.read_bytes() not in expected[entry.name] else []
            continue
        files = {file.name: file.read_bytes() for file in entry.iterdir()}
        whole = set(files) == of_folder and all(
            content in expected[f"{FOLDERS}/{name}"] for name, content in files.items()
        )
        broken += [] if whole else [entry.name]
    return broken


def kill_once(folder: Path, wait: float) -> bool:
    """Start the writer, kill it a while after it began to write something, and say whether it was still writing."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "ready\n"
        end = time.monotonic() + MOST_SECONDS
        while not _is_writing(folder) and time.monotonic() < end:
            pass
        time.sleep(wait)
        process.kill()
    return _is_writing(folder)


def _is_writing(folder: Path) -> bool:
    """Whether something of a temporary name is there."""
    return any(path.name.startswith(".posefix-") for path in (folder / "out").iterdir())


def clear(folder: Path) -> None:
    """Take away the folders among the outputs, whose names the next writer wants, and files of temporary names."""
    for entry in (folder / "out").iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name.startswith(".posefix-"):
            entry.unlink()


def main() -> None:
    """Kill many times and print what became of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--people", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance, figures, broken = random.Random(options.seed), Counter[str](), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_inputs(folder, options.people)
        expected = expected_outputs(folder)
        inputs = {path: path.read_bytes() for path in folder.glob("in-*.json")}
        for number in range(options.count):
            figures["kills"] += 1
            figures["while writing"] += kill_once(folder, chance.uniform(0, LONGEST_WAIT))
            broken += [f"kill {number}: {what}" for what in broken_outputs(folder, expected)]
            clear(folder)
        broken += [path.name for path, content in inputs.items() if path.read_bytes() != content]
    print(json.dumps({**figures, "broken": broken}, indent=1))
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
