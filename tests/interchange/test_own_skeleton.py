"""Skeletons of one's own: mirror pairs by names, guessed sigmas, what is missing, and the file that is written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posefix import files
from posefix.errors import InputError
from posefix.interchange.own_skeleton import load_own_skeleton
from posefix.skeletons import (
    Skeleton,
    concerns,
    estimate_sigmas,
    load_skeleton,
    mirror_pairs,
    neighbour_distances,
    skeleton_from_names,
    skeleton_names,
    skeleton_text,
)
from posefix.skeletons.mirroring import without_partner

ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["left_eye", "right_eye", "nose"], [("left_eye", "right_eye")]),
        (["Right Eye", "Left Eye"], [("Left Eye", "Right Eye")]),
        (["eyeL", "eyeR", "paw.l", "paw.r"], [("eyeL", "eyeR"), ("paw.l", "paw.r")]),
        (["L_F_Paw", "R_F_Paw", "L_B_Paw", "R_B_Paw"], [("L_F_Paw", "R_F_Paw"), ("L_B_Paw", "R_B_Paw")]),  # AP-10K
        (["leftear", "rightear", "snout", "tailbase"], [("leftear", "rightear")]),  # DeepLabCut's open field
        (["lfpaw", "rfpaw", "lhpaw", "rhpaw"], [("lfpaw", "rfpaw"), ("lhpaw", "rhpaw")]),
        (["hipl", "hipr"], [("hipl", "hipr")]),
        (["tail", "nail", "l", "r"], [("l", "r")]),
        (["left_eye", "lear", "rear"], [("lear", "rear")]),
        (["left_fore_hoof", "right_fore_hoof", "left_hind_hoof", "right_hind_hoof"],
         [("left_fore_hoof", "right_fore_hoof"), ("left_hind_hoof", "right_hind_hoof")]),
        (["LPaw1", "RPaw1", "LPaw2", "RPaw2"], [("LPaw1", "RPaw1"), ("LPaw2", "RPaw2")]),
        (["rump", "withers", "upright"], []),
        (["thumb1", "thumb2"], []),
    ],
)  # fmt: skip
def test_names_tell_mirror_partners(names: list[str], pairs: list[tuple[str, str]]) -> None:
    assert mirror_pairs(names) == tuple(pairs)


@given(st.lists(st.text("lrLRaeft_igh ", min_size=1, max_size=8), unique=True, max_size=8))
@settings(max_examples=50)
def test_nobody_has_two_partners_and_all_are_there(names: list[str]) -> None:
    paired = [name for pair in mirror_pairs(names) for name in pair]
    assert len(set(paired)) == len(paired) and set(paired) <= set(names)


@pytest.mark.parametrize("name", skeleton_names())
def test_packaged_pairs_are_those_of_the_names(name: str) -> None:
    skeleton = load_skeleton(name)
    assert set(skeleton.flip_pairs) == set(mirror_pairs(skeleton.keypoint_names))


def test_a_side_without_its_partner_is_named() -> None:
    assert without_partner(["left_eye", "leftear", "nose"]) == ("left_eye",)


def test_names_alone_make_a_skeleton() -> None:
    mouse = skeleton_from_names(
        ["snout", "earL", "left_paw"], "mouse.csv", [("snout", "earL"), ("earL", "gone")]
    )
    assert (mouse.flip_pairs, mouse.limbs) == ((), (("snout", "left_ear"),))
    with pytest.raises(InputError, match="are both called"):
        skeleton_from_names(["snout", "Snout"], "mouse.csv")


@pytest.mark.parametrize("name", skeleton_names())
def test_a_written_skeleton_is_read_as_it_was(tmp_path: Path, name: str) -> None:
    skeleton = load_skeleton(name)
    path = tmp_path / "copy.json"
    path.write_text(skeleton_text(skeleton), encoding="utf-8")
    again = load_skeleton(path)
    assert again == skeleton and again.description == skeleton.description


# Sigmas


def people(scale: float = 1.0, count: int = 10) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(count, 5, 2): four corners of a square of 20 and a point 5 from the first."""
    return np.array([[[0, 0], [20, 0], [0, 20], [20, 20], [3, 4]]] * count) * scale


NOBODY = np.arange(5)


def test_a_guess_is_a_share_of_the_way_to_the_nearest_three() -> None:
    labelled, area = np.ones((10, 5), dtype=bool), np.full(10, 400.0)
    distances = neighbour_distances(people(), labelled, area)
    assert distances[0] == pytest.approx((5 + 20 + 20) / 3 / 20)
    small = estimate_sigmas(people(0.1), labelled, area, NOBODY)
    np.testing.assert_allclose(small, 0.35 * distances / 10)
    assert estimate_sigmas(people(), labelled, area, NOBODY).tolist() == [0.08] * 5


def test_size_of_photo_and_people_plays_no_part() -> None:
    labelled = np.ones((10, 5), dtype=bool)
    one = estimate_sigmas(people(0.1), labelled, np.full(10, 400.0), NOBODY)
    np.testing.assert_allclose(estimate_sigmas(people(0.3), labelled, np.full(10, 3600.0), NOBODY), one)


def test_mirror_partners_get_one_sigma() -> None:
    sigmas = estimate_sigmas(
        people(0.1), np.ones((10, 5), dtype=bool), np.full(10, 400.0), np.array([4, 1, 2, 3, 0])
    )
    assert sigmas[0] == sigmas[4] and sigmas[0] != sigmas[1]


def test_few_people_and_no_areas_say_nothing() -> None:
    labelled = np.ones((10, 5), dtype=bool)
    labelled[0, 4] = False
    sigmas = estimate_sigmas(people(), labelled, np.full(10, 400.0), NOBODY)
    assert np.isnan(sigmas).tolist() == [False] * 4 + [True]
    assert np.isnan(estimate_sigmas(people(), labelled, np.zeros(10), NOBODY)).all()
    assert estimate_sigmas(people(), labelled, np.full(10, 400.0), np.array([4, 1, 2, 3, 0]))[4] == sigmas[0]


def test_the_page_has_the_measured_numbers() -> None:
    measured = json.loads((ROOT / "benchmarks" / "results" / "sigmas.json").read_text())["sets"]
    page = (ROOT / "docs" / "skeletons.md").read_text(encoding="utf-8")
    rows = {
        row[0]: row[1:]
        for row in re.findall(r"^\| (.+?) \| ([\d,]+) \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", page, re.M)
    }
    columns = ("guess", "guess, fitted on the other sets", "one sigma for all", "spread around the others")
    for name, numbers in measured.items():
        shown = (f"{numbers[column]['typical']:.2f} / {numbers[column]['worst']:.2f}" for column in columns)
        assert rows[name] == (f"{numbers['people']:,}", *shown)


def test_guesses_are_nearer_to_coco_than_one_sigma_for_all(shared_data: Path) -> None:
    path = shared_data / "coco" / "person_keypoints_train.json"
    guessed = load_own_skeleton(path, replace_known=True)
    known = load_skeleton("coco17").sigmas
    error = np.log(guessed.sigmas / known)
    assert np.exp(np.sqrt((error**2).mean())) < 1.5 < np.exp(np.sqrt((np.log(0.08 / known) ** 2).mean()))
    assert load_own_skeleton(path) == load_skeleton("coco17")  # what is known is kept


# The command


@pytest.fixture
def horses(tmp_path: Path) -> Path:
    """Ten people with five keypoints; of one, people have a sigma."""
    rows = [
        {"id": number, "image_id": 1, "category_id": 1, "bbox": [0, 0, 20, 20], "area": 400.0,
         "keypoints": np.column_stack([pose, np.full(5, 2)]).ravel().tolist()}
        for number, pose in enumerate(people(0.1))
    ]  # fmt: skip
    category = {"id": 1, "keypoints": ["nose", "LHoof", "RHoof", "tail", "withers"], "skeleton": [[1, 2]]}
    path = tmp_path / "horses.json"
    images = [{"id": 1, "file_name": "1.jpg"}]
    path.write_text(json.dumps({"images": images, "annotations": rows, "categories": [category]}))
    return path


def test_sigmas_of_people_stay_unless_all_are_asked_for(horses: Path, run: Run, tmp_path: Path) -> None:
    _, shown, _ = run("skeleton", horses)
    assert "sigmas, COCO keypoint evaluation (pycocotools): nose\n" in shown
    assert "sigmas, guessed from 10 annotations of horses.json: LHoof, RHoof, tail, withers\n" in shown
    assert "mirrored (as the names say): LHoof / RHoof\n" in shown
    assert "note: limbs without their mirror image: nose - LHoof\n" in shown
    _, shown, _ = run("skeleton", horses, "--sigmas", "all", "-o", tmp_path / "mine.json")
    assert "COCO" not in shown
    assert all(keypoint.sigma for keypoint in load_skeleton(tmp_path / "mine.json").keypoints)


def test_what_is_probably_not_meant_is_said(tmp_path: Path, run: Run) -> None:
    content = {"keypoints": ["left_ear", "right_ear", "trunk"], "flip_pairs": []}
    (tmp_path / "elephant.json").write_text(json.dumps(content))
    code, shown, _ = run("skeleton", tmp_path / "elephant.json")
    assert code == 0
    assert "mirrored: none\n" in shown
    notes = [line for line in shown.splitlines() if line.startswith("note: ")]
    assert [note.split(":")[1].split(" ")[1] for note in notes] == ["the", "no", "no"]
    assert "left_ear / right_ear" in notes[0] and "no limbs" in notes[1] and "no sigma for trunk" in notes[2]


@pytest.mark.parametrize("name", ["coco17", "lsp14", "mpii16", "posefix19"])
def test_good_skeletons_raise_no_concerns(name: str) -> None:
    assert concerns(load_skeleton(name)) == ()


def test_output_needs_a_skeleton(run: Run, tmp_path: Path) -> None:
    code, _, errors = run("skeleton", "-o", tmp_path / "x.json")
    assert code == 2 and "--to, --output, --sigmas: expected a skeleton to start from" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["coco17", "--to", "lsp14", "-o", "x.json"], "--output, --sigmas: have no meaning beside --to"),
        (
            ["horses.json", "--to", "lsp14", "--sigmas", "all"],
            "--output, --sigmas: have no meaning beside --to",
        ),
        (["coco17", "--sigmas", "all"], "--sigmas all: expected an annotation file, from whose people"),
        (["gone.json", "--sigmas", "all"], "gone.json: there is no such file or folder"),
        (["mine.json", "--sigmas", "all"], "mine.json: annotates nobody from whom sigmas could be guessed"),
        (["--sigmas", "all"], "--to, --output, --sigmas: expected a skeleton to start from"),
        (["horses.json", "-o", "none/x.json"], "there is no folder"),
    ],
)
@pytest.mark.usefixtures("horses")
def test_options_without_effect_are_refused(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.json").write_text(skeleton_text(load_skeleton("lsp14")))
    code, out, errors = run("skeleton", *arguments)
    assert (code, out) == (2, "")
    assert message in errors
    assert not (tmp_path / "x.json").exists()


def test_a_file_is_parsed_once(run: Run, horses: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []

    def parse(path: object, text: str) -> Any:
        parsed.append(str(path))
        return json.loads(text)

    monkeypatch.setattr(files, "parse_json", parse)
    assert run("skeleton", horses)[0] == 0
    assert parsed.count(str(horses)) == 1


def test_people_in_crowds_are_left_out(horses: Path) -> None:
    content = json.loads(horses.read_text())
    for row in content["annotations"][1:]:
        row["iscrowd"] = 1
    horses.write_text(json.dumps(content))
    skeleton: Skeleton = load_own_skeleton(horses)
    assert [keypoint.sigma for keypoint in skeleton.keypoints] == [0.026, None, None, None, None]
