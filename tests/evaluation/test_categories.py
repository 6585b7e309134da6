"""Results and annotations of several categories: who is compared, and pycocotools' numbers for the same files."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posefix.cli.app import main
from posefix.errors import InputError
from posefix.evaluation import evaluate_coco
from posefix.formats.coco_annotations import Annotations, read_annotations
from posefix.interchange import ComparedPoses, read_compared_poses
from posefix.skeletons import load_skeleton

Json = dict[str, Any]
Scene = tuple[Json, list[Json]]
Oracle = Callable[[Json, list[Json], list[str]], list[float]]
RandomScene = Callable[[int], Scene]

NAMES = list(load_skeleton("coco17").keypoint_names)
PERSON = {"id": 1, "name": "person", "keypoints": NAMES}
CAT = {"id": 17, "name": "cat", "keypoints": NAMES}
DOG = {"id": 18, "name": "dog", "keypoints": NAMES}


def compared(
    folder: Path, truth: Json, rows: list[Json], category: str | None = None
) -> tuple[ComparedPoses, Annotations]:
    """What is read of annotations and results with these contents."""
    annotations, results = folder / "truth.json", folder / "results.json"
    annotations.write_text(json.dumps(truth), encoding="utf-8")
    results.write_text(json.dumps(rows), encoding="utf-8")
    read = read_annotations(annotations, category=category)
    return read_compared_poses(results, read, "coco17"), read


def of_category(rows: list[Json], *given: Any) -> list[Json]:
    """The same rows, of these categories by turns."""
    return [{**row, "category_id": given[number % len(given)]} for number, row in enumerate(rows)]


def of_no_category(rows: list[Json]) -> list[Json]:
    return [{name: value for name, value in row.items() if name != "category_id"} for row in rows]


def animals(scene: Scene) -> Scene:
    """Cats in photos of even numbers and dogs in the others, who are now and then taken for cats; people nowhere."""
    truth, rows = copy.deepcopy(scene)
    truth["categories"] = [CAT, DOG]
    for animal in truth["annotations"]:
        animal["category_id"] = 17 + animal["image_id"] % 2
    mistaken = np.random.default_rng(0).random(len(rows)) < 0.2
    return truth, [
        {**row, "category_id": 17 if wrong else 17 + row["image_id"] % 2}
        for row, wrong in zip(rows, mistaken, strict=True)
    ]


def only(truth: Json, category: int) -> Json:
    """Annotations with one of their categories."""
    return {
        **truth,
        "categories": [one for one in truth["categories"] if one["id"] == category],
        "annotations": [one for one in truth["annotations"] if one["category_id"] == category],
    }


@pytest.mark.parametrize("seed", range(3))
def test_animals_of_a_joint_file_are_no_false_positives(
    tmp_path: Path, oracle: Oracle, random_scene: RandomScene, seed: int
) -> None:
    truth, rows = random_scene(seed)
    joint = [*of_category(rows[::3], 17, 18, 18), *rows]
    found, annotations = compared(tmp_path, truth, joint)
    count = len(rows[::3])
    (note,) = found.notes
    assert note.startswith(f"poses of other categories, left out: {count} (category_id 18 ")
    assert list(evaluate_coco(found.poses, annotations).as_dict().values()) == oracle(truth, joint, NAMES)
    # As people they would count.
    both = compared(tmp_path, truth, of_category(joint, 1))[0].poses
    assert evaluate_coco(both, annotations).ap < evaluate_coco(found.poses, annotations).ap


@pytest.mark.parametrize("seed", range(3))
def test_each_of_several_categories_has_the_oracles_numbers(
    tmp_path: Path, oracle: Oracle, random_scene: RandomScene, seed: int
) -> None:
    truth, rows = animals(random_scene(seed))
    measured = []
    for category, other in ((CAT, "dog"), (DOG, "cat")):
        found, annotations = compared(tmp_path, truth, rows, str(category["name"]))
        left_out = sum(row["category_id"] != category["id"] for row in rows)
        assert found.notes == (f"poses of other categories, left out: {left_out} ({other} {left_out})",)
        measured.append(list(evaluate_coco(found.poses, annotations).as_dict().values()))
        assert measured[-1] == oracle(only(truth, int(str(category["id"]))), rows, NAMES)
    # What pycocotools makes of all of them is the mean over the categories, which have people of each size here.
    assert min(map(min, measured)) >= 0
    assert np.mean(measured, axis=0) == pytest.approx(oracle(truth, rows, NAMES), abs=1e-12)


def test_several_categories_are_one_unless_one_is_chosen(
    tmp_path: Path, oracle: Oracle, random_scene: RandomScene
) -> None:
    truth, rows = animals(random_scene(1))
    people = of_category(rows[::4], 1)
    found, annotations = compared(tmp_path, truth, [*rows, *people])
    assert found.notes == (
        f"poses of other categories, left out: {len(people)} (category_id 1 {len(people)})",
    )
    as_one = {**truth, "categories": [PERSON], "annotations": of_category(truth["annotations"], 1)}
    expected = oracle(as_one, of_category(rows, 1), NAMES)
    assert list(evaluate_coco(found.poses, annotations).as_dict().values()) == expected


@pytest.mark.parametrize("given", [1, 1.0, "1", None])
def test_a_category_may_be_written_otherwise_or_not_at_all(
    tmp_path: Path, oracle: Oracle, random_scene: RandomScene, given: Any
) -> None:
    truth, rows = random_scene(0)
    found, annotations = compared(tmp_path, truth, of_category(rows, given))
    assert found.notes == ()
    assert list(evaluate_coco(found.poses, annotations).as_dict().values()) == oracle(truth, rows, NAMES)
    assert len(compared(tmp_path, truth, of_no_category(rows))[0].poses) == len(rows)


def test_zero_throughout_tells_no_category(tmp_path: Path, oracle: Oracle, random_scene: RandomScene) -> None:
    truth, rows = random_scene(0)
    found, annotations = compared(tmp_path, truth, of_category(rows, 0))
    assert found.notes == (
        "category_id 0 in all rows, which is none of the annotations': taken for person (1)",
    )
    assert list(evaluate_coco(found.poses, annotations).as_dict().values()) == oracle(truth, rows, NAMES)


def test_a_category_without_annotations_says_nothing_of_results(
    tmp_path: Path, random_scene: RandomScene
) -> None:
    """Such as the group that labelling tools put before the others."""
    truth, rows = random_scene(0)
    truth["categories"] = [{"id": 0, "name": "creatures"}, PERSON]
    assert len(compared(tmp_path, truth, of_category(rows, 0))[0].poses) == len(rows)
    truth["annotations"].append({**truth["annotations"][0], "id": 10**6, "category_id": 0})
    with pytest.raises(InputError, match=rf"got only others \(creatures {len(rows)}\)"):
        compared(tmp_path, truth, of_category(rows, 0))


@pytest.mark.parametrize(
    ("given", "listed"), [((18,), "category_id 18 {0}"), ((0, 2), r"category_id 0 \d+, category_id 2 \d+")]
)
def test_poses_of_other_categories_alone_are_refused(
    tmp_path: Path, random_scene: RandomScene, given: tuple[int, ...], listed: str
) -> None:
    truth, rows = random_scene(0)
    message = (
        r"results\.json, field 'category_id': expected poses of person \(1\), got only others "
        rf"\({listed.format(len(rows))}\); correct the field or leave it out"
    )
    with pytest.raises(InputError, match=message):
        compared(tmp_path, truth, of_category(rows, *given))


def test_where_annotations_tell_no_category_all_poses_count(
    tmp_path: Path, random_scene: RandomScene
) -> None:
    truth, rows = random_scene(0)
    annotations = of_no_category(truth["annotations"])
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"images": truth["images"], "annotations": annotations}), encoding="utf-8")
    results = tmp_path / "results.json"
    results.write_text(json.dumps(of_category(rows, 1, 18)), encoding="utf-8")
    found = read_compared_poses(results, read_annotations(path, "coco17"), "coco17")
    assert (len(found.poses), found.notes) == (len(rows), ())


@pytest.mark.parametrize("command", ["evaluate", "analyze", "compare", "profile"])
def test_commands_say_how_many_poses_are_left_out(
    tmp_path: Path, random_scene: RandomScene, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    truth, rows = random_scene(0)
    compared(tmp_path, truth, [*rows, *of_category(rows[:7], 18)])
    results, annotations = str(tmp_path / "results.json"), str(tmp_path / "truth.json")
    words = [command, results, "--annotations", annotations, "--layout", "coco17"]
    if command == "compare":
        words.insert(2, results)
    if command == "profile":
        words += ["--output", str(tmp_path / "profile.json")]
    assert main(words) == 0
    count = 2 if command == "compare" else 1
    note = "poses of other categories, left out: 7 (category_id 18 7)"
    assert capsys.readouterr().out.count(note) == count
