"""Nothing that was confirmed is lost, whenever the process is killed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from posefix.errors import InputError
from posefix.review.journal import Journal

HEADER = {"journal": "posefix review 1", "results": "a.json", "refined": "b.json", "poses": "0123"}
ENTRIES: list[dict[str, Any]] = [
    {"step": "decide", "person": 1},
    {"step": "undo"},
    {"step": "decide", "person": 2},
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.json.review.jsonl"


def write(path: Path, entries: list[dict[str, Any]]) -> None:
    journal = Journal(path, HEADER)
    for entry in entries:
        journal.append(entry)
    journal.close()


def read(path: Path, header: dict[str, Any] = HEADER) -> list[dict[str, Any]]:
    journal = Journal(path, header)
    journal.close()
    return journal.entries


def test_entries_are_there_when_it_is_opened_again(path: Path) -> None:
    write(path, ENTRIES[:2])
    write(path, ENTRIES[2:])
    assert read(path) == ENTRIES


def test_whatever_byte_it_was_killed_at_whole_lines_stay_and_it_goes_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda file: None)  # hundreds of them take seconds
    write(path, ENTRIES)
    content = path.read_bytes()
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        whole = max(content[:length].count(b"\n") - 1, 0)
        assert read(path) == ENTRIES[:whole]
        write(path, [{"step": "redo"}])
        assert read(path) == [*ENTRIES[:whole], {"step": "redo"}]


def test_an_entry_is_on_the_disk_when_append_returns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bytes] = []
    real = os.fsync

    def fsync(file: int) -> None:
        synced.append(path.read_bytes())
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    write(path, ENTRIES[:1])
    assert [content.count(b"\n") for content in synced] == [1, 2]


def test_a_full_disk_leaves_no_half_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(path, HEADER)
    real = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, line: real(file, line[:7]))
        with pytest.raises(InputError, match="cannot be written"):
            journal.append(ENTRIES[0])
    journal.append(ENTRIES[1])
    journal.close()
    assert read(path) == [ENTRIES[1]]


def test_two_reviews_at_once_are_noticed(path: Path) -> None:
    first, second = Journal(path, HEADER), Journal(path, HEADER)
    first.append(ENTRIES[0])
    with pytest.raises(InputError, match="changed or moved by another program"):
        second.append(ENTRIES[1])
    first.close()
    second.close()
    assert read(path) == [ENTRIES[0]]


def test_a_journal_that_was_taken_away_is_noticed(path: Path) -> None:
    journal = Journal(path, HEADER)
    path.rename(path.with_suffix(".old"))
    with pytest.raises(InputError):
        journal.append(ENTRIES[0])
    path.with_suffix(".old").rename(path)
    journal.append(ENTRIES[0])
    journal.close()
    assert read(path) == [ENTRIES[0]]


def test_decisions_about_other_poses_are_refused(path: Path) -> None:
    write(path, ENTRIES)
    with pytest.raises(InputError, match=r"got those about other ones \(a.json and b.json\)"):
        read(path, {**HEADER, "poses": "4567"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((b'"0123"', b'"4567"'), "got those about other ones"),
        ((b'{"step":"undo"}', b"oops"), "line 3: expected"),
    ],
)
def test_a_journal_that_is_refused_keeps_its_torn_line(
    path: Path, change: tuple[bytes, bytes], words: str
) -> None:
    write(path, ENTRIES)
    content = path.read_bytes().replace(*change) + b'{"step":"dec'
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "content",
    [b'{"a": 1}\n', b"notes", b"notes\nmore\n", b"notes\nmore", b'{"a": 1}\nmore', b"\xff\xfe\n", b"[]\n"],
)
def test_files_of_somebody_else_are_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match="expected the journal of a review"):
        read(path)
    assert path.read_bytes() == content


def test_a_faulty_line_is_named(path: Path) -> None:
    write(path, ENTRIES)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"oops\n", *lines[2:]]))
    with pytest.raises(InputError, match="line 3: expected a step"):
        read(path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        Journal(tmp_path / "nowhere" / "x", HEADER)


def test_brackets_without_end_are_a_faulty_line(path: Path) -> None:
    write(path, ENTRIES)
    path.write_bytes(path.read_bytes() + b"[" * 100_000 + b"\n")
    with pytest.raises(InputError, match=r"line 5: expected a step of a review, got b'\[\["):
        read(path)
    path.write_bytes(b"[" * 100_000 + b"\n")
    with pytest.raises(InputError, match="expected the journal of a review"):
        read(path)
