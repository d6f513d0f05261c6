"""Rules of custom resource definitions, as kubectl meets them."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import trimtab.flux

from .conftest import Kubectl

CRDS = Path(trimtab.flux.__file__).parent / "crds"
CHART = {"spec": {"chart": "x", "sourceRef": {"kind": "HelmRepository", "name": "r"}}}


def _release(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "app", "namespace": "default"},
        "spec": {"interval": "1m", **spec},
    }


def _definition(plural: str, spec: dict[str, Any]) -> dict[str, Any]:
    kind = plural.capitalize()
    schema = {"type": "object", "properties": {"spec": spec}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.org"},
        "spec": {
            "group": "example.org",
            "scope": "Namespaced",
            "names": {
                "plural": plural,
                "kind": kind,
                "singular": plural,
                "listKind": f"{kind}List",
            },
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def _object(plural: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.org/v1",
        "kind": plural.capitalize(),
        "metadata": {"name": "one", "namespace": "default"},
        "spec": spec,
    }


PARTS = {
    "type": "object",
    "properties": {
        "size": {"type": "integer", "x-kubernetes-validations": [{"rule": "self >= oldSelf"}]},
        "max-size": {"type": "integer"},
        "memory": {"type": "string"},
        "parts": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string"},
                    "color": {
                        "type": "string",
                        "x-kubernetes-validations": [
                            {"rule": "self == oldSelf", "message": "color may not change"}
                        ],
                    },
                },
            },
        },
    },
    "x-kubernetes-validations": [
        {
            "rule": "!has(self.max__dash__size) || self.size <= self.max__dash__size",
            "messageExpression": "'%d is more than %d'.format([self.size, self.max__dash__size])",
            "message": "too large",
            "reason": "FieldValueForbidden",
            "fieldPath": ".size",
        },
        {"rule": "!has(self.memory) || quantity(self.memory).isLessThan(quantity('1Gi'))"},
    ],
}


def test_a_release_needs_a_chart_or_a_reference_to_one(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", str(CRDS / "helmreleases.yaml"))
    kubectl("wait", "--for=condition=Established", "crd/helmreleases.helm.toolkit.fluxcd.io")
    said = kubectl.refused("create", "-f", "-", stdin=_release())
    assert 'The HelmRelease "app" is invalid: spec: Invalid value: "object":' in said
    assert "either chart or chartRef must be set" in said
    both = _release(chart=CHART, chartRef={"kind": "OCIRepository", "name": "r"})
    assert "either chart or chartRef must be set" in kubectl.refused(
        "apply", "--server-side", "-f", "-", stdin=both
    )
    kubectl("create", "-f", "-", stdin=_release(chart=CHART))
    patch = '{"spec":{"chartRef":{"kind":"OCIRepository","name":"r"}}}'
    arguments = ("patch", "helmrelease", "app", "--type=merge", "-p")
    assert "either chart or chartRef must be set" in kubectl.refused(*arguments, patch)
    kubectl(*arguments, '{"spec":{"suspend":true}}')


def test_rules_are_told_at_their_place_with_their_reason_and_message(kubectl: Kubectl) -> None:
    made = kubectl.run("create", "-f", "-", stdin=_definition("parts", PARTS))
    assert (made.code, made.err) == (0, "")
    kubectl("wait", "--for=condition=Established", "crd/parts.example.org")
    large = _object("parts", size=3, memory="2Gi", **{"max-size": 2})
    said = kubectl.refused("create", "-f", "-", stdin=large)
    assert "spec.size: Forbidden: 3 is more than 2" in said
    assert (
        'spec: Invalid value: "object": failed rule: '
        "!has(self.memory) || quantity(self.memory).isLessThan(quantity('1Gi'))" in said
    )
    first = _object("parts", size=3, parts=[{"name": "a", "color": "red"}])
    kubectl("create", "-f", "-", stdin=first)
    changed = copy.deepcopy(first)
    changed["spec"] = {
        "size": 2,
        "parts": [{"name": "b", "color": "blue"}, {"name": "a", "color": "green"}],
    }
    said = kubectl.refused("apply", "-f", "-", stdin=changed)
    assert 'spec.size: Invalid value: "integer": failed rule: self >= oldSelf' in said
    assert 'spec.parts[1].color: Invalid value: "string": color may not change' in said
    assert "parts[0]" not in said
    kubectl("apply", "-f", "-", stdin=_object("parts", size=4))
    missing = _object("parts", size="x", memory="2Gi")
    said = kubectl.refused("apply", "--validate=false", "-f", "-", stdin=missing)
    assert "some validation rules were not checked because the object was invalid" in said


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("self.size ==", "compilation failed: <input>:1:"),
        ("self.sizes == 1", "compilation failed: <input>:1:5: undefined field 'sizes'"),
        ("'a'", "must evaluate to a bool"),
        ("frobnicate(self.size)", "undeclared reference to 'frobnicate'"),
    ],
)
def test_a_definition_whose_rules_do_not_compile_is_refused(
    kubectl: Kubectl, rule: str, said: str
) -> None:
    spec = {
        "type": "object",
        "properties": {"size": {"type": "integer"}},
        "x-kubernetes-validations": [{"rule": rule}],
    }
    text = kubectl.refused("create", "-f", "-", stdin=_definition("broken", spec))
    where = "schema.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule"
    assert said in text
    assert f"spec.versions[0].{where}: Invalid value" in text


def test_a_transition_below_an_atomic_list_is_refused(kubectl: Kubectl) -> None:
    item = {"type": "integer", "x-kubernetes-validations": [{"rule": "self > oldSelf"}]}
    spec = {"type": "object", "properties": {"a": {"type": "array", "items": item}}}
    text = kubectl.refused("create", "-f", "-", stdin=_definition("atomic", spec))
    assert "oldSelf cannot be used on the uncorrelatable portion of the schema" in text


def test_a_rule_that_the_engine_cannot_run_is_warned_of(kubectl: Kubectl) -> None:
    spec = {
        "type": "object",
        "properties": {"until": {"type": "string", "format": "date-time"}},
        "x-kubernetes-validations": [{"rule": "self.until > timestamp('2020-01-01T00:00:00Z')"}],
    }
    made = kubectl.run("create", "-f", "-", stdin=_definition("untils", spec))
    assert made.code == 0
    assert "does not enforce 1 CEL rules" in made.err
    assert "a timestamp on a real server" in made.err


def test_our_own_definitions_have_no_rule_that_cannot_run(kubectl: Kubectl) -> None:
    for path in sorted(CRDS.parent.parent.glob("*/crds/*.yaml")):
        if "x-kubernetes-validations" not in path.read_text():
            continue
        for each in yaml.safe_load_all(path.read_text()):
            ran = kubectl.run("apply", "--dry-run=server", "-f", "-", stdin=each)
            assert (ran.code, ran.err) == (0, ""), path


def test_the_engine_is_loaded_with_the_first_rule_only() -> None:
    script = (
        "import sys, trimtab.cluster, trimtab.objects\n"
        "assert not any(name.startswith('cel_expr') for name in sys.modules)\n"
        "from trimtab.lang.cel import compile_rule\n"
        "assert not any(name.startswith('cel_expr') for name in sys.modules)\n"
        "assert compile_rule('self == 1').evaluate(1) is True\n"
        "assert any(name.startswith('cel_expr') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
