"""What a scalar means: the rules of the Go library that Kubernetes tools share.

They differ from every Python loader (spec/rendering.md 2): `on` and `yes` are strings, `0777`
and `0o7` are octal, `1e3` is a number, `08` is eight, `12:30:45` is a string.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from datetime import datetime
from typing import Final, Literal

__all__ = ["MERGE_TAG", "BadScalarError", "Booleans", "Scalar", "Timestamps", "plain", "tagged"]

Scalar = str | int | float | bool | None
Timestamps = Literal["text", "rfc3339"]
Booleans = Literal["true_false", "yaml11"]

_WORDS: Final[dict[str, Scalar]] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_YAML11: Final[dict[str, bool]] = {
    form: meaning
    for word, meaning in {
        "y": True,
        "yes": True,
        "on": True,
        "n": False,
        "no": False,
        "off": False,
    }.items()
    for form in (word, word.capitalize(), word.upper())
}
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_FIRST: Final = frozenset("0123456789+-.~nNtTfF")
_DECIMAL: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_INTEGER: Final = re.compile(
    r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))"
)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_TIMESTAMP: Final = re.compile(
    r"(\d{4})-(\d\d?)-(\d\d?)"
    r"(?:(?:[Tt](\d\d?):(\d\d?):(\d\d?)(\.\d+)?(Z|[-+]\d\d:\d\d))"
    r"|(?: (\d\d?):(\d\d?):(\d\d?)(\.\d+)?))?"
)
_PREFIX: Final = "tag:yaml.org,2002:"
MERGE_TAG: Final = _PREFIX + "merge"
_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1
_EXACT: Final = 1 << 63
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "null": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
}


class BadScalarError(ValueError):
    """The text of a scalar cannot be what its tag says, or has no JSON form."""


def plain(text: str, timestamps: Timestamps = "text", booleans: Booleans = "true_false") -> Scalar:
    """The value of an unquoted scalar without a tag."""
    if not text:
        return None
    if booleans == "yaml11" and text in _YAML11:
        return _YAML11[text]
    if text[0] not in _FIRST:
        return text
    if _DECIMAL.fullmatch(text) and len(text) < 19:
        return int(text)
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        raise BadScalarError(f"{text} has no JSON form")
    first = text[0]
    if first in "~nNtTfF":
        return text
    if timestamps == "rfc3339" and (moment := _timestamp(text)) is not None:
        return moment
    number = _number(text)
    return text if number is None else number


def tagged(text: str, tag: str, timestamps: Timestamps = "text") -> Scalar:
    """The value of a scalar with an explicit tag. Tags that are not YAML's own give the text."""
    if not tag.startswith(_PREFIX):
        return text
    name = tag[len(_PREFIX) :]
    if name == "str":
        return text
    if name == "binary":
        return _binary(text)
    if name == "timestamp":
        moment = _timestamp(text)
        if moment is None:
            raise BadScalarError(f"{text!r} is not a timestamp")
        return moment if timestamps == "rfc3339" else text
    value = plain(text)
    wanted = _TYPES.get(name)
    if wanted is None:
        return text
    integral_float = name == "int" and type(value) is int and not _INTEGER.fullmatch(_bare(text))
    mismatch = isinstance(value, bool) and name != "bool"
    if not isinstance(value, wanted) or mismatch or integral_float:
        raise BadScalarError(f"cannot read {text!r} as !!{name}")
    return value


def _bare(text: str) -> str:
    return text.replace("_", "")


def _number(text: str) -> int | float | None:
    """Integer (base by prefix, 64 bits) before float; None when neither."""
    bare = _bare(text) if "_" in text else text
    match = _INTEGER.fullmatch(bare)
    if match:
        value = _integer(match)
        if _INT_MIN <= value <= _INT_MAX:
            return value
    if not _FLOAT.fullmatch(bare) or (text[0] == "." and bare == "."):
        return None
    number = float(bare)
    if number in (float("inf"), float("-inf")):
        return None
    if number.is_integer() and -_EXACT <= number < _EXACT:
        return int(number)
    return number


def _integer(match: re.Match[str]) -> int:
    sign, hexa, binary, octal, decimal = match.groups()
    if hexa:
        value = int(hexa, 16)
    elif binary:
        value = int(binary, 2)
    elif decimal:
        value = int(decimal)
    else:
        value = int(octal, 8)
    return -value if sign == "-" else value


def _timestamp(text: str) -> str | None:
    """RFC 3339 form of a YAML timestamp, as Go prints a time; None when it is not one."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    year, month, day, *clock = match.groups()
    hour, minute, second, fraction, zone = clock[:5]
    if hour is None and clock[5] is not None:
        hour, minute, second, fraction = clock[5:9]
        zone = "Z"
    if fraction is not None and len(fraction) > 10:
        return None
    try:
        moment = datetime(  # noqa: DTZ001 - the zone is kept as text
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0)
        )
    except ValueError:
        return None
    digits = (fraction or "").rstrip("0").rstrip(".")
    if zone in ("+00:00", "-00:00"):
        zone = "Z"
    return f"{moment:%Y-%m-%dT%H:%M:%S}{digits}{zone or 'Z'}"


def _binary(text: str) -> str:
    try:
        raw = b64decode("".join(text.split()), validate=True)
    except (Base64Error, ValueError) as error:
        raise BadScalarError("!!binary value is not base64") from error
    return raw.decode("utf-8", errors="replace")
