"""Reading what a Flux object names: Secrets and ConfigMaps of its own namespace, credentials.

Nothing is read across namespaces here (spec/flux.md 1.7, SEC-09).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from trimtab.flux.errors import NotYet, Stalled
from trimtab.flux.kinds import CONFIG_MAP, SECRET
from trimtab.kube import Client, NotFound
from trimtab.sources import Credentials

__all__ = ["git_credentials", "helm_credentials", "object_text"]


async def object_text(
    client: Client, kind: str, namespace: str, name: str, *, optional: bool = False
) -> dict[str, str] | None:
    """The data of a ConfigMap or Secret as text; None when it is missing and may be.

    Raises `NotYet` when it is missing and must not be, or its data is no text.
    """
    gk = SECRET if kind == "Secret" else CONFIG_MAP
    try:
        obj = await client.get(gk, namespace, name)
    except NotFound:
        if optional:
            return None
        raise NotYet(
            f"{kind} '{namespace}/{name}' not found",
            reason="ReconciliationFailed",
            hint=f"create the {kind}, or mark the reference optional",
        ) from None
    data: Mapping[str, Any] = obj.get("data") or {}
    if kind != "Secret":
        return {key: str(value) for key, value in data.items()}
    return {
        key: _decode(value, f"Secret '{namespace}/{name}' key '{key}'")
        for key, value in data.items()
    }


async def git_credentials(client: Client, namespace: str, name: str, url: str) -> Credentials:
    """Credentials of a GitRepository's Secret (spec/flux.md 2.2).

    Raises `NotYet` when the Secret is missing, `Stalled` when its keys contradict or ask for
    what is not done here.
    """
    data = await object_text(client, "Secret", namespace, name) or {}
    _refuse_client_certificate(data, f"{namespace}/{name}")
    if data.get("bearerToken") and data.get("username"):
        raise Stalled(
            f"Secret '{namespace}/{name}' has both bearerToken and username",
            reason="AuthenticationFailed",
            hint="keep one of them",
        )
    if url.startswith("ssh://") and not (data.get("identity") and data.get("known_hosts")):
        raise Stalled(
            f"Secret '{namespace}/{name}' lacks identity or known_hosts, which ssh needs",
            reason="AuthenticationFailed",
            hint="make it with `flux create secret git`",
        )
    if data.get("identity") and data.get("password"):
        raise Stalled(
            "ssh keys with a passphrase are not supported yet", reason="FeatureNotSupported"
        )
    if data.get("githubAppID"):
        raise Stalled("GitHub App credentials are not supported yet", reason="FeatureNotSupported")
    return Credentials(
        username=data.get("username", ""),
        password=data.get("password", ""),
        bearer_token=data.get("bearerToken", ""),
        ssh_private_key=data.get("identity", ""),
        known_hosts=data.get("known_hosts", ""),
        ca=data.get("ca.crt", "") or data.get("caFile", ""),
    )


async def helm_credentials(
    client: Client, namespace: str, *, secret: str, certificates: str
) -> Credentials | None:
    """Credentials of a HelmRepository: `secretRef` for the user, `certSecretRef` for the CA
    (spec/flux.md 2.4). Either name may be "". Raises `NotYet`, `Stalled`."""
    user = await object_text(client, "Secret", namespace, secret) if secret else None
    tls = await object_text(client, "Secret", namespace, certificates) if certificates else None
    for name, data in ((secret, user), (certificates, tls)):
        _refuse_client_certificate(data or {}, f"{namespace}/{name}")
    if user and bool(user.get("username")) != bool(user.get("password")):
        raise Stalled(
            f"Secret '{namespace}/{secret}' needs both username and password",
            reason="AuthenticationFailed",
        )
    both = {**(user or {}), **(tls or {})}
    if not both:
        return None
    return Credentials(
        username=(user or {}).get("username", ""),
        password=(user or {}).get("password", ""),
        ca=both.get("ca.crt", "") or both.get("caFile", ""),
    )


def _refuse_client_certificate(data: Mapping[str, str], name: str) -> None:
    """A server that wants one would refuse us; one that does not must not be asked without it."""
    if any(data.get(key) for key in ("tls.crt", "tls.key", "certFile", "keyFile")):
        raise Stalled(
            f"client certificates (Secret '{name}') are not supported yet",
            reason="FeatureNotSupported",
        )


def _decode(value: object, what: str) -> str:
    try:
        return base64.b64decode(str(value), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise NotYet(f"{what} is not text", reason="ReconciliationFailed") from None
