"""A readable tree at an exact revision, and the record of what was read from it.

Everything is a Git tree (ARCHITECTURE 1): Git commits, unpacked charts, OCI artifacts and a
directory on a laptop are read through `Tree`. Paths are POSIX, relative to the root, without
a leading or trailing slash; the root itself is "". `..` never leaves the root.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal, Protocol

import msgspec

__all__ = ["ABSENT", "Entry", "EntryKind", "ReadSet", "RecordingTree", "Tree", "listing_id"]

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
    `sources.PathNotFound`. `oid` gives ABSENT for a path that is not there. `kind` tells what a
    path leads to, so it says "link" for none; `list` names links as they are.
    """

    def read(self, path: str) -> bytes: ...

    def list(self, path: str) -> tuple[Entry, ...]: ...

    def kind(self, path: str) -> EntryKind: ...

    def oid(self, path: str) -> str: ...


def listing_id(entries: Iterable[Entry]) -> str:
    """Digest of the names and kinds of a directory: what a listing tells, and no more."""
    text = "\0".join(f"{entry.kind} {entry.name}" for entry in entries)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


class ReadSet(msgspec.Struct, frozen=True):
    """What a render read. Valid in another tree when every answer is the same there.

    `entries`: path -> object id of what was read (ABSENT when it was looked for and not there).
    `listings`: directory -> `listing_id`, so that a change deeper down does not count.
    `kinds`: path -> kind, where only that was asked.
    """

    entries: dict[str, str]
    listings: dict[str, str] = {}
    kinds: dict[str, EntryKind] = {}

    def holds_in(self, tree: Tree) -> bool:
        return self.first_difference(tree) is None

    def first_difference(self, tree: Tree) -> str | None:
        """The first path whose answer differs in `tree`; None when the read-set holds."""
        for path, oid in self.entries.items():
            if tree.oid(path) != oid:
                return path
        for path, kind in self.kinds.items():
            if tree.kind(path) != kind:
                return path
        for path, listing in self.listings.items():
            if tree.kind(path) != "dir" or listing_id(tree.list(path)) != listing:
                return path
        return None


class RecordingTree:
    """A tree that remembers every question asked of it."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._entries: dict[str, str] = {}
        self._listings: dict[str, str] = {}
        self._kinds: dict[str, EntryKind] = {}

    def read(self, path: str) -> bytes:
        self.oid(path)
        return self._tree.read(path)

    def list(self, path: str) -> tuple[Entry, ...]:
        if self.kind(path) != "dir":
            self.oid(path)
        entries = self._tree.list(path)
        if path not in self._listings:
            self._listings[path] = listing_id(entries)
        return entries

    def kind(self, path: str) -> EntryKind:
        kind = self._kinds.get(path)
        if kind is None:
            kind = self._kinds[path] = self._tree.kind(path)
        return kind

    def oid(self, path: str) -> str:
        oid = self._entries.get(path)
        if oid is None:
            oid = self._entries[path] = self._tree.oid(path)
        return oid

    def read_set(self) -> ReadSet:
        """What was asked so far. A path whose id is known needs no kind of its own."""
        kinds = {path: kind for path, kind in self._kinds.items() if path not in self._entries}
        return ReadSet(dict(self._entries), dict(self._listings), kinds)
