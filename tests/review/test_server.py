"""What the server answers, and whom."""

from __future__ import annotations

import io
import json
import os
import socket
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.review.conftest import HOSTILE, KEY, MOST_MOVED, Files, Served, draw_photo, made_poses

from posefix.errors import InputError
from posefix.review.key import read_key
from posefix.review.photos import LONGEST_SIDE, close_up
from posefix.review.server import ADDRESS, listen, page_address
from posefix.review.session import Review

BEFORE, AFTER = made_poses()


@dataclass
class Client:
    """Asks as the page does, unless told otherwise."""

    port: int
    key: str = KEY

    def ask(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection(ADDRESS, self.port, timeout=10)
        own = {"Host": f"{ADDRESS}:{self.port}", "Content-Type": "application/json"}
        if method == "POST":
            own["Origin"] = f"http://{ADDRESS}:{self.port}"
        named = {
            name.replace("_", "-"): value.replace("PORT", str(self.port)) for name, value in headers.items()
        }
        chosen = {name: value for name, value in {**own, **named}.items() if value}
        connection.putrequest(method, f"/{self.key}{path}" if self.key else path, skip_host=True)
        for name, value in {**chosen, "Content-Length": str(len(body))}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, content

    def get(self, path: str) -> Any:
        status, _, content = self.ask("GET", path)
        assert status == 200, content
        return json.loads(content)

    def step(self, entry: Any, version: int, review: str | None = None) -> tuple[int, Any]:
        key = self.get("/people")["review"] if review is None else review
        body = json.dumps({"review": key, "version": version, "entry": entry}).encode()
        status, _, content = self.ask("POST", "/steps", body)
        return status, json.loads(content)


@pytest.fixture
def foreign_name(files: Files) -> Path:
    """A photo whose name is Latin-1, as old archives have them: no UTF-8."""
    path = files.images / os.fsdecode(b"caf\xe9 2.png")
    try:
        (files.images / "2.png").rename(path)
    except OSError:
        pytest.skip("the file system takes names in UTF-8 only")
    return path


@dataclass
class Server:
    """A server, and who asks it."""

    client: Client
    review: Review


@pytest.fixture
def server(serve_here: Served) -> Server:
    return Server(Client(serve_here.port), serve_here.review)


def accepted(person: int) -> dict[str, Any]:
    return {"step": "decide", "person": person, "decision": {"verdict": "accepted", "edits": {}}}


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"Host": "evil.example:PORT"}),
        ("GET", {"Host": "127.0.0.1"}),
        ("GET", {"Host": "127.0.0.1.evil.example:PORT"}),
        ("GET", {"Host": ""}),
        ("GET", {"Origin": "http://evil.example"}),
        ("GET", {"Origin": "null"}),
        ("GET", {"Sec_Fetch_Site": "cross-site"}),
        ("GET", {"Sec_Fetch_Site": "same-site"}),
        ("POST", {"Origin": ""}),
        ("POST", {"Origin": "null"}),
        ("POST", {"Origin": "https://127.0.0.1:PORT"}),
        ("POST", {"Origin": "http://127.0.0.1:1"}),
        ("POST", {"Origin": "http://localhost:PORT"}),
    ],
)
@pytest.mark.parametrize("path", ["/people", "/photos/0", "/steps", "/static/page.js"])
def test_other_sites_are_refused(server: Server, method: str, headers: dict[str, str], path: str) -> None:
    # A request without Host is refused before its body is read: with one, the connection would be reset.
    body = b"{}" if method == "POST" else b""
    status, _, content = server.client.ask(method, path, body, **headers)
    assert status in (400, 403) and b"keypoints" not in content  # 400: h11 itself wants a host
    assert server.review.version == 0


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_own_page_is_served_under_both_names(server: Server, name: str) -> None:
    for path in ("/", "/people", "/photos/0", "/static/review.css"):
        status, headers, _ = server.client.ask("GET", path, Host=f"{name}:PORT", Sec_Fetch_Site="same-origin")
        assert status == 200
        assert headers["content-security-policy"].startswith("default-src 'none'; img-src 'self';")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_names_that_are_no_utf8_are_shown_with_question_marks(foreign_name: Path, server: Server) -> None:
    table = server.client.get("/people")
    assert "caf? 2.png" in table["photo_names"]
    number = table["photo_names"].index("caf? 2.png")
    assert server.client.ask("GET", f"/photos/{number}")[0] == 200


def test_a_photo_whose_name_is_no_utf8_and_that_cannot_be_read_is_told(
    foreign_name: Path, server: Server
) -> None:
    foreign_name.write_bytes(b"no photo")
    assert "caf? 2.png" in server.client.get("/people/2")["problem"]


def test_refusals_have_the_headers_too(server: Server) -> None:
    _, headers, _ = server.client.ask("GET", "/", Host="evil.example")
    assert "content-security-policy" in headers and headers["cache-control"] == "no-store"


def test_only_this_machine_can_ask() -> None:
    with listen(0) as listening:
        assert listening.getsockname()[0] == "127.0.0.1"
        assert page_address(listening, "k") == f"http://127.0.0.1:{listening.getsockname()[1]}/k/"


def test_a_port_that_is_taken_is_told() -> None:
    with listen(0) as listening, pytest.raises(InputError, match=r"--port: \d+ cannot be used"):
        listen(listening.getsockname()[1])
    with pytest.raises(InputError, match="--port: expected a number below 65536"):
        listen(70000)


@pytest.mark.parametrize(
    "path",
    ["/static/../server.py", "/static/%2e%2e/server.py", "/people/6", "/photos/3", "/people/-1", "/secret"],
)
def test_there_is_nothing_else(server: Server, path: str) -> None:
    assert server.client.ask("GET", path)[0] in (400, 404)


def test_the_table_holds_everybody(server: Server) -> None:
    table = server.client.get("/people")
    assert table["standing"] == ["undecided"] * 6 and table["version"] == 0
    assert table["photo"] == [0, 0, 1, 1, 2, 2]
    assert table["photo_names"] == [f"{HOSTILE}.png", "2.png", "3.png"]
    order = sorted(range(6), key=lambda person: -table["movement"][person])
    assert order == MOST_MOVED
    # 16 pixels of one of 17 keypoints, of a person of 200 pixels
    assert table["movement"][2] == pytest.approx(100 * 16 / 17 / 200, abs=0.01)


def test_a_person_has_both_poses_and_neighbours(server: Server) -> None:
    person = server.client.get("/people/1")
    assert person["before"][0] is None and person["after"][0] == AFTER.keypoints[1, 0].tolist()
    assert [other["person"] for other in person["others"]] == [0]
    assert person["size_wh"] == [640, 360] and person["close_up"] is None and person["problem"] is None


def test_a_step_is_answered_with_what_is_decided(server: Server) -> None:
    status, answer = server.client.step(accepted(3), 0)
    assert status == 200
    assert (answer["version"], answer["person"], answer["can_undo"]) == (1, 3, True)
    assert answer["decisions"] == {"3": {"verdict": "accepted", "edits": {}}}
    assert server.client.get("/people")["standing"][3] == "accepted"
    end = time.monotonic() + 5
    while server.client.get("/status")["output"]["steps"] < 1:
        assert time.monotonic() < end


def test_neighbours_are_shown_as_decided(server: Server) -> None:
    edits = {"left_wrist": [5.5, 6.25]}
    server.client.step(
        {"step": "decide", "person": 2, "decision": {"verdict": "accepted", "edits": edits}}, 0
    )
    assert server.client.get("/people/3")["others"][0]["places"][9] == [5.5, 6.25]


@pytest.mark.parametrize(
    ("version", "review", "entry", "status", "words"),
    [
        (1, None, accepted(0), 409, "another window"),
        (0, "other", accepted(0), 409, "Another review"),
        (0, None, accepted(9), 400, "number below 6"),
        (0, None, {"step": "undo"}, 400, "nothing to undo"),
    ],
)
def test_steps_that_cannot_be_taken(
    server: Server, version: int, review: str | None, entry: Any, status: int, words: str
) -> None:
    found, answer = server.client.step(entry, version, review)
    assert found == status and words in answer["problem"]
    assert server.review.version == 0


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"{", b"[" * 100_000, b'"' + b"x" * 1_100_000])
def test_what_is_no_step_is_refused(server: Server, body: bytes) -> None:
    assert server.client.ask("POST", "/steps", body)[0] == 400


def test_photos_are_sent_scaled_and_sharp_around_the_person(server: Server, files: Files) -> None:
    width, height = 4000, 2250
    draw_photo(files.images / "2.png", (width, height))
    _, headers, content = server.client.ask("GET", "/photos/1")
    assert headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(content)).size == (LONGEST_SIDE, round(height * LONGEST_SIDE / width))
    person = server.client.get("/people/2")
    left, top, wide, high = person["close_up"]
    assert person["size_wh"] == [width, height]
    _, _, content = server.client.ask("GET", "/people/2/close-up")
    picture = Image.open(io.BytesIO(content))
    assert picture.size == (wide, high)
    # The white dot of the first keypoint is where its coordinates say.
    x, y = (int(value) for value in BEFORE.keypoints[2, 0])
    assert picture.convert("L").getpixel((x - left, y - top)) == pytest.approx(255, abs=12)


def test_there_is_no_close_up_of_what_is_sharp_or_outside() -> None:
    keypoints, valid = AFTER.keypoints[:1], AFTER.valid[:1]
    assert close_up((1000, 800), keypoints, valid) is None
    assert close_up((4000, 800), keypoints, ~valid) is None
    part = close_up((4000, 3000), keypoints - 5000, valid)
    assert part is None or min(part.left, part.top) >= 0


def test_a_photo_that_cannot_be_read_is_told_and_people_stay(server: Server, files: Files) -> None:
    (files.images / "3.png").write_bytes(b"not a photo")
    person = server.client.get("/people/4")
    assert person["size_wh"] is None and "cannot be read as a photo" in person["problem"]
    assert len(person["after"]) == 17
    assert server.client.ask("GET", "/photos/2")[0] == 400


@pytest.mark.parametrize("key", ["", "wrong", KEY[:-1], f"{KEY}x", KEY.upper(), f"%2e/{KEY}", f"{KEY}%00"])
@pytest.mark.parametrize("path", ["/", "/people", "/photos/0", "/static/page.js", "/steps"])
def test_who_has_not_the_key_sees_nothing(server: Server, key: str, path: str) -> None:
    stranger = Client(server.client.port, key)
    status, headers, content = stranger.ask("POST" if path == "/steps" else "GET", path)
    assert (status, content[:16]) == (403, b"Open the address") and "content-security-policy" in headers
    assert server.review.version == 0


def test_a_key_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    key = read_key(path)
    assert len(key) >= 20 and path.stat().st_mode & 0o777 == 0o600
    assert read_key(path) == key
    path.chmod(0o644)  # somebody may have read it
    other = read_key(path)
    assert other != key and path.stat().st_mode & 0o777 == 0o600
    path.write_text("short\n")
    assert read_key(path) not in (key, other, "short")


def test_who_hangs_up_leaves_no_trace(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    head = (
        f"POST /{KEY}/steps HTTP/1.1\r\nHost: {ADDRESS}:{server.client.port}\r\n"
        f"Origin: http://{ADDRESS}:{server.client.port}\r\nContent-Length: 1000\r\n\r\n{{"
    )
    for _ in range(3):
        with socket.create_connection((ADDRESS, server.client.port)) as connection:
            connection.sendall(head.encode())
    assert server.client.get("/status")
    time.sleep(0.2)
    assert capfd.readouterr() == ("", "") and server.review.version == 0


def test_the_page_is_gone_to_from_elsewhere_and_nothing_else(server: Server) -> None:
    going = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert server.client.ask("GET", "/", b"", **going)[0] == 200
    for path, headers in (
        ("/people", going),
        ("/photos/0", going),
        ("/", {**going, "Sec_Fetch_Dest": "iframe"}),
        ("/", {**going, "Sec_Fetch_Mode": "no-cors"}),
    ):
        assert server.client.ask("GET", path, b"", **headers)[0] == 403
