"""The reviewed file: written again after each step, in a thread, so that no click waits for a large file."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from pathlib import Path

from posefix.errors import InputError
from posefix.files import make_folder, write_bytes_atomic
from posefix.pose.poses import Poses
from posefix.pose_files.pose_file import PoseFile

REST = 4.0
"""How long the thread rests after a write, in units of the time that the write took: it never takes a whole core."""


class ReviewedFile:
    """The refined file with other poses, in its own format; each file of it appears whole or not at all.

    Args:
        path: The file to write, or the folder of a format that is one.
        refined: The refined file as it was read.
        update_boxes: Whether the box of a person whose coordinates changed becomes the one around the keypoints.
    """

    def __init__(self, path: Path, refined: PoseFile, *, update_boxes: bool = False) -> None:
        self.path = path
        self._refined = refined
        self._update_boxes = update_boxes
        self._written: dict[str, bytes] = {}

    def write(self, poses: Poses) -> None:
        """Write what changed since the last time.

        Raises:
            InputError: It cannot be written.
        """
        contents = self._refined.rewrite(poses, update_boxes=self._update_boxes)
        for name, content in contents.items():
            digest = hashlib.sha256(content).digest()
            if self._written.get(name) != digest:
                path = self.path / name if name else self.path
                if name:
                    make_folder(path.parent)
                write_bytes_atomic(path, content)
                self._written[name] = digest


class OutputWriter:
    """Writes the output whenever it is asked to; requests that come during a write are served by the next one.

    Args:
        write: Writes it, and returns how many steps it holds; raises where it cannot.

    Attributes:
        steps: How many steps the output holds; -1 before it is written.
        problem: Why the last write failed; None if it did not.
    """

    def __init__(self, write: Callable[[], int]) -> None:
        self.steps = -1
        self.problem: str | None = None
        self._write = write
        self._asked = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="posefix review output")
        self._thread.start()

    def request(self) -> None:
        """Have the output written soon."""
        self._asked.set()

    def close(self) -> None:
        """Write the output a last time, and end; later calls do nothing."""
        self._closing.set()
        self._asked.set()
        self._thread.join()

    def _run(self) -> None:
        last = False
        while not last:
            self._asked.wait()
            self._asked.clear()
            last = self._closing.is_set()
            begin = time.monotonic()
            try:
                self.steps = self._write()
                self.problem = None
            except InputError as error:
                self.problem = str(error)
            except Exception as error:  # nobody else would hear of it, and later writes may succeed
                self.problem = f"{type(error).__name__}: {error}"
            self._closing.wait(REST * (time.monotonic() - begin))
