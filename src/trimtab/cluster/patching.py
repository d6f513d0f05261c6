"""The patch types but apply, as functions from the present object to the new one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trimtab.cluster.errors import ApiError, bad_request
from trimtab.cluster.resources import Resource
from trimtab.objects import UNTYPED, Schema
from trimtab.objects.json_patch import apply_json_patch
from trimtab.objects.merge_patch import apply_merge_patch
from trimtab.objects.patch_errors import BadPatch, PatchFailed, TooManyOperations
from trimtab.objects.strategic import strategic_merge

__all__ = ["change_of"]

Object = dict[str, Any]


def change_of(
    media: str, body: Any, schema: Schema | None, resource: Resource
) -> Callable[[Object], Object]:
    """Raises 415 for a type that is not known or not allowed for the kind; the function raises
    400 and 422."""
    match media:
        case "application/json-patch+json":
            return lambda obj: _patched(lambda: apply_json_patch(obj, body), resource)
        case "application/merge-patch+json":
            return lambda obj: _patched(lambda: apply_merge_patch(obj, body), resource)
        case "application/strategic-merge-patch+json" if not resource.custom:
            if not isinstance(body, dict):
                raise bad_request("a strategic merge patch is an object")
            return lambda obj: _patched(
                lambda: strategic_merge(obj, body, schema or UNTYPED), resource
            )
    raise ApiError(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types"
        " include: application/json-patch+json, application/merge-patch+json,"
        " application/apply-patch+yaml",
    )


def _patched(run: Callable[[], Any], resource: Resource) -> Object:
    try:
        result = run()
    except TooManyOperations as error:
        raise ApiError(413, "RequestEntityTooLarge", str(error)) from error
    except BadPatch as error:
        raise bad_request(str(error)) from error
    except PatchFailed as error:
        raise ApiError(
            422,
            "Invalid",
            f"the server rejected our request due to an error in our request: {error}",
            details={"kind": resource.plural, "group": resource.group},
        ) from error
    if not isinstance(result, dict):
        raise bad_request("the patched object is no object")
    return result
