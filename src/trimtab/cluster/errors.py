"""What the API server answers when it refuses, as a Kubernetes `Status`.

Source: spec/embedded-cluster.md 7.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trimtab.errors import TrimtabError
from trimtab.objects import FieldError

__all__ = [
    "ApiError",
    "already_exists",
    "bad_request",
    "conflict",
    "forbidden",
    "gone",
    "internal",
    "invalid",
    "not_found",
    "not_implemented",
    "unknown_path",
]


class ApiError(TrimtabError):
    """One refusal. `reason` is Kubernetes' (NotFound, Conflict ...); `code` the HTTP status."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, reason=reason)
        self.code = code
        self.details = dict(details or {})
        self.headers = dict(headers or {})

    def status(self) -> dict[str, Any]:
        """The Status body."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details:
            body["details"] = self.details
        return body


def _details(resource: str, name: str) -> dict[str, Any]:
    plural, _, group = resource.partition(".")
    found = {"name": name, "group": group, "kind": plural}
    return {key: value for key, value in found.items() if value}


def not_found(resource: str, name: str) -> ApiError:
    """`resource` is plural and group: `deployments.apps`."""
    return ApiError(
        404, "NotFound", f'{resource} "{name}" not found', details=_details(resource, name)
    )


def unknown_path() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource")


def internal(error: BaseException) -> ApiError:
    """A mistake of ours: the client learns its kind, the log the rest."""
    return ApiError(500, "InternalError", f"Internal error occurred: {type(error).__name__}")


def already_exists(resource: str, name: str) -> ApiError:
    message = f'{resource} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=_details(resource, name))


def conflict(resource: str, name: str, why: str = "") -> ApiError:
    why = why or (
        "the object has been modified; please apply your changes to the latest version"
        " and try again"
    )
    message = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_details(resource, name))


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def gone(message: str) -> ApiError:
    return ApiError(410, "Expired", message)


def forbidden(
    resource: str, name: str, why: str, causes: list[dict[str, Any]] | None = None
) -> ApiError:
    details = _details(resource, name)
    if causes:
        details["causes"] = causes
    return ApiError(403, "Forbidden", f'{resource} "{name}" is forbidden: {why}', details=details)


def not_implemented(what: str) -> ApiError:
    return ApiError(501, "NotImplemented", f"{what} is not implemented by the embedded cluster")


def invalid(kind: str, group: str, name: str, errors: Iterable[FieldError]) -> ApiError:
    """422 with a cause for each field."""
    found = list(errors)
    title = f"{kind}.{group}" if group else kind
    body = ", ".join(str(each) for each in found)
    text = f"[{body}]" if len(found) > 1 else body
    details = {"name": name, "group": group, "kind": kind, "causes": [_cause(e) for e in found]}
    return ApiError(
        422,
        "Invalid",
        f'{title} "{name}" is invalid: {text}',
        details={key: value for key, value in details.items() if value},
    )


def _cause(error: FieldError) -> dict[str, str]:
    return {"reason": error.cause, "message": error.body, "field": error.field}
