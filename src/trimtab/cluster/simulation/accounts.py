"""What every namespace gets: ServiceAccount `default` and ConfigMap `kube-root-ca.crt`."""

from __future__ import annotations

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.kinds import CONFIG_MAP, NAMESPACE, SERVICE_ACCOUNT
from trimtab.cluster.simulation.kit import Kit
from trimtab.cluster.simulation.podspec import is_terminating
from trimtab.errors import TrimtabError
from trimtab.objects.identity import GroupKind, ObjectKey, gvk_of, key_of

__all__ = ["AccountController"]

ROOT_CA = "kube-root-ca.crt"


class AccountController:
    """Makes them, and makes them again when they are deleted. Idempotent."""

    def __init__(self, kit: Kit, *, ca_pem: str) -> None:
        self.kit = kit
        self.ca_pem = ca_pem
        self.queue = kit.queue("account", self.reconcile)
        kit.on(NAMESPACE, self._namespace_changed)
        kit.on(SERVICE_ACCOUNT, self._content_changed)
        kit.on_any(self._content_changed)

    def _namespace_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and old is None:
            self.queue.add(key_of(new))

    def _content_changed(self, old: Object | None, new: Object | None) -> None:
        if old is None or new is not None:
            return
        meta = old["metadata"]
        known = {(SERVICE_ACCOUNT, "default"), (CONFIG_MAP, ROOT_CA)}
        if (gvk_of(old).group_kind, meta.get("name")) in known:
            self.queue.add(ObjectKey("", "Namespace", "", meta["namespace"]))

    def reconcile(self, key: ObjectKey) -> None:
        namespace = self.kit.get(NAMESPACE, "", key.name)
        if namespace is None or is_terminating(namespace):
            return
        self._ensure(SERVICE_ACCOUNT, key.name, "default", {})
        if self.ca_pem:
            self._ensure(CONFIG_MAP, key.name, ROOT_CA, {"data": {"ca.crt": self.ca_pem}})

    def _ensure(self, gk: GroupKind, namespace: str, name: str, body: Object) -> None:
        if self.kit.world.get(gk, namespace, name) is not None:
            return
        meta = {"name": name, "namespace": namespace}
        try:
            self.kit.create({"apiVersion": "v1", "kind": gk.kind, "metadata": meta, **body})
        except TrimtabError as error:
            if error.reason not in {"AlreadyExists", "NotFound", "Forbidden"}:
                raise
