"""Files to a Git tree in a bare store: how everything that is not Git becomes a tree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pygit2

from trimtab.sources.errors import ArchiveInvalid
from trimtab.sources.store import bare_store

__all__ = ["TreeWriter"]

_BLOB, _EXECUTABLE, _LINK, _TREE = 0o100644, 0o100755, 0o120000, 0o040000


class TreeWriter:
    """Collects files by normalised path and writes them as one tree.

    Nothing names the tree until `write` has returned its id: a half-written one is never read.
    """

    def __init__(self, store: Path) -> None:
        self._repository: Any = pygit2.Repository(str(bare_store(store)))
        self._root: dict[str, Any] = {}

    def add(self, path: str, content: bytes, *, executable: bool = False) -> None:
        self._put(path, content, _EXECUTABLE if executable else _BLOB)

    def add_link(self, path: str, target: str) -> None:
        self._put(path, target.encode("utf-8", "surrogateescape"), _LINK)

    def write(self) -> str:
        """The tree's object id."""
        return str(self._write(self._root))

    def _put(self, path: str, content: bytes, mode: int) -> None:
        *directories, name = path.split("/")
        here = self._root
        for directory in directories:
            here = here.setdefault(directory, {})
            if not isinstance(here, dict):
                raise ArchiveInvalid(f"{path}: {directory} is a file and a directory")
        if name in here:
            raise ArchiveInvalid(f"{path} is there twice")
        here[name] = (mode, self._repository.create_blob(content))

    def _write(self, directory: dict[str, Any]) -> Any:
        builder = self._repository.TreeBuilder()
        for name, item in directory.items():
            try:
                if isinstance(item, dict):
                    builder.insert(name, self._write(item), _TREE)
                else:
                    builder.insert(name, item[1], item[0])
            except (ValueError, pygit2.GitError) as error:
                raise ArchiveInvalid(
                    f"{name!r} cannot be a name in a tree", why=str(error)
                ) from error
        return builder.write()
