"""Time and history of an embedded cluster, over HTTP."""

import asyncio
import json

import pytest

from trimtab.cluster import EmbeddedCluster
from trimtab.kube import ApiError, Client, load_kubeconfig
from trimtab.objects import GroupKind

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c", "image": "nginx:1"}]},
        },
    },
}


def on_cluster(clock, body):
    async def run():
        async with (
            EmbeddedCluster(clock=clock) as cluster,
            Client(load_kubeconfig(cluster.kubeconfig_path)) as client,
        ):
            await body(cluster, client)

    asyncio.run(run())


def test_a_manual_clock_stands_until_it_is_moved():
    async def body(_cluster, client):
        await client.create(DEPLOYMENT, manager="test")
        await asyncio.sleep(0.5)
        gk = GroupKind("apps", "Deployment")
        still = await client.get(gk, "default", "web")
        assert "readyReplicas" not in still.get("status", {})
        await client.raw("POST", "/embedded/settle")
        moved = json.loads(await client.raw("POST", "/embedded/advance?seconds=5"))
        assert moved["reconciles"] >= 0
        done = await client.get(gk, "default", "web")
        assert done["status"]["readyReplicas"] == 2

    on_cluster("manual", body)


@pytest.mark.parametrize(
    ("path", "code", "text"),
    [
        ("/embedded/advance?seconds=-1", 400, "no number of seconds"),
        ("/embedded/advance?seconds=soon", 400, "no number of seconds"),
        ("/embedded/advance?seconds=nan", 400, "no number of seconds"),
        ("/embedded/nope", 404, "could not find"),
    ],
)
def test_bad_requests_say_what_is_wrong(path, code, text):
    async def body(_cluster, client):
        with pytest.raises(ApiError) as caught:
            await client.raw("POST", path)
        assert caught.value.code == code
        assert text in str(caught.value)

    on_cluster("manual", body)


def test_a_clock_that_moves_by_itself_is_not_moved():
    async def body(_cluster, client):
        with pytest.raises(ApiError, match="needs --clock manual"):
            await client.raw("POST", "/embedded/advance?seconds=1")

    on_cluster("real", body)


def test_compacting_makes_old_watches_begin_again():
    async def body(cluster, client):
        old = cluster.store.told_rv
        await client.create(DEPLOYMENT, manager="test")
        await client.raw("POST", "/embedded/compact")
        line = await client.raw(
            "GET",
            f"/apis/apps/v1/deployments?watch=1&resourceVersion={old}&timeoutSeconds=2",
        )
        event = json.loads(line.splitlines()[0])
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)

    on_cluster("real", body)
