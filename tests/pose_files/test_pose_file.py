"""A source of poses: files and folders, those that cannot be read too."""

from pathlib import Path

import pytest

from posefix.pose_files.pose_file import FormatError, Source


def refuse(error: OSError, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a method of all paths fail, as it does for users who may not look."""

    def fail(path: Path) -> None:
        raise error

    monkeypatch.setattr(Path, method, fail)


def test_a_file_that_may_not_be_looked_at_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(PermissionError(13, "Permission denied"), "exists", monkeypatch)
    with pytest.raises(FormatError, match=r"a\.json: cannot be read \(Permission denied\)\.$"):
        Source(tmp_path / "a.json")


def test_a_folder_that_may_not_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(PermissionError(13, "Permission denied"), "iterdir", monkeypatch)
    with pytest.raises(FormatError, match=r": cannot be read \(Permission denied\)\.$"):
        _ = Source(tmp_path).files


def test_a_name_longer_than_those_of_files_is_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r": (cannot be read \(|there is no such file)"):
        Source(tmp_path / ("x" * 300))


def test_a_file_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"once")
    source = Source(tmp_path / "a.h5")
    assert source.content == b"once"
    (tmp_path / "a.h5").unlink()
    assert source.content == b"once"
    with pytest.raises(FormatError, match=r"b: cannot be read \("):
        (tmp_path / "b").mkdir()
        _ = Source(tmp_path / "b").content
