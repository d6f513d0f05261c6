"""Plain JSON values to YAML text that every reader takes for the same values.

Keys in the order given, two spaces, lists not indented below their key, text of several lines
as a literal block, no folding. A string that YAML 1.1 or 1.2 could take for something else is
quoted. Law: load(dump(x)) == x. Source: spec/rendering.md 2.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any, Final

from trimtab.lang.yaml.errors import YamlError

__all__ = ["dump", "dump_all"]

_INNER: Final = r"[A-Za-z0-9_/.()<>@$+=^;~{}-]"
_SAFE: Final = re.compile(
    # words, paths, flags and `${variables}` (these must stay plain: what replaces them is typed)
    rf"(?:[A-Za-z_/$]|\.{{1,2}}/|--?[A-Za-z]){_INNER}*(?:[ :]{_INNER}+)*"
    # quantities and durations, and versions of three parts or more
    r"|[0-9]+(?:\.[0-9]+)?(?:m|s|h|ms|[KMGTP]i?)|[0-9]+(?:\.[0-9]+){2,}(?:-[A-Za-z][A-Za-z0-9.]*)?"
)
_WORDS: Final = frozenset(
    [
        "y",
        "n",
        "yes",
        "no",
        "on",
        "off",
        "true",
        "false",
        "null",
        "nan",
        "inf",
    ]  # any case, any dialect
)
_CONTROL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]"
)
_LONGEST_SIMPLE_KEY: Final = 128


def dump(value: Any, *, sort_keys: bool = False) -> str:
    """One document, ending in a newline; with `sort_keys` the keys of every mapping are in
    alphabetic order, as kustomize prints them. Raises YamlError for what JSON cannot hold."""
    if sort_keys:
        value = _sorted(value)
    out: list[str] = []
    if isinstance(value, dict) and value:
        _mapping(value, 0, out)
    elif isinstance(value, list | tuple) and value:
        _sequence(value, 0, out)
    else:
        out.append(_inline(value, 0) + "\n")
    return "".join(out)


def dump_all(values: Iterable[Any], *, sort_keys: bool = False) -> str:
    """A stream of documents, separated by `---`."""
    return "---\n".join(dump(value, sort_keys=sort_keys) for value in values)


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_sorted(item) for item in value]
    return value


def _mapping(value: dict[str, Any], indent: int, out: list[str]) -> None:
    pad = " " * indent
    for key, item in value.items():
        if type(key) is not str:
            raise YamlError(f"mapping key {key!r} is not a string")
        head = _quoted_key(key)
        if len(head) > _LONGEST_SIMPLE_KEY:
            out.append(f"{pad}? {head}\n{pad}:")
        else:
            out.append(f"{pad}{head}:")
        if item and isinstance(item, dict):
            out.append("\n")
            _mapping(item, indent + 2, out)
        elif item and isinstance(item, list | tuple):
            out.append("\n")
            _sequence(item, indent, out)
        else:
            out.append(f" {_inline(item, indent + 2)}\n")


def _sequence(value: list[Any] | tuple[Any, ...], indent: int, out: list[str]) -> None:
    pad = " " * indent
    for item in value:
        if item and isinstance(item, dict | list | tuple):
            nested: list[str] = []
            if isinstance(item, dict):
                _mapping(item, indent + 2, nested)
            else:
                _sequence(item, indent + 2, nested)
            nested[0] = f"{pad}- {nested[0][indent + 2 :]}"
            out.extend(nested)
        else:
            out.append(f"{pad}- {_inline(item, indent + 2)}\n")


def _inline(value: Any, indent: int) -> str:
    """A scalar or an empty collection; continued lines are indented by `indent`."""
    if isinstance(value, str):
        return _string(value, indent)
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise YamlError(f"{value} has no JSON form")
        return repr(value)
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list | tuple):
        return "[]"
    raise YamlError(f"a {type(value).__name__} has no YAML form here")


def _string(text: str, indent: int) -> str:
    if "\n" in text:
        return _block(text, indent)
    return _flow(text)


def _quoted_key(key: str) -> str:
    return _double(key) if "\n" in key else _flow(key)


def _flow(text: str) -> str:
    if _SAFE.fullmatch(text) and text.lower().lstrip("-") not in _WORDS:
        return text
    if "'" in text or "\\" in text or not text or _CONTROL.search(text) or "\t" in text:
        return _double(text)
    if text[0] in "0123456789+-.~=<" or text.isalpha():
        return f'"{text}"' if '"' not in text else f"'{text}'"
    return f"'{text}'"


def _double(text: str) -> str:
    escaped = json.dumps(text, ensure_ascii=False)
    return _CONTROL.sub(_escape, escaped)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _block(text: str, indent: int) -> str:
    """A literal block, or a quoted string where a block could not hold the text exactly."""
    if _CONTROL.search(text) or not text.strip("\n ") or text[0] in " \n\t":
        return _double(text)
    body = text.rstrip("\n")
    kept = len(text) - len(body)
    mark = "|-" if kept == 0 else "|" if kept == 1 else "|+"
    pad = " " * max(indent, 2)
    lines = [f"{pad}{line}" if line else "" for line in body.split("\n")]
    lines.extend([""] * (kept - 1))
    return f"{mark}\n" + "\n".join(lines)
