"""What takes time: watching, waiting, rollouts, deletion, namespaces and definitions."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import pytest

from .conftest import Kubectl
from .objects import boat, config_map, crd, deployment


def _until(what: Callable[[], bool], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)


def test_a_watch_shows_every_change(kubectl: Kubectl, namespace: str) -> None:
    kubectl("create", "-n", namespace, "-f", "-", stdin=config_map())
    watch = subprocess.Popen(
        kubectl.command("get", "cm", "-n", namespace, "-w", "--output-watch-events", "-l", "a=b"),
        stdout=subprocess.PIPE, text=True, env=kubectl.environment(),
    )  # fmt: skip
    try:
        time.sleep(0.7)
        kubectl("label", "cm", "settings", "-n", namespace, "a=b")
        kubectl("annotate", "cm", "settings", "-n", namespace, "x=y")
        kubectl("label", "cm", "settings", "-n", namespace, "a-")
        assert watch.stdout is not None
        lines = [watch.stdout.readline().split() for _ in range(4)]
    finally:
        watch.kill()
        watch.wait()
    assert lines[0] == ["EVENT", "NAME", "DATA", "AGE"]
    assert [line[0] for line in lines[1:]] == ["ADDED", "MODIFIED", "DELETED"]
    assert {line[1] for line in lines[1:]} == {"settings"}


def test_wait_for_conditions_paths_creation_and_deletion(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment())
    wait = ("wait", "-n", namespace, "--timeout=20s")
    kubectl(*wait, "--for=condition=Available", "deployment/web")
    kubectl(*wait, "--for=jsonpath={.status.readyReplicas}=2", "deployment/web")
    kubectl(*wait, "--for=create", "deployment/web")
    kubectl(*wait, "--for=condition=Ready", "pods", "-l", "app=web")
    late = subprocess.Popen(
        kubectl.command(*wait, "--for=delete", "deployment/web"), env=kubectl.environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    time.sleep(0.3)
    kubectl("delete", "deployment", "web", "-n", namespace)
    assert late.wait(20) == 0
    refused = kubectl.refused(
        "wait", "-n", namespace, "--timeout=1s", "--for=condition=Never", "ns/default"
    )
    assert "timed out waiting for the condition" in refused


def test_rollouts_have_a_history_and_can_be_undone(kubectl: Kubectl, namespace: str) -> None:
    status = ("rollout", "status", "deploy/web", "-n", namespace, "--timeout=20s")
    kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment())
    assert "successfully rolled out" in kubectl(*status)
    kubectl("set", "image", "deploy/web", "web=web:2", "-n", namespace)
    assert "successfully rolled out" in kubectl(*status)
    history = kubectl("rollout", "history", "deploy/web", "-n", namespace)
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2"]
    kubectl("rollout", "undo", "deploy/web", "-n", namespace)
    kubectl(*status)
    image = "jsonpath={.spec.template.spec.containers[0].image}"
    assert kubectl("get", "deploy", "web", "-n", namespace, "-o", image) == "web:1"
    kubectl("rollout", "restart", "deploy/web", "-n", namespace)
    kubectl(*status)
    kubectl("rollout", "pause", "deploy/web", "-n", namespace)
    kubectl("rollout", "resume", "deploy/web", "-n", namespace)
    pods = ("get", "pods", "-n", namespace, "-l", "app=web", "-o", "name")
    _until(lambda: len(kubectl(*pods).split()) == 2)


@pytest.mark.parametrize("cascade", ["background", "foreground"])
def test_deletion_takes_the_dependents_along(
    kubectl: Kubectl, namespace: str, cascade: str
) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment())
    kubectl("rollout", "status", "deploy/web", "-n", namespace, "--timeout=20s")
    kubectl("delete", "deploy", "web", "-n", namespace, f"--cascade={cascade}", "--timeout=20s")
    _until(lambda: not kubectl("get", "rs,pods", "-n", namespace, "-o", "name"))


def test_deletion_can_leave_orphans(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment())
    kubectl("rollout", "status", "deploy/web", "-n", namespace, "--timeout=20s")
    kubectl("delete", "deploy", "web", "-n", namespace, "--cascade=orphan")
    sets = kubectl.json("get", "rs", "-n", namespace)["items"]
    assert len(sets) == 1
    _until(
        lambda: (
            "ownerReferences"
            not in kubectl.json("get", "rs", "-n", namespace)["items"][0]["metadata"]
        )
    )
    assert len(kubectl.json("get", "pods", "-n", namespace)["items"]) == 2


def test_a_finalizer_holds_a_deleted_object(kubectl: Kubectl, namespace: str) -> None:
    held = config_map()
    held["metadata"]["finalizers"] = ["example.org/hold"]
    kubectl("create", "-n", namespace, "-f", "-", stdin=held)
    kubectl("delete", "cm", "settings", "-n", namespace, "--wait=false")
    assert kubectl.json("get", "cm", "settings", "-n", namespace)["metadata"]["deletionTimestamp"]
    add = '{"metadata":{"finalizers":["example.org/hold","example.org/other"]}}'
    refused = kubectl.refused("patch", "cm", "settings", "-n", namespace, "--type=merge", "-p", add)
    assert "no new finalizers can be added if the object is being deleted" in refused
    kubectl("patch", "cm", "settings", "-n", namespace, "--type=merge", "-p",
            '{"metadata":{"finalizers":null}}')  # fmt: skip
    assert kubectl("get", "cm", "settings", "-n", namespace, "--ignore-not-found") == ""


def test_pods_go_gracefully_or_at_once(kubectl: Kubectl, namespace: str) -> None:
    kubectl("run", "one", "--image=nginx", "-n", namespace)
    kubectl("wait", "--for=condition=Ready", "pod/one", "-n", namespace, "--timeout=20s")
    kubectl("delete", "pod", "one", "-n", namespace, "--timeout=20s")
    kubectl("run", "two", "--image=nginx", "-n", namespace)
    kubectl("delete", "pod", "two", "-n", namespace, "--grace-period=0", "--force")
    assert kubectl("get", "pods", "-n", namespace, "-o", "name") == ""


def test_many_are_deleted_by_label_and_all(kubectl: Kubectl, namespace: str) -> None:
    for name in ("one", "two", "three"):
        kubectl("create", "cm", name, "-n", namespace)
    kubectl("label", "cm", "one", "two", "-n", namespace, "x=y")
    kubectl("delete", "cm", "-n", namespace, "-l", "x=y")
    assert "configmap/three" in kubectl("get", "cm", "-n", namespace, "-o", "name")
    kubectl("delete", "cm", "-n", namespace, "--all")
    assert "three" not in kubectl("get", "cm", "-n", namespace, "-o", "name")


def test_a_namespace_goes_with_all_that_is_in_it(kubectl: Kubectl) -> None:
    kubectl("create", "namespace", "short")
    found = kubectl.json("get", "ns", "short")
    assert found["metadata"]["labels"]["kubernetes.io/metadata.name"] == "short"
    assert found["spec"]["finalizers"] == ["kubernetes"]
    _until(lambda: bool(kubectl("get", "sa", "default", "-n", "short", "--ignore-not-found")))
    assert "ca.crt" in kubectl.json("get", "cm", "kube-root-ca.crt", "-n", "short")["data"]
    kubectl("apply", "-n", "short", "-f", "-", stdin=[deployment(), config_map()])
    kubectl("delete", "namespace", "short", "--timeout=30s")
    assert "NotFound" in kubectl.refused("get", "ns", "short")
    assert kubectl("get", "all,cm", "-n", "short", "-o", "name") == ""


def test_a_namespace_waits_for_finalizers_and_takes_nothing_new(kubectl: Kubectl) -> None:
    kubectl("create", "namespace", "stuck")
    held = config_map()
    held["metadata"]["finalizers"] = ["example.org/hold"]
    kubectl("create", "-n", "stuck", "-f", "-", stdin=held)
    kubectl("delete", "namespace", "stuck", "--wait=false")
    assert kubectl.json("get", "ns", "stuck")["status"]["phase"] == "Terminating"
    conditions = {
        each["type"]: each for each in kubectl.json("get", "ns", "stuck")["status"]["conditions"]
    }
    held = conditions["NamespaceFinalizersRemaining"]
    assert held["status"] == "True"
    assert "example.org/hold in 1 resource instances" in held["message"]
    assert "configmaps has 1 resource" in conditions["NamespaceContentRemaining"]["message"]
    refused = kubectl.refused("create", "cm", "more", "-n", "stuck")
    assert "because it is being terminated" in refused
    kubectl("patch", "cm", "settings", "-n", "stuck", "--type=merge", "-p",
            '{"metadata":{"finalizers":null}}')  # fmt: skip
    kubectl("wait", "--for=delete", "ns/stuck", "--timeout=20s")


def test_protected_namespaces_stay(kubectl: Kubectl) -> None:
    assert "this namespace may not be deleted" in kubectl.refused("delete", "ns", "kube-system")
    assert "not found" in kubectl.refused("create", "cm", "a", "-n", "nowhere")


def test_a_definition_comes_to_life_and_goes_with_its_objects(
    kubectl: Kubectl, namespace: str
) -> None:
    kubectl("apply", "-f", "-", stdin=crd("Yacht", shortNames=["yt"]))
    kubectl("wait", "--for=condition=Established", "crd/yachts.harbour.example", "--timeout=10s")
    assert "yachts" in kubectl("api-resources", "--api-group=harbour.example")
    kubectl("apply", "-n", namespace, "-f", "-", stdin=boat("one", "Yacht", anything={"a": [1]}))
    found = kubectl.json("get", "yt", "one", "-n", namespace)
    assert found["spec"] == {"length": 30, "flag": "white", "replicas": 1, "anything": {"a": [1]}}
    definition = kubectl.json("get", "crd", "yachts.harbour.example")
    assert definition["status"]["storedVersions"] == ["v1"]
    assert definition["status"]["acceptedNames"]["kind"] == "Yacht"
    kubectl("delete", "crd", "yachts.harbour.example", "--timeout=20s")
    refused = kubectl.refused("get", "yachts", "-A")
    assert "the server could not find the requested resource" in refused


def test_custom_resources_are_checked_and_pruned(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-f", "-", stdin=crd("Skiff"))
    kubectl("wait", "--for=condition=Established", "crd/skiffs.harbour.example", "--timeout=10s")
    apply = ("apply", "-n", namespace, "-f", "-")
    short = boat("s", "Skiff", length=0)
    assert "spec.length: Invalid value: 0" in kubectl.refused(*apply, stdin=short)
    assert 'unknown field "spec.sail"' in kubectl.refused(*apply, stdin=boat("s", "Skiff", sail=1))
    kubectl(*apply, "--validate=ignore", stdin=boat("s", "Skiff", sail=1))
    assert "sail" not in kubectl.json("get", "skiff", "s", "-n", namespace)["spec"]
    missing = boat("s", "Skiff")
    del missing["spec"]["length"]
    assert "spec.length: Required value" in kubectl.refused(*apply, stdin=missing)


def test_a_definition_that_is_not_structural_is_refused(kubectl: Kubectl) -> None:
    wrong = crd("Wreck")
    del wrong["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["type"]
    refused = kubectl.refused("apply", "-f", "-", stdin=wrong)
    assert "properties[spec].type: Required value" in refused
