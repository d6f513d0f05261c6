"""The engine's values: what is asked (Intent, Desired), what will be done (Plan), what came of it
(Outcome). Neutral: no dialect's field names (ARCHITECTURE 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec

from trimtab.objects import ObjectKey
from trimtab.sources import SourceSpec

__all__ = [
    "Code",
    "Desired",
    "Health",
    "HealthStatus",
    "Intent",
    "LiveLike",
    "Outcome",
    "Placement",
    "Plan",
    "Policy",
    "Progress",
    "ProgressStatus",
    "Propagation",
    "Skip",
    "Step",
    "StepKind",
    "StepResult",
    "Target",
]

StepKind = Literal["create", "apply", "replace", "delete", "hook", "wait"]
Code = Literal["created", "configured", "unchanged", "replaced", "pruned", "skipped", "failed"]
Propagation = Literal["Background", "Foreground", "Orphan"]
HealthStatus = Literal["Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown"]
ProgressStatus = Literal["Current", "InProgress", "Failed", "Terminating", "NotFound", "Unknown"]


class LiveLike(Protocol):
    """A live object as the engine sees it; kube's `LiveObject` is one. `obj` is without
    managedFields and must not be changed; `owned` is the fieldsV1 a manager applied."""

    @property
    def uid(self) -> str: ...

    @property
    def obj(self) -> dict[str, Any]: ...

    def owned(self, manager: str) -> dict[str, Any] | None: ...


class Target(msgspec.Struct, frozen=True):
    """Where to. `cluster` "" is the own cluster; `namespace` is for objects that name none."""

    cluster: str = ""
    namespace: str = ""


class Policy(msgspec.Struct, frozen=True):
    """By which rules. `force` deletes and makes anew what cannot be changed in place; `replace`
    writes whole objects; `timeout_s` bounds each wait; `prune_last` waits for health first."""

    prune: bool = False
    allow_empty: bool = False
    force: bool = False
    replace: bool = False
    self_heal: bool = False
    create_namespace: bool = False
    prune_last: bool = False
    propagation: Propagation = "Background"
    wait: bool = False
    timeout_s: float = 300.0


class Intent(msgspec.Struct, frozen=True):
    """What one custom resource asks for. `render` is passed to the renderer as it is."""

    sources: tuple[SourceSpec, ...]
    render: Any
    target: Target = Target()
    policy: Policy = Policy()


class Desired(msgspec.Struct, frozen=True):
    """Objects that should be. `whole` False: something is missing because something failed."""

    objects: tuple[Mapping[str, Any], ...]
    whole: bool = True


class Placement(msgspec.Struct, frozen=True, order=True):
    """When an object's turn comes: phase first, then wave; both ascending."""

    phase: int = 0
    wave: int = 0


class Step(msgspec.Struct, frozen=True):
    """One thing to do, and why. `obj` is what is sent (None for delete and wait); `uid` guards
    deletes; `keys` are what a wait waits for."""

    kind: StepKind
    key: ObjectKey
    reason: str
    obj: dict[str, Any] | None = None
    phase: int = 0
    wave: int = 0
    uid: str = ""
    keys: tuple[ObjectKey, ...] = ()


class Skip(msgspec.Struct, frozen=True):
    """An object that is left alone on purpose."""

    key: ObjectKey
    reason: str


class Plan(msgspec.Struct, frozen=True):
    """Steps in order. `blocked` says why nothing is pruned although something would be."""

    steps: tuple[Step, ...] = ()
    skipped: tuple[Skip, ...] = ()
    blocked: str = ""

    @property
    def writes(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.kind != "wait")

    @property
    def deletes(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.kind == "delete")

    def __bool__(self) -> bool:
        """Is there anything to write?"""
        return any(step.kind != "wait" for step in self.steps)


class Health(msgspec.Struct, frozen=True):
    status: HealthStatus
    message: str = ""


class Progress(msgspec.Struct, frozen=True):
    """The other scale of health (spec/flux.md 3.8)."""

    status: ProgressStatus
    message: str = ""


class StepResult(msgspec.Struct, frozen=True):
    """What came of a step. `obj` is what the server answered, for those who remember writes.
    `reason` is the error's stable name when `code` is failed."""

    step: Step
    code: Code
    message: str
    reason: str = ""
    obj: dict[str, Any] | None = None


class Outcome(msgspec.Struct, frozen=True):
    """Results in the order of the plan; `waiting` are objects that were not ready in time."""

    results: tuple[StepResult, ...]
    waiting: tuple[tuple[ObjectKey, Progress | Health], ...] = ()

    @property
    def failed(self) -> tuple[StepResult, ...]:
        return tuple(result for result in self.results if result.code == "failed")

    @property
    def changed(self) -> tuple[StepResult, ...]:
        return tuple(r for r in self.results if r.code in ("created", "configured", "pruned"))
