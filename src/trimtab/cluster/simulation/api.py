"""What the simulated controllers see of the cluster: the `World`.

The embedded server implements it on its store; a test may implement it on a few dicts. The
controllers never see HTTP. Everything is synchronous on one event loop, so a read that follows
a write sees it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from trimtab.objects.identity import GroupKind

__all__ = ["Listener", "Object", "World"]

Object = dict[str, Any]
"""A Kubernetes object as plain JSON values."""

Listener = Callable[[str, Object | None, Object], None]
"""Called with (`ADDED` | `MODIFIED` | `DELETED`, old or None, new) after a write is true.

`new` of a `DELETED` is the last state. The listener must be fast, must not raise and must not
mutate what it is given; the caller must not mutate it later either.
"""


class World(Protocol):
    """The cluster as a controller inside the process sees it.

    Errors are `trimtab.cluster.errors.ApiError` with Kubernetes' reasons (`NotFound`,
    `AlreadyExists`, `Conflict`, `Invalid`, `Forbidden`). What is passed in is not mutated: it may
    share parts with what the world told of earlier.
    """

    def get(self, gk: GroupKind, namespace: str, name: str) -> Object | None:
        """A private decoded copy, or None. Cluster-scoped: namespace ""."""

    def list(self, gk: GroupKind, namespace: str | None = None) -> list[Object]:
        """Objects of a kind, in one namespace or in all, ordered by namespace and name."""

    def create(self, obj: Object, *, manager: str) -> Object:
        """As an API create would: defaulting, validation, managed fields, generateName."""

    def update(self, obj: Object, *, manager: str, subresource: str = "") -> Object:
        """As an API update would; `resourceVersion` is checked when present.

        `subresource` "status" keeps everything but the status. "binding" of a Pod is the
        scheduler's: `spec.nodeName` of `obj` is taken over although a Pod's spec is immutable.
        """

    def delete(
        self,
        gk: GroupKind,
        namespace: str,
        name: str,
        *,
        propagation: str = "Background",
        grace: int | None = None,
        uid: str | None = None,
    ) -> None:
        """As an API delete would.

        A Pod that is bound to a node only gets a deletionTimestamp (its own grace when `grace`
        is None); the simulated kubelet ends it with `grace=0`.
        """

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Calls `listener` for every write from now on. Returns what ends the subscription."""

    def event(
        self,
        regarding: Object,
        *,
        type: str,  # noqa: A002  the field's own name
        reason: str,
        message: str,
        component: str,
    ) -> None:
        """Records a Kubernetes Event (`type` is Normal or Warning), aggregated by the world."""
