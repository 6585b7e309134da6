"""Figures as files: endings, the same bytes twice, and what the lines and bars say."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from tests.report.conftest import Scene

from posefix.analysis import compare
from posefix.errors import InputError
from posefix.interchange import write_new_pose_file
from posefix.report.figures import (
    draw_error_bars,
    draw_experiment,
    draw_oks_lines,
    experiment_panels,
    oks_line,
    read_oks_line,
)
from posefix.report.files import PRINT, write_figure
from posefix.report.style import named_colours

Run = Callable[..., tuple[int, str, str]]
EXPERIMENT = (
    Path(__file__).parents[2] / "benchmarks" / "results" / "experiments" / "lspet_val" / "pipelines.json"
)
STARTS = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}


@pytest.fixture(scope="module")
def files(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The scene's results and its annotations as files."""
    folder = tmp_path_factory.mktemp("files")
    paths = {name: folder / f"{name}.coco17.json" for name in ("before", "after")}
    write_new_pose_file(paths["before"], scene.before)
    write_new_pose_file(paths["after"], scene.after)
    people = scene.annotations.people
    rows = [
        {
            "id": number,
            "image_id": image_id,
            "category_id": 1,
            "iscrowd": 0,
            "area": float(people.area[number]),
            "bbox": people.bbox_xywh[number].tolist(),
            "keypoints": np.column_stack([people.keypoints[number], np.full(17, 2)]).ravel().tolist(),
        }
        for number, image_id in enumerate(people.image_ids)
    ]
    images = [{"id": number, "file_name": f"{number}.png"} for number in scene.annotations.images]
    names = list(scene.before.skeleton.keypoint_names)
    category = {"id": 1, "name": "person", "keypoints": names}
    paths["truth"] = folder / "truth.json"
    paths["truth"].write_text(json.dumps({"images": images, "annotations": rows, "categories": [category]}))
    return paths


@pytest.fixture
def axes() -> Iterator[Axes]:
    with named_colours(PRINT):
        yield Figure().add_subplot()


def heights(axes: Axes) -> list[float]:
    return [bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle)]


@pytest.mark.parametrize("ending", list(STARTS))
def test_a_figure_has_the_kind_of_its_ending_and_is_the_same_twice(ending: str, tmp_path: Path) -> None:
    def plot(figure: Figure) -> None:
        draw_experiment(figure, json.loads(EXPERIMENT.read_text())["lines"])

    contents = []
    for name in ("one", "two"):
        write_figure(tmp_path / f"{name}{ending}", plot, size=(8, 4))
        contents.append((tmp_path / f"{name}{ending}").read_bytes())
    assert contents[0] == contents[1]
    assert contents[0].startswith(STARTS[ending])
    if ending == ".svg":
        text = contents[0].decode()
        assert all(f">{name}<" in text for name in ("C2F", "C2F-LC", "C2C", "movenet", "hourglass"))
        assert "posefix:" not in text


def experiment_row(label: str, *values: float, start: str | None = None) -> dict[str, Any]:
    """A line of an experiment's file: a system's AP for each seed, counted from an input or an input itself."""
    row: dict[str, Any] = {"label": label, "seeds": [{"AP": value} for value in values]}
    return row | ({"change": {"from": start}} if start else {})


def test_an_experiment_has_a_panel_for_each_input_and_a_bar_for_each_system() -> None:
    rows = [
        experiment_row("Simple", 0.5),
        experiment_row("movenet", 0.421),
        experiment_row("nobody", 0.3),
        experiment_row("Simple + C2F", 0.625, start="Simple"),
        experiment_row("movenet + F2F", 0.3, 0.4, start="movenet"),
        experiment_row("movenet + C2F", 0.5, 0.6, start="movenet"),
    ]
    panels = experiment_panels(rows)
    assert [(start["label"], [row["label"] for row in systems]) for start, systems in panels] == [
        ("Simple", ["Simple + C2F"]),
        ("movenet", ["movenet + F2F", "movenet + C2F"]),
    ]
    figure = Figure()
    with named_colours(PRINT):
        draw_experiment(figure, rows)
    simple, movenet = figure.axes
    assert heights(simple) == pytest.approx([50, 62.5])
    assert heights(movenet) == pytest.approx([42.1, 35, 55])
    assert [label.get_text() for label in movenet.get_xticklabels()] == ["movenet", "F2F", "C2F"]
    levels = [float(np.ravel(line.get_ydata())[0]) for line in movenet.lines if line.get_linestyle() == ":"]
    assert levels == pytest.approx([42.1])


def test_bars_are_the_shares_of_all_keypoints(scene: Scene, axes: Axes) -> None:
    comparison = compare(scene.before, scene.after, scene.annotations)
    draw_error_bars(axes, comparison.groups_before, comparison.groups_after)
    before = heights(axes)[:5]
    shares = comparison.groups_before.counts.sum(axis=0) / comparison.groups_before.counts.sum()
    assert before == pytest.approx((100 * shares).tolist())
    assert sum(before) == pytest.approx(100)


def test_the_legend_covers_no_bar_and_no_value(scene: Scene, axes: Axes) -> None:
    comparison = compare(scene.before, scene.after, scene.annotations)
    for most in (0, 4):  # good is the highest, or miss
        both = [comparison.groups_before, comparison.groups_after]
        counts = [np.roll(np.sort(breakdown.counts, axis=1)[:, ::-1], most, axis=1) for breakdown in both]
        axes.clear()
        draw_error_bars(
            axes, *(replace(part, counts=count) for part, count in zip(both, counts, strict=True))
        )
        figure = axes.figure
        assert isinstance(figure, Figure)
        figure.draw_without_rendering()
        legend = axes.get_legend()
        assert legend is not None
        covered = legend.get_window_extent()
        assert not any(covered.overlaps(drawn.get_window_extent()) for drawn in [*axes.patches, *axes.texts])


def test_only_several_seeds_have_a_whisker() -> None:
    rows = [
        experiment_row("a", 0.5),
        experiment_row("a + one", 0.4, start="a"),
        experiment_row("a + two", 0.4, 0.6, start="a"),
    ]
    figure = Figure()
    with named_colours(PRINT):
        draw_experiment(figure, rows)
    (whiskers,) = (drawn for drawn in figure.axes[0].collections if isinstance(drawn, LineCollection))
    lengths = [
        float(np.ptp(np.asarray(segment)[:, 1])) for segment in whiskers.get_segments() if len(segment)
    ]
    assert [length for length in lengths if np.isfinite(length)] == pytest.approx([2 * 100 * 0.02**0.5])


def test_several_estimators_stand_beside_each_other_over_the_line_of_no_change(
    scene: Scene, tmp_path: Path, axes: Axes
) -> None:
    comparison = compare(scene.before, scene.after, scene.annotations)
    saved = tmp_path / "other.json"
    saved.write_text(json.dumps(comparison.as_dict()))
    lines = [oks_line("mine", comparison), read_oks_line("other", saved)]
    assert lines[0].before == lines[1].before and lines[0].after == lines[1].after
    draw_oks_lines(axes, lines)
    identity, *drawn = axes.lines
    assert np.array_equal(identity.get_xydata(), [[0, 0], [1, 1]])
    assert len({(line.get_color(), line.get_marker()) for line in drawn}) == 2
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["no change", "mine", "other"]


@pytest.mark.parametrize("content", [[], {}, {"oks_bands": [{"before": 1}]}, {"oks_bands": "x"}])
def test_what_is_no_comparison_is_refused(content: object, tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"other\.json, field 'oks_bands': expected"):
        read_oks_line("other", path)


def test_compare_and_analyze_draw_from_the_command_line(
    files: dict[str, Path], tmp_path: Path, run: Run
) -> None:
    pair = (files["before"], files["after"], "--layout", "coco17", "--annotations", files["truth"])
    saved, plot = tmp_path / "saved.json", tmp_path / "figure.svg"
    assert run("compare", *pair, "--json", saved)[0] == 0
    code, out, _ = run("compare", *pair, "--plot", plot, "--beside", f"TinyPose={saved}", saved)
    assert (code, out.splitlines()[-1]) == (0, f"plot: {plot}")
    words = set(re.findall(r">([^<>]+)</text>", plot.read_text()))
    assert words >= {"before", "TinyPose", "saved", "no change", "inversion", "OKS before"}
    one = (files["before"], "--layout", "coco17", "--annotations", files["truth"])
    code, out, _ = run("analyze", *one, "--plot", tmp_path / "errors.png")
    assert code == 0
    assert (tmp_path / "errors.png").read_bytes().startswith(STARTS[".png"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--plot", "figure.jpg"), "--plot: expected a file name ending in .svg, .png, .pdf, got figure.jpg"),
        (("--beside", "x.json"), "--beside: these lines are only for the plot, give it a name with --plot"),
    ],
)
def test_faults_are_told_before_the_work(
    options: tuple[str, str], message: str, files: dict[str, Path], run: Run
) -> None:
    pair = (files["before"], files["after"], "--layout", "coco17", "--annotations", files["truth"])
    assert run("compare", *pair, *options) == (2, "", f"posefix: {message}\n")
