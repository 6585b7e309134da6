"""Error profiles: the paper's numbers, and faulty files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posefix.errors import InputError
from posefix.pose_errors import profile as error_profile
from posefix.pose_errors.profile import frequencies, load_error_profile
from posefix.pose_errors.taxonomy import Status
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")
PAPER = load_error_profile()


def paper(name: str, labelled: int, overlap: int) -> list[float]:
    """Good, jitter, inversion, swap, miss of one keypoint."""
    values = frequencies(PAPER, COCO, np.array([labelled]), np.array([overlap]))
    return [round(float(value), 4) for value in values[0, COCO.index(name)]]


@pytest.mark.parametrize(
    ("name", "labelled", "overlap", "expected"),
    [
        ("nose", 17, 0, [0.86, 0.10, 0.01, 0.01, 0.02]),
        ("left_eye", 17, 0, [0.81, 0.15, 0.01, 0.01, 0.02]),
        ("left_shoulder", 17, 0, [0.71, 0.15, 0.03, 0.06, 0.05]),
        ("right_wrist", 17, 0, [0.66, 0.15, 0.03, 0.06, 0.10]),
        ("left_hip", 17, 0, [0.61, 0.20, 0.06, 0.03, 0.10]),
        ("right_knee", 17, 0, [0.71, 0.10, 0.06, 0.03, 0.10]),
        ("left_ankle", 17, 0, [0.76, 0.10, 0.06, 0.03, 0.05]),
        ("left_ankle", 10, 0, [0.63, 0.15, 0.06, 0.03, 0.13]),
        ("left_hip", 5, 0, [0.41, 0.25, 0.06, 0.03, 0.25]),
        ("nose", 5, 0, [0.68, 0.15, 0.01, 0.01, 0.15]),
        ("right_wrist", 10, 1, [0.47, 0.20, 0.03, 0.15, 0.15]),
        ("right_wrist", 15, 3, [0.57, 0.15, 0.03, 0.15, 0.10]),
        ("right_wrist", 15, 2, [0.66, 0.15, 0.03, 0.06, 0.10]),
        ("right_wrist", 16, 3, [0.66, 0.15, 0.03, 0.06, 0.10]),
    ],
)
def test_the_paper_s_numbers(name: str, labelled: int, overlap: int, expected: list[float]) -> None:
    assert paper(name, labelled, overlap) == expected


def test_frequencies_sum_to_one() -> None:
    labelled, overlap = (values.ravel() for values in np.meshgrid(np.arange(18), np.arange(5)))
    np.testing.assert_allclose(frequencies(PAPER, COCO, labelled, overlap).sum(axis=-1), 1, atol=1e-6)


def faulty(change: dict[str, Any]) -> dict[str, Any]:
    case = [{"probability": {"other": 0.1}}]
    errors = {"jitter": case, "miss": case, "inversion": case, "swap": case}
    document: dict[str, Any] = {"format": 1, "name": "x", "errors": errors}
    for key, value in change.items():
        if key in errors:
            errors[key] = value
        else:
            document[key] = value
    return document


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, '"format": 1'),
        ({"errors": {"jitter": []}}, "errors must hold exactly"),
        ({"jitter": []}, "errors.jitter must be a list of 1 to 50 cases"),
        (
            {"miss": [{"probability": {"nose": 0.1}}]},
            r"errors.miss\[0\].probability needs an entry \"other\"",
        ),
        ({"swap": [{"probability": {"other": 1.2}}]}, "numbers from 0 to 1"),
        ({"swap": [{"max_labelled": 3, "probability": {"other": 0.2}}]}, "last case must have no condition"),
        (
            {"swap": [{"probability": {"other": 0.9}}]},
            "of group 'other' may add up to 1.20; they must leave room",
        ),
        ({"errors": ["jitter", "miss", "inversion", "swap"]}, "errors must hold exactly"),
        ({"groups": ["face"]}, "groups must be an object with a list of keypoint names"),
        ({"groups": {"face": "nose"}}, "groups must be an object with a list of keypoint names"),
        (
            {"miss": [5]},
            r"errors.miss\[0\] must be an object with probability, max_labelled, min_overlap, got 5",
        ),
        ({"miss": [{"probability": ["other"]}]}, "needs an entry"),
        ({"miss": [{"probability": {"other": True}}]}, "numbers from 0 to 1"),
        (
            {"miss": [{"probability": {"other": 0.1, "fase": 0.2}}]},
            "names 'fase', which is not among the groups",
        ),
        ({"miss": [{"max_labeled": 5, "probability": {"other": 0.1}}]}, "unknown field 'max_labeled'"),
        (
            {"miss": [{"max_labelled": "5", "probability": {"other": 0.1}}]},
            "max_labelled must be a whole number",
        ),
        ({"distances": [1]}, "distances may hold good, jitter, inversion, swap, miss, got"),
        ({"distances": {"jiter": {"other": [0.5, 0.6]}}}, r"distances may hold .*, got \['jiter'\]"),
        ({"distances": {"miss": [1, 2]}}, r"distances.miss needs a list \"other\""),
        ({"distances": {"miss": {"other": [1, 2], "fase": [1, 2]}}}, "names 'fase', which is not among"),
        (
            {"distances": {"miss": {"other": [2, 1]}}},
            "distances.miss.other must be two or more numbers, none below",
        ),
        ({"distances": {"miss": {"other": [1]}}}, "two or more numbers"),
        ({"distances": {"miss": {"other": [1, float("nan")]}}}, "two or more numbers, none below"),
        ({"distances": {"miss": {"other": [1, float("nan"), 2]}}}, "two or more numbers, none below"),
        ({"distances": {"miss": {"other": [1, float("inf")]}}}, "must hold numbers from 0.8326 to 1000"),
        ({"distances": {"jitter": {"other": [0.1, 0.5]}}}, "must hold numbers from 0.4031 to 0.8326"),
        (
            {"distances": {"miss": {"other": [1, 2]}, "good": {"other": [0, 0.1, 0.2]}}},
            "distances must be lists of one length",
        ),
    ],
)
def test_faulty_profiles_say_what_is_wrong(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(faulty(change)))
    with pytest.raises(InputError, match=message):
        load_error_profile(path)


def test_each_group_may_have_another_frequent_error(tmp_path: Path) -> None:
    """The sum that must leave room for good is that of one group, not of the largest numbers of all."""
    often = {
        "groups": {"face": ["nose"], "legs": ["left_knee"]},
        "jitter": [{"probability": {"face": 0.6, "other": 0.1}}],
        "miss": [{"probability": {"legs": 0.6, "other": 0.1}}],
    }
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(faulty(often)))
    values = frequencies(load_error_profile(path), COCO, np.array([17]), np.array([0]))
    np.testing.assert_allclose(values[0, 0], [0.1, 0.6, 0.1, 0.1, 0.1], atol=1e-6)


def test_a_sound_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(faulty({})))
    values = frequencies(load_error_profile(path), COCO, np.array([17]), np.array([0]))
    np.testing.assert_allclose(values[0, 0], [0.6, 0.1, 0.1, 0.1, 0.1], atol=1e-6)


def test_probabilities_may_add_up_to_one_for_each_person_though_not_over_all_cases(tmp_path: Path) -> None:
    """A measured profile of a poor estimator: jitters for many labelled keypoints, misses for few."""
    cases = {
        "jitter": [{"max_labelled": 5, "probability": {"other": 0.1}}, {"probability": {"other": 0.7}}],
        "miss": [{"max_labelled": 5, "probability": {"other": 0.7}}, {"probability": {"other": 0.1}}],
    }
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(faulty(cases)))
    values = frequencies(load_error_profile(path), COCO, np.array([5, 6]), np.array([0, 0]))
    np.testing.assert_allclose(values[:, 0], [[0, 0.1, 0.1, 0.1, 0.7], [0, 0.7, 0.1, 0.1, 0.1]], atol=1e-6)


def test_a_profile_is_written_as_it_is_read(tmp_path: Path) -> None:
    distances = {"miss": {"other": [0.9, 2.0], "face": [1.0, 4.0]}}
    document = faulty({"groups": {"face": ["nose"]}, "distances": distances, "source": "here"})
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(document))
    profile = load_error_profile(path)
    assert profile.as_dict() == document
    packaged = Path(error_profile.__file__).parent.parent / "data" / "profiles" / "paper.json"
    assert PAPER.as_dict() == json.loads(packaged.read_text())


def test_distances_are_by_keypoint_and_where_there_are_none_the_paper_s(tmp_path: Path) -> None:
    distances = {"miss": {"other": [0.9, 1.0, 2.0], "face": [1.0, 3.0, 4.0]}}
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(faulty({"groups": {"face": ["nose"]}, "distances": distances})))
    limits = dict.fromkeys(list(Status)[1:], (0.0, 0.4))
    table = load_error_profile(path).distance_quantiles(COCO, limits)
    assert table.shape == (17, 5, 3)
    assert table[0, Status.MISS].tolist() == [1, 3, 4]
    assert table[1, Status.MISS].tolist() == [0.9, 1, 2]
    np.testing.assert_allclose(table[:, :4], np.broadcast_to([0, 0.2, 0.4], (17, 4, 3)))
    assert PAPER.distance_quantiles(COCO, limits).shape == (17, 5, 2)
