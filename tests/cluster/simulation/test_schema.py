"""Everything the controllers write is what the API's own schema allows, strictly."""

from __future__ import annotations

import kubernetes_validate
import pytest

from trimtab.cluster.simulation import Delays

from .fixtures import cluster, deployment, pod, service, set_image
from .test_network_and_storage import _autoscaler, _budget, _claim, _storage
from .test_workloads import _cron, job, workload

FAULTS = ("image-pull", "crash", "oom", "never-ready", "unschedulable", "ok")


def _everything():
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
    inits = [{"name": "first", "image": "init:1"}]
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "web", "namespace": "demo"},
        "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}},
    }
    claim = _claim()
    template = {"metadata": {"name": "disk"}, "spec": claim["spec"]}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}},
        _storage(),
        claim,
        pod("mounted", volumes=volumes, initContainers=inits),
        pod("once", restartPolicy="Never"),
        *[pod(f"p-{fault}", image=f"web:{fault}") for fault in FAULTS],
        service(type="LoadBalancer"),
        ingress,
        deployment(),
        deployment("stuck", image="web:image-pull", progressDeadlineSeconds=30),
        workload("StatefulSet", "db", serviceName="db", volumeClaimTemplates=[template]),
        workload("DaemonSet", "agent"),
        job(),
        job("broken", annotations={"embedded.sim/fail": "crash"}, backoffLimit=1),
        job("indexed", completionMode="Indexed", completions=2),
        job("later", suspend=True),
        _cron(),
        _budget(minAvailable=1),
        _autoscaler(annotations={"embedded.sim/metrics": '{"cpu": 80}'}),
    ]


@pytest.mark.parametrize("delays", [Delays(), Delays.instant()], ids=["slow", "instant"])
def test_every_state_on_the_way_fits_the_schema(delays):
    seen = {}
    world, simulation = cluster(nodes=2, delays=delays, ca_pem="PEM")

    def note(change, _, obj):
        status = obj.get("status") or {}
        shape = (obj["kind"], obj["metadata"].get("name", "")[:6], repr(status)[:2000])
        seen.setdefault(shape, obj)

    world.subscribe(note)
    for obj in _everything():
        world.create(obj, manager="user")
    simulation.advance(45)
    world.change("Deployment", "web", set_image("web:2"))
    simulation.advance(700)
    kinds = {shape[0] for shape in seen}
    assert kinds >= {
        "Endpoints",
        "EndpointSlice",
        "PersistentVolume",
        "ControllerRevision",
        "Lease",
    }
    for obj in seen.values():
        kubernetes_validate.validate(obj, "1.37", strict=True)


def test_the_judge_is_strict():
    bad = {**pod(), "status": {"phase": "Running", "mood": "good"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(bad, "1.37", strict=True)
