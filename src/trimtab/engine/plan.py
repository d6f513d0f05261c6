"""Desired + live -> Plan. Pure. Invariants of ARCHITECTURE 3.1 are kept here: nothing is pruned
because something failed, and an empty render prunes nothing without permission."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from trimtab.engine.diff import Difference, diff, sendable
from trimtab.engine.model import Desired, LiveLike, Placement, Plan, Policy, Skip, Step
from trimtab.engine.order import WAVES, KindOrder
from trimtab.objects import GVK, ObjectKey, Schema, gvk_of, key_of

__all__ = ["compare", "plan"]

SchemaOf = Callable[[GVK], Schema | None]
Place = Callable[[Mapping[str, Any]], Placement]
Keep = Callable[[Mapping[str, Any]], str]
_SHOWN: Final = 3


def compare(
    obj: Mapping[str, Any], live: LiveLike | None, *, manager: str, schema: Schema | None
) -> list[Difference] | None:
    """Differences of one object; None when it is missing."""
    if live is None:
        return None
    return diff(obj, live.obj, owned=live.owned(manager), schema=schema)


def plan(
    desired: Desired,
    live: Mapping[ObjectKey, LiveLike],
    *,
    owned: Iterable[ObjectKey],
    manager: str,
    policy: Policy = Policy(),  # noqa: B008 - frozen
    schema_of: SchemaOf,
    order: KindOrder = WAVES,
    place: Place | None = None,
    keep: Keep | None = None,
) -> Plan:
    """Steps from live to desired.

    `live` holds every present object among desired and owned; it must come from complete lists.
    `owned` are the keys we hold responsible for: those not desired any more are pruned.
    `place` gives each object its turn; `keep` gives a reason not to delete a live object ("" to
    delete). Raises ValueError when two desired objects have one key.
    """
    keys = [key_of(obj) for obj in desired.objects]
    if len(set(keys)) != len(keys):
        raise ValueError("two desired objects have one key")
    if not desired.whole:
        return Plan(blocked="the desired state is not complete")
    steps = [
        step
        for obj in desired.objects
        if (step := _write(obj, live.get(key_of(obj)), manager, policy, schema_of, place))
    ]
    steps.sort(key=lambda step: (step.phase, step.wave, order.key(step.key)))
    stale = sorted(
        (key for key in set(owned) - set(keys) if key in live), key=order.key, reverse=True
    )
    if not stale:
        return Plan(steps=_with_waits(steps, policy))
    if not policy.prune:
        kept = tuple(Skip(key, "pruning is off") for key in stale)
        return Plan(steps=_with_waits(steps, policy), skipped=kept)
    if not desired.objects and not policy.allow_empty:
        return Plan(blocked="everything would be pruned, and an empty state is not allowed")
    deletes, kept = _deletes(stale, live, keep, place)
    last = max((step.phase for step in steps), default=0)
    ordered = _with_waits(steps, policy)
    if policy.prune_last and steps and deletes and not policy.wait:
        ordered = (*ordered, _wait(steps, last))
    return Plan(steps=(*ordered, *deletes), skipped=kept)


def _write(
    obj: Mapping[str, Any],
    there: LiveLike | None,
    manager: str,
    policy: Policy,
    schema_of: SchemaOf,
    place: Place | None,
) -> Step | None:
    key = key_of(obj)
    schema = schema_of(gvk_of(obj))
    turn = place(obj) if place else Placement()
    found = compare(obj, there, manager=manager, schema=schema)
    if found == []:
        return None
    if found is None:
        reason = "it does not exist"
    else:
        reason = "; ".join(str(each) for each in found[:_SHOWN])
        if len(found) > _SHOWN:
            reason += f" and {len(found) - _SHOWN} more"
    return Step(
        kind="create" if found is None else "replace" if policy.replace else "apply",
        key=key,
        reason=reason,
        obj=sendable(obj, schema),
        phase=turn.phase,
        wave=turn.wave,
        uid=there.uid if there else "",
    )


def _deletes(
    stale: list[ObjectKey],
    live: Mapping[ObjectKey, LiveLike],
    keep: Keep | None,
    place: Place | None,
) -> tuple[tuple[Step, ...], tuple[Skip, ...]]:
    """Reverse waves, and within a wave the reverse order of kinds (`stale` comes so)."""
    deletes: list[Step] = []
    kept: list[Skip] = []
    for key in stale:
        there = live[key]
        if there.obj.get("metadata", {}).get("deletionTimestamp"):
            continue
        why = keep(there.obj) if keep else ""
        if why:
            kept.append(Skip(key, why))
            continue
        turn = place(there.obj) if place else Placement()
        deletes.append(
            Step(
                kind="delete",
                key=key,
                reason="it is no longer desired",
                wave=turn.wave,
                uid=there.uid,
            )
        )
    deletes.sort(key=lambda step: -step.wave)  # stable: the order of kinds stays
    return tuple(deletes), tuple(kept)


def _with_waits(steps: list[Step], policy: Policy) -> tuple[Step, ...]:
    """Between turns, wait for what the earlier one wrote; after the last one with `wait`."""
    out: list[Step] = []
    turn: list[Step] = []
    for step in steps:
        if turn and (turn[0].phase, turn[0].wave) != (step.phase, step.wave):
            out.append(_wait(turn, turn[0].phase))
            turn = []
        turn.append(step)
        out.append(step)
    if turn and policy.wait:
        out.append(_wait(turn, turn[0].phase))
    return tuple(out)


def _wait(steps: list[Step], phase: int) -> Step:
    return Step(
        kind="wait",
        key=steps[-1].key,
        reason="what was applied must be ready first",
        phase=phase,
        wave=steps[-1].wave,
        keys=tuple(step.key for step in steps),
    )
