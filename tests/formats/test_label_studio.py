import json
from dataclasses import replace
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

from posefix.formats.label_studio import FORMAT
from posefix.formats.label_studio_tasks import photo_name
from posefix.pose.poses import Poses
from posefix.pose_files.pose_file import FormatError, NewFile
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")
PHOTO = {"original_width": 200, "original_height": 400, "image_rotation": 0, "to_name": "image"}


def keypoint(name: str, label: str, x: Any, y: Any, **fields: Any) -> dict[str, Any]:
    value = {"x": x, "y": y, "width": 0.25, "keypointlabels": [label]}
    return {
        "id": name,
        "type": "keypointlabels",
        "value": value,
        "from_name": "kp",
        "origin": "manual",
        **PHOTO,
        **fields,
    }


def box(name: str, **fields: Any) -> dict[str, Any]:
    value = {
        "x": 10.0,
        "y": 20.0,
        "width": 50.0,
        "height": 25.0,
        "rotation": 0,
        "rectanglelabels": ["person"],
    }
    return {"id": name, "type": "rectanglelabels", "value": value, "from_name": "bbox", **PHOTO, **fields}


def relation(start: str, end: str) -> dict[str, Any]:
    return {"type": "relation", "from_id": start, "to_id": end, "direction": "right"}


def task(
    *result: dict[str, Any], image: str = "/data/upload/18/0a1b2c3d-im.jpg", **fields: Any
) -> dict[str, Any]:
    annotation = {"id": 7, "was_cancelled": False, "result": list(result), "lead_time": 172.763}
    return {
        "id": 1,
        "annotations": [annotation],
        "predictions": [],
        "data": {"image": image},
        "meta": {},
        **fields,
    }


TWO_PEOPLE = [
    keypoint("n", "nose", 50.50, 10.0, parentID="b"),
    keypoint("e", "Left Eye", 55.0, 9.0, parentID="b"),
    box("b"),
    keypoint("m", "nose", 20, 30, parentID="c"),
    box("c"),
    relation("b", "n"),
    relation("e", "b"),
    {"type": "choices", "value": {"choices": ["good"]}},
]
TASKS = [task(*TWO_PEOPLE), task(image="empty.jpg")]


def result_of(contents: Any, number: int = 0) -> list[dict[str, Any]]:
    content = json.loads(contents[""])[number]
    return list((content["annotations"] or content["predictions"])[0]["result"])


def test_percent_of_the_photo_from_edge_to_edge_become_pixels(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "export.json", TASKS))
    poses = file.poses
    assert poses.skeleton.keypoint_names == ("nose", "left_eye")
    assert poses.keypoints.tolist() == [[[100.5, 39.5], [109.5, 35.5]], [[39.5, 119.5], [0, 0]]]
    assert poses.valid.tolist() == [[True, True], [True, False]]
    assert poses.image_ids == ("data/upload/18/im.jpg",) * 2
    assert file.boxes is not None
    assert file.boxes[0].tolist() == [19.5, 79.5, 100, 100]
    assert (file.has_scores, file.notes) == (False, ())


@pytest.mark.parametrize("ends", [("b", "n"), ("n", "b")])
def test_a_filled_in_keypoint_is_tied_to_its_person_as_the_others(tmp_path: Path, ends: Any) -> None:
    people = [keypoint("n", "nose", 50.5, 10.0), box("b"), relation(*ends)]
    others = [keypoint("m", "nose", 20, 30), keypoint("e", "Left Eye", 21, 29), box("c")]
    ties = [relation("c", "m"), relation("e", "c")]
    file = read(FORMAT, recorded(tmp_path / "export.json", [task(*people, *others, *ties)]))
    places, valid = file.poses.keypoints.copy(), file.poses.valid.copy()
    places[0, 1], valid[0, 1] = (109.5, 35.5), True
    contents = file.rewrite(file.poses.with_keypoints(places, valid))
    again = read(FORMAT, saved(tmp_path / "new.json", contents)).poses
    assert again.keypoints.tolist() == places.tolist()
    assert again.valid.all()


def test_regions_of_nobody_are_counted(tmp_path: Path) -> None:
    labels = {"id": "l", "type": "labels", "value": {"x": 1, "y": 2, "labels": ["nose"]}, **PHOTO}
    polygon = {"id": "p", "type": "polygonlabels", "value": {"points": [[1, 2]]}, **PHOTO}
    file = read(FORMAT, recorded(tmp_path / "export.json", [task(*TWO_PEOPLE, labels, polygon, box("d"))]))
    (line,) = file.left_out
    assert line.endswith("left as they are: 3 (labels 1, polygonlabels 1, rectanglelabels 1)")


def test_a_score_of_null_stays(tmp_path: Path) -> None:
    people = [keypoint("n", "nose", 50.5, 10.0, score=None), keypoint("e", "Left Eye", 21, 29, score=0.5)]
    file = read(FORMAT, recorded(tmp_path / "export.json", [task(*people)]))
    scores = file.poses.scores * 0.5
    (nose, eye) = result_of(file.rewrite(replace(file.poses, scores=scores)))
    assert (nose["score"], eye["score"]) == (None, 0.25)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/local-files/?d=photos/day%201/im.jpg", "photos/day 1/im.jpg"),
        ("s3://bucket/a/im.jpg", "a/im.jpg"),
        ("https://example.org/im.jpg?token=1", "im.jpg"),
        ("/data/upload/3/0a1b2c3d-a-b.jpg", "data/upload/3/a-b.jpg"),
        ("0a1b2c3d-a.jpg", "0a1b2c3d-a.jpg"),
        ("im.jpg", "im.jpg"),
        ("http://[", "http://["),
    ],
)
def test_photos_are_named_by_the_path_in_their_address(address: str, name: str) -> None:
    assert photo_name(address) == name


def test_whose_a_keypoint_is(tmp_path: Path) -> None:
    related = [
        keypoint("n", "nose", 1, 2),
        box("b"),
        keypoint("m", "nose", 3, 4),
        box("c"),
        relation("n", "b"),
        relation("c", "m"),
    ]
    alone = [keypoint("n", "nose", 1, 2), keypoint("e", "left_eye", 3, 4)]
    with_a_box = [*alone, box("b")]
    content = [task(*related), task(*alone), task(*with_a_box)]
    file = read(FORMAT, recorded(tmp_path / "a.json", content))
    assert len(file.poses) == 4
    assert file.boxes is not None
    assert np.isfinite(file.boxes).all(axis=1).tolist() == [True, True, False, True]
    both = task(keypoint("n", "nose", 1, 2), keypoint("m", "nose", 3, 4))
    message = refusal(FORMAT, recorded(tmp_path / "b.json", [both]))
    assert (
        "task 0, annotations 0, result 1: expected each keypoint of a person once, got 'nose' again"
        in message
    )


def test_the_last_annotation_is_read_and_without_any_the_prediction(tmp_path: Path) -> None:
    first, last = ({"id": 1, "result": [keypoint("n", "nose", x, 5)]} for x in (10, 20))
    cancelled = {**first, "was_cancelled": True}
    several = {"data": {"image": "a.jpg"}, "annotations": [first, last, cancelled], "predictions": [first]}
    predicted = {
        "data": {"img": "b.jpg", "n": 1},
        "annotations": [],
        "predictions": [{"result": [keypoint("n", "nose", 30, 5, score=0.75)]}],
    }
    file = read(FORMAT, recorded(tmp_path / "a.json", [several, predicted]))
    assert file.poses.keypoints[:, 0, 0].tolist() == [39.5, 59.5]
    assert file.poses.scores[:, 0].tolist() == [1, 0.75]
    assert file.has_scores
    assert file.notes == ("annotations and predictions beside the last one of their task, left alone: 2",)


@pytest.mark.parametrize("indent", INDENTS)
def test_only_what_moved_is_rewritten(tmp_path: Path, indent: Any) -> None:
    text = printed(TASKS, indent).replace("50.5,", "50.500,")
    path = recorded(tmp_path / "export.json", text)
    file = read(FORMAT, path)
    assert file.rewrite(file.poses, update_boxes=True) == contents_of(path)
    edited = file.rewrite(moved(file.poses, 1, 0, 39.5, 121.5004))[""].decode()
    assert edited == text.replace(": 30,", ": 30.5,").replace(":30,", ":30.5,")
    boxed = result_of(file.rewrite(moved(file.poses, 0, 1, 99.5, 79.5), update_boxes=True))
    assert boxed[1]["value"] == {**TWO_PEOPLE[1]["value"], "x": 50, "y": 20}
    assert boxed[2]["value"] == {**TWO_PEOPLE[2]["value"], "x": 49.95, "y": 9.0, "width": 0.6, "height": 12.0}
    assert [boxed[number] for number in (0, *range(3, 8))] == [
        TWO_PEOPLE[number] for number in (0, *range(3, 8))
    ]


def test_keypoints_come_and_go_as_regions(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "export.json", TASKS))
    keypoints, valid = file.poses.keypoints.copy(), file.poses.valid.copy()
    valid[0, 0], valid[1, 1], keypoints[1, 1] = False, True, (99.5, 199.5)
    result = result_of(file.rewrite(file.poses.with_keypoints(keypoints, valid)))
    filled = {
        **TWO_PEOPLE[3],
        "id": "posefix-9",
        "value": {**TWO_PEOPLE[3]["value"], "x": 50, "y": 50, "keypointlabels": ["Left Eye"]},
    }
    assert result == [*TWO_PEOPLE[1:5], *TWO_PEOPLE[6:], filled]
    again = read(FORMAT, recorded(tmp_path / "again.json", [task(*result)]))
    assert again.poses.valid.tolist() == [[True, False], [True, True]]


def test_people_taken_out_take_boxes_and_relations_along(tmp_path: Path) -> None:
    file = read(FORMAT, recorded(tmp_path / "export.json", TASKS))
    assert result_of(file.rewrite(file.poses, keep=[1])) == [TWO_PEOPLE[3], TWO_PEOPLE[4], TWO_PEOPLE[7]]


def test_other_labels_stay_where_a_layout_is_named(tmp_path: Path) -> None:
    dog = [keypoint("y", "tail", 3, 4, parentID="b"), box("b")]
    content = [task(keypoint("n", "nose", 1, 2), keypoint("x", "ball", 3, 4), *dog, box("c"))]
    path = recorded(tmp_path / "a.json", content)
    file = read(FORMAT, path, COCO)
    assert (file.poses.skeleton, file.poses.valid.sum(axis=1).tolist()) == (COCO, [1])
    assert file.rewrite(file.poses) == contents_of(path)
    assert "are none of layout 'mpii16'" in refusal(FORMAT, path, load_skeleton("mpii16"))


def test_sizes_may_come_from_the_photos(tmp_path: Path) -> None:
    region = {
        key: value for key, value in keypoint("n", "nose", 50, 50).items() if not key.startswith("original")
    }
    path = recorded(tmp_path / "a.json", [task(region)])
    assert read(FORMAT, path, None, lambda _: (100, 50)).poses.keypoints[0, 0].tolist() == [49.5, 24.5]
    assert "name their folder (--images)" in refusal(FORMAT, path)


def test_predictions_to_begin_from_are_read_as_they_were(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    shape = (3, 17)
    valid = generator.uniform(size=shape) < 0.8
    valid[0] = True
    places, scores = generator.uniform(0, 99, (*shape, 2)).round(3), generator.uniform(0.1, 1, shape)
    poses = Poses(places, scores, valid, ("a.jpg", "b", "a.jpg"), np.ones(3), COCO)
    assert FORMAT.write is not None
    new = NewFile(poses, file_names={"b": "day/b.png"}, photo_size=lambda _: (100, 3000))
    path = saved(tmp_path / "tasks.json", FORMAT.write(new))
    file = read(FORMAT, path)
    order = [0, 2, 1]
    assert file.poses.skeleton == COCO
    assert file.poses.image_ids == ("a.jpg", "a.jpg", "day/b.png")
    assert np.array_equal(file.poses.valid, valid[order])
    assert np.allclose(file.poses.keypoints[file.poses.valid], places[order][valid[order]], atol=0.001)
    assert np.array_equal(file.poses.scores, np.where(valid, scores, 0)[order])
    with pytest.raises(FormatError, match=r"Label Studio's tasks: .*--images"):
        FORMAT.write(NewFile(poses))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "task 0: expected an object, got 1"),
        ([{"data": {}, "annotations": [{"result": 1}]}], "task 0, annotations 0, result: expected a list of regions"),
        ([task(keypoint("n", "nose", None, 1))], "result 0, field 'value': expected numbers x and y in percent"),
        ([task({**keypoint("n", "nose", 1, 1), "value": {"x": 1, "y": 2}})], "expected an object with a label"),
        ([task(keypoint("n", "nose", 1, 1, image_rotation=90))], "field 'image_rotation': expected 0, got 90"),
        ([{**task(keypoint("n", "nose", 1, 1)), "data": {"n": 1}}], "field 'data': expected the photo's address"),
        ([task(keypoint("n", "nose", 1, 1, score="a"))], "field 'score': expected a number, got 'a'"),
    ],
)  # fmt: skip
def test_faults_are_named(tmp_path: Path, content: Any, message: str) -> None:
    assert message in refusal(FORMAT, recorded(tmp_path / "a.json", content))


@given(text=mutated_texts(json.dumps(TASKS)))
@settings(max_examples=100, deadline=None)
def test_faulty_files_are_refused_in_words(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    try_everything(FORMAT, recorded(tmp_path_factory.getbasetemp() / "mutated.json", text))
