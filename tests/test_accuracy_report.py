"""Tables and figure say what the numbers say."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from benchmarks import accuracy_report
from benchmarks.accuracy_report import MARK, Column, full, lookup, partial, pooled_bins, reliability, short
from benchmarks.documents import insert

Numbers = dict[str, Any]


def metrics(ap: float) -> Numbers:
    return {"AP": ap, "AP50": ap + 0.2, "AP75": ap - 0.1, "AR": ap + 0.05}


def estimator(before: float, after: float) -> Numbers:
    counts = {"repaired": 30, "broken": 10, "repaired_by_error": {"inversion": 5, "swap": 0, "miss": 25}}
    counts["broken_by_error"] = {"inversion": 2, "swap": 1, "miss": 7}
    return {
        "people": 10,
        "comparison": {
            "before": metrics(before), "after": metrics(after), "difference": after - before, "interval": [0.01, 0.15],
        },
        "scores": {"model": metrics(after + 0.02), "product": metrics(after + 0.03), "usual": metrics(after + 0.02)},
        "second_pass": {"metrics": metrics(after + 0.001), "movement": 0.0042},
        "missing": {"share": 0.2, "before": metrics(before - 0.2), "after": metrics(after - 0.01)},
        "better_input": {"share": 0.3, "before": metrics(before + 0.3), "after": metrics(after + 0.25)},
        "photo_by_photo": metrics(after - 0.03),
        "better_input_by_photo": metrics(before + 0.2),
        "changes": {
            "people": 200, "better": 30, "worse": 3, "much_worse": 1, "handed_over": 2, "good": 50, "broken": 1,
        },
        "repairs": counts,
        "rule_off": {"metrics": metrics(after - 0.02), "repairs": {**counts, "broken": 900}},
        "collapsed": {"before": 2, "after": 3},
        "confidence": {
            "calibration_error": 0.031, "auroc": 0.84, "brier": 0.14, "base_rate_brier": 0.2, "correlation": 0.7,
            "oks_error": 0.11, "bins": [
                {"low": 0.0, "count": 10, "mean_score": 0.02, "share_right": 0.1},
                {"low": 0.8, "count": 30, "mean_score": 0.9, "share_right": 0.8},
            ],
        },
        "control": metrics(after - 0.05),
    }  # fmt: skip


@pytest.fixture
def measured() -> Numbers:
    summary = {
        "wins": 2,
        "losses": 0,
        "certain_wins": 1,
        "certain_losses": 0,
        "mean_gain": 7.5,
        "worst_gain": 5.0,
    }
    estimators = {"movenet.coco17": estimator(0.4, 0.5), "tfpose.openpose18": estimator(0.2, 0.25)}
    part = {"photos": 1000, "people": 1000, "summary": summary, "estimators": estimators}
    sets = {"lspet_val": part, "everyday_dev": copy.deepcopy(part)}
    return {"environment": {"cores": 2, "device": "a processor"}, "model": "small", "sets": sets}


def test_the_short_table_shows_what_refinement_is_worth(measured: Numbers) -> None:
    lines = short(measured).splitlines()
    assert lines[:8] == [
        "**LSP-Extended, 1,000 photos: AP**",
        "",
        "| estimator (layout) | input | refined (gain; 95 % interval) | refined, scores as written | control | "
        "second pass | photo by photo | errors x .3 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        "| movenet (coco17) | 40.0 | **50.0** (+10.0; +1.0 to +15.0) | 52.0 | 45.0 | 50.1 | 47.0 | 70.0 -> 75.0 |",
        "| tfpose (openpose18) | 20.0 | **25.0** (+5.0; +1.0 to +15.0) | 27.0 | 20.0 | 25.1 | 22.0 | 50.0 -> 50.0 |",
        "| mean | 30.0 | **37.5** (+7.5) | 39.5 | 32.5 | 37.6 | 34.5 | 60.0 -> 62.5 |",
        "",
    ]
    assert lines[8] == "2 go up (1 beyond the interval), 0 go down (0 beyond the interval)."
    assert "| movenet (coco17) | 200 | 15.0 % | 1.5 % | 0.5 % | 1.0 % | 2.0 % |" in lines


def test_estimators_that_were_seen_are_in_no_mean(measured: Numbers) -> None:
    parts = measured["sets"]["lspet_val"]["estimators"]
    parts["thunder.coco17"] = estimator(0.6, 0.9)
    lines = short(measured).splitlines()
    assert lines[6].startswith("| thunder (coco17, seen) | 60.0 | **90.0**")
    assert lines[7].startswith("| mean | 30.0 | **37.5** (+7.5) |")


def test_the_full_tables_show_the_rest(measured: Numbers) -> None:
    text = full(measured)
    assert text.startswith(short(measured))
    for cells in (
        "| movenet (coco17) | 60.0 -> 70.0 | 30.0 -> 40.0 | 45.0 -> 55.0 | 52.0 | 53.0 | 20.0 -> 49.0 | "
        "70.0 -> 60.0 | 48.0 | 0.42 % |",
        "| movenet (coco17) | 30 / 10 | 30 / 900 | 2 -> 3 | 0.031 | 0.840 | 0.140 (0.200) | 0.70, 0.11 |",
        "| mean | 30 / 10 | 30 / 900 | 2.0 -> 3.0 | 0.031 | 0.840 | 0.140 (0.200) | 0.70, 0.11 |",
        "| inversion | 10 | 4 | 10 | 4 |",
    ):
        assert cells in text


def test_what_was_not_measured_is_a_dash(measured: Numbers) -> None:
    parts = measured["sets"]["lspet_val"]["estimators"]
    del parts["movenet.coco17"]["control"], parts["movenet.coco17"]["rule_off"]
    lines = full(measured).splitlines()
    assert lines[4].endswith("| 52.0 | - | 50.1 | 47.0 | 70.0 -> 75.0 |")
    assert lines[6].endswith(
        "| 39.5 | - | 37.6 | 34.5 | 60.0 -> 62.5 |"
    )  # a mean of some would be compared with means of all
    assert "| inversion | 10 | 4 |" in lines, "a total of some would be taken for one of all"


def test_a_column_reads_keys_and_positions() -> None:
    numbers = {"a": {"b": [1, {"c": 0.25}]}, "none": None}
    assert lookup(numbers, "a.b.1.c") == 0.25
    assert lookup(numbers, "a.x.c") is None
    assert lookup(numbers, "none") is None
    assert Column("head", ("a.b.0", "a.b.1.c"), "{:.0f} of {:.0f}").cells({"a": numbers}) == ["100 of 25"] * 2


def test_bins_of_all_estimators_are_pooled_by_their_counts(measured: Numbers) -> None:
    part = measured["sets"]["lspet_val"]
    other = part["estimators"]["tfpose.openpose18"]["confidence"]
    other["bins"] = [{"low": 0.0, "count": 30, "mean_score": 0.06, "share_right": 0.5}]
    np.testing.assert_allclose(pooled_bins(part), [[40, 0.05, 0.4], [30, 0.9, 0.8]])


def test_the_figure_is_a_drawing_that_repeats_to_the_byte(measured: Numbers) -> None:
    drawing = reliability(measured)
    assert drawing == reliability(measured)
    assert ElementTree.fromstring(drawing).tag == "{http://www.w3.org/2000/svg}svg"
    assert b"<dc:date>" not in drawing


def test_a_figure_needs_no_confidence(measured: Numbers) -> None:
    for numbers in measured["sets"]["everyday_dev"]["estimators"].values():
        del numbers["confidence"]
    assert reliability(measured)


def test_only_what_stands_between_the_marks_changes() -> None:
    text = "a\n<!-- accuracy -->\nold\n<!-- /accuracy -->\nb\n"
    assert insert(text, MARK, "new\n") == text.replace("old", "new")


@pytest.mark.repository
def test_the_documents_exist() -> None:
    assert all(path.exists() for path, _ in accuracy_report.DOCUMENTS)
    assert accuracy_report.FIGURE.relative_to(accuracy_report.ROOT) == Path("docs/figures/reliability.svg")


def test_a_column_that_nobody_measured_is_left_out(measured: Numbers) -> None:
    for part in measured["sets"].values():
        for numbers in part["estimators"].values():
            numbers.pop("second_pass", None)
    assert "| second pass |" not in short(measured)
    assert "| refined, scores as written |" in short(measured)


def test_people_of_whom_only_a_part_was_found_are_one_table() -> None:
    ways = {"given": {"ap": 0.0}, "proportions": {"ap": 0.79}, "boxes beside": {"ap": 0.8562}}
    found = partial({"sets": {"coco_dev": {"people": 39, "parts": {"face": ways}}}})
    assert found.splitlines()[-1] == "| COCO val2017 | 39 | face | 0.0 | 79.0 | 85.6 |"
