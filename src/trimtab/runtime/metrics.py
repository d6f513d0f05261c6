"""What controllers and clients measure, in a registry that is passed in.

Label values are bounded: kinds, verbs, codes and controllers, never object names.
Source: spec/controller-runtime.md 12.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from trimtab.runtime.logs import Logger

__all__ = ["Metrics"]

SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """The metrics of one process; also the observer a `kube.Client` is given."""

    def __init__(self, registry: CollectorRegistry, *, log: Logger | None = None) -> None:
        self._log = log
        self._reconciles = Counter(
            "runtime_reconcile",
            "Reconciles that ended, by result",
            ["controller", "result"],
            registry=registry,
        )
        self._reconcile_seconds = Histogram(
            "runtime_reconcile_seconds",
            "Duration of a reconcile",
            ["controller", "result"],
            buckets=SECONDS,
            registry=registry,
        )
        self._queue_wait = Histogram(
            "runtime_queue_wait_seconds",
            "Time a key was ready before a worker took it",
            ["controller"],
            buckets=SECONDS,
            registry=registry,
        )
        self._watch_events = Counter(
            "runtime_watch_events",
            "Events received by watches",
            ["resource", "type"],
            registry=registry,
        )
        self._relists = Counter(
            "runtime_reflector_relists",
            "Kinds listed anew",
            ["resource", "reason"],
            registry=registry,
        )
        self._requests = Counter(
            "runtime_client_requests",
            "Requests to the API server",
            ["verb", "resource", "code"],
            registry=registry,
        )
        self._request_seconds = Histogram(
            "runtime_client_request_seconds",
            "Duration of a request to the API server",
            ["verb"],
            buckets=SECONDS,
            registry=registry,
        )
        self._depths = _QueueDepths()
        registry.register(self._depths)

    def watch_queue(self, controller: str, depths: Callable[[], dict[int, int]]) -> None:
        """Read a queue's depth, by priority, whenever metrics are collected."""
        self._depths.queues[controller] = depths

    def reconciled(self, controller: str, result: str, *, seconds: float, waited_s: float) -> None:
        self._reconciles.labels(controller, result).inc()
        self._reconcile_seconds.labels(controller, result).observe(seconds)
        self._queue_wait.labels(controller).observe(waited_s)

    def request(self, verb: str, resource: str, code: str, seconds: float) -> None:
        self._requests.labels(verb, resource, code).inc()
        if verb != "watch":
            self._request_seconds.labels(verb).observe(seconds)

    def watch_event(self, resource: str, kind: str) -> None:
        self._watch_events.labels(resource, kind).inc()

    def relist(self, resource: str, reason: str) -> None:
        self._relists.labels(resource, reason).inc()
        if self._log is not None:
            self._log.debug("watch starts anew", kind=resource, reason=reason)

    def trouble(self, message: str, **fields: object) -> None:
        if self._log is not None:
            self._log.warning(message, **fields)


class _QueueDepths(Collector):
    def __init__(self) -> None:
        self.queues: dict[str, Callable[[], dict[int, int]]] = {}

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            "runtime_queue_depth", "Keys ready to be worked on", labels=["controller", "priority"]
        )
        for controller, depths in self.queues.items():
            for priority, depth in depths().items():
                family.add_metric([controller, str(priority)], depth)
        yield family
