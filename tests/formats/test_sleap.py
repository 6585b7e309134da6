"""SLEAP's files, as sleap-io writes them, or by hand where it is not installed."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posefix.errors import InputError
from posefix.formats.sleap import FORMAT
from posefix.pose_files.pose_file import FormatError, PoseFile, Reading, Source
from posefix.skeletons import load_skeleton

h5py = pytest.importorskip("h5py")

NODES = ["head", "thorax", "earR", "earL"]
STANDARD = ["frame", "track", "node", "xy"]
MATLAB = ["track", "xy", "node", "frame"]


def tracks() -> Any:
    """(3 frames, 2 tracks, 4 nodes, 2): the second animal is not in frame 1, the first lacks an ear in frame 2."""
    made = np.random.default_rng(0).uniform(0, 50, (3, 2, 4, 2))
    made[1, 1] = np.nan
    made[2, 0, 3] = np.nan
    return made


def analysis(dims: list[str], *, stated: bool = True, **others: Any) -> bytes:
    """An analysis file whose arrays have their axes in this order."""
    arrays = {
        "tracks": (tracks(), STANDARD),
        "point_scores": (np.full((3, 2, 4), 0.75), STANDARD[:3]),
        "instance_scores": (np.full((3, 2), 0.5), STANDARD[:2]),
        "tracking_scores": (np.full((3, 2), 0.25), STANDARD[:2]),
    }
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, (values, axes) in arrays.items():
            order = [dim for dim in dims if dim in axes]
            stored = np.transpose(values, [axes.index(dim) for dim in order])
            file.create_dataset(name, data=stored, compression="gzip")
            if stated:
                file[name].attrs["dims"] = json.dumps(order)
        file["track_occupancy"] = np.array([[1, 1], [1, 0], [1, 1]], dtype=np.uint8)
        if stated:
            file["track_occupancy"].attrs["dims"] = '["frame", "track"]'
        file["node_names"] = np.array([name.encode() for name in NODES])
        file["track_names"] = np.array([b"a", b"b"])
        file["edge_names"] = np.array([(b"head", b"thorax"), (b"head", b"earL")])
        file["video_path"] = "clip.mp4"
        file.attrs["skeleton_symmetries"] = '[["earR", "earL"]]'
        for name, value in others.items():
            if name in file:
                del file[name]
            file[name] = value
    return buffer.getvalue()


def read(path: Path, content: bytes, reading: Reading | None = None) -> PoseFile:
    path.write_bytes(content)
    return FORMAT.read(Source(path), reading or Reading())


orders = pytest.mark.parametrize(
    ("dims", "stated"),
    [(STANDARD, True), (MATLAB, True), (MATLAB, False), (["xy", "node", "frame", "track"], True)],
)


@orders
def test_tracks_in_any_order_of_axes(tmp_path: Path, dims: list[str], stated: bool) -> None:
    file = read(tmp_path / "a.h5", analysis(dims, stated=stated))
    assert file.poses.image_ids == (0, 0, 1, 2, 2)
    assert file.tracks == ("a", "b", "a", "a", "b")
    assert file.poses.skeleton.keypoint_names == ("head", "thorax", "right_ear", "left_ear")
    assert file.poses.skeleton.flip_pairs == (("right_ear", "left_ear"),)
    assert file.poses.skeleton.limbs == (("head", "thorax"), ("head", "left_ear"))
    assert file.poses.valid.tolist() == [[True] * 4] * 3 + [[True, True, True, False], [True] * 4]
    np.testing.assert_array_equal(
        file.poses.keypoints[1], tracks()[0, 1]
    )  # no shift: pixel centres as posefix's
    assert file.poses.scores[0, 0] == 0.75 and file.poses.pose_scores.tolist() == [0.5] * 5


def datasets(content: bytes) -> dict[str, Any]:
    with h5py.File(io.BytesIO(content)) as file:
        found = {name: (data[...], dict(data.attrs)) for name, data in file.items()}
        return {**found, "attributes": dict(file.attrs)}


@orders
def test_a_moved_keypoint_changes_two_numbers(tmp_path: Path, dims: list[str], stated: bool) -> None:
    content = analysis(dims, stated=stated)
    file = read(tmp_path / "a.h5", content)
    assert file.rewrite(file.poses)[""] == content
    keypoints = file.poses.keypoints.copy()
    keypoints[4, 1] = (7.00049, 8)
    old, new = (datasets(some) for some in (content, file.rewrite(file.poses.with_keypoints(keypoints))[""]))
    assert old.keys() == new.keys()
    expected = tracks()
    expected[2, 1, 1] = (7, 8)
    stored = np.transpose(expected, [STANDARD.index(dim) for dim in dims])
    np.testing.assert_array_equal(new["tracks"][0], stored)
    for name in old.keys() - {"tracks", "attributes"}:
        np.testing.assert_array_equal(new[name][0], old[name][0])
        assert new[name][1] == old[name][1]
    assert new["attributes"] == old["attributes"]


@orders
def test_scores_and_poses_not_kept(tmp_path: Path, dims: list[str], stated: bool) -> None:
    file = read(tmp_path / "a.h5", analysis(dims, stated=stated))
    scores = file.poses.scores.copy()
    scores[0, 1] = 0.125
    changed = file.poses.with_keypoints(file.poses.keypoints, scores=scores)
    written = file.rewrite(changed, keep=[0, 1, 2, 3])[""]
    again = read(tmp_path / "b.h5", written)
    assert again.poses.image_ids == (0, 0, 1, 2)
    np.testing.assert_array_equal(again.poses.scores, scores[:4])
    assert datasets(written)["track_occupancy"][0].tolist() == [[1, 1], [1, 0], [1, 0]]


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"node_names": np.array([b"head"])}, "tracks: expected 1 nodes with x and y, got (4, 2)"),
        (
            {"point_scores": np.ones((3, 2, 3))},
            "point_scores: expected as many values as in tracks, (3, 2, 4)",
        ),
        ({"tracks": np.full((2, 2, 4, 3), np.inf)}, "expected coordinates in pixels or NaN"),
        ({"tracks": np.ones(3)}, "got a damaged one"),
        ({"node_names": np.array([b"head", b"Head", b"a", b"b"])}, "are both called"),
    ],
)
def test_faults_are_named(tmp_path: Path, others: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError) as caught:
        read(tmp_path / "a.h5", analysis(MATLAB, stated=False, **others))
    assert str(caught.value).startswith(str(tmp_path / "a.h5")) and message in str(caught.value)


def test_a_library_that_is_absent_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        FormatError,
        match=r"needs h5py and sleap_io, not installed here; run: pip install 'posefix\[animals\]'",
    ):
        read(tmp_path / "a.slp", b"")


def test_it_is_recognised_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(analysis(MATLAB))
    (tmp_path / "b.slp").write_bytes(b"")
    with h5py.File(tmp_path / "c.h5", "w") as other:
        other["tracks"] = 1
    assert [bool(FORMAT.recognise(Source(tmp_path / name))) for name in ("a.h5", "b.slp", "c.h5")] == [
        True,
        True,
        False,
    ]


def test_a_layout_must_have_the_nodes(tmp_path: Path) -> None:
    with pytest.raises(
        FormatError, match="its nodes head, thorax, earR, earL are not those of layout 'coco17'"
    ):
        read(tmp_path / "a.h5", analysis(MATLAB), Reading(load_skeleton("coco17")))


# Labels, through sleap-io


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Two animals in three frames; one instance is a person's label, one node is missing."""
    sio = pytest.importorskip("sleap_io")
    skeleton = sio.Skeleton(nodes=list(NODES), edges=[("head", "thorax")], symmetries=[("earL", "earR")])
    video = sio.Video(filename="clip.mp4", open_backend=False)
    animals = [sio.Track("a"), sio.Track("b")]
    frames = []
    for number in range(3):
        instances = []
        for track, points in zip(animals, tracks()[0 if number == 1 else number], strict=True):
            if (number, track.name) == (0, "b"):
                instances.append(sio.Instance.from_numpy(points, skeleton=skeleton, track=track))
            else:
                found = sio.PredictedInstance.from_numpy(
                    points,
                    skeleton=skeleton,
                    point_scores=np.array([0.9, 0.8, 0.7, 0.6]),
                    score=0.5,
                    track=track,
                )
                instances.append(found)
        frames.append(sio.LabeledFrame(video=video, frame_idx=10 * number, instances=instances))
    path = tmp_path / "labels.slp"
    sio.save_slp(sio.Labels(frames, videos=[video], skeletons=[skeleton], tracks=animals), str(path))
    return path


def test_instances_of_labels_are_poses(labels: Path) -> None:
    file = FORMAT.read(Source(labels), Reading())
    assert file.poses.image_ids == (0, 0, 10, 10, 20, 20)
    assert file.tracks == ("a", "b") * 3
    assert file.notes == ("1 instance labelled by people, 5 predicted",)
    assert file.poses.skeleton.flip_pairs == (("right_ear", "left_ear"),)
    np.testing.assert_array_equal(file.poses.keypoints[0], tracks()[0, 0])
    assert not file.poses.valid[4, 3] and file.poses.valid.sum() == 23
    assert file.poses.scores[:2].tolist() == [[0.9, 0.8, 0.7, 0.6], [1, 1, 1, 1]]


def test_sleap_io_reads_the_labels_that_were_written(labels: Path) -> None:
    sio = pytest.importorskip("sleap_io")
    content = labels.read_bytes()
    file = FORMAT.read(Source(labels), Reading())
    assert file.rewrite(file.poses)[""] == content
    keypoints, valid = file.poses.keypoints.copy(), file.poses.valid.copy()
    keypoints[1, 2] = (7.00049, 8)
    valid[0, 0] = False
    labels.write_bytes(file.rewrite(file.poses.with_keypoints(keypoints, valid))[""])
    before = tracks()[[0, 0, 2]]
    before[0, 1, 2] = (7, 8)
    before[0, 0, 0] = np.nan
    again = sio.load_slp(str(labels), open_videos=False)
    found = np.array([[instance.numpy() for instance in frame.instances] for frame in again.labeled_frames])
    np.testing.assert_array_equal(found, before)
    assert [frame.frame_idx for frame in again.labeled_frames] == [0, 10, 20]
    with h5py.File(io.BytesIO(content)) as old, h5py.File(labels) as new:
        for name in set(old) - {"points", "pred_points"}:
            assert name in new
            if isinstance(old[name], h5py.Dataset):
                assert str(old[name][...].tolist()) == str(new[name][...].tolist())  # NaN differs from NaN
        assert dict(old["metadata"].attrs) == dict(new["metadata"].attrs)


def test_instances_that_people_labelled_get_no_scores(labels: Path) -> None:
    file = FORMAT.read(Source(labels), Reading())
    assert file.has_scores
    scored = file.poses.with_keypoints(file.poses.keypoints, scores=np.full((6, 4), 0.25))
    content = labels.read_bytes()
    (after,) = file.rewrite(dataclasses.replace(scored, pose_scores=np.full(6, 0.125))).values()
    with h5py.File(io.BytesIO(content)) as old, h5py.File(io.BytesIO(after)) as new:
        before, written = old["instances"]["score"], new["instances"]["score"]
        assert np.array_equal(written, [0.125, before[1], *[0.125] * 4])
        assert (new["pred_points"]["score"] == 0.25).sum() == 20
        assert np.array_equal(old["points"][...], new["points"][...])


def test_labels_of_people_alone_have_no_scores(labels: Path) -> None:
    sio = pytest.importorskip("sleap_io")
    some = sio.load_slp(str(labels), open_videos=False)
    for frame in some.labeled_frames:
        frame.instances = [one for one in frame.instances if not isinstance(one, sio.PredictedInstance)]
    sio.save_slp(some, str(labels))
    file = FORMAT.read(Source(labels), Reading())
    assert (len(file.poses), file.has_scores) == (1, False)
    rescored = dataclasses.replace(file.poses, pose_scores=np.full(1, 0.5))
    assert file.rewrite(rescored)[""] == labels.read_bytes()


def test_labels_before_version_1_1_have_the_corner_at_zero(labels: Path) -> None:
    with h5py.File(labels, "r+") as file:
        file["metadata"].attrs["format_id"] = 1.0
        names = [name for name in file["instances"].dtype.names if name != "tracking_score"]
        rows = file["instances"][...][names]
        del file["instances"]
        file["instances"] = np.array(rows.tolist(), dtype=[(name, rows.dtype[name]) for name in names])
    file = FORMAT.read(Source(labels), Reading())
    np.testing.assert_allclose(file.poses.keypoints[0], tracks()[0, 0] - 0.5)
    labels.write_bytes(file.rewrite(file.poses.with_keypoints(file.poses.keypoints + 1))[""])
    with h5py.File(labels) as written:
        assert written["pred_points"]["x"][0] == round(tracks()[0, 0, 0, 0] + 1, 3)


@given(
    start=st.integers(0, 10**6),
    inserted=st.sampled_from([b"", b"\x00", b"\xff" * 8, b"x"]),
    cut=st.integers(0, 20),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_refused_in_one_sentence(
    tmp_path: Path, start: int, inserted: bytes, cut: int
) -> None:
    whole = analysis(MATLAB)
    start %= len(whole)
    path = tmp_path / "d.h5"
    path.write_bytes(whole[:start] + inserted + whole[start + cut :])
    try:
        file = FORMAT.read(Source(path), Reading())
        file.rewrite(file.poses)
    except InputError as error:
        assert str(error).startswith(str(path))


def test_instances_labelled_by_hand_count_one_and_get_no_scores(tmp_path: Path) -> None:
    points, instances = np.full((3, 2, 4), 0.75), np.full((3, 2), 0.5)
    points[0, 0], instances[0, 0] = np.nan, np.nan
    points[2, 0, 3] = np.nan  # of a keypoint that is missing
    content = analysis(STANDARD, point_scores=points, instance_scores=instances)
    file = read(tmp_path / "a.h5", content)
    assert (file.poses.scores[0].tolist(), file.poses.pose_scores[0]) == ([1] * 4, 1)
    everything = np.ones((5, 4), dtype=bool)
    scored = file.poses.with_keypoints(file.poses.keypoints, valid=everything, scores=np.full((5, 4), 0.25))
    ranked = dataclasses.replace(scored, pose_scores=np.full(5, 0.125))
    written = datasets(file.rewrite(ranked)[""])
    points[0, 1], points[1, 0], points[2], instances[0, 1] = 0.25, 0.25, 0.25, 0.125
    instances[1, 0], instances[2] = 0.125, 0.125
    np.testing.assert_array_equal(written["point_scores"][0], points)
    np.testing.assert_array_equal(written["instance_scores"][0], instances)
