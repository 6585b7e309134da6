"""What a reader of MATLAB files must not be given."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posefix.errors import InputError
from posefix.formats.mpii_matlab import HEADER_BYTES, DamagedError, check_variable, list_variables
from posefix.interchange.pose_files import read_pose_file

savemat = pytest.importorskip("scipy.io").savemat


def saved(compressed: bool = False, **variables: Any) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, variables, do_compression=compressed)
    return buffer.getvalue()


def check(content: bytes) -> None:
    for variable in list_variables(content):
        check_variable(content, variable)


def changed(content: bytes, at: int, form: str, *values: int) -> bytes:
    copy = bytearray(content)
    struct.pack_into(form, copy, at, *values)
    return bytes(copy)


@pytest.mark.parametrize("compressed", [False, True])
def test_whatever_is_whole_passes(compressed: bool) -> None:
    cells = np.empty((1, 2), dtype=object)
    cells[:] = [[np.arange(3.0), "text"]]
    record = np.array([[(np.eye(2), "ä")]], dtype=[("a", object), ("long_name", object)])
    numbers = {
        kind: np.ones((2, 3), kind) for kind in ("int8", "uint16", "int64", "float32", "complex128", "bool")
    }
    content = saved(compressed, cells=cells, record=record, empty=np.zeros((0, 0)), word="", **numbers)
    variables = list_variables(content)
    assert [variable.name for variable in variables] == ["cells", "record", "empty", "word", *numbers]
    assert [variable.start for variable in variables] == [HEADER_BYTES, *(v.end for v in variables[:-1])]
    assert variables[-1].end == len(content)
    assert {variable.compressed for variable in variables} == {compressed}
    check(content)


NUMBERS = saved(x=np.arange(4.0).reshape(2, 2))
"""Of the variable: tag at 128, flags at 136 (data 144), dimensions at 152 (data 160), name at 168, numbers at 176."""
RECORD = saved(s=np.array([[(np.eye(1),)]], dtype=[("f", object)]))
"""As above; length of the names of fields at 176 (a small element), the names at 184."""


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (NUMBERS[:-1], "an element of 80 bytes goes beyond its parent, byte 128"),
        (NUMBERS[:132], "an element ends within its tag, byte 128"),
        (changed(NUMBERS, 128, "<I", 9), "expected an array, got an element of type 9"),
        (changed(NUMBERS, 132, "<I", 72), "goes beyond its parent"),
        (changed(NUMBERS, 144, "<I", 5), "an array of class 5"),
        (changed(NUMBERS, 144, "<I", 200), "an array of class 200"),
        (changed(NUMBERS, 144, "<I", 6 | 0x800), "an element ends within its tag"),
        (changed(NUMBERS, 160, "<ii", 2, 3), "numbers of an array of 6 that are more or fewer"),
        (changed(NUMBERS, 176, "<I", 30), "an element of type 30"),
        (changed(NUMBERS, 176, "<I", 0x0009_0009), "a small element of 9 bytes"),
        (changed(RECORD, 180, "<i", 0), "names of fields that are not 0 bytes each"),
        (changed(RECORD, 176, "<I", 0x0003_0005), "an element of 3 bytes instead of 4"),
        (saved(s=np.array([[1, 2]], dtype=object))[:128] + struct.pack("<II", 15, 4) + b"abcd", "incorrect header"),
    ],
)  # fmt: skip
def test_faults_are_found(content: bytes, told: str) -> None:
    with pytest.raises((DamagedError, zlib.error), match=told):
        check(content)


def test_an_array_without_end_is_no_endless_walk() -> None:
    inner = b""
    for _ in range(60):
        head = struct.pack("<IIII", 6, 8, 1, 0) + struct.pack("<IIii", 5, 8, 1, 1) + struct.pack("<II", 1, 0)
        inner = struct.pack("<II", 14, len(head + inner)) + head + inner
    with pytest.raises(DamagedError, match="expected an array, got an element of type 14"):
        check(bytes(HEADER_BYTES) + inner)


def test_a_compressed_variable_that_is_cut_short() -> None:
    packed = zlib.compress(NUMBERS[HEADER_BYTES:])[:-6]
    with pytest.raises(DamagedError, match="a compressed variable is cut short"):
        check(NUMBERS[:HEADER_BYTES] + struct.pack("<II", 15, len(packed)) + packed)


def test_a_variable_that_becomes_very_long_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = zlib.compress(bytes(100_000_000), 9)
    content = (
        b"MATLAB 5.0".ljust(HEADER_BYTES - 4) + b"\x00\x01IM" + struct.pack("<II", 15, len(packed)) + packed
    )
    (tmp_path / "a.mat").write_bytes(content)
    for variable, most in (("", "64"), ("80", "80")):
        monkeypatch.setenv("POSEFIX_FILE_MEMORY", variable)
        with pytest.raises(
            InputError, match=f"a variable of {most} MB or more; if you trust the file, set POSEFIX_"
        ):
            read_pose_file(tmp_path / "a.mat")
    monkeypatch.setenv("POSEFIX_FILE_MEMORY", "200")
    with pytest.raises(InputError, match="expected a variable pred") as caught:
        read_pose_file(tmp_path / "a.mat")
    assert "MB or more" not in str(caught.value)
