"""Writing an Application: status, consumed annotation and taken operation in one guarded patch.

Argo CD's CRD has no status subresource, so one merge patch can say all of it, and the resource
version guards all of it: a crash cannot leave half of a takeover (spec/argocd.md 1.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from trimtab.argocd.kinds import APPLICATION, MANAGER, REFRESH
from trimtab.argocd.settings import Settings
from trimtab.kube import Client, ClusterCache, Conflict, NotFound
from trimtab.runtime import merge_diff

__all__ = ["Pass", "Writer"]

_ATTEMPTS: Final = 4


class Pass:
    """What one reconcile gathers. `current` is the object as last written."""

    def __init__(
        self, app: dict[str, Any], now: datetime, instance: str, settings: Settings
    ) -> None:
        self.app = app
        self.current = app
        self.now = now
        self.instance = instance
        self.settings = settings
        self.status: dict[str, Any] = dict(app.get("status") or {})
        self.project: Mapping[str, Any] = {"metadata": {"name": ""}}
        self.drop_operation = False


class Writer:
    def __init__(self, client: Client, cache: ClusterCache) -> None:
        self._client = client
        self._cache = cache

    async def write(self, pass_: Pass, *, asked: bool = False, strict: bool = False) -> None:
        """Make the status equal to `pass_.status`. Taking an operation over, and beginning one
        (`strict`), happen on exactly the object that was seen: Conflict is raised otherwise, and
        the next reconcile decides anew. Raises NotFound when the object is gone."""
        strict = strict or pass_.drop_operation
        for attempt in range(_ATTEMPTS):
            body = _change(pass_, asked)
            if not body:
                return
            meta = pass_.current["metadata"]
            guard = {"resourceVersion": meta["resourceVersion"], **body.pop("metadata", {})}
            try:
                answer = await self._client.patch(
                    APPLICATION,
                    meta["namespace"],
                    meta["name"],
                    {**body, "metadata": guard},
                    kind="merge",
                    manager=MANAGER,
                )
            except Conflict:
                if strict or attempt + 1 == _ATTEMPTS:
                    raise
                await self._look_again(pass_)
                continue
            await self._cache.note_write(answer)
            pass_.current = answer
            pass_.drop_operation = False
            return

    async def _look_again(self, pass_: Pass) -> None:
        """The newest object; what a person did to the running operation is kept."""
        meta = pass_.current["metadata"]
        seen = await self._client.get(APPLICATION, meta["namespace"], meta["name"])
        if seen["metadata"].get("uid") != meta.get("uid"):
            raise NotFound(f"Application {meta['name']} was deleted and made anew")
        pass_.current = seen
        state = pass_.status.get("operationState") or {}
        told = ((seen.get("status") or {}).get("operationState") or {}).get("phase")
        if told == "Terminating" and state.get("phase") == "Running":
            pass_.status = {**pass_.status, "operationState": {**state, "phase": told}}


def _change(pass_: Pass, asked: bool) -> dict[str, Any]:
    body: dict[str, Any] = {}
    change: Mapping[str, Any] = merge_diff(pass_.current.get("status") or {}, pass_.status)
    if change:
        body["status"] = change
    annotations = pass_.current["metadata"].get("annotations") or {}
    if asked and REFRESH in annotations:
        body["metadata"] = {"annotations": {REFRESH: None}}
    if pass_.drop_operation and "operation" in pass_.current:
        body["operation"] = None
    return body
