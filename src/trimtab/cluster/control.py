"""The cluster's own control API, off the Kubernetes paths: time and history.

`POST /embedded/settle` runs the simulated controllers until nothing is due, `POST
/embedded/advance?seconds=N` moves a manual clock, `POST /embedded/compact` forgets the history of
watches. Whoever may not use every non-resource URL is refused (spec/embedded-cluster.md 2).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from trimtab.cluster.app import Reply, Request, reply
from trimtab.cluster.errors import ApiError, bad_request, unknown_path
from trimtab.cluster.store import Store

__all__ = ["Control"]

LONGEST_S = 10 * 365 * 86400.0


class Controlled(Protocol):
    """What is controlled: an `EmbeddedCluster`."""

    store: Store

    @property
    def manual(self) -> bool: ...

    async def settle(self) -> int: ...

    async def advance(self, seconds: float) -> int: ...


class Control:
    """Answers `/embedded/<verb>`."""

    def __init__(self, cluster: Controlled, capabilities: dict[str, Any]) -> None:
        self._cluster = cluster
        self._capabilities = capabilities

    async def answer(self, request: Request, verb: str) -> Reply:
        if verb == "capabilities" and request.method == "GET":
            return reply(self._capabilities)
        verbs: dict[str, Callable[[Request], Awaitable[dict[str, Any]]]] = {
            "settle": self._settle,
            "advance": self._advance,
            "compact": self._compact,
        }
        if verb not in verbs:
            raise unknown_path()
        if request.method != "POST":
            raise ApiError(405, "MethodNotAllowed", f"/embedded/{verb} takes POST")
        return reply(await verbs[verb](request))

    async def _settle(self, _request: Request) -> dict[str, Any]:
        self._require_manual("settle")
        return {"reconciles": await self._cluster.settle()}

    async def _advance(self, request: Request) -> dict[str, Any]:
        self._require_manual("advance")
        text = request.query.get("seconds", "")
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds <= LONGEST_S:
            raise bad_request(f"seconds: {text!r} is no number of seconds from 0 to {LONGEST_S:g}")
        return {"reconciles": await self._cluster.advance(seconds)}

    async def _compact(self, _request: Request) -> dict[str, Any]:
        self._cluster.store.compact()
        return {"compactedTo": str(self._cluster.store.told_rv)}

    def _require_manual(self, verb: str) -> None:
        if not self._cluster.manual:
            raise ApiError(
                409,
                "Conflict",
                f"/embedded/{verb} needs --clock manual: this clock moves by itself",
            )
