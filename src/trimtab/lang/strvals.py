"""Helm's `--set` language: `a.b=1,c[0].d={x,y}` as changes to a values mapping.

Dots separate keys, brackets index lists, braces write a list, a backslash takes the next
character as it is. Values become null, booleans and integers as Helm types them, unless text is
forced. Source: spec/rendering.md 4.2.
"""

from __future__ import annotations

import copy
import re
from itertools import pairwise
from typing import Any

from trimtab.errors import TrimtabError

__all__ = ["StrvalsError", "set_value", "set_values"]

MAX_INDEX = 65536
MAX_DEPTH = 30
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_INDEX = re.compile(r"\[\s*(\d{1,6})\s*\]")


class StrvalsError(TrimtabError):
    reason = "SetInvalid"


def set_values(text: str, values: dict[str, Any], *, force_string: bool = False) -> dict[str, Any]:
    """`values` with every assignment of `text` applied, as a new mapping."""
    result = copy.deepcopy(values)
    for assignment in _split(text, ","):
        name, found, value = _cut(assignment, "=")
        if not found:
            if assignment.strip():
                raise StrvalsError(f"{assignment!r} has no value", hint="write name=value")
            continue
        _assign(result, _path(name), _value(value, force_string=force_string))
    return result


def set_value(
    name: str,
    value: str,
    values: dict[str, Any],
    *,
    force_string: bool = False,
    literal: bool = False,
) -> dict[str, Any]:
    """One assignment as `--set name=value` does it (commas in `value` outside of braces belong to
    the value); with `literal` the value is taken as it stands. A new mapping."""
    result = copy.deepcopy(values)
    _assign(result, _path(name), value if literal else _value(value, force_string=force_string))
    return result


def _value(text: str, *, force_string: bool) -> Any:
    if text.startswith("{"):
        if not text.endswith("}"):
            raise StrvalsError(f"{text!r}: the list does not end with a brace")
        inside = text[1:-1]
        return (
            [_typed(item, force_string=force_string) for item in _split(inside, ",")]
            if inside
            else []
        )
    return _typed(text, force_string=force_string)


def _typed(text: str, *, force_string: bool) -> Any:
    plain = _unescape(text)
    if force_string:
        return plain
    lowered = plain.lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    if lowered == "null":
        return None
    if _INTEGER.fullmatch(plain) and plain != "-0" and -(2**63) <= int(plain) < 2**63:
        return int(plain)
    return plain


def _path(name: str) -> list[str | int]:
    """`a.b[0].c` -> ["a", "b", 0, "c"]."""
    steps: list[str | int] = []
    for part in _split(name, "."):
        key, found, rest = _cut(part, "[")
        rest = "[" + rest if found else ""
        if key:
            steps.append(_unescape(key))
        elif not steps or not rest:
            raise StrvalsError(f"{name!r} has an empty key")
        while rest:
            match = _INDEX.match(rest)
            if match is None or int(match[1]) > MAX_INDEX:
                raise StrvalsError(
                    f"{name!r} has a bad list index", why=f"a number up to {MAX_INDEX}"
                )
            steps.append(int(match[1]))
            rest = rest[match.end() :]
    if not steps:
        raise StrvalsError("a value has no name")
    if len(steps) > MAX_DEPTH:
        raise StrvalsError(f"{name[:80]!r} is nested too deep", why=f"limit {MAX_DEPTH} levels")
    return steps


def _assign(values: dict[str, Any], steps: list[str | int], value: Any) -> None:
    here: Any = values
    for step, following in pairwise(steps):
        wanted = list if isinstance(following, int) else dict
        held = _get(here, step)
        if not isinstance(held, wanted):
            held = wanted()
            _put(here, step, held)
        here = held
    _put(here, steps[-1], value)


def _get(holder: Any, step: str | int) -> Any:
    if isinstance(step, int):
        return holder[step] if step < len(holder) else None
    return holder.get(step)


def _put(holder: Any, step: str | int, value: Any) -> None:
    if isinstance(step, int):
        holder.extend([None] * (step + 1 - len(holder)))
    holder[step] = value


def _split(text: str, separator: str) -> list[str]:
    """Parts between separators that are neither escaped nor inside braces or brackets."""
    parts: list[str] = []
    start = depth = position = 0
    while position < len(text):
        char = text[position]
        if char == "\\":
            position += 1
        elif char in "{[":
            depth += 1
        elif char in "}]":
            depth = max(0, depth - 1)
        elif char == separator and not depth:
            parts.append(text[start:position])
            start = position + 1
        position += 1
    parts.append(text[start:])
    return parts


def _cut(text: str, separator: str) -> tuple[str, bool, str]:
    position = 0
    while position < len(text):
        if text[position] == "\\":
            position += 1
        elif text[position] == separator:
            return text[:position], True, text[position + 1 :]
        position += 1
    return text, False, ""


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
