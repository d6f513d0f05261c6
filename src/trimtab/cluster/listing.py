"""Lists: selectors, pages that keep the first page's snapshot, and the resourceVersion rules.

Source: spec/embedded-cluster.md 7.5.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import orjson

from trimtab.cluster.errors import ApiError, bad_request
from trimtab.cluster.resources import Resource
from trimtab.cluster.store import Record, Store
from trimtab.objects import InvalidSelector, parse_field_selector, parse_label_selector

__all__ = ["Page", "Selection", "list_page", "parse_version", "too_large"]

_EVERYWHERE: Final = frozenset({"metadata.name", "metadata.namespace"})
_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "Pod": frozenset(
        [
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ]
    ),
    "Event": frozenset(
        [
            f"involvedObject.{name}"
            for name in [
                "kind",
                "namespace",
                "name",
                "uid",
                "apiVersion",
                "resourceVersion",
                "fieldPath",
            ]
        ]
        + ["reason", "reportingComponent", "source", "type"]
    ),
    "Secret": frozenset({"type"}),
    "Namespace": frozenset({"status.phase"}),
    "Node": frozenset({"spec.unschedulable"}),
    "Service": frozenset({"spec.clusterIP", "spec.type"}),
    "ReplicaSet": frozenset({"status.replicas"}),
    "ReplicationController": frozenset({"status.replicas"}),
    "Job": frozenset({"status.successful"}),
    "CertificateSigningRequest": frozenset({"spec.signerName"}),
}


class Selection:
    """Which objects a client wants: namespace, labels, fields."""

    def __init__(self, resource: Resource, namespace: str, labels: str, fields: str) -> None:
        try:
            self._labels = parse_label_selector(labels) if labels else None
            self._fields = parse_field_selector(fields) if fields else None
        except InvalidSelector as error:
            raise bad_request(str(error)) from error
        self.namespace = namespace
        allowed = _EVERYWHERE | _FIELDS.get(resource.kind, frozenset())
        for path in self._fields.paths if self._fields else ():
            if path not in allowed:
                raise bad_request(f"field label not supported: {path}")

    @property
    def everything(self) -> bool:
        return self._labels is None and self._fields is None

    def holds(self, record: Record) -> bool:
        if self.namespace and record.namespace != self.namespace:
            return False
        if self._labels is not None:
            labels = record.obj["metadata"].get("labels") or {}
            if not self._labels.matches(labels):
                return False
        return self._fields is None or self._fields.matches_object(record.obj)


class Page(msgspec.Struct, frozen=True):
    records: tuple[Record, ...]
    resource_version: int
    token: str = ""
    remaining: int | None = None


def parse_version(text: str) -> int:
    if not text:
        return 0
    if not text.isdigit():
        raise bad_request(f"invalid resource version: {text!r}")
    return int(text)


def list_page(
    store: Store, resource: Resource, selection: Selection, query: Mapping[str, str]
) -> Page:
    """One page. Raises 400, 410, 422, 504."""
    _check_match(query)
    limit = _limit(query.get("limit", ""))
    token = query.get("continue", "")
    if token:
        rv, after = _read_token(token, query)
        records = store.at(resource.storage, rv, selection.namespace)
        records = [each for each in records if [each.namespace, each.name] > after]
    else:
        rv, records = _snapshot(store, resource, selection, query, limit)
    chosen = [record for record in records if selection.holds(record)]
    if not limit or len(chosen) <= limit:
        return Page(tuple(chosen), rv)
    last = chosen[limit - 1]
    return Page(
        tuple(chosen[:limit]),
        rv,
        _write_token(rv, last),
        len(chosen) - limit if selection.everything else None,
    )


def _snapshot(
    store: Store, resource: Resource, selection: Selection, query: Mapping[str, str], limit: int
) -> tuple[int, list[Record]]:
    wanted = parse_version(query.get("resourceVersion", ""))
    match = query.get("resourceVersionMatch", "")
    if wanted > store.rv:
        raise too_large(wanted, store.rv)
    if wanted and (match == "Exact" or (limit and not match)):
        return wanted, store.at(resource.storage, wanted, selection.namespace)
    return store.rv, list(store.iterate(resource.storage, selection.namespace or None))


def too_large(wanted: int, current: int) -> ApiError:
    return ApiError(
        504,
        "Timeout",
        f"Too large resource version: {wanted}, current: {current}",
        details={
            "causes": [
                {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            ],
            "retryAfterSeconds": 1,
        },
        headers={"Retry-After": "1"},
    )


def _check_match(query: Mapping[str, str]) -> None:
    match, version = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")
    problem = ""
    if query.get("sendInitialEvents"):
        problem = "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"
    elif match and not version:
        problem = "resourceVersionMatch is forbidden unless resourceVersion is provided"
    elif match and query.get("continue"):
        problem = "resourceVersionMatch is forbidden when continue is provided"
    elif match == "Exact" and version == "0":
        problem = 'resourceVersionMatch "Exact" is forbidden for resourceVersion "0"'
    elif match not in ("", "Exact", "NotOlderThan"):
        problem = f"resourceVersionMatch: Unsupported value: {match!r}"
    if problem:
        raise ApiError(422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: {problem}')
    if query.get("continue") and version not in ("", "0"):
        raise bad_request("specifying resource version is not allowed when using continue")


def _limit(text: str) -> int:
    if not text:
        return 0
    try:
        return max(0, int(text))
    except ValueError:
        raise bad_request(f"invalid limit: {text!r}") from None


def _write_token(rv: int, last: Record) -> str:
    body = {"v": "meta.k8s.io/v1", "rv": rv, "start": [last.namespace, last.name]}
    return base64.urlsafe_b64encode(orjson.dumps(body)).decode().rstrip("=")


def _read_token(token: str, query: Mapping[str, str]) -> tuple[int, list[str]]:
    try:
        body: dict[str, Any] = orjson.loads(
            base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        )
        namespace, name = body["start"]
        return int(body["rv"]), [str(namespace), str(name)]
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise bad_request("continue key is not valid") from None
