"""Person records: vocabulary, neighbours, overlap, joining."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from posefix.errors import InputError
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.people import PersonRecords, build_records, join_records
from posefix.poses import Poses
from posefix.skeletons import load_skeleton

NAMES = ["nose", "left_hip", "right_hip"]


def person(number: int, image: int, box: list[float], **changes: object) -> dict[str, object]:
    x, y, w, h = box
    keypoints = [x, y, 2, x + w, y + h, 1, 0, 0, 0]
    row = {"id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "num_keypoints": 2}
    return {**row, "keypoints": keypoints, "bbox": box, "area": w * h * 0.5, **changes}


@pytest.fixture
def truth(tmp_path: Path) -> Annotations:
    people = [
        person(1, 7, [0, 0, 100, 200]),
        person(2, 7, [50, 0, 100, 200]),
        person(3, 7, [400, 0, 100, 200]),
        person(4, 8, [0, 0, 100, 200]),
        person(5, 8, [0, 0, 100, 200], iscrowd=1),
        person(6, 8, [0, 0, 90, 200], keypoints=[0] * 9, num_keypoints=0),
    ]
    images = [{"id": 7, "file_name": "7.jpg"}, {"id": 8, "file_name": "8.jpg"}]
    categories = [{"id": 1, "name": "person", "keypoints": NAMES, "skeleton": []}]
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"images": images, "annotations": people, "categories": categories}))
    return read_annotations(path)


@pytest.fixture
def records(truth: Annotations) -> PersonRecords:
    return build_records(truth, {7: Path("7.jpg"), 8: Path("8.jpg")}, load_skeleton("coco17"))


def test_crowds_and_unlabelled_people_are_left_out(records: PersonRecords) -> None:
    assert [path.name for path in records.images] == ["7.jpg", "7.jpg", "7.jpg", "8.jpg"]


def test_keypoints_land_at_their_names(records: PersonRecords) -> None:
    coco = load_skeleton("coco17")
    expected = np.zeros(17, bool)
    expected[[coco.index("nose"), coco.index("left_hip")]] = True
    np.testing.assert_array_equal(records.labelled[0], expected)
    np.testing.assert_array_equal(records.keypoints[1, coco.index("left_hip")], [150, 200])


def test_neighbours_and_overlap(records: PersonRecords) -> None:
    np.testing.assert_array_equal(records.neighbours, [[1, 2], [0, 2], [0, 1], [-1, -1]])
    np.testing.assert_array_equal(records.overlap, [1, 1, 0, 0])  # IoU 1/3, above .1


def test_padding_is_nobody(records: PersonRecords) -> None:
    people = records.people(np.array([3, 0]))
    assert people.neighbour_labelled.shape == (2, 2, 17)
    assert not people.neighbour_labelled[0].any()
    assert people.neighbour_labelled[1].sum() == 4
    alone = records.people(np.array([3]))
    assert alone.neighbour_keypoints.shape == (1, 0, 17, 2)


def test_joined_sets_keep_their_neighbours(records: PersonRecords) -> None:
    single = PersonRecords(
        records.keypoints[3:], records.labelled[3:], records.area[3:], records.overlap[3:],
        np.empty((1, 0), np.int64), records.images[3:], records.estimates[3:], records.estimated[3:],
    )  # fmt: skip
    joined = join_records([single, records])
    np.testing.assert_array_equal(joined.neighbours, [[-1, -1], [2, 3], [1, 3], [1, 2], [-1, -1]])
    assert len(joined) == 5


def test_nobody_to_use_is_an_error(truth: Annotations) -> None:
    with pytest.raises(InputError, match="share"):
        build_records(truth, {}, load_skeleton("crowdpose14").subset(["head_top", "neck"]))


def test_each_person_gets_the_estimate_nearest_to_the_truth(truth: Annotations) -> None:
    coco = load_skeleton("coco17")
    keypoints = np.zeros((3, 17, 2))
    keypoints[:, coco.index("nose")] = [[52, 3], [1, 2], [0, 0]]
    keypoints[:, coco.index("left_hip")] = [[149, 203], [101, 199], [0, 0]]
    valid = np.zeros((3, 17), bool)
    valid[:, [coco.index("nose"), coco.index("left_hip")]] = True
    poses = Poses(keypoints, valid.astype(float), valid, (7, 7, 9), np.ones(3), coco)
    photos: dict[int | str, Path] = {7: Path("7.jpg"), 8: Path("8.jpg")}
    records = build_records(truth, photos, coco, [poses])
    nose = coco.index("nose")
    np.testing.assert_array_equal(records.estimates[:2, 0, nose], [[1, 2], [52, 3]])
    np.testing.assert_array_equal(
        records.estimated[:, 0, nose], [True, True, True, False]
    )  # nobody was found in 8
    joined = join_records([build_records(truth, photos, coco), records])
    np.testing.assert_array_equal(joined.estimated[:, 0, nose], [False] * 4 + [True, True, True, False])
