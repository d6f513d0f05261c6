"""Version ranges by Masterminds' grammar."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trimtab.lang.semver import SemverError, Version, highest, parse_range, parse_version

CASES = yaml.load((Path(__file__).parent / "semver.yaml").read_text(), Loader=yaml.BaseLoader)
NUMBER = st.integers(0, 20)
VERSIONS = st.builds(
    Version,
    NUMBER,
    NUMBER,
    NUMBER,
    st.lists(st.sampled_from(["0", "1", "10", "alpha", "rc", "x-y"]), max_size=2).map(tuple),
)


@pytest.mark.parametrize(("text", "inside", "outside"), CASES, ids=[row[0] for row in CASES])
def test_a_range_holds_what_it_should_and_nothing_else(text, inside, outside) -> None:
    wanted = parse_range(text)
    assert [version for version in inside if not wanted.matches(parse_version(version))] == []
    outside = [version for version in outside if not version.endswith("-")]
    assert [version for version in outside if wanted.matches(parse_version(version))] == []


@pytest.mark.parametrize("text", ["latest", "1..2", ">=", "1.2.3.4", "a || b", ">=1 foo", "v"])
def test_what_is_no_range_is_an_error(text) -> None:
    with pytest.raises(SemverError):
        parse_range(text)


@pytest.mark.parametrize("text", ["", "x", "1.2.3-01", "01.2.3", "1.2.3-", "1.2.3.4", "\u0661.0.0"])
def test_what_is_no_version_is_an_error(text) -> None:
    with pytest.raises(SemverError):
        parse_version(text)


def test_versions_are_ordered_as_semver_says() -> None:
    texts = "1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta.2 1.0.0-beta.11 1.0.0-rc.1 1.0.0"
    versions = [parse_version(text) for text in texts.split()]
    assert all(one < other for one, other in pairwise(versions))


def test_the_highest_is_taken_among_texts_that_are_versions() -> None:
    assert highest(["v1.9.0", "latest", "v1.10.0", "v2.0.0-rc.1"], parse_range("*")) == "v1.10.0"
    assert highest(["latest"], parse_range("*")) is None


@given(VERSIONS)
def test_printing_and_reading_give_the_same_version(version) -> None:
    assert parse_version(str(version)) == version


@given(VERSIONS, VERSIONS)
def test_order_is_total_and_ranges_agree_with_it(one, other) -> None:
    assert (one < other) + (one == other) + (one > other) == 1
    assert parse_range(f">={other} || >={other}-0").matches(one) or one < other or one.pre
