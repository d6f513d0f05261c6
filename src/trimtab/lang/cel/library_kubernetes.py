"""Quantities, URLs, addresses, networks and semantic versions for rules.

The engine takes no opaque values from Python, so such a value is a map with the one key of its
kind; equal values are equal maps. Source: spec/embedded-cluster.md 10.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from trimtab.lang.cel.library import Function

__all__ = ["KUBERNETES"]

Value = dict[str, str]

_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15}
_SUFFIXES: Final = {
    **{suffix: Fraction(10) ** power for suffix, power in {**_DECIMAL, "E": 18}.items()},
    **{f"{sign}i": Fraction(1024**power) for power, sign in enumerate("KMGTPE", 1)},
}
_QUANTITY: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([eE][+-]?\d{1,3}|[a-zA-Z]*)", re.ASCII)
_NUMBER: Final = r"(0|[1-9]\d*)"
_WORD: Final = r"(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER: Final = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_WORD}(?:\.{_WORD})*))?(?:\+[0-9A-Za-z.-]+)?", re.ASCII
)
_INT64: Final = 2**63


def _accepts(read: Callable[..., Any]) -> Callable[..., bool]:
    def accepts(*arguments: Any) -> bool:
        try:
            read(*arguments)
        except ValueError:
            return False
        return True

    return accepts


def _held(value: Value, kind: str) -> str:
    """What a value of the kind holds. Raises `ValueError` for a value of another one."""
    if len(value) != 1 or kind not in value:
        raise ValueError(f"no such overload: the value is no {kind}")
    return value[kind]


# -- quantities ------------------------------------------------------------------------------


def _read_quantity(text: str) -> Fraction:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"invalid quantity: {text}")
    digits, suffix = match[1].removesuffix("."), match[2]
    if suffix in _SUFFIXES:
        return Fraction(digits) * _SUFFIXES[suffix]
    if len(suffix) > 1 and suffix[0] in "eE":
        return Fraction(digits) * Fraction(10) ** int(suffix[1:])
    raise ValueError(f"invalid quantity: {text}")


def _quantity(number: Fraction) -> Value:
    return {"quantity": str(number)}


def _amount(value: Value | int) -> Fraction:
    return Fraction(_held(value, "quantity") if isinstance(value, dict) else value)


def _as_integer(value: Value) -> int:
    if not _is_integer(value):
        raise ValueError("cannot convert value to integer")
    return int(_amount(value))


def _is_integer(value: Value) -> bool:
    number = _amount(value)
    return number.denominator == 1 and -_INT64 <= number < _INT64


def _sign(value: Value) -> int:
    number = _amount(value)
    return (number > 0) - (number < 0)


# -- versions --------------------------------------------------------------------------------


def _read_semver(text: str, lenient: bool = False) -> Value:
    if lenient:
        text = text.removeprefix("v")
        core = re.match(r"[\d.]*", text)
        number = core[0] if core else ""
        padded = [each.lstrip("0") or "0" for each in [*number.split("."), "0", "0"][:3]]
        if number and number.count(".") <= 2 and all(number.split(".")):
            text = ".".join(padded) + text[len(number) :]
    if not _SEMVER.fullmatch(text):
        raise ValueError(f"invalid semantic version: {text}")
    return {"semver": text.partition("+")[0]}


def _parts(value: Value) -> tuple[Any, ...]:
    """What versions are ordered by."""
    match = _SEMVER.fullmatch(_held(value, "semver"))
    assert match is not None
    words = tuple(
        (0, int(each), "") if each.isdecimal() else (1, 0, each)
        for each in (match[4].split(".") if match[4] else ())
    )
    return (int(match[1]), int(match[2]), int(match[3]), not words, words)


def _key(value: Value) -> tuple[str, Any]:
    return ("semver", _parts(value)) if "semver" in value else ("quantity", _amount(value))


def _compare(left: Value, right: Value) -> int:
    (kind, a), (other, b) = _key(left), _key(right)
    if kind != other:
        raise ValueError(f"no such overload: a {kind} cannot be compared with a {other}")
    return int(a > b) - int(a < b)


# -- URLs ------------------------------------------------------------------------------------


def _split_url(text: str) -> SplitResult:
    if re.search(r"[\s\x00-\x1f\x7f]", text):
        raise ValueError(f"invalid URL: {text}")
    found = urlsplit(text)
    if not (found.scheme and (found.netloc or found.path.startswith("/"))) and not text.startswith(
        "/"
    ):
        raise ValueError(f"invalid URL: {text} is not absolute")
    try:
        _ = found.port
    except ValueError:
        raise ValueError(f"invalid URL: {text} has no valid port") from None
    return found


def _url(text: str) -> Value:
    _split_url(text)
    return {"URL": text}


def _of_url(read: Callable[[SplitResult], Any]) -> Callable[[Value], Any]:
    return lambda value: read(urlsplit(_held(value, "URL")))


def _host(url: SplitResult) -> str:
    return url.netloc.rpartition("@")[2]


def _hostname(url: SplitResult) -> str:
    host = _host(url)
    return host[1 : host.index("]")] if host.startswith("[") else host.partition(":")[0]


# -- addresses and networks ------------------------------------------------------------------

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def _address(text: str) -> Address:
    found = ipaddress.ip_address(text)
    if "%" in text or (found.version == 6 and found.ipv4_mapped is not None):
        raise ValueError(f"IP Address {text!r}: zones and IPv4-mapped addresses are not allowed")
    return found


def _ip(text: str) -> Value:
    return {"IP": str(_address(text))}


def _of_ip(read: Callable[[Address], Any]) -> Callable[[Value], Any]:
    return lambda value: read(ipaddress.ip_address(_held(value, "IP")))


def _network(text: str) -> Network:
    address, _, size = text.partition("/")
    if not size.isascii() or not size.isdecimal() or (size != "0" and size.startswith("0")):
        raise ValueError(f"network address parse error: {text}")
    _address(address)
    return ipaddress.ip_interface(text)


def _cidr(text: str) -> Value:
    return {"CIDR": str(_network(text))}


def _of_cidr(read: Callable[[Network], Any]) -> Callable[[Value], Any]:
    return lambda value: read(ipaddress.ip_interface(_held(value, "CIDR")))


def _contains_ip(value: Value, other: Value | str) -> bool:
    network = ipaddress.ip_interface(_held(value, "CIDR")).network
    address = _address(other if isinstance(other, str) else _held(other, "IP"))
    return address.version == network.version and address in network


def _contains_network(value: Value, other: Value | str) -> bool:
    inner = _network(other if isinstance(other, str) else _held(other, "CIDR")).network
    outer = ipaddress.ip_interface(_held(value, "CIDR")).network
    return (
        inner.version == outer.version
        and inner.network_address in outer
        and inner.prefixlen >= outer.prefixlen
    )


_S: Final = "string"
_O: Final = "object"
KUBERNETES: Final = (
    Function("quantity", (_S,), _O, lambda t: _quantity(_read_quantity(t)), method=False),
    Function("isQuantity", (_S,), "bool", _accepts(_read_quantity), method=False),
    Function("isInteger", (_O,), "bool", _is_integer),
    Function("asInteger", (_O,), "int", _as_integer),
    Function("asApproximateFloat", (_O,), "double", lambda v: float(_amount(v))),
    Function("sign", (_O,), "int", _sign),
    Function("add", (_O, _O), _O, lambda a, b: _quantity(_amount(a) + _amount(b))),
    Function("add", (_O, "int"), _O, lambda a, b: _quantity(_amount(a) + _amount(b))),
    Function("sub", (_O, _O), _O, lambda a, b: _quantity(_amount(a) - _amount(b))),
    Function("sub", (_O, "int"), _O, lambda a, b: _quantity(_amount(a) - _amount(b))),
    Function("isLessThan", (_O, _O), "bool", lambda a, b: _compare(a, b) < 0),
    Function("isGreaterThan", (_O, _O), "bool", lambda a, b: _compare(a, b) > 0),
    Function("compareTo", (_O, _O), "int", _compare),
    Function("semver", (_S,), _O, _read_semver, method=False),
    Function("semver", (_S, "bool"), _O, _read_semver, method=False),
    Function("isSemver", (_S,), "bool", _accepts(_read_semver), method=False),
    Function("isSemver", (_S, "bool"), "bool", _accepts(_read_semver), method=False),
    Function("major", (_O,), "int", lambda v: _parts(v)[0]),
    Function("minor", (_O,), "int", lambda v: _parts(v)[1]),
    Function("patch", (_O,), "int", lambda v: _parts(v)[2]),
    Function("url", (_S,), _O, _url, method=False),
    Function("isURL", (_S,), "bool", _accepts(_url), method=False),
    Function("getScheme", (_O,), _S, _of_url(lambda u: u.scheme)),
    Function("getHost", (_O,), _S, _of_url(_host)),
    Function("getHostname", (_O,), _S, _of_url(_hostname)),
    Function("getPort", (_O,), _S, _of_url(lambda u: "" if u.port is None else str(u.port))),
    Function("getEscapedPath", (_O,), _S, _of_url(lambda u: u.path)),
    Function("getQuery", (_O,), "any", _of_url(lambda u: parse_qs(u.query, True))),
    Function("ip", (_S,), _O, _ip, method=False),
    Function("isIP", (_S,), "bool", _accepts(_ip), method=False),
    Function("ip.isCanonical", (_S,), "bool", lambda t: str(_address(t)) == t, method=False),
    Function("family", (_O,), "int", _of_ip(lambda a: a.version)),
    Function("isUnspecified", (_O,), "bool", _of_ip(lambda a: a.is_unspecified)),
    Function("isLoopback", (_O,), "bool", _of_ip(lambda a: a.is_loopback)),
    Function("isLinkLocalUnicast", (_O,), "bool", _of_ip(lambda a: a.is_link_local)),
    Function(
        "isLinkLocalMulticast",
        (_O,),
        "bool",
        _of_ip(
            lambda a: a in ipaddress.ip_network("224.0.0.0/24" if a.version == 4 else "ff02::/16")
        ),
    ),
    Function(
        "isGlobalUnicast",
        (_O,),
        "bool",
        _of_ip(
            lambda a: (
                not (
                    a.is_unspecified
                    or a.is_loopback
                    or a.is_multicast
                    or a.is_link_local
                    or str(a) == "255.255.255.255"
                )
            )
        ),
    ),
    Function("cidr", (_S,), _O, _cidr, method=False),
    Function("isCIDR", (_S,), "bool", _accepts(_network), method=False),
    Function("containsIP", (_O, _O), "bool", _contains_ip),
    Function("containsIP", (_O, _S), "bool", _contains_ip),
    Function("containsCIDR", (_O, _O), "bool", _contains_network),
    Function("containsCIDR", (_O, _S), "bool", _contains_network),
    Function("ip", (_O,), _O, _of_cidr(lambda n: {"IP": str(n.ip)})),
    Function("masked", (_O,), _O, _of_cidr(lambda n: {"CIDR": str(n.network)})),
    Function("prefixLength", (_O,), "int", _of_cidr(lambda n: n.network.prefixlen)),
)
