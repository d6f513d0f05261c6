"""Watches: what is told, from where on, in which form (cases 15, 104-112)."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import Api
from .objects import config_map

MERGE = "application/merge-patch+json"


@pytest.fixture
def maps(api: Api, request: pytest.FixtureRequest) -> str:
    name = f"w{abs(hash(request.node.nodeid)) % 10**9}"
    api("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    return f"/api/v1/namespaces/{name}/configmaps"


def _own(events: Iterator[Any]) -> Iterator[Any]:
    """Without what the cluster itself puts into a namespace."""
    return (e for e in events if e["object"]["metadata"].get("name") != "kube-root-ca.crt")


def _label(api: Api, path: str, **labels: str | None) -> Any:
    return api("PATCH", path, {"metadata": {"labels": labels}}, Content_Type=MERGE)


def test_from_nothing_the_state_comes_first(api: Api, maps: str) -> None:
    api("POST", maps, config_map("a"))
    events = _own(api.watch(f"{maps}?watch=true"))
    first = next(events)
    assert (first["type"], first["object"]["metadata"]["name"]) == ("ADDED", "a")
    assert first["object"]["kind"] == "ConfigMap"
    api("DELETE", f"{maps}/a")
    assert next(events)["type"] == "DELETED"


def test_from_a_version_only_what_is_newer_comes(api: Api, maps: str) -> None:
    version = api("POST", maps, config_map("a")).json["metadata"]["resourceVersion"]
    api("POST", maps, config_map("b"))
    events = _own(api.watch(f"{maps}?watch=1&resourceVersion={version}"))
    assert next(events)["object"]["metadata"]["name"] == "b"
    _label(api, f"{maps}/a", x="y")
    told = next(events)
    assert (told["type"], told["object"]["metadata"]["name"]) == ("MODIFIED", "a")


def test_an_object_that_goes_has_the_version_of_its_deletion(api: Api, maps: str) -> None:
    version = int(api("POST", maps, config_map("a")).json["metadata"]["resourceVersion"])
    events = _own(api.watch(f"{maps}?watch=1&resourceVersion={version}"))
    api("DELETE", f"{maps}/a")
    gone = next(events)
    assert gone["type"] == "DELETED"
    assert gone["object"]["data"] == {"colour": "blue"}
    assert int(gone["object"]["metadata"]["resourceVersion"]) > version


def test_objects_enter_and_leave_a_selection(api: Api, maps: str) -> None:
    version = int(api("POST", maps, config_map("a")).json["metadata"]["resourceVersion"])
    events = _own(api.watch(f"{maps}?watch=1&resourceVersion={version}&labelSelector=tier%3Dup"))
    _label(api, f"{maps}/a", tier="up")
    _label(api, f"{maps}/a", other="x")
    left = int(_label(api, f"{maps}/a", tier="down").json["metadata"]["resourceVersion"])
    _label(api, f"{maps}/a", tier="up")
    api("DELETE", f"{maps}/a")
    told = list(itertools.islice(events, 5))
    assert [e["type"] for e in told] == ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]
    leaving = told[2]["object"]["metadata"]
    assert leaving["labels"]["tier"] == "up"  # as it was in the selection
    assert int(leaving["resourceVersion"]) == left


def test_a_streamed_list_ends_with_a_marked_bookmark(api: Api, maps: str) -> None:
    for name in ("a", "b"):
        api("POST", maps, config_map(name))
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=1"
    events = _own(api.watch(f"{maps}?{query}"))
    assert [next(events)["type"], next(events)["type"]] == ["ADDED", "ADDED"]
    mark = next(events)
    assert mark["type"] == "BOOKMARK"
    assert mark["object"]["kind"] == "ConfigMap"
    assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    version = int(mark["object"]["metadata"]["resourceVersion"])
    made = api("POST", maps, config_map("c")).json["metadata"]["resourceVersion"]
    assert version < int(made)
    assert next(events)["object"]["metadata"]["name"] == "c"


@pytest.mark.parametrize(
    "query",
    [
        "watch=1&sendInitialEvents=true",
        "watch=1&sendInitialEvents=true&resourceVersionMatch=Exact",
        "watch=1&resourceVersionMatch=NotOlderThan&resourceVersion=1",
    ],
)
def test_options_that_do_not_fit_are_refused(api: Api, maps: str, query: str) -> None:
    answer = api("GET", f"{maps}?{query}")
    assert (answer.status, answer.json["reason"]) == (422, "Invalid")


def test_too_old_is_an_error_event(api: Api, maps: str, cluster: Any) -> None:
    version = api("POST", maps, config_map("a")).json["metadata"]["resourceVersion"]
    api("POST", maps, config_map("b"))
    cluster.store.compact()
    events = list(api.watch(f"{maps}?watch=1&resourceVersion={version}"))
    assert [event["type"] for event in events] == ["ERROR"]
    assert events[0]["object"]["code"] == 410
    assert events[0]["object"]["message"].startswith(f"too old resource version: {version} (")


def test_a_watch_ends_in_time_with_a_bookmark(api: Api, maps: str) -> None:
    began = time.monotonic()
    events = list(_own(api.watch(f"{maps}?watch=1&timeoutSeconds=1&allowWatchBookmarks=true")))
    assert 0.9 < time.monotonic() - began < 5
    assert events[-1]["type"] == "BOOKMARK"
    assert set(events[-1]["object"]) == {"kind", "apiVersion", "metadata"}


def test_one_object_is_watched_by_its_name(api: Api, maps: str) -> None:
    for name in ("a", "b"):
        api("POST", maps, config_map(name))
    events = api.watch(f"{maps}?watch=1&fieldSelector=metadata.name%3Db&timeoutSeconds=1")
    assert [event["object"]["metadata"]["name"] for event in events] == ["b"]


def test_a_watched_table_names_its_columns_once(api: Api, maps: str) -> None:
    for name in ("a", "b"):
        api("POST", maps, config_map(name))
    connection = api.connect()
    headers = {
        "Authorization": f"Bearer {api.cluster.token}",
        "Accept": "application/json;as=Table;v=v1;g=meta.k8s.io",
    }
    connection.request("GET", f"{maps}?watch=1&timeoutSeconds=1", headers=headers)
    import json

    events = [json.loads(line) for line in connection.getresponse()]
    connection.close()
    assert len(events) >= 2
    assert {event["object"]["kind"] for event in events} == {"Table"}
    assert events[0]["object"]["columnDefinitions"]
    assert not any(event["object"].get("columnDefinitions") for event in events[1:])
    assert all(len(event["object"]["rows"]) == 1 for event in events)


def test_a_watch_over_all_namespaces_sees_each(api: Api, maps: str) -> None:
    version = api("POST", maps, config_map("a")).json["metadata"]["resourceVersion"]
    events = _own(api.watch(f"/api/v1/configmaps?watch=1&resourceVersion={version}"))
    api("POST", "/api/v1/namespaces/default/configmaps", config_map(maps.split("/")[4]))
    api("POST", maps, config_map("b"))
    names = [next(events)["object"]["metadata"]["name"] for _ in range(2)]
    assert names == [maps.split("/")[4], "b"]


def test_a_future_version_is_refused_after_a_while(api: Api, maps: str) -> None:
    events = list(api.watch(f"{maps}?watch=1&resourceVersion=99999999"))
    assert events[-1]["object"]["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"
