"""The checked syntax tree of a rule, read from the engine's serialised form.

The engine hands its tree out as a protobuf message (`cel.expr.CheckedExpr`, wrapped in an `Any`);
only the handful of fields needed here is decoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

__all__ = ["Node", "Tree", "read_tree"]


class Node(msgspec.Struct, frozen=True):
    """An expression. `kind`: const, ident, select, has, call, list, struct, loop.

    `name` is the identifier, field or function; `parts` are the operands (of a call with a
    target, the target first); of a loop: range, initial value, condition, step, result.
    `names` are the variables of a loop: element, second element, accumulator. `value` is the text
    of a constant string, else None.
    """

    id: int
    kind: str
    name: str = ""
    parts: tuple[Node, ...] = ()
    names: tuple[str, str, str] = ("", "", "")
    value: str | None = None


class Tree(msgspec.Struct, frozen=True):
    root: Node
    positions: dict[int, int]


def read_tree(data: bytes) -> Tree:
    """Decode a serialised checked expression. `positions` are offsets in code points, by id."""
    checked = _fields(_last(_fields(data), 2))
    positions = {}
    for number, entry in _fields(_last(checked, 5)):
        if number != 4:
            continue
        pair = _fields(entry)
        positions[int(_last(pair, 1, 0))] = int(_last(pair, 2, 0))
    return Tree(_node(_last(checked, 4)), positions)


Field = tuple[int, Any]
_EMPTY: Final = b""


def _fields(data: bytes) -> list[Field]:
    """(number, value) of each field: integers, or bytes for what has a length."""
    found: list[Field] = []
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            found.append((number, value))
        elif wire == 2:
            size, at = _varint(data, at)
            found.append((number, data[at : at + size]))
            at += size
        else:
            at += 8 if wire == 1 else 4
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _last(fields: list[Field], number: int, default: Any = _EMPTY) -> Any:
    found = [value for key, value in fields if key == number]
    return found[-1] if found else default


def _text(fields: list[Field], number: int) -> str:
    return str(_last(fields, number), "utf-8")


def _nodes(fields: list[Field], *numbers: int) -> Iterator[Node]:
    for number in numbers:
        for key, value in fields:
            if key == number:
                yield _node(value)


def _node(data: bytes) -> Node:
    fields = _fields(data)
    ident = int(_last(fields, 2, 0))
    for number, value in fields:
        if number in _READERS:
            kind = _READERS[number]
            return _READ[kind](ident, _fields(value))
    return Node(ident, "const")


def _const(ident: int, fields: list[Field]) -> Node:
    text = [value for number, value in fields if number == 6]
    return Node(ident, "const", value=str(text[0], "utf-8") if text else None)


def _ident(ident: int, fields: list[Field]) -> Node:
    return Node(ident, "ident", _text(fields, 1))


def _select(ident: int, fields: list[Field]) -> Node:
    kind = "has" if _last(fields, 3, 0) else "select"
    return Node(ident, kind, _text(fields, 2), tuple(_nodes(fields, 1)))


def _call(ident: int, fields: list[Field]) -> Node:
    return Node(ident, "call", _text(fields, 2), tuple(_nodes(fields, 1, 3)))


def _list(ident: int, fields: list[Field]) -> Node:
    return Node(ident, "list", parts=tuple(_nodes(fields, 1)))


def _struct(ident: int, fields: list[Field]) -> Node:
    parts: list[Node] = []
    for number, value in fields:
        if number == 2:
            parts.extend(_nodes(_fields(value), 3, 4))
    return Node(ident, "struct", parts=tuple(parts))


def _loop(ident: int, fields: list[Field]) -> Node:
    names = (_text(fields, 1), _text(fields, 8), _text(fields, 3))
    return Node(ident, "loop", parts=tuple(_nodes(fields, 2, 4, 5, 6, 7)), names=names)


_READERS: Final = {
    3: "const",
    4: "ident",
    5: "select",
    6: "call",
    7: "list",
    8: "struct",
    9: "loop",
}
_READ: Final = {
    "const": _const,
    "ident": _ident,
    "select": _select,
    "call": _call,
    "list": _list,
    "struct": _struct,
    "loop": _loop,
}
