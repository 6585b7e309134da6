"""Poses and photos in an object store: a real interface of S3 on loopback, sound and failing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from tests.bulk.busy import free_port
from tests.bulk.conftest import (
    BUCKET,
    MODEL,
    NETWORK,
    Work,
    contents,
    faults_of,
    objects,
    upload,
    without_progress,
)
from tests.bulk.unreliable import FAULTS, Unreliable

from posefix.bulk.places import Patience, Store

Run = Callable[..., tuple[int, str, str]]
FAST = ("--layout", "coco17", "--model", "identity")
pytestmark = pytest.mark.usefixtures("ray_here")


def of_poses(found: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in found.items() if name.startswith("poses/")}


def test_a_bucket_is_as_good_as_a_folder(run: Run, work: Work, store: Any) -> None:
    upload(store, work.photos, "a/photos")
    upload(store, work.poses, "a/poses")
    company = work.place / "company.json"
    run("company", work.files[0], "--images", work.photos, "-o", company, *NETWORK)
    more = ("--company", company, *MODEL)
    assert run("bulk", work.poses, "--images", work.photos, "-o", work.place / "out", *more)[0] == 0
    address = f"s3://{BUCKET}/a"
    remote = ("bulk", f"{address}/poses", "--images", f"{address}/photos", "-o", f"{address}/out", *more)
    code, _, told = run(*remote)
    assert (code, without_progress(told)) == (0, "")
    expected, found = of_poses(contents(work.place / "out")), objects(store, "a/out")
    assert len(expected) == 3
    assert of_poses(found) == expected
    store.delete_object(Bucket=BUCKET, Key="a/out/ledger/part2.json.json")
    code, told, _ = run(*remote)
    assert (code, "2 of them done before" in told) == (0, True)
    assert of_poses(objects(store, "a/out")) == expected
    assert not [name for name in objects(store, "a/out") if "unfinished" in name]


def test_a_photo_that_a_bucket_lacks_is_a_fault(run: Run, work: Work, store: Any) -> None:
    upload(store, work.photos, "b/photos")
    store.delete_object(Bucket=BUCKET, Key="b/photos/0.jpg")
    more = ("--images", f"s3://{BUCKET}/b/photos", "-o", work.place / "out", *FAST)
    code, told, _ = run("bulk", work.poses, *more)
    assert (code, "missing or unreadable photos: 1" in told) == (3, True)


@pytest.fixture
def web(work: Work) -> Iterator[int]:
    """Port of a server of the photos, which the poses name."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            pass

    for path in work.files:
        rows = [row | {"image_id": f"{row['image_id']}.jpg"} for row in json.loads(path.read_text())]
        path.write_text(json.dumps(rows))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(work.photos)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_photos_may_lie_on_the_web(run: Run, work: Work, web: int) -> None:
    (work.photos / "0.jpg").unlink()
    where = f"http://127.0.0.1:{web}"
    code, told, _ = run("bulk", work.poses, "--images", where, "-o", work.place / "out", *FAST)
    assert (code, "9 people of 6 photos" in told) == (3, True)
    (fault,) = faults_of(work.place / "out")
    assert fault["reason"] == f"{where}/0.jpg: there is no such photo"


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["500", "half"])
def test_a_failing_web_is_no_lack_of_photos(run: Run, work: Work, web: int, fault: str) -> None:
    between = Unreliable(free_port(), web, fault, every=3)
    where = f"http://127.0.0.1:{between.port}"
    code, told, error = run("bulk", work.poses, "--images", where, "-o", work.place / "out", *FAST)
    between.stop()
    assert (code, without_progress(error)) == (0, ""), told
    assert between.spoilt > 1


@pytest.mark.parametrize(
    ("inputs", "output", "message"),
    [
        ("s3://nobodys/poses", "out", "there is no such file or folder"),
        ("poses", "s3://nobodys/out", "cannot be written"),
        ("gopher://somewhere/poses", "out", "nothing that is installed reads such addresses"),
    ],
)
@pytest.mark.usefixtures("store")
def test_what_a_store_refuses_is_told_before_the_work(
    run: Run, work: Work, inputs: str, output: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(work.place)
    code, _, told = run("bulk", inputs, "--images", "photos", "-o", output, *FAST)
    assert (code, message in told, told.count("\n")) == (2, True, 1), told


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_store_changes_no_byte(
    run: Run, work: Work, store: Any, between: Unreliable, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(store, work.photos, f"{fault}/photos")
    upload(store, work.poses, f"{fault}/poses")
    address, before = f"s3://{BUCKET}/{fault}", between.spoilt
    with monkeypatch.context() as failing:
        failing.setattr(between, "every", 5)
        failing.setattr(between, "fault", fault)
        more = ("--images", f"{address}/photos", "-o", f"{address}/out", "--workers", 2, *FAST)
        code, _, told = run("bulk", f"{address}/poses", *more)
    assert code == 0, told
    assert between.spoilt > before + 3
    found = of_poses(objects(store, f"{fault}/out"))
    assert found == {f"poses/{path.name}": path.read_bytes() for path in work.files}


def test_patience_ends() -> None:
    tried = []

    def refuse() -> None:
        tried.append(1)
        raise OSError("500")

    with pytest.raises(OSError, match="500"):
        Patience(3, pause=0.001)(refuse)
    assert len(tried) == 3

    def lack() -> None:
        tried.append(1)
        raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        Patience(3, pause=0.001)(lack)
    assert len(tried) == 4, "what is not there does not come by waiting"


def test_a_file_that_another_run_cleared_away_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, sync = Store(str(tmp_path)), os.fsync
    cleared: list[bool] = []

    def clear_first(file: int) -> None:
        sync(file)
        if not cleared:
            cleared.append(True)
            store.clear_unfinished()

    monkeypatch.setattr("os.fsync", clear_first)
    Patience(2, pause=0.001)(lambda: store.put("poses/a.json", b"[]"))
    assert cleared
    assert store.get("poses/a.json") == b"[]"
