"""How much one render may read, make and take (spec/rendering.md 1)."""

from __future__ import annotations

import msgspec

from trimtab.render.errors import LimitExceeded
from trimtab.render.model import Manifest
from trimtab.sources import Entry, EntryKind, Tree

__all__ = ["Limits", "MeteredTree", "check_output"]


class Limits(msgspec.Struct, frozen=True):
    """Bytes, seconds, counts. `file_bytes` is the tree's own limit, YAML's are `lang.yaml`'s;
    `time_s` and `resident_bytes` are watched by the service that owns the worker."""

    objects: int = 10_000
    document_bytes: int = 8 * 1024 * 1024
    input_bytes: int = 100 * 1024 * 1024
    output_bytes: int = 50 * 1024 * 1024
    time_s: float = 60.0
    resident_bytes: int = 512 * 1024 * 1024


class MeteredTree:
    """A tree that stops giving when too much was read in all. A file read twice counts twice."""

    def __init__(self, tree: Tree, limit: int) -> None:
        self._tree = tree
        self._limit = limit
        self._read = 0

    def read(self, path: str) -> bytes:
        data = self._tree.read(path)
        self._read += len(data)
        if self._read > self._limit:
            raise LimitExceeded("the render reads too much", why=f"limit input_bytes={self._limit}")
        return data

    def list(self, path: str) -> tuple[Entry, ...]:
        return self._tree.list(path)

    def kind(self, path: str) -> EntryKind:
        return self._tree.kind(path)

    def oid(self, path: str) -> str:
        return self._tree.oid(path)


def check_output(items: list[Manifest], limits: Limits) -> None:
    """Raises LimitExceeded for too many objects, one that is too large, or too much in all."""
    if len(items) > limits.objects:
        raise LimitExceeded(f"{len(items)} objects came out", why=f"limit objects={limits.objects}")
    total = 0
    encoder = msgspec.json.Encoder()
    for item in items:
        size = len(encoder.encode(item.obj))
        total += size
        if size > limits.document_bytes:
            raise LimitExceeded(
                f"an object has {size} bytes",
                where=item.origin.file,
                why=f"limit document_bytes={limits.document_bytes}",
            )
        if total > limits.output_bytes:
            raise LimitExceeded(
                "too much came out", why=f"limit output_bytes={limits.output_bytes}"
            )
