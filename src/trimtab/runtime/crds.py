"""Installing our CRDs beside those that are already there.

A CRD that somebody else installed is used as it is; one that we installed is kept up to date
(spec/argocd.md, opening).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from trimtab.kube import Client, Clock, NotFound
from trimtab.objects import GroupKind
from trimtab.runtime.errors import Retryable

__all__ = ["install_crds"]

CRD: Final = GroupKind("apiextensions.k8s.io", "CustomResourceDefinition")
MANAGER: Final = "trimtab"
OWNED: Final = ("app.kubernetes.io/managed-by", "trimtab")
ESTABLISH_S: Final = 30.0


async def install_crds(
    client: Client, documents: Iterable[Mapping[str, Any]], *, clock: Clock
) -> list[str]:
    """Create or update each CRD and wait until it is served. Names of those that are not ours.

    Raises `Retryable` when one is not established in 30 s.
    """
    foreign, waiting = [], []
    for document in documents:
        name = str(document["metadata"]["name"])
        if await _is_foreign(client, name):
            foreign.append(name)
            continue
        await client.apply(_labelled(document), manager=MANAGER, force=True)
        waiting.append(name)
    deadline = clock.monotonic() + ESTABLISH_S
    for name in waiting:
        while not await _established(client, name):
            if clock.monotonic() > deadline:
                raise Retryable(f"CustomResourceDefinition {name} is not established")
            await clock.sleep(0.05)
    await client.discovery(refresh=True)
    return foreign


async def _is_foreign(client: Client, name: str) -> bool:
    try:
        found = await client.get(CRD, "", name)
    except NotFound:
        return False
    return (found["metadata"].get("labels") or {}).get(OWNED[0]) != OWNED[1]


async def _established(client: Client, name: str) -> bool:
    found = await client.get(CRD, "", name)
    conditions = (found.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


def _labelled(document: Mapping[str, Any]) -> dict[str, Any]:
    meta = dict(document["metadata"])
    meta["labels"] = {**(meta.get("labels") or {}), OWNED[0]: OWNED[1]}
    return {**document, "metadata": meta}
