"""HorizontalPodAutoscaler: conditions from the target and from injected metrics.

There is no metrics API here. Simulated containers use half of what they request, as on a cluster
that is neither idle nor busy. The HPA's annotation `embedded.sim/metrics` says otherwise: a JSON
object of resource name -> average utilisation in percent, `{"cpu": 90}`. A resource it leaves out
has no metric: the conditions say why nothing is scaled, and nothing is.
"""

from __future__ import annotations

import json
import math
from typing import Any

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.clock import parse_time
from trimtab.cluster.simulation.conditions import set_condition, without
from trimtab.cluster.simulation.kinds import DEPLOYMENT, HPA, REPLICA_SET, STATEFUL_SET
from trimtab.cluster.simulation.kit import Kit
from trimtab.cluster.simulation.podspec import is_terminating
from trimtab.objects.identity import GroupKind, ObjectKey, key_of, split_api_version

__all__ = ["AutoscalerController"]

COMPONENT = "horizontal-pod-autoscaler"
METRICS = "embedded.sim/metrics"
_USUAL = {"cpu": 50.0, "memory": 50.0}
_TOLERANCE = 0.1
_STABILISATION_S = 300.0
_FAILED = "the HPA was unable to compute the replica count: "


def _metrics_of(hpa: Object) -> dict[str, float]:
    text = (hpa["metadata"].get("annotations") or {}).get(METRICS)
    if text is None:
        return dict(_USUAL)
    try:
        found = json.loads(text) if text else {}
        return {str(name): float(value) for name, value in found.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _wish(hpa: Object, metrics: dict[str, float], current: int) -> tuple[int, list[Object]] | str:
    """(replicas by the largest ratio, currentMetrics), or the message why not."""
    wishes: list[int] = []
    shown: list[Object] = []
    for metric in hpa["spec"].get("metrics") or ():
        resource = metric.get("resource") or {}
        name, target = resource.get("name", ""), resource.get("target") or {}
        if metric.get("type") != "Resource" or "averageUtilization" not in target:
            return f"{_FAILED}metrics of type {metric.get('type')} are not simulated"
        if name not in metrics:
            return (
                f"{_FAILED}failed to get {name} utilization: unable to get metrics for resource "
                f"{name}: no metrics returned from resource metrics API"
            )
        ratio = metrics[name] / target["averageUtilization"]
        steady = abs(ratio - 1.0) <= _TOLERANCE
        wishes.append(current if steady else math.ceil(ratio * current - 1e-9))
        value = {"averageUtilization": round(metrics[name])}
        shown.append({"type": "Resource", "resource": {"name": name, "current": value}})
    return (max(wishes), shown) if wishes else f"{_FAILED}no metrics are specified"


class AutoscalerController:
    """Looks at each HPA when it, its target or its metrics change."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.queue = kit.queue("autoscaler", self.reconcile)
        kit.on(HPA, self._changed)
        for gk in (DEPLOYMENT, STATEFUL_SET, REPLICA_SET):
            kit.on(gk, self._target_changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self.queue.add(key_of(new))

    def _target_changed(self, old: Object | None, new: Object | None) -> None:
        subject = new or old
        if subject is None or (old is not None and new is not None and _size(old) == _size(new)):
            return
        name = (subject["kind"], subject["metadata"]["name"])
        for hpa in self.kit.cache.of_kind(HPA, subject["metadata"]["namespace"]):
            reference = hpa["spec"].get("scaleTargetRef") or {}
            if (reference.get("kind"), reference.get("name")) == name:
                self.queue.add(key_of(hpa))

    def reconcile(self, key: ObjectKey) -> None:
        hpa = self.kit.get(HPA, key.namespace, key.name)
        if hpa is None or is_terminating(hpa):
            return
        status = dict(hpa.get("status") or {})
        status.setdefault("desiredReplicas", 0)
        status["currentMetrics"] = None
        reference = hpa["spec"].get("scaleTargetRef") or {}
        target = self._target(hpa, reference)
        if target is None:
            message = (
                "the HPA controller was unable to get the target's current scale: "
                f'{_plural(reference)} "{reference.get("name")}" not found'
            )
            self._set(status, "AbleToScale", "False", "FailedGetScale", message)
            status["conditions"] = without(status["conditions"], "ScalingActive")
        else:
            self._decide(hpa, target, status)
        if status.get("currentMetrics") is None:
            status.pop("currentMetrics", None)
        generation = hpa["metadata"].get("generation")
        if generation is not None:
            status["observedGeneration"] = generation
        self.kit.set_status(hpa, status)

    def _target(self, hpa: Object, reference: Object) -> Object | None:
        group, _ = split_api_version(reference.get("apiVersion", "apps/v1"))
        gk = GroupKind(group, reference.get("kind", ""))
        namespace, name = hpa["metadata"]["namespace"], reference.get("name", "")
        if self.kit.wants(gk):
            return self.kit.get(gk, namespace, name)
        return self.kit.world.get(gk, namespace, name)

    def _set(self, status: Object, kind: str, value: str, reason: str, message: str) -> None:
        status["conditions"] = set_condition(
            status.get("conditions"), kind, value, now=self.kit.now(),
            reason=reason, message=message,
        )  # fmt: skip

    def _decide(self, hpa: Object, target: Object, status: Object) -> None:
        current = _size(target)
        status["currentReplicas"] = current
        able = "the HPA controller was able to get the target's current scale"
        self._set(status, "AbleToScale", "True", "SucceededGetScale", able)
        if current == 0:
            message = "scaling is disabled since the replica count of the target is zero"
            self._set(status, "ScalingActive", "False", "ScalingDisabled", message)
            return
        wish = _wish(hpa, _metrics_of(hpa), current)
        if isinstance(wish, str):
            if wish not in str(status.get("conditions")):
                self.kit.warn(hpa, "FailedGetResourceMetric", wish, component=COMPONENT)
            self._set(status, "ScalingActive", "False", "FailedGetResourceMetric", wish)
            return
        wanted, status["currentMetrics"] = wish
        active = "the HPA was able to successfully calculate a replica count from the metrics"
        self._set(status, "ScalingActive", "True", "ValidMetricFound", active)
        wanted = self._limit(hpa, status, wanted)
        if wanted < current and self._must_wait(hpa, status):
            wanted = current
        status["desiredReplicas"] = wanted
        if wanted != current:
            self._scale(hpa, target, status, wanted)

    def _limit(self, hpa: Object, status: Object, wanted: int) -> int:
        low, high = hpa["spec"].get("minReplicas", 1), hpa["spec"]["maxReplicas"]
        if wanted < low:
            what = ("True", "TooFewReplicas", "the desired replica count is less than the minimum")
        elif wanted > high:
            what = ("True", "TooManyReplicas", "the desired replica count is more than the maximum")
        else:
            what = ("False", "DesiredWithinRange", "the desired count is within the range")
        self._set(status, "ScalingLimited", *what)
        return int(max(low, min(high, wanted)))

    def _must_wait(self, hpa: Object, status: Object) -> bool:
        """Scaling down waits for the stabilisation window since the last scaling."""
        last = status.get("lastScaleTime")
        down: dict[str, Any] = (hpa["spec"].get("behavior") or {}).get("scaleDown") or {}
        window = float(down.get("stabilizationWindowSeconds", _STABILISATION_S))
        if not last:
            return False
        left = window - (self.kit.clock.now() - parse_time(last)).total_seconds()
        if left <= 0:
            return False
        message = "recent recommendations were higher than current one"
        self._set(status, "AbleToScale", "True", "ScaleDownStabilized", message)
        self.queue.add_after(key_of(hpa), left)
        return True

    def _scale(self, hpa: Object, target: Object, status: Object, wanted: int) -> None:
        self.kit.edit(target, lambda fresh: fresh["spec"].update(replicas=wanted))
        message = f"the HPA controller was able to update the target scale to {wanted}"
        self._set(status, "AbleToScale", "True", "SucceededRescale", message)
        status["lastScaleTime"] = self.kit.now()
        text = f"New size: {wanted}; reason: resource utilization differs from target"
        self.kit.event(hpa, "SuccessfulRescale", text, component=COMPONENT)


def _size(target: Object) -> int:
    return int((target.get("spec") or {}).get("replicas", 1))


def _plural(reference: Object) -> str:
    group, _ = split_api_version(reference.get("apiVersion", ""))
    resource = f"{str(reference.get('kind', '')).lower()}s"
    return f"{resource}.{group}" if group else resource
