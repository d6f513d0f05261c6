"""Reading and writing release records in the cluster, and making a new one by rendering."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from trimtab.flux.deps import Deps
from trimtab.flux.errors import Stalled
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
    "objects_of",
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


async def forget(deps: Deps, status: Mapping[str, Any]) -> None:
    """Delete the records a status's history names."""
    for each in status.get("history") or ():
        namespace = status.get("storageNamespace") or each.get("namespace")
        name = f"sh.helm.release.v1.{each.get('name')}.v{each.get('version')}"
        try:
            await deps.client.delete(SECRET, str(namespace), name)
        except NotFound:
            continue


async def render_record(
    deps: Deps, wanted: Wanted, version: int, action: str, status: str
) -> Record:
    """Render the chart into a new record. Raises a RenderError, or `Stalled` for hooks."""
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
            is_upgrade=action == "upgrade",
            revision=version,
        ),
    )
    manifests = await deps.renders.render(request, wanted.snapshot)
    hooks = [item.obj for item in manifests.items if is_hook(item.obj)]
    if hooks:
        names = ", ".join(f"{hook['kind']}/{hook['metadata'].get('name')}" for hook in hooks)
        raise Stalled(f"Helm hooks are not supported yet: {names}", reason="FeatureNotSupported")
    objects = [_owned_by_helm(item.obj, wanted) for item in manifests.items]
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
        first_deployed=moment,
        last_deployed=moment,
    )


def objects_of(record: Record, obj: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The objects of a record, with the labels that lead back to the HelmRelease."""
    meta = obj["metadata"]
    owner = {HELM_NAME_LABEL: meta["name"], HELM_NAMESPACE_LABEL: meta["namespace"]}
    source = f"release {record.name}.v{record.version}"
    return [
        _with(document.value, labels=owner)
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


def _owned_by_helm(obj: dict[str, Any], wanted: Wanted) -> dict[str, Any]:
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
