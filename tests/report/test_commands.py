"""`--html` and `--images` of `posefix analyze` and `posefix compare`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from tests.report.conftest import Scene

from posefix.cli.app import main
from posefix.interchange import write_new_pose_file
from posefix.skeletons import load_skeleton

ORIENTATION_TAG = 0x0112


@pytest.fixture
def files(tmp_path: Path, scene: Scene) -> tuple[Path, Path, Path, Path]:
    """Annotations, results before and after, and a layout."""
    people, skeleton = scene.annotations.people, scene.annotations.skeleton
    content = {
        "images": [{"id": number, "file_name": path.name} for number, path in scene.photos.items()],
        "annotations": [
            {
                "id": people.ids[row],
                "image_id": people.image_ids[row],
                "category_id": 1,
                "keypoints": [value for x, y in people.keypoints[row].tolist() for value in (x, y, 2)],
                "bbox": people.bbox_xywh[row].tolist(),
                "area": people.area[row],
            }
            for row in range(len(people))
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": ["nose", *skeleton.keypoint_names[1:]]}],
    }
    annotations, before, after = (tmp_path / f"{name}.json" for name in ("truth", "before", "after"))
    annotations.write_text(json.dumps(content), encoding="utf-8")
    write_new_pose_file(before, scene.before)
    write_new_pose_file(after, scene.after)
    return annotations, before, after, scene.photos[1].parent


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_analyze_writes_a_page(
    files: tuple[Path, Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    annotations, before, _, photos = files
    page = tmp_path / "report.html"
    options = ("--layout", "coco17", "--annotations", annotations, "--images", photos, "--html", page)
    assert run("analyze", before, *options) == 0
    assert capsys.readouterr().out.endswith(f"report: {page}\n")
    text = page.read_text(encoding="utf-8")
    assert "Errors of before.json" in text and "data:image/jpeg;base64," in text and '"jpeg":"/9j/' in text


@pytest.mark.parametrize("option", ["--html", "--plot"])
def test_without_matplotlib_what_to_install_is_named(
    option: str,
    files: tuple[Path, Path, Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("posefix.cli.report_options.find_spec", lambda name: None)
    annotations, before, *_ = files
    options = ("--layout", "coco17", "--annotations", annotations, option, tmp_path / "a.svg")
    assert run("analyze", before, *options) == 2
    told = (
        f"posefix: {option}: plots need matplotlib, not installed here; run: pip install 'posefix[report]'\n"
    )
    assert capsys.readouterr().err == told


def test_compare_writes_a_page(files: tuple[Path, Path, Path, Path], tmp_path: Path) -> None:
    annotations, before, after, photos = files
    page = tmp_path / "report.html"
    options = ("--layout", "coco17", "--annotations", annotations, "--images", photos, "--html", page)
    assert run("compare", before, after, *options) == 0
    text = page.read_text(encoding="utf-8")
    assert "before.json → after.json" in text and "most improved" in text


@pytest.mark.parametrize("command", ["analyze", "compare"])
def test_pages_show_turned_photos_as_coordinates_are(
    command: str, files: tuple[Path, Path, Path, Path], tmp_path: Path
) -> None:
    """Photos that are stored upright and say that they are turned by half, beside the same that do not."""
    annotations, before, after, photos = files
    turned = tmp_path / "turned"
    turned.mkdir()
    orientation = Image.Exif()
    orientation[ORIENTATION_TAG] = 3
    for path in photos.iterdir():
        Image.open(path).save(turned / path.name, exif=orientation)
    results = [before] if command == "analyze" else [before, after]
    pages = []
    for images, exif in ((photos, "apply"), (turned, "ignore"), (turned, "apply")):
        page = tmp_path / "report.html"
        options = ("--layout", "coco17", "--annotations", annotations, "--images", images, "--exif", exif)
        assert run(command, *results, *options, "--html", page) == 0
        pages.append(page.read_text(encoding="utf-8"))
    assert pages[0] == pages[1] != pages[2]


@pytest.mark.parametrize("option", ["--json", "--html", "--plot"])
@pytest.mark.parametrize("command", ["analyze", "compare"])
def test_no_photo_is_replaced(
    command: str,
    option: str,
    files: tuple[Path, Path, Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    annotations, before, after, session = files
    photos = Path(shutil.copytree(session, tmp_path / "photos"))
    content = (photos / "2.png").read_bytes()
    results = [before] if command == "analyze" else [before, after]
    options = ("--layout", "coco17", "--annotations", annotations, "--images", photos)
    page = () if option == "--html" else ("--html", tmp_path / "report.html")
    assert run(command, *results, *options, *page, option, photos / "2.png") == 2
    told = (
        f"posefix: {photos / '2.png'}: expected another file than those that are read; choose another name\n"
    )
    assert capsys.readouterr() == ("", told)
    assert (photos / "2.png").read_bytes() == content


def test_no_plot_is_written_over_another_photo_of_the_folder(
    files: tuple[Path, Path, Path, Path], tmp_path: Path
) -> None:
    annotations, before, _, session = files
    photos = Path(shutil.copytree(session, tmp_path / "photos"))
    shutil.copy(photos / "2.png", photos / "other.png")
    options = ("--layout", "coco17", "--annotations", annotations, "--images", photos)
    page = ("--html", photos / "report.html")
    assert run("analyze", before, *options, *page, "--plot", photos / "other.png") == 2
    assert run("analyze", before, *options, *page, "--plot", photos / "new.png") == 0
    # A page is no photo: it may be written again.
    assert run("analyze", before, *options, *page) == 0


@pytest.mark.parametrize("given", ["a.json", "Other=a.json"])
def test_the_numbers_of_another_estimator_are_not_replaced(
    given: str,
    files: tuple[Path, Path, Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    annotations, before, after, _ = files
    monkeypatch.chdir(tmp_path)
    common = (
        "compare",
        before,
        after,
        "--layout",
        "coco17",
        "--annotations",
        annotations,
        "--json",
        "a.json",
    )
    assert run(*common) == 0
    content = Path("a.json").read_bytes()
    capsys.readouterr()
    assert run(*common, "--plot", "a.svg", "--beside", given) == 2
    told = "posefix: a.json: expected another file than those that are read; choose another name\n"
    assert capsys.readouterr() == ("", told)
    assert Path("a.json").read_bytes() == content


def test_the_layout_of_annotations_is_not_replaced(
    files: tuple[Path, Path, Path, Path], tmp_path: Path
) -> None:
    annotations, before, after, _ = files
    layout = tmp_path / "mine.json"
    assert run("skeleton", "coco17", "-o", layout) == 0
    options = ("--layout", "coco17", "--annotations", annotations, "--annotations-layout", layout)
    for words in (("analyze", before), ("compare", before, after)):
        assert run(*words, *options, "--json", layout) == 2
    assert len(load_skeleton(layout)) == 17


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--images", "photos"), "give it a name with --html"),
        (("--html", "nowhere/report.html"), "there is no folder"),
        (("--html", "report.html", "--images", "nowhere"), "not a folder"),
        (("--html", "report.html", "--images", "."), "no photo for"),
        (
            ("--html", "report.html", "--exif", "ignore"),
            "only photos are turned, give their folder with --images",
        ),
    ],
)
def test_faults_are_told_before_the_work(
    options: tuple[str, ...],
    words: str,
    files: tuple[Path, Path, Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    annotations, before, _, _ = files
    monkeypatch.chdir(tmp_path)
    assert run("analyze", before, "--layout", "coco17", "--annotations", annotations, *options) == 2
    out, err = capsys.readouterr()
    assert words in err and out == "" and len(err.splitlines()) == 1
    assert not (tmp_path / "report.html").exists()


@pytest.mark.slow
def test_a_page_of_a_thousand_real_people_is_a_few_megabytes(shared_data: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    results = shared_data / "predictions" / "lspet_val"
    arguments = ("--annotations", shared_data / "lspet" / "person_keypoints_val.json", "--layout", "coco17")
    options = ("--images", shared_data / "lspet" / "images", "--html", page)
    pair = (results / "movenet.coco17.json", results / "tinypose128.coco17.json")
    assert run("compare", *pair, "--match", "people", *arguments, *options) == 0
    assert 500_000 < page.stat().st_size < 5_000_000
