"""The records of one cluster and their indices. Synchronous: one loop, no locks.

Source: spec/controller-runtime.md 4.5, 4.7, 5.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from trimtab.kube.ports import Clock, Observer
from trimtab.kube.record import LiveObject
from trimtab.objects import GroupKind, ObjectKey

__all__ = ["Index", "Listener", "Records", "Store", "newer", "version_number"]

Listener = Callable[[LiveObject | None, LiveObject | None], None]
Index = Callable[[dict[str, Any]], Iterable[str]]
Records = list[LiveObject]  # inside the class, `list` is a method

ASSUMED_S = 30.0


def version_number(text: str) -> int | None:
    """A resourceVersion as a number; None when it is not one (then only arrival order counts)."""
    return int(text) if text.isascii() and text.isdigit() else None


def newer(left: str, right: str) -> bool:
    """Is version `left` later than `right`? Versions that cannot be compared count as later."""
    a, b = version_number(left), version_number(right)
    return a is None or b is None or a > b


class Store:
    """Objects by kind, namespace and name; by owner; by declared indices."""

    def __init__(self, *, clock: Clock, index: Mapping[str, Index], observer: Observer) -> None:
        self._clock = clock
        self._observer = observer
        self._index = dict(index)
        self._kinds: dict[GroupKind, dict[str, dict[str, LiveObject]]] = {}
        self._children: dict[str, dict[ObjectKey, None]] = {}
        self._entries: dict[str, dict[str, dict[ObjectKey, None]]] = {name: {} for name in index}
        self._indexed: dict[ObjectKey, tuple[tuple[str, str], ...]] = {}
        self._assumed: dict[ObjectKey, float] = {}
        self._listeners: list[Listener] = []

    # -- reading ---------------------------------------------------------------------------

    def get(self, key: ObjectKey) -> LiveObject | None:
        spaces = self._kinds.get(GroupKind(key.group, key.kind))
        return spaces.get(key.namespace, {}).get(key.name) if spaces else None

    def list(self, gk: GroupKind, namespace: str | None = None) -> list[LiveObject]:
        spaces = self._kinds.get(gk, {})
        if namespace is not None:
            return list(spaces.get(namespace, {}).values())
        return [record for names in spaces.values() for record in names.values()]

    def by_index(self, name: str, value: str) -> Records:
        """Raises KeyError for an index that was not declared."""
        return self._records(self._entries[name].get(value, {}))

    def children(self, uid: str) -> Records:
        return self._records(self._children.get(uid, {}))

    def count(self, gk: GroupKind) -> int:
        return sum(len(names) for names in self._kinds.get(gk, {}).values())

    def _records(self, keys: Iterable[ObjectKey]) -> Records:
        return [record for key in keys if (record := self.get(key)) is not None]

    # -- writing ---------------------------------------------------------------------------

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener(old, new)` on every change; the returned function ends it."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def upsert(self, record: LiveObject) -> bool:
        """Take a record in unless it is not newer than what is stored. True when taken."""
        old = self.get(record.key)
        if old is not None and not newer(record.resource_version, old.resource_version):
            return False
        if old is not None and old.uid != record.uid:
            self._drop(old)
            old = None
        self._assumed.pop(record.key, None)
        self._put(old, record)
        return True

    def remove(self, key: ObjectKey, *, resource_version: str, uid: str) -> bool:
        """Take a record out at the deletion's version. An older deletion is ignored."""
        old = self.get(key)
        if old is None:
            return False
        late = newer(old.resource_version, resource_version) and version_number(resource_version)
        if late or (uid and old.uid and uid != old.uid and late is not None):
            return False
        self._drop(old)
        return True

    def assume(self, record: LiveObject) -> bool:
        """Take in what a write of ours returned, ahead of the watch."""
        if not self.upsert(record):
            return False
        self._assumed[record.key] = self._clock.monotonic()
        return True

    def replace(self, gk: GroupKind, records: Iterable[LiveObject], resource_version: str) -> None:
        """Make a kind exactly this list; the difference by uid and version goes to listeners.

        Writes of ours newer than the list (and younger than 30 s) survive it.
        """
        wanted = {record.key: record for record in records}
        for old in self.list(gk):
            if old.key not in wanted and not self._ahead(old, resource_version):
                self._drop(old)
        for record in wanted.values():
            stored = self.get(record.key)
            if stored is None:
                self._put(None, record)
            elif stored.uid != record.uid:
                self._drop(stored)
                self._put(None, record)
            elif stored.resource_version == record.resource_version or (
                self._ahead(stored, record.resource_version)
            ):
                continue
            else:
                self._assumed.pop(record.key, None)
                self._put(stored, record)

    def caught_up(self, gk: GroupKind, resource_version: str) -> None:
        """The watch has passed this version: writes of ours up to it need no protection."""
        if not self._assumed:
            return
        for key in [key for key in self._assumed if key.group_kind == gk]:
            record = self.get(key)
            if record is None or not newer(record.resource_version, resource_version):
                del self._assumed[key]

    def _ahead(self, record: LiveObject, resource_version: str) -> bool:
        since = self._assumed.get(record.key)
        return (
            since is not None
            and self._clock.monotonic() - since < ASSUMED_S
            and newer(record.resource_version, resource_version)
        )

    def _put(self, old: LiveObject | None, new: LiveObject) -> None:
        if old is not None:
            self._unindex(old)
        key = new.key
        spaces = self._kinds.setdefault(GroupKind(key.group, key.kind), {})
        spaces.setdefault(key.namespace, {})[key.name] = new
        for uid in new.owners:
            self._children.setdefault(uid, {})[key] = None
        self._add_to_indices(new)
        self._tell(old, new)

    def _drop(self, old: LiveObject) -> None:
        key = old.key
        self._unindex(old)
        self._assumed.pop(key, None)
        spaces = self._kinds[GroupKind(key.group, key.kind)]
        names = spaces[key.namespace]
        del names[key.name]
        if not names:
            del spaces[key.namespace]
        self._tell(old, None)

    def _add_to_indices(self, record: LiveObject) -> None:
        if not self._index:
            return
        found: list[tuple[str, str]] = []
        obj = record.obj
        for name, function in self._index.items():
            try:
                found.extend((name, value) for value in function(obj))
            except Exception as error:  # noqa: BLE001 - a faulty index must not end the watch
                self._observer.trouble(
                    "an index function failed",
                    index=name,
                    object=str(record.key),
                    error=repr(error),
                )
        for name, value in found:
            self._entries[name].setdefault(value, {})[record.key] = None
        if found:
            self._indexed[record.key] = tuple(found)

    def _unindex(self, record: LiveObject) -> None:
        for uid in record.owners:
            _discard(self._children, uid, record.key)
        for name, value in self._indexed.pop(record.key, ()):
            _discard(self._entries[name], value, record.key)

    def _tell(self, old: LiveObject | None, new: LiveObject | None) -> None:
        for listener in list(self._listeners):
            try:
                listener(old, new)
            except Exception as error:  # noqa: BLE001 - one listener must not end the watch
                key = (new or old).key if (new or old) else None  # type: ignore[union-attr]
                self._observer.trouble(
                    "a listener of the cache failed", object=str(key), error=repr(error)
                )


def _discard(table: dict[str, dict[ObjectKey, None]], value: str, key: ObjectKey) -> None:
    keys = table.get(value)
    if keys is not None:
        keys.pop(key, None)
        if not keys:
            del table[value]
