"""The server of the review page: on this machine only, and for this page only."""

from __future__ import annotations

import json
import logging
import secrets
import signal
import socket
import threading
import webbrowser
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import h11
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from posefix.errors import InputError
from posefix.review.output import OutputWriter
from posefix.review.scenes import Scenes
from posefix.review.session import StaleError

ADDRESS = "127.0.0.1"
STATIC = Path(__file__).parent / "static"
LONGEST_STEP = 1_000_000
"""Bytes; a step with all keypoints of the largest layouts edited is far shorter."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class OwnPageOnly:
    """Refuses requests of other sites, whose pages could otherwise see photos and take steps from the same browser.

    The host must be this server under its own name: a foreign name that was made to resolve to 127.0.0.1 is refused.
    Where a browser says which page is asking, it must be this server's; whoever changes something must say it.
    Every address begins with the key, which other users of the machine do not know. The page itself may be gone to from
    elsewhere: from the file that the browser is started with.

    Args:
        app: What answers the requests of the own page.
        port: Of this server.
        key: Of the page.
    """

    def __init__(self, app: ASGIApp, port: int, key: str) -> None:
        self._app = app
        self._key = key.encode()
        self._hosts = {f"{name}:{port}" for name in (ADDRESS, "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif problem := self._problem(scope["method"], scope["path"], Headers(scope=scope)):
            await PlainTextResponse(problem, status_code=403)(scope, receive, _with_headers(send))
        else:
            await self._app(scope, receive, _with_headers(send))

    def _problem(self, method: str, path: str, headers: Headers) -> str | None:
        given = path.removeprefix("/").partition("/")[0].encode("utf-8", "replace")
        if not secrets.compare_digest(given, self._key):
            return "Open the address that `posefix review` printed: it has the key of this page."
        host, origin = headers.get("host", ""), headers.get("origin")
        if host not in self._hosts:
            return f"This server is {ADDRESS}, not {host}."
        if origin is None and method not in ("GET", "HEAD"):
            return "Requests that change something must come from the review page."
        if origin is not None and origin != f"http://{host}":
            return "Requests must come from the review page, not from another site."
        inside = headers.get("sec-fetch-site", "none") in ("same-origin", "none")
        if not (inside or self._is_opened(method, path, headers)):
            return "Requests must come from the review page, not from another site."
        return None

    def _is_opened(self, method: str, path: str, headers: Headers) -> bool:
        """Whether a browser goes to the page, which is no part of another one."""
        going = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")
        return method == "GET" and going and path.encode() == b"/" + self._key + b"/"


class _Answer(JSONResponse):
    """JSON in which a name of a file that is no UTF-8 has question marks; the page does not ask by names."""

    def render(self, content: Any) -> bytes:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")


def make_app(scenes: Scenes, output: OutputWriter, port: int, page_key: str) -> Starlette:
    """The pages and what they ask for.

    Args:
        scenes: The people with their photos.
        output: Writes the reviewed file; ended when the server ends.
        port: Where the server listens.
        page_key: What every address begins with.
    """
    review = scenes.review
    key = secrets.token_hex(4)

    def page(_: Request) -> Response:
        return Response((STATIC / "review.html").read_bytes(), media_type="text/html")

    def table(_: Request) -> Response:
        return _Answer({**scenes.table(), "key": key, "output": _output_state(output)})

    def person(request: Request) -> Response:
        return _Answer(scenes.person(request.path_params["person"]))

    def status(_: Request) -> Response:
        return _Answer({"output": _output_state(output)})

    def photo(request: Request) -> Response:
        return _picture(scenes.whole_photo(request.path_params["photo"]))

    def close_up(request: Request) -> Response:
        return _picture(scenes.close_up(request.path_params["person"]))

    async def step(request: Request) -> Response:
        # On the event loop, one step at a time: a line in the journal takes milliseconds.
        body = await _read_json(request)
        if body.get("review") != review.fingerprint:
            raise StaleError("Another review is served here now; load this page again.")
        about = review.take(body.get("entry"), body.get("version"))
        output.request()
        return _Answer({**review.state([about]), "person": about, "output": _output_state(output)})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        output.close()

    routes = [
        Route("/", page),
        Route("/people", table),
        Route("/people/{person:int}", person),
        Route("/people/{person:int}/close-up", close_up),
        Route("/photos/{photo:int}", photo),
        Route("/status", status),
        Route("/steps", step, methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Starlette(
        routes=[Mount(f"/{page_key}", routes=routes)],
        exception_handlers={StaleError: _stale, InputError: _refused, ClientDisconnect: _gone},
        middleware=[Middleware(OwnPageOnly, port=port, key=page_key)],
        lifespan=lifespan,
    )


def listen(port: int) -> socket.socket:
    """A socket on this machine's own address.

    Args:
        port: 0 for a free one.

    Raises:
        InputError: The port is taken or not allowed.
    """
    if not 0 <= port < 65536:
        raise InputError(f"--port: expected a number below 65536, got {port}; leave it out for a free one")
    try:
        return socket.create_server((ADDRESS, port))
    except OSError as error:
        raise InputError(
            f"--port: {port} cannot be used ({error.strerror}); leave it out for a free one"
        ) from error


def serve(
    scenes: Scenes,
    output: OutputWriter,
    listening: socket.socket,
    page_key: str,
    opening: Path | None = None,
) -> None:
    """Serve the page until Ctrl-C, which is a KeyboardInterrupt, or SIGTERM; at the end the output is written.

    After its own end uvicorn raises the signal that ended it again: `sigterm_as_interrupt` lets callers tidy up.

    Args:
        scenes: The people with their photos.
        output: Writes the reviewed file; ended when the server ends.
        listening: Made by `listen`.
        page_key: What every address begins with.
        opening: The file that a browser is started with, to show the page; None shows nothing.
    """
    port = listening.getsockname()[1]
    if opening is not None:
        # In a thread: a browser in the terminal would not return. The socket queues it until the server is up.
        threading.Thread(target=webbrowser.open, args=(opening.resolve().as_uri(),), daemon=True).start()
    config = uvicorn.Config(
        make_app(scenes, output, port, page_key),
        http="h11",
        log_level="error",
        lifespan="on",
        timeout_graceful_shutdown=3,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_own_fault)
    uvicorn.Server(config).run(sockets=[listening])


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Within it, SIGTERM is a KeyboardInterrupt as Ctrl-C is, so that files are taken away that are gone at the end.

    Outside of the main thread, which alone hears signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)  # none where no Python code had put it


def page_address(listening: socket.socket, page_key: str) -> str:
    """Where a browser finds the page."""
    return f"http://{ADDRESS}:{listening.getsockname()[1]}/{page_key}/"


def _is_own_fault(record: logging.LogRecord) -> bool:
    """Whether the terminal is told: not of requests that are no HTTP, which anybody on this machine can send."""
    return not (record.exc_info and isinstance(record.exc_info[1], h11.ProtocolError))


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return send_with_headers


async def _read_json(request: Request) -> dict[str, Any]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_STEP:
            raise InputError("step: expected a short request, got a very long one.")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InputError("step: expected an object of JSON.")
    return value


def _picture(content: bytes) -> Response:
    # The page's addresses have a key that is new with each start, so that no other review's photo is shown.
    return Response(content, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


def _output_state(output: OutputWriter) -> dict[str, Any]:
    return {"steps": output.steps, "problem": output.problem}


def _stale(_: Request, error: Exception) -> Response:
    return _Answer({"problem": str(error)}, status_code=409)


def _refused(_: Request, error: Exception) -> Response:
    return _Answer({"problem": str(error)}, status_code=400)


def _gone(_: Request, error: Exception) -> Response:
    """Nobody hears this: who asked hung up before the question was out."""
    return PlainTextResponse("", status_code=400)
