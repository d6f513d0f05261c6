"""FieldSet: which fields a manager owns. A tree of path elements, with the algebra of sets.

A set has `members` (elements of this level that it contains) and `children` (what it contains
below an element). An element may be both: in `fieldsV1` that is the `.`:

    {"f:labels": {".": {}, "f:app": {}}}    contains .labels itself and .labels.app

Values are never changed after they were built, and subtrees are shared.
Source: spec/embedded-cluster.md 8.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from trimtab.objects.managed.elements import BadElement, Path, canonical, sorted_elements

__all__ = ["EMPTY", "FieldSet"]

Members = frozenset[str]
_NONE: Final[Members] = frozenset()


class FieldSet:
    """A set of field paths. Equal sets have equal `to_v1()`, byte for byte."""

    __slots__ = ("children", "members")

    def __init__(
        self, members: Iterable[str] = _NONE, children: Mapping[str, FieldSet] | None = None
    ) -> None:
        self.members: Members = frozenset(members)
        self.children: dict[str, FieldSet] = {
            element: child for element, child in (children or {}).items() if child
        }

    @classmethod
    def of(cls, paths: Iterable[Path]) -> FieldSet:
        """The set of exactly these paths."""
        members: set[str] = set()
        below: dict[str, list[Path]] = {}
        for path in paths:
            if len(path) == 1:
                members.add(path[0])
            elif path:
                below.setdefault(path[0], []).append(path[1:])
        return cls(members, {element: cls.of(rest) for element, rest in below.items()})

    @classmethod
    def from_v1(cls, fields: Mapping[str, Any]) -> FieldSet:
        """Read `fieldsV1`. Raises `BadElement` for what is not a set of fields."""
        if not isinstance(fields, Mapping):
            raise BadElement("fieldsV1 is not an object")
        members: list[str] = []
        children: dict[str, FieldSet] = {}
        for raw, below in fields.items():
            if raw == ".":
                continue
            element = raw if raw[:2] == "f:" else canonical(raw)
            if not below:
                members.append(element)
                continue
            child = cls.from_v1(below)
            if "." in below:
                members.append(element)
            if child:
                children[element] = child
        return cls(members, children)

    def to_v1(self) -> dict[str, Any]:
        """`fieldsV1`, in an API server's order at every level, so that equal sets print equally."""
        out: dict[str, Any] = {}
        for element in sorted_elements(self.members | self.children.keys()):
            child = self.children.get(element)
            if child is None:
                out[element] = {}
            elif element in self.members:
                out[element] = {".": {}, **child.to_v1()}
            else:
                out[element] = child.to_v1()
        return out

    def __bool__(self) -> bool:
        return bool(self.members or self.children)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FieldSet):
            return NotImplemented
        return self is other or (self.members == other.members and self.children == other.children)

    def __hash__(self) -> int:
        return hash((self.members, frozenset(self.children.items())))

    def __repr__(self) -> str:
        return f"FieldSet({self.to_v1()})"

    def __len__(self) -> int:
        """How many paths the set contains."""
        return len(self.members) + sum(len(child) for child in self.children.values())

    def __contains__(self, path: Path) -> bool:
        node: FieldSet | None = self
        for element in path[:-1]:
            node = node.children.get(element) if node else None
        return bool(path) and node is not None and path[-1] in node.members

    def below(self, element: str) -> FieldSet:
        """What the set contains below `element`."""
        return self.children.get(element) or EMPTY

    def union(self, other: FieldSet) -> FieldSet:
        if not other or self is other:
            return self
        if not self:
            return other
        children = dict(self.children)
        for element, child in other.children.items():
            mine = children.get(element)
            children[element] = mine.union(child) if mine else child
        return FieldSet(self.members | other.members, children)

    def intersection(self, other: FieldSet) -> FieldSet:
        children = {
            element: child.intersection(other.children[element])
            for element, child in self.children.items()
            if element in other.children
        }
        return FieldSet(self.members & other.members, children)

    def difference(self, other: FieldSet) -> FieldSet:
        """Without the paths of `other`; what lies below such a path stays. `self` if unchanged."""
        return self.without(other, recursive=False)

    def recursive_difference(self, other: FieldSet) -> FieldSet:
        """Without the paths of `other` and everything below them. `self` if unchanged."""
        return self.without(other, recursive=True)

    def without(self, other: FieldSet, *, recursive: bool) -> FieldSet:
        """Both differences; the two names above say which is meant."""
        members = self.members - other.members
        changed = len(members) != len(self.members)
        children: dict[str, FieldSet] = {}
        for element, child in self.children.items():
            if recursive and element in other.members:
                changed = True
                continue
            cut = other.children.get(element)
            kept = child.without(cut, recursive=recursive) if cut else child
            changed = changed or kept is not child
            children[element] = kept
        return FieldSet(members, children) if changed else self

    def issubset(self, other: FieldSet) -> bool:
        if self is other:
            return True
        if not self.members <= other.members:
            return False
        return all(
            element in other.children and child.issubset(other.children[element])
            for element, child in self.children.items()
        )

    def leaves(self) -> FieldSet:
        """Only the paths with nothing of the set below them."""
        return FieldSet(
            self.members - self.children.keys(),
            {element: child.leaves() for element, child in self.children.items()},
        )

    def paths(self, prefix: Path = ()) -> Iterator[Path]:
        """Every path, in an API server's order: a level's own members, then what is below them."""
        for element in sorted_elements(self.members):
            yield (*prefix, element)
        for element in sorted_elements(self.children):
            yield from self.children[element].paths((*prefix, element))


EMPTY: Final = FieldSet()
