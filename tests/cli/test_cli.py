"""The command line as a user meets it: help, results, exit codes, one-sentence faults."""

import itertools
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.refine.looks import calibration_of

import posefix
from posefix.cli.app import EXIT_PIPE_CLOSED
from posefix.cli.guide import GUIDE
from posefix.network.decoding import Evidence
from posefix.refine.backends import Backend, identity_backend
from posefix.refine.calibration import FEATURES, Calibration, Regression
from posefix.refine.refiner import Refiner
from posefix.refine.results import Scores

COMMANDS = {
    "demo": ["--image", "--poses", "--layout", "--output", "--model"],
    "refine": [
        "--images", "--output", "-o", "--layout", "--annotations", "--boxes", "--exif", "--on-error", "--missing",
        "--update-boxes", "--oks-nms", "--scores", "--model", "--no-flip", "--caution", "--device", "--runtime",
        "--threads", "--batch-size", "--video", "--first-frame", "--smooth", "--min-cutoff", "--beta", "--render",
        "--carry-along",
    ],
    "review": ["--images", "--output", "-o", "--layout", "--format", "--update-boxes", "--port", "--no-browser"],
    "analyze": ["--annotations", "--layout", "--json", "--strict", "--images", "--exif"],
    "compare": ["--annotations", "--layout", "--after-layout", "--match", "--strict", "--json", "--exif"],
    "profile": [
        "--annotations", "--output", "-o", "--layout", "--name", "--strict", "--annotations-layout", "--category",
    ],
    "evaluate": ["--annotations", "--layout", "--against", "--against-layout"],
    "estimate": ["--annotations", "--images", "--output", "-o", "--no-flip", "--device"],
    "experiment": [
        "--recipe", "--output", "-o", "--seeds", "--device", "--set", "--annotations", "--images", "--results",
        "--layouts", "--validation-annotations", "--validation-images", "--tables",
    ],
    "skeleton": ["--to", "--output", "--sigmas"],
    "synthesize": ["--output", "--images", "--exif", "--annotations-layout", "--category"],
    "prepare": ["--output", "-o", "--annotations", "--images", "--resolution", "--quality", "--set"],
    "train": ["--output", "--resume", "--profile", "--device", "--errors", "--shards", "--set"],
    "calibrate": ["--recipe", "--strengths", "--strength-in-crowds", "--device", "--set"],
    "export": ["--output"],
}  # fmt: skip
SIZE = 120
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shift(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the packaged network by one that is sure of the place two crop pixels below."""
    use_backend(monkeypatch, shift_backend)


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the packaged network by one that returns its input."""
    use_backend(monkeypatch, identity_backend)


def shift_backend(images: np.ndarray, keypoints: np.ndarray, weights: np.ndarray) -> Evidence:
    unsure = np.zeros(weights.shape, dtype=np.float32)
    sure = identity_backend(images, keypoints + np.array([0, 2], dtype=np.float32), weights)
    return replace(sure, given_similarity=unsure, given_vicinity=unsure)


def use_backend(patch: pytest.MonkeyPatch, backend: Backend, calibration: Calibration | None = None) -> None:
    def load(*_: object, caution: float = 0.0, scores: Scores = "input", **__: object) -> Refiner:
        skeleton = posefix.load_skeleton("posefix19")
        return Refiner(
            backend, skeleton, (144, 192), calibration=calibration, caution=caution, looks=1, scores=scores
        )

    patch.setattr(Refiner, "from_pretrained", load)


def row(image_id: object, seed: int) -> dict[str, object]:
    places = np.random.default_rng(seed).uniform(20, 100, (17, 2)).round(3)
    keypoints = np.concatenate([places, np.full((17, 1), 0.5)], axis=1).ravel().tolist()
    return {"image_id": image_id, "category_id": 1, "keypoints": keypoints, "score": 0.5, "track": f"t{seed}"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photos: im00001.png, im00002.png, im00003.png."""
    folder = tmp_path / "photos"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    for number in (1, 2, 3):
        cv2.imwrite(str(folder / f"im{number:05}.png"), noise)
    return folder


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "poses.json"
    path.write_text(json.dumps([row(1, 0), row(2, 1), row(2, 2), row(3, 3)]))
    return path


@pytest.fixture
def annotations(tmp_path: Path, results: Path) -> Path:
    """The truth is what the results say."""
    rows = json.loads(results.read_text())
    people = [
        {
            "id": number,
            "image_id": entry["image_id"],
            "category_id": 1,
            "keypoints": [2 if index % 3 == 2 else value for index, value in enumerate(entry["keypoints"])],
            "num_keypoints": 17,
            "bbox": [10, 10, 100, 100],
            "area": 5300,
            "iscrowd": 0,
        }
        for number, entry in enumerate(rows, start=1)
    ]
    names = list(posefix.load_skeleton("coco17").keypoint_names)
    images = [{"id": n, "file_name": f"im{n:05}.png", "width": SIZE, "height": SIZE} for n in (1, 2, 3)]
    path = tmp_path / "truth.json"
    category = {"id": 1, "name": "person", "keypoints": names, "skeleton": []}
    path.write_text(json.dumps({"images": images, "annotations": people, "categories": [category]}))
    return path


def test_help_lists_the_commands(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    assert all(f" {command} " in out for command in COMMANDS)
    assert all(f" {task} " in out for task in ("Refine", "Files", "Measure", "Train", "Research"))


def test_the_command_alone_is_a_guide_by_task(run: Run) -> None:
    code, out, _ = run()
    assert code == 0
    assert out.rstrip("\n") == GUIDE
    assert len(out.splitlines()) < 20


@pytest.mark.parametrize("line", [line for line in GUIDE.splitlines() if "posefix " in line])
def test_commands_and_options_of_the_guide_exist(line: str, run: Run) -> None:
    name, *arguments = shlex.split(line[line.index("posefix ") :].split("   ", maxsplit=1)[0])[1:]
    if "--help" in (name, *arguments) or name == "--version":
        return
    _, out, _ = run(name, "--help")
    assert all(argument in out.split() for argument in arguments if argument.startswith("-"))


def test_version_and_verbose_say_what_runs_here(run: Run) -> None:
    code, out, _ = run("--version", "--verbose")
    assert code == 0
    lines = dict(line.split(": ", maxsplit=1) for line in out.splitlines()[2:])
    assert out.splitlines()[0] == f"posefix {posefix.__version__}"
    assert out.splitlines()[1].startswith("Python 3.")
    assert list(lines) == ["system", "processor", "network", "libraries"]
    assert f"numpy {np.__version__}" in lines["libraries"].split(", ")
    assert run("--version")[1].split() == [posefix.__version__]


def test_a_name_of_a_file_that_is_not_there_suggests_the_one_that_is(run: Run, results: Path) -> None:
    code, _, err = run("inspect", results.with_name("result.json"), "--layout", "coco17")
    assert (code, err.rstrip()[-len(f"did you mean {results}?") :]) == (2, f"did you mean {results}?")
    _, _, err = run("inspect", results.with_name("nothing-like-it.xyz"))
    assert "there is no such file or folder" in err
    assert "did you mean" not in err


@pytest.mark.parametrize(("command", "options"), COMMANDS.items())
def test_help_names_every_option(command: str, options: list[str], run: Run) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    assert all(option in out.split() for option in options)


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "posefix", "--version"]
    assert (
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        == posefix.__version__
    )


@pytest.mark.usefixtures("identity")
def test_refine_keeps_rows_order_ids_and_extra_fields(
    run: Run, results: Path, photos: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.json"
    code, _, _ = run("refine", results, "--images", photos, "-o", output, "--layout", "coco17")
    before, after = json.loads(results.read_text()), json.loads(output.read_text())
    assert code == 0
    for old, new in zip(before, after, strict=True):
        assert np.allclose(old.pop("keypoints"), new.pop("keypoints"), atol=1.1e-3)
        assert old == new


@pytest.mark.usefixtures("shift")
def test_refine_says_what_it_did(run: Run, results: Path, photos: Path, tmp_path: Path) -> None:
    options = ["-o", tmp_path / "out.json", "--layout", "coco17"]
    _, out, _ = run("refine", results, "--images", photos, *options)
    assert "3 photos" in out
    assert "4 of 4 people refined: 68 keypoints moved" in out
    assert "px in the median" in out


@pytest.mark.usefixtures("shift")
def test_refine_names_keypoints_that_pass_through(run: Run, photos: Path, tmp_path: Path) -> None:
    entry = row(1, 0) | {"keypoints": np.tile([[30.0, 40, 1], [60, 80, 1]], (9, 1)).ravel().tolist()}
    results = tmp_path / "openpose.json"
    results.write_text(json.dumps([entry]))
    _, out, _ = run(
        "refine", results, "--images", photos, "-o", tmp_path / "out.json", "--layout", "openpose18"
    )
    assert "unknown to the model: shoulder_midpoint" in out


@pytest.mark.usefixtures("shift")
def test_unreadable_photos_exit_with_3_when_kept(
    run: Run, results: Path, photos: Path, tmp_path: Path
) -> None:
    (photos / "im00002.png").write_bytes(b"not a photo")
    output = tmp_path / "out.json"
    command = ["refine", results, "--images", photos, "-o", output, "--layout", "coco17"]
    code, out, _ = run(*command, "--on-error", "keep")
    before, after = json.loads(results.read_text()), json.loads(output.read_text())
    assert code == 3
    assert "im00002.png" in out
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, True, True, False]


@pytest.mark.usefixtures("shift")
def test_people_of_missing_photos_stay_when_kept(
    run: Run, results: Path, photos: Path, annotations: Path, tmp_path: Path
) -> None:
    (photos / "im00002.png").unlink()
    output = tmp_path / "out.json"
    command = ["refine", results, "--images", photos, "-o", output, "--layout", "coco17"]
    code, _, err = run(*command)
    assert (code, output.exists()) == (2, False)
    assert "no photo for image id 2" in err
    for more in ([], ["--annotations", annotations]):
        code, out, _ = run(*command, "--on-error", "keep", *more)
        before, after = json.loads(results.read_text()), json.loads(output.read_text())
        assert code == 3
        assert "photos: 1; people in them left as they were: 2" in out
        assert str(photos / ("im00002.png" if more else "2")) in out
        assert [old == new for old, new in zip(before, after, strict=True)] == [False, True, True, False]


@pytest.mark.usefixtures("shift")
def test_a_folder_without_any_of_the_photos_is_the_wrong_one(
    run: Run, results: Path, photos: Path, tmp_path: Path
) -> None:
    for photo in photos.iterdir():
        photo.unlink()
    command = ["refine", results, "--images", photos, "-o", tmp_path / "out.json", "--layout", "coco17"]
    code, _, err = run(*command, "--on-error", "keep")
    assert code == 2
    assert "no photo for 3 image ids: 1, 2, 3" in err


@pytest.mark.usefixtures("shift")
def test_unreadable_photos_stop_by_default(run: Run, results: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "im00002.png").write_bytes(b"not a photo")
    code, _, err = run(
        "refine", results, "--images", photos, "-o", tmp_path / "out.json", "--layout", "coco17"
    )
    assert code == 2
    assert "im00002.png" in err
    assert not (tmp_path / "out.json").exists()


@pytest.mark.usefixtures("identity")
def test_a_large_photo_is_refined_without_a_word(
    run: Run, results: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow warns of photos above a limit, which are the user's own, and refuses those above twice that."""
    arguments = ("refine", results, "--images", photos, "-o", tmp_path / "out.json", "--layout", "coco17")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", SIZE * SIZE - 1)
    assert run(*arguments)[0] == 0
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", SIZE)
    code, _, err = run(*arguments)
    assert code == 2
    assert "im00001.png: has more pixels than Pillow is allowed to decode" in err


@pytest.mark.usefixtures("shift")
@pytest.mark.parametrize(("caution", "moved"), [("-1", 68), ("0.5", 68), ("1", 0)])
def test_caution_keeps_what_it_is_not_worth_to_move(
    caution: str, moved: int, run: Run, results: Path, photos: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.json"
    command = ["refine", results, "--images", photos, "-o", output, "--layout", "coco17"]
    code, out, _ = run(*command, "--caution", caution)
    assert code == 0
    assert f"4 of 4 people refined: {moved} keypoints moved" in out
    assert (json.loads(results.read_text()) == json.loads(output.read_text())) == (moved == 0)


@pytest.mark.parametrize(("scores", "value"), [("model", 0.5), ("product", 0.25)])
def test_scores_of_the_model_are_written(
    scores: str,
    value: float,
    run: Run,
    results: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    even = Regression(np.zeros(19), np.zeros(len(FEATURES)))
    use_backend(monkeypatch, shift_backend, calibration_of(*[even] * 6))
    output = tmp_path / "out.json"
    command = ["refine", results, "--images", photos, "-o", output, "--layout", "coco17"]
    assert run(*command, "--scores", scores)[0] == 0
    for entry in json.loads(output.read_text()):
        assert entry["keypoints"][2::3] == [value] * 17
        assert entry["score"] == value


@pytest.mark.usefixtures("shift")
def test_a_file_without_scores_gets_none(run: Run, annotations: Path, photos: Path, tmp_path: Path) -> None:
    code, out, _ = run("refine", annotations, "--images", photos, "-o", tmp_path / "out.json")
    assert code == 0
    assert "scores: none, the file has no scores\n" in out


@pytest.mark.usefixtures("shift")
def test_scores_of_a_model_that_has_none_are_a_fault_before_photos_are_read(
    run: Run, results: Path, photos: Path, tmp_path: Path
) -> None:
    (photos / "im00001.png").write_bytes(b"not a photo")
    command = ["refine", results, "--images", photos, "-o", tmp_path / "out.json", "--layout", "coco17"]
    code, out, err = run(*command, "--scores", "model")
    assert (code, out) == (2, "")
    assert "needs a model with a calibration" in err
    assert "im00001" not in err


@pytest.mark.usefixtures("identity")
def test_oks_nms_drops_a_repeated_pose(run: Run, photos: Path, tmp_path: Path) -> None:
    results, output = tmp_path / "twice.json", tmp_path / "out.json"
    results.write_text(json.dumps([row(1, 0), row(1, 0) | {"score": 0.9}, row(2, 0)]))
    command = ["refine", results, "--images", photos, "-o", output, "--layout", "coco17"]
    code, out, _ = run(*command, "--oks-nms", "0.9")
    assert code == 0
    assert "dropped as second poses of a person: 1\n" in out
    assert [entry["score"] for entry in json.loads(output.read_text())] == [0.9, 0.5]


FAULTS = {
    "no such results file": (["nowhere.json"], "nowhere.json"),
    "no such folder": (["--images", "nowhere"], "nowhere"),
    "no such layout": (["--layout", "coco71"], "coco17"),
    "another layout": (["--layout", "lsp14"], "with 17 keypoints it may be coco17"),
    "no such folder for the output": (["-o", "nowhere/out.json"], "nowhere"),
    "a folder as output": (["-o", "photos"], "photos"),
    "an input as output": (
        ["-o", "poses.json"],
        "poses.json: expected another file than those that are read",
    ),
    "no such annotations": (["--annotations", "nowhere.json"], "nowhere.json"),
    "boxes of no row": (["--boxes", "poses.json"], "bbox"),
    "an unknown choice": (["--missing", "guess"], "guess"),
    "an unknown option": (["--layuot", "coco17"], "--layout"),
    "a threshold above one": (["--oks-nms", "90"], "--oks-nms"),
    "a caution above one": (["--caution", "2"], "caution: expected a number from -1 to 1, got 2.0"),
    "unknown scores": (["--scores", "guess"], "guess"),
}


@pytest.mark.usefixtures("identity")
@pytest.mark.parametrize(("changes", "named"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_one_sentence_and_exit_code_2(
    changes: list[str], named: str, run: Run, results: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(results.parent)
    options = {"--images": photos.name, "-o": "out.json", "--layout": "coco17"}
    positional = changes if len(changes) == 1 else [results.name]
    options |= dict([changes]) if len(changes) == 2 else {}
    code, out, err = run("refine", *positional, *(token for pair in options.items() for token in pair))
    assert (code, out) == (2, "")
    assert err.startswith("posefix: ")
    assert named in err
    assert err.count("\n") == 1
    assert not Path("out.json").exists()


@pytest.mark.usefixtures("identity")
def test_a_company_is_measured_and_used(run: Run, results: Path, photos: Path, tmp_path: Path) -> None:
    company = tmp_path / "company.json"
    reading = [str(results), "--images", str(photos), "--layout", "coco17"]
    assert run("company", *reading, "-o", str(company))[0] == 0
    assert json.loads(company.read_text())["people"] == 4
    refined = str(tmp_path / "refined.json")
    assert run("refine", *reading, "--company", str(company), "-o", refined)[0] == 0
    code, _, err = run("company", *reading, "-o", str(company), "--caution", "0.5")
    assert code == 2, "what decides is no matter of who is known"
    assert "--caution" in err


def test_an_interruption_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("posefix.skeletons.load_skeleton", interrupt)
    assert run("skeleton", "coco17") == (130, "", "posefix: interrupted\n")


def test_an_unknown_command_is_a_fault(run: Run) -> None:
    code, _, err = run("refien")
    assert (code, err) == (2, "posefix: expected a command, got 'refien'; did you mean `posefix refine`?\n")
    code, _, err = run("posetrack", "write-result")
    assert (code, "did you mean `posefix posetrack write-results`?" in err) == (2, True)
    assert run("xyz")[2].endswith("got 'xyz'; `posefix` alone says what there is\n")
    assert run("help")[2].endswith("did you mean `posefix --help`?\n")


@pytest.mark.parametrize(
    ("arguments", "lacking"),
    [
        (["refine"], "refine: expected RESULTS"),
        (["refine", "a.json", "--images", "b"], "refine: expected --output"),
        (["refine", "a.json", "-o"], "refine: expected a value after -o"),
        (["posetrack", "merge-annotations"], "posetrack merge-annotations: expected ANNOTATIONS"),
    ],
)
def test_what_is_missing_is_named_and_where_to_read_on(arguments: list[str], lacking: str, run: Run) -> None:
    command = lacking.partition(":")[0]
    told = f"posefix: {lacking}, got nothing; `posefix {command} --help` shows what it takes\n"
    assert run(*arguments) == (2, "", told)


def test_words_too_many_are_named(run: Run) -> None:
    told = "posefix: demo: got 'a' 'b', which it does not take; `posefix demo --help` shows what it takes\n"
    assert run("demo", "a", "b") == (2, "", told)


def test_a_file_instead_of_a_command_says_what_to_do_with_it(run: Run, results: Path) -> None:
    code, _, err = run(results)
    assert code == 2
    assert err.endswith(f"to see what it holds, `posefix inspect {results}`\n")


def test_evaluate_prints_ap(run: Run, results: Path, annotations: Path) -> None:
    code, out, _ = run("evaluate", results, "--annotations", annotations, "--layout", "coco17")
    assert code == 0
    assert "AP50" in out
    assert "100.0" in out


def test_evaluate_against_prints_the_interval_of_the_difference(
    run: Run, results: Path, annotations: Path, tmp_path: Path
) -> None:
    worse = tmp_path / "worse.json"
    entries = json.loads(results.read_text())
    worse.write_text(
        json.dumps([entry | {"keypoints": [v + 9 for v in entry["keypoints"]]} for entry in entries])
    )
    options = ["--annotations", annotations, "--layout", "coco17", "--against", worse]
    code, out, _ = run("evaluate", results, *options)
    assert code == 0
    assert "95 % interval" in out


def test_evaluate_tells_of_photos_without_poses(
    run: Run, results: Path, annotations: Path, tmp_path: Path
) -> None:
    part = tmp_path / "part.json"
    part.write_text(json.dumps([row(1, 0)]))
    options = ["--annotations", annotations, "--layout", "coco17"]
    line = "without any pose: 2 photos with annotated people, who count as not found (2, 3)"
    told = {
        (part,): [line],
        (part, "--against", part): [line],
        (part, "--against", results): [f"after: {line}"],
        (results, "--against", part): [f"before: {line}"],
        (results,): [],
    }
    for arguments, lines in told.items():
        _, out, _ = run("evaluate", *arguments, *options)
        assert [found for found in out.splitlines() if "without any pose" in found] == lines


def test_evaluate_expects_no_pose_of_people_labelled_on_other_keypoints(
    run: Run, results: Path, annotations: Path, tmp_path: Path
) -> None:
    content = json.loads(annotations.read_text())
    content["annotations"][3]["keypoints"][15:] = [0] * 36  # a face alone
    annotations.write_text(json.dumps(content))
    lsp14, coco17 = posefix.load_skeleton("lsp14"), posefix.load_skeleton("coco17")
    columns = [coco17.find(name) for name in lsp14.keypoint_names]
    rows = []
    for entry in json.loads(results.read_text())[:3]:
        places = np.reshape(entry["keypoints"], (17, 3))
        body = [[0, 0, 0] if column is None else places[column].tolist() for column in columns]
        rows.append({**entry, "keypoints": list(itertools.chain.from_iterable(body))})
    part = tmp_path / "part.json"
    part.write_text(json.dumps(rows))
    code, out, _ = run("evaluate", part, "--annotations", annotations, "--layout", "lsp14")
    assert (code, out.splitlines()[1].split()[0]) == (0, "100.0")
    assert "without any pose" not in out


@pytest.mark.parametrize("first", [True, False])
def test_evaluate_names_the_file_whose_photo_is_not_annotated(
    run: Run, results: Path, annotations: Path, tmp_path: Path, first: bool
) -> None:
    other = tmp_path / "other.json"
    entries = json.loads(results.read_text())
    other.write_text(json.dumps([entries[0], {**entries[1], "image_id": 77}]))
    one, two = (other, results) if first else (results, other)
    code, out, err = run(
        "evaluate", one, "--annotations", annotations, "--layout", "coco17", "--against", two
    )
    assert (code, out) == (2, "")
    assert f"{other}, row 1, field 'image_id': 77 is not among the images of {annotations}; " in err


def test_a_layout_needs_results_whose_layout_it_is(run: Run, results: Path, annotations: Path) -> None:
    options = ("--annotations", annotations, "--layout", "coco17", "--against-layout", "coco17")
    code, out, err = run("evaluate", results, *options)
    assert (code, out) == (2, "")
    assert err == "posefix: --against-layout: needs --against, whose layout it is\n"


def test_skeletons_and_pictures_replace_no_input(
    run: Run, annotations: Path, results: Path, photos: Path
) -> None:
    photo = photos / "im00001.png"
    before = annotations.read_bytes(), photo.read_bytes()
    demo = ("demo", "--image", photo, "--poses", results, "--layout", "coco17", "-o", photo)
    for command in (("skeleton", annotations, "-o", annotations), demo):
        code, out, err = run(*command)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "expected another file than those that are read" in err
    assert (annotations.read_bytes(), photo.read_bytes()) == before


def test_skeleton_lists_all_names(run: Run) -> None:
    _, out, _ = run("skeleton")
    assert [line.split()[0] for line in out.splitlines()] == list(posefix.skeleton_names())


def test_skeleton_shows_one(run: Run) -> None:
    _, out, _ = run("skeleton", "lsp14")
    assert all(name in out for name in posefix.load_skeleton("lsp14").keypoint_names)


def test_skeleton_reports_a_mapping(run: Run) -> None:
    _, out, _ = run("skeleton", "coco17", "--to", "lsp14")
    assert "shared (12)" in out
    assert run("skeleton", "--to", "lsp14")[0] == 2


@pytest.mark.usefixtures("identity")
def test_the_demo_writes_a_picture_and_prints_moves(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("demo")
    picture = cv2.imread("posefix-demo.png")
    assert code == 0
    assert picture is not None
    assert picture.shape[1] > picture.shape[0]
    assert "0 keypoints repaired, 0 made worse" in out.splitlines()
    following = out.split("Next, ")[1].splitlines()[1:]
    assert [line.split()[:2] for line in following] == [
        ["posefix", "inspect"],
        ["posefix", "refine"],
        ["posefix", "draw"],
    ]


@pytest.mark.usefixtures("shift")
def test_the_demo_takes_a_photo_of_ones_own(run: Run, photos: Path, results: Path, tmp_path: Path) -> None:
    options = ["--poses", results, "--layout", "coco17", "-o", tmp_path / "shown.jpg"]
    code, out, _ = run("demo", "--image", photos / "im00002.png", *options)
    assert code == 0
    assert out.startswith("2 people")
    assert (tmp_path / "shown.jpg").exists()


@pytest.mark.parametrize(
    "options", [["--image", "x.jpg"], ["-o", "picture.doc"], ["-o", "nowhere/picture.png"]]
)
def test_faults_of_the_demo(options: list[str], run: Run) -> None:
    assert run("demo", *options)[0] == 2


@pytest.mark.parametrize(
    "command",
    [["train", "small"], ["calibrate", "runs/small", "--recipe", "small"], ["export", "runs/small"]],
)
def test_training_without_pytorch_names_the_extra(
    command: list[str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, _, err = run(*command)
    assert code == 2
    assert "pip install 'posefix[train]'" in err


def test_synthesize_writes_a_picture(run: Run, annotations: Path, photos: Path, tmp_path: Path) -> None:
    picture = tmp_path / "errors.png"
    code, out, err = run("synthesize", annotations, "--images", photos, "-o", picture, "--people", "2")
    assert (code, err) == (0, "")
    assert str(picture) in out
    assert picture.stat().st_size > 1000


def test_train_takes_settings_as_key_and_value(run: Run) -> None:
    pytest.importorskip("torch")
    code, _, err = run("train", "small", "--set", "optimiser.epochs")
    assert code == 2
    assert "optimiser.epochs=20" in err
    code, _, err = run("train", "small", "--set", "optimiser.epoch=3")
    assert code == 2
    assert "'epochs'" in err


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "posefix", "skeleton", "coco17"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (EXIT_PIPE_CLOSED, "")


def test_names_that_the_terminal_has_no_letters_for_are_printed_as_numbers(tmp_path: Path) -> None:
    (tmp_path / "hand.json").write_text('{"keypoints": ["thumb\\ud800", "\u00e4"]}', encoding="utf-8")
    command = [sys.executable, "-m", "posefix", "skeleton", str(tmp_path / "hand.json")]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert b"thumb\\ud800" in done.stdout and b"\\xe4" in done.stdout
