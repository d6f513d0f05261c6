"""What a rule may read below `self`, and how plain JSON becomes the values rules see.

A `Shape` says less than a schema: which fields there are, and which scalars are no JSON type in
CEL. Names of declared fields are escaped where CEL could not write them; keys of maps are not.
Source: spec/embedded-cluster.md 10.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

__all__ = ["ANY", "Shape", "escape", "to_cel"]

Kind = Literal["any", "object", "map", "list", "text", "number", "integer", "bool", "moment"]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# fmt: off
_RESERVED: Final = frozenset((
    "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function",
    "if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while",
))
# fmt: on
_WORDS: Final = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))


class Shape:
    """One node. `items`: what lists and maps hold. `open`: an object with more fields than listed.

    A `moment` is text that CEL would see as a timestamp, a duration or bytes: `name` says which.
    """

    __slots__ = ("_converts", "fields", "items", "kind", "name", "open")

    def __init__(self, kind: Kind = "any", name: str = "") -> None:
        self.kind: Kind = kind
        self.name = name
        self.fields: dict[str, Shape] = {}
        self.items: Shape | None = None
        self.open = False
        self._converts: bool | None = None

    @property
    def converts(self) -> bool:
        """Whether values of this shape differ from their JSON. Ask once it is complete."""
        if self._converts is None:
            self._converts = (
                self.kind in ("number", "integer")
                or (self.kind == "object" and not self.open and not self.fields)
                or any(
                    escape(name) != name or below.converts for name, below in self.fields.items()
                )
                or (self.items is not None and self.items.converts)
            )
        return self._converts


ANY: Final = Shape()


def escape(name: str) -> str:
    """How a rule writes the field: `a-b` is `a__dash__b`, `in` is `__in__`."""
    if name in _RESERVED:
        return f"__{name}__"
    if _NAME.fullmatch(name) and "__" not in name:
        return name
    for sign, word in _WORDS:
        if sign == "__":
            name = "__underscores__".join(name.split("__"))
        else:
            name = name.replace(sign, word)
    return name


def to_cel(value: Any, shape: Shape) -> Any:
    """The value with escaped names and numbers of the declared type. Shares what needs neither."""
    if value is None or not shape.converts:
        return value
    convert = _BY_TYPE.get(type(value))
    return convert(value, shape) if convert else value


def _object(value: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    if shape.kind == "map" and shape.items is not None:
        items = shape.items
        return {key: to_cel(each, items) for key, each in value.items()}
    out = {}
    for name, each in value.items():
        below = shape.fields.get(name)
        if below is not None:
            out[escape(name)] = to_cel(each, below)
        elif shape.open:
            out[name] = each
    return out


def _list(value: list[Any], shape: Shape) -> list[Any]:
    return [to_cel(each, shape.items) for each in value] if shape.items is not None else value


def _number(value: float, shape: Shape) -> float:
    if shape.kind == "number":
        return float(value)
    return int(value) if shape.kind == "integer" and float(value).is_integer() else value


_BY_TYPE: Final[dict[type, Callable[[Any, Shape], Any]]] = {
    dict: _object,
    list: _list,
    int: _number,
    float: _number,
}
