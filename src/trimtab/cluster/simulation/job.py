"""Job: Pods that run to their end (spec/embedded-cluster.md 11)."""

from __future__ import annotations

import copy

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.cache import controller_of
from trimtab.cluster.simulation.clock import parse_time
from trimtab.cluster.simulation.conditions import condition, condition_is
from trimtab.cluster.simulation.kinds import JOB, POD
from trimtab.cluster.simulation.kit import Kit, owner_reference
from trimtab.cluster.simulation.podspec import (
    is_active,
    is_ready,
    is_terminating,
    phase,
    pod_from_template,
    restarts,
)
from trimtab.errors import TrimtabError
from trimtab.objects.identity import ObjectKey, key_of

__all__ = ["JobController", "job_outcome"]

COMPONENT = "job-controller"
INDEX = "batch.kubernetes.io/job-completion-index"
_BACKOFF_BASE_S, _BACKOFF_CAP_S = 10.0, 600.0
_REACHED = ("CompletionsReached", "Reached expected number of succeeded pods")


def job_outcome(job: Object) -> str:
    """`Complete`, `Failed` or "" while it goes on."""
    conditions = (job.get("status") or {}).get("conditions")
    return next((k for k in ("Complete", "Failed") if condition_is(conditions, k)), "")


class JobController:
    """Runs Jobs."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.queue = kit.queue("job", self.reconcile)
        kit.on(JOB, self._changed)
        kit.on(POD, self._pod_changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        subject = new or old
        if subject is not None:
            self.queue.add(key_of(subject))
        if old is None and new is not None:
            self._admit_limits(new)

    def _admit_limits(self, job: Object) -> None:
        for field in ("podFailurePolicy", "successPolicy", "backoffLimitPerIndex"):
            if field in job["spec"]:
                message = f"spec.{field} is not simulated and has no effect"
                self.kit.warn(job, "NotSimulated", message, component=COMPONENT)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        subject = new or old
        owner = controller_of(subject) if subject is not None else None
        if subject is not None and owner is not None and owner.get("kind") == "Job":
            namespace = subject["metadata"]["namespace"]
            self.queue.add(ObjectKey("batch", "Job", namespace, owner["name"]))

    def reconcile(self, key: ObjectKey) -> None:
        job = self.kit.get(JOB, key.namespace, key.name)
        if job is None or is_terminating(job):
            return
        if job_outcome(job):
            self._expire(job)
        else:
            _Pass(self, job).act()

    def _expire(self, job: Object) -> None:
        """ttlSecondsAfterFinished."""
        ttl = job["spec"].get("ttlSecondsAfterFinished")
        done = condition((job.get("status") or {}).get("conditions"), job_outcome(job))
        if ttl is None or done is None:
            return
        age = (self.kit.clock.now() - parse_time(done["lastTransitionTime"])).total_seconds()
        if age >= ttl:
            self.kit.delete(job)
        else:
            self.queue.add_after(key_of(job), ttl - age)


class _Pass:
    """One reconcile of one unfinished Job."""

    def __init__(self, controller: JobController, job: Object) -> None:
        self.kit, self.queue, self.job = controller.kit, controller.queue, job
        self.spec: Object = job["spec"]
        self.status: Object = copy.deepcopy(job.get("status") or {})
        self.indexed = self.spec.get("completionMode") == "Indexed"
        self.completions: int | None = self.spec.get("completions")
        if self.completions is None and "parallelism" not in self.spec:
            self.completions = 1

    def pods(self) -> list[Object]:
        return self.kit.cache.owned(self.job["metadata"]["uid"], POD)

    def act(self) -> None:
        if self.spec.get("suspend"):
            self._suspend()
            return
        self._begin()
        reason = self._failure()
        if reason is not None:
            self._finish("Failed", *reason)
        elif self._succeeded_enough():
            self._finish("Complete", *_REACHED)
        else:
            self._fill()
            self._write()

    def _begin(self) -> None:
        if condition_is(self.status.get("conditions"), "Suspended"):
            self._condition("Suspended", "False", "JobResumed", "Job resumed")
            self.kit.event(self.job, "Resumed", "Job resumed", component=COMPONENT)
        self.status.setdefault("startTime", self.kit.now())

    def _suspend(self) -> None:
        for pod in self.pods():
            if is_active(pod):
                self._delete(pod)
        if not condition_is(self.status.get("conditions"), "Suspended"):
            self._condition("Suspended", "True", "JobSuspended", "Job suspended")
            self.kit.event(self.job, "Suspended", "Job suspended", component=COMPONENT)
        self.status.pop("startTime", None)
        self._write()

    # -- verdicts -------------------------------------------------------------------------------

    def _count(self, wanted: str) -> int:
        return sum(phase(pod) == wanted for pod in self.pods())

    def _failure(self) -> tuple[str, str] | None:
        """(reason, message) when the Job has failed."""
        limit = self.spec.get("backoffLimit", 6)
        tries = self._count("Failed")
        template = self.spec["template"].get("spec") or {}
        if template.get("restartPolicy") == "OnFailure":
            tries += sum(restarts(p) for p in self.pods() if is_active(p))
        if tries > limit:
            return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        deadline = self.spec.get("activeDeadlineSeconds")
        if deadline is None:
            return None
        age = self._seconds_since(self.status["startTime"])
        if age >= deadline:
            return "DeadlineExceeded", "Job was active longer than specified deadline"
        self.queue.add_after(key_of(self.job), deadline - age)
        return None

    def _seconds_since(self, stamp: str) -> float:
        return (self.kit.clock.now() - parse_time(stamp)).total_seconds()

    def _done_indexes(self) -> set[int]:
        return {
            int((p["metadata"].get("annotations") or {}).get(INDEX, -1))
            for p in self.pods()
            if phase(p) == "Succeeded"
        }

    def _succeeded_enough(self) -> bool:
        done = len(self._done_indexes()) if self.indexed else self._count("Succeeded")
        if self.completions is None:  # a work queue: one success and nobody at work
            return done > 0 and not any(is_active(p) for p in self.pods())
        return done >= self.completions

    def _finish(self, kind: str, reason: str, message: str) -> None:
        for pod in self.pods():
            if is_active(pod):
                self._delete(pod)
        first = "SuccessCriteriaMet" if kind == "Complete" else "FailureTarget"
        self._condition(first, "True", reason, message)
        self._condition(kind, "True", reason, message)
        if kind == "Complete":
            self.status["completionTime"] = self.kit.now()
            self.kit.event(self.job, "Completed", "Job completed", component=COMPONENT)
        else:
            self.kit.warn(self.job, reason, message, component=COMPONENT)
        self._write()

    # -- Pods -----------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Creates Pods up to parallelism, after a back-off when some have failed."""
        active = [p for p in self.pods() if is_active(p)]
        parallelism = self.spec.get("parallelism", 1)
        wanted = parallelism
        if self.completions is not None:
            done = len(self._done_indexes()) if self.indexed else self._count("Succeeded")
            wanted = min(parallelism, self.completions - done)
        elif self._count("Succeeded"):
            wanted = len(active)
        for pod in active[max(0, wanted) :]:
            self._delete(pod)
        missing = wanted - len(active)
        if missing <= 0:
            return
        wait = self._backoff()
        if wait > 0:
            self.queue.add_after(key_of(self.job), wait)
            return
        for index in self._free_indexes(active, missing):
            if not self._create(index):
                return

    def _free_indexes(self, active: list[Object], missing: int) -> list[int | None]:
        if not self.indexed:
            return [None] * missing
        busy = {int((p["metadata"].get("annotations") or {}).get(INDEX, -1)) for p in active}
        taken = busy | self._done_indexes()
        free: list[int | None] = [i for i in range(self.completions or 0) if i not in taken]
        return free[:missing]

    def _backoff(self) -> float:
        """Seconds to wait after the youngest failure: 10 s doubling to 10 minutes."""
        ends = [
            state["finishedAt"]
            for pod in self.pods()
            if phase(pod) == "Failed"
            for c in (pod.get("status") or {}).get("containerStatuses") or ()
            if (state := (c.get("state") or {}).get("terminated") or {}).get("finishedAt")
        ]
        if not ends:
            return 0.0
        pause: float = min(_BACKOFF_CAP_S, _BACKOFF_BASE_S * 2 ** min(self._count("Failed") - 1, 6))
        return pause - self._seconds_since(max(ends))

    def _create(self, index: int | None) -> bool:
        meta = self.job["metadata"]
        prefix = f"{meta['name']}-" if index is None else f"{meta['name']}-{index}-"
        pod = pod_from_template(
            self.spec["template"],
            namespace=meta["namespace"],
            owner=owner_reference(self.job, api_version="batch/v1", kind="Job"),
            prefix=prefix,
        )
        pod["metadata"]["labels"] = {
            **(pod["metadata"].get("labels") or {}),
            "batch.kubernetes.io/controller-uid": meta["uid"],
            "batch.kubernetes.io/job-name": meta["name"],
            "controller-uid": meta["uid"],
            "job-name": meta["name"],
        }
        if index is not None:
            notes = pod["metadata"].get("annotations") or {}
            pod["metadata"]["annotations"] = {**notes, INDEX: str(index)}
            pod["spec"]["hostname"] = f"{meta['name']}-{index}"
        try:
            made = self.kit.create(pod)
        except TrimtabError as error:
            if error.reason != "NotFound":
                message = f"Error creating: {error.message}"
                self.kit.warn(self.job, "FailedCreate", message, component=COMPONENT)
                self.queue.add_after(key_of(self.job), 5.0)
            return False
        message = f"Created pod: {made['metadata']['name']}"
        self.kit.event(self.job, "SuccessfulCreate", message, component=COMPONENT)
        return True

    def _delete(self, pod: Object) -> None:
        self.kit.delete(pod)
        message = f"Deleted pod: {pod['metadata']['name']}"
        self.kit.event(self.job, "SuccessfulDelete", message, component=COMPONENT)

    # -- status ---------------------------------------------------------------------------------

    def _condition(self, kind: str, status: str, reason: str, message: str) -> None:
        now = self.kit.now()
        others = [c for c in self.status.get("conditions") or () if c["type"] != kind]
        self.status["conditions"] = [
            *others,
            {
                "type": kind,
                "status": status,
                "lastProbeTime": now,
                "lastTransitionTime": now,
                "reason": reason,
                "message": message,
            },
        ]

    def _write(self) -> None:
        pods = self.pods()
        active = [p for p in pods if is_active(p)]
        counts = {
            "active": len(active),
            "succeeded": self._count("Succeeded"),
            "failed": self._count("Failed"),
        }
        for name, count in counts.items():
            self.status.pop(name, None)
            if count:
                self.status[name] = count
        self.status["ready"] = sum(is_ready(p) for p in active)
        self.status["terminating"] = sum(is_terminating(p) for p in pods)
        self.status["uncountedTerminatedPods"] = {}
        if self.indexed and self._done_indexes():
            self.status["completedIndexes"] = _ranges(sorted(self._done_indexes()))
        self.kit.set_status(self.job, self.status)


def _ranges(numbers: list[int]) -> str:
    """`0-2,5` of 0, 1, 2, 5."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ",".join(f"{a}-{b}" if a != b else str(a) for a, b in spans)
