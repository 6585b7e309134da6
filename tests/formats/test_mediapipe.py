import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.formats.mutations import damaged_texts, mutated_texts
from tests.formats.recorded import (
    INDENTS,
    contents_of,
    moved,
    printed,
    read,
    recorded,
    refusal,
    try_everything,
)

from posefix.formats.mediapipe import FORMAT
from posefix.pose_files.pose_file import Source
from posefix.skeletons import load_skeleton

BLAZEPOSE = load_skeleton("blazepose33")
NAMES = BLAZEPOSE.keypoint_names
PAIR = BLAZEPOSE.subset(["nose", "left_eye_inner"])


def size(_: Any) -> tuple[int, int]:
    return 200, 100


def share(index: int, frame: int = 0) -> tuple[float, float]:
    return (index + 1) / 64, (index + frame + 1) / 50


def landmark(index: int, frame: int = 0) -> dict[str, float]:
    x, y = share(index, frame)
    return {"x": x, "y": y, "z": -0.25, "visibility": 0.75}


def person(frame: int = 0) -> list[dict[str, float]]:
    return [landmark(index, frame) for index in range(33)]


def as_lists(frame: int = 0) -> list[list[float]]:
    return [list(one.values()) for one in person(frame)]


def as_names(frame: int = 0) -> dict[str, Any]:
    return {name.upper(): one for name, one in zip(NAMES, person(frame), strict=True)}


def frames(field: str, *landmarks: Any, **numbers: Any) -> list[dict[str, Any]]:
    """Frames with landmarks, and with numbers where a field for these is named."""
    return [
        {**{key: values[place] for key, values in numbers.items()}, field: value}
        for place, value in enumerate(landmarks)
    ]


JSON: dict[str, tuple[Any, list[Any]]] = {
    "frames": (frames("landmarks", person(), [], person(1), frame=[4, 5, 7]), [4, 7]),
    "frames of the browser": ({"fps": 30, "frames": frames("poseLandmarks", person(), person(1))}, [0, 1]),
    "frames in landmarks": (
        {"landmarks": frames("pose_landmarks", person(), person(1), frame=[0, 1])},
        [0, 1],
    ),
    "photos": (frames("pose_landmarks", [person(), person(1)], image=["a.jpg"]), ["a.jpg", "a.jpg"]),
    "lists": ({"frames": frames("pose_landmarks", as_lists(), None, as_lists(1))}, [0, 2]),
    "names": (frames("landmarks", as_names(), as_names(1), frame_index=[1, 2]), [1, 2]),
    "messages": (frames("pose_landmarks", {"landmark": person()}, {"landmark": person(1)}), [0, 1]),
    "frames alone": ([person(), [], person(1)], [0, 2]),
    "a photo": ({"pose_landmarks": [person(), person(1)]}, ["im", "im"]),
}


def wide(names: list[str], rows: list[str], first: str = "frame") -> str:
    return "\n".join([",".join([first, *names]), *rows, ""])


def numbers(frame: int, *, depth: bool = True, seen: bool = True) -> list[str]:
    return [
        text
        for index in range(33)
        for text in (
            *map(repr, share(index, frame)),
            *(["-0.25"] if depth else []),
            *(["0.75"] if seen else []),
        )
    ]


LONG = "frame,landmark,x,y,z,visibility\n" + "".join(
    f"{frame},{index},{share(index, frame)[0]!r},{share(index, frame)[1]!r},-0.25,0.75\n"
    for frame in (0, 1)
    for index in range(33)
)
CSV: dict[str, tuple[str, list[Any]]] = {
    "long": (LONG, [0, 1]),
    "long with names": (
        "image,landmark_name,x,y,z,visibility\n"
        + "".join(
            f"{photo},{name.upper()},{share(index, frame)[0]!r},{share(index, frame)[1]!r},-0.25,0.75\n"
            for frame, photo in enumerate(["a.jpg", "b.jpg"])
            for index, name in enumerate(NAMES)
        ),
        ["a.jpg", "b.jpg"],
    ),
    "wide": (
        wide(
            [f"{name.upper()}_{what}" for name in NAMES for what in ("x", "y", "z", "visibility")],
            [",".join(["3", *numbers(0)]), "4" + "," * 132, ",".join(["5", *numbers(1)])],
        ),
        [3, 5],
    ),
    "wide, numbered, of a class": (
        wide(
            [f"{what}{index}" for index in range(1, 34) for what in "xyzv"],
            [",".join(["squat", *numbers(0)]), ",".join(["rest", *numbers(1)])],
            "class",
        ),
        [0, 1],
    ),
    "wide, numbered": (
        wide(
            [f"landmark_{index}_{what}" for index in range(33) for what in ("x", "y", "visibility")],
            [",".join(["0", *numbers(0, depth=False)]), ",".join(["1", *numbers(1, depth=False)])],
        ),
        [0, 1],
    ),
    "wide, coordinate first": (
        wide(
            [f"{what}_{name.upper()}" for name in NAMES for what in ("X", "Y", "Z", "visibility")],
            [",".join(["0.0", *numbers(0)]), ",".join(["0.04", *numbers(1)])],
            "time",
        ),
        [0, 1],
    ),
}
FILES = {f"{name}, JSON": ("im.json", *case) for name, case in JSON.items()} | {
    f"{name}, CSV": ("im.csv", *case) for name, case in CSV.items()
}


@pytest.mark.parametrize("case", FILES)
def test_all_shapes_hold_the_same_people(tmp_path: Path, case: str) -> None:
    name, content, ids = FILES[case]
    path = recorded(tmp_path / name, content)
    assert FORMAT.recognise(Source(path)) is not None
    file = read(FORMAT, path, None, size)
    poses = file.poses
    assert (poses.skeleton, list(poses.image_ids)) == (BLAZEPOSE, ids)
    for row in range(2):
        expected = [(x * 200 - 0.5, y * 100 - 0.5) for x, y in (share(index, row) for index in range(33))]
        assert np.allclose(poses.keypoints[row], expected, atol=1e-9)
    assert (poses.scores == 0.75).all()
    assert poses.valid.all()
    assert file.has_scores
    assert file.rewrite(file.poses, update_boxes=True) == contents_of(path)


@pytest.mark.parametrize("case", FILES)
def test_only_what_moved_is_rewritten(tmp_path: Path, case: str) -> None:
    name, content, _ = FILES[case]
    path = recorded(tmp_path / name, content)
    file = read(FORMAT, path, None, size)
    x, y = share(11)
    text = path.read_text()
    start = text.index(repr(x))
    start = text.index(repr(y), start) if y != x else start
    expected = text[:start] + "0.5" + text[start + len(repr(y)) :]
    written = file.rewrite(moved(file.poses, 0, 11, x * 200 - 0.5, 49.5))[""].decode()
    assert written == expected


@pytest.mark.parametrize("case", FILES)
def test_scores_and_zeros_are_written(tmp_path: Path, case: str) -> None:
    name, content, _ = FILES[case]
    path = recorded(tmp_path / name, content)
    file = read(FORMAT, path, None, size)
    valid, scores = file.poses.valid.copy(), file.poses.scores.copy()
    valid[0, 5], scores[0, 6] = False, 0.25
    new = file.rewrite(file.poses.with_keypoints(file.poses.keypoints, valid, scores))
    path.write_bytes(new[""])
    again = read(FORMAT, path, None, size).poses
    assert np.array_equal(again.valid, valid)
    assert again.scores[0, 5:7].tolist() == [0, 0.25]
    path.write_bytes(file.rewrite(file.poses, keep=[1])[""])
    assert read(FORMAT, path, None, size).poses.valid.any(axis=1).tolist() == [False, True]


@pytest.mark.parametrize("indent", INDENTS)
def test_a_document_that_nothing_changed_is_equal(tmp_path: Path, indent: Any) -> None:
    text = printed(JSON["frames"][0], indent).replace("0.75", "0.750")
    path = recorded(tmp_path / "im.json", text)
    file = read(FORMAT, path, None, size)
    assert file.rewrite(file.poses) == contents_of(path)


def test_missing_landmarks_are_filled_in_where_they_have_a_place(tmp_path: Path) -> None:
    people = person()
    people[3], people[4] = {**people[3], "x": None, "y": None}, {**people[4], "x": 0, "y": 0}  # type: ignore[dict-item]
    file = read(FORMAT, recorded(tmp_path / "im.json", [{"landmarks": people}]), None, size)
    assert np.flatnonzero(~file.poses.valid[0]).tolist() == [3, 4]
    filled = np.where(file.poses.valid[..., None], file.poses.keypoints, 9.5)
    new = json.loads(file.rewrite(file.poses.with_keypoints(filled, np.ones((1, 33), np.bool_)))[""])
    assert [(one["x"], one["y"]) for one in new[0]["landmarks"][3:5]] == [(0.05, 0.1)] * 2
    lines = LONG.splitlines(keepends=True)
    file = read(FORMAT, recorded(tmp_path / "im.csv", "".join([*lines[:5], *lines[6:]])), None, size)
    assert file.left_out == ("landmarks without a place in the file, which stay missing: 1",)
    moved = file.poses.with_keypoints(file.poses.keypoints + 1, np.ones((2, 33), np.bool_))
    (tmp_path / "new.csv").write_bytes(file.rewrite(moved)[""])
    again = read(FORMAT, tmp_path / "new.csv", None, size).poses
    assert np.array_equal(again.valid, file.poses.valid)
    np.testing.assert_allclose(again.keypoints[again.valid], moved.keypoints[again.valid], atol=0.01)


def test_pixels_are_recognised_and_photos_asked_for(tmp_path: Path) -> None:
    people = [{"x": one["x"] * 200, "y": one["y"] * 100, "z": 0.0} for one in person()]
    file = read(FORMAT, recorded(tmp_path / "im.json", [{"pose_landmarks": people}]))
    assert file.poses.keypoints[0, 0].tolist() == [200 / 64 - 0.5, 1.5]
    assert (file.has_scores, file.notes) == (False, ("places are pixels from the photo's edge",))
    assert "name their folder (--images)" in refusal(FORMAT, recorded(tmp_path / "b.json", JSON["frames"][0]))


def test_landmarks_that_are_never_there_are_missing_where_the_layout_is_named(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.csv", "frame,landmark,x,y,z,visibility\n0,0,50,15,-0.2,0.99\n")
    assert read(FORMAT, path, BLAZEPOSE).poses.valid.sum() == 1
    assert "no packaged layout has 1 keypoint," in refusal(FORMAT, path)
    assert "expected 2 keypoints in each person" in refusal(FORMAT, recorded(tmp_path / "b.csv", LONG), PAIR)


def test_whole_numbers_of_a_table_may_be_floats(tmp_path: Path) -> None:
    lines = [f"0.0,{number}.0,1.0,{0.3 + number / 99},0.5,0.9" for number in range(33)]
    text = "\n".join(["frame,landmark,person,x,y,visibility", *lines, ""])
    file = read(FORMAT, recorded(tmp_path / "a.csv", text), photo_size=lambda _: (300, 400))
    assert (file.poses.skeleton, file.poses.image_ids, file.tracks) == (BLAZEPOSE, (0,), (1,))
    assert file.rewrite(file.poses) == contents_of(tmp_path / "a.csv")


def test_people_of_a_frame_are_told_apart(tmp_path: Path) -> None:
    text = "frame,person,landmark_id,x,y\n0,a,0,10,20\n0,a,1,30,40\n0,7,0,50,60\n0,7,1,70,80\n"
    file = read(FORMAT, recorded(tmp_path / "a.csv", text), PAIR)
    assert (file.tracks, file.poses.image_ids) == (("a", 7), (0, 0))
    twice = text.replace(",7,", ",a,")
    assert "line 4: expected each landmark of a person once, got '0' again" in refusal(
        FORMAT, recorded(tmp_path / "b.csv", twice), PAIR
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", frames("landmarks", person()[:20]), "no packaged layout has 20 keypoints"),
        ("a.json", frames("landmarks", person(), person(), [landmark(0)]), "element 2, landmarks: expected 33 land"),
        ("a.json", [{"pose_landmarks": [*person()[:32], {"x": "1", "y": 2}]}], "landmark 32: expected x and y"),
        ("a.json", [{"image": "a\0", "pose_landmarks": person()}], "expected as name of its photo"),
        ("a.csv", LONG.replace("-0.25,0.75", "-0.25,high", 1), "line 2, column 'visibility': expected a number"),
        ("a.csv", LONG.replace("\n0,", "\n-1,", 1), "line 2, column 'frame': expected the number of a frame"),
        ("a.csv", LONG.replace("\n0,32", "\n0,31", 1), "expected each landmark of a person once, got '31' again"),
        ("a.csv", LONG.replace("\n0,1,", f"\n0,{'9' * 5000},", 1), "expected the number of a landmark"),
        ("a.csv", "frame,a\n0,1\n", "expected columns of landmarks"),
        ("a.csv", "frame,tip_x,tip_y\n0,1,2\n", "its landmarks tip are none of blazepose33"),
    ],
)  # fmt: skip
def test_faults_are_named(tmp_path: Path, name: str, content: Any, message: str) -> None:
    assert message in refusal(FORMAT, recorded(tmp_path / name, content), None, size)


def test_other_files_are_not_taken(tmp_path: Path) -> None:
    others: dict[str, Any] = {
        "a.csv": "frame,x,y\n", "b.csv": "scorer,D\n", "c.csv": "frame,snout_x,snout_y,tail_x,tail_y\n",
        "a.json": [{"x": 1, "y": 2}], "b.json": {"landmarks": 1}, "c.json": [[1, 2], [3, 4]],
        "d.json": {"images": [{"landmarks": {"a": 1}}]}, "e.json": [{"landmarks": [None]}], "f.json": 7,
    }  # fmt: skip
    for name, content in others.items():
        assert FORMAT.recognise(Source(recorded(tmp_path / name, content))) is None, name


@given(text=st.sampled_from([json.dumps(content) for content, _ in JSON.values()]).flatmap(mutated_texts))
@settings(max_examples=60, deadline=None)
def test_faulty_documents_are_refused_in_words(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    try_everything(FORMAT, recorded(tmp_path_factory.getbasetemp() / "mutated.json", text), None, size)


@given(text=st.sampled_from([content for content, _ in CSV.values()]).flatmap(damaged_texts))
@settings(max_examples=100, deadline=None)
def test_faulty_tables_are_refused_in_words(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.csv"
    path.write_bytes(text.encode())
    try_everything(FORMAT, path, None, size)
