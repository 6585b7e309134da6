"""`posefix review` from start to end, without a browser."""

from __future__ import annotations

import json
import signal
import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, url2pathname, urlopen

import pytest
import uvicorn
from tests.review.conftest import DIES_AFTER_ITS_FIRST_STEP, LEFT_WRIST, WITH_A_BROWSER, Files, Process

from posefix.cli import review as command
from posefix.review import server as page
from posefix.review.output import OutputWriter, ReviewedFile
from posefix.review.scenes import Scenes

Run = Callable[..., tuple[int, str, str]]
Serve = Callable[..., Process]


def post(url: str, entry: Any, version: int) -> Any:
    return send(url, json.load(urlopen(f"{url}people"))["review"], entry, version)


def send(url: str, review: str, entry: Any, version: int) -> Any:
    body = json.dumps({"review": review, "version": version, "entry": entry}).encode()
    return json.load(urlopen(Request(f"{url}steps", body, {"Origin": "/".join(url.split("/")[:3])})))


def rejected(person: int) -> dict[str, Any]:
    return {"step": "decide", "person": person, "decision": {"verdict": "rejected", "edits": {}}}


def test_the_output_is_the_refined_file_with_the_decisions(files: Files, serve: Serve) -> None:
    server = serve()
    post(server.url, rejected(2), 0)
    code, out, error = server.stop()
    assert (code, error) == (0, "")
    assert "6 people: 0 accepted, 1 rejected, 0 corrected, 5 undecided" in out and str(files.output) in out
    before, refined = (json.loads(path.read_text()) for path in (files.results, files.refined))
    assert files.rows() == [*refined[:2], before[2], *refined[3:]]
    # Untouched people keep every character of the refined file.
    lines, own = files.output.read_text().splitlines(), files.refined.read_text().splitlines()
    assert len(lines) == len(own) and sum(a != b for a, b in zip(lines, own, strict=True)) == 18


def test_sigterm_ends_it_with_the_output_written(files: Files, serve: Serve) -> None:
    server = serve()
    post(server.url, rejected(2), 0)
    server.stop(signal.SIGTERM)
    assert files.keypoint(2, LEFT_WRIST)[2] == 0.5


def test_sigterm_takes_the_way_to_the_page_away_and_tells_the_ending(files: Files, serve: Serve) -> None:
    server = serve(program=WITH_A_BROWSER)
    assert json.load(urlopen(f"{server.url}status"))
    way = files.output.with_name(f"{files.output.name}.review.html")
    assert server.url in way.read_text()
    code, out, error = server.stop(signal.SIGTERM)
    assert (code, error, way.exists()) == (0, "", False)
    assert f"written to {files.output}" in out


def test_sigterm_means_afterwards_what_it_meant_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), page.sigterm_as_interrupt():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_other_threads_leave_sigterm_alone() -> None:
    seen: list[object] = []

    def look() -> None:
        with page.sigterm_as_interrupt():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


def test_it_goes_on_where_it_was_killed(files: Files, serve: Serve) -> None:
    server = serve()
    for version in range(3):
        post(server.url, rejected(version + 1), version)
    server.kill()  # whatever the output is like now, the journal has all
    files.output.unlink(missing_ok=True)
    again = serve()
    assert json.load(urlopen(f"{again.url}people"))["standing"].count("rejected") == 3
    post(again.url, {"step": "undo"}, 3)
    again.stop()
    assert [files.keypoint(person, LEFT_WRIST)[2] for person in range(6)] == [
        0.75,
        0.5,
        0.5,
        0.75,
        0.75,
        0.75,
    ]


def test_a_step_that_was_kept_but_not_answered_is_not_taken_twice(files: Files, serve: Serve) -> None:
    server = serve(program=DIES_AFTER_ITS_FIRST_STEP)
    review = json.load(urlopen(f"{server.url}people"))["review"]
    with pytest.raises(OSError, match=r"reset|closed"):
        send(server.url, review, rejected(2), 0)
    again = serve()  # the page does not know better than to send it again, and what was clicked since
    answer = send(again.url, review, rejected(2), 0)
    assert (answer["version"], answer["person"]) == (1, 2)
    assert answer["decisions"]["2"]["verdict"] == "rejected"
    assert send(again.url, review, rejected(3), 1)["version"] == 2
    again.stop()
    assert len(files.journal.read_text().splitlines()) == 3
    assert [files.keypoint(person, LEFT_WRIST)[2] for person in range(1, 5)] == [0.75, 0.5, 0.5, 0.75]


def test_a_torn_step_is_not_confirmed_and_is_dropped(files: Files, serve: Serve) -> None:
    server = serve()
    post(server.url, rejected(1), 0)
    server.kill()
    with files.journal.open("ab") as journal:
        journal.write(b'{"step":"decide","per')
    again = serve()
    assert json.load(urlopen(f"{again.url}people"))["version"] == 1


@pytest.mark.parametrize(
    "body", [b"no request at all\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n{chunked}\r\nZZ\r\n"]
)
@pytest.mark.parametrize("stays", [True, False])
def test_strangers_cannot_write_to_the_terminal(serve: Serve, body: bytes, stays: bool) -> None:
    server = serve()
    sent = body.replace(b"{chunked}", b"Transfer-Encoding: chunked\r\n")
    for _ in range(2):
        with socket.create_connection((page.ADDRESS, server.served_port), timeout=10) as connection:
            connection.sendall(sent)
            assert not stays or connection.recv(100)
    assert json.load(urlopen(f"{server.url}status"))
    code, _, error = server.stop()
    assert (code, error) == (0, "")


def test_boxes_follow_where_it_is_asked(files: Files, serve: Serve) -> None:
    rows = json.loads(files.refined.read_text())
    for row in rows:
        row["bbox"] = [1, 2, 3, 4]
    files.refined.write_text(json.dumps(rows))
    server = serve("--update-boxes")
    post(server.url, rejected(2), 0)
    server.stop()
    boxes = [row["bbox"] for row in files.rows()]
    assert boxes[2] != [1, 2, 3, 4] and boxes[:2] + boxes[3:] == [[1, 2, 3, 4]] * 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda files: files.refined.write_text("[]"), "expected the 6 people of"),
        (lambda files: files.results.write_text("[]"), "expected the 0 people of"),
        (lambda files: (files.images / "2.png").unlink(), "no photo for image id 2"),
        (lambda files: files.output.write_text("{}"), "is there already, but not the decisions"),
        (lambda files: files.journal.write_text("mine\n"), "expected the journal of a review"),
        (lambda files: files.refined.unlink(), "refined.json"),
    ],
)
def test_faults_are_told_in_one_sentence(
    files: Files, run: Run, change: Callable[[Files], Any], words: str
) -> None:
    change(files)
    code, out, error = run("review", *files.options, "--no-browser")
    assert (code, out) == (2, "") and words in error and error.count("\n") == 1
    assert not any(path.name.startswith(".") for path in files.folder.iterdir())


@pytest.mark.parametrize("name", ["poses.json", "refined.json"])
def test_the_input_is_never_overwritten(files: Files, run: Run, name: str) -> None:
    code, _, error = run("review", *files.options[:-1], files.folder / name, "--no-browser")
    assert code == 2 and "expected another file than those that are read" in error


def test_the_output_ends_as_the_refined_file_does(files: Files, run: Run) -> None:
    (files.images / "2.png").unlink()
    code, _, error = run("review", *files.options[:-1], files.folder / "reviewed", "--no-browser")
    assert code == 2 and "reviewed: expected a name that ends in .json" in error


def test_decisions_about_other_poses_are_not_mixed_in(files: Files, run: Run, serve: Serve) -> None:
    server = serve()
    post(server.url, rejected(1), 0)
    server.stop()
    files.refined.write_text(files.refined.read_text().replace("0.75", "0.7"))
    code, _, error = run("review", *files.options, "--no-browser")
    assert code == 2 and "got those about other ones (poses.json and refined.json)" in error


def test_an_output_that_is_behind_is_an_error(
    files: Files, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def serve(scenes: Scenes, writer: OutputWriter, *_: Any, **__: Any) -> None:
        writer.close()
        scenes.review.take(rejected(1), 0)

    monkeypatch.setattr(page, "serve", serve)
    code, out, error = run("review", *files.options, "--no-browser")
    assert code == 2 and "written to" not in out
    assert "every decision is kept, but the output is behind: it holds 0 of 1 step;" in error


def test_an_output_that_could_not_be_written_is_an_error(
    files: Files, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(page, "serve", lambda *_, **__: None)
    monkeypatch.setattr(ReviewedFile, "write", write)
    code, out, error = run("review", *files.options, "--no-browser")
    assert code == 2 and "written to" not in out
    assert "the output is behind: RuntimeError: a fault of ours" in error and error.count("\n") == 1


def test_folders_can_be_said_with_dots(
    files: Files, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = {"poses": files.results, "refined": files.refined}
    for name, path in rows.items():
        (tmp_path / "folders" / name / "within").mkdir(parents=True)
        people = [
            {"person_id": [-1], "pose_keypoints_2d": row["keypoints"]} for row in json.loads(path.read_text())
        ]
        for photo in (2, 3):
            document = {"version": 1.3, "people": people[photo * 2 - 2 : photo * 2]}
            (tmp_path / "folders" / name / f"{photo}_keypoints.json").write_text(json.dumps(document))
    monkeypatch.setattr(page, "serve", lambda *_, **__: None)
    options = ("--images", files.images, "--layout", "coco17", "--no-browser")
    monkeypatch.chdir(tmp_path / "folders" / "refined")
    code, out, error = run("review", "../poses", ".", *options)
    assert (code, error) == (0, "") and "4 people" in out
    output = tmp_path / "folders" / "refined.reviewed"
    assert sorted(path.name for path in output.iterdir()) == ["2_keypoints.json", "3_keypoints.json"]
    assert (tmp_path / "folders" / "refined.reviewed.review.jsonl").is_file()
    monkeypatch.chdir("within")
    assert run("review", "../../poses", "..", *options)[0] == 0
    code, _, error = run("review", "../../poses", "..", "-o", ".", *options)
    assert code == 2 and "within is there already, but not the decisions that it holds" in error
    code, _, error = run("review", "../../poses", "/", *options)
    assert code == 2 and "expected files or folders that have a name, got /" in error


def test_without_its_libraries_it_says_what_to_install(
    files: Files, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    code, _, error = run("review", *files.options)
    assert code == 2 and "run: pip install 'posefix[review]'" in error


def test_the_output_is_named_after_the_refined_file(files: Files, serve: Serve) -> None:
    server = serve()
    server.stop()
    plain = Process(files.options[:-2])
    plain.start()
    plain.stop()
    assert (files.folder / "refined.reviewed.json").is_file()
    assert (files.folder / "refined.reviewed.json.review.jsonl").is_file()


def test_the_page_is_in_the_package() -> None:
    folder = Path(command.__file__).parents[1] / "review" / "static"
    names = {path.name for path in folder.iterdir()}
    assert {"review.html", "review.css", "page.js"} <= names
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text and "@import" not in text


def test_the_browser_is_started_with_a_private_file_and_not_with_the_key(
    files: Files, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    opened = threading.Event()

    def show(address: str) -> None:
        shown.append(address)
        opened.set()

    def serve_and_end(*_: Any, **__: Any) -> None:
        assert opened.wait(10)
        path = Path(url2pathname(urlsplit(shown[0]).path))
        assert path.stat().st_mode & 0o077 == 0
        shown.append(path.read_text())

    monkeypatch.setattr(webbrowser, "open", show)
    monkeypatch.setattr(uvicorn.Server, "run", serve_and_end)
    _, out, _ = run("review", *files.options)
    address = out.split("review: ")[1].splitlines()[0]
    key = urlsplit(address).path.strip("/")
    assert (
        shown[0].startswith("file:///") and key not in shown[0] and f'content="0;url={address}"' in shown[1]
    )
    assert not list(files.folder.rglob("*.review.html"))
