"""Quantities are stored in one spelling (spec/embedded-cluster.md 9)."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.objects.quantity import InvalidQuantity, canonical, compare, parse, round_up


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("5.", "5"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("0.5Mi", "512Ki"),
        ("1000", "1k"),
        ("1500", "1500"),
        ("1500m", "1500m"),
        ("100000", "100k"),
        ("1023Ki", "1023Ki"),
        ("1Ki", "1Ki"),
        ("0.1Ki", "102400m"),
        ("512", "512"),
        ("1e3", "1e3"),
        ("12e5", "1200e3"),
        ("1E", "1E"),
        ("1E3", "1e3"),
        ("0", "0"),
        ("0Gi", "0"),
        ("0.0001", "100u"),
        ("0.0000000001", "1n"),
        ("-1500m", "-1500m"),
        ("+3", "3"),
        ("10000000000000000000000", "9223372036854775807"),
        (2, "2"),
        (0.25, "250m"),
        ("2048Gi", "2Ti"),
        ("1000Mi", "1000Mi"),
    ],
)
def test_a_quantity_has_one_spelling(written: str | float, stored: str) -> None:
    assert canonical(written) == stored


@pytest.mark.parametrize(
    "text", ["", "1x", "Gi", "1.2.3", "--1", "1 Gi", "1KI", "1mi", "abc", "1e"]
)
def test_other_texts_are_no_quantities(text: str) -> None:
    with pytest.raises(InvalidQuantity):
        parse(text)


def test_requests_are_rounded_up_to_milli() -> None:
    assert round_up("0.0001") == "1m"
    assert round_up("1.5Gi") == "1536Mi"
    assert round_up("100m") == "100m"
    assert round_up("1500u") == "2m"


SUFFIXES = st.sampled_from(
    ["", "n", "u", "m", "k", "M", "G", "Ki", "Mi", "Gi", "Ti", "e3", "E-2", "e5"]
)
QUANTITIES = st.builds(
    lambda whole, rest, suffix: f"{whole}{rest}{suffix}",
    st.integers(-99999, 99999),
    st.sampled_from(["", ".5", ".25", ".001", "."]),
    SUFFIXES,
)


@given(QUANTITIES)
def test_the_stored_spelling_is_stable_and_has_the_same_value(text: str) -> None:
    stored = canonical(text)
    assert canonical(stored) == stored
    assert parse(stored) == parse(text)


@given(QUANTITIES, QUANTITIES)
def test_order_is_the_order_of_values(left: str, right: str) -> None:
    assert compare(left, right) == -compare(right, left)
    assert (compare(left, right) == 0) == (parse(left) - parse(right) == Fraction(0))


@given(QUANTITIES)
def test_rounding_up_never_shrinks(text: str) -> None:
    assert abs(parse(round_up(text))) >= abs(parse(text))
    assert round_up(round_up(text)) == round_up(text)
