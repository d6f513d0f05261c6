"""Sync options, of an application and of an object (spec/argocd.md 4.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from trimtab.argocd.kinds import SYNC_OPTIONS
from trimtab.engine import Policy, Propagation

__all__ = ["Options", "object_options", "parse_options"]

_PROPAGATION: Final[Mapping[str, Propagation]] = {
    "foreground": "Foreground",
    "background": "Background",
    "orphan": "Orphan",
}
_KNOWN: Final = {
    "Validate": ("true", "false"),
    "CreateNamespace": ("true", "false"),
    "PrunePropagationPolicy": tuple(_PROPAGATION),
    "PruneLast": ("true", "false"),
    "ServerSideApply": ("true", "false"),
    "ApplyOutOfSyncOnly": ("true", "false"),
    "Replace": ("true", "false"),
    "Force": ("true", "false"),
    "Prune": ("true", "false"),
    "Delete": ("true", "false"),
    "SkipDryRunOnMissingResource": ("true", "false"),
    "ClientSideApplyMigration": ("false",),
}


class Options(msgspec.Struct, frozen=True):
    """What was set, by name; and what is not honoured, as it was written."""

    values: Mapping[str, str]
    unsupported: tuple[str, ...] = ()

    def on(self, name: str, *, default: bool = False) -> bool:
        value = self.values.get(name)
        return default if value is None else value == "true"

    @property
    def propagation(self) -> Propagation:
        return _PROPAGATION[self.values.get("PrunePropagationPolicy", "foreground")]

    def policy(self, *, prune: bool, allow_empty: bool, force: bool) -> Policy:
        return Policy(
            prune=prune,
            allow_empty=allow_empty,
            force=force or self.on("Force"),
            replace=self.on("Replace"),
            create_namespace=self.on("CreateNamespace"),
            prune_last=self.on("PruneLast"),
            propagation=self.propagation,
        )


def parse_options(texts: Iterable[str]) -> Options:
    """`["CreateNamespace=true", ...]`; a later one wins. Unknown ones are kept as unsupported."""
    values: dict[str, str] = {}
    unsupported: list[str] = []
    for text in texts:
        name, _, value = text.strip().partition("=")
        if not name:
            continue
        if value not in _KNOWN.get(name, ()):
            unsupported.append(text.strip())
        else:
            values[name] = value
    return Options(values, tuple(dict.fromkeys(unsupported)))


def object_options(obj: Mapping[str, Any]) -> Options:
    """The options an object's annotation names."""
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    return parse_options(str(annotations.get(SYNC_OPTIONS) or "").split(","))
