"""A store that fails on its way: what stands between a client and moto's server, and spoils some of the answers."""

from __future__ import annotations

import threading
import time
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULTS = ("500", "slow", "half")
SLOW_SECONDS = 0.3
OF_A_HOP = ("transfer-encoding", "connection", "content-length", "expect")
"""Headers that are of one connection alone."""


def body_of(request: BaseHTTPRequestHandler) -> bytes:
    """The body of a request, whole or in chunks, as Amazon's client sends it."""
    if "chunked" not in (request.headers.get("Transfer-Encoding") or ""):
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    parts = []
    while size := int(request.rfile.readline().split(b";")[0], 16):
        parts.append(request.rfile.read(size))
        request.rfile.readline()
    while request.rfile.readline().strip():
        pass  # trailers
    return b"".join(parts)


class Unreliable:
    """Passes requests on and, where it is told to, every so often answers 500, late, or with half a body.

    Args:
        port: Where it listens.
        behind: Port of the store.
        fault: One of `FAULTS`, empty for none.
        every: Each so manieth answer is spoilt.
    """

    def __init__(self, port: int, behind: int, fault: str = "", every: int = 1) -> None:
        self.port, self.fault, self.every, self.spoilt = port, fault, every, 0
        self._count = 0
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = body_of(self)
                spoil, fault = outer.is_next(), outer.fault
                if spoil and fault == "500":
                    self.send_response(500)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                if spoil and fault == "slow":
                    time.sleep(SLOW_SECONDS)
                connection = HTTPConnection("127.0.0.1", behind)
                headers = {
                    name: value for name, value in self.headers.items() if name.lower() not in OF_A_HOP
                }
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                content = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in OF_A_HOP:
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
                self.send_header("Content-Length", length or "0")
                self.end_headers()
                if spoil and fault == "half" and content:
                    self.wfile.write(content[: len(content) // 2])
                    self.close_connection = True
                else:
                    self.wfile.write(content)
                connection.close()

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def is_next(self) -> bool:
        """Whether the answer that is due is to be spoilt."""
        with self._lock:
            self._count += 1
            spoil = self.fault != "" and self._count % self.every == 0
            self.spoilt += spoil
            return spoil

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
