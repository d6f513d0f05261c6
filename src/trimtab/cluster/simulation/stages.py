"""Lives for custom kinds, as data: after a delay an object gets a status.

    Stage(
        kind=GroupKind("cert-manager.io", "Certificate"),
        delay_s=1.0,
        status={"conditions": [{"type": "Ready", "status": "True", "reason": "Ready",
                                "message": "Certificate is up to date and has not expired",
                                "observedGeneration": "{generation}"}]},
    )

In texts `{name}`, `{namespace}`, `{uid}` and `{now}` are replaced; a text that is exactly
`{generation}` becomes the number. Objects with the annotation `embedded.sim/fail` stay as they
are. Conditions are merged by type, other fields of the status one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.conditions import set_condition
from trimtab.cluster.simulation.faults import FAIL
from trimtab.cluster.simulation.kit import Kit
from trimtab.cluster.simulation.labels import has_labels
from trimtab.cluster.simulation.podspec import is_terminating
from trimtab.objects.identity import GroupKind, ObjectKey, key_of

__all__ = ["Stage", "StageController"]

MANAGER = "embedded-stages"


class Stage(msgspec.Struct, frozen=True):
    """One step in the life of a kind.

    `delay_s`: cluster seconds after the object, or its new generation, was first seen.
    `jitter_s`: up to so much longer, by the cluster's seed. `labels`: only objects that carry
    them. `event`: (reason, message) told when it is entered.
    """

    kind: GroupKind
    status: Mapping[str, Any]
    delay_s: float = 0.0
    jitter_s: float = 0.0
    labels: Mapping[str, str] = {}
    event: tuple[str, str] | None = None


class StageController:
    """Moves objects through the stages of their kind, in the order they are listed."""

    def __init__(self, kit: Kit, stages: Sequence[Stage]) -> None:
        self.kit = kit
        self.stages = tuple(stages)
        self.queue = kit.queue("stage", self.reconcile)
        self._seen: dict[tuple[str, int], tuple[float, float]] = {}  # when, and its luck 0..1
        for gk in dict.fromkeys(stage.kind for stage in self.stages):
            kit.on(gk, self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self.queue.add(key_of(new))
        elif old is not None:
            uid = old["metadata"]["uid"]
            self._seen = {k: v for k, v in self._seen.items() if k[0] != uid}

    def reconcile(self, key: ObjectKey) -> None:
        obj = self.kit.get(key.group_kind, key.namespace, key.name)
        if obj is None or is_terminating(obj):
            return
        if FAIL in (obj["metadata"].get("annotations") or {}):
            return
        now = self.kit.clock.monotonic()
        meta = obj["metadata"]
        life = (meta["uid"], meta.get("generation", 0))
        if life not in self._seen:
            self._seen[life] = (now, self.kit.rng.random())
        seen, luck = self._seen[life]
        status: Object = dict(obj.get("status") or {})
        entered: list[Stage] = []
        for stage in self.stages:
            if stage.kind != key.group_kind or not has_labels(
                stage.labels, meta.get("labels") or {}
            ):
                continue
            due = seen + stage.delay_s + luck * stage.jitter_s
            if now < due:
                self.queue.add_after(key, due - now)
                break
            before = status
            status = self._enter(stage, obj, status)
            if status != before:
                entered.append(stage)
        if status != (obj.get("status") or {}):
            self.kit.set_status(obj, status, manager=MANAGER)
            for stage in entered:
                if stage.event is not None:
                    self.kit.event(obj, *stage.event, component=MANAGER)

    def _enter(self, stage: Stage, obj: Object, status: Object) -> Object:
        made = dict(status)
        now = self.kit.now()
        for field, value in stage.status.items():
            filled = _fill(value, obj, now)
            if field == "conditions":
                conditions = list(made.get("conditions") or ())
                for item in filled:
                    rest = {k: v for k, v in item.items() if k not in {"type", "status"}}
                    conditions = set_condition(
                        conditions, item["type"], item["status"], now=now, **rest
                    )
                made["conditions"] = conditions
            elif "{now}" not in str(value) or field not in made:
                made[field] = filled  # a moment is written once, or the object never rests
        return made


def _fill(value: Any, obj: Object, now: str) -> Any:
    if isinstance(value, str):
        meta = obj["metadata"]
        if value == "{generation}":
            return meta.get("generation", 0)
        for name in ("name", "namespace", "uid"):
            value = value.replace("{" + name + "}", str(meta.get(name, "")))
        return value.replace("{now}", now)
    if isinstance(value, Mapping):
        return {k: _fill(v, obj, now) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_fill(v, obj, now) for v in value]
    return value
