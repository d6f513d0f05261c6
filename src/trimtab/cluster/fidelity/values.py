"""What stands in a case for something else: `${name}`, `$use`, `$repeat`, paths of captures."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any, Final

from trimtab.cluster.fidelity.case import BadCase
from trimtab.objects.merge_patch import apply_merge_patch

__all__ = ["fill", "pick"]

_NAME: Final = re.compile(r"\$\{([\w-]+)\}")
_PART: Final = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")


def fill(value: Any, names: Mapping[str, str], objects: Mapping[str, Any]) -> Any:
    """`value` with names put in; `{$use: NAME, ...}` is a shared object with the rest merged into
    it (null removes); `{$repeat: [N, item]}` a list of N items. Raises `BadCase`."""
    if isinstance(value, str):
        return _text(value, names)
    if isinstance(value, list):
        return [fill(item, names, objects) for item in value]
    if not isinstance(value, dict):
        return value
    if "$repeat" in value:
        times, item = value["$repeat"]
        return [fill(item, names, objects)] * times
    if "$use" in value:
        if value["$use"] not in objects:
            raise BadCase(f"there is no object {value['$use']!r}")
        base = copy.deepcopy(objects[value["$use"]])
        rest = {key: member for key, member in value.items() if key != "$use"}
        return fill(apply_merge_patch(base, rest), names, objects)
    return {_text(key, names): fill(member, names, objects) for key, member in value.items()}


def _text(text: str, names: Mapping[str, str]) -> str:
    def one(found: re.Match[str]) -> str:
        if found[1] not in names:
            raise BadCase(f"nothing was captured as {found[1]!r}")
        return names[found[1]]

    while _NAME.search(text):
        text = _NAME.sub(one, text)
    return text


def pick(value: Any, path: str) -> str:
    """The text at `metadata.uid`, `items[0].metadata.name` or `a[b.c/d].e`. Raises KeyError."""
    for index, name in _PART.findall(path):
        key = index or name
        if isinstance(value, list):
            value = value[int(key)]
        elif isinstance(value, dict):
            value = value[key]
        else:
            raise KeyError(path)
    return str(value)
