"""Lists: pages, versions, selectors, forms (cases 14-18, 98-103 of the specification)."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Api
from .objects import config_map

MAPS = "/api/v1/namespaces/{}/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


@pytest.fixture
def maps(api: Api, request: pytest.FixtureRequest) -> str:
    """The collection of a namespace with five ConfigMaps, m0 to m4."""
    name = f"l{abs(hash(request.node.nodeid)) % 10**9}"
    api("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    path = MAPS.format(name)
    for number in range(5):
        made = config_map(f"m{number}")
        made["metadata"]["labels"] = {"mine": "yes", "even": str(number % 2 == 0).lower()}
        assert api("POST", path, made).status == 201
    return path


def _names(answer: Any) -> list[str]:
    return [item["metadata"]["name"] for item in answer.json["items"]]


def test_pages_keep_the_snapshot_of_the_first(api: Api, maps: str) -> None:
    query = f"{maps}?labelSelector=mine&limit=2"
    first = api("GET", query).json
    assert len(first["items"]) == 2
    assert "remainingItemCount" not in first["metadata"]  # not with a selector
    api("DELETE", f"{maps}/m3")
    late = config_map("m9")
    late["metadata"]["labels"] = {"mine": "yes"}
    api("POST", maps, late)
    token = first["metadata"]["continue"]
    second = api("GET", f"{query}&continue={token}").json
    third = api("GET", f"{query}&continue={second['metadata']['continue']}").json
    names = [i["metadata"]["name"] for page in (first, second, third) for i in page["items"]]
    assert names == ["m0", "m1", "m2", "m3", "m4"]
    versions = {p["metadata"]["resourceVersion"] for p in (first, second, third)}
    assert len(versions) == 1
    assert "continue" not in third["metadata"]


def test_the_rest_is_counted_without_a_selector(api: Api, maps: str) -> None:
    total = len(_names(api("GET", maps)))
    assert api("GET", f"{maps}?limit=2").json["metadata"]["remainingItemCount"] == total - 2


def test_an_old_token_is_gone(api: Api, maps: str, cluster: Any) -> None:
    token = api("GET", f"{maps}?limit=2").json["metadata"]["continue"]
    cluster.store.compact()
    api("POST", maps, config_map("later"))
    cluster.store.compact()
    gone = api("GET", f"{maps}?limit=2&continue={token}")
    assert (gone.status, gone.json["reason"]) == (410, "Expired")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("resourceVersion=0", 200),
        ("resourceVersion=0&resourceVersionMatch=NotOlderThan", 200),
        ("resourceVersion=0&resourceVersionMatch=Exact", 422),
        ("resourceVersionMatch=NotOlderThan", 422),
        ("resourceVersionMatch=Exact", 422),
        ("resourceVersion=1&resourceVersionMatch=Sometimes", 422),
        ("sendInitialEvents=true", 422),
        ("resourceVersion=99999999", 504),
        ("resourceVersion=x", 400),
        ("limit=x", 400),
        ("continue=nonsense", 400),
        ("fieldSelector=data.colour=blue", 400),
        ("labelSelector=a+in", 400),
        ("unknownParameter=1", 200),
        ("", 200),
    ],
)
def test_the_rules_of_versions_and_parameters(api: Api, query: str, status: int) -> None:
    answer = api("GET", f"{MAPS.format('default')}?{query}")
    assert answer.status == status, answer.text
    if status != 200:
        assert answer.json["kind"] == "Status"
        assert answer.json["code"] == status


def test_an_exact_version_is_served_from_history(api: Api, maps: str) -> None:
    before = api("GET", f"{maps}?labelSelector=mine").json["metadata"]["resourceVersion"]
    api("DELETE", f"{maps}/m0")
    query = f"{maps}?labelSelector=mine&resourceVersion={before}"
    assert _names(api("GET", f"{query}&resourceVersionMatch=Exact"))[0] == "m0"
    assert _names(api("GET", f"{query}&resourceVersionMatch=NotOlderThan"))[0] == "m1"


@pytest.mark.parametrize(
    ("selector", "count"),
    [
        ("mine=yes", 5), ("mine==yes", 5), ("mine!=yes", 0), ("even in (true)", 3),
        ("even notin (true)", 2), ("!mine", 0), ("mine,even=true", 3), ("mine,other", 0),
    ],
)  # fmt: skip
def test_label_selectors_choose(api: Api, maps: str, selector: str, count: int) -> None:
    from urllib.parse import quote

    found = _names(api("GET", f"{maps}?labelSelector={quote(selector)}"))
    assert len([name for name in found if name.startswith("m")]) == count


def test_items_are_in_order_and_whole(api: Api, maps: str) -> None:
    answer = api("GET", f"{maps}?labelSelector=mine")
    assert answer.json["kind"] == "ConfigMapList"
    assert answer.json["apiVersion"] == "v1"
    assert _names(answer) == sorted(_names(answer))
    assert answer.json["items"][0]["data"] == {"colour": "blue"}


@pytest.mark.parametrize(
    ("include", "row"),
    [("None", None), ("Metadata", "PartialObjectMetadata"), ("Object", "ConfigMap")],
)
def test_a_table_includes_what_is_asked_for(
    api: Api, maps: str, include: str, row: str | None
) -> None:
    table = api("GET", f"{maps}?includeObject={include}", Accept=TABLE).json
    assert table["kind"] == "Table"
    assert [each["name"] for each in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    first = table["rows"][0]
    assert (first.get("object") or {}).get("kind") == row


def test_metadata_alone_can_be_asked_for(api: Api, maps: str) -> None:
    found = api("GET", maps, Accept=PARTIAL).json
    assert found["kind"] == "PartialObjectMetadataList"
    assert found["items"][0]["kind"] == "PartialObjectMetadata"
    assert "data" not in found["items"][0]
    one = api("GET", f"{maps}/m0", Accept=PARTIAL.replace("List", "")).json
    assert one["kind"] == "PartialObjectMetadata"


@pytest.mark.parametrize(
    ("accept", "status", "kind"),
    [
        ("", 200, "application/json"),
        ("*/*", 200, "application/json"),
        ("application/yaml", 200, "application/yaml"),
        ("application/vnd.kubernetes.protobuf,application/json", 200, "application/json"),
        ("application/vnd.kubernetes.protobuf", 406, "application/json"),
        ("application/cbor", 406, "application/json"),
    ],
)
def test_the_form_of_an_answer(api: Api, accept: str, status: int, kind: str) -> None:
    answer = api("GET", "/api/v1/namespaces/default", Accept=accept)
    assert answer.status == status
    assert answer.headers["content-type"] == kind
    assert answer.headers["cache-control"] == "no-cache, private"
    assert len(answer.headers["audit-id"]) == 36
