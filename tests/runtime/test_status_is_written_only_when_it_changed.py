"""spec/controller-runtime.md 6-7: conditions, status, finalizers; fault cases 27-29."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.kube import Conflict, NotFound
from trimtab.runtime import (
    ManualClock,
    StatusWriter,
    add_finalizer,
    get_condition,
    merge_diff,
    remove_condition,
    remove_finalizer,
    set_condition,
)

from .fakes import FakeClient, merge, widget

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 1, 1, 13, tzinfo=UTC)

SCALARS = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "x", "y"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value


def same(left: Any, right: Any) -> bool:
    return bool(without_nulls(left) == without_nulls(right))


@given(DOCUMENTS, DOCUMENTS)
def test_the_difference_applied_to_the_old_gives_the_new(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    old = without_nulls(old)
    assert same(merge(old, merge_diff(old, new)), new)
    assert merge_diff(without_nulls(new), new) == {}


def test_a_condition_keeps_its_place_and_its_time_while_its_status_stays() -> None:
    first = set_condition([], "Ready", "False", "Failed", "no", now=NOON, generation=1)
    first = set_condition(first, "Healthy", "True", "Fine", "", now=NOON)
    again = set_condition(first, "Ready", "False", "StillFailed", "no", now=LATER, generation=2)
    assert [each["type"] for each in again] == ["Ready", "Healthy"]
    assert again[0]["lastTransitionTime"] == "2026-01-01T12:00:00Z"
    assert (again[0]["reason"], again[0]["observedGeneration"]) == ("StillFailed", 2)
    ready = set_condition(again, "Ready", "True", "Succeeded", "x" * 40_000, now=LATER)
    found = get_condition(ready, "Ready")
    assert found is not None
    assert found["lastTransitionTime"] == "2026-01-01T13:00:00Z"
    assert len(found["message"]) == 32 * 1024
    assert get_condition(remove_condition(ready, "Ready"), "Ready") is None
    assert first[0]["reason"] == "Failed", "what was given is not changed"


def test_an_equal_status_is_not_written() -> None:
    async def main() -> None:
        client = FakeClient(ManualClock())
        obj = client.put({**widget("a"), "status": {"phase": "Ready", "n": 1}})
        told: list[dict[str, Any]] = []

        async def written(result: dict[str, Any]) -> None:
            told.append(result)

        writer = StatusWriter(client, manager="m", written=written)  # type: ignore[arg-type]
        assert await writer.write(obj, {"phase": "Ready", "n": 1}) is None
        assert client.calls == []
        result = await writer.write(obj, {"phase": "Ready", "m": {"x": 1}})
        assert result is not None
        assert result["status"] == {"phase": "Ready", "m": {"x": 1}}
        assert client.patches[-1]["status"] == {"n": None, "m": {"x": 1}}
        assert told == [result]

    asyncio.run(main())


def test_a_status_meant_for_an_older_object_still_becomes_whole() -> None:
    async def main() -> None:
        client = FakeClient(ManualClock())
        seen = client.put(widget("a"))
        client.put({**widget("a", generation=2), "status": {"stale": True, "phase": "Old"}})
        writer = StatusWriter(client, manager="m")  # type: ignore[arg-type]
        result = await writer.write(seen, {"phase": "New", "observedGeneration": 1})
        assert result is not None
        assert result["status"] == {"phase": "New", "observedGeneration": 1}
        assert result["metadata"]["generation"] == 2, "the newer spec is untouched"

    asyncio.run(main())


def test_a_status_is_never_written_to_another_object_of_the_same_name() -> None:
    async def main() -> None:
        client = FakeClient(ManualClock())
        seen = client.put(widget("a"))
        again = widget("a")
        again["metadata"]["uid"] = "other"
        client.put(again)
        writer = StatusWriter(client, manager="m")  # type: ignore[arg-type]
        with pytest.raises(NotFound, match="made anew"):
            await writer.write(seen, {"phase": "New"})

    asyncio.run(main())


def test_an_object_that_never_rests_is_a_conflict() -> None:
    async def main() -> None:
        client = FakeClient(ManualClock())
        seen = client.put(widget("a"))
        client.before = [lambda: client.put(widget("a"))] * 10
        writer = StatusWriter(client, manager="m")  # type: ignore[arg-type]
        with pytest.raises(Conflict):
            await writer.write(seen, {"phase": "New"})
        assert client.calls.count("patch") == 4

    asyncio.run(main())


def with_finalizers(*names: str) -> dict[str, Any]:
    obj = widget("a")
    obj["metadata"]["finalizers"] = list(names)
    return obj


def test_a_finalizer_is_removed_in_a_race_without_touching_another() -> None:
    async def main() -> None:
        client = FakeClient(ManualClock())
        seen = client.put(with_finalizers("theirs", "ours"))
        client.before = [lambda: client.put(with_finalizers("ours", "third"))]
        result = await remove_finalizer(client, seen, "ours", manager="m")  # type: ignore[arg-type]
        assert result is not None
        assert result["metadata"]["finalizers"] == ["third"]
        again = await remove_finalizer(client, result, "ours", manager="m")  # type: ignore[arg-type]
        assert again == result

    asyncio.run(main())


def test_removing_from_an_object_that_is_gone_is_done() -> None:
    async def main() -> None:
        client = FakeClient(ManualClock())
        obj = with_finalizers("ours")
        assert await remove_finalizer(client, obj, "ours", manager="m") is None  # type: ignore[arg-type]

    asyncio.run(main())


def test_a_finalizer_is_added_to_the_version_that_was_read_and_not_to_a_dying_object() -> None:
    async def main() -> None:
        client = FakeClient(ManualClock())
        seen = client.put(widget("a"))
        client.before = [lambda: client.put(with_finalizers("theirs"))]
        result = await add_finalizer(client, seen, "ours", manager="m")  # type: ignore[arg-type]
        assert result["metadata"]["finalizers"] == ["theirs", "ours"]
        assert await add_finalizer(client, result, "ours", manager="m") == result  # type: ignore[arg-type]
        dying = widget("a")
        dying["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        with pytest.raises(Conflict, match="being deleted"):
            await add_finalizer(client, client.put(dying), "ours", manager="m")  # type: ignore[arg-type]

    asyncio.run(main())
