"""Who may do what: Roles and their bindings, evaluated (spec/embedded-cluster.md 12)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from trimtab.cluster.store import Change, Store
from trimtab.objects import from_label_selector
from trimtab.objects.identity import GroupKind

__all__ = ["MASTERS", "Access", "Authorizer", "User"]

MASTERS: Final = "system:masters"
RBAC: Final = "rbac.authorization.k8s.io"
ROLE: Final = GroupKind(RBAC, "Role")
CLUSTER_ROLE: Final = GroupKind(RBAC, "ClusterRole")
ROLE_BINDING: Final = GroupKind(RBAC, "RoleBinding")
CLUSTER_ROLE_BINDING: Final = GroupKind(RBAC, "ClusterRoleBinding")
_KINDS: Final = frozenset({ROLE, CLUSTER_ROLE, ROLE_BINDING, CLUSTER_ROLE_BINDING})

Object = Mapping[str, Any]
Subject = tuple[str, str]


class User(msgspec.Struct, frozen=True):
    """Who asks. `extra` holds what the authenticator said besides."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def info(self) -> dict[str, Any]:
        """The `userInfo` of a review."""
        found: dict[str, Any] = {"username": self.name, "groups": list(self.groups)}
        if self.uid:
            found["uid"] = self.uid
        if self.extra:
            found["extra"] = {key: list(values) for key, values in self.extra}
        return found


class Access(msgspec.Struct, frozen=True):
    """What is asked for: an action on a resource, or on a path that is none."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    def refusal(self, user: User) -> str:
        """Kubernetes' words for a no."""
        who = f'User "{user.name}"'
        if self.path:
            return f'{who} cannot {self.verb} path "{self.path}"'
        where = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        return (
            f'{who} cannot {self.verb} resource "{self.full_resource}"'
            f' in API group "{self.group}" {where}'
        )


class _Grant(msgspec.Struct, frozen=True):
    """Rules that a binding gives; `namespace` empty: everywhere."""

    namespace: str
    rules: tuple[Object, ...]
    reason: str


class Authorizer:
    """Answers from an index by subject, made anew after any role or binding has changed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._grants: dict[Subject, list[_Grant]] | None = None

    def start(self) -> Callable[[], None]:
        return self._store.subscribe(self._changed)

    def _changed(self, change: Change) -> None:
        if change.gk in _KINDS:
            self._grants = None

    def reason(self, user: User, access: Access) -> str | None:
        """Why it is allowed; None when nothing allows it."""
        if MASTERS in user.groups:
            return "member of system:masters"
        for grant in self._of(user):
            if grant.namespace and grant.namespace != access.namespace:
                continue
            if any(_allows(rule, access) for rule in grant.rules):
                return grant.reason
        return None

    def allows(self, user: User, access: Access) -> bool:
        return self.reason(user, access) is not None

    def rules(self, user: User, namespace: str) -> list[Object]:
        """Every rule that holds for a user in a namespace, for SelfSubjectRulesReview."""
        if MASTERS in user.groups:
            everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
            return [everything, {"verbs": ["*"], "nonResourceURLs": ["*"]}]
        return [
            rule
            for grant in self._of(user)
            if not grant.namespace or grant.namespace == namespace
            for rule in grant.rules
        ]

    def covers(self, user: User, rules: Iterable[Object], namespace: str) -> bool:
        """Does the user hold everything that these rules would give?"""
        return all(self.allows(user, access) for access in _parts(rules, namespace))

    def role_rules(self, kind: str, namespace: str, name: str) -> tuple[Object, ...]:
        """The rules of a Role or ClusterRole, those of roles it gathers included."""
        if kind == "Role":
            found = self._store.get(ROLE, namespace, name)
            return tuple(found.obj.get("rules") or ()) if found else ()
        record = self._store.get(CLUSTER_ROLE, "", name)
        if record is None:
            return ()
        gathered = (record.obj.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
        rules = list(record.obj.get("rules") or ())
        for selector in map(from_label_selector, gathered):
            for other in self._store.iterate(CLUSTER_ROLE):
                labels = other.obj["metadata"].get("labels") or {}
                if other.name != name and selector.matches(labels):
                    rules.extend(self.role_rules("ClusterRole", "", other.name))
        return tuple(rules)

    def _of(self, user: User) -> Iterator[_Grant]:
        if self._grants is None:
            self._grants = self._index()
        yield from self._grants.get(("User", user.name), ())
        for group in user.groups:
            yield from self._grants.get(("Group", group), ())

    def _index(self) -> dict[Subject, list[_Grant]]:
        found: dict[Subject, list[_Grant]] = {}
        for kind in (CLUSTER_ROLE_BINDING, ROLE_BINDING):
            for record in self._store.iterate(kind):
                role = record.obj["roleRef"]
                where = f"/{record.namespace}" if record.namespace else ""
                reason = (
                    f'RBAC: allowed by {kind.kind} "{record.name}{where}"'
                    f' of {role["kind"]} "{role["name"]}"'
                )
                rules = self.role_rules(role["kind"], record.namespace, role["name"])
                grant = _Grant(record.namespace, rules, reason)
                for subject in record.obj.get("subjects") or ():
                    found.setdefault(_subject(subject, record.namespace), []).append(grant)
        return found


def _subject(subject: Object, namespace: str) -> Subject:
    if subject["kind"] == "ServiceAccount":
        home = subject.get("namespace") or namespace
        return ("User", f"system:serviceaccount:{home}:{subject['name']}")
    return (subject["kind"], subject["name"])


def _allows(rule: Object, access: Access) -> bool:
    verbs = rule.get("verbs") or ()
    if access.verb not in verbs and "*" not in verbs:
        return False
    if access.path:
        return any(_path_fits(each, access.path) for each in rule.get("nonResourceURLs") or ())
    groups = rule.get("apiGroups") or ()
    if access.group not in groups and "*" not in groups:
        return False
    if not _resource_fits(rule.get("resources") or (), access):
        return False
    names = rule.get("resourceNames") or ()
    return not names or access.name in names


def _resource_fits(resources: Iterable[str], access: Access) -> bool:
    wanted = {"*", access.full_resource}
    if access.subresource:
        wanted.add(f"*/{access.subresource}")
    return any(each in wanted for each in resources)


def _path_fits(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    return pattern == path


def _parts(rules: Iterable[Object], namespace: str) -> Iterator[Access]:
    """Each single thing that rules give; `*` asks for `*` itself."""
    for rule in rules:
        for verb in rule.get("verbs") or ():
            for path in rule.get("nonResourceURLs") or ():
                yield Access(verb, path=path)
            for group in rule.get("apiGroups") or ():
                for text in rule.get("resources") or ():
                    resource, _, subresource = text.partition("/")
                    for name in rule.get("resourceNames") or ("",):
                        yield Access(verb, group, resource, subresource, namespace, name)
