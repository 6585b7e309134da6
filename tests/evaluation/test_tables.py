"""Tables: what is written, what is marked as published, what is refused."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posefix.cli.app import main
from posefix.errors import InputError
from posefix.evaluation.judge import COLUMNS, Judge
from posefix.evaluation.measured import (
    ResultsToMeasure,
    check_same_images,
    keypoint_notes,
    measure_files,
)
from posefix.evaluation.published import published_names, read_published_rows
from posefix.evaluation.tables import Row, Table
from posefix.skeletons import load_skeleton

COCO = load_skeleton("coco17")
TABLE = Table(
    ("AP", "AP-M"),
    (
        Row("A_1", {"AP": 0.5}, "Someone 2018, table 1"),
        Row("mine", {"AP": 0.4213, "AP-M": -1.0}),
        Row("  change", {"AP": -0.021}, is_change=True),
    ),
    ("measured on x.json",),
)


def test_text_marks_published_rows_and_names_their_source() -> None:
    assert TABLE.render("text").splitlines() == [
        "            AP  AP-M",
        "A_1 *     50.0     -",
        "mine      42.1     -",
        "  change  -2.1     -",
        "* published, not measured here: Someone 2018, table 1",
        "measured on x.json",
    ]


def test_markdown_escapes_what_means_something_to_it() -> None:
    assert TABLE.render("markdown").splitlines() == [
        "|  | AP | AP-M |",
        "| --- | ---: | ---: |",
        r"| A\_1 \* | 50.0 | - |",
        "| mine | 42.1 | - |",
        "| change | -2.1 | - |",
        "",
        r"\* published, not measured here: Someone 2018, table 1",
        "",
        "measured on x.json",
    ]


def test_latex_is_a_tabular_without_packages() -> None:
    assert TABLE.render("latex").splitlines() == [
        r"\begin{tabular}{lrr}",
        r"\hline",
        r" & AP & AP-M \\",
        r"\hline",
        r"A\_1$^{*}$ & 50.0 & - \\",
        r"mine & 42.1 & - \\",
        r"change & $-2.1$ & - \\",
        r"\hline",
        r"\multicolumn{3}{l}{\footnotesize * published, not measured here: Someone 2018, table 1} \\",
        r"\end{tabular}",
        "% measured on x.json",
    ]


def test_csv_says_the_kind_and_source_of_each_row() -> None:
    assert list(csv.reader(io.StringIO(TABLE.render("csv")))) == [
        ["name", "kind", "source", "AP", "AP-M"],
        ["A_1", "published", "Someone 2018, table 1", "50.0000", ""],
        ["mine", "measured", "", "42.1300", ""],
        ["change", "change", "", "-2.1000", ""],
    ]


def test_a_change_that_is_none_has_no_minus() -> None:
    table = Table(("AP",), (Row("change", {"AP": -0.0004e-3}, is_change=True),))
    assert table.render("text").split() == ["AP", "change", "+0.0"]
    assert table.render("csv").splitlines()[1] == "change,change,,0.0000"


def test_pixels_stay_pixels_in_every_format() -> None:
    rows = (
        Row("theirs", {"AUC": 0.5, "EPE px": 117.25}, "there"),
        Row("mine", {"AUC": 0.25, "EPE px": 12.34}),
        Row("none", {"AUC": 0.0, "EPE px": -1.0}),
        Row("  change", {"AUC": -0.25, "EPE px": -104.91}, is_change=True),
        Row("  nothing", {"AUC": 0.0, "EPE px": -0.04}, is_change=True),
    )
    table = Table(("AUC", "EPE px"), rows)
    assert [line.split()[-2:] for line in table.render("text").splitlines()[1:6]] == [
        ["50.0", "117.2"],
        ["25.0", "12.3"],
        ["0.0", "-"],
        ["-25.0", "-104.9"],
        ["+0.0", "+0.0"],
    ]
    assert [line.split(",")[-2:] for line in table.render("csv").splitlines()[1:]] == [
        ["50.0000", "117.2500"],
        ["25.0000", "12.3400"],
        ["0.0000", ""],
        ["-25.0000", "-104.9100"],
        ["0.0000", "-0.0400"],
    ]


def test_several_sources_have_a_mark_each() -> None:
    rows = (Row("a", {}, "one"), Row("b", {}, "two"), Row("c", {}, "one"))
    lines = Table(("AP",), rows).render("text").splitlines()
    assert [line.split()[:2] for line in lines[1:4]] == [["a", "*1"], ["b", "*2"], ["c", "*1"]]
    assert lines[4:] == ["*1 published, not measured here: one", "*2 published, not measured here: two"]


def test_there_are_four_formats() -> None:
    with pytest.raises(InputError, match="expected one of text, csv, latex, markdown, got 'html'"):
        TABLE.render("html")  # type: ignore[arg-type]


# The paper's tables, as packaged.


def test_the_papers_tables_are_packaged() -> None:
    assert published_names() == tuple(f"paper-table{number}" for number in range(1, 7))
    sizes = {name: len(read_published_rows(name, COLUMNS).rows) for name in published_names()}
    assert list(sizes.values()) == [3, 24, 3, 14, 2, 2]


def test_the_papers_gains_follow_from_its_table_2() -> None:
    """The differences are those that the authors' repository prints for the same twelve inputs."""
    rows = read_published_rows("paper-table2", COLUMNS).rows
    assert all(set(row.values) == set(COLUMNS["coco"]) for row in rows)
    gains = {
        before.name: round(100 * (after.values["AP"] - before.values["AP"]), 1)
        for before, after in zip(rows[::2], rows[1::2], strict=True)
    }
    assert gains == {
        "AE": 7.3,
        "PAFs": 5.0,
        "Mask R-CNN (ResNet-50)": 4.3,
        "Mask R-CNN (ResNet-101)": 4.1,
        "Mask R-CNN (ResNeXt-101-64)": 3.8,
        "Mask R-CNN (ResNeXt-101-32)": 3.6,
        "IntegralPose": 3.2,
        "CPN (ResNet-50)": 3.2,
        "CPN (ResNet-101)": 3.0,
        "Simple (ResNet-50)": 3.1,
        "Simple (ResNet-101)": 2.8,
        "Simple (ResNet-152)": 2.5,
    }


@pytest.mark.parametrize("name", ["paper-table1", "paper-table3"])
def test_the_inputs_of_tables_1_and_3_are_the_rows_less_their_changes(name: str) -> None:
    changes = {
        "paper-table1": ([0.4, -1.0, -0.2, 0.6, 0.2], [2.4, 0.2, 1.3, 2.4, 2.1]),
        "paper-table3": ([1.8, 0.4, 2.2, 1.6, 2.2], [4.2, 0.5, 3.2, 3.9, 4.8]),
    }[name]
    before, *after = read_published_rows(name, COLUMNS).rows
    for row, printed in zip(after, changes, strict=True):
        found = [round(100 * (row.values[column] - before.values[column]), 1) for column in row.values]
        assert found == printed


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_rows_may_be_typed_with_any_spelling_and_a_source_of_their_own(tmp_path: Path) -> None:
    rows = [{"name": "a", "AP.50": 70, "APM": 10.5}, {"name": "b", "source": "there", "ar": 1}]
    part = read_published_rows(write(tmp_path / "r.json", {"source": "here", "rows": rows}), COLUMNS)
    assert part.metric == "coco"
    assert part.rows == (
        Row("a", {"AP50": 0.7, "AP-M": 0.105}, "here"),
        Row("b", {"AR": 0.01}, "there"),
    )


def test_published_pixels_are_no_percentages(tmp_path: Path) -> None:
    content = {"metric": "pck", "source": "s", "rows": [{"name": "a", "EPE px": 117.3, "NME": 3.5}]}
    (row,) = read_published_rows(write(tmp_path / "r.json", content), COLUMNS).rows
    assert (row.values, row.cell("EPE px"), row.cell("NME")) == (
        {"EPE px": 117.3, "NME": 0.035},
        "117.3",
        "3.5",
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "expected an object with a list 'rows'"),
        ({"rows": [{"name": "a", "AP": 1}]}, "row 0, field 'source': expected where the numbers"),
        ({"source": "s", "rows": [{"AP": 1}]}, "row 0: expected an object with a 'name'"),
        (
            {"source": "s", "rows": [{"name": "a", "AP60": 1}]},
            "row 0: unknown field 'AP60'; expected one of AP,",
        ),
        ({"source": "s", "rows": [{"name": "a", "AP": "70"}]}, "row 0, field 'AP': expected a percentage"),
        ({"source": "s", "rows": [{"name": "a", "AP": 700}]}, "row 0, field 'AP': expected a percentage"),
        (
            {"metric": "pck", "source": "s", "rows": [{"name": "a", "EPE px": -1}]},
            "row 0, field 'EPE px': expected pixels, 0 or more, got -1",
        ),
        (
            {"metric": "pck", "source": "s", "rows": [{"name": "a", "NME": 101}]},
            "row 0, field 'NME': expected a percentage, 0 to 100, got 101",
        ),
        (
            {"metric": "ap", "rows": []},
            "field 'metric': expected coco, crowdpose, posetrack, pckh or pck, got 'ap'",
        ),
    ],
)
def test_faults_of_typed_rows_are_named(content: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_published_rows(write(tmp_path / "r.json", content), COLUMNS)


def test_a_table_that_is_not_packaged_is_refused() -> None:
    with pytest.raises(InputError, match="expected a JSON file or one of paper-table1, "):
        read_published_rows("paper-table9", COLUMNS)


# Measured rows.


def pose(image_id: int, shift: float) -> dict[str, Any]:
    places = np.column_stack([np.arange(17) * 5.0 + shift + 1, np.arange(17) * 7.0 + 1, np.ones(17)])
    return {"image_id": image_id, "category_id": 1, "keypoints": places.ravel().tolist(), "score": 1.0}


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    people = [{**pose(n, 0), "id": n, "bbox": [0, 0, 85, 119], "area": 5000.0} for n in (1, 2)]
    return write(
        tmp_path / "truth.json",
        {
            "images": [{"id": n, "file_name": f"{n}.jpg"} for n in (1, 2)],
            "annotations": people,
            "categories": [{"id": 1, "name": "person", "keypoints": list(COCO.keypoint_names)}],
        },
    )


def test_before_after_and_change_are_measured(truth: Path, tmp_path: Path) -> None:
    before = write(tmp_path / "before.json", [pose(1, 0), pose(2, 900)])
    after = write(tmp_path / "after.json", [pose(1, 0), pose(2, 0)])
    done: list[tuple[int, int]] = []
    files = [
        ResultsToMeasure("mine", before, COCO, after),
        ResultsToMeasure("other", after, COCO),
    ]
    measured = measure_files(files, Judge.read(truth), progress=lambda *numbers: done.append(numbers))
    assert [(row.name, row.kind) for row in measured.rows] == [
        ("mine", "measured"),
        ("+ refined", "measured"),
        ("  change", "change"),
        ("other", "measured"),
    ]
    low, high, change, _ = (row.values["AR"] for row in measured.rows)
    assert (low, high, change) == pytest.approx((0.5, 1.0, 0.5))
    assert "AP-L" not in measured.rows[2].values  # nobody is that large
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert measured.notes[0] == "measured on truth.json: 2 people in 2 images"


def test_a_table_says_how_many_poses_are_of_other_categories(truth: Path, tmp_path: Path) -> None:
    rows = [pose(1, 0), pose(2, 0), {**pose(2, 900), "category_id": 18}]
    measured = measure_files(
        [ResultsToMeasure("mine", write(tmp_path / "a.json", rows), COCO)], Judge.read(truth)
    )
    assert measured.rows[0].values["AP"] == pytest.approx(1.0)
    assert measured.notes[1] == "a.json: poses of other categories, left out: 1 (category_id 18 1)"


def test_results_of_different_images_are_refused_before_anything_is_measured(
    truth: Path, tmp_path: Path
) -> None:
    files = [
        ResultsToMeasure("a", write(tmp_path / "a.json", [pose(1, 0)]), COCO),
        ResultsToMeasure("b", write(tmp_path / "b.json", [pose(2, 0)]), COCO),
    ]
    with pytest.raises(InputError, match=r"a\.json and .*b\.json hold poses of different images, 1 only in"):
        measure_files(files, Judge.read(truth))
    rows = measure_files(files, Judge.read(truth), any_images=True).rows
    assert [row.values["AR"] for row in rows] == pytest.approx([0.5, 0.5])


def test_a_few_of_the_images_that_differ_are_named() -> None:
    with pytest.raises(InputError) as caught:
        check_same_images({"a": {1, 2, 3, 4, 5, "x"}, "b": {1, 9}})
    assert "2, 3, 4 and 2 more only in a and 9 only in b; compare" in str(caught.value)
    check_same_images({"a": {1, 2}, "b": {2, 1}})


def test_rows_on_different_keypoints_are_told() -> None:
    assert keypoint_notes({"a": ("nose",), "b": ("nose",)}) == ("keypoints compared (1): nose",)
    notes = keypoint_notes({"a": ("nose",), "b": ("nose", "neck")})
    assert notes[1:] == ("a: keypoints compared (1): nose", "b: keypoints compared (2): nose, neck")


def test_a_file_and_its_refined_one_must_be_measured_on_the_same_keypoints(
    truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(truth.read_text())
    before = write(tmp_path / "before.json", content)
    content["categories"][0]["keypoints"] = COCO.keypoint_names[5:]
    for person in content["annotations"]:
        person["keypoints"] = person["keypoints"][15:]
    after = write(tmp_path / "after.json", content)
    for metric in ("coco", "pck"):
        options = ("--annotations", truth, "--metric", metric)
        code, out, err = run(capsys, f"mine={before}", "--refined", after, *options)
        assert (code, out) == (2, "")
        assert err == (
            f"posefix: {before} and {after}: expected the same keypoints of {truth}, before refinement and after, got "
            "17 and 12, left_ear, left_eye, nose, right_ear, right_eye in one alone; give refined results of the same "
            "layout, or each file as a row of its own\n"
        )
    code, out, _ = run(capsys, before, after, *options)
    assert (code, "not all rows are measured on the same keypoints" in out) == (0, True)


def test_notes_tell_refined_rows_apart(truth: Path, tmp_path: Path) -> None:
    before = write(tmp_path / "before.json", [pose(1, 0), pose(2, 9e6)])
    after = write(tmp_path / "after.json", [pose(1, 0), pose(2, 0)])
    files = [ResultsToMeasure(name, before, COCO, after) for name in ("one", "two")]
    notes = measure_files(files, Judge.read(truth, "pck")).notes
    assert len(notes) == 3
    assert notes[1].startswith("keypoints compared (17): nose, ")
    assert notes[2].startswith("one, two: without a pose of theirs: 1 of 2 people, wrong in PCK and AUC")
    notes = measure_files([ResultsToMeasure("one", before, COCO)], Judge.read(truth, "pck")).notes
    assert notes[2].startswith("without a pose of theirs: 1 of 2 people")


def test_a_distance_that_was_undefined_has_no_change(truth: Path, tmp_path: Path) -> None:
    far = write(tmp_path / "far.json", [pose(1, 9e6), pose(2, 9e6)])
    near = write(tmp_path / "near.json", [pose(1, 3), pose(2, 3)])
    for files in ((far, near), (near, far)):
        rows = measure_files(
            [ResultsToMeasure("mine", files[0], COCO, files[1])], Judge.read(truth, "pck")
        ).rows
        assert sorted(row.values["EPE px"] for row in rows[:2]) == pytest.approx([-1, 3])
        assert [rows[2].cell(name) for name in ("EPE px", "NME")] == ["-", "-"]
        assert "PCK@.2" in rows[2].values


def test_areas_that_are_estimated_are_told_once(truth: Path, tmp_path: Path) -> None:
    content = json.loads(truth.read_text())
    for person in content["annotations"]:
        del person["area"]
    after = write(tmp_path / "after.json", [pose(1, 0), pose(2, 0)])
    files = [ResultsToMeasure("mine", after, COCO, after)]
    notes = measure_files(files, Judge.read(write(truth, content))).notes
    assert notes[-1] == "areas estimated as .53 x box area"


# From the command line.


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["table", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_published_rows_stand_above_measured_ones(
    truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = write(tmp_path / "before.json", [pose(1, 0), pose(2, 900)])
    after = write(tmp_path / "after.json", [pose(1, 0), pose(2, 0)])
    options = ("--layout", "coco17", "--annotations", truth, "--rows", "paper-table4")
    code, out, _ = run(capsys, f"mine={before}", after, "--refined", after, after, *options)
    lines = out.splitlines()
    assert code == 0
    assert lines[14].split()[:4] == ["+", "PoseFix", "*", "74.9"]
    assert [line.split("  ")[0] for line in lines[15:21]] == [
        "mine",
        "+ refined",
        "",
        "after",
        "+ refined",
        "",
    ]
    target = tmp_path / "table.csv"
    assert run(capsys, before, *options, "--format", "csv", "-o", target)[0] == 0
    assert target.read_text().startswith("name,kind,source,AP,")


def test_published_rows_need_no_results(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--rows", "paper-table5")
    assert (code, out.splitlines()[2].split()[-1]) == (0, "75.0")


def test_a_posetrack_folder_gives_posetrack_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = list(load_skeleton("posetrack18").keypoint_names)
    person = {**pose(1, 0), "id": 1, "bbox": [0, 0, 85, 119], "bbox_head": [0, 0, 30, 40]}
    content = {
        "images": [{"id": 1, "file_name": "1.jpg"}],
        "annotations": [person],
        "categories": [{"id": 1, "name": "person", "keypoints": names}],
    }
    folder = tmp_path / "truth"
    folder.mkdir()
    write(folder / "1.json", content)
    results = write(tmp_path / "mine.json", [pose(1, 0)])
    options = ("--layout", "posetrack18", "--annotations", folder)
    code, out, _ = run(capsys, results, *options, "--rows", "paper-table5")
    assert code == 0
    assert out.splitlines()[3].split() == ["mine", *["100.0"] * 8]
    code, _, err = run(capsys, results, *options, "--rows", "paper-table4")
    assert (code, err.count("\n")) == (2, 1)
    assert "expected rows of the metric 'posetrack', as the others, got 'coco'" in err


def test_rows_of_another_metric_are_refused_before_anything_is_measured(
    truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posefix.evaluation.measured.measure_files", pytest.fail)
    results = write(tmp_path / "a.json", [pose(1, 0)])
    options = ("--layout", "coco17", "--annotations", truth, "--rows", "paper-table5")
    code, out, err = run(capsys, results, *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "expected rows of the metric 'coco', as the others, got 'posetrack'" in err


@pytest.mark.parametrize("name", ["a.json", "refined.json", "truth.json", "rows.json"])
def test_the_table_replaces_no_input(
    truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    results, refined = (
        write(tmp_path / "a.json", [pose(1, 0)]),
        write(tmp_path / "refined.json", [pose(1, 0)]),
    )
    rows = write(tmp_path / "rows.json", {"source": "s", "rows": [{"name": "a", "AP": 1}]})
    options = ("--refined", refined, "--layout", "coco17", "--annotations", truth, "--rows", rows)
    before = (tmp_path / name).read_bytes()
    code, _, err = run(capsys, f"mine={results}", *options, "-o", tmp_path / name)
    assert (code, err.count("\n")) == (2, 1)
    assert "expected another file than those that are read" in err
    assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected results files, --rows, or both"),
        (("a.json",), "--annotations: expected the ground truth"),
        (("a.json", "b.json", "--refined", "c.json"), "--refined: expected one for each of 2 results, got 1"),
        (("a.json", "x/a.json"), "expected a name of its own for each"),
        (("--rows", "paper-table4", "--annotations", "a.json"), "--any-images: need RESULTS"),
        (("--rows", "paper-table4", "--layout", "coco17"), "--any-images: need RESULTS"),
        (("--rows", "paper-table4", "--any-images"), "--any-images: need RESULTS"),
        (
            ("a.json", "--layout", "coco17", "lsp14"),
            "--layout: expected one, or one for each of 1 results, got 2",
        ),
    ],
)
def test_faults_of_the_command_are_one_sentence(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_the_data_sets_own_figures_come_out(shared_data: Path) -> None:
    folder = shared_data / "predictions" / "coco_dev"
    files = [
        ResultsToMeasure(name, folder / f"{name}.coco17.json", COCO) for name in ("movenet", "tinypose128")
    ]
    rows = measure_files(files, Judge.read(shared_data / "coco" / "person_keypoints_dev.json")).rows
    assert [row.cell("AP") for row in rows] == ["33.5", "51.5"]
