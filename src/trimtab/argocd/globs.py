"""Globs: `*`, `**`, `?`, `[a-c]`, `[!x]`, `{one,two}`, `\\` (spec/argocd.md 6). Pure."""

from __future__ import annotations

import re

__all__ = ["matches"]


def matches(pattern: str, value: str, *, separator: str = "") -> bool:
    """Does the whole value match? With a `separator`, `*`, `?` and sets stop at it and `**`
    crosses. A pattern that is not well formed matches nothing."""
    try:
        return re.fullmatch(_regex(pattern, separator), value, re.DOTALL) is not None
    except (re.error, ValueError):
        return False


def _regex(pattern: str, separator: str) -> str:
    one = f"[^{re.escape(separator)}]" if separator else "."
    out: list[str] = []
    depth = 0
    i = 0
    while i < len(pattern):
        char = pattern[i]
        i += 1
        if char == "*":
            crosses = pattern[i : i + 1] == "*"
            i += crosses
            out.append(".*" if crosses else f"{one}*")
        elif char == "?":
            out.append(one)
        elif char == "[":
            end = pattern.index("]", i + 1)
            out.append(_set(pattern[i:end], one))
            i = end + 1
        elif char == "{":
            depth += 1
            out.append("(?:")
        elif char == "}" and depth:
            depth -= 1
            out.append(")")
        elif char == "," and depth:
            out.append("|")
        elif char == "\\":
            out.append(re.escape(pattern[i : i + 1]))
            i += 1
        else:
            out.append(re.escape(char))
    if depth:
        raise ValueError("a brace is not closed")
    return "".join(out)


def _set(text: str, one: str) -> str:
    """`a-c`, `!a-c`, `abc`; never the separator."""
    negated = text[0] in "!^"
    body = text[1:] if negated else text
    safe = re.sub(r"([\\\]\[^&~|])", r"\\\1", body)
    return f"(?={one})[{'^' if negated else ''}{safe}]"
