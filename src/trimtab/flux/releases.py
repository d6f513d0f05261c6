"""Reading and writing release records in the cluster, and making a new one by rendering."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from trimtab.flux.applying import RESOURCE_POLICY
from trimtab.flux.deps import Deps
from trimtab.flux.helm_hooks import hook_of
from trimtab.flux.helm_spec import Wanted
from trimtab.flux.helm_storage import Record, chart_of, encode, is_hook, latest
from trimtab.flux.kinds import SECRET, WRITER
from trimtab.kube import NotFound
from trimtab.lang import yaml
from trimtab.render import Destination, HelmOptions, RenderRequest

__all__ = [
    "HELM_NAMESPACE_LABEL",
    "HELM_NAME_LABEL",
    "forget",
    "is_definition",
    "objects_of",
    "owner_labelled",
    "prune_records",
    "records",
    "render_record",
    "save",
    "snapshot_of",
]

HELM_NAME_LABEL: Final = "helm.toolkit.fluxcd.io/name"
HELM_NAMESPACE_LABEL: Final = "helm.toolkit.fluxcd.io/namespace"


async def records(deps: Deps, wanted: Wanted) -> list[Record]:
    """The release's records, newest first."""
    found = await deps.client.list(
        SECRET, wanted.storage_namespace, label_selector=f"owner=helm,name={wanted.release}"
    )
    return latest(found.items, wanted.release)


async def save(deps: Deps, wanted: Wanted, record: Record) -> None:
    secret = encode(record, wanted.storage_namespace, deps.clock.now())
    await deps.client.apply(secret, manager=WRITER, force=True)


async def prune_records(deps: Deps, wanted: Wanted, known: list[Record]) -> None:
    """Delete the oldest records beyond `maxHistory`, newest first in `known`; 0 keeps all. The
    last that was deployed stays (spec/flux.md 4.6)."""
    deployed = next((each.version for each in known if each.status == "deployed"), 0)
    for each in known[wanted.max_history or len(known) :]:
        if each.version != deployed:
            await _drop(deps, wanted.storage_namespace, each.secret_name)


async def forget(deps: Deps, status: Mapping[str, Any]) -> None:
    """Delete all records of the releases that a status's history names."""
    releases = {
        (str(status.get("storageNamespace") or each.get("namespace")), str(each.get("name")))
        for each in status.get("history") or ()
    }
    for namespace, name in sorted(releases):
        found = await deps.client.list(SECRET, namespace, label_selector=f"owner=helm,name={name}")
        for secret in found.items:
            await _drop(deps, namespace, secret["metadata"]["name"])


async def _drop(deps: Deps, namespace: str, name: str) -> None:
    with contextlib.suppress(NotFound):
        await deps.client.delete(SECRET, namespace, name)


async def render_record(
    deps: Deps, wanted: Wanted, version: int, action: str, status: str
) -> Record:
    """Render the chart into a new record. Raises a RenderError, or `Stalled`."""
    discovery = await deps.client.discovery()
    request = RenderRequest(
        path=wanted.chart_path,
        engine="helm",
        destination=Destination(
            namespace=wanted.namespace,
            kube_version=discovery.version,
            api_versions=tuple(discovery.api_versions()),
        ),
        helm=HelmOptions(
            release_name=wanted.release,
            value_files=wanted.value_files,
            values_layers=(wanted.values,),
            skip_crds=wanted.skips_crds(action),
            skip_tests=True,
            ignore_missing_value_files=wanted.ignores_missing_files,
            skip_schema_validation=wanted.skips_schema(action),
            is_upgrade=action == "upgrade",
            revision=version,
        ),
    )
    manifests = await deps.renders.render(request, wanted.snapshot)
    hooks = [hook_of(item.obj, item.origin.file) for item in manifests.items if is_hook(item.obj)]
    objects = [
        _owned_by_helm(item.obj, wanted, keep=_in_crds(item.origin.file, wanted.chart_path))
        for item in manifests.items
        if not is_hook(item.obj)
    ]
    chart = await asyncio.to_thread(chart_of, deps.sources.tree(wanted.snapshot), wanted.chart_path)
    moment = deps.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    return Record(
        name=wanted.release,
        namespace=wanted.namespace,
        version=version,
        status=status,
        description=f"{action.capitalize()} in progress",
        manifest=yaml.dump_all(objects),
        config=wanted.values,
        chart=chart,
        hooks=tuple(hooks),
        first_deployed=moment,
        last_deployed=moment,
    )


def objects_of(record: Record, obj: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The objects of a record, with the labels that lead back to the HelmRelease."""
    source = f"release {record.name}.v{record.version}"
    return [
        owner_labelled(document.value, obj)
        for document in yaml.load_all(record.manifest.encode(), source=source)
    ]


def snapshot_of(record: Record, wanted: Wanted, action: str) -> dict[str, Any]:
    """One entry of `status.history` (spec/flux.md 4.5)."""
    identity = {
        "name": record.name,
        "version": record.version,
        "config": record.config,
        "manifest": record.manifest,
        "namespace": record.namespace,
    }
    body = orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)
    return {
        "apiVersion": "v2",
        "digest": f"sha256:{hashlib.sha256(body).hexdigest()}",
        "name": record.name,
        "namespace": record.namespace,
        "version": record.version,
        "status": record.status,
        "action": action,
        "chartName": wanted.chart_name,
        "chartVersion": wanted.chart_version,
        "appVersion": wanted.app_version,
        "configDigest": wanted.config_digest,
        "firstDeployed": record.first_deployed,
        "lastDeployed": record.last_deployed,
    }


def owner_labelled(item: dict[str, Any], obj: Mapping[str, Any]) -> dict[str, Any]:
    """`item` with the labels that lead back to the HelmRelease `obj`."""
    meta = obj["metadata"]
    labels = {HELM_NAME_LABEL: meta["name"], HELM_NAMESPACE_LABEL: meta["namespace"]}
    return _with(item, labels=labels)


def is_definition(obj: Mapping[str, Any]) -> bool:
    """Is it a CustomResourceDefinition of crds/, which goes before everything else?"""
    notes = obj["metadata"].get("annotations") or {}
    return obj["kind"] == "CustomResourceDefinition" and notes.get(RESOURCE_POLICY) == "keep"


def _in_crds(file: str, chart_path: str) -> bool:
    """Is it a file of a crds/ directory, of this chart or of one below it?"""
    inner = file.removeprefix(f"{chart_path}/").split("/")
    return "crds" in inner[:-1] and "templates" not in inner


def _owned_by_helm(obj: dict[str, Any], wanted: Wanted, *, keep: bool) -> dict[str, Any]:
    """`keep`: what comes from crds/ is never deleted, not even when an upgrade leaves it out."""
    if keep:
        return _with(obj, labels={}, annotations={RESOURCE_POLICY: "keep"})
    return _with(
        obj,
        labels={"app.kubernetes.io/managed-by": "Helm"},
        annotations={
            "meta.helm.sh/release-name": wanted.release,
            "meta.helm.sh/release-namespace": wanted.namespace,
        },
    )


def _with(
    obj: dict[str, Any], *, labels: Mapping[str, str], annotations: Mapping[str, str] | None = None
) -> dict[str, Any]:
    meta = dict(obj.get("metadata") or {})
    meta["labels"] = {**(meta.get("labels") or {}), **labels}
    if annotations:
        meta["annotations"] = {**(meta.get("annotations") or {}), **annotations}
    return {**obj, "metadata": meta}
