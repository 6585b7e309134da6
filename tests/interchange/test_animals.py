"""Animals beside people in one file: they stay as they are, nobody mistakes them for people, and it is said."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from posefix.errors import InputError
from posefix.formats.coco_annotations import read_annotations, read_category_names
from posefix.interchange import read_pose_file
from posefix.interchange.catalogue import FORMATS, OF_CATEGORIES
from posefix.network.decoding import Evidence
from posefix.pose_files.people_alone import people_alone
from posefix.pose_files.pose_file import FormatError, PoseFile
from posefix.refine.backends import identity_backend
from posefix.refine.refiner import Refiner
from posefix.skeletons import are_of_people, load_skeleton, skeleton_names

Json = dict[str, Any]
Run = Callable[..., tuple[int, str, str]]

NAMES = list(load_skeleton("coco17").keypoint_names)
ANIMAL = [
    "L_Eye", "R_Eye", "L_EarBase", "R_EarBase", "Nose", "Throat", "TailBase", "Withers", "L_F_Elbow", "R_F_Elbow",
    "L_B_Elbow", "R_B_Elbow", "L_F_Knee", "R_F_Knee", "L_B_Knee", "R_B_Knee", "L_F_Paw", "R_F_Paw", "L_B_Paw",
    "R_B_Paw",
]  # fmt: skip
"""Of the data set Animal Pose."""
HEAD = NAMES[:5]
PLACES = [(150, 60), (158, 52), (142, 52), (168, 58), (132, 58), (185, 100), (115, 100), (200, 150), (100, 150),
          (205, 195), (95, 195), (170, 200), (130, 200), (172, 270), (128, 270), (172, 340), (128, 340)]  # fmt: skip
BOX = [90, 40, 120, 310]
DOG_BOX = [20, 200, 80, 80]
PERSON = {"id": 1, "name": "person", "keypoints": NAMES}
DOG = {"id": 18, "name": "dog", "keypoints": ANIMAL}


def flat(third: float, count: int = 17) -> list[float]:
    return [number for x, y in (PLACES * 2)[:count] for number in (x, y, third)]


def row(category: Any = 1, count: int = 17, **fields: Any) -> Json:
    content = {
        "image_id": 1,
        "category_id": category,
        "keypoints": flat(0.8, count),
        "score": 0.9,
        "bbox": BOX,
    }
    return {key: value for key, value in {**content, **fields}.items() if value is not ...}


def labelled(number: int, category: int = 1, count: int = 17, **fields: Any) -> Json:
    content = {"id": number, "image_id": 1, "category_id": category, "keypoints": flat(2, count), "bbox": BOX}
    return {**content, "num_keypoints": count, "area": 20000, "iscrowd": 0, **fields}


def joint(
    folder: Path, categories: Any = (DOG, PERSON), people: Any = None, name: str = "joint.json"
) -> Path:
    """Annotations of a dog and a person in one photo."""
    annotated = [labelled(1, 18, 20, bbox=DOG_BOX), labelled(2)] if people is None else people
    content = {
        "images": [{"id": 1, "file_name": "1.png", "width": 300, "height": 400}],
        "annotations": annotated,
    }
    return saved(folder / name, {**content, "categories": list(categories)})


def saved(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def rows_of(contents: Any) -> list[Json]:
    return list(json.loads(contents[""]))


def moved(file: PoseFile) -> Any:
    return file.rewrite(file.poses.with_keypoints(file.poses.keypoints + 1))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (300, 400)).save(folder / "1.png")
    return folder


@pytest.fixture
def shift(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the packaged network by one that is sure of the place two crop pixels below."""

    def backend(images: np.ndarray, keypoints: np.ndarray, weights: np.ndarray) -> Evidence:
        unsure = np.zeros(weights.shape, dtype=np.float32)
        sure = identity_backend(images, keypoints + np.array([0, 2], dtype=np.float32), weights)
        return replace(sure, given_similarity=unsure, given_vicinity=unsure)

    def load(*_: object, **__: object) -> Refiner:
        return Refiner(backend, load_skeleton("posefix19"), (144, 192), looks=1, scores="input")

    monkeypatch.setattr(Refiner, "from_pretrained", load)


# COCO results


def test_rows_of_other_categories_stay_as_they_are(tmp_path: Path) -> None:
    rows = [row(18), row(1, track_id=3), row(18), row(...), row(1)]
    text = json.dumps(rows, indent=1).replace("0.8", "0.80")
    path = saved(tmp_path / "results.json", text)
    file = read_pose_file(path, "coco17", category="1")
    assert (len(file.poses), file.tracks, file.categories) == (3, (3, None, None), (1, None, 1))
    assert file.left_out == ("rows of other categories, left as they are: 2 (category_id 18 2)",)
    assert file.rewrite(file.poses)[""].decode() == text
    written = rows_of(moved(file))
    assert [new == old for new, old in zip(written, rows, strict=True)] == [True, False, True, False, False]
    assert moved(file)[""].decode().count("0.80") == text.count("0.80")
    kept = rows_of(file.rewrite(file.poses, keep=[1]))
    assert kept == [rows[0], rows[2], rows[3]]


@pytest.mark.parametrize(("given", "asked"), [(1.0, "1"), ("1", "1"), ("person", "person"), (-1, "-1")])
def test_a_category_of_rows_may_be_written_otherwise(tmp_path: Path, given: Any, asked: str) -> None:
    path = saved(tmp_path / "results.json", [row(18), row(given)])
    assert len(read_pose_file(path, "coco17", category=asked).poses) == 1


def test_rows_of_other_categories_may_have_other_keypoints(tmp_path: Path) -> None:
    rows = [row(1), row(18, 20), row(18, keypoints="none"), row(18, image_id=..., score=...)]
    path = saved(tmp_path / "results.json", rows)
    file = read_pose_file(path, "coco17", category="1")
    assert (len(file.poses), rows_of(moved(file))[1:]) == (1, rows[1:])
    with pytest.raises(
        FormatError, match=r"got 60; .* of one layout; --category reads the rows of one category"
    ):
        read_pose_file(path, "coco17")
    with pytest.raises(FormatError, match="with 17 keypoints it may be coco17"):
        read_pose_file(path, category="1")
    with pytest.raises(FormatError, match="no packaged layout has 20 keypoints"):
        read_pose_file(saved(path, rows[:2]), category="18")


def test_faults_of_rows_tell_their_places_in_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path / "results.json", [row(18), row(1), row(18), row(1, score=...)])
    with pytest.raises(FormatError, match="row 3, field 'score': expected a finite number"):
        read_pose_file(path, "coco17", category="1")
    with pytest.raises(FormatError, match="row 1, field 'keypoints', x of nose"):
        read_pose_file(saved(path, [row(18), row(1, keypoints=["1"] * 51)]), "coco17", category="1")


def test_names_of_categories_are_those_of_annotations(tmp_path: Path) -> None:
    names = read_category_names(joint(tmp_path))
    assert names == {18: "dog", 1: "person"}
    path = saved(tmp_path / "results.json", [row(18), row(1), row(18)])
    file = read_pose_file(path, "coco17", category="person", category_names=names)
    assert (len(file.poses), file.left_out) == (
        1,
        ("rows of other categories, left as they are: 2 (dog 2)",),
    )
    assert len(read_pose_file(path, "coco17", category="18", category_names=names).poses) == 2
    with pytest.raises(FormatError) as caught:
        read_pose_file(path, "coco17", category="cat", category_names=names)
    assert str(caught.value) == (
        f"{path}, field 'category_id': there is no row of category 'cat' (--category); expected one of dog, person."
    )
    with pytest.raises(
        FormatError, match=r"expected one of 18, 1, or what annotations call one of them \(--ann"
    ):
        read_pose_file(path, "coco17", category="person")


def test_zero_in_all_rows_tells_no_category_as_in_measures(tmp_path: Path) -> None:
    path = saved(tmp_path / "results.json", [row(0), row(0)])
    file = read_pose_file(path, "coco17", category="person", category_names={1: "person"})
    note = "category_id 0 in all rows, which is none of the annotations': taken for person"
    assert (len(file.poses), file.notes, file.left_out) == (2, (note,), ())
    cases: list[tuple[Any, str]] = [({0: "dog", 1: "person"}, "person"), ({}, "1")]
    for names, category in cases:
        with pytest.raises(FormatError, match="there is no row of category"):
            read_pose_file(path, "coco17", category=category, category_names=names)


def test_rows_of_several_categories_are_noted_where_nobody_chose(tmp_path: Path) -> None:
    path = saved(tmp_path / "results.json", [row(18), row(1), row(18), row(...)])
    file = read_pose_file(path, "coco17")
    told = "rows are of several categories, and all are read as of one layout (category_id 18 2, category_id 1 1); "
    assert (len(file.poses), file.notes) == (4, (f"{told}--category reads one",))
    assert read_pose_file(saved(path, [row(1), row(...)]), "coco17").notes == ()
    assert read_pose_file(saved(path, [row(...)]), "coco17", category="1").left_out == ()
    assert len(read_pose_file(saved(path, []), "coco17", category="1").poses) == 0
    assert len(read_pose_file(saved(path, [row(18), row(...)]), "coco17", category="1").poses) == 1


def test_people_get_no_score_beside_rows_that_have_none(tmp_path: Path) -> None:
    """Where some rows have a score and others not, the file could not be read again."""
    path = saved(tmp_path / "results.json", [row(18, score=...), row(1, score=...)])
    file = read_pose_file(path, "coco17", category="1")
    written = rows_of(file.rewrite(replace(file.poses, pose_scores=np.array([0.25]))))
    assert not any("score" in entry for entry in written)


@pytest.mark.usefixtures("shift")
def test_refine_leaves_the_animals_of_results_alone(run: Run, tmp_path: Path, photos: Path) -> None:
    path, output = saved(tmp_path / "poses.json", [row(18), row(1)]), tmp_path / "out.json"
    words = ("refine", path, "--images", photos, "-o", output, "--layout", "coco17")
    code, out, _ = run(*words, "--category", "person", "--annotations", joint(tmp_path))
    assert (code, "1 of 1 person refined" in out) == (0, True)
    assert "rows of other categories, left as they are: 1 (dog 1)" in out
    written = json.loads(output.read_text())
    assert (written[0], written[1]["keypoints"] == flat(0.8)) == (row(18), False)
    code, out, _ = run(*words, "--category", "1", "--boxes", path)
    assert (code, "1 of 1 person refined" in out) == (0, True)
    code, out, _ = run(*words)
    assert (code, "2 of 2 people refined" in out) == (0, True)
    assert "rows are of several categories, and all are read as of one layout (category_id 18 1" in out


# Formats without categories


@pytest.mark.parametrize("name", [known.name for known in FORMATS if known.name not in OF_CATEGORIES])
def test_a_category_is_refused_where_there_are_none(run: Run, tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / "poses.json", "[]")
    with pytest.raises(FormatError) as caught:
        read_pose_file(path, "coco17", format=name, category="person")
    told = f"{path}: expected no --category, which chooses in files of posetrack18, coco-annotations, "
    assert str(caught.value).startswith(told)
    assert f"got 'person' for one of {name}, where everybody is read; leave it out." in str(caught.value)
    for command in ("inspect", "validate"):
        code, out, _ = run(command, path, "--format", name, "--layout", "coco17", "--category", "person")
        assert (code, "expected no --category" in out) == (2, True)


# Labels


def skeleton(label: str, names: list[str], shown: int = 0) -> str:
    """A skeleton of CVAT; of its keypoints only the first may be in the photo."""
    points = "".join(
        f'<points label="{name}" outside="{int(bool(shown) and place >= shown)}" points="{x},{y}"></points>'
        for place, (name, (x, y)) in enumerate(zip(names, PLACES * 2, strict=False))
    )
    return f'<skeleton label="{label}">{points}</skeleton>'


def cvat(folder: Path, *skeletons: str) -> Path:
    image = f'<image id="0" name="1.png" width="300" height="400">{"".join(skeletons)}</image>'
    return saved(folder / "labels.xml", f"<annotations>{image}</annotations>")


def labelme(folder: Path, **names_of: list[str]) -> Path:
    """A group for each label, with a box that is called so; `none` has no box."""
    shapes: list[Json] = []
    for group, (label, names) in enumerate(names_of.items()):
        points = [
            {"label": name, "points": [list(place)], "group_id": group, "shape_type": "point"}
            for name, place in zip(names, PLACES, strict=False)
        ]
        box = {"label": label, "points": [[90, 40], [210, 350]], "group_id": group, "shape_type": "rectangle"}
        shapes += points + [box] * (label != "none")
    return saved(folder / "1.json", {"shapes": shapes, "imagePath": "1.png"})


def label_studio(folder: Path, **names_of: list[str]) -> Path:
    photo = {"original_width": 300, "original_height": 400, "from_name": "kp", "to_name": "image"}
    regions: list[Json] = []
    for label, names in names_of.items():
        for name, (x, y) in zip(names, PLACES, strict=False):
            value = {"x": x / 3, "y": y / 4, "width": 0.25, "keypointlabels": [name]}
            region = {"id": f"{label}-{name}", "type": "keypointlabels", "value": value, **photo}
            regions.append({**region, "parentID": label})
        sides = {
            "x": 30.0,
            "y": 10.0,
            "width": 40.0,
            "height": 80.0,
            "rotation": 0,
            "rectanglelabels": [label],
        }
        regions.append({"id": label, "type": "rectanglelabels", "value": sides, **photo})
    tasks = [{"data": {"image": "1.png"}, "annotations": [{"id": 1, "result": regions}]}]
    return saved(folder / "tasks.json", tasks)


def cvat_labels(folder: Path, **names_of: list[str]) -> Path:
    return cvat(folder, *(skeleton(label, names) for label, names in names_of.items()))


LABELS = {"labelme": labelme, "label-studio": label_studio, "cvat": cvat_labels}


@pytest.mark.parametrize("kind", LABELS)
def test_of_several_labels_person_is_taken(
    run: Run, tmp_path: Path, photos: Path, shift: None, kind: str
) -> None:
    path = LABELS[kind](tmp_path, person=NAMES, dog=HEAD)
    file = read_pose_file(path)
    assert (len(file.poses), file.poses.skeleton.name) == (1, "coco17")
    assert any(line.endswith("left as they are: 1 (dog 1)") for line in file.left_out)
    output = tmp_path / f"out{path.suffix}"
    code, out, _ = run("refine", path, "--images", photos, "-o", output)
    assert (code, "left as they are: 1 (dog 1)" in out) == (0, True)
    assert len(read_pose_file(output, category="person").poses) == 1
    dog = read_pose_file(output, category="dog")
    assert dog.poses.skeleton.keypoint_names == tuple(HEAD)
    assert np.allclose(dog.poses.keypoints[0], np.array(PLACES[:5]) - 0.5)


@pytest.mark.parametrize("kind", LABELS)
def test_other_labels_are_read_together_and_it_is_said(
    run: Run, tmp_path: Path, photos: Path, shift: None, kind: str
) -> None:
    path = LABELS[kind](tmp_path, worker=NAMES, visitor=NAMES)
    told = (
        "have several labels, and all are read as of one layout (worker 1, visitor 1); --category reads one"
    )
    assert told in run("inspect", path)[1]
    code, out, _ = run("refine", path, "--images", photos, "-o", tmp_path / f"out{path.suffix}")
    assert (code, told in out) == (0, True)
    assert len(read_pose_file(path).poses) == 2


def test_who_has_no_box_may_be_a_person(tmp_path: Path) -> None:
    path = labelme(tmp_path, person=NAMES, none=NAMES, dog=HEAD)
    assert len(read_pose_file(path).poses) == 2
    assert len(read_pose_file(path, category="person").poses) == 1


def test_people_are_refined_beside_skeletons_with_other_keypoints(
    run: Run, tmp_path: Path, photos: Path, shift: None
) -> None:
    for label in ("person", "worker"):
        path = cvat_labels(tmp_path, dog=ANIMAL, **{label: NAMES})
        told = f"dog (20 keypoints), {label} (17 keypoints); choose one of them (--category '{label}')"
        assert told in run("inspect", path)[1]
        with pytest.raises(FormatError, match="expected skeletons with the same keypoints"):
            read_pose_file(path)
        code, out, _ = run("refine", path, "--images", photos, "-o", tmp_path / f"{label}.xml")
        assert (code, "skeletons of other labels, left as they are: 1 (dog 1)" in out) == (0, True)
    with people_alone(), pytest.raises(FormatError, match=r"choose one of them \(--category 'dog'\)"):
        read_pose_file(cvat_labels(tmp_path, dog=ANIMAL, cat=HEAD))


# COCO annotations


@pytest.mark.parametrize("name", [*skeleton_names(), "hand and foot"])
def test_names_tell_people_from_animals(name: str) -> None:
    of_people = name in skeleton_names()
    names = load_skeleton(name).keypoint_names if of_people else ("left_wrist", "left_ankle")
    assert are_of_people(names) == of_people
    assert not are_of_people(ANIMAL)
    assert not are_of_people(HEAD)
    assert not are_of_people(["nose", "Nose"])


@pytest.mark.parametrize("categories", [(DOG, PERSON), (PERSON, DOG)])
@pytest.mark.parametrize("command", ["inspect", "validate", "convert", "evaluate", "draw"])
def test_who_wants_everybody_is_told_to_choose_people(
    run: Run, tmp_path: Path, photos: Path, command: str, categories: Any
) -> None:
    path, found = joint(tmp_path, categories), saved(tmp_path / "poses.json", [row()])
    words: dict[str, list[object]] = {
        "inspect": [path],
        "validate": [path],
        "convert": [path, tmp_path / "out.json", "--to", "coco-results"],
        "evaluate": [
            saved(tmp_path / "mpii.json", [row(count=16)]),
            "--layout",
            "mpii16",
            "--annotations",
            path,
        ],
        "draw": [path, "--images", photos, "-o", tmp_path / "out.png"],
    }
    code, out, error = run(command, *words[command])
    advice = "got person (17 keypoints), dog (20 keypoints); choose a category (--category 'person')"
    assert (code, advice in out + error) == (2, True)
    if command not in ("evaluate", "draw"):
        assert run(command, *words[command], "--layout", "coco17")[0] == 0
    if command == "evaluate":
        code, out, _ = run(command, found, "--layout", "coco17", "--annotations", path)
        assert (code, "annotations of other categories, left as they are: 1 (dog 1)" in out) == (0, True)


@pytest.mark.parametrize("options", [(), ("--layout", "coco17"), ("--category", "person")])
def test_refine_takes_the_people_of_a_joint_file(
    run: Run, tmp_path: Path, photos: Path, shift: None, options: tuple[str, ...]
) -> None:
    path, output = joint(tmp_path), tmp_path / "out.json"
    for boxes in ((), ("--boxes", path)):
        code, out, error = run("refine", path, "--images", photos, "-o", output, *options, *boxes)
        assert (code, error) == (0, "")
        assert "1 of 1 person refined" in out
        assert "annotations of other categories, left as they are: 1 (dog 1)" in out
        before, after = (json.loads(one.read_text())["annotations"] for one in (path, output))
        assert (before[0] == after[0], before[1] == after[1]) == (True, False)


def test_people_of_several_categories_are_taken_together(
    run: Run, tmp_path: Path, photos: Path, shift: None
) -> None:
    rider = {"id": 3, "name": "rider", "keypoints": [name.replace("_", " ") for name in NAMES]}
    people = [labelled(1, 18, 20), labelled(2), labelled(3, 3)]
    path, output = joint(tmp_path, (DOG, PERSON, rider), people), tmp_path / "out.json"
    code, out, _ = run("refine", path, "--images", photos, "-o", output)
    assert (code, "categories with the same keypoints, together: person, rider" in out) == (0, True)
    assert "left as they are: 1 (dog 1)" in out
    with pytest.raises(InputError, match=r"choose a category \(--category 'person'\)"):
        read_pose_file(path)
    assert len(read_pose_file(path, "coco17").poses) == 2
    arms = {**rider, "keypoints": NAMES[5:11]}
    with (
        people_alone(),
        pytest.raises(InputError, match=r"person \(17 keypoints\), rider \(6 keypoints\); choose"),
    ):
        read_pose_file(joint(tmp_path, (DOG, PERSON, arms), [*people[:2], labelled(3, 3, 6)]))


def test_refine_says_that_categories_are_taken_together(
    run: Run, tmp_path: Path, photos: Path, shift: None
) -> None:
    """As animals are for which somebody chose the keypoints of people."""
    path = joint(tmp_path, ({**DOG, "keypoints": NAMES}, PERSON), [labelled(1, 18), labelled(2)])
    code, out, _ = run("refine", path, "--images", photos, "-o", tmp_path / "out.json")
    assert (code, "categories with the same keypoints, together: dog, person" in out) == (0, True)


def test_where_nobody_is_a_person_somebody_chooses(tmp_path: Path) -> None:
    path = joint(tmp_path, (DOG, {**PERSON, "keypoints": [f"k{n}" for n in range(17)]}))
    with people_alone(), pytest.raises(InputError, match=r"choose a category \(--category 'dog'\)"):
        read_pose_file(path)
    with people_alone(), pytest.raises(InputError, match="choose a category"):
        read_pose_file(path, "lsp14")


def test_a_layout_chooses_among_annotations_that_are_the_truth(tmp_path: Path) -> None:
    path = joint(tmp_path)
    truth = read_annotations(path, "coco17")
    assert (len(truth.people), truth.skeleton.name) == (1, "coco17")
    assert truth.left_out == ("annotations of other categories, left as they are: 1 (dog 1)",)
    with pytest.raises(InputError, match="choose a category"):
        read_annotations(path)


def test_boxes_of_results_are_those_of_their_category(
    run: Run, tmp_path: Path, photos: Path, shift: None
) -> None:
    found = saved(tmp_path / "poses.json", [row()])
    words = (
        "refine",
        found,
        "--images",
        photos,
        "-o",
        tmp_path / "out.json",
        "--layout",
        "coco17",
        "--boxes",
    )
    assert run(*words, joint(tmp_path))[0] == 0
    detected = [row(18, bbox=DOG_BOX, keypoints=...), row(keypoints=...)]
    assert run(*words, saved(tmp_path / "boxes.json", detected))[0] == 0
    code, _, error = run(*words, saved(tmp_path / "boxes.json", [*detected, *detected]))
    told = "expected 1 rows, one per pose in the same order, got 4, 2 of them of the poses' category"
    assert (code, told in error) == (2, True)
