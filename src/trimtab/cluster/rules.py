"""The language of rules (`trimtab.lang.cel`) for the schemas of `trimtab.objects`.

The two packages do not know each other; here schemas become shapes, and errors are translated.
Source: spec/embedded-cluster.md 10, ADR 13.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from trimtab.lang.cel import ABSENT, CelError, CelUnsupported, EvaluationError, Rule, Shape
from trimtab.lang.cel import compile_rule as compile_cel
from trimtab.objects import MISSING, InvalidRule, RuleFailed, Schema, UnsupportedRule

__all__ = ["CelEngine"]

# Texts that are no texts in CEL, by format.
_MOMENTS: Final = {
    "date-time": "timestamp",
    "date": "timestamp",
    "duration": "duration",
    "byte": "bytes",
}


class CelEngine:
    """A `RuleEngine` in CEL. Has no state; the engine itself is loaded with the first rule."""

    def compile(
        self,
        text: str,
        schema: Schema,
        *,
        root: bool,
        result: Literal["bool", "string"],
        optional_old: bool,
    ) -> _Compiled:
        shape = _shape(schema, whole=root)
        try:
            rule = compile_cel(text, shape=shape, result=result, optional_old=optional_old)
        except CelUnsupported as error:
            raise UnsupportedRule(error.message) from error
        except CelError as error:
            raise InvalidRule(error.message, where=error.where) from error
        return _Compiled(rule)


class _Compiled:
    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    @property
    def transition(self) -> bool:
        return self._rule.transition

    def evaluate(self, value: Any, old: Any = MISSING) -> bool | str:
        try:
            return self._rule.evaluate(value, ABSENT if old is MISSING else old)
        except EvaluationError as error:
            raise RuleFailed(error.message, kind=error.kind) from error


def _shape(schema: Schema, *, whole: bool = False) -> Shape:
    """What a rule sees of values of the schema. `whole`: an object with type and metadata."""
    if schema.int_or_string:
        return Shape()
    match schema.type:
        case "object":
            return _object(schema, whole=whole or schema.embedded_resource)
        case "array":
            found = Shape("list")
            found.items = _shape(schema.items) if schema.items is not None else None
            return found
        case "string":
            name = _MOMENTS.get(schema.constraints.get("format", ""))
            return Shape("moment", name) if name else Shape("text")
        case "integer" | "number":
            return Shape(schema.type)
        case "boolean":
            return Shape("bool")
    return Shape()


def _object(schema: Schema, *, whole: bool) -> Shape:
    if schema.additional is not None and not schema.properties:
        found = Shape("map")
        found.items = _shape(schema.additional)
        return found
    if not schema.properties and not whole:
        return Shape()
    found = Shape("object")
    found.open = schema.preserve_unknown
    found.fields = {name: _shape(each) for name, each in schema.properties.items()}
    if whole:
        metadata = Shape("object")
        metadata.fields = {"name": Shape("text"), "generateName": Shape("text")}
        found.fields |= {"apiVersion": Shape("text"), "kind": Shape("text"), "metadata": metadata}
    return found
