"""The values of `sources`: where something comes from, and the whole tree that was found there."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Credentials", "GitRef", "Snapshot", "SourceSpec"]


class Credentials(msgspec.Struct, frozen=True):
    """How to authenticate. Never logged: its repr says only which parts are set."""

    username: str = ""
    password: str = ""
    bearer_token: str = ""
    ssh_private_key: str = ""
    known_hosts: str = ""
    ca: str = ""

    def __repr__(self) -> str:
        parts = [name for name in self.__struct_fields__ if getattr(self, name)]
        return f"Credentials({', '.join(parts)})"


class GitRef(msgspec.Struct, frozen=True):
    """Which commit. Precedence when several are set: commit, name, semver, tag, branch
    (spec/flux.md 2.2). `any` is Argo CD's targetRevision: branch, tag, commit, HEAD or range."""

    branch: str = ""
    tag: str = ""
    semver: str = ""
    name: str = ""
    commit: str = ""
    any: str = ""


class SourceSpec(msgspec.Struct, frozen=True):
    """One place manifests come from, in neutral terms.

    `chart` and `version` belong to kinds helm and oci; `ref` to kind git.
    """

    kind: Literal["git", "helm", "oci", "local"]
    url: str
    ref: GitRef = GitRef()
    chart: str = ""
    version: str = ""
    credentials: Credentials | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """A whole tree at an exact revision. `store` is the bare repository that holds `tree`.

    `revision` is the commit id (git) or the chart version / digest. `label` is what was asked
    for, resolved: the branch or tag name ("" for a bare commit).
    """

    source: SourceSpec
    revision: str
    tree: str
    store: str
    label: str = ""
    author: str = ""
    date: str = ""
    message: str = ""
