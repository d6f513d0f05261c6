"""Create, update, patch, apply and delete on the store: what every write goes through, whether it
comes over HTTP or from a simulated controller.

Source: spec/embedded-cluster.md 7.1, 7.2, 7.4, 7.7, 8.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec

from trimtab.cluster.admission import NAMESPACE, POD, admit
from trimtab.cluster.allocate import Allocator
from trimtab.cluster.definitions import check_definition
from trimtab.cluster.errors import (
    ApiError,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    not_found,
)
from trimtab.cluster.pipeline import (
    check_identity,
    generation_of,
    prepare,
    strict_check,
    without_volatile,
)
from trimtab.cluster.registry import Registry
from trimtab.cluster.resources import Resource
from trimtab.cluster.store import Record, Store
from trimtab.cluster.unenforced import check_unenforced
from trimtab.objects import (
    UNTYPED,
    FieldError,
)
from trimtab.objects.managed import ApplyConflict, BadApply, apply_config, track_update

__all__ = ["Deletion", "Options", "Writer"]

FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"
PROTECTED: Final = ("default", "kube-system", "kube-public")
CREATE_BY_PUT: Final = frozenset(
    {"Lease", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "Event", "Endpoints"}
)
NEEDS_VERSION: Final = frozenset({"PodDisruptionBudget", "CustomResourceDefinition"})
SUFFIX: Final = "bcdfghjklmnpqrstvwxz2456789"
Object = dict[str, Any]


class Now(Protocol):
    def now(self) -> datetime: ...


class Options(msgspec.Struct, frozen=True):
    """How a write is to be done. `validation` is Strict, Warn or Ignore; `guard` may refuse the
    object that would be stored (and what it was before)."""

    manager: str = "unknown"
    dry_run: bool = False
    validation: str = "Warn"
    force: bool = False
    duplicates: tuple[str, ...] = ()
    guard: Callable[[Resource, Object, Object | None], None] | None = None


class Deletion(msgspec.Struct, frozen=True):
    propagation: str = ""
    grace: int | None = None
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False


class Writer:
    """All writes of one cluster."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        *,
        clock: Now,
        rng: Random,
        allow_unenforced_admission: bool = False,
    ) -> None:
        self.store = store
        self._unenforced = allow_unenforced_admission
        self.registry = registry
        self._clock = clock
        self._rng = rng
        self._allocate = Allocator(store)

    # -- create ------------------------------------------------------------------------------

    def create(
        self, resource: Resource, namespace: str, body: Any, options: Options
    ) -> tuple[Object, list[str]]:
        """(the stored object, warnings). Raises 400, 403, 404, 409, 422."""
        obj = check_identity(body, resource, namespace)
        meta = obj["metadata"]
        if meta.get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        warnings = strict_check(
            obj, self.registry.schema(resource), options.validation, list(options.duplicates)
        )
        if "status" in resource.subresources:
            obj.pop("status", None)
        return self._create(resource, obj, options, warnings, tracked=False)

    def _create(
        self,
        resource: Resource,
        obj: Object,
        options: Options,
        warnings: list[str],
        *,
        tracked: bool,
    ) -> tuple[Object, list[str]]:
        meta = obj["metadata"]
        self._check_namespace(resource, meta.get("namespace") or "", meta.get("name") or "")
        for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink"):
            meta.pop(field, None)
        meta["uid"] = str(UUID(int=self._rng.getrandbits(128), version=4))
        meta["creationTimestamp"] = self._stamp()
        self._name(resource, meta)
        if self.store.get(resource.storage, meta.get("namespace") or "", meta["name"]):
            raise already_exists(resource.title, meta["name"])
        admit(self.store, resource, obj)
        prepared = prepare(
            obj,
            resource,
            self.registry.schema(resource),
            old=None,
            rules=self.registry.rules(resource),
        )
        warnings = warnings + prepared.warnings
        obj = self._allocate.on_create(resource, prepared.obj)
        warnings = warnings + check_definition(resource, obj)
        warnings += check_unenforced(resource, obj, allowed=self._unenforced)
        if options.guard is not None:
            options.guard(resource, obj, None)
        if not tracked:
            obj = self._track(resource, None, obj, options, "")
        generation = generation_of(obj, None, resource)
        if generation is not None:
            obj["metadata"]["generation"] = generation
        if options.dry_run:
            return obj, warnings
        return self.store.put(resource.storage, obj).copy(), warnings

    def _name(self, resource: Resource, meta: Object) -> None:
        if meta.get("name"):
            return
        base = meta.get("generateName")
        if not base:
            error = FieldError(
                "Required", "metadata.name", None, "name or generateName is required"
            )
            raise invalid(resource.kind, resource.group, "", [error])
        for _ in range(8):
            suffix = "".join(self._rng.choice(SUFFIX) for _ in range(5))
            meta["name"] = base[:58] + suffix
            if self.store.get(resource.storage, meta.get("namespace") or "", meta["name"]) is None:
                return
        raise already_exists(resource.title, meta["name"])

    def _check_namespace(self, resource: Resource, namespace: str, name: str) -> None:
        if not resource.namespaced:
            return
        if not namespace:
            raise bad_request("the namespace is missing")
        found = self.store.get(NAMESPACE, "", namespace)
        if found is None:
            raise not_found("namespaces", namespace)
        if found.obj["metadata"].get("deletionTimestamp"):
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
            why = (
                f"unable to create new content in namespace {namespace}"
                " because it is being terminated"
            )
            raise forbidden(resource.title, name, why, [cause])

    # -- update ------------------------------------------------------------------------------

    def update(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: Any,
        options: Options,
        subresource: str = "",
    ) -> tuple[Object, list[str], bool]:
        """(the object, warnings, whether it was created). PUT."""
        obj = check_identity(body, resource, namespace, name)
        schema = self.registry.schema(resource)
        warnings = strict_check(obj, schema, options.validation, list(options.duplicates))
        record = self.store.get(resource.storage, namespace, name)
        if record is None:
            if resource.kind in CREATE_BY_PUT and not subresource:
                obj["metadata"].pop("resourceVersion", None)
                created, more = self._create(resource, obj, options, warnings, tracked=False)
                return created, more, True
            raise not_found(resource.title, name)
        version = obj["metadata"].get("resourceVersion")
        if not version and (resource.custom or resource.kind in NEEDS_VERSION):
            error = FieldError(
                "Invalid", "metadata.resourceVersion", 0, "must be specified for an update"
            )
            # Here, unlike elsewhere, the resource is named and not the kind.
            raise invalid(resource.plural, resource.group, name, [error])
        updated, more = self.write(resource, record, obj, options, subresource)
        return updated, warnings + more, False

    def write(
        self,
        resource: Resource,
        record: Record,
        obj: Object,
        options: Options,
        subresource: str = "",
        *,
        tracked: bool = False,
    ) -> tuple[Object, list[str]]:
        """Store `obj` as the next version of `record`. `tracked`: its managedFields are final."""
        old = record.copy()
        self._check_preconditions(resource, record, obj)
        obj = self._merge_subresource(resource, old, obj, subresource)
        self._keep(old, obj)
        if not subresource:
            obj = self._allocate.on_update(resource, old, obj)
        compared = None if subresource == "binding" else old
        prepared = prepare(
            obj,
            resource,
            self.registry.schema(resource),
            old=compared,
            rules=self.registry.rules(resource),
        )
        obj = prepared.obj
        self._check_finalizers(resource, old, obj)
        warnings = list(prepared.warnings)
        if not subresource:
            warnings += check_definition(resource, obj)
            warnings += check_unenforced(resource, obj, allowed=self._unenforced)
            if options.guard is not None:
                options.guard(resource, obj, old)
        if not tracked:
            obj = self._track(resource, old, obj, options, subresource)
        generation = generation_of(obj, old, resource)
        if generation is not None and subresource not in ("status", "binding"):
            obj["metadata"]["generation"] = generation
        if without_volatile(obj) == without_volatile(old):
            return old, warnings
        if options.dry_run:
            return obj, warnings
        if self._is_over(obj):
            return self.store.remove_with(resource.storage, obj), warnings
        return self.store.put(resource.storage, obj).copy(), warnings

    def _check_preconditions(self, resource: Resource, record: Record, obj: Object) -> None:
        meta = obj["metadata"]
        version = meta.get("resourceVersion")
        if version and str(version) != str(record.rv):
            raise conflict(resource.title, record.name)
        if meta.get("uid") and meta["uid"] != record.uid:
            raise conflict(resource.title, record.name, _other_uid(meta["uid"], record.uid))

    def _merge_subresource(
        self, resource: Resource, old: Object, obj: Object, subresource: str
    ) -> Object:
        if subresource == "status":
            merged = copy.deepcopy(old)
            if "status" in obj:
                merged["status"] = obj["status"]
            else:
                merged.pop("status", None)
            if "managedFields" in obj["metadata"]:
                merged["metadata"]["managedFields"] = obj["metadata"]["managedFields"]
            if not resource.custom and "annotations" in obj["metadata"]:
                merged["metadata"]["annotations"] = obj["metadata"]["annotations"]
            return merged
        if "status" in resource.subresources and subresource not in ("binding", "finalize"):
            if "status" in old:
                obj["status"] = copy.deepcopy(old["status"])
            else:
                obj.pop("status", None)
        return obj

    def _keep(self, old: Object, obj: Object) -> None:
        """Identity is the server's: what a client says about it is overwritten."""
        before, meta = old["metadata"], obj["metadata"]
        for field in (
            "uid",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
            "generateName",
        ):
            if field in before:
                meta[field] = before[field]
            else:
                meta.pop(field, None)
        meta.pop("selfLink", None)
        if "managedFields" not in meta and "managedFields" in before:
            meta["managedFields"] = copy.deepcopy(before["managedFields"])
        meta["resourceVersion"] = before["resourceVersion"]

    def _check_finalizers(self, resource: Resource, old: Object, obj: Object) -> None:
        if not old["metadata"].get("deletionTimestamp"):
            return
        before = set(old["metadata"].get("finalizers") or ())
        added = [each for each in obj["metadata"].get("finalizers") or () if each not in before]
        if added:
            error = FieldError(
                "Forbidden",
                "metadata.finalizers",
                None,
                "no new finalizers can be added if the object is being deleted,"
                " found new finalizers []string{" + ", ".join(f'"{each}"' for each in added) + "}",
            )
            raise invalid(resource.kind, resource.group, obj["metadata"]["name"], [error])

    def _is_over(self, obj: Object) -> bool:
        """A deleted object without finalizers goes, once its grace has run out."""
        meta = obj["metadata"]
        if not meta.get("deletionTimestamp") or meta.get("finalizers"):
            return False
        if (obj.get("spec") or {}).get("finalizers") and obj["kind"] == "Namespace":
            return False
        return not meta.get("deletionGracePeriodSeconds")

    # -- patch and apply ---------------------------------------------------------------------

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        change: Callable[[Object], Object],
        options: Options,
        subresource: str = "",
    ) -> tuple[Object, list[str]]:
        """`change` makes the new object of a private copy of the present one."""
        record = self.store.get(resource.storage, namespace, name)
        if record is None:
            raise not_found(resource.title, name)
        seen = record.copy()
        seen["apiVersion"] = resource.api_version
        obj = check_identity(change(seen), resource, namespace, name)
        schema = self.registry.schema(resource)
        warnings = strict_check(obj, schema, options.validation, list(options.duplicates))
        updated, more = self.write(resource, record, obj, options, subresource)
        return updated, warnings + more

    def apply(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        config: Any,
        options: Options,
        subresource: str = "",
    ) -> tuple[Object, list[str], bool]:
        """Server-side apply: (the object, warnings, whether it was created)."""
        config = self._check_config(resource, namespace, name, config)
        schema = self.registry.schema(resource) or UNTYPED
        warnings = strict_check(config, schema, options.validation, list(options.duplicates))
        record = self.store.get(resource.storage, namespace, name)
        if record is None and subresource:
            raise not_found(resource.title, name)
        if record is not None:
            self._check_preconditions(resource, record, config)
            config["metadata"].pop("resourceVersion", None)
            config["metadata"].pop("uid", None)
        elif config["metadata"].get("resourceVersion"):
            raise conflict(resource.title, name)
        live = record.copy() if record else None
        reset = None if "status" in resource.subresources else ()
        try:
            merged = apply_config(
                live,
                config,
                manager=options.manager,
                force=options.force,
                schema=schema,
                now=self._clock.now(),
                subresource=subresource,
                reset=reset,
            )
        except ApplyConflict as error:
            details = {
                "name": name,
                "group": resource.group,
                "kind": resource.plural,
                "causes": error.causes(),
            }
            raise ApiError(409, "Conflict", error.status_message(), details=details) from error
        except BadApply as error:
            raise bad_request(str(error)) from error
        if record is None:
            created, more = self._create(
                resource, copy.deepcopy(merged), options, warnings, tracked=True
            )
            return created, more, True
        if merged is live:
            return record.copy(), warnings, False
        updated, more = self.write(
            resource, record, copy.deepcopy(merged), options, subresource, tracked=True
        )
        return updated, warnings + more, False

    def _check_config(self, resource: Resource, namespace: str, name: str, config: Any) -> Object:
        if not isinstance(config, dict) or not config.get("apiVersion") or not config.get("kind"):
            raise bad_request("an applied configuration must have apiVersion and kind")
        if (config.get("metadata") or {}).get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        return check_identity(config, resource, namespace, name)

    def _track(
        self,
        resource: Resource,
        old: Object | None,
        obj: Object,
        options: Options,
        subresource: str,
    ) -> Object:
        reset = None if "status" in resource.subresources else ()
        if subresource in ("binding", "finalize"):
            reset = ()
        return copy.deepcopy(
            track_update(
                old,
                obj,
                manager=options.manager,
                schema=self.registry.schema(resource) or UNTYPED,
                now=self._clock.now(),
                subresource=subresource,
                reset=reset,
            )
        )

    # -- delete ------------------------------------------------------------------------------

    def delete(
        self, resource: Resource, namespace: str, name: str, deletion: Deletion
    ) -> tuple[Object, bool]:
        """(last state, whether it is gone). Objects with finalizers or grace live on, marked."""
        record = self.store.get(resource.storage, namespace, name)
        if record is None:
            raise not_found(resource.title, name)
        self._check_deletion(resource, record, deletion)
        obj = record.copy()
        meta = obj["metadata"]
        if not meta.get("deletionTimestamp"):
            self._finalizers_for(resource, meta, deletion)
        grace = self._grace(resource, obj, deletion)
        lives_on = bool(meta.get("finalizers")) or grace > 0 or resource.storage == NAMESPACE
        if deletion.dry_run:
            return obj, not lives_on
        if not lives_on:
            return self.store.remove(resource.storage, namespace, name).copy(), True
        changed = self._mark(resource, obj, grace)
        if self._is_over(obj):
            return self.store.remove_with(resource.storage, obj), True
        if changed:
            obj = self.store.put(resource.storage, obj).copy()
        return obj, False

    def _check_deletion(self, resource: Resource, record: Record, deletion: Deletion) -> None:
        if resource.storage == NAMESPACE and record.name in PROTECTED:
            raise forbidden(resource.title, record.name, "this namespace may not be deleted")
        if deletion.uid and deletion.uid != record.uid:
            raise conflict(resource.title, record.name, _other_uid(deletion.uid, record.uid))
        if deletion.resource_version and deletion.resource_version != str(record.rv):
            raise conflict(
                resource.title, record.name, "the resourceVersion in the precondition is stale"
            )

    def _finalizers_for(self, resource: Resource, meta: Object, deletion: Deletion) -> None:
        finalizers = list(meta.get("finalizers") or ())
        propagation = deletion.propagation
        if not propagation and resource.kind in ("Job", "ReplicationController"):
            propagation = "Orphan"
        if propagation == "Foreground" and FOREGROUND not in finalizers:
            finalizers.append(FOREGROUND)
        if propagation == "Orphan" and ORPHAN not in finalizers:
            finalizers.append(ORPHAN)
        if finalizers:
            meta["finalizers"] = finalizers

    def _grace(self, resource: Resource, obj: Object, deletion: Deletion) -> int:
        if resource.storage != POD:
            return 0
        spec = obj.get("spec") or {}
        done = (obj.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if not spec.get("nodeName") or (done and deletion.grace is None):
            return 0
        if deletion.grace is not None:
            return max(0, deletion.grace)
        return int(spec.get("terminationGracePeriodSeconds", 30))

    def _mark(self, resource: Resource, obj: Object, grace: int) -> bool:
        """Set the deletion time, once; a later delete may only shorten the grace."""
        meta = obj["metadata"]
        known = meta.get("deletionGracePeriodSeconds")
        if meta.get("deletionTimestamp") and (known is None or grace >= int(known)):
            return False
        if not meta.get("deletionTimestamp") and generation_of(obj, None, resource) is not None:
            meta["generation"] = int(meta.get("generation") or 0) + 1
        meta["deletionTimestamp"] = (self._clock.now() + timedelta(seconds=grace)).strftime(_FORMAT)
        meta["deletionGracePeriodSeconds"] = grace
        if resource.storage == NAMESPACE:
            obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
        return True

    def _stamp(self) -> str:
        return self._clock.now().strftime(_FORMAT)


def _other_uid(given: str, stored: str) -> str:
    return f"Precondition failed: UID in precondition: {given}, UID in object meta: {stored}"


_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"
