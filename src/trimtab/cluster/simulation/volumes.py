"""PersistentVolumeClaims find a volume: an existing one that fits, or a made one."""

from __future__ import annotations

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.kinds import PV, PVC, STORAGE_CLASS
from trimtab.cluster.simulation.kit import Kit
from trimtab.cluster.simulation.labels import matches
from trimtab.cluster.simulation.podspec import is_terminating, phase
from trimtab.cluster.simulation.scheduler import SELECTED_NODE
from trimtab.errors import TrimtabError
from trimtab.objects.identity import ObjectKey, key_of
from trimtab.objects.quantity import compare, parse

__all__ = ["VolumeController"]

COMPONENT = "persistentvolume-controller"


def _asked(claim: Object) -> str:
    resources = claim["spec"].get("resources") or {}
    return str((resources.get("requests") or {}).get("storage", "0"))


def _holds(volume: Object, claim: Object) -> bool:
    """Whether a volume nobody has claimed fits a claim."""
    spec, wanted = volume["spec"], claim["spec"]
    meta = claim["metadata"]
    reference = spec.get("claimRef")
    if reference:
        mine = (reference.get("namespace"), reference.get("name"))
        if mine != (meta["namespace"], meta["name"]):
            return False
        if reference.get("uid") not in (None, "", meta["uid"]):
            return False
    if wanted.get("volumeName"):
        return bool(wanted["volumeName"] == volume["metadata"]["name"])
    return (
        spec.get("storageClassName", "") == wanted.get("storageClassName", "")
        and set(wanted.get("accessModes") or ()) <= set(spec.get("accessModes") or ())
        and compare((spec.get("capacity") or {}).get("storage", "0"), _asked(claim)) >= 0
        and spec.get("volumeMode", "Filesystem") == wanted.get("volumeMode", "Filesystem")
        and (
            not wanted.get("selector")
            or matches(wanted["selector"], volume["metadata"].get("labels") or {})
        )
    )


class VolumeController:
    """Binds, provisions, resizes and reclaims."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.queue = kit.queue("volume", self.reconcile)
        self._first_seen: dict[str, float] = {}
        kit.on(PVC, self._claim_changed)
        kit.on(PV, self._volume_changed)
        kit.on(STORAGE_CLASS, self._class_changed)

    def _claim_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self.queue.add(key_of(new))
        elif old is not None:
            self._first_seen.pop(old["metadata"]["uid"], None)
            if old["spec"].get("volumeName"):
                self.queue.add(ObjectKey("", PV.kind, "", old["spec"]["volumeName"]))

    def _volume_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            return
        self.queue.add(key_of(new))
        if old is None or phase(new) == "Available":
            self._wake_pending()

    def _class_changed(self, old: Object | None, new: Object | None) -> None:
        if old is None and new is not None:
            self._wake_pending()

    def _wake_pending(self) -> None:
        for claim in self.kit.cache.of_kind(PVC):
            if phase(claim) != "Bound":
                self.queue.add(key_of(claim))

    def reconcile(self, key: ObjectKey) -> None:
        if key.kind == PV.kind:
            volume = self.kit.get(PV, "", key.name)
            if volume is not None and not is_terminating(volume):
                self._keep_volume(volume)
            return
        claim = self.kit.get(PVC, key.namespace, key.name)
        if claim is None or is_terminating(claim):
            return
        if phase(claim) == "Bound":
            self._resize(claim)
        else:
            self._bind(claim)

    # -- claims ---------------------------------------------------------------------------------

    def _bind(self, claim: Object) -> None:
        if not (claim.get("status") or {}).get("phase"):
            claim = self.kit.set_status(claim, {"phase": "Pending"}) or claim
        now = self.kit.clock.monotonic()
        volume = self._existing(claim)
        if volume is None and not self._may_provision(claim):
            return
        ready = self._first_seen.setdefault(claim["metadata"]["uid"], now) + self.kit.delays.bind
        if now < ready:
            self.queue.add_after(key_of(claim), ready - now)
            return
        if volume is None:
            volume = self._provision(claim)
        self._join(claim, volume)

    def _existing(self, claim: Object) -> Object | None:
        fitting = [
            v
            for v in self.kit.cache.of_kind(PV)
            if _holds(v, claim) and not is_terminating(v) and phase(v) in {"Available", "Pending"}
        ]
        size = {v["metadata"]["name"]: parse(v["spec"]["capacity"]["storage"]) for v in fitting}
        return min(fitting, key=lambda v: size[v["metadata"]["name"]], default=None)

    def _may_provision(self, claim: Object) -> bool:
        """Whether a volume may be made now; says why not when something is missing."""
        name = claim["spec"].get("storageClassName") or ""
        if claim["spec"].get("volumeName"):
            return False
        if not name:
            message = "no persistent volumes available for this claim and no storage class is set"
            self.kit.event(claim, "FailedBinding", message, component=COMPONENT)
            return False
        storage = self.kit.get(STORAGE_CLASS, "", name)
        if storage is None:
            message = f'storageclass.storage.k8s.io "{name}" not found'
            self.kit.warn(claim, "ProvisioningFailed", message, component=COMPONENT)
            return False
        if storage.get("provisioner") == "kubernetes.io/no-provisioner":
            return False
        if storage.get("volumeBindingMode") != "WaitForFirstConsumer":
            return True
        if SELECTED_NODE in (claim["metadata"].get("annotations") or {}):
            return True
        message = "waiting for first consumer to be created before binding"
        self.kit.event(claim, "WaitForFirstConsumer", message, component=COMPONENT)
        return False

    def _provision(self, claim: Object) -> Object:
        meta, spec = claim["metadata"], claim["spec"]
        storage = self.kit.get(STORAGE_CLASS, "", spec["storageClassName"]) or {}
        name = f"pvc-{meta['uid']}"
        volume: Object = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {
                "name": name,
                "annotations": {"pv.kubernetes.io/provisioned-by": storage["provisioner"]},
            },
            "spec": {
                "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
                "capacity": {"storage": _asked(claim)},
                "claimRef": _claim_reference(claim),
                "hostPath": {"path": f"/var/lib/embedded/{name}"},
                "persistentVolumeReclaimPolicy": storage.get("reclaimPolicy", "Delete"),
                "storageClassName": spec["storageClassName"],
                "volumeMode": spec.get("volumeMode", "Filesystem"),
            },
        }
        try:
            made = self.kit.create(volume)
        except TrimtabError as error:
            known = self.kit.get(PV, "", name)
            if error.reason != "AlreadyExists" or known is None:
                raise
            return known
        message = f"Successfully provisioned volume {name}"
        self.kit.event(claim, "ProvisioningSucceeded", message, component=COMPONENT)
        return made

    def _join(self, claim: Object, volume: Object) -> None:
        name = volume["metadata"]["name"]
        if not (volume["spec"].get("claimRef") or {}).get("uid"):
            reference = _claim_reference(claim)
            volume = self.kit.edit(volume, lambda f: f["spec"].update(claimRef=reference)) or volume
        self.kit.set_status(volume, {**(volume.get("status") or {}), "phase": "Bound"})

        def change(fresh: Object) -> None:
            fresh["spec"]["volumeName"] = name
            fresh["metadata"]["annotations"] = {
                **(fresh["metadata"].get("annotations") or {}),
                "pv.kubernetes.io/bind-completed": "yes",
                "pv.kubernetes.io/bound-by-controller": "yes",
            }

        bound = self.kit.edit(claim, change)
        if bound is not None:
            status = {
                "phase": "Bound",
                "accessModes": volume["spec"].get("accessModes") or [],
                "capacity": volume["spec"]["capacity"],
            }
            self.kit.set_status(bound, status)

    def _resize(self, claim: Object) -> None:
        """Grows the volume to what the claim asks for, where its class allows it."""
        have = ((claim.get("status") or {}).get("capacity") or {}).get("storage", "0")
        volume = self.kit.get(PV, "", claim["spec"].get("volumeName") or "")
        storage = self.kit.get(STORAGE_CLASS, "", claim["spec"].get("storageClassName") or "")
        if volume is None or compare(_asked(claim), have) <= 0:
            return
        if not (storage or {}).get("allowVolumeExpansion"):
            return
        capacity = {"storage": _asked(claim)}
        self.kit.edit(volume, lambda fresh: fresh["spec"].update(capacity=capacity))
        self.kit.set_status(claim, {**claim["status"], "capacity": capacity})
        message = "volume resized"
        self.kit.event(claim, "FileSystemResizeSuccessful", message, component="kubelet")

    # -- volumes --------------------------------------------------------------------------------

    def _keep_volume(self, volume: Object) -> None:
        reference = volume["spec"].get("claimRef")
        status = volume.get("status") or {}
        if not reference or not reference.get("uid"):
            if phase(volume) != "Available":
                self.kit.set_status(volume, {**status, "phase": "Available"})
            return
        claim = self.kit.get(PVC, reference.get("namespace", ""), reference.get("name", ""))
        if claim is not None and claim["metadata"]["uid"] == reference["uid"]:
            return
        if volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
            self.kit.delete(volume)
        elif phase(volume) != "Released":
            self.kit.set_status(volume, {**status, "phase": "Released"})


def _claim_reference(claim: Object) -> Object:
    meta = claim["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": meta["namespace"],
        "name": meta["name"],
        "uid": meta["uid"],
    }
