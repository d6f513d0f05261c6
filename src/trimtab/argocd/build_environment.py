"""The build environment in a source's strings (spec/argocd.md 1.1). Pure.

Where it is substituted: Helm parameters and value files, and Kustomize's common annotations when
`commonAnnotationsEnvsubst` asks for it. Helm values are left alone: a `$` there is the chart's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from trimtab.render import RenderRequest

__all__ = ["environment", "substitute", "substituted"]

_NAME: Final = re.compile(r"\$(?:\{([^}]*)\}|([A-Za-z_]\w*)|(\$))")


def environment(
    app: Mapping[str, Any],
    source: Mapping[str, Any],
    *,
    revision: str,
    kube_version: str = "",
    api_versions: tuple[str, ...] = (),
) -> dict[str, str]:
    """The variables of an Application (`metadata` and `spec`) rendered at `revision`."""
    spec = app.get("spec") or {}
    return {
        "ARGOCD_APP_NAME": str(app["metadata"]["name"]),
        "ARGOCD_APP_NAMESPACE": str((spec.get("destination") or {}).get("namespace") or ""),
        "ARGOCD_APP_PROJECT_NAME": str(spec.get("project") or "default"),
        "ARGOCD_APP_REVISION": revision,
        "ARGOCD_APP_REVISION_SHORT": revision[:7],
        "ARGOCD_APP_REVISION_SHORT_8": revision[:8],
        "ARGOCD_APP_SOURCE_PATH": str(source.get("path") or ""),
        "ARGOCD_APP_SOURCE_REPO_URL": str(source.get("repoURL") or ""),
        "ARGOCD_APP_SOURCE_TARGET_REVISION": str(source.get("targetRevision") or ""),
        "KUBE_VERSION": kube_version.removeprefix("v"),
        "KUBE_API_VERSIONS": ",".join(api_versions),
    }


def substitute(text: str, env: Mapping[str, str]) -> str:
    """`$NAME` and `${NAME}`; `$$` is a dollar; an unknown name is empty."""
    return _NAME.sub(lambda m: "$" if m[3] else env.get(m[1] or m[2] or "", ""), text)


def substituted(
    request: RenderRequest, source: Mapping[str, Any], env: Mapping[str, str]
) -> RenderRequest:
    """The request with its strings substituted."""
    helm = msgspec.structs.replace(
        request.helm,
        value_files=tuple(substitute(each, env) for each in request.helm.value_files),
        parameters=tuple(
            msgspec.structs.replace(each, value=substitute(each.value, env))
            for each in request.helm.parameters
        ),
    )
    out = msgspec.structs.replace(request, helm=helm)
    notes = request.kustomize.overlay.get("commonAnnotations")
    if notes and (source.get("kustomize") or {}).get("commonAnnotationsEnvsubst"):
        done = {name: substitute(str(value), env) for name, value in notes.items()}
        overlay = {**request.kustomize.overlay, "commonAnnotations": done}
        out = msgspec.structs.replace(
            out, kustomize=msgspec.structs.replace(request.kustomize, overlay=overlay)
        )
    return out
