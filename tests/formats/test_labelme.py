import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from tests.formats.mutations import mutated_texts
from tests.formats.recorded import (
    INDENTS,
    contents_of,
    moved,
    printed,
    read,
    recorded,
    refusal,
    saved,
    try_everything,
)

from posefix.formats.labelme import FORMAT
from posefix.pose.poses import Poses
from posefix.pose_files.pose_file import NewFile
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")


def point(label: Any, x: Any, y: Any, group: Any = 1, **fields: Any) -> dict[str, Any]:
    return {
        "label": label,
        "points": [[x, y]],
        "group_id": group,
        "shape_type": "point",
        "flags": {},
        **fields,
    }


def rectangle(group: Any, *corners: list[float]) -> dict[str, Any]:
    return {
        "label": "person",
        "points": list(corners),
        "group_id": group,
        "shape_type": "rectangle",
        "flags": {},
    }


def document(*shapes: Any, photo: Any = "..\\photos\\im.jpg") -> dict[str, Any]:
    rest = {"imageData": "aGVsbG8=", "imageHeight": 400, "imageWidth": 300}
    return {"version": "5.4.1", "flags": {}, "shapes": list(shapes), "imagePath": photo, **rest}


SHAPES = [
    point("nose", 150.50, 60.0),
    rectangle(1, [190.0, 20.0], [110.0, 90.0]),
    point("Left Eye", 158, 52),
    {"label": "road", "points": [[1, 2], [3, 4]], "group_id": None, "shape_type": "linestrip"},
    point("nose", 20.0, 30.0, 2),
]
FOLDER = {
    "a.json": document(*SHAPES),
    "b.json": document(photo="b.jpg"),
    "c.json": document(point("nose", 7, 8), photo="c.jpg"),
}


def shapes_of(contents: Any, name: str = "") -> list[dict[str, Any]]:
    return list(json.loads(contents[name])["shapes"])


def test_groups_become_people_and_pixels_from_the_edge_become_pixels(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "labels", FOLDER))
    poses = file.poses
    assert poses.skeleton.keypoint_names == ("nose", "left_eye")
    assert poses.image_ids == ("..\\photos\\im.jpg", "..\\photos\\im.jpg", "c.jpg")
    assert poses.keypoints[0].tolist() == [[150, 59.5], [157.5, 51.5]]
    assert poses.valid.tolist() == [[True, True], [True, False], [True, False]]
    assert file.boxes is not None
    assert file.boxes[0].tolist() == [109.5, 19.5, 80, 70]
    assert np.isnan(file.boxes[1:]).all()
    assert not file.has_scores


def test_shapes_without_a_group_are_one_person(tmp_path: Path) -> None:
    one = [point("nose", 1, 2, None), point("left_eye", 3, 4, None)]
    assert len(read(FORMAT, recorded(tmp_path / "a.json", document(*one))).poses) == 1
    two = document(*one, point("nose", 5, 6, None))
    message = refusal(FORMAT, recorded(tmp_path / "b.json", two))
    assert "b.json, shape 2: expected each keypoint of a person once, got 'nose' again" in message


@pytest.mark.parametrize("indent", INDENTS)
def test_only_what_moved_is_rewritten(tmp_path: Path, indent: Any) -> None:
    path = recorded(tmp_path / "labels", FOLDER, indent)
    file = read(FORMAT, path)
    assert file.rewrite(file.poses, update_boxes=True) == contents_of(path)
    text = printed(FOLDER["c.json"], indent)
    new = file.rewrite(moved(file.poses, 2, 0, 6.5, 9.25))
    assert new == {**contents_of(path), "c.json": text.replace("8", "9.75", 1).encode()}
    boxed = shapes_of(file.rewrite(moved(file.poses, 0, 1, 170, 79.5), update_boxes=True), "a.json")
    assert boxed[1]["points"] == [[148.5, 58.0], [172.5, 82.0]]
    assert boxed[2]["points"] == [[170.5, 80]]
    assert [boxed[number] for number in (0, 3, 4)] == [SHAPES[number] for number in (0, 3, 4)]


def test_keypoints_come_and_go_as_shapes(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "a.json", document(*SHAPES)))
    keypoints, valid = file.poses.keypoints.copy(), file.poses.valid.copy()
    valid[0, 0], valid[1, 1], keypoints[1, 1] = False, True, (10, 11)
    shapes = shapes_of(file.rewrite(file.poses.with_keypoints(keypoints, valid)))
    assert shapes == [*SHAPES[1:], point("Left Eye", 10.5, 11.5, 2)]
    assert shapes_of(file.rewrite(file.poses, keep=[1])) == SHAPES[3:]


def test_scores_of_other_programs_are_scores(tmp_path: Path) -> None:
    shapes = [point("nose", 1, 2, score=0.5), point("left_eye", 3, 4, score=None)]
    path = recorded(tmp_path / "a.json", document(*shapes))
    file = read(FORMAT, path)
    assert (file.has_scores, file.poses.scores.tolist()) == (True, [[0.5, 1]])
    rescored = file.poses.with_keypoints(file.poses.keypoints, scores=np.array([[0.25, 0.75]]))
    assert [shape["score"] for shape in shapes_of(file.rewrite(rescored))] == [0.25, None]


def test_other_labels_stay_where_a_layout_is_named(tmp_path: Path) -> None:
    path = recorded(
        tmp_path / "a.json", document(point("nose", 1, 2), point("ball", 3, 4), point("tail", 3, 4, 2))
    )
    file = read(FORMAT, path, COCO)
    assert file.poses.valid.sum(axis=1).tolist() == [1]
    assert file.rewrite(file.poses) == contents_of(path)


def test_a_new_folder_is_read_as_it_was(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    valid = generator.uniform(size=(3, 17)) < 0.8
    valid[0] = True
    places = generator.uniform(0, 99, (3, 17, 2)).round(3)
    poses = Poses(places, valid.astype(float), valid, ("a.jpg", "b", "a.jpg"), np.ones(3), COCO)
    boxes = np.array([[1.0, 2, 3, 4], [np.nan] * 4, [5, 6, 7, 8]])
    assert FORMAT.write is not None
    file = read(
        FORMAT,
        saved(tmp_path / "new", FORMAT.write(NewFile(poses, boxes=boxes, file_names={"b": "x/b.png"}))),
    )
    order = [0, 2, 1]
    assert (file.poses.skeleton, file.poses.image_ids) == (COCO, ("a.jpg", "a.jpg", "x/b.png"))
    assert np.array_equal(file.poses.valid, valid[order])
    assert np.allclose(file.poses.keypoints[file.poses.valid], places[order][valid[order]], atol=1e-9)
    assert file.boxes is not None
    assert np.array_equal(file.boxes, boxes[order], equal_nan=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "expected an object with a list 'shapes', got [1]"),
        (document(point(None, 1, 2)), "shape 0, field 'label': expected a text"),
        (document(point("nose", "1", 2)), "shape 0, field 'points': expected a list with one [x, y]"),
        (document(1), "shape 0: expected an object, got 1"),
        (
            document(point("nose", 1, 2), photo="a\0"),
            "field 'imagePath': expected a text without the character NUL",
        ),
    ],
)
def test_faults_are_named(tmp_path: Path, content: Any, message: str) -> None:
    assert message in refusal(FORMAT, recorded(tmp_path / "a.json", content))


@given(text=mutated_texts(json.dumps(document(*SHAPES))))
@settings(max_examples=100, deadline=None)
def test_faulty_files_are_refused_in_words(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    try_everything(FORMAT, recorded(tmp_path_factory.getbasetemp() / "mutated.json", text))
