"""One patch takes an operation over, on exactly the object that was seen."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from trimtab.argocd.settings import Settings
from trimtab.argocd.writing import Pass, Writer
from trimtab.kube import Conflict


class FakeApi:
    """The one Application as the server has it; also the cache's `note_write`."""

    def __init__(self, app: dict[str, Any]) -> None:
        self.app = app
        self.patches: list[dict[str, Any]] = []

    async def patch(self, *_key: object, **_options: object) -> dict[str, Any]:
        body = _key[3]
        assert isinstance(body, dict)
        self.patches.append(body)
        if body["metadata"]["resourceVersion"] != self.app["metadata"]["resourceVersion"]:
            raise Conflict("it has changed")
        return self.app

    async def get(self, *_key: object) -> dict[str, Any]:
        return self.app

    async def note_write(self, _obj: dict[str, Any]) -> None:
        return None


def _app(version: str, **fields: Any) -> dict[str, Any]:
    meta = {"name": "web", "namespace": "argocd", "uid": "u", "resourceVersion": version}
    return {"metadata": meta, **fields}


def _pass(app: dict[str, Any]) -> Pass:
    return Pass(app, datetime(2026, 1, 1, tzinfo=UTC), "web", Settings())


def test_the_takeover_is_one_patch() -> None:
    app = _app("1", operation={"sync": {}})
    api = FakeApi(app)
    pass_ = _pass(app)
    pass_.status = {"operationState": {"phase": "Running"}}
    pass_.drop_operation = True
    asyncio.run(Writer(api, api).write(pass_, strict=True))  # type: ignore[arg-type]
    assert api.patches == [
        {
            "metadata": {"resourceVersion": "1"},
            "status": {"operationState": {"phase": "Running"}},
            "operation": None,
        }
    ]


def test_a_newer_operation_is_not_lost() -> None:
    api = FakeApi(_app("2", operation={"sync": {"revision": "newer"}}))
    pass_ = _pass(_app("1", operation={"sync": {}}))
    pass_.status = {"operationState": {"phase": "Running"}}
    pass_.drop_operation = True
    with pytest.raises(Conflict):
        asyncio.run(Writer(api, api).write(pass_))  # type: ignore[arg-type]
    assert len(api.patches) == 1


def test_a_termination_written_meanwhile_is_kept() -> None:
    running = {"operationState": {"phase": "Running", "message": "waiting to start"}}
    api = FakeApi(_app("2", status={"operationState": {"phase": "Terminating"}}))
    pass_ = _pass(_app("1", status=running))
    pass_.status = {"operationState": {"phase": "Running", "message": "waiting for health"}}
    asyncio.run(Writer(api, api).write(pass_))  # type: ignore[arg-type]
    last = api.patches[-1]["status"]["operationState"]
    assert last == {"message": "waiting for health"}
