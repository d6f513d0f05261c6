"""Request bodies in Kubernetes' protobuf form, as the JSON object that they mean.

Typed clients send them (kubectl's `create`, `auth can-i`, `drain`) and do not retry as JSON. Only
decoding is needed: answers are JSON. Field numbers never change, so one table serves every minor.
Source: spec/embedded-cluster.md 5.
"""

from __future__ import annotations

import base64
import functools
import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any, Final

import msgspec
import orjson

from trimtab.errors import TrimtabError

__all__ = ["CONTENT_TYPE", "MAGIC", "BadProtobuf", "decode", "known_kinds"]

CONTENT_TYPE: Final = "application/vnd.kubernetes.protobuf"
MAGIC: Final = b"k8s\x00"

_VARINT: Final = 0
_FIXED64: Final = 1
_BYTES: Final = 2
_FIXED32: Final = 5
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DROPPED: Final = object()
# Kinds that every group accepts under its own version.
_META_KINDS: Final = frozenset({"DeleteOptions"})


class BadProtobuf(TrimtabError):
    """A body that is not the protobuf form of a known kind. The server answers 400."""

    reason = "BadRequest"


class _Field(msgspec.Struct, frozen=True):
    """`shape` is "", "[]" or "{}"; `set_only`: written only when set, so zero is a value."""

    name: str
    type: str
    shape: str
    set_only: bool
    inline: bool


_Messages = Mapping[str, Mapping[int, _Field]]


def decode(body: bytes) -> dict[str, Any]:
    """The object in `body`, with apiVersion and kind. Raises `BadProtobuf`."""
    if not body.startswith(MAGIC):
        raise BadProtobuf("the body does not begin as Kubernetes protobuf does")
    try:
        return _decode_envelope(body[len(MAGIC) :])
    except (struct.error, UnicodeDecodeError, orjson.JSONDecodeError, OverflowError) as error:
        raise BadProtobuf(f"the protobuf body cannot be decoded: {error}") from error


def known_kinds() -> list[str]:
    """`<group>/<version>.<Kind>` of what can be decoded (a group by its first word), sorted."""
    return sorted(
        name for name, fields in _messages().items() if 1 in fields and fields[1].name == "metadata"
    )


def _decode_envelope(data: bytes) -> dict[str, Any]:
    api_version = kind = ""
    raw = b""
    for number, value in _fields(data):
        if number == 1:
            for inner, text in _fields(_as_bytes(value)):
                if inner == 1:
                    api_version = _as_bytes(text).decode()
                elif inner == 2:
                    kind = _as_bytes(text).decode()
        elif number == 2:
            raw = _as_bytes(value)
        elif number == 3 and value:
            raise BadProtobuf("an encoded protobuf body is not supported")
    group, _, version = api_version.rpartition("/")
    message = f"{group.partition('.')[0] or 'core'}/{version}.{kind}"
    if kind in _META_KINDS:
        message = f"meta/v1.{kind}"
    if not kind or message not in _messages():
        raise BadProtobuf(
            f'no kind "{kind}" in version "{api_version}" can be read from protobuf',
            hint="send the object as application/json",
        )
    return {"apiVersion": api_version, "kind": kind, **_message(raw, message)}


def _message(data: bytes, name: str) -> dict[str, Any]:
    table = _messages()[name]
    out: dict[str, Any] = {}
    for number, value in _fields(data):
        field = table.get(number)
        if field is None:
            continue  # a newer client knows more
        if field.shape == "[]":
            out.setdefault(field.name, []).extend(_items(value, field))
        elif field.shape == "{}":
            key, entry = _entry(_as_bytes(value), field)
            out.setdefault(field.name, {})[key] = entry
        elif field.inline:
            out.update(_message(_as_bytes(value), field.type))
        else:
            decoded = _value(value, field.type)
            if decoded is not _DROPPED and (field.set_only or not _is_zero(decoded)):
                out[field.name] = decoded
    return out


def _is_zero(value: Any) -> bool:
    """What the encoder writes of a field that nobody set."""
    return value in ("", 0, {}) or value is False


def _items(value: int | bytes, field: _Field) -> list[Any]:
    if field.type == "int" and isinstance(value, bytes):  # packed
        found, at = [], 0
        while at < len(value):
            number, at = _varint(value, at)
            found.append(_signed(number))
        return found
    decoded = _value(value, field.type)
    return [{} if decoded is _DROPPED else decoded]


def _entry(data: bytes, field: _Field) -> tuple[str, Any]:
    key = ""
    value: Any = _DROPPED
    for number, each in _fields(data):
        if number == 1:
            key = _as_bytes(each).decode()
        elif number == 2:
            value = _value(each, field.type)
    if value is _DROPPED:
        value = _EMPTY.get(field.type, {})
    return key, value


def _value(value: int | bytes, kind: str) -> Any:
    reader = _READERS.get(kind)
    return reader(value) if reader else _message(_as_bytes(value), kind)


# -- values ----------------------------------------------------------------------------------


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise BadProtobuf("a number stands where the protobuf form has bytes")
    return value


def _as_int(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise BadProtobuf("bytes stand where the protobuf form has a number")
    return _signed(value)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _double(value: int | bytes) -> float:
    number: float = struct.unpack("<d", struct.pack("<Q", _as_int(value) & (1 << 64) - 1))[0]
    return number


def _moment(value: int | bytes) -> datetime | None:
    seconds = nanos = 0
    for number, each in _fields(_as_bytes(value)):
        if number == 1:
            seconds = _as_int(each)
        elif number == 2:
            nanos = _as_int(each)
    if not seconds and not nanos:
        return None
    return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)


def _time(value: int | bytes) -> Any:
    moment = _moment(value)
    return _DROPPED if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _micro_time(value: int | bytes) -> Any:
    moment = _moment(value)
    return _DROPPED if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _quantity(value: int | bytes) -> str:
    for number, each in _fields(_as_bytes(value)):
        if number == 1:
            return _as_bytes(each).decode()
    return "0"


def _int_or_string(value: int | bytes) -> int | str:
    kind = number = 0
    text = ""
    for field, each in _fields(_as_bytes(value)):
        if field == 1:
            kind = _as_int(each)
        elif field == 2:
            number = _as_int(each)
        elif field == 3:
            text = _as_bytes(each).decode()
    return text if kind else number


def _raw_json(value: int | bytes) -> Any:
    for number, each in _fields(_as_bytes(value)):
        if number == 1 and each:
            return orjson.loads(_as_bytes(each))
    return _DROPPED


def _strings(value: int | bytes) -> list[str]:
    return [_as_bytes(each).decode() for number, each in _fields(_as_bytes(value)) if number == 1]


_READERS: Final[Mapping[str, Callable[[int | bytes], Any]]] = {
    "string": lambda value: _as_bytes(value).decode(),
    "bytes": lambda value: base64.b64encode(_as_bytes(value)).decode(),
    "int": _as_int,
    "bool": lambda value: bool(_as_int(value)),
    "double": _double,
    "Time": _time,
    "MicroTime": _micro_time,
    "Quantity": _quantity,
    "IntOrString": _int_or_string,
    "RawExtension": _raw_json,
    "FieldsV1": _raw_json,
    "Strings": _strings,
}
_EMPTY: Final[Mapping[str, Any]] = {"string": "", "bytes": "", "Quantity": "0", "Time": None}


# -- wire ------------------------------------------------------------------------------------


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of a message: a number as unsigned 64 bits, anything else as bytes."""
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if not number:
            raise BadProtobuf("a protobuf field has the number 0")
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire == _FIXED64:
            size = 8
        elif wire == _FIXED32:
            size = 4
        else:
            raise BadProtobuf(f"a protobuf field has the unknown wire type {wire}")
        if size > end - at:
            raise BadProtobuf("the protobuf body ends within a field")
        chunk = data[at : at + size]
        at += size
        yield number, chunk if wire == _BYTES else int.from_bytes(chunk, "little")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if at >= len(data):
            raise BadProtobuf("the protobuf body ends within a number")
        if shift > 63:
            raise BadProtobuf("a protobuf number is longer than 64 bits")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & (1 << 64) - 1, at
        shift += 7


@functools.cache
def _messages() -> _Messages:
    """The shipped table, which does not change."""
    text = resources.files("trimtab.cluster").joinpath("data", "protobuf_fields.txt").read_text()
    found: dict[str, dict[int, _Field]] = {}
    current: dict[int, _Field] = {}
    for line in text.splitlines():
        if not line.startswith(" "):
            current = found.setdefault(line, {})
            continue
        number, name, kind = line.split()
        current[int(number)] = _field(name, kind)
    return found


def _field(name: str, kind: str) -> _Field:
    shape = next((mark for mark in ("[]", "{}") if kind.startswith(mark)), "")
    return _Field(
        name=name,
        type=kind.lstrip("[]{}*^"),
        shape=shape,
        set_only=kind.startswith("*"),
        inline=kind.startswith("^"),
    )
