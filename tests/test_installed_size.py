"""What a plain installation takes: how it is counted, and that the documents say what was measured."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from benchmarks.environment import kept
from benchmarks.installed_size import DOCUMENT, MARK, disk_mib, table


@pytest.mark.skipif(os.name == "nt", reason="Windows does not tell the blocks of a file")
def test_the_disk_is_counted_in_blocks(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(os.urandom(2**20))
    (tmp_path / "small").write_bytes(b"x")
    os.sync()
    assert 1 <= disk_mib([tmp_path / "large"]) < 1.1
    assert disk_mib([tmp_path / "large", tmp_path / "small"]) >= disk_mib([tmp_path / "large"])


def test_small_packages_and_folders_are_one_row() -> None:
    assert table({"total_mib": 9.5, "packages": {"a": 6.2, "b": 1.0, "c": 0.3}}) == (
        "| package | MB on the disk |\n| --- | --- |\n| a | 6 |\n| all others | 3 |\n| together | 10 |\n"
    )


@pytest.mark.repository
def test_the_document_says_what_was_measured() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert f"<!-- {MARK} -->\n{table(kept('installed_size'))}<!-- /{MARK} -->" in text
