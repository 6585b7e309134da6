"""`posefix inspect`, `posefix convert`, `posefix validate`."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from posefix.interchange.catalogue import FORMATS
from posefix.skeletons import load_skeleton

Run = Callable[..., tuple[int, str, str]]
ROW: dict[str, Any] = {
    "image_id": "a.jpg",
    "category_id": 1,
    "keypoints": [number for index in range(17) for number in (10 + index, 20.5 + index, 0.5)],
    "score": 0.75,
    "track_id": 4,
}


@pytest.fixture
def poses(tmp_path: Path) -> Path:
    return write(tmp_path, [ROW, {**ROW, "image_id": "b.jpg", "track_id": 5, "keypoints": [0] * 51}])


def write(folder: Path, rows: Any, name: str = "poses.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def cells(out: str) -> dict[str, list[str]]:
    """Lines of the report by their names; a line without a name belongs to the one before it."""
    lines: dict[str, list[str]] = {}
    name = ""
    for line in out.splitlines():
        match = re.fullmatch(r"(\S.*?)? {2,}(\S.*)", line)
        assert match, line
        name = match[1] or name
        lines.setdefault(name, []).append(match[2])
    return lines


def test_inspect_says_what_a_file_holds(run: Run, poses: Path) -> None:
    code, out, err = run("inspect", poses, "--layout", "coco17")
    assert (code, err) == (0, "")
    told = cells(out)
    assert told["format"] == ["coco-results, COCO results: a list with a row for each pose"]
    assert told["recognised by"] == ["a list of people with 'image_id' and 'keypoints'"]
    assert told["layout"] == ["coco17, 17 keypoints"]
    assert told["people"] == ["2 in 2 photos"]
    assert told["keypoints"] == ["17 there, 50.0% missing"]
    assert told["keypoint scores"] == ["0.5 to 0.5, median 0.5"]
    assert told["tracks"] == ["2"]
    assert told["refined"] == ["1 person: all 17 keypoints"]
    assert told["passes through"] == ["1 person with too few keypoints to be found"]
    assert told["problem"] == ["1 person without any keypoint"]


def test_inspect_says_that_all_photos_were_found(run: Run, poses: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    ids = {row["image_id"] for row in json.loads(poses.read_text())}
    for image_id in ids:
        Image.new("RGB", (8, 8)).save(photos / f"{image_id}.png")
    code, out, _ = run("inspect", poses, "--layout", "coco17", "--images", photos)
    assert (code, cells(out)["people"]) == (0, [f"2 in 2 photos, all found in {photos}"])
    (photos / f"{ids.pop()}.png").unlink()
    _, out, _ = run("inspect", poses, "--layout", "coco17", "--images", photos)
    assert cells(out)["people"] == ["2 in 2 photos"]
    assert any("no photo for image id" in problem for problem in cells(out)["problem"])
    stops = "nobody: `posefix refine` stops at the problem below"
    kept = ", or keeps the people of missing photos as they are (--on-error keep)"
    assert cells(out)["refined"] == [stops + kept]
    for photo in photos.iterdir():
        photo.unlink()
    _, out, _ = run("inspect", poses, "--layout", "coco17", "--images", photos)
    assert cells(out)["refined"] == [stops]


def test_a_folder_of_no_known_format_is_told_by_its_files(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    _, _, err = run("inspect", folder)
    assert "got an empty folder; " in err
    for name in "dcba":
        (folder / f"{name}.txt").write_text("not a pose")
    _, _, err = run("inspect", folder)
    assert "got a folder with a.txt, b.txt, c.txt, ...; " in err


def test_inspect_says_what_can_be_said_without_a_layout(run: Run, poses: Path, tmp_path: Path) -> None:
    code, out, err = run("inspect", poses, "--images", tmp_path)
    assert (code, err) == (2, "")
    told = cells(out)
    assert told["format"][0].startswith("coco-results")
    assert told["layout"] == ["not known, 17 keypoints"]
    assert told["people"] == ["2 in 2 photos"]
    assert told["keypoints"] == ["17 there, 50.0% missing"]
    assert told["keypoint scores"] == ["0.5 to 0.5, median 0.5"]
    assert told["tracks"] == ["2"]
    assert told["problem"][0].endswith("never guessed; with 17 keypoints it may be coco17 or posetrack18.")
    assert told["problem"][1] == "1 person without any keypoint"
    assert "no photo for 2 image ids" in told["problem"][2]
    assert told["layouts that fit"] == [
        "coco17: nose, left_eye, right_eye, left_ear, right_ear, left_shoulder, ...",
        "posetrack18: nose, neck, head_top, left_ear, right_ear, left_shoulder, ...",
    ]
    typed = f"posefix inspect {poses} --layout coco17 --images {tmp_path}"
    assert told["what to type"] == [typed, typed.replace("coco17", "posetrack18")]
    assert "refined" not in told
    assert run(*typed.split()[1:])[0] == 0


@pytest.mark.parametrize(
    ("count", "layout", "problem", "typed"),
    [
        (20, None, "no packaged layout has 20 keypoints", ["--layout mine.json"]),
        (
            14,
            "coco17",
            "expected 17 keypoints in each row, as coco17 has",
            ["--layout lsp14", "--layout aic14"],
        ),
    ],
)
def test_inspect_says_which_layouts_fit(
    run: Run, tmp_path: Path, count: int, layout: str | None, problem: str, typed: list[str]
) -> None:
    path = write(tmp_path, [{**ROW, "keypoints": [9.5, 3, 0.25] * count}])
    code, out, _ = run("inspect", path, *(["--layout", layout] if layout else []))
    told = cells(out)
    assert (code, told["people"]) == (2, ["1 in 1 photo"])
    assert problem in told["problem"][0]
    assert told["layout"] == [f"{'another than was named' if layout else 'not known'}, {count} keypoints"]
    assert all(end in line for end, line in zip(typed, told["what to type"], strict=False))


def test_inspect_leaves_out_a_layout_where_the_file_says_its_own(run: Run, tmp_path: Path) -> None:
    person = {"id": 1, "image_id": 1, "category_id": 1, "keypoints": ROW["keypoints"]}
    names = load_skeleton("coco17").keypoint_names
    content = {"annotations": [person], "images": [], "categories": [{"id": 1, "keypoints": names}]}
    path = write(tmp_path, content)
    code, out, _ = run("inspect", path, "--layout", "lsp14")
    told = cells(out)
    assert (code, told["layout"]) == (2, ["coco17, 17 keypoints"])
    assert told["problem"][0].startswith(
        "expected 14 keypoints in each annotation, as lsp14 has (--layout), got 17"
    )
    assert told["refined"] == ["1 person: all 17 keypoints"]
    assert told["what to type"] == [f"posefix inspect {path}"]


def test_inspect_of_nobody_asks_for_the_layout(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("inspect", write(tmp_path, []))
    assert (code, cells(out)["people"], cells(out)["layout"]) == (2, ["0 in 0 photos"], ["not known"])


def test_inspect_of_labels_needs_neither_layout_nor_photos(run: Run, tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    line = " ".join(["0", *[".5"] * 4, *[".25"] * 51])
    for name in ("a.txt", "b.txt"):
        (tmp_path / "labels" / name).write_text(f"{line}\n{line}\n")
    code, out, _ = run("inspect", tmp_path / "labels")
    told = cells(out)
    assert (code, told["people"], told["boxes"]) == (2, ["4 in 2 photos"], ["4"])
    assert told["layout"] == ["not known, 17 or 25 keypoints"]
    assert "keypoint scores" not in told  # of 25 keypoints they would be other columns
    assert "name their folder (--images)" in told["problem"][1]
    assert told["what to type"][0] == f"posefix inspect {tmp_path / 'labels'} --layout coco17 --images PHOTOS"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("COCO17", "'coco17'"),
        ("coco-17", "'coco17'"),
        ("coco", "'coco17'"),
        ("halpe", "'halpe26' or 'halpe136'"),
        ("opnpose18", "'openpose18'"),
    ],
)
def test_a_layout_that_is_nearly_right_is_suggested(run: Run, poses: Path, name: str, meant: str) -> None:
    code, _, err = run("validate", poses, "--layout", name)
    assert code == 2
    assert f"did you mean {meant}?" in err


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Eight frames."""
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (64, 48))
    for _ in range(8):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    return path


def test_frames_are_looked_for(run: Run, tmp_path: Path, clip: Path) -> None:
    path = write(tmp_path, [{**ROW, "image_id": number} for number in range(1, 9)])
    arguments = (path, "--layout", "coco17", "--video", clip)
    _, out, _ = run("inspect", *arguments)
    assert cells(out)["people"] == ["8 in 8 frames, of 8 in the video"]
    assert "if the poses count frames from 1, say --first-frame 1" in cells(out)["problem"][-1]
    assert run("validate", *arguments)[0] == 2
    assert run("validate", *arguments, "--first-frame", "1") == (0, "no faults\n", "")
    (tmp_path / "photos").mkdir()
    _, out, _ = run("inspect", path, "--layout", "coco17", "--images", tmp_path / "photos")
    assert "if they are numbers of frames, give their video instead (--video)" in cells(out)["problem"][-1]


@pytest.mark.parametrize("command", ["inspect", "validate"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--first-frame", "1"], "--first-frame: needs --video"),
        (
            ["--images", ".", "--video", "clip.mp4"],
            "--images, --video: expected a folder of photos or a video, not",
        ),
        (["--video", "none.mp4"], "video: expected a video file, got none.mp4"),
    ],
)
def test_faulty_videos_are_told(
    run: Run, poses: Path, command: str, arguments: list[str], message: str
) -> None:
    code, _, err = run(command, poses, "--layout", "coco17", *arguments)
    assert code == 2
    assert message in err


def test_a_folder_is_not_called_as_a_file(run: Run, poses: Path, tmp_path: Path) -> None:
    arguments = ("--layout", "coco17", "--to", "mmpose")
    code, _, err = run("convert", poses, tmp_path / "out.json", *arguments)
    assert code == 2
    assert "out.json: expected the name of a folder, since these poses are a file for each photo" in err
    assert not (tmp_path / "out.json").exists()
    assert run("convert", poses, tmp_path / "out", *arguments)[0] == 0
    more = ("--layout", "coco17", "--images", tmp_path, "-o", tmp_path / "refined.json")
    code, _, err = run("refine", tmp_path / "out", *more)
    assert code == 2
    assert "refined.json: expected the name of a folder" in err


@pytest.mark.parametrize(
    ("output", "to", "ending"),
    [
        ("y.json", "deeplabcut", ".csv"),
        ("y.h5", "deeplabcut", ".csv"),
        ("y", "coco-results", ".json"),
        ("y.mp4", "alphapose", ".json"),
        ("y.txt", "detectron2", ".json"),
        ("y.mp4", "mmpose", ".json"),
    ],
)
def test_a_new_file_is_called_as_what_it_is_read_as(
    run: Run, tmp_path: Path, output: str, to: str, ending: str
) -> None:
    poses = write(tmp_path, [{**ROW, "image_id": 3}])
    code, out, err = run("convert", poses, tmp_path / output, "--layout", "coco17", "--to", to)
    assert (code, out) == (2, "")
    assert f"{output}: expected a name that ends in {ending}, under which" in err
    assert not (tmp_path / output).exists()
    right = tmp_path / f"y{ending}"
    assert run("convert", poses, right, "--layout", "coco17", "--to", to)[0] == 0
    assert run("inspect", right, "--layout", "coco17")[0] == 0


def test_the_name_of_a_new_file_is_looked_at_before_the_work(run: Run, tmp_path: Path) -> None:
    _, _, err = run("convert", tmp_path / "none.json", tmp_path / "y", "--to", "coco-results")
    assert "y: expected a name that ends in .json" in err


@pytest.mark.parametrize("output", ["y", "y.mp4", "y.json", "y.h5"])
def test_a_refined_file_ends_as_the_one_that_was_read(
    run: Run, poses: Path, tmp_path: Path, output: str
) -> None:
    table = tmp_path / "poses.csv"
    assert run("convert", poses, table, "--layout", "coco17", "--to", "deeplabcut")[0] == 0
    code, _, err = run("refine", table, "--images", tmp_path, "-o", tmp_path / output)
    assert (code, (tmp_path / output).exists()) == (2, False)
    assert f"{output}: expected a name that ends in .csv, under which" in err


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([], "there is nobody in the file"),
        ([ROW, ROW], "people who are there again, same photo and same keypoints: 1"),
        ([ROW, {**ROW, "keypoints": [50, 25, 0.5] * 17}], "1 person with all keypoints on one point"),
        ([{**ROW, "keypoints": [50, 25, 7] * 17}], "keypoint scores are not all in 0 to 1"),
    ],
)
def test_inspect_finds_what_is_odd(run: Run, tmp_path: Path, rows: Any, problem: str) -> None:
    code, out, _ = run("inspect", write(tmp_path, rows), "--layout", "coco17")
    assert code == 0
    assert any(problem in line for line in cells(out)["problem"])


def test_inspect_tells_of_keypoints_outside_the_photos(run: Run, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (26, 60)).save(photos / "a.jpg")
    away = [number + 5000 * (place % 3 < 2) for place, number in enumerate(ROW["keypoints"])]
    rows = [ROW, {**ROW, "keypoints": away}, {**ROW, "keypoints": [0] * 51}]
    arguments = ("inspect", write(tmp_path, rows), "--layout", "coco17")
    told = "keypoints outside their photo: 17 of 34; some estimators guess those that the photo cuts off"
    problems = cells(run(*arguments, "--images", photos)[1])["problem"]
    assert problems[1:] == ["1 person with all keypoints outside the photo", told]
    assert not any("outside" in problem for problem in cells(run(*arguments)[1])["problem"])


def test_photos_are_looked_for(run: Run, poses: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (8, 6)).save(photos / "a.jpg")
    arguments = (poses, "--layout", "coco17", "--images", photos)
    assert "no photo for image id 'b.jpg'" in cells(run("inspect", *arguments)[1])["problem"][-1]
    code, out, _ = run("validate", *arguments)
    assert (code, out.splitlines()[-1]) == (2, "1 fault")
    Image.new("RGB", (8, 6)).save(photos / "b.jpg")
    assert run("validate", *arguments) == (0, "no faults\n", "")


def test_validate_lists_all_faults_and_how_to_mend_them(run: Run, tmp_path: Path) -> None:
    rows = [
        {**ROW, "keypoints": ROW["keypoints"][:-1]},
        ROW,
        "no row",
        {**ROW, "image_id": None, "keypoints": [None, "1", *ROW["keypoints"][2:]]},
        {**ROW, "score": "high"},
        {"image_id": 1},
    ]
    path = write(tmp_path, rows)
    code, out, err = run("validate", path, "--layout", "coco17")
    assert (code, err) == (2, "")
    faults = [line.removeprefix(f"{path}, ") for line in out.splitlines() if line.startswith(str(path))]
    assert faults == [
        "row 0, field 'keypoints': expected 51 numbers, got 50, which is not a multiple of 3.",
        "row 2: expected an object, got 'no row'.",
        "row 3, field 'keypoints', y of nose: expected a finite number, got '1'.",
        "row 3, field 'image_id': expected an integer or a text, got None.",
        "row 4, field 'score': expected a finite number, got 'high'.",
        "row 5, field 'score': expected a finite number, got none, where other rows have one.",
    ]
    assert "    Take it out of the list." in out.splitlines()
    assert out.splitlines()[-1] == "6 faults"


def test_validate_tells_faults_that_hide_all_others(run: Run, tmp_path: Path) -> None:
    broken = tmp_path / "poses.json"
    broken.write_text("[{]", encoding="utf-8")
    code, out, _ = run("validate", broken)
    assert code == 2
    assert "expected JSON, got an error at line 1, column 3" in out
    code, out, _ = run("validate", tmp_path / "nowhere.json")
    assert (code, out.splitlines()[-1]) == (2, "1 fault")


def test_convert_keeps_people_photos_tracks_and_shared_keypoints(
    run: Run, poses: Path, tmp_path: Path
) -> None:
    output = tmp_path / "lsp.json"
    layout = ("--layout", "coco17", "--to", "coco-results", "--to-layout", "lsp14")
    code, out, err = run("convert", poses, output, *layout)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "layout coco17 -> lsp14: 12 keypoints kept",
        "  lost, not in lsp14 (5): nose, left_eye, right_eye, left_ear, right_ear",
        "  missing, not in coco17 (2): neck, head_top",
        f"2 people in 2 photos written to {output}: coco-results -> coco-results",
    ]
    rows = json.loads(output.read_text())
    assert [(row["image_id"], row["track_id"], row["score"]) for row in rows] == [
        ("a.jpg", 4, 0.75),
        ("b.jpg", 5, 0.75),
    ]
    lsp = load_skeleton("lsp14")
    ankle, neck = lsp.index("right_ankle"), lsp.index("neck")
    assert rows[0]["keypoints"][3 * ankle : 3 * ankle + 3] == ROW["keypoints"][48:]
    assert rows[0]["keypoints"][3 * neck : 3 * neck + 3] == [0, 0, 0]


@pytest.mark.parametrize(
    ("name", "to"), [("new.csv", "deeplabcut"), ("new.json", "label-studio"), ("new", "labelme")]
)
def test_convert_says_who_is_lost(run: Run, poses: Path, tmp_path: Path, name: str, to: str) -> None:
    output, photos = tmp_path / name, ("--images", tmp_path / "photos")
    (tmp_path / "photos").mkdir()
    for photo in ("a.jpg", "b.jpg"):
        Image.new("RGB", (200, 100)).save(tmp_path / "photos" / photo)
    code, out, _ = run("convert", poses, output, "--layout", "coco17", "--to", to, *photos)
    assert code == 0
    assert out.splitlines()[1:] == [
        f"people without a keypoint, for whom {to} has no place, left out: 1",
        f"1 person in 2 photos written to {output}: coco-results -> {to}",
    ]
    assert cells(run("inspect", output)[1])["people"] == ["1 in 1 photo"]


@pytest.mark.parametrize("name", ["a\0.jpg", "\ud800.jpg"])
def test_a_photo_name_that_no_file_can_hold_is_told(run: Run, tmp_path: Path, name: str) -> None:
    path = write(tmp_path, [{**ROW, "image_id": name}])
    code, _, err = run("convert", path, tmp_path / "out", "--layout", "coco17", "--to", "mmpose")
    assert code == 2
    assert "poses.json, row 0, field 'image_id': expected a text without the character NUL and" in err


@pytest.mark.parametrize("command", ["validate", "refine"])
def test_shares_of_the_photo_are_not_taken_for_pixels(run: Run, tmp_path: Path, command: str) -> None:
    poses = write(tmp_path, [{**ROW, "keypoints": [0.5, 0.25, 0.7] * 17}])
    more = ("-o", tmp_path / "out.json", "--images", tmp_path) if command == "refine" else ()
    code, out, err = run(command, poses, "--layout", "coco17", *more)
    assert code == 2
    assert "multiply them by its width and height" in out + err
    assert not (tmp_path / "out.json").exists()


def test_photos_give_ids_their_names(run: Run, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (640, 480)).save(photos / "000000001584.jpg")
    poses = write(tmp_path, [{**ROW, "image_id": 1584}])
    output = tmp_path / "labels"
    arguments = ("--layout", "coco17", "--images", photos, "--to", "ultralytics-labels")
    code, _, err = run("convert", poses, output, *arguments)
    assert (code, err) == (0, "")
    assert [path.name for path in output.iterdir()] == ["000000001584.txt"]


@pytest.mark.parametrize("name", ["poses.json", "names.json", "mine.json"])
def test_convert_replaces_no_input(run: Run, poses: Path, tmp_path: Path, name: str) -> None:
    names = write(tmp_path, {"images": []}, "names.json")
    assert run("skeleton", "coco17", "-o", tmp_path / "mine.json")[0] == 0
    before = (tmp_path / name).read_bytes()
    options = ("--layout", tmp_path / "mine.json", "--annotations", names, "--to", "alphapose")
    code, out, err = run("convert", poses, tmp_path / name, *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "expected another file than those that are read" in err
    assert (tmp_path / name).read_bytes() == before


def test_convert_knows_its_formats(run: Run, poses: Path, tmp_path: Path) -> None:
    code, _, err = run("convert", poses, tmp_path / "x", "--layout", "coco17", "--to", "coca")
    assert code == 2
    assert "--to: expected one of" in err
    assert "did you mean" not in err
    code, _, err = run("convert", poses, tmp_path / "x", "--layout", "coco17", "--to", "OpenPos")
    assert err.endswith("got 'OpenPos'; did you mean 'openpose'?\n")


@pytest.mark.parametrize(
    ("format", "why"),
    [
        ("posetrack18", "`posefix posetrack write-results` does that"),
        ("nwb", "they need the time and rate of a session, which poses do not have"),
        (
            "mediapipe",
            "landmarks need a depth, which poses do not have, and no program reads one shape of them",
        ),
        ("mpii", "write mpii-json"),
        ("sleap", "they need the videos; write sleap-csv"),
    ],
)
def test_what_is_not_written_anew_is_told_with_the_reason(
    run: Run, poses: Path, tmp_path: Path, format: str, why: str
) -> None:
    code, _, err = run("convert", poses, tmp_path / "x", "--layout", "coco17", "--to", format)
    told = f"--to: files of format {format} can be refined in place, not written anew: {why}"
    assert (code, err) == (2, f"posefix: {told}\n")


def test_formats_without_writer_say_why() -> None:
    assert [known.name for known in FORMATS if (known.write is None) == (not known.needs)] == []


def test_a_file_of_no_known_format_is_described(run: Run, tmp_path: Path) -> None:
    code, _, err = run("inspect", write(tmp_path, {"a": 1, "b": 2}))
    assert code == 2
    assert "expected a pose file of a known format, got an object with 'a', 'b'" in err
