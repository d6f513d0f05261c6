"""Small schemas built by hand, and the Deployment of spec/embedded-cluster.md 8.2."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import pytest

from trimtab.objects import UNTYPED, Schema
from trimtab.objects.managed import FieldSet, apply_config, display_path, track_update
from trimtab.objects.merge_patch import apply_merge_patch


def leaf(kind: Any = "string", **more: Any) -> Schema:
    schema = Schema(kind)
    for name, value in more.items():
        setattr(schema, name, value)
    return schema


def struct(fields: dict[str, Schema], *required: str, **more: Any) -> Schema:
    schema = leaf("object", **more)
    schema.properties = fields
    schema.required = required
    return schema


def mapping(of: Schema | None = None, **more: Any) -> Schema:
    schema = leaf("object", **more)
    schema.additional = of or leaf()
    return schema


def keyed(items: Schema, *keys: str, **more: Any) -> Schema:
    return leaf("array", items=items, list_type="map", list_keys=keys, **more)


def set_list(items: Schema | None = None) -> Schema:
    return leaf("array", items=items or leaf(), list_type="set")


def atomic_list(items: Schema | None = None) -> Schema:
    return leaf("array", items=items or leaf())


def metadata() -> Schema:
    owner = struct({"uid": leaf(), "name": leaf(), "kind": leaf()}, "uid", map_type="atomic")
    return struct(
        {
            "name": leaf(),
            "namespace": leaf(),
            "uid": leaf(),
            "resourceVersion": leaf(),
            "generation": leaf("integer"),
            "creationTimestamp": leaf(),
            "labels": mapping(),
            "annotations": mapping(),
            "finalizers": set_list(),
            "ownerReferences": keyed(owner, "uid"),
            "managedFields": atomic_list(UNTYPED),
        }
    )


def deployment() -> Schema:
    port = struct(
        {
            "containerPort": leaf("integer"),
            "protocol": leaf(default="TCP"),
            "name": leaf(),
            "hostPort": leaf("integer"),
        },
        "containerPort",
    )
    env = struct({"name": leaf(), "value": leaf()}, "name")
    probe = struct({"periodSeconds": leaf("integer"), "timeoutSeconds": leaf("integer")})
    container = struct(
        {
            "name": leaf(),
            "image": leaf(),
            "imagePullPolicy": leaf(),
            "args": atomic_list(),
            "env": keyed(env, "name"),
            "ports": keyed(port, "containerPort", "protocol"),
            "livenessProbe": probe,
            "resources": struct({"limits": mapping(), "requests": mapping()}),
        },
        "name",
    )
    pod = struct(
        {
            "containers": keyed(container, "name"),
            "restartPolicy": leaf(),
            "nodeSelector": mapping(map_type="atomic"),
        },
        "containers",
    )
    template = struct({"metadata": metadata(), "spec": pod})
    rolling = struct(
        {"maxSurge": leaf("", int_or_string=True), "maxUnavailable": leaf("", int_or_string=True)}
    )
    condition = struct({"type": leaf(), "status": leaf()}, "type")
    spec = struct(
        {
            "replicas": leaf("integer"),
            "paused": leaf("boolean"),
            "selector": struct({"matchLabels": mapping()}, map_type="atomic"),
            "strategy": struct({"type": leaf(), "rollingUpdate": rolling}),
            "template": template,
        },
        "selector",
        "template",
    )
    status = struct({"replicas": leaf("integer"), "conditions": keyed(condition, "type")})
    return struct(
        {
            "apiVersion": leaf(),
            "kind": leaf(),
            "metadata": metadata(),
            "spec": spec,
            "status": status,
        }
    )


def manifest(*, replicas: int | None = 2, ports: bool = True, **spec: Any) -> dict[str, Any]:
    """The configuration of the worked example."""
    container: dict[str, Any] = {"name": "c", "image": "a:1"}
    if ports:
        container["ports"] = [{"containerPort": 80}]
    body: dict[str, Any] = {
        "selector": {"matchLabels": {"app": "a"}},
        "template": {
            "metadata": {"labels": {"app": "a"}},
            "spec": {"containers": [container]},
        },
        **spec,
    }
    if replicas is not None:
        body["replicas"] = replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "ns"},
        "spec": body,
    }


class Server:
    """The two lines of an API server that keep one object: apply and write, with a clock."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.live: dict[str, Any] | None = None
        self.ticks = 0

    @property
    def now(self) -> str:
        return f"2026-01-01T00:00:{self.ticks:02d}Z"

    def apply(self, manager: str, config: dict[str, Any], **options: Any) -> dict[str, Any]:
        before, given = deepcopy(self.live), deepcopy(config)
        out = apply_config(
            self.live, config, manager=manager, schema=self.schema, now=self.now, **options
        )
        assert (self.live, config) == (before, given), "an argument was changed"
        self.live = out
        self.ticks += 1
        return out

    def write(self, manager: str, new: dict[str, Any], **options: Any) -> dict[str, Any]:
        before, given = deepcopy(self.live), deepcopy(new)
        out = track_update(
            self.live, new, manager=manager, schema=self.schema, now=self.now, **options
        )
        assert (self.live, new) == (before, given), "an argument was changed"
        self.live = out
        self.ticks += 1
        return out

    def change(self, manager: str, patch: dict[str, Any], **options: Any) -> dict[str, Any]:
        """A merge patch."""
        return self.write(manager, apply_merge_patch(self.live, patch), **options)

    @property
    def spec(self) -> dict[str, Any]:
        assert self.live is not None
        spec: dict[str, Any] = self.live["spec"]
        return spec

    def entry(self, manager: str, subresource: str = "") -> dict[str, Any] | None:
        """The entry of a manager, or None."""
        entries = (self.live or {})["metadata"].get("managedFields", [])
        found = [
            e
            for e in entries
            if e["manager"] == manager and e.get("subresource", "") == subresource
        ]
        assert len(found) < 2
        return found[0] if found else None

    def fields(self, manager: str, subresource: str = "") -> list[str]:
        """The paths a manager owns, as people read them."""
        entry = self.entry(manager, subresource)
        return [] if entry is None else paths(entry["fieldsV1"])


def paths(fields_v1: dict[str, Any]) -> list[str]:
    return [display_path(path) for path in FieldSet.from_v1(fields_v1).paths()]


@pytest.fixture
def schema() -> Schema:
    """The schema of a small Deployment."""
    return deployment()


@pytest.fixture
def server(schema: Schema) -> Server:
    return Server(schema)


@pytest.fixture(name="manifest")
def manifest_fixture() -> Any:
    return manifest


@pytest.fixture
def build() -> Any:
    """The builders of schemas, by name."""
    names = (leaf, struct, mapping, keyed, set_list, atomic_list, metadata, Server, paths)
    return SimpleNamespace(**{one.__name__: one for one in names})
