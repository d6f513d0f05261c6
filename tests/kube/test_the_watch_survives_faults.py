"""spec/controller-runtime.md 4 and 14: what a broken stream may do to the cache."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from trimtab.kube import Client, ClusterCache, Connection, Forbidden, LiveObject, Timeout, reflector
from trimtab.objects import GroupKind, ObjectKey
from trimtab.runtime import ManualClock

from .fault_server import (
    FaultServer,
    Reply,
    bookmark,
    config_map,
    event,
    eventually,
    fault_server,
    status,
)

CM = GroupKind("", "ConfigMap")


class NoJitter:
    """A random source whose waits are nothing and whose choices are the lowest."""

    def uniform(self, low: float, high: float) -> float:
        return low

    def randint(self, low: int, high: int) -> int:
        return low


class Changes(list[tuple[str, str, str]]):
    """What a listener was told: (change, name, resourceVersion)."""

    def __call__(self, old: LiveObject | None, new: LiveObject | None) -> None:
        what = "deleted" if new is None else "added" if old is None else "changed"
        record = new or old
        assert record is not None
        self.append((what, record.key.name, record.resource_version))


Body = Callable[[FaultServer, ClusterCache, Changes], Awaitable[None]]


def with_cache(prepare: Callable[[FaultServer], None], body: Body) -> None:
    async def main() -> None:
        async with (
            fault_server() as server,
            Client(Connection(server=server.url), qps=None) as client,
        ):
            prepare(server)
            async with ClusterCache(client, rng=NoJitter()) as cache:  # type: ignore[arg-type]
                changes = Changes()
                cache.subscribe(changes)
                await body(server, cache, changes)

    asyncio.run(asyncio.wait_for(main(), 20))


def key(name: str) -> ObjectKey:
    return ObjectKey("", "ConfigMap", "default", name)


def initial(*objects: dict[str, Any], version: int) -> list[bytes]:
    return [*(event("ADDED", obj) for obj in objects), bookmark(version, end=True)]


def test_a_streamed_list_becomes_visible_only_when_it_is_whole() -> None:
    feed: asyncio.Queue[bytes] = asyncio.Queue()

    async def body(server: FaultServer, cache: ClusterCache, changes: Changes) -> None:
        feed.put_nowait(event("ADDED", config_map("a", 5)))
        waiting = asyncio.create_task(cache.ensure([CM]))
        await asyncio.sleep(0.05)
        assert cache.get(key("a")) is None
        feed.put_nowait(bookmark(9, end=True))
        assert await waiting == []
        assert cache.get(key("a")).obj["metadata"]["uid"] == "uid-a"
        feed.put_nowait(event("MODIFIED", config_map("a", 10)))
        await eventually(lambda: changes[-1] == ("changed", "a", "10"))
        query = server.watched()[0].query
        assert query["sendInitialEvents"] == "true"
        assert query["resourceVersionMatch"] == "NotOlderThan"
        assert query["allowWatchBookmarks"] == "true"

    with_cache(lambda server: server.watches.append(Reply(feed=feed, chunks=[])), body)


@pytest.mark.parametrize("refusal", [400, 422])
def test_a_server_that_does_not_stream_is_listed_in_pages_and_remembered(refusal: int) -> None:
    def prepare(server: FaultServer) -> None:
        server.watches.append(Reply(refusal, status(refusal, "Invalid", "sendInitialEvents")))
        first = {
            "metadata": {"resourceVersion": "20", "continue": "more"},
            "items": [config_map("a", 3)],
        }
        second = {"metadata": {"resourceVersion": "20"}, "items": [config_map("b", 4)]}
        server.lists.extend([Reply(body=first), Reply(body=second)])
        server.watches.append(Reply(chunks=[event("ADDED", config_map("c", 21))], hold=True))

    async def body(server: FaultServer, cache: ClusterCache, changes: Changes) -> None:
        await cache.ensure([CM])
        await eventually(lambda: len(cache.list(CM)) == 3)
        assert cache.get(key("a")).obj["kind"] == "ConfigMap"
        assert [request.query.get("continue") for request in server.listed()] == [None, "more"]
        assert server.listed()[0].query["resourceVersion"] == "0"
        assert server.watched()[1].query["resourceVersion"] == "20"
        assert "sendInitialEvents" not in server.watched()[1].query

    with_cache(prepare, body)


def test_expired_pages_are_read_again_in_one_piece() -> None:
    def prepare(server: FaultServer) -> None:
        server.git_version = "v1.20.0"  # too old to stream
        first = {
            "metadata": {"resourceVersion": "20", "continue": "more"},
            "items": [config_map("gone", 3)],
        }
        whole = {"metadata": {"resourceVersion": "30"}, "items": [config_map("b", 25)]}
        server.lists.extend(
            [Reply(body=first), Reply(410, status(410, "Expired")), Reply(body=whole)]
        )

    async def body(server: FaultServer, cache: ClusterCache, changes: Changes) -> None:
        await cache.ensure([CM])
        assert [record.key.name for record in cache.list(CM)] == ["b"]
        last = server.listed()[-1].query
        assert "limit" not in last
        assert "resourceVersion" not in last

    with_cache(prepare, body)


def test_a_line_cut_in_the_middle_is_never_parsed_and_the_watch_resumes() -> None:
    whole = event("ADDED", config_map("b", 6, text="grün"))

    def prepare(server: FaultServer) -> None:
        middle = whole.index(b"\\u00fc") + 3
        server.watches.append(
            Reply(chunks=[*initial(config_map("a", 4), version=5), whole[:middle]], cut=True)
        )
        server.watches.append(Reply(chunks=[whole], hold=True))

    async def body(server: FaultServer, cache: ClusterCache, changes: Changes) -> None:
        await cache.ensure([CM])
        await eventually(lambda: cache.get(key("b")))
        assert cache.get(key("b")).obj["data"] == {"text": "grün"}
        assert server.watched()[1].query["resourceVersion"] == "5"
        assert changes == [("added", "a", "4"), ("added", "b", "6")]

    with_cache(prepare, body)


def test_a_clean_end_rewatches_from_the_last_bookmark_without_a_list() -> None:
    def prepare(server: FaultServer) -> None:
        server.watches.append(Reply(chunks=[*initial(version=5), bookmark(50)]))
        server.watches.append(Reply(chunks=[], hold=True))

    async def body(server: FaultServer, cache: ClusterCache, changes: Changes) -> None:
        await cache.ensure([CM])
        await eventually(lambda: len(server.watched()) == 2)
        assert server.watched()[1].query["resourceVersion"] == "50"
        assert server.listed() == []

    with_cache(prepare, body)


@pytest.mark.parametrize("as_status", [False, True])
def test_a_410_relists_from_the_most_recent_and_tells_what_was_deleted(as_status: bool) -> None:
    gone = status(410, "Expired", "too old resource version: 5 (99)")

    def prepare(server: FaultServer) -> None:
        server.watches.append(
            Reply(
                chunks=initial(
                    config_map("kept", 2),
                    config_map("lost", 3),
                    config_map("remade", 4, uid="old"),
                    version=5,
                )
            )
        )
        server.watches.append(
            Reply(410, gone) if as_status else Reply(chunks=[event("ERROR", gone)])
        )
        server.watches.append(
            Reply(
                chunks=initial(
                    config_map("kept", 2), config_map("remade", 90, uid="new"), version=99
                ),
                hold=True,
            )
        )

    async def body(server: FaultServer, cache: ClusterCache, changes: Changes) -> None:
        await cache.ensure([CM])
        await eventually(lambda: cache.get(key("lost")) is None)
        assert changes[3:] == [
            ("deleted", "lost", "3"),
            ("deleted", "remade", "4"),
            ("added", "remade", "90"),
        ]
        third = server.watched()[2].query
        assert "resourceVersion" not in third
        assert third["sendInitialEvents"] == "true"

    with_cache(prepare, body)


def test_duplicates_and_older_events_are_dropped_also_after_a_delete() -> None:
    def prepare(server: FaultServer) -> None:
        server.watches.append(
            Reply(
                chunks=[
                    *initial(config_map("a", 4), version=5),
                    event("MODIFIED", config_map("a", 8)),
                    event("MODIFIED", config_map("a", 8)),
                    event("MODIFIED", config_map("a", 7)),
                    event("ADDED", config_map("a", 4)),
                    event("DELETED", config_map("a", 12)),
                    event("MODIFIED", config_map("a", 8)),
                    event("ADDED", config_map("b", 13)),
                ],
                hold=True,
            )
        )

    async def body(server: FaultServer, cache: ClusterCache, changes: Changes) -> None:
        await cache.ensure([CM])
        await eventually(lambda: cache.get(key("b")))
        assert changes == [
            ("added", "a", "4"),
            ("changed", "a", "8"),
            ("deleted", "a", "8"),
            ("added", "b", "13"),
        ]

    with_cache(prepare, body)


def test_versions_beyond_double_precision_are_compared_exactly() -> None:
    big = 2**63

    def prepare(server: FaultServer) -> None:
        server.watches.append(
            Reply(
                chunks=[
                    *initial(config_map("a", big), version=big),
                    event("MODIFIED", config_map("a", big + 1)),
                    event("MODIFIED", config_map("a", big, text="older")),
                ],
                hold=True,
            )
        )

    async def body(server: FaultServer, cache: ClusterCache, changes: Changes) -> None:
        await cache.ensure([CM])
        await eventually(lambda: len(changes) == 2)
        await asyncio.sleep(0.02)
        assert cache.get(key("a")).resource_version == str(big + 1)

    with_cache(prepare, body)


@pytest.mark.parametrize(
    "line",
    [b"{nonsense}\n", b'{"type": "ADDED"}\n', b"[1]\n", b'{"type":"ODD","object":{}}\n'],
)
def test_a_malformed_line_reconnects(line: bytes) -> None:
    def prepare(server: FaultServer) -> None:
        server.watches.append(Reply(chunks=[*initial(version=5), line], hold=True))
        server.watches.append(Reply(chunks=[event("ADDED", config_map("b", 6))], hold=True))

    async def body(server: FaultServer, cache: ClusterCache, changes: Changes) -> None:
        await cache.ensure([CM])
        await eventually(lambda: cache.get(key("b")))
        assert server.watched()[1].query["resourceVersion"] == "5"

    with_cache(prepare, body)


def test_an_event_of_five_megabytes_arrives_whole() -> None:
    text = "x" * 5_000_000
    line = event("ADDED", config_map("big", 6, text=text))
    pieces = [line[at : at + 65536] for at in range(0, len(line), 65536)]

    def prepare(server: FaultServer) -> None:
        server.watches.append(Reply(chunks=[*initial(version=5), *pieces], hold=True))

    async def body(server: FaultServer, cache: ClusterCache, changes: Changes) -> None:
        await cache.ensure([CM])
        await eventually(lambda: cache.get(key("big")))
        assert cache.get(key("big")).obj["data"]["text"] == text

    with_cache(prepare, body)


def test_initial_events_that_break_off_are_not_taken_for_the_whole() -> None:
    def prepare(server: FaultServer) -> None:
        server.watches.append(Reply(chunks=[event("ADDED", config_map("a", 4))]))
        server.watches.append(
            Reply(chunks=initial(config_map("a", 4), config_map("b", 5), version=6), hold=True)
        )

    async def body(server: FaultServer, cache: ClusterCache, changes: Changes) -> None:
        await cache.ensure([CM])
        assert sorted(record.key.name for record in cache.list(CM)) == ["a", "b"]

    with_cache(prepare, body)


def test_a_forbidden_kind_is_said_at_once_and_a_silent_one_in_time() -> None:
    def prepare(server: FaultServer) -> None:
        server.kinds = ["ConfigMap", "Secret"]
        server.other = lambda request: (
            Reply(403, status(403, "Forbidden", "secrets is forbidden"))
            if request.path.endswith("/secrets")
            else None
        )
        server.watches.append(Reply(chunks=[], hold=True))

    async def body(server: FaultServer, cache: ClusterCache, changes: Changes) -> None:
        with pytest.raises(Forbidden, match="secrets is forbidden"):
            await cache.ensure([GroupKind("", "Secret")])
        with pytest.raises(Timeout, match="ConfigMap"):
            await cache.ensure([CM], timeout_s=0.1)

    with_cache(prepare, body)


def test_a_kind_that_is_installed_later_is_found_and_one_that_goes_is_emptied() -> None:
    widget = GroupKind("", "Widget")
    stop: asyncio.Queue[bytes] = asyncio.Queue()

    def prepare(server: FaultServer) -> None:
        thing = {**config_map("w", 3), "kind": "Widget"}
        server.watches.append(Reply(chunks=initial(thing, version=5), feed=stop))
        server.other = lambda request: (
            Reply(404, status(404, "NotFound", "the server could not find the requested resource"))
            if request.path.endswith("/widgets") and "Widget" not in server.kinds
            else None
        )

    async def body(server: FaultServer, cache: ClusterCache, changes: Changes) -> None:
        assert await cache.ensure([widget]) == [widget]
        server.kinds, server.etag = ["ConfigMap", "Widget"], '"two"'
        assert await cache.ensure([widget]) == []
        assert len(cache.list(widget)) == 1
        server.kinds, server.etag = ["ConfigMap"], '"three"'
        stop.put_nowait(b"")
        await eventually(lambda: changes[-1][0] == "deleted")
        assert not cache.synced(widget)
        assert await cache.ensure([widget]) == [widget]

    with_cache(prepare, body)


def test_an_unreachable_server_leaves_the_last_known_objects_in_place() -> None:
    stop: asyncio.Queue[bytes] = asyncio.Queue()

    def prepare(server: FaultServer) -> None:
        server.watches.append(Reply(chunks=initial(config_map("a", 4), version=5), feed=stop))

    async def body(server: FaultServer, cache: ClusterCache, changes: Changes) -> None:
        await cache.ensure([CM])
        server.other = lambda _: Reply(503, status(503, "ServiceUnavailable"))
        stop.put_nowait(b"")
        await eventually(lambda: cache.status()[0].error)
        assert cache.get(key("a")) is not None
        assert cache.status()[0].state == "Retrying"
        server.other = lambda _: None
        await eventually(lambda: cache.status()[0].state == "Synced")

    with_cache(prepare, body)


def test_an_initial_bookmark_that_never_comes_falls_back_to_pages_for_all_kinds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reflector, "INITIAL_SILENCE_S", 0.05)

    def prepare(server: FaultServer) -> None:
        server.kinds = ["ConfigMap", "Secret"]
        server.watches.append(Reply(chunks=[event("ADDED", config_map("a", 4))], hold=True))
        page = {"metadata": {"resourceVersion": "9"}, "items": [config_map("a", 4)]}
        server.lists.extend([Reply(body=page), Reply(body={**page, "items": []})])

    async def body(server: FaultServer, cache: ClusterCache, changes: Changes) -> None:
        await cache.ensure([CM])
        assert changes == [("added", "a", "4")]
        await cache.ensure([GroupKind("", "Secret")])
        streamed = [r for r in server.watched() if "sendInitialEvents" in r.query]
        assert len(streamed) == 1, "tried once, then remembered"

    with_cache(prepare, body)


def test_a_connection_that_is_dead_without_a_word_is_noticed_by_its_missing_bookmarks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reflector, "BOOKMARK_SILENCE_S", 0.05)

    def prepare(server: FaultServer) -> None:
        server.watches.append(Reply(chunks=[*initial(version=5), bookmark(8)], hold=True))
        server.watches.append(Reply(chunks=[event("ADDED", config_map("b", 9))], hold=True))

    async def body(server: FaultServer, cache: ClusterCache, changes: Changes) -> None:
        await cache.ensure([CM])
        await eventually(lambda: cache.get(key("b")))
        assert server.watched()[1].query["resourceVersion"] == "8"
        await asyncio.sleep(0.15)
        assert len(server.watched()) == 2, "a quiet watch without bookmarks is legal"

    with_cache(prepare, body)


def test_a_storm_of_410_is_bounded_by_the_back_off() -> None:
    async def main() -> None:
        clock = ManualClock()
        async with (
            fault_server() as server,
            Client(Connection(server=server.url), qps=None, clock=clock) as client,
        ):
            server.other = lambda request: (
                Reply(chunks=[event("ERROR", status(410, "Expired"))]) if request.is_watch else None
            )
            async with ClusterCache(client, rng=random.Random(1)) as cache:
                with pytest.raises(Timeout):
                    await cache.ensure([CM], timeout_s=0.2)
                for _ in range(60):
                    await clock.advance(1)
                    await asyncio.sleep(0.005)
        assert 4 <= len(server.watched()) <= 25

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_burst_of_twenty_thousand_events_leaves_the_loop_responsive() -> None:
    lines = [
        event("MODIFIED", config_map(f"n{i % 500}", i + 10, t="x" * 300)) for i in range(20_000)
    ]
    chunks = [b"".join(lines[at : at + 500]) for at in range(0, len(lines), 500)]

    async def body(server: FaultServer, cache: ClusterCache, changes: Changes) -> None:
        await cache.ensure([CM])
        worst = 0.0
        while cache.status()[0].resource_version != "20009":
            before = time.perf_counter()
            await asyncio.sleep(0)
            worst = max(worst, time.perf_counter() - before)
        assert worst < 0.1
        assert len(cache.list(CM)) == 500

    with_cache(
        lambda server: server.watches.append(
            Reply(chunks=[*initial(version=5), *chunks], hold=True)
        ),
        body,
    )


def test_a_watch_the_server_forgets_to_end_is_ended_by_us_without_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reflector, "WATCH_S", (0, 0))
    monkeypatch.setattr(reflector, "WATCH_GRACE_S", 0.1)

    def prepare(server: FaultServer) -> None:
        server.watches.append(Reply(chunks=initial(version=5), hold=True))
        server.watches.append(Reply(chunks=[event("ADDED", config_map("b", 9))], hold=True))

    async def body(server: FaultServer, cache: ClusterCache, changes: Changes) -> None:
        await cache.ensure([CM])
        await eventually(lambda: cache.get(key("b")))
        assert cache.status()[0].error == ""
        assert server.watched()[1].query["resourceVersion"] == "5"

    with_cache(prepare, body)
