"""A small Git server on the loopback address: `git http-backend` behind Python's own server.

For the demo and for tests; anyone who reaches the port may push.
"""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

__all__ = ["GitServer"]

_HIDDEN_ENV = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_HTTP_EXPORT_ALL": "1",
    "LC_ALL": "C",
    "HOME": os.devnull,
}


class GitServer:
    """Serves the bare repositories below `root` over HTTP, fetch and push.

    `basic` is a user name and password that every request then needs. `on_push(name)` is called
    after a push was answered. Usable as a context manager.
    """

    def __init__(
        self,
        root: Path,
        port: int = 0,
        *,
        basic: tuple[str, str] | None = None,
        on_push: Callable[[str], None] | None = None,
    ) -> None:
        self.root = root
        self.requests = 0
        self._basic = basic
        self._on_push = on_push
        self._port = port
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        self.root.mkdir(parents=True, exist_ok=True)
        owner = self

        class Handler(_Handler):
            server_of: GitServer = owner

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the port. A later `start` uses the same one."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`; repositories are `<url>/<name>.git`."""
        return f"http://127.0.0.1:{self._port}"

    def url_of(self, name: str) -> str:
        return f"{self.url}/{name}.git"

    def create(self, name: str) -> Path:
        """An empty bare repository with branch main that takes pushes. Its path."""
        path = self.root / f"{name}.git"
        self._git("init", "--quiet", "--bare", "--initial-branch=main", str(path))
        self._git("-C", str(path), "config", "http.receivepack", "true")
        return path

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def admits(self, header: str | None) -> bool:
        if self._basic is None:
            return True
        expected = base64.b64encode(":".join(self._basic).encode()).decode()
        return header == f"Basic {expected}"

    def pushed(self, path: str) -> None:
        if self._on_push is not None:
            self._on_push(path.strip("/").split(".git")[0])

    def _git(self, *arguments: str) -> None:
        environ = {"PATH": os.environ.get("PATH", os.defpath), **_HIDDEN_ENV}
        subprocess.run(["git", *arguments], check=True, env=environ, capture_output=True)


class _Handler(BaseHTTPRequestHandler):
    """One request: the CGI protocol around `git http-backend`."""

    server_of: GitServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """No access log: the demo prints what it does itself."""

    def _serve(self) -> None:
        self.server_of.requests += 1
        body = self._body()
        if not self.server_of.admits(self.headers.get("Authorization")):
            self._answer(401, [("WWW-Authenticate", 'Basic realm="git"')], b"")
            return
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        if ".." in path.split("/"):
            self._answer(404, [], b"")
            return
        result = subprocess.run(
            ["git", "http-backend"],
            input=body,
            env=self._environment(path, parts.query, len(body)),
            capture_output=True,
            check=False,
        )
        head, _, content = result.stdout.partition(b"\r\n\r\n")
        status, headers = _cgi_head(head.decode("latin-1"))
        self._answer(status if result.returncode == 0 or head else 500, headers, content)
        # Before a big push git sends an empty one, to learn whether it may.
        if path.endswith("/git-receive-pack") and status == 200 and body != b"0000":
            self.server_of.pushed(path)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _environment(self, path: str, query: str, length: int) -> dict[str, str]:
        environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            **_HIDDEN_ENV,
            "GIT_PROJECT_ROOT": str(self.server_of.root.resolve()),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(length),
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_USER": "git",
            "GIT_CONFIG_COUNT": "3",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "GIT_CONFIG_KEY_1": "gc.auto",
            "GIT_CONFIG_VALUE_1": "0",
            "GIT_CONFIG_KEY_2": "uploadpack.allowAnySHA1InWant",
            "GIT_CONFIG_VALUE_2": "true",
        }
        for header, name in (
            ("Content-Encoding", "HTTP_CONTENT_ENCODING"),
            ("Git-Protocol", "GIT_PROTOCOL"),
        ):
            if self.headers.get(header):
                environ[name] = self.headers[header]
        return environ

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _cgi_head(text: str) -> tuple[int, list[tuple[str, str]]]:
    """(HTTP status, headers) of a CGI answer."""
    status = 200
    headers: list[tuple[str, str]] = []
    for line in text.split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        elif name:
            headers.append((name, value.strip()))
    return status, headers
