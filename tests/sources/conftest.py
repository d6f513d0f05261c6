"""A real Git server, repositories written with real commits, and a clock that tests own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pygit2
import pytest

from trimtab.cli.demo.gitserver import GitServer


class Repository:
    """A bare repository behind the server; `commit` writes files on a branch without a checkout."""

    def __init__(self, path: Path, url: str) -> None:
        self.path = path
        self.url = url
        self.git = pygit2.Repository(str(path))
        self._count = 0

    def commit(
        self, files: dict[str, str | bytes | None], *, branch: str = "main", message: str = "change"
    ) -> str:
        """Add, change or (None) remove files. A value that starts with "-> " makes a symlink."""
        ref = f"refs/heads/{branch}"
        parents = []
        index = pygit2.Index()
        if ref in self.git.references:
            parents = [self.git.references[ref].target]
            index.read_tree(self.git[parents[0]].tree)
        for name, content in files.items():
            if content is None:
                index.remove(name)
                continue
            mode = pygit2.enums.FileMode.BLOB
            if isinstance(content, str) and content.startswith("-> "):
                content, mode = content[3:], pygit2.enums.FileMode.LINK
            data = content.encode() if isinstance(content, str) else content
            index.add(pygit2.IndexEntry(name, self.git.create_blob(data), mode))
        self._count += 1
        who = pygit2.Signature("Ada", "ada@example.org", 1_700_000_000 + self._count, 60)
        tree = index.write_tree(self.git)
        commit = self.git.create_commit(None, who, who, message, tree, parents)
        self.git.references.create(ref, commit, force=True)
        return str(commit)

    def tag(self, name: str, commit: str, *, annotated: bool = False) -> None:
        target = pygit2.Oid(hex=commit)
        if annotated:
            who = pygit2.Signature("Ada", "ada@example.org", 1_700_000_000, 0)
            self.git.create_tag(name, target, pygit2.enums.ObjectType.COMMIT, who, "release")
        else:
            self.git.references.create(f"refs/tags/{name}", target)


class ManualClock:
    """Time stands still until `advance`; sleepers wake in order."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        event = asyncio.Event()
        self._sleepers.append((self.now + seconds, event))
        await event.wait()

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for at, event in self._sleepers:
            if at <= self.now:
                event.set()
        self._sleepers = [(at, event) for at, event in self._sleepers if not event.is_set()]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "served") as running:
        yield running


@pytest.fixture
def repository_on() -> Callable[[GitServer], Repository]:
    def make(server: GitServer) -> Repository:
        return Repository(server.create("config"), server.url_of("config"))

    return make


@pytest.fixture
def repository(server: GitServer, repository_on: Callable[[GitServer], Repository]) -> Repository:
    return repository_on(server)
