"""What makes a controller: clock, queue, reconcile contract, status, events, logs, metrics."""

from trimtab.runtime.clock import Clock, ManualClock, SystemClock, within
from trimtab.runtime.conditions import (
    get_condition,
    remove_condition,
    rfc3339,
    set_condition,
)
from trimtab.runtime.controller import (
    Context,
    Controller,
    Key,
    Predicate,
    Reconcile,
    Result,
    Watch,
    any_change,
    generation_or_annotations_changed,
)
from trimtab.runtime.crds import install_crds
from trimtab.runtime.errors import NotOwned, ReconcileError, Retryable, Terminal
from trimtab.runtime.events import EventRecorder
from trimtab.runtime.finalizers import add_finalizer, has_finalizer, remove_finalizer
from trimtab.runtime.logs import Level, Logger, mask, scrub_urls, stderr_logger
from trimtab.runtime.manager import Manager
from trimtab.runtime.metrics import Metrics
from trimtab.runtime.queue import Item, Priority, QueueStats, Schedule, WorkQueue
from trimtab.runtime.status import StatusWriter, merge_diff

__all__ = [
    "Clock",
    "Context",
    "Controller",
    "EventRecorder",
    "Item",
    "Key",
    "Level",
    "Logger",
    "Manager",
    "ManualClock",
    "Metrics",
    "NotOwned",
    "Predicate",
    "Priority",
    "QueueStats",
    "Reconcile",
    "ReconcileError",
    "Result",
    "Retryable",
    "Schedule",
    "StatusWriter",
    "SystemClock",
    "Terminal",
    "Watch",
    "WorkQueue",
    "add_finalizer",
    "any_change",
    "generation_or_annotations_changed",
    "get_condition",
    "has_finalizer",
    "install_crds",
    "mask",
    "merge_diff",
    "remove_condition",
    "remove_finalizer",
    "rfc3339",
    "scrub_urls",
    "set_condition",
    "stderr_logger",
    "within",
]
