import dataclasses
import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.formats.contract import refuses_faults
from tests.formats.recorded import PAIR

from posefix.errors import InputError
from posefix.formats.coco_results import FORMAT, ROWS_AT_ONCE
from posefix.interchange import read_pose_file, write_new_pose_file, write_pose_file
from posefix.pose.poses import Poses
from posefix.pose_files.pose_file import FormatError, NewFile, PoseFile, Reading, Source
from posefix.pose_files.records import is_plain
from posefix.skeletons import Skeleton

GOOD: dict[str, Any] = {
    "image_id": 7,
    "category_id": 1,
    "keypoints": [10, 20.25, 1, 30.0, 40, 0.5],
    "score": 0.75,
}


def write(folder: Path, content: Any) -> Path:
    path = folder / "results.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def read(path: Path, skeleton: Skeleton | None = PAIR) -> PoseFile:
    return FORMAT.read(Source(path), Reading(skeleton))


def rewritten(file: PoseFile, poses: Poses, keep: Sequence[int] | None = None, *, boxes: bool = False) -> Any:
    """The rows of the file with other poses."""
    return json.loads(file.rewrite(poses, keep=keep, update_boxes=boxes)[""])


@pytest.fixture
def pair(tmp_path: Path) -> PoseFile:
    """Three rows of two keypoints: whole, half missing, wholly missing."""
    rows = [
        {**GOOD, "bbox": [1, 2, 3, 4], "track": "a"},
        {**GOOD, "image_id": "b", "keypoints": [10, 20, 1, 0, 0, 0.3]},
        {**GOOD, "keypoints": [10, 20, 0, 0, 0, 0.0]},
    ]
    return read(write(tmp_path, rows))


def test_rows_become_arrays(pair: PoseFile) -> None:
    poses = pair.poses
    assert poses.keypoints[0].tolist() == [[10, 20.25], [30, 40]]
    assert poses.scores[0].tolist() == [1, 0.5]
    assert poses.valid.tolist() == [[True, True], [True, False], [False, False]]
    assert poses.image_ids == (7, "b", 7)
    assert poses.pose_scores.tolist() == [0.75] * 3


def test_an_empty_list_is_no_poses(tmp_path: Path) -> None:
    empty = read(write(tmp_path, "[ ]"))
    assert len(empty.poses) == 0
    assert empty.rewrite(empty.poses) == {"": b"[ ]"}
    write_new_pose_file(tmp_path / "out.json", empty.poses)
    assert len(read_pose_file(tmp_path / "out.json", PAIR).poses) == 0


def test_poses_without_scores_count_one(tmp_path: Path) -> None:
    row = {"image_id": 1, "keypoints": GOOD["keypoints"]}
    results = read(write(tmp_path, [row, row]))
    assert results.poses.pose_scores.tolist() == [1, 1]
    assert rewritten(results, results.poses) == [row, row]


FAULTS: list[tuple[Any, str]] = [
    ("[{,", "results.json: expected JSON, got an error at line 1, column 3: Expecting property name"),
    (
        "[{",
        "results.json: expected JSON, got a text that ends in the middle, at line 1, column 3; it is cut off",
    ),
    ({"a": 1}, "results.json: expected a list of poses, got {'a': 1}."),
    ({"annotations": []}, "results.json: expected a list of poses, got an annotation file."),
    ([GOOD, 3], "results.json, row 1: expected an object, got 3."),
    ([{"image_id": 1}], "row 0, field 'keypoints': expected a list of 6 numbers, got no such field."),
    ([{**GOOD, "keypoints": None}], "row 0, field 'keypoints': expected a list of 6 numbers, got None."),
    (
        [GOOD, {**GOOD, "keypoints": [0] * 51}],
        "row 1, field 'keypoints': expected 6 numbers, got 51, as of coco17 or posetrack18; a file has people of one "
        "layout.",
    ),
    (
        [{**GOOD, "keypoints": [0] * 7}],
        "row 0, field 'keypoints': expected 6 numbers, got 7, which is not a multiple of 3.",
    ),
    (
        [{**GOOD, "keypoints": [[1, 2], [3, 4], [5, 6]]}],
        "row 0, field 'keypoints', left_eye: expected x, y and score, got [",
    ),
    (
        [GOOD, GOOD, {**GOOD, "keypoints": [1, 2, 3, 4, float("nan"), 1]}],
        "row 2, field 'keypoints', y of right_eye: expected a finite number, got nan.",
    ),
    (
        [{**GOOD, "keypoints": [1, 2, 3, float("-inf"), 5, 6]}],
        "row 0, field 'keypoints', x of right_eye: expected a finite number, got -inf.",
    ),
    (
        [{**GOOD, "keypoints": [1, 2, 10**400, 4, 5, 6]}],
        "row 0, field 'keypoints', score of left_eye: expected a finite number below 1e+15, got 1000000000",
    ),
    (
        [GOOD, {**GOOD, "keypoints": ["1", 2, 3, 4, 5, 6]}],
        "row 1, field 'keypoints', x of left_eye: expected a finite number, got '1'.",
    ),
    (
        [GOOD, {**GOOD, "keypoints": [1, 2.5, True, 4, 5, 6]}],
        "row 1, field 'keypoints', score of left_eye: expected a finite number, got True.",
    ),
    ([GOOD, {**GOOD, "score": -1e15}], "row 1, field 'score': expected a finite number below 1e+15, got -1"),
    ([GOOD, {**GOOD, "score": True}], "row 1, field 'score': expected a finite number, got True."),
    (
        [{**GOOD, "keypoints": [None, 2, 3, 4, 5, 6]}],
        "row 0, field 'keypoints', x of left_eye: expected a finite number, got None.",
    ),
    (
        [GOOD, {"keypoints": GOOD["keypoints"], "score": 1}],
        "row 1, field 'image_id': expected an integer or a text, got no such field.",
    ),
    ([{**GOOD, "image_id": 1.5}], "row 0, field 'image_id': expected an integer or a text, got 1.5."),
    ([{**GOOD, "image_id": True}], "row 0, field 'image_id': expected an integer or a text, got True."),
    (
        [GOOD, {**GOOD, "image_id": "a\0b"}],
        "row 1, field 'image_id': expected a text without the character NUL and without half a surrogate pair, got 'a",
    ),
    (
        [{**GOOD, "image_id": "\ud800"}],
        "row 0, field 'image_id': expected a text without the character NUL and without half a surrogate pair, got '",
    ),
    (
        [GOOD, {**GOOD, "track_id": "\udfff"}],
        "row 1, field 'track_id': expected a text without the character NUL and without half a surrogate pair, got '",
    ),
    ([GOOD, {**GOOD, "score": "high"}], "row 1, field 'score': expected a finite number, got 'high'."),
    (
        [GOOD, {"image_id": 1, "keypoints": GOOD["keypoints"]}],
        "row 1, field 'score': expected a finite number, got none, where other rows have one.",
    ),
]


@pytest.mark.parametrize(("content", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_faults_are_named_with_file_row_and_field(tmp_path: Path, content: Any, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("count", "hint"),
    [
        (17, "; with 17 keypoints it may be coco17 or posetrack18."),
        (33, "; with 33 keypoints it may be blazepose33."),
        (20, "; no packaged layout has 20 keypoints, give a skeleton file of your own."),
    ],
)
def test_the_layout_is_asked_for_and_never_guessed(tmp_path: Path, count: int, hint: str) -> None:
    path = write(tmp_path, [{**GOOD, "keypoints": [1] * (3 * count)}])
    with pytest.raises(InputError) as caught:
        read(path, None)
    assert (
        str(caught.value)
        == f"{path}: expected the name of its layout (--layout), which is never guessed{hint}"
    )


@pytest.mark.parametrize(
    ("count", "hint"),
    [
        (17, "; with 17 keypoints it may be coco17 or posetrack18."),
        (20, "; no packaged layout has 20 keypoints, give a skeleton file of your own."),
    ],
)
def test_a_layout_that_fits_nobody_is_one_fault(tmp_path: Path, count: int, hint: str) -> None:
    rows = [{**GOOD, "keypoints": [1] * (3 * count)}] * 3
    with pytest.raises(FormatError) as caught:
        read(write(tmp_path, rows))
    expected = f"expected 2 keypoints in each row, as {PAIR.name} has (--layout), got {count}{hint}"
    assert str(caught.value) == f"{tmp_path / 'results.json'}: {expected}"


@pytest.mark.parametrize("layout", [None, "named"])
def test_lists_of_a_number_that_is_no_multiple_of_three(tmp_path: Path, layout: str | None) -> None:
    path = write(tmp_path, [{**GOOD, "keypoints": [1] * 50}] * 2)
    with pytest.raises(FormatError, match="got lists of 50 numbers, which is not a multiple of 3"):
        read(path, None) if layout is None else read(path)


def test_an_empty_list_needs_a_layout_too(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\(--layout\), which is never guessed\.$"):
        read(write(tmp_path, []), None)


# Writing back


def moved(poses: Poses, *changes: tuple[int, int, int, float], **arguments: Any) -> Poses:
    """Poses with some coordinates set: (row, keypoint, axis, value)."""
    keypoints = poses.keypoints.copy()
    for row, keypoint, axis, value in changes:
        keypoints[row, keypoint, axis] = value
    return poses.with_keypoints(keypoints, **arguments)


def test_scores_alone_change_no_box(pair: PoseFile) -> None:
    poses = pair.poses.with_keypoints(pair.poses.keypoints, scores=pair.poses.scores * 0.5)
    row = rewritten(pair, poses, boxes=True)[0]
    assert (row["keypoints"], row["bbox"]) == ([10, 20.25, 0.5, 30.0, 40, 0.25], [1, 2, 3, 4])


def test_what_did_not_move_stays_as_it_was_written(pair: PoseFile) -> None:
    before = rewritten(pair, pair.poses)
    rows = rewritten(pair, moved(pair.poses, (0, 0, 1, 21.123456), (0, 0, 0, 10.0004)))
    assert rows[0] == {**before[0], "keypoints": [10, 21.123, 1, 30.0, 40, 0.5]}
    assert json.dumps(rows[0]["keypoints"]) == "[10, 21.123, 1, 30.0, 40, 0.5]"
    assert rows[1:] == before[1:]


def test_a_filled_keypoint_is_written_with_its_score(pair: PoseFile) -> None:
    valid, scores = pair.poses.valid.copy(), pair.poses.scores.copy()
    valid[1, 1], scores[1, 1] = True, 0.25
    rows = rewritten(pair, moved(pair.poses, (1, 1, 0, 5), (1, 1, 1, 6), valid=valid, scores=scores))
    assert rows[1]["keypoints"] == [10, 20, 1, 5.0, 6.0, 0.25]


def test_a_valid_keypoint_is_never_written_as_missing(tmp_path: Path, pair: PoseFile) -> None:
    valid = np.ones_like(pair.poses.valid)
    poses = moved(pair.poses, (0, 0, 0, 0), (0, 0, 1, 0.0001), valid=valid)
    write_pose_file(tmp_path / "out.json", pair, poses)
    assert read(tmp_path / "out.json").poses.valid.all()
    assert rewritten(pair, poses)[0]["keypoints"][:2] == [0.001, 0]


def test_a_keypoint_that_is_no_longer_valid_is_written_as_missing(pair: PoseFile) -> None:
    gone = pair.poses.with_keypoints(pair.poses.keypoints, np.zeros_like(pair.poses.valid))
    rows = rewritten(pair, gone)
    assert rows[0]["keypoints"] == [0, 0, 0, 0, 0, 0]
    assert rows[2] == rewritten(pair, pair.poses)[2]


def test_where_no_row_had_a_score_all_get_one_or_none(tmp_path: Path) -> None:
    """As where the model saw some people only: a file of both kinds could not be read."""
    row = {key: value for key, value in GOOD.items() if key != "score"}
    file = read(write(tmp_path, [row, row]))
    for scores, written in (([0.5, 1.0], [0.5, 1.0]), ([1.0, 1.0], [None, None])):
        poses = dataclasses.replace(file.poses, pose_scores=np.array(scores))
        assert [entry.get("score") for entry in rewritten(file, poses)] == written


def test_a_changed_pose_score_is_written(pair: PoseFile) -> None:
    poses = pair.poses
    scores = np.array([0.75, 0.123456789, 0.75])
    other = Poses(poses.keypoints, poses.scores, poses.valid, poses.image_ids, scores, poses.skeleton)
    rows, before = rewritten(pair, other), rewritten(pair, poses)
    assert rows[1] == {**before[1], "score": 0.123456789}
    assert rows[::2] == before[::2]


def test_boxes_of_changed_rows_follow_on_request(pair: PoseFile) -> None:
    poses = moved(pair.poses, (0, 0, 0, 20), (0, 0, 1, 20))
    assert rewritten(pair, poses)[0]["bbox"] == [1, 2, 3, 4]
    rows = rewritten(pair, poses, boxes=True)
    assert rows[0]["bbox"] == [19, 18, 12, 24]  # around (20, 20) and (30, 40), 1.2 times as large
    assert "bbox" not in rows[1]
    assert rewritten(pair, pair.poses, boxes=True) == rewritten(pair, pair.poses)


def test_poses_of_another_file_are_refused(pair: PoseFile) -> None:
    with pytest.raises(
        InputError, match=r"expected its own Poses\(3 of .* in the same order, got Poses\(2 of"
    ):
        pair.rewrite(pair.poses[:2])


number = st.floats(-1e4, 1e4)


@given(
    keypoints=arrays(np.float64, (4, 2, 2), elements=number),
    scores=arrays(np.float64, (4, 2), elements=st.floats(0, 9)),
    valid=arrays(np.bool_, (4, 2)),
    pose_scores=arrays(np.float64, 4, elements=number),
    image_ids=st.tuples(*[st.integers() | st.text().filter(is_plain)] * 4),
)
def test_reading_gives_what_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    keypoints: Any,
    scores: Any,
    valid: Any,
    pose_scores: Any,
    image_ids: Any,
) -> None:
    path = tmp_path_factory.getbasetemp() / "property.json"
    poses = Poses(keypoints, scores, valid, image_ids, pose_scores, PAIR)
    write_new_pose_file(path, poses)
    results = read(path)
    assert results.poses.image_ids == image_ids
    assert (results.poses.valid == valid).all()
    assert (results.poses.pose_scores == pose_scores).all()
    assert np.abs(results.poses.keypoints - keypoints)[valid].max(initial=0) <= 0.0015
    assert np.abs(results.poses.scores - scores)[valid].max(initial=0) <= 0.0015
    assert results.rewrite(results.poses)[""] == path.read_bytes()


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.sampled_from(list(GOOD)), inner),
    max_leaves=10,
)


@given(field=st.sampled_from(list(GOOD)), value=anything, content=anything, whole=st.booleans())
def test_any_json_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, field: str, value: Any, content: Any, whole: bool
) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = write(folder, json.dumps(content if whole else [GOOD, {**GOOD, field: value}]))
    try:
        read(path)
    except InputError as error:
        assert str(error).startswith(str(path))


def test_real_files_survive_reading_and_writing(shared_data: Path, tmp_path: Path) -> None:
    paths = [*shared_data.glob("predictions/*/*.json"), *shared_data.glob("mpii/predictions/*.json")]
    assert len(paths) >= 22
    for path in paths:
        file = read_pose_file(path, path.name.split(".")[-2])
        assert file.format == "coco-results"
        write_pose_file(tmp_path / path.name, file)
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


# The text around the numbers

ODD = """\ufeff[ {"image_id" : "\u00e9", "keypoints":[1e1,2.50 , 1,\t30,40.0,5E-1], "score":0.75e0,
   "x": {"keypoints": [1]}},
  {"score": 1, "extra": [null, "]"], "keypoints": [
    10,
    20.10,
    1,
    0, 0, 0.30
  ], "image_id": 8, "track_id": 3, "bbox": [1, 2, 3, 4]} ]
"""


@pytest.fixture
def odd(tmp_path: Path) -> PoseFile:
    return read(write(tmp_path, ODD))


def test_text_that_nothing_changes_stays(odd: PoseFile) -> None:
    text = ODD
    assert odd.rewrite(odd.poses)[""].decode() == text
    poses = moved(odd.poses, (0, 0, 1, 3.25), (1, 0, 0, 11))
    changed = text.replace("2.50 ,", "3.25 ,").replace("    10,", "    11.0,")
    assert odd.rewrite(poses)[""].decode() == changed
    assert (odd.tracks, odd.boxes is not None) == ((None, 3), True)


@pytest.mark.parametrize(("keep", "left"), [([0], [0]), ([1], [1]), ([], []), ([0, 1], [0, 1])])
def test_rows_that_are_not_kept_are_taken_out(odd: PoseFile, keep: list[int], left: list[int]) -> None:
    before = json.loads(odd.rewrite(odd.poses)[""].decode("utf-8-sig"))
    after = json.loads(odd.rewrite(odd.poses, keep=keep)[""].decode("utf-8-sig"))
    assert after == [before[row] for row in left]


@given(keep=st.sets(st.integers(0, 4)), separators=st.sampled_from([(",", ":"), (", ", ": ")]))
def test_any_rows_can_be_kept(
    tmp_path_factory: pytest.TempPathFactory, keep: set[int], separators: Any
) -> None:
    rows = [{**GOOD, "image_id": number} for number in range(5)]
    file = read(write(tmp_path_factory.getbasetemp(), json.dumps(rows, separators=separators)))
    kept = [rows[number] for number in sorted(keep)]
    assert file.rewrite(file.poses, keep=sorted(keep))[""].decode() == json.dumps(kept, separators=separators)


def test_long_files_are_read_and_written_in_parts(tmp_path: Path) -> None:
    rows = [{**GOOD, "image_id": number} for number in range(2 * ROWS_AT_ONCE + 3)]
    text = "[" + ",\n".join(map(json.dumps, rows)) + "]"
    file = read(write(tmp_path, text))
    assert file.poses.image_ids == tuple(range(len(rows)))
    assert file.rewrite(file.poses)[""].decode() == text
    last = len(rows) - 1
    changed = json.loads(file.rewrite(moved(file.poses, (last, 1, 0, 31.5)))[""])
    assert changed[:last] == rows[:last]
    assert changed[last]["keypoints"] == [10, 20.25, 1, 31.5, 40, 0.5]
    rows[last] = {"image_id": 1, "keypoints": [1] * 6}
    with pytest.raises(FormatError, match=f"row {last}, field 'score': expected a finite number, got none"):
        read(write(tmp_path, rows))
    rows[last] = {**GOOD, "keypoints": [1]}
    with pytest.raises(FormatError, match=f"row {last}, field 'keypoints': expected 6 numbers, got 1"):
        read(write(tmp_path, rows))


def test_what_is_written_never_lies_in_memory_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posefix.formats.coco_results.ROWS_AT_ONCE", 100)
    file = read(write(tmp_path, [{**GOOD, "of somebody": "x" * 200}] * 5000))
    shifted, output = file.poses.with_keypoints(file.poses.keypoints + 1.5), tmp_path / "written.json"
    tracemalloc.start()
    try:
        write_pose_file(output, file, shifted)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert output.stat().st_size > 1.5e6
    assert peak < 0.5e6
    assert output.read_bytes() == file.rewrite(shifted)[""]


def test_a_new_file_has_boxes_and_tracks_where_they_are_known(pair: PoseFile) -> None:
    boxes = np.array([[1.0, 2, 3, 4], [np.nan] * 4, [5, 6, 7, 8]])
    assert FORMAT.write is not None
    rows = json.loads(FORMAT.write(NewFile(pair.poses, tracks=("a", None, 3), boxes=boxes))[""])
    assert [row.get("bbox") for row in rows] == [[1, 2, 3, 4], None, [5, 6, 7, 8]]
    assert [row.get("track_id") for row in rows] == ["a", None, 3]
    assert rows[1]["keypoints"] == [10.0, 20.0, 1.0, 0, 0, 0]


def test_a_track_that_pandas_wrote_as_a_float_is_the_integer(tmp_path: Path) -> None:
    tracks = [1.0, float("nan"), "a", 2, 1.5]
    rows = [{**GOOD, "track_id": track} for track in tracks]
    assert read(write(tmp_path, rows)).tracks == (1, None, "a", 2, None)


test_a_faulty_file_is_refused_in_one_sentence = refuses_faults(
    FORMAT, [GOOD, {**GOOD, "bbox": [1, 2, 3, 4], "track_id": 1}], skeletons=[PAIR]
)


@pytest.mark.parametrize("text", ["[[1.50, 2, 0.9], [3, 4.25, 0.8]]", "[ [1.50,2,0.9],\n  [3,4.25,0.8] ]"])
def test_points_in_lists_of_their_own_are_read_and_written_so(tmp_path: Path, text: str) -> None:
    rows = f'[{{"image_id": 1, "keypoints": {text}, "score": 1}}, {{"image_id": 2, "keypoints": [1, 2, 1, 3, 4, 1]}}]'
    (tmp_path / "results.json").write_text(rows.replace("4, 1]}", '4, 1], "score": 1}'))
    file = read_pose_file(tmp_path / "results.json", PAIR)
    assert file.poses.keypoints.tolist() == [[[1.5, 2], [3, 4.25]], [[1, 2], [3, 4]]]
    moved = file.poses.keypoints + np.array([[0, 0], [0, 1]])
    write_pose_file(tmp_path / "out.json", file, file.poses.with_keypoints(moved))
    expected = (
        (tmp_path / "results.json").read_text().replace("4.25", "5.25").replace("3, 4, 1]", "3, 5.0, 1]")
    )
    assert (tmp_path / "out.json").read_text() == expected


def test_a_layout_is_counted_in_points_too(tmp_path: Path) -> None:
    row = {"image_id": 1, "keypoints": [[1, 2, 0.5]] * 17, "score": 1}
    (tmp_path / "results.json").write_text(json.dumps([row]))
    with pytest.raises(FormatError, match="with 17 keypoints it may be coco17 or posetrack18"):
        read_pose_file(tmp_path / "results.json")


def test_a_gap_in_a_point_names_its_place(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(
        '[{"image_id": 1, "keypoints": [[1, 2, 1], [3, NaN, 1]], "score": 1}]'
    )
    with pytest.raises(FormatError, match="y of right_eye: expected a finite number, got nan"):
        read_pose_file(tmp_path / "results.json", PAIR)
