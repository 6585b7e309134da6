"""The regression check: what counts as worse, what is measured twice, what is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from benchmarks.analysis_speed import broken_promises as broken_analysis
from benchmarks.check import RATIOS, Ratio, kept_number, worse
from benchmarks.environment import RESULTS
from benchmarks.evaluators import broken_promises as broken_evaluation


def ratio(
    better: Literal["higher", "lower"],
    *found: float,
    tolerance: float = 0.25,
    needs_data: bool = False,
    least: float | None = None,
) -> Ratio:
    """A ratio that gives these numbers one after the other."""
    numbers = iter(found)
    measure: Callable[[Path], float] = lambda _: next(numbers)  # noqa: E731
    return Ratio("work over play", "kept", ("speed", "ratio"), better, tolerance, measure, needs_data, least)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "kept.json").write_text(json.dumps({"speed": {"ratio": 4.0}}))
    return tmp_path


@pytest.mark.parametrize(
    ("better", "found", "is_worse"),
    [
        ("higher", 3.0, False), ("higher", 2.9, True), ("higher", 90.0, False),
        ("lower", 5.0, False), ("lower", 5.1, True), ("lower", 0.1, False),
    ],
)  # fmt: skip
def test_worse_is_beyond_the_tolerance(
    better: Literal["higher", "lower"], found: float, is_worse: bool
) -> None:
    assert ratio(better).is_worse(found, 4.0) is is_worse


def test_a_kept_number_that_was_lucky_does_not_bind() -> None:
    exponent = ratio("lower", tolerance=0.1, least=1.0)
    assert not exponent.is_worse(1.09, 0.8)
    assert exponent.is_worse(1.11, 0.8)
    assert not exponent.is_worse(1.3, 1.2)


def test_what_got_worse_is_named(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert worse([ratio("lower", 6.0, 5.5)], results, results) == [
        "work over play: 5.50, kept 4.00, at most 5.00"
    ]
    assert "work over play: 5.50" in capsys.readouterr().out


def test_a_bad_minute_is_measured_again(results: Path) -> None:
    assert worse([ratio("lower", 6.0, 4.2)], results, results) == []
    assert worse([ratio("higher", 1.0, 3.9)], results, results) == []
    assert worse([ratio("higher", 3.5)], results, results) == []  # a second number is not asked for


def test_without_data_a_ratio_is_left_out_with_a_word(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert worse([ratio("lower", needs_data=True)], results / "nowhere", results) == []
    assert "work over play: not measured, there is no data folder" in capsys.readouterr().out


def test_a_number_that_is_not_kept_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"kept\.json: no speed / ratio .* run python -m benchmarks\.kept"):
        kept_number(ratio("lower"), tmp_path)
    (tmp_path / "kept.json").write_text("{}")
    with pytest.raises(SystemExit, match="no speed / ratio"):
        kept_number(ratio("lower"), tmp_path)


@pytest.mark.parametrize("one", RATIOS, ids=lambda one: one.name)
def test_every_ratio_is_kept(one: Ratio) -> None:
    if not (RESULTS / f"{one.file}.json").exists():
        pytest.skip(f"{one.file} was not measured yet")
    kept = kept_number(one, RESULTS)
    assert kept > 0
    assert not one.is_worse(kept, kept)


def test_an_evaluation_that_is_not_exact_or_not_fast_is_told() -> None:
    def measured(difference: float, times: float) -> dict[str, object]:
        return {
            "largest_difference_from_pycocotools": {"posefix": {"a": 0.0, "b": difference}},
            "speed": {"times_pycocotools": times},
        }

    assert broken_evaluation(measured(0.0, 5.0)) == []
    assert broken_evaluation(measured(1e-17, 5.0)) == [
        "a number differs from pycocotools' by 1e-17, expected 0"
    ]
    assert broken_evaluation(measured(0.0, 4.9)) == ["4.9 times as fast as pycocotools, expected 5"]


def test_an_analysis_that_takes_too_much_is_told() -> None:
    fine = {"analyze_seconds": {"median": 9.0}, "analyze_peak_mib": 900.0, "linearity": {"exponent": 1.1}}
    assert broken_analysis(fine) == []
    assert broken_analysis({**fine, "analyze_peak_mib": 1100.0}) == [
        "analyze, MiB: 1100.00, expected at most 1024"
    ]
    assert len(broken_analysis({**fine, "linearity": {"exponent": 2.0}})) == 1
