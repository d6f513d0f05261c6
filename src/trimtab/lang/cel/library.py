"""Functions of texts and lists that rules may call, in Python, as data for the engine.

A row is (name, parameters, result, implementation); the first parameter of a method is the value
it is called on. `any` stands for one overload for each kind of value: the engine dispatches by
kind. An implementation raises `ValueError` with what the rule's author has to know.
Source: spec/embedded-cluster.md 10.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

__all__ = ["TEXTS_AND_LISTS", "Function"]

_LONGEST: Final = 1_000_000


class Function(msgspec.Struct, frozen=True):
    """One overload. `parameters` and `result` name kinds: string, int, list, any, object ..."""

    name: str
    parameters: tuple[str, ...]
    result: str
    call: Callable[..., Any]
    method: bool = True


def _at(text: str, index: int) -> str:
    if not 0 <= index <= len(text):
        raise ValueError(f"index out of range: {index}")
    return text[index : index + 1]


def _index(text: str, part: str, start: int = 0) -> int:
    _at(text, start)
    return text.find(part, start)


def _last_index(text: str, part: str, start: int | None = None) -> int:
    if start is None:
        return text.rfind(part)
    _at(text, start)
    return text.rfind(part, 0, start + len(part))


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    if len(text) * max(len(new), 1) > _LONGEST:
        raise ValueError("the replaced text would be too long")
    return text.replace(old, new, count)


def _split(text: str, by: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if by:
        return text.split(by, limit - 1 if limit > 0 else -1)
    parts = list(text)
    return parts if limit < 0 or len(parts) <= limit else [*parts[: limit - 1], text[limit - 1 :]]


def _substring(text: str, start: int, end: int | None = None) -> str:
    end = len(text) if end is None else end
    if not 0 <= start <= end <= len(text):
        raise ValueError(f"invalid substring range: {start} to {end}")
    return text[start:end]


def _ascii(text: str, change: Callable[[str], str]) -> str:
    return "".join(change(each) if each.isascii() else each for each in text)


def _joined(parts: list[Any], by: str = "") -> str:
    if not all(isinstance(each, str) for each in parts):
        raise ValueError("join needs a list of strings")
    return by.join(parts)


_VERB: Final = re.compile(r"%(?:%|(?:\.(\d+))?([a-zA-Z]))")


def _format(text: str, values: list[Any]) -> str:
    left = iter(values)

    def one(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        try:
            value = next(left)
        except StopIteration:
            raise ValueError("index out of range: more clauses than arguments") from None
        return _formatted(value, match[2], int(match[1] or 6))

    return _VERB.sub(one, text)


def _formatted(value: Any, verb: str, precision: int) -> str:
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if verb == "s":
        return _shown(value)
    if verb == "d" and numeric:
        return str(value)
    if verb in ("f", "e") and numeric:
        return f"{value:.{min(precision, 100)}{verb}}"
    if verb in ("b", "o") and isinstance(value, int):
        return f"{int(value):{verb}}"
    if verb in ("x", "X"):
        if whole:
            return f"{value:{verb}}"
        if isinstance(value, (str, bytes, bytearray)):
            data = value.encode() if isinstance(value, str) else bytes(value)
            return data.hex().upper() if verb == "X" else data.hex()
    raise ValueError(f"cannot format {_shown(value)} with %{verb}")


def _shown(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case bytes() | bytearray():
            return value.decode("utf-8", "replace")
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case timedelta():
            return f"{value.total_seconds():g}s"
        case list():
            return f"[{', '.join(map(_shown, value))}]"
        case dict():
            pairs = sorted((_shown(key), _shown(each)) for key, each in value.items())
            return f"{{{', '.join(f'{key}: {each}' for key, each in pairs)}}}"
    return str(value)


@functools.lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text.replace(r"\z", r"\Z"))
    except re.error as error:
        raise ValueError(f"invalid regular expression: {error}") from None


def _find(text: str, pattern: str) -> str:
    found = _pattern(pattern).search(text)
    return found[0] if found else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [each[0] for each in _pattern(pattern).finditer(text)]
    return found if limit < 0 else found[:limit]


def _ordered(items: list[Any]) -> bool:
    return all(not after < before for before, after in itertools.pairwise(items))


def _least(items: list[Any], choose: Callable[[list[Any]], Any], name: str) -> Any:
    if not items:
        raise ValueError(f"{name} called on empty list")
    return choose(items)


def _sum(items: list[Any]) -> Any:
    start: Any = timedelta() if items and isinstance(items[0], timedelta) else 0
    return sum(items, start)


def _same(left: Any, right: Any) -> bool:
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _place(items: list[Any], value: Any) -> int:
    return next((at for at, each in enumerate(items) if _same(each, value)), -1)


def _last_place(items: list[Any], value: Any) -> int:
    return next((at for at in reversed(range(len(items))) if _same(items[at], value)), -1)


_S: Final = "string"
TEXTS_AND_LISTS: Final = (
    Function("charAt", (_S, "int"), _S, _at),
    Function("indexOf", (_S, _S), "int", _index),
    Function("indexOf", (_S, _S, "int"), "int", _index),
    Function("lastIndexOf", (_S, _S), "int", _last_index),
    Function("lastIndexOf", (_S, _S, "int"), "int", _last_index),
    Function("lowerAscii", (_S,), _S, lambda text: _ascii(text, str.lower)),
    Function("upperAscii", (_S,), _S, lambda text: _ascii(text, str.upper)),
    Function("replace", (_S, _S, _S), _S, _replace),
    Function("replace", (_S, _S, _S, "int"), _S, _replace),
    Function("split", (_S, _S), "strings", _split),
    Function("split", (_S, _S, "int"), "strings", _split),
    Function("substring", (_S, "int"), _S, _substring),
    Function("substring", (_S, "int", "int"), _S, _substring),
    Function("trim", (_S,), _S, str.strip),
    Function("join", ("list",), _S, _joined),
    Function("join", ("list", _S), _S, _joined),
    Function("format", (_S, "list"), _S, _format),
    Function("strings.quote", (_S,), _S, lambda text: json.dumps(text), method=False),
    Function("find", (_S, _S), _S, _find),
    Function("findAll", (_S, _S), "strings", _find_all),
    Function("findAll", (_S, _S, "int"), "strings", _find_all),
    Function("isSorted", ("list",), "bool", _ordered),
    Function("sum", ("list",), "any", _sum),
    Function("min", ("list",), "any", lambda items: _least(items, min, "min")),
    Function("max", ("list",), "any", lambda items: _least(items, max, "max")),
    Function("indexOf", ("list", "any"), "int", _place),
    Function("lastIndexOf", ("list", "any"), "int", _last_place),
)
