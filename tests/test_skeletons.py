import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posefix.errors import InputError
from posefix.skeletons import (
    Keypoint,
    Skeleton,
    limbs_of,
    load_skeleton,
    match_keypoints,
    skeleton_from_coco,
    skeleton_from_names,
    skeleton_names,
    why_foreign,
)
from posefix.skeletons.library import FOLDER

COUNTS = {
    "coco17": 17,
    "lsp14": 14,
    "mpii16": 16,
    "aic14": 14,
    "hourglass14": 14,
    "efficientpose16": 16,
    "crowdpose14": 14,
    "posetrack18": 17,
    "openpose18": 18,
    "body25": 25,
    "blazepose33": 33,
    "halpe26": 26,
    "halpe136": 136,
    "wholebody133": 133,
    "posefix19": 19,
}
COCO_SIGMAS = [26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]
every_skeleton = pytest.mark.parametrize("name", skeleton_names())


def test_all_layouts_are_packaged() -> None:
    assert {name: len(load_skeleton(name)) for name in skeleton_names()} == COUNTS
    assert {path.stem for path in FOLDER.glob("*.json")} == {*COUNTS, "keypoints"}


def test_names_and_order_are_those_of_the_real_files(shared_data: Path) -> None:
    layouts = json.loads((shared_data / "layouts.json").read_text(encoding="utf-8"))
    for name, keypoint_names in layouts.items():
        assert list(load_skeleton(name).keypoint_names) == keypoint_names


@every_skeleton
def test_every_keypoint_is_defined_and_every_sigma_has_a_source(name: str) -> None:
    for keypoint in load_skeleton(name).keypoints:
        assert keypoint.definition.endswith(".")
        assert (keypoint.sigma is None) == (keypoint.sigma_source == "")


@every_skeleton
def test_flipping_exchanges_left_and_right(name: str) -> None:
    skeleton = load_skeleton(name)
    swap = {"left": "right", "right": "left"}
    mirrored = [
        "_".join(swap.get(word, word) for word in name.split("_")) for name in skeleton.keypoint_names
    ]
    assert [skeleton.keypoint_names[index] for index in skeleton.flip_index] == mirrored
    assert (skeleton.flip_index[skeleton.flip_index] == np.arange(len(skeleton))).all()


@every_skeleton
def test_limbs_join_all_keypoints_and_are_symmetric(name: str) -> None:
    skeleton = load_skeleton(name)
    limbs = {frozenset(limb) for limb in skeleton.limb_index.tolist()}
    assert {frozenset(limb) for limb in skeleton.flip_index[skeleton.limb_index].tolist()} == limbs
    assert len(limbs) == len(skeleton.limbs)
    assert set(skeleton.limb_index.ravel()) | {skeleton.find(name) for name in skeleton.unscored} == set(
        range(len(skeleton))
    )


def test_sigmas_are_the_published_ones() -> None:
    assert load_skeleton("coco17").sigmas.tolist() == [sigma / 1000 for sigma in COCO_SIGMAS]
    assert load_skeleton("posefix19").sigmas.tolist() == [sigma / 1000 for sigma in [*COCO_SIGMAS, 79, 60]]
    assert load_skeleton("crowdpose14").sigmas[-2:].tolist() == [0.079, 0.079]
    assert load_skeleton("aic14").keypoints[0].sigma_source.startswith("AI Challenger")


def test_an_unknown_sigma_is_not_made_up() -> None:
    with pytest.raises(
        InputError, match=r"no sigma is known for left_eye_inner, .*; leave these keypoints out"
    ):
        _ = load_skeleton("blazepose33").sigmas


def test_arrays_of_a_shared_skeleton_are_locked() -> None:
    with pytest.raises(ValueError, match="read-only"):
        load_skeleton("coco17").flip_index[0] = 1


@pytest.mark.parametrize(
    ("layout", "alias", "name"),
    [
        ("coco17", "Left Eye", "left_eye"),
        ("coco17", "l_eye", "left_eye"),
        ("coco17", "LEye", "left_eye"),
        ("coco17", "left-eye", "left_eye"),
        ("coco17", "RIGHT_ANKLE", "right_ankle"),
        ("mpii16", "upper neck", "neck"),
        ("crowdpose14", "head", "head_top"),
        ("halpe26", "Head", "head_top"),
        ("halpe26", "Hip", "hip_midpoint"),
        ("posetrack18", "head_bottom", "neck"),
        ("openpose18", "Neck", "shoulder_midpoint"),
        ("body25", "MidHip", "hip_midpoint"),
        ("blazepose33", "LEFT_FOOT_INDEX", "left_foot_index"),
    ],
)
def test_aliases_are_those_of_the_layout(layout: str, alias: str, name: str) -> None:
    skeleton = load_skeleton(layout)
    assert skeleton.keypoint_names[skeleton.index(alias)] == name


@pytest.mark.parametrize(
    ("layout", "name"), [("lsp14", "head"), ("mpii16", "shoulder_midpoint"), ("coco17", "neck")]
)
def test_names_of_other_layouts_are_unknown(layout: str, name: str) -> None:
    with pytest.raises(InputError, match=f"skeleton '{layout}' has no keypoint '{name}'; expected one of"):
        load_skeleton(layout).index(name)


@pytest.mark.parametrize(
    ("source", "target", "shared", "passes_through", "missing"),
    [
        ("coco17", "posefix19", 17, (), ("neck", "head_top")),
        (
            "lsp14",
            "coco17",
            12,
            ("neck", "head_top"),
            ("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
        ),
        ("openpose18", "posefix19", 17, ("shoulder_midpoint",), ("neck", "head_top")),
        ("mpii16", "posefix19", 14, ("pelvis", "thorax"), load_skeleton("coco17").keypoint_names[:5]),
        ("posetrack18", "posefix19", 17, (), ("left_eye", "right_eye")),
        ("crowdpose14", "lsp14", 14, (), ()),
    ],
)
def test_keypoints_match_by_name(
    source: str, target: str, shared: int, passes_through: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    mapping = match_keypoints(load_skeleton(source), load_skeleton(target))
    assert (len(mapping.shared), mapping.passes_through, mapping.missing) == (shared, passes_through, missing)
    assert mapping.shared == tuple(mapping.target.keypoint_names[index] for index in mapping.target_index)
    for names in (mapping.shared, passes_through, missing):
        assert f"({len(names)}): {', '.join(names) or 'none'}" in mapping.report()


def test_skeletons_without_a_common_keypoint_do_not_match() -> None:
    head, feet = (
        load_skeleton("coco17").subset(["nose"]),
        load_skeleton("body25").subset(["left_heel", "right_heel"]),
    )
    with pytest.raises(InputError, match=r"\(nose\) and .* share no keypoint name; rename them"):
        match_keypoints(head, feet)


def test_a_subset_keeps_what_is_whole() -> None:
    arm = load_skeleton("coco17").subset(["Left Wrist", "left_elbow", "right_elbow"])
    assert arm.keypoint_names == ("left_wrist", "left_elbow", "right_elbow")
    assert arm.flip_index.tolist() == [0, 2, 1]
    assert arm.limbs == (("left_elbow", "left_wrist"),)


@given(st.permutations(range(19)), st.integers(1, 19))
def test_flipping_any_subset_twice_changes_nothing(order: list[int], count: int) -> None:
    whole = load_skeleton("posefix19")
    part = whole.subset([whole.keypoint_names[index] for index in order[:count]])
    assert part.flip_index[part.flip_index].tolist() == list(range(count))


# Files and categories of users


def write(folder: Path, content: Any) -> Path:
    path = folder / "horse.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_skeleton_file_may_name_any_keypoints(tmp_path: Path) -> None:
    content = {
        "name": "horse",
        "keypoints": [
            "Left Eye",
            "r_eye",
            {"name": "LPaw", "sigma": 0.1, "aliases": ["left hoof"]},
            "RPaw",
            "tail",
        ],
        "limbs": [["left_eye", "Right Eye"], ["left hoof", "tail"]],
        "unscored": ["tail"],
    }
    horse = load_skeleton(write(tmp_path, content))
    assert horse.keypoint_names == ("left_eye", "right_eye", "LPaw", "RPaw", "tail")
    assert horse.flip_pairs == (("left_eye", "right_eye"), ("LPaw", "RPaw"))
    assert horse.limbs == (("left_eye", "right_eye"), ("LPaw", "tail"))
    assert [keypoint.sigma for keypoint in horse.keypoints] == [0.025, 0.025, 0.1, None, None]


def test_stated_flip_pairs_are_the_only_ones(tmp_path: Path) -> None:
    content = {"keypoints": ["left_eye", "nose", "tail"], "flip_pairs": [["nose", "tail"]]}
    assert load_skeleton(write(tmp_path, content)).flip_index.tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected an object with 'keypoints' or 'categories', got []"),
        ({}, "field 'keypoints': expected a list of keypoints, got None"),
        ({"keypoints": []}, "field 'keypoints': expected a list of keypoints, got []"),
        ({"keypoints": [1]}, "keypoint 0: expected a name, or an object with a 'name', got 1"),
        ({"keypoints": ["nose"], "flip_pair": []}, "unknown field 'flip_pair'; expected some of name, "),
        ({"keypoints": ["nose", "Nose"]}, "keypoints 0 ('nose') and 1 ('nose') are both called 'nose'"),
        (
            {"keypoints": ["neck", "head_bottom"]},
            "keypoints 0 ('neck') and 1 ('neck') are both called 'neck'",
        ),
        (
            {"keypoints": ["nose", {"name": "tail", "aliases": ["nose"]}]},
            "keypoints 0 ('nose') and 1 ('tail') are both called 'nose'",
        ),
        (
            {"keypoints": ["left_eye"]},
            "keypoint 'left_eye' has no mirror partner 'right_eye'; add that keypoint",
        ),
        (
            {"keypoints": ["left_eye", "nose"], "flip_pairs": [["left_eye", "right_eye"]]},
            "flip pair ['left_eye', 'right_eye']: expected two different keypoints out of left_eye, nose",
        ),
        (
            {"keypoints": ["a", "b", "c"], "flip_pairs": [["a", "b"], ["b", "c"]]},
            "keypoint 'b' is in two flip pairs; expected one at most",
        ),
        (
            {"keypoints": ["a"], "flip_pairs": [["a", "a"]]},
            "flip pair ['a', 'a']: expected two different keypoints",
        ),
        (
            {"keypoints": ["a"], "flip_pairs": [["a"]]},
            "field 'flip_pairs': expected a list of pairs of keypoint names",
        ),
        (
            {"keypoints": ["a", "b"], "limbs": [["a", "x"]]},
            "limb ['a', 'x']: expected two different keypoints",
        ),
        (
            {"keypoints": ["a"], "limbs": [[0, 1]]},
            "field 'limbs': expected a list of pairs of keypoint names",
        ),
        ({"keypoints": ["a"], "unscored": ["x"]}, "unscored: there is no keypoint 'x'"),
        ({"keypoints": ["a"], "unscored": "x"}, "field 'unscored': expected a list of names, got 'x'"),
        (
            {"keypoints": [{"name": "a", "sigma": -1}]},
            "keypoint 'a': expected a sigma from 1e-06 to 1e+06, got -1",
        ),
        ({"keypoints": [{"name": "a", "sigma": 10**400}]}, "expected a sigma from 1e-06 to 1e+06, got 1000"),
        ({"keypoints": [{"name": "a", "sigma": 1e-200}]}, "expected a sigma from 1e-06 to 1e+06, got 1e-200"),
        (
            {"keypoints": [{"name": "a", "sigma": "1"}]},
            "keypoint 0, field 'sigma': expected a number or null, got '1'",
        ),
        (
            {"keypoints": [{"name": "a", "aliases": "b"}]},
            "keypoint 0, field 'aliases': expected a list of names",
        ),
        (
            {"categories": []},
            "field 'categories': expected one category with a list of names 'keypoints', got 0",
        ),
        (
            {"categories": [{"keypoints": "nose"}]},
            "categories, field 'keypoints': expected a list of names, got 'nose'",
        ),
    ],
)
def test_faults_of_a_skeleton_file_are_named(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_skeleton(write(tmp_path, content))
    assert "horse.json" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("coco", "no skeleton 'coco'; expected one of coco17, .*; did you mean 'coco17'?"),
        ("giraffe", "no skeleton 'giraffe'; expected one of .*; a skeleton file of your own ends in .json."),
        ("giraffe.json", r"giraffe\.json: there is no such file or folder"),
    ],
)
def test_an_unknown_name_is_an_error(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_skeleton(name)


def test_a_skeleton_needs_keypoints() -> None:
    with pytest.raises(InputError, match="expected at least one keypoint"):
        Skeleton("empty", (), (), ())


@every_skeleton
def test_the_categories_of_a_packaged_layout_are_recognised(name: str) -> None:
    skeleton = load_skeleton(name)
    assert skeleton_from_coco({"keypoints": list(skeleton.keypoint_names)}, "file.json") is skeleton


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("coco/person_keypoints_dev.json", "coco17"),
        ("lspet/person_keypoints_val.json", "lsp14"),
        ("mpii/person_keypoints_valid.json", "mpii16"),
        ("crowdpose/crowdpose_val.json", "crowdpose14"),
    ],
)
def test_the_categories_of_real_files_are_recognised(shared_data: Path, path: str, name: str) -> None:
    assert load_skeleton(shared_data / path) is load_skeleton(name)


def test_openpose_names_in_a_category_mean_the_middle_of_the_shoulders() -> None:
    names = [
        "Nose",
        "Neck",
        "RShoulder",
        "RElbow",
        "RWrist",
        "LShoulder",
        "LElbow",
        "LWrist",
        "RHip",
        "RKnee",
    ]
    names += ["RAnkle", "LHip", "LKnee", "LAnkle", "REye", "LEye", "REar", "LEar"]
    assert skeleton_from_coco({"keypoints": names}, "file.json").name == "openpose18"


def test_other_categories_become_a_skeleton_of_their_own() -> None:
    category = {"keypoints": ["neck", "left_eye", "right_eye"], "skeleton": [[1, 2], [2, 3]]}
    skeleton = skeleton_from_coco(category, "file.json")
    assert (skeleton.name, skeleton.flip_pairs) == ("file.json", (("left_eye", "right_eye"),))
    assert skeleton.limbs == (("neck", "left_eye"), ("left_eye", "right_eye"))
    with pytest.raises(InputError, match=r"file\.json: keypoint 'left_eye' has no mirror partner"):
        skeleton_from_coco({"keypoints": ["left_eye"]}, "file.json")
    assert len(skeleton_from_coco({"keypoints": ["left_eye"], "flip_pairs": []}, "file.json")) == 1


def test_skeletons_are_values() -> None:
    one, other = (Skeleton("a", (Keypoint("nose", None, ""),), (), ()) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)


@pytest.mark.parametrize(
    ("limbs", "expected", "left_out"),
    [
        ([[1, 2], [1, 3]], {("tip", "left"), ("tip", "right")}, False),
        ([[1.0, 2]], {("tip", "left")}, False),
        ([[0, 1], [0, 2]], {("tip", "left"), ("tip", "right")}, False),
        ([["tip", "right"]], {("tip", "right")}, False),
        (
            [[0, 1], [1, 3]],
            {("tip", "right")},
            True,
        ),  # a 3 is there, so the numbers are from 1, and 0 is none
        ([[1, 2], [32, 33]], {("tip", "left")}, True),
        ([[2, 2], [1, 2]], {("tip", "left")}, True),
        ([[1, 2, 3], None, "x", [True, 2]], set(), True),
        ("none", set(), True),
        (None, set(), False),
    ],
)
def test_limbs_of_a_category_are_read_as_far_as_they_can_be_understood(
    limbs: Any, expected: set[Any], left_out: bool
) -> None:
    names = ["tip", "left", "right"]
    category = {"keypoints": names, "skeleton": limbs}
    found, notes = limbs_of(category, names)
    assert (set(found), any("left out" in note for note in notes)) == (expected, left_out)
    assert set(skeleton_from_coco(category, "arrow").limbs) == expected


ANIMALS = {
    "mouse": "snout leftear rightear tailbase",
    "mouse from above": "nose left_ear right_ear neck left_hip right_hip tail_base",
    "quadruped": "left_eye right_eye nose neck root_of_tail left_shoulder left_elbow left_front_paw right_shoulder "
    "right_elbow right_front_paw left_hip left_knee left_back_paw right_hip right_knee right_back_paw",
}
PARTS_OF_PEOPLE = {
    "arm": "left_shoulder left_elbow left_wrist",
    "gait": "left_hip right_hip left_knee right_knee left_ankle right_ankle left_heel right_heel left_big_toe "
    "right_big_toe",
    "with a racket": f"{' '.join(load_skeleton('coco17').keypoint_names)} racket_head racket_handle",
}


@pytest.mark.parametrize("name", ANIMALS)
def test_layouts_of_animals_are_foreign_to_a_model_of_people(name: str) -> None:
    animal = skeleton_from_names(ANIMALS[name].split(), name)
    assert "of its" in (why_foreign(animal, load_skeleton("posefix19")) or "")
    assert why_foreign(animal, animal) is None
    assert ("no shoulder" in (why_foreign(animal, load_skeleton("posefix19")) or "")) == (name == "mouse")


@pytest.mark.parametrize("name", [*skeleton_names(), *PARTS_OF_PEOPLE])
def test_layouts_of_people_are_not(name: str) -> None:
    layout = (
        skeleton_from_names(PARTS_OF_PEOPLE[name].split(), name)
        if name in PARTS_OF_PEOPLE
        else load_skeleton(name)
    )
    assert why_foreign(layout, load_skeleton("posefix19")) is None
