"""spec/controller-runtime.md 6, 11; fault cases 33-40."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import CollectorRegistry

from trimtab.kube import Conflict
from trimtab.objects import GroupKind
from trimtab.runtime import (
    Context,
    Controller,
    Key,
    Manager,
    ManualClock,
    Metrics,
    NotOwned,
    Result,
    Retryable,
    Terminal,
    Watch,
)

from .fakes import CONFIG, WIDGET, FakeCache, FakeClient, Lines, widget


class World:
    """One manager on a clock of our own; what was reconciled, when and why."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.cache = FakeCache(self.clock)
        self.lines = Lines()
        self.registry = CollectorRegistry()
        self.stop = asyncio.Event()
        self.runs: list[tuple[str, float, tuple[str, ...]]] = []
        self.answer: Callable[[Key], Any] = lambda _: Result()
        self.hold: asyncio.Event | None = None

    async def reconcile(self, ctx: Context, key: Key) -> Result:
        self.runs.append((key.name, round(ctx.clock.monotonic(), 3), ctx.reasons))
        if self.hold is not None:
            await self.hold.wait()
        answer = self.answer(key)
        if isinstance(answer, BaseException):
            raise answer
        assert isinstance(answer, Result)
        return answer

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.runs]

    @property
    def times(self) -> list[float]:
        return [at for _, at, _ in self.runs]

    def sample(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


def run(body: Callable[[World, Controller], Awaitable[None]], **options: Any) -> World:
    async def main() -> World:
        world = World()
        log = world.lines.logger(world.clock)
        controller = Controller("widgets", WIDGET, world.reconcile, **options)
        manager = Manager(
            FakeClient(world.clock),  # type: ignore[arg-type]
            world.cache,  # type: ignore[arg-type]
            clock=world.clock,
            log=log,
            metrics=Metrics(world.registry, log=log),
            grace_s=0.3,
        )
        manager.add(controller)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(manager.run(world.stop))
            await body(world, controller)
            world.stop.set()
            await asyncio.wait_for(task, 5)
        return world

    return asyncio.run(asyncio.wait_for(main(), 20))


def test_what_is_there_at_the_start_is_reconciled_and_then_every_asked_for_change() -> None:
    async def body(world: World, controller: Controller) -> None:
        world.cache.put(widget("a"))
        await world.clock.advance(0)
        assert world.runs == [("a", 0.0, ("initial list",))]
        # Without a status subresource the server raises the generation for a status as well.
        changed = widget("a", 2, generation=2)
        changed["status"] = {"phase": "busy"}
        world.cache.put(changed)
        await world.clock.advance(1)
        assert len(world.runs) == 1, "a status update wakes nobody"
        world.cache.put(widget("a", 3, generation=3, replicas=2))
        await world.clock.advance(0)
        annotated = widget("a", 4, generation=3, replicas=2)
        annotated["metadata"]["annotations"] = {"reconcile.fluxcd.io/requestedAt": "now"}
        world.cache.put(annotated)
        await world.clock.advance(0)
        world.cache.remove(annotated)
        await world.clock.advance(0)
        assert [reasons for _, _, reasons in world.runs[1:]] == [
            ("Widget a changed",),
            ("Widget a changed",),
            ("Widget a deleted",),
        ]

    run(body)


def test_changes_of_another_kind_wake_the_mapped_keys_once_for_a_burst() -> None:
    def mapper(obj: dict[str, Any]) -> list[Key]:
        return [Key("team", name) for name in obj["data"]["for"].split(",")]

    async def body(world: World, controller: Controller) -> None:
        await world.clock.advance(0)
        for version in range(1, 20):
            names = "a,b" if version < 10 else "b,c"
            meta = {"name": "x", "uid": "u", "namespace": "n", "resourceVersion": str(version)}
            world.cache.put(
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"for": names}}
            )
        await world.clock.advance(0.05)
        assert world.runs == []
        await world.clock.advance(0.06)
        assert sorted(world.names) == ["a", "b", "c"]

    run(body, watches=[Watch(CONFIG, mapper)])


def test_a_requeue_comes_when_asked_for_and_a_resync_within_its_band() -> None:
    async def body(world: World, controller: Controller) -> None:
        world.answer = lambda key: Result(60.0 if key.name == "timed" else None)
        world.cache.put(widget("timed"))
        world.cache.put(widget("plain"))
        await world.clock.advance(130)
        assert [(name, at) for name, at, _ in world.runs if name == "timed"] == [
            ("timed", 0.0),
            ("timed", 60.0),
            ("timed", 120.0),
        ]
        await world.clock.advance(600)
        plain = [at for name, at, _ in world.runs if name == "plain"]
        assert len(plain) == 2
        assert 480 <= plain[1] <= 720

    run(body)


def test_failures_back_off_and_never_end_the_pool() -> None:
    async def body(world: World, controller: Controller) -> None:
        world.answer = lambda key: ValueError("boom") if key.name == "bad" else Result()
        world.cache.put(widget("bad"))
        await world.clock.advance(1)
        failed = len(world.runs)
        assert 6 <= failed <= 9, "5 ms, doubling"
        world.cache.put(widget("good"))
        await world.clock.advance(0)
        assert world.names[-1] == "good"
        assert "ValueError: boom" in world.lines.text
        world.answer = lambda _: Result()
        await world.clock.advance(2)
        world.answer = lambda _: Retryable("no", after_s=7)
        before = world.clock.monotonic()
        controller.enqueue(Key("team", "bad"), "user")
        await world.clock.advance(8)
        assert world.times[-2:] == [round(before, 3), round(before + 7, 3)]
        assert world.sample(
            "runtime_reconcile_total", controller="widgets", result="panic"
        ) == float(failed)

    run(body, workers=2)


def test_a_terminal_error_waits_for_a_change_and_a_foreign_key_is_dropped() -> None:
    async def body(world: World, controller: Controller) -> None:
        world.answer = lambda _: Terminal("bad spec", reason="InvalidSpec")
        world.cache.put(widget("a"))
        await world.clock.advance(300)
        assert len(world.runs) == 1
        assert "reason=InvalidSpec" in world.lines.text
        world.cache.put(widget("a", 2, generation=2, fixed=True))
        await world.clock.advance(0)
        assert len(world.runs) == 2
        world.answer = lambda _: NotOwned("not ours")
        controller.enqueue(Key("team", "other"), "user")
        await world.clock.advance(2000)
        assert world.names.count("other") == 1

    run(body)


def test_a_conflict_is_tried_again_at_once_without_noise() -> None:
    async def body(world: World, controller: Controller) -> None:
        answers: list[Any] = [Conflict("stale"), Result()]
        world.answer = lambda _: answers.pop(0)
        controller.enqueue(Key("team", "a"), "user")
        await world.clock.advance(0.02)
        assert world.names == ["a", "a"]
        assert world.lines == []

    run(body)


def test_a_stuck_reconcile_is_cancelled_after_five_minutes_and_its_key_released() -> None:
    async def body(world: World, controller: Controller) -> None:
        world.hold = asyncio.Event()
        controller.enqueue(Key("team", "a"), "user")
        await world.clock.advance(299)
        assert controller.running == 1
        await world.clock.advance(1)
        world.hold = None
        await world.clock.advance(1)
        assert len(world.runs) == 2
        assert controller.running == 0
        assert (
            world.sample("runtime_reconcile_total", controller="widgets", result="timeout") == 1.0
        )

    run(body, workers=1)


def test_one_key_never_runs_twice_at_once_and_reruns_once_after() -> None:
    async def body(world: World, controller: Controller) -> None:
        world.hold = asyncio.Event()
        for number in range(5):
            controller.enqueue(Key("team", "a"), f"user {number}")
            await world.clock.advance(0)
        assert len(world.runs) == 1
        world.hold.set()
        await world.clock.advance(0)
        assert [reasons for _, _, reasons in world.runs] == [
            ("user 0",),
            ("user 1", "user 2", "user 3", "user 4"),
        ]

    run(body)


def test_a_stop_lets_running_work_finish_and_starts_nothing_new() -> None:
    async def body(world: World, controller: Controller) -> None:
        world.hold = asyncio.Event()
        controller.enqueue(Key("team", "a"), "user")
        await world.clock.advance(0)
        controller.enqueue(Key("team", "b"), "user")
        controller.enqueue(Key("team", "a"), "again")
        world.stop.set()
        await world.clock.advance(0)
        world.hold.set()

    world = run(body, workers=1)
    assert world.names == ["a"]
    assert world.sample("runtime_reconcile_total", controller="widgets", result="success") == 1.0


def test_a_stop_gives_up_on_what_does_not_end() -> None:
    async def body(world: World, controller: Controller) -> None:
        world.hold = asyncio.Event()
        controller.enqueue(Key("team", "a"), "user")
        await world.clock.advance(0)

    world = run(body)
    assert "stopped before its reconciles ended" in world.lines.text


def test_a_controller_waits_for_its_kind_to_be_installed() -> None:
    async def body(world: World, controller: Controller) -> None:
        world.cache.unknown.add(WIDGET)
        controller.enqueue(Key("team", "early"), "user")
        await world.clock.advance(10)
        assert world.runs == []
        assert "waiting for the kind to be installed" in world.lines.text
        world.cache.unknown.clear()
        world.cache.put(widget("a"))
        await world.clock.advance(60)
        assert sorted(world.names) == ["a", "early"]

    run(body)


def test_a_missing_secondary_kind_does_not_hold_the_controller() -> None:
    other = GroupKind("later.io", "Thing")

    async def body(world: World, controller: Controller) -> None:
        world.cache.unknown.add(other)
        world.cache.put(widget("a"))
        await world.clock.advance(1)
        assert world.names == ["a"]
        before = len(world.cache.ensured)
        await world.clock.advance(61)
        assert len(world.cache.ensured) == before + 1, "asked for again, once a minute"

    run(body, watches=[Watch(other, lambda obj: [])])


def test_queue_depth_is_measured_by_priority() -> None:
    async def body(world: World, controller: Controller) -> None:
        world.hold = asyncio.Event()
        for name in "abc":
            controller.enqueue(Key("team", name), "user")
        await world.clock.advance(0)
        depth = world.sample("runtime_queue_depth", controller="widgets", priority="0")
        assert depth == 2.0
        world.hold.set()
        await world.clock.advance(0)

    run(body, workers=1)


def test_a_reconcile_that_cancels_itself_costs_no_worker() -> None:
    async def body(world: World, controller: Controller) -> None:
        world.answer = lambda key: asyncio.CancelledError() if key.name == "odd" else Result()
        controller.enqueue(Key("team", "odd"), "user")
        await world.clock.advance(0)
        controller.enqueue(Key("team", "even"), "user")
        await world.clock.advance(0)
        assert world.names == ["odd", "even"]
        assert "the work cancelled itself" in world.lines.text

    run(body, workers=1)


def test_a_failure_inside_a_task_group_counts_as_itself() -> None:
    async def body(world: World, controller: Controller) -> None:
        world.answer = lambda _: ExceptionGroup("tasks", [Terminal("bad", reason="InvalidSpec")])
        controller.enqueue(Key("team", "a"), "user")
        await world.clock.advance(300)
        assert world.names == ["a"]
        assert "reason=InvalidSpec" in world.lines.text

    run(body)


def test_finalizers_wake_a_controller_only_while_an_object_is_deleted() -> None:
    async def body(world: World, controller: Controller) -> None:
        await world.clock.advance(0)

        def obj(version: int, *finalizers: str, dying: bool = False) -> dict[str, Any]:
            made = widget("a", version)
            made["metadata"]["finalizers"] = list(finalizers)
            if dying:
                made["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            return made

        for state in (obj(1), obj(2, "ours"), obj(3, "ours", "theirs")):
            world.cache.put(state)
            await world.clock.advance(0)
        assert len(world.runs) == 1
        world.cache.put(obj(4, "ours", "theirs", dying=True))
        await world.clock.advance(0)
        world.cache.put(obj(5, "ours", dying=True))
        await world.clock.advance(0)
        assert len(world.runs) == 3

    run(body)
