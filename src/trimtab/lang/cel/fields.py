"""Whether the fields a rule reads exist, and whether it sees them as the real server would.

The engine knows `self` only as "anything"; this pass follows the shape of the schema through the
tree. It is not a type checker: what it cannot follow, it lets pass, and the evaluation says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trimtab.lang.cel.errors import CelError, CelUnsupported
from trimtab.lang.cel.shape import ANY, Shape, escape
from trimtab.lang.cel.syntax import Node, Tree

__all__ = ["check_fields", "mentions"]

Scope = Mapping[str, Shape]
MAKES_MAPS: Final = "the engine has no comprehensions that make maps"
_EQUALITY: Final = ("_==_", "_!=_")
_SCALARS: Final = {"text": "string", "number": "double", "integer": "int", "bool": "bool"}


def mentions(tree: Tree, name: str) -> bool:
    """Whether the variable is read anywhere."""
    waiting = [tree.root]
    while waiting:
        node = waiting.pop()
        if node.kind == "ident" and node.name == name:
            return True
        waiting.extend(node.parts)
    return False


def check_fields(tree: Tree, text: str, scope: Scope) -> None:
    """Raises `CelError` for a field that does not exist and `CelUnsupported` for values that the
    engine could only be given as text."""
    _Check(tree, text).value(tree.root, scope)


class _Check:
    def __init__(self, tree: Tree, text: str) -> None:
        self._positions = tree.positions
        self._text = text

    def value(self, node: Node, scope: Scope) -> Shape:
        """The shape of a value that is used as it is."""
        shape = self.shape(node, scope)
        if shape.kind == "moment":
            raise CelUnsupported(
                f"the value is text here and a {shape.name} on a real server; write"
                f" {shape.name}(...) around it",
                **self._place(node),
            )
        return shape

    def shape(self, node: Node, scope: Scope) -> Shape:
        match node.kind:
            case "ident":
                return scope.get(node.name, ANY)
            case "select" | "has":
                return self._select(node, self.value(node.parts[0], scope), node.name)
            case "call":
                return self._call(node, scope)
            case "loop":
                return self._loop(node, scope)
        for part in node.parts:
            self.value(part, scope)
        return ANY

    def _select(self, node: Node, base: Shape, name: str) -> Shape:
        if base.kind == "map":
            found = base.items or ANY
        elif base.kind == "object":
            known = {escape(each): below for each, below in base.fields.items()}
            if name not in known and not base.open:
                raise CelError(f"undefined field '{name}'", **self._place(node))
            found = known.get(name, ANY)
        elif base.kind in _SCALARS or base.kind == "list":
            what = _SCALARS.get(base.kind, "list")
            message = f"type '{what}' does not support field selection"
            raise CelError(message, **self._place(node))
        else:
            found = ANY
        return ANY if node.kind == "has" else found

    def _call(self, node: Node, scope: Scope) -> Shape:
        parts = node.parts
        if node.name == "cel.@mapInsert":
            raise CelUnsupported(MAKES_MAPS, **self._place(node))
        if node.name == "_[_]":
            base = self.value(parts[0], scope)
            self.value(parts[1], scope)
            return base.items or ANY if base.kind in ("list", "map") else ANY
        if node.name == "_?._" and parts[1].value is not None:
            self._select(node, self.value(parts[0], scope), parts[1].value)
            return ANY
        shapes = [self.shape(part, scope) for part in parts]
        moments = [each for each in shapes if each.kind == "moment"]
        compared = node.name in _EQUALITY and len(moments) == 2
        if moments and not compared and node.name != moments[0].name:
            for part in parts:
                self.value(part, scope)
        return ANY

    def _loop(self, node: Node, scope: Scope) -> Shape:
        over, initial, condition, step, result = node.parts
        base = self.value(over, scope)
        first, second, accumulator = node.names
        inner = {**scope, accumulator: self.shape(initial, scope)}
        held = base.items or ANY if base.kind in ("list", "map") else ANY
        inner[first] = held if base.kind == "list" and not second else ANY
        if second:
            inner[second] = held
        self.value(condition, inner)
        self.value(step, inner)
        return self.shape(result, {**scope, accumulator: inner[accumulator]})

    def _place(self, node: Node) -> dict[str, int]:
        """Line and column from 1."""
        offset = self._positions.get(node.id, 0)
        before = self._text[:offset]
        line = before.count("\n") + 1
        return {"line": line, "column": offset - (before.rfind("\n") + 1) + 1}
