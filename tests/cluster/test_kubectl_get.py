"""What kubectl shows: tables, formats, selectors, discovery, documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .conftest import Kubectl
from .objects import boat, config_map, crd, deployment, service


@pytest.fixture(scope="module")
def filled(kubectl: Kubectl) -> str:
    """A namespace with a settled Deployment, its Service and a ConfigMap."""
    kubectl("create", "namespace", "shown")
    kubectl("apply", "-n", "shown", "-f", "-", stdin=[deployment(), service(), config_map()])
    kubectl("rollout", "status", "-n", "shown", "deployment/web", "--timeout=20s")
    return "shown"


def test_the_version_says_that_the_cluster_is_embedded(kubectl: Kubectl) -> None:
    version = kubectl.json("version")["serverVersion"]
    assert (version["major"], version["minor"]) == ("1", "37")
    assert version["gitVersion"].endswith("+embedded")


def test_api_resources_lists_names_short_names_and_scopes(kubectl: Kubectl) -> None:
    rows = {tuple(line.split()) for line in kubectl("api-resources", "--no-headers").splitlines()}
    assert ("deployments", "deploy", "apps/v1", "true", "Deployment") in rows
    assert ("namespaces", "ns", "v1", "false", "Namespace") in rows
    scaler = ("horizontalpodautoscalers", "hpa", "autoscaling/v2", "true")
    assert (*scaler, "HorizontalPodAutoscaler") in rows
    named = kubectl("api-resources", "-o", "name", "--namespaced=false").split()
    assert "customresourcedefinitions.apiextensions.k8s.io" in named


def test_api_versions_lists_groups_and_versions(kubectl: Kubectl) -> None:
    assert {"v1", "apps/v1", "batch/v1", "rbac.authorization.k8s.io/v1"} <= set(
        kubectl("api-versions").split()
    )


def test_cluster_info_names_the_control_plane(kubectl: Kubectl, cluster: Any) -> None:
    assert cluster.url in kubectl("cluster-info")


@pytest.mark.parametrize(
    ("what", "header"),
    [
        ("pods", "NAME READY STATUS RESTARTS AGE"),
        ("deployments", "NAME READY UP-TO-DATE AVAILABLE AGE"),
        ("replicasets", "NAME DESIRED CURRENT READY AGE"),
        ("services", "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE"),
        ("configmaps", "NAME DATA AGE"),
        ("namespaces", "NAME STATUS AGE"),
        ("nodes", "NAME STATUS ROLES AGE VERSION"),
        ("serviceaccounts", "NAME SECRETS AGE"),
        (
            "storageclasses",
            "NAME PROVISIONER RECLAIMPOLICY VOLUMEBINDINGMODE ALLOWVOLUMEEXPANSION AGE",
        ),
        ("priorityclasses", "NAME VALUE GLOBAL-DEFAULT AGE PREEMPTIONPOLICY"),
        ("endpointslices", "NAME ADDRESSTYPE PORTS ENDPOINTS AGE"),
        ("clusterroles", "NAME CREATED AT"),
        ("clusterrolebindings", "NAME ROLE AGE"),
    ],
)
def test_a_table_has_the_columns_that_users_know(
    kubectl: Kubectl, filled: str, what: str, header: str
) -> None:
    lines = kubectl("get", what, "-n", filled).splitlines()
    assert lines[0].split("  ")[0] == "NAME"
    assert " ".join(lines[0].split()) == header
    assert len(lines) > 1


@pytest.mark.parametrize(
    ("what", "header"),
    [
        ("pods", "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES"),
        ("deployments", "NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS IMAGES SELECTOR"),
        ("replicasets", "NAME DESIRED CURRENT READY AGE CONTAINERS IMAGES SELECTOR"),
        ("services", "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR"),
        (
            "nodes",
            (
                "NAME STATUS ROLES AGE VERSION INTERNAL-IP EXTERNAL-IP OS-IMAGE "
                "KERNEL-VERSION CONTAINER-RUNTIME"
            ),
        ),
    ],
)
def test_a_wide_table_has_more_columns(
    kubectl: Kubectl, filled: str, what: str, header: str
) -> None:
    first = kubectl("get", what, "-n", filled, "-o", "wide").splitlines()[0]
    assert " ".join(first.split()) == header


def test_a_settled_deployment_reads_as_such(kubectl: Kubectl, filled: str) -> None:
    row = kubectl("get", "deploy", "web", "-n", filled, "--no-headers").split()
    assert row[:4] == ["web", "2/2", "2", "2"]
    pods = kubectl("get", "po", "-n", filled, "-l", "app=web", "--no-headers").splitlines()
    assert [line.split()[1:4] for line in pods] == [["1/1", "Running", "0"]] * 2
    row = kubectl("get", "svc", "web", "-n", filled, "--no-headers").split()
    assert (row[1], row[3], row[4]) == ("ClusterIP", "<none>", "80/TCP")


def test_formats_other_than_tables(kubectl: Kubectl, filled: str) -> None:
    get = ("get", "-n", filled)
    assert kubectl(*get, "deploy", "-o", "name") == "deployment.apps/web\n"
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    assert kubectl(*get, "deploy", "web", "-o", image) == "web:1"
    columns = "custom-columns=N:.metadata.name,R:.spec.replicas"
    assert kubectl(*get, "deploy", "-o", columns).split() == ["N", "R", "web", "2"]
    assert "kind: Deployment" in kubectl(*get, "deploy", "web", "-o", "yaml")
    items = kubectl.json(*get, "cm")
    assert items["kind"] == "List"
    assert all(item["kind"] == "ConfigMap" for item in items["items"])
    sorted_names = kubectl(*get, "cm", "--sort-by=.metadata.name", "-o", "name").split()
    assert sorted_names == ["configmap/kube-root-ca.crt", "configmap/settings"]


def test_managed_fields_are_shown_when_asked_for(kubectl: Kubectl, filled: str) -> None:
    plain = kubectl("get", "cm", "settings", "-n", filled, "-o", "yaml")
    shown = kubectl("get", "cm", "settings", "-n", filled, "-o", "yaml", "--show-managed-fields")
    assert "managedFields" not in plain
    assert "manager: kubectl-client-side-apply" in shown


def test_selectors_choose(kubectl: Kubectl, filled: str) -> None:
    assert len(kubectl.json("get", "pods", "-A", "-l", "app in (web,api)")["items"]) == 2
    assert kubectl.json("get", "pods", "-n", filled, "-l", "app!=web")["items"] == []
    running = ("get", "pods", "-n", filled, "--field-selector=status.phase=Running", "-o", "name")
    assert len(kubectl(*running).split()) == 2
    named = ("get", "cm", "-A", "--field-selector", "metadata.name=settings", "-o", "name")
    assert kubectl(*named) == "configmap/settings\n"
    assert "field label not supported" in kubectl.refused(
        "get", "pods", "--field-selector=spec.colour=red"
    )


def test_get_all_takes_the_category(kubectl: Kubectl, filled: str) -> None:
    names = kubectl("get", "all", "-n", filled, "-o", "name").split()
    assert {"deployment.apps/web", "service/web"} <= set(names)
    assert any(name.startswith("replicaset.apps/web-") for name in names)
    assert len([name for name in names if name.startswith("pod/web-")]) == 2


def test_pages_of_a_list_join_up(kubectl: Kubectl, filled: str) -> None:
    for number in range(7):
        kubectl("create", "configmap", f"page-{number}", "-n", filled)
    names = kubectl("get", "cm", "-n", filled, "--chunk-size=3", "-o", "name").split()
    assert len([name for name in names if "page-" in name]) == 7
    table = kubectl("get", "cm", "-n", filled, "--chunk-size=3", "--no-headers").splitlines()
    assert len([line for line in table if line.startswith("page-")]) == 7


def test_what_is_not_there_is_said(kubectl: Kubectl) -> None:
    missing = kubectl.refused("get", "deploy", "nothing")
    assert 'Error from server (NotFound): deployments.apps "nothing" not found' in missing
    unknown = kubectl.refused("get", "spaceships")
    assert 'the server doesn\'t have a resource type "spaceships"' in unknown
    assert "No resources found in default namespace." in kubectl.run("get", "ingress").err


@pytest.mark.parametrize(
    "what",
    ["deployment", "replicaset", "pod", "service", "configmap", "endpointslice", "serviceaccount"],
)
def test_describe_shows_objects_of_a_namespace(kubectl: Kubectl, filled: str, what: str) -> None:
    text = kubectl("describe", what, "-n", filled)
    assert "Name:" in text
    assert "Namespace:" in text


@pytest.mark.parametrize(
    "what", ["node", "namespace", "storageclass", "clusterrole", "priorityclass"]
)
def test_describe_shows_objects_of_the_cluster(kubectl: Kubectl, filled: str, what: str) -> None:
    assert "Name:" in kubectl("describe", what)


def test_describe_of_a_deployment_tells_its_story(kubectl: Kubectl, filled: str) -> None:
    text = kubectl("describe", "deployment", "web", "-n", filled)
    assert "2 desired | 2 updated | 2 total | 2 available | 0 unavailable" in text
    assert "ScalingReplicaSet" in text


def test_explain_reads_the_documents(kubectl: Kubectl) -> None:
    text = kubectl("explain", "deployment.spec.strategy")
    assert "FIELD: strategy <DeploymentStrategy>" in text
    assert "rollingUpdate" in text
    tree = kubectl("explain", "service", "--recursive")
    assert "clusterIP" in tree


def test_explain_knows_custom_resources(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=crd("Raft"))
    kubectl("wait", "--for=condition=Established", "crd/rafts.harbour.example", "--timeout=10s")
    text = kubectl("explain", "raft.spec")
    assert "length\t<integer> -required-" in text
    assert "Metres." in text


def test_raw_paths_are_served(kubectl: Kubectl) -> None:
    assert kubectl("get", "--raw", "/readyz") == "ok"
    assert "etcd" not in kubectl("get", "--raw", "/readyz?verbose")
    assert '"paths"' in kubectl("get", "--raw", "/")
    assert "apiserver_request_total" in kubectl("get", "--raw", "/metrics")


def test_events_tell_of_the_pods(kubectl: Kubectl, filled: str) -> None:
    assert "Scheduled" in kubectl("events", "-n", filled)
    header = kubectl("get", "events", "-n", filled).splitlines()[0]
    assert " ".join(header.split()) == "LAST SEEN TYPE REASON OBJECT MESSAGE"


def test_logs_come_from_the_simulation(kubectl: Kubectl, filled: str) -> None:
    everything = kubectl("logs", "deployment/web", "-n", filled)
    assert everything.strip()
    assert len(kubectl("logs", "deployment/web", "-n", filled, "--tail=1").splitlines()) == 1
    assert "is not valid for pod" in kubectl.refused(
        "logs", "deployment/web", "-n", filled, "-c", "other"
    )


@pytest.mark.parametrize(
    "command",
    [("exec", "deployment/web", "--", "true"), ("attach", "deployment/web")],
    ids=lambda command: command[0],
)
def test_what_cannot_be_simulated_is_refused(
    kubectl: Kubectl, filled: str, command: tuple[str, ...]
) -> None:
    assert kubectl.refused(command[0], "-n", filled, *command[1:])


def test_top_says_that_there_are_no_metrics(kubectl: Kubectl) -> None:
    assert "Metrics API not available" in kubectl.refused("top", "nodes")


def test_a_custom_resource_has_the_columns_of_its_definition(
    kubectl: Kubectl, namespace: str, tmp_path: Path
) -> None:
    kubectl("apply", "-f", "-", stdin=crd("Canoe", shortNames=["cn"], categories=["all"]))
    kubectl("wait", "--for=condition=Established", "crd/canoes.harbour.example", "--timeout=10s")
    kubectl("apply", "-n", namespace, "-f", "-", stdin=boat("one", "Canoe"))
    plain = kubectl("get", "cn", "-n", namespace).splitlines()
    assert plain[0].split() == ["NAME", "LENGTH", "AGE"]
    assert plain[1].split()[:2] == ["one", "30"]
    wide = kubectl("get", "canoes", "-n", namespace, "-o", "wide").splitlines()
    assert wide[0].split() == ["NAME", "LENGTH", "FLAG", "AGE"]
    assert wide[1].split()[2] == "white"
    assert "canoe.harbour.example/one" in kubectl("get", "all", "-n", namespace, "-o", "name")
