"""Path elements of managed fields, in the spelling they have inside `fieldsV1`.

    f:<name>            a member of a map
    k:{"name":"c"}      the item of a keyed list, by its keys (sorted, canonical JSON)
    v:"x"               the item of a set, by value
    i:0                 the item of a list, by position (rare)

An element is this string everywhere in our code: it hashes fast, and a set serialises without
translation. Source: spec/embedded-cluster.md 8.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from trimtab.errors import TrimtabError
from trimtab.objects.schema import MISSING, Schema

__all__ = [
    "BadElement",
    "Path",
    "canonical",
    "display",
    "display_path",
    "field",
    "item_element",
    "order",
    "sorted_elements",
]

Path = tuple[str, ...]

# The API declares `default: TCP` for the protocol of container and service ports. The keys of
# these two lists must not depend on whether a schema's source kept its defaults.
_PROTOCOL_DEFAULT: Final[Mapping[tuple[str, ...], str]] = {
    ("containerPort", "protocol"): "TCP",
    ("port", "protocol"): "TCP",
}


class BadElement(TrimtabError):
    """An item of a keyed list or set that cannot be named, or a path element nobody can read."""

    reason = "Invalid"


def field(name: str) -> str:
    return "f:" + name


def item_element(item: Any, schema: Schema) -> str:
    """The element naming `item` in the associative list that `schema` describes.

    A missing key takes its declared default and is left out when there is none. Raises
    `BadElement` when nothing names the item.
    """
    if schema.list_type == "set":
        return _value_element(item)
    if not isinstance(item, dict):
        kind = "a null element" if item is None else "non-map elements"
        raise BadElement(f"associative list with keys may not have {kind}")
    keys: dict[str, Any] = {}
    for key in schema.list_keys:
        value = item.get(key, MISSING)
        if value is MISSING:
            value = _key_default(key, schema)
        if value is not MISSING:
            keys[key] = value
    if not keys:
        names = " ".join(f'"{key}"' for key in schema.list_keys)
        raise BadElement(
            f"associative list with keys has an element that omits all key fields [{names}] "
            "(and doesn't have default values for any key fields)"
        )
    return "k:" + _json(keys)


def _key_default(key: str, schema: Schema) -> Any:
    declared = schema.items.properties.get(key) if schema.items else None
    if declared is not None and declared.default is not MISSING:
        return declared.default
    if key == "protocol":
        return _PROTOCOL_DEFAULT.get(tuple(sorted(schema.list_keys)), MISSING)
    return MISSING


def _value_element(item: Any) -> str:
    if isinstance(item, dict):
        raise BadElement("associative list without keys has an element that's a map type")
    if isinstance(item, list):
        raise BadElement("not supported: associative list with lists as elements")
    if item is None:
        raise BadElement("associative list without keys has an element that's an explicit null")
    return "v:" + _json(item)


def _json(value: Any) -> str:
    """JSON as a Go server writes it: sorted keys, no spaces, the characters of HTML escaped."""
    if isinstance(value, dict):
        value = {key: _whole(item) for key, item in value.items()}
    else:
        value = _whole(value)
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    if "<" in text or ">" in text or "&" in text:
        text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return text


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def canonical(element: str) -> str:
    """The one spelling of an element. Raises `BadElement` when it is none."""
    kind = element[:2]
    if kind == "f:":
        return element
    if kind in ("k:", "v:"):
        try:
            value = orjson.loads(element[2:])
        except orjson.JSONDecodeError as error:
            raise BadElement(f"cannot read path element {element!r}", why=str(error)) from error
        if kind == "k:" and not isinstance(value, dict):
            raise BadElement(f"the key of path element {element!r} is not an object")
        return kind + _json(value)
    if kind == "i:" and element[2:].lstrip("-").isdigit():
        return element
    raise BadElement(f"unknown path element {element!r}")


def order(element: str) -> tuple[Any, ...]:
    """A sort key with the order of an API server: fields, then keys, then values, then indices."""
    kind = element[:2]
    if kind == "f:":
        return (0, element[2:])
    if kind == "k:":
        keys: Mapping[str, Any] = orjson.loads(element[2:])
        return (1, tuple((name, _value_order(value)) for name, value in sorted(keys.items())))
    if kind == "v:":
        return (2, _value_order(orjson.loads(element[2:])))
    return (3, int(element[2:]))


def _value_order(value: Any) -> tuple[int, Any]:
    """Numbers before strings before booleans before the rest, each by its own order."""
    if isinstance(value, bool):
        return (2, value)
    if isinstance(value, int | float):
        return (0, value)
    if isinstance(value, str):
        return (1, value)
    return (3, _json(value))


def sorted_elements(elements: Iterable[str]) -> list[str]:
    """Elements of one level in an API server's order."""
    listed = list(elements)
    if len(listed) < 2:
        return listed
    if all(element.startswith("f:") for element in listed):
        listed.sort()
        return listed
    return sorted(listed, key=order)


def display(element: str) -> str:
    """One element as people read it: `.image`, `[name="c"]`, `[="x"]`, `[0]`."""
    kind, text = element[:2], element[2:]
    if kind == "f:":
        return "." + text
    if kind == "k:":
        keys: dict[str, Any] = orjson.loads(text)
        return "[" + ",".join(f"{name}={_quote(keys[name])}" for name in sorted(keys)) + "]"
    if kind == "v:":
        return f"[={_quote(orjson.loads(text))}]"
    return f"[{text}]"


def _quote(value: Any) -> str:
    return orjson.dumps(value).decode()


def display_path(path: Sequence[str]) -> str:
    """`.spec.template.spec.containers[name="c"].image`: the spelling of conflict messages."""
    return "".join(display(element) for element in path)
