"""Dotted field paths of `replacements` and `vars`: `spec.containers.[name=web].image`.

A part is a field, `[field=regex]` or `[=regex]` over a list, a number, `*` over a list, or a
key in brackets that holds dots. A backslash before a dot keeps it.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from trimtab.render.errors import KustomizeError

__all__ = ["Slot", "get", "slots", "split"]

Slot = tuple[Any, Any]
"""A container (mapping or list) and the key or index in it."""

Create = Literal["no", "scalar", "mapping", "list"]


def split(path: str) -> list[str]:
    """Parts of a path; brackets keep what they hold together."""
    raw = path.split(".")
    if len(raw) > 1 and raw[0] == "":
        raw = raw[1:]
    parts = [raw[0]]
    for piece in raw[1:]:
        if parts[-1].endswith("\\"):
            parts[-1] = f"{parts[-1][:-1]}.{piece}"
        else:
            parts.append(piece)
    result: list[str] = []
    index = 0
    while index < len(parts):
        part = parts[index]
        if part.startswith("[") and not part.endswith("]"):
            held = [part]
            while index < len(parts) - 1 and not held[-1].endswith("]"):
                index += 1
                held.append(parts[index])
            part = ".".join(held)
            if "=" not in part:
                part = part.strip("[]")
        result.append(part)
        index += 1
    return result


def get(value: Any, parts: list[str]) -> Any:
    """The value at a path, None when it is not there."""
    for part in parts:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list):
            value = _element(value, part)
        else:
            return None
        if value is None:
            return None
    return value


def _element(items: list[Any], part: str) -> Any:
    if part.isdigit():
        return items[int(part)] if int(part) < len(items) else None
    if part == "-":
        return items[-1] if items else None
    if _is_match(part):
        field, wanted = _match(part)
        for item in items:
            if field and isinstance(item, dict) and _text(item.get(field)) == wanted:
                return item
            if not field and _text(item) == wanted:
                return item
    return None


def _is_match(part: str) -> bool:
    return part.startswith("[") and part.endswith("]")


def _match(part: str) -> tuple[str, str]:
    field, equals, wanted = part[1:-1].partition("=")
    if not equals:
        raise KustomizeError(f"{part!r} in a path is not [field=value]", reason="PathInvalid")
    return field, wanted


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, dict | list):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def slots(root: Any, parts: list[str], create: Create = "no") -> list[Slot]:
    """Every place a path leads to. With `create` missing ones are made, the last one empty of
    the kind given. Raises KustomizeError when a field is asked of what is not a mapping."""
    return _slots({"": root}, "", parts, create)


def _slots(container: Any, key: Any, parts: list[str], create: Create) -> list[Slot]:
    if not parts:
        return [(container, key)]
    part, rest = parts[0], parts[1:]
    node = container[key]
    if part.isdigit() and isinstance(node, list):
        return _by_index(node, int(part), rest, create)
    if _is_match(part):
        return _by_match(node, part, rest, create)
    if part == "*":
        if not isinstance(node, list):
            raise KustomizeError("`*` in a path needs a list", reason="PathInvalid")
        return [slot for i in range(len(node)) for slot in _slots(node, i, rest, create)]
    if not isinstance(node, dict):
        raise KustomizeError(
            f"`{part}` is asked of {type(node).__name__}, which has no fields",
            reason="PathInvalid",
        )
    if part not in node:
        if create == "no":
            return []
        node[part] = _fresh(rest, create)
    return _slots(node, part, rest, create)


def _fresh(rest: list[str], create: Create) -> Any:
    """An empty value of the kind that the next part of the path needs."""
    if not rest:
        return {"mapping": {}, "list": []}.get(create)
    following = rest[0]
    return [] if following.isdigit() or _is_match(following) or following == "*" else {}


def _by_index(node: list[Any], index: int, rest: list[str], create: Create) -> list[Slot]:
    if index == len(node) and create != "no":
        node.append(_fresh(rest, create))
    if index >= len(node):
        raise KustomizeError(
            f"index {index} of a path is beyond the list of {len(node)}", reason="PathInvalid"
        )
    return _slots(node, index, rest, create)


def _by_match(node: Any, part: str, rest: list[str], create: Create) -> list[Slot]:
    if not isinstance(node, list):
        raise KustomizeError(f"{part} in a path needs a list", reason="PathInvalid")
    field, wanted = _match(part)
    try:
        pattern = re.compile(wanted)
    except re.error as error:
        raise KustomizeError(f"bad expression in {part}: {error}", reason="PathInvalid") from error

    def matching() -> list[Slot]:
        found: list[Slot] = []
        for index, item in enumerate(node):
            value = item.get(field) if field and isinstance(item, dict) else item
            text = _text(value)
            if text is not None and pattern.search(text):
                found.extend(_slots(node, index, rest if field else [], create))
        return found

    found = matching()
    if found or create == "no":
        return found
    node.append({field: wanted} if field else wanted)
    return matching()
