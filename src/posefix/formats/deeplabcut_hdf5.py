"""DeepLabCut's tables as HDF5: a pandas data frame, of which only the changed numbers are written.

pandas stores a frame in one of two layouts, told by `pandas_type`. "frame" (DeepLabCut's labels): blocks of values, and
for each the labels of its columns as levels and codes. "frame_table" (its predictions of videos): a table whose rows
hold values, and their columns as a pickled list of texts, which is read without building anything but lists and texts.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
import numpy.typing as npt

from posefix.errors import plural
from posefix.formats.deeplabcut_table import Table
from posefix.pose.poses import LARGEST_NUMBER, BoolArray, FloatArray, ImageId
from posefix.pose_files.hdf5 import READING_ERRORS, open_hdf5
from posefix.pose_files.hdf5_filters import check_filters
from posefix.pose_files.pose_file import FormatError

KEY = "df_with_missing"

Column = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Block:
    """Some columns of a frame: where they are stored.

    Attributes:
        place: Path of the data set.
        field: Of a table's rows; None where the data set is the block.
        columns: Labels.
        values: (R, number of columns).
        transposed: Whether the data set has rows and columns the other way round.
    """

    place: str
    field: str | None
    columns: list[Column]
    values: FloatArray
    transposed: bool = False


def parse_hdf5(path: Path, content: bytes) -> Table:
    """The table in an HDF5 file that pandas wrote.

    Raises:
        FormatError: The file is faulty or holds no such table.
    """
    try:
        with open_hdf5(path, io.BytesIO(content)) as file:
            check_filters(path, file)
            group = _group(path, file)
            layout = _text(group.attrs.get("pandas_type", b""))
            if layout == "frame":
                rows, blocks = _fixed(group)
            elif layout == "frame_table":
                rows, blocks = _rows_of_table(group["table"]), _table(group)
            else:
                raise FormatError(
                    f"{path}, {group.name}: expected a data frame of pandas, got {layout!r}; "
                    "save it again with DeepLabCut."
                )
        values = np.concatenate([block.values for block in blocks], axis=1)
    except FormatError:
        raise
    except (*READING_ERRORS, pickle.UnpicklingError) as error:
        raise FormatError(
            f"{path}: expected a table of DeepLabCut in HDF5, got a damaged one ({error})."
        ) from error
    if values.shape[0] != len(rows):
        raise FormatError(
            f"{path}: expected {plural(len(rows), 'row')} as in its index, got {values.shape[0]}."
        )
    if np.any(np.abs(values) >= LARGEST_NUMBER):
        row = int(np.argwhere(np.abs(values) >= LARGEST_NUMBER)[0, 0])
        raise FormatError(
            f"{path}, row {row}: expected finite numbers or NaN, got {np.abs(values[row]).max()}."
        )
    columns = tuple(column for block in blocks for column in block.columns)
    return Table(
        path, columns, rows, values, lambda new, changed: _edited(path, content, blocks, new, changed)
    )


def _edited(path: Path, content: bytes, blocks: list[_Block], new: FloatArray, changed: BoolArray) -> bytes:
    """The file with other numbers in its blocks."""
    buffer = io.BytesIO(content)
    with open_hdf5(path, buffer, "r+") as file:
        start = 0
        for block in blocks:
            part = slice(start, start := start + len(block.columns))
            if changed[:, part].any():
                _write(file[block.place], block, np.where(changed[:, part], new[:, part], block.values))
    return buffer.getvalue()


def _write(data: h5py.Dataset, block: _Block, values: FloatArray) -> None:
    if block.field is None:
        data[...] = values.T if block.transposed else values
    else:
        # This field alone: a row written whole would lose the last letter of texts that fill their place.
        data[..., block.field] = values.reshape(-1, *data.dtype[block.field].shape)


def _group(path: Path, file: h5py.File) -> h5py.Group:
    frames = [name for name, group in file.items() if group and "pandas_type" in group.attrs]
    if KEY not in frames and len(frames) != 1:
        got = ", ".join(frames) or "none"
        raise FormatError(f"{path}: expected one data frame, best called {KEY!r}, got {got}.")
    return file[KEY if KEY in frames else frames[0]]


def _fixed(group: h5py.Group) -> tuple[tuple[ImageId, ...], list[_Block]]:
    blocks = []
    count = int(group.attrs["nblocks"])
    if count < 1:
        raise ValueError("the frame has no values")
    for number in range(count):
        data = group[f"block{number}_values"]
        columns = [tuple(map(str, labels)) for labels in _labels(group, f"block{number}_items")]
        values = np.asarray(_array(data), dtype=np.float64)
        across = not bool(data.attrs.get("transposed", True))
        values = values.T if across else values
        if values.ndim != 2 or values.shape[1] != len(columns):
            raise ValueError(f"{data.name} has another shape than its columns")
        blocks.append(_Block(data.name, None, columns, values, across))
    return tuple(_row_id(labels) for labels in _labels(group, "axis1")), blocks


def _labels(group: h5py.Group, axis: str) -> list[tuple[Any, ...]]:
    """The labels of an axis, each with as many parts as the axis has levels."""
    if _text(group.attrs.get(f"{axis}_variety", b"regular")) == "regular":
        return [(value,) for value in _values(group[axis])]
    parts = []
    for level in range(int(group.attrs[f"{axis}_nlevels"])):
        names = _values(group[f"{axis}_level{level}"])
        parts.append(
            [names[code] if code >= 0 else "" for code in group[f"{axis}_label{level}"][...].tolist()]
        )
    return list(zip(*parts, strict=True))


def _table(group: h5py.Group) -> list[_Block]:
    table = group["table"]
    blocks = []
    for field in table.dtype.names or ():
        if not field.startswith("values_block_"):
            continue
        columns = [tuple(map(str, labels)) for labels in _plain(table.attrs[f"{field}_kind"])]
        values = np.asarray(table[field], dtype=np.float64).reshape(len(table), -1)
        if values.shape[1] != len(columns):
            raise ValueError(f"{field} has another shape than its columns")
        blocks.append(_Block(table.name, field, columns, values))
    if not blocks:
        raise ValueError("the table has no values")
    return blocks


def _rows_of_table(table: h5py.Dataset) -> tuple[ImageId, ...]:
    return tuple(_row_id((value,)) for value in _as_texts(table["index"]))


def _values(data: h5py.Dataset) -> list[Any]:
    return _as_texts(_array(data))


def _array(data: h5py.Dataset) -> npt.NDArray[Any]:
    """What a data set holds; of an empty array pandas stores one value, and the shape beside it."""
    if "value_type" in data.attrs and "shape" in data.attrs:
        return np.empty([int(length) for length in _plain(data.attrs["shape"])])
    return np.asarray(data[...])


def _as_texts(values: npt.NDArray[Any]) -> list[Any]:
    return [value.decode("utf-8") if isinstance(value, bytes) else value for value in values.tolist()]


def _row_id(labels: tuple[Any, ...]) -> ImageId:
    if len(labels) == 1 and isinstance(labels[0], int | float) and labels[0] == int(labels[0]):
        return int(labels[0])
    return "/".join(map(str, labels))


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


class _PlainValues(pickle.Unpickler):
    """Lists, tuples, texts and numbers; anything that would need code is refused."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"{module}.{name} in the names of columns")


def _plain(value: Any) -> Any:
    return _PlainValues(io.BytesIO(bytes(value))).load()
