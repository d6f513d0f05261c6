"""CronJob: a Job whenever the schedule says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from trimtab.cluster.simulation.api import Object
from trimtab.cluster.simulation.cache import controller_of
from trimtab.cluster.simulation.clock import parse_time, stamp
from trimtab.cluster.simulation.job import job_outcome
from trimtab.cluster.simulation.kinds import CRON_JOB, JOB
from trimtab.cluster.simulation.kit import Kit, owner_reference
from trimtab.cluster.simulation.podspec import is_terminating
from trimtab.cluster.simulation.schedule import BadSchedule, Schedule, parse_schedule
from trimtab.errors import TrimtabError
from trimtab.objects.identity import ObjectKey, key_of

__all__ = ["CronJobController"]

COMPONENT = "cronjob-controller"
_MOST_MISSED = 100


class CronJobController:
    """Keeps CronJobs."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit
        self.queue = kit.queue("cronjob", self.reconcile)
        kit.on(CRON_JOB, self._changed)
        kit.on(JOB, self._job_changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        subject = new or old
        if subject is not None:
            self.queue.add(key_of(subject))

    def _job_changed(self, old: Object | None, new: Object | None) -> None:
        subject = new or old
        owner = controller_of(subject) if subject is not None else None
        if subject is not None and owner is not None and owner.get("kind") == "CronJob":
            namespace = subject["metadata"]["namespace"]
            self.queue.add(ObjectKey("batch", "CronJob", namespace, owner["name"]))

    def reconcile(self, key: ObjectKey) -> None:
        cron = self.kit.get(CRON_JOB, key.namespace, key.name)
        if cron is None or is_terminating(cron):
            return
        self._trim(cron)
        status: Object = dict(cron.get("status") or {})
        try:
            schedule, zone = _schedule_of(cron)
        except TrimtabError as error:
            self.kit.warn(cron, error.reason, error.message, component=COMPONENT)
        else:
            if not cron["spec"].get("suspend"):
                self._run_due(cron, schedule, zone, status)
        self._write_status(cron, status)

    def _jobs(self, cron: Object) -> list[Object]:
        return self.kit.cache.owned(cron["metadata"]["uid"], JOB)

    def _run_due(self, cron: Object, schedule: Schedule, zone: tzinfo, status: Object) -> None:
        """Starts the latest missed run, and sets the timer for the next one."""
        now = self.kit.clock.now()
        since = parse_time(status.get("lastScheduleTime") or cron["metadata"]["creationTimestamp"])
        deadline = cron["spec"].get("startingDeadlineSeconds")
        if deadline is not None:
            since = max(since, now - timedelta(seconds=deadline))
        due, following, missed = None, schedule.next_after(since, zone=zone), 0
        while following is not None and following <= now:
            due, missed = following, missed + 1
            following = schedule.next_after(following, zone=zone)
            if missed > _MOST_MISSED:
                message = "too many missed start times; set or decrease startingDeadlineSeconds"
                self.kit.warn(cron, "TooManyMissedTimes", message, component=COMPONENT)
                following = schedule.next_after(now, zone=zone)
                break
        if due is not None:
            self._start(cron, due, status)
        if following is not None:
            self.queue.add_after(key_of(cron), (following - now).total_seconds())

    def _start(self, cron: Object, due: datetime, status: Object) -> None:
        active = [job for job in self._jobs(cron) if not job_outcome(job)]
        policy = cron["spec"].get("concurrencyPolicy", "Allow")
        if active and policy == "Forbid":
            message = "Job not started: the prior run is active and concurrency policy is Forbid"
            self.kit.event(cron, "JobAlreadyActive", message, component=COMPONENT)
            return
        if policy == "Replace":
            for job in active:
                self.kit.delete(job)
        try:
            made = self.kit.create(_job(cron, due))
        except TrimtabError as error:
            if error.reason not in {"AlreadyExists", "NotFound"}:
                message = f"Error creating job: {error.message}"
                self.kit.warn(cron, "FailedCreate", message, component=COMPONENT)
                return
        else:
            message = f"Created job {made['metadata']['name']}"
            self.kit.event(cron, "SuccessfulCreate", message, component=COMPONENT)
        status["lastScheduleTime"] = stamp(due)

    def _trim(self, cron: Object) -> None:
        """History limits: the oldest finished Jobs go."""
        for kind, field, default in (
            ("Complete", "successfulJobsHistoryLimit", 3),
            ("Failed", "failedJobsHistoryLimit", 1),
        ):
            done = [job for job in self._jobs(cron) if job_outcome(job) == kind]
            done.sort(key=lambda job: (job.get("status") or {}).get("startTime") or "")
            surplus = len(done) - cron["spec"].get(field, default)
            for job in done[: max(0, surplus)]:
                self.kit.delete(job)

    def _write_status(self, cron: Object, status: Object) -> None:
        jobs = self._jobs(cron)
        active = sorted(
            (job for job in jobs if not job_outcome(job)), key=lambda j: j["metadata"]["name"]
        )
        status.pop("active", None)
        if active:
            status["active"] = [_reference(job) for job in active]
        ends = [job["status"]["completionTime"] for job in jobs if job_outcome(job) == "Complete"]
        if ends:
            status["lastSuccessfulTime"] = max([*ends, status.get("lastSuccessfulTime", "")])
        if status or cron.get("status"):
            self.kit.set_status(cron, status)


def _schedule_of(cron: Object) -> tuple[Schedule, tzinfo]:
    schedule = parse_schedule(cron["spec"]["schedule"])
    name = cron["spec"].get("timeZone")
    if not name:
        return schedule, UTC
    try:
        return schedule, ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise BadSchedule(f"time zone {name!r} is not known", reason="UnknownTimeZone") from error


def _job(cron: Object, due: datetime) -> Object:
    template, meta = cron["spec"]["jobTemplate"], cron["metadata"]
    theirs = template.get("metadata") or {}
    notes = theirs.get("annotations") or {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{meta['name']}-{int(due.timestamp()) // 60}",
            "namespace": meta["namespace"],
            "labels": theirs.get("labels") or {},
            "annotations": {
                **notes,
                "batch.kubernetes.io/cronjob-scheduled-timestamp": stamp(due),
            },
            "ownerReferences": [owner_reference(cron, api_version="batch/v1", kind="CronJob")],
        },
        "spec": template["spec"],
    }


def _reference(job: Object) -> Object:
    meta = job["metadata"]
    return {
        "kind": "Job",
        "namespace": meta["namespace"],
        "name": meta["name"],
        "uid": meta["uid"],
        "apiVersion": "batch/v1",
        "resourceVersion": meta["resourceVersion"],
    }
