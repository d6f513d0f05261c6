"""What a HelmRelease asks for, read whole: chart, values, names (spec/flux.md 4.1, 4.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

import msgspec

from trimtab.errors import TrimtabError
from trimtab.flux.build import source_path
from trimtab.flux.conditions import StatusDraft
from trimtab.flux.deps import Deps
from trimtab.flux.errors import NotYet, Stalled
from trimtab.flux.fields import RELEASE_FIELDS
from trimtab.flux.helm_repository import repository_spec
from trimtab.flux.kinds import GIT_REPOSITORY, HELM_REPOSITORY
from trimtab.flux.references import object_text
from trimtab.flux.sources import source_key, source_object, source_revision
from trimtab.flux.values import Reference, compose, digest
from trimtab.lang import yaml
from trimtab.sources import ChartNotFound, Snapshot

__all__ = ["Wanted", "read_wanted"]


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
    not_honoured: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        return f"{self.namespace}/{self.release}"

    @property
    def chart(self) -> str:
        return f"{self.chart_name}@{self.chart_version}"

    def retries(self, action: str) -> int:
        """How often a failed action is tried again; negative is without end."""
        return int(((self.spec.get(action) or {}).get("remediation") or {}).get("retries") or 0)

    def runs_hooks(self, action: str) -> bool:
        return not (self.spec.get(action) or {}).get("disableHooks")

    def skips_schema(self, action: str) -> bool:
        return bool((self.spec.get(action) or {}).get("disableSchemaValidation"))

    @property
    def ignores_missing_files(self) -> bool:
        return bool(self.spec["chart"]["spec"].get("ignoreMissingValuesFiles"))

    def waits(self, action: str) -> bool:
        return not (self.spec.get(action) or {}).get("disableWait")

    def skips_crds(self, action: str) -> bool:
        options = self.spec.get(action) or {}
        default = "Create" if action == "install" else "Skip"
        return bool(options.get("skipCRDs")) or options.get("crds", default) == "Skip"


async def read_wanted(deps: Deps, obj: dict[str, Any], draft: StatusDraft) -> Wanted:
    """Raises `Stalled` for what is refused, `NotYet` for what is not there yet."""
    spec, meta = obj["spec"], obj["metadata"]
    not_honoured = _not_honoured(spec)
    annotations = meta.get("annotations") or {}
    not_honoured += [f"annotation {name}" for name in _REQUESTS if annotations.get(name)]
    if not spec.get("chart"):
        raise Stalled("spec.chart is missing", reason="InvalidChartReference")
    chart = spec["chart"]["spec"]
    snapshot, path = await _chart(deps, obj, chart)
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
        value_files=_value_files(chart, path),
        max_history=int(spec.get("maxHistory", 5)),
        create_namespace=bool((spec.get("install") or {}).get("createNamespace"))
        and namespace != meta["namespace"],
        spec=spec,
        not_honoured=tuple(not_honoured),
    )
    draft.fields["storageNamespace"] = wanted.storage_namespace
    return wanted


_REQUESTS: Final = ("reconcile.fluxcd.io/forceAt", "reconcile.fluxcd.io/resetAt")


def _not_honoured(spec: Mapping[str, Any]) -> list[str]:
    """Raises `Stalled` for what is refused."""
    drift = spec.get("driftDetection") or {}
    if drift.get("mode") != "enabled":
        # What nobody compares need not be left out of it.
        spec = {**spec, "driftDetection": {**drift, "ignore": None}}
    named = RELEASE_FIELDS.check(spec)
    return [*named, "spec.driftDetection.mode: warn"] if drift.get("mode") == "warn" else named


async def _chart(deps: Deps, obj: dict[str, Any], chart: Mapping[str, Any]) -> tuple[Snapshot, str]:
    """The tree that holds the chart, and the chart's directory in it."""
    kind = chart["sourceRef"]["kind"]
    if kind == HELM_REPOSITORY.kind:
        return await _from_repository(deps, obj, chart), ""
    if kind != GIT_REPOSITORY.kind:
        raise Stalled(
            f"charts from a {kind} are not supported yet",
            reason="FeatureNotSupported",
            hint="name a HelmRepository, or a GitRepository and the chart's path in it",
        )
    revision = source_revision(deps, obj, chart["sourceRef"])
    return revision.snapshot, source_path(chart["chart"])


async def _from_repository(deps: Deps, obj: dict[str, Any], chart: Mapping[str, Any]) -> Snapshot:
    """The newest version in the range, by the index that the HelmRepository keeps."""
    key = source_key(obj, chart["sourceRef"])
    known = deps.cache.get(key)
    repository = known.obj if known else source_object(deps, obj, chart["sourceRef"])
    spec = await repository_spec(deps, repository)
    artifact = source_object(deps, obj, chart["sourceRef"])["status"]["artifact"]
    index = await asyncio.to_thread(deps.artifacts.read, str(artifact["path"]))
    if index is None:
        raise NotYet(
            f"the index of HelmRepository '{key.namespace}/{key.name}' is being fetched",
            reason="ArtifactFailed",
            retry_s=1.0,
        )
    wanted = msgspec.structs.replace(
        spec, chart=str(chart["chart"]), version=str(chart.get("version") or "*")
    )
    try:
        return await deps.sources.helm_chart(wanted, index)
    except ChartNotFound as error:
        # Only another index or another range can help, and either wakes this object.
        raise Stalled(str(error), reason="InvalidChartReference", hint=error.hint) from error
    except TrimtabError as error:
        raise NotYet(
            f"cannot get the chart: {error}", reason="ArtifactFailed", hint=error.hint
        ) from error


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
    """The chart's version and, as build metadata, what else makes it another chart
    (spec/flux.md 2.4): by revision the commit of a Git source, and which value files are its
    defaults."""
    build = []
    by_revision = chart.get("reconcileStrategy") == "Revision"
    if by_revision and chart["sourceRef"]["kind"] == GIT_REPOSITORY.kind:
        build.append(snapshot.revision[:12])
    if chart.get("valuesFiles"):
        build.append(sha256("\n".join(chart["valuesFiles"]).encode()).hexdigest()[:12])
    return f"{version}+{'.'.join(build)}" if build else version


def _value_files(chart: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """Paths from the tree's root. `valuesFiles` replace the chart's values.yaml; here they go
    over it, so it must be their first. Those of a Git source are relative to its root, those of
    a packaged chart to the chart."""
    files = tuple("/" + source_path(str(file)) for file in chart.get("valuesFiles") or ())
    own = f"/{path}/values.yaml" if path else "/values.yaml"
    if files and files[0] != own:
        raise Stalled(
            f"spec.chart.spec.valuesFiles whose first is not {own[1:]} is not supported yet",
            reason="FeatureNotSupported",
        )
    return files[1:]


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
