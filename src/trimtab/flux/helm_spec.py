"""What a HelmRelease asks for, read whole: chart, values, names (spec/flux.md 4.1, 4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

import msgspec

from trimtab.errors import TrimtabError
from trimtab.flux.build import source_path
from trimtab.flux.conditions import StatusDraft
from trimtab.flux.deps import Deps
from trimtab.flux.errors import NotYet, Stalled
from trimtab.flux.references import object_text
from trimtab.flux.sources import source_revision
from trimtab.flux.values import Reference, compose, digest
from trimtab.lang import yaml
from trimtab.sources import Snapshot

__all__ = ["Wanted", "read_wanted"]

_REFUSED: Final = (
    "chartRef",
    "kubeConfig",
    "serviceAccountName",
    "postRenderers",
    "commonMetadata",
    "healthCheckExprs",
    "test",
)
_NOT_HONOURED: Final = (
    ("rollback",),
    ("uninstall", "deletionPropagation"),
    ("install", "replace"),
    ("install", "disableHooks"),
    ("upgrade", "force"),
    ("upgrade", "preserveValues"),
    ("upgrade", "cleanupOnFail"),
    ("upgrade", "crds"),
    ("upgrade", "remediation", "strategy"),
    ("driftDetection", "ignore"),
)


class Wanted(msgspec.Struct, frozen=True):
    """The release that is asked for. `spec` is the HelmRelease's own, for the smaller switches."""

    release: str
    namespace: str
    storage_namespace: str
    snapshot: Snapshot
    chart_path: str
    chart_name: str
    chart_version: str
    app_version: str
    values: dict[str, Any]
    config_digest: str
    value_files: tuple[str, ...]
    max_history: int
    create_namespace: bool
    spec: dict[str, Any]

    @property
    def where(self) -> str:
        return f"{self.namespace}/{self.release}"

    @property
    def chart(self) -> str:
        return f"{self.chart_name}@{self.chart_version}"

    def retries(self, action: str) -> int:
        """How often a failed action is tried again; negative is without end."""
        return int(((self.spec.get(action) or {}).get("remediation") or {}).get("retries") or 0)

    def waits(self, action: str) -> bool:
        return not (self.spec.get(action) or {}).get("disableWait")

    def skips_crds(self, action: str) -> bool:
        options = self.spec.get(action) or {}
        default = "Create" if action == "install" else "Skip"
        return bool(options.get("skipCRDs")) or options.get("crds", default) == "Skip"


async def read_wanted(deps: Deps, obj: dict[str, Any], draft: StatusDraft) -> Wanted:
    """Raises `Stalled` for what is refused, `NotYet` for what is not there yet."""
    spec, meta = obj["spec"], obj["metadata"]
    for field in _REFUSED:
        if spec.get(field):
            raise Stalled(f"spec.{field} is not supported yet", reason="FeatureNotSupported")
    draft.not_honoured([f"spec.{'.'.join(path)}" for path in _NOT_HONOURED if _at(spec, path)])
    chart = spec["chart"]["spec"]
    snapshot, path = _chart(deps, obj, chart)
    metadata = _metadata(deps, snapshot, path)
    values = compose(await _references(deps, obj), spec.get("values"))
    namespace = spec.get("targetNamespace") or meta["namespace"]
    wanted = Wanted(
        release=_release_name(obj),
        namespace=namespace,
        storage_namespace=spec.get("storageNamespace") or meta["namespace"],
        snapshot=snapshot,
        chart_path=path,
        chart_name=str(metadata.get("name") or ""),
        chart_version=_version(str(metadata.get("version") or ""), chart, snapshot),
        app_version=str(metadata.get("appVersion") or ""),
        values=values,
        config_digest=digest(values),
        value_files=_value_files(chart),
        max_history=int(spec.get("maxHistory", 5)),
        create_namespace=bool((spec.get("install") or {}).get("createNamespace"))
        and namespace != meta["namespace"],
        spec=spec,
    )
    draft.fields["storageNamespace"] = wanted.storage_namespace
    return wanted


def _chart(deps: Deps, obj: dict[str, Any], chart: Mapping[str, Any]) -> tuple[Snapshot, str]:
    kind = chart["sourceRef"]["kind"]
    if kind != "GitRepository":
        raise Stalled(
            f"charts from a {kind} are not supported yet",
            reason="FeatureNotSupported",
            hint="name a GitRepository and the chart's path in it",
        )
    revision = source_revision(deps, obj, chart["sourceRef"])
    return revision.snapshot, source_path(chart["chart"])


def _metadata(deps: Deps, snapshot: Snapshot, path: str) -> Mapping[str, Any]:
    file = f"{path}/Chart.yaml" if path else "Chart.yaml"
    try:
        found = yaml.load(deps.sources.tree(snapshot).read(file), source=file)
    except TrimtabError as error:
        raise NotYet(f"no chart at '{path}': {error}", reason="ArtifactFailed") from error
    if not isinstance(found, Mapping) or not found.get("name") or not found.get("version"):
        raise NotYet(f"{file} has no name or version", reason="ArtifactFailed")
    return found


def _version(version: str, chart: Mapping[str, Any], snapshot: Snapshot) -> str:
    """The chart's version; by revision, the commit is its build metadata (spec/flux.md 2.4)."""
    if chart.get("reconcileStrategy") != "Revision":
        return version
    return f"{version}+{snapshot.revision[:12]}"


def _value_files(chart: Mapping[str, Any]) -> tuple[str, ...]:
    """`valuesFiles` replace the chart's values.yaml; here they go over it, so it must be named."""
    files = tuple(source_path(file).rpartition("/")[2] for file in chart.get("valuesFiles") or ())
    if files and "values.yaml" not in files:
        raise Stalled(
            "spec.chart.spec.valuesFiles without values.yaml is not supported yet",
            reason="FeatureNotSupported",
        )
    return tuple(file for file in files if file != "values.yaml")


async def _references(deps: Deps, obj: dict[str, Any]) -> list[Reference]:
    references = []
    for item in obj["spec"].get("valuesFrom") or ():
        optional = bool(item.get("optional"))
        data = await object_text(
            deps.client, item["kind"], obj["metadata"]["namespace"], item["name"], optional=optional
        )
        references.append(
            Reference(
                kind=item["kind"],
                name=item["name"],
                data=data,
                key=item.get("valuesKey") or "values.yaml",
                target_path=item.get("targetPath") or "",
                optional=optional,
                literal=bool(item.get("literal")),
            )
        )
    return references


def _release_name(obj: Mapping[str, Any]) -> str:
    """`[targetNamespace-]name`, cut to 53 with a digest (spec/flux.md 4.1)."""
    spec, name = obj["spec"], obj["metadata"]["name"]
    if spec.get("releaseName"):
        return str(spec["releaseName"])
    full = f"{spec['targetNamespace']}-{name}" if spec.get("targetNamespace") else name
    if len(full) <= 53:
        return str(full)
    return f"{full[:40]}-{sha256(full.encode()).hexdigest()[:12]}"


def _at(spec: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = spec
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
