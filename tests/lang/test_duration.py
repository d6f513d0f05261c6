"""Durations read and print as Go's do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.lang.duration import DurationError, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1m", 60),
        ("1h30m", 5400),
        ("0.5s", 0.5),
        ("250ms", 0.25),
        ("0", 0),
        ("-1s", -1),
        (".5m", 30),
    ],
)
def test_reads_each_unit(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "1d", "m", "1m 30s", "one"])
def test_what_is_no_duration_is_said(text):
    with pytest.raises(DurationError, match="invalid duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.25, "250ms"), (1.5, "1.5s"), (120, "2m0s"), (3605, "1h0m5s"), (-60, "-1m0s")],
)
def test_prints_as_go_does(seconds, text):
    assert format_duration(seconds) == text


@given(st.integers(min_value=0, max_value=10**7))
def test_what_is_printed_reads_back(milliseconds):
    assert parse_duration(format_duration(milliseconds / 1000)) == pytest.approx(
        milliseconds / 1000
    )
