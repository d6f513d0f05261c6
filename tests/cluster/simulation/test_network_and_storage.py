from __future__ import annotations

from trimtab.cluster.simulation import Delays
from trimtab.objects.identity import key_of

from .fixtures import cluster, conditions, deployment, pod, service


def _delete(world, obj):
    key = key_of(obj)
    world.delete(key.group_kind, key.namespace, key.name)


def _addresses(world, *, ready=True):
    return {
        endpoint["addresses"][0]
        for piece in world.all("EndpointSlice")
        for endpoint in piece["endpoints"]
        if endpoint["conditions"]["ready"] is ready
    }


def test_ready_pods_are_in_the_slices_and_in_the_endpoints():
    world, simulation = cluster(service(), deployment(replicas=2))
    ips = {p["status"]["podIP"] for p in world.all("Pod")}
    assert _addresses(world) == ips
    (piece,) = world.all("EndpointSlice")
    assert piece["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
    assert piece["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
    (subset,) = world.one("Endpoints", "web")["subsets"]
    assert {a["ip"] for a in subset["addresses"]} == ips
    world.change("Deployment", "web", lambda o: o["spec"].update(replicas=0))
    simulation.settle()
    assert _addresses(world) == set()
    assert world.one("Endpoints", "web")["subsets"] == []


def test_pods_that_are_not_ready_are_listed_as_such():
    world, _ = cluster(service(), deployment(replicas=1, image="web:never-ready"))
    assert _addresses(world) == set()
    assert len(_addresses(world, ready=False)) == 1
    assert "notReadyAddresses" in world.one("Endpoints", "web")["subsets"][0]


def test_a_named_target_port_is_looked_up_in_the_pod():
    lone = pod("web")
    lone["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": 9000}]
    ports = [{"name": "web", "port": 80, "targetPort": "http"}]
    world, _ = cluster(service(ports=ports), lone)
    assert world.all("EndpointSlice")[0]["ports"][0]["port"] == 9000


def test_more_than_a_hundred_endpoints_are_split():
    world, simulation = cluster(service(), deployment(replicas=130))
    assert sorted(len(s["endpoints"]) for s in world.all("EndpointSlice")) == [30, 100]
    world.change("Deployment", "web", lambda o: o["spec"].update(replicas=10))
    simulation.settle()
    assert [len(s["endpoints"]) for s in world.all("EndpointSlice")] == [10]


def test_a_service_that_goes_takes_its_endpoints():
    world, simulation = cluster(service(), deployment(replicas=1))
    _delete(world, world.one("Service", "web"))
    simulation.settle()
    assert world.all("EndpointSlice") == []
    assert world.all("Endpoints") == []


def test_a_load_balancer_gets_an_address_after_a_while_and_loses_it():
    world, simulation = cluster(service(type="LoadBalancer"), delays=Delays())
    simulation.advance(0.9)
    assert "status" not in world.one("Service", "web")
    simulation.advance(0.2)
    (ingress,) = world.one("Service", "web")["status"]["loadBalancer"]["ingress"]
    assert ingress["ip"] == "198.19.0.1"
    world.change("Service", "web", lambda o: o["spec"].update(type="ClusterIP"))
    simulation.settle()
    assert world.one("Service", "web")["status"]["loadBalancer"] == {}


def test_pending_lb_never_gets_one_and_an_ingress_does():
    stuck = service(type="LoadBalancer")
    stuck["metadata"]["annotations"] = {"embedded.sim/fail": "pending-lb"}
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "web", "namespace": "demo"},
        "spec": {},
    }
    world, simulation = cluster(stuck, ingress)
    simulation.advance(600)
    assert "status" not in world.one("Service", "web")
    assert world.one("Ingress", "web")["status"]["loadBalancer"]["ingress"]


def _storage(mode="Immediate", **more):
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "standard"},
        "provisioner": "sim",
        "volumeBindingMode": mode,
        **more,
    }


def _claim(size="1Gi", **spec):
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "demo"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            "storageClassName": "standard",
            **spec,
        },
    }


def test_an_immediate_claim_is_bound_resized_and_reclaimed():
    world, simulation = cluster(_storage(allowVolumeExpansion=True), _claim())
    claim = world.one("PersistentVolumeClaim", "data")
    assert claim["status"]["phase"] == "Bound"
    assert claim["status"]["capacity"] == {"storage": "1Gi"}
    (volume,) = world.all("PersistentVolume")
    assert volume["status"]["phase"] == "Bound"
    assert claim["spec"]["volumeName"] == volume["metadata"]["name"]
    asked = {"requests": {"storage": "2Gi"}}
    world.change("PersistentVolumeClaim", "data", lambda o: o["spec"].update(resources=asked))
    simulation.settle()
    assert world.one("PersistentVolumeClaim", "data")["status"]["capacity"] == {"storage": "2Gi"}
    _delete(world, world.one("PersistentVolumeClaim", "data"))
    simulation.settle()
    assert world.all("PersistentVolume") == []


def test_a_claim_that_waits_for_a_consumer_is_bound_with_its_pod():
    world, simulation = cluster(_storage("WaitForFirstConsumer"), _claim())
    assert world.one("PersistentVolumeClaim", "data")["status"]["phase"] == "Pending"
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
    world.create(pod(volumes=volumes), manager="user")
    simulation.settle()
    assert world.one("PersistentVolumeClaim", "data")["status"]["phase"] == "Bound"
    assert world.one("Pod", "lone")["status"]["phase"] == "Running"


def test_a_pod_with_an_absent_claim_is_unschedulable():
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "none"}}]
    world, _ = cluster(pod(volumes=volumes))
    lone = world.one("Pod", "lone")
    assert conditions(lone)["PodScheduled"] == ("False", "Unschedulable")
    assert 'persistentvolumeclaim "none" not found' in str(lone["status"])


def test_a_ready_made_volume_is_taken_when_it_fits():
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "mine"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "5Gi"},
            "storageClassName": "",
            "persistentVolumeReclaimPolicy": "Retain",
        },
    }
    world, simulation = cluster(volume, _claim(storageClassName=""))
    claim = world.one("PersistentVolumeClaim", "data")
    assert claim["spec"]["volumeName"] == "mine"
    assert claim["status"]["capacity"] == {"storage": "5Gi"}
    _delete(world, claim)
    simulation.settle()
    assert world.one("PersistentVolume", "mine")["status"]["phase"] == "Released"


def _budget(**spec):
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web", "namespace": "demo"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
    }


def test_a_budget_says_how_many_may_go():
    world, simulation = cluster(_budget(minAvailable=2), deployment(replicas=3))
    status = world.one("PodDisruptionBudget", "web")["status"]
    assert status["disruptionsAllowed"] == 1
    assert (status["currentHealthy"], status["desiredHealthy"], status["expectedPods"]) == (3, 2, 3)
    world.change(
        "PodDisruptionBudget",
        "web",
        lambda o: o.update(spec={**_budget()["spec"], "maxUnavailable": "50%"}),
    )
    simulation.settle()
    budget = world.one("PodDisruptionBudget", "web")
    assert budget["status"]["disruptionsAllowed"] == 2
    assert conditions(budget)["DisruptionAllowed"] == ("True", "SufficientPods")


def _autoscaler(**more):
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "demo", **more},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 2,
            "maxReplicas": 6,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": 50},
                    },
                }
            ],
        },
    }


def test_simulated_containers_use_half_of_what_they_request():
    world, simulation = cluster(deployment(replicas=3), _autoscaler())
    simulation.advance(60)
    hpa = world.one("HorizontalPodAutoscaler", "web")
    assert conditions(hpa)["ScalingActive"] == ("True", "ValidMetricFound")
    assert hpa["status"]["currentMetrics"][0]["resource"]["current"]["averageUtilization"] == 50


def test_without_metrics_nothing_is_scaled_and_the_conditions_say_why():
    none = {"embedded.sim/metrics": "{}"}
    world, simulation = cluster(deployment(replicas=3), _autoscaler(annotations=none))
    simulation.advance(600)
    hpa = world.one("HorizontalPodAutoscaler", "web")
    assert conditions(hpa) == {
        "AbleToScale": ("True", "SucceededGetScale"),
        "ScalingActive": ("False", "FailedGetResourceMetric"),
    }
    assert world.one("Deployment", "web")["spec"]["replicas"] == 3


def test_injected_metrics_scale_up_at_once_and_down_after_a_while():
    notes = {"annotations": {"embedded.sim/metrics": '{"cpu": 100}'}}
    world, simulation = cluster(deployment(replicas=2), _autoscaler(**notes))
    assert world.one("Deployment", "web")["spec"]["replicas"] == 6  # 2, then 4, then the maximum
    calm = {"embedded.sim/metrics": '{"cpu": 10}'}
    world.change("HorizontalPodAutoscaler", "web", lambda o: o["metadata"].update(annotations=calm))
    simulation.advance(290)
    assert world.one("Deployment", "web")["spec"]["replicas"] == 6
    hpa = world.one("HorizontalPodAutoscaler", "web")
    assert conditions(hpa)["AbleToScale"] == ("True", "ScaleDownStabilized")
    simulation.advance(20)
    assert world.one("Deployment", "web")["spec"]["replicas"] == 2


def test_an_absent_target_cannot_be_scaled():
    world, _ = cluster(_autoscaler())
    hpa = world.one("HorizontalPodAutoscaler", "web")
    assert conditions(hpa) == {"AbleToScale": ("False", "FailedGetScale")}
    assert 'deployments.apps "web" not found' in str(hpa["status"])
