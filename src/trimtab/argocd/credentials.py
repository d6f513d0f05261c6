"""Credentials of repositories, from Secrets of the control plane's namespace (spec/argocd.md 8).

`secret-type: repository` names one URL, `repo-creds` a prefix of URLs; the longest wins. The
values go into `Credentials`, which never prints them, and nowhere else.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any, Final

from trimtab.argocd.project import normal_url
from trimtab.sources import Credentials

__all__ = ["SECRET_TYPE", "credentials_for"]

SECRET_TYPE: Final = "argocd.argoproj.io/secret-type"  # noqa: S105 - a label
_FIELDS: Final = ("username", "password", "bearerToken", "sshPrivateKey")


def credentials_for(
    secrets: Iterable[Mapping[str, Any]], url: str, *, project: str, known_hosts: str = ""
) -> Credentials | None:
    """None when no Secret fits. One that names a project serves that project only."""
    wanted = normal_url(url)
    exact: dict[str, str] | None = None
    best: tuple[int, dict[str, str]] | None = None
    for secret in sorted(secrets, key=lambda s: str(s["metadata"]["name"])):
        kind = (secret["metadata"].get("labels") or {}).get(SECRET_TYPE)
        data = _data(secret)
        if not data.get("url") or data.get("project") not in (None, "", project):
            continue
        own = normal_url(data["url"])
        if kind == "repository" and own == wanted and exact is None:
            exact = data
        elif kind == "repo-creds" and _below(own, wanted) and (best is None or len(own) > best[0]):
            best = (len(own), data)
    found = exact if exact and any(exact.get(field) for field in _FIELDS) else None
    chosen = found or (best[1] if best else None)
    if chosen is None:
        return Credentials(known_hosts=known_hosts) if known_hosts else None
    return Credentials(
        username=chosen.get("username", ""),
        password=chosen.get("password", ""),
        bearer_token=chosen.get("bearerToken", ""),
        ssh_private_key=chosen.get("sshPrivateKey", ""),
        known_hosts=known_hosts,
    )


def _below(prefix: str, url: str) -> bool:
    """Is `prefix` a beginning of `url` on the same host? `https://a.example` is not one of
    `https://a.example.evil.org`: the secret would go to a stranger."""
    scheme, _, rest = prefix.partition("://")
    other_scheme, _, other = url.partition("://")
    host, _, path = rest.partition("/")
    other_host, _, other_path = other.partition("/")
    return (scheme, host) == (other_scheme, other_host) and other_path.startswith(path)


def _data(secret: Mapping[str, Any]) -> dict[str, str]:
    out = {}
    for name, value in (secret.get("data") or {}).items():
        try:
            out[name] = base64.b64decode(str(value), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue  # a value that is no text cannot be a credential of these kinds
    return out
