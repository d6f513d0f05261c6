"""What kubectl writes: create, apply, patch, edit, label, scale, replace, delete."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from .conftest import Kubectl
from .objects import boat, config_map, crd, deployment, service

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@pytest.mark.parametrize(
    ("command", "kind", "name"),
    [
        ("configmap a --from-literal=k=v", "configmap", "a"),
        ("secret generic a --from-literal=k=v", "secret", "a"),
        ("serviceaccount a", "serviceaccount", "a"),
        ("deployment a --image=nginx --replicas=2", "deployment", "a"),
        ("job a --image=busybox", "job", "a"),
        ("cronjob a --image=busybox --schedule=@daily", "cronjob", "a"),
        ("role a --verb=get --resource=pods", "role", "a"),
        ("rolebinding a --clusterrole=view --user=bob", "rolebinding", "a"),
        ("quota a --hard=pods=100", "quota", "a"),
        ("poddisruptionbudget a --selector=x=y --min-available=1", "pdb", "a"),
        ("ingress a --rule=h/p=svc:80", "ingress", "a"),
        ("service clusterip a --tcp=80:8080", "service", "a"),
        ("service nodeport b --tcp=80", "service", "b"),
        ("service loadbalancer c --tcp=80", "service", "c"),
        ("service externalname d --external-name=e.example", "service", "d"),
    ],
)
def test_imperative_create(
    kubectl: Kubectl, namespace: str, command: str, kind: str, name: str
) -> None:
    out = kubectl("create", *command.split(), "-n", namespace)
    assert out.endswith(f"/{name} created\n")
    found = kubectl.json("get", kind, name, "-n", namespace)
    assert found["metadata"]["uid"]
    twice = kubectl.refused("create", *command.split(), "-n", namespace)
    assert "already exists" in twice


def test_imperative_create_of_the_cluster(kubectl: Kubectl) -> None:
    kubectl("create", "clusterrole", "looker", "--verb=get", "--resource=pods")
    kubectl("create", "clusterrolebinding", "lookers", "--clusterrole=looker", "--user=bob")
    kubectl("create", "priorityclass", "urgent", "--value=1000")
    assert kubectl.json("get", "priorityclass", "urgent")["value"] == 1000
    for each in ("clusterrole/looker", "clusterrolebinding/lookers", "priorityclass/urgent"):
        kubectl("delete", each)


def test_run_and_expose(kubectl: Kubectl, namespace: str) -> None:
    kubectl("run", "one", "--image=nginx", "--port=80", "-n", namespace)
    kubectl("expose", "pod", "one", "--port=80", "-n", namespace)
    kubectl("wait", "--for=condition=Ready", "pod/one", "-n", namespace, "--timeout=20s")
    found = kubectl.json("get", "service", "one", "-n", namespace)
    assert found["spec"]["selector"] == {"run": "one"}
    assert found["spec"]["clusterIP"].count(".") == 3


def test_client_side_apply_creates_updates_and_rests(kubectl: Kubectl, namespace: str) -> None:
    apply = ("apply", "-n", namespace, "-f", "-")
    assert kubectl(*apply, stdin=config_map()) == "configmap/settings created\n"
    before = kubectl.json("get", "cm", "settings", "-n", namespace)["metadata"]
    assert kubectl(*apply, stdin=config_map()) == "configmap/settings unchanged\n"
    changed = config_map(colour="red", size="big")
    assert kubectl(*apply, stdin=changed) == "configmap/settings configured\n"
    after = kubectl.json("get", "cm", "settings", "-n", namespace)
    assert after["data"] == {"colour": "red", "size": "big"}
    assert int(after["metadata"]["resourceVersion"]) > int(before["resourceVersion"])
    assert APPLIED in after["metadata"]["annotations"]
    kubectl(*apply, stdin=config_map(colour="red"))
    assert kubectl.json("get", "cm", "settings", "-n", namespace)["data"] == {"colour": "red"}


def test_client_side_apply_of_a_workload_merges_by_name(kubectl: Kubectl, namespace: str) -> None:
    apply = ("apply", "-n", namespace, "-f", "-")
    kubectl(*apply, stdin=deployment())
    two = deployment()
    two["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "side:1"})
    assert kubectl(*apply, stdin=two) == "deployment.apps/web configured\n"
    names = "jsonpath={.spec.template.spec.containers[*].name}"
    assert kubectl("get", "deploy", "web", "-n", namespace, "-o", names) == "web side"
    kubectl(*apply, stdin=deployment())
    assert kubectl("get", "deploy", "web", "-n", namespace, "-o", names) == "web"
    assert kubectl(*apply, stdin=deployment()) == "deployment.apps/web unchanged\n"


def test_server_side_apply_and_its_conflicts(kubectl: Kubectl, namespace: str) -> None:
    apply = ("apply", "--server-side", "-n", namespace, "-f", "-")
    out = kubectl(*apply, "--field-manager=git", stdin=deployment())
    assert out == "deployment.apps/web serverside-applied\n"
    version = "jsonpath={.metadata.resourceVersion}"
    kubectl("rollout", "status", "deploy/web", "-n", namespace, "--timeout=20s")
    before = kubectl("get", "deploy", "web", "-n", namespace, "-o", version)
    kubectl(*apply, "--field-manager=git", stdin=deployment())
    assert kubectl("get", "deploy", "web", "-n", namespace, "-o", version) == before
    refused = kubectl.refused(*apply, "--field-manager=me", stdin=deployment(replicas=5))
    assert 'conflict with "git": .spec.replicas' in refused
    kubectl(*apply, "--field-manager=me", "--force-conflicts", stdin=deployment(replicas=5))
    assert kubectl.json("get", "deploy", "web", "-n", namespace)["spec"]["replicas"] == 5


def test_apply_moves_from_the_client_to_the_server(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=config_map())
    kubectl("apply", "--server-side", "-n", namespace, "-f", "-", stdin=config_map(shape="round"))
    found = kubectl.json("get", "cm", "settings", "-n", namespace, "--show-managed-fields")
    assert found["data"] == {"shape": "round"}
    managers = {(e["manager"], e["operation"]) for e in found["metadata"]["managedFields"]}
    assert ("kubectl", "Apply") in managers
    assert ("kubectl-client-side-apply", "Update") not in managers


def test_apply_with_prune_removes_what_is_gone(kubectl: Kubectl, namespace: str) -> None:
    first, second = config_map("one"), config_map("two")
    for each in (first, second):
        each["metadata"]["labels"] = {"set": namespace}
    prune = ("apply", "--prune", "-n", namespace, "-l", f"set={namespace}", "-f", "-",
             "--prune-allowlist=core/v1/ConfigMap")  # fmt: skip
    kubectl(*prune, stdin=[first, second])
    assert "configmap/two pruned" in kubectl(*prune, stdin=[first])


def test_dry_runs_change_nothing(kubectl: Kubectl, namespace: str) -> None:
    out = kubectl("apply", "-n", namespace, "--dry-run=server", "-f", "-", stdin=config_map())
    assert out == "configmap/settings created (server dry run)\n"
    assert kubectl("get", "cm", "settings", "-n", namespace, "--ignore-not-found") == ""
    shown = kubectl(
        "apply", "-n", namespace, "--dry-run=server", "-o", "yaml", "-f", "-", stdin=service()
    )
    assert "clusterIP:" in shown
    kubectl("apply", "-n", namespace, "-f", "-", stdin=config_map())
    out = kubectl("delete", "cm", "settings", "-n", namespace, "--dry-run=server")
    assert "deleted" in out
    assert kubectl("get", "cm", "settings", "-n", namespace, "-o", "name")


def test_unknown_fields_are_refused(kubectl: Kubectl, namespace: str) -> None:
    wrong = deployment(replcas=3)
    refused = kubectl.refused("apply", "-n", namespace, "-f", "-", stdin=wrong)
    assert 'strict decoding error: unknown field "spec.replcas"' in refused
    loose = ("apply", "-n", namespace, "--validate=warn", "-f", "-")
    assert 'unknown field "spec.replcas"' in kubectl.run(*loose, stdin=wrong).err
    assert "replcas" not in kubectl.json("get", "deploy", "web", "-n", namespace)["spec"]


def test_invalid_objects_are_refused_with_their_path(kubectl: Kubectl, namespace: str) -> None:
    wrong = deployment()
    del wrong["spec"]["template"]["spec"]["containers"][0]["image"]
    wrong["spec"]["selector"] = {"matchLabels": {"other": "label"}}
    refused = kubectl.refused("apply", "-n", namespace, "-f", "-", stdin=wrong)
    assert 'The Deployment "web" is invalid' in refused
    assert "spec.template.spec.containers[0].image: Required value" in refused
    assert "selector" in refused


def test_diff_shows_what_apply_would_change(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment())
    kubectl("rollout", "status", "deploy/web", "-n", namespace, "--timeout=20s")
    same = kubectl.run("diff", "-n", namespace, "-f", "-", stdin=deployment())
    assert (same.code, same.out) == (0, ""), same
    changed = kubectl.run("diff", "-n", namespace, "-f", "-", stdin=deployment(replicas=3))
    assert changed.code == 1, changed
    assert "-  replicas: 2" in changed.out
    assert "+  replicas: 3" in changed.out


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("merge", '{"data":{"colour":"green"}}'),
        ("strategic", '{"data":{"colour":"green"}}'),
        ("json", '[{"op":"replace","path":"/data/colour","value":"green"}]'),
    ],
)
def test_patches_of_three_types(kubectl: Kubectl, namespace: str, kind: str, patch: str) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=config_map())
    out = kubectl("patch", "cm", "settings", "-n", namespace, f"--type={kind}", "-p", patch)
    assert out == "configmap/settings patched\n"
    again = kubectl("patch", "cm", "settings", "-n", namespace, f"--type={kind}", "-p", patch)
    assert again == "configmap/settings patched (no change)\n"
    assert kubectl.json("get", "cm", "settings", "-n", namespace)["data"] == {"colour": "green"}


def test_bad_patches_are_refused(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=config_map())
    patch = ("patch", "cm", "settings", "-n", namespace)
    failed = '[{"op":"test","path":"/data/colour","value":"pink"}]'
    assert "invalid" in kubectl.refused(*patch, "--type=json", "-p", failed).lower()
    missing = '[{"op":"remove","path":"/data/none"}]'
    assert "invalid" in kubectl.refused(*patch, "--type=json", "-p", missing).lower()


def test_the_status_is_patched_through_its_subresource(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-f", "-", stdin=crd("Barge"))
    kubectl("wait", "--for=condition=Established", "crd/barges.harbour.example", "--timeout=10s")
    kubectl("apply", "-n", namespace, "-f", "-", stdin=boat("b", "Barge"))
    patch = ("patch", "barge", "b", "-n", namespace, "--type=merge")
    kubectl(*patch, "-p", '{"status":{"phase":"Sunk"}}')
    found = kubectl.json("get", "barge", "b", "-n", namespace)
    assert "status" not in found
    assert found["metadata"]["generation"] == 1
    kubectl(*patch, "--subresource=status", "-p", '{"status":{"phase":"Afloat"}}')
    kubectl("wait", "barge/b", "-n", namespace, "--for=jsonpath={.status.phase}=Afloat",
            "--timeout=10s")  # fmt: skip
    kubectl("scale", "barge", "b", "-n", namespace, "--replicas=4")
    found = kubectl.json("get", "barge", "b", "-n", namespace)
    assert found["spec"]["replicas"] == 4
    assert found["metadata"]["generation"] == 2


def test_edit_sends_what_the_editor_left(kubectl: Kubectl, namespace: str, tmp_path: Path) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=config_map())
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/colour: blue/colour: violet/' \"$1\"\n")
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    out = kubectl("edit", "cm", "settings", "-n", namespace, KUBE_EDITOR=str(editor))
    assert out == "configmap/settings edited\n"
    assert kubectl.json("get", "cm", "settings", "-n", namespace)["data"] == {"colour": "violet"}


def test_labels_and_annotations(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=config_map())
    on = ("cm", "settings", "-n", namespace)
    kubectl("label", *on, "tier=back")
    assert "already has a value" in kubectl.refused("label", *on, "tier=front")
    kubectl("label", *on, "tier=front", "--overwrite")
    kubectl("annotate", *on, "note=a b")
    found = kubectl.json("get", *on)["metadata"]
    assert found["labels"] == {"tier": "front"}
    assert found["annotations"]["note"] == "a b"
    kubectl("label", *on, "tier-")
    kubectl("annotate", *on, "note-")
    assert "labels" not in kubectl.json("get", *on)["metadata"]


def test_scale_and_autoscale(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment())
    assert kubectl("scale", "deploy/web", "-n", namespace, "--replicas=3").endswith("scaled\n")
    kubectl("rollout", "status", "deploy/web", "-n", namespace, "--timeout=20s")
    assert len(kubectl.json("get", "pods", "-n", namespace, "-l", "app=web")["items"]) == 3
    wrong = kubectl.refused(
        "scale", "deploy/web", "-n", namespace, "--replicas=1", "--current-replicas=7"
    )
    assert "Expected replicas to be 7" in wrong
    kubectl("autoscale", "deploy/web", "-n", namespace, "--min=1", "--max=4", "--cpu=50%")
    row = kubectl("get", "hpa", "web", "-n", namespace, "--no-headers").split()
    assert row[:2] == ["web", "Deployment/web"]


def test_set_image_env_and_resources(kubectl: Kubectl, namespace: str) -> None:
    kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment())
    kubectl("set", "image", "deploy/web", "web=web:2", "-n", namespace)
    kubectl("set", "env", "deploy/web", "A=1", "-n", namespace)
    kubectl("set", "resources", "deploy/web", "--limits=cpu=0.5,memory=1Gi", "-n", namespace)
    container = kubectl.json("get", "deploy", "web", "-n", namespace)["spec"]["template"]["spec"][
        "containers"
    ][0]
    assert container["image"] == "web:2"
    assert container["env"] == [{"name": "A", "value": "1"}]
    assert container["resources"]["limits"] == {"cpu": "500m", "memory": "1Gi"}


def test_replace_keeps_and_force_replaces(kubectl: Kubectl, namespace: str) -> None:
    kubectl("create", "-n", namespace, "-f", "-", stdin=config_map())
    uid = kubectl.json("get", "cm", "settings", "-n", namespace)["metadata"]["uid"]
    kubectl("replace", "-n", namespace, "-f", "-", stdin=config_map(colour="grey"))
    found = kubectl.json("get", "cm", "settings", "-n", namespace)
    assert (found["data"], found["metadata"]["uid"]) == ({"colour": "grey"}, uid)
    kubectl("replace", "--force", "-n", namespace, "-f", "-", stdin=config_map())
    assert kubectl.json("get", "cm", "settings", "-n", namespace)["metadata"]["uid"] != uid
    stale = {**config_map(), "metadata": {"name": "settings", "resourceVersion": "1"}}
    refused = kubectl.refused("replace", "-n", namespace, "-f", "-", stdin=stale)
    assert "the object has been modified" in refused


def test_create_with_a_generated_name(kubectl: Kubectl, namespace: str) -> None:
    named = config_map()
    named["metadata"] = {"generateName": "page-"}
    out = kubectl("create", "-n", namespace, "-f", "-", "-o", "name", stdin=named)
    assert out.startswith("configmap/page-")
    assert len(out.strip()) == len("configmap/page-") + 5


def test_taint_cordon_and_drain(kubectl: Kubectl, namespace: str) -> None:
    node = kubectl("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
    kubectl("taint", "node", node, "dedicated=x:PreferNoSchedule")
    kubectl("taint", "node", node, "dedicated-")
    kubectl("apply", "-n", namespace, "-f", "-", stdin=deployment(replicas=1))
    kubectl("rollout", "status", "deploy/web", "-n", namespace, "--timeout=20s")
    kubectl("cordon", node)
    assert "SchedulingDisabled" in kubectl("get", "node", node, "--no-headers")
    kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force",
            "--pod-selector=app=web", "--timeout=30s")  # fmt: skip
    kubectl("uncordon", node)
    assert "SchedulingDisabled" not in kubectl("get", "node", node, "--no-headers")
    kubectl("rollout", "status", "deploy/web", "-n", namespace, "--timeout=20s")


def test_auth_answers(kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "create", "pods") == "yes\n"
    assert "*.*" in kubectl("auth", "can-i", "--list")
    who = kubectl.json("auth", "whoami")
    assert "system:masters" in who["status"]["userInfo"]["groups"]


def test_a_token_of_a_service_account(kubectl: Kubectl, namespace: str) -> None:
    kubectl("create", "serviceaccount", "robot", "-n", namespace)
    assert kubectl("create", "token", "robot", "-n", namespace).count(".") == 2
