"""The values of a HelmRelease: references, inline values and target paths, merged in order.

Pure. Source: spec/flux.md 4.2. References without targetPath come first in list order, then
`spec.values`, then references with targetPath; maps merge deeply, everything else replaces.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from trimtab.flux.errors import NotYet
from trimtab.lang import yaml
from trimtab.lang.strvals import set_value, set_values

__all__ = ["Reference", "compose", "digest"]

_DEFAULT_KEY: Final = "values.yaml"


class Reference(msgspec.Struct, frozen=True):
    """One item of `valuesFrom`, read. `data` None means the object is missing and may be."""

    kind: str
    name: str
    data: Mapping[str, str] | None
    key: str = _DEFAULT_KEY
    target_path: str = ""
    optional: bool = False
    literal: bool = False

    @property
    def what(self) -> str:
        return f"{self.kind} '{self.name}' key '{self.key}'"


def compose(references: Iterable[Reference], inline: Mapping[str, Any] | None) -> dict[str, Any]:
    """The values to render with, over the chart's own. Raises `NotYet` (ValuesError)."""
    acc: dict[str, Any] = {}
    own = copy.deepcopy(dict(inline or {}))
    for reference in references:
        text = _text(reference)
        if text is None:
            continue
        if not reference.target_path:
            acc = merge(acc, _mapping(text, reference))
            continue
        acc = merge(acc, own)
        acc, own = _put(acc, reference, text), _put(own, reference, text)
    return merge(acc, own)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Deep merge of maps; lists, scalars and null of `over` replace. New dict."""
    result = dict(base)
    for key, value in over.items():
        held = result.get(key)
        both = isinstance(held, Mapping) and isinstance(value, Mapping)
        result[key] = merge(held, value) if both else copy.deepcopy(value)  # type: ignore[arg-type]  # both are mappings
    return result


def digest(values: Mapping[str, Any]) -> str:
    """`sha256:` over the values as YAML with sorted keys; no values hash the empty string."""
    text = yaml.dump(dict(values), sort_keys=True) if values else ""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _text(reference: Reference) -> str | None:
    if reference.data is not None and reference.key in reference.data:
        return reference.data[reference.key]
    if reference.optional:
        return None
    raise NotYet(f"could not find {reference.what}", reason="ValuesError")


def _mapping(text: str, reference: Reference) -> Mapping[str, Any]:
    value = yaml.load(text.encode(), source=reference.what)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise NotYet(f"{reference.what} is no mapping of values", reason="ValuesError")
    return value


def _put(values: dict[str, Any], reference: Reference, text: str) -> dict[str, Any]:
    stripped = text.strip()
    if reference.literal:
        return set_value(reference.target_path, text, values, literal=True)
    if len(stripped) > 1 and stripped[0] == stripped[-1] and stripped[0] in "'\"":
        return set_values(f"{reference.target_path}={stripped[1:-1]}", values, force_string=True)
    return set_values(f"{reference.target_path}={text.rstrip(chr(10))}", values)
