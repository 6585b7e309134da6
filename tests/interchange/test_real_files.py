"""Files as programs write them: each is read for what it means, and nobody in it is lost without a word."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from posefix.errors import InputError, Where
from posefix.formats.coco_annotations import read_annotations
from posefix.interchange import read_pose_file
from posefix.interchange.pose_files import Hints
from posefix.interchange.validation import TRUTH_HEADING, validate
from posefix.photos.finding import find_images
from posefix.pose_files.pose_file import FormatError
from posefix.skeletons import load_skeleton

Run = Callable[..., tuple[int, str, str]]
NAMES = list(load_skeleton("coco17").keypoint_names)
PLACES = [
    (150, 60), (158, 52), (142, 52), (168, 58), (132, 58), (185, 100), (115, 100), (200, 150), (100, 150),
    (205, 195), (95, 195), (170, 200), (130, 200), (172, 270), (128, 270), (172, 340), (128, 340),
]  # fmt: skip
SIZE = (300, 400)
CATEGORY: dict[str, Any] = {"id": 1, "name": "person", "keypoints": NAMES, "skeleton": []}
BOX = [90, 40, 120, 310]


def flat(third: float, scale: Sequence[float] = (1, 1)) -> list[float]:
    return [number for x, y in PLACES for number in (x / scale[0], y / scale[1], third)]


def person(number: int, **changes: Any) -> dict[str, Any]:
    """An annotation, on a photo of its own; a field that is ... is left out."""
    content = {
        "id": number,
        "image_id": number,
        "category_id": 1,
        "keypoints": flat(2),
        "num_keypoints": 17,
        "bbox": BOX,
        "area": 20000,
        "iscrowd": 0,
        **changes,
    }
    return {key: value for key, value in content.items() if value is not ...}


def result(image_id: Any, **changes: Any) -> dict[str, Any]:
    content = {"image_id": image_id, "category_id": 1, "keypoints": flat(0.8), "score": 0.9, **changes}
    return {key: value for key, value in content.items() if value is not ...}


def image(number: Any, **changes: Any) -> dict[str, Any]:
    content = {"id": number, "file_name": f"{number}.png", "width": 300, "height": 400, **changes}
    return {key: value for key, value in content.items() if value is not ...}


def truth(
    folder: Path, *people: dict[str, Any], images: Any = None, categories: Any = None, name: str = "truth"
) -> Path:
    path = folder / f"{name}.json"
    content = {
        "images": [image(1), image(2)] if images is None else images,
        "annotations": list(people),
        "categories": [CATEGORY] if categories is None else categories,
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def results(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "results.json"
    path.write_text(json.dumps(list(rows)), encoding="utf-8")
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in (1, 2):
        Image.new("RGB", SIZE).save(folder / f"{number}.png")
    return folder


def average_precision(run: Run, *arguments: object) -> float:
    code, out, error = run("evaluate", *arguments, "--layout", "coco17")
    assert (code, error) == (0, "")
    return float(next(line for line in out.splitlines() if line.strip()[:1].isdigit()).split()[0])


# Categories


@pytest.mark.parametrize("command", ["inspect", "validate", "evaluate", "convert"])
def test_an_annotation_of_a_category_that_is_not_there_is_a_fault(
    run: Run, tmp_path: Path, command: str
) -> None:
    path = truth(tmp_path, person(1), person(2, category_id=7))
    found = results(tmp_path, result(1), result(2))
    words: dict[str, list[object]] = {
        "inspect": [path],
        "validate": [path],
        "evaluate": [found, "--layout", "coco17", "--annotations", path],
        "convert": [path, tmp_path / "out.json", "--to", "coco-results"],
    }
    code, out, error = run(command, *words[command])
    assert code == 2
    assert "annotation 1, field 'category_id': expected the id of a category (1), got 7" in out + error


def test_a_category_id_written_as_text_is_the_number(run: Run, tmp_path: Path) -> None:
    path = truth(tmp_path, person(1, category_id="1"), person(2, category_id=1.0))
    assert len(read_annotations(path).people) == 2
    assert average_precision(run, results(tmp_path, result(1), result(2)), "--annotations", path) == 100


def test_people_of_other_categories_are_counted(run: Run, tmp_path: Path) -> None:
    dog = {"id": 2, "name": "dog"}
    path = truth(tmp_path, person(1), person(2, category_id=2, keypoints=...), categories=[CATEGORY, dog])
    told = "annotations of other categories, left as they are: 1 (dog 1)"
    assert told in run("inspect", path)[1]
    found = results(tmp_path, result(1))
    assert told in run("evaluate", found, "--layout", "coco17", "--annotations", path)[1]
    assert told in run("convert", path, tmp_path / "out.json", "--to", "coco-results")[1]


@pytest.mark.parametrize(
    "category",
    [
        {"id": 1, "name": "person", "keypoints": [], "skeleton": []},
        {"id": 1, "name": "person"},
        {**CATEGORY, "keypoints": [*NAMES, "left_finger", "right_finger"], "skeleton": [[1, 2]]},
    ],
    ids=["empty", "none", "two more"],
)
def test_the_layout_that_was_named_decides_where_the_category_has_other_names(
    run: Run, tmp_path: Path, category: Any
) -> None:
    path = truth(tmp_path, person(1), categories=[category])
    found = results(tmp_path, result(1))
    assert run("inspect", path, "--layout", "coco17")[0] == 0
    assert average_precision(run, found, "--annotations", path) == 100
    code, _, error = run("evaluate", found, "--annotations", path, "--layout", "lsp14")
    assert (code, "--layout" in error) == (2, True)
    assert read_annotations(path, "coco17").skeleton == load_skeleton("coco17")
    _, out, _ = run("inspect", path)
    assert "posefix inspect" in out and "--layout coco17" in out


@pytest.mark.parametrize(
    "names",
    [
        ",".join(NAMES),
        {str(number): name for number, name in enumerate(NAMES)},
        [{"id": number, "name": name} for number, name in enumerate(NAMES)],
        list(range(17)),
        [""] * 17,
        [*NAMES[:16], "Nose"],
    ],
    ids=["text", "object", "objects", "numbers", "empty texts", "one twice"],
)
def test_names_that_make_no_layout_leave_it_to_the_one_that_was_named(
    run: Run, tmp_path: Path, names: Any
) -> None:
    path = truth(tmp_path, person(1), categories=[{**CATEGORY, "keypoints": names}])
    found = results(tmp_path, result(1))
    assert run("validate", path, "--layout", "coco17")[0] == 0
    assert average_precision(run, found, "--annotations", path) == 100
    code, out, _ = run("inspect", path)
    assert code == 2
    assert "field 'categories': expected a list 'keypoints' that names each keypoint once, got" in out
    assert "name their layout (--layout); with 17 keypoints it may be coco17" in out


def test_names_that_are_numbers_say_nothing(run: Run, tmp_path: Path) -> None:
    path = truth(tmp_path, person(1), categories=[{**CATEGORY, "keypoints": [str(n + 1) for n in range(17)]}])
    assert average_precision(run, results(tmp_path, result(1)), "--annotations", path) == 100
    assert len(read_annotations(path).skeleton) == 17  # a layout of its own where no other is named


def test_an_id_of_two_categories_with_other_keypoints_is_a_fault(run: Run, tmp_path: Path) -> None:
    dog = {"id": 1, "name": "dog"}
    path = truth(tmp_path, person(1), categories=[CATEGORY, dog])
    code, out, _ = run("validate", path)
    assert code == 2
    assert "category 1, field 'id': expected another id than that of category 0, got 1." in out
    assert run("validate", truth(tmp_path, person(1), categories=[CATEGORY, CATEGORY]))[0] == 0


def test_categories_of_one_name_or_none_are_chosen_by_their_ids(run: Run, tmp_path: Path) -> None:
    arrow = [10, 10, 2, 50, 60, 2, 90, 60, 2]
    people = person(1), person(2, category_id=2, keypoints=arrow)
    for name in ("person", None):
        other = {"id": 2, "name": name, "keypoints": ["tip", "left_fin", "right_fin"]}
        path = truth(tmp_path, *people, categories=[{**CATEGORY, "name": name}, other])
        _, out, _ = run("inspect", path)
        assert "choose a category (--category '1')" in out
        assert "(17 keypoints)" in out and "(3 keypoints)" in out and "None" not in out
        code, out, _ = run("inspect", path, "--category", "2")
        assert code == 0
        assert "annotations of other categories, left as they are: 1" in out
    path = truth(tmp_path, *people, categories=[CATEGORY, {**other, "name": "person"}])
    assert "expected keypoints of one layout" in run("inspect", path, "--category", "person")[1]


def test_the_names_of_the_category_come_before_the_layout_of_the_results(tmp_path: Path) -> None:
    path = truth(tmp_path, person(1), categories=[{**CATEGORY, "keypoints": [f"k{n}" for n in range(17)]}])
    assert read_annotations(path, "coco17").skeleton.keypoint_names[0] == "k0"


def test_categories_of_one_layout_are_taken_together(run: Run, tmp_path: Path) -> None:
    categories = [{**CATEGORY, "name": "player"}, {**CATEGORY, "id": 2, "name": "referee"}]
    path = truth(tmp_path, person(1), person(2, category_id=2), categories=categories)
    assert "categories with the same keypoints, together: player, referee" in run("inspect", path)[1]
    assert average_precision(run, results(tmp_path, result(1)), "--annotations", path) == 50.5


def test_a_category_can_be_chosen(run: Run, tmp_path: Path) -> None:
    kangaroo = {"id": 2, "name": "kangaroo", "keypoints": ["nose", "left_ear", "tail"]}
    hopping = person(2, category_id=2, keypoints=[100, 100, 2, 120, 100, 2, 140, 120, 2])
    path = truth(tmp_path, person(1), hopping, categories=[CATEGORY, kangaroo])
    code, out, _ = run("inspect", path)
    assert (code, "person (17 keypoints), kangaroo (3 keypoints)" in out) == (2, True)
    assert "(--category 'person')" in out
    code, out, _ = run("inspect", path, "--category", "person")
    assert (code, "left as they are: 1 (kangaroo 1)" in out) == (0, True)
    found = results(tmp_path, result(1))
    assert average_precision(run, found, "--annotations", path, "--category", "person") == 100
    _, _, error = run("evaluate", found, "--layout", "coco17", "--annotations", path, "--category", "wallaby")
    assert "there is no category 'wallaby' (--category); expected one of person, kangaroo" in error
    # Nobody is a kangaroo here, so there is no choice to be made.
    assert run("inspect", truth(tmp_path, person(1), categories=[CATEGORY, kangaroo]))[0] == 0


def test_limbs_stop_nobody(run: Run, tmp_path: Path) -> None:
    arrow = {"id": 1, "name": "arrow", "keypoints": ["tip", "left", "right"], "skeleton": [[1, 2], [32, 33]]}
    path = truth(tmp_path, person(1, keypoints=[10, 10, 2, 50, 60, 2, 90, 60, 2]), categories=[arrow])
    code, out, _ = run("inspect", path)
    assert (code, "limbs left out, which name no two keypoints: [[32, 33]]" in out) == (0, True)


@pytest.mark.parametrize(("limbs", "noted"), [([[0, 1], [0, 2]], True), ([[1, 2], [1, 3]], False)])
def test_limbs_that_are_counted_from_zero_are_noted(
    run: Run, tmp_path: Path, limbs: list[list[int]], noted: bool
) -> None:
    arrow = {"id": 1, "name": "arrow", "keypoints": ["tip", "left", "right"], "skeleton": limbs}
    path = truth(tmp_path, person(1, keypoints=[10, 10, 2, 50, 60, 2, 90, 60, 2]), categories=[arrow])
    code, out, _ = run("inspect", path)
    assert (code, "limbs counted from 0: COCO counts keypoints from 1" in out) == (0, noted)


def test_categories_that_are_one_object_are_told_so(run: Run, tmp_path: Path) -> None:
    _, out, _ = run("inspect", truth(tmp_path, person(1), categories=CATEGORY))
    assert "field 'categories': expected a list of objects, got one object; put it in brackets" in out


# What measures poses, and trains on people, asks no more than it needs, and `validate` says what that is


@pytest.mark.parametrize(
    ("people", "images"),
    [
        ([person(1, bbox=...)], None),
        ([person(1, bbox=None)], None),
        ([person(1)], [image(1, width=300.0)]),
        ([person(1)], [image(1, file_name=...)]),
        ([person(1, image_id="1")], None),
        ([person(1, image_id=1.0)], None),
        ([person(1)], [image("1")]),
        ([person(1), person(2, keypoints=...)], None),
        ([person(1), person(2, keypoints=[])], None),
        ([person(1), person(2, keypoints=None)], None),
    ],
)
def test_what_validate_calls_faultless_can_be_measured_against(
    run: Run, tmp_path: Path, people: Any, images: Any
) -> None:
    path = truth(tmp_path, *people, images=images)
    assert run("validate", path)[1] == "no faults\n"
    assert average_precision(run, results(tmp_path, result(1)), "--annotations", path) == 100


@pytest.mark.parametrize(
    ("people", "images", "fault"),
    [
        (
            [person(1, area=[20000])],
            None,
            "annotation 0, field 'area': expected a finite number, got [20000].",
        ),
        ([person(1, area=..., bbox=...)], None, "annotation 0, field 'bbox': expected a list of 4 numbers"),
        ([person(1), person(1)], None, "annotation 1, field 'id': expected another id than"),
        ([person(1)], [image(1), image(1)], "image 1, field 'id': expected another id than"),
        (
            [person(1)],
            [image(2)],
            "annotation 0, field 'image_id': expected the id of an image of this file, got 1",
        ),
        (
            [person(1, keypoints=[150, 60, 3, *flat(2)[3:]])],
            None,
            "annotation 0, field 'keypoints', visibility of nose: expected 0, 1 or 2, got 3.",
        ),
        ([], None, "field 'annotations': expected annotated people, got none."),
    ],
)
def test_what_only_measuring_refuses_has_a_heading_of_its_own(
    run: Run, tmp_path: Path, people: Any, images: Any, fault: str
) -> None:
    path = truth(tmp_path, *people, images=images)
    code, out, _ = run("validate", path)
    heading, first, *_ = out.splitlines()
    assert (code, heading) == (2, TRUTH_HEADING)
    assert first.startswith(f"{path}, {fault}")
    _, _, error = run("evaluate", results(tmp_path, result(1)), "--layout", "coco17", "--annotations", path)
    assert fault.removesuffix(".") in error


@pytest.mark.parametrize(
    ("iscrowd", "counted"), [(0.0, True), (False, True), (None, True), (float("nan"), True), (True, False)]
)
def test_crowds_are_told_from_people(tmp_path: Path, iscrowd: Any, counted: bool) -> None:
    people = read_annotations(truth(tmp_path, person(1, iscrowd=iscrowd))).people
    assert people.counted().tolist() == [counted]


def test_a_text_tells_no_crowd(run: Run, tmp_path: Path) -> None:
    path = truth(tmp_path, person(1, iscrowd="0"))
    code, out, _ = run("validate", path)
    assert (code, "annotation 0, field 'iscrowd': expected 0 or 1, got '0'." in out) == (2, True)


def test_null_is_a_field_that_is_not_there(run: Run, tmp_path: Path) -> None:
    images = [image(1, file_name=None, width=None, crowdIndex=None)]
    path = truth(tmp_path, person(1, num_keypoints=None, area=None), images=images)
    assert run("validate", path)[0] == 0
    assert average_precision(run, results(tmp_path, result(1)), "--annotations", path) == 100


def test_labels_of_other_programs_are_to_be_converted_first(run: Run, tmp_path: Path) -> None:
    found = results(tmp_path, result(1))
    (tmp_path / "labels.xml").write_text("<annotations></annotations>", encoding="utf-8")
    for other in (tmp_path / "labels.xml", found):
        code, _, error = run("evaluate", found, "--layout", "coco17", "--annotations", other)
        assert (code, f"{other}: expected" in error, "(--to coco-annotations)" in error) == (2, True, True)


def test_all_faults_of_the_truth_are_told_at_once(tmp_path: Path) -> None:
    people = [person(1, area="large"), person(2, bbox=[1, 2]), person(3, image_id=9)]
    validation = validate(truth(tmp_path, *people))
    assert [
        fault.where.record for fault in (*validation.faults, *validation.truth_faults) if fault.where
    ] == [
        "annotation 1",
        "annotation 0",
        "annotation 2",
    ]


def test_faults_carry_their_place_as_data(tmp_path: Path) -> None:
    path = truth(tmp_path, person(1, keypoints=[150, "60", 2, *flat(2)[3:]]))
    with pytest.raises(FormatError) as caught:
        read_pose_file(path)
    assert caught.value.where == Where(path, "annotation 0", "keypoints", "y of nose")
    assert str(caught.value).startswith(f"{caught.value.where}: expected a finite number")


# Values


def test_nearly_all_coordinates_being_shares_is_enough_to_stop(
    run: Run, tmp_path: Path, photos: Path
) -> None:
    shares = flat(0.8, SIZE)
    outlier = [*shares[:45], 0.5, 2.31, 0.12, *shares[48:]]
    path = results(tmp_path, result(1, keypoints=shares), result(1, keypoints=outlier))
    told = "expected pixels, got coordinates that nearly all lie in -2 to 2, as shares of the photo do; multiply them"
    code, out, _ = run("inspect", path, "--layout", "coco17", "--images", photos)
    assert (code, told in out) == (2, True)
    assert "nobody: `posefix refine` stops at the problem below" in out
    _, _, error = run("refine", path, "--layout", "coco17", "--images", photos, "-o", tmp_path / "o.json")
    assert told in error
    _, _, error = run("evaluate", path, "--layout", "coco17", "--annotations", truth(tmp_path, person(1)))
    assert told in error


def test_most_people_in_shares_is_enough_to_stop(run: Run, tmp_path: Path) -> None:
    rows = [result(1, keypoints=flat(0.8, SIZE)), result(1, keypoints=flat(0.7, SIZE)), result(1)]
    assert run("inspect", results(tmp_path, *rows), "--layout", "coco17")[0] == 2
    assert run("inspect", results(tmp_path, rows[0], rows[2]), "--layout", "coco17")[0] == 0


def test_a_box_of_gaps_is_none(tmp_path: Path) -> None:
    gaps = [float("nan")] * 4
    file = read_pose_file(results(tmp_path, result(1, bbox=gaps), result(2, bbox=BOX)), "coco17")
    assert file.boxes is not None
    assert np.isnan(file.boxes[:, 0]).tolist() == [True, False]


def test_detections_write_what_is_not_there_in_many_ways(tmp_path: Path) -> None:
    x, y = zip(*PLACES, strict=True)
    box = dict(zip(("x1", "y1", "x2", "y2"), (90, 40, 210, 350), strict=True))
    rows: list[dict[str, Any]] = [
        {"box": box, "confidence": None, "keypoints": {"x": x, "y": y, "visible": None}},
        {"box": box, "confidence": 0.7, "keypoints": {"x": [], "y": [], "visible": []}},
    ]
    path = tmp_path / "1.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    file = read_pose_file(path, "coco17")
    assert file.poses.valid.sum(axis=1).tolist() == [17, 0]
    assert file.poses.pose_scores.tolist() == [1, 0.7]
    shifted = file.poses.with_keypoints(file.poses.keypoints + file.poses.valid[..., None])
    written = json.loads(file.rewrite(replace(shifted, pose_scores=np.array([0.5, 0.25])))[""])
    assert written[0]["confidence"] is None and written[0]["keypoints"]["visible"] is None
    assert written[0]["keypoints"]["x"][0] == x[0] + 1
    assert written[1] == {**rows[1], "confidence": 0.25}


def test_ids_that_are_texts_in_one_list_and_floats_in_another_are_one(tmp_path: Path) -> None:
    path = truth(tmp_path, person(1, image_id="1"), person(2), images=[image(1.0), image(2.0)])
    assert read_pose_file(path).poses.image_ids == (1, 2)


def test_shares_of_animals_with_few_keypoints_are_enough_to_stop(run: Run, tmp_path: Path) -> None:
    lines = ["scorer" + ",D" * 4, "bodyparts,nose,nose,left_hip,left_hip", "coords,x,y,x,y"]
    lines += ["0,.5,.25,.6,.5", "1,.5,.25,.6,5.5", "2,.5,.25,.6,.5", "3,.5,.2,.6,.5"]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    code, out, _ = run("inspect", path)
    assert (code, "got coordinates that nearly all lie in -2 to 2" in out) == (2, True)


@pytest.mark.parametrize("gap", ["NaN", "null"])
@pytest.mark.parametrize("third", ["0", "gap", "1"])
def test_gaps_of_missing_keypoints_are_read_and_stay(tmp_path: Path, gap: str, third: str) -> None:
    missing = f"{gap}, {gap}, {gap if third == 'gap' else third}"
    numbers = ", ".join(map(str, flat(2)[:48]))
    for name, text in (
        ("truth", f'{{"images": [], "annotations": [{{"image_id": 1, "keypoints": [{numbers}, {missing}]}}], '
                  f'"categories": [{json.dumps(CATEGORY)}]}}'),
        ("results", f'[{{"image_id": 1, "keypoints": [{numbers}, {missing}]}}]'),
        ("a_keypoints", f'{{"people": [{{"pose_keypoints_2d": [{numbers}, {missing}]}}]}}'),
    ):  # fmt: skip
        path = tmp_path / f"{name}.json"
        path.write_text(text, encoding="utf-8")
        file = read_pose_file(path, "coco17")
        assert file.poses.valid.tolist() == [[True] * 16 + [False]]
        moved = file.poses.with_keypoints(file.poses.keypoints + np.array([1.0, 0.0]))
        written = file.rewrite(moved)[""].decode()
        assert missing in written and "151" in written
        filled = moved.with_keypoints(moved.keypoints, valid=np.ones((1, 17), dtype=bool))
        assert gap not in file.rewrite(filled)[""].decode()


def test_a_keypoint_that_is_there_needs_all_its_numbers(run: Run, tmp_path: Path) -> None:
    path = results(tmp_path, result(1, keypoints=[None, 60, 0.8, *flat(0.8)[3:]]))
    _, out, _ = run("inspect", path, "--layout", "coco17")
    assert "row 0, field 'keypoints', x of nose: expected a finite number, got None" in out


def test_whole_numbers_written_as_floats_are_ids(run: Run, tmp_path: Path) -> None:
    path = results(tmp_path, result(1.0))
    file = read_pose_file(path, "coco17")
    assert file.poses.image_ids == (1,)
    assert file.rewrite(file.poses)[""] == path.read_bytes()
    assert average_precision(run, path, "--annotations", truth(tmp_path, person(1))) == 100
    _, out, _ = run("inspect", results(tmp_path, result(1.5)), "--layout", "coco17")
    assert "field 'image_id': expected an integer or a text, got 1.5" in out


def test_a_person_without_keypoints_is_counted_and_stays(tmp_path: Path, photos: Path) -> None:
    box_only = person(2, image_id=1, keypoints=...)
    frame = {
        "people": [
            {"pose_keypoints_2d": flat(0.8)},
            {"pose_keypoints_2d": []},
            {"hand_left_keypoints_2d": []},
        ]
    }
    x, y = zip(*PLACES, strict=True)
    corners = {"x1": 1.0, "y1": 2.0, "x2": 30.0, "y2": 40.0}
    contents: dict[str, Any] = {
        "truth.json": {"images": [], "annotations": [person(1), box_only], "categories": [CATEGORY]},
        "results.json": [result(1), result(1, keypoints=...), result(1, keypoints=[])],
        "a_keypoints.json": frame,
        "1.json": [{"box": corners, "keypoints": {"x": x, "y": y}}, {"box": corners}],
        "mm.json": [
            {"keypoints": PLACES, "keypoint_scores": [0.5] * 17},
            {"keypoints": [], "keypoint_scores": []},
        ],
    }
    for name, content in contents.items():
        path = tmp_path / name
        path.write_text(json.dumps(content), encoding="utf-8")
        file = read_pose_file(path, "coco17")
        assert file.poses.valid[0].all() and not file.poses.valid[1:].any()
        assert file.rewrite(file.poses)[""] == path.read_bytes()
        moved = file.poses.with_keypoints(
            np.where(file.poses.valid[..., None], file.poses.keypoints + 1, 0.0)
        )
        assert file.rewrite(moved)[""] != path.read_bytes()


def test_photos_in_subfolders_are_found_by_inspect_as_by_refine(run: Run, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", SIZE).save(tmp_path / "photos" / name / f"{name}.png")
    path = results(tmp_path, result("a/a.png"), result("b/b.png"))
    code, out, _ = run("inspect", path, "--layout", "coco17", "--images", tmp_path / "photos")
    assert (code, "2 in 2 photos, all found in" in out) == (0, True)
    assert "none found" in out
    hints = Hints(layout="coco17", images=tmp_path / "photos")
    assert hints.photo_names(read_pose_file(path, "coco17")) == {"a/a.png": "a/a.png", "b/b.png": "b/b.png"}


def test_paths_find_photos_without_their_ending(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.new("RGB", SIZE).save(tmp_path / name / "0001.png")
    ids = ["a/0001", "sub\\B\\0001"]
    found = find_images(ids, tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in found.values()] == ["a/0001.png", "b/0001.png"]
    Image.new("RGB", SIZE).save(tmp_path / "a" / "0001.jpg")
    with pytest.raises(InputError, match="fits two photos"):
        find_images(ids, tmp_path)
    assert find_images(["a/0001.jpg"], tmp_path)["a/0001.jpg"].suffix == ".jpg"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "got an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "the pointer that Git LFS keeps"),
        (b"\x89HDF\r\n\x1a\n" + bytes(90), "an HDF5 file of something else, or one that is cut off"),
    ],
)
@pytest.mark.parametrize("name", ["a.h5", "a.slp.bak"])
def test_what_a_file_without_poses_is_is_told(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FormatError) as caught:
        read_pose_file(tmp_path / name)
    assert told in str(caught.value)


def test_a_pointer_in_the_place_of_json_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("version https://git-lfs.github.com/spec/v1\n", encoding="utf-8")
    with pytest.raises(FormatError, match="git lfs pull"):
        read_pose_file(tmp_path / "a.json")


def test_keypoints_that_are_objects_are_told_so(run: Run, tmp_path: Path) -> None:
    points = [{"x": x, "y": y, "score": 0.9} for x, y in PLACES]
    code, out, _ = run("validate", results(tmp_path, result(1, keypoints=points)), "--layout", "coco17")
    assert code == 2
    assert (
        "row 0, field 'keypoints': expected one flat list of numbers, got a list of objects, {'x': 150" in out
    )


@pytest.mark.parametrize("kind", ["labelme", "label-studio"])
def test_the_labels_of_boxes_choose_among_people(run: Run, tmp_path: Path, photos: Path, kind: str) -> None:
    made = truth(tmp_path, person(1), person(2))
    folder = tmp_path / "made"
    folder.mkdir()
    path = folder / ("" if kind == "labelme" else "labels.json")
    output = tmp_path / "labels" if kind == "labelme" else path
    assert run("convert", made, output, "--to", kind, "--images", photos)[0] == 0
    file = output / "2.json" if kind == "labelme" else output
    before, mark, after = file.read_text().rpartition('"person"')
    file.write_text(f'{before}"dog"{after}')
    assert mark
    told = "people whose boxes are called otherwise, left as they are: 1 (dog 1)"
    assert told in run("inspect", output)[1]
    code, out, _ = run("inspect", output, "--category", "dog")
    assert (code, "people whose boxes are called otherwise, left as they are: 1" in out) == (0, True)
    assert read_pose_file(output, category="dog").poses.image_ids == ("2.png",)
    code, out, _ = run("inspect", output, "--category", "cat")
    assert (
        code,
        "there is no box 'cat' with keypoints (--category); expected one of person 1, dog 1" in out,
    ) == (2, True)


@pytest.mark.parametrize(
    "shapes", [[], [{"label": "nose", "points": [[1, 2], [3, 4]], "shape_type": "circle"}]]
)
def test_labels_without_keypoints_are_told_so(run: Run, tmp_path: Path, shapes: Any) -> None:
    path = tmp_path / "1.json"
    path.write_text(json.dumps({"shapes": shapes, "imagePath": "1.png"}), encoding="utf-8")
    code, out, _ = run("inspect", path)
    assert code == 2
    assert "expected keypoints with names, which say the layout, got none that can be read; label some" in out


def test_a_model_that_knows_no_keypoint_is_told_in_a_sentence(run: Run, tmp_path: Path, photos: Path) -> None:
    hand = {**CATEGORY, "keypoints": ["thumb", "index", "ring"]}
    path = truth(tmp_path, person(1, keypoints=[10, 10, 2, 50, 60, 2, 90, 60, 2]), categories=[hand])
    code, _, error = run("refine", path, "--images", photos, "-o", tmp_path / "out.json")
    assert code == 2
    assert (
        f"{path}: the model knows none of its 3 keypoints by name (thumb, index, ring); name a model" in error
    )


def test_visibilities_go_over_to_labels_and_back_to_the_layout(
    run: Run, tmp_path: Path, photos: Path
) -> None:
    hidden = [*flat(2)[:2], 1, *flat(2)[3:48], 0, 0, 0]
    path = truth(tmp_path, person(1, keypoints=hidden), images=[image(1)])
    labels = tmp_path / "labels"
    words = ("convert", path, labels, "--to", "ultralytics-labels", "--images", photos)
    assert run(*words)[0] == 0
    thirds = (labels / "1.txt").read_text().split()[7::3]
    assert thirds == ["1", *["2"] * 15, "0"]
    file = read_pose_file(labels, "coco17", photo_size=lambda _: SIZE)
    assert (file.has_scores, file.poses.valid.sum()) == (False, 16)
    assert run(*words[:2], tmp_path / "lsp", *words[3:], "--to-layout", "lsp14")[0] == 0
    assert (tmp_path / "lsp" / "1.txt").read_text().split()[7::3] == ["0", *["2"] * 11, "0", "0"]


def test_scores_in_the_place_of_visibilities_are_visible_in_new_labels(run: Run, tmp_path: Path) -> None:
    path = truth(tmp_path, person(1, keypoints=[*flat(0.87)[:48], 0, 0, 0]))
    assert run("convert", path, tmp_path / "new.json", "--to", "coco-annotations")[0] == 0
    written = json.loads((tmp_path / "new.json").read_text())["annotations"][0]
    assert written["keypoints"][2::3] == [2] * 16 + [0]


@pytest.mark.parametrize("kind", ["labelme", "label-studio", "cvat", "mpii-json"])
def test_keypoints_of_labelling_programs_are_visible_in_labels(
    run: Run, tmp_path: Path, photos: Path, kind: str
) -> None:
    made = truth(tmp_path, person(1), images=[image(1)])
    between = tmp_path / {"labelme": "folder", "cvat": "labels.xml"}.get(kind, "labels.json")
    assert run("convert", made, between, "--to", kind, "--images", photos)[0] == 0
    labels = tmp_path / "labels"
    # A new file of Label Studio holds predictions, and those have scores.
    third = "1" if kind == "label-studio" else "2"
    words = ("--to", "ultralytics-labels", "--layout", "coco17", "--images", photos)
    assert run("convert", between, labels, *words)[0] == 0
    assert (labels / "1.txt").read_text().split()[7::3] == [third] * 17


def test_boxes_among_labels_are_counted_and_stay(tmp_path: Path) -> None:
    words = [f"{number:g}" for number in flat(2, SIZE)]
    text = f"0 .2 .2 .1 .1\n0.0 .5 .5 .4 .8 {' '.join(words)}\n"
    path = tmp_path / "1.txt"
    path.write_text(text)
    file = read_pose_file(path, "coco17", photo_size=lambda _: SIZE)
    assert (len(file.poses), file.left_out) == (1, ("boxes without keypoints, left as they are: 1",))
    moved = file.rewrite(file.poses.with_keypoints(file.poses.keypoints + 1))[""].decode()
    assert moved.startswith("0 .2 .2 .1 .1\n0.0 ") and moved != text


def test_rows_that_look_like_those_of_another_program(tmp_path: Path) -> None:
    flat_with_scores = result("1.jpg", keypoint_scores=[0.5] * 17)
    above_one = result("1.jpg", score=17.5, bbox=BOX)
    for row in (flat_with_scores, above_one):
        assert read_pose_file(results(tmp_path, row), "coco17").format == "coco-results"
    for name, row in (("alphapose", result("1.jpg", score=1.5)), ("alphapose", result("1.jpg", box=BOX))):
        assert read_pose_file(results(tmp_path, row)).format == name


@pytest.mark.parametrize("digits", [3, 17])
def test_evaluate_writes_all_digits(run: Run, tmp_path: Path, digits: int) -> None:
    """The numbers are those of the library, not the text's three digits."""
    path = truth(tmp_path, *(person(n, image_id=1) for n in range(digits)))
    found, output = results(tmp_path, result(1)), tmp_path / "numbers.json"
    words = ("evaluate", found, "--layout", "coco17", "--annotations", path, "--json", output)
    assert run(*words)[0] == 0
    numbers = json.loads(output.read_text())
    assert (numbers["metric"], len(numbers["keypoints"])) == ("coco", 17)
    assert numbers["numbers"]["AR"] == pytest.approx(1 / digits, abs=1e-12)
    assert run(*words, "--against", found)[0] == 0
    numbers = json.loads(output.read_text())
    assert numbers["before"] == numbers["after"] and numbers["difference"] == 0


MOUSE = """scorer,net,net,net,net,net,net,net,net,net,net,net,net
bodyparts,snout,snout,snout,leftear,leftear,leftear,rightear,rightear,rightear,tailbase,tailbase,tailbase
coords,x,y,likelihood,x,y,likelihood,x,y,likelihood,x,y,likelihood
1,187.0,120.0,0.999,164.0,107.0,0.999,164.0,133.0,0.999,74.0,120.0,0.999
"""


def test_poses_of_a_mouse_are_no_work_for_a_model_of_people(run: Run, tmp_path: Path, photos: Path) -> None:
    path = tmp_path / "mouse.csv"
    path.write_text(MOUSE)
    code, _, error = run("refine", path, "--images", photos, "-o", tmp_path / "out.csv")
    assert (code, (tmp_path / "out.csv").exists()) == (2, False)
    assert (
        "the model knows 2 of its 4 keypoints by name (left_ear, right_ear, no shoulder and no hip" in error
    )
    assert "(--model)" in error
    assert "nothing: the model knows 2 of its 4 keypoints" in run("inspect", path)[1]


def test_keypoints_filled_in_beside_a_box_lie_in_it_and_visibility_follows_confidence(
    run: Run, tmp_path: Path, photos: Path
) -> None:
    face = [*flat(2)[:9], *[0] * 42]
    path = truth(tmp_path, person(1, keypoints=face, num_keypoints=3), images=[image(1)])
    Image.new("RGB", SIZE, (128, 128, 128)).save(photos / "1.png")
    code, out, _ = run("refine", path, "--images", photos, "-o", tmp_path / "out.json")
    assert (code, "left missing, as hardly seen:" in out) == (0, True)  # the photo shows nothing at all
    labels = np.array(json.loads((tmp_path / "out.json").read_text())["annotations"][0]["keypoints"]).reshape(
        -1, 3
    )
    assert (labels[3:, 2] < 2).all()
    found = results(tmp_path, result(1, keypoints=[*flat(0.8)[:9], *[0] * 42], bbox=BOX))
    words = ("--layout", "coco17", "--images", photos, "-o", tmp_path / "o.json")
    assert run("refine", found, *words)[0] == 0
    placed = np.array(json.loads((tmp_path / "o.json").read_text())[0]["keypoints"]).reshape(-1, 3)[3:, :2]
    assert np.ptp(placed, axis=0).max() > 100
