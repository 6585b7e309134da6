"""A server of the Hugging Face Hub's interface on loopback, as far as models are fetched and pushed."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = (".onnx", ".safetensors")
WRITER = "Bearer hf_writer"
NAME = "([^/]+/[^/]+)"
ROUTES = {
    "/api/repos/create": "create",
    "/api/validate-yaml": "validate",
    f"/api/models/{NAME}(?:/revision/([^/]+))?": "info",
    f"/api/models/{NAME}/tree/([^/]+)": "tree",
    f"/api/models/{NAME}/preupload/[^/]+": "preupload",
    f"/api/models/{NAME}/commit/[^/]+": "commit",
    "/[^/]+/[^/]+[.]git/info/lfs/objects/batch": "batch",
    "/upload/([0-9a-f]+)": "upload",
    f"/{NAME}/resolve/([^/]+)/(.+)": "file",
}


def blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Repository:
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    newest: str = ""
    private: bool = False
    gated: bool = False

    def commit(self, files: dict[str, bytes]) -> str:
        """Files that were there before stay."""
        content = {**self.commits.get(self.newest, {}), **files}
        listed = "".join(f"{name}{blob_id(data)}" for name, data in sorted(content.items()))
        self.newest = hashlib.sha1(f"{len(self.commits)}{listed}".encode()).hexdigest()
        self.commits[self.newest] = content
        return self.newest


@dataclass
class Hub:
    """What the server holds, and how it misbehaves.

    Attributes:
        repositories: By owner/name.
        damaged: Names of files of which another content of the same length is sent.
        cut: Names of files of which half is sent.
        failing: Answers HTTP 500 to everything.
        full: Takes no large file.
        requests: What was asked for, "METHOD path".
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)
    failing: bool = False
    full: bool = False
    requests: list[str] = field(default_factory=list)
    address: str = ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing on standard error."""

    def do_GET(self) -> None:
        self.answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        if self.hub.failing:
            return self.send(500, {"error": "Internal error"})
        for pattern, method in ROUTES.items():
            if found := re.fullmatch(pattern, path):
                getattr(self, method)(*found.groups())
                return None
        return self.send(404, {"error": path})

    # What is asked for.

    def info(self, name: str, revision: str | None) -> None:
        self.told(name, revision or "main", self.send_info)

    def tree(self, name: str, revision: str) -> None:
        self.told(name, revision, lambda found, commit: self.send(200, entries(found.commits[commit])))

    def file(self, name: str, revision: str, path: str) -> None:
        self.told(name, revision, lambda found, commit: self.send_file(found, commit, path))

    def told(self, name: str, revision: str, give: Callable[[Repository, str], None]) -> None:
        repository = self.hub.repositories.get(name)
        known = self.headers.get("Authorization") == WRITER
        if repository is None or (repository.private and not known):
            return self.send(401, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        if repository.gated and not known:
            return self.send(403, {"error": "gated"}, {"X-Error-Code": "GatedRepo"})
        commit = repository.newest if revision == "main" else revision
        if commit not in repository.commits:
            return self.send(404, {"error": "Invalid rev"}, {"X-Error-Code": "RevisionNotFound"})
        give(repository, commit)

    def send_info(self, repository: Repository, commit: str) -> None:
        siblings = [
            {"rfilename": entry["path"], "size": entry["size"], "blobId": entry["oid"]}
            | ({"lfs": {**entry["lfs"], "sha256": entry["lfs"]["oid"]}} if "lfs" in entry else {})
            for entry in entries(repository.commits[commit])
        ]
        self.send(200, {"id": "x/y", "modelId": "x/y", "sha": commit, "siblings": siblings, "tags": []})

    def send_file(self, repository: Repository, commit: str, path: str) -> None:
        content = repository.commits[commit].get(path)
        if content is None:
            return self.send(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
        large = path.endswith(LARGE)
        tag = hashlib.sha256(content).hexdigest() if large else blob_id(content)
        headers = {"X-Repo-Commit": commit, "ETag": f'"{tag}"', "X-Linked-Size": str(len(content))}
        if path in self.hub.damaged:
            content = bytes(byte ^ 1 for byte in content)
        self.send_response(200)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            cut = path in self.hub.cut
            self.wfile.write(content[: len(content) // 2] if cut else content)
            self.close_connection = cut

    # What is put there.

    def validate(self) -> None:
        self.body()
        self.send(200, {"errors": [], "warnings": []})

    def preupload(self, name: str) -> None:
        paths = [file["path"] for file in self.body()["files"]]
        modes = ["lfs" if path.endswith(LARGE) else "regular" for path in paths]
        files = [
            {"path": path, "uploadMode": mode, "shouldIgnore": False}
            for path, mode in zip(paths, modes, strict=True)
        ]
        self.send(200, {"files": files})

    def batch(self) -> None:
        address = f"{self.hub.address}/upload"
        actions = [
            {**entry, "actions": {"upload": {"href": f"{address}/{entry['oid']}", "header": {}}}}
            for entry in self.body()["objects"]
        ]
        self.send(200, {"transfer": "basic", "objects": actions})

    def upload(self, oid: str) -> None:
        self.hub.uploads[oid] = self.raw()
        self.send(507 if self.hub.full else 200, {})

    def create(self) -> None:
        body = self.body()
        if self.headers.get("Authorization") != WRITER:
            return self.send(401, {"error": "Invalid username or password."})
        name = f"{body['organization']}/{body['name']}" if body.get("organization") else body["name"]
        if not name.startswith("me/"):
            return self.send(403, {"error": "no right to this namespace"})
        if name in self.hub.repositories:
            return self.send(409, {"error": "exists", "url": f"{self.hub.address}/{name}"})
        made = Repository(private=bool(body.get("private")) or body.get("visibility") == "private")
        self.hub.repositories[name] = made
        self.send(200, {"url": f"{self.hub.address}/{name}", "name": name, "id": "1"})

    def commit(self, name: str) -> None:
        files = {}
        for line in self.raw().splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.hub.uploads[value["oid"]]
        commit = self.hub.repositories[name].commit(files)
        address = f"{self.hub.address}/{name}/commit/{commit}"
        self.send(200, {"success": True, "commitOid": commit, "commitUrl": address, "hookOutput": ""})

    # How it is said.

    def raw(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while length := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(length))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def body(self) -> dict[str, Any]:
        return dict(json.loads(self.raw()))

    def send(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        known = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        for key, value in {**known, **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def entries(files: dict[str, bytes]) -> list[dict[str, Any]]:
    """The tree of a commit."""
    listed = []
    for path, content in sorted(files.items()):
        entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": blob_id(content)}
        if path.endswith(LARGE):
            oid = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"oid": oid, "size": len(content), "pointerSize": 130}
        listed.append(entry)
    return listed


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The server, at `hub.address`."""
    handler = type("HubHandler", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
