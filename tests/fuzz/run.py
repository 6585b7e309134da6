"""Faulty files by the thousand: `python -m tests.fuzz.run --count 20000`.

Each is a good file of `tests.fuzz.subjects` with faults of `tests.fuzz.faults`, told by a number alone. Posefix must
answer in one sentence or do its work: a traceback, a crash, or a file changed that is not its output, is a fault of
ours. The work is done in a process of its own, of bounded memory, which is started again where it dies or hangs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import select
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.fuzz.faults import with_faults
from tests.fuzz.subjects import Subject, subjects

from posefix.errors import InputError

Outcome = dict[str, Any]
MOST_MEMORY = 4 * 2**30
"""Bytes that the working process may have, PyTorch and all."""
MOST_SECONDS = 60.0
"""Whoever takes longer with a file hangs."""


class Fuzzer:
    """Does what a number says.

    Args:
        folder: For good files and faulty ones.
        kinds: Those to take.
    """

    def __init__(self, folder: Path, kinds: Sequence[Subject]) -> None:
        self._kinds = kinds
        self._good, self._faulty = folder / "good", folder / "faulty"
        for kind in kinds:
            (self._good / kind.name).mkdir(parents=True)
            kind.make(self._good / kind.name)
            kind.use(self._copy(kind))  # a good file passes, or what follows says nothing

    def __call__(self, number: int) -> Outcome:
        """Make the faulty file of a number, and see what is done with it."""
        chance = random.Random(number)
        kind = self._kinds[number % len(self._kinds)]
        folder = self._copy(kind)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        own = [path for path in files if path.parent.name != "photos"]
        path = chance.choice(files if chance.random() < 0.05 else own)
        path.write_bytes(with_faults(path.name, path.read_bytes(), chance))
        before = _contents(folder)
        start = time.perf_counter()
        answer = _answer(kind, folder)
        seconds = time.perf_counter() - start
        if kind.name != "journal" and answer["answer"] != "fault" and _contents(folder) != before:
            answer = {"answer": "fault", "what": "a file was changed"}
        return {"number": number, "kind": kind.name, **answer, "seconds": round(seconds, 3)}

    def _copy(self, kind: Subject) -> Path:
        shutil.rmtree(self._faulty, ignore_errors=True)
        shutil.copytree(self._good / kind.name, self._faulty)
        return self._faulty


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _answer(kind: Subject, folder: Path) -> Outcome:
    try:
        kind.use(folder)
    except InputError as error:
        told = str(error)
        return {"answer": "refused"} if "Traceback" not in told else {"answer": "fault", "what": told}
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in place if "posefix" in frame.filename] or place
        where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
        return {"answer": "fault", "what": f"{type(error).__name__}: {str(error)[:200]}", "where": where}
    return {"answer": "done"}


def work(numbers: range, kinds: Sequence[Subject]) -> None:
    """Print a line for each number before and after its file: what died in between is known."""
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(Path(folder), kinds)
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
        quiet = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):  # libraries in C write past Python
            os.dup2(quiet, stream)
        for number in numbers:
            print(json.dumps({"number": number, "kind": kinds[number % len(kinds)].name}), file=lines)
            outcome = fuzzer(number)
            outcome["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            print(json.dumps(outcome), file=lines)


def watched(numbers: range, only: str) -> Iterator[Outcome]:
    """The outcomes of all numbers, also of those at which the working process died or hung."""
    while numbers:
        command = [
            sys.executable,
            "-m",
            "tests.fuzz.run",
            "--work",
            f"{numbers.start}:{numbers.stop}",
            "--only",
            only,
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            begun: Outcome = {}
            outcome = None
            for line in _lines(process):
                outcome = json.loads(line)
                if "answer" in outcome:
                    yield outcome
                else:
                    begun = outcome
            process.kill()  # where it hangs; else it has ended
        if outcome is not None and outcome.get("answer") and outcome["number"] == numbers.stop - 1:
            return
        if not begun:
            raise SystemExit("the good files could not be made or used, see above")
        yield {**begun, "answer": "fault", "what": f"the process died or hung ({process.returncode})"}
        numbers = range(begun["number"] + 1, numbers.stop)


def _lines(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Lines as long as they come; the first takes longer, since good files are made before it."""
    assert process.stdout is not None
    patience, rest = 10 * MOST_SECONDS, b""
    # Read past Python's buffer, whose lines `select` would not know of.
    while select.select([process.stdout], [], [], patience)[0] and (
        read := os.read(process.stdout.fileno(), 65536)
    ):
        *lines, rest = (rest + read).split(b"\n")
        yield from lines
        patience = MOST_SECONDS


def report(outcomes: Sequence[Outcome]) -> str:
    """The figures of a run."""
    kinds = sorted({outcome["kind"] for outcome in outcomes})
    answers = Counter((outcome["kind"], outcome["answer"]) for outcome in outcomes)
    lines = ["| kind | files | refused | done | faults | longest, s |", "|---|---|---|---|---|---|"]
    for kind in (*kinds, None):
        own = [outcome for outcome in outcomes if kind in (None, outcome["kind"])]
        counts = Counter(outcome["answer"] for outcome in own)
        longest = max(outcome.get("seconds", 0) for outcome in own)
        cells = (
            kind or "all",
            len(own),
            *(counts[one] for one in ("refused", "done", "fault")),
            f"{longest:.2f}",
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    memory = max(outcome.get("memory", 0) for outcome in outcomes)
    lines.append(f"\nlargest memory of the process: {memory / 1e9:.2f} GB")
    faults = Counter(
        (o["kind"], o["what"][:120], o.get("where", "")) for o in outcomes if o["answer"] == "fault"
    )
    numbers = {
        (o["kind"], o["what"][:120], o.get("where", "")): o["number"]
        for o in outcomes
        if o["answer"] == "fault"
    }
    lines += [
        f"{count} x {' | '.join(what)} (number {numbers[what]})" for what, count in faults.most_common()
    ]
    assert sum(answers.values()) == len(outcomes)
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument(
        "--first", type=int, default=0, help="number of the first file; others make other files"
    )
    parser.add_argument("--only", default="", help="kinds whose name has this in it")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    kinds = [kind for kind in subjects() if options.only in kind.name]
    if options.work:
        first, last = map(int, options.work.split(":"))
        work(range(first, last), kinds)
        return 0
    start = time.perf_counter()
    outcomes = list(watched(range(options.first, options.first + options.count), options.only))
    print(report(outcomes))
    print(f"{len(outcomes)} files in {time.perf_counter() - start:.0f} s")
    return int(any(outcome["answer"] == "fault" for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
