"""One reconcile of one Application: look, compare, decide, go one step on, tell (spec 2 to 4)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from trimtab.argocd import autosync, operation
from trimtab.argocd.application_spec import Spec, read_spec
from trimtab.argocd.compare import Comparison, compare_application, kinds_in
from trimtab.argocd.credentials import credentials_for
from trimtab.argocd.deps import Deps
from trimtab.argocd.errors import ComparisonFailed, ConditionError, InvalidSpec
from trimtab.argocd.finalize import Unconfirmed, finalize, finalizer_of, refuse_hooks
from trimtab.argocd.following import Following
from trimtab.argocd.kinds import (
    APP_PROJECT,
    APPLICATION,
    MANAGER,
    REFRESH,
    SECRET,
    SKIP_RECONCILE,
)
from trimtab.argocd.project import DEFAULT_PROJECT, check_application, without_effect
from trimtab.argocd.settings import Settings, read_settings
from trimtab.argocd.status import apply_comparison, set_app_conditions, touch
from trimtab.argocd.syncing import Syncing
from trimtab.argocd.tracking import instance_name
from trimtab.argocd.writing import Pass, Writer
from trimtab.errors import TrimtabError
from trimtab.kube import NotFound
from trimtab.objects import ObjectKey
from trimtab.runtime import Context, Key, Result
from trimtab.sources import Snapshot, Unreachable

__all__ = ["Reconciler"]

ERRORS: Final = ("InvalidSpecError", "ComparisonError", "UnknownError")
WARNINGS: Final = (
    "UnsupportedFieldWarning",
    "RenderWarning",
    "RepeatedResourceWarning",
    "SharedResourceWarning",
    "ExcludedResourceWarning",
)
KNOWN_HOSTS: Final = "ssh_known_hosts"
GRACE_S: Final = 180.0
SOURCE_RETRY_S: Final = 10.0


class Reconciler:
    """Holds what is this process's own: subscriptions to repositories. All else is read anew."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self.following = Following(deps.sources)
        self._writer = Writer(deps.client, deps.cache)
        self._syncing = Syncing(deps, self._writer, compare=self._compare, note=self._note)

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
        pass_ = Pass(app, deps.clock.now(), self._instance(key), settings)
        after_s = await self._look(ctx, pass_, key, refresh)
        asked = refresh is not None
        pass_.status = touch(app.get("status") or {}, pass_.status, pass_.now, asked=asked)
        await self._writer.write(pass_, asked=asked)
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

    async def _look(self, ctx: Context, pass_: Pass, key: Key, refresh: str | None) -> float | None:
        """Fill `pass_.status`; when to look again."""
        try:
            spec = read_spec(pass_.app, kube_version=await self._kube_version())
            project = await self._project(spec, key)
            spec = self._authenticated(spec)
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
        pass_.project = project
        self._note(pass_, spec, found)
        return await self._syncing.operate(ctx, pass_, spec, found, project)

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
            impersonates=self._settings().impersonation,
        )
        return project

    def _authenticated(self, spec: Spec) -> Spec:
        """The spec with the credentials that the control plane holds for its repository."""
        cache, home = self._deps.cache, self._deps.namespace
        secrets = [live.obj for live in cache.list(SECRET, home)]
        hosts = cache.get(ObjectKey("", "ConfigMap", home, "argocd-ssh-known-hosts-cm"))
        found = credentials_for(
            secrets,
            spec.source_spec.url,
            project=spec.project,
            known_hosts=str(((hosts.obj.get("data") or {}) if hosts else {}).get(KNOWN_HOSTS, "")),
        )
        if found is None:
            return spec
        source = msgspec.structs.replace(spec.source_spec, credentials=found)
        intent = msgspec.structs.replace(spec.intent, sources=(source,))
        return msgspec.structs.replace(spec, intent=intent)

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
        self, pass_: Pass, spec: Spec, snapshot: Snapshot, project: Mapping[str, Any]
    ) -> Comparison:
        remembered = kinds_in(pass_.status)
        remembered |= kinds_in(((pass_.status.get("operationState") or {}).get("syncResult")) or {})
        return await compare_application(
            self._deps,
            pass_.app,
            spec,
            instance=pass_.instance,
            snapshot=snapshot,
            manager=MANAGER,
            remembered=remembered,
            project=project,
        )

    # -- telling ---------------------------------------------------------------------------

    def _note(self, pass_: Pass, spec: Spec, found: Comparison) -> None:
        status = apply_comparison(pass_.status, pass_.app, spec, found, pass_.now)
        warnings = [*found.warnings]
        warnings += [
            ("UnsupportedFieldWarning", f"{name} is not supported yet and has no effect")
            for name in (
                *spec.unsupported,
                *(f"argocd-cm: {k}" for k in pass_.settings.unsupported),
                *without_effect(pass_.project),
            )
        ]
        pass_.status = set_app_conditions(status, warnings, pass_.now, judged=(*ERRORS, *WARNINGS))

    def _failed(self, pass_: Pass, error: ConditionError) -> float | None:
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
        elif state.get("phase") == "Terminating":
            text = "Operation terminated"
            pass_.status["operationState"] = operation.finish(state, "Failed", text, pass_.now)
        elif state.get("phase") in autosync.ACTIVE:
            pass_.status["operationState"] = operation.finish(state, "Error", text, pass_.now)
        return None

    def _unreachable(self, pass_: Pass, error: TrimtabError) -> float | None:
        """A source that does not answer keeps the last good comparison for a while."""
        seen = pass_.status.get("reconciledAt")
        age = (pass_.now - datetime.fromisoformat(seen)).total_seconds() if seen else GRACE_S
        good = (pass_.status.get("sync") or {}).get("status") in ("Synced", "OutOfSync")
        if good and age < GRACE_S:
            return SOURCE_RETRY_S
        text = f"Failed to load target state: {error}"
        self._failed(pass_, ComparisonFailed(text, hint=error.hint))
        return SOURCE_RETRY_S

    async def _finalize(self, app: dict[str, Any], key: Key) -> Result:
        try:
            refuse_hooks(app)
            if finalizer_of(app) is None:
                return Result()
            after_s = await finalize(self._deps, app, instance=self._instance(key))
        except TrimtabError as error:
            now = self._deps.clock.now()
            status = set_app_conditions(
                app.get("status") or {},
                [("DeletionError", str(error))],
                now,
                judged=("DeletionError",),
            )
            pass_ = Pass(app, now, self._instance(key), self._settings())
            pass_.status = status
            try:
                await self._writer.write(pass_)
            except NotFound:
                return Result()
            if isinstance(error, Unconfirmed):
                return Result()  # the approval is an annotation: it wakes us
            raise
        return Result(after_s)


def _app_key(key: Key) -> ObjectKey:
    return ObjectKey(APPLICATION.group, APPLICATION.kind, key.namespace, key.name)


def _unknown_health(status: Mapping[str, Any], pass_: Pass) -> dict[str, Any]:
    before = status.get("health") or {}
    if before.get("status") == "Unknown":
        return dict(before)
    return {"status": "Unknown", "lastTransitionTime": pass_.now.strftime("%Y-%m-%dT%H:%M:%SZ")}
