"""spec/controller-runtime.md 3: retries, Retry-After, errors, identity."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from trimtab.kube import (
    AlreadyExists,
    ApiError,
    ApplyConflict,
    Client,
    Conflict,
    Connection,
    FieldConflict,
    InternalError,
    Malformed,
    NotFound,
    ServiceUnavailable,
    TooManyRequests,
    Unauthorized,
    UnknownKind,
    Unreachable,
    errors,
)
from trimtab.objects import GroupKind

from .fault_server import FaultServer, Reply, Request, config_map, fault_server, status

CM = GroupKind("", "ConfigMap")
OK = config_map("a", 7)


class FastClock:
    """Sleeps pass at once and are written down."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.at = 0.0

    def now(self) -> datetime:
        raise AssertionError("not needed")

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds
        await asyncio.sleep(0)


def run(body: Callable[[FaultServer, Client, FastClock], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        clock = FastClock()
        async with (
            fault_server() as server,
            Client(
                Connection(server=server.url, token=options.pop("token", "")),
                clock=clock,
                **{"qps": None, **options},
            ) as client,
        ):
            await client.discovery()
            server.requests.clear()
            await body(server, client, clock)

    asyncio.run(asyncio.wait_for(main(), 20))


def answers(server: FaultServer, *replies: Reply) -> None:
    """Answer with these, then with the last one for ever."""
    queue = list(replies)
    server.other = lambda request: (
        None
        if request.path in {"/api", "/apis", "/version"}
        else queue.pop(0)
        if len(queue) > 1
        else queue[0]
    )


CALLS: dict[str, Callable[[Client], Awaitable[Any]]] = {
    "get": lambda c: c.get(CM, "default", "a"),
    "create": lambda c: c.create(OK, manager="m"),
    "replace": lambda c: c.replace(OK, manager="m"),
    "merge": lambda c: c.patch(CM, "default", "a", {}, kind="merge", manager="m"),
    "json": lambda c: c.patch(CM, "default", "a", [], kind="json", manager="m"),
    "apply": lambda c: c.apply(OK, manager="m"),
    "delete": lambda c: c.delete(CM, "default", "a"),
}


@pytest.mark.parametrize(
    ("call", "code", "attempts"),
    [
        *((call, 429, 3) for call in CALLS),
        *((call, 503, 1 if call in {"create", "json"} else 3) for call in CALLS),
        *((call, 500, 1 if call in {"create", "json"} else 3) for call in CALLS),
        *((call, 403, 1) for call in CALLS),
        *((call, 422, 1) for call in CALLS),
    ],
)
def test_what_is_tried_again(call: str, code: int, attempts: int) -> None:
    async def body(server: FaultServer, client: Client, clock: FastClock) -> None:
        answers(server, Reply(code, status(code, "")))
        with pytest.raises(ApiError) as caught:
            await CALLS[call](client)
        assert caught.value.code == code
        assert len(server.requests) == attempts

    run(body)


def test_the_servers_own_waiting_time_is_obeyed() -> None:
    async def body(server: FaultServer, client: Client, clock: FastClock) -> None:
        busy = Reply(429, status(429, "TooManyRequests"), headers={"Retry-After": "7"})
        detail = Reply(503, status(503, "ServiceUnavailable", retryAfterSeconds=3))
        answers(server, busy, detail, Reply(body=OK))
        assert await client.get(CM, "default", "a") == OK
        assert clock.slept == [7.0, 3.0]

    run(body)


def test_an_eviction_refused_by_a_budget_is_not_repeated() -> None:
    async def body(server: FaultServer, client: Client, clock: FastClock) -> None:
        refusal = status(429, "TooManyRequests", causes=[{"reason": "DisruptionBudget"}])
        answers(server, Reply(429, refusal))
        with pytest.raises(TooManyRequests):
            await client.create(OK, manager="m")
        assert len(server.requests) == 1

    run(body)


def test_a_delete_that_succeeded_before_the_answer_was_lost_is_a_success() -> None:
    async def body(server: FaultServer, client: Client, clock: FastClock) -> None:
        answers(
            server,
            Reply(503, b"upstream went away"),
            Reply(404, status(404, "NotFound", name="a", kind="configmaps")),
        )
        await client.delete(CM, "default", "a")
        answers(server, Reply(404, status(404, "NotFound", name="a", kind="configmaps")))
        with pytest.raises(NotFound):
            await client.delete(CM, "default", "a")

    run(body)


def test_errors_have_the_class_of_their_reason() -> None:
    table: list[tuple[int, str, type[ApiError]]] = [
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
        (410, "Expired", errors.Gone),
        (413, "RequestEntityTooLarge", errors.TooLarge),
        (422, "Invalid", errors.Invalid),
        (400, "BadRequest", errors.BadRequest),
        (500, "InternalError", InternalError),
        (504, "Timeout", errors.Timeout),
        (418, "Teapot", ApiError),
    ]
    for code, reason, expected in table:
        error = errors.error_from_status(status(code, reason, "said so"))
        assert type(error) is expected
        assert (error.code, error.reason, error.message) == (code, reason, "said so")
    future = status(504, "Timeout", causes=[{"reason": "ResourceVersionTooLarge"}])
    assert type(errors.error_from_status(future)) is errors.ResourceVersionTooLarge


def test_apply_conflicts_name_manager_version_and_field() -> None:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl-edit" using apps/v1',
            "field": ".spec.replicas",
        },
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "hpa" with subresource "scale" using apps/v1 at 2026-01-01',
            "field": '.spec.template.spec.containers[name="a"].image',
        },
    ]
    error = errors.error_from_status(status(409, "Conflict", "Apply failed", causes=causes))
    assert isinstance(error, ApplyConflict)
    assert error.conflicts == [
        FieldConflict("kubectl-edit", "apps/v1", ".spec.replicas"),
        FieldConflict(
            "hpa", "apps/v1", '.spec.template.spec.containers[name="a"].image', subresource="scale"
        ),
    ]


def test_a_proxys_page_is_an_error_with_its_text() -> None:
    async def body(server: FaultServer, client: Client, clock: FastClock) -> None:
        answers(server, Reply(502, b"<html>\n  bad\n gateway</html>"))
        with pytest.raises(ServiceUnavailable, match="<html> bad gateway</html>"):
            await client.get(CM, "default", "a")
        answers(server, Reply(200, b"<html>login</html>"))
        with pytest.raises(Malformed):
            await client.get(CM, "default", "a")

    run(body)


def test_nobody_listening_is_unreachable_and_not_sent() -> None:
    async def main() -> None:
        async with Client(Connection(server="http://127.0.0.1:1"), clock=FastClock()) as client:
            with pytest.raises(Unreachable) as caught:
                await client.get(CM, "default", "a")
            assert caught.value.sent is False

    asyncio.run(asyncio.wait_for(main(), 20))


def test_writes_say_what_they_are() -> None:
    async def body(server: FaultServer, client: Client, clock: FastClock) -> None:
        answers(server, Reply(body=OK))
        await client.apply(OK, manager="me", force=True, dry_run=True, subresource="status")
        await client.delete(CM, "default", "a", propagation="Foreground", uid="u", grace=0)
        apply, delete = server.requests
        assert apply.path == "/api/v1/namespaces/default/configmaps/a/status"
        assert apply.query == {"fieldManager": "me", "force": "true", "dryRun": "All"}
        assert apply.headers["content-type"] == "application/apply-patch+yaml"
        assert json.loads(delete.body) == {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": "Foreground",
            "preconditions": {"uid": "u"},
            "gracePeriodSeconds": 0,
        }

    run(body)


def test_an_impersonated_client_names_the_user_and_groups_in_every_request() -> None:
    async def body(server: FaultServer, client: Client, clock: FastClock) -> None:
        answers(server, Reply(body=OK))
        tenant = client.impersonating("system:serviceaccount:t:app", groups=["one", "two"])
        await tenant.get(CM, "default", "a")
        await client.get(CM, "default", "a")
        first, second = server.requests
        assert first.headers["impersonate-user"] == "system:serviceaccount:t:app"
        assert [v for k, v in first.header_list if k == "impersonate-group"] == ["one", "two"]
        assert first.headers["authorization"] == "Bearer t0ken"
        assert "impersonate-user" not in second.headers

    run(body, token="t0ken")


def test_a_token_file_is_read_again_after_a_401(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")

    async def main() -> None:
        async with fault_server() as server:
            server.other = lambda request: (
                None
                if request.headers.get("authorization") == "Bearer new"
                else Reply(401, status(401, "Unauthorized"))
            )
            connection = Connection(server=server.url, token_file=str(file))
            async with Client(connection, qps=None) as client:
                with pytest.raises(Unauthorized):
                    await client.discovery()
                assert len(server.requests) == 2, "one renewal, not a storm"
                file.write_text("new\n")
                assert (await client.discovery()).version == "v1.37.0"

    asyncio.run(asyncio.wait_for(main(), 20))


def test_requests_beyond_the_burst_are_spread_over_time_and_writes_go_first() -> None:
    async def main() -> None:
        async with (
            fault_server() as server,
            Client(Connection(server=server.url), qps=100, burst=5) as client,
        ):
            await client.discovery()
            answers(server, Reply(body=OK))
            order: list[str] = []

            async def do(name: str) -> None:
                await CALLS[name](client)
                order.append(name)

            started = time.monotonic()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(do("get")) for _ in range(16)]
                tasks += [group.create_task(do("merge")) for _ in range(4)]
                await asyncio.sleep(0.01)
                tasks[8].cancel()  # who leaves the line must not hold it up
            assert 0.1 <= time.monotonic() - started <= 1.0
            assert order.index("merge") < 8
            assert len(order) == 19

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_lost_path_is_looked_up_again_before_giving_up() -> None:
    def other(request: Request) -> Reply | None:
        if request.path.startswith("/api/v1/namespaces"):
            return Reply(404, status(404, "NotFound", "the server could not find the resource"))
        return None

    async def body(server: FaultServer, client: Client, clock: FastClock) -> None:
        server.other = other
        with pytest.raises(NotFound):
            await client.get(CM, "default", "a")
        assert any(request.path == "/api" for request in server.requests)
        server.kinds, server.etag = [], '"two"'
        with pytest.raises(UnknownKind):
            await client.get(CM, "default", "a")

    run(body)


def test_an_unchanged_discovery_costs_a_304() -> None:
    async def body(server: FaultServer, client: Client, clock: FastClock) -> None:
        first = await client.discovery()
        assert server.requests == []
        again = await client.discovery(refresh=True)
        assert [r.headers.get("if-none-match") for r in server.requests] == ['"one"', '"one"']
        assert again.resource("", "ConfigMap") == first.resource("", "ConfigMap")
        clock.at += 601
        await asyncio.gather(*(client.discovery() for _ in range(5)))
        assert len(server.requests) == 4, "one refresh for all who wait"

    run(body)
