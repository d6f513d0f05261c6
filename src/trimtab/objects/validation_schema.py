"""Validation by schema: types, required members, enums, patterns, bounds, formats, uniqueness.

Messages are worded as the API server words them. Source: spec/embedded-cluster.md 9, 10.
"""

from __future__ import annotations

import functools
import ipaddress
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from trimtab.objects.quantity import InvalidQuantity, parse
from trimtab.objects.schema import Schema

__all__ = ["FieldError", "check_schema", "child"]

Kind = Literal[
    "NotFound",
    "Required",
    "Invalid",
    "NotSupported",
    "Duplicate",
    "TooLong",
    "TooMany",
    "Forbidden",
]

_WORDS: Final = {
    "NotFound": "Not found",
    "Required": "Required value",
    "Invalid": "Invalid value",
    "NotSupported": "Unsupported value",
    "Duplicate": "Duplicate value",
    "TooLong": "Too long",
    "TooMany": "Too many",
    "Forbidden": "Forbidden",
}
_FORMATS: Final = {
    "date": re.compile(r"\d{4}-\d{2}-\d{2}"),
    "uuid": re.compile(r"(?i)[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}"),
    "byte": re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"),
}
_INT_RANGE: Final = {"int32": 2**31, "int64": 2**63}


class FieldError(msgspec.Struct, frozen=True):
    """One finding. `str` is `spec.x: Invalid value: "v": detail`, the message of a 422 cause."""

    type: Kind
    field: str
    value: Any = None
    detail: str = ""

    @property
    def cause(self) -> str:
        """The `reason` of the cause in a Status: FieldValueInvalid and so on."""
        return f"FieldValue{self.type}"

    @property
    def body(self) -> str:
        """The message without its path, as `causes[].message` has it."""
        text = _WORDS[self.type]
        if self.type in ("Invalid", "NotSupported", "Duplicate", "NotFound"):
            text += f": {_shown(self.value)}"
        return f"{text}: {self.detail}" if self.detail else text

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def child(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def check_schema(value: Any, schema: Schema, path: str, found: list[FieldError]) -> None:
    """Append what is wrong with `value`, members included. Shared subtrees are walked by value."""
    if value is None:
        if not (schema.nullable or schema.untyped or schema.preserve_unknown):
            found.append(_wrong_type(path, value, schema))
        return
    if not _type_fits(value, schema):
        found.append(_wrong_type(path, value, schema))
        return
    if schema.quantity:
        try:
            parse(value)
        except InvalidQuantity as error:
            found.append(FieldError("Invalid", path, value, error.message))
    if schema.constraints:
        _constraints(value, schema.constraints, path, found)
    if isinstance(value, dict):
        _object(value, schema, path, found)
    elif isinstance(value, list):
        _list(value, schema, path, found)


def _object(value: dict[str, Any], schema: Schema, path: str, found: list[FieldError]) -> None:
    for name in schema.required:
        if value.get(name) is None:
            below = schema.properties.get(name)
            if name not in value or below is None or not below.nullable:
                found.append(FieldError("Required", child(path, name)))
    for name, member in value.items():
        below = schema.field(name)
        if below is not None and not (member is None and name in schema.required):
            listed = name in schema.properties
            check_schema(member, below, child(path, name) if listed else f"{path}[{name}]", found)


def _list(value: list[Any], schema: Schema, path: str, found: list[FieldError]) -> None:
    seen: set[str] = set()
    for index, item in enumerate(value):
        here = f"{path}[{index}]"
        if schema.items is not None:
            check_schema(item, schema.items, here, found)
        identity = item
        if schema.list_type == "map" and isinstance(item, dict):
            # An absent key stands for its default; without one it stands for itself.
            properties = schema.items.properties if schema.items else {}
            identity = {
                key: item.get(key, properties[key].default if key in properties else None)
                for key in schema.list_keys
            }
        elif schema.list_type != "set":
            continue
        text = _shown(identity)
        if text in seen:
            found.append(FieldError("Duplicate", here, identity))
        seen.add(text)


def _type_fits(value: Any, schema: Schema) -> bool:
    if schema.int_or_string:
        return isinstance(value, (str, int)) and not isinstance(value, bool)
    if schema.quantity:
        return isinstance(value, (str, int, float)) and not isinstance(value, bool)
    match schema.type:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            whole = isinstance(value, float) and value.is_integer()
            return (isinstance(value, int) and not isinstance(value, bool)) or whole
        case "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
    return True


def _wrong_type(path: str, value: Any, schema: Schema) -> FieldError:
    wanted = "integer,string" if schema.int_or_string else schema.type
    shown = "null" if value is None else _type_name(value)
    detail = f'{path} in body must be of type {wanted}: "{shown}"'
    return FieldError("Invalid", path, shown, detail)


def _type_name(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer"}
    return names.get(type(value), "number")


@functools.lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text.replace(r"\z", r"\Z"))
    except re.error:
        return None


def _constraints(value: Any, rules: Mapping[str, Any], path: str, found: list[FieldError]) -> None:
    def invalid(detail: str) -> None:
        found.append(FieldError("Invalid", path, value, f"{path} in body {detail}"))

    if "enum" in rules and value not in rules["enum"]:
        supported = ", ".join(map(_shown, rules["enum"]))
        found.append(FieldError("NotSupported", path, value, f"supported values: {supported}"))
    if isinstance(value, str):
        _text(value, rules, path, found)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        _number(value, rules, path, found)
    elif isinstance(value, (list, dict)):
        noun = "Items" if isinstance(value, list) else "Properties"
        least, most = rules.get(f"min{noun}"), rules.get(f"max{noun}")
        if least is not None and len(value) < least:
            invalid(f"should have at least {least} {noun.lower()}")
        if most is not None and len(value) > most:
            detail = f"must have at most {most} {noun.lower()}"
            found.append(FieldError("TooMany", path, len(value), detail))
    _junctions(value, rules, path, found)


def _text(value: str, rules: Mapping[str, Any], path: str, found: list[FieldError]) -> None:
    def invalid(detail: str) -> None:
        found.append(FieldError("Invalid", path, value, f"{path} in body {detail}"))

    least, most = rules.get("minLength"), rules.get("maxLength")
    if least is not None and len(value) < least:
        invalid(f"should be at least {least} chars long")
    if most is not None and len(value) > most:
        found.append(FieldError("TooLong", path, value, f"may not be more than {most} bytes"))
    if text := rules.get("pattern"):
        pattern = _pattern(text)
        if pattern is not None and not pattern.search(value):
            invalid(f"should match '{text}'")
    if not _format_fits(value, rules.get("format", "")):
        invalid(f"must be of type {rules['format']}: {_shown(value)}")


def _number(value: float, rules: Mapping[str, Any], path: str, found: list[FieldError]) -> None:
    def invalid(detail: str) -> None:
        found.append(FieldError("Invalid", path, value, f"{path} in body {detail}"))

    least, most = rules.get("minimum"), rules.get("maximum")
    if least is not None and (value <= least if rules.get("exclusiveMinimum") else value < least):
        invalid(f"should be greater than{_or_equal(rules, 'exclusiveMinimum')} {least}")
    if most is not None and (value >= most if rules.get("exclusiveMaximum") else value > most):
        invalid(f"should be less than{_or_equal(rules, 'exclusiveMaximum')} {most}")
    factor = rules.get("multipleOf")
    if factor and value % factor:
        invalid(f"should be a multiple of {factor}")
    bound = _INT_RANGE.get(rules.get("format", ""))
    if bound is not None and not -bound <= value < bound:
        invalid(f"must be of type {rules['format']}")


def _or_equal(rules: Mapping[str, Any], exclusive: str) -> str:
    return "" if rules.get(exclusive) else " or equal to"


def _format_fits(value: str, name: str) -> bool:
    """Formats the API server checks; unknown ones are ignored, as there."""
    if name == "date-time":
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return False
        return "T" in value.upper()
    try:
        if name in ("ipv4", "ipv6"):
            return ipaddress.ip_address(value).version == int(name[-1])
        if name == "cidr":
            return "/" in value and bool(ipaddress.ip_network(value, strict=False))
    except ValueError:
        return False
    shape = _FORMATS.get(name)
    return shape is None or shape.fullmatch(value) is not None


def _junctions(value: Any, rules: Mapping[str, Any], path: str, found: list[FieldError]) -> None:
    def passes(raw: Mapping[str, Any]) -> bool:
        problems: list[FieldError] = []
        check_schema(value, _loose(raw), path, problems)
        return not problems

    if any(not passes(raw) for raw in rules.get("allOf", ())):
        found.append(
            FieldError("Invalid", path, value, f'"{path}" must validate all the schemas (allOf)')
        )
    if "anyOf" in rules and not any(map(passes, rules["anyOf"])):
        detail = f'"{path}" must validate at least one schema (anyOf)'
        found.append(FieldError("Invalid", path, value, detail))
    if "oneOf" in rules and sum(map(passes, rules["oneOf"])) != 1:
        detail = f'"{path}" must validate one and only one schema (oneOf)'
        found.append(FieldError("Invalid", path, value, detail))
    if "not" in rules and passes(rules["not"]):
        detail = f'"{path}" must not validate the schema (not)'
        found.append(FieldError("Invalid", path, value, detail))


def _loose(raw: Mapping[str, Any]) -> Schema:
    """A junctor's schema: it only checks, so types are optional and nothing is unknown."""
    node = Schema(raw.get("type", ""))
    node.preserve_unknown = True
    node.required = tuple(raw.get("required") or ())
    node.properties = {name: _loose(each) for name, each in (raw.get("properties") or {}).items()}
    if isinstance(raw.get("items"), Mapping):
        node.items = _loose(raw["items"])
    node.constraints = {
        name: each
        for name, each in raw.items()
        if name not in ("type", "required", "properties", "items", "description")
    }
    return node
