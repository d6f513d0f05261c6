"""Name references: fields that name another object follow when its name changes.

A reference is rewritten only when what it named before the changes is in the set; of several
candidates the one in the same namespace, then the one with the same history of prefixes and
suffixes (spec/rendering.md 3.4).
"""

from __future__ import annotations

from typing import Any

from trimtab.render.errors import KustomizeError
from trimtab.render.kustomize.fieldspecs import FieldSpec, NameReference, fields
from trimtab.render.kustomize.order import KINDS_FIRST
from trimtab.render.kustomize.resmap import ResMap
from trimtab.render.kustomize.resource import CLUSTER_SCOPED, ResId, Resource

__all__ = ["fix_references"]


class _Target:
    """A resource that had another name, with what is asked about it again and again."""

    __slots__ = ("effective", "id", "previous", "resource")

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.previous = resource.previous_ids()
        self.id = resource.id
        self.effective = resource.effective_namespace


def fix_references(resources: ResMap, table: tuple[NameReference, ...]) -> None:
    """Rewrite every reference in every resource. Raises KustomizeError when a name could mean
    two objects."""
    targets: dict[str, list[_Target]] = {}
    for resource in resources:
        if not resource.previous:
            continue
        target = _Target(resource)
        for name in {was.name for was in resource.previous}:
            targets.setdefault(name, []).append(target)
    if not targets:
        return
    by_kind = _by_kind(table)
    for resource in resources:
        original = resource.original_id.gvk
        rows = [*by_kind.get(original.kind, ()), *by_kind.get("", ())]
        for reference, spec in rows:
            if spec.selects(original):
                _Fixer(resource, reference, spec, targets).run()


def _by_kind(
    table: tuple[NameReference, ...],
) -> dict[str, list[tuple[NameReference, FieldSpec]]]:
    rank = {kind: index - len(KINDS_FIRST) for index, kind in enumerate(KINDS_FIRST)}
    ordered = sorted(
        table,
        key=lambda row: (
            rank.get(row.kind, 0),
            f"{row.group or '~G'}_{row.version or '~V'}_{row.kind or '~K'}",
        ),
    )
    result: dict[str, list[tuple[NameReference, FieldSpec]]] = {}
    for reference in ordered:
        for spec in reference.fields:
            result.setdefault(spec.kind, []).append((reference, spec))
    return result


class _Fixer:
    """One field spec of one referrer."""

    __slots__ = ("_cluster", "_namespace", "_reference", "_referrer", "_spec", "_targets")

    def __init__(
        self,
        referrer: Resource,
        reference: NameReference,
        spec: FieldSpec,
        targets: dict[str, list[_Target]],
    ) -> None:
        self._referrer = referrer
        self._reference = reference
        self._spec = spec
        self._targets = targets
        self._namespace = referrer.effective_namespace
        self._cluster = self._namespace == CLUSTER_SCOPED

    def run(self) -> None:
        for container, key in fields(self._referrer.obj, self._spec):
            value = container[key]
            if isinstance(value, list):
                for index, item in enumerate(value):
                    if isinstance(item, dict):
                        self._fix_mapping(item)
                    elif isinstance(item, str):
                        value[index] = self._new_name(item)
            elif isinstance(value, dict):
                self._fix_mapping(value)
            elif isinstance(value, str):
                container[key] = self._new_name(value)

    def _new_name(self, name: str) -> str:
        found = self._select(name, self._candidates(name), with_namespace=False)
        return found.resource.name if found else name

    def _fix_mapping(self, node: dict[str, Any]) -> None:
        """A mapping with `name` and perhaps `namespace`, both of which follow."""
        name = node.get("name")
        if not isinstance(name, str):
            raise KustomizeError(
                f"field {self._spec.path} of {self._referrer.id} holds a mapping without a name",
                reason="FieldPathInvalid",
            )
        candidates = self._candidates(name)
        namespace = node.get("namespace")
        if namespace is not None:
            originally = [c for c in candidates if c.resource.original_id.namespace == namespace]
            candidates = originally or [c for c in candidates if c.effective == namespace]
        found = self._select(name, candidates, with_namespace=True)
        if found is None:
            return
        node["name"] = found.resource.name
        if found.resource.namespace:
            node["namespace"] = found.resource.namespace

    def _candidates(self, name: str) -> list[_Target]:
        """Those that had the name and that the referrer may refer to from its namespace."""
        targets = self._targets.get(name, ())
        if self._cluster:
            return list(targets)
        accounts = self._account_namespaces()
        return [
            target
            for target in targets
            if target.effective in (CLUSTER_SCOPED, self._namespace)
            or target.resource.namespace in accounts
        ]

    def _account_namespaces(self) -> set[str]:
        if self._referrer.kind != "RoleBinding":
            return set()
        subjects = self._referrer.obj.get("subjects")
        if not isinstance(subjects, list):
            return set()
        return {
            subject["namespace"]
            for subject in subjects
            if isinstance(subject, dict)
            and subject.get("kind") == "ServiceAccount"
            and isinstance(subject.get("namespace"), str)
        }

    def _select(
        self, name: str, candidates: list[_Target], *, with_namespace: bool
    ) -> _Target | None:
        wanted = self._reference
        candidates = [
            c
            for c in candidates
            if any(
                was.gvk.selected_by(wanted.group, wanted.version, wanted.kind) for was in c.previous
            )
            and self._fits_role(c.previous)
            and self._same_namespace(c)
        ]
        if len(candidates) == 1:
            return candidates[0]
        candidates = [c for c in candidates if self._same_affixes(c.resource, loosely=True)]
        if len(candidates) > 1:
            candidates = [c for c in candidates if self._same_affixes(c.resource, loosely=False)]
        if not candidates:
            return None
        distinct = {
            (c.resource.name, c.resource.namespace if with_namespace else "") for c in candidates
        }
        if len(distinct) > 1:
            named = ", ".join(str(c.id) for c in candidates)
            raise KustomizeError(
                f"{name!r} in {self._spec.path} of {self._referrer.id} could mean {named}",
                hint="give the objects different names before they are put together",
                reason="ReferenceAmbiguous",
            )
        return candidates[0]

    def _fits_role(self, previous: list[ResId]) -> bool:
        """A roleRef says which kind it means."""
        if not self._spec.path.endswith("roleRef/name"):
            return True
        role = self._referrer.obj.get("roleRef")
        if not isinstance(role, dict) or role.get("apiGroup") is None or role.get("kind") is None:
            return True
        group, kind = str(role["apiGroup"]), str(role["kind"])
        return any(was.gvk.selected_by(group, "", kind) for was in previous)

    def _same_namespace(self, candidate: _Target) -> bool:
        return (
            self._cluster
            or candidate.effective in (CLUSTER_SCOPED, self._namespace)
            or candidate.resource.kind == "ServiceAccount"
        )

    def _same_affixes(self, candidate: Resource, *, loosely: bool) -> bool:
        return _same_end(candidate.prefixes, self._referrer.prefixes, loosely) and _same_end(
            candidate.suffixes, self._referrer.suffixes, loosely
        )


def _same_end(ours: list[str], theirs: list[str], loosely: bool) -> bool:
    """One list ends as the other does; loosely, an empty list ends as any."""
    if not ours or not theirs:
        return loosely or ours == theirs
    count = min(len(ours), len(theirs))
    return ours[-count:] == theirs[-count:]
