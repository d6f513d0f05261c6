"""A readable tree at an exact revision, and the record of what was read from it.

Everything is a Git tree (ARCHITECTURE 1): Git commits, unpacked charts, OCI artifacts and a
directory on a laptop are read through `Tree`. Paths are POSIX, relative to the root, without
a leading or trailing slash; the root itself is "". `..` never leaves the root.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

__all__ = ["ABSENT", "Entry", "EntryKind", "ReadSet", "RecordingTree", "Tree"]

EntryKind = Literal["file", "dir", "link", "absent"]
ABSENT = ""


class Entry(msgspec.Struct, frozen=True):
    """One name in a directory. `oid` is the object id (hex) of its content."""

    name: str
    kind: EntryKind
    oid: str
    executable: bool = False


class Tree(Protocol):
    """What rendering may ask of a snapshot. All paths are normalised by the implementation.

    Symlinks inside the tree are followed (depth limit 32); one that leaves it raises
    `sources.PathEscapes` naming both ends. `read` of an absent path or a directory raises
    `sources.PathNotFound`. `oid` gives ABSENT for a path that is not there.
    """

    def read(self, path: str) -> bytes: ...

    def list(self, path: str) -> tuple[Entry, ...]: ...

    def kind(self, path: str) -> EntryKind: ...

    def oid(self, path: str) -> str: ...


class ReadSet(msgspec.Struct, frozen=True):
    """What a render read: path -> object id (a directory's id when it was listed; ABSENT when
    it was looked for and not there). Valid in another tree when every id is the same there."""

    entries: dict[str, str]

    def holds_in(self, tree: Tree) -> bool:
        return all(tree.oid(path) == oid for path, oid in self.entries.items())


class RecordingTree:
    """A tree that remembers every question asked of it."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._seen: dict[str, str] = {}

    def read(self, path: str) -> bytes:
        self._note(path)
        return self._tree.read(path)

    def list(self, path: str) -> tuple[Entry, ...]:
        self._note(path)
        return self._tree.list(path)

    def kind(self, path: str) -> EntryKind:
        self._note(path)
        return self._tree.kind(path)

    def oid(self, path: str) -> str:
        return self._note(path)

    def read_set(self) -> ReadSet:
        return ReadSet(dict(self._seen))

    def _note(self, path: str) -> str:
        oid = self._seen.get(path)
        if oid is None:
            oid = self._seen[path] = self._tree.oid(path)
        return oid
