"""StatefulSet: Pods with ordinals, started and stopped in order, each with its claims."""

from __future__ import annotations

import copy
from typing import Any

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.cache import controller_of
from trimtab.cluster.simulation.claim import claim
from trimtab.cluster.simulation.history import (
    REVISION_LABEL,
    current_revision,
    template_of,
    trim_history,
)
from trimtab.cluster.simulation.kinds import POD, PVC, STATEFUL_SET
from trimtab.cluster.simulation.kit import Kit, owner_reference
from trimtab.cluster.simulation.podspec import (
    available_in,
    is_finished,
    is_ready,
    is_terminating,
    pod_from_template,
)
from trimtab.errors import TrimtabError
from trimtab.objects.identity import ObjectKey, key_of

__all__ = ["StatefulSetController"]

COMPONENT = "statefulset-controller"


def _ordinal(pod: Object, name: str) -> int:
    tail = pod["metadata"]["name"].removeprefix(f"{name}-")
    return int(tail) if tail.isdigit() else -1


def _revision(pod: Object, name: str) -> str:
    return f"{name}-{(pod['metadata'].get('labels') or {}).get(REVISION_LABEL, '')}"


class StatefulSetController:
    """Keeps StatefulSets."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.queue = kit.queue("statefulset", self.reconcile)
        kit.on(STATEFUL_SET, self._changed)
        kit.on(POD, self._pod_changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        subject = new or old
        if subject is not None:
            self.queue.add(key_of(subject))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        subject = new or old
        owner = controller_of(subject) if subject is not None else None
        if subject is not None and owner is not None and owner.get("kind") == "StatefulSet":
            namespace = subject["metadata"]["namespace"]
            self.queue.add(ObjectKey("apps", "StatefulSet", namespace, owner["name"]))

    def reconcile(self, key: ObjectKey) -> None:
        owner = self.kit.get(STATEFUL_SET, key.namespace, key.name)
        if owner is None or is_terminating(owner):
            return
        claim(self.kit, owner, api_version="apps/v1", kind="StatefulSet")
        try:
            update = current_revision(self.kit, owner, kind="StatefulSet")
        except TrimtabError as error:
            if error.reason in {"NotFound", "Forbidden"}:
                return
            raise
        pass_ = _Pass(self, owner, update["metadata"]["name"])
        pass_.act()
        pass_.write_status()


class _Pass:
    """One reconcile of one StatefulSet."""

    def __init__(self, controller: StatefulSetController, owner: Object, update: str) -> None:
        self.kit, self.queue, self.owner = controller.kit, controller.queue, owner
        self.name: str = owner["metadata"]["name"]
        self.spec: Object = owner["spec"]
        self.status: Object = owner.get("status") or {}
        self.update = update
        self.current: str = self.status.get("currentRevision") or update
        self.replicas: int = self.spec.get("replicas", 1)
        self.start: int = (self.spec.get("ordinals") or {}).get("start", 0)
        self.ordered = self.spec.get("podManagementPolicy", "OrderedReady") == "OrderedReady"

    def pods(self) -> dict[int, Object]:
        found = self.kit.cache.owned(self.owner["metadata"]["uid"], POD)
        return {_ordinal(pod, self.name): pod for pod in found}

    def _available(self, pod: Object) -> bool:
        if is_terminating(pod):
            return False
        wait = available_in(
            pod, min_ready_s=self.spec.get("minReadySeconds", 0), now=self.kit.clock.now()
        )
        if wait:
            self.queue.add_after(key_of(self.owner), wait)
        return wait == 0

    def act(self) -> None:
        """Start what is missing, then stop what is too much, then update."""
        if self._start_missing() and self._stop_surplus():
            self._roll()

    def _start_missing(self) -> bool:
        """Ascending; in order each waits for the one before. True when all are there."""
        pods = self.pods()
        for ordinal in range(self.start, self.start + self.replicas):
            pod = pods.get(ordinal)
            if pod is not None and is_finished(pod) and not is_terminating(pod):
                self._delete(pod)
                pod = self.pods().get(ordinal)
            if pod is None:
                if not self._create(ordinal):
                    return False
                if self.ordered:
                    return False
            elif self.ordered and not self._available(pod):
                return False
        return True

    def _stop_surplus(self) -> bool:
        """Descending; in order one at a time. True when nothing is too much."""
        last = self.start + self.replicas
        surplus = {o: p for o, p in self.pods().items() if o >= last or o < self.start}
        for ordinal in sorted(surplus, reverse=True):
            if not is_terminating(surplus[ordinal]):
                self._delete(surplus[ordinal])
            if self.ordered:
                break
        self._drop_claims(last)
        return not surplus

    def _roll(self) -> None:
        """RollingUpdate: the highest Pod of an older revision goes when the others are well."""
        strategy = self.spec.get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return
        partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
        pods = self.pods()
        for ordinal in sorted(pods, reverse=True):
            if ordinal < self.start + partition:
                return
            pod = pods[ordinal]
            if _revision(pod, self.name) != self.update and not is_terminating(pod):
                self._delete(pod)
                return
            if not self._available(pod):
                return

    # -- Pods and claims ------------------------------------------------------------------------

    def _revision_for(self, ordinal: int) -> str:
        """Below the partition a Pod keeps the current revision, as does one not yet updated."""
        strategy = self.spec.get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return self.update
        partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
        return self.current if ordinal < self.start + partition else self.update

    def _create(self, ordinal: int) -> bool:
        revision = self._revision_for(ordinal)
        template = template_of(self.kit, self.owner, revision)
        if template is None:
            revision, template = self.update, self.spec["template"]
        try:
            self._create_claims(ordinal)
            made = self.kit.create(self._pod(ordinal, template, revision))
        except TrimtabError as error:
            if error.reason != "NotFound":
                message = (
                    f"create Pod {self.name}-{ordinal} in StatefulSet {self.name} "
                    f"failed error: {error.message}"
                )
                self.kit.warn(self.owner, "FailedCreate", message, component=COMPONENT)
                self.queue.add_after(key_of(self.owner), 5.0)
            return False
        message = f"create Pod {made['metadata']['name']} in StatefulSet {self.name} successful"
        self.kit.event(self.owner, "SuccessfulCreate", message, component=COMPONENT)
        return True

    def _pod(self, ordinal: int, template: Object, revision: str) -> Object:
        name = f"{self.name}-{ordinal}"
        pod = pod_from_template(
            template,
            namespace=self.owner["metadata"]["namespace"],
            owner=owner_reference(self.owner, api_version="apps/v1", kind="StatefulSet"),
            name=name,
        )
        pod["metadata"]["labels"] = {
            **(pod["metadata"].get("labels") or {}),
            REVISION_LABEL: revision.removeprefix(f"{self.name}-"),
            "statefulset.kubernetes.io/pod-name": name,
            "apps.kubernetes.io/pod-index": str(ordinal),
        }
        spec = pod["spec"]
        spec["hostname"] = name
        if self.spec.get("serviceName"):
            spec["subdomain"] = self.spec["serviceName"]
        claims = {t["metadata"]["name"]: self._claim_name(t, ordinal) for t in self._templates()}
        volumes = [v for v in spec.get("volumes") or () if v.get("name") not in claims]
        volumes += [
            {"name": name, "persistentVolumeClaim": {"claimName": claim_name}}
            for name, claim_name in claims.items()
        ]
        if volumes:
            spec["volumes"] = volumes
        return pod

    def _templates(self) -> list[Object]:
        return list(self.spec.get("volumeClaimTemplates") or ())

    def _claim_name(self, template: Object, ordinal: int) -> str:
        return f"{template['metadata']['name']}-{self.name}-{ordinal}"

    def _create_claims(self, ordinal: int) -> None:
        namespace = self.owner["metadata"]["namespace"]
        policy = self.spec.get("persistentVolumeClaimRetentionPolicy") or {}
        for template in self._templates():
            name = self._claim_name(template, ordinal)
            if self.kit.get(PVC, namespace, name) is not None:
                continue
            labels = (self.spec.get("selector") or {}).get("matchLabels") or {}
            meta: dict[str, Any] = {
                **template["metadata"],
                "name": name,
                "namespace": namespace,
                "labels": {**(template["metadata"].get("labels") or {}), **labels},
            }
            if policy.get("whenDeleted") == "Delete":
                reference = owner_reference(self.owner, api_version="apps/v1", kind="StatefulSet")
                meta["ownerReferences"] = [reference]
            self.kit.create(
                {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "metadata": meta,
                    "spec": copy.deepcopy(template["spec"]),
                }
            )

    def _drop_claims(self, last: int) -> None:
        """whenScaled Delete: claims of ordinals that are gone for good."""
        policy = self.spec.get("persistentVolumeClaimRetentionPolicy") or {}
        if policy.get("whenScaled") != "Delete":
            return
        namespace, present = self.owner["metadata"]["namespace"], self.pods()
        for pvc in self.kit.cache.of_kind(PVC, namespace):
            for template in self._templates():
                prefix = f"{template['metadata']['name']}-{self.name}-"
                tail = pvc["metadata"]["name"].removeprefix(prefix)
                if tail.isdigit() and int(tail) >= last and int(tail) not in present:
                    self.kit.delete(pvc)

    def _delete(self, pod: Object) -> None:
        self.kit.delete(pod)
        message = f"delete Pod {pod['metadata']['name']} in StatefulSet {self.name} successful"
        self.kit.event(self.owner, "SuccessfulDelete", message, component=COMPONENT)

    # -- status ---------------------------------------------------------------------------------

    def write_status(self) -> None:
        pods = [p for p in self.pods().values() if not is_finished(p)]
        staying = [p for p in pods if not is_terminating(p)]
        updated = sum(_revision(p, self.name) == self.update for p in staying)
        ready = sum(is_ready(p) for p in pods)
        if updated == ready == len(pods) == self.replicas:
            self.current = self.update
        status: Object = {
            "observedGeneration": self.owner["metadata"].get("generation", 0),
            "replicas": len(pods),
            "availableReplicas": sum(self._available(p) for p in pods),
            "currentRevision": self.current,
            "updateRevision": self.update,
            "collisionCount": 0,
        }
        counts = {
            "readyReplicas": ready,
            "currentReplicas": sum(_revision(p, self.name) == self.current for p in staying),
            "updatedReplicas": updated,
        }
        status.update({name: count for name, count in counts.items() if count})
        self.kit.set_status(self.owner, status)
        live = {_revision(p, self.name) for p in pods} | {self.current, self.update}
        trim_history(self.kit, self.owner, live=live)
