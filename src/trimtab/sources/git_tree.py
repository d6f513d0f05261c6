"""Trees in a bare Git store, read by object id (spec/rendering.md 8).

Looking a path up in libgit2 parses its big directories again each time; here a tree is parsed
once and its entries stay in an LRU keyed by tree id, shared by all trees of one store.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pygit2

from trimtab.sources.errors import PathNotFound, StoreCorrupt
from trimtab.sources.linked_tree import MAX_FILE_BYTES, LinkedTree
from trimtab.sources.tree import Entry, EntryKind

__all__ = ["GitObjects", "GitTree"]

_KINDS: Mapping[int, EntryKind] = {0o040000: "dir", 0o120000: "link"}
_SUBMODULE = 0o160000
_EXECUTABLE = 0o100755


class GitObjects:
    """Objects of one bare store: parsed trees (at most `max_entries` names in all) and blobs.

    May be shared by threads of one process; another process opens its own by path. `reads`
    counts the objects that were not in the cache.
    """

    def __init__(self, store: str | Path, *, max_entries: int = 500_000) -> None:
        self.path = str(store)
        self.reads = 0
        self._repository: Any = None
        self._lock = threading.Lock()
        self._trees: OrderedDict[str, dict[str, Entry]] = OrderedDict()
        self._entries = 0
        self._max_entries = max_entries

    def entries(self, tree_id: str) -> dict[str, Entry]:
        """Name -> entry of a tree, sorted by name. Submodules are left out: they are not here."""
        with self._lock:
            known = self._trees.get(tree_id)
            if known is not None:
                self._trees.move_to_end(tree_id)
                return known
            parsed = self._parse(self._object(tree_id))
            self._trees[tree_id] = parsed
            self._entries += len(parsed) + 1
            while self._entries > self._max_entries and len(self._trees) > 1:
                self._entries -= len(self._trees.popitem(last=False)[1]) + 1
            return parsed

    def blob(self, oid: str) -> bytes:
        with self._lock:
            data: bytes = self._object(oid).data
            return data

    def _object(self, oid: str) -> Any:
        try:
            if self._repository is None:
                self._repository = pygit2.Repository(self.path)
            self.reads += 1
            return self._repository[oid]
        except (KeyError, ValueError, pygit2.GitError) as error:
            raise StoreCorrupt(
                f"object {oid} cannot be read from the local store",
                why=str(error),
                hint="the store is a cache: it is fetched again when deleted",
            ) from error

    @staticmethod
    def _parse(tree: Any) -> dict[str, Entry]:
        found = [
            Entry(
                item.name,
                _KINDS.get(item.filemode, "file"),
                str(item.id),
                item.filemode == _EXECUTABLE,
            )
            for item in tree
            if item.filemode != _SUBMODULE
        ]
        return {entry.name: entry for entry in sorted(found, key=lambda entry: entry.name)}


class GitTree(LinkedTree[str]):
    """One tree of a store. Cheap to make; keeps nothing of its own."""

    def __init__(
        self, objects: GitObjects, tree_id: str, *, max_file_bytes: int = MAX_FILE_BYTES
    ) -> None:
        super().__init__(tree_id, max_file_bytes=max_file_bytes)
        self._objects = objects

    def subtree(self, path: str) -> GitTree:
        """The directory `path` as a tree of its own: nothing above it can be reached."""
        if self.kind(path) != "dir":
            raise PathNotFound(f"directory {path} does not exist")
        return GitTree(self._objects, self.oid(path), max_file_bytes=self._max_file_bytes)

    def _children(self, node: str) -> Mapping[str, Entry]:
        return self._objects.entries(node)

    def _child_node(self, node: str, entry: Entry) -> str:
        return entry.oid

    def _content(self, node: str, entry: Entry) -> bytes:
        return self._objects.blob(entry.oid)

    def _node_oid(self, node: str) -> str:
        return node
