"""Patterns of answers. A plain value has to be equal; an object may hold more than the pattern; a
list has as many items. An object with one of these keys says more:

    $absent: true            not there            $any: true      there, whatever it is
    $match: REGEX            found in the text    $not: PATTERN   does not fit
    $is: VALUE               equal, nothing more  $len: N         so many members
    $has: [PATTERN...]       a list with items that fit, anywhere
    $lacks: [PATTERN...]     a list (or keys) without such items
    $gt: NUMBER              greater, also of numbers in text
    $all: [PATTERN...]       fits all of them
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

__all__ = ["differences"]

_MISSING: Final = object()


def differences(pattern: Any, value: Any, where: str = "") -> list[str]:
    """What does not fit, each with its path; nothing when all does."""
    if isinstance(pattern, dict):
        if len(pattern) == 1:
            key = next(iter(pattern))
            if key in _OPERATORS:
                return _OPERATORS[key](pattern[key], value, where)
        return _object(pattern, value, where)
    if value is _MISSING:
        return [f"{where}: missing, expected {_short(pattern)}"]
    if isinstance(pattern, list):
        if not isinstance(value, list) or len(value) != len(pattern):
            return [f"{where}: expected {len(pattern)} items, got {_short(value)}"]
        return [
            line
            for index, (want, got) in enumerate(zip(pattern, value, strict=True))
            for line in differences(want, got, f"{where}[{index}]")
        ]
    if type(pattern) is type(value) and pattern == value:
        return []
    return [f"{where}: expected {_short(pattern)}, got {_short(value)}"]


def _object(pattern: dict[str, Any], value: Any, where: str) -> list[str]:
    if not isinstance(value, dict):
        shown = "nothing" if value is _MISSING else _short(value)
        return [f"{where}: expected an object, got {shown}"]
    return [
        line
        for key, want in pattern.items()
        for line in differences(want, value.get(key, _MISSING), f"{where}.{key}")
    ]


def _absent(_: Any, value: Any, where: str) -> list[str]:
    return [] if value is _MISSING else [f"{where}: should not be there, is {_short(value)}"]


def _any(_: Any, value: Any, where: str) -> list[str]:
    return [f"{where}: missing"] if value is _MISSING else []


def _match(pattern: str, value: Any, where: str) -> list[str]:
    if isinstance(value, str) and re.search(pattern, value):
        return []
    shown = "nothing" if value is _MISSING else _short(value)
    return [f"{where}: expected a text with {pattern!r}, got {shown}"]


def _not(pattern: Any, value: Any, where: str) -> list[str]:
    if value is _MISSING or differences(pattern, value, where):
        return []
    return [f"{where}: should not fit {_short(pattern)}, is {_short(value)}"]


def _is(wanted: Any, value: Any, where: str) -> list[str]:
    shown = "nothing" if value is _MISSING else _short(value)
    return [] if value == wanted else [f"{where}: expected {_short(wanted)}, got {shown}"]


def _len(wanted: int, value: Any, where: str) -> list[str]:
    size = len(value) if isinstance(value, list | dict | str) else -1
    return [] if size == wanted else [f"{where}: expected {wanted} members, got {size}"]


def _has(patterns: list[Any], value: Any, where: str) -> list[str]:
    items = value if isinstance(value, list) else []
    return [
        f"{where}: no item like {_short(want)} in {_short(value)}"
        for want in patterns
        if all(differences(want, item) for item in items)
    ]


def _lacks(patterns: list[Any], value: Any, where: str) -> list[str]:
    if not isinstance(value, list | dict):
        return [f"{where}: expected a list or an object, got {_short(value)}"]
    return [
        f"{where}: an item like {_short(want)} is there"
        for want in patterns
        if not all(differences(want, item) for item in value)
    ]


def _gt(wanted: Any, value: Any, where: str) -> list[str]:
    try:
        if int(value) > int(wanted):
            return []
    except (TypeError, ValueError):
        pass
    return [f"{where}: expected more than {wanted}, got {_short(value)}"]


def _all(patterns: list[Any], value: Any, where: str) -> list[str]:
    return [line for want in patterns for line in differences(want, value, where)]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}..."


_OPERATORS: Final[dict[str, Callable[[Any, Any, str], list[str]]]] = {
    "$absent": _absent,
    "$any": _any,
    "$match": _match,
    "$not": _not,
    "$is": _is,
    "$len": _len,
    "$has": _has,
    "$lacks": _lacks,
    "$gt": _gt,
    "$all": _all,
}
