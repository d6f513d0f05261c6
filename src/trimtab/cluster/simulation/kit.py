"""What every simulated controller is given: reading, writing, time, events.

A write is taken into the cache at once, so a controller never acts on a state older than its
own last write, whenever the world tells of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec

from trimtab.cluster.simulation.api import Object, World
from trimtab.cluster.simulation.cache import Cache
from trimtab.cluster.simulation.clock import Clock, stamp
from trimtab.cluster.simulation.kinds import POD, WATCHED
from trimtab.cluster.simulation.runner import Queue, Runner
from trimtab.errors import TrimtabError
from trimtab.objects.identity import GroupKind, ObjectKey, gvk_of, key_of

__all__ = ["CONTROLLER_MANAGER", "Delays", "Handler", "Kit", "owner_reference"]

CONTROLLER_MANAGER = "kube-controller-manager"

Handler = Callable[[Object | None, Object | None], None]
"""Told (old, new) of an object: old is None when it is new, new is None when it is gone."""


class Delays(msgspec.Struct, frozen=True):
    """How long things take, in cluster seconds (spec/embedded-cluster.md 11)."""

    schedule: float = 0.1
    pull: float = 0.5
    start: float = 0.2
    ready: float = 0.5
    stop: float = 0.5
    load_balancer: float = 1.0
    bind: float = 0.3
    run: float = 2.0
    heartbeat: float = 10.0

    @classmethod
    def instant(cls) -> Delays:
        """No delays: with a manual clock one `settle` reaches the final state."""
        return cls(schedule=0, pull=0, start=0, ready=0, stop=0, load_balancer=0, bind=0, run=0)


class Kit:
    """Shared by the controllers of one cluster."""

    def __init__(
        self, world: World, *, clock: Clock, rng: random.Random, delays: Delays, runner: Runner
    ) -> None:
        self.world = world
        self.clock = clock
        self.rng = rng
        self.delays = delays
        self.runner = runner
        self.cache = Cache()
        self._handlers: dict[GroupKind, list[Handler]] = {gk: [] for gk in WATCHED}
        self._any: list[Handler] = []
        self._rewritten: dict[str, tuple[Object, Object]] = {}  # uid -> (written, stored) status

    # -- wiring ---------------------------------------------------------------------------------

    def queue(self, name: str, reconcile: Callable[[ObjectKey], None]) -> Queue:
        return self.runner.queue(name, reconcile)

    def on(self, gk: GroupKind, handler: Handler) -> None:
        """Calls `handler` for every change of a kind in the cache."""
        self._handlers.setdefault(gk, []).append(handler)

    def on_any(self, handler: Handler) -> None:
        """Calls `handler` for every change of kinds that are not in the cache."""
        self._any.append(handler)

    def wants(self, gk: GroupKind) -> bool:
        """Whether the cache holds objects of a kind."""
        return gk in self._handlers

    def observe(self, change: str, old: Object | None, new: Object) -> None:
        """The world's listener."""
        if self.wants(gvk_of(new).group_kind):
            if change == "DELETED":
                self._drop(new)
            else:
                self._put(new)
            return
        gone = change == "DELETED"
        for handler in self._any:
            handler(new if gone else old, None if gone else new)

    def _put(self, obj: Object) -> None:
        key = key_of(obj)
        known = self.cache.get(key.group_kind, key.namespace, key.name)
        if known is not None and known["metadata"].get("uid") != obj["metadata"].get("uid"):
            self._drop(known)  # one of the same name took its place
        taken = self.cache.put(obj)
        if taken is not None:
            for handler in self._handlers.get(gvk_of(obj).group_kind, ()):
                handler(*taken)

    def _drop(self, obj: Object) -> None:
        known = self.cache.drop(obj)
        if known is not None:
            self._rewritten.pop(str(known["metadata"].get("uid")), None)
            for handler in self._handlers.get(gvk_of(obj).group_kind, ()):
                handler(known, None)

    # -- reading --------------------------------------------------------------------------------

    def get(self, gk: GroupKind, namespace: str, name: str) -> Object | None:
        """From the cache; not to be mutated."""
        return self.cache.get(gk, namespace, name)

    def orphans(self, namespace: str) -> list[Object]:
        """Pods of a namespace that no controller owns."""
        return self.cache.orphans(POD, namespace)

    def now(self) -> str:
        return stamp(self.clock.now())

    # -- writing --------------------------------------------------------------------------------

    def create(self, obj: Object, *, manager: str = CONTROLLER_MANAGER) -> Object:
        """Creates; errors of the world go to the caller."""
        made = self.world.create(obj, manager=manager)
        if self.wants(gvk_of(made).group_kind):
            self._put(made)
        return made

    def edit(
        self,
        obj: Object,
        change: Callable[[Object], None],
        *,
        manager: str = CONTROLLER_MANAGER,
        subresource: str = "",
    ) -> Object | None:
        """Reads afresh, lets `change` mutate the private copy, writes. None when it is gone."""
        key = key_of(obj)
        fresh = self.world.get(key.group_kind, key.namespace, key.name)
        if fresh is None or fresh["metadata"].get("uid") != obj["metadata"].get("uid"):
            return None
        change(fresh)
        try:
            made = self.world.update(fresh, manager=manager, subresource=subresource)
        except TrimtabError as error:
            if error.reason == "NotFound":
                return None
            raise
        if self.wants(key.group_kind):
            self._resync(key, made)
        return made

    def set_status(
        self, obj: Object, status: Object, *, manager: str = CONTROLLER_MANAGER
    ) -> Object | None:
        """Writes `status` when it differs from what the cache knows.

        A world may store it in another spelling; writing the same again would then never end,
        so what became of it is remembered.
        """
        have, uid = obj.get("status"), str(obj["metadata"].get("uid"))
        if have == status or self._rewritten.get(uid) == (status, have):
            return obj

        def change(fresh: Object) -> None:
            fresh["status"] = status

        made = self.edit(obj, change, manager=manager, subresource="status")
        self._rewritten.pop(uid, None)
        if made is not None and made.get("status") != status:
            self._rewritten[uid] = (status, made.get("status") or {})
        return made

    def delete(self, obj: Object, *, grace: int | None = None) -> None:
        """Deletes this very object (by uid); already gone is fine."""
        key, uid = key_of(obj), obj["metadata"].get("uid")
        try:
            self.world.delete(key.group_kind, key.namespace, key.name, grace=grace, uid=uid)
        except TrimtabError as error:
            if error.reason not in {"NotFound", "Conflict"}:
                raise
        left = self.world.get(key.group_kind, key.namespace, key.name)
        if left is not None and left["metadata"].get("uid") == uid:
            self._put(left)
        else:
            self._drop(obj)

    def _resync(self, key: ObjectKey, made: Object) -> None:
        """An update may have ended an object whose last finalizer it took away."""
        if made["metadata"].get("deletionTimestamp") and not made["metadata"].get("finalizers"):
            left = self.world.get(key.group_kind, key.namespace, key.name)
            if left is None or left["metadata"].get("uid") != made["metadata"].get("uid"):
                self._drop(made)
                return
        self._put(made)

    # -- telling --------------------------------------------------------------------------------

    def event(self, obj: Object, reason: str, message: str, *, component: str) -> None:
        self._event(obj, "Normal", reason, message, component)

    def warn(self, obj: Object, reason: str, message: str, *, component: str) -> None:
        self._event(obj, "Warning", reason, message, component)

    def _event(self, obj: Object, kind: str, reason: str, message: str, component: str) -> None:
        try:
            self.world.event(obj, type=kind, reason=reason, message=message, component=component)
        except TrimtabError as error:
            # An event is a courtesy: in a terminating namespace it is refused, and work goes on.
            if error.reason not in {"Forbidden", "NotFound"}:
                raise


def owner_reference(owner: Object, *, api_version: str, kind: str) -> dict[str, Any]:
    """The reference a controller puts on what it makes."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
