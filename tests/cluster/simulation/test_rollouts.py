"""A Deployment's life, step by step, on a clock moved by hand."""

from __future__ import annotations

import pytest

from trimtab.cluster.simulation import Delays

from .fixtures import cluster, conditions, deployment, set_image


def _deadline(**spec):
    return deployment(progressDeadlineSeconds=60, **spec)


def test_a_bad_image_stops_the_rollout_and_runs_into_its_deadline():
    world, simulation = cluster(_deadline())
    world.change("Deployment", "web", set_image("web:image-pull"))
    simulation.settle()
    web = world.one("Deployment", "web")
    assert web["status"]["updatedReplicas"] == 1
    assert web["status"]["availableReplicas"] == 3
    assert conditions(web)["Progressing"] == ("True", "ReplicaSetUpdated")
    simulation.advance(59)
    assert conditions(world.one("Deployment", "web"))["Progressing"][0] == "True"
    simulation.advance(2)
    web = world.one("Deployment", "web")
    assert conditions(web) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("False", "ProgressDeadlineExceeded"),
    }
    message = next(c["message"] for c in web["status"]["conditions"] if c["type"] == "Progressing")
    assert message.startswith('ReplicaSet "web-')
    assert message.endswith("has timed out progressing.")


def test_a_good_image_after_a_bad_one_completes():
    world, simulation = cluster(_deadline())
    world.change("Deployment", "web", set_image("web:crash"))
    simulation.settle()
    simulation.advance(90)
    world.change("Deployment", "web", set_image("web:3"))
    simulation.settle()
    assert conditions(world.one("Deployment", "web"))["Progressing"] == (
        "True",
        "NewReplicaSetAvailable",
    )
    assert {p["spec"]["containers"][0]["image"] for p in world.all("Pod")} == {"web:3"}


@pytest.mark.parametrize(("surge", "unavailable"), [(1, 0), (0, 1), ("25%", "25%"), ("100%", 0)])
def test_pods_stay_within_the_fence_all_along(surge, unavailable):
    strategy = {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
    }
    world, simulation = cluster(deployment(replicas=4, strategy=strategy), delays=Delays())
    simulation.advance(10)
    world.change("Deployment", "web", set_image("web:2"))
    most = {1: 5, 0: 4, "25%": 5, "100%": 8}[surge]
    least = 4 if unavailable == 0 else 3
    for _ in range(200):
        simulation.advance(0.1)
        assert sum(rs["spec"]["replicas"] for rs in world.all("ReplicaSet")) <= most
        assert world.one("Deployment", "web")["status"]["availableReplicas"] >= least
    assert conditions(world.one("Deployment", "web"))["Progressing"][1] == "NewReplicaSetAvailable"
    assert len(world.all("Pod")) == 4


def test_recreate_ends_every_old_pod_before_the_first_new_one():
    world, simulation = cluster(deployment(strategy={"type": "Recreate"}), delays=Delays())
    simulation.advance(10)
    world.change("Deployment", "web", set_image("web:2"))
    seen = set()
    for _ in range(100):
        simulation.advance(0.1)
        images = {p["spec"]["containers"][0]["image"] for p in world.all("Pod")}
        assert len(images) <= 1
        seen |= images
    assert seen == {"web:1", "web:2"}
    assert world.one("Deployment", "web")["status"]["availableReplicas"] == 3


def test_a_paused_deployment_scales_but_does_not_roll():
    world, simulation = cluster(deployment())

    def pause(obj):
        obj["spec"].update(paused=True, replicas=5)
        set_image("web:2")(obj)

    world.change("Deployment", "web", pause)
    simulation.settle()
    web = world.one("Deployment", "web")
    assert web["status"]["replicas"] == 5
    assert "updatedReplicas" not in web["status"]
    assert conditions(web)["Progressing"] == ("Unknown", "DeploymentPaused")
    world.change("Deployment", "web", lambda obj: obj["spec"].pop("paused"))
    simulation.settle()
    web = world.one("Deployment", "web")
    assert web["status"]["updatedReplicas"] == 5
    assert conditions(web)["Progressing"] == ("True", "NewReplicaSetAvailable")


def test_scaling_in_the_middle_of_a_rollout_is_shared_out():
    world, simulation = cluster(deployment(replicas=10))
    world.change("Deployment", "web", set_image("web:never-ready"))
    simulation.settle()
    sizes = sorted(rs["spec"]["replicas"] for rs in world.all("ReplicaSet"))
    assert sizes == [5, 8]
    world.change("Deployment", "web", lambda obj: obj["spec"].update(replicas=15))
    simulation.settle()
    assert sum(rs["spec"]["replicas"] for rs in world.all("ReplicaSet")) <= 15 + 4
    assert world.one("Deployment", "web")["status"]["availableReplicas"] >= 15 - 3


def test_old_replica_sets_beyond_the_limit_are_removed():
    world, simulation = cluster(deployment(revisionHistoryLimit=1))
    for number in range(2, 6):
        world.change("Deployment", "web", set_image(f"web:{number}"))
        simulation.settle()
    images = {
        rs["spec"]["template"]["spec"]["containers"][0]["image"] for rs in world.all("ReplicaSet")
    }
    assert images == {"web:4", "web:5"}


def test_min_ready_seconds_hold_availability_back():
    world, simulation = cluster(deployment(minReadySeconds=30))
    status = world.one("Deployment", "web")["status"]
    assert status["readyReplicas"] == 3
    assert "availableReplicas" not in status
    simulation.advance(30)
    assert world.one("Deployment", "web")["status"]["availableReplicas"] == 3


def test_a_refused_pod_shows_as_replica_failure():
    world, simulation = cluster()
    world.refuse = lambda obj: "exceeded quota: pods" if obj["kind"] == "Pod" else None
    world.create(deployment(), manager="user")
    simulation.settle()
    web = world.one("Deployment", "web")
    assert conditions(web)["ReplicaFailure"] == ("True", "FailedCreate")
    world.refuse = lambda _: None
    simulation.advance(10)
    web = world.one("Deployment", "web")
    assert "ReplicaFailure" not in conditions(web)
    assert web["status"]["availableReplicas"] == 3


def test_a_bare_pod_that_fits_is_adopted_and_a_relabelled_one_released():
    world, simulation = cluster(deployment(replicas=2))
    rs = world.all("ReplicaSet")[0]
    first = world.all("Pod")[0]["metadata"]["name"]
    world.change("Pod", first, lambda obj: obj["metadata"]["labels"].update(app="mine"))
    simulation.settle()
    assert not world.one("Pod", first)["metadata"]["ownerReferences"]
    assert len(world.all("Pod")) == 3
    labels = rs["spec"]["selector"]["matchLabels"]
    world.change("Pod", first, lambda obj: obj["metadata"]["labels"].update(labels))
    simulation.settle()
    assert len(world.all("Pod")) == 2
    owners = [p["metadata"]["ownerReferences"][0]["uid"] for p in world.all("Pod")]
    assert set(owners) == {rs["metadata"]["uid"]}


def test_events_tell_the_story():
    world, simulation = cluster(deployment(replicas=1))
    reasons = [reason for _, _, reason, _ in world.events]
    for reason in ("ScalingReplicaSet", "SuccessfulCreate", "Scheduled", "Pulled", "Started"):
        assert reason in reasons
    world.change("Deployment", "web", lambda obj: obj["spec"].update(replicas=0))
    simulation.settle()
    messages = [message for _, _, _, message in world.events]
    name = world.all("ReplicaSet")[0]["metadata"]["name"]
    assert f"Scaled down replica set {name} from 1 to 0" in messages
    assert world.all("Pod") == []


def test_two_runs_make_the_same_writes():
    logs = []
    for _ in range(2):
        world, simulation = cluster(deployment(), nodes=3)
        world.change("Deployment", "web", set_image("web:2"))
        simulation.settle()
        simulation.advance(60)
        logs.append(world.log)
    assert logs[0] == logs[1]
