"""PoseTrack 2018's files: read, joined, written back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.formats.contract import refuses_faults

from posefix.errors import InputError
from posefix.formats.coco_annotations import read_annotations
from posefix.formats.coco_posetrack import read_posetrack_annotations, write_merged_annotations
from posefix.formats.coco_posetrack_results import (
    FORMAT,
    NO_SCORE,
    posetrack_contents,
    read_posetrack_results,
    write_posetrack_results,
)
from posefix.interchange import read_pose_file, write_new_pose_file, write_pose_file
from posefix.pose.poses import Poses
from posefix.pose_files.pose_file import FormatError, NewFile, PoseFile, Reading, Source
from posefix.skeletons import load_skeleton

Json = dict[str, Any]
# As the data set spells them.
NAMES = ["nose", "head_bottom", "head_top", *load_skeleton("posetrack18").keypoint_names[3:]]
CATEGORY = {"id": 1, "name": "person", "supercategory": "person", "keypoints": NAMES}


def keypoints(seed: int, visibility: float = 1) -> list[float]:
    places = np.random.default_rng(seed).uniform(10, 300, (17, 2)).round(1)
    return np.column_stack([places, np.full(17, visibility)]).ravel().tolist()


def video(number: int, annotations: list[Json], **image: object) -> Json:
    frames = [
        {
            "id": 10 * number + frame,
            "frame_id": 10 * number + frame,
            "file_name": f"images/val/{number:06}/{frame:06}.jpg",
            "vid_id": f"{number:06}",
            "is_labeled": True,
            "nframes": 2,
            **(image if frame == 0 else {}),
        }
        for frame in range(2)
    ]
    return {"images": frames, "annotations": annotations, "categories": [CATEGORY]}


def truth_person(image_id: int, seed: int, **fields: object) -> Json:
    entry: Json = {
        "id": 100 * image_id + seed,
        "image_id": image_id,
        "category_id": 1,
        "track_id": seed,
        "keypoints": keypoints(seed),
        "bbox": [10, 20, 100, 200],
        "bbox_head": [30, 20, 30, 40],
        **fields,
    }
    return {field: value for field, value in entry.items() if value is not None}


def found_person(image_id: int, seed: int, **fields: object) -> Json:
    scores = np.random.default_rng(seed).uniform(0.1, 1, 17).round(3).tolist()
    entry = {"image_id": image_id, "track_id": seed, "keypoints": keypoints(seed), "scores": scores}
    return {**entry, **fields}


def write(folder: Path, name: str, content: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.fixture
def truth_folder(tmp_path: Path) -> Path:
    regions = {"ignore_regions_x": [[0, 10, 10], []], "ignore_regions_y": [[0, 0, 10.5], []]}
    folder = write(tmp_path / "truth", "000002.json", video(2, [truth_person(20, 1), truth_person(21, 2)]))
    write(folder, "._000001.json", "not a video")
    return write(folder, "000001.json", video(1, [truth_person(10, 3)], **regions))


def test_videos_are_joined_in_the_order_of_their_names(truth_folder: Path) -> None:
    truth = read_posetrack_annotations(truth_folder)
    assert [one.file_name for one in truth.videos] == ["000001.json", "000002.json"]
    assert truth.annotations.skeleton == load_skeleton("posetrack18")
    assert truth.annotations.people.image_ids == (10, 20, 21)
    assert list(truth.annotations.images) == [10, 11, 20, 21]
    assert truth.head_boxes_xywh.tolist() == [[30, 20, 30, 40]] * 3
    assert [polygon.tolist() for polygon in truth.ignore_regions[10]] == [[[0, 0], [10, 0], [10, 10.5]], []]
    assert set(truth.ignore_regions) == {10}


def test_one_file_will_do(truth_folder: Path) -> None:
    assert len(read_posetrack_annotations(truth_folder / "000002.json").annotations.people) == 2


def test_what_has_coordinates_is_labelled_whatever_its_visibility(tmp_path: Path) -> None:
    hidden = keypoints(1, visibility=0)
    hidden[:3] = [0, 0, 0]
    folder = write(tmp_path / "t", "1.json", video(1, [truth_person(10, 1, keypoints=hidden)]))
    people = read_posetrack_annotations(folder).annotations.people
    assert people.visibility[0].tolist() == [0] + [1] * 16


def test_people_without_box_get_the_one_around_their_keypoints(tmp_path: Path) -> None:
    square = np.zeros((17, 3))
    square[:2] = [[100, 200, 1], [200, 400, 1]]
    nobody = truth_person(10, 2, bbox=None, bbox_head=None, keypoints=[0] * 51)
    someone = truth_person(10, 1, bbox=None, keypoints=square.ravel().tolist())
    folder = write(tmp_path / "t", "1.json", video(1, [someone, nobody]))
    truth = read_posetrack_annotations(folder)
    assert truth.annotations.people.bbox_xywh.tolist() == [[90, 180, 120, 240], [0, 0, 0, 0]]
    assert truth.annotations.people.area == pytest.approx([0.53 * 120 * 240, 0])
    assert np.isnan(truth.head_boxes_xywh[1]).all()


def test_merged_annotations_are_a_coco_file_of_the_same_people(truth_folder: Path, tmp_path: Path) -> None:
    truth = read_posetrack_annotations(truth_folder)
    write_merged_annotations(tmp_path / "merged.json", truth)
    merged = read_annotations(tmp_path / "merged.json")
    assert merged.skeleton == truth.annotations.skeleton
    assert merged.images == truth.annotations.images
    assert np.array_equal(merged.people.keypoints, truth.annotations.people.keypoints)
    assert np.array_equal(merged.people.area, truth.annotations.people.area)


def test_results_become_rows_and_arrays(tmp_path: Path) -> None:
    person = found_person(10, 5, score=0.7)
    person["keypoints"][9:15] = [0] * 6  # the ears
    person["scores"][0] = 0
    folder = write(tmp_path / "r", "1.json", video(1, [person, found_person(11, 6, scores=[])]))
    results = read_posetrack_results(folder)
    poses = results.file.poses
    assert results.image_ids == {10, 11}
    assert poses.skeleton.name == "posetrack18"
    assert poses.valid[0].tolist() == [True] * 3 + [False] * 2 + [True] * 12
    assert poses.scores[0].tolist() == person["scores"]
    assert (poses.scores[1] == NO_SCORE).all()
    assert poses.pose_scores.tolist() == [0.7, 0.0]
    assert results.file.tracks == (5, 6)
    shown = read_pose_file(folder).poses
    assert (shown.scores[0].tolist(), shown.scores[1].tolist()) == (person["scores"], [1.0] * 17)
    assert shown.pose_scores.tolist() == [0.7, 1.0]


def test_a_pose_without_score_has_the_mean_of_its_keypoints(tmp_path: Path) -> None:
    person = found_person(10, 5, scores=[0.5] * 8 + [0.9] * 9)
    person["keypoints"][48:] = [0] * 3
    folder = write(tmp_path / "r", "1.json", video(1, [person]))
    assert read_posetrack_results(folder).file.poses.pose_scores == pytest.approx([0.7])


def test_results_survive_the_way_to_coco_and_back(truth_folder: Path, tmp_path: Path) -> None:
    first = found_person(10, 5, score=0.7, bbox=[1, 2, 3, 4])
    first["keypoints"][9:15], first["scores"][3:5] = [0] * 6, [0, 0]
    second = found_person(21, 6)
    folder = write(tmp_path / "r", "000001.json", video(1, [first]))
    write(folder, "000002.json", video(2, [second]))
    file = read_pose_file(folder)
    write_new_pose_file(tmp_path / "coco.json", NewFile(file.poses, file.tracks, file.boxes))
    coco = read_pose_file(tmp_path / "coco.json", "posetrack18")
    write_posetrack_results(tmp_path / "back", coco, read_posetrack_annotations(truth_folder))
    back = json.loads((tmp_path / "back" / "000001.json").read_text())
    assert back["annotations"] == [{**first, "category_id": 1}]
    assert back["images"] == json.loads((truth_folder / "000001.json").read_text())["images"]
    again = json.loads((tmp_path / "back" / "000002.json").read_text())["annotations"][0]
    assert {field: again[field] for field in ("keypoints", "scores", "track_id")} == {
        field: second[field] for field in ("keypoints", "scores", "track_id")
    }


def test_other_layouts_are_written_by_name_and_people_numbered_by_frame(truth_folder: Path) -> None:
    coco = load_skeleton("coco17")
    places = np.arange(3 * 34, dtype=float).reshape(3, 17, 2) + 1
    valid = np.ones((3, 17), bool)
    valid[0, coco.index("left_hip")] = False
    poses = Poses(places, np.full((3, 17), 0.5), valid, (20, 20, 21), np.ones(3), coco)
    results = PoseFile(Path("mine.json"), "mine", poses, read_pose_file(truth_folder).rewrite)
    contents = posetrack_contents(results, read_posetrack_annotations(truth_folder))
    assert contents["000001.json"]["annotations"] == []
    people = contents["000002.json"]["annotations"]
    assert [person["track_id"] for person in people] == [0, 1, 0]
    triples = np.reshape(people[0]["keypoints"], (17, 3))
    names = load_skeleton("posetrack18").keypoint_names
    expected = {"nose": [*places[0, 0], 1], "neck": [0, 0, 0], "head_top": [0, 0, 0], "left_hip": [0, 0, 0]}
    assert {name: triples[names.index(name)].tolist() for name in expected} == expected
    assert people[0]["scores"][names.index("left_hip")] == 0


@pytest.mark.parametrize(
    ("given", "written"),
    [((None, None, None), (0, 1, 2)), ((1, None, None), (1, 0, 2)), ((None, "a", 0), (1, "a", 0))],
)
def test_nobody_in_a_frame_gets_the_track_of_another(
    given: tuple[int | str | None, ...], written: tuple[int | str, ...], truth_folder: Path, tmp_path: Path
) -> None:
    people = [found_person(10, seed, track_id=track) for seed, track in enumerate(given)]
    folder = write(tmp_path / "r", "000001.json", video(1, people))
    contents = posetrack_contents(
        read_posetrack_results(folder).file, read_posetrack_annotations(truth_folder)
    )
    assert tuple(person["track_id"] for person in contents["000001.json"]["annotations"]) == written


def test_keypoints_without_scores_are_written_without(truth_folder: Path, tmp_path: Path) -> None:
    person = found_person(10, 5, scores=None)
    person["keypoints"][9:15] = [0] * 6  # the ears
    folder = write(tmp_path / "r", "000001.json", video(1, [person]))
    contents = posetrack_contents(
        read_posetrack_results(folder).file, read_posetrack_annotations(truth_folder)
    )
    assert "scores" not in contents["000001.json"]["annotations"][0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (video(1, []), r"expected annotated people, got none in 1 video"),
        (video(1, [truth_person(10, 1)], ignore_regions_x=[[1, 2]]), r"image 0, field 'ignore_regions_y'"),
        (
            video(1, [truth_person(10, 1)], ignore_regions_x=["a"]),
            r"field 'ignore_regions_x': expected lists of",
        ),
        (video(1, [truth_person(10, 1, bbox_head=[1, 2])]), r"annotation 0, field 'bbox_head': expected 4"),
        (video(1, [truth_person(99, 1)]), r"annotation 0, field 'image_id'"),
        ([], r"expected an object"),
    ],
)
def test_faults_of_annotations_are_named(content: object, message: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "t", "1.json", content)
    with pytest.raises(InputError, match=message):
        read_posetrack_annotations(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (video(1, [found_person(10, 1, scores=[1.0])]), r"annotation 0, field 'scores': expected 17 numbers"),
        (video(1, [found_person(30, 1)]), r"annotation 0, field 'image_id': expected the id of an image"),
        ({"categories": [CATEGORY]}, r"field 'images': expected a list"),
    ],
)
def test_faults_of_results_are_named(content: object, message: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "r", "1.json", content)
    with pytest.raises(InputError, match=message):
        read_posetrack_results(folder)


def test_ids_belong_to_one_video(tmp_path: Path) -> None:
    folder = write(tmp_path / "t", "1.json", video(1, [truth_person(10, 1)]))
    write(folder, "2.json", video(1, [truth_person(11, 2)]))
    with pytest.raises(InputError, match=r"2\.json: image id 10 is also in .*1\.json"):
        read_posetrack_annotations(folder)


def test_videos_share_their_keypoints(tmp_path: Path) -> None:
    other = video(2, [])
    other["categories"] = [{**CATEGORY, "keypoints": NAMES[:3]}]
    folder = write(tmp_path / "t", "1.json", video(1, [truth_person(10, 1)]))
    write(folder, "2.json", other)
    for read in (read_posetrack_annotations, read_posetrack_results):
        with pytest.raises(InputError, match=r"2\.json, field 'categories': expected the keypoints of"):
            read(folder)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one JSON file for each video"):
        read_posetrack_annotations(tmp_path)


def test_rows_of_frames_that_are_not_annotated_cannot_be_written(truth_folder: Path, tmp_path: Path) -> None:
    folder = write(tmp_path / "r", "5.json", video(5, [found_person(50, 1)]))
    truth = read_posetrack_annotations(truth_folder)
    with pytest.raises(InputError, match=r"row 0, field 'image_id': 50 is not among the frames"):
        write_posetrack_results(tmp_path / "out", read_posetrack_results(folder).file, truth)
    assert not (tmp_path / "out").exists()


def test_results_appear_in_a_new_folder_and_whole(
    truth_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, truth = read_posetrack_results(truth_folder).file, read_posetrack_annotations(truth_folder)
    before = {path: path.read_bytes() for path in truth_folder.iterdir()}
    with pytest.raises(InputError, match="expected a new or an empty folder"):
        write_posetrack_results(truth_folder, file, truth)
    assert {path: path.read_bytes() for path in truth_folder.iterdir()} == before

    write = Path.write_bytes

    def run_full(path: Path, content: bytes) -> int:
        if path.name == "000002.json":
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", run_full)
    with pytest.raises(InputError, match="cannot be written"):
        write_posetrack_results(truth_folder.with_name("out"), file, truth)
    assert list(truth_folder.parent.iterdir()) == [truth_folder]


# In place


def moved(poses: Poses, row: int, keypoint: int, place: tuple[float, float]) -> Poses:
    keypoints = poses.keypoints.copy()
    keypoints[row, keypoint] = place
    return poses.with_keypoints(keypoints)


@pytest.mark.parametrize("layout", [{}, {"indent": 1}, {"separators": (",", ":")}])
def test_a_folder_of_results_is_refined_in_place(tmp_path: Path, layout: Json) -> None:
    folder = tmp_path / "r"
    folder.mkdir()
    first = video(1, [found_person(10, 5, score=0.7, note="a"), found_person(11, 6, bbox=[1, 2, 3, 4])])
    second = {**video(2, [found_person(20, 7, scores=None)]), "info": {"x": [1.50]}}
    for name, content in (("1.json", first), ("2.json", second)):
        (folder / name).write_text(json.dumps(content, **layout).replace("1.5]", "1.50]"))
    file = read_pose_file(folder)
    assert (file.format, file.tracks) == ("posetrack18", (5, 6, 7))
    assert file.notes == ("people without keypoint scores, which are not written either: 1",)
    assert file.file_names is not None and file.file_names[20] == "images/val/000002/000000.jpg"
    write_pose_file(tmp_path / "same", file)
    for name in ("1.json", "2.json"):
        assert (tmp_path / "same" / name).read_bytes() == (folder / name).read_bytes()

    contents = file.rewrite(moved(file.poses, 1, 2, (30.25, 41)), keep=[1, 2], update_boxes=True)
    assert contents["2.json"] == (folder / "2.json").read_bytes()
    (person,) = json.loads(contents["1.json"])["annotations"]
    expected = first["annotations"][1]
    assert person["keypoints"] == [*expected["keypoints"][:6], 30.25, 41.0, 1.0, *expected["keypoints"][9:]]
    assert person["bbox"] != [1, 2, 3, 4]
    assert person["scores"] == expected["scores"]
    rescored = file.poses.with_keypoints(file.poses.keypoints, scores=file.poses.scores * 0.5)
    person = json.loads(file.rewrite(rescored, update_boxes=True)["1.json"])["annotations"][1]
    assert person["scores"] != expected["scores"] and person["bbox"] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("others", "has_scores"),
    [({}, False), ({"scores": []}, False), ({"scores": [0.5] * 17}, True), ({"score": 0.7}, True)],
)
def test_annotations_of_a_video_have_no_scores(tmp_path: Path, others: Json, has_scores: bool) -> None:
    folder = write(tmp_path / "r", "1.json", video(1, [truth_person(10, 1)]))
    write(folder, "2.json", video(2, [truth_person(20, 2, **others)]))
    assert read_pose_file(folder).has_scores == has_scores


def test_how_many_keypoints_somebody_has_follows(tmp_path: Path) -> None:
    people = [truth_person(10, seed, num_keypoints=16 + (seed > 1)) for seed in range(1, 4)]
    people[0]["keypoints"][:3] = [0, 0, 0]
    people[1].pop("num_keypoints")
    path = write(tmp_path / "r", "1.json", video(1, people)) / "1.json"
    file = read_pose_file(path)
    keypoints, valid = moved(file.poses, 0, 0, (5, 6)).keypoints, file.poses.valid.copy()
    valid[0, 0], valid[1:, 1] = True, False
    written = json.loads(file.rewrite(file.poses.with_keypoints(keypoints, valid))[""])["annotations"]
    assert [person.get("num_keypoints") for person in written] == [17, None, 16]
    assert written[0]["keypoints"][:3] == [5.0, 6.0, 1]
    nudged = file.rewrite(file.poses.with_keypoints(file.poses.keypoints + 1))[""]
    assert [person.get("num_keypoints") for person in json.loads(nudged)["annotations"]] == [16, None, 17]


def test_a_photo_without_a_name_is_found_by_its_id_where_another_video_has_names(tmp_path: Path) -> None:
    folder = write(tmp_path / "r", "1.json", video(1, [found_person(10, 5)]))
    nameless = {**video(2, [found_person(20, 6)]), "images": [{"id": 20, "vid_id": "000002"}]}
    names = read_pose_file(write(folder, "2.json", nameless)).file_names
    assert names is not None and (names[10], names[20]) == ("images/val/000001/000000.jpg", "20")


def test_scores_in_the_place_of_visibilities_stay(tmp_path: Path) -> None:
    person = found_person(10, 1, keypoints=keypoints(1, visibility=0.765))
    text = json.dumps(video(1, [person]))
    path = tmp_path / "results.json"
    path.write_text(text, encoding="utf-8")
    file = read_pose_file(path)
    x, y = person["keypoints"][:2]
    (content,) = file.rewrite(moved(file.poses, 0, 0, (5.25, 6.5))).values()
    assert content.decode() == text.replace(f"[{x}, {y}, 0.765", "[5.25, 6.5, 0.765", 1)


def test_filled_and_lost_keypoints_and_scores_are_written(tmp_path: Path) -> None:
    person = found_person(10, 5, score=0.7)
    person["keypoints"][:3], person["scores"][0] = [0, 0, 0], 0
    path = write(tmp_path / "r", "1.json", video(1, [person])) / "1.json"
    file = read_pose_file(path)
    keypoints, valid, scores = file.poses.keypoints.copy(), file.poses.valid.copy(), file.poses.scores.copy()
    keypoints[0, 0], valid[0, 0], scores[0, 0], valid[0, 1] = (5, 6), True, 0.5, False
    (after,) = json.loads(file.rewrite(file.poses.with_keypoints(keypoints, valid, scores))[""])[
        "annotations"
    ]
    assert after["keypoints"] == [5.0, 6.0, 1, 0, 0, 0, *person["keypoints"][6:]]
    assert after["scores"] == [0.5, 0, *person["scores"][2:]]


test_a_faulty_file_is_refused_in_one_sentence = refuses_faults(
    FORMAT, video(1, [found_person(10, 5, score=0.7, bbox=[1, 2, 3, 4])]), skeletons=[None], path_first=False
)


def test_animals_among_the_people_of_a_video_stay_as_they_are(tmp_path: Path) -> None:
    content = video(1, [truth_person(10, 2, category_id=2, keypoints=[1, 2, 1] * 3), truth_person(11, 1)])
    path = tmp_path / "1.json"
    content["categories"] = [CATEGORY, {"id": 2, "name": "dog"}]
    path.write_text(json.dumps(content), encoding="utf-8")
    file = FORMAT.read(Source(path), Reading())
    assert (file.poses.image_ids, file.left_out) == (
        (11,),
        ("annotations of other categories, left as they are: 1 (dog 1)",),
    )
    written = json.loads(file.rewrite(file.poses.with_keypoints(file.poses.keypoints + 1))[""])
    assert written["annotations"][0] == content["annotations"][0]
    assert written["annotations"][1]["keypoints"][0] == pytest.approx(keypoints(1)[0] + 1)
    content["categories"][1]["keypoints"] = ["nose", "tail", "ear"]
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match="choose a category"):
        FORMAT.read(Source(path), Reading())
    assert FORMAT.read(Source(path), Reading(category="dog")).poses.keypoints.shape == (1, 3, 2)


def test_a_category_without_names_leaves_the_layout_to_who_names_it(tmp_path: Path) -> None:
    content = {**video(1, [truth_person(10, 1)]), "categories": [{**CATEGORY, "keypoints": []}]}
    path = tmp_path / "1.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(FormatError, match=r"expected the name of its layout \(--layout\)"):
        FORMAT.read(Source(path), Reading())
    assert len(FORMAT.read(Source(path), Reading(load_skeleton("posetrack18"))).poses) == 1
