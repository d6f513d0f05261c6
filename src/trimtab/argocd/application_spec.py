"""An Application's spec, decoded and turned into the engine's Intent (spec/argocd.md 1.1).

Fields that are not honoured are collected by name: they become a condition, never silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

import msgspec

from trimtab.argocd.errors import InvalidSpec
from trimtab.argocd.kinds import COMPARE_OPTIONS, IN_CLUSTER, IN_CLUSTER_NAME
from trimtab.argocd.options import Options, parse_options
from trimtab.engine import Intent, Policy, Target
from trimtab.errors import TrimtabError
from trimtab.lang import yaml
from trimtab.lang.duration import parse_duration
from trimtab.render import (
    Destination,
    DirectoryOptions,
    HelmOptions,
    HelmParameter,
    KustomizeOptions,
    RenderRequest,
)
from trimtab.sources import GitRef, SourceSpec

__all__ = ["Automated", "Retry", "Spec", "read_spec"]

_SOURCE: Final = frozenset(
    {"repoURL", "targetRevision", "path", "chart", "helm", "kustomize", "directory", "name"}
)
_HELM: Final = frozenset(
    {
        "releaseName",
        "valueFiles",
        "values",
        "valuesObject",
        "parameters",
        "ignoreMissingValueFiles",
        "skipCrds",
        "skipTests",
        "skipSchemaValidation",
        "kubeVersion",
        "apiVersions",
        "namespace",
    }
)
_KUSTOMIZE: Final = frozenset(
    {
        "namePrefix",
        "nameSuffix",
        "images",
        "commonLabels",
        "commonAnnotations",
        "namespace",
        "replicas",
        "components",
        "patches",
        "labelWithoutSelector",
        "labelIncludeTemplates",
        "commonAnnotationsEnvsubst",
        "ignoreMissingComponents",
    }
)
_DIRECTORY: Final = frozenset({"recurse", "include", "exclude"})
_SPEC: Final = frozenset(
    {
        "project",
        "source",
        "destination",
        "syncPolicy",
        "ignoreDifferences",
        "info",
        "revisionHistoryLimit",
    }
)
_POLICY: Final = frozenset({"automated", "syncOptions", "retry"})
_IGNORE: Final = frozenset({"group", "kind", "name", "namespace", "jsonPointers"})


class Automated(msgspec.Struct, frozen=True):
    prune: bool = False
    self_heal: bool = False
    allow_empty: bool = False


class Retry(msgspec.Struct, frozen=True):
    """`limit` below 0: for ever. Times in seconds."""

    limit: int = 0
    duration_s: float = 5.0
    factor: float = 2.0
    max_s: float = 180.0

    def delay_s(self, attempt: int) -> float:
        """The pause before retry number `attempt` (the first is 0)."""
        return float(min(self.duration_s * self.factor ** min(attempt, 60), self.max_s))


class Spec(msgspec.Struct, frozen=True):
    """What one Application asks for."""

    project: str
    intent: Intent
    source: Mapping[str, Any]
    automated: Automated | None
    options: Options
    retry: Retry | None
    ignore: tuple[Mapping[str, Any], ...]
    history_limit: int
    unsupported: tuple[str, ...]

    @property
    def namespace(self) -> str:
        return self.intent.target.namespace

    @property
    def source_spec(self) -> SourceSpec:
        return self.intent.sources[0]


def read_spec(app: Mapping[str, Any], *, kube_version: str = "") -> Spec:
    """Raises InvalidSpec with the field at fault."""
    spec = app.get("spec") or {}
    name = app["metadata"]["name"]
    unsupported = _unknown(spec, _SPEC | {"sources"}, "spec")
    if spec.get("sourceHydrator"):
        raise InvalidSpec("spec.sourceHydrator is not supported yet")
    source = _one_source(spec)
    namespace = _destination(spec.get("destination") or {})
    policy = spec.get("syncPolicy") or {}
    unsupported += _unknown(policy, _POLICY, "spec.syncPolicy")
    retry = policy.get("retry") or {}
    unsupported += _unknown(retry, frozenset({"limit", "backoff"}), "spec.syncPolicy.retry")
    unsupported += _asked_of_comparison(app)
    options = parse_options(policy.get("syncOptions") or ())
    unsupported += [f"syncOptions: {text}" for text in options.unsupported]
    ignore = tuple(spec.get("ignoreDifferences") or ())
    for rule in ignore:
        unsupported += _unknown(rule, _IGNORE, "spec.ignoreDifferences")
    request, missing = _render(source, name=name, namespace=namespace, kube_version=kube_version)
    limit = spec.get("revisionHistoryLimit")
    return Spec(
        project=str(spec.get("project") or "default"),
        intent=Intent(
            sources=(_source_spec(source),),
            render=request,
            target=Target(namespace=namespace),
            policy=Policy(),
        ),
        source=source,
        automated=_automated(policy.get("automated")),
        options=options,
        retry=_retry(policy.get("retry")),
        ignore=ignore,
        history_limit=10 if limit is None else int(limit),
        unsupported=tuple(dict.fromkeys(unsupported + missing)),
    )


def _asked_of_comparison(app: Mapping[str, Any]) -> list[str]:
    """Options of the comparison that ask the server, which ours never does."""
    text = str((app["metadata"].get("annotations") or {}).get(COMPARE_OPTIONS) or "")
    asked = [each.strip() for each in text.split(",")]
    names = ("ServerSideDiff=true", "IncludeMutationWebhook=true")
    return [f"compare-options: {each}" for each in asked if each in names]


def _one_source(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    sources = spec.get("sources") or ()
    if len(sources) > 1:
        raise InvalidSpec(
            "spec.sources with more than one source is not supported yet",
            hint="use spec.source",
        )
    source: Mapping[str, Any] | None = sources[0] if sources else spec.get("source")
    if not source or not source.get("repoURL"):
        raise InvalidSpec("spec.source.repoURL is required")
    if source.get("path") and source.get("chart"):
        raise InvalidSpec("spec.source.path and spec.source.chart exclude each other")
    for field in ("plugin", "ref"):
        if source.get(field):
            raise InvalidSpec(f"spec.source.{field} is not supported yet")
    return source


def _destination(destination: Mapping[str, Any]) -> str:
    server, name = destination.get("server") or "", destination.get("name") or ""
    if server and name:
        raise InvalidSpec(
            f"application destination can't have both name and server defined: {name} {server}"
        )
    if not server and not name:
        raise InvalidSpec("Destination server missing from app spec")
    if name and name != IN_CLUSTER_NAME:
        raise InvalidSpec(
            f"unable to find destination server: there are no clusters with this name: {name}"
        )
    if server and server.rstrip("/") != IN_CLUSTER:
        raise InvalidSpec(
            f"cluster '{server}' has not been configured",
            hint=f"only {IN_CLUSTER} is supported yet",
        )
    return str(destination.get("namespace") or "")


def _source_spec(source: Mapping[str, Any]) -> SourceSpec:
    url, revision = str(source["repoURL"]), str(source.get("targetRevision") or "")
    if source.get("chart"):
        kind = "oci" if url.startswith("oci://") or "://" not in url else "helm"
        return SourceSpec(
            kind="oci" if kind == "oci" else "helm",
            url=url,
            chart=str(source["chart"]),
            version=revision or "*",
        )
    return SourceSpec(kind="git", url=url, ref=GitRef(any=revision or "HEAD"))


def _automated(value: Any) -> Automated | None:
    if value is None or value.get("enabled") is False:
        return None
    return Automated(
        prune=bool(value.get("prune")),
        self_heal=bool(value.get("selfHeal")),
        allow_empty=bool(value.get("allowEmpty")),
    )


def _retry(value: Any) -> Retry | None:
    if value is None:
        return None
    backoff = value.get("backoff") or {}
    try:
        return Retry(
            limit=int(value.get("limit") or 0),
            duration_s=parse_duration(str(backoff.get("duration") or "5s")),
            factor=float(backoff.get("factor") or 2),
            max_s=parse_duration(str(backoff.get("maxDuration") or "3m")),
        )
    except (TrimtabError, ValueError) as error:
        raise InvalidSpec(f"spec.syncPolicy.retry: {error}") from error


def _render(
    source: Mapping[str, Any], *, name: str, namespace: str, kube_version: str
) -> tuple[RenderRequest, list[str]]:
    missing = _unknown(source, _SOURCE, "spec.source")
    helm, kustomize = source.get("helm") or {}, source.get("kustomize") or {}
    directory = source.get("directory") or {}
    missing += _unknown(helm, _HELM, "spec.source.helm")
    missing += _unknown(kustomize, _KUSTOMIZE, "spec.source.kustomize")
    missing += _unknown(directory, _DIRECTORY, "spec.source.directory")
    path = "/".join(p for p in str(source.get("path") or "").split("/") if p not in ("", "."))
    if source.get("chart"):
        path = str(source["chart"])
    request = RenderRequest(
        path=path,
        engine=_engine(source),
        destination=Destination(
            namespace=str(helm.get("namespace") or namespace),
            kube_version=str(helm.get("kubeVersion") or kube_version),
            api_versions=tuple(helm.get("apiVersions") or ()),
        ),
        kustomize=_kustomize(kustomize),
        helm=_helm(helm, name),
        directory=DirectoryOptions(
            recurse=bool(directory.get("recurse")),
            include=str(directory.get("include") or ""),
            exclude=str(directory.get("exclude") or ""),
        ),
    )
    return request, missing


def _engine(source: Mapping[str, Any]) -> Literal["auto", "helm", "kustomize", "directory"]:
    """The section that is filled decides the type; without one the files do. Two are an error."""
    kinds: tuple[Literal["helm", "kustomize", "directory"], ...] = (
        "helm",
        "kustomize",
        "directory",
    )
    filled = [kind for kind in kinds if source.get(kind)]
    if len(filled) > 1:
        raise InvalidSpec(f"multiple application sources defined: {', '.join(filled)}")
    return filled[0] if filled else "auto"


def _helm(helm: Mapping[str, Any], name: str) -> HelmOptions:
    layers: tuple[dict[str, Any], ...] = ()
    if helm.get("valuesObject"):
        layers = (dict(helm["valuesObject"]),)
    elif helm.get("values"):
        try:
            parsed = yaml.load(str(helm["values"]).encode(), source="spec.source.helm.values")
        except TrimtabError as error:
            raise InvalidSpec(f"spec.source.helm.values: {error}") from error
        if parsed is not None and not isinstance(parsed, dict):
            raise InvalidSpec("spec.source.helm.values is not a mapping")
        layers = (parsed or {},)
    return HelmOptions(
        release_name=str(helm.get("releaseName") or name),
        value_files=tuple(helm.get("valueFiles") or ()),
        ignore_missing_value_files=bool(helm.get("ignoreMissingValueFiles")),
        values_layers=layers,
        parameters=tuple(
            HelmParameter(
                name=str(each.get("name") or ""),
                value=str(each.get("value") or ""),
                force_string=bool(each.get("forceString")),
            )
            for each in helm.get("parameters") or ()
        ),
        skip_crds=bool(helm.get("skipCrds")),
        skip_tests=bool(helm.get("skipTests")),
        skip_schema_validation=bool(helm.get("skipSchemaValidation")),
    )


def _kustomize(options: Mapping[str, Any]) -> KustomizeOptions:
    overlay: dict[str, Any] = {
        field: options[field]
        for field in ("namePrefix", "nameSuffix", "namespace", "components", "patches")
        if options.get(field)
    }
    if options.get("images"):
        overlay["images"] = [_image(str(text)) for text in options["images"]]
    if options.get("replicas"):
        overlay["replicas"] = [
            {"name": each["name"], "count": int(each["count"])} for each in options["replicas"]
        ]
    labels, plain = options.get("commonLabels"), options.get("labelWithoutSelector")
    if labels and plain:
        rule: dict[str, Any] = {"pairs": dict(labels), "includeSelectors": False}
        if options.get("labelIncludeTemplates"):
            rule["includeTemplates"] = True
        overlay["labels"] = [rule]
    elif labels:
        overlay["commonLabels"] = dict(labels)
    if options.get("commonAnnotations"):
        overlay["commonAnnotations"] = dict(options["commonAnnotations"])
    return KustomizeOptions(
        overlay=overlay,
        load_restriction="root_only",
        ignore_missing_components=bool(options.get("ignoreMissingComponents")),
    )


def _image(text: str) -> dict[str, str]:
    """`[old=]name[:tag][@digest]` as an entry of a kustomization."""
    old, found, new = text.partition("=")
    name, _, digest = (new if found else old).partition("@")
    match = re.fullmatch(r"(.*?)(?::([^/:]+))?", name)
    base, tag = (match[1], match[2]) if match else (name, None)
    entry = {"name": old if found else base}
    if found:
        entry["newName"] = base
    if tag:
        entry["newTag"] = tag
    if digest:
        entry["digest"] = digest
    return entry


def _unknown(value: Mapping[str, Any], known: Iterable[str], where: str) -> list[str]:
    return [f"{where}.{name}" for name in value if name not in set(known) and value[name]]
