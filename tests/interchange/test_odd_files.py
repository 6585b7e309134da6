"""Files that people put together of what programs write: read for what they say, or refused with what to do."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.formats.recorded import recorded

from posefix.errors import InputError
from posefix.formats.coco_annotations import read_annotations
from posefix.interchange import read_pose_file
from posefix.interchange.annotated import read_annotated_file, read_annotated_poses, read_truth
from posefix.interchange.validation import validate
from posefix.photos.finding import photo_sizes
from posefix.pose.poses import Poses
from posefix.pose_files.pose_file import PoseFile
from posefix.skeletons import load_skeleton

NAMES = load_skeleton("coco17").keypoint_names
PLACES = np.array([[100.5 + 7 * number, 200.25 - 3 * number] for number in range(17)])
POINTS = PLACES.tolist()
FLAT = [number for x, y in POINTS for number in (x, y, 0.5)]


def result(image_id: Any, **fields: Any) -> dict[str, Any]:
    return {"image_id": image_id, "category_id": 1, "keypoints": FLAT, "score": 0.9, **fields}


def instance(**fields: Any) -> dict[str, Any]:
    return {"keypoints": POINTS, "keypoint_scores": [0.5] * 17, **fields}


def detection(**fields: Any) -> dict[str, Any]:
    x, y = PLACES.T.tolist()
    box = {"x1": 90.0, "y1": 140.0, "x2": 230.0, "y2": 210.0}
    return {"name": "person", "box": box, "keypoints": {"x": x, "y": y, "visible": [0.5] * 17}, **fields}


def filled_in(poses: Poses, row: int, keypoint: int) -> Poses:
    """The same poses with a keypoint more, at 33.5, 44.25."""
    places, scores, valid = poses.keypoints.copy(), poses.scores.copy(), poses.valid.copy()
    places[row, keypoint], scores[row, keypoint], valid[row, keypoint] = (33.5, 44.25), 0.75, True
    return replace(poses, keypoints=places, scores=scores, valid=valid)


def rewritten(folder: Path, file: PoseFile, poses: Poses, **hints: Any) -> PoseFile:
    """A file with other poses, written and read again."""
    path = folder / f"new{file.path.suffix}"
    path.write_bytes(file.rewrite(poses)[""])
    return read_pose_file(path, **hints)


def refusal(path: Path, **hints: Any) -> str:
    with pytest.raises(InputError) as caught:
        read_pose_file(path, **hints)
    return str(caught.value)


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (instance, "frame_id"),
        (instance, "img_name"),
        (instance, "image_path"),
        (detection, "frame"),
        (detection, "image"),
    ],
)
def test_people_who_name_several_photos_are_not_taken_for_those_of_one(
    tmp_path: Path, record: Any, field: str
) -> None:
    rows = [record(**{field: "p0"}), record(**{field: "p0"}), record(**{field: "p1"})]
    message = refusal(recorded(tmp_path / "all.json", rows), layout="coco17")
    assert (
        f" 2, field '{field}': expected people of one photo, 'all', got 'p1' and 'p0' in one list" in message
    )
    same = recorded(tmp_path / "p0.json", rows[:2])
    assert read_pose_file(same, "coco17").poses.image_ids == ("p0", "p0")


def test_results_with_scores_apart_keep_their_photos(tmp_path: Path) -> None:
    rows = [result(1, keypoints=POINTS, keypoint_scores=[0.5] * 17), result(2)]
    message = refusal(recorded(tmp_path / "a.json", rows), layout="coco17")
    assert "row 0, field 'keypoints', nose: expected x, y and score, got [100.5, 200.25]" in message
    rows[0] = result(1, keypoints=[[x, y, 0.5] for x, y in POINTS], keypoint_scores=[0.5] * 17)
    assert read_pose_file(recorded(tmp_path / "b.json", rows), "coco17").poses.image_ids == (1, 2)


def minus_ones(keypoint: int) -> list[float]:
    numbers = FLAT.copy()
    numbers[3 * keypoint : 3 * keypoint + 3] = [-1, -1, -1]
    return numbers


def test_minus_one_throughout_is_missing(tmp_path: Path) -> None:
    contents: dict[str, Any] = {
        "coco.json": [result(1, keypoints=minus_ones(4))],
        "mmpose.json": [
            instance(
                keypoints=[*POINTS[:4], [-1, -1], *POINTS[5:]],
                keypoint_scores=[*[0.5] * 4, -1, *[0.5] * 12],
            )
        ],
        "people.json": {"people": [{"pose_keypoints_2d": minus_ones(4)}]},
    }
    for name, content in contents.items():
        path = recorded(tmp_path / name, content)
        file = read_pose_file(path, "coco17")
        assert np.flatnonzero(~file.poses.valid[0]).tolist() == [4]
        assert file.rewrite(file.poses)[""] == path.read_bytes()  # -1 stays
        again = rewritten(tmp_path, file, filled_in(file.poses, 0, 4), layout="coco17")
        assert again.poses.keypoints[0, 4].tolist() == [33.5, 44.25]
        assert again.poses.valid.all()


def test_scores_below_zero_elsewhere_are_scores(tmp_path: Path) -> None:
    numbers = [-1, -0.5, -1, -1, -1, 0.5, *FLAT[6:]]
    file = read_pose_file(recorded(tmp_path / "a.json", [result(1, keypoints=numbers)]), "coco17")
    assert file.poses.valid.all()


def test_a_score_of_null_is_none(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.json", [result(1, score=None), result(2, score=None)])
    file = read_pose_file(path, "coco17")
    assert file.poses.pose_scores.tolist() == [1, 1]
    assert file.rewrite(file.poses)[""] == path.read_bytes()
    some = recorded(tmp_path / "b.json", [result(1, score=None), result(2)])
    assert "row 0, field 'score'" in refusal(some, layout="coco17")


LANDMARKS = load_skeleton("blazepose33").keypoint_names


def landmarks(**fields: Any) -> list[dict[str, Any]]:
    """33 in pixels, each with a field more, a list of 33 values."""
    return [
        {
            "x": 100.0 + place,
            "y": 200.0 + place,
            "z": 0.1,
            **{name: values[place] for name, values in fields.items()},
        }
        for place in range(33)
    ]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("id", range(33)),
        ("index", range(1, 34)),
        ("name", LANDMARKS),
        ("landmark", [n.upper() for n in LANDMARKS]),
    ],
)
def test_landmarks_that_say_which_they_are_must_stand_in_that_order(
    tmp_path: Path, field: str, values: Any
) -> None:
    people = landmarks(**{field: list(values)})
    path = recorded(tmp_path / "a.json", [{"frame": 0, "landmarks": people}])
    assert read_pose_file(path).poses.keypoints[0, 32].tolist() == [131.5, 231.5]
    people[3], people[4] = people[4], people[3]
    message = refusal(recorded(tmp_path / "b.json", [{"frame": 0, "landmarks": people}]))
    assert f"landmark 3, field '{field}': expected landmarks in the order of blazepose33" in message


@pytest.mark.parametrize(
    ("frames", "ids"),
    [
        ([{"frame": "10"}, {"frame": "20"}], (10, 20)),
        ([{"frame": 1.0}, {"frame": 2.0}], (1, 2)),
        ([{"frame_id": "im_1.jpg"}, {"frame_id": "im_2.jpg"}], ("im_1.jpg", "im_2.jpg")),
        ([{"file": "clip.mp4", "frame": 4}, {"file": "clip.mp4", "frame": 5}], (4, 5)),
        ([{"video": "a.mp4", "frame": 4}, {"video": "b.mp4", "frame": 4}], ("a.mp4/4", "b.mp4/4")),
        ([{"image": "a.jpg", "frame": 4}, {"image": "b.jpg", "frame": 5}], ("a.jpg", "b.jpg")),
    ],
)
def test_frames_of_landmarks_are_those_that_the_file_says(tmp_path: Path, frames: Any, ids: Any) -> None:
    content = [{**frame, "landmarks": landmarks()} for frame in frames]
    assert read_pose_file(recorded(tmp_path / "a.json", content)).poses.image_ids == ids


def table(lines: list[list[Any]], separator: str = ",", decimal: str = ".") -> str:
    return "".join(separator.join(str(cell).replace(".", decimal) for cell in line) + "\n" for line in lines)


def long_table(head: list[str], rows: list[list[Any]], columns: list[str], **dialect: str) -> str:
    """A line for each of COCO's keypoints in each of some frames."""
    lines = [[*row, name, *place] for row in rows for name, place in zip(NAMES, POINTS, strict=True)]
    return table([[*head, *columns], *lines], **dialect)


@pytest.mark.parametrize(
    ("head", "rows", "ids"),
    [
        (["frame"], [[0], [1]], (0, 1)),
        (["file_name", "frame_number"], [["clip", 0], ["clip", 1]], (0, 1)),
        (["file_name", "frame_number"], [["a", 0], ["a", 1], ["b", 1]], ("a/0", "a/1", "b/1")),
        (["video", "frame"], [["v/a", 0], ["w/a", 0]], ("v/a/0", "w/a/0")),
        (["image", "frame"], [["a", 0], ["b", 1]], ("a", "b")),
    ],
)
def test_frames_of_videos_in_a_table_are_told_apart(tmp_path: Path, head: Any, rows: Any, ids: Any) -> None:
    text = long_table(head, rows, ["keypoint_name", "x", "y"])
    poses = read_pose_file(recorded(tmp_path / "a.csv", text)).poses
    assert poses.image_ids == ids
    assert (poses.keypoints[-1] == PLACES - 0.5).all()


def test_frames_of_several_videos_in_sleaps_table_are_told_apart(tmp_path: Path) -> None:
    text = "video,frame_idx,track,A.x,A.y\nv/a.mp4,0,t,1.5,2.5\nv/b.mp4,0,t,3.5,4.5\n"
    file = read_pose_file(recorded(tmp_path / "a.csv", text))
    assert (file.poses.image_ids, file.notes) == (("a.mp4/0", "b.mp4/0"), ())
    one = read_pose_file(recorded(tmp_path / "b.csv", text.replace("b.mp4,0", "a.mp4,1")))
    assert one.poses.image_ids == (0, 1)


@pytest.mark.parametrize("name", ["c", "likelihood", "prob", "confidence", "vis"])
def test_a_score_is_one_whatever_a_table_calls_it(tmp_path: Path, name: str) -> None:
    columns = [f"{keypoint}_{what}" for keypoint in NAMES for what in ("x", "y", name)]
    text = table([["frame", *columns], [7, *FLAT]])
    file = read_pose_file(recorded(tmp_path / "a.csv", text))
    assert file.has_scores
    assert (file.poses.scores == 0.5).all()


def test_a_trackers_table_of_boxes_has_no_landmarks(tmp_path: Path) -> None:
    lines = [[frame, track, 10.5, 20.5, 30, 40, 0.9] for frame in range(2) for track in range(33)]
    text = table([["frame", "id", "x", "y", "w", "h", "conf"], *lines])
    assert "expected a pose file of a known format" in refusal(recorded(tmp_path / "a.csv", text))


TABLES = {
    "landmarks.csv": long_table(["frame"], [[0]], ["landmark", "x", "y"], separator=";", decimal=","),
    "sleap.csv": "frame_idx\ttrack\tA.x\tA.y\n0\tt\t150,5\t60,25\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_decimal_commas_are_read_and_written_in_any_table(tmp_path: Path, name: str) -> None:
    path = recorded(tmp_path / name, TABLES[name])
    file = read_pose_file(path)
    assert file.rewrite(file.poses)[""] == path.read_bytes()
    places = file.poses.keypoints.copy()
    before = f"{places[0, 0, 0] + (0.5 if 'landmarks' in name else 0)}".replace(".", ",")
    places[0, 0, 0] += 3.25
    text = file.rewrite(file.poses.with_keypoints(places))[""].decode()
    after = f"{float(before.replace(',', '.')) + 3.25}".replace(".", ",")
    assert text == TABLES[name].replace(before, after)


def test_commas_in_another_column_do_not_make_the_decimal_sign(tmp_path: Path) -> None:
    text = "frame_idx;track;note;A.x;A.y\n0;t;1,5;150.5;60.25\n"
    file = read_pose_file(recorded(tmp_path / "a.csv", text))
    places = file.poses.keypoints + 1
    assert file.rewrite(file.poses.with_keypoints(places))[""].decode() == text.replace(
        "150.5;60.25", "151.5;61.25"
    )


@pytest.mark.parametrize("word", ["", "NaN", "None", "null", "N/A", "#N/A", "<NA>"])
def test_whatever_word_says_that_there_is_no_number(tmp_path: Path, word: str) -> None:
    tables = {
        "sleap.csv": f"frame_idx,A.x,A.y,B.x,B.y\n0,1.5,2.5,{word},{word}\n",
        "dlc.csv": f"scorer,S,S,S,S\nbodyparts,A,A,B,B\ncoords,x,y,x,y\n0,1.5,2.5,{word},{word}\n",
    }
    for name, text in tables.items():
        path = recorded(tmp_path / name, text)
        file = read_pose_file(path)
        assert file.poses.valid.tolist() == [[True, False]]
        assert file.rewrite(file.poses)[""] == path.read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.json",
            [{"file_name": "a.jpg", "keypoints": FLAT}],
            "got a list of objects with 'file_name', 'keypoints'; ",
        ),
        ("a.json", [[instance()], [instance()]], "got a list of lists; "),
        ("a.json", f"{result(1)}\n", "expected JSON, got an error at line 1, column 2"),
        (
            "a.json",
            "[1]\n[2]\n",
            "expected JSON, got JSON Lines, another document in line 2; write its lines as one",
        ),
        ("a.jsonl", '{"image_id": 1}\n', "got JSON Lines; write its lines as one list in a .json file"),
        ("a.csv", "time,speed\n1,2\n", "got a CSV file with 'time', 'speed'; "),
        (
            "a.json",
            [{"image_id": 1, "bbox": [1, 2, 3, 4]}],
            "got rows with 'image_id', 'bbox'; boxes alone are no poses",
        ),
    ],
)
def test_what_is_read_by_no_format_is_described(
    tmp_path: Path, name: str, content: Any, message: str
) -> None:
    assert message in refusal(recorded(tmp_path / name, content))


@pytest.mark.parametrize("name", ["a.json", "a.csv", "a.xml"])
def test_text_in_another_encoding_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes("[1]".encode("utf-16"))
    assert "got UTF-16; save it in UTF-8" in refusal(path).replace("text in ", "", 2).replace(
        "got UTF-8, ", ""
    )


def test_a_folder_of_folders_is_told(tmp_path: Path) -> None:
    (tmp_path / "labels" / "train").mkdir(parents=True)
    assert "got a folder with train, and subfolders are not looked into" in refusal(tmp_path / "labels")


def test_a_frame_without_a_list_of_people_is_named(tmp_path: Path) -> None:
    frames = [{"frame_id": number, "instances": None if number else [instance()]} for number in range(2)]
    message = refusal(recorded(tmp_path / "a.json", frames), layout="coco17")
    assert "a.json, frame 1, field 'instances': expected a list of people, got None" in message


def test_labels_with_a_mark_and_with_gaps_are_read(tmp_path: Path) -> None:
    points = [f"{(place + 1) / 40:.3f} {(place + 2) / 40:.3f} 2" for place in range(17)]
    points[4] = "nan nan 0"
    text = "\ufeff0 0.5 0.5 0.2 0.4 " + " ".join(points) + "\r\n"
    folder = tmp_path / "labels"
    folder.mkdir()
    (folder / "a.txt").write_bytes(text.encode())
    file = read_pose_file(folder, "coco17", photo_size=lambda _: (200, 400))
    assert np.flatnonzero(~file.poses.valid[0]).tolist() == [4]
    assert file.poses.keypoints[0, 0].tolist() == [5, 20]
    assert file.rewrite(file.poses) == {"a.txt": text.encode()}
    contents = file.rewrite(filled_in(file.poses, 0, 4))["a.txt"].decode()
    assert contents == text.replace("nan nan 0", "0.1675 0.110625 2")
    (folder / "a.txt").write_text(text.replace("nan nan", "0.5 nan"), encoding="utf-8")
    assert "expected a number, got 'nan'" in refusal(folder, layout="coco17", format="ultralytics-labels")


def people_with_boxes(count: int, *, corners: bool) -> list[dict[str, Any]]:
    """People from left to right, each with a box close around the keypoints."""
    rows = []
    for number in range(count):
        places = PLACES + np.array([60 * number, 0])
        low, high = places.min(axis=0) - 5, places.max(axis=0) + 5
        box = [*low, *high] if corners else [*low, *(high - low)]
        keypoints = [value for x, y in places.tolist() for value in (x, y, 0.5)]
        rows.append(result(number, keypoints=keypoints, bbox=box))
    return rows


def test_boxes_that_are_corners_are_refused(tmp_path: Path) -> None:
    message = refusal(recorded(tmp_path / "a.json", people_with_boxes(3, corners=True)), layout="coco17")
    assert "a.json: expected boxes of left, top, width and height, got left, top, right and bottom" in message
    file = read_pose_file(recorded(tmp_path / "b.json", people_with_boxes(3, corners=False)), "coco17")
    assert file.boxes is not None
    assert file.boxes[1, 2:].tolist() == [122, 58]


def test_boxes_that_are_corners_do_not_matter_where_none_are_used(tmp_path: Path) -> None:
    rows = people_with_boxes(3, corners=True)
    path = recorded(tmp_path / "a.json", rows)
    annotations = read_annotations(truth(tmp_path / "truth.json"))
    poses = read_annotated_poses(path, annotations, "coco17")
    assert poses.keypoints.tolist() == [np.reshape(row["keypoints"], (17, 3))[:, :2].tolist() for row in rows]
    # Who writes a file of it would write the boxes.
    with pytest.raises(InputError, match=r"a\.json: expected boxes of left, top, width and height"):
        read_annotated_file(path, annotations, "coco17")


def test_two_people_do_not_tell_corners(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.json", people_with_boxes(2, corners=True))
    assert len(read_pose_file(path, "coco17").poses) == 2


def truth(path: Path, scale: float = 1, **fields: Any) -> Path:
    """COCO annotations of three people; places are divided by the scale."""
    flat = [number for x, y in POINTS for number in (x / scale, y / scale, 2)]
    person = {
        "category_id": 1,
        "num_keypoints": 17,
        "bbox": [95, 145, 125, 60],
        "area": 4000,
        "keypoints": flat,
    }
    people = [{"id": number, "image_id": 1, **person, **fields} for number in range(3)]
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 300, "height": 300}],
        "annotations": people,
        "categories": [{"id": 1, "name": "person", "keypoints": list(NAMES), "skeleton": []}],
    }
    return recorded(path, content)


def test_a_truth_in_shares_is_no_truth(tmp_path: Path) -> None:
    assert len(read_annotations(truth(tmp_path / "a.json")).people) == 3
    path = truth(tmp_path / "b.json", scale=300)
    with pytest.raises(
        InputError, match=r"b\.json: expected pixels, got coordinates that all lie in -2 to 2"
    ):
        read_annotations(path)
    assert len(validate(path).faults) == 1
    assert not validate(path).truth_faults


def test_boxes_that_are_corners_make_no_areas(tmp_path: Path) -> None:
    corners = [95.0, 145.0, 220.0, 205.0]
    assert read_annotations(truth(tmp_path / "a.json", bbox=corners)).people.area[0] == 4000
    path = truth(tmp_path / "b.json", bbox=corners, area=None)
    with pytest.raises(InputError, match=r"b\.json: expected boxes of left, top, width and height"):
        read_annotations(path)


@pytest.mark.parametrize("outlier", [(-3, 5), (0.5, 0.5)])
def test_a_guess_far_left_does_not_tell_openposes_scale(tmp_path: Path, outlier: Any) -> None:
    names = load_skeleton("body25").keypoint_names
    places = np.linspace(0.1, 0.9, 50).reshape(25, 2)
    places[3] = outlier
    triples = np.concatenate([places, np.full((25, 1), 0.5)], axis=1)
    triples[names.index("left_heel")] = 0
    path = recorded(tmp_path / "a.json", {"people": [{"pose_keypoints_2d": triples.ravel().tolist()}]})
    poses = read_pose_file(path, photo_size=lambda _: (101, 201)).poses
    assert np.allclose(poses.keypoints[0, 0], places[0] * (100, 200))
    assert np.allclose(poses.keypoints[0, 3], np.array(outlier) * (100, 200))


def photos_and_truth(folder: Path) -> tuple[Path, Path]:
    """Photos 1.png to 3.png of different sizes, whose ids are others than the numbers in their names."""
    photos = folder / "photos"
    photos.mkdir()
    for number in (1, 2, 3):
        Image.new("RGB", (200 + 100 * number, 300)).save(photos / f"{number}.png")
    ids = {1: 2, 2: 3, 3: 1}
    flat = [number for x, y in POINTS for number in (x, y, 2)]
    content = {
        "images": [{"id": ids[number], "file_name": f"{number}.png"} for number in ids],
        "annotations": [
            {"id": number, "image_id": ids[number], "category_id": 1, "keypoints": flat, "area": 4000}
            for number in ids
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(NAMES)}],
    }
    return photos, recorded(folder / "truth.json", content)


@pytest.mark.parametrize(
    ("name", "format"),
    [("new.json", "label-studio"), ("labels", "ultralytics-labels"), ("new.json", "coco-annotations")],
)
def test_new_files_have_the_sizes_of_the_photos_that_annotations_name(
    tmp_path: Path, run: Any, name: str, format: str
) -> None:
    photos, path = photos_and_truth(tmp_path)
    code, _, err = run("convert", path, tmp_path / name, "--to", format, "--images", photos)
    assert (code, err) == (0, "")
    layout = None if format == "label-studio" else "coco17"
    found = read_pose_file(tmp_path / name, layout, photo_size=photo_sizes(photos)).poses
    assert np.allclose(found.keypoints, PLACES, atol=0.01)
    if format == "label-studio":
        regions = [task["predictions"][0]["result"][0] for task in json.loads((tmp_path / name).read_text())]
        assert [region["original_width"] for region in regions] == [300, 400, 500]
    if format == "coco-annotations":
        images = json.loads((tmp_path / name).read_text())["images"]
        assert {image["file_name"]: image["width"] for image in images} == {
            "1.png": 300,
            "2.png": 400,
            "3.png": 500,
        }


def test_ids_as_texts_are_the_ids_and_no_numbers_of_names(tmp_path: Path) -> None:
    _, path = photos_and_truth(tmp_path)
    annotations = read_truth(path)
    rows = [result("2"), result("3"), result("1.png")]
    poses = read_annotated_poses(recorded(tmp_path / "a.json", rows), annotations, "coco17")
    assert poses.image_ids == (2, 3, 2)


def test_places_in_space_are_no_landmarks_of_a_photo(tmp_path: Path) -> None:
    around = [
        {"x": x, "y": y, "z": 0.1, "visibility": 0.9}
        for x, y in np.random.default_rng(0).normal(0, 0.4, (33, 2))
    ]
    path = recorded(tmp_path / "world.json", [{"frame": 0, "landmarks": around}])
    with pytest.raises(InputError, match=r"world\.json: expected places in a photo, got .* many are below 0"):
        read_pose_file(path, photo_size=lambda _: (300, 300))
    some = [{**one, "x": abs(one["x"]), "y": abs(one["y"])} for one in around]
    some[0]["x"] = -0.1  # a guess beside the photo
    path = recorded(tmp_path / "photo.json", [{"frame": 0, "landmarks": some}])
    assert len(read_pose_file(path, photo_size=lambda _: (300, 300)).poses) == 1
    columns = [f"{name}_{what}" for name in NAMES for what in ("x", "y", "z", "error", "ncams", "score")]
    text = table([["fnum", *columns], [0, *[5.0] * len(columns)]])
    assert "expected a pose file of a known format" in refusal(recorded(tmp_path / "anipose.csv", text))


@pytest.mark.parametrize(
    ("written", "track"),
    [([4], 4), ([4.0], 4), (4.0, 4), (["a"], "a"), ([-1], None), ([-1.0], None), ([], None)],
)
def test_whole_numbers_as_floats_are_openposes_people(tmp_path: Path, written: Any, track: Any) -> None:
    people = [
        {"person_id": written, "pose_keypoints_2d": FLAT},
        {"person_id": [9], "pose_keypoints_2d": FLAT},
    ]
    file = read_pose_file(recorded(tmp_path / "a.json", {"people": people}), "coco17")
    assert file.tracks == (track, 9)


def renamed(path: Path, names: list[str]) -> Path:
    """Annotations whose category names the keypoints otherwise."""
    content = json.loads(truth(path).read_text(encoding="utf-8"))
    content["categories"][0]["keypoints"] = names
    return recorded(path, content)


def test_a_layout_is_heard_where_annotations_have_names_of_their_own(tmp_path: Path, run: Any) -> None:
    path = renamed(tmp_path / "truth.json", [f"kp_{number}" for number in range(17)])
    poses = recorded(tmp_path / "results.json", [result(1)])
    options = ("evaluate", poses, "--layout", "coco17", "--annotations", path)
    code, _, err = run(*options)
    assert code == 2
    assert "share no keypoint name" in err
    code, out, _ = run(*options, "--annotations-layout", "coco17")
    assert code == 0
    assert "keypoints compared (17): nose" in out
    code, out, _ = run("validate", path, "--layout", "coco17")
    assert (code, out.splitlines()[0]) == (0, "no faults")


def test_a_layout_with_the_keypoints_elsewhere_is_refused(tmp_path: Path) -> None:
    path = renamed(tmp_path / "truth.json", list(NAMES[::-1]))
    expected = r"keypoint 0 is 'right_ankle', and nose in layout 'coco17'; leave the layout out"
    assert read_pose_file(path).poses.skeleton.keypoint_names[0] == "right_ankle"
    with pytest.raises(InputError, match=expected):
        read_pose_file(path, "coco17")
    with pytest.raises(InputError, match=expected):
        read_annotations(path, "coco17", overrule=True)


def test_a_layout_is_refused_where_mmposes_file_has_the_keypoints_elsewhere(tmp_path: Path) -> None:
    meta = {"keypoint_id2name": {str(number): name for number, name in enumerate(NAMES)}}
    content = {"meta_info": meta, "instance_info": [{"frame_id": 1, "instances": [instance()]}]}
    path = recorded(tmp_path / "a.json", content)
    assert read_pose_file(path, "coco17").poses.skeleton.name == "coco17"
    message = refusal(path, layout="posetrack18")
    assert "field 'meta_info': keypoint 1 is 'left_eye', and neck in layout 'posetrack18'" in message
