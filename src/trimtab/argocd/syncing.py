"""What an Application's operation does: begin it, drive it, remember it (spec/argocd.md 4).

The state of an operation is in the Application's status; nothing is held here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final

from trimtab.argocd import autosync, operation
from trimtab.argocd.application_spec import Retry, Spec, read_spec
from trimtab.argocd.compare import Comparison
from trimtab.argocd.deps import Deps
from trimtab.argocd.kinds import MANAGER
from trimtab.argocd.options import Options, approved, parse_options
from trimtab.argocd.status import set_app_conditions
from trimtab.argocd.writing import Pass, Writer
from trimtab.engine import Executor
from trimtab.errors import TrimtabError
from trimtab.objects import GroupKind, ObjectKey
from trimtab.runtime import Context
from trimtab.sources import GitRef, Snapshot, SourceSpec

__all__ = ["Syncing"]

AFTER_S: Final = 0.05  # an operation has ended: look whether another one is due
DEFAULT_RETRY: Final = Retry(limit=5)
_NAMESPACE: Final = GroupKind("", "Namespace")

Compare = Callable[[Pass, Spec, Snapshot, Mapping[str, Any]], Awaitable[Comparison]]
Note = Callable[[Pass, Spec, Comparison], None]


class Syncing:
    """`compare` and `note` are the reconciler's: an operation looks again when it has ended."""

    def __init__(self, deps: Deps, writer: Writer, *, compare: Compare, note: Note) -> None:
        self._deps = deps
        self._writer = writer
        self._compare = compare
        self._note = note

    async def operate(
        self,
        ctx: Context,
        pass_: Pass,
        spec: Spec,
        found: Comparison,
        project: Mapping[str, Any],
    ) -> float | None:
        state = pass_.status.get("operationState") or {}
        if state.get("phase") == "Terminating":
            ended = operation.finish(state, "Failed", "Operation terminated", pass_.now)
            pass_.status["operationState"] = ended
            return 0.0
        if state.get("phase") == "Running":
            return await self._go_on(pass_, spec, found, project)
        if pass_.app.get("operation"):
            pass_.drop_operation = True
            return await self._start(pass_, spec, found, project, pass_.app["operation"])
        return await self._automatic(ctx, pass_, spec, found, project)

    async def _automatic(
        self,
        ctx: Context,
        pass_: Pass,
        spec: Spec,
        found: Comparison,
        project: Mapping[str, Any],
    ) -> float | None:
        errors: list[tuple[str, str]] = []
        decision = None
        if spec.automated is not None:
            decision = autosync.decide(pass_.app, spec.automated, found, now=pass_.now)
            if decision.error:
                errors.append(("SyncError", decision.error))
        pass_.status = set_app_conditions(pass_.status, errors, pass_.now, judged=("SyncError",))
        if decision is None or spec.automated is None or not decision.start:
            return decision.after_s if decision else None
        sync: dict[str, Any] = {"revision": found.revision, "prune": spec.automated.prune}
        if spec.options.values:
            sync["syncOptions"] = [f"{k}={v}" for k, v in spec.options.values.items()]
        if decision.heal_attempts:
            sync["autoHealAttemptsCount"] = decision.heal_attempts
        if decision.resources:
            sync["resources"] = [dict(entry) for entry in decision.resources]
        message = f"Initiated automated sync to '{found.revision}'"
        self._deps.events.event(pass_.app, "Normal", "OperationStarted", message)
        ctx.log.info("automated sync", revision=found.revision, heal=decision.heal_attempts)
        request = {"sync": sync, "initiatedBy": {"automated": True}}
        return await self._start(pass_, spec, found, project, request)

    async def _start(
        self,
        pass_: Pass,
        spec: Spec,
        found: Comparison,
        project: Mapping[str, Any],
        request: Mapping[str, Any],
    ) -> float | None:
        """Take the operation over: it is in the status before anything is written."""
        sync = request.get("sync")
        state = operation.begin(request, spec.source, found.revision, pass_.now)
        if sync is None:
            failed = operation.finish(
                state, "Error", "Invalid operation request: no operation specified", pass_.now
            )
            pass_.status["operationState"] = failed
            return None
        missing = [
            name for name in ("source", "sources", "manifests", "revisions") if sync.get(name)
        ]
        if missing:
            text = f"operation.sync.{missing[0]} is not supported yet"
            pass_.status["operationState"] = operation.finish(state, "Error", text, pass_.now)
            return None
        wanted = str(sync.get("revision") or "")
        if wanted and wanted != found.revision:
            try:
                at = await self._deps.sources.snapshot(_at(spec.source_spec, wanted), fresh=True)
            except TrimtabError as error:
                text = f"ComparisonError: {error}"
                pass_.status["operationState"] = operation.finish(state, "Error", text, pass_.now)
                return None
            state["syncResult"]["revision"] = at.revision
        pass_.status["operationState"] = state
        await self._writer.write(pass_, strict=True)
        return await self._go_on(pass_, spec, found, project)

    async def _go_on(
        self, pass_: Pass, spec: Spec, found: Comparison, project: Mapping[str, Any]
    ) -> float | None:
        """Drive the running operation; after its end compare anew, so that the status is true."""
        state = dict(pass_.status["operationState"])
        due = state.get("retryAt")
        if due:
            left = (datetime.fromisoformat(due) - pass_.now).total_seconds()
            if left > 0:
                return left
            state.pop("retryAt", None)
        sync = state["operation"].get("sync") or {}
        revision = str(state["syncResult"].get("revision") or found.revision)
        if revision != found.revision:
            at = await self._deps.sources.snapshot(_at(spec.source_spec, revision))
            found = await self._compare(pass_, spec, at, project)
        options = _options(spec, sync)
        manual = not (state["operation"].get("initiatedBy") or {}).get("automated")
        prune = bool(sync.get("prune"))
        if prune and not found.desired and not found.hooks and not _may_be_empty(spec, manual):
            text = f"Skipping sync attempt to [{revision}]: auto-sync will wipe out all resources"
            pass_.status["operationState"] = operation.finish(state, "Failed", text, pass_.now)
            return None
        shared = [text for kind, text in found.warnings if kind == "SharedResourceWarning"]
        if options.on("FailOnSharedResource") and shared:
            text = f"Shared resource found: {shared[0]}"
            pass_.status["operationState"] = operation.finish(state, "Failed", text, pass_.now)
            return None
        if options.on("CreateNamespace") and spec.namespace and not sync.get("dryRun"):
            await self._ensure_namespace(spec.namespace)
        moved = await operation.run(
            operation.Run(
                executor=self._executor(options, sync),
                live=self._deps.cache,
                clock=self._deps.clock,
                now=pass_.now,
                dry_run=bool(sync.get("dryRun")),
                unknown_kinds=found.unknown_kinds,
                approved=approved(pass_.app, state["startedAt"]),
                prune_last=options.on("PruneLast"),
            ),
            state,
            operation.tasks_of(found, options, sync=sync, prune=prune),
        )
        return await self._moved(pass_, spec, moved, project)

    def _executor(self, options: Options, sync: Mapping[str, Any]) -> Executor:
        strategy = sync.get("syncStrategy") or {}
        force = any(bool((strategy.get(name) or {}).get("force")) for name in ("apply", "hook"))
        policy = options.policy(prune=bool(sync.get("prune")), allow_empty=True, force=force)
        return Executor(
            self._deps.client,
            self._deps.cache,
            manager=MANAGER,
            clock=self._deps.clock,
            policy=policy,
        )

    async def _moved(
        self, pass_: Pass, spec: Spec, moved: operation.Progressed, project: Mapping[str, Any]
    ) -> float | None:
        state, after_s = moved.state, moved.after_s
        if state["phase"] == "Failed":
            again = operation.retry_state(state, self._retry(pass_, spec, state), pass_.now)
            if again is not None:
                state, after_s = again
        pass_.status["operationState"] = state
        if state["phase"] == "Running":
            return after_s
        if state["phase"] == "Succeeded":
            self._remember(pass_, spec, state)
        good = state["phase"] == "Succeeded"
        self._deps.events.event(
            pass_.app,
            "Normal" if good else "Warning",
            "OperationCompleted",
            f"Sync operation to {state['syncResult'].get('revision')} {state['phase'].lower()}"
            + ("" if good else f": {state.get('message')}"),
        )
        snapshot = await self._deps.sources.snapshot(spec.source_spec)
        self._note(pass_, spec, await self._compare(pass_, spec, snapshot, project))
        return AFTER_S

    def _retry(self, pass_: Pass, spec: Spec, state: Mapping[str, Any]) -> Retry | None:
        request = state["operation"]
        if request.get("retry") is not None:
            wanted = {"spec": {**pass_.app["spec"], "syncPolicy": {"retry": request["retry"]}}}
            return read_spec({**pass_.app, **wanted}).retry
        if (request.get("initiatedBy") or {}).get("automated"):
            return spec.retry or DEFAULT_RETRY
        return spec.retry

    def _remember(self, pass_: Pass, spec: Spec, state: Mapping[str, Any]) -> None:
        """History: whole, real syncs only; none when the last entry says the same."""
        sync = state["operation"].get("sync") or {}
        if sync.get("dryRun") or sync.get("resources"):
            return
        history = list(pass_.status.get("history") or ())
        entry = {
            "id": (history[-1]["id"] + 1) if history else 0,
            "revision": state["syncResult"]["revision"],
            "source": dict(spec.source),
            "deployStartedAt": state["startedAt"],
            "deployedAt": state["finishedAt"],
            "initiatedBy": dict(state["operation"].get("initiatedBy") or {}),
        }
        history.append(entry)
        kept = history[-spec.history_limit :] if spec.history_limit > 0 else []
        pass_.status["history"] = kept

    async def _ensure_namespace(self, name: str) -> None:
        await self._deps.cache.ensure([_NAMESPACE])
        if self._deps.cache.get(ObjectKey("", "Namespace", "", name)) is not None:
            return
        obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        answer = await self._deps.client.apply(obj, manager=MANAGER)
        await self._deps.cache.note_write(answer)


def _at(source: SourceSpec, revision: str) -> SourceSpec:
    if source.kind == "git":
        return SourceSpec(
            kind="git", url=source.url, ref=GitRef(any=revision), credentials=source.credentials
        )
    return SourceSpec(
        kind=source.kind,
        url=source.url,
        chart=source.chart,
        version=revision,
        credentials=source.credentials,
    )


def _options(spec: Spec, sync: Mapping[str, Any]) -> Options:
    """The operation's options over the application's."""
    own = parse_options(sync.get("syncOptions") or ())
    return Options({**spec.options.values, **own.values})


def _may_be_empty(spec: Spec, manual: bool) -> bool:
    return manual or (spec.automated is not None and spec.automated.allow_empty)
