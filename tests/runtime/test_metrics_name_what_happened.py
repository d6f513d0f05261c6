"""spec/controller-runtime.md 12: what a client and its watches measure, in an injected registry."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from trimtab.runtime import Metrics

from .fakes import Lines, ManualClock


def test_requests_events_and_relists_are_counted_by_bounded_labels() -> None:
    registry, lines = CollectorRegistry(), Lines()
    metrics = Metrics(registry, log=lines.logger(ManualClock()))
    metrics.request("get", "deployments.apps", "200", 0.01)
    metrics.request("get", "deployments.apps", "200", 0.02)
    metrics.request("watch", "deployments.apps", "200", 500.0)
    metrics.watch_event("deployments.apps", "ADDED")
    metrics.relist("Deployment.apps", "expired")
    metrics.trouble("a watch failed", kind="Deployment.apps", error="gone")
    metrics.watch_queue("apps", lambda: {0: 2, 4: 1})

    def sample(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    requests = {"verb": "get", "resource": "deployments.apps", "code": "200"}
    assert sample("runtime_client_requests_total", **requests) == 2
    assert sample("runtime_client_request_seconds_count", verb="get") == 2
    assert sample("runtime_client_request_seconds_count", verb="watch") is None
    events = {"resource": "deployments.apps", "type": "ADDED"}
    assert sample("runtime_watch_events_total", **events) == 1
    relists = {"resource": "Deployment.apps", "reason": "expired"}
    assert sample("runtime_reflector_relists_total", **relists) == 1
    assert sample("runtime_queue_depth", controller="apps", priority="4") == 1
    assert "a watch failed kind=Deployment.apps error=gone" in lines.text
    assert b"runtime_queue_depth" in generate_latest(registry)


def test_two_registries_do_not_share_anything() -> None:
    first, second = CollectorRegistry(), CollectorRegistry()
    Metrics(first).watch_event("pods", "ADDED")
    Metrics(second)
    labels = {"resource": "pods", "type": "ADDED"}
    assert first.get_sample_value("runtime_watch_events_total", labels) == 1
    assert second.get_sample_value("runtime_watch_events_total", labels) is None
