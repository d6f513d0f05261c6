"""Helm repositories over HTTP: versions, digests, conditional requests, credentials (SEC-07)."""

from __future__ import annotations

import asyncio
import hashlib
import io
import tarfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from trimtab.sources import (
    AuthFailed,
    Credentials,
    GitProgram,
    RevisionNotFound,
    Snapshot,
    SourceError,
    SourceService,
    SourceSpec,
    Unreachable,
    Unsupported,
)
from trimtab.sources.helm_index import chart_entries


class Site:
    """Answers GET from a mapping of path -> (status, headers, body); remembers the requests."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.seen: list[tuple[str, str | None]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.seen.append((self.path, self.headers.get("Authorization")))
                status, headers, body = site.pages.get(self.path, (404, {}, b""))
                etag = headers.get("ETag")
                if etag and self.headers.get("If-None-Match") == etag:
                    status, body = 304, b""
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def chart(version: str) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w:gz") as archive:
        body = f"apiVersion: v2\nname: web\nversion: {version}\n".encode()
        info = tarfile.TarInfo("web/Chart.yaml")
        info.size = len(body)
        archive.addfile(info, io.BytesIO(body))
    return plain.getvalue()


def index_of(charts: dict[str, bytes], base: str = "") -> bytes:
    rows = "".join(
        f"  - name: web\n    version: {version}\n    digest: {hashlib.sha256(data).hexdigest()}\n"
        f"    urls:\n    - {base}web-{version}.tgz\n"
        for version, data in charts.items()
    )
    head = "apiVersion: v1\nentries:\n  other:\n  - name: other\n    version: 9.0.0\n"
    tail = "  web-extra:\n  - name: web-extra\n    version: 9.9.9\ngenerated: now\n"
    return (head + "  web:\n" + rows + tail).encode()


@pytest.fixture
def sites() -> Iterator[Callable[[], Site]]:
    made: list[Site] = []

    def make() -> Site:
        made.append(Site())
        return made[-1]

    yield make
    for site in made:
        site.stop()


@pytest.fixture
def site(sites) -> Site:
    site = sites()
    charts = {version: chart(version) for version in ("1.0.0", "1.2.0", "2.0.0-rc.1")}
    site.pages["/index.yaml"] = (200, {"ETag": '"v1"'}, index_of(charts))
    for version, data in charts.items():
        site.pages[f"/web-{version}.tgz"] = (200, {}, data)
    return site


def using(tmp_path: Path, clock: Any, work: Callable[[SourceService], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        service = SourceService(tmp_path, clock=clock, git=GitProgram(), timeout_s=5)
        try:
            return await work(service)
        finally:
            await service.close()

    return asyncio.run(run())


def spec(site: Site, version: str = "*", name: str = "web", **fields: Any) -> SourceSpec:
    return SourceSpec("helm", site.url, chart=name, version=version, **fields)


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("*", "1.2.0"),
        ("", "1.2.0"),
        ("1.0.x", "1.0.0"),
        (">=1-0", "2.0.0-rc.1"),
        ("1.0.0", "1.0.0"),
    ],
)
def test_a_range_takes_the_highest_version_and_its_files(
    tmp_path, clock, site, version, found
) -> None:
    async def work(service: SourceService) -> None:
        snapshot = await service.snapshot(spec(site, version))
        assert snapshot.revision == found
        assert f"version: {found}" in service.tree(snapshot).read("Chart.yaml").decode()

    using(tmp_path, clock, work)


def test_the_index_is_asked_again_only_when_old_and_then_conditionally(
    tmp_path, clock, site
) -> None:
    async def work(service: SourceService) -> None:
        one = await service.snapshot(spec(site))
        await service.snapshot(spec(site, "1.2.0"))
        assert [path for path, _ in site.seen] == ["/index.yaml", "/web-1.2.0.tgz"]
        clock.advance(200)
        assert await service.snapshot(spec(site)) == one
        assert [path for path, _ in site.seen][2:] == ["/index.yaml"]

    using(tmp_path, clock, work)


@pytest.mark.parametrize(
    ("page", "name", "version", "error", "text"),
    [
        (None, "web", ">=3", RevisionNotFound, "no version of chart web"),
        (None, "nope", "*", RevisionNotFound, "chart nope does not exist"),
        (None, "web", "latest!", RevisionNotFound, "not a version range"),
        ((404, {}, b""), "web", "*", RevisionNotFound, "does not exist"),
        ((401, {}, b""), "web", "*", AuthFailed, "refuses the credentials"),
        ((500, {}, b""), "web", "*", Unreachable, "HTTP 500"),
        ((200, {}, b"<html>"), "web", "*", SourceError, "not a Helm repository index"),
        ((200, {}, b"entries: ["), "web", "*", SourceError, "cannot be read"),
        ((302, {"Location": "/index.yaml"}, b""), "web", "*", Unreachable, "redirects too often"),
        ((302, {"Location": "file:///etc/passwd"}, b""), "web", "*", SourceError, "not an http"),
    ],
)
def test_what_is_wrong_with_a_repository_is_said(
    tmp_path, clock, site, page, name, version, error, text
) -> None:
    if page is not None:
        site.pages["/index.yaml"] = page
    with pytest.raises(error, match=text):
        using(tmp_path, clock, lambda service: service.snapshot(spec(site, version, name)))


def test_an_archive_that_is_not_what_the_index_says_is_refused(tmp_path, clock, site) -> None:
    site.pages["/web-1.2.0.tgz"] = (200, {}, chart("6.6.6"))
    with pytest.raises(SourceError) as caught:
        using(tmp_path, clock, lambda service: service.snapshot(spec(site)))
    assert caught.value.reason == "DigestMismatch"


def test_credentials_go_to_the_repository_and_to_no_other_host(
    tmp_path, clock, site, sites
) -> None:
    """SEC-07: neither a chart elsewhere nor a redirect gets them."""
    elsewhere = sites()
    data = chart("1.2.0")
    elsewhere.pages["/web-1.2.0.tgz"] = (302, {"Location": "/moved.tgz"}, b"")
    elsewhere.pages["/moved.tgz"] = (200, {}, data)
    site.pages["/index.yaml"] = (302, {"Location": f"{elsewhere.url}/index.yaml"}, b"")
    elsewhere.pages["/index.yaml"] = (200, {}, index_of({"1.2.0": data}, f"{elsewhere.url}/"))
    secret = Credentials(username="bot", password="canary")
    using(tmp_path, clock, lambda service: service.snapshot(spec(site, credentials=secret)))
    assert [sent is not None for _, sent in site.seen] == [True]
    assert [sent for _, sent in elsewhere.seen] == [None, None, None]


def test_an_oci_registry_is_refused_aloud(tmp_path, clock) -> None:
    wanted = SourceSpec("oci", "oci://registry.example.org/charts", chart="web")
    with pytest.raises(Unsupported, match="OCI"):
        using(tmp_path, clock, lambda service: service.snapshot(wanted))


def test_a_chart_goes_from_the_repository_to_the_snapshot_of_a_listener(
    tmp_path, clock, site
) -> None:
    async def work(service: SourceService) -> None:
        heard: list[Any] = []
        service.subscribe(spec(site), heard.append)
        async with asyncio.timeout(5):
            while not heard:
                await asyncio.sleep(0.01)
        assert isinstance(heard[0], Snapshot)

    using(tmp_path, clock, work)


@pytest.mark.parametrize(
    "index",
    [
        b"entries:\n  web:\n  - version: 1.0.0\n  x:\n  - version: 2.0.0\n",
        b"entries:\n    web:\n    - version: 1.0.0\n",
        b"entries: {web: [{version: 1.0.0}], x: [{version: 2.0.0}]}\n",
        b'{"entries": {"web": [{"version": "1.0.0"}]}}',
        b"entries:\r\n  web:\r\n    - version: 1.0.0\r\n",
        b"entries:\n  'web':\n  - version: 1.0.0\n",
    ],
)
def test_an_index_in_any_form_gives_the_same_entries(index) -> None:
    assert list(chart_entries(index, "web", source="x")) == ["1.0.0"]
