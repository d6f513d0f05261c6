"""spec/controller-runtime.md 3: discovery, aggregated and as the lists of older servers."""

from __future__ import annotations

import asyncio
from typing import Any

from trimtab.kube import Client, Connection, Discovery
from trimtab.kube.discovery import legacy_resources, parse_aggregated
from trimtab.objects import GroupKind

from .fault_server import Reply, Request, fault_server, status


def entry(plural: str, kind: str, *, namespaced: bool = True, **more: Any) -> dict[str, Any]:
    return {"name": plural, "kind": kind, "namespaced": namespaced, "verbs": ["list"], **more}


LEGACY: dict[str, Any] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            entry("pods", "Pod", singularName="pod", shortNames=["po"], categories=["all"]),
            entry("pods/log", "Pod"),
            entry("namespaces", "Namespace", namespaced=False, shortNames=["ns"]),
            entry("events", "Event"),
        ],
    },
    "/apis": {
        "kind": "APIGroupList",
        "groups": [
            {
                "name": "autoscaling",
                "preferredVersion": {"groupVersion": "autoscaling/v2"},
                "versions": [
                    {"groupVersion": "autoscaling/v1"},
                    {"groupVersion": "autoscaling/v2"},
                ],
            },
            {"name": "broken.example", "versions": [{"groupVersion": "broken.example/v1"}]},
        ],
    },
    "/apis/autoscaling/v1": {
        "groupVersion": "autoscaling/v1",
        "resources": [entry("horizontalpodautoscalers", "HorizontalPodAutoscaler")],
    },
    "/apis/autoscaling/v2": {
        "groupVersion": "autoscaling/v2",
        "resources": [
            entry("horizontalpodautoscalers", "HorizontalPodAutoscaler", shortNames=["hpa"])
        ],
    },
}


def legacy(request: Request) -> Reply | None:
    if request.path.startswith("/apis/broken"):
        return Reply(503, status(503, "ServiceUnavailable"))
    return Reply(body=LEGACY[request.path]) if request.path in LEGACY else None


def discover() -> Discovery:
    async def main() -> Discovery:
        async with fault_server() as server:
            server.other = legacy
            async with Client(Connection(server=server.url), qps=None) as client:
                return await client.discovery()

    return asyncio.run(asyncio.wait_for(main(), 20))


def test_an_old_server_is_read_group_by_group_and_a_broken_group_hides_no_other() -> None:
    found = discover()
    pod = found.resource("", "Pod")
    assert pod is not None
    assert pod.subresources == ("log",)
    hpa = found.resource("autoscaling", "HorizontalPodAutoscaler")
    assert hpa is not None
    assert hpa.version == "v2"
    old = found.resource("autoscaling", "HorizontalPodAutoscaler", "v1")
    assert old is not None
    assert old.version == "v1"
    assert found.resource("autoscaling", "HorizontalPodAutoscaler", "v3") is None
    assert found.minor == 37


def test_kinds_are_found_by_every_name_people_use() -> None:
    found = discover()
    for text in ("po", "pod", "pods", "Pod", "PODS"):
        assert found.find(text).group_kind == GroupKind("", "Pod"), text
    for text in (
        "hpa",
        "horizontalpodautoscalers.autoscaling",
        "horizontalpodautoscaler.v2.autoscaling",
        "hpa.autoscaling",
    ):
        assert found.find(text).version == "v2", text
    assert found.find("hpa.v1.autoscaling").version == "v1"
    assert found.find("hpa.apps") is None
    assert found.find("nothing") is None
    assert [each.kind for each in found.category("all")] == ["Pod"]
    assert "autoscaling/v1" in found.api_versions()
    assert "autoscaling/v2/HorizontalPodAutoscaler" in found.api_versions(kinds=True)
    assert not found.resource("", "Namespace").namespaced


def test_both_forms_of_one_server_mean_the_same() -> None:
    aggregated = {
        "kind": "APIGroupDiscoveryList",
        "items": [
            {
                "metadata": {},
                "versions": [
                    {
                        "version": "v1",
                        "resources": [
                            {
                                "resource": "pods",
                                "responseKind": {"group": "", "version": "v1", "kind": "Pod"},
                                "scope": "Namespaced",
                                "singularResource": "pod",
                                "shortNames": ["po"],
                                "categories": ["all"],
                                "verbs": ["list"],
                                "subresources": [{"subresource": "log", "verbs": ["get"]}],
                            }
                        ],
                    }
                ],
            }
        ],
    }
    assert parse_aggregated(aggregated) == legacy_resources(LEGACY["/api/v1"])[:1]


def test_a_group_that_does_not_answer_keeps_its_kinds() -> None:
    def page(**version: Any) -> dict[str, Any]:
        return {
            "kind": "APIGroupDiscoveryList",
            "items": [
                {"metadata": {"name": "metrics.k8s.io"}, "versions": [{"version": "v1", **version}]}
            ],
        }

    kind = {"group": "metrics.k8s.io", "version": "v1", "kind": "PodMetrics"}
    known = parse_aggregated(
        page(freshness="Current", resources=[{"resource": "pods", "responseKind": kind}])
    )
    assert [each.kind for each in known] == ["PodMetrics"]
    assert parse_aggregated(page(freshness="Stale"), known) == known
    assert parse_aggregated(page(freshness="Current"), known) == []

    async def main() -> None:
        async with fault_server() as server:
            server.other = lambda request: (
                Reply(body=LEGACY[request.path]) if (request.path in LEGACY) else None
            )
            async with Client(Connection(server=server.url), qps=None) as client:
                assert (await client.discovery()).find("hpa") is not None
                server.other = lambda request: (
                    Reply(503, status(503, "ServiceUnavailable"))
                    if request.path.startswith("/apis/autoscaling")
                    else legacy(request)
                )
                assert (await client.discovery(refresh=True)).find("hpa") is not None

    asyncio.run(asyncio.wait_for(main(), 20))
