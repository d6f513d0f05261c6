"""A chart repository over HTTP for tests: packages charts, writes index.yaml, serves both."""

import base64
import hashlib
import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from trimtab.lang import yaml


def packed(name: str, files: dict[str, str]) -> bytes:
    """A chart's archive, as `helm package` makes it: everything below its name."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for path, text in files.items():
            info = tarfile.TarInfo(f"{name}/{path}")
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return raw.getvalue()


class ChartServer:
    """`with ChartServer() as charts:`; `user` and `password` are asked for when they are set."""

    def __init__(self, user: str = "", password: str = "") -> None:
        self._pages: dict[str, bytes] = {}
        self._entries: dict[str, list[dict[str, object]]] = {}
        self.requests: list[str] = []
        wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append(self.path)
                if user and self.headers.get("Authorization") != wanted:
                    return self._answer(401, b"")
                page = outer._pages.get(self.path)
                return self._answer(200 if page is not None else 404, page or b"")

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._write()

    def publish(self, name: str, version: str, files: dict[str, str]) -> None:
        """Package a chart and add it to the index. `files` has no Chart.yaml."""
        chart = f"apiVersion: v2\nname: {name}\nversion: {version}\nappVersion: '7'\n"
        archive = packed(name, {"Chart.yaml": chart, **files})
        self._pages[f"/{name}-{version}.tgz"] = archive
        entry = {
            "apiVersion": "v2",
            "name": name,
            "version": version,
            "digest": hashlib.sha256(archive).hexdigest(),
            "created": "2026-01-01T00:00:00Z",
            "urls": [f"{name}-{version}.tgz"],
        }
        self._entries.setdefault(name, []).insert(0, entry)
        self._write()

    def _write(self) -> None:
        index = {"apiVersion": "v1", "entries": self._entries}
        self._pages["/index.yaml"] = yaml.dump(index).encode()

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
