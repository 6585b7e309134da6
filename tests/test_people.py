"""Person records: vocabulary, neighbours, overlap, joining."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from posefix.errors import InputError
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.interchange import read_pose_file
from posefix.people import (
    PersonRecords,
    add_consensus_labels,
    build_records,
    find_photos,
    held_out_mask,
    join_records,
    labelled_boxes,
    select,
    thin_out,
)
from posefix.pose.poses import Poses
from posefix.pose.similarity import distance_at, keypoint_similarity
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
        np.empty((1, 0), np.int64), records.images[3:], records.estimates[3:], records.estimated[3:], records.boxes[3:],
    )  # fmt: skip
    joined = join_records([single, records])
    np.testing.assert_array_equal(joined.neighbours, [[-1, -1], [2, 3], [1, 3], [1, 2], [-1, -1]])
    np.testing.assert_array_equal(joined.boxes[:, 0], [0, 0, 50, 400, 0])
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
    # Of the three in photo 7 two were found, in 8 nobody.
    np.testing.assert_array_equal(records.estimated[:, 0, nose], [True, True, False, False])
    joined = join_records([build_records(truth, photos, coco), records])
    np.testing.assert_array_equal(joined.estimated[:, 0, nose], [False] * 4 + [True, True, False, False])


def test_a_missing_keypoint_is_near_nobody(truth: Annotations) -> None:
    """Its zeros are no place, not even for a person in the photo's corner."""
    coco = load_skeleton("coco17")
    nose, hip = coco.index("nose"), coco.index("left_hip")
    keypoints, valid = np.zeros((2, 17, 2)), np.zeros((2, 17), bool)
    keypoints[0, hip] = 400, 200
    valid[0, hip] = True
    keypoints[1, nose], keypoints[1, hip] = (10, 10), (104, 196)
    valid[1, [nose, hip]] = True
    poses = Poses(keypoints, valid.astype(float), valid, (8, 8), np.ones(2), coco)
    records = build_records(truth, {7: Path("7.jpg"), 8: Path("8.jpg")}, coco, [poses])
    np.testing.assert_array_equal(records.estimates[3, 0, hip], [104, 196])


COCO = load_skeleton("coco17")
NOSE, WRIST, HIP = COCO.index("nose"), COCO.index("left_wrist"), COCO.index("left_hip")


def with_estimates(records: PersonRecords, offsets: list[list[float]]) -> PersonRecords:
    """Estimators that are right where there are labels, and put the first person's left wrist at (80, 90) + offset."""
    estimates = np.repeat(records.keypoints[:, None], len(offsets), axis=1)
    estimated = np.repeat(records.labelled[:, None], len(offsets), axis=1)
    estimates[0, :, WRIST] = np.array([80.0, 90.0]) + np.array(offsets)
    estimated[0, :, WRIST] = True
    return dataclasses.replace(records, estimates=estimates, estimated=estimated)


def wrist_distance(similarity: float, area: float = 10000.0) -> float:
    return float(distance_at(similarity, np.array(area), COCO.sigmas[WRIST]))


def test_a_consensus_of_two_is_their_mean_place(records: PersonRecords) -> None:
    added = add_consensus_labels(with_estimates(records, [[4.0, 0], [0, 2]]), COCO)
    np.testing.assert_allclose(added.keypoints[0, WRIST], [82, 91])
    assert added.labelled[0, WRIST]
    # Nothing else changes: neither what was labelled nor who has no estimate there.
    expected = records.labelled.copy()
    expected[0, WRIST] = True
    np.testing.assert_array_equal(added.labelled, expected)
    np.testing.assert_array_equal(added.keypoints[records.labelled], records.keypoints[records.labelled])


@pytest.mark.parametrize(("similarity", "labelled"), [(0.72, True), (0.68, False)])
def test_estimators_agree_within_a_similarity(
    records: PersonRecords, similarity: float, labelled: bool
) -> None:
    half = wrist_distance(similarity)
    added = add_consensus_labels(with_estimates(records, [[-half, 0], [half, 0]]), COCO)
    assert added.labelled[0, WRIST] == labelled


def test_one_estimator_alone_is_no_consensus(records: PersonRecords) -> None:
    assert not add_consensus_labels(with_estimates(records, [[0.0, 0]]), COCO).labelled[0, WRIST]
    unestimated = add_consensus_labels(records, COCO)
    np.testing.assert_array_equal(unestimated.labelled, records.labelled)


def test_one_estimator_far_off_forbids_a_label(records: PersonRecords) -> None:
    added = add_consensus_labels(with_estimates(records, [[0.0, 0], [1, 0], [90, 0]]), COCO)
    assert not added.labelled[0, WRIST]


def test_an_estimator_wrong_about_the_person_has_no_say(records: PersonRecords) -> None:
    given = with_estimates(records, [[0.0, 0], [1, 0], [90, 0]])
    given.estimates[0, 2, [NOSE, HIP]] += 200  # that one looked at somebody else
    added = add_consensus_labels(given, COCO)
    np.testing.assert_allclose(added.keypoints[0, WRIST], [80.5, 90])
    given.estimates[0, 1, [NOSE, HIP]] += 200
    assert not add_consensus_labels(given, COCO).labelled[0, WRIST]


def test_an_estimator_of_unlabelled_keypoints_alone_has_no_say(records: PersonRecords) -> None:
    given = with_estimates(records, [[0.0, 0], [1, 0]])
    given.estimated[0, 1, [NOSE, HIP]] = False  # nothing says that it saw this person
    assert not add_consensus_labels(given, COCO).labelled[0, WRIST]


def test_labels_are_kept_where_estimators_agree_on_another_place(records: PersonRecords) -> None:
    given = with_estimates(records, [[0.0, 0], [1, 0]])
    given.estimates[1, :, NOSE] += 3
    added = add_consensus_labels(given, COCO)
    np.testing.assert_array_equal(added.keypoints[1, NOSE], records.keypoints[1, NOSE])


def test_held_out_photos_are_whole_and_always_the_same(records: PersonRecords) -> None:
    photos = tuple(Path(f"{number // 3:012d}.jpg") for number in range(3000))
    many = dataclasses.replace(records, images=photos)
    mask = held_out_mask(many, 0.2)
    assert mask.mean() == pytest.approx(0.2, abs=0.04)
    np.testing.assert_array_equal(mask.reshape(-1, 3), np.repeat(mask[::3, None], 3, axis=1))
    # Neither the order, nor the folder, nor the other photos matter; a larger share holds the smaller one.
    moved = dataclasses.replace(
        records, images=tuple(Path("elsewhere") / path for path in photos[:900][::-1])
    )
    np.testing.assert_array_equal(held_out_mask(moved, 0.2), mask[:900][::-1])
    assert held_out_mask(many, 0.3)[mask].all()
    assert not held_out_mask(many, 0.0).any()
    assert held_out_mask(many, 1.0).all()


def test_the_checksum_is_the_one_that_models_were_calibrated_with(records: PersonRecords) -> None:
    names = ("000000000036.jpg", "im00036.jpg", "im00037.jpg", "im00038.jpg")
    mask = held_out_mask(dataclasses.replace(records, images=tuple(map(Path, names))), 0.5)
    assert mask.tolist() == [True, True, True, False]


def test_selected_people_keep_their_neighbours(records: PersonRecords) -> None:
    doubled = join_records([records, records])  # photos 7, 8, 7, 8 of three, one, three, one people
    kept = select(doubled, np.array([False] * 3 + [True] * 4 + [False]))
    np.testing.assert_array_equal(kept.neighbours, [[-1, -1], [2, 3], [1, 3], [1, 2]])
    assert kept.neighbours.dtype == np.int64
    assert [path.name for path in kept.images] == ["8.jpg", "7.jpg", "7.jpg", "7.jpg"]
    people = kept.people(np.array([1, 0]))
    np.testing.assert_array_equal(people.neighbour_keypoints[0], records.keypoints[[1, 2]])
    assert not people.neighbour_labelled[1].any()


def test_selection_takes_every_array_along(records: PersonRecords) -> None:
    given = with_estimates(records, [[0.0, 0], [1, 0]])
    mask = np.array([False, False, False, True])
    kept = select(given, mask)
    for field in dataclasses.fields(PersonRecords):
        if field.name not in ("neighbours", "images"):
            np.testing.assert_array_equal(getattr(kept, field.name), getattr(given, field.name)[mask])
    assert len(select(given, np.zeros(4, bool))) == 0
    everybody = select(given, np.ones(4, bool))
    np.testing.assert_array_equal(everybody.neighbours, given.neighbours)


def test_consensus_finds_hidden_labels_of_real_photos(shared_data: Path) -> None:
    """Labels of the knees are hidden; where two estimators agree, the label they give is nearly always right."""
    posefix = load_skeleton("posefix19")
    truth = read_annotations(shared_data / "lspet" / "person_keypoints_train.json")
    found = [
        read_pose_file(shared_data / "predictions" / "lspet_train" / f"{name}.coco17.json", COCO).poses
        for name in ("movenet", "tinypose128")
    ]
    records = build_records(truth, find_photos(truth, shared_data / "lspet" / "images"), posefix, found)
    knees = np.zeros(len(posefix), bool)
    knees[[posefix.index("left_knee"), posefix.index("right_knee")]] = True
    hidden = add_consensus_labels(dataclasses.replace(records, labelled=records.labelled & ~knees), posefix)
    given = hidden.labelled & records.labelled & knees
    squared = ((hidden.keypoints - records.keypoints) ** 2).sum(axis=-1).astype(np.float64)
    similarity = keypoint_similarity(squared, records.area[:, None].astype(np.float64), posefix.sigmas)
    share = given.sum() / (records.labelled & knees).sum()
    right = (similarity[given] >= 0.5).mean()
    assert share > 0.3
    assert right > 0.85


def test_people_to_judge_by_are_labelled_and_no_crowd(truth: Annotations) -> None:
    image_ids, boxes = labelled_boxes(truth)
    assert image_ids == (7, 7, 7, 8)
    assert boxes[2].tolist() == [400, 0, 100, 200]


def test_thinning_out_takes_whole_photos_from_all_over(records: PersonRecords) -> None:
    many = join_records([
        dataclasses.replace(records, images=tuple(Path(f"{number}-{path.name}") for path in records.images))
        for number in range(20)
    ])  # fmt: skip
    few = thin_out(many, 20)
    assert 17 < len(few) <= 20
    kept = {path: few.images.count(path) for path in few.images}
    assert set(kept.values()) == {1, 3}  # as they are in the two photos
    numbers = {int(path.name.split("-")[0]) for path in few.images}
    assert min(numbers) < 5 and max(numbers) > 14
    assert len(thin_out(many, 1000)) == len(many)
    assert thin_out(few, 20).images == few.images


def test_each_person_gets_the_pose_that_is_nearest_to_them_and_nobody_else_s(tmp_path: Path) -> None:
    """Also where the first keypoint is not labelled, and where the photo has fewer poses than people."""
    rows = [person(number, 7, [200.0 * number, 0, 100, 200]) for number in range(4)]
    for row in rows[1:]:
        x = 200.0 * int(str(row["id"]))
        row["keypoints"] = [0, 0, 0, x + 20, 50, 2, x + 80, 150, 2]
    images = [{"id": 7, "file_name": "7.jpg"}]
    categories = [{"id": 1, "name": "person", "keypoints": NAMES, "skeleton": []}]
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"images": images, "annotations": rows, "categories": categories}))
    annotations, skeleton = read_annotations(path), load_skeleton("coco17")
    hips = [skeleton.index(name) for name in NAMES[1:]]
    keypoints = np.zeros((3, 17, 2))
    for place, owner in enumerate((3, 1, 2)):
        keypoints[place, hips] = [[200 * owner + 22, 50], [200 * owner + 82, 150]]
    poses = Poses(keypoints, np.ones((3, 17)), np.ones((3, 17), bool), (7,) * 3, np.ones(3), skeleton)
    records = build_records(annotations, {7: Path("7.jpg")}, skeleton, [poses])
    assert records.estimated.any(axis=(1, 2)).tolist() == [False, True, True, True]
    np.testing.assert_allclose(records.estimates[1:, 0, hips[0], 0], [222, 422, 622])
