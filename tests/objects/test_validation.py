"""What the API server refuses, in its words (spec/embedded-cluster.md 9, 10)."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from trimtab.lang.yaml import load_all
from trimtab.objects import SchemaSet, apply_defaults, gvk_of, normalise
from trimtab.objects.crd import NotStructural, crd_versions, structural_schema
from trimtab.objects.validation import unenforced_rules, validate


def findings(obj: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
    gvk = gvk_of(obj)
    schema = SchemaSet.load().get(gvk)

    def stored(each: dict[str, Any]) -> dict[str, Any]:
        return apply_defaults(normalise(each, gvk, schema), gvk, schema)

    return [str(e) for e in validate(stored(obj), gvk, schema, old=stored(old) if old else None)]


def deployment() -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a"},
        "spec": {
            "selector": {"matchLabels": {"app": "a"}},
            "template": {
                "metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "c", "image": "i:1"}]},
            },
        },
    }


def test_a_good_deployment_passes() -> None:
    assert findings(deployment()) == []


def test_the_examples_pass() -> None:
    root = Path(__file__).parents[2] / "examples"
    seen = 0
    for path in sorted(root.rglob("*.yaml")):
        if "templates" in path.parts:
            continue
        for document in load_all(path.read_bytes()):
            obj = document.value
            partial = not isinstance(obj, dict) or "overlays" in path.parts
            if not partial and SchemaSet.load().get(gvk_of(obj)) is not None:
                seen += 1
                assert findings(obj) == [], path
    assert seen > 0


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "spec.template.spec.containers.0.image",
            None,
            "spec.template.spec.containers[0].image: Required value",
        ),
        (
            "metadata.name",
            "A_b",
            'metadata.name: Invalid value: "A_b": a lowercase RFC 1123 subdomain must consist of',
        ),
        (
            "spec.template.metadata.labels",
            {"app": "b"},
            'spec.template.metadata.labels: Invalid value: {"app":"b"}: `selector` does not match',
        ),
        ("spec.selector", None, "spec.selector: Required value"),
        ("spec.replicas", -1, "spec.replicas: Invalid value: -1: must be greater than"),
        (
            "spec.replicas",
            "x",
            'spec.replicas: Invalid value: "string": spec.replicas in body',
        ),
        (
            "spec.template.spec.containers.0.volumeMounts",
            [{"name": "v", "mountPath": "/v"}],
            'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "v"',
        ),
        (
            "spec.template.spec.containers.0.resources",
            {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}},
            'spec.template.spec.containers[0].resources.requests: Invalid value: "2": must',
        ),
        (
            "spec.template.spec.containers.0.ports",
            [{"containerPort": 70000}],
            "spec.template.spec.containers[0].ports[0].containerPort: Invalid value: 70000: must",
        ),
        (
            "spec.template.spec.restartPolicy",
            "Never",
            'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Alw',
        ),
    ],
)
def test_a_bad_deployment_is_refused_at_the_right_path(path: str, value: Any, message: str) -> None:
    obj = deployment()
    *way, last = path.split(".")
    node: Any = obj
    for step in way:
        node = node[int(step)] if isinstance(node, list) else node[step]
    node[last] = value
    found = findings(obj)
    assert [each for each in found if each.startswith(message)], found


def test_a_selector_may_not_change() -> None:
    new = deployment()
    new["spec"]["selector"] = {"matchLabels": {"app": "b"}}
    new["spec"]["template"]["metadata"]["labels"] = {"app": "b"}
    assert findings(new, deployment()) == [
        'spec.selector: Invalid value: {"matchLabels":{"app":"b"}}: field is immutable'
    ]


def test_an_immutable_config_map_keeps_its_data() -> None:
    old = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a"},
        "data": {"a": "1"},
        "immutable": True,
    }
    new = copy.deepcopy(old)
    new["data"] = {"a": "2"}
    assert findings(new, old) == ["data: Forbidden: field is immutable when `immutable` is set"]
    big = {**old, "data": {"a": "x" * (1024 * 1024 + 1)}}
    assert findings(big) == ["data: Too long: may not be more than 1048576 bytes"]


SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1},
                "mode": {"type": "string", "enum": ["a", "b"]},
                "parts": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}},
                    },
                },
            },
            "x-kubernetes-validations": [{"rule": "self.size < 9"}],
        }
    },
}


def test_custom_resources_follow_their_schema_and_old_faults_pass() -> None:
    schema = structural_schema(SCHEMA)
    bad = {
        "apiVersion": "e.com/v1",
        "kind": "T",
        "metadata": {"name": "t"},
        "spec": {"size": 0, "mode": "c", "parts": [{"name": "p"}, {"name": "p"}]},
    }
    found = [str(each) for each in validate(bad, gvk_of(bad), schema, builtin=False)]
    assert found == [
        "spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1",
        'spec.mode: Unsupported value: "c": supported values: "a", "b"',
        'spec.parts[1]: Duplicate value: {"name":"p"}',
    ]
    assert validate(bad, gvk_of(bad), schema, old=bad, builtin=False) == []
    assert unenforced_rules(schema) == ["validation rule not enforced at .spec: self.size < 9"]


def test_a_schema_that_is_not_structural_is_refused_with_every_violation() -> None:
    raw = {"type": "object", "properties": {"a": {}, "b": {"type": "array"}, "c": {"$ref": "#/x"}}}
    with pytest.raises(NotStructural) as caught:
        structural_schema(raw)
    text = "\n".join(caught.value.violations)
    assert "properties[a].type: Required value: must not be empty for specified object" in text
    assert "properties[b].items: Required value" in text
    assert "properties[c].$ref: Forbidden" in text


def test_our_own_crds_are_structural() -> None:
    root = Path(__file__).parents[2] / "src" / "trimtab"
    names = []
    for path in root.rglob("crds/**/*.yaml"):
        for document in load_all(path.read_bytes()):
            if (document.value or {}).get("kind") == "CustomResourceDefinition":
                assert crd_versions(document.value)
                names.append(document.value["metadata"]["name"])
    assert names
