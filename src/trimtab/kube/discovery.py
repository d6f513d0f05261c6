"""What an API server serves: kinds, versions, names, verbs. Parsing is pure.

Both forms are read: the aggregated documents of newer servers, and the group by group lists of
older ones. Source: spec/controller-runtime.md 3, spec/embedded-cluster.md 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from trimtab.objects import GroupKind, api_version, split_api_version

__all__ = ["AGGREGATED", "Discovery", "Resource", "legacy_resources", "parse_aggregated"]

AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,"
    "application/json"
)


class Resource(msgspec.Struct, frozen=True):
    """One served version of a kind."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    verbs: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    @property
    def group_kind(self) -> GroupKind:
        return GroupKind(self.group, self.kind)

    @property
    def api_version(self) -> str:
        return api_version(self.group, self.version)

    @property
    def qualified(self) -> str:
        """`deployments.apps`, as errors and the command line name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def watchable(self) -> bool:
        return "list" in self.verbs and "watch" in self.verbs


class Discovery:
    """Everything one server serves, in its order of preference. Immutable."""

    def __init__(self, resources: Iterable[Resource], *, version: str = "") -> None:
        self.version = version
        self._all = tuple(resources)
        self._preferred: dict[GroupKind, Resource] = {}
        self._exact: dict[tuple[str, str, str], Resource] = {}
        self._names: dict[str, list[Resource]] = {}
        for resource in self._all:
            self._exact.setdefault((resource.group, resource.version, resource.kind), resource)
            if self._preferred.setdefault(resource.group_kind, resource) is not resource:
                continue
            for name in _names(resource):
                self._names.setdefault(name, []).append(resource)

    def resource(self, group: str, kind: str, version: str | None = None) -> Resource | None:
        """The kind in the preferred version, or in exactly `version`; None when not served."""
        if version:
            return self._exact.get((group, version, kind))
        return self._preferred.get(GroupKind(group, kind))

    def find(self, text: str) -> Resource | None:
        """What a user means by `deploy`, `deployments.apps`, `deployments.v1.apps`, `Deployment`.

        Without a group the first group in the server's order wins. None when nothing matches.
        """
        name, _, rest = text.lower().partition(".")
        candidates = self._names.get(name, [])
        if not rest:
            return candidates[0] if candidates else None
        for candidate in candidates:
            if candidate.group == rest:
                return candidate
        version, _, group = rest.partition(".")
        for candidate in candidates:
            found = self.resource(candidate.group, candidate.kind, version)
            if found is not None and candidate.group == group:
                return found
        return None

    def category(self, name: str) -> list[Resource]:
        """The preferred resources of a category such as `all`."""
        return [each for each in self._preferred.values() if name in each.categories]

    def resources(self, *, every_version: bool = False) -> tuple[Resource, ...]:
        """Resources in the server's order: preferred versions, or every served one."""
        return self._all if every_version else tuple(self._preferred.values())

    def api_versions(self, *, kinds: bool = False) -> list[str]:
        """`v1`, `apps/v1`, ...; with `kinds` also `apps/v1/Deployment`, as Helm's charts ask."""
        versions = dict.fromkeys(each.api_version for each in self._all)
        if kinds:
            versions.update(dict.fromkeys(f"{e.api_version}/{e.kind}" for e in self._all))
        return list(versions)

    @property
    def minor(self) -> int:
        """The minor of `version` (`v1.37.0+x` is 37); 0 when it is not known."""
        parts = self.version.lstrip("v").split(".")
        digits = "".join(ch for ch in (parts[1] if len(parts) > 1 else "") if ch.isdigit())
        return int(digits) if digits else 0


def parse_aggregated(document: Mapping[str, Any], known: Iterable[Resource] = ()) -> list[Resource]:
    """The resources of one APIGroupDiscoveryList.

    A version marked stale whose server is away keeps what was `known` of it: a kind must not
    seem gone because somebody did not answer.
    """
    found: list[Resource] = []
    before = list(known)
    for item in document.get("items") or []:
        group = str((item.get("metadata") or {}).get("name") or "")
        for version in item.get("versions") or []:
            entries = version.get("resources") or []
            if not entries and version.get("freshness") == "Stale":
                served = (group, version.get("version"))
                found.extend(each for each in before if (each.group, each.version) == served)
            for entry in entries:
                kind = entry.get("responseKind") or {}
                if not kind.get("kind"):
                    continue
                found.append(
                    Resource(
                        group=group,
                        version=str(version.get("version") or ""),
                        kind=str(kind["kind"]),
                        plural=str(entry.get("resource") or ""),
                        singular=str(entry.get("singularResource") or ""),
                        namespaced=entry.get("scope") == "Namespaced",
                        verbs=_texts(entry.get("verbs")),
                        subresources=tuple(
                            str(sub.get("subresource")) for sub in entry.get("subresources") or []
                        ),
                        short_names=_texts(entry.get("shortNames")),
                        categories=_texts(entry.get("categories")),
                    )
                )
    return found


def legacy_resources(document: Mapping[str, Any]) -> list[Resource]:
    """The resources of one APIResourceList, subresources folded into their resource."""
    group, version = split_api_version(str(document.get("groupVersion") or ""))
    subresources: dict[str, list[str]] = {}
    entries = document.get("resources") or []
    for entry in entries:
        name, slash, sub = str(entry.get("name") or "").partition("/")
        if slash:
            subresources.setdefault(name, []).append(sub)
    return [
        Resource(
            group=group,
            version=version,
            kind=str(entry.get("kind") or ""),
            plural=str(entry["name"]),
            singular=str(entry.get("singularName") or ""),
            namespaced=bool(entry.get("namespaced")),
            verbs=_texts(entry.get("verbs")),
            subresources=tuple(subresources.get(str(entry["name"]), ())),
            short_names=_texts(entry.get("shortNames")),
            categories=_texts(entry.get("categories")),
        )
        for entry in entries
        if entry.get("name") and "/" not in str(entry["name"])
    ]


def _names(resource: Resource) -> dict[str, None]:
    every = (resource.plural, resource.singular, *resource.short_names, resource.kind.lower())
    return dict.fromkeys(name for name in every if name)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()
