"""The whole of kube and runtime against an API server that behaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import trimtab.cluster
from trimtab.kube import (
    AlreadyExists,
    ApplyConflict,
    Client,
    ClusterCache,
    Conflict,
    Invalid,
    NotFound,
    SimpleClient,
    load_kubeconfig,
)
from trimtab.objects import GroupKind, ObjectKey
from trimtab.runtime import (
    Context,
    Controller,
    EventRecorder,
    Key,
    Manager,
    Result,
    StatusWriter,
    SystemClock,
    Watch,
    add_finalizer,
    has_finalizer,
    remove_finalizer,
    set_condition,
)

from .fakes import Lines

pytestmark = pytest.mark.skipif(
    not hasattr(trimtab.cluster, "EmbeddedCluster"), reason="the embedded cluster is not there yet"
)

CM = GroupKind("", "ConfigMap")
CRD = GroupKind("apiextensions.k8s.io", "CustomResourceDefinition")
WIDGET = GroupKind("example.io", "Widget")

WIDGETS: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.io"},
    "spec": {
        "group": "example.io",
        "scope": "Namespaced",
        "names": {
            "plural": "widgets",
            "singular": "widget",
            "kind": "Widget",
            "listKind": "WidgetList",
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {"size": {"type": "integer"}},
                            },
                            "status": {
                                "type": "object",
                                "x-kubernetes-preserve-unknown-fields": True,
                            },
                        },
                    }
                },
            }
        ],
    },
}


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": data,
    }


def widget(name: str, size: int) -> dict[str, Any]:
    return {
        "apiVersion": "example.io/v1",
        "kind": "Widget",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"size": size},
    }


async def eventually(check: Callable[[], object], *, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not check():
            await asyncio.sleep(0.01)


def with_cluster(tmp_path: Path, body: Callable[[Any, Client], Awaitable[None]]) -> None:
    async def main() -> None:
        async with trimtab.cluster.EmbeddedCluster(data_dir=tmp_path) as cluster:
            connection = load_kubeconfig(cluster.kubeconfig_path)
            async with Client(connection, qps=None) as client:
                await body(cluster, client)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_every_verb_and_its_errors(tmp_path: Path) -> None:
    async def body(cluster: Any, client: Client) -> None:
        made = await client.create(config_map("a", k="v"), manager="one")
        with pytest.raises(AlreadyExists):
            await client.create(config_map("a"), manager="one")
        stale = {**made, "data": {"k": "2"}}
        await client.replace(stale, manager="one")
        with pytest.raises(Conflict):
            await client.replace(stale, manager="one")
        with pytest.raises(Invalid):
            await client.create(config_map("Not_A_Name"), manager="one")
        applied = await client.apply(config_map("a", x="1"), manager="two")
        assert applied["data"] == {"k": "2", "x": "1"}
        with pytest.raises(ApplyConflict) as caught:
            await client.apply(config_map("a", k="3"), manager="two")
        assert [(c.manager, c.path) for c in caught.value.conflicts] == [("one", ".data.k")]
        forced = await client.apply(config_map("a", k="3"), manager="two", force=True)
        assert forced["data"] == {"k": "3"}
        found = await client.list(CM, "default", field_selector="metadata.name=a")
        assert [item["kind"] for item in found.items] == ["ConfigMap"]
        with pytest.raises(Conflict):
            await client.delete(CM, "default", "a", uid="00000000-0000-0000-0000-000000000000")
        await client.delete(CM, "default", "a")
        with pytest.raises(NotFound):
            await client.get(CM, "default", "a")
        deploy = (await client.discovery()).find("deploy")
        assert deploy is not None
        assert deploy.group_kind == GroupKind("apps", "Deployment")

        def small() -> None:
            with SimpleClient(client.connection) as simple:
                simple.apply(config_map("s", k="v"), manager="cli")
                assert simple.get(CM, "default", "s")["data"] == {"k": "v"}
                simple.delete(CM, "default", "s")
                with pytest.raises(NotFound):
                    simple.get(CM, "default", "s")

        await asyncio.to_thread(small)

    with_cluster(tmp_path, body)


def test_a_kind_installed_later_is_watched_and_reconciled_with_status_events_and_finalizer(
    tmp_path: Path,
) -> None:
    clock, lines = SystemClock(), Lines()

    async def body(cluster: Any, client: Client) -> None:
        cache = ClusterCache(client, clock=clock)
        recorder = EventRecorder(client, "widgets")
        writer = StatusWriter(client, manager="widgets", written=cache.note_write)
        done: list[tuple[str, int]] = []

        async def reconcile(ctx: Context, key: Key) -> Result:
            live = cache.get(ObjectKey("example.io", "Widget", key.namespace, key.name))
            if live is None:
                return Result()
            obj = live.obj
            if obj["metadata"].get("deletionTimestamp"):
                await client.delete(CM, key.namespace, f"of-{key.name}")
                await remove_finalizer(client, obj, "example.io/widget", manager="widgets")
                return Result()
            if not has_finalizer(obj, "example.io/widget"):
                obj = await add_finalizer(client, obj, "example.io/widget", manager="widgets")
            size = str(obj["spec"]["size"])
            await client.apply(config_map(f"of-{key.name}", size=size), manager="widgets")
            ready = set_condition([], "Ready", "True", "Done", "", now=ctx.clock.now())
            await writer.write(obj, {"conditions": ready, "size": int(size)})
            recorder.event(obj, "Normal", "Done", f"size is {size}")
            done.append((key.name, int(size)))
            return Result()

        def owner(obj: dict[str, Any]) -> list[Key]:
            name = obj["metadata"]["name"]
            return [Key("default", name[3:])] if name.startswith("of-") else []

        assert WIDGET in await _ensure(cache, [CM, WIDGET])
        manager = Manager(client, cache, clock=clock, log=lines.logger(clock))  # type: ignore[arg-type]
        manager.add(Controller("widgets", WIDGET, reconcile, watches=[Watch(CM, owner)]))
        manager.add_service("events", recorder.run)
        stop = asyncio.Event()
        await client.create(WIDGETS, manager="test")
        await _served(client)
        await client.create(widget("w", 3), manager="test")
        async with asyncio.TaskGroup() as group:
            task = group.create_task(manager.run(stop))
            await eventually(lambda: ("w", 3) in done)
            await client.patch(
                WIDGET, "default", "w", {"spec": {"size": 4}}, kind="merge", manager="test"
            )
            await eventually(lambda: ("w", 4) in done)
            before = len(done)
            await client.delete(CM, "default", "of-w")
            await eventually(lambda: len(done) > before)
            assert (await client.get(CM, "default", "of-w"))["data"] == {"size": "4"}
            live = await client.get(WIDGET, "default", "w")
            assert live["status"]["size"] == 4
            await client.delete(WIDGET, "default", "w")
            await eventually(
                lambda: cache.get(ObjectKey("example.io", "Widget", "default", "w")) is None
            )
            stop.set()
            await asyncio.wait_for(task, 10)
        events = await client.list(GroupKind("", "Event"), "default")
        messages = {item["message"] for item in events.items if item["reason"] == "Done"}
        assert messages == {"size is 3", "size is 4"}
        assert "unexpected error" not in lines.text

    with_cluster(tmp_path, body)


async def _ensure(cache: ClusterCache, kinds: list[GroupKind]) -> list[GroupKind]:
    async with cache:
        return await cache.ensure(kinds)


async def _served(client: Client) -> None:
    async with asyncio.timeout(10):
        while (await client.discovery(refresh=True)).resource("example.io", "Widget") is None:
            await asyncio.sleep(0.02)
