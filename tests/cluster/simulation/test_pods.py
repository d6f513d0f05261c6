from __future__ import annotations

import pytest

from trimtab.cluster.simulation import Delays

from .fixtures import cluster, conditions, node, pod


def _state(world, name="lone", *, init=False, index=0):
    field = "initContainerStatuses" if init else "containerStatuses"
    return world.one("Pod", name)["status"][field][index]


def test_a_pod_goes_from_pending_to_ready_in_the_times_given():
    world, simulation = cluster(pod(), delays=Delays())
    assert "nodeName" not in world.one("Pod", "lone")["spec"]
    simulation.advance(0.1)
    assert world.one("Pod", "lone")["spec"]["nodeName"] == "sim-node-1"
    assert world.one("Pod", "lone")["status"]["phase"] == "Pending"
    assert _state(world)["state"] == {"waiting": {"reason": "ContainerCreating"}}
    simulation.advance(0.75)
    assert world.one("Pod", "lone")["status"]["phase"] == "Running"
    assert _state(world)["ready"] is False
    assert conditions(world.one("Pod", "lone"))["Ready"] == ("False", "ContainersNotReady")
    simulation.advance(0.5)
    lone = world.one("Pod", "lone")
    assert _state(world)["ready"] is True
    assert {k: v[0] for k, v in conditions(lone).items()} == dict.fromkeys(
        ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"),
        "True",
    )
    assert lone["status"]["podIP"].startswith("10.244.")
    assert lone["status"]["qosClass"] == "BestEffort"


def test_a_deleted_pod_goes_after_its_grace():
    world, simulation = cluster(pod(), delays=Delays())
    simulation.advance(5)
    gk_pod = world.one("Pod", "lone")
    world.delete(*_ref(gk_pod))
    simulation.settle()
    assert world.one("Pod", "lone")["metadata"]["deletionGracePeriodSeconds"] == 30
    simulation.advance(0.6)
    assert world.all("Pod") == []


def _ref(obj):
    from trimtab.objects.identity import key_of

    key = key_of(obj)
    return key.group_kind, key.namespace, key.name


def test_a_finalizer_keeps_a_stopped_pod():
    world, simulation = cluster(pod())
    world.change("Pod", "lone", lambda p: p["metadata"].update(finalizers=["x/y"]))
    world.delete(*_ref(world.one("Pod", "lone")))
    simulation.settle()
    assert world.one("Pod", "lone")["status"]["phase"] == "Succeeded"
    world.change("Pod", "lone", lambda p: p["metadata"].pop("finalizers"))
    simulation.settle()
    assert world.all("Pod") == []


def test_a_pull_that_fails_backs_off_longer_and_longer():
    world, simulation = cluster(pod(image="web:image-pull"))
    reasons = []
    for _ in range(12):
        reasons.append(_state(world)["state"]["waiting"]["reason"])
        simulation.advance(5)
    assert set(reasons) == {"ImagePullBackOff"}
    tries = [m for _, _, r, m in world.events if r == "Failed" and m == "Error: ErrImagePull"]
    assert len(tries) == 3  # at 0, 10 and 30 seconds
    assert world.one("Pod", "lone")["status"]["phase"] == "Pending"


def test_err_image_pull_is_seen_before_the_back_off():
    world, simulation = cluster(pod(image="web:image-pull"), delays=Delays())
    simulation.advance(0.7)
    assert _state(world)["state"]["waiting"]["reason"] == "ErrImagePull"
    simulation.advance(0.5)
    assert _state(world)["state"]["waiting"]["reason"] == "ImagePullBackOff"


def test_a_failure_that_is_taken_back_heals():
    world, simulation = cluster(pod(annotations={"embedded.sim/fail": "image-pull"}))
    world.change("Pod", "lone", lambda p: p["metadata"]["annotations"].clear())
    simulation.advance(10)
    assert conditions(world.one("Pod", "lone"))["Ready"][0] == "True"


@pytest.mark.parametrize(
    ("fault", "code", "reason"), [("crash", 1, "Error"), ("oom", 137, "OOMKilled")]
)
def test_a_crashing_container_loops(fault, code, reason):
    world, simulation = cluster(pod(annotations={"embedded.sim/fail": fault}))
    status = _state(world)
    assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert status["lastState"]["terminated"]["exitCode"] == code
    assert status["lastState"]["terminated"]["reason"] == reason
    assert world.one("Pod", "lone")["status"]["phase"] == "Running"
    simulation.advance(31)
    assert _state(world)["restartCount"] == 2  # after 10 and 20 more seconds


def test_never_ready_runs_but_is_not_ready():
    world, simulation = cluster(pod(image="web:never-ready"))
    simulation.advance(3600)
    assert "running" in _state(world)["state"]
    assert conditions(world.one("Pod", "lone"))["Ready"][0] == "False"


def test_slow_ready_takes_its_time():
    world, simulation = cluster(pod(annotations={"embedded.sim/fail": "slow-ready=30s"}))
    simulation.advance(29)
    assert conditions(world.one("Pod", "lone"))["Ready"][0] == "False"
    simulation.advance(2)
    assert conditions(world.one("Pod", "lone"))["Ready"][0] == "True"


def test_flap_comes_and_goes():
    world, simulation = cluster(pod(annotations={"embedded.sim/fail": "flap=60s"}))
    seen = []
    for _ in range(4):
        seen.append(conditions(world.one("Pod", "lone"))["Ready"][0])
        simulation.advance(60)
    assert seen == ["True", "False", "True", "False"]


def test_a_tag_that_only_looks_like_a_port_is_no_fault():
    world, _ = cluster(pod(image="registry:5000/crash"))
    assert conditions(world.one("Pod", "lone"))["Ready"][0] == "True"


def test_no_node_fits_says_why_until_one_does():
    world, simulation = cluster(pod(nodeSelector={"disk": "ssd"}))
    lone = world.one("Pod", "lone")
    assert conditions(lone)["PodScheduled"] == ("False", "Unschedulable")
    message = lone["status"]["conditions"][0]["message"]
    assert message.startswith("0/1 nodes are available: 1 node(s) didn't match")
    fast = node("sim-node-2")
    fast["metadata"]["labels"]["disk"] = "ssd"
    world.create(fast, manager="user")
    simulation.settle()
    assert world.one("Pod", "lone")["spec"]["nodeName"] == "sim-node-2"


def test_unschedulable_is_said_by_the_scheduler():
    world, simulation = cluster(pod(image="web:unschedulable"))
    lone = world.one("Pod", "lone")
    assert "0/1 nodes are available: 1 Insufficient cpu." in str(lone["status"])
    assert ("Pod/lone", "Warning", "FailedScheduling") in {event[:3] for event in world.events}
    simulation.advance(600)
    assert "nodeName" not in world.one("Pod", "lone")["spec"]


def test_taints_keep_pods_away_that_do_not_tolerate_them():
    tolerating = pod(
        "tolerant", tolerations=[{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]
    )
    world, simulation = cluster()
    taint = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
    world.change("Node", "sim-node-1", lambda n: n["spec"].update(taints=[taint]))
    for obj in (pod(), tolerating):
        world.create(obj, manager="user")
    simulation.settle()
    assert conditions(world.one("Pod", "lone"))["PodScheduled"][1] == "Unschedulable"
    assert world.one("Pod", "tolerant")["status"]["phase"] == "Running"


def test_pods_are_spread_round_robin():
    world, _ = cluster(*[pod(f"p{i}") for i in range(6)], nodes=3)
    nodes = sorted(p["spec"]["nodeName"] for p in world.all("Pod"))
    assert nodes == [f"sim-node-{n}" for n in (1, 1, 2, 2, 3, 3)]
    addresses = {p["status"]["podIP"] for p in world.all("Pod")}
    assert len(addresses) == 6


def test_init_containers_run_one_by_one_and_sidecars_stay():
    inits = [
        {"name": "first", "image": "init:1"},
        {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"},
        {"name": "second", "image": "init:2"},
    ]
    world, simulation = cluster(pod(initContainers=inits), delays=Delays())
    simulation.advance(1)
    assert _state(world)["state"] == {"waiting": {"reason": "PodInitializing"}}
    assert conditions(world.one("Pod", "lone"))["Initialized"][0] == "False"
    simulation.advance(10)
    assert _state(world, init=True)["state"]["terminated"]["reason"] == "Completed"
    assert "running" in _state(world, init=True, index=1)["state"]
    assert conditions(world.one("Pod", "lone"))["Ready"][0] == "True"


def test_a_pod_waits_for_its_config_map():
    env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}}]
    lone = pod()
    lone["spec"]["containers"][0]["env"] = env
    world, simulation = cluster(lone)
    waiting = _state(world)["state"]["waiting"]
    assert waiting == {
        "reason": "CreateContainerConfigError",
        "message": 'configmap "settings" not found',
    }
    meta = {"name": "settings", "namespace": "demo"}
    world.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}, manager="user")
    simulation.settle()
    assert conditions(world.one("Pod", "lone"))["Ready"][0] == "True"


def test_a_pod_that_may_end_ends():
    notes = {"embedded.sim/exit-code": "3"}
    world, _ = cluster(
        pod("good", restartPolicy="Never"), pod("bad", restartPolicy="Never", annotations=notes)
    )
    assert world.one("Pod", "good")["status"]["phase"] == "Succeeded"
    assert conditions(world.one("Pod", "good"))["Ready"] == ("False", "PodCompleted")
    assert world.one("Pod", "bad")["status"]["phase"] == "Failed"
    assert _state(world, "bad")["state"]["terminated"]["exitCode"] == 3


def test_a_node_that_goes_takes_its_pods():
    world, simulation = cluster(pod(), nodes=2)
    where = world.one("Pod", "lone")["spec"]["nodeName"]
    world.delete(*_ref(world.one("Node", where)))
    simulation.settle()
    assert world.all("Pod") == []


def test_a_new_image_restarts_the_container_in_place():
    world, simulation = cluster(pod())
    world.change("Pod", "lone", lambda p: p["spec"]["containers"][0].update(image="web:2"))
    simulation.settle()
    assert _state(world)["restartCount"] == 1
    assert _state(world)["image"] == "web:2"
    assert conditions(world.one("Pod", "lone"))["Ready"][0] == "True"


def test_a_readiness_gate_holds_a_pod_back():
    world, simulation = cluster(pod(readinessGates=[{"conditionType": "x.io/ok"}]))
    assert conditions(world.one("Pod", "lone"))["Ready"] == ("False", "ReadinessGatesNotReady")
    lone = world.get(*_ref(world.one("Pod", "lone")))
    lone["status"]["conditions"].append({"type": "x.io/ok", "status": "True"})
    world.update(lone, manager="user", subresource="status")
    simulation.settle()
    assert conditions(world.one("Pod", "lone"))["Ready"][0] == "True"
