"""A directory on this machine as a Tree, for commands that look at a working copy."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from trimtab.sources.errors import LimitExceeded, PathNotFound
from trimtab.sources.linked_tree import MAX_FILE_BYTES, LinkedTree
from trimtab.sources.tree import Entry

__all__ = ["LocalTree"]


class LocalTree(LinkedTree[Path]):
    """Files below `directory` as they are now; `.git` is left out.

    Ids are those Git would give (SHA-1), so a read-set taken here holds in a commit of the same
    content. They are computed when asked for with `oid`: listings carry none. Each directory is
    looked at once: the tree is a picture of the moment each part was first read.
    """

    def __init__(self, directory: Path | str, *, max_file_bytes: int = MAX_FILE_BYTES) -> None:
        root = Path(directory).resolve()
        if not root.is_dir():
            raise PathNotFound(f"directory {directory} does not exist")
        super().__init__(root, max_file_bytes=max_file_bytes)
        self._seen: dict[Path, dict[str, Entry]] = {}
        self._ids: dict[Path, str] = {}

    def _children(self, node: Path) -> Mapping[str, Entry]:
        known = self._seen.get(node)
        if known is None:
            with os.scandir(node) as found:
                entries = [_entry(item) for item in found if item.name != ".git"]
            known = {entry.name: entry for entry in sorted(filter(None, entries), key=_name)}
            self._seen[node] = known
        return known

    def _child_node(self, node: Path, entry: Entry) -> Path:
        return node / entry.name

    def _content(self, node: Path, entry: Entry) -> bytes:
        place = node / entry.name
        if entry.kind == "link":
            return os.fsencode(place.readlink())
        size = place.stat().st_size
        if size > self._max_file_bytes:
            raise LimitExceeded(
                f"{place.name} has {size} bytes", why=f"limit file_bytes={self._max_file_bytes}"
            )
        return place.read_bytes()

    def _entry_oid(self, node: Path, entry: Entry) -> str:
        place = node / entry.name
        known = self._ids.get(place)
        if known is None:
            known = self._ids[place] = object_id("blob", self._content(node, entry))
        return known

    def _node_oid(self, node: Path) -> str:
        known = self._ids.get(node)
        if known is None:
            known = self._ids[node] = self._tree_oid(node)
        return known

    def _tree_oid(self, node: Path) -> str:
        """Git's tree id: names sorted as if directories ended in a slash; empty ones left out."""
        rows: list[tuple[bytes, bytes]] = []
        for entry in self._children(node).values():
            name = os.fsencode(entry.name)
            if entry.kind == "dir":
                oid = self._node_oid(node / entry.name)
                if oid != EMPTY_TREE:
                    rows.append((name + b"/", b"40000 " + name + b"\0" + bytes.fromhex(oid)))
                continue
            mode = (
                b"120000" if entry.kind == "link" else b"100755" if entry.executable else b"100644"
            )
            oid = self._entry_oid(node, entry)
            rows.append((name, mode + b" " + name + b"\0" + bytes.fromhex(oid)))
        return object_id("tree", b"".join(row for _, row in sorted(rows)))


def object_id(kind: str, content: bytes) -> str:
    """Git's SHA-1 object id of a blob or tree."""
    header = f"{kind} {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()


EMPTY_TREE = object_id("tree", b"")


def _entry(item: os.DirEntry[str]) -> Entry | None:
    """Sockets, devices and pipes are not content."""
    if item.is_symlink():
        return Entry(item.name, "link", "")
    if item.is_dir():
        return Entry(item.name, "dir", "")
    if not item.is_file():
        return None
    return Entry(item.name, "file", "", bool(item.stat().st_mode & stat.S_IXUSR))


def _name(entry: Entry) -> str:
    return entry.name
