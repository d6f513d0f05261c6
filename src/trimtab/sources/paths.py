"""Paths inside a tree: POSIX, relative, never above the root (SEC-01)."""

from __future__ import annotations

from trimtab.sources.errors import PathEscapes

__all__ = ["MAX_PATH_BYTES", "join", "normalise"]

MAX_PATH_BYTES = 4096


def normalise(path: str) -> str:
    """`a/./b/../c` -> `a/c`; the root is "". Raises PathEscapes for an absolute path, one that
    climbs above the root, holds NUL or is longer than any file system allows."""
    if path.startswith("/"):
        raise PathEscapes(f"path {path!r} is absolute", hint="write it relative to the root")
    return join("", path)


def join(base: str, path: str) -> str:
    """`path` as seen from directory `base` (normalised), normalised."""
    if "\0" in path or len(path) > MAX_PATH_BYTES:
        raise PathEscapes(f"path {path[:80]!r} is not a valid file name")
    parts = base.split("/") if base else []
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part == "..":
            if not parts:
                raise PathEscapes(f"path {path!r} leads out of the tree", why=f"from {base or '.'}")
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
