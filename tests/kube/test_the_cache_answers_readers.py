"""spec/controller-runtime.md 5: records, indices, owned fields, reading one's own writes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from trimtab.kube import Client, ClusterCache, Connection
from trimtab.kube.record import Packer
from trimtab.objects import GroupKind, ObjectKey

from .fault_server import FaultServer, Reply, bookmark, config_map, event, eventually, fault_server

CM = GroupKind("", "ConfigMap")
TRACKING = "argocd.argoproj.io/tracking-id"


def managed(manager: str, operation: str, fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": fields, **more}


def test_a_record_holds_no_managed_fields_but_knows_who_applied_what() -> None:
    obj = config_map("a", 5, k="v")
    obj["metadata"]["managedFields"] = [
        managed("trimtab", "Apply", {"f:data": {"f:k": {}}}, apiVersion="v1"),
        managed("trimtab", "Apply", {"f:data": {"f:old": {}}}, apiVersion="v0"),
        managed("trimtab", "Apply", {"f:status": {}}, subresource="status"),
        managed("kubectl-edit", "Update", {"f:data": {"f:x": {}}}),
    ]
    packer = Packer()
    record = packer.pack(obj)
    assert "managedFields" not in record.obj["metadata"]
    assert "managedFields" in obj["metadata"], "what was given is not changed"
    assert record.owned("trimtab") == {"f:data": {"f:k": {}, "f:old": {}}}
    assert record.owned("trimtab", subresource="status") == {"f:status": {}}
    assert record.owned("kubectl-edit") is None, "an update is not an apply"
    assert record.managers == ("trimtab", "kubectl-edit")
    other = config_map("b", 6, k="v")
    other["metadata"]["managedFields"] = obj["metadata"]["managedFields"]
    assert packer.pack(other).applied[0][2] is record.applied[0][2], "one shape, one set"


def owned_by(name: str, version: int, *uids: str, app: str = "") -> dict[str, Any]:
    obj = config_map(name, version)
    obj["metadata"]["ownerReferences"] = [{"uid": uid} for uid in uids]
    if app:
        obj["metadata"]["annotations"] = {TRACKING: app}
    return obj


def tracked(obj: dict[str, Any]) -> Iterable[str]:
    value = (obj["metadata"].get("annotations") or {}).get(TRACKING)
    if value == "explode":
        raise ValueError("bad annotation")
    return [value] if value else []


Body = Callable[[FaultServer, ClusterCache, "asyncio.Queue[bytes]"], Awaitable[None]]


def run(body: Body) -> None:
    async def main() -> None:
        feed: asyncio.Queue[bytes] = asyncio.Queue()
        async with (
            fault_server() as server,
            Client(Connection(server=server.url), qps=None) as client,
        ):
            server.watches.append(Reply(chunks=[], feed=feed))
            async with ClusterCache(client, index={"app": tracked}) as cache:
                await body(server, cache, feed)
            feed.put_nowait(b"")

    asyncio.run(asyncio.wait_for(main(), 20))


def names(records: Iterable[Any]) -> list[str]:
    return sorted(record.key.name for record in records)


def test_indices_follow_every_change() -> None:
    async def body(server: FaultServer, cache: ClusterCache, feed: asyncio.Queue[bytes]) -> None:
        feed.put_nowait(event("ADDED", owned_by("a", 3, "u1", "u2", app="web")))
        feed.put_nowait(event("ADDED", owned_by("b", 4, "u2", app="web")))
        feed.put_nowait(event("ADDED", owned_by("odd", 4, app="explode")))
        feed.put_nowait(bookmark(5, end=True))
        await cache.ensure([CM])
        assert names(cache.children("u2")) == ["a", "b"]
        assert names(cache.by_index("app", "web")) == ["a", "b"]
        assert names(cache.list(CM, "default")) == ["a", "b", "odd"]
        assert cache.list(CM, "elsewhere") == []
        feed.put_nowait(event("MODIFIED", owned_by("a", 6, "u1", app="api")))
        feed.put_nowait(event("DELETED", owned_by("b", 7, "u2", app="web")))
        await eventually(lambda: len(cache.list(CM)) == 2)
        assert cache.children("u2") == []
        assert names(cache.children("u1")) == ["a"]
        assert cache.by_index("app", "web") == []
        assert names(cache.by_index("app", "api")) == ["a"]
        with pytest.raises(KeyError):
            cache.by_index("nothing", "x")

    run(body)


def test_a_write_of_ours_is_seen_at_once_and_never_undone_by_older_news() -> None:
    key = ObjectKey("", "ConfigMap", "default", "a")
    told: list[tuple[str | None, str | None]] = []

    async def body(server: FaultServer, cache: ClusterCache, feed: asyncio.Queue[bytes]) -> None:
        feed.put_nowait(event("ADDED", config_map("a", 3)))
        feed.put_nowait(bookmark(5, end=True))
        await cache.note_write(config_map("a", 4, text="not watched yet"))
        assert cache.get(key) is None
        await cache.ensure([CM])
        cache.subscribe(
            lambda old, new: told.append(
                (old and old.resource_version, new and new.resource_version)
            )
        )
        await cache.note_write(config_map("a", 9, text="ours"))
        assert cache.get(key).obj["data"] == {"text": "ours"}
        feed.put_nowait(event("MODIFIED", config_map("a", 7, text="before ours")))
        feed.put_nowait(event("MODIFIED", config_map("a", 9, text="ours")))
        feed.put_nowait(event("DELETED", config_map("a", 11)))
        feed.put_nowait(event("ADDED", config_map("z", 12)))
        await eventually(lambda: cache.get(ObjectKey("", "ConfigMap", "default", "z")))
        await cache.note_write(config_map("a", 10, text="noted late"))
        assert cache.get(key) is None, "the watch had seen it deleted after that write"
        assert told == [("3", "9"), ("9", None), (None, "12")]

    run(body)


def test_one_watch_serves_all_who_ask_and_all_end_with_the_cache() -> None:
    async def body(server: FaultServer, cache: ClusterCache, feed: asyncio.Queue[bytes]) -> None:
        feed.put_nowait(bookmark(5, end=True))
        await asyncio.gather(*(cache.ensure([CM, CM]) for _ in range(10)))
        assert len(server.watched()) == 1
        assert [(each.kind, each.state, each.objects) for each in cache.status()] == [
            (CM, "Synced", 0)
        ]

    run(body)


def test_a_faulty_listener_does_not_stop_the_watch_or_the_others() -> None:
    heard: list[str] = []

    async def body(server: FaultServer, cache: ClusterCache, feed: asyncio.Queue[bytes]) -> None:
        def bad(old: Any, new: Any) -> None:
            raise ValueError("listener")

        cache.subscribe(bad)
        stop = cache.subscribe(lambda old, new: heard.append(new.key.name))
        feed.put_nowait(event("ADDED", config_map("a", 3)))
        feed.put_nowait(bookmark(5, end=True))
        await cache.ensure([CM])
        stop()
        feed.put_nowait(event("ADDED", config_map("b", 6)))
        await eventually(lambda: len(cache.list(CM)) == 2)
        assert heard == ["a"]

    run(body)
