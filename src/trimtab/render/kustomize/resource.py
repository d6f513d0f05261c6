"""One object on its way through a build, and who it was before each change of its name.

Identity as kustomize sees it: group, version, kind, effective namespace ("default" when none,
a marker for cluster-scoped kinds), name. The history of names decides which references follow
(spec/rendering.md 3.4). Objects here belong to one build and are changed in place.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

__all__ = ["CLUSTER_SCOPED", "Gvk", "Previous", "ResId", "Resource", "copy_json", "split_version"]

CLUSTER_SCOPED: Final = "_non_namespaceable_"


class Gvk(NamedTuple):
    """Group, version and kind. Empty fields of a selector match anything."""

    group: str
    version: str
    kind: str

    def selected_by(self, group: str, version: str, kind: str) -> bool:
        return (
            (not kind or kind == self.kind)
            and (not group or group == self.group)
            and (not version or version == self.version)
        )


class ResId(NamedTuple):
    """Identity in a set of resources; `namespace` is the effective one."""

    gvk: Gvk
    namespace: str
    name: str

    def __str__(self) -> str:
        """`apps/v1 Deployment ns/name`, for messages."""
        group, version, kind = self.gvk
        api = f"{group}/{version}" if group else version
        place = "" if self.namespace in (CLUSTER_SCOPED, "default") else f"{self.namespace}/"
        return f"{api} {kind} {place}{self.name}".strip()


class Previous(NamedTuple):
    """What an object was called before a change; group and version never change."""

    namespace: str
    name: str
    kind: str


@cache
def _cluster_scoped() -> frozenset[tuple[str, str]]:
    text = files(__package__).joinpath("data/cluster_scoped.json").read_text("utf-8")
    return frozenset((api, kind) for api, kinds in json.loads(text).items() for kind in kinds)


def split_version(api_version: Any) -> tuple[str, str]:
    """(group, version) of an apiVersion."""
    group, _, version = str(api_version or "").rpartition("/")
    return group, version


def copy_json(value: Any) -> Any:
    """A deep copy of plain JSON values."""
    if type(value) is dict:
        return {key: copy_json(item) for key, item in value.items()}
    if type(value) is list:
        return [copy_json(item) for item in value]
    return value


class Resource:
    """An object with its history. `file`, `document`, `line` say where it was written."""

    __slots__ = (
        "behavior",
        "configured_by",
        "document",
        "file",
        "line",
        "needs_hash",
        "obj",
        "origin",
        "prefixes",
        "previous",
        "suffixes",
        "touched",
        "transformations",
    )

    def __init__(self, obj: dict[str, Any], file: str, *, document: int = 0, line: int = 0) -> None:
        self.obj = obj
        self.file = file
        self.document = document
        self.line = line
        self.behavior = ""
        self.needs_hash = False
        self.previous: list[Previous] = []
        self.prefixes: list[str] = []
        self.suffixes: list[str] = []
        self.touched: list[tuple[str, str]] = []
        self.configured_by = ""
        self.origin: dict[str, Any] = {}
        self.transformations: list[dict[str, Any]] = []

    @property
    def metadata(self) -> dict[str, Any]:
        """The object's metadata, created when it is missing."""
        meta = self.obj.get("metadata")
        if type(meta) is not dict:
            meta = self.obj["metadata"] = {}
        return meta

    @property
    def name(self) -> str:
        return str((self.obj.get("metadata") or {}).get("name") or "")

    @property
    def namespace(self) -> str:
        return str((self.obj.get("metadata") or {}).get("namespace") or "")

    @property
    def kind(self) -> str:
        return str(self.obj.get("kind") or "")

    @property
    def gvk(self) -> Gvk:
        group, version = split_version(self.obj.get("apiVersion"))
        return Gvk(group, version, self.kind)

    @property
    def cluster_scoped(self) -> bool:
        return (self.obj.get("apiVersion"), self.obj.get("kind")) in _cluster_scoped()

    @property
    def effective_namespace(self) -> str:
        return CLUSTER_SCOPED if self.cluster_scoped else self.namespace or "default"

    @property
    def id(self) -> ResId:
        """Who it is now."""
        return ResId(self.gvk, self.effective_namespace, self.name)

    def previous_ids(self) -> list[ResId]:
        """Who it was, oldest first."""
        group, version = split_version(self.obj.get("apiVersion"))
        cluster = _cluster_scoped()
        api = self.obj.get("apiVersion")
        return [
            ResId(
                Gvk(group, version, was.kind),
                CLUSTER_SCOPED if (api, was.kind) in cluster else was.namespace,
                was.name,
            )
            for was in self.previous
        ]

    @property
    def original_id(self) -> ResId:
        """Who it was when it was read."""
        if not self.previous:
            return self.id
        return self.previous_ids()[0]

    def any_ids(self) -> list[ResId]:
        return [*self.previous_ids(), self.id]

    def remember(self) -> None:
        """Keep the present name before a change, so that references can follow."""
        self.previous.append(Previous(self.effective_namespace, self.name, self.kind))

    def touch(self, what: str, file: str) -> None:
        self.touched.append((what, file))

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file

    def copy(self) -> Resource:
        """An independent copy with the same history."""
        twin = Resource(copy_json(self.obj), self.file, document=self.document, line=self.line)
        twin.behavior = self.behavior
        twin.needs_hash = self.needs_hash
        twin.previous = list(self.previous)
        twin.prefixes = list(self.prefixes)
        twin.suffixes = list(self.suffixes)
        twin.touched = list(self.touched)
        twin.configured_by = self.configured_by
        twin.origin = dict(self.origin)
        twin.transformations = list(self.transformations)
        return twin
