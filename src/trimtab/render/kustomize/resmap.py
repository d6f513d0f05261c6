"""An ordered set of resources in which no two share an identity (spec/rendering.md 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from trimtab.render.errors import KustomizeError
from trimtab.render.kustomize.resource import ResId, Resource

__all__ = ["ResMap"]


class ResMap:
    """Resources in order. Look-ups by identity are linear in the number of resources that
    share a name, since names change while a build runs."""

    __slots__ = ("_list",)

    def __init__(self) -> None:
        self._list: list[Resource] = []

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._list)

    def __len__(self) -> int:
        return len(self._list)

    def append(self, resource: Resource) -> None:
        """Add one. Raises KustomizeError naming both origins when its identity is taken."""
        name = resource.name
        wanted = resource.id
        for other in self._list:
            if other.name == name and other.id == wanted:
                raise KustomizeError(
                    f"{wanted} is defined twice: in {other.where} and in {resource.where}",
                    hint="remove one of the two, or turn one into a patch",
                    reason="DuplicateResource",
                )
        self._list.append(resource)

    def extend(self, resources: Iterable[Resource]) -> None:
        """Add many, each checked against the others."""
        resources = list(resources)
        seen = {resource.id: resource for resource in self._list}
        for resource in resources:
            if resource.id in seen:
                self.append(resource)
            seen[resource.id] = resource
            self._list.append(resource)

    def replace(self, old: Resource, new: Resource) -> None:
        self._list[self._list.index(old)] = new

    def remove(self, resource: Resource) -> None:
        self._list.remove(resource)

    def reorder(self, key: Callable[[Resource], object]) -> None:
        self._list.sort(key=key)  # type: ignore[arg-type]  # keys are tuples of one shape

    def by_current_id(self, wanted: ResId) -> list[Resource]:
        return [r for r in self._list if r.name == wanted.name and r.id == wanted]

    def by_any_id(self, wanted: ResId) -> list[Resource]:
        """Resources that are, or were, called so."""
        return [
            resource
            for resource in self._list
            if (resource.name == wanted.name and resource.id == wanted)
            or (resource.previous and wanted in resource.previous_ids())
        ]
