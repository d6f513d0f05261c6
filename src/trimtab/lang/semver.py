"""Semantic versions and ranges by Masterminds' grammar, as Helm, Flux and Argo CD use them.

A range is alternatives joined by `||`; each is comparators joined by commas or spaces. A version
with a pre-release only matches where a comparator of the alternative has one too (`>=1.0.0-0`).
Source: spec/rendering.md 7, spec/flux.md 2.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from trimtab.errors import TrimtabError

__all__ = ["Range", "SemverError", "Version", "highest", "parse_range", "parse_version"]

_NUMBER = r"(?:0|[1-9]\d*)"
_IDENTIFIERS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION = re.compile(
    rf"v?(?P<major>{_NUMBER})(?:\.(?P<minor>{_NUMBER}))?(?:\.(?P<patch>{_NUMBER}))?"
    rf"(?:-(?P<pre>{_IDENTIFIERS}))?(?:\+(?P<build>{_IDENTIFIERS}))?",
    re.ASCII,
)
_PART = r"(?:\d+|[xX*])"
_OPERATOR = r"=||!=|>=|=>|<=|=<|>|<|~>|~|\^"
_OPERAND = rf"v?{_PART}(?:\.{_PART})?(?:\.{_PART})?(?:-{_IDENTIFIERS})?(?:\+{_IDENTIFIERS})?"
_COMPARATOR = re.compile(rf"\s*(?P<op>{_OPERATOR})\s*(?P<operand>{_OPERAND})\s*", re.ASCII)
_HYPHEN = re.compile(rf"(?P<low>{_OPERAND})\s+-\s+(?P<high>{_OPERAND})", re.ASCII)
_MAX_TEXT = 1024


class SemverError(TrimtabError):
    """A text that is no version or no range."""

    reason = "SemverInvalid"


class Version(msgspec.Struct, frozen=True, eq=False):
    """A version in semver's order. `text` is what was written; build metadata does not count."""

    major: int
    minor: int
    patch: int
    pre: tuple[str, ...] = ()
    build: str = ""
    text: str = ""

    def _order(self) -> tuple[Any, ...]:
        identifiers = tuple(
            (0, int(part), "") if part.isdecimal() else (1, 0, part) for part in self.pre
        )
        return (self.major, self.minor, self.patch, not self.pre, identifiers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._order() == other._order()

    def __lt__(self, other: Version) -> bool:
        return self._order() < other._order()

    def __le__(self, other: Version) -> bool:
        return self._order() <= other._order()

    def __gt__(self, other: Version) -> bool:
        return self._order() > other._order()

    def __ge__(self, other: Version) -> bool:
        return self._order() >= other._order()

    @property
    def numbers(self) -> tuple[int, int, int]:
        return self.major, self.minor, self.patch

    def __hash__(self) -> int:
        return hash(self._order())

    def __str__(self) -> str:
        core = f"{self.major}.{self.minor}.{self.patch}"
        core += f"-{'.'.join(self.pre)}" if self.pre else ""
        return f"{core}+{self.build}" if self.build else core


class _Comparator(msgspec.Struct, frozen=True):
    """`given` is how many of major, minor, patch were written as numbers (0 to 3)."""

    op: Literal["=", "!=", ">", ">=", "<", "<=", "~", "^"]
    version: Version
    given: int


class Range(msgspec.Struct, frozen=True):
    """Alternatives of comparators that must all hold."""

    alternatives: tuple[tuple[_Comparator, ...], ...]
    text: str = ""

    def matches(self, version: Version) -> bool:
        return any(_all_hold(group, version) for group in self.alternatives)

    def __str__(self) -> str:
        return self.text


def parse_version(text: str) -> Version:
    """`v` in front and missing minor or patch are allowed, as the field's tools allow them."""
    match = _VERSION.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if match is None:
        raise SemverError(f"{text[:80]!r} is not a semantic version")
    pre = tuple(match["pre"].split(".")) if match["pre"] else ()
    if any(part.isdecimal() and len(part) > 1 and part[0] == "0" for part in pre):
        raise SemverError(f"{text!r}: a number in the pre-release starts with 0")
    return Version(
        int(match["major"]),
        int(match["minor"] or 0),
        int(match["patch"] or 0),
        pre,
        match["build"] or "",
        text,
    )


def parse_range(text: str) -> Range:
    """A range; the empty text and `*` mean any release. Raises SemverError."""
    if len(text) > _MAX_TEXT:
        raise SemverError("version range is too long", why=f"limit {_MAX_TEXT} characters")
    return Range(tuple(_alternative(part) for part in text.split("||")), text)


def highest(candidates: Iterable[str], wanted: Range) -> str | None:
    """The candidate with the highest version in `wanted`; texts that are no version are passed
    over. None when nothing matches."""
    best: Version | None = None
    for candidate in candidates:
        try:
            version = parse_version(candidate)
        except SemverError:
            continue
        if wanted.matches(version) and (best is None or version > best):
            best = version
    return best.text if best else None


def _alternative(text: str) -> tuple[_Comparator, ...]:
    text = _HYPHEN.sub(r">=\g<low> <=\g<high>", text.strip())
    if not text:
        return (_comparator("", "*"),)
    found: list[_Comparator] = []
    position = 0
    while position < len(text):
        if found and text[position] == ",":
            position += 1
        match = _COMPARATOR.match(text, position)
        if match is None:
            raise SemverError(f"{text!r} is not a version range", why=f"at {text[position:]!r}")
        found.append(_comparator(match["op"], match["operand"]))
        position = match.end()
    return tuple(found)


def _comparator(op: str, operand: str) -> _Comparator:
    core = re.split(r"[-+]", operand.removeprefix("v"), maxsplit=1)
    numbers: list[int] = []
    for part in core[0].split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    given = len(numbers)
    major, minor, patch = numbers + [0] * (3 - given)
    match = re.search(rf"-({_IDENTIFIERS})", operand)
    pre = tuple(match[1].split(".")) if match else ()
    version = Version(major, minor, patch, pre, "", operand)
    known = {"": "=", "=>": ">=", "=<": "<=", "~>": "~"}.get(op, op)
    # A partial version after `=` is a wildcard: `1.2` means `1.2.x`.
    return msgspec.convert(
        {"op": "~" if known == "=" and given < 3 else known, "version": version, "given": given},
        _Comparator,
    )


def _all_hold(group: tuple[_Comparator, ...], version: Version) -> bool:
    if version.pre and not any(comparator.version.pre for comparator in group):
        return False
    return all(_holds(comparator, version) for comparator in group)


def _holds(comparator: _Comparator, version: Version) -> bool:
    """Parts that were not written count as wildcards, except after `<` and `>=`."""
    op, low, given = comparator.op, comparator.version, comparator.given
    if op == ">=":
        return version >= low
    if op == "<":
        return version < low
    if op == "^":
        return (
            version >= low
            and version.numbers[: _kept(low, given)] == low.numbers[: _kept(low, given)]
        )
    if op == "~":
        anything = low.numbers == (0, 0, 0) and not low.pre and given in (0, 3)
        kept = min(given, 2)
        return anything or (version >= low and version.numbers[:kept] == low.numbers[:kept])
    order = _compare(version, low, given)
    return {"=": order == 0, "!=": order != 0, ">": order > 0, "<=": order <= 0}[op]


def _compare(version: Version, low: Version, given: int) -> int:
    """-1, 0 or 1; only the written numbers count when some were left out."""
    if given == 3:
        return (version > low) - (version < low)
    mine, other = version.numbers[:given], low.numbers[:given]
    return (mine > other) - (mine < other)


def _kept(low: Version, given: int) -> int:
    """How many leading numbers `^` holds fast: up to the first that is not 0, if written."""
    if low.major or given <= 1:
        return min(given, 1)
    return 2 if low.minor or given == 2 else 3
