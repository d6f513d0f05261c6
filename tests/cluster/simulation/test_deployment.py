from __future__ import annotations

from .fixtures import cluster, conditions, deployment, set_image


def test_one_settle_brings_a_new_deployment_up():
    world, _ = cluster(deployment())
    web = world.one("Deployment", "web")
    assert web["status"]["availableReplicas"] == 3
    assert web["status"]["updatedReplicas"] == 3
    assert web["status"]["observedGeneration"] == web["metadata"]["generation"]
    assert "unavailableReplicas" not in web["status"]
    assert conditions(web) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }
    assert web["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"


def test_a_new_image_rolls_to_a_second_replica_set():
    world, simulation = cluster(deployment())
    world.change("Deployment", "web", set_image("web:2"))
    simulation.settle()
    sizes = {
        rs["spec"]["template"]["spec"]["containers"][0]["image"]: rs["spec"]["replicas"]
        for rs in world.all("ReplicaSet")
    }
    assert sizes == {"web:1": 0, "web:2": 3}
    assert {p["spec"]["containers"][0]["image"] for p in world.all("Pod")} == {"web:2"}
    web = world.one("Deployment", "web")
    assert web["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    assert conditions(web)["Progressing"] == ("True", "NewReplicaSetAvailable")


def test_an_undo_reuses_the_old_replica_set_with_a_new_revision():
    world, simulation = cluster(deployment())
    first = world.all("ReplicaSet")[0]["metadata"]["name"]
    for image in ("web:2", "web:1"):
        world.change("Deployment", "web", set_image(image))
        simulation.settle()
    rs = world.one("ReplicaSet", first)
    assert rs["spec"]["replicas"] == 3
    assert rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert rs["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"
    assert len(world.all("ReplicaSet")) == 2
