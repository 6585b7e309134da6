"""Bulk refinement of files on a disk: the same bytes however it is split, resumed, and with faults."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.bulk.busy import free_port
from tests.bulk.conftest import MODEL, NETWORK, ROOT, Work, contents, faults_of, make_work, without_progress

from posefix.bulk.settings import COMPANY_FILE, FAULTS_FILE, REPORT_FILE, RUN_FILE
from posefix.network import DEFAULT_MODEL_NAME
from posefix.network.models import model_names

Run = Callable[..., tuple[int, str, str]]
FAST = ("--layout", "coco17", "--model", "identity")
needs_model = pytest.mark.skipif(
    DEFAULT_MODEL_NAME not in model_names(), reason="the packaged model is not in this checkout"
)
pytestmark = pytest.mark.usefixtures("ray_here")


def bulk(
    run: Run, work: Work, out: str, *more: object, model: tuple[str, ...] = FAST
) -> tuple[int, str, str]:
    return run("bulk", work.poses, "--images", work.photos, "-o", work.place / out, *model, *more)


@needs_model
def test_one_photo_one_file_and_any_number_of_workers_give_the_same_bytes(run: Run, work: Work) -> None:
    company = work.place / "company.json"
    assert run("company", work.files[0], "--images", work.photos, "-o", company, *NETWORK)[0] == 0
    for workers in (1, 2, 4):
        code, told, error = bulk(
            run, work, f"out{workers}", "--company", company, "--workers", workers, model=MODEL
        )
        assert (code, without_progress(error)) == (0, "")
        assert "keypoints moved" in told
    for path in work.files:
        plain = work.place / path.name
        options = ("--images", work.photos, *MODEL, "--company", company)
        assert run("refine", path, "-o", plain, *options)[0] == 0
        assert plain.read_bytes() != path.read_bytes()
        for workers in (1, 2, 4):
            assert (work.place / f"out{workers}" / "poses" / path.name).read_bytes() == plain.read_bytes()
        rows, refined = json.loads(path.read_text()), []
        for number in dict.fromkeys(row["image_id"] for row in rows):
            alone, after = work.place / "alone.json", work.place / "after.json"
            alone.write_text(json.dumps([row for row in rows if row["image_id"] == number]))
            assert run("refine", alone, "-o", after, *options)[0] == 0
            refined += json.loads(after.read_text())
        by_photo = {json.dumps(row) for row in refined}
        assert by_photo == {json.dumps(row) for row in json.loads(plain.read_text())}


@needs_model
def test_the_company_is_measured_once_and_kept(run: Run, work: Work) -> None:
    for out, workers in (("one", 1), ("two", 2)):
        assert bulk(run, work, out, "--workers", workers, model=MODEL)[0] == 0
    assert contents(work.place / "one") == contents(work.place / "two")
    assert json.loads((work.place / "one" / "company.json").read_text())["people"] == 9


def test_animals_of_results_stay_as_they_are(run: Run, work: Work) -> None:
    people = 0
    for path in work.files:
        rows = json.loads(path.read_text())
        people += len(rows)
        dog = {**rows[0], "category_id": 18, "keypoints": [10, 20, 0.5] * 20}
        path.write_text(json.dumps([dog, *rows]))
    names = work.place / "truth.json"
    images = [
        {"id": number, "file_name": f"{number}.jpg"} for number in range(len(list(work.photos.iterdir())))
    ]
    categories = [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}]
    names.write_text(json.dumps({"images": images, "annotations": [], "categories": categories}))
    code, told, _ = bulk(run, work, "out", "--category", "person", "--annotations", names)
    assert (code, f"{people} people of" in told) == (0, True)
    for path in work.files:
        refined = json.loads((work.place / "out" / "poses" / path.name).read_text())
        assert refined[0] == json.loads(path.read_text())[0]


def test_done_units_stay_and_the_rest_is_done(run: Run, work: Work) -> None:
    assert bulk(run, work, "out")[0] == 0
    before = contents(work.place / "out")
    times = {path: path.stat().st_mtime_ns for path in (work.place / "out" / "poses").iterdir()}
    (work.place / "out" / "ledger" / "part1.json.json").unlink()
    (work.place / "out" / ".unfinished").mkdir()
    (work.place / "out" / ".unfinished" / "0123").write_text("half")
    code, told, _ = bulk(run, work, "out")
    assert (code, contents(work.place / "out")) == (0, before)
    assert "9 people of 6 photos in 3 units, 2 of them done before" in told
    changed = [path.name for path, time in times.items() if path.stat().st_mtime_ns != time]
    assert changed == ["part1.json"]


@pytest.mark.parametrize("damage", ["output cut short", "entry damaged", "input changed"])
def test_a_unit_that_is_not_what_its_entry_says_is_done_again(run: Run, work: Work, damage: str) -> None:
    assert bulk(run, work, "out")[0] == 0
    before = contents(work.place / "out")
    output, entry = work.place / "out/poses/part0.json", work.place / "out/ledger/part0.json.json"
    if damage == "output cut short":
        output.write_bytes(output.read_bytes()[:-9])
    elif damage == "entry damaged":
        entry.write_text("{")
    else:
        rows = json.loads(work.files[0].read_text())
        work.files[0].write_text(json.dumps(rows[:1]))
    code, told, _ = bulk(run, work, "out")
    assert (code, "2 of them done before" in told) == (0, True)
    if damage == "input changed":
        assert len(json.loads(output.read_text())) == 1
    else:
        assert contents(work.place / "out") == before


def test_other_settings_are_not_mixed_in(run: Run, work: Work) -> None:
    assert bulk(run, work, "out")[0] == 0
    before = contents(work.place / "out")
    code, _, told = bulk(run, work, "out", "--missing", "keep")
    assert code == 2
    assert "holds a run with other settings: missing was 'fill', and is 'keep' now" in told
    assert contents(work.place / "out") == before


@pytest.fixture
def faulty(work: Work) -> Work:
    """Photo 0 is missing, photo 3 cut short, part1 has a fault, and somebody of part2 has no keypoints."""
    (work.photos / "0.jpg").unlink()
    broken = work.photos / "3.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    rows = json.loads(work.files[1].read_text())
    rows[0]["keypoints"][4] = "left"
    work.files[1].write_text(json.dumps(rows))
    rows = json.loads(work.files[2].read_text())
    rows[0]["keypoints"] = [0] * 51
    work.files[2].write_text(json.dumps(rows))
    return work


def test_faults_are_passed_on_and_listed(run: Run, faulty: Work) -> None:
    code, told, _ = bulk(run, faulty, "out", "--workers", 2)
    assert code == 3
    found = [(Path(row["file"]).name, row["record"], row["field"]) for row in faults_of(faulty.place / "out")]
    assert found == [
        ("part0.json", "photo 0", ""),
        ("part0.json", "photo 3", ""),
        ("part1.json", "row 0", "keypoints"),
        ("part2.json", "person 0", "keypoints"),
    ]
    assert "missing or unreadable photos: 2" in told
    assert "listed in faults.parquet: 4" in told
    for path in faulty.files:  # the identity moves nobody
        assert (faulty.place / "out/poses" / path.name).read_bytes() == path.read_bytes()
    again = bulk(run, faulty, "out")
    assert (again[0], len(faults_of(faulty.place / "out"))) == (3, 4), "known from the ledger"


@needs_model
def test_what_is_around_a_fault_is_refined_as_ever(run: Run, faulty: Work) -> None:
    assert bulk(run, faulty, "out", model=MODEL)[0] == 3
    for name in ("part0.json", "part2.json"):
        plain = faulty.place / name
        options = ("--on-error", "keep", "--company", faulty.place / "out/company.json")
        run("refine", faulty.poses / name, "--images", faulty.photos, "-o", plain, *MODEL, *options)
        assert (faulty.place / "out/poses" / name).read_bytes() == plain.read_bytes()


def test_a_fault_stops_the_run_that_asks_for_it(run: Run, faulty: Work) -> None:
    code, _, told = bulk(run, faulty, "out", "--on-error", "stop", "--workers", 1)
    assert code == 2
    assert "part1.json, row 0, field 'keypoints'" in told or "photo" in told
    assert without_progress(told).count("\n") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": "nowhere"}, "there is no such file or folder"),
        ({"inputs": "poses/*.txt"}, "no file fits"),
        ({"inputs": "photos"}, "no file of poses lies in this folder"),
        ({"inputs": "@poses/list"}, "there is no such list"),
        ({"images": "poses"}, "no photo of"),
        ({"images": "nowhere"}, "expected a folder with photos"),
        ({"output": "poses/out/../../poses"}, "which is read; choose another output"),
        ({"output": "photos"}, "expected a new or an empty folder"),
        ({"more": ("--address", "127.0.0.1:PORT")}, "nobody answers there"),
        ({"more": ("--address", "somewhere")}, "expected auto or HOST:PORT"),
        ({"more": ("--workers", "0")}, "--workers: expected 1 or more"),
        ({"more": ("--cpus-per-worker", "99")}, "no machine has room"),
        ({"more": ("--gpus-per-worker", "1")}, "no machine has room"),
        ({"more": ("--sample", "0")}, "--sample: expected 1 or more"),
        ({"more": ("--oks-nms", "7")}, "--oks-nms: expected"),
        ({"more": ("--company", "photos/0.jpg")}, "expected text in UTF-8"),
        ({"model": "nobody"}, "nobody"),
    ],
    ids=str,
)
def test_what_cannot_be_begun_is_told_in_a_sentence(
    run: Run, work: Work, change: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(work.place)
    if "--address" in change.get("more", ()):  # Ray is asked only where there is none yet
        monkeypatch.setattr("ray.is_initialized", lambda: False)
    more = [str(word).replace("PORT", str(free_port())) for word in change.get("more", ())]
    code, out, told = run(
        "bulk", change.get("inputs", "poses"), "--images", change.get("images", "photos"),
        "-o", change.get("output", "out"), "--layout", "coco17", "--model", change.get("model", "identity"), *more,
    )  # fmt: skip
    assert (code, out) == (2, "")
    assert message in told
    assert told.count("\n") == 1
    assert not list(work.place.glob("out/*")), "whoever mends the command may name the same output"


def test_files_of_two_endings_or_layouts_are_not_one_run(run: Run, work: Work) -> None:
    (work.poses / "other.csv").write_text("scorer\n")
    code, _, told = bulk(run, work, "out")
    assert (code, "expected files of one format, got other.csv and part0.json" in told) == (2, True)
    (work.poses / "other.csv").unlink()
    for path in work.files:
        path.unlink()
    for number, numbers in enumerate((54, 75)):
        found = {"version": 1.3, "people": [{"pose_keypoints_2d": list(range(numbers))}]}
        (work.poses / f"{number}_keypoints.json").write_text(json.dumps(found))
    code, _, told = bulk(run, work, "out", model=("--model", "identity"))
    assert code == 2
    assert "expected the format and layout of the other files, openpose of " in told


def test_without_the_extra_one_is_told_what_to_install(
    run: Run, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ray" else there(name))
    code, _, told = bulk(run, work, "out")
    assert (code, told) == (
        2,
        "posefix: bulk needs ray, not installed here; run: pip install 'posefix[bulk]'\n",
    )


def test_lists_and_globs_name_outputs_by_their_common_folder(run: Run, tmp_path: Path) -> None:
    work = make_work(tmp_path)
    (work.poses / "deep").mkdir()
    work.files[2].rename(work.poses / "deep" / "part2.json")
    (work.place / "list.txt").write_text("poses/part0.json\n\nposes/deep/part2.json\n")
    for inputs, names in (
        (f"@{work.place}/list.txt", ["deep/part2.json", "part0.json"]),
        (f"{work.poses}/**/*.json", ["deep/part2.json", "part0.json", "part1.json"]),
        (f"{work.poses}/part[01].json", ["part0.json", "part1.json"]),
    ):
        out = work.place / str(len(names)) / inputs[0].strip("/")
        out.parent.mkdir(exist_ok=True)
        out = work.place / f"out{abs(hash(inputs))}"
        assert run("bulk", inputs, "--images", work.photos, "-o", out, *FAST)[0] == 0
        found = sorted(path.relative_to(out / "poses").as_posix() for path in out.rglob("poses/**/*.json"))
        assert found == names


def test_progress_is_a_line_of_json(run: Run, work: Work) -> None:
    _, _, told = bulk(run, work, "out", "--every", 0.0001)
    lines = [json.loads(line) for line in told.splitlines()]
    assert lines[-1]["units"] == 3
    assert {"people_per_second", "remaining_seconds", "faults", "workers"} <= lines[0].keys()


def test_the_report_says_who_did_what(run: Run, work: Work) -> None:
    assert bulk(run, work, "out")[0] == 0
    report = json.loads((work.place / "out/report.json").read_text())
    assert (report["counts"]["people"], report["units"], report["aside"]) == (9, 3, 0)
    assert sum(own["people"] for own in report["by_worker"].values()) == 9


def test_photos_broken_in_the_sample_do_not_stop_the_company(run: Run, work: Work) -> None:
    cv2.imwrite(str(work.photos / "0.jpg"), np.zeros((9, 9, 3), np.uint8))
    (work.photos / "1.jpg").write_bytes(b"no photo")
    assert bulk(run, work, "out")[0] == 3
    assert json.loads((work.place / "out/company.json").read_text())["people"] < 9


def test_the_page_says_what_there_is(run: Run) -> None:
    page = (ROOT / "docs/bulk.md").read_text(encoding="utf-8")
    _, told, _ = run("bulk", "--help")
    options = set(re.findall(r"--[a-z-]+", page)) & set(re.findall(r"--[a-z-]+", told))
    assert {
        "--address",
        "--workers",
        "--gpus-per-worker",
        "--sample",
        "--retries",
        "--every",
        "--on-error",
    } <= options
    for name in (RUN_FILE, COMPANY_FILE, FAULTS_FILE, REPORT_FILE):
        assert f"`{name}`" in page
