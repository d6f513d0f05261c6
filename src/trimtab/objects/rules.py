"""Validation rules of custom resources (`x-kubernetes-validations`): where they stand, when they
run, and how their failures are told.

The language itself comes in as a `RuleEngine`: this package knows no expressions. Rules run on an
object whose schema found nothing grave; on update those of unchanged values are passed over, and
transition rules (those that read `oldSelf`) run on values that have a counterpart in the old
object. Source: spec/embedded-cluster.md 10.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, Protocol

import msgspec

from trimtab.errors import TrimtabError
from trimtab.objects.schema import MISSING, Schema
from trimtab.objects.validation_schema import FieldError, child

__all__ = [
    "CompiledRule",
    "InvalidRule",
    "RuleEngine",
    "RuleFailed",
    "Rules",
    "UnsupportedRule",
    "check_rules",
    "compile_rules",
]

KEY: Final = "x-kubernetes-validations"
_BUDGET_S: Final = 1.0
_BUDGET_RUNS: Final = 100_000
_LONGEST_MESSAGE: Final = 5 * 1024
_OUT_OF_BUDGET: Final = (
    "validation failed due to running out of cost budget, no further validation rules will be run"
)
_NO_OVERLOAD: Final = (
    "call arguments did not match a supported operator, function or macro signature for rule: "
)
_STEP: Final = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\['([^']+)'\]|\[\"([^\"]+)\"\]")
_REASONS: Final[dict[str, Literal["Invalid", "Forbidden", "Required", "Duplicate"]]] = {
    "FieldValueInvalid": "Invalid",
    "FieldValueForbidden": "Forbidden",
    "FieldValueRequired": "Required",
    "FieldValueDuplicate": "Duplicate",
}


class InvalidRule(TrimtabError):
    """An engine's word that a rule is wrong."""

    reason = "InvalidRule"


class UnsupportedRule(InvalidRule):
    """An engine's word that it cannot run a rule which may be right."""

    reason = "UnsupportedRule"


class RuleFailed(TrimtabError):
    """An evaluation without a result. `kind`: overload, budget, or something else."""

    reason = "RuleFailed"

    def __init__(self, message: str, *, kind: str = "") -> None:
        super().__init__(message)
        self.kind = kind


class CompiledRule(Protocol):
    @property
    def transition(self) -> bool:
        """Whether it reads `oldSelf`."""

    def evaluate(self, value: Any, old: Any = MISSING) -> bool | str:
        """Raises `RuleFailed`."""


class RuleEngine(Protocol):
    def compile(
        self,
        text: str,
        schema: Schema,
        *,
        root: bool,
        result: Literal["bool", "string"],
        optional_old: bool,
    ) -> CompiledRule:
        """Compile for values of `schema`. Raises `InvalidRule`, `UnsupportedRule`."""


class _Rule(msgspec.Struct, frozen=True):
    text: str
    run: CompiledRule
    message: str
    expression: CompiledRule | None
    kind: Literal["Invalid", "Forbidden", "Required", "Duplicate"]
    below: str
    optional_old: bool


class _Node:
    """The rules of one place of a schema, and the places below that have some."""

    __slots__ = ("additional", "items", "keys", "properties", "rules", "type")

    def __init__(self, schema: Schema) -> None:
        self.type = schema.type
        self.rules: list[_Rule] = []
        self.properties: dict[str, _Node] = {}
        self.additional: _Node | None = None
        self.items: _Node | None = None
        self.keys: tuple[str, ...] = schema.list_keys if schema.list_type == "map" else ()

    def __bool__(self) -> bool:
        return bool(self.rules or self.properties or self.additional or self.items)


class Rules:
    """All rules of a version. `unenforced`: what the engine cannot run; `problems`: what is wrong
    with the definition, by paths of the CRD."""

    def __init__(self, root: _Node, problems: list[FieldError], unenforced: list[str]) -> None:
        self.root = root
        self.problems = tuple(problems)
        self.unenforced = tuple(unenforced)

    def __bool__(self) -> bool:
        return bool(self.root)


def compile_rules(schema: Schema, engine: RuleEngine, *, path: str = "openAPIV3Schema") -> Rules:
    """Compile every rule of a structural schema; `path` is where the CRD has it."""
    return _Compiler(engine).rules(schema, path)


class _Compiler:
    def __init__(self, engine: RuleEngine) -> None:
        self._engine = engine
        self._problems: list[FieldError] = []
        self._unenforced: list[str] = []

    def rules(self, schema: Schema, path: str) -> Rules:
        root = self._node(schema, path, "", correlated=True)
        return Rules(root, self._problems, sorted(self._unenforced))

    def _node(self, schema: Schema, path: str, place: str, *, correlated: bool) -> _Node:
        node = _Node(schema)
        for index, raw in enumerate(schema.constraints.get(KEY, ())):
            where = f"{path}.{KEY}[{index}]"
            rule = self._rule(raw, schema, where, place, correlated=correlated)
            if rule is not None:
                node.rules.append(rule)
        for name, below in schema.properties.items():
            found = self._node(
                below, f"{path}.properties[{name}]", f"{place}.{name}", correlated=correlated
            )
            if found:
                node.properties[name] = found
        if schema.additional is not None:
            at = f"{path}.additionalProperties"
            found = self._node(schema.additional, at, f"{place}[*]", correlated=correlated)
            node.additional = found or None
        if schema.items is not None:
            kept = correlated and schema.list_type == "map"
            found = self._node(schema.items, f"{path}.items", f"{place}[*]", correlated=kept)
            node.items = found or None
        return node

    def _rule(
        self, raw: Mapping[str, Any], schema: Schema, where: str, place: str, *, correlated: bool
    ) -> _Rule | None:
        text, optional = str(raw.get("rule") or ""), raw.get("optionalOldSelf") is True
        run = self._compiled(text, schema, f"{where}.rule", place, "bool", optional)
        if run is None:
            return None
        if run.transition and not optional and not correlated:
            detail = (
                "oldSelf cannot be used on the uncorrelatable portion of the schema"
                f" within {place or 'the object'}"
            )
            self._problems.append(FieldError("Invalid", f"{where}.rule", text, detail))
        reason = str(raw.get("reason") or "FieldValueInvalid")
        if reason not in _REASONS:
            supported = ", ".join(f'"{each}"' for each in _REASONS)
            detail = f"supported values: {supported}"
            self._problems.append(FieldError("NotSupported", f"{where}.reason", reason, detail))
        expression = None
        if raw.get("messageExpression"):
            expression = self._compiled(
                str(raw["messageExpression"]),
                schema,
                f"{where}.messageExpression",
                place,
                "string",
                optional,
            )
        return _Rule(
            text=text.strip(),
            run=run,
            message=str(raw.get("message") or "").strip() or f"failed rule: {text.strip()}",
            expression=expression,
            kind=_REASONS.get(reason, "Invalid"),
            below=self._below(raw.get("fieldPath"), schema, f"{where}.fieldPath"),
            optional_old=optional,
        )

    def _compiled(
        self,
        text: str,
        schema: Schema,
        where: str,
        place: str,
        result: Literal["bool", "string"],
        optional: bool,
    ) -> CompiledRule | None:
        try:
            return self._engine.compile(
                text, schema, root=not place, result=result, optional_old=optional
            )
        except UnsupportedRule as error:
            what = "validation rule" if result == "bool" else "message expression"
            at = place or "the object"
            self._unenforced.append(f"{what} not enforced at {at}: {text} ({error.message})")
        except InvalidRule as error:
            detail = f"compilation failed: {error}"
            self._problems.append(FieldError("Invalid", where, text, detail))
        return None

    def _below(self, raw: Any, schema: Schema, where: str) -> str:
        """The `fieldPath` as it follows the path of the rule."""
        if not raw:
            return ""
        text, at, out = str(raw), 0, ""
        node: Schema | None = schema
        while at < len(text) and node is not None:
            step = _STEP.match(text, at)
            if step is None:
                break
            name = step[1] or step[2] or step[3]
            out += f".{name}" if name in node.properties else f"[{name}]"
            node, at = node.field(name), step.end()
        if at < len(text) or node is None:
            detail = "must be a JSON path of fields below the rule that the schema declares"
            self._problems.append(FieldError("Invalid", where, text, detail))
        return out


def check_rules(
    rules: Rules,
    obj: Any,
    *,
    old: Any = MISSING,
    monotonic: Callable[[], float] = time.monotonic,
    budget_s: float = _BUDGET_S,
) -> list[FieldError]:
    """What the rules find wrong with `obj`. `old` is the stored object of an update."""
    run = _Run(monotonic, budget_s)
    run.walk(rules.root, obj, old, "")
    return run.found


class _Run:
    def __init__(self, monotonic: Callable[[], float], budget_s: float) -> None:
        self.found: list[FieldError] = []
        self._monotonic = monotonic
        self._deadline = monotonic() + budget_s
        self._left = _BUDGET_RUNS
        self._over = False

    def walk(self, node: _Node, value: Any, old: Any, path: str) -> None:
        if value is None or self._over:
            return
        unchanged = bool(node.rules) and old is not MISSING and _same(value, old)
        for rule in node.rules:
            if not self._over:
                self._check(rule, node, value, old, path, unchanged=unchanged)
        if isinstance(value, dict):
            before = old if isinstance(old, dict) else {}
            for name, member in value.items():
                declared = node.properties.get(name)
                below = declared or node.additional
                if below is not None:
                    at = child(path, name) if declared is not None else f"{path}[{name}]"
                    self.walk(below, member, before.get(name, MISSING), at)
        elif isinstance(value, list) and node.items is not None:
            known = _by_keys(old, node.keys)
            for index, item in enumerate(value):
                self.walk(
                    node.items,
                    item,
                    known.get(_identity(item, node.keys), MISSING),
                    f"{path}[{index}]",
                )

    def _check(
        self, rule: _Rule, node: _Node, value: Any, old: Any, path: str, *, unchanged: bool
    ) -> None:
        if rule.run.transition:
            if old is MISSING and not rule.optional_old:
                return
        elif unchanged:
            return
        self._left -= 1
        if self._left < 0 or self._monotonic() > self._deadline:
            self._stop(node, path)
            return
        try:
            if rule.run.evaluate(value, old) is True:
                return
        except RuleFailed as error:
            if error.kind == "budget":
                self._stop(node, path)
                return
            detail = f"{error.message} evaluating rule: {rule.text}"
            if error.kind == "overload":
                detail = _NO_OVERLOAD + rule.text
            self.found.append(FieldError("Invalid", path or "<nil>", node.type, detail))
            return
        at = (path + rule.below).removeprefix(".") or "<nil>"
        shown = node.type if rule.kind in ("Invalid", "Duplicate") else None
        detail = "" if rule.kind == "Duplicate" else _message(rule, value, old)
        self.found.append(FieldError(rule.kind, at, shown, detail))

    def _stop(self, node: _Node, path: str) -> None:
        self._over = True
        self.found.append(FieldError("Invalid", path or "<nil>", node.type, _OUT_OF_BUDGET))


def _message(rule: _Rule, value: Any, old: Any) -> str:
    """The expression's text when there is a usable one, else the fixed message."""
    if rule.expression is None:
        return rule.message
    try:
        text = str(rule.expression.evaluate(value, old)).strip()
    except RuleFailed:
        return rule.message
    usable = text and "\n" not in text and len(text) <= _LONGEST_MESSAGE
    return text if usable else rule.message


def _same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and bool(left == right)


def _identity(item: Any, keys: tuple[str, ...]) -> str:
    return repr([item.get(key) for key in keys]) if isinstance(item, dict) and keys else ""


def _by_keys(old: Any, keys: tuple[str, ...]) -> dict[str, Any]:
    if not keys or not isinstance(old, list):
        return {}
    return {_identity(item, keys): item for item in old if isinstance(item, dict)}
