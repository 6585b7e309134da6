"""The page in a real browser: Debian's Chromium, driven by Selenium; left out where they are not installed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.axe import violations
from tests.review.conftest import (
    COCO,
    DIES_AFTER_ITS_FIRST_STEP,
    HOSTILE,
    LEFT_WRIST,
    NOSE,
    Files,
    Process,
    Served,
    made_poses,
)

from posefix.review.key import opening_page

selenium = pytest.importorskip("selenium")
from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.remote.webelement import WebElement  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

BEFORE, AFTER = made_poses()
WAIT = 20
Serve = Callable[..., Process]


class Tab:
    """The review page."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> Tab:
        self.driver.get("about:blank")  # an address that differs in its #person only would not load again
        self.driver.get(url)
        self.until("document.querySelector('#who').textContent !== ''")
        return self

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        return str(self.run(f"return document.querySelector({selector!r}).textContent"))

    def run(self, script: str) -> Any:
        return self.driver.execute_script(script)

    def press(self, *keys: str) -> None:
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def chord(self, *held: str, key: str) -> None:
        chain = ActionChains(self.driver)
        for modifier in held:
            chain.key_down(modifier)
        chain.send_keys(key)
        for modifier in held:
            chain.key_up(modifier)
        chain.perform()

    def choose(self, selector: str, value: str) -> None:
        self.find(f'{selector} option[value="{value}"]').click()
        self.run("document.querySelector('#stage').focus()")

    def until(self, script: str) -> None:
        """Wait until an expression is true."""
        WebDriverWait(self.driver, WAIT).until(lambda _: self.run(f"return {script}"))

    def until_saved(self, steps: int) -> None:
        """Wait until the server says that it has so many steps, in the output, too."""
        self.until("document.querySelector('#saved').textContent === 'Saved'")
        states = (
            "const done = arguments[0]; Promise.all([fetch('people'), fetch('status')])"
            ".then((answers) => Promise.all(answers.map((answer) => answer.json())))"
            ".then(([table, status]) => done([table.version, status.output.steps]))"
        )
        end = time.monotonic() + WAIT
        while (found := self.driver.execute_async_script(states)) != [steps, steps]:
            assert time.monotonic() < end, found
            time.sleep(0.05)

    def until_person(self, person: int) -> None:
        self.until(f"location.hash === '#person={person}'")

    def mark(self, keypoint: int) -> tuple[float, float]:
        """Where a keypoint is drawn, pixels of the window."""
        self.run("return new Promise(requestAnimationFrame)")
        box = self.run(
            f"const b = document.querySelector('.pose [data-keypoint=\"{keypoint}\"]').getBoundingClientRect();"
            "return [b.left + b.width / 2, b.top + b.height / 2]"
        )
        return box[0], box[1]

    def scale(self) -> float:
        """Pixels of the screen per pixel of the photo."""
        return float(self.run("return document.querySelector('image').getBoundingClientRect().width / 640"))

    def drag(self, keypoint: int, dx: float, dy: float) -> None:
        """Drag a keypoint by pixels of the screen."""
        x, y = self.mark(keypoint)
        self.pull((x, y), *((x + share * dx, y + share * dy) for share in (0.3, 0.7, 1.0)))

    def pull(self, start: tuple[float, float], *places: tuple[float, float]) -> None:
        """Press the mouse at a place, pull it along others, and let go."""
        chain = ActionChains(self.driver, duration=20)
        pointer: Any = chain.w3c_actions.pointer_action
        pointer.move_to_location(*map(round, start)).pointer_down()
        for place in places:
            pointer.move_to_location(*map(round, place))
        pointer.pointer_up()
        chain.perform()

    def logged(self, kind: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return entries


@pytest.fixture
def empty_tab(driver: webdriver.Chrome) -> Iterator[Tab]:
    tab = Tab(driver)
    tab.logged("performance")  # forgets the page before
    tab.logged("browser")
    yield tab
    driver.get("about:blank")


@pytest.fixture
def tab(empty_tab: Tab, serve_here: Served) -> Tab:
    return empty_tab.open(serve_here.url)


def test_it_opens_with_the_most_moved_person_and_asks_nobody_else(tab: Tab, serve_here: Served) -> None:
    assert tab.text("#who") == "2.png, person 1 of 2"
    assert tab.text("#facts") == "moved 0.5 % of the person's size · score 0.70"
    assert (tab.text("#count"), tab.text("#position")) == ("0 of 6 decided", "1 of 6")
    assert tab.logged("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in tab.logged("performance")]
    urls = [
        str(message["params"]["request"]["url"])
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert {url.split("/")[2] for url in urls if url.startswith("http")} == {f"127.0.0.1:{serve_here.port}"}


def test_a_file_leads_to_the_page(empty_tab: Tab, serve_here: Served, tmp_path: Path) -> None:
    with opening_page(tmp_path / "a.html", serve_here.url) as path:
        empty_tab.open(path.as_uri())
        assert empty_tab.run("return location.href").startswith(serve_here.url)


def test_a_keypoint_lies_on_the_pixel_that_its_coordinates_name(tab: Tab) -> None:
    left, top = tab.run(
        "const b = document.querySelector('image').getBoundingClientRect(); return [b.left, b.top]"
    )
    scale, (x, y) = tab.scale(), tab.mark(NOSE)
    assert (x, y) == pytest.approx((left + 60.5 * scale, top + 70.5 * scale), abs=0.6)
    tab.press("+", "+")
    width = "document.querySelector('image').getBoundingClientRect().width"
    tab.until(f"Math.abs({width} / 640 / {scale * 1.25**2} - 1) < .001")
    tab.press("f")
    tab.until(
        f"Math.abs(document.querySelector('image').getBoundingClientRect().width / 640 - {scale}) < .01"
    )


def test_a_keypoint_is_dragged_with_the_mouse(tab: Tab, files: Files) -> None:
    scale = tab.scale()
    tab.drag(NOSE, 60, 30)
    tab.until_saved(1)
    x, y, score = files.keypoint(2, NOSE)
    assert (x, y) == pytest.approx((60 + 60 / scale, 70 + 30 / scale), abs=1.0 / scale)
    assert score == 0.75
    assert tab.text("#standing") == "corrected" and tab.text("#message") == "nose moved."
    assert "yours" in tab.text("#keypoints li:first-child")
    assert tab.text("#kept") == "keep corrected"
    assert files.keypoint(2, 1) == [*AFTER.keypoints[2, 1].tolist(), 0.75]
    assert files.rows()[2]["team"] == "no. 2"


def test_a_keypoint_is_dragged_with_a_finger(tab: Tab, files: Files) -> None:
    scale, (x, y) = tab.scale(), tab.mark(NOSE)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        at = [{"x": px, "y": py} for px, py in points]
        tab.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    # Beside the mark, as fingers are: it must not jump under the finger.
    touch("touchStart", (x + 12, y))
    for share in (0.5, 1.0):
        touch("touchMove", (x + 12 + 50 * share, y + 40 * share))
    touch("touchEnd")
    tab.until_saved(1)
    assert files.keypoint(2, NOSE)[:2] == pytest.approx([60 + 50 / scale, 70 + 40 / scale], abs=1.0 / scale)
    before = tab.scale()
    touch("touchStart", (300, 500), (340, 500))
    touch("touchMove", (260, 500), (380, 500))
    touch("touchEnd")
    assert tab.scale() == pytest.approx(3 * before, rel=0.02)
    assert tab.driver.execute_script("return document.querySelector('#saved').textContent") == "Saved"


def test_a_drag_on_the_photo_pans_and_changes_nothing(tab: Tab, serve_here: Served) -> None:
    x, y = tab.mark(NOSE)
    tab.pull((40, 700), (140, 650))
    assert tab.mark(NOSE) == pytest.approx((x + 100, y - 50), abs=1)
    assert serve_here.review.version == 0


def test_the_keyboard_alone_is_enough(tab: Tab, files: Files) -> None:
    scale = tab.scale()
    tab.press("a")
    tab.until_person(3)
    tab.press("r")
    tab.until_person(0)
    for _ in range(LEFT_WRIST + 1):
        tab.press("k")
    assert tab.text("#message") == "left wrist"
    tab.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    tab.chord(Keys.SHIFT, key=Keys.ARROW_LEFT)
    tab.press("k", "m")  # right wrist: missing
    tab.press(Keys.ESCAPE, Keys.ENTER)
    tab.until_person(5)
    tab.press(Keys.ARROW_RIGHT)
    tab.until_person(4)
    tab.press("p")
    tab.until_person(5)
    tab.press("g")
    tab.until_person(4)
    tab.press("a")
    tab.until_person(1)
    tab.press("a")
    tab.until_person(5)  # the one who was left out
    tab.press("a")
    tab.until("document.querySelector('#message').textContent.includes('Everybody is decided')")
    assert tab.text("#count") == "6 of 6 decided"
    tab.until_saved(7)
    expected = AFTER.keypoints[0, LEFT_WRIST] + [-8 / scale, 1 / scale]
    assert files.keypoint(0, LEFT_WRIST)[:2] == pytest.approx(expected.tolist(), abs=0.01)
    assert files.keypoint(0, LEFT_WRIST + 1) == [0, 0, 0]
    assert files.keypoint(3, LEFT_WRIST) == [*BEFORE.keypoints[3, LEFT_WRIST].tolist(), 0.5]
    assert files.keypoint(2, LEFT_WRIST) == [*AFTER.keypoints[2, LEFT_WRIST].tolist(), 0.75]


def test_undo_and_redo_go_back_to_the_person(tab: Tab, files: Files) -> None:
    tab.press("r")
    tab.until_person(3)
    tab.drag(NOSE, 40, 0)
    tab.until_saved(2)
    tab.press("u")
    tab.until_saved(3)
    assert files.keypoint(3, NOSE)[:2] == AFTER.keypoints[3, NOSE].tolist()
    tab.chord(Keys.CONTROL, key="z")
    tab.until_person(2)
    tab.until("document.querySelector('#standing').textContent === 'undecided'")
    assert tab.text("#message").startswith("Undone. 2.png, person 1 of 2.")
    tab.until("document.querySelector('#undo').disabled")
    tab.chord(Keys.CONTROL, Keys.SHIFT, key="z")
    tab.until("document.querySelector('#standing').textContent === 'rejected'")
    tab.find("#redo").click()
    tab.until_person(3)
    tab.until("document.querySelector('#standing').textContent === 'corrected'")
    tab.find("#clear").click()
    tab.until("document.querySelector('#standing').textContent === 'undecided'")
    tab.until_saved(7)


def test_before_is_compared_by_a_tap_and_by_holding(tab: Tab, serve_here: Served) -> None:
    shown = "document.querySelector('.pose').classList.contains('before')"
    right = tab.mark(LEFT_WRIST)[0]
    tab.press("b")
    tab.until(shown)
    assert right - tab.mark(LEFT_WRIST)[0] == pytest.approx(16 * tab.scale(), abs=1)
    assert tab.find("#view-before").get_attribute("aria-pressed") == "true"
    tab.press("b")
    tab.until(f"!{shown}")
    ActionChains(tab.driver).key_down("b").perform()
    tab.until(shown)
    time.sleep(0.35)
    ActionChains(tab.driver).key_up("b").perform()
    tab.until(f"!{shown}")
    ActionChains(tab.driver).click_and_hold(tab.find("#view-before")).perform()
    tab.until(shown)
    time.sleep(0.35)
    ActionChains(tab.driver).release().perform()
    tab.until(f"!{shown}")
    assert serve_here.review.version == 0


def test_dragging_in_the_pose_before_starts_from_it(tab: Tab, files: Files) -> None:
    tab.press("b")
    tab.drag(NOSE, 30, 0)
    tab.until_saved(1)
    assert files.keypoint(2, LEFT_WRIST) == [*BEFORE.keypoints[2, LEFT_WRIST].tolist(), 0.5]
    assert files.keypoint(2, NOSE)[0] > 61
    assert tab.find("#view-before").get_attribute("class") == "written"


def test_a_keypoint_is_missing_comes_back_and_takes_its_other_place(tab: Tab, files: Files) -> None:
    tab.find(f"#keypoints li:nth-child({LEFT_WRIST + 1}) button").click()
    tab.find("#missing").click()
    tab.until_saved(1)
    assert files.keypoint(2, LEFT_WRIST) == [0, 0, 0]
    assert tab.run(f"return document.querySelector('.pose [data-keypoint=\"{LEFT_WRIST}\"]')") is None
    assert tab.text("#missing") == "Bring back"
    tab.press(Keys.DELETE)
    tab.until_saved(2)
    assert files.keypoint(2, LEFT_WRIST) == [*AFTER.keypoints[2, LEFT_WRIST].tolist(), 0.75]
    assert tab.text("#standing") == "accepted"  # nothing is left that differs from the refined pose
    tab.press("x")
    tab.until_saved(3)
    assert files.keypoint(2, LEFT_WRIST)[:2] == BEFORE.keypoints[2, LEFT_WRIST].tolist()
    tab.find("#swap").click()
    tab.until_saved(4)
    assert files.keypoint(2, LEFT_WRIST)[:2] == AFTER.keypoints[2, LEFT_WRIST].tolist()
    tab.press("k", "x")  # the right wrist, which did not move: no step
    assert tab.text("#message") == "Both poses have right wrist at this place."
    tab.until_saved(4)


def test_a_keypoint_that_was_missing_before_is_new(tab: Tab) -> None:
    tab.choose("#order", "file")
    tab.until_person(0)
    tab.press("n")
    tab.until_person(1)
    assert "new" in tab.text("#keypoints li:first-child")


def test_lists_are_ordered_and_filtered(tab: Tab) -> None:
    tab.press("r")
    tab.until_person(3)
    tab.choose("#order", "lowest")
    tab.until_person(5)
    tab.choose("#filter", "rejected")
    tab.until_person(2)
    assert tab.text("#position") == "1 of 1"
    tab.choose("#filter", "undecided")
    tab.until_person(5)
    assert tab.text("#position") == "1 of 5"
    tab.choose("#filter", "corrected")
    tab.until("document.querySelector('#message').textContent === 'Nobody is corrected.'")


def test_keys_leave_fields_and_buttons_alone(tab: Tab, serve_here: Served) -> None:
    tab.run("document.querySelector('#filter').focus()")
    tab.press("r")  # chooses "rejected" in the field
    assert tab.run("return document.querySelector('#standing').textContent") == "undecided"
    tab.run("document.querySelector('#filter').value = 'all'; document.querySelector('#next').focus()")
    tab.press(Keys.ENTER)
    tab.until_person(3)
    assert serve_here.review.version == 0


def test_single_keys_can_be_switched_off(tab: Tab, serve_here: Served) -> None:
    tab.press("?")
    assert tab.find("#help").is_displayed()
    tab.press("r")  # the list of shortcuts is open
    tab.find("#letters").click()
    tab.press(Keys.ESCAPE)
    assert not tab.find("#help").is_displayed()
    tab.press("r", "a")
    assert tab.text("#standing") == "undecided" and serve_here.review.version == 0
    tab.find("#help-open").click()
    tab.find("#letters").click()
    tab.find("#help form button").click()
    tab.press("r")
    tab.until_person(3)


def test_a_review_goes_on_where_it_stopped(empty_tab: Tab, serve: Serve, files: Files) -> None:
    server = serve()
    tab = empty_tab.open(server.url)
    tab.press("a")
    tab.until_person(3)
    tab.drag(NOSE, 40, 20)
    tab.until_saved(2)
    server.stop()
    content = files.output.read_bytes()
    tab.open(serve().url)
    assert (tab.text("#who"), tab.text("#count")) == (f"{HOSTILE}.png, person 1 of 2", "2 of 6 decided")
    tab.until_saved(2)
    assert files.output.read_bytes() == content
    tab.press("u")
    tab.until_person(3)
    tab.until_saved(3)
    assert files.keypoint(3, NOSE)[:2] == AFTER.keypoints[3, NOSE].tolist()


def test_killed_between_two_clicks_nothing_is_lost(empty_tab: Tab, serve: Serve, files: Files) -> None:
    server = serve()
    tab = empty_tab.open(server.url)
    tab.find("#reject").click()
    tab.until_person(3)
    tab.drag(NOSE, 40, 0)
    tab.until("document.querySelector('#saved').textContent === 'Saved'")
    server.kill()
    tab.find("#accept").click()  # clicked while nobody listens
    tab.until("document.querySelector('#problem').textContent.includes('does not answer')")
    tab.drag(NOSE, 0, 60)
    again = serve(port=server.served_port)
    tab.until("document.querySelector('#saved').textContent === 'Saved'")
    assert tab.find("#problem").get_attribute("hidden") is not None
    tab.until_saved(3)
    again.kill()
    tab.open(serve().url)
    assert tab.text("#count") == "2 of 6 decided"
    tab.until_saved(3)
    assert files.keypoint(2, LEFT_WRIST) == [*BEFORE.keypoints[2, LEFT_WRIST].tolist(), 0.5]
    x, y, _ = files.keypoint(3, NOSE)
    assert x > 360 + 5 and y > 70 + 5


def test_killed_before_it_answered_nothing_is_lost(empty_tab: Tab, serve: Serve, files: Files) -> None:
    server = serve(program=DIES_AFTER_ITS_FIRST_STEP)
    tab = empty_tab.open(server.url)
    tab.find("#reject").click()
    tab.until("document.querySelector('#problem').textContent.includes('does not answer')")
    tab.drag(NOSE, 0, 60)  # while nobody listens
    serve(port=server.served_port)
    tab.until_saved(2)
    assert tab.find("#problem").get_attribute("hidden") is not None


def test_a_page_that_lost_its_server_goes_on_by_itself(empty_tab: Tab, serve: Serve) -> None:
    server = serve()
    port = server.served_port
    tab = empty_tab.open(server.url)
    server.kill()
    tab.press("n")
    tab.until("document.querySelector('#problem').textContent.includes('does not answer')")
    assert tab.text("#problem").endswith(f"with --port {port}; this page goes on trying.")
    assert tab.text("#saved") == "Saved"
    serve(port=port)
    tab.until_person(3)
    assert tab.find("#problem").get_attribute("hidden") is not None


def test_a_low_window_scrolls_to_all_keypoints(tab: Tab) -> None:
    size = tab.driver.get_window_size()
    tab.driver.set_window_size(844, 530)
    try:
        tab.until("innerHeight < 560")
        tab.press("j")
        tab.until("document.querySelector('#keypoints button[aria-pressed=\"true\"]') !== null")
        seen = tab.run(
            "const last = document.querySelector('#keypoints li:last-child button');"
            "const box = last.getBoundingClientRect();"
            "const middle = box.left + box.width / 2;"
            "return [2, box.height - 2].map((y) => last.contains(document.elementFromPoint(middle, box.top + y)))"
        )
        assert seen == [True, True]
    finally:
        tab.driver.set_window_size(size["width"], size["height"])


def test_steps_of_another_window_are_not_overwritten(tab: Tab, serve_here: Served) -> None:
    decision = {"verdict": "rejected", "edits": {}}
    serve_here.review.take({"step": "decide", "person": 2, "decision": decision}, 0)
    tab.press("a")
    tab.until("document.querySelector('#problem').textContent.includes('another window')")
    tab.find("#problem button").click()
    tab.until("document.querySelector('#count').textContent === '1 of 6 decided'")
    assert serve_here.review.standings()[2] == "rejected"


def test_a_photo_that_cannot_be_read_is_told(tab: Tab, files: Files) -> None:
    (files.images / "3.png").write_bytes(b"not a photo")
    tab.choose("#order", "lowest")
    tab.until_person(5)
    tab.until("!document.querySelector('#problem').hidden")
    assert "3.png: cannot be read as a photo" in tab.text("#problem")
    assert len(tab.driver.find_elements("css selector", ".pose .keypoint")) == len(COCO)


def test_hostile_names_are_text(tab: Tab) -> None:
    tab.choose("#order", "file")
    tab.until_person(0)
    assert tab.text("#who") == f"{HOSTILE}.png, person 1 of 2"
    assert tab.driver.title == "reviewed.json · posefix review"


def test_everything_has_a_name_and_focus_is_seen(tab: Tab) -> None:
    unnamed = tab.run(
        "return [...document.querySelectorAll('button, select, input, [role=group], [role=img], progress')]"
        ".filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length)).map((e) => e.id)"
    )
    assert unnamed == []
    assert tab.find("#message").get_attribute("aria-live") == "polite"
    assert "refined pose, the pose that is written; undecided" in str(
        tab.find("#picture").get_attribute("aria-label")
    )
    seen = []
    for _ in range(14):
        tab.press(Keys.TAB)
        seen.append(tab.run("return getComputedStyle(document.activeElement).outlineStyle"))
    assert set(seen) == {"solid"}


@pytest.mark.parametrize(("width", "height"), [(390, 844), (360, 640), (768, 1024)])
def test_small_screens_show_everything_without_scrolling(tab: Tab, width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": True}
    tab.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        tab.until(f"innerWidth === {width}")
        assert tab.run("return document.documentElement.scrollWidth") == width
        for name in ("accept", "reject", "next", "undo", "view-before", "fit", "filter", "help-open"):
            box = tab.run(
                f"const b = document.querySelector('#{name}').getBoundingClientRect();"
                "return [b.left, b.top, b.right, b.bottom, b.height]"
            )
            assert box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height and box[4] >= 24, name
        assert tab.run("return document.querySelector('#stage').clientHeight") >= 0.28 * height
        places = [tab.mark(keypoint) for keypoint in (NOSE, LEFT_WRIST, 16)]
        left, top, right, bottom = tab.run(
            "const b = document.querySelector('#stage').getBoundingClientRect();"
            "return [b.left, b.top, b.right, b.bottom]"
        )
        assert all(left < x < right and top < y < bottom for x, y in places)
    finally:
        tab.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_dark_mode_turns_paper_and_ink_round(tab: Tab) -> None:
    colours = (
        "const s = getComputedStyle(document.querySelector('aside')); return [s.backgroundColor, s.color]"
    )
    light = tab.run(colours)
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    tab.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    try:
        background, ink = tab.run(colours)
        assert _brightness(background) < 60 and _brightness(ink) > 180
        assert _brightness(light[1]) < 60 and _brightness(light[0]) > 180
    finally:
        tab.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def _brightness(colour: str) -> float:
    red, green, blue = (int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))
    return (red + green + blue) / 3


def test_the_page_passes_axe(tab: Tab) -> None:
    assert violations(tab.driver) == []
