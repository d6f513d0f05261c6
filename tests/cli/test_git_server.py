"""The demo's Git server: clone, push, big packs, nothing outside of its root."""

from __future__ import annotations

import http.client
import os
import subprocess
from pathlib import Path

import pytest

from trimtab.cli.demo.gitserver import GitServer

GIT = [
    "git",
    "-c",
    "user.name=x",
    "-c",
    "user.email=x@example.org",
    "-c",
    "init.defaultBranch=main",
]


def git(*arguments: str, cwd: Path) -> str:
    done = subprocess.run([*GIT, *arguments], cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_what_is_pushed_can_be_cloned(tmp_path: Path, size: int) -> None:
    """A pack over 1 MB is sent in chunks."""
    pushed: list[str] = []
    content = os.urandom(size)
    with GitServer(tmp_path / "served", on_push=pushed.append) as server:
        server.create("config")
        git("init", "-q", str(tmp_path / "work"), cwd=tmp_path)
        (tmp_path / "work/file").write_bytes(content)
        for command in (
            ["add", "-A"],
            ["commit", "-qm", "x"],
            ["push", "-q", server.url_of("config"), "HEAD:main"],
        ):
            git(*command, cwd=tmp_path / "work")
        git("clone", "-q", server.url_of("config"), "copy", cwd=tmp_path)
    assert (tmp_path / "copy/file").read_bytes() == content
    assert pushed == ["config"]


def test_a_repository_that_is_there_is_kept(tmp_path: Path) -> None:
    with GitServer(tmp_path) as server:
        path = server.create("config")
        (path / "description").write_text("kept")
        assert server.create("config") == path
    assert (path / "description").read_text() == "kept"


@pytest.mark.parametrize("path", ["/../secret/HEAD", "/%2e%2e/secret/HEAD", "/nope.git/info/refs"])
def test_nothing_outside_of_the_root_is_served(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/HEAD").write_text("ref: canary\n")
    with GitServer(tmp_path / "served") as server:
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=5)
        connection.request("GET", path)
        answer = connection.getresponse()
        assert (answer.status, b"canary" in answer.read()) == (404, False)


def test_it_listens_on_the_loopback_address_and_keeps_its_port(tmp_path: Path) -> None:
    server = GitServer(tmp_path).start()
    url = server.url
    server.stop()
    with server:
        assert server.url == url
        assert url.startswith("http://127.0.0.1:")
