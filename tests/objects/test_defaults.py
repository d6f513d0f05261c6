"""Defaults as they appear in live objects (spec/embedded-cluster.md 9)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from trimtab.objects import GVK, Schema, SchemaSet, gvk_of
from trimtab.objects.defaults import apply_defaults, default_by_schema
from trimtab.objects.normalise import normalise
from trimtab.objects.strict import prune, unknown_fields


def defaulted(api_version: str, kind: str, **members: Any) -> dict[str, Any]:
    obj = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, **members}
    before = copy.deepcopy(obj)
    gvk = gvk_of(obj)
    schema = SchemaSet.load().get(gvk)
    assert schema is not None
    out = apply_defaults(obj, gvk, schema)
    assert obj == before, "the input is never changed"
    assert apply_defaults(out, gvk, schema) == out, "twice is once"
    assert unknown_fields(out, schema) == []
    return out


POD = {"containers": [{"name": "c", "image": "a:1", "ports": [{"containerPort": 80}]}]}


def test_a_deployment_gets_its_strategy_and_its_template_the_pod_defaults() -> None:
    spec = defaulted("apps/v1", "Deployment", spec={"template": {"spec": POD}})["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    pod = spec["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 30
    assert pod["securityContext"] == {}
    container = pod["containers"][0]
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert container["resources"] == {}
    assert "enableServiceLinks" not in pod, "only Pods get it"


def test_a_recreate_deployment_gets_no_rolling_update() -> None:
    spec = defaulted("apps/v1", "Deployment", spec={"strategy": {"type": "Recreate"}})["spec"]
    assert spec["strategy"] == {"type": "Recreate"}


def test_only_a_pod_copies_limits_to_requests() -> None:
    pod = {"containers": [{"name": "c", "resources": {"limits": {"cpu": "0.0005"}}}]}
    live = defaulted("v1", "Pod", spec=pod)["spec"]
    assert live["enableServiceLinks"] is True
    resources = {"limits": {"cpu": "1m"}, "requests": {"cpu": "1m"}}
    assert live["containers"][0]["resources"] == resources
    template = defaulted("apps/v1", "DaemonSet", spec={"template": {"spec": pod}})["spec"]
    inner = template["template"]["spec"]["containers"][0]["resources"]
    assert inner == {"limits": {"cpu": "1m"}}


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("a", "Always"),
        ("a:latest", "Always"),
        ("a:1", "IfNotPresent"),
        ("host:5000/a", "Always"),
        ("host:5000/a:2", "IfNotPresent"),
        ("a@sha256:00", "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    pod = defaulted("v1", "Pod", spec={"containers": [{"name": "c", "image": image}]})
    assert pod["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_probes_and_volumes_are_filled() -> None:
    spec = {
        "containers": [
            {"name": "c", "image": "a:1", "livenessProbe": {"httpGet": {"port": 80}}},
        ],
        "volumes": [{"name": "a"}, {"name": "b", "secret": {"secretName": "s"}}],
    }
    live = defaulted("v1", "Pod", spec=spec)["spec"]
    probe = live["containers"][0]["livenessProbe"]
    assert probe["httpGet"] == {"port": 80, "path": "/", "scheme": "HTTP"}
    assert (probe["periodSeconds"], probe["failureThreshold"]) == (10, 3)
    assert live["volumes"][0] == {"name": "a", "emptyDir": {}}
    assert live["volumes"][1]["secret"]["defaultMode"] == 420


def test_a_service_gets_target_ports_and_policies_by_its_type() -> None:
    spec = defaulted("v1", "Service", spec={"ports": [{"port": 80}]})["spec"]
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert (spec["type"], spec["sessionAffinity"]) == ("ClusterIP", "None")
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
    assert "externalTrafficPolicy" not in spec
    balanced = defaulted("v1", "Service", spec={"type": "LoadBalancer"})["spec"]
    assert balanced["allocateLoadBalancerNodePorts"] is True
    named = defaulted("v1", "Service", spec={"type": "ExternalName", "externalName": "a.b"})
    assert "internalTrafficPolicy" not in named["spec"]
    assert "ipFamilies" not in named["spec"]


def test_jobs_default_completions_only_together_with_parallelism() -> None:
    assert defaulted("batch/v1", "Job", spec={})["spec"]["completions"] == 1
    queue = defaulted("batch/v1", "Job", spec={"parallelism": 2})["spec"]
    assert "completions" not in queue
    assert (queue["backoffLimit"], queue["completionMode"]) == (6, "NonIndexed")
    cron = defaulted("batch/v1", "CronJob", spec={"jobTemplate": {"spec": {}}})["spec"]
    assert cron["concurrencyPolicy"] == "Allow"
    assert cron["jobTemplate"] == {"spec": {}}


def test_an_autoscaler_fills_behavior_only_when_some_is_given() -> None:
    plain = defaulted("autoscaling/v2", "HorizontalPodAutoscaler", spec={})["spec"]
    assert "behavior" not in plain
    assert plain["metrics"][0]["resource"]["target"]["averageUtilization"] == 80
    part = defaulted(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        spec={"behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}}},
    )["spec"]["behavior"]
    assert part["scaleDown"]["stabilizationWindowSeconds"] == 5
    assert part["scaleUp"]["policies"][0]["value"] == 4


def test_bindings_fill_api_groups_of_people_only() -> None:
    binding = defaulted(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        roleRef={"kind": "Role", "name": "r"},
        subjects=[{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s"}],
    )
    assert binding["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io"
    assert binding["subjects"][0]["apiGroup"] == "rbac.authorization.k8s.io"
    assert "apiGroup" not in binding["subjects"][1]


def test_webhooks_and_crds_and_claims_are_filled() -> None:
    hooks = defaulted(
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
        webhooks=[{"name": "a.b.c", "rules": [{}], "clientConfig": {"service": {"name": "s"}}}],
    )["webhooks"][0]
    assert hooks["reinvocationPolicy"] == "Never"
    assert hooks["rules"] == [{"scope": "*"}]
    assert hooks["clientConfig"]["service"]["port"] == 443
    names = {"kind": "CronTab", "plural": "crontabs"}
    crd = defaulted("apiextensions.k8s.io/v1", "CustomResourceDefinition", spec={"names": names})
    assert crd["spec"]["names"]["listKind"] == "CronTabList"
    assert crd["spec"]["conversion"] == {"strategy": "None"}
    assert defaulted("v1", "PersistentVolumeClaim", spec={})["spec"]["volumeMode"] == "Filesystem"


def test_normalising_spells_quantities_and_folds_string_data() -> None:
    secret = {"kind": "Secret", "data": {"a": "eA=="}, "stringData": {"b": "y"}}
    gvk = GVK("", "v1", "Secret")
    assert normalise(secret, gvk, SchemaSet.load().get(gvk)) == {
        "kind": "Secret",
        "data": {"a": "eA==", "b": "eQ=="},
    }
    gvk = GVK("apps", "v1", "Deployment")
    resources = {"requests": {"cpu": 0.5, "memory": "1024Mi"}}
    spec = {"containers": [{"name": "c", "resources": resources}]}
    template = {"metadata": {"creationTimestamp": None}, "spec": spec}
    out = normalise({"spec": {"template": template}}, gvk, SchemaSet.load().get(gvk))
    found = out["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]
    assert found == {"cpu": "500m", "memory": "1Gi"}
    assert out["spec"]["template"]["metadata"] == {}


def test_schema_defaults_replace_null_and_reach_into_defaults() -> None:
    inner, outer, text = Schema("object"), Schema("object"), Schema("string")
    text.default = "x"
    inner.properties["text"] = text
    inner.default = {}
    outer.properties["inner"] = inner
    assert default_by_schema({}, outer) == {"inner": {"text": "x"}}
    assert default_by_schema({"inner": None}, outer) == {"inner": {"text": "x"}}
    assert default_by_schema({"inner": {"text": "y"}}, outer) == {"inner": {"text": "y"}}


def test_unknown_fields_are_named_with_their_path_and_pruned() -> None:
    gvk = GVK("apps", "v1", "Deployment")
    schema = SchemaSet.load().get(gvk)
    assert schema is not None
    spec = {"x": 1, "template": {"spec": {"containers": [{"name": "c", "y": 2}]}}}
    obj = {"metadata": {"labels": {"any": "thing"}}, "spec": spec}
    assert unknown_fields(obj, schema) == ["spec.x", "spec.template.spec.containers[0].y"]
    pruned = prune(obj, schema)
    assert unknown_fields(pruned, schema) == []
    assert pruned["metadata"] == obj["metadata"]
