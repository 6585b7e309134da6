"""The reviewed file follows the steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.review.conftest import made_poses

from posefix.errors import InputError
from posefix.pose.poses import Poses
from posefix.pose_files.pose_file import Contents, PoseFile
from posefix.review.output import OutputWriter, ReviewedFile

_, AFTER = made_poses()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_requests_during_a_write_are_served_by_one_more() -> None:
    going, gate, written = threading.Event(), threading.Event(), []

    def write() -> int:
        going.set()
        gate.wait(5)
        written.append(True)
        return len(written)

    writer = OutputWriter(write)
    writer.request()
    going.wait(5)
    for _ in range(20):
        writer.request()
    gate.set()
    until(lambda: writer.steps == 2)
    writer.close()
    assert len(written) == 3  # and the last one, at the end


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (InputError("disk full"), "disk full"),
        (ValueError("a fault of ours"), "ValueError: a fault of ours"),
        (MemoryError(), "MemoryError: "),
    ],
)
def test_a_failed_write_is_told_and_made_good(error: Exception, words: str) -> None:
    problems = [error, None]

    def write() -> int:
        if problem := problems.pop(0):
            raise problem
        return 7

    writer = OutputWriter(write)
    writer.request()
    until(lambda: writer.problem == words)
    assert writer.steps == -1
    writer.close()
    assert (writer.steps, writer.problem) == (7, None)


def test_closing_twice_is_closing() -> None:
    writer = OutputWriter(lambda: 1)
    writer.close()
    writer.close()
    assert writer.steps == 1


def test_of_a_folder_only_changed_files_are_written(tmp_path: Path) -> None:
    def rewrite(poses: Poses, **_: Any) -> Contents:
        return {f"{row // 2}/{row}.json": str(poses.keypoints[row].tolist()).encode() for row in range(6)}

    file = ReviewedFile(tmp_path / "out", PoseFile(tmp_path, "made", AFTER, rewrite))
    file.write(AFTER)
    first = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.json")}
    assert len(first) == 6
    keypoints = AFTER.keypoints.copy()
    keypoints[3] += 1
    file.write(AFTER.with_keypoints(keypoints))
    changed = [path.name for path, time_ns in first.items() if path.stat().st_mtime_ns != time_ns]
    assert changed == ["3.json"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    file = ReviewedFile(tmp_path / "out", PoseFile(tmp_path, "made", AFTER, lambda *_, **__: {"a.json": b""}))
    with pytest.raises(InputError, match="out"):
        file.write(AFTER)
