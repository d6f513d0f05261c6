"""Who asks, and whether that is allowed: tokens, impersonation, the check of every request.

Source: spec/embedded-cluster.md 12.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final, Protocol
from urllib.parse import unquote

from trimtab.cluster.errors import ApiError, bad_request
from trimtab.cluster.rbac import MASTERS, RBAC, Access, Authorizer, User
from trimtab.cluster.resources import Resource
from trimtab.cluster.store import Store
from trimtab.cluster.tokens import AUDIENCE, Tokens
from trimtab.objects.identity import GroupKind

__all__ = ["ADMIN", "ANONYMOUS", "Auth", "access_of"]

AUTHENTICATED: Final = "system:authenticated"
ADMIN: Final = User("kubernetes-admin", (MASTERS, AUTHENTICATED))
ANONYMOUS: Final = User("system:anonymous", ("system:unauthenticated",))
ACCOUNT: Final = GroupKind("", "ServiceAccount")
ACCOUNT_PREFIX: Final = "system:serviceaccount:"
_VERBS: Final[Mapping[str, str]] = {
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_GIVING: Final = ("rules", "aggregationRule", "roleRef", "subjects")
_EVERYTHING: Final[tuple[Mapping[str, Any], ...]] = (
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
)
_EXTRA: Final = "impersonate-extra-"


class Now(Protocol):
    def now(self) -> datetime: ...


class Auth:
    """Authenticates and authorises the requests of one cluster."""

    def __init__(
        self, store: Store, authorizer: Authorizer, tokens: Tokens, *, admin_token: str, clock: Now
    ) -> None:
        self._store = store
        self._authorizer = authorizer
        self._tokens = tokens
        self._admin = f"Bearer {admin_token}".encode()
        self._clock = clock

    def user(self, headers: Mapping[str, str]) -> User:
        """Who asks, after impersonation. Raises 400, 401, 403."""
        user = self._authenticated(headers.get("authorization", ""))
        if any(name.startswith("impersonate-") for name in headers):
            return self._impersonated(user, headers)
        return user

    def check(self, user: User, method: str, path: str, query: Mapping[str, str]) -> None:
        """Raises 403 when the user may not do this."""
        if MASTERS in user.groups:
            return
        access = access_of(method, path, query)
        if not self._authorizer.allows(user, access):
            raise _forbidden(user, access)

    def check_escalation(
        self,
        user: User,
        resource: Resource,
        obj: Mapping[str, Any],
        old: Mapping[str, Any] | None,
    ) -> None:
        """Nobody gives away more than they have, unless they may `escalate` or `bind`."""
        if resource.group != RBAC or MASTERS in user.groups:
            return
        if old is not None and all(obj.get(each) == old.get(each) for each in _GIVING):
            return
        meta = obj["metadata"]
        namespace = str(meta.get("namespace") or "")
        if resource.kind in ("Role", "ClusterRole"):
            rules = tuple(obj.get("rules") or ())
            if obj.get("aggregationRule"):
                rules += _EVERYTHING
            verb, plural, name = "escalate", resource.plural, str(meta["name"])
        else:
            role = obj["roleRef"]
            rules = self._authorizer.role_rules(role["kind"], namespace, role["name"])
            verb, name = "bind", str(role["name"])
            plural = "roles" if role["kind"] == "Role" else "clusterroles"
        if self._authorizer.allows(user, Access(verb, RBAC, plural, "", namespace, name)):
            return
        if not self._authorizer.covers(user, rules, namespace):
            message = (
                f'{resource.title} "{meta["name"]}" is forbidden: user "{user.name}"'
                f" is attempting to grant RBAC permissions not currently held"
            )
            raise ApiError(403, "Forbidden", message)

    def _authenticated(self, header: str) -> User:
        if not header:
            return ANONYMOUS
        if hmac.compare_digest(header.encode(), self._admin):
            return ADMIN
        found = self.account(header.removeprefix("Bearer "))
        if found is None:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        return found

    def account(self, token: str, audiences: Collection[str] = (AUDIENCE,)) -> User | None:
        """The service account of a token, while account and token are there and the token is
        meant for one of `audiences`."""
        read = self._tokens.read(token, now=self._clock.now())
        if read is None or not set(audiences) & set(read.audiences):
            return None
        record = self._store.get(ACCOUNT, read.namespace, read.name)
        if record is None or record.uid != read.uid:
            return None
        name = f"{ACCOUNT_PREFIX}{read.namespace}:{read.name}"
        return User(name, (*_account_groups(read.namespace), AUTHENTICATED), record.uid)

    def of_token(self, token: str, audiences: Collection[str]) -> User | None:
        """For TokenReview: whom any token names."""
        if hmac.compare_digest(f"Bearer {token}".encode(), self._admin):
            return ADMIN
        return self.account(token, audiences)

    def _impersonated(self, user: User, headers: Mapping[str, str]) -> User:
        name = headers.get("impersonate-user", "")
        groups = tuple(filter(None, headers.get("impersonate-group", "").split("\n")))
        uid = headers.get("impersonate-uid", "")
        extra = tuple(
            (unquote(key.removeprefix(_EXTRA)), tuple(value.split("\n")))
            for key, value in sorted(headers.items())
            if key.startswith(_EXTRA)
        )
        if not name:
            raise bad_request("impersonation of groups, uid or extra needs Impersonate-User")
        namespace, _, account = name.removeprefix(ACCOUNT_PREFIX).partition(":")
        is_account = name.startswith(ACCOUNT_PREFIX) and bool(account)
        wanted = [Access("impersonate", "", "users", name=name)]
        if is_account:
            wanted = [Access("impersonate", "", "serviceaccounts", "", namespace, account)]
        wanted += [Access("impersonate", "", "groups", name=group) for group in groups]
        authentication = "authentication.k8s.io"
        if uid:
            wanted.append(Access("impersonate", authentication, "uids", name=uid))
        wanted += [
            Access("impersonate", authentication, "userextras", key, name=value)
            for key, values in extra
            for value in values
        ]
        for access in wanted:
            if not self._authorizer.allows(user, access):
                raise _forbidden(user, access)
        if is_account and not groups:
            groups = _account_groups(namespace)
        if name == ANONYMOUS.name:
            groups = groups or ANONYMOUS.groups
        elif AUTHENTICATED not in groups:
            groups = (*groups, AUTHENTICATED)
        return User(name, groups, uid, extra)


def access_of(method: str, path: str, query: Mapping[str, str]) -> Access:
    """What a request asks for."""
    parts = [part for part in path.split("/") if part]
    head = 2 if parts[:1] == ["api"] else 3
    if parts[:1] not in (["api"], ["apis"]) or len(parts) <= head:
        return Access(_VERBS.get(method, method.lower()), path=path)
    group = "" if parts[0] == "api" else parts[1]
    rest = parts[head:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in ("status", "finalize"):
            rest = rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    verb = _VERBS.get(method, "get")
    if verb == "get":
        watched = query.get("watch") in ("1", "true", "True")
        verb = "watch" if watched else ("get" if name else "list")
        if not name:
            found = re.search(r"(?:^|,)metadata\.name==?([^,]+)", query.get("fieldSelector", ""))
            name = found[1] if found else ""
    elif verb == "delete" and not name:
        verb = "deletecollection"
    return Access(verb, group, rest[0], rest[2] if len(rest) > 2 else "", namespace, name)


def _account_groups(namespace: str) -> tuple[str, ...]:
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")


def _forbidden(user: User, access: Access) -> ApiError:
    if access.path:
        return ApiError(403, "Forbidden", f"forbidden: {access.refusal(user)}")
    title = f"{access.resource}.{access.group}" if access.group else access.resource
    named = f'{title} "{access.name}"' if access.name else title
    details = {"name": access.name, "group": access.group, "kind": access.resource}
    return ApiError(
        403,
        "Forbidden",
        f"{named} is forbidden: {access.refusal(user)}",
        details={key: value for key, value in details.items() if value},
    )
