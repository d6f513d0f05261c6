"""JSON Patch (RFC 6902) on plain values. Pure: the document is never changed, and what the patch
does not touch is shared between document and result.

A Kubernetes API server takes at most 10,000 operations. Source: spec/embedded-cluster.md 8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from trimtab.objects.patch_errors import BadPatch, PatchFailed, TooManyOperations
from trimtab.objects.same import same

__all__ = ["MAX_OPERATIONS", "apply_json_patch", "parse_pointer"]

MAX_OPERATIONS: Final = 10_000

_NEEDS_VALUE: Final = frozenset({"add", "replace", "test"})
_NEEDS_FROM: Final = frozenset({"move", "copy"})
_OPERATIONS: Final = _NEEDS_VALUE | _NEEDS_FROM | {"remove"}

Tokens = tuple[str, ...]


def apply_json_patch(doc: Any, ops: Any) -> Any:
    """`doc` after all operations, or an error and nothing done.

    Raises `BadPatch` when `ops` is not a list of operations, `TooManyOperations` above
    10,000 of them, `PatchFailed` when a path is absent or a `test` does not hold.
    """
    if not isinstance(ops, Sequence) or isinstance(ops, str | bytes):
        raise BadPatch("a JSON patch is a list of operations")
    if len(ops) > MAX_OPERATIONS:
        raise TooManyOperations(
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(ops)}"
        )
    steps = [_decode(index, op) for index, op in enumerate(ops)]
    for name, path, source, value in steps:
        doc = _operate(doc, name, path, source, value)
    return doc


def parse_pointer(text: str) -> Tokens:
    """The tokens of a JSON pointer (RFC 6901). "" is the whole document."""
    if not text:
        return ()
    if not text.startswith("/"):
        raise BadPatch(f"JSON pointer {text!r} does not start with '/'")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/"))


def _pointer(tokens: Sequence[str]) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in tokens)


def _decode(index: int, op: Any) -> tuple[str, Tokens, Tokens, Any]:
    """(operation, path, from, value), checked for shape before anything is applied."""
    if not isinstance(op, Mapping):
        raise BadPatch(f"operation {index} is not an object")
    name = op.get("op")
    if name not in _OPERATIONS:
        raise BadPatch(f"operation {index}: unexpected kind: {name}")
    if not isinstance(op.get("path"), str):
        raise BadPatch(f"operation {index} ({name}): missing path")
    if name in _NEEDS_VALUE and "value" not in op:
        raise BadPatch(f"operation {index} ({name}): missing value")
    source: Tokens = ()
    if name in _NEEDS_FROM:
        if not isinstance(op.get("from"), str):
            raise BadPatch(f"operation {index} ({name}): missing from")
        source = parse_pointer(op["from"])
    return name, parse_pointer(op["path"]), source, op.get("value")


def _operate(doc: Any, name: str, path: Tokens, source: Tokens, value: Any) -> Any:
    if name == "add":
        return _add(doc, path, value, path)
    if name == "remove":
        return _remove(doc, path, path)
    if name == "replace":
        _find(doc, path)
        return _set(doc, path, value, path)
    if name == "test":
        if not same(_find(doc, path), value):
            raise PatchFailed(
                f"testing value {_pointer(path)} failed: test failed", pointer=_pointer(path)
            )
        return doc
    moved = _find(doc, source)
    if name == "copy":
        return _add(doc, path, moved, path)
    if path[: len(source)] == source and path != source:
        raise PatchFailed("a value cannot move into itself", pointer=_pointer(path))
    return _add(_remove(doc, source, source), path, moved, path)


def _find(doc: Any, path: Tokens) -> Any:
    for part in path:
        doc = _member(doc, part, path)
    return doc


def _member(node: Any, part: str, path: Tokens) -> Any:
    if isinstance(node, dict):
        if part not in node:
            raise _missing(path)
        return node[part]
    if isinstance(node, list):
        return node[_index(part, len(node) - 1, path)]
    raise _missing(path)


def _index(part: str, last: int, path: Tokens) -> int:
    """A list index from 0 to `last`: digits without a leading zero, as RFC 6901 has it."""
    if not (part.isascii() and part.isdigit()) or (part[0] == "0" and part != "0"):
        raise PatchFailed(f"{_pointer(path)}: invalid array index {part!r}", pointer=_pointer(path))
    index = int(part) if len(part) < 10 else last + 1
    if index > last:
        raise PatchFailed(
            f"{_pointer(path)}: index {part} is out of bounds", pointer=_pointer(path)
        )
    return index


def _missing(path: Tokens) -> PatchFailed:
    pointer = _pointer(path)
    return PatchFailed(f"the path {pointer} does not exist: missing value", pointer=pointer)


def _set(node: Any, rest: Tokens, value: Any, path: Tokens) -> Any:
    """A copy of `node` in which the existing place `rest` holds `value`."""
    if not rest:
        return value
    child = _set(_member(node, rest[0], path), rest[1:], value, path)
    return _with_member(node, rest[0], child)


def _with_member(node: Any, part: str, child: Any) -> Any:
    if isinstance(node, dict):
        return {**node, part: child}
    copy = list(node)
    copy[int(part)] = child
    return copy


def _add(node: Any, rest: Tokens, value: Any, path: Tokens) -> Any:
    if not rest:
        return value
    part = rest[0]
    if len(rest) > 1:
        return _with_member(node, part, _add(_member(node, part, path), rest[1:], value, path))
    if isinstance(node, dict):
        return {**node, part: value}
    if isinstance(node, list):
        at = len(node) if part == "-" else _index(part, len(node), path)
        return [*node[:at], value, *node[at:]]
    raise _missing(path)


def _remove(node: Any, rest: Tokens, path: Tokens) -> Any:
    if not rest:
        return None
    part = rest[0]
    child = _member(node, part, path)
    if len(rest) > 1:
        return _with_member(node, part, _remove(child, rest[1:], path))
    if isinstance(node, dict):
        return {key: item for key, item in node.items() if key != part}
    at = int(part)
    return [*node[:at], *node[at + 1 :]]
