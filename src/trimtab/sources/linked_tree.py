"""What every tree shares: walking a path, following symlinks inside, refusing the way out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Generic, TypeVar

from trimtab.sources.errors import LimitExceeded, PathEscapes, PathNotFound
from trimtab.sources.paths import join, normalise
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
        nothing. Links are followed by their real place, as a file system does."""
        left = MAX_LINKS
        real: list[str] = []
        nodes: list[Node] = [self._root]
        todo = path.split("/")[::-1] if path else []
        while todo:
            name = todo.pop()
            entry = self._children(nodes[-1]).get(name)
            if entry is None:
                return None, None
            if entry.kind == "dir":
                real.append(name)
                nodes.append(self._child_node(nodes[-1], entry))
            elif entry.kind == "file":
                return (None, None) if todo else (nodes[-1], entry)
            else:
                left -= 1
                if left < 0:
                    raise LimitExceeded(
                        f"{path} goes through too many symlinks", why=f"limit links={MAX_LINKS}"
                    )
                target = self._target("/".join(real), name, self._content(nodes[-1], entry))
                todo.extend(target.split("/")[::-1] if target else [])
                del real[:], nodes[1:]
        return nodes[-1], None

    def _target(self, directory: str, name: str, content: bytes) -> str:
        """Where a link leads, from the root. `directory` is the link's real place."""
        link = f"{directory}/{name}" if directory else name
        target = content.decode("utf-8", "surrogateescape")
        if target.startswith("/"):
            raise PathEscapes(f"symlink {link} leads to {target}, outside of the tree")
        try:
            return join(directory, target)
        except PathEscapes as error:
            raise PathEscapes(f"symlink {link} leads to {target}, outside of the tree") from error
