import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.formats.contract import refuses_faults, stays_equal
from tests.formats.recorded import PAIR, contents_of, moved, printed, read, recorded, refusal, saved

from posefix.formats.alphapose import FORMAT, LAYOUTS
from posefix.pose.poses import Poses
from posefix.pose_files.pose_file import FormatError, NewFile, Source
from posefix.skeletons import Skeleton, load_skeleton

POINTS = [10.50, 20.25, 0.875, 30.0, 40, 0.5]
ROW: dict[str, Any] = {
    "image_id": "im_1.jpg",
    "category_id": 1,
    "keypoints": POINTS,
    "score": 3.0625,
    "box": [1.0, 2.0, 50.0, 80.0],
    "idx": [7.0],
}
OTHER: dict[str, Any] = {**ROW, "image_id": "im_2.jpg", "keypoints": [1, 2, 0.25, 0, 0, 0], "idx": 3}
LIST = [ROW, OTHER]
BODIES = {"im_1.jpg": POINTS, "im_2.jpg": OTHER["keypoints"]}
CMU = {name: {"version": "AlphaPose v0.3", "bodies": [{"joints": points}]} for name, points in BODIES.items()}
OPEN = {
    name: {"version": "AlphaPose v0.3", "people": [{"pose_keypoints_2d": points}]}
    for name, points in BODIES.items()
}
SHAPES: dict[str, Any] = {"list": LIST, "cmu": CMU, "open": OPEN, "cmu of a photo": CMU["im_1.jpg"]}
EMPTY: tuple[Any, ...] = ([], {}, {"a.jpg": {"version": "AlphaPose v0.3", "people": []}})


@pytest.mark.parametrize("shape", ["list", "cmu", "open"])
def test_every_shape_becomes_the_same_arrays(tmp_path: Path, shape: str) -> None:
    poses = read(FORMAT, recorded(tmp_path / "alphapose-results.json", SHAPES[shape]), PAIR).poses
    assert poses.image_ids == ("im_1.jpg", "im_2.jpg")
    assert poses.keypoints[0].tolist() == [[10.5, 20.25], [30, 40]]
    assert poses.valid.tolist() == [[True, True], [True, False]]
    assert poses.pose_scores.tolist() == ([3.0625, 3.0625] if shape == "list" else [0.6875, 0.25])


def test_the_list_has_boxes_and_tracks(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "a.json", LIST), PAIR)
    assert file.boxes is not None
    assert file.boxes[0].tolist() == [1, 2, 50, 80]
    assert file.tracks == (7, 3)  # a number within a list is what pose suppression makes of it


def test_the_same_number_twice_in_a_photo_is_no_track(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "a.json", [{**ROW, "idx": 0.0}, {**ROW, "idx": 0.0}]), PAIR)
    assert file.tracks is None
    assert file.notes == ("two people of one photo have the same 'idx': no tracks",)


def test_a_folder_has_a_file_for_each_photo(tmp_path: Path) -> None:
    path = recorded(tmp_path / "sep-json", {"im_1.json": CMU["im_1.jpg"], "im_2.json": CMU["im_2.jpg"]})
    file = read(FORMAT, path, PAIR)
    assert file.poses.image_ids == ("im_1", "im_2")
    assert file.rewrite(file.poses) == contents_of(path)


@pytest.mark.parametrize(
    ("count", "layout"), [(17, "coco17"), (26, "halpe26"), (136, "halpe136"), (16, "mpii16")]
)
def test_the_list_has_the_layouts_of_alphapose(tmp_path: Path, count: int, layout: str) -> None:
    file = read(FORMAT, recorded(tmp_path / "a.json", [{**ROW, "keypoints": [1.0] * (3 * count)}]))
    assert file.poses.skeleton == load_skeleton(layout)
    assert file.notes[0] == f"layout {layout}: what AlphaPose writes with {count} keypoints"


def test_the_other_shapes_have_that_of_openpose(tmp_path: Path) -> None:
    photo = {"version": "AlphaPose v0.3", "bodies": [{"joints": [1.0] * 54}]}
    assert read(FORMAT, recorded(tmp_path / "a.json", {"a.jpg": photo})).poses.skeleton.name == "openpose18"


test_a_file_that_nothing_changed_is_equal = stays_equal(FORMAT, SHAPES)


@pytest.mark.parametrize("shape", SHAPES)
def test_only_the_numbers_of_a_moved_keypoint_change(tmp_path: Path, shape: str) -> None:
    text = printed(SHAPES[shape]).replace("10.5,", "10.500,")
    file = read(FORMAT, recorded(tmp_path / "a.json", text), PAIR)
    new = file.rewrite(moved(file.poses, 0, 1, 30.0004, 41.12345))[""].decode()
    assert new == text.replace("30.0, 40,", "30.0, 41.123,", 1)


@pytest.mark.parametrize("content", EMPTY, ids=str)
def test_files_of_nobody_stay(tmp_path: Path, content: Any) -> None:
    path = recorded(tmp_path / "a.json", content)
    file = read(FORMAT, path)
    assert (len(file.poses), file.notes) == (0, ("nobody has keypoints",))
    assert file.rewrite(file.poses) == contents_of(path)


def test_boxes_and_scores_follow_if_asked(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "a.json", LIST), PAIR)
    row = json.loads(file.rewrite(moved(file.poses, 0, 1, 30.5, 40.25), update_boxes=True)[""])[0]
    assert row["box"] == [8.5, 18.25, 24, 24]  # 1.2 times the box around (10.5, 20.25) and (30.5, 40.25)
    assert row["idx"] == [7.0]


def test_people_can_be_taken_out(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "a.json", OPEN), PAIR)
    new = json.loads(file.rewrite(file.poses, keep=[1])[""])
    assert (new["im_1.jpg"]["people"], new["im_2.jpg"]) == ([], OPEN["im_2.jpg"])


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.json", LIST, "a list of people with photo names and 'box'"),
        ("a.json", [{key: ROW[key] for key in ("image_id", "keypoints", "idx")}], "and 'idx'"),
        (
            "a.json",
            [{key: ROW[key] for key in ("image_id", "keypoints", "score")}],
            "file names and scores above 1",
        ),
        ("a.json", [{"image_id": "im.jpg", "keypoints": POINTS, "score": 0.5}], None),
        ("a.json", [{"image_id": "im", "keypoints": POINTS, "score": 1.5}], None),
        ("a.json", [{"image_id": 4, "keypoints": POINTS, "score": 1.5}], None),
        ("a.json", CMU, "people in 'bodies', or in 'people' by photo name or of AlphaPose's 'version'"),
        ("a.json", OPEN, "people in 'bodies', or in 'people' by photo name"),
        ("a.json", OPEN["im_1.jpg"], "of AlphaPose's 'version'"),
        ("a.json", {"version": 1.3, "people": []}, None),
        ("a.json", {}, None),
        ("sep-json", {"a.json": OPEN["im_1.jpg"]}, "a folder of files with AlphaPose's 'version' and people"),
        ("json", {"a.json": {"version": 1.3, "people": []}}, None),
    ],
)
def test_files_are_recognised_with_a_reason(
    tmp_path: Path, name: str, content: Any, reason: str | None
) -> None:
    found = FORMAT.recognise(Source(recorded(tmp_path / name, content)))
    assert (found is None) if reason is None else (reason in str(found))


FAULTS: list[tuple[Any, str]] = [
    (3, "a.json: expected a list of people or photos by name, got 3."),
    ([ROW, 3], "a.json, row 1: expected an object, got 3."),
    (
        [{**ROW, "keypoints": [1, 2]}],
        "row 0, field 'keypoints': expected 6 numbers, got 2, which is not a multiple of 3.",
    ),
    ([{**ROW, "image_id": None}], "row 0, field 'image_id': expected an integer or a text, got None."),
    ([{**ROW, "score": "high"}], "row 0, field 'score': expected a finite number, got 'high'."),
    ([{**ROW, "box": [1, 2]}], "row 0, field 'box': expected 4 numbers, got 2."),
    ({"a.jpg": 3}, "a.json, photo 'a.jpg': expected an object, got 3."),
    (
        {**CMU, "\udc80.jpg": CMU["im_1.jpg"]},
        "a.json: expected as name of a photo a text without the character NUL and without half a surrogate pair, got",
    ),
    (
        {**CMU, "c.jpg": {"version": 1}},
        "a.json, photo 'c.jpg', field 'bodies': expected a list of people, got None.",
    ),
    (
        {"a.jpg": {"bodies": [{"joints": [1]}]}},
        "a.json, photo 'a.jpg', person 0, field 'joints': expected 6 numbers, got 1",
    ),
    (
        {**CMU, **{"c.jpg": OPEN["im_1.jpg"]}},
        "a.json, photo 'c.jpg', field 'bodies': expected a list of people, got None.",
    ),
]


@pytest.mark.parametrize(("content", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_faults_are_named(tmp_path: Path, content: Any, message: str) -> None:
    assert message in refusal(FORMAT, recorded(tmp_path / "a.json", content), PAIR)


def test_an_unknown_number_of_keypoints_asks_for_a_layout(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.json", [{**ROW, "keypoints": [1.0] * 42}])
    with pytest.raises(FormatError, match="with 14 keypoints it may be lsp14"):
        read(FORMAT, path)


test_a_faulty_file_is_refused_in_one_sentence = refuses_faults(FORMAT, *SHAPES.values())


def test_a_new_file_reads_as_it_was_written(tmp_path: Path) -> None:
    source = read(FORMAT, recorded(tmp_path / "a.json", LIST), PAIR)
    assert FORMAT.write is not None
    contents = FORMAT.write(NewFile(source.poses, source.tracks, source.boxes))
    file = read(FORMAT, saved(tmp_path / "new.json", contents), PAIR)
    assert file.poses.keypoints.tolist() == source.poses.keypoints.tolist()
    assert file.poses.pose_scores.tolist() == source.poses.pose_scores.tolist()
    assert file.poses.image_ids == source.poses.image_ids
    assert file.tracks == source.tracks
    assert np.array_equal(file.boxes, source.boxes)  # type: ignore[arg-type]


def blank(skeleton: Skeleton) -> Poses:
    """A pose of any layout."""
    shape = (1, len(skeleton))
    return Poses(np.ones((*shape, 2)), np.ones(shape), np.ones(shape, np.bool_), (7,), np.ones(1), skeleton)


@pytest.mark.parametrize(("name", "other"), [("efficientpose16", "mpii16"), ("posetrack18", "coco17")])
def test_a_layout_that_would_be_taken_for_another_is_refused(name: str, other: str) -> None:
    assert FORMAT.write is not None
    skeleton = load_skeleton(name)
    with pytest.raises(
        FormatError, match=f"no place for poses of {name}: {len(skeleton)} keypoints are those of {other}; "
    ):
        FORMAT.write(NewFile(blank(skeleton)))


def test_a_layout_of_the_same_names_or_of_a_free_number_is_written() -> None:
    assert FORMAT.write is not None
    coco = load_skeleton("coco17")
    own = replace(coco, name="mine", limbs=())
    for skeleton in (*map(load_skeleton, LAYOUTS.values()), own, PAIR, load_skeleton("lsp14")):
        assert FORMAT.write(NewFile(blank(skeleton)))
