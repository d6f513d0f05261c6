"""Argo CD's globs for files of a directory: `*` also crosses `/`, `{a,b}` are alternatives."""

from __future__ import annotations

import re

from trimtab.render.errors import RenderError

__all__ = ["glob_pattern"]

_MAX = 1000


def glob_pattern(text: str) -> re.Pattern[str]:
    """A pattern for `fullmatch`. Raises RenderError for braces or brackets that do not close."""
    if len(text) > _MAX:
        raise RenderError("a glob is too long", why=f"limit {_MAX} characters")
    out: list[str] = []
    depth = position = 0
    while position < len(text):
        char = text[position]
        position += 1
        if char == "*":
            # A run of stars is one: two in a row would only make matching slow.
            if out[-1:] != [".*"]:
                out.append(".*")
        elif char == "?":
            out.append(".")
        elif char == "[":
            end = text.find("]", position + 1)
            if end < 0:
                raise RenderError(f"glob {text!r} has a [ that does not close")
            out.append(_class(text[position:end]))
            position = end + 1
        elif char == "{":
            depth += 1
            out.append("(?:")
        elif char == "}" and depth:
            depth -= 1
            out.append(")")
        elif char == "," and depth:
            out.append("|")
        else:
            if char == "\\" and position < len(text):
                char = text[position]
                position += 1
            out.append(re.escape(char))
    if depth:
        raise RenderError(f"glob {text!r} has a {{ that does not close")
    return re.compile("".join(out), re.DOTALL)


def _class(inside: str) -> str:
    negated = inside[:1] in ("!", "^")
    body = inside[1:] if negated else inside
    escaped = re.sub(r"([\\\]\[^&~|])", r"\\\1", body)
    return f"[{'^' if negated else ''}{escaped}]"
