"""DeepLabCut's tables, as CSV and as the HDF5 that pandas writes: made here by hand, and by pandas where it is."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posefix.errors import InputError
from posefix.formats.deeplabcut import FORMAT
from posefix.pose.poses import Poses
from posefix.pose_files.pose_file import FormatError, NewFile, PoseFile, Reading, Source
from posefix.skeletons import load_skeleton

h5py = pytest.importorskip("h5py")

SCORER = "DLC_resnet50_mouseAug1shuffle1_1000"
PARTS = ["snout", "earL", "earR", "tailbase"]

VIDEO = """scorer,D,D,D,D,D,D
bodyparts,snout,snout,snout,tail base,tail base,tail base
coords,x,y,likelihood,x,y,likelihood
0,1.50,2.0,0.999,10,20,1e-05
1,,,,11.25,21.125,0.5
2,,,,,,
"""
LABELS = """scorer,,,Me,Me,Me,Me
bodyparts,,,snout,snout,tail base,tail base
coords,,,x,y,x,y
labeled-data,clip,img0001.png,1.5,2.5,,
labeled-data,clip,img0010.png,3,4,5,6
"""
ANIMALS = """scorer,D,D,D,D,D,D
individuals,one,one,two,two,single,single
bodyparts,"nose, tip","nose, tip","nose, tip","nose, tip",corner,corner
coords,x,y,x,y,x,y
"labeled-data/a,b/img1.png",1,2,3,4,5,6\r
labeled-data/c/img2.png,,,30,40,50,60
"""


def read(path: Path, text: str | bytes | None = None, reading: Reading | None = None) -> PoseFile:
    if text is not None:
        path.write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
    return FORMAT.read(Source(path), reading or Reading())


def columns(*, individuals: bool = False) -> list[tuple[str, ...]]:
    who: list[tuple[str, ...]] = [("m1",), ("m2",)] if individuals else [()]
    return [(SCORER, *one, part, what) for one in who for part in PARTS for what in ("x", "y", "likelihood")]


def fixed_frame(labels: list[tuple[str, ...]], rows: list[str], values: Any) -> bytes:
    """A data frame as `DataFrame.to_hdf` writes it: DeepLabCut's labels."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs.update(
            {"pandas_type": np.bytes_("frame"), "nblocks": 1, "axis1_variety": np.bytes_("regular")}
        )
        group["axis1"] = np.array([row.encode() for row in rows])
        for axis in ("axis0", "block0_items"):
            group.attrs.update({f"{axis}_variety": np.bytes_("multi"), f"{axis}_nlevels": len(labels[0])})
            for level, names in enumerate(zip(*labels, strict=True)):
                levels = sorted(set(names))
                group[f"{axis}_level{level}"] = np.array([name.encode() for name in levels])
                group[f"{axis}_label{level}"] = np.array(
                    [levels.index(name) for name in names], dtype=np.int8
                )
        group["block0_values"] = values
        group["block0_values"].attrs["transposed"] = np.uint8(1)
        file["mine"] = np.arange(3)
    return buffer.getvalue()


def table_frame(labels: list[tuple[str, ...]], values: Any) -> bytes:
    """A data frame as `DataFrame.to_hdf(format="table")` writes it: DeepLabCut's predictions of videos."""
    rows = np.zeros(len(values), dtype=[("index", "<i8"), ("values_block_0", "<f8", (values.shape[1],))])
    rows["index"], rows["values_block_0"] = np.arange(len(values)), values
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["pandas_type"] = np.bytes_("frame_table")
        group["table"] = rows
        group["table"].attrs["values_block_0_kind"] = np.bytes_(pickle.dumps(labels, 0))
    return buffer.getvalue()


def test_frames_of_a_video(tmp_path: Path) -> None:
    file = read(tmp_path / "v.csv", VIDEO)
    assert (file.poses.image_ids, file.tracks, file.has_scores) == ((0, 1), None, True)
    assert file.poses.skeleton.keypoint_names == ("snout", "tail base")
    assert file.poses.valid.tolist() == [[True, True], [False, True]]
    assert file.poses.keypoints[0].tolist() == [
        [1.5, 2],
        [10, 20],
    ]  # the centre of the top-left pixel is (0, 0)
    np.testing.assert_allclose(file.poses.scores, [[0.999, 1e-5], [0, 0.5]])
    np.testing.assert_allclose(file.poses.pose_scores, [0.499505, 0.5])


def test_labelled_photos_have_their_path(tmp_path: Path) -> None:
    file = read(tmp_path / "l.csv", LABELS)
    assert file.poses.image_ids == ("labeled-data/clip/img0001.png", "labeled-data/clip/img0010.png")
    assert file.poses.scores[1].tolist() == [1, 1] and not file.has_scores


def test_individuals_are_poses_and_other_parts_pass_through(tmp_path: Path) -> None:
    file = read(tmp_path / "a.csv", ANIMALS)
    assert file.tracks == ("one", "two", "two")
    assert file.poses.image_ids == ("labeled-data/a,b/img1.png",) * 2 + ("labeled-data/c/img2.png",)
    assert file.notes == ("passed through, since their body parts are their own: single",)


@pytest.mark.parametrize("text", [VIDEO, LABELS, ANIMALS, VIDEO.replace("\n", "\r\n"), VIDEO.rstrip("\n")])
def test_a_moved_keypoint_changes_its_cells_alone(tmp_path: Path, text: str) -> None:
    file = read(tmp_path / "v.csv", text)
    assert file.rewrite(file.poses)[""] == text.encode("utf-8")
    keypoints = file.poses.keypoints.copy()
    keypoints[-1, -1] += (0.12345, 0)
    lines = [line.split(",") for line in text.split("\n")]
    new = [
        line.split(",")
        for line in file.rewrite(file.poses.with_keypoints(keypoints))[""].decode().split("\n")
    ]
    assert [len(line) for line in new] == [len(line) for line in lines]
    changed = [
        (a, b) for old, line in zip(lines, new, strict=True) for a, b in zip(old, line, strict=True) if a != b
    ]
    assert changed == [(changed[0][0], repr(round(float(changed[0][0]) + 0.12345, 3)))]


def test_poses_not_kept_and_lost_keypoints_become_empty(tmp_path: Path) -> None:
    file = read(tmp_path / "v.csv", VIDEO)
    gone = file.poses.with_keypoints(file.poses.keypoints, np.array([[False, True], [False, True]]))
    lines = file.rewrite(gone, keep=[0])[""].decode().splitlines()
    assert lines[3:] == ["0,,,,10,20,1e-05", "1,,,,,,", "2,,,,,,"]


def test_names_tell_the_sides(tmp_path: Path) -> None:
    file = read(tmp_path / "v.h5", table_frame(columns(), np.ones((1, 12))))
    assert file.poses.skeleton.flip_pairs == (("left_ear", "right_ear"),)
    assert file.poses.skeleton.keypoint_names == ("snout", "left_ear", "right_ear", "tailbase")


def values(rows: int, animals: int) -> Any:
    made = np.random.default_rng(0).uniform(0, 100, (rows, animals * 12))
    made[1, :3] = np.nan
    return made


@pytest.mark.parametrize("individuals", [False, True])
@pytest.mark.parametrize("layout", ["fixed", "table"])
def test_hdf5_keeps_everything_but_the_moved_keypoint(tmp_path: Path, layout: str, individuals: bool) -> None:
    labels, numbers = columns(individuals=individuals), values(3, 1 + individuals)
    rows = ["labeled-data/c/img1.png", "labeled-data/c/img2.png", "labeled-data/c/img33.png"]
    content = fixed_frame(labels, rows, numbers) if layout == "fixed" else table_frame(labels, numbers)
    file = read(tmp_path / "a.h5", content)
    assert file.rewrite(file.poses)[""] == content
    assert set(file.poses.image_ids) == set(rows if layout == "fixed" else range(3))
    assert not file.poses.valid[1 + individuals, 0]
    keypoints = file.poses.keypoints.copy()
    keypoints[0, 1] = (7.00049, 8)
    written = file.rewrite(file.poses.with_keypoints(keypoints))[""]
    numbers[0, 3:5] = (7, 8)
    assert_equal_but(written, content, numbers)


def assert_equal_but(written: bytes, content: bytes, numbers: Any) -> None:
    """All data sets and attributes are equal, but the table holds these numbers."""
    with h5py.File(io.BytesIO(content)) as old, h5py.File(io.BytesIO(written)) as new:
        places: list[str] = []
        old.visit(places.append)
        found: list[str] = []
        new.visit(found.append)
        assert found == places
        for place in places:
            assert sorted(new[place].attrs) == sorted(old[place].attrs)
            for name, value in old[place].attrs.items():
                assert np.array_equal(new[place].attrs[name], value)
            if isinstance(old[place], h5py.Dataset):
                after, before = new[place][...], old[place][...]
                if place.endswith("table"):
                    np.testing.assert_array_equal(after["values_block_0"], numbers)
                    after, before = after["index"], before["index"]
                if place.endswith("block0_values"):
                    np.testing.assert_array_equal(after, numbers)
                else:
                    np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("layout", ["fixed", "table"])
def test_pandas_reads_what_was_written(tmp_path: Path, layout: str) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    names = ["scorer", "individuals", "bodyparts", "coords"]
    frame = pd.DataFrame(
        values(3, 2),
        columns=pd.MultiIndex.from_tuples(columns(individuals=True), names=names),
        index=["labeled-data/c/1.png", "labeled-data/c/2.png", "labeled-data/c/33.png"],
    )
    path = tmp_path / "p.h5"
    frame.to_hdf(path, key="df_with_missing", mode="w", format=layout)
    file = read(path)
    keypoints = file.poses.keypoints.copy()
    keypoints[0, 1] = (7, 8)
    path.write_bytes(file.rewrite(file.poses.with_keypoints(keypoints))[""])
    frame.iloc[0, 3:5] = (7, 8)
    pd.testing.assert_frame_equal(pd.read_hdf(path), frame)


def test_names_of_columns_run_no_code(tmp_path: Path) -> None:
    content = io.BytesIO(table_frame(columns(), np.ones((1, 12))))
    with h5py.File(content, "r+") as file:
        file["df_with_missing/table"].attrs["values_block_0_kind"] = np.bytes_(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(FormatError, match=r"got a damaged one \(os.system in the names of columns\)"):
        read(tmp_path / "a.h5", content.getvalue())


def test_a_new_file_has_a_row_for_each_photo(tmp_path: Path) -> None:
    skeleton = load_skeleton("coco17").subset(["nose", "left_eye"])
    poses = Poses(
        np.array([[[1, 2], [0, 0]], [[3.12345, 4], [5, 6]], [[7, 8], [9, 10]]]),
        np.full((3, 2), 0.5),
        np.array([[True, False], [True, True], [True, True]]),
        ("a.jpg", "b.jpg", "a.jpg"),
        np.ones(3),
        skeleton,
    )
    assert FORMAT.write is not None
    again = read(tmp_path / "n.csv", FORMAT.write(NewFile(poses))[""]).poses
    assert again.image_ids == ("a.jpg", "a.jpg", "b.jpg")
    np.testing.assert_array_equal(again.valid, poses.valid[[0, 2, 1]])
    np.testing.assert_allclose(again.keypoints[2], np.array([[3.123, 4], [5, 6]]))


def test_scores_of_a_new_file_have_all_their_decimals() -> None:
    poses = poses_of("a.jpg").with_keypoints(np.full((1, 1, 2), 1.23456), scores=np.full((1, 1), 0.0004321))
    assert FORMAT.write is not None
    assert FORMAT.write(NewFile(poses))[""].decode().splitlines()[-1] == "a.jpg,1.235,1.235,0.0004321"


def poses_of(*image_ids: str) -> Poses:
    """A pose for each image id, the first at 0, 0, the next at 1, 1 ..."""
    count = len(image_ids)
    nose = load_skeleton("coco17").subset(["nose"])
    places = np.repeat(np.arange(count, dtype=float), 2).reshape(count, 1, 2)
    there = np.ones((count, 1), dtype=bool)
    return Poses(places, np.ones((count, 1)), there, image_ids, np.ones(count), nose)


def test_poses_without_a_track_get_names_that_no_track_has(tmp_path: Path) -> None:
    new = NewFile(poses_of("a.jpg", "a.jpg", "a.jpg", "b.jpg"), tracks=(None, "animal1", None, None))
    assert FORMAT.write is not None
    again = read(tmp_path / "n.csv", FORMAT.write(new)[""])
    assert again.tracks == ("animal2", "animal1", "animal3", "animal2")
    assert again.poses.keypoints[:, 0, 0].tolist() == [0, 1, 2, 3]


def test_two_poses_of_a_photo_with_one_track_are_refused() -> None:
    new = NewFile(poses_of("b.jpg", "a.jpg", "a.jpg"), tracks=(3, 3, 3))
    assert FORMAT.write is not None
    with pytest.raises(FormatError, match=r"poses 1 and 2 of image 'a\.jpg' are both of track '3'"):
        FORMAT.write(new)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scorer,D\ncoords,x\n", "line 3: expected header rows scorer, individuals, bodyparts, coords"),
        (
            VIDEO.replace("11.25", "eleven"),
            "line 5, cell 5: expected a number or an empty cell, got 'eleven'",
        ),
        (VIDEO.replace("11.25", "inf"), "line 5, cell 5: expected a number or an empty cell, got 'inf'"),
        (VIDEO.replace(",11.25", ""), "line 5: expected 7 cells, got 6"),
        (
            VIDEO.replace("coords,x,y", "coords,x,z"),
            "column D/snout/z: expected x and y in pixels of a photo, got a third coordinate",
        ),
        (VIDEO.replace("coords,x,y", "coords,x,x"), "column D/snout/x is there twice"),
        (VIDEO.replace("scorer,D", "scorer,E"), "expected one scorer, got D, E; keep one scorer's columns"),
        (
            LABELS.replace("coords,,,x,y,x,y", "coords,,,x,y,x,likelihood"),
            "tail base: expected a column y, got none",
        ),
        ("scorer\nbodyparts\ncoords\n", "expected columns with 3 labels"),
        (b"scorer,\xff", "expected a CSV file in UTF-8"),
        (fixed_frame(columns(), ["a"], np.ones((2, 12))), "expected 1 row as in its index, got 2"),
        (fixed_frame(columns(), ["a"], np.full((1, 12), np.inf)), "row 0: expected finite numbers or NaN"),
        (fixed_frame(columns(), ["a"], np.ones((1, 11))), "block0_values has another shape than its columns"),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        read(tmp_path / "a.csv", text)
    assert str(caught.value).startswith(str(tmp_path / "a.csv")) and message in str(caught.value)


def test_a_layout_may_be_given_by_its_names(tmp_path: Path) -> None:
    mouse = load_skeleton("coco17").subset(["nose"])
    with pytest.raises(FormatError, match="its body parts snout, tail base are not those of layout"):
        read(tmp_path / "v.csv", VIDEO, Reading(mouse))


def test_it_is_recognised_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(VIDEO)
    (tmp_path / "b.csv").write_text("frame,x,y\n")
    (tmp_path / "c.h5").write_bytes(table_frame(columns(), np.ones((1, 12))))
    reasons = [FORMAT.recognise(Source(tmp_path / name)) for name in ("a.csv", "b.csv", "c.h5")]
    assert reasons == ["a CSV file that begins with its scorer", None, "an HDF5 file with a data frame"]


@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_refused_in_one_sentence(tmp_path: Path, data: st.DataObject) -> None:
    """Bytes changed, cut out or doubled: read, or refused by name, and nothing else."""
    whole = data.draw(
        st.sampled_from([VIDEO.encode(), LABELS.encode(), ANIMALS.encode(), table_frame(columns(), values(3, 1)),
                         fixed_frame(columns(), ["a", "b", "c"], values(3, 1))])
    )  # fmt: skip
    start = data.draw(st.integers(0, len(whole) - 1))
    inserted = data.draw(st.sampled_from([b"", b"\x00", b'"', b",", b"x", b"\xff\xff\xff\xff", whole[:40]]))
    path = tmp_path / "d.csv"
    path.write_bytes(whole[:start] + inserted + whole[start + data.draw(st.integers(0, 20)) :])
    try:
        file = FORMAT.read(Source(path), Reading())
        file.rewrite(file.poses)
    except InputError as error:
        assert str(error).startswith(str(path))


SMOOTHED = """scorer,K,K,K,K,K
bodyparts,snout,snout,snout,snout,set
coords,x,y,likelihood,x_ens_var,
0,1.5,2,0.9,.1,train
"""


def test_columns_beside_coordinates_pass_through(tmp_path: Path) -> None:
    file = read(tmp_path / "s.csv", SMOOTHED)
    assert file.notes == ("columns that pass through: x_ens_var, K",)
    written = file.rewrite(file.poses.with_keypoints(file.poses.keypoints + 1))[""].decode()
    assert written == SMOOTHED.replace("1.5,2,", "2.5,3.0,")


SPREADSHEETS = [
    "\ufeff" + VIDEO,
    VIDEO.replace("\n", "\r\n"),
    VIDEO.replace(",", ";"),
    VIDEO.replace(",", ";").replace(".", ","),
    VIDEO.replace(",", "\t").replace(".", ","),
    VIDEO + ",,,,,,\n,,,,,,\n",
    VIDEO.replace("\n", ",,\n"),
    VIDEO.replace("\n0,", "\n0.0,"),
    '"scorer"' + VIDEO.removeprefix("scorer"),
]


@pytest.mark.parametrize("text", SPREADSHEETS)
def test_tables_as_spreadsheets_save_them(tmp_path: Path, text: str) -> None:
    path = tmp_path / "v.csv"
    file, plain = read(path, text), read(tmp_path / "plain.csv", VIDEO)
    assert FORMAT.recognise(Source(path))
    assert file.poses.image_ids == plain.poses.image_ids
    np.testing.assert_array_equal(file.poses.keypoints, plain.poses.keypoints)
    np.testing.assert_array_equal(file.poses.valid, plain.poses.valid)
    assert file.rewrite(file.poses)[""] == path.read_bytes()
    moved = file.poses.with_keypoints(file.poses.keypoints + np.array([0.25, 0]))
    written = read(path, file.rewrite(moved)[""])
    np.testing.assert_allclose(written.poses.keypoints[written.poses.valid], moved.keypoints[moved.valid])
    np.testing.assert_array_equal(written.poses.scores, file.poses.scores)


def test_a_line_that_is_cut_off_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="line 6: expected 7 cells, got 3"):
        read(tmp_path / "v.csv", VIDEO.replace("2,,,,,,", "2,3,4"))


BY_HAND = """scorer,D,D,D,D,D,D
bodyparts,nose,nose,nose,tail,tail,tail
coords,x,y,likelihood,x,y,likelihood
0,1.5,2,,10,20,
1,1.5,2,0.5,10,20,
2,1.5,2,0.5,,,
3,1.5,2,,,,
"""


def test_keypoints_placed_by_hand_count_one_and_get_no_likelihood(tmp_path: Path) -> None:
    file = read(tmp_path / "h.csv", BY_HAND)
    assert file.poses.scores.tolist() == [[1, 1], [0.5, 1], [0.5, 0], [1, 0]]
    everything = np.ones((4, 2), dtype=bool)
    scored = file.poses.with_keypoints(
        file.poses.keypoints + 1, valid=everything, scores=np.full((4, 2), 0.25)
    )
    assert file.rewrite(scored)[""].decode().splitlines()[3:] == [
        "0,2.5,3.0,,11.0,21.0,",
        "1,2.5,3.0,0.25,11.0,21.0,",
        "2,2.5,3.0,0.25,1.0,1.0,0.25",
        "3,2.5,3.0,,1.0,1.0,",
    ]


def test_a_frame_of_no_rows_holds_nobody(tmp_path: Path) -> None:
    content = io.BytesIO(fixed_frame(columns(), [], np.zeros((0, 12))))
    with h5py.File(content, "r+") as file:
        group = file["df_with_missing"]
        empty = {
            "axis1": (np.zeros(1), b"(I0\ntp0\n."),
            "block0_values": (np.zeros((1, 1)), b"(I12\nI0\ntp0\n."),
        }
        for name, (values, shape) in empty.items():
            del group[name]
            group[name] = values
            group[name].attrs.update({"value_type": np.bytes_("float64"), "shape": np.bytes_(shape)})
        group["block0_values"].attrs["transposed"] = np.uint8(0)
    file = read(tmp_path / "n.h5", content.getvalue())
    assert len(file.poses) == 0
    assert file.rewrite(file.poses)[""] == content.getvalue()


def test_a_filter_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posefix.pose_files.hdf5_filters.h5py.h5z.filter_avail", lambda _: False)
    content = io.BytesIO(fixed_frame(columns(), ["a.png"], np.ones((1, 12))))
    with h5py.File(content, "r+") as file:
        file["df_with_missing"].create_dataset("more", data=np.ones(100), compression="gzip")
    with pytest.raises(
        FormatError, match="compressed with deflate, which h5py cannot read; run pip install hdf5plugin"
    ):
        read(tmp_path / "c.h5", content.getvalue())
