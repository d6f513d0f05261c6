"""The shipped OpenAPI data, compiled (spec/embedded-cluster.md 4.2)."""

from __future__ import annotations

import pytest

from trimtab.objects import GVK, MISSING
from trimtab.objects.schemas import REF_PREFIX, SchemaSet, UnknownMinor

DEPLOYMENT = GVK("apps", "v1", "Deployment")


def test_every_minor_loads_and_compiles_every_kind() -> None:
    assert SchemaSet.minors() == ["1.37", "1.36", "1.35"]
    for minor in SchemaSet.minors():
        schemas = SchemaSet.load(minor)
        assert len(schemas.kinds()) > 150
        for gvk in schemas.kinds():
            node = schemas.get(gvk)
            assert node is not None
            assert node.type == "object"


def test_a_full_version_names_its_minor_and_an_unknown_one_is_an_error() -> None:
    assert SchemaSet.load("v1.36.4") is SchemaSet.load("1.36")
    assert SchemaSet.load().minor == "1.37"
    with pytest.raises(UnknownMinor):
        SchemaSet.load("1.2")


def test_patch_and_list_markers_are_on_the_nodes() -> None:
    schema = SchemaSet.load().get(DEPLOYMENT)
    assert schema is not None
    spec = schema.properties["spec"]
    assert spec.properties["selector"].map_type == "atomic"
    assert spec.properties["strategy"].patch_strategy == ("retainKeys",)
    pod = spec.properties["template"].properties["spec"]
    assert pod.properties["volumes"].patch_strategy == ("merge", "retainKeys")
    containers = pod.properties["containers"]
    assert (containers.list_type, containers.list_keys) == ("map", ("name",))
    assert containers.items is not None
    ports = containers.items.properties["ports"]
    assert ports.list_keys == ("containerPort", "protocol")
    assert ports.patch_merge_key == "containerPort"
    assert ports.items is not None
    assert ports.items.properties["protocol"].default == "TCP"
    assert ports.items.properties["name"].default is MISSING
    limits = containers.items.properties["resources"].properties["limits"].additional
    assert limits is not None
    assert limits.quantity


def test_int_or_string_keeps_its_meaning() -> None:
    schema = SchemaSet.load().get(GVK("", "v1", "Service"))
    assert schema is not None
    ports = schema.properties["spec"].properties["ports"].items
    assert ports is not None
    assert ports.properties["targetPort"].int_or_string


def test_the_crd_schema_type_is_recursive_and_keeps_properties_named_like_keywords() -> None:
    schema = SchemaSet.load().get(GVK("apiextensions.k8s.io", "v1", "CustomResourceDefinition"))
    assert schema is not None
    version = schema.properties["spec"].properties["versions"].items
    assert version is not None
    props = version.properties["schema"].properties["openAPIV3Schema"]
    assert {"$ref", "enum", "type", "default", "properties"} <= set(props.properties)
    inner = props.properties["properties"].additional
    assert inner is not None
    assert inner.properties is props.properties


def test_openapi_of_a_group_version_is_closed_under_references() -> None:
    document = SchemaSet.load().openapi("apps", "v1")
    assert "io.k8s.api.apps.v1.Deployment" in document
    assert "enum" not in document["io.k8s.api.apps.v1.Deployment"]["properties"]["kind"]
    text = repr(document)
    for part in text.split(REF_PREFIX)[1:]:
        assert part.split("'")[0] in document
    assert "null" not in repr(
        document["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["replicas"]
    )
