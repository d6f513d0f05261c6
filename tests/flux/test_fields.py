"""Nothing that a CRD accepts is silently without effect: each field has its place in a table."""

import pytest

from trimtab.flux.crd_files import crds
from trimtab.flux.errors import Stalled
from trimtab.flux.fields import (
    GIT_FIELDS,
    HELM_REPOSITORY_FIELDS,
    KUSTOMIZATION_FIELDS,
    RELEASE_FIELDS,
)

TABLES = {
    "GitRepository": GIT_FIELDS,
    "HelmRelease": RELEASE_FIELDS,
    "HelmRepository": HELM_REPOSITORY_FIELDS,
    "Kustomization": KUSTOMIZATION_FIELDS,
}


def schemas():
    for crd in crds():
        version = next(v for v in crd["spec"]["versions"] if v["storage"])
        yield crd["spec"]["names"]["kind"], version["schema"]["openAPIV3Schema"]["properties"]


def listed(table):
    return [*table.honoured, *table.refused, *table.named]


def leaves(schema, path, paths):
    """Dotted paths of the schema, as deep as the table goes into it."""
    for name, child in (schema.get("properties") or {}).items():
        here = f"{path}{name}"
        deeper = any(known.startswith(f"{here}.") for known in paths)
        if deeper:
            yield from leaves(child, f"{here}.", paths)
        else:
            yield here


def test_there_is_a_table_for_each_kind_that_is_installed():
    assert {kind for kind, _ in schemas()} == set(TABLES)


@pytest.mark.parametrize("kind", sorted(TABLES))
def test_each_field_of_the_schema_is_in_exactly_one_table(kind):
    spec = dict(schemas())[kind]["spec"]
    known = listed(TABLES[kind])
    assert sorted(leaves(spec, "", known)) == sorted(known)


@pytest.mark.parametrize("kind", sorted(TABLES))
def test_a_refused_field_stalls_by_name_and_a_named_one_is_named(kind):
    table = TABLES[kind]
    for path in table.refused:
        with pytest.raises(Stalled, match=f"spec.{path} is not supported yet"):
            table.check(nested(path, {"x": 1}))
    for path in table.named:
        assert table.check(nested(path, "x")) == [f"spec.{path}"]
    for path in table.honoured:
        assert table.check(nested(path, "x")) == []


def test_what_is_done_anyway_is_not_named():
    assert RELEASE_FIELDS.check({"install": {"serverSideApply": True}}) == []
    assert RELEASE_FIELDS.check({"install": {"serverSideApply": False}}) == [
        "spec.install.serverSideApply"
    ]
    assert RELEASE_FIELDS.check({"test": {"enable": False}, "postRenderers": []}) == []
    assert HELM_REPOSITORY_FIELDS.check({"provider": "generic"}) == []


def nested(path, value):
    for name in reversed(path.split(".")):
        value = {name: value}
    return value
