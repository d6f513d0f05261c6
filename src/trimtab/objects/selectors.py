"""Label and field selectors: the text of `-l` and `--field-selector`, and LabelSelector objects.

A label selector is a conjunction of requirements. `!=` and `notin` also match objects without
the key. Source: spec/embedded-cluster.md 7.5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from trimtab.errors import TrimtabError
from trimtab.objects.names import label_key_problems, label_value_problems

__all__ = [
    "EVERYTHING",
    "NOTHING",
    "FieldSelector",
    "InvalidSelector",
    "Requirement",
    "Selector",
    "field_value",
    "from_label_selector",
    "parse_field_selector",
    "parse_label_selector",
]

Operator = Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]

_TOKEN = re.compile(r"\s*(==|!=|=|!|,|\(|\)|>|<|[^\s=!,()<>]+)")
_OPERATORS = ("Exists", "DoesNotExist", "In", "NotIn")


class InvalidSelector(TrimtabError):
    """A selector that cannot be read."""

    reason = "InvalidSelector"


class Requirement(msgspec.Struct, frozen=True):
    """One condition on one label. `values` is sorted; empty for Exists and DoesNotExist."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in self.values
            case "NotIn":
                return value is None or value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
        try:
            number, bound = int(value or ""), int(self.values[0])
        except ValueError:
            return False
        return number > bound if self.operator == "Gt" else number < bound

    def __str__(self) -> str:
        match self.operator:
            case "Exists":
                return self.key
            case "DoesNotExist":
                return f"!{self.key}"
            case "Gt" | "Lt":
                return f"{self.key}{'>' if self.operator == 'Gt' else '<'}{self.values[0]}"
        if len(self.values) == 1:
            return f"{self.key}{'=' if self.operator == 'In' else '!='}{self.values[0]}"
        return f"{self.key} {self.operator.lower()} ({','.join(self.values)})"


class Selector(msgspec.Struct, frozen=True):
    """All requirements hold. `nothing` matches no object (an absent LabelSelector)."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    @property
    def empty(self) -> bool:
        """Matches every object."""
        return not self.requirements and not self.nothing

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        if self.nothing:
            return False
        present = labels or {}
        return all(requirement.matches(present) for requirement in self.requirements)

    def __str__(self) -> str:
        """The text form; `parse_label_selector` reads it back."""
        return ",".join(map(str, self.requirements))


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)


def parse_label_selector(text: str) -> Selector:
    """`a=b,c!=d,e in (f,g),h notin (i),j,!k`. Empty text matches everything.

    Raises `InvalidSelector`.
    """
    tokens = _tokens(text)
    requirements: list[Requirement] = []
    while tokens:
        requirements.append(_requirement(tokens, text))
        if tokens:
            _expect(tokens, ",", text)
            if not tokens:
                raise InvalidSelector(f"unable to parse requirement: nothing after ',' in {text!r}")
    return Selector(tuple(requirements))


def from_label_selector(selector: Mapping[str, Any] | None) -> Selector:
    """A LabelSelector object. None matches nothing, an empty one everything.

    Raises `InvalidSelector`.
    """
    if selector is None:
        return NOTHING
    requirements = [
        _checked(key, "In", (value,)) for key, value in (selector.get("matchLabels") or {}).items()
    ]
    for expression in selector.get("matchExpressions") or ():
        operator = expression.get("operator")
        if operator not in _OPERATORS:
            raise InvalidSelector(f"{operator!r} is not a valid label selector operator")
        values = tuple(expression.get("values") or ())
        requirements.append(_checked(expression.get("key", ""), operator, values))
    return Selector(tuple(sorted(requirements, key=lambda each: each.key)))


class FieldSelector(msgspec.Struct, frozen=True):
    """Terms `(path, equal, value)`; all hold."""

    terms: tuple[tuple[str, bool, str], ...] = ()

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Against a flat table of the fields a kind offers; an absent field is empty."""
        return all((fields.get(path, "") == value) is equal for path, equal, value in self.terms)

    def matches_object(self, obj: Mapping[str, Any]) -> bool:
        """Against an object, each path read as a chain of keys."""
        return all((field_value(obj, path) == value) is equal for path, equal, value in self.terms)

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(path for path, _, _ in self.terms)


def parse_field_selector(text: str) -> FieldSelector:
    r"""`status.phase=Running,metadata.name!=x`; `\` escapes `,`, `=` and itself in values.

    Raises `InvalidSelector`.
    """
    terms = []
    for part in filter(None, re.findall(r"(?:\\.|[^,\\])+", text)):
        found = re.fullmatch(r"([^=!]*?)\s*(==|!=|=)((?:\\.|[^\\=])*)", part.strip(), re.DOTALL)
        if found is None or not found[1]:
            raise InvalidSelector(f"invalid selector: {text!r}; can't understand {part!r}")
        value = re.sub(r"\\(.)", r"\1", found[3])
        terms.append((found[1], found[2] != "!=", value))
    return FieldSelector(tuple(terms))


def field_value(obj: Mapping[str, Any], path: str) -> str:
    """The text at a dotted path; empty where nothing stands. Booleans as `true`, `false`."""
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


def _requirement(tokens: list[str], text: str) -> Requirement:
    if tokens[0] == "!":
        del tokens[0]
        return _checked(_word(tokens, text), "DoesNotExist", ())
    key = _word(tokens, text)
    if not tokens or tokens[0] == ",":
        return _checked(key, "Exists", ())
    operator = tokens.pop(0)
    if operator in ("in", "notin"):
        return _checked(key, "In" if operator == "in" else "NotIn", _values(tokens, text))
    if operator in ("=", "==", "!="):
        value = "" if not tokens or tokens[0] == "," else _word(tokens, text)
        return _checked(key, "NotIn" if operator == "!=" else "In", (value,))
    if operator in (">", "<"):
        return _checked(key, "Gt" if operator == ">" else "Lt", (_word(tokens, text),))
    raise InvalidSelector(
        f"unable to parse requirement: found '{operator}', expected: in, notin, =, ==, !=, gt, lt",
        why=text,
    )


def _word(tokens: list[str], text: str) -> str:
    if not tokens or tokens[0] in ("=", "==", "!=", "!", ",", "(", ")", ">", "<"):
        found = tokens[0] if tokens else ""
        raise InvalidSelector(
            f"unable to parse requirement: found '{found}', expected: identifier", why=text
        )
    return tokens.pop(0)


def _values(tokens: list[str], text: str) -> tuple[str, ...]:
    _expect(tokens, "(", text)
    values = {""} if tokens and tokens[0] in (",", ")") else set()
    while tokens and tokens[0] != ")":
        if tokens[0] == ",":
            tokens.pop(0)
            if tokens and tokens[0] in (",", ")"):
                values.add("")
            continue
        values.add(_word(tokens, text))
    _expect(tokens, ")", text)
    return tuple(sorted(values))


def _expect(tokens: list[str], wanted: str, text: str) -> None:
    found = tokens.pop(0) if tokens else ""
    if found != wanted:
        raise InvalidSelector(
            f"unable to parse requirement: found '{found}', expected: '{wanted}'", why=text
        )


def _checked(key: str, operator: Operator, values: tuple[str, ...]) -> Requirement:
    """The requirement, when Kubernetes would accept it."""
    problems = label_key_problems(key)
    if problems:
        raise InvalidSelector(f'key: Invalid value: "{key}": {"; ".join(problems)}')
    if operator in ("In", "NotIn") and not values:
        raise InvalidSelector(
            "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
        )
    if operator in ("Exists", "DoesNotExist") and values:
        raise InvalidSelector(
            "values: Invalid value: values set must be empty for exists and does not exist"
        )
    for value in values:
        if operator in ("Gt", "Lt"):
            if not value.lstrip("-").isdigit():
                raise InvalidSelector(f'values[0]: Invalid value: "{value}": must be an integer')
        elif problems := label_value_problems(value):
            raise InvalidSelector(
                f'values[0][{key}]: Invalid value: "{value}": {"; ".join(problems)}'
            )
    return Requirement(key, operator, tuple(sorted(set(values))))
