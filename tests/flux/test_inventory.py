"""Inventory ids read as the reference writes them (spec/flux.md 3.7)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.flux.inventory import entry_id, inventory_of, keys_in, parse_id
from trimtab.objects import ObjectKey

CASES = [
    ("default_podinfo__Service", ObjectKey("", "Service", "default", "podinfo")),
    (
        "_flux-view_rbac.authorization.k8s.io_ClusterRole",
        ObjectKey("rbac.authorization.k8s.io", "ClusterRole", "", "flux-view"),
    ),
    (
        "kube-system_system__leader_rbac.authorization.k8s.io_Role",
        ObjectKey("rbac.authorization.k8s.io", "Role", "kube-system", "system:leader"),
    ),
    ("web_front_apps_Deployment", ObjectKey("apps", "Deployment", "web", "front")),
]


@pytest.mark.parametrize(("text", "key"), CASES)
def test_an_id_names_its_object_both_ways(text, key):
    assert entry_id(key) == text
    assert parse_id(text) == key


@pytest.mark.parametrize("text", ["", "a", "a_b", "a_b_c", "__apps_Deployment"])
def test_what_is_no_id_is_skipped(text):
    assert parse_id(text) is None
    assert keys_in({"inventory": {"entries": [{"id": text}]}}) == []


def test_an_inventory_is_sorted_and_keeps_versions():
    objects = [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b", "namespace": "n"}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "a", "namespace": "n"},
        },
    ]
    assert inventory_of(objects) == {
        "entries": [{"id": "n_a_apps_Deployment", "v": "v1"}, {"id": "n_b__Service", "v": "v1"}]
    }


NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?", fullmatch=True)


@given(NAMES, NAMES, NAMES, st.from_regex(r"[A-Z][a-z]{1,10}", fullmatch=True))
def test_every_ordinary_key_survives(namespace, name, group, kind):
    key = ObjectKey(group, kind, namespace, name)
    assert parse_id(entry_id(key)) == key
