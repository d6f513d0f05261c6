"""The executing half on the embedded cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from trimtab.cluster import EmbeddedCluster
from trimtab.engine import Desired, Executor, Outcome, Policy, kstatus, plan
from trimtab.kube import Client, ClusterCache, load_kubeconfig
from trimtab.objects import GroupKind, ObjectKey, SchemaSet, key_of
from trimtab.runtime import SystemClock

MANAGER = "us"
SCHEMAS = SchemaSet.load()


class Bench:
    def __init__(self, client: Client, cache: ClusterCache) -> None:
        self.client = client
        self.cache = cache
        self.held: set[ObjectKey] = set()

    async def sync(self, *objects: dict[str, Any], policy: Policy | None = None) -> Outcome:
        policy = policy or Policy(prune=True, wait=True, timeout_s=20)
        keys = {key_of(obj) for obj in objects} | self.held
        await self.cache.ensure({key.group_kind for key in keys})
        live = {key: found for key in keys if (found := self.cache.get(key))}
        found = plan(
            Desired(objects),
            live,
            owned=self.held,
            manager=MANAGER,
            policy=policy,
            schema_of=SCHEMAS.get,
        )
        self.held = {key_of(obj) for obj in objects}
        executor = Executor(
            self.client, self.cache, manager=MANAGER, clock=SystemClock(), policy=policy
        )
        return await executor.run(found, ready=ready)


def ready(live: Any) -> tuple[bool, bool, Any]:
    verdict = kstatus(live.obj if live else None)
    return verdict.status == "Current", verdict.status == "Failed", verdict


def bench(tmp_path: Path, body: Callable[[Bench], Awaitable[None]]) -> None:
    async def main() -> None:
        async with EmbeddedCluster(data_dir=tmp_path) as cluster:
            connection = load_kubeconfig(cluster.kubeconfig_path)
            async with Client(connection, qps=None) as client, ClusterCache(client) as cache:
                await body(Bench(client, cache))

    asyncio.run(asyncio.wait_for(main(), 60))


def config(name: str, immutable: bool = False, **data: str) -> dict[str, Any]:
    out: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": data,
    }
    return {**out, "immutable": True} if immutable else out


def service(selector: str, ip: str = "") -> dict[str, Any]:
    spec: dict[str, Any] = {"selector": {"app": selector}, "ports": [{"port": 80}]}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s", "namespace": "default"},
        "spec": {**spec, "clusterIP": ip} if ip else spec,
    }


def deployment(label: str) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "selector": {"matchLabels": {"app": label}},
            "template": {
                "metadata": {"labels": {"app": label}},
                "spec": {"containers": [{"name": "c", "image": "i:1"}]},
            },
        },
    }


def words(outcome: Outcome) -> list[str]:
    return [result.message for result in outcome.results]


def test_a_second_run_sends_nothing_and_what_left_is_pruned(tmp_path: Path) -> None:
    async def body(on: Bench) -> None:
        objects = (config("a", k="v"), config("b", k="v"), service("x"), deployment("web"))
        first = await on.sync(*objects)
        assert first.waiting == ()
        assert words(first) == [
            "configmap/a created",
            "configmap/b created",
            "service/s created",
            "deployment.apps/web created",
        ]
        assert words(await on.sync(*objects)) == []
        third = await on.sync(config("a", k="2"), service("x"), deployment("web"))
        assert words(third) == ["configmap/a configured", "configmap/b pruned"]

    bench(tmp_path, body)


def test_a_namespace_and_its_content_arrive_in_one_run(tmp_path: Path) -> None:
    async def body(on: Bench) -> None:
        inside = config("a", k="v")
        inside["metadata"]["namespace"] = "new"
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}}
        assert words(await on.sync(inside, space)) == [
            "namespace/new created",
            "configmap/a created",
        ]

    bench(tmp_path, body)


def test_a_failed_rehearsal_writes_nothing(tmp_path: Path) -> None:
    async def body(on: Bench) -> None:
        bad = deployment("web")
        bad["spec"]["selector"] = {"matchLabels": {"app": "other"}}
        outcome = await on.sync(config("a", k="v"), bad)
        assert [result.code for result in outcome.results] == ["failed"]
        assert "selector" in outcome.results[0].message
        assert on.cache.get(key_of(config("a"))) is None

    bench(tmp_path, body)


def test_an_immutable_field_fails_and_with_force_the_object_is_made_anew(tmp_path: Path) -> None:
    async def body(on: Bench) -> None:
        gk = GroupKind("apps", "Deployment")
        await on.sync(deployment("one"))
        before = await on.client.get(gk, "default", "web")
        refused = await on.sync(deployment("two"))
        assert "immutable" in refused.failed[0].message
        outcome = await on.sync(deployment("two"), policy=Policy(force=True, wait=True))
        assert outcome.failed == ()
        after = await on.client.get(gk, "default", "web")
        assert after["metadata"]["uid"] != before["metadata"]["uid"]
        assert after["spec"]["selector"] == {"matchLabels": {"app": "two"}}

    bench(tmp_path, body)


def test_what_is_not_ready_in_time_is_named(tmp_path: Path) -> None:
    async def body(on: Bench) -> None:
        slow = deployment("web")
        slow["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "none"}
        outcome = await on.sync(slow, policy=Policy(wait=True, timeout_s=0.5))
        assert [key.name for key, _ in outcome.waiting] == ["web"]
        assert outcome.waiting[0][1].status == "InProgress"

    bench(tmp_path, body)


def test_a_definition_and_its_instance_arrive_in_one_run(tmp_path: Path) -> None:
    async def body(on: Bench) -> None:
        names = {
            "plural": "widgets",
            "singular": "widget",
            "kind": "Widget",
            "listKind": "WidgetList",
        }
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        crd = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "widgets.example.io"},
            "spec": {
                "group": "example.io",
                "scope": "Namespaced",
                "names": names,
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
        widget = {
            "apiVersion": "example.io/v1",
            "kind": "Widget",
            "metadata": {"name": "w", "namespace": "default"},
            "spec": {"size": 1},
        }
        outcome = await on.sync(widget, crd)
        assert words(outcome) == [
            "customresourcedefinition.apiextensions.k8s.io/widgets.example.io created",
            "widget.example.io/w created",
        ]

    bench(tmp_path, body)
