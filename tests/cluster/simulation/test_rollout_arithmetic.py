from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trimtab.cluster.simulation.rollout import (
    Fence,
    Set,
    fence_of,
    new_set_size,
    proportional_sizes,
    shrink_old_sets,
)

CASES = yaml.safe_load((Path(__file__).parent / "rollout_cases.yaml").read_text())


def _ids(cases: list[dict]) -> list[str]:
    return [case["name"] for case in cases]


@pytest.mark.parametrize("case", CASES["fence"], ids=_ids(CASES["fence"]))
def test_the_fence_rounds_surge_up_and_unavailable_down(case):
    fence = fence_of(case["replicas"], max_surge=case["surge"], max_unavailable=case["unavailable"])
    assert [fence.surge, fence.unavailable] == case["fence"]


@pytest.mark.parametrize("case", CASES["grow"], ids=_ids(CASES["grow"]))
def test_the_new_set_grows_within_the_surge(case):
    size = new_set_size(
        case["replicas"], current=case["new"], total=case["total"], fence=Fence(*case["fence"])
    )
    assert size == case["size"]


@pytest.mark.parametrize("case", CASES["shrink"], ids=_ids(CASES["shrink"]))
def test_old_sets_shrink_within_the_budget(case):
    sizes = shrink_old_sets(
        case["replicas"],
        new=Set("new", *case["new"]),
        old=[Set(f"old{i}", *pair, created=f"{i}") for i, pair in enumerate(case["old"])],
        fence=Fence(*case["fence"]),
    )
    assert sizes == case["sizes"]


@pytest.mark.parametrize("case", CASES["proportional"], ids=_ids(CASES["proportional"]))
def test_scaling_during_a_rollout_keeps_proportions(case):
    sets = [
        Set(name, size, max_replicas=case["max"], created=f"{i}")
        for i, (name, size) in enumerate(case["sets"].items())
    ]
    sizes = proportional_sizes(
        case["replicas"], sets=sets, fence=Fence(*case["fence"]), status_replicas=0
    )
    assert sizes == case["sizes"]


@given(
    replicas=st.integers(0, 40),
    surge=st.integers(0, 100),
    unavailable=st.integers(0, 100),
    new=st.integers(0, 40),
    old=st.integers(0, 60),
)
def test_no_step_leaves_the_fence(replicas, surge, unavailable, new, old):
    fence = fence_of(replicas, max_surge=f"{surge}%", max_unavailable=f"{unavailable}%")
    size = new_set_size(replicas, current=new, total=new + old, fence=fence)
    assert size + old <= max(replicas + fence.surge, new + old)
    shrunk = shrink_old_sets(
        replicas, new=Set("n", new, new), old=[Set("o", old, old)], fence=fence
    )
    available = new + shrunk.get("o", old)
    assert available >= min(replicas - fence.unavailable, new + old)


@given(replicas=st.integers(1, 60), sizes=st.lists(st.integers(1, 30), min_size=2, max_size=5))
def test_proportional_scaling_adds_up_to_what_is_allowed(replicas, sizes):
    fence = fence_of(replicas, max_surge="25%", max_unavailable="25%")
    sets = [Set(f"s{i}", n, max_replicas=sum(sizes), created=f"{i}") for i, n in enumerate(sizes)]
    result = proportional_sizes(replicas, sets=sets, fence=fence, status_replicas=0)
    assert sum(result.values()) == replicas + fence.surge
    assert all(size >= 0 for size in result.values())


def test_a_deployment_that_begins_paused_has_nothing_to_size():
    fence = fence_of(2, max_surge="25%", max_unavailable="25%")
    assert proportional_sizes(2, sets=[], fence=fence, status_replicas=0) == {}


def test_every_walk_ends_with_only_new_pods():
    for replicas in range(1, 12):
        for surge, unavailable in (("25%", "25%"), (1, 0), (0, 1), ("0%", "0%"), ("100%", 0)):
            fence = fence_of(replicas, max_surge=surge, max_unavailable=unavailable)
            new, old = 0, replicas
            for _ in range(4 * replicas):
                new = new_set_size(replicas, current=new, total=new + old, fence=fence)
                assert new + old <= replicas + fence.surge
                cut = shrink_old_sets(
                    replicas, new=Set("n", new, new), old=[Set("o", old, old)], fence=fence
                )
                old = cut.get("o", old)
                assert new + old >= replicas - fence.unavailable
            assert (new, old) == (replicas, 0)
