"""Deployment: ReplicaSets per template, and the walk from one to the next.

Source of the rules: spec/embedded-cluster.md 11. The numbers are decided in `rollout`, the
status in `deployment_status`; this file reads and writes.
"""

from __future__ import annotations

from typing import Any

from trimtab.cluster.simulation import deployment_status as states
from trimtab.cluster.simulation import revisions
from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.cache import controller_of
from trimtab.cluster.simulation.kinds import DEPLOYMENT, POD, REPLICA_SET
from trimtab.cluster.simulation.kit import Kit, owner_reference
from trimtab.cluster.simulation.labels import matches, selects_all
from trimtab.cluster.simulation.podspec import is_finished, is_terminating
from trimtab.cluster.simulation.rollout import (
    Set,
    new_set_size,
    proportional_sizes,
    shrink_old_sets,
)
from trimtab.errors import TrimtabError
from trimtab.objects.identity import ObjectKey, key_of

__all__ = ["DeploymentController"]

COMPONENT = "deployment-controller"


def _size(rs: Object) -> int:
    return int(rs["spec"].get("replicas", 1))


def _numbers(rs: Object) -> Set:
    annotations = rs["metadata"].get("annotations") or {}
    maximum = str(annotations.get(revisions.MAX, "0"))
    return Set(
        name=rs["metadata"]["name"],
        replicas=_size(rs),
        available=(rs.get("status") or {}).get("availableReplicas", 0),
        max_replicas=int(maximum) if maximum.isdigit() else 0,
        created=rs["metadata"].get("creationTimestamp") or "",
    )


class DeploymentController:
    """Rolls Deployments out."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.queue = kit.queue("deployment", self.reconcile)
        kit.on(DEPLOYMENT, self._changed)
        kit.on(REPLICA_SET, self._set_changed)
        kit.on(POD, self._pod_changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        subject = new or old
        if subject is not None:
            self.queue.add(key_of(subject))

    def _set_changed(self, old: Object | None, new: Object | None) -> None:
        for rs in (old, new):
            if rs is None:
                continue
            owner = controller_of(rs)
            if owner is not None:
                self._add_owner(rs, owner)
            else:
                self._wake_adopters(rs)

    def _add_owner(self, rs: Object, owner: Object) -> None:
        if owner.get("kind") == "Deployment":
            namespace = rs["metadata"]["namespace"]
            self.queue.add(ObjectKey("apps", "Deployment", namespace, owner["name"]))

    def _wake_adopters(self, rs: Object) -> None:
        labels = rs["metadata"].get("labels") or {}
        for deployment in self.kit.cache.of_kind(DEPLOYMENT, rs["metadata"]["namespace"]):
            if labels and matches(deployment["spec"].get("selector"), labels):
                self.queue.add(key_of(deployment))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        """Only the end of a Pod matters here: Recreate waits for the last old one."""
        if old is None or new is not None:
            return
        owner = controller_of(old)
        if owner is None or owner.get("kind") != "ReplicaSet":
            return
        rs = self.kit.get(REPLICA_SET, old["metadata"]["namespace"], owner["name"])
        parent = controller_of(rs) if rs is not None else None
        if rs is not None and parent is not None:
            self._add_owner(rs, parent)

    # -- one pass -------------------------------------------------------------------------------

    def reconcile(self, key: ObjectKey) -> None:
        deployment = self.kit.get(DEPLOYMENT, key.namespace, key.name)
        if deployment is None or selects_all(deployment["spec"].get("selector")):
            return
        sets = self._claim(deployment)
        pass_ = _Pass(self, deployment, sets)
        if is_terminating(deployment):
            pass_.write_plain_status()
        elif deployment["spec"].get("paused") or pass_.was_scaled():
            pass_.scale()
        elif (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
            pass_.recreate()
        else:
            pass_.roll()

    def _claim(self, deployment: Object) -> list[Object]:
        """Its ReplicaSets; orphans that its selector takes are adopted."""
        if not is_terminating(deployment):
            reference = owner_reference(deployment, api_version="apps/v1", kind="Deployment")
            selector = deployment["spec"].get("selector")
            for rs in self.kit.cache.orphans(REPLICA_SET, deployment["metadata"]["namespace"]):
                if matches(selector, rs["metadata"].get("labels") or {}):
                    self.kit.edit(rs, lambda fresh: _own(fresh, reference))
        return self.kit.cache.owned(deployment["metadata"]["uid"], REPLICA_SET)


def _own(rs: Object, reference: Object) -> None:
    rs["metadata"]["ownerReferences"] = [
        *(rs["metadata"].get("ownerReferences") or ()),
        reference,
    ]


class _Pass:
    """One reconcile of one Deployment: what was read, and what it does with it."""

    def __init__(
        self, controller: DeploymentController, deployment: Object, sets: list[Object]
    ) -> None:
        self.kit = controller.kit
        self.queue = controller.queue
        self.deployment = deployment
        self.replicas = int(deployment["spec"].get("replicas", 1))
        self.fence = states.fence(deployment)
        self.sets = {rs["metadata"]["name"]: rs for rs in sets}
        new = revisions.find_new(deployment, sets)
        self.new_name = new["metadata"]["name"] if new is not None else ""
        self.conditions: list[Any] = states.paused_conditions(deployment, now=self.kit.now())

    @property
    def new(self) -> Object | None:
        return self.sets.get(self.new_name)

    @property
    def old(self) -> list[Object]:
        return [rs for name, rs in self.sets.items() if name != self.new_name]

    def was_scaled(self) -> bool:
        """Whether `replicas` changed since an active set was last sized."""
        wanted = str(self.replicas)
        return any(
            (rs["metadata"].get("annotations") or {}).get(revisions.DESIRED, wanted) != wanted
            for rs in self.sets.values()
            if _size(rs)
        )

    # -- strategies -----------------------------------------------------------------------------

    def roll(self) -> None:
        """RollingUpdate: grow the new set, else shrink old ones, within the fence."""
        if not self._ensure_new():
            return
        new = self.new
        if new is not None:
            size = new_set_size(
                self.replicas,
                current=_size(new),
                total=sum(map(_size, self.sets.values())),
                fence=self.fence,
            )
            if not self._resize(new, size):
                self._shrink_old()
        self._finish()

    def _shrink_old(self) -> None:
        new = self.new
        sizes = shrink_old_sets(
            self.replicas,
            new=_numbers(new) if new is not None else None,
            old=[_numbers(rs) for rs in self.old],
            fence=self.fence,
        )
        for name, size in sizes.items():
            self._resize(self.sets[name], size)

    def recreate(self) -> None:
        """Recreate: every old Pod ends before the first new one starts."""
        active = [rs for rs in self.old if _size(rs)]
        for rs in active:
            self._resize(rs, 0)
        if not active and not self._old_pods_left():
            if not self._ensure_new():
                return
            new = self.new
            if new is not None:
                self._resize(new, self.replicas)
        self._finish()

    def _old_pods_left(self) -> bool:
        return any(
            not is_finished(pod)
            for rs in self.old
            for pod in self.kit.cache.owned(rs["metadata"]["uid"], POD)
        )

    def scale(self) -> None:
        """Only sizes: a new `replicas`, or a paused Deployment."""
        if self.new is not None and not self._ensure_new():
            return
        active = [rs for rs in self.sets.values() if _size(rs)]
        only = self._only_set(active)
        if only is not None:
            self._resize(only, self.replicas)
        elif self._saturated():
            for rs in self.old:
                self._resize(rs, 0)
        elif (self.deployment["spec"].get("strategy") or {}).get("type") != "Recreate":
            sizes = proportional_sizes(
                self.replicas,
                sets=[_numbers(rs) for rs in active],
                fence=self.fence,
                status_replicas=(self.deployment.get("status") or {}).get("replicas", 0),
            )
            for name, size in sizes.items():
                self._resize(self.sets[name], size)
        if self.deployment["spec"].get("paused"):
            self._clean_history()
        self.write_plain_status()

    def _only_set(self, active: list[Object]) -> Object | None:
        """The one active set; with none active the new, else the youngest one."""
        if len(active) > 1:
            return None
        if active:
            return active[0]
        if self.new is not None or not self.sets:
            return self.new
        return max(self.sets.values(), key=lambda rs: rs["metadata"].get("creationTimestamp") or "")

    def _saturated(self) -> bool:
        new = self.new
        if new is None:
            return False
        desired = (new["metadata"].get("annotations") or {}).get(revisions.DESIRED)
        available = (new.get("status") or {}).get("availableReplicas", 0)
        return (
            desired == str(self.replicas)
            and _size(new) == self.replicas
            and available == _size(new)
        )

    # -- ReplicaSets ----------------------------------------------------------------------------

    def _ensure_new(self) -> bool:
        """Creates the set of the current template, or brings its annotations up to date.

        False when creating failed; the status says so then.
        """
        revision = max((revisions.revision_of(rs) for rs in self.old), default=0) + 1
        new = self.new
        if new is None:
            new = self._create_new(revision)
            if new is None:
                return False
        else:
            new = self._refresh_new(new, revision)
        self._mark_revision(revisions.revision_of(new))
        return True

    def _refresh_new(self, new: Object, revision: int) -> Object:
        annotations = revisions.carried_annotations(self.deployment, new, revision)
        min_ready = self.deployment["spec"].get("minReadySeconds", 0)

        def change(fresh: Object) -> None:
            fresh["metadata"]["annotations"] = annotations
            if min_ready:
                fresh["spec"]["minReadySeconds"] = min_ready
            else:
                fresh["spec"].pop("minReadySeconds", None)

        stale = annotations != (new["metadata"].get("annotations") or {})
        if stale or new["spec"].get("minReadySeconds", 0) != min_ready:
            new = self._replace(new, self.kit.edit(new, change))
        self._say_progress("FoundNewReplicaSet", f'Found new replica set "{self.new_name}"')
        return new

    def _say_progress(self, reason: str, message: str) -> None:
        known = any(c["type"] == "Progressing" for c in self.conditions)
        if states.has_deadline(self.deployment) and (reason != "FoundNewReplicaSet" or not known):
            self.conditions = states.set_deployment_condition(
                self.conditions, "Progressing", "True", reason, message, now=self.kit.now()
            )

    def _create_new(self, revision: int) -> Object | None:
        collisions = (self.deployment.get("status") or {}).get("collisionCount", 0)
        rs = self._new_set(revision, collisions)
        name = rs["metadata"]["name"]
        try:
            made = self.kit.create(rs)
        except TrimtabError as error:
            self._creation_failed(error, collisions)
            return None
        self.new_name = name
        self.sets[name] = made
        if _size(made):
            self._tell_scaled("up", name, 0, _size(made))
        self._say_progress("NewReplicaSetCreated", f'Created new replica set "{name}"')
        return made

    def _creation_failed(self, error: TrimtabError, collisions: int) -> None:
        if error.reason == "NotFound":  # the namespace went away
            return
        if error.reason == "AlreadyExists":
            status = {**(self.deployment.get("status") or {}), "collisionCount": collisions + 1}
            self.kit.set_status(self.deployment, status)
            return
        if states.has_deadline(self.deployment):
            self.conditions = states.set_deployment_condition(
                self.conditions, "Progressing", "False", "ReplicaSetCreateError", error.message,
                now=self.kit.now(),
            )  # fmt: skip
        message = f"Failed to create new replica set: {error.message}"
        self.kit.warn(self.deployment, "ReplicaSetCreateError", message, component=COMPONENT)
        self.write_plain_status()
        self.queue.add_after(key_of(self.deployment), 5.0)

    def _new_set(self, revision: int, collisions: int) -> Object:
        spec, meta = self.deployment["spec"], self.deployment["metadata"]
        digest = revisions.template_hash(spec["template"], collisions=collisions)
        template_meta = spec["template"].get("metadata") or {}
        labels = {**(template_meta.get("labels") or {}), revisions.HASH_LABEL: digest}
        selector = spec.get("selector") or {}
        match = {**(selector.get("matchLabels") or {}), revisions.HASH_LABEL: digest}
        size = new_set_size(
            self.replicas,
            current=0,
            total=sum(map(_size, self.sets.values())),
            fence=self.fence,
        )
        if (spec.get("strategy") or {}).get("type") == "Recreate":
            size = self.replicas
        rs_spec: Object = {
            "replicas": size,
            "selector": {**selector, "matchLabels": match},
            "template": {**spec["template"], "metadata": {**template_meta, "labels": labels}},
        }
        if spec.get("minReadySeconds"):
            rs_spec["minReadySeconds"] = spec["minReadySeconds"]
        return {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{meta['name']}-{digest}",
                "namespace": meta["namespace"],
                "labels": labels,
                "annotations": {
                    **revisions.carried_annotations(self.deployment, None, revision),
                    **revisions.size_annotations(self.replicas, self.replicas + self.fence.surge),
                },
                "ownerReferences": [
                    owner_reference(self.deployment, api_version="apps/v1", kind="Deployment")
                ],
            },
            "spec": rs_spec,
        }

    def _mark_revision(self, revision: int) -> None:
        """The Deployment carries its current revision, for `kubectl rollout history`."""
        if revisions.revision_of(self.deployment) == revision:
            return

        def change(fresh: Object) -> None:
            annotations = fresh["metadata"].get("annotations") or {}
            fresh["metadata"]["annotations"] = {**annotations, revisions.REVISION: str(revision)}

        # With the status, as real controllers do: it is no change of the generation.
        marked = self.kit.edit(self.deployment, change, subresource="status")
        self.deployment = marked or self.deployment

    def _resize(self, rs: Object, size: int) -> bool:
        """Sets a ReplicaSet's size and what it was sized for. True when the size changed."""
        before = _size(rs)
        marks = revisions.size_annotations(self.replicas, self.replicas + self.fence.surge)
        annotations = rs["metadata"].get("annotations") or {}
        marked = all(annotations.get(k) == v for k, v in marks.items())
        if before == size and (marked or not size):
            return False

        def change(fresh: Object) -> None:
            fresh["spec"]["replicas"] = size
            old = fresh["metadata"].get("annotations") or {}
            fresh["metadata"]["annotations"] = {**old, **marks}

        self._replace(rs, self.kit.edit(rs, change))
        if before != size:
            name = rs["metadata"]["name"]
            self._tell_scaled("up" if size > before else "down", name, before, size)
        return before != size

    def _tell_scaled(self, direction: str, name: str, before: int, after: int) -> None:
        message = f"Scaled {direction} replica set {name} from {before} to {after}"
        self.kit.event(self.deployment, "ScalingReplicaSet", message, component=COMPONENT)

    def _replace(self, old: Object, new: Object | None) -> Object:
        made = new if new is not None else old
        self.sets[made["metadata"]["name"]] = made
        return made

    def _clean_history(self) -> None:
        limit = self.deployment["spec"].get("revisionHistoryLimit", 10)
        old = [rs for rs in self.old if not is_terminating(rs)]
        for rs in sorted(old, key=revisions.revision_of)[: max(0, len(old) - limit)]:
            status = rs.get("status") or {}
            seen = status.get("observedGeneration", 0) >= rs["metadata"].get("generation", 0)
            if seen and not _size(rs) and not status.get("replicas", 0):
                self.kit.delete(rs)
                self.sets.pop(rs["metadata"]["name"], None)

    # -- status ---------------------------------------------------------------------------------

    def write_plain_status(self) -> None:
        """Counts and Available; Progressing stays as it was."""
        status = states.base_status(
            self.deployment,
            list(self.sets.values()),
            self.new,
            self.conditions,
            now=self.kit.now(),
        )
        self.kit.set_status(self.deployment, status)

    def _finish(self) -> None:
        """Cleans history after a rollout, writes the status, arms the progress deadline."""
        sets = list(self.sets.values())
        now = self.kit.clock.now()
        status = states.rollout_status(self.deployment, sets, self.new, self.conditions, now=now)
        if states.is_complete(self.deployment, status):
            self._clean_history()
        self.kit.set_status(self.deployment, status)
        left = states.deadline_left(self.deployment, status["conditions"], now)
        if states.has_deadline(self.deployment) and left is not None and left > 0:
            self.queue.add_after(key_of(self.deployment), left)
