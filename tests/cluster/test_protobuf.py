"""Protobuf request bodies: what kubectl sends is read as the object it means."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.cluster.protobuf import MAGIC, BadProtobuf, decode, known_kinds
from trimtab.objects import SchemaSet
from trimtab.objects.schema import Schema

# Bodies that kubectl 1.37 sent; the objects agree with its own --dry-run=client -o json.
CASES = json.loads((Path(__file__).parent / "protobuf_cases.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["command"])
def test_a_body_of_kubectl_is_the_object_it_means(case: dict[str, Any]) -> None:
    assert decode(base64.b64decode(case["body"])) == case["object"]


def test_the_worked_example_of_the_specification_has_55_bytes() -> None:
    body = base64.b64decode(CASES[0]["body"])
    assert len(body) == 55
    assert decode(body)["data"] == {"a": "b"}


@given(st.sampled_from(CASES), st.data())
def test_a_cut_body_is_refused_or_read_but_never_fails_otherwise(case: Any, data: Any) -> None:
    body = base64.b64decode(case["body"])
    cut = body[: data.draw(st.integers(0, len(body) - 1))]
    _reads_or_refuses(cut)


@given(st.sampled_from(CASES), st.data())
def test_a_changed_byte_is_refused_or_read_but_never_fails_otherwise(case: Any, data: Any) -> None:
    body = bytearray(base64.b64decode(case["body"]))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    _reads_or_refuses(bytes(body))


@given(st.binary(max_size=200))
def test_noise_is_refused_or_read_but_never_fails_otherwise(noise: bytes) -> None:
    _reads_or_refuses(MAGIC + noise)


def test_a_number_of_more_than_64_bits_is_refused() -> None:
    with pytest.raises(BadProtobuf, match="longer than 64 bits"):
        decode(MAGIC + b"\x08" + b"\xff" * 11)


def test_a_set_zero_stays_and_an_unset_one_goes() -> None:
    # Deployment: replicas (set only when given) 0, minReadySeconds (always written) 0, paused false
    spec = _field(2, b"\x08\x00" + b"\x28\x00" + b"\x38\x00")
    assert decode(_body("apps/v1", "Deployment", spec))["spec"] == {"replicas": 0}


def test_an_empty_message_that_was_set_stays() -> None:
    volume = _field(1, _field(1, b"tmp") + _field(2, _field(2, b"")))
    pod = decode(_body("v1", "Pod", _field(2, volume)))
    assert pod["spec"]["volumes"] == [{"name": "tmp", "emptyDir": {}}]


def test_fields_of_inlined_messages_stand_in_the_outer_object() -> None:
    reference = _field(1, _field(1, b"creds")) + _field(2, b"password")
    variable = _field(1, b"P") + _field(3, _field(4, reference))
    container = _field(1, b"c") + _field(7, variable)
    pod = decode(_body("v1", "Pod", _field(2, _field(2, container))))
    found = pod["spec"]["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]
    assert found == {"name": "creds", "key": "password"}


def test_times_have_seconds_and_micro_times_six_digits() -> None:
    moment = b"\x08" + _varint(1_674_789_120) + b"\x10" + _varint(1_000_000)
    lease = decode(_body("coordination.k8s.io/v1", "Lease", _field(2, _field(4, moment))))
    assert lease["spec"]["renewTime"] == "2023-01-27T03:12:00.001000Z"
    named = decode(_body("v1", "Namespace", _field(1, _field(8, moment))))
    assert named["metadata"]["creationTimestamp"] == "2023-01-27T03:12:00Z"


def test_delete_options_are_read_in_any_group() -> None:
    options = decode(_body("apps/v1", "DeleteOptions", b"\x08\x00" + _field(4, b"Foreground")))
    assert options["gracePeriodSeconds"] == 0
    assert options["propagationPolicy"] == "Foreground"


def test_a_kind_without_a_table_is_refused_with_a_hint() -> None:
    with pytest.raises(BadProtobuf, match=r'no kind "Widget" in version "example\.org/v1"') as seen:
        decode(_body("example.org/v1", "Widget", b""))
    assert seen.value.hint == "send the object as application/json"


def test_every_field_of_the_table_is_one_of_the_schema() -> None:
    schemas = SchemaSet.load("1.37")
    by_name = {
        f"{gvk.group.partition('.')[0] or 'core'}/{gvk.version}.{gvk.kind}": gvk
        for gvk in schemas.kinds()
    }
    checked = 0
    for name in known_kinds():
        schema = schemas.get(by_name[name]) if name in by_name else None
        if schema is None:
            continue
        _check_fields(name, schema, set())
        checked += 1
    assert checked >= 35


def _check_fields(name: str, schema: Schema, seen: set[str]) -> None:
    from trimtab.cluster.protobuf import _messages

    if name in seen:
        return
    seen.add(name)
    for field in _messages()[name].values():
        if field.inline:
            _check_fields(field.type, schema, seen)
            continue
        below = schema.properties.get(field.name)
        assert below is not None, f"{name}.{field.name}"
        if field.shape == "[]":
            assert below.items is not None, f"{name}.{field.name}"
            below = below.items
        elif field.shape == "{}":
            assert below.additional is not None, f"{name}.{field.name}"
            below = below.additional
        if "/" in field.type:
            _check_fields(field.type, below, seen)


def _reads_or_refuses(body: bytes) -> None:
    try:
        found = decode(body)
    except BadProtobuf:
        return
    assert found["kind"]
    json.dumps(found)


def _field(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2, len(data)]) + data


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def _body(api_version: str, kind: str, message: bytes) -> bytes:
    meta = _field(1, api_version.encode()) + _field(2, kind.encode())
    return MAGIC + _field(1, meta) + _field(2, message)
