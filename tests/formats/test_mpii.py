"""MPII's .mat files in the structure of its evaluation toolkit, made here with scipy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posefix.errors import InputError
from posefix.formats.mpii import FORMAT
from posefix.pose_files.pose_file import FormatError, Reading, Source
from posefix.skeletons import load_skeleton

io = pytest.importorskip("scipy.io")


def struct(**fields: Any) -> Any:
    """A 1 x 1 struct array."""
    array = np.empty((1, 1), dtype=[(name, object) for name in fields])
    for name, value in fields.items():
        array[name][0, 0] = value
    return array


def structs(rows: list[dict[str, Any]]) -> Any:
    """A 1 x N struct array; fields that a row lacks are empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    array = np.empty((1, len(rows)), dtype=[(name, object) for name in names])
    for number, row in enumerate(rows):
        for name in names:
            array[name][0, number] = row.get(name, np.zeros((0, 0)))
    return array


def points(*triples: tuple[int, float, float], score: float | None = None) -> Any:
    rows = [{"x": np.array([[x]]), "y": np.array([[y]]), "id": np.array([[float(k)]])} for k, x, y in triples]
    for row in rows if score is not None else []:
        row["score"] = np.array([[score]])
    return struct(point=structs(rows))


def annolist(score: float | None = None) -> Any:
    first = {
        "x1": np.array([[12.0]]),
        "scale": np.array([[3.021]]),
        "objpos": struct(x=np.array([[594.0]]), y=np.array([[257.0]])),
        "annopoints": points((6, 610, 187), (0, 1, 1), (9, 616.5, 159.25), score=score),
    }
    nobody = {"x1": np.array([[5.0]]), "scale": np.array([[1.5]])}
    second = {"x1": np.array([[7.0]]), "annopoints": points((15, 320, 240), score=score)}
    return structs([
        {"image": struct(name="015601864.jpg"), "annorect": structs([nobody, first]), "vididx": np.array([[1.0]])},
        {"image": struct(name="000003072.jpg"), "annorect": np.zeros((0, 0)), "vididx": np.array([[2.0]])},
        {"image": struct(name="086617615.jpg"), "annorect": structs([second]), "vididx": np.zeros((0, 0))},
    ])  # fmt: skip


OTHERS = {
    "img_train": np.array([[1, 0, 1]], dtype=np.int8),
    "version": "12",
    "act": structs(
        [{"cat_name": "sports", "act_id": np.array([[5.0]])}, {"cat_name": "", "act_id": np.array([[-1.0]])}]
    ),
    "flags": np.array([[True, False]]),
}


def write(path: Path, *, compressed: bool = True, **variables: Any) -> Path:
    io.savemat(path, variables, do_compression=compressed)
    return path


@pytest.fixture(params=[True, False], ids=["compressed", "plain"])
def results(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return write(
        tmp_path / "r.mat", compressed=request.param, before=OTHERS["act"], pred=annolist(0.5), **OTHERS
    )


def equal(a: Any, b: Any) -> bool:
    """Whether two values of loadmat are equal, classes included."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype.names:
        return all(equal(a[name].flat[i], b[name].flat[i]) for name in a.dtype.names for i in range(a.size))
    return bool(np.array_equal(a, b))


def test_people_with_points_are_poses(results: Path) -> None:
    file = FORMAT.read(Source(results), Reading())
    names = file.poses.skeleton.keypoint_names
    assert file.poses.skeleton is load_skeleton("mpii16")
    assert file.poses.image_ids == ("015601864.jpg", "086617615.jpg")
    found = [names[keypoint] for keypoint in np.flatnonzero(file.poses.valid[0])]
    assert found == ["right_ankle", "pelvis", "head_top"]
    assert file.poses.pose_scores.tolist() == [0.5, 0.5] and file.has_scores


def test_one_one_is_the_centre_of_the_top_left_pixel(results: Path) -> None:
    poses = FORMAT.read(Source(results), Reading()).poses
    assert poses.keypoints[0, poses.skeleton.index("right_ankle")].tolist() == [0, 0]
    assert poses.keypoints[0, poses.skeleton.index("head_top")].tolist() == [615.5, 158.25]


def test_without_changes_the_bytes_are_equal(results: Path) -> None:
    file = FORMAT.read(Source(results), Reading())
    assert file.rewrite(file.poses)[""] == results.read_bytes()


def test_a_moved_keypoint_changes_its_numbers_alone(results: Path, tmp_path: Path) -> None:
    file = FORMAT.read(Source(results), Reading())
    keypoints = file.poses.keypoints.copy()
    keypoints[0, 9] += 0.12345
    written = tmp_path / "new.mat"
    written.write_bytes(file.rewrite(file.poses.with_keypoints(keypoints))[""])
    before, after = (io.loadmat(path, mat_dtype=True) for path in (results, written))
    assert list(after) == list(before)
    assert all(equal(after[name], before[name]) for name in (*OTHERS, "before"))
    point = after["pred"]["annorect"][0, 0]["annopoints"][0, 1]["point"][0, 0]
    assert [value.item() for value in point["x"].flat] == [610, 1, 616.623]
    assert [value.item() for value in point["y"].flat] == [187, 1, 159.373]
    # With the two numbers set back, the whole structure is the one it was.
    point["x"][0, 2], point["y"][0, 2] = np.array([[616.5]]), np.array([[159.25]])
    assert equal(after["pred"], before["pred"])


def test_people_not_kept_lose_their_points(results: Path, tmp_path: Path) -> None:
    file = FORMAT.read(Source(results), Reading())
    written = tmp_path / "new.mat"
    written.write_bytes(file.rewrite(file.poses, keep=[1])[""])
    again = FORMAT.read(Source(written), Reading()).poses
    assert again.image_ids == ("086617615.jpg",)
    assert io.loadmat(written)["pred"]["annorect"][0, 0].shape == (1, 2)


def test_annotations_are_read_in_their_release(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mat", RELEASE=struct(annolist=annolist(), img_train=OTHERS["img_train"]))
    file = FORMAT.read(Source(path), Reading())
    assert len(file.poses) == 2 and file.poses.scores[0, 6] == 1 and not file.has_scores
    moved = file.poses.with_keypoints(file.poses.keypoints + 1)
    path.write_bytes(file.rewrite(moved)[""])
    assert FORMAT.read(Source(path), Reading()).poses.keypoints[0, 6].tolist() == [610, 187]


def one(*triples: tuple[int, float, float], name: Any = "a") -> Any:
    return structs([{"image": struct(name=name), "annorect": structs([{"annopoints": points(*triples)}])}])


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"preds": np.zeros((2, 16, 2))}, "variable preds: expected a struct array with fields image and annorect"),
        ({"pred": one((3, 1, 1), name=np.zeros((0, 0)))}, "pred(1).image.name: expected the name of a photo"),
        ({"pred": one((16, 1, 1))},
         "pred(1).annorect(1).annopoints.point(1).id: expected a number from 0 to 15, each once, got 16"),
        ({"pred": one((3, 1, 1), (3, 2, 2))}, "point(2).id: expected a number from 0 to 15, each once, got 3"),
        ({"pred": one((3, np.inf, 1))}, "annopoints.point(1).x: expected a number, got [[inf]]"),
    ],
)  # fmt: skip
def test_faults_are_named(tmp_path: Path, variables: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "a.mat", **variables)
    with pytest.raises(FormatError) as caught:
        FORMAT.read(Source(path), Reading())
    assert str(caught.value).startswith(str(path)) and message in str(caught.value)


def test_other_versions_and_layouts_are_refused(results: Path, tmp_path: Path) -> None:
    newer = tmp_path / "b.mat"
    newer.write_bytes(b"MATLAB 7.3 MAT-file".ljust(600, b" "))
    with pytest.raises(
        FormatError, match=r"expected a file of MATLAB 5 to 7\.2, got another; in MATLAB: save"
    ):
        FORMAT.read(Source(newer), Reading())
    with pytest.raises(FormatError, match="have layout mpii16, got --layout coco17; leave it out"):
        FORMAT.read(Source(results), Reading(load_skeleton("coco17")))


def test_keypoints_that_were_filled_in_get_points(results: Path) -> None:
    file = FORMAT.read(Source(results), Reading())
    valid = file.poses.valid.copy()
    valid[0, [1, 6]] = True, False
    keypoints, scores = file.poses.keypoints.copy(), file.poses.scores.copy()
    keypoints[0, 1], scores[0, 1] = (20, 30), 0.25
    results.write_bytes(file.rewrite(file.poses.with_keypoints(keypoints, valid, scores))[""])
    again = FORMAT.read(Source(results), Reading()).poses
    np.testing.assert_array_equal(again.valid, valid)
    np.testing.assert_array_equal(again.keypoints[valid], keypoints[valid])
    np.testing.assert_array_equal(again.scores[valid], scores[valid])
    written = io.loadmat(results)["pred"]["annorect"][0, 0]["annopoints"][0, 1]["point"][0, 0]
    assert [value.item() for value in written["id"].flat] == [0, 9, 1]


@given(position=st.integers(0, 3000), value=st.integers(0, 255), cut=st.booleans())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_refused_in_one_sentence(
    tmp_path: Path, position: int, value: int, cut: bool
) -> None:
    path = write(tmp_path / "d.mat", compressed=False, pred=annolist(0.5))
    content = bytearray(path.read_bytes())
    content[position % len(content)] = value
    path.write_bytes(content[: position % len(content)] if cut else content)
    try:
        file = FORMAT.read(Source(path), Reading())
        file.rewrite(file.poses)
    except InputError as error:
        assert str(error).startswith(str(path))
