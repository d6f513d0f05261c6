"""spec/controller-runtime.md 7: events for `kubectl describe`, bounded and never in the way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from trimtab.kube import Forbidden, Unreachable
from trimtab.runtime import EventRecorder, ManualClock

from .fakes import FakeClient, widget

Body = Callable[[FakeClient, EventRecorder, ManualClock], Awaitable[None]]


def run(body: Body) -> tuple[FakeClient, EventRecorder]:
    async def main() -> tuple[FakeClient, EventRecorder]:
        clock = ManualClock()
        client = FakeClient(clock)
        recorder = EventRecorder(client, "trimtab")  # type: ignore[arg-type]
        async with asyncio.TaskGroup() as group:
            task = group.create_task(recorder.run())
            await clock.advance(0)
            await body(client, recorder, clock)
            task.cancel()
        return client, recorder

    return asyncio.run(asyncio.wait_for(main(), 10))


def stored(client: FakeClient) -> list[dict[str, Any]]:
    return [obj for (kind, _, _), obj in client.objects.items() if kind == "Event"]


def test_the_same_event_is_one_object_with_a_count() -> None:
    async def body(client: FakeClient, recorder: EventRecorder, clock: ManualClock) -> None:
        recorder.event(widget("a"), "Normal", "Synced", "applied")
        recorder.event(widget("a"), "Normal", "Synced", "applied")
        await clock.advance(60)
        recorder.event(widget("a", 9), "Normal", "Synced", "applied")
        recorder.event(widget("a"), "Warning", "Failed", "no")
        await clock.advance(0)

    client, _ = run(body)
    synced, failed = stored(client)
    assert (synced["count"], synced["type"], synced["reason"]) == (3, "Normal", "Synced")
    assert synced["firstTimestamp"] == "2026-01-01T00:00:00Z"
    assert synced["lastTimestamp"] == "2026-01-01T00:01:00Z"
    assert synced["metadata"]["namespace"] == "team"
    assert synced["involvedObject"] == {
        "apiVersion": "example.io/v1",
        "kind": "Widget",
        "name": "a",
        "namespace": "team",
        "uid": "uid-a",
        "resourceVersion": "9",
    }
    assert synced["source"] == {"component": "trimtab"}
    assert failed["count"] == 1


def test_a_new_process_counts_on() -> None:
    async def body(client: FakeClient, recorder: EventRecorder, clock: ManualClock) -> None:
        recorder.event(widget("a"), "Normal", "Synced", "applied")
        await clock.advance(0)
        second = EventRecorder(client, "trimtab")  # type: ignore[arg-type]
        async with asyncio.TaskGroup() as group:
            task = group.create_task(second.run())
            second.event(widget("a"), "Normal", "Synced", "applied")
            await clock.advance(0)
            task.cancel()
        client.objects.clear()  # an hour later the server has dropped it
        recorder.event(widget("a"), "Normal", "Synced", "applied")
        await clock.advance(0)
        assert client.calls.count("create") == 3
        assert stored(client)[0]["count"] == 1

    run(body)


def test_an_object_that_talks_too_much_is_cut_short() -> None:
    async def body(client: FakeClient, recorder: EventRecorder, clock: ManualClock) -> None:
        for number in range(40):
            recorder.event(widget("a"), "Warning", "Failed", f"attempt {number}")
        recorder.event(widget("quiet"), "Normal", "Synced", "ok")
        await clock.advance(0)
        assert len(stored(client)) == 26
        await clock.advance(301)
        recorder.event(widget("a"), "Warning", "Failed", "attempt 41")
        recorder.event(widget("a"), "Warning", "Failed", "attempt 42")
        await clock.advance(0)
        assert len(stored(client)) == 27

    _, recorder = run(body)
    assert recorder.dropped == 16


def test_what_waits_is_bounded_and_the_rest_is_sent_at_the_end() -> None:
    async def main() -> None:
        client = FakeClient(ManualClock())
        recorder = EventRecorder(client, "trimtab")  # type: ignore[arg-type]
        for number in range(1500):
            recorder.event(widget(f"w{number}"), "Normal", "Synced", "ok")
        assert recorder.dropped == 500
        task = asyncio.create_task(recorder.run())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert len(stored(client)) == 1000

    asyncio.run(main())


def test_a_refusal_loses_the_event_and_a_broken_line_delays_it() -> None:
    async def body(client: FakeClient, recorder: EventRecorder, clock: ManualClock) -> None:
        client.failures = [
            Forbidden("namespace is being terminated"),
            Unreachable("gone", sent=True),
        ]
        recorder.event(widget("lost"), "Normal", "Synced", "ok")
        recorder.event(widget("late"), "Normal", "Synced", "ok")
        await clock.advance(0)
        assert stored(client) == []
        await clock.advance(2)
        assert [event["involvedObject"]["name"] for event in stored(client)] == ["late"]

    run(body)


def test_credentials_in_a_message_are_scrubbed() -> None:
    async def body(client: FakeClient, recorder: EventRecorder, clock: ManualClock) -> None:
        recorder.event(widget("a"), "Warning", "Failed", "cannot fetch https://me:pw@git/x")
        await clock.advance(0)
        assert stored(client)[0]["message"] == "cannot fetch https://***@git/x"

    run(body)


def test_an_event_being_sent_when_the_end_comes_is_sent_by_the_last_flush() -> None:
    async def main() -> None:
        client = FakeClient(ManualClock())
        recorder = EventRecorder(client, "trimtab")  # type: ignore[arg-type]
        task = asyncio.create_task(recorder.run())
        await asyncio.sleep(0)
        client.failures = [asyncio.CancelledError()]  # type: ignore[list-item]
        recorder.event(widget("a"), "Normal", "Synced", "ok")
        await asyncio.wait({task}, timeout=5)
        assert [event["count"] for event in stored(client)] == [1]

    asyncio.run(main())
