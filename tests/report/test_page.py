"""What stands in a page, without a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import partial
from html.parser import HTMLParser
from typing import Any

import pytest
from tests.report.conftest import HOSTILE, HOSTILE_KEYPOINT, Scene

from posefix.analysis import analyze
from posefix.report import analysis_page, plots
from posefix.report.svg import render


class Reader(HTMLParser):
    """Collects elements, their attributes and the page's text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(params=["analysis_html", "comparison_html"])
def page(request: pytest.FixtureRequest) -> str:
    html = request.getfixturevalue(request.param)
    assert isinstance(html, str)
    return html


def test_a_page_asks_nobody_for_anything(page: str) -> None:
    for tag, attributes in Reader(page).elements:
        assert tag not in {"iframe", "object", "embed"}
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            value = attributes.get(name) or ""
            assert value == "" or value.startswith(("data:", "#")), f"<{tag} {name}={value!r}>"
    assert not re.search(r"url\((?!#)", page)
    assert "@import" not in page


def test_only_the_pages_own_script_may_run(page: str) -> None:
    policy = next(
        str(attributes["content"])
        for tag, attributes in Reader(page).elements
        if tag == "meta" and "http-equiv" in attributes
    )
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none';") and f"script-src 'sha256-{digest}'" in policy


def test_names_of_files_and_keypoints_are_text(page: str) -> None:
    assert HOSTILE not in page and HOSTILE_KEYPOINT not in page and "<i>results" not in page
    tags = [tag for tag, _ in Reader(page).elements]
    assert tags.count("script") == 2 and "img" not in tags and "i" not in tags
    assert not any("onclick" in attributes for _, attributes in Reader(page).elements)
    assert HOSTILE in data_of(page)["columns"][0]["values"]
    assert HOSTILE_KEYPOINT in data_of(page)["keypoints"]


def test_the_same_numbers_make_the_same_page(scene: Scene, analysis_html: str) -> None:
    again = analysis_page(
        analyze(scene.before, scene.annotations),
        scene.annotations,
        results_name="<i>results</i>.json",
        photos=scene.photos,
    )
    assert again == analysis_html


def test_ids_are_unique(page: str) -> None:
    ids = [attributes["id"] for _, attributes in Reader(page).elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_plot_has_words_and_a_table(page: str) -> None:
    figures = re.findall(r'<figure class="exhibit">(.*?)</figure>', page, re.DOTALL)
    assert len(figures) >= 4
    for figure in figures:
        assert re.search(r'<svg [^>]*role="img" aria-label="[^"]{20,}"', figure)
        assert "<table>" in figure and "<text" in figure


def test_plots_take_their_colours_from_the_page(page: str) -> None:
    assert "#0a0b0" not in page and "fill: var(--ink)" in page
    assert "DejaVu" not in page and "stroke-linejoin: round; stroke-linecap: butt}</style>" not in page


def test_headlines_and_tables_hold_the_numbers_of_the_analysis(scene: Scene, analysis_html: str) -> None:
    text = " ".join(Reader(analysis_html).text)
    analysis = scene.analysis()
    assert f"{100 * analysis.costs.input.ap:.1f}" in text
    assert "100.0 %" in text and "6 of 6" in text
    assert f"{100 * 99 / 102:.1f} %" in text  # 99 of 102 keypoints are good


def test_the_matrix_counts_what_became_of_keypoints(comparison_html: str) -> None:
    (matrix,) = re.findall(r'<table class="matrix">(.*?)</table>', comparison_html, re.DOTALL)
    cells = re.findall(r"<b>([\d,]+)</b>", matrix)
    assert cells[:5] == ["98", "0", "0", "0", "1"]  # good
    assert cells[10:15] == ["2", "0", "0", "0", "0"]  # inversion
    assert cells[20:25] == ["0", "0", "0", "0", "1"]  # miss


def test_without_photos_a_page_says_how_to_get_pictures(scene: Scene) -> None:
    page = analysis_page(scene.analysis(), scene.annotations, results_name="results.json")
    assert "--images DIR" in page and 'id="gallery"' not in page
    assert data_of(page)["cases"] == []


def data_of(page: str) -> Any:
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def test_very_many_points_are_drawn_as_pixels(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    plot = partial(plots.draw_oks, comparison=scene.comparison())
    assert "<image" not in render(plot, height=4.0, name="few", description="six people")
    monkeypatch.setattr(plots, "MOST_POINTS", 5)
    assert 'xlink:href="data:image/png;base64,' in render(
        plot, height=4.0, name="many", description="six people"
    )
