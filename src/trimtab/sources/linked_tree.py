"""What every tree shares: walking a path, following symlinks inside, refusing the way out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Generic, TypeVar

from trimtab.sources.errors import LimitExceeded, PathEscapes, PathNotFound
from trimtab.sources.paths import normalise
from trimtab.sources.tree import ABSENT, Entry, EntryKind

__all__ = ["MAX_FILE_BYTES", "MAX_LINKS", "LinkedTree"]

MAX_LINKS = 32
MAX_FILE_BYTES = 16 * 1024 * 1024

Node = TypeVar("Node")


class LinkedTree(ABC, Generic[Node]):
    """A Tree over directories called nodes (an object id, a place on disk).

    Subclasses say what a directory holds; this class finds paths. Source: spec/rendering.md 1.
    """

    def __init__(self, root: Node, *, max_file_bytes: int = MAX_FILE_BYTES) -> None:
        self._root = root
        self._max_file_bytes = max_file_bytes

    @abstractmethod
    def _children(self, node: Node) -> Mapping[str, Entry]:
        """Entries of a directory, sorted by name."""

    @abstractmethod
    def _child_node(self, node: Node, entry: Entry) -> Node: ...

    @abstractmethod
    def _content(self, node: Node, entry: Entry) -> bytes:
        """Bytes of a file, or the target of a link."""

    @abstractmethod
    def _node_oid(self, node: Node) -> str: ...

    def _entry_oid(self, node: Node, entry: Entry) -> str:
        """The id of a file or link that stands in `node`."""
        return entry.oid

    def read(self, path: str) -> bytes:
        path = normalise(path)
        node, entry = self._find(path)
        if entry is None:
            if node is not None:
                raise PathNotFound(f"{path or '.'} is a directory")
            raise PathNotFound(f"{path} does not exist")
        if node is None:
            raise PathNotFound(f"{path} does not exist")
        data = self._content(node, entry)
        if len(data) > self._max_file_bytes:
            raise LimitExceeded(
                f"{path} has {len(data)} bytes", why=f"limit file_bytes={self._max_file_bytes}"
            )
        return data

    def list(self, path: str) -> tuple[Entry, ...]:
        path = normalise(path)
        node, entry = self._find(path)
        if entry is not None:
            raise PathNotFound(f"{path} is a file, not a directory")
        if node is None:
            raise PathNotFound(f"directory {path} does not exist")
        return tuple(self._children(node).values())

    def kind(self, path: str) -> EntryKind:
        node, entry = self._find(normalise(path))
        if node is None:
            return "absent"
        return "dir" if entry is None else "file"

    def oid(self, path: str) -> str:
        node, entry = self._find(normalise(path))
        if node is None:
            return ABSENT
        return self._node_oid(node) if entry is None else self._entry_oid(node, entry)

    def _find(self, path: str) -> tuple[Node | None, Entry | None]:
        """(directory, None) for a directory, (its directory, entry) for a file, (None, None) for
        nothing. `..` in a link's target goes up from the real place, as in a file system."""
        links = 0
        link = ""
        real: list[str] = []
        nodes: list[Node] = [self._root]
        todo = path.split("/")[::-1] if path else []
        while todo:
            name = todo.pop()
            if name == "..":
                if not real:
                    raise PathEscapes(f"symlink {link}, outside of the tree")
                real.pop()
                nodes.pop()
                continue
            entry = self._children(nodes[-1]).get(name)
            if entry is None:
                return None, None
            if entry.kind == "dir":
                real.append(name)
                nodes.append(self._child_node(nodes[-1], entry))
            elif entry.kind == "file":
                return (None, None) if todo else (nodes[-1], entry)
            else:
                links += 1
                if links > MAX_LINKS:
                    raise LimitExceeded(
                        f"{path} goes through too many symlinks", why=f"limit links={MAX_LINKS}"
                    )
                target = self._content(nodes[-1], entry).decode("utf-8", "surrogateescape")
                link = f"{'/'.join([*real, name])} leads to {target}"
                if target.startswith("/") or "\0" in target:
                    raise PathEscapes(f"symlink {link}, outside of the tree")
                todo.extend(part for part in target.split("/")[::-1] if part not in ("", "."))
        return nodes[-1], None
