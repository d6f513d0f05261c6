"""Guards of order of magnitude: what a mistake would make ten times slower."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trimtab.cluster import EmbeddedCluster

HEADERS = {"Content-Type": "application/json"}


def _timed(cluster: Any, work: Callable[[http.client.HTTPSConnection, dict[str, str]], Any]) -> Any:
    trust = ssl.create_default_context(cadata=cluster.ca_pem)
    host = cluster.url.removeprefix("https://")
    connection = http.client.HTTPSConnection(host, context=trust, timeout=20)
    try:
        return work(connection, {**HEADERS, "Authorization": f"Bearer {cluster.token}"})
    finally:
        connection.close()


def _in_cluster(
    work: Callable[[http.client.HTTPSConnection, dict[str, str]], Any], **settings: Any
) -> Any:
    async def scenario() -> Any:
        async with EmbeddedCluster(controllers=False, **settings) as cluster:
            return await asyncio.to_thread(_timed, cluster, work)

    return asyncio.run(scenario())


def test_an_answer_does_not_wait_for_the_network_s_delays() -> None:
    def work(connection: http.client.HTTPSConnection, headers: dict[str, str]) -> float:
        times = []
        for _ in range(30):
            began = time.perf_counter()
            connection.request("GET", "/api/v1/namespaces/default", headers=headers)
            connection.getresponse().read()
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    assert _in_cluster(work) < 0.02  # 40 ms with Nagle's delay, a third of one without


def test_durable_writes_are_not_slow(tmp_path: Path) -> None:
    def work(connection: http.client.HTTPSConnection, headers: dict[str, str]) -> float:
        began = time.perf_counter()
        for number in range(100):
            body = {"metadata": {"name": f"c{number}"}, "data": {"a": "b"}}
            path = "/api/v1/namespaces/default/configmaps"
            connection.request("POST", path, body=json.dumps(body), headers=headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 201
        return 100 / (time.perf_counter() - began)

    assert _in_cluster(work, data_dir=tmp_path) > 100  # one after the other; 700 where written
