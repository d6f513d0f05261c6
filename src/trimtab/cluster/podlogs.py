"""`kubectl logs`: the lines that a simulated container is said to have written.

The text is that of annotation `embedded/log` of the Pod, or one line that says what it is.
Source: spec/embedded-cluster.md 7.8.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from trimtab.cluster.errors import bad_request
from trimtab.cluster.resources import Resource
from trimtab.cluster.store import Change, Record, Store

__all__ = ["follow", "log_lines"]

ANNOTATION: Final = "embedded/log"
Object = Mapping[str, Any]


def log_lines(pod: Object, query: Mapping[str, str], *, now: datetime) -> list[str]:
    """What the query asks for. Raises 400 when the container is not there or has not started."""
    name = _container(pod, query.get("container", ""))
    previous = query.get("previous") in ("true", "1")
    began = _began(pod, name, previous=previous)
    lines = _text(pod, name)
    since = _since(query, now)
    if since is not None and began is not None and datetime.fromisoformat(began) < since:
        lines = []
    tail = query.get("tailLines", "")
    if tail:
        count = _number(tail, "tailLines")
        lines = lines[-count:] if count else []
    if query.get("timestamps") in ("true", "1"):
        lines = [f"{began or now.strftime('%Y-%m-%dT%H:%M:%SZ')} {line}" for line in lines]
    limit = query.get("limitBytes", "")
    if limit:
        text = "".join(f"{line}\n" for line in lines).encode()[: _number(limit, "limitBytes")]
        lines = text.decode(errors="ignore").splitlines()
    return lines


class follow:  # noqa: N801  used like a function
    """The lines now, then nothing more until the container or the Pod ends."""

    def __init__(self, store: Store, resource: Resource, record: Record, lines: list[str]) -> None:
        self._store = store
        self._resource = resource
        self._record = record
        self._lines = lines
        self._over = asyncio.Event()

    def end(self) -> None:
        self._over.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        unsubscribe = self._store.watch(self._resource.storage, self._take)
        try:
            yield "".join(f"{line}\n" for line in self._lines).encode()
            current = self._store.get(
                self._resource.storage, self._record.namespace, self._record.name
            )
            if current is not None and not _ended(current.obj):
                await self._over.wait()
        finally:
            unsubscribe()

    def _take(self, change: Change) -> None:
        if change.new.uid == self._record.uid and (
            change.kind == "DELETED" or _ended(change.new.obj)
        ):
            self._over.set()


def _ended(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _container(pod: Object, given: str) -> str:
    name, spec = pod["metadata"]["name"], pod["spec"]
    names = [each["name"] for each in spec["containers"]]
    others = [
        each["name"]
        for field in ("initContainers", "ephemeralContainers")
        for each in spec.get(field) or ()
    ]
    if given:
        if given not in names + others:
            raise bad_request(f"container {given} is not valid for pod {name}")
        return given
    if len(names) > 1:
        choice = " ".join(names)
        raise bad_request(
            f"a container name must be specified for pod {name}, choose one of: [{choice}]"
        )
    return str(names[0])


def _began(pod: Object, container: str, *, previous: bool) -> str | None:
    """When the container's run began, as the status says. Raises 400 when there was none."""
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    found: Object = {}
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for each in status.get(field) or ():
            if each["name"] == container:
                found = each
    if previous:
        ended = (found.get("lastState") or {}).get("terminated")
        if not ended:
            raise bad_request(
                f'previous terminated container "{container}" in pod "{name}" not found'
            )
        return str(ended.get("startedAt") or "") or None
    state = found.get("state") or {}
    run = state.get("running") or state.get("terminated")
    if not run:
        reason = (state.get("waiting") or {}).get("reason") or "ContainerCreating"
        raise bad_request(f'container "{container}" in pod "{name}" is waiting to start: {reason}')
    return str(run.get("startedAt") or "") or None


def _text(pod: Object, container: str) -> list[str]:
    given = (pod["metadata"].get("annotations") or {}).get(ANNOTATION)
    if given is not None:
        return str(given).splitlines()
    every = [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())]
    image = next((each.get("image", "") for each in every if each["name"] == container), "")
    return [f"simulated container {container} of image {image}: no output"]


def _since(query: Mapping[str, str], now: datetime) -> datetime | None:
    if query.get("sinceSeconds"):
        return now - timedelta(seconds=_number(query["sinceSeconds"], "sinceSeconds"))
    if query.get("sinceTime"):
        try:
            return datetime.fromisoformat(query["sinceTime"])
        except ValueError:
            raise bad_request(f"sinceTime is no time: {query['sinceTime']}") from None
    return None


def _number(text: str, name: str) -> int:
    if not text.isdigit():
        raise bad_request(f"{name} is no number: {text}")
    return int(text)
