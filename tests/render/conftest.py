"""Trees out of plain mappings, and snapshots of them in a real store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pygit2
import pytest

from trimtab.sources import GitObjects, GitTree, Snapshot, SourceSpec

Files = dict[str, str | bytes]
Snap = Callable[[Files], Snapshot]


@pytest.fixture
def snap(tmp_path: Path) -> Snap:
    """Files -> snapshot. A value that starts with "-> " makes a symlink."""
    store = tmp_path / "store.git"
    repository = pygit2.init_repository(str(store), bare=True)

    def make(files: Files) -> Snapshot:
        index = pygit2.Index()
        for name, content in files.items():
            mode = pygit2.enums.FileMode.BLOB
            if isinstance(content, str) and content.startswith("-> "):
                content, mode = content[3:], pygit2.enums.FileMode.LINK
            data = content.encode() if isinstance(content, str) else content
            index.add(pygit2.IndexEntry(name, repository.create_blob(data), mode))
        tree = str(index.write_tree(repository))
        return Snapshot(SourceSpec("git", "https://example.org/x"), tree, tree, str(store))

    return make


@pytest.fixture
def tree_of(snap: Snap) -> Callable[[Files], GitTree]:
    def make(files: Files) -> GitTree:
        snapshot = snap(files)
        return GitTree(GitObjects(snapshot.store), snapshot.tree)

    return make


@pytest.fixture
def config_map() -> Callable[..., str]:
    def text(name: str, **data: str) -> str:
        lines = "".join(f"  {key}: {value!r}\n" for key, value in data.items())
        body = f"data:\n{lines}" if data else ""
        return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n{body}"

    return text
