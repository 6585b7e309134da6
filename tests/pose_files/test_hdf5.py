"""HDF5 files that lead out of themselves, in every format that is stored so."""

from __future__ import annotations

import re
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posefix.interchange.pose_files import read_pose_file
from posefix.pose_files.pose_file import FormatError

h5py = pytest.importorskip("h5py")

Written = tuple[Path, str]
"""A file, and its data set of coordinates."""


def write_deeplabcut(folder: Path) -> Written:
    rows = np.zeros(2, dtype=[("index", "<i8"), ("values_block_0", "<f8", (3,))])
    rows["index"], rows["values_block_0"] = [0, 1], 7.0
    with h5py.File(folder / "a.h5", "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_("frame_table")
        group["table"] = rows
        # A pickled list of the tuples ("s", "nose", "x"), ("s", "nose", "y") and ("s", "nose", "likelihood").
        columns = b"(lp0\n" + b"".join(
            b"(Vs\nVnose\nV%s\ntp%d\na" % (name, number)
            for number, name in enumerate((b"x", b"y", b"likelihood"), 1)
        )
        group["table"].attrs["values_block_0_kind"] = np.bytes_(columns + b".")
    return folder / "a.h5", "df_with_missing/table"


def write_sleap_analysis(folder: Path) -> Written:
    with h5py.File(folder / "b.h5", "w") as file:
        file["tracks"] = np.full((1, 2, 2, 3), 7.0)
        file["track_occupancy"] = np.ones((3, 1), dtype=np.uint8)
        file["node_names"] = np.array([b"head", b"tail"])
    return folder / "b.h5", "tracks"


def write_sleap_labels(folder: Path) -> Written:
    sio = pytest.importorskip("sleap_io")
    skeleton = sio.Skeleton(nodes=["head", "tail"])
    video = sio.Video(filename="clip.mp4", open_backend=False)
    instance = sio.Instance.from_numpy(np.full((2, 2), 7.0), skeleton=skeleton)
    frame = sio.LabeledFrame(video=video, frame_idx=0, instances=[instance])
    sio.save_slp(sio.Labels([frame], videos=[video], skeletons=[skeleton]), str(folder / "c.slp"))
    return folder / "c.slp", "points"


def store_elsewhere(file: Any, name: str, other: Path) -> None:
    """Put the values of a data set into another file, as they would lie in this one."""
    values, attributes = file[name][...], dict(file[name].attrs)
    other.write_bytes(values.tobytes())
    del file[name]
    place = [(str(other), 0, h5py.h5f.UNLIMITED)]
    file.create_dataset(name, values.shape, values.dtype, external=place).attrs.update(attributes)


def make_virtual(file: Any, name: str, other: Path) -> None:
    values, attributes = file[name][...], dict(file[name].attrs)
    with h5py.File(other, "w") as second:
        second["inside"] = values
    del file[name]
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[...] = h5py.VirtualSource(str(other), "inside", values.shape)
    file.create_virtual_dataset(name, layout).attrs.update(attributes)


def link(file: Any, name: str, other: Path) -> None:
    with h5py.File(other, "w") as second:
        file.copy(name, second, "inside")
    del file[name]
    file[name] = h5py.ExternalLink(str(other), "inside")


formats = pytest.mark.parametrize("write", [write_deeplabcut, write_sleap_analysis, write_sleap_labels])
ways = pytest.mark.parametrize(
    ("lead_out", "told"),
    [
        (store_elsewhere, "external storage"),
        (make_virtual, "a virtual data set"),
        (link, "a link to another file"),
    ],
)


@formats
@ways
def test_data_in_another_file_are_refused_and_that_file_stays(
    tmp_path: Path,
    write: Callable[[Path], Written],
    lead_out: Callable[[Any, str, Path], None],
    told: str,
) -> None:
    path, name = write(tmp_path)
    assert len(read_pose_file(path).poses) > 0
    other = tmp_path / "diary"
    with h5py.File(path, "r+") as file:
        lead_out(file, name, other)
    before = other.read_bytes()
    with pytest.raises(FormatError) as caught:
        file = read_pose_file(path)
        file.rewrite(file.poses.with_keypoints(file.poses.keypoints + 1))
    assert str(caught.value) == (
        f"{path}, {name}: expected data that lie in this file, got {told}; save them in one file of their own."
    )
    assert other.read_bytes() == before


@ways
def test_what_no_format_reads_must_not_lead_out_either(
    tmp_path: Path, lead_out: Callable[[Any, str, Path], None], told: str
) -> None:
    path, _ = write_sleap_analysis(tmp_path)
    with h5py.File(path, "r+") as file:
        file["deep/inside/mine"] = np.zeros(3)
        lead_out(file, "deep/inside/mine", tmp_path / "diary")
    with pytest.raises(
        FormatError, match=f"deep/inside/mine: expected data that lie in this file, got {told}"
    ):
        read_pose_file(path)


@formats
def test_links_within_the_file_are_no_harm(tmp_path: Path, write: Callable[[Path], Written]) -> None:
    path, name = write(tmp_path)
    with h5py.File(path, "r+") as file:
        file["also"] = file[name]
        file["again"] = h5py.SoftLink(f"/{name}")
        file["nowhere"] = h5py.SoftLink("/nothing")
        file["circle/of"] = file["/"]
    assert len(read_pose_file(path).poses) > 0


def replace(file: Any, name: str, shape: tuple[int, ...], dtype: Any, **settings: Any) -> None:
    attributes = dict(file[name].attrs)
    del file[name]
    file.create_dataset(name, shape, dtype, **settings).attrs.update(attributes)


@formats
def test_arrays_that_a_file_does_not_hold_are_not_made(
    tmp_path: Path, write: Callable[[Path], Written], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, name = write(tmp_path)
    with h5py.File(path, "r+") as file:
        rows, *others = file[name].shape
        replace(file, name, (10**7 * rows, *others), file[name].dtype)
    tracemalloc.start()
    with pytest.raises(FormatError) as caught:
        read_pose_file(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert re.fullmatch(
        rf"{re.escape(str(path))}: expected contents of at most 64 MB in a file of [0-9,]+ (bytes|MB), got [0-9,]+ MB; "
        r"if you trust it, set POSEFIX_FILE_MEMORY to the megabytes that it may take\.",
        str(caught.value),
    )
    assert most < 10_000_000
    monkeypatch.setenv("POSEFIX_FILE_MEMORY", "1")
    with pytest.raises(FormatError, match="contents of at most 1 MB"):
        read_pose_file(path)
    monkeypatch.setenv("POSEFIX_FILE_MEMORY", "many")
    with pytest.raises(FormatError, match="POSEFIX_FILE_MEMORY: expected a number of megabytes, got 'many'"):
        read_pose_file(path)


def test_the_variable_lets_a_larger_file_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, _ = write_sleap_analysis(tmp_path)
    with h5py.File(path, "r+") as file:
        replace(file, "tracks", (1, 2, 2, 3_000_000), "<f8", compression="gzip", fillvalue=np.nan)
    with pytest.raises(FormatError, match="at most 64 MB"):
        read_pose_file(path)
    monkeypatch.setenv("POSEFIX_FILE_MEMORY", "200")
    assert len(read_pose_file(path).poses) == 0


def test_what_a_file_names_often_counts_often(tmp_path: Path) -> None:
    """DeepLabCut's frame has as many blocks as it says, and each may be the same data set."""
    path, _ = write_sleap_analysis(tmp_path)
    with h5py.File(path, "r+") as file:
        file.create_dataset("large", (1_000_000,), "<f8")
        assert len(read_pose_file(path).poses) == 3
        for number in range(10):
            file[f"again{number}"] = file["large"]
    with pytest.raises(FormatError, match=r"at most 64 MB in a file of .*, got 83 MB"):
        read_pose_file(path)


def test_short_references_to_one_long_text_count_as_the_texts(tmp_path: Path) -> None:
    path, _ = write_sleap_analysis(tmp_path)
    with h5py.File(path, "r+") as file:
        texts = file.create_dataset("texts", (300,), h5py.string_dtype())
        texts[0] = "x" * 1_000_000
    content = bytearray(path.read_bytes())
    with h5py.File(path, "r") as file:
        assert len(read_pose_file(path).poses) == 3
        start = file["texts"].id.get_offset()
    content[start : start + 300 * 16] = bytes(content[start : start + 16]) * 300
    path.write_bytes(content)
    with h5py.File(path, "r") as file:
        assert len(file["texts"][299]) == 1_000_000
    with pytest.raises(FormatError, match=r"at most 96 MB in a file of .*, got 1[0-9][0-9] MB"):
        read_pose_file(path)


def test_a_chunk_that_is_longer_than_it_says_is_refused(tmp_path: Path) -> None:
    path, _ = write_sleap_analysis(tmp_path)
    with h5py.File(path, "r+") as file:
        replace(file, "tracks", (1, 2, 2, 3), "<f8", compression="gzip", chunks=(1, 2, 2, 3))
        try:
            file["tracks"].id.write_direct_chunk((0, 0, 0, 0), zlib.compress(bytes(200_000_000), 9))
        except OSError as error:
            pytest.skip(f"HDF5 {h5py.version.hdf5_version} writes no such chunk: {error}")
    with pytest.raises(FormatError, match="/tracks: expected 96 bytes in a chunk, got more"):
        read_pose_file(path)


def test_data_compressed_twice_are_refused(tmp_path: Path) -> None:
    path, _ = write_sleap_analysis(tmp_path)
    with h5py.File(path, "r+") as file:
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_chunk((1,))
        for _ in range(2):
            settings.set_deflate(9)
        space = h5py.h5s.create_simple((1,))
        h5py.h5d.create(file.id, b"twice", h5py.h5t.NATIVE_DOUBLE, space, settings)
    with pytest.raises(FormatError, match="/twice: expected data compressed once, got 2 times"):
        read_pose_file(path)


def test_a_frame_without_blocks_is_told(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs.update({"pandas_type": np.bytes_("frame"), "nblocks": 0})
        group["axis1"] = np.arange(3)
    with pytest.raises(FormatError, match=r"got a damaged one \(the frame has no values\)"):
        read_pose_file(tmp_path / "a.h5")
