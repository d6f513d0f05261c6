from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime

import msgspec
import pytest

from trimtab.cluster.simulation import (
    LiveLock,
    ManualClock,
    RealClock,
    ScaledClock,
    Stage,
    clock_of,
    start,
)
from trimtab.cluster.simulation.runner import Runner
from trimtab.cluster.simulation.schedule import BadSchedule, parse_schedule
from trimtab.errors import TrimtabError
from trimtab.objects.identity import GroupKind, ObjectKey

from .fixtures import cluster, conditions, deployment, node
from .world import MemoryWorld


def _key(name):
    return ObjectKey("", "Thing", "demo", name)


def test_queues_take_turns_and_keys_keep_their_order():
    runner, ran = Runner(clock=ManualClock()), []
    first = runner.queue("first", lambda key: ran.append(("first", key.name)))
    second = runner.queue("second", lambda key: ran.append(("second", key.name)))
    for name in "abc":
        second.add(_key(name))
        first.add(_key(name))
    first.add(_key("a"))  # waits already
    assert runner.settle() == 6
    assert ran == [(queue, name) for queue in ("first", "second") for name in "abc"]


def test_a_turn_is_what_waited_when_it_began():
    runner, ran = Runner(clock=ManualClock()), []

    def again(key):
        ran.append("first")
        if len(ran) < 3:
            first.add(key)

    first = runner.queue("first", again)
    second = runner.queue("second", lambda key: ran.append("second"))
    first.add(_key("a"))
    second.add(_key("a"))
    runner.settle()
    assert ran == ["first", "second", "first"]


def test_timers_fire_in_order_of_time_and_the_earlier_of_two_wins():
    clock = ManualClock()
    runner, ran = Runner(clock=clock), []
    queue = runner.queue("q", lambda key: ran.append((key.name, clock.monotonic())))
    queue.add_after(_key("late"), 20)
    queue.add_after(_key("late"), 30)
    queue.add_after(_key("early"), 10)
    queue.add_after(_key("late"), 15)
    runner.advance(40)
    assert ran == [("early", 10), ("late", 15)]
    assert clock.now() == datetime(2026, 1, 1, 0, 0, 40, tzinfo=UTC)


def test_a_live_lock_names_the_busiest_key():
    runner = Runner(clock=ManualClock(), settle_limit=100)
    queue = runner.queue("ping", lambda key: queue.add(key))
    queue.add(_key("pong"))
    with pytest.raises(LiveLock, match=r"did not settle.*ping Thing/demo/pong \(100\)"):
        runner.settle()


def test_a_failed_reconcile_is_tried_again_later_and_later():
    clock = ManualClock()
    runner, tries = Runner(clock=clock), []

    def fail(key):
        tries.append(round(clock.monotonic(), 3))
        raise TrimtabError("not now")

    runner.queue("q", fail).add(_key("a"))
    runner.advance(1)
    assert tries == [0, 0.1, 0.3, 0.7]


def test_a_mistake_of_ours_is_not_swallowed():
    runner = Runner(clock=ManualClock())
    runner.queue("q", lambda key: key.absent).add(_key("a"))
    with pytest.raises(AttributeError):
        runner.settle()


def test_clocks_are_named():
    assert isinstance(clock_of("real"), RealClock)
    assert isinstance(clock_of("manual"), ManualClock)
    scaled = clock_of("10")
    assert isinstance(scaled, ScaledClock)
    assert scaled.wall_seconds(5) == 0.5
    for bad in ("fast", 0, "-1"):
        with pytest.raises(TrimtabError):
            clock_of(bad)
    with pytest.raises(TrimtabError, match="manual clock"):
        Runner(clock=RealClock()).advance(1)


def test_a_scaled_clock_runs_a_rollout_to_its_end():
    async def scenario():
        clock = ScaledClock(50)
        world = MemoryWorld(clock=clock)
        simulation = start(world, clock=clock, rng=random.Random(1))
        task = asyncio.create_task(simulation.run())
        world.create(deployment(), manager="user")
        async with asyncio.timeout(5):
            while world.one("Deployment", "web").get("status", {}).get("availableReplicas") != 3:
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        before = simulation.reconciles
        world.create(deployment("other"), manager="user")
        assert simulation.reconciles == before  # it no longer listens

    asyncio.run(scenario())


def test_an_idle_cluster_does_almost_nothing():
    world, simulation = cluster(deployment(replicas=20), nodes=3)
    before = simulation.reconciles
    writes = len(world.log)
    simulation.advance(600)
    # A heartbeat a node every 10 s, and one look at the progress deadline.
    assert simulation.reconciles - before <= 3 * 60 + 1
    assert {name.split("/")[1] for _, name in world.log[writes:]} == {"Lease"}


def test_it_is_idle_until_something_happens():
    world, simulation = cluster()
    assert simulation.idle
    world.create(deployment(), manager="user")
    assert not simulation.idle
    simulation.settle()
    assert simulation.idle


def test_a_restart_takes_up_what_is_there():
    world, first = cluster(deployment())
    first.close()
    pods = {p["metadata"]["uid"] for p in world.all("Pod")}
    again = start(world, clock=world.clock, rng=random.Random(2))
    writes = len(world.log)
    again.settle()
    assert {p["metadata"]["uid"] for p in world.all("Pod")} == pods
    assert len(world.log) == writes
    world.change("Deployment", "web", lambda o: o["spec"].update(replicas=5))
    again.settle()
    assert world.one("Deployment", "web")["status"]["availableReplicas"] == 5
    assert len({p["status"]["podIP"] for p in world.all("Pod")}) == 5


CERTIFICATE = GroupKind("cert-manager.io", "Certificate")
READY = Stage(
    kind=CERTIFICATE,
    delay_s=5,
    status={
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Ready",
                "message": "Certificate {name} is up to date",
                "observedGeneration": "{generation}",
            }
        ],
        "notBefore": "{now}",
    },
    event=("Issuing", "The certificate has been successfully issued"),
)


def _certificate(**notes):
    meta = {"name": "tls", "namespace": "demo", "annotations": notes}
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": meta,
        "spec": {"secretName": "tls"},
    }


def test_a_stage_makes_a_custom_object_ready():
    world, simulation = cluster(_certificate(), stages=[READY])
    simulation.advance(4)
    assert "status" not in world.one("Certificate", "tls")
    simulation.advance(2)
    tls = world.one("Certificate", "tls")
    assert conditions(tls) == {"Ready": ("True", "Ready")}
    assert tls["status"]["conditions"][0]["observedGeneration"] == 1
    assert tls["status"]["conditions"][0]["message"] == "Certificate tls is up to date"
    assert tls["status"]["notBefore"] == "2026-01-01T00:00:05Z"
    world.change("Certificate", "tls", lambda o: o["spec"].update(secretName="other"))
    simulation.advance(10)
    tls = world.one("Certificate", "tls")
    assert tls["status"]["conditions"][0]["observedGeneration"] == 2
    assert ("Certificate/tls", "Normal", *READY.event) in world.events


def test_jitter_spreads_a_stage_the_same_way_for_one_seed():
    spread = msgspec.structs.replace(READY, jitter_s=100)
    times = []
    for _ in range(2):
        objects = [_certificate() for _ in range(5)]
        for number, obj in enumerate(objects):
            obj["metadata"]["name"] = f"tls-{number}"
        world, simulation = cluster(*objects, stages=[spread])
        simulation.advance(105)
        times.append([c["status"]["notBefore"] for c in world.all("Certificate")])
    assert times[0] == times[1]
    assert len(set(times[0])) == 5


def test_a_stage_leaves_objects_alone_that_are_to_fail():
    world, simulation = cluster(_certificate(**{"embedded.sim/fail": "never"}), stages=[READY])
    simulation.advance(60)
    assert "status" not in world.one("Certificate", "tls")


def test_every_namespace_gets_its_account_and_root_certificate_once():
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}}
    world, simulation = cluster(namespace, ca_pem="PEM")
    assert world.one("ServiceAccount", "default")
    root = world.one("ConfigMap", "kube-root-ca.crt")
    assert root["data"] == {"ca.crt": "PEM"}
    world.delete(GroupKind("", "ConfigMap"), "demo", "kube-root-ca.crt")
    simulation.settle()
    assert world.one("ConfigMap", "kube-root-ca.crt")


def test_a_node_is_made_when_there_is_none_and_becomes_ready():
    world, _ = cluster(nodes=0)
    made = world.one("Node", "sim-node-1")
    assert conditions(made)["Ready"] == ("True", "KubeletReady")
    other, _ = cluster(node("mine"), nodes=0)
    assert conditions(other.one("Node", "mine"))["Ready"][0] == "True"


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("*/15 * * * *", "2026-01-01T00:07:30+00:00", "2026-01-01T00:15:00+00:00"),
        ("0 0 * * *", "2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"),
        ("30 4 1,15 * 5", "2026-01-02T05:00:00+00:00", "2026-01-09T04:30:00+00:00"),
        ("0 12 * jan-mar mon", "2026-03-30T13:00:00+00:00", "2027-01-04T12:00:00+00:00"),
        ("@hourly", "2026-01-01T10:59:59+00:00", "2026-01-01T11:00:00+00:00"),
        ("0 0 29 2 *", "2026-01-01T00:00:00+00:00", "2028-02-29T00:00:00+00:00"),
        ("5/20 0 * * 7", "2026-01-03T00:00:00+00:00", "2026-01-04T00:05:00+00:00"),
    ],
)
def test_a_schedule_knows_its_next_time(text, after, expected):
    moment = datetime.fromisoformat(after)
    assert parse_schedule(text).next_after(moment, zone=UTC) == datetime.fromisoformat(expected)


@pytest.mark.parametrize("text", ["", "* * * *", "61 * * * *", "a * * * *", "*/0 * * * *"])
def test_a_bad_schedule_is_refused(text):
    with pytest.raises(BadSchedule):
        parse_schedule(text)
