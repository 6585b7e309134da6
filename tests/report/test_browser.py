"""The pages in a real browser: Debian's Chromium, driven by Selenium; left out where they are not installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.axe import violations
from tests.report.conftest import HOSTILE

selenium = pytest.importorskip("selenium")
from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.remote.webelement import WebElement  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402


class Tab:
    """A page in the browser."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, path: Path) -> None:
        self.driver.get(path.as_uri())

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        return [element.text for element in self.driver.find_elements("css selector", selector)]

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def press(self, key: str) -> None:
        ActionChains(self.driver).send_keys(key).perform()

    def choose(self, selector: str, value: str) -> None:
        self.find(f'{selector} option[value="{value}"]').click()

    def until(self, script: str) -> None:
        """Wait until an expression is true."""
        WebDriverWait(self.driver, 5).until(lambda _: self.run(f"return {script}"))

    def to_gallery(self) -> None:
        self.run("document.querySelector('#gallery').scrollIntoView({behavior: 'instant'})")

    def column(self, number: int) -> list[str]:
        return self.texts(f"#table tbody td:nth-child({number})")

    def logged(self, kind: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return entries


@pytest.fixture
def tab(driver: webdriver.Chrome) -> Tab:
    return Tab(driver)


@pytest.fixture
def analysis(tab: Tab, analysis_html: str, tmp_path: Path) -> Tab:
    return opened(tab, analysis_html, tmp_path)


@pytest.fixture
def comparison(tab: Tab, comparison_html: str, tmp_path: Path) -> Tab:
    return opened(tab, comparison_html, tmp_path)


def opened(tab: Tab, page: str, folder: Path) -> Tab:
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    tab.logged("performance")  # forgets the page before
    tab.logged("browser")
    tab.open(path)
    return tab


@pytest.mark.parametrize("name", ["analysis", "comparison"])
def test_a_page_opens_without_errors_and_without_requests(name: str, request: pytest.FixtureRequest) -> None:
    tab: Tab = request.getfixturevalue(name)
    tab.to_gallery()
    tab.press(Keys.ARROW_RIGHT)
    assert tab.logged("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in tab.logged("performance")]
    requested = [
        str(message["params"]["request"]["url"])
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    own = [url for url in requested if not url.startswith("data:")]
    assert [url.rsplit("/", 1)[1] for url in own] == ["report.html"]


def test_hostile_names_are_shown_and_do_nothing(analysis: Tab) -> None:
    assert HOSTILE in analysis.column(1)
    assert "owned" not in analysis.driver.title
    assert analysis.driver.title.startswith("Errors of <i>results</i>.json")


def test_a_click_on_a_header_sorts_and_a_second_one_turns_round(analysis: Tab) -> None:
    assert analysis.find("#table th:nth-child(2)").get_attribute("aria-sort") == "ascending"
    analysis.find("#table th:nth-child(3) button").click()  # good keypoints
    assert analysis.column(3) == ["17", "17", "17", "17", "16", "15"]
    analysis.find("#table th:nth-child(3) button").click()
    assert analysis.column(3) == ["15", "16", "17", "17", "17", "17"]
    assert analysis.find("#table th:nth-child(3)").get_attribute("aria-sort") == "ascending"


def test_filters_choose_people_in_table_and_gallery(analysis: Tab) -> None:
    assert analysis.find("#count").text == "6 of 6 people"
    assert analysis.find("#position").text == "1 of 2"
    analysis.choose("#filter-status", "M")
    assert analysis.find("#count").text == "1 of 6 people"
    assert analysis.column(7) == ["1"] and analysis.find("#position").text == "1 of 1"
    analysis.choose("#filter-keypoint", "11")  # the left hip, which is nobody's miss
    assert analysis.find("#count").text == "0 of 6 people"
    assert analysis.find("#empty").is_displayed()
    analysis.choose("#filter-status", "")
    assert analysis.find("#count").text == "1 of 6 people"
    analysis.find("#filters button[type=reset]").click()
    analysis.until("document.querySelector('#count').textContent === '6 of 6 people'")


def test_the_size_filter_knows_the_small_person(analysis: Tab) -> None:
    analysis.choose("#filter-size", "0")
    assert analysis.column(9) == ["30"]


def test_arrows_go_through_the_gallery_and_round(comparison: Tab) -> None:
    comparison.to_gallery()
    count = int(comparison.find("#position").text.split()[-1])
    assert comparison.find("#position").text == f"1 of {count}"
    comparison.press(Keys.ARROW_RIGHT)
    assert comparison.find("#position").text == f"2 of {count}"
    comparison.press(Keys.ARROW_LEFT)
    comparison.press(Keys.ARROW_LEFT)
    assert comparison.find("#position").text == f"{count} of {count}"


def test_space_toggles_between_before_and_after(comparison: Tab) -> None:
    comparison.to_gallery()
    assert comparison.find("#who").text.endswith("person 100")
    assert comparison.find(".shown").text == "before"
    assert comparison.texts(".error-tag") == ["I", "I"]
    scrolled = comparison.run("return scrollY")
    comparison.press(Keys.SPACE)
    comparison.until("document.querySelector('#morph').value === '100'")
    assert comparison.find(".shown").text == "after"
    assert comparison.texts(".error-tag") == []
    assert comparison.run("return scrollY") == scrolled


def test_the_slider_moves_keypoints(comparison: Tab) -> None:
    places = "return document.querySelector('#picture .pose circle:nth-of-type(6)').getAttribute('cx')"
    seen = []
    for share in (0, 50, 100):
        comparison.run(
            f"const m = document.querySelector('#morph'); m.value = {share}; m.dispatchEvent(new Event('input'))"
        )
        seen.append(float(comparison.run(places)))
    assert seen[1] == pytest.approx((seen[0] + seen[2]) / 2) and seen[0] != seen[2]


def test_the_annotation_is_shown_on_demand(analysis: Tab) -> None:
    analysis.to_gallery()
    assert analysis.run("return document.querySelectorAll('#picture .truth').length") == 0
    analysis.press("t")
    assert analysis.run("return document.querySelectorAll('#picture .truth').length") == 1


def test_keys_leave_a_field_alone(comparison: Tab) -> None:
    comparison.to_gallery()
    comparison.find("#morph").send_keys(Keys.ARROW_RIGHT)
    assert comparison.find("#position").text.startswith("1 of")
    assert comparison.run("return document.querySelector('#morph').value") == "1"


def test_keys_do_nothing_where_the_gallery_is_not_seen(comparison: Tab) -> None:
    comparison.run("scrollTo({top: 0, behavior: 'instant'})")
    comparison.press(Keys.ARROW_RIGHT)
    assert comparison.run("return document.querySelector('#position').textContent").startswith("1 of")


def test_a_photos_name_in_the_table_opens_its_picture(comparison: Tab) -> None:
    comparison.choose("#filter-kind", "most improved")
    row = comparison.find("#table tr[data-person='2'] button")
    row.click()
    assert comparison.find("#who").text.endswith("person 102")


def test_a_keypoint_of_the_list_is_marked_in_the_picture(comparison: Tab) -> None:
    assert comparison.run("return document.querySelectorAll('.highlight').length") == 0
    comparison.run("document.querySelector('#keypoints tbody tr').focus()")
    assert comparison.run("return document.querySelectorAll('.highlight').length") == 1


def test_a_phone_needs_no_sideways_scrolling(comparison: Tab) -> None:
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    comparison.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert comparison.run("return document.documentElement.scrollWidth") == 390
    finally:
        comparison.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_dark_mode_turns_paper_and_ink_round(comparison: Tab) -> None:
    colours = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
    light = comparison.run(colours)
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    comparison.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    try:
        background, ink = comparison.run(colours)
        assert _brightness(background) < 60 and _brightness(ink) > 180
        assert _brightness(light[1]) < 60 and _brightness(light[0]) > 180
    finally:
        comparison.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def _brightness(colour: str) -> float:
    red, green, blue = (int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))
    return (red + green + blue) / 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", ["analysis", "comparison"])
def test_pages_pass_axe(
    page: str, scheme: str, driver: webdriver.Chrome, request: pytest.FixtureRequest
) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    try:
        request.getfixturevalue(page)
        assert violations(driver) == []
    finally:
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
