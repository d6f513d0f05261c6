"""One reconcile of one Application: look, compare, decide, go one step on, tell (spec 2 to 4)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from trimtab.argocd import autosync, operation
from trimtab.argocd.application_spec import Retry, Spec, read_spec
from trimtab.argocd.compare import Comparison, compare_application, kinds_in
from trimtab.argocd.deps import Deps
from trimtab.argocd.errors import ComparisonFailed, ConditionError, InvalidSpec
from trimtab.argocd.finalize import finalize, finalizer_of
from trimtab.argocd.following import Following
from trimtab.argocd.kinds import (
    APP_PROJECT,
    APPLICATION,
    MANAGER,
    REFRESH,
    SKIP_RECONCILE,
)
from trimtab.argocd.options import Options, parse_options
from trimtab.argocd.project import DEFAULT_PROJECT, check_application
from trimtab.argocd.settings import Settings, read_settings
from trimtab.argocd.status import apply_comparison, set_app_conditions, touch
from trimtab.argocd.tracking import instance_name
from trimtab.engine import Executor
from trimtab.errors import TrimtabError
from trimtab.kube import NotFound
from trimtab.objects import GroupKind, ObjectKey
from trimtab.runtime import Context, Key, Result, StatusWriter
from trimtab.sources import GitRef, Snapshot, SourceSpec, Unreachable

__all__ = ["Reconciler"]

ERRORS: Final = ("InvalidSpecError", "ComparisonError", "UnknownError")
WARNINGS: Final = (
    "UnsupportedFieldWarning",
    "RenderWarning",
    "RepeatedResourceWarning",
    "SharedResourceWarning",
    "ExcludedResourceWarning",
)
GRACE_S: Final = 180.0
SOURCE_RETRY_S: Final = 10.0
AFTER_S: Final = 0.05  # an operation has ended: look whether another one is due
DEFAULT_RETRY: Final = Retry(limit=5)
_NAMESPACE: Final = GroupKind("", "Namespace")


class Reconciler:
    """Holds what is this process's own: subscriptions to repositories. All else is read anew."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self.following = Following(deps.sources)
        self._status = StatusWriter(deps.client, manager=MANAGER, written=deps.cache.note_write)

    async def reconcile(self, ctx: Context, key: Key) -> Result:
        deps = self._deps
        live = deps.cache.get(_app_key(key))
        if live is None:
            self.following.forget(key)
            return Result()
        app = live.obj
        annotations = app["metadata"].get("annotations") or {}
        if app["metadata"].get("deletionTimestamp"):
            self.following.forget(key)
            return await self._finalize(app, key)
        if annotations.get(SKIP_RECONCILE) == "true":
            return Result()
        settings = self._settings()
        refresh = annotations.get(REFRESH)
        pass_ = _Pass(app, deps.clock.now(), self._instance(key), settings)
        after_s = await self._look(ctx, pass_, key, refresh)
        await self._write(app, pass_, asked=refresh is not None)
        waits = [s for s in (after_s, self._resync(settings)) if s is not None]
        return Result(min(waits) if waits else None)

    def _resync(self, settings: Settings) -> float | None:
        if settings.resync_s <= 0:
            return None
        return settings.resync_s + self._deps.rng.random() * settings.jitter_s

    def _instance(self, key: Key) -> str:
        return instance_name(key.namespace, key.name, home=self._deps.namespace)

    def _settings(self) -> Settings:
        live = self._deps.cache.get(ObjectKey("", "ConfigMap", self._deps.namespace, "argocd-cm"))
        return read_settings((live.obj.get("data") or {}) if live else {})

    # -- looking ---------------------------------------------------------------------------

    async def _look(
        self, ctx: Context, pass_: _Pass, key: Key, refresh: str | None
    ) -> float | None:
        """Fill `pass_.status`; when to look again."""
        try:
            spec = read_spec(pass_.app, kube_version=await self._kube_version())
            project = await self._project(spec, key)
            snapshot = await self._snapshot(spec, key, fresh=refresh is not None)
            found = await self._compare(pass_, spec, snapshot, project)
        except ConditionError as error:
            return self._failed(pass_, error)
        except Unreachable as error:
            return self._unreachable(pass_, error)
        except TrimtabError as error:
            if error.reason in ("Unreachable", "Timeout", "ServiceUnavailable"):
                raise  # the cluster, not the application: the queue backs off
            text = f"Failed to load target state: failed to generate manifest: {error}"
            return self._failed(pass_, ComparisonFailed(text, hint=error.hint))
        self._note(pass_, spec, found)
        return await self._operate(ctx, pass_, spec, found, project)

    async def _kube_version(self) -> str:
        return (await self._deps.client.discovery()).version

    async def _project(self, spec: Spec, key: Key) -> dict[str, Any]:
        home = self._deps.namespace
        live = self._deps.cache.get(
            ObjectKey(APP_PROJECT.group, APP_PROJECT.kind, home, spec.project)
        )
        if live is not None:
            project = live.obj
        elif spec.project == "default":
            project = await self._create_default(home)
        else:
            raise InvalidSpec(f"Application references project {spec.project} which does not exist")
        check_application(
            project,
            name=spec.project,
            repos=[source.url for source in spec.intent.sources],
            namespace=spec.namespace,
            home=home,
            app_namespace=key.namespace,
        )
        return project

    async def _create_default(self, home: str) -> dict[str, Any]:
        obj = {**DEFAULT_PROJECT, "metadata": {"name": "default", "namespace": home}}
        answer = await self._deps.client.apply(obj, manager=MANAGER)
        await self._deps.cache.note_write(answer)
        return answer

    async def _snapshot(self, spec: Spec, key: Key, *, fresh: bool) -> Snapshot:
        revision = ""
        try:
            snapshot = await self._deps.sources.snapshot(spec.source_spec, fresh=fresh)
            revision = snapshot.revision
            return snapshot
        finally:
            self.following.follow(key, spec.source_spec, revision)

    async def _compare(
        self, pass_: _Pass, spec: Spec, snapshot: Snapshot, project: Mapping[str, Any]
    ) -> Comparison:
        remembered = kinds_in(pass_.status)
        remembered |= kinds_in(((pass_.status.get("operationState") or {}).get("syncResult")) or {})
        return await compare_application(
            self._deps,
            spec,
            instance=pass_.instance,
            snapshot=snapshot,
            manager=MANAGER,
            remembered=remembered,
            project=project,
        )

    # -- telling ---------------------------------------------------------------------------

    def _note(self, pass_: _Pass, spec: Spec, found: Comparison) -> None:
        status = apply_comparison(pass_.status, pass_.app, spec, found, pass_.now)
        warnings = [*found.warnings]
        warnings += [
            ("UnsupportedFieldWarning", f"{name} is not supported yet and has no effect")
            for name in (
                *spec.unsupported,
                *(f"argocd-cm: {k}" for k in pass_.settings.unsupported),
            )
        ]
        pass_.status = set_app_conditions(status, warnings, pass_.now, judged=(*ERRORS, *WARNINGS))

    def _failed(self, pass_: _Pass, error: ConditionError) -> float | None:
        """Nothing can be said, and nothing is pruned: sync is Unknown, the objects stay listed."""
        status = dict(pass_.status)
        sync = dict(status.get("sync") or {})
        status["sync"] = {**sync, "status": "Unknown"}
        if error.type == "InvalidSpecError" or "health" not in status:
            status["health"] = _unknown_health(status, pass_)
        text = str(error)
        if error.hint:
            text = f"{text} ({error.hint})"
        pass_.status = set_app_conditions(status, [(error.type, text)], pass_.now, judged=ERRORS)
        state = status.get("operationState") or {}
        if pass_.app.get("operation"):
            begun = operation.begin(
                pass_.app["operation"], pass_.app["spec"].get("source") or {}, "", pass_.now
            )
            pass_.status["operationState"] = operation.finish(begun, "Error", text, pass_.now)
            pass_.drop_operation = True
        elif state.get("phase") in autosync.ACTIVE:
            pass_.status["operationState"] = operation.finish(state, "Error", text, pass_.now)
        return None

    def _unreachable(self, pass_: _Pass, error: TrimtabError) -> float | None:
        """A source that does not answer keeps the last good comparison for a while."""
        seen = pass_.status.get("reconciledAt")
        age = (pass_.now - datetime.fromisoformat(seen)).total_seconds() if seen else GRACE_S
        good = (pass_.status.get("sync") or {}).get("status") in ("Synced", "OutOfSync")
        if good and age < GRACE_S:
            return SOURCE_RETRY_S
        text = f"Failed to load target state: {error}"
        self._failed(pass_, ComparisonFailed(text, hint=error.hint))
        return SOURCE_RETRY_S

    async def _write(self, app: dict[str, Any], pass_: _Pass, *, asked: bool) -> None:
        """One write for everything: status, the consumed annotation, the taken operation."""
        before = app.get("status") or {}
        status = touch(before, pass_.status, pass_.now, asked=asked)
        written = await self._status.write(pass_.current, status, subresource=False)
        if written is not None:
            pass_.current = written
        body: dict[str, Any] = {}
        if asked:
            body["metadata"] = {"annotations": {REFRESH: None}}
        if pass_.drop_operation and "operation" in pass_.current:
            body["operation"] = None
        if body:
            await self._patch(pass_, body)

    async def _patch(self, pass_: _Pass, body: dict[str, Any]) -> None:
        meta = pass_.app["metadata"]
        answer = await self._deps.client.patch(
            APPLICATION, meta["namespace"], meta["name"], body, kind="merge", manager=MANAGER
        )
        await self._deps.cache.note_write(answer)
        pass_.current = answer

    # -- acting ----------------------------------------------------------------------------

    async def _operate(
        self,
        ctx: Context,
        pass_: _Pass,
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
        pass_: _Pass,
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
        pass_: _Pass,
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
        missing = [name for name in ("source", "sources", "manifests") if sync.get(name)]
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
        await self._save(pass_)
        return await self._go_on(pass_, spec, found, project)

    async def _save(self, pass_: _Pass) -> None:
        written = await self._status.write(pass_.current, pass_.status, subresource=False)
        pass_.current = written or pass_.current
        if pass_.drop_operation and "operation" in pass_.current:
            await self._patch(pass_, {"operation": None})

    async def _go_on(
        self, pass_: _Pass, spec: Spec, found: Comparison, project: Mapping[str, Any]
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
        self, pass_: _Pass, spec: Spec, moved: operation.Progressed, project: Mapping[str, Any]
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

    def _retry(self, pass_: _Pass, spec: Spec, state: Mapping[str, Any]) -> Retry | None:
        request = state["operation"]
        if request.get("retry") is not None:
            wanted = {"spec": {**pass_.app["spec"], "syncPolicy": {"retry": request["retry"]}}}
            return read_spec({**pass_.app, **wanted}).retry
        if (request.get("initiatedBy") or {}).get("automated"):
            return spec.retry or DEFAULT_RETRY
        return spec.retry

    def _remember(self, pass_: _Pass, spec: Spec, state: Mapping[str, Any]) -> None:
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

    async def _finalize(self, app: dict[str, Any], key: Key) -> Result:
        if finalizer_of(app) is None:
            return Result()
        try:
            after_s = await finalize(self._deps, app, instance=self._instance(key))
        except TrimtabError as error:
            now = self._deps.clock.now()
            status = set_app_conditions(
                app.get("status") or {},
                [("DeletionError", str(error))],
                now,
                judged=("DeletionError",),
            )
            try:
                await self._status.write(app, status, subresource=False)
            except NotFound:
                return Result()
            raise
        return Result(after_s)


class _Pass:
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
        self.drop_operation = False


def _app_key(key: Key) -> ObjectKey:
    return ObjectKey(APPLICATION.group, APPLICATION.kind, key.namespace, key.name)


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


def _unknown_health(status: Mapping[str, Any], pass_: _Pass) -> dict[str, Any]:
    before = status.get("health") or {}
    if before.get("status") == "Unknown":
        return dict(before)
    return {"status": "Unknown", "lastTransitionTime": pass_.now.strftime("%Y-%m-%dT%H:%M:%SZ")}
