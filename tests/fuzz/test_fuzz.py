"""A short run of the fuzzer, in this process; the long one is `python -m tests.fuzz.run --count 20000`."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

pytest.importorskip("h5py")
pytest.importorskip("scipy")

from tests.fuzz import subjects
from tests.fuzz.run import Fuzzer
from tests.fuzz.subjects import Subject, annotation_subjects, photo_subjects, pose_subjects

FILES_OF_EACH = 6


def kinds() -> list[Subject]:
    """Those that are quick to make; models and recipes are in the long run alone."""
    made = [*pose_subjects(), *photo_subjects(), *annotation_subjects()]
    return [kind for kind in made if "sleap_labels" not in kind.name]


@pytest.mark.filterwarnings("default")  # libraries warn of odd files, which the command line prints
def test_faulty_files_are_told_or_do_no_harm(tmp_path: Path) -> None:
    chosen = kinds()
    fuzzer = Fuzzer(tmp_path, chosen)
    outcomes = [fuzzer(number) for number in range(FILES_OF_EACH * len(chosen))]
    assert [outcome for outcome in outcomes if outcome["answer"] == "fault"] == []
    assert {outcome["answer"] for outcome in outcomes} == {"refused", "done"}


def test_a_traceback_a_silent_command_and_a_changed_file_are_faults(tmp_path: Path) -> None:
    def crash(folder: Path) -> None:
        if (folder / "a.txt").read_text() != "good":
            raise KeyError("a")

    def harm(folder: Path) -> None:
        if (folder / "a.txt").read_bytes() != b"good":
            (folder / "diary").write_text("changed")

    def make(folder: Path) -> None:
        (folder / "a.txt").write_text("good")
        (folder / "diary").write_text("mine")

    for number, (use, what) in enumerate(((crash, "KeyError: 'a'"), (harm, "a file was changed"))):
        (tmp_path / str(number)).mkdir()
        fuzzer = Fuzzer(tmp_path / str(number), [Subject("a", make, use)])
        with warnings.catch_warnings():
            assert what in {outcome.get("what") for outcome in map(fuzzer, range(20))}


@pytest.mark.parametrize(
    ("code", "told"), [(1, "posefix: a\n"), (2, "posefix: a\nb\n"), (2, ""), (0, "a warning\n")]
)
def test_a_command_must_answer_in_one_line(monkeypatch: pytest.MonkeyPatch, code: int, told: str) -> None:
    def main(_: list[str]) -> int:
        sys.stderr.write(told)
        return code

    monkeypatch.setattr(subjects, "main", main)
    with pytest.raises(subjects.UntoldError):
        subjects.command("inspect")
