"""What the server counts of its own work, as Prometheus text (spec/embedded-cluster.md 2)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

__all__ = ["RequestMetrics", "label_of"]

_BUCKETS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
_VERBS: Final[Mapping[str, str]] = {
    "GET": "GET",
    "POST": "POST",
    "PUT": "PUT",
    "PATCH": "PATCH",
    "DELETE": "DELETE",
}


class RequestMetrics:
    """Requests by verb, resource and code, and how long they took. One event loop only."""

    def __init__(self) -> None:
        self._count: dict[tuple[str, str, int], int] = {}
        self._seconds: dict[tuple[str, str], float] = {}
        self._buckets: dict[tuple[str, str], list[int]] = {}

    def observe(self, method: str, path: str, code: int, seconds: float) -> None:
        """One answered request; a watch counts when it begins."""
        verb, resource = _VERBS.get(method, "other"), label_of(path)
        key = (verb, resource)
        self._count[(*key, code)] = self._count.get((*key, code), 0) + 1
        self._seconds[key] = self._seconds.get(key, 0.0) + seconds
        buckets = self._buckets.setdefault(key, [0] * (len(_BUCKETS) + 1))
        buckets[bisect_left(_BUCKETS, seconds)] += 1

    def text(self, objects: Mapping[str, int]) -> str:
        """`objects`: how many are stored, by `plural.group`."""
        lines = [
            "# HELP apiserver_request_total Requests by verb, resource and HTTP code.",
            "# TYPE apiserver_request_total counter",
        ]
        for (verb, resource, code), count in sorted(self._count.items()):
            labels = f'verb="{verb}",resource="{resource}",code="{code}"'
            lines.append(f"apiserver_request_total{{{labels}}} {count}")
        lines += [
            "# HELP apiserver_request_duration_seconds Time until the answer began.",
            "# TYPE apiserver_request_duration_seconds histogram",
        ]
        for (verb, resource), buckets in sorted(self._buckets.items()):
            lines += self._histogram(verb, resource, buckets)
        lines += [
            "# HELP apiserver_storage_objects Stored objects by resource.",
            "# TYPE apiserver_storage_objects gauge",
        ]
        for resource, count in sorted(objects.items()):
            lines.append(f'apiserver_storage_objects{{resource="{resource}"}} {count}')
        return "\n".join(lines) + "\n"

    def _histogram(self, verb: str, resource: str, buckets: list[int]) -> list[str]:
        name, labels = "apiserver_request_duration_seconds", f'verb="{verb}",resource="{resource}"'
        lines, total = [], 0
        for limit, count in zip((*map(str, _BUCKETS), "+Inf"), buckets, strict=True):
            total += count
            lines.append(f'{name}_bucket{{{labels},le="{limit}"}} {total}')
        lines.append(f"{name}_sum{{{labels}}} {self._seconds[verb, resource]:.6f}")
        lines.append(f"{name}_count{{{labels}}} {total}")
        return lines


def label_of(path: str) -> str:
    """The resource in a path, empty for any other path: names of objects are never labels."""
    parts = path.strip("/").split("/")
    if parts[0] not in ("api", "apis"):
        return ""
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    if len(rest) > 2 and rest[0] == "namespaces" and rest[2] not in ("status", "finalize"):
        rest = rest[2:]
    # Whoever asks for anything could otherwise fill the memory with labels.
    name = rest[0] if rest else ""
    return name if name.isalnum() and len(name) <= 63 else ""
