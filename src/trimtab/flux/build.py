"""A Kustomization's build: the overlay its spec asks for, and what happens after the render.

Pure. Order of the steps after rendering (spec/flux.md 3.2, 3.3): substitution for each object,
then common metadata, then the owner labels.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from trimtab.errors import Location
from trimtab.flux.errors import NotYet, Stalled
from trimtab.lang import yaml
from trimtab.lang.envsubst import substitute
from trimtab.render import Destination, KustomizeOptions, Manifest, RenderRequest

__all__ = [
    "NAMESPACE_LABEL",
    "NAME_LABEL",
    "check_encryption",
    "finish",
    "owner_labels",
    "render_request",
    "variables",
]

NAME_LABEL: Final = "kustomize.toolkit.fluxcd.io/name"
NAMESPACE_LABEL: Final = "kustomize.toolkit.fluxcd.io/namespace"
SUBSTITUTE: Final = "kustomize.toolkit.fluxcd.io/substitute"
DECRYPT: Final = "kustomize.toolkit.fluxcd.io/decrypt"
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def render_request(spec: Mapping[str, Any], *, kube_version: str = "") -> RenderRequest:
    """The neutral request for `spec`. Raises `Stalled` for components that leave the source."""
    overlay: dict[str, Any] = {}
    if spec.get("targetNamespace"):
        overlay["namespace"] = spec["targetNamespace"]
    for field in ("namePrefix", "nameSuffix", "patches", "images", "components", "buildMetadata"):
        if spec.get(field):
            overlay[field] = copy.deepcopy(spec[field])
    for component in spec.get("components") or ():
        if "://" in component or component.startswith("/"):
            raise Stalled(
                f"spec.components: '{component}' is not a relative local path",
                reason="BuildFailed",
            )
    return RenderRequest(
        path=source_path(str(spec.get("path") or "")),
        engine="kustomize",
        destination=Destination(
            namespace=str(spec.get("targetNamespace") or ""), kube_version=kube_version
        ),
        kustomize=KustomizeOptions(
            overlay=overlay,
            generate=True,
            load_restriction="tree",
            ignore_missing_components=bool(spec.get("ignoreMissingComponents")),
        ),
    )


def source_path(path: str) -> str:
    """`./apps/x/` and `/apps/x` are `apps/x`; the root is ""."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return "/".join(parts)


def variables(
    spec: Mapping[str, Any], objects: Iterable[Mapping[str, str]]
) -> tuple[dict[str, str], bool]:
    """(variables, whether to substitute at all). `objects` are the data of `substituteFrom`, in
    order; `substitute` wins over them. Newlines are removed from values."""
    post = spec.get("postBuild") or {}
    merged: dict[str, str] = {}
    for data in (*objects, post.get("substitute") or {}):
        for name, value in data.items():
            if not _VARIABLE.fullmatch(name):
                raise NotYet(
                    f"'{name}' is not a variable name",
                    reason="BuildFailed",
                    hint="letters, digits and underscore, not starting with a digit",
                )
            merged[name] = str(value).replace("\n", "")
    return merged, bool(merged) or post.get("substituteStrategy") == "Always"


def owner_labels(name: str, namespace: str) -> dict[str, str]:
    return {NAME_LABEL: name, NAMESPACE_LABEL: namespace}


def finish(
    items: Iterable[Manifest],
    *,
    spec: Mapping[str, Any],
    values: Mapping[str, str],
    substitutes: bool,
    labels: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Objects ready to apply, each a new dict. Raises `SubstitutionError`, `NotYet`."""
    common = spec.get("commonMetadata") or {}
    done = []
    for item in items:
        obj = item.obj
        if substitutes and not _marked(obj, SUBSTITUTE, "disabled"):
            obj = _substituted(obj, values, item.origin.file)
        check_encryption(obj)
        done.append(_labelled(obj, common, labels))
    return done


def check_encryption(obj: Mapping[str, Any]) -> None:
    """A Secret that still holds SOPS data must not reach the cluster."""
    meta = obj.get("metadata") or {}
    marker = obj.get("sops")
    exempt = str((meta.get("annotations") or {}).get(DECRYPT, "")).lower() == "disabled"
    if obj.get("kind") == "Secret" and isinstance(marker, dict) and not exempt:
        raise NotYet(
            f"Secret/{meta.get('namespace', '')}/{meta.get('name', '')} is SOPS encrypted,"
            " configuring decryption is required for this secret to be reconciled",
            reason="BuildFailed",
        )


def _substituted(obj: dict[str, Any], values: Mapping[str, str], file: str) -> dict[str, Any]:
    meta = obj.get("metadata") or {}
    where = Location(f"{file} ({obj.get('kind')}/{meta.get('name')})")
    text = substitute(yaml.dump(obj, sort_keys=True), values, where=where)
    result = yaml.load(text.encode(), source=str(where))
    if not isinstance(result, dict):
        raise NotYet(f"{where} is no object after substitution", reason="BuildFailed")
    return result


def _labelled(
    obj: dict[str, Any], common: Mapping[str, Any], labels: Mapping[str, str]
) -> dict[str, Any]:
    meta = dict(obj.get("metadata") or {})
    meta["labels"] = {**(meta.get("labels") or {}), **(common.get("labels") or {}), **labels}
    if common.get("annotations"):
        meta["annotations"] = {**(meta.get("annotations") or {}), **common["annotations"]}
    return {**obj, "metadata": meta}


def _marked(obj: Mapping[str, Any], key: str, value: str) -> bool:
    meta = obj.get("metadata") or {}
    return any((meta.get(field) or {}).get(key) == value for field in ("labels", "annotations"))
