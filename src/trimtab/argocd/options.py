"""Sync options, of an application and of an object (spec/argocd.md 4.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from trimtab.argocd.kinds import APPROVED, SYNC_OPTIONS
from trimtab.engine import Policy, Propagation

__all__ = ["Options", "approved", "object_options", "parse_options", "without_effect"]

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
    "Prune": ("true", "false", "confirm"),
    "Delete": ("true", "false", "confirm"),
    "SkipDryRunOnMissingResource": ("true", "false"),
    "ClientSideApplyMigration": ("true", "false"),
    "FailOnSharedResource": ("true", "false"),
}
# Accepted values that change nothing here, and would elsewhere: said aloud, and not passed on.
_WITHOUT_EFFECT: Final = frozenset(
    {"Validate=false", "ServerSideApply=false", "ClientSideApplyMigration=true"}
)
_OF_OBJECTS: Final = frozenset(
    {
        "Validate",
        "ServerSideApply",
        "ClientSideApplyMigration",
        "Prune",
        "Delete",
        "Replace",
        "SkipDryRunOnMissingResource",
    }
)


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
        if value not in _KNOWN.get(name, ()) or text.strip() in _WITHOUT_EFFECT:
            unsupported.append(text.strip())
        else:
            values[name] = value
    return Options(values, tuple(dict.fromkeys(unsupported)))


def without_effect(obj: Mapping[str, Any]) -> tuple[str, ...]:
    """The options of an object's annotation that are not honoured there, as they are written."""
    options = object_options(obj)
    foreign = [f"{k}={v}" for k, v in options.values.items() if k not in _OF_OBJECTS]
    return (*options.unsupported, *foreign)


def approved(app: Mapping[str, Any], since: str) -> bool:
    """Did somebody approve deletions on the Application at `since` (RFC 3339) or later? An older
    approval, or one that is no time, was for something else (spec/argocd.md 1.4)."""
    annotations = (app.get("metadata") or {}).get("annotations") or {}
    try:
        when = datetime.fromisoformat(str(annotations.get(APPROVED) or ""))
        return when >= datetime.fromisoformat(since)
    except (ValueError, TypeError):
        return False


def object_options(obj: Mapping[str, Any]) -> Options:
    """The options an object's annotation names."""
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    return parse_options(str(annotations.get(SYNC_OPTIONS) or "").split(","))
