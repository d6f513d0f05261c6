"""spec/controller-runtime.md 14, case 62: whatever breaks, the cache ends as a fresh list would;
and what listeners were told adds up to it. Cases 3-8, 13, 14, 30 in random order."""

from __future__ import annotations

import asyncio
import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trimtab.kube import Client, ClusterCache, Connection, LiveObject
from trimtab.objects import GroupKind, ObjectKey

from .fault_server import eventually
from .honest_server import HonestServer

CM = GroupKind("", "ConfigMap")
NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
STEPS = st.one_of(
    st.tuples(st.just("put"), NAMES, st.sampled_from("xyz")),
    st.tuples(st.just("remove"), NAMES),
    st.tuples(st.just("remake"), NAMES),
    st.tuples(st.just("note"), NAMES),
    st.tuples(st.just("cut"), st.booleans()),
    st.tuples(st.just("compact")),
    st.tuples(st.just("lose"), NAMES),
    st.tuples(st.just("bookmark")),
    st.tuples(st.just("streaming"), st.booleans()),
    st.tuples(st.just("stutter"), st.booleans()),
    st.tuples(st.just("pause")),
)


class Eager(random.Random):
    """Back-off without waiting; the order of events is what matters here."""

    def uniform(self, a: float, b: float) -> float:
        return a


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=1, max_size=25))
def test_after_any_faults_the_cache_is_the_truth(steps: list[tuple[str, ...]]) -> None:
    asyncio.run(asyncio.wait_for(play(steps), 30))


async def play(steps: list[tuple[str, ...]]) -> None:
    server = HonestServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    mirror: dict[ObjectKey, LiveObject] = {}
    wrong: list[object] = []

    def listen(old: LiveObject | None, new: LiveObject | None) -> None:
        record = new or old
        assert record is not None
        if mirror.get(record.key) is not old:
            wrong.append((record.key, old, new))  # the cache outlives what a listener raises
        if new is None:
            del mirror[record.key]
        else:
            mirror[record.key] = new

    server.put("a", text="first")
    async with (
        Client(Connection(server=server.url), qps=None) as client,
        ClusterCache(client, rng=Eager(1)) as cache,
    ):
        cache.subscribe(listen)
        await cache.ensure([CM])
        for step in steps:
            await act(server, cache, *step)
        truth = {
            name: (obj["metadata"]["uid"], obj["metadata"]["resourceVersion"])
            for name, obj in server.objects.items()
        }
        await eventually(lambda: facts(cache) == truth, seconds=10)
        assert {record.key for record in cache.list(CM)} == set(mirror)
        assert wrong == [], "a listener was told of a change from something else"
        assert all(mirror[record.key] is record for record in cache.list(CM))
    server.cut()
    listening.close()


def facts(cache: ClusterCache) -> dict[str, tuple[str, str]]:
    return {each.key.name: (each.uid, each.resource_version) for each in cache.list(CM)}


async def act(server: HonestServer, cache: ClusterCache, what: str, *args: str) -> None:
    if what == "put":
        server.put(args[0], text=args[1])
    elif what == "remove":
        server.remove(args[0])
    elif what == "remake":
        server.remove(args[0])
        server.put(args[0], text="again")
    elif what == "note":
        # Our own write: noted at once, or after the watch (or even its deletion) overtook it.
        written = server.put(args[0], text="ours")
        await cache.note_write(written)
        found = cache.get(ObjectKey("", "ConfigMap", "default", args[0]))
        assert found is not None
        assert int(found.resource_version) >= int(written["metadata"]["resourceVersion"])
    elif what == "cut":
        server.cut(middle=bool(args[0]))
    elif what == "compact":
        server.compact()
        server.cut()
    elif what == "lose":
        # Deleted, and nobody is told: only the next list shows it.
        streams, server.streams = server.streams, []
        server.remove(args[0])
        server.compact()
        server.streams = streams
        server.cut()
    elif what == "bookmark":
        server.bookmark()
    elif what in {"streaming", "stutter"}:
        setattr(server, what, bool(args[0]))
    else:
        await asyncio.sleep(0.01)
