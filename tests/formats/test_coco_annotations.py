import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posefix.errors import InputError
from posefix.formats.coco_annotations import ImageInfo, read_annotations, read_image_infos
from posefix.skeletons import load_skeleton

IMAGE: dict[str, Any] = {"id": 7, "file_name": "a.jpg", "width": 640, "height": 480}
PERSON: dict[str, Any] = {
    "id": 0,
    "image_id": 7,
    "category_id": 1,
    "keypoints": [10, 20, 2, 0, 0, 0],
    "bbox": [5, 6, 10, 20],
    "area": 90.5,
    "iscrowd": 0,
}
CATEGORY: dict[str, Any] = {"id": 1, "name": "person", "keypoints": ["left_eye", "right_eye"]}


def write(folder: Path, **changes: Any) -> Path:
    content = {"images": [IMAGE], "annotations": [PERSON], "categories": [CATEGORY], **changes}
    path = folder / "truth.json"
    path.write_text(
        json.dumps({key: value for key, value in content.items() if value is not ...}), encoding="utf-8"
    )
    return path


def test_people_become_arrays(tmp_path: Path) -> None:
    crowd = {**PERSON, "id": 1, "iscrowd": 1, "keypoints": [0] * 6}
    annotations = read_annotations(write(tmp_path, annotations=[PERSON, crowd]))
    people = annotations.people
    assert annotations.images == {7: ImageInfo("a.jpg", 640, 480)}
    assert annotations.skeleton.keypoint_names == ("left_eye", "right_eye")
    assert people.keypoints.tolist() == [[[10, 20], [0, 0]], [[0, 0], [0, 0]]]
    assert people.visibility.tolist() == [[2, 0], [0, 0]]
    assert (people.area.tolist(), people.area_is_estimated) == ([90.5, 90.5], False)
    assert people.bbox_xywh.tolist() == [[5, 6, 10, 20]] * 2
    assert (people.image_ids, people.ids, people.is_crowd.tolist()) == ((7, 7), (0, 1), [False, True])
    assert repr(annotations) == "Annotations(2 people of truth.json in 1 photo)"


def test_a_missing_area_is_estimated_and_said_so(tmp_path: Path) -> None:
    other = {key: value for key, value in PERSON.items() if key != "area"}
    people = read_annotations(write(tmp_path, annotations=[PERSON, {**other, "id": 1}])).people
    assert people.area.tolist() == [90.5, 0.53 * 10 * 20]
    assert people.area_is_estimated


def test_other_categories_are_left_out(tmp_path: Path) -> None:
    dog = {"id": 5, "image_id": 7, "category_id": 2}
    categories = [{"id": 2, "name": "dog"}, CATEGORY]
    assert read_annotations(write(tmp_path, annotations=[dog, PERSON], categories=categories)).people.ids == (
        0,
    )
    bad = write(tmp_path, annotations=[dog, {**PERSON, "area": "large"}], categories=categories)
    with pytest.raises(InputError, match="annotation 1, field 'area': expected a finite number, got 'large'"):
        read_annotations(bad)


def test_photos_can_be_listed_without_annotations(tmp_path: Path) -> None:
    path = write(tmp_path, images=[{"id": "a", "file_name": "x/a.jpg"}], annotations=..., categories=...)
    assert read_image_infos(path) == {"a": ImageInfo("x/a.jpg", None, None)}


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"annotations": ...}, "truth.json, field 'annotations': expected a list, got None."),
    ({"annotations": []}, "truth.json, field 'annotations': expected annotated people, got none."),
    (
        {"annotations": [{**PERSON, "category_id": 2}]},
        "annotation 0, field 'category_id': expected the id of a category (1), got 2.",
    ),
    ({"annotations": [PERSON, []]}, "truth.json, annotation 1: expected an object, got []."),
    (
        {"annotations": [PERSON, PERSON]},
        "annotation 1, field 'id': expected another id than that of annotation 0, got 0.",
    ),
    (
        {"annotations": [{**PERSON, "id": None}]},
        "annotation 0, field 'id': expected an integer or a text, got None.",
    ),
    (
        {"annotations": [{**PERSON, "image_id": 8}]},
        "annotation 0, field 'image_id': expected the id of an image of this file, got 8.",
    ),
    (
        {"annotations": [{**PERSON, "keypoints": [1]}]},
        "annotation 0, field 'keypoints': expected 6 numbers, got 1, which is not a multiple of 3.",
    ),
    (
        {"annotations": [{**PERSON, "keypoints": [1, 2, 2, 3, 4, 5]}]},
        "annotation 0, field 'keypoints', visibility of right_eye: expected 0, 1 or 2, got 5.",
    ),
    (
        {"annotations": [{**PERSON, "keypoints": [1, "2", 2, 3, 4, 2]}]},
        "annotation 0, field 'keypoints', y of left_eye: expected a finite number, got '2'.",
    ),
    (
        {"annotations": [{**PERSON, "bbox": [1, 2, 3]}]},
        "annotation 0, field 'bbox': expected 4 numbers, got 3.",
    ),
    (
        {"annotations": [{**PERSON, "bbox": [1, 2, 3, None]}]},
        "annotation 0, field 'bbox', height: expected a finite number, got None.",
    ),
    (
        {"annotations": [{**PERSON, "area": float("nan")}]},
        "annotation 0, field 'area': expected a finite number, got nan.",
    ),
    ({"images": ...}, "truth.json, field 'images': expected a list, got None."),
    ({"images": [IMAGE, IMAGE]}, "image 1, field 'id': expected another id than that of image 0, got 7."),
    ({"images": [{"id": 7, "file_name": 3}]}, "image 0, field 'file_name': expected a text, got 3."),
    (
        {"images": [IMAGE, {"id": 8, "file_name": "\ud800.jpg"}]},
        "image 1, field 'file_name': expected a text without the character NUL and without half a surrogate pair, got",
    ),
    ({"images": [{**IMAGE, "width": "640"}]}, "image 0, field 'width': expected a whole number, got '640'."),
    (
        {"categories": ...},
        "truth.json: expected the name of its layout (--layout), which is never guessed; no packaged layout has 2 ",
    ),
    (
        {"categories": [CATEGORY, {"id": 2, "name": "dog", "keypoints": ["tail"]}], "annotations": []},
        "field 'categories': expected keypoints of one layout, got person (2 keypoints), dog (1 keypoint); choose a "
        "category (--category 'person').",
    ),
    (
        {"categories": CATEGORY},
        "field 'categories': expected a list of objects, got one object; put it in brackets, [{...}].",
    ),
]


@pytest.mark.parametrize(("changes", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_faults_are_named_with_file_record_and_field(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = write(tmp_path, **changes)
    with pytest.raises(InputError) as caught:
        read_annotations(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{,}", "expected JSON, got an error at line 1"),
        ("{", "expected JSON, got a text that ends in the middle, at line 1"),
        ("[]", "expected an object .*, got a list; are these results?"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "truth.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_annotations(path)


anything: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
)
anything |= st.lists(anything | st.lists(anything, max_size=2) | st.just(CATEGORY), max_size=6)


@given(
    part=st.sampled_from([("images", IMAGE), ("annotations", PERSON), ("categories", CATEGORY)]),
    data=st.data(),
)
def test_any_json_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, part: tuple[str, dict[str, Any]], data: st.DataObject
) -> None:
    name, record = part
    field = data.draw(st.sampled_from(list(record)))
    records = data.draw(anything) if data.draw(st.booleans()) else [{**record, field: data.draw(anything)}]
    path = write(tmp_path_factory.getbasetemp(), **{name: records})
    try:
        read_annotations(path)
    except InputError as error:
        assert path.name in str(error)


@pytest.mark.parametrize(
    ("path", "layout", "people", "photos", "labelled"),
    [
        ("coco/person_keypoints_train.json", "coco17", 303, 100, None),
        ("coco/person_keypoints_dev.json", "coco17", 233, 82, None),
        ("lspet/person_keypoints_train.json", "lsp14", 7300, 7300, None),
        ("lspet/person_keypoints_val.json", "lsp14", 1000, 1000, None),
        ("mpii/person_keypoints_valid.json", "mpii16", 2958, 2729, None),
        ("crowdpose/crowdpose_val.json", "crowdpose14", 8527, 2000, 7074),
    ],
)
def test_real_files_are_read(
    shared_data: Path, path: str, layout: str, people: int, photos: int, labelled: int | None
) -> None:
    annotations = read_annotations(shared_data / path)
    assert annotations.skeleton is load_skeleton(layout)
    assert (len(annotations.people), len(annotations.images)) == (people, photos)
    content = json.loads((shared_data / path).read_text(encoding="utf-8"))
    counts = [row["num_keypoints"] for row in content["annotations"]]
    counted = 12 if layout == "crowdpose14" else None  # CrowdPose does not count head and neck
    assert (annotations.people.visibility[:, :counted] > 0).sum(axis=1).tolist() == counts
    assert labelled is None or np.count_nonzero(counts) == labelled
    assert annotations.people.area_is_estimated == (layout == "crowdpose14")


def test_people_with_labels_who_do_not_count_are_told(tmp_path: Path) -> None:
    people = [{**PERSON, "id": number, "num_keypoints": count} for number, count in enumerate((0, 1))]
    annotations = read_annotations(write(tmp_path, annotations=people))
    assert annotations.people.counted().tolist() == [False, True]
    assert annotations.notes == ("people with num_keypoints 0, who do not count whatever is labelled: 1",)
