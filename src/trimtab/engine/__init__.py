"""Desired + live -> Plan -> Outcome, for every dialect.

    found = plan(desired, live, owned=keys, manager="m", policy=..., schema_of=book.get,
                 order=WAVES | STAGES, place=..., keep=...)
    outcome = await Executor(client, cache, manager="m", clock=clock, policy=...).run(
        found, ready=judge)

- `plan` is pure; `found.steps` are create, apply, replace, delete and wait, in order; equal
  objects give no step. `place(obj) -> Placement(phase, wave)`; `keep(live obj) -> reason` spares
  an object from pruning. With `STAGES` give `place=lambda o: Placement(0, stage_of(o))`.
- `Executor.run` does all of it, waits included; `Executor.apply(steps)`, `.dry_run(steps)` and
  `.step(step)` are the parts. `ready(live or None) -> (settled, hopeless, verdict)`.
- `assess(obj) -> Health` and `kstatus(obj) -> Progress` are the two scales of health; `diff`
  tells field by field; `remember` keeps the inventory after a run.

Nothing here knows Argo CD's or Flux's field names.
"""

from trimtab.engine.diff import Difference, diff, sendable
from trimtab.engine.errors import EngineError, UnknownKinds
from trimtab.engine.execute import Executor, is_immutable, object_name
from trimtab.engine.health import ORDER, assess, has_health, worst
from trimtab.engine.inventory import remember, stale
from trimtab.engine.kstatus import kstatus
from trimtab.engine.model import (
    Desired,
    Health,
    HealthStatus,
    Intent,
    LiveLike,
    Outcome,
    Placement,
    Plan,
    Policy,
    Progress,
    Propagation,
    Skip,
    Step,
    StepResult,
    Target,
)
from trimtab.engine.order import STAGES, WAVES, KindOrder, stage_of
from trimtab.engine.plan import compare, plan
from trimtab.engine.ports import ClientPort, ClockPort, LivePort
from trimtab.engine.schema_book import SchemaBook
from trimtab.engine.wait import wait_for, wait_gone

__all__ = [
    "ORDER",
    "STAGES",
    "WAVES",
    "ClientPort",
    "ClockPort",
    "Desired",
    "Difference",
    "EngineError",
    "Executor",
    "Health",
    "HealthStatus",
    "Intent",
    "KindOrder",
    "LiveLike",
    "LivePort",
    "Outcome",
    "Placement",
    "Plan",
    "Policy",
    "Progress",
    "Propagation",
    "SchemaBook",
    "Skip",
    "Step",
    "StepResult",
    "Target",
    "UnknownKinds",
    "assess",
    "compare",
    "diff",
    "has_health",
    "is_immutable",
    "kstatus",
    "object_name",
    "plan",
    "remember",
    "sendable",
    "stage_of",
    "stale",
    "wait_for",
    "wait_gone",
    "worst",
]
