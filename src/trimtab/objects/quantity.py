"""Resource quantities: `500m`, `1Gi`, `1e3`. Their value and the one spelling the API stores.

A quantity remembers the family of its suffix (decimal, binary, exponent) and is written with the
largest suffix of that family that keeps it whole. Source: spec/embedded-cluster.md 9.
"""

from __future__ import annotations

import functools
import re
from fractions import Fraction
from typing import Literal

from trimtab.errors import TrimtabError

__all__ = ["InvalidQuantity", "canonical", "compare", "is_quantity", "parse", "round_up"]

Family = Literal["decimal", "binary", "exponent"]

_SHAPE = re.compile(r"([+-]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([a-zA-Z]*|[eE][+-]?[0-9]+)")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_BINARY_SUFFIX = {power: suffix for suffix, power in _BINARY.items()}
_MAX = Fraction(2**63 - 1)
_NANO = 10**9
_LONGEST = 64
_LARGEST_EXPONENT = 64
_RULE = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


class InvalidQuantity(TrimtabError):
    """The text is no quantity."""

    reason = "InvalidQuantity"


def parse(text: str | float) -> Fraction:
    """The exact value. Finer than nano is rounded away from zero, and 2^63-1 is the cap.

    Raises `InvalidQuantity`.
    """
    return _read(str(text))[0]


def is_quantity(text: str | float) -> bool:
    """Whether `parse` would take it."""
    try:
        _read(str(text))
    except InvalidQuantity:
        return False
    return True


def canonical(text: str | float) -> str:
    """The spelling the API stores: `1000m` is `1`, `0.5` is `500m`, `1024Mi` is `1Gi`."""
    return _canonical(str(text))


def round_up(text: str | float, *, decimals: int = 3) -> str:
    """`text` rounded away from zero to `decimals` (3: milli), in canonical spelling."""
    value, family = _read(str(text))
    return _write(_away_from_zero(value, 10**decimals), family)


def compare(left: str | float, right: str | float) -> int:
    """-1, 0 or 1, as left is less than, equal to or greater than right."""
    a, b = parse(left), parse(right)
    return (a > b) - (a < b)


@functools.lru_cache(maxsize=4096)
def _canonical(text: str) -> str:
    return _write(*_read(text))


@functools.lru_cache(maxsize=4096)
def _read(text: str) -> tuple[Fraction, Family]:
    match = _SHAPE.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if match is None:
        raise InvalidQuantity(_RULE)
    sign, digits, suffix = match.groups()
    value, family = Fraction(digits if digits[-1] != "." else digits[:-1]), _family(suffix)
    if family == "binary":
        value *= 1024 ** _BINARY[suffix]
    elif family == "decimal":
        value *= Fraction(10) ** _DECIMAL[suffix]
    else:
        exponent = int(suffix[1:])
        if abs(exponent) > _LARGEST_EXPONENT:
            raise InvalidQuantity("unable to parse quantity's suffix")
        value *= Fraction(10) ** exponent
    value = min(_away_from_zero(value, _NANO), _MAX)
    return -value if sign == "-" else value, family


def _family(suffix: str) -> Family:
    if suffix in _DECIMAL:
        return "decimal"
    if suffix in _BINARY:
        return "binary"
    if suffix[1:].lstrip("+-").isdigit():
        return "exponent"
    raise InvalidQuantity("unable to parse quantity's suffix")


def _away_from_zero(value: Fraction, steps: int) -> Fraction:
    """`value` as a whole number of 1/steps, rounded away from zero."""
    scaled = value * steps
    whole = -((-scaled) // 1) if scaled > 0 else scaled // 1
    return Fraction(whole, steps)


def _write(value: Fraction, family: Family) -> str:
    if value == 0:
        return "0"
    if family == "binary":
        # Small and broken numbers would lose precision as bytes: decimal takes over.
        if abs(value) < 1024 or value.denominator != 1:
            family = "decimal"
        else:
            number, power = int(value), 0
            while number % 1024 == 0 and power < 6:
                number, power = number // 1024, power + 1
            return f"{number}{_BINARY_SUFFIX[power] if power else ''}"
    number, exponent = int(value * _NANO), -9
    while number % 1000 == 0:
        number, exponent = number // 1000, exponent + 3
    if family == "exponent":
        return f"{number}e{exponent}" if exponent else str(number)
    while exponent > 18:
        number, exponent = number * 1000, exponent - 3
    return f"{number}{_DECIMAL_SUFFIX[exponent]}"
