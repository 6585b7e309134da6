"""Files of Neurodata Without Borders: made by hand, and by pynwb where it is installed."""

import datetime
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.formats.recorded import contents_of, moved, read, refusal, try_everything

from posefix.formats.nwb import FORMAT
from posefix.pose_files.pose_file import FormatError
from posefix.skeletons import load_skeleton

h5py = pytest.importorskip("h5py")

NODES = ["nose", "left_eye", "tail base"]
DATA = np.array(
    [[[1.5, 2], [3, 4], [5, 6]], [[7, 8], [np.nan, np.nan], [9, 10]], [[np.nan] * 2] * 3]
)  # (F, K, 2)


def made(individuals: dict[str, Any], *, nodes_in_poses: bool = False, unit: str = "pixels") -> bytes:
    """A file with a PoseEstimation of each individual."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        behavior = file.create_group("processing/behavior")
        home = behavior if nodes_in_poses else behavior.create_group("Skeletons").create_group("subject")
        for name, data in individuals.items():
            poses = behavior.create_group(name)
            poses.attrs["neurodata_type"] = "PoseEstimation"
            poses["original_videos"] = [b"clip.mp4"]
            if nodes_in_poses:
                home = poses
            else:
                home.attrs["neurodata_type"] = "Skeleton"
                poses["skeleton"] = h5py.SoftLink(home.name)
            if "nodes" not in home:
                home["nodes"], home["edges"] = NODES, np.array([[0, 1], [1, 2]], dtype="uint8")
            for place, node in enumerate(NODES):
                series = poses.create_group(node)
                series.attrs["neurodata_type"] = "PoseEstimationSeries"
                series.create_dataset("data", data=data[:, place], chunks=True, compression="gzip")
                series["data"].attrs["unit"] = unit
                series["timestamps"] = np.arange(len(data)) / 25
                if place < 2:
                    series["confidence"] = np.linspace(0.25, 0.75, len(data)).astype(np.float32)
    return buffer.getvalue()


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def sets(content: bytes) -> dict[str, Any]:
    """All data sets of a file."""
    found: dict[str, Any] = {}
    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(
            lambda name, item: found.update({name: item[...]}) if isinstance(item, h5py.Dataset) else None
        )
    return found


@pytest.mark.parametrize("older", [False, True])
def test_series_become_poses_by_frame(tmp_path: Path, older: bool) -> None:
    path = written(tmp_path / "a.nwb", made({"mouse": DATA}, nodes_in_poses=older))
    file = read(FORMAT, path)
    assert file.poses.skeleton.keypoint_names == ("nose", "left_eye", "tail base")
    assert file.poses.skeleton.limbs == (("nose", "left_eye"), ("left_eye", "tail base"))
    assert file.poses.image_ids == (0, 1)
    assert file.poses.valid.tolist() == [[True] * 3, [True, False, True]]
    assert file.poses.keypoints[0].tolist() == [[1.5, 2], [3, 4], [5, 6]]
    assert file.poses.scores.tolist() == [[0.25, 0.25, 1], [0.5, 0.5, 1]]
    assert (file.tracks, file.has_scores) == (None, True)
    assert file.rewrite(file.poses, update_boxes=True) == contents_of(path)


def test_individuals_are_tracks(tmp_path: Path) -> None:
    path = written(tmp_path / "a.nwb", made({"anna": DATA, "bo": DATA[::-1] + 1}))
    file = read(FORMAT, path)
    assert file.poses.image_ids == (0, 1, 1, 2)
    assert file.tracks == ("anna", "anna", "bo", "bo")


def test_only_what_moved_is_another_number(tmp_path: Path) -> None:
    path = written(tmp_path / "a.nwb", made({"anna": DATA, "bo": DATA + 1}))
    file = read(FORMAT, path)
    new = file.rewrite(moved(file.poses, 1, 0, 2.25, 3.12349))[""]
    before, after = sets(path.read_bytes()), sets(new)
    changed = [
        name
        for name in before
        if not np.array_equal(before[name], after[name], equal_nan=before[name].dtype.kind == "f")
    ]
    assert changed == ["processing/behavior/bo/nose/data"]
    assert after[changed[0]][:2].tolist() == [[2.25, 3.123], [8, 9]]
    keypoints, valid, scores = file.poses.keypoints.copy(), file.poses.valid.copy(), file.poses.scores.copy()
    valid[0, 0], valid[2, 1], keypoints[2, 1], scores[:, 1] = False, True, (50, 60), 0.875
    poses = file.poses.with_keypoints(keypoints, valid, scores)
    path.write_bytes(file.rewrite(poses, keep=[0, 1, 2])[""])
    again = read(FORMAT, path).poses
    assert again.image_ids == (0, 0, 1)
    assert np.array_equal(again.valid, valid[:3])
    assert np.array_equal(again.scores[:, 1][valid[:3, 1]], scores[:3, 1][valid[:3, 1]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no", "expected an HDF5 file, got other contents"),
        (made({}), "expected a PoseEstimation of ndx-pose, got none"),
        (made({"a": np.zeros((2, 3, 3))}), "expected x and y of each frame, got data of shape (2, 3)"),
        (made({"a": DATA}, unit="meters"), "expected places in pixels, got meters"),
        (made({"a": DATA, "b": DATA[:2]}), "expected individuals of one skeleton in the frames of one video"),
        (made({"a": np.full((2, 3, 2), np.inf)}), "expected coordinates in pixels or NaN"),
    ],
)  # fmt: skip
def test_faults_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    assert message in refusal(FORMAT, written(tmp_path / "a.nwb", content))


def test_data_of_other_files_are_not_touched(tmp_path: Path) -> None:
    other = written(tmp_path / "other", bytes(48))
    buffer = io.BytesIO(made({"mouse": DATA}))
    with h5py.File(buffer, "r+") as file:
        series = file["processing/behavior/mouse/nose"]
        del series["data"]
        outside = [(str(other), 0, h5py.h5f.UNLIMITED)]
        series.create_dataset("data", (3, 2), "f8", external=outside).attrs["unit"] = "pixels"
    assert "nose/data" in refusal(FORMAT, written(tmp_path / "a.nwb", buffer.getvalue()))
    assert other.read_bytes() == bytes(48)


def test_a_layout_must_have_these_nodes(tmp_path: Path) -> None:
    path = written(tmp_path / "a.nwb", made({"mouse": DATA}))
    assert "are not those of layout 'coco17'" in refusal(FORMAT, path, load_skeleton("coco17"))


def test_what_pynwb_writes_is_read_and_pynwb_reads_what_is_written(tmp_path: Path) -> None:
    pynwb = pytest.importorskip("pynwb", reason="pynwb is not installed")
    ndx_pose = pytest.importorskip("ndx_pose", reason="ndx-pose is not installed")
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    session = pynwb.NWBFile(session_description="s", identifier="i", session_start_time=start)
    skeleton = ndx_pose.Skeleton(name="subject", nodes=NODES, edges=np.array([[0, 1]], dtype="uint8"))
    series = [
        ndx_pose.PoseEstimationSeries(
            name=node, description="d", data=DATA[:, place], unit="pixels", reference_frame="(0,0) is top left",
            timestamps=np.arange(3.0), confidence=np.full(3, 0.5), confidence_definition="of the network",
        )
        for place, node in enumerate(NODES)
    ]  # fmt: skip
    poses = ndx_pose.PoseEstimation(
        name="PoseEstimation", pose_estimation_series=series, description="d", skeleton=skeleton
    )
    module = session.create_processing_module(name="behavior", description="b")
    module.add(ndx_pose.Skeletons(skeletons=[skeleton]))
    module.add(poses)
    path = tmp_path / "a.nwb"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pynwb.NWBHDF5IO(str(path), "w") as output:
            output.write(session)
        file = read(FORMAT, path)
        assert file.poses.keypoints[0].tolist() == DATA[0].tolist()
        path.write_bytes(file.rewrite(moved(file.poses, 0, 1, 30, 40))[""])
        with pynwb.NWBHDF5IO(str(path), "r") as source:
            back = source.read().processing["behavior"]["PoseEstimation"]
            assert back.pose_estimation_series["left_eye"].data[0].tolist() == [30, 40]


def test_a_heap_without_end_is_refused(tmp_path: Path) -> None:
    """The HDF5 library would look at its free space for ever."""
    content = bytearray(made({"mouse": DATA}))
    place = content.index(b"GCOL") + 16
    while int.from_bytes(content[place : place + 2], "little"):
        length = int.from_bytes(content[place + 8 : place + 16], "little")
        place += 16 + (length + 7) // 8 * 8
    # Free space, said to be of 16 bytes: behind them lie zeros, which are free space of none.
    content[place + 8 : place + 16] = (16).to_bytes(8, "little")
    path = written(tmp_path / "heap.nwb", bytes(content))
    with pytest.raises(FormatError, match=r"heap\.nwb: expected an HDF5 file, got a damaged one"):
        read(FORMAT, path)


@given(place=st.integers(0, 20000), byte=st.integers(0, 255), cut=st.booleans())
@settings(max_examples=100, deadline=None)
def test_damaged_files_are_refused_in_words(
    place: int, byte: int, cut: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(made({"mouse": DATA}))
    place %= len(content)
    content[place] = byte
    path = written(tmp_path_factory.getbasetemp() / "damaged.nwb", bytes(content[:place] if cut else content))
    try_everything(FORMAT, path)
