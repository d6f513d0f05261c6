"""Plan -> Outcome: writes through a client port, in the order of the plan.

Steps of one kind and turn go out together (at most `concurrency`); the first failed turn ends
the run. Messages are worded as kubectl does. Nothing here knows a dialect.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any, Final

from trimtab.engine.model import Code, Outcome, Plan, Policy, Step, StepResult
from trimtab.engine.ports import ClientPort, ClockPort, LivePort
from trimtab.engine.wait import wait_for, wait_gone
from trimtab.errors import TrimtabError
from trimtab.objects import GroupKind, ObjectKey

__all__ = ["Executor", "is_immutable", "object_name"]

NAMESPACE: Final = GroupKind("", "Namespace")
CRD: Final = GroupKind("apiextensions.k8s.io", "CustomResourceDefinition")
GONE_S: Final = 60.0
_IMMUTABLE: Final = re.compile(r"is immutable|immutable field|forbidden: updates to \S+ spec")


def object_name(key: ObjectKey) -> str:
    """`deployment.apps/web`, as kubectl prints it."""
    group = f".{key.group}" if key.group else ""
    return f"{key.kind.lower()}{group}/{key.name}"


def is_immutable(error: TrimtabError) -> bool:
    """Was the write refused because a field cannot be changed?"""
    return getattr(error, "code", 0) in (409, 422) and bool(_IMMUTABLE.search(str(error)))


class Executor:
    """Runs steps for one manager on one cluster."""

    def __init__(
        self,
        client: ClientPort,
        live: LivePort,
        *,
        manager: str,
        clock: ClockPort,
        policy: Policy = Policy(),  # noqa: B008 - frozen
        concurrency: int = 8,
    ) -> None:
        self._client = client
        self._live = live
        self._manager = manager
        self._clock = clock
        self._policy = policy
        self._slots = asyncio.Semaphore(concurrency)

    async def dry_run(self, steps: Iterable[Step]) -> list[StepResult]:
        """The failures of a rehearsal on the server. Objects whose kind or namespace comes with
        these steps cannot be rehearsed and are left out."""
        steps = [step for step in steps if step.obj is not None]
        kinds = {_defined(step.obj) for step in steps if step.key.group_kind == CRD}
        spaces = {step.key.name for step in steps if step.key.group_kind == NAMESPACE}
        tried = [
            step
            for step in steps
            if step.key.group_kind not in kinds
            and not (step.key.namespace in spaces and self._namespace_missing(step.key.namespace))
        ]
        results = await self._together(tried, self._rehearse)
        return [result for result in results if result.code == "failed"]

    async def run(self, plan: Plan, *, rehearse: bool = True, ready: Any = None) -> Outcome:
        """Everything, waits included. `ready(live object or None) -> (settled, hopeless,
        verdict)` judges objects for the waits; without it waits are skipped."""
        results: list[StepResult] = []
        for wait, group in groupby(plan.steps, key=lambda step: step.kind == "wait"):
            steps = list(group)
            if wait:
                waiting = await self._wait(steps, ready) if ready else {}
                if waiting:
                    return Outcome(tuple(results), tuple(waiting.items()))
                continue
            failures = await self.dry_run(steps) if rehearse else []
            if failures:
                return Outcome((*results, *failures))
            done = await self.apply(steps)
            results += done
            if any(result.code == "failed" for result in done):
                break
        return Outcome(tuple(results))

    async def apply(self, steps: Iterable[Step]) -> list[StepResult]:
        """Write these steps now, whatever fails among them. Objects of one kind go out together,
        kinds one after the other."""
        results: list[StepResult] = []
        for _, group in groupby(steps, key=lambda step: (step.kind == "delete", step.key.kind)):
            turn = list(group)
            results += await self._together(turn, self.step)
            if turn[0].key.group_kind == CRD and turn[0].kind != "delete":
                await self._established(turn)
        return results

    async def step(self, step: Step) -> StepResult:
        """One write. Expected failures are results; nothing is raised but cancellation."""
        try:
            if step.kind == "delete":
                return await self._delete(step)
            return await self._write(step)
        except TrimtabError as error:
            return StepResult(step, "failed", str(error), error.reason)

    # -- one object ------------------------------------------------------------------------

    async def _write(self, step: Step) -> StepResult:
        assert step.obj is not None
        before = self._known_version(step)
        try:
            answer = await self._send(step)
        except TrimtabError as error:
            if not (self._policy.force and step.uid and is_immutable(error)):
                raise
            answer = await self._recreate(step)
        await self._live.note_write(answer)
        if step.kind == "replace":
            return self._result(step, "replaced", "replaced", answer)
        changed = _version(answer) != before
        code: Code = "created" if not step.uid else "configured" if changed else "unchanged"
        return self._result(step, code, code, answer)

    async def _send(self, step: Step, *, dry_run: bool = False) -> dict[str, Any]:
        assert step.obj is not None
        if step.kind == "replace" and step.uid:
            there = await self._client.get(step.key.group_kind, step.key.namespace, step.key.name)
            meta = {
                **step.obj["metadata"],
                "resourceVersion": there["metadata"]["resourceVersion"],
            }
            obj = {**step.obj, "metadata": meta}
            return await self._client.replace(obj, manager=self._manager, dry_run=dry_run)
        return await self._client.apply(
            step.obj, manager=self._manager, force=True, dry_run=dry_run
        )

    async def _recreate(self, step: Step) -> dict[str, Any]:
        """Delete exactly the object that was seen, wait until it is gone, make it anew."""
        key = step.key
        await self._client.delete(key.group_kind, key.namespace, key.name, uid=step.uid)
        gone = await wait_gone(self._live, key, uid=step.uid, clock=self._clock, timeout_s=GONE_S)
        if not gone:
            raise TrimtabError(
                f"{object_name(key)} did not go in {GONE_S:g} s", reason="DeletionTimeout"
            )
        assert step.obj is not None
        return await self._client.apply(step.obj, manager=self._manager, force=True)

    async def _delete(self, step: Step) -> StepResult:
        key = step.key
        try:
            await self._client.delete(
                key.group_kind,
                key.namespace,
                key.name,
                propagation=self._policy.propagation,
                uid=step.uid or None,
            )
        except TrimtabError as error:
            if getattr(error, "code", 0) != 404:
                raise
        return self._result(step, "pruned", "pruned", None)

    async def _rehearse(self, step: Step) -> StepResult:
        try:
            await self._send(step, dry_run=True)
        except TrimtabError as error:
            if self._policy.force and step.uid and is_immutable(error):
                return StepResult(step, "unchanged", "will be recreated")
            return StepResult(step, "failed", str(error), error.reason)
        return StepResult(step, "unchanged", "")

    def _result(
        self, step: Step, code: Code, word: str, answer: dict[str, Any] | None
    ) -> StepResult:
        return StepResult(step, code, f"{object_name(step.key)} {word}", obj=answer)

    # -- many ------------------------------------------------------------------------------

    async def _together(self, steps: list[Step], do: Callable[[Step], Any]) -> list[StepResult]:
        async def one(step: Step) -> StepResult:
            async with self._slots:
                result: StepResult = await do(step)
                return result

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(step)) for step in steps]
        return [task.result() for task in tasks]

    async def _wait(self, steps: list[Step], ready: Any) -> dict[ObjectKey, Any]:
        keys = [key for step in steps for key in step.keys]
        await self._live.ensure({key.group_kind for key in keys})
        left = await wait_for(
            self._live,
            keys,
            ready,
            lambda verdict: bool(verdict[0]),
            clock=self._clock,
            timeout_s=self._policy.timeout_s,
            hopeless=lambda verdict: bool(verdict[1]),
        )
        return {key: verdict[2] for key, verdict in left.items()}

    async def _established(self, steps: list[Step]) -> None:
        """A CRD is served a moment after it was written; its instances need that."""
        await self._live.ensure([CRD])
        await wait_for(
            self._live,
            [step.key for step in steps],
            lambda found: found is not None and _is_established(found.obj),
            bool,
            clock=self._clock,
            timeout_s=GONE_S,
        )

    def _namespace_missing(self, name: str) -> bool:
        return self._live.get(ObjectKey("", "Namespace", "", name)) is None

    def _known_version(self, step: Step) -> str:
        return str(getattr(self._live.get(step.key), "resource_version", ""))


def _version(obj: dict[str, Any]) -> str:
    return str((obj.get("metadata") or {}).get("resourceVersion") or "")


def _defined(crd: dict[str, Any] | None) -> GroupKind:
    spec = (crd or {}).get("spec") or {}
    return GroupKind(str(spec.get("group")), str((spec.get("names") or {}).get("kind")))


def _is_established(obj: dict[str, Any]) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions)
