"""The hash suffix of generated names (spec/rendering.md 3.5)."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

__all__ = ["escape_html", "name_hash"]

_LETTERS: Final = str.maketrans({"0": "g", "1": "h", "3": "k", "a": "m", "e": "t"})
_ESCAPES: Final = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def name_hash(obj: dict[str, Any]) -> str:
    """Ten letters that change when the type or data of a ConfigMap or Secret changes.

    The hashed text has a `name` that is always empty: kustomize looks the name up where it is
    not, and every hash in the world depends on it.
    """
    kind = obj.get("kind")
    value: dict[str, Any] = {"kind": kind, "name": "", "data": _member(obj, "data")}
    if kind == "Secret":
        value["type"] = _member(obj, "type")
        extra = "stringData"
    else:
        extra = "binaryData"
    if isinstance(obj.get(extra), dict):
        value[extra] = obj[extra]
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(escape_html(text).encode()).hexdigest()
    return digest[:10].translate(_LETTERS)


def escape_html(text: str) -> str:
    """JSON text as Go writes it, with what HTML would take for markup escaped."""
    return text.translate(_ESCAPES)


def _member(obj: dict[str, Any], name: str) -> Any:
    value = obj.get(name)
    return "" if value is None else value
