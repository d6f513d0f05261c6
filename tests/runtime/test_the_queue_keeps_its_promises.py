"""spec/controller-runtime.md 6, fault cases 33-37: the queue against a model, and in the small."""

from __future__ import annotations

import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from trimtab.runtime import ManualClock, Priority, Schedule, WorkQueue

KEYS = st.sampled_from("abcde")
PRIORITIES = st.sampled_from([int(each) for each in Priority])


class QueueModel(RuleBasedStateMachine):
    """The model: a set of wanted keys, a set of held keys, and earliest due times."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: Schedule[str] = Schedule()
        self.now = 0.0
        self.ready: dict[str, int] = {}
        self.held: set[str] = set()
        self.again: set[str] = set()
        self.external: dict[str, float] = {}
        self.own: dict[str, float] = {}

    @rule(key=KEYS, priority=PRIORITIES)
    def add_now(self, key: str, priority: int) -> None:
        self.queue.add(key, "now", now=self.now, priority=priority)
        self.want(key, priority)

    @rule(key=KEYS, delay=st.integers(1, 50), priority=PRIORITIES)
    def add_later(self, key: str, delay: int, priority: int) -> None:
        self.queue.add(key, "later", now=self.now, priority=priority, delay_s=delay)
        self.external[key] = min(self.external.get(key, 1e9), self.now + delay)

    @rule(key=KEYS, delay=st.integers(0, 50))
    def requeue(self, key: str, delay: int) -> None:
        self.queue.requeue(key, "own", now=self.now, delay_s=delay)
        self.own[key] = self.now + delay

    @rule(seconds=st.integers(0, 40))
    def pass_time(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def take(self) -> None:
        for timers in (self.external, self.own):
            for key in [key for key, due in timers.items() if due <= self.now]:
                del timers[key]
                self.want(key, 4)
        item = self.queue.take(self.now)
        if item is None:
            assert not self.ready, "a ready key was not given out"
            return
        assert item.key in self.ready, "a key came that nobody wanted"
        assert item.key not in self.held, "two workers on one key"
        assert item.reasons
        del self.ready[item.key]
        self.held.add(item.key)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.held)))
        self.queue.done(key)
        self.held.discard(key)
        if key in self.again:
            self.again.discard(key)
            self.ready[key] = 4

    @invariant()
    def counts_agree(self) -> None:
        stats = self.queue.stats()
        assert stats.processing == len(self.held)
        assert sum(self.queue.depths().values()) == stats.ready

    @invariant()
    def the_next_due_time_is_the_earliest(self) -> None:
        timers = [*self.external.values(), *self.own.values()]
        if all(due > self.now for due in timers):
            assert self.queue.next_due() == (min(timers) if timers else None)

    def teardown(self) -> None:
        """However it went: when everybody lets go and time passes, every wanted key comes once."""
        self.now += 1000
        for key in list(self.held):
            self.queue.done(key)
        wanted = {*self.ready, *self.again, *self.external, *self.own}
        given = []
        while (item := self.queue.take(self.now)) is not None:
            given.append(item.key)
        assert sorted(given) == sorted(wanted)

    def want(self, key: str, priority: int) -> None:
        if key in self.held:
            self.again.add(key)
        else:
            self.ready[key] = min(priority, self.ready.get(key, 9))


TestQueueModel = QueueModel.TestCase
TestQueueModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_key_added_while_it_is_worked_on_runs_exactly_once_more() -> None:
    queue: Schedule[str] = Schedule()
    queue.add("a", "first", now=0, priority=1)
    assert queue.take(0).key == "a"
    for number in range(5):
        queue.add("a", f"again {number}", now=1, priority=1)
    assert queue.take(1) is None
    queue.done("a")
    assert queue.take(1).reasons == tuple(f"again {number}" for number in range(5))
    queue.done("a")
    assert queue.take(1) is None


def test_a_delayed_key_comes_at_the_earliest_time_that_was_asked_for() -> None:
    queue: Schedule[str] = Schedule()
    for delay in (60, 10, 30):
        queue.add("a", f"in {delay}", now=0, priority=1, delay_s=delay)
    assert queue.take(9.9) is None
    assert queue.next_due() == 10
    assert queue.take(10).reasons == ("in 10",)
    queue.done("a")
    assert queue.take(1000) is None


def test_back_off_doubles_and_starts_afresh_after_success() -> None:
    queue: Schedule[str] = Schedule()
    delays = [queue.fail("a", "retry", now=0) for _ in range(20)]
    assert delays[:4] == [0.005, 0.01, 0.02, 0.04]
    assert delays[-1] == 300
    queue.succeed("a")
    assert queue.next_due() is None, "a success forgets the retry that was planned"
    assert queue.fail("a", "retry", now=0) == 0.005


def test_many_failing_keys_are_rationed_to_ten_a_second() -> None:
    queue: Schedule[int] = Schedule()
    delays = [queue.fail(key, "retry", now=0) for key in range(200)]
    assert max(delays[:100]) == 0.005
    assert delays[199] == 10.0


def test_urgent_keys_overtake_the_initial_list_and_waiting_keys_rise() -> None:
    queue: Schedule[str] = Schedule()
    for number in range(50):
        queue.add(f"old{number}", "initial list", now=0, priority=Priority.INITIAL)
    queue.add("live", "changed", now=1, priority=Priority.EVENT)
    queue.add("old7", "user", now=1, priority=Priority.USER)
    assert [queue.take(1).key for _ in range(3)] == ["old7", "live", "old0"]
    # After 90 s the initial keys have risen three levels: a fresh user action is no longer first.
    queue.add("late", "user", now=91, priority=Priority.USER)
    assert queue.take(91).key == "old1"


def test_reasons_are_bounded_and_not_repeated() -> None:
    queue: Schedule[str] = Schedule()
    for number in range(100):
        queue.add("a", f"reason {number % 20}", now=0, priority=1)
    assert len(queue.take(0).reasons) == 8


def test_waiting_workers_wake_when_a_delayed_key_is_due() -> None:
    async def main() -> None:
        clock = ManualClock()
        queue: WorkQueue[str] = WorkQueue(clock=clock)
        got: list[tuple[str, float]] = []

        async def worker() -> None:
            while (item := await queue.get()) is not None:
                got.append((item.key, clock.monotonic()))
                queue.done(item.key)

        async with asyncio.TaskGroup() as group:
            group.create_task(queue.run())
            for _ in range(3):
                group.create_task(worker())
            queue.add("b", "later", delay_s=20)
            queue.add("a", "later", delay_s=5)
            queue.add("b", "sooner", delay_s=10)
            queue.add("now", "now")
            await clock.advance(4)
            assert got == [("now", 0.0)]
            await clock.advance(100)
            assert got[1:] == [("a", 5.0), ("b", 10.0)]
            queue.close()

    asyncio.run(asyncio.wait_for(main(), 5))


def test_closing_frees_every_waiting_worker() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue(clock=ManualClock())
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(queue.get()) for _ in range(4)]
            await asyncio.sleep(0)
            queue.close()
        assert [task.result() for task in waiting] == [None] * 4
        queue.add("a", "too late")
        assert await queue.get() is None

    asyncio.run(asyncio.wait_for(main(), 5))
