"""AppProject: what an application may read and write (spec/argocd.md 6). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from trimtab.argocd.errors import InvalidSpec
from trimtab.argocd.globs import matches
from trimtab.argocd.kinds import IN_CLUSTER, IN_CLUSTER_NAME
from trimtab.objects import GroupKind

__all__ = ["DEFAULT_PROJECT", "check_application", "normal_url", "permits_kind", "without_effect"]

DEFAULT_PROJECT: Final[dict[str, Any]] = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "AppProject",
    "metadata": {"name": "default"},
    "spec": {
        "sourceRepos": ["*"],
        "destinations": [{"namespace": "*", "server": "*"}],
        "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
    },
}

# Restrictions that are not enforced: an application they would hold back is refused.
_REFUSED: Final[Mapping[str, str]] = {
    "syncWindows": "syncs could run when they are forbidden",
    "signatureKeys": "commits would be synced without checking their signature",
    "permitOnlyProjectScopedClusters": "clusters are not scoped to projects",
    "sourceIntegrity": "sources would be synced without checking them",
}
_HARMLESS: Final = frozenset(
    {
        "description",
        "sourceRepos",
        "sourceNamespaces",
        "destinations",
        "clusterResourceWhitelist",
        "clusterResourceBlacklist",
        "namespaceResourceWhitelist",
        "namespaceResourceBlacklist",
        "roles",  # they give rights to users of an API that is not served: nobody gets any
    }
)


def without_effect(project: Mapping[str, Any]) -> list[str]:
    """The fields of a project that are set and not honoured, by name."""
    spec = project.get("spec") or {}
    return [
        f"AppProject {project['metadata']['name']}: spec.{field}"
        for field in spec
        if field not in _HARMLESS and field not in _REFUSED and spec[field]
    ]


def check_application(
    project: Mapping[str, Any],
    *,
    name: str,
    repos: Iterable[str],
    namespace: str,
    home: str,
    app_namespace: str,
    impersonates: bool = False,
) -> None:
    """Raises InvalidSpec when the project does not permit a source or the destination."""
    spec = project.get("spec") or {}
    if impersonates and spec.get("destinationServiceAccounts"):
        raise InvalidSpec(
            f"project '{name}' sets spec.destinationServiceAccounts and argocd-cm asks for"
            " impersonation, which is not supported yet"
        )
    for field, why in _REFUSED.items():
        if spec.get(field):
            raise InvalidSpec(
                f"project '{name}' sets spec.{field}, which is not supported yet: {why}"
            )
    if app_namespace != home and not _any(spec.get("sourceNamespaces"), app_namespace):
        raise InvalidSpec(
            f"application in namespace '{app_namespace}' is not permitted to use project '{name}'"
        )
    for repo in repos:
        if not _any(spec.get("sourceRepos"), repo, _repo_matches):
            raise InvalidSpec(f"application repo {repo} is not permitted in project '{name}'")
    if not _destination(spec.get("destinations") or (), namespace):
        raise InvalidSpec(
            f"application destination server '{IN_CLUSTER}' and namespace '{namespace}' do not"
            f" match any of the allowed destinations in project '{name}'"
        )


def permits_kind(
    project: Mapping[str, Any], gk: GroupKind, *, namespaced: bool, namespace: str, name: str
) -> bool:
    """May an object of this kind, in this place, be written?"""
    spec = project.get("spec") or {}
    if not namespaced:
        allowed = _listed(spec.get("clusterResourceWhitelist"), gk, name)
        return allowed and not _listed(spec.get("clusterResourceBlacklist"), gk, name)
    if _listed(spec.get("namespaceResourceBlacklist"), gk):
        return False
    white = spec.get("namespaceResourceWhitelist")
    if white is not None and not _listed(white, gk):
        return False
    return _destination(spec.get("destinations") or (), namespace)


def _listed(entries: Any, gk: GroupKind, name: str = "") -> bool:
    return any(
        _glob(str(entry.get("group") or ""), gk.group)
        and _glob(str(entry.get("kind") or ""), gk.kind)
        and (not entry.get("name") or _glob(str(entry["name"]), name))
        for entry in entries or ()
    )


def _destination(entries: Iterable[Mapping[str, Any]], namespace: str) -> bool:
    """A matching entry that denies (`!`) refuses at once."""
    allowed = False
    for entry in entries:
        space = str(entry.get("namespace") or "")
        servers = [
            (str(entry[key]), own)
            for key, own in (("server", IN_CLUSTER), ("name", IN_CLUSTER_NAME))
            if entry.get(key)
        ]
        server = any(_glob(pattern.lstrip("!"), own) for pattern, own in servers)
        place = _glob(space.lstrip("!"), namespace)
        denies = space.startswith("!") or any(p.startswith("!") for p, _ in servers)
        if server and place:
            if denies:
                return False
            allowed = True
    return allowed


def _any(
    patterns: Iterable[str] | None, value: str, matches: Callable[[str, str], bool] | None = None
) -> bool:
    """One positive pattern matches, and none that denies does."""
    match = matches or _glob
    found = False
    for pattern in patterns or ():
        if pattern.startswith("!"):
            if match(pattern[1:], value):
                return False
        elif match(pattern, value):
            found = True
    return found


def _repo_matches(pattern: str, url: str) -> bool:
    """`*` alone is everything, else it stops at `/`; `**` crosses. URLs are normalised."""
    return pattern == "*" or matches(normal_url(pattern), normal_url(url), separator="/")


def normal_url(url: str) -> str:
    """Scheme and host in lower case; without user, default port and `.git`."""
    text = url.strip()
    if "://" not in text and ":" in text.partition("/")[0]:
        text = "ssh://" + text.replace(":", "/", 1)
    scheme, _, rest = text.rpartition("://")
    host, slash, path = rest.partition("/")
    host = host.rpartition("@")[2].lower()
    port = {"https": ":443", "http": ":80", "ssh": ":22"}.get(scheme.lower())
    if port:
        host = host.removesuffix(port)
    path = path.rstrip("/").removesuffix(".git")
    return f"{scheme.lower()}://{host}{slash}{path}" if scheme else f"{host}{slash}{path}"


def _glob(pattern: str, value: str) -> bool:
    return matches(pattern, value)
