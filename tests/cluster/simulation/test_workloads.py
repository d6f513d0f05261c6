from __future__ import annotations

from trimtab.cluster.simulation import Delays
from trimtab.objects.identity import key_of

from .fixtures import cluster, conditions, node, set_image, template


def _labelled(image="web:1", **spec):
    made = template(image, **spec)
    made["metadata"]["annotations"] = {}
    return made


def workload(kind, name="web", *, group="apps/v1", pod_template=None, **spec):
    return {
        "apiVersion": group,
        "kind": kind,
        "metadata": {"name": name, "namespace": "demo"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": pod_template or _labelled(),
            **spec,
        },
    }


def job(name="once", *, annotations=None, **spec):
    pods = template("job:1", restartPolicy="Never")
    pods["metadata"]["annotations"] = annotations or {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "demo"},
        "spec": {"template": pods, "completions": 1, "parallelism": 1, **spec},
    }


def _names(world, kind="Pod"):
    return sorted(obj["metadata"]["name"] for obj in world.all(kind))


def _delete(world, obj):
    key = key_of(obj)
    world.delete(key.group_kind, key.namespace, key.name)


# -- StatefulSet ------------------------------------------------------------------------------


def test_a_stateful_set_starts_in_order_with_its_claims():
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    storage = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "standard"},
        "provisioner": "sim",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    claim["spec"].update(storageClassName="standard", resources={"requests": {"storage": "1Gi"}})
    owner = workload("StatefulSet", replicas=3, serviceName="web", volumeClaimTemplates=[claim])
    world, simulation = cluster(storage, owner, delays=Delays())
    seen = []
    for _ in range(60):
        simulation.advance(0.25)
        if _names(world) not in seen:
            seen.append(_names(world))
    assert seen[-3:] == [["web-0"], ["web-0", "web-1"], ["web-0", "web-1", "web-2"]]
    assert _names(world, "PersistentVolumeClaim") == ["data-web-0", "data-web-1", "data-web-2"]
    assert {c["status"]["phase"] for c in world.all("PersistentVolumeClaim")} == {"Bound"}
    status = world.one("StatefulSet", "web")["status"]
    assert status["readyReplicas"] == status["availableReplicas"] == status["updatedReplicas"] == 3
    assert status["currentRevision"] == status["updateRevision"]


def test_a_stateful_set_rolls_from_the_highest_down_to_its_partition():
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    world, simulation = cluster(workload("StatefulSet", replicas=3, updateStrategy=strategy))
    world.change("StatefulSet", "web", set_image("web:2"))
    simulation.settle()
    images = {p["metadata"]["name"]: p["spec"]["containers"][0]["image"] for p in world.all("Pod")}
    assert images == {"web-0": "web:1", "web-1": "web:2", "web-2": "web:2"}
    status = world.one("StatefulSet", "web")["status"]
    assert (status["currentReplicas"], status["updatedReplicas"]) == (1, 2)
    assert status["currentRevision"] != status["updateRevision"]
    world.change(
        "StatefulSet", "web", lambda o: o["spec"]["updateStrategy"].update(rollingUpdate={})
    )
    simulation.settle()
    status = world.one("StatefulSet", "web")["status"]
    assert status["currentRevision"] == status["updateRevision"]
    assert status["updatedReplicas"] == 3


def test_a_stateful_set_shrinks_from_the_top_and_parallel_ones_start_at_once():
    world, simulation = cluster(
        workload("StatefulSet", replicas=3, podManagementPolicy="Parallel"), delays=Delays()
    )
    assert len(world.all("Pod")) == 3
    simulation.advance(5)
    world.change("StatefulSet", "web", lambda o: o["spec"].update(replicas=1))
    simulation.advance(5)
    assert _names(world) == ["web-0"]


def test_a_broken_update_stops_at_the_first_pod():
    world, simulation = cluster(workload("StatefulSet", replicas=3))
    world.change("StatefulSet", "web", set_image("web:crash"))
    simulation.advance(300)
    images = [p["spec"]["containers"][0]["image"] for p in world.all("Pod")]
    assert sorted(images) == ["web:1", "web:1", "web:crash"]


# -- DaemonSet --------------------------------------------------------------------------------


def test_a_daemon_set_has_one_pod_a_node_as_nodes_come_and_go():
    world, simulation = cluster(workload("DaemonSet"), nodes=2)
    assert sorted(p["spec"]["nodeName"] for p in world.all("Pod")) == ["sim-node-1", "sim-node-2"]
    world.create(node("sim-node-3"), manager="user")
    simulation.settle()
    status = world.one("DaemonSet", "web")["status"]
    assert status["desiredNumberScheduled"] == status["numberAvailable"] == 3
    _delete(world, world.one("Node", "sim-node-1"))
    simulation.settle()
    assert sorted(p["spec"]["nodeName"] for p in world.all("Pod")) == ["sim-node-2", "sim-node-3"]


def test_a_daemon_set_rolls_within_its_budget():
    world, simulation = cluster(workload("DaemonSet"), nodes=4, delays=Delays())
    simulation.advance(5)
    world.change("DaemonSet", "web", set_image("web:2"))
    for _ in range(100):
        simulation.advance(0.2)
        assert world.one("DaemonSet", "web")["status"].get("numberUnavailable", 0) <= 1
    assert {p["spec"]["containers"][0]["image"] for p in world.all("Pod")} == {"web:2"}
    assert world.one("DaemonSet", "web")["status"]["updatedNumberScheduled"] == 4


# -- Job and CronJob --------------------------------------------------------------------------


def test_a_job_completes_with_both_conditions():
    world, simulation = cluster(job(completions=3, parallelism=2), delays=Delays())
    simulation.advance(2)
    assert world.one("Job", "once")["status"]["active"] == 2
    simulation.advance(20)
    once = world.one("Job", "once")
    assert once["status"]["succeeded"] == 3
    assert conditions(once) == {
        "SuccessCriteriaMet": ("True", "CompletionsReached"),
        "Complete": ("True", "CompletionsReached"),
    }
    assert once["status"]["completionTime"]
    assert {p["status"]["phase"] for p in world.all("Pod")} == {"Succeeded"}


def test_a_job_fails_after_its_back_off_limit():
    world, simulation = cluster(job(backoffLimit=2, annotations={"embedded.sim/fail": "crash"}))
    assert world.one("Job", "once")["status"]["failed"] == 1
    simulation.advance(100)
    once = world.one("Job", "once")
    assert once["status"]["failed"] == 3
    assert conditions(once)["Failed"] == ("True", "BackoffLimitExceeded")
    assert conditions(once)["FailureTarget"] == ("True", "BackoffLimitExceeded")


def test_a_job_that_takes_too_long_fails_and_its_pods_go():
    world, simulation = cluster(
        job(activeDeadlineSeconds=5, annotations={"embedded.sim/run": "1h"}), delays=Delays()
    )
    simulation.advance(10)
    assert conditions(world.one("Job", "once"))["Failed"] == ("True", "DeadlineExceeded")
    assert world.all("Pod") == []


def test_a_suspended_job_waits_and_a_finished_one_expires():
    world, simulation = cluster(job(suspend=True, ttlSecondsAfterFinished=30))
    assert world.all("Pod") == []
    assert conditions(world.one("Job", "once"))["Suspended"] == ("True", "JobSuspended")
    world.change("Job", "once", lambda o: o["spec"].update(suspend=False))
    simulation.settle()
    assert conditions(world.one("Job", "once"))["Complete"][0] == "True"
    simulation.advance(31)
    assert world.all("Job") == []
    assert world.all("Pod") == []


def test_an_indexed_job_runs_each_index_once():
    world, _ = cluster(job(completionMode="Indexed", completions=4, parallelism=2))
    indexes = [
        p["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]
        for p in world.all("Pod")
    ]
    assert sorted(indexes) == ["0", "1", "2", "3"]
    assert world.one("Job", "once")["status"]["completedIndexes"] == "0-3"


def _cron(**spec):
    inner = job()["spec"]
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "tick", "namespace": "demo"},
        "spec": {"schedule": "*/10 * * * *", "jobTemplate": {"spec": inner}, **spec},
    }


def test_a_cron_job_runs_on_schedule_and_keeps_a_short_history():
    world, simulation = cluster(_cron(successfulJobsHistoryLimit=2))
    assert world.all("Job") == []
    simulation.advance(3600)
    assert len([1 for _, _, r, m in world.events if m.startswith("Created job tick-")]) == 6
    assert len(world.all("Job")) == 2
    status = world.one("CronJob", "tick")["status"]
    assert status["lastScheduleTime"] == "2026-01-01T01:00:00Z"
    assert status["lastSuccessfulTime"] == "2026-01-01T01:00:00Z"


def test_forbid_skips_a_run_while_one_is_active():
    cron = _cron(concurrencyPolicy="Forbid")
    pods = cron["spec"]["jobTemplate"]["spec"]["template"]["metadata"]
    pods["annotations"] = {"embedded.sim/run": "15m"}
    world, simulation = cluster(cron, delays=Delays())
    simulation.advance(1300)
    assert len(world.all("Job")) == 1
    assert "JobAlreadyActive" in {r for _, _, r, _ in world.events}


def test_a_time_zone_moves_the_schedule_and_a_bad_one_is_said():
    world, simulation = cluster(_cron(schedule="0 9 * * *", timeZone="Asia/Tokyo"))
    simulation.advance(23 * 3600)
    assert world.all("Job") == []
    simulation.advance(3600)
    assert world.one("CronJob", "tick")["status"]["lastScheduleTime"] == "2026-01-02T00:00:00Z"
    other, _ = cluster(_cron(timeZone="Mars/Olympus"))
    assert "UnknownTimeZone" in {r for _, _, r, _ in other.events}
