"""What can go wrong with an API server, one class for each reason of a `Status`.

    TrimtabError
    ├── ConfigError                 a kubeconfig that cannot be used: file and field
    └── ApiError                    code, reason, details, retry_after_s
        ├── BadRequest              400
        ├── Unauthorized            401
        ├── Forbidden               403
        ├── NotFound                404
        │   └── UnknownKind         the server does not serve the kind at all
        ├── MethodNotAllowed        405
        ├── AlreadyExists           409 on create
        ├── Conflict                409, a stale resourceVersion or uid
        │   └── ApplyConflict       409 of an apply: .conflicts names manager, version, path
        ├── Gone                    410, Expired as well
        ├── TooLarge                413
        ├── Invalid                 422
        ├── TooManyRequests         429
        ├── InternalError           500
        ├── ServiceUnavailable      502, 503
        ├── Timeout                 504, or a deadline of ours that passed
        │   └── ResourceVersionTooLarge
        ├── Unreachable             no answer: refused, reset, TLS, name not found
        └── Malformed               an answer that is not what the API promises

Source: spec/controller-runtime.md 3, spec/embedded-cluster.md 7.3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from trimtab.errors import Location, TrimtabError

__all__ = [
    "AlreadyExists",
    "ApiError",
    "ApplyConflict",
    "BadRequest",
    "ConfigError",
    "Conflict",
    "FieldConflict",
    "Forbidden",
    "Gone",
    "InternalError",
    "Invalid",
    "Malformed",
    "MethodNotAllowed",
    "NotFound",
    "ResourceVersionTooLarge",
    "ServiceUnavailable",
    "Timeout",
    "TooLarge",
    "TooManyRequests",
    "Unauthorized",
    "UnknownKind",
    "Unreachable",
    "error_from_response",
    "error_from_status",
]


class ConfigError(TrimtabError):
    """A kubeconfig or in-cluster setting that cannot be used. `where.via` is the field path."""

    reason = "InvalidKubeconfig"


class FieldConflict(msgspec.Struct, frozen=True):
    """One field another manager owns. `path` is in dotted form (`.spec.replicas`)."""

    manager: str
    version: str
    path: str
    subresource: str = ""


class ApiError(TrimtabError):
    """An API call that failed. `code` is the HTTP status, 0 when there was no answer.

    `details` is the `Status.details` mapping as sent; `retry_after_s` what the server asked for.
    """

    reason = "Unknown"
    code: int = 0

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        reason: str | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after_s: float | None = None,
        where: Location | str | None = None,
        why: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message, where=where, why=why, hint=hint, reason=reason)
        if code is not None:
            self.code = code
        self.details: Mapping[str, Any] = details or {}
        self.retry_after_s = retry_after_s

    @property
    def causes(self) -> Sequence[Mapping[str, Any]]:
        causes = self.details.get("causes")
        return causes if isinstance(causes, list) else []


class BadRequest(ApiError):
    reason = "BadRequest"
    code = 400


class Unauthorized(ApiError):
    reason = "Unauthorized"
    code = 401


class Forbidden(ApiError):
    reason = "Forbidden"
    code = 403


class NotFound(ApiError):
    reason = "NotFound"
    code = 404


class UnknownKind(NotFound):
    """The kind is not served (its CRD is not installed, or a version was asked for in vain)."""

    reason = "UnknownKind"


class MethodNotAllowed(ApiError):
    reason = "MethodNotAllowed"
    code = 405


class AlreadyExists(ApiError):
    reason = "AlreadyExists"
    code = 409


class Conflict(ApiError):
    reason = "Conflict"
    code = 409


class ApplyConflict(Conflict):
    """A server-side apply met fields owned by others."""

    @property
    def conflicts(self) -> list[FieldConflict]:
        return [_field_conflict(cause) for cause in self.causes if _is_field_conflict(cause)]


class Gone(ApiError):
    reason = "Expired"
    code = 410


class TooLarge(ApiError):
    reason = "RequestEntityTooLarge"
    code = 413


class Invalid(ApiError):
    reason = "Invalid"
    code = 422


class TooManyRequests(ApiError):
    reason = "TooManyRequests"
    code = 429


class InternalError(ApiError):
    reason = "InternalError"
    code = 500


class ServiceUnavailable(ApiError):
    reason = "ServiceUnavailable"
    code = 503


class Timeout(ApiError):
    """The server (504) or we gave up waiting. The request may still have been carried out."""

    reason = "Timeout"
    code = 504


class ResourceVersionTooLarge(Timeout):
    """The server has not seen the version asked for yet: wait, then ask again."""


class Unreachable(ApiError):
    """No answer. `sent` tells whether the request may have reached the server."""

    reason = "Unreachable"

    def __init__(self, message: str, *, sent: bool, why: str = "", hint: str = "") -> None:
        super().__init__(message, why=why, hint=hint)
        self.sent = sent


class Malformed(ApiError):
    """The server answered something that is not JSON, or not of the promised shape."""

    reason = "MalformedResponse"


_BY_REASON: Mapping[str, type[ApiError]] = {
    "BadRequest": BadRequest,
    "Unauthorized": Unauthorized,
    "Forbidden": Forbidden,
    "NotFound": NotFound,
    "MethodNotAllowed": MethodNotAllowed,
    "AlreadyExists": AlreadyExists,
    "Conflict": Conflict,
    "Gone": Gone,
    "Expired": Gone,
    "RequestEntityTooLarge": TooLarge,
    "Invalid": Invalid,
    "TooManyRequests": TooManyRequests,
    "InternalError": InternalError,
    "ServiceUnavailable": ServiceUnavailable,
    "Timeout": Timeout,
    "ServerTimeout": Timeout,
}
_BY_CODE: Mapping[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    409: Conflict,
    410: Gone,
    413: TooLarge,
    422: Invalid,
    429: TooManyRequests,
    500: InternalError,
    502: ServiceUnavailable,
    503: ServiceUnavailable,
    504: Timeout,
}
_CONFLICT = re.compile(
    r'conflict with "(?P<manager>.*?)"(?: with subresource "(?P<sub>.*?)")?(?: using (?P<api>\S+))?'
)


def error_from_status(status: Mapping[str, Any], *, code: int = 0) -> ApiError:
    """The error a `Status` body (or the object of a watch's ERROR event) stands for.

    `code` is the HTTP status, used when the body names none.
    """
    code = _int(status.get("code")) or code
    reason = str(status.get("reason") or "")
    details = status.get("details")
    details = details if isinstance(details, dict) else {}
    kind = _BY_REASON.get(reason) or _BY_CODE.get(code, ApiError)
    causes = [c for c in details.get("causes") or [] if isinstance(c, dict)]
    if kind is Conflict and any(_is_field_conflict(cause) for cause in causes):
        kind = ApplyConflict
    if kind is Timeout and any(c.get("reason") == "ResourceVersionTooLarge" for c in causes):
        kind = ResourceVersionTooLarge
    seconds = details.get("retryAfterSeconds")
    return kind(
        str(status.get("message") or reason or f"HTTP status {code}"),
        code=code,
        reason=reason or None,
        details=details,
        retry_after_s=float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None,
    )


def error_from_response(
    code: int, parsed: object, text: str, *, retry_after: str | None = None
) -> ApiError:
    """The error of an HTTP answer: `parsed` is the decoded body when it was JSON, else None.

    `text` is what a proxy said instead; it is cut to 200 characters. `retry_after` is the header.
    """
    if isinstance(parsed, dict) and parsed.get("kind") == "Status":
        error = error_from_status(parsed, code=code)
    else:
        short = " ".join(text.split())[:200]
        error = _BY_CODE.get(code, ApiError)(short or f"HTTP status {code}", code=code)
    if retry_after and retry_after.isdigit():
        error.retry_after_s = float(retry_after)
    return error


def _is_field_conflict(cause: Mapping[str, Any]) -> bool:
    return cause.get("reason") == "FieldManagerConflict"


def _field_conflict(cause: Mapping[str, Any]) -> FieldConflict:
    message = str(cause.get("message") or "")
    found = _CONFLICT.search(message)
    return FieldConflict(
        manager=found["manager"] if found else message,
        version=(found["api"] or "") if found else "",
        path=str(cause.get("field") or ""),
        subresource=(found["sub"] or "") if found else "",
    )


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0
