"""What the executing half asks of a cluster. kube's `Client` and `ClusterCache` fit as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Protocol

from trimtab.engine.model import LiveLike
from trimtab.objects import GroupKind, ObjectKey

__all__ = ["ClientPort", "ClockPort", "LivePort"]


class ClientPort(Protocol):
    """Writes. Errors are kube's; they are told apart by `code` and `reason` attributes."""

    async def get(self, gk: GroupKind, namespace: str, name: str) -> dict[str, Any]: ...

    async def create(
        self, obj: Mapping[str, Any], *, manager: str, dry_run: bool = False
    ) -> dict[str, Any]: ...

    async def replace(
        self, obj: Mapping[str, Any], *, manager: str, dry_run: bool = False
    ) -> dict[str, Any]: ...

    async def apply(
        self, obj: Mapping[str, Any], *, manager: str, force: bool = False, dry_run: bool = False
    ) -> dict[str, Any]: ...

    async def delete(
        self,
        gk: GroupKind,
        namespace: str,
        name: str,
        *,
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
        uid: str | None = None,
    ) -> None: ...


class LivePort(Protocol):
    """The live view: complete lists of the kinds that were ensured."""

    async def ensure(
        self, kinds: Iterable[GroupKind], *, timeout_s: float = 30
    ) -> list[GroupKind]: ...

    def get(self, key: ObjectKey) -> LiveLike | None: ...

    def subscribe(self, listener: Callable[[Any, Any], None]) -> Callable[[], None]: ...

    async def note_write(self, obj: Mapping[str, Any]) -> None: ...


class ClockPort(Protocol):
    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...
