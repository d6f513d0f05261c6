"""A cluster in memory for the runtime's own tests: objects with versions, and a cache of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from trimtab.kube import AlreadyExists, Conflict, Invalid, LiveObject, NotFound
from trimtab.kube.ports import Silent
from trimtab.kube.record import Packer
from trimtab.kube.store import Store
from trimtab.objects import GroupKind, ObjectKey, key_of
from trimtab.runtime import Logger, ManualClock

WIDGET = GroupKind("example.io", "Widget")
CONFIG = GroupKind("", "ConfigMap")


def widget(name: str, version: int = 1, *, generation: int = 1, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.io/v1",
        "kind": "Widget",
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "generation": generation,
        },
        "spec": spec,
    }


class Lines(list[str]):
    """What a logger wrote."""

    def logger(self, clock: ManualClock) -> Logger:
        return Logger(self.append, clock=clock)

    @property
    def text(self) -> str:
        return "".join(self)


class FakeCache:
    """The reading half of a ClusterCache, filled by hand."""

    running = True

    def __init__(self, clock: ManualClock) -> None:
        self._store = Store(clock=clock, index={}, observer=Silent())
        self._packer = Packer()
        self.unknown: set[GroupKind] = set()
        self.ensured: list[tuple[GroupKind, ...]] = []

    async def ensure(self, kinds: Iterable[GroupKind], *, timeout_s: float = 30) -> list[GroupKind]:
        self.ensured.append(tuple(kinds))
        return [gk for gk in self.ensured[-1] if gk in self.unknown]

    def synced(self, gk: GroupKind) -> bool:
        return gk not in self.unknown

    def put(self, obj: dict[str, Any]) -> None:
        self._store.upsert(self._packer.pack(obj))

    def remove(self, obj: dict[str, Any]) -> None:
        self._store.remove(key_of(obj), resource_version="999999", uid="")

    def get(self, key: ObjectKey) -> LiveObject | None:
        return self._store.get(key)

    def list(self, gk: GroupKind, namespace: str | None = None) -> list[LiveObject]:
        return self._store.list(gk, namespace)

    def subscribe(self, listener: Callable[..., None]) -> Callable[[], None]:
        return self._store.subscribe(listener)


class FakeClient:
    """Objects under optimistic concurrency. `before` runs ahead of each write, to interfere."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.calls: list[str] = []
        self.patches: list[Any] = []
        self.before: list[Callable[[], object]] = []
        self.failures: list[Exception] = []
        self._version = 100

    async def __aenter__(self) -> Self:
        return self

    def put(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = copy.deepcopy(dict(obj))
        self._version += 1
        kept["metadata"]["resourceVersion"] = str(self._version)
        meta = kept["metadata"]
        self.objects[kept["kind"], meta["namespace"], meta["name"]] = kept
        return copy.deepcopy(kept)

    def _write(self, call: str) -> None:
        self.calls.append(call)
        if self.before:
            self.before.pop(0)()
        if self.failures:
            raise self.failures.pop(0)

    async def get(self, gk: GroupKind, namespace: str, name: str, **_: Any) -> dict[str, Any]:
        self.calls.append("get")
        try:
            return copy.deepcopy(self.objects[gk.kind, namespace, name])
        except KeyError:
            raise NotFound(f"{name} not found", details={"name": name}) from None

    async def create(self, obj: Mapping[str, Any], *, manager: str) -> dict[str, Any]:
        self._write("create")
        meta = obj["metadata"]
        if (obj["kind"], meta["namespace"], meta["name"]) in self.objects:
            raise AlreadyExists(f"{meta['name']} exists")
        return self.put(obj)

    async def patch(
        self, gk: GroupKind, namespace: str, name: str, body: Any, *, kind: str, **_: Any
    ) -> dict[str, Any]:
        self._write("patch")
        self.patches.append(body)
        if (gk.kind, namespace, name) not in self.objects:
            raise NotFound(f"{name} not found", details={"name": name})
        live = copy.deepcopy(self.objects[gk.kind, namespace, name])
        if kind == "json":
            return self.put(self._json(live, body))
        wanted = body.get("metadata", {}).get("resourceVersion")
        if wanted and wanted != live["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified")
        return self.put(merge(live, body))

    def _json(self, live: dict[str, Any], ops: list[dict[str, Any]]) -> dict[str, Any]:
        for op in ops:
            *path, last = op["path"].strip("/").split("/")
            target: Any = live
            for part in path:
                target = target[int(part)] if isinstance(target, list) else target[part]
            place: Any = int(last) if isinstance(target, list) and last != "-" else last
            if op["op"] == "test":
                found = (
                    target[place]
                    if (isinstance(target, list) and place < len(target))
                    or (isinstance(target, dict) and place in target)
                    else None
                )
                if found != op["value"]:
                    raise Invalid(f"the test of {op['path']} failed")
            elif op["op"] == "remove":
                del target[place]
            elif place == "-":
                target.append(op["value"])
            else:
                target[place] = op["value"]
        return live


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386, in its own words."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return json.loads(json.dumps(result))
