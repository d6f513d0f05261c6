"""YAML is read as Kubernetes tools read it: the oracle is `kubectl kustomize`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trimtab.lang.yaml import Limits, YamlError, YamlLimitError, dump, load, load_all, place
from trimtab.lang.yaml.reader import load_all as read_all

CASES = (Path(__file__).parent / "yaml_scalars.yaml.txt").read_text().splitlines()
KUBECTL = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")
needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")


def kustomized(lines: list[str], tmp_path: Path) -> list[Any]:
    """What kubectl makes of a list of scalars, one a line."""
    body = "".join(f"  - {line}\n" for line in lines)
    (tmp_path / "kustomization.yaml").write_text("resources: [r.yaml]\n")
    (tmp_path / "r.yaml").write_text(
        f"apiVersion: x/v1\nkind: K\nmetadata: {{name: a}}\nv:\n{body}"
    )
    assert KUBECTL
    run = subprocess.run(
        [KUBECTL, "kustomize", str(tmp_path)], capture_output=True, text=True, check=True
    )
    values = load(run.stdout)["v"]
    assert isinstance(values, list)
    return values


@needs_kubectl
def test_every_scalar_of_the_table_means_what_it_means_to_go(tmp_path: Path) -> None:
    theirs = kustomized(CASES, tmp_path)
    text = "".join(f"- {line}\n" for line in CASES)
    ours = read_all(text, timestamps="rfc3339")[0].value
    assert [type(value) for value in ours] == [type(value) for value in theirs]
    assert dict(zip(CASES, ours, strict=True)) == dict(zip(CASES, theirs, strict=True))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("0777", 511),
        ("0o7", 7),
        ("08", 8),
        ("1_000", 1000),
        ("1e3", 1000),
        ("12:30:45", "12:30:45"),
        ("2020-01-01", "2020-01-01"),
        ("0xff", 255),
        ("1.10", 1.1),
        ("123456789012345678901234", 1.2345678901234569e23),
        ("!!binary aGk=", "hi"),
        ("1e999", "1e999"),
    ],
)
def test_scalars_keep_these_values(text: str, value: object) -> None:
    read = load(f"v: {text}")["v"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("key", ["1", "true", "0x1", "~"])
def test_keys_become_the_text_json_gives_them(key: str) -> None:
    assert load(f"{key}: a") == {{"0x1": "1", "~": "null"}.get(key, key): "a"}


def test_merge_keys_yield_to_written_keys_and_to_earlier_sources() -> None:
    text = "b: &b {a: 1, c: 1}\nv: {a: 0, <<: [*b, {c: 2, z: 3}]}\n"
    assert load(text)["v"] == {"a": 0, "c": 1, "z": 3}


def test_an_aliased_mapping_is_a_value_of_its_own_each_time() -> None:
    value = load("a: &x {k: [1]}\nb: *x\n")
    assert value["a"] == value["b"]
    assert value["a"]["k"] is not value["b"]["k"]


def test_documents_know_their_first_line_and_empty_ones_are_skipped() -> None:
    text = "# comment\n\na: 1\n---\n# nothing here\n---\n\nb: 2\n---\nnull\n"
    assert [(d.value, d.line, d.index) for d in load_all(text)] == [
        ({"a": 1}, 3, 0),
        ({"b": 2}, 8, 2),
    ]


def test_a_byte_order_mark_is_ignored() -> None:
    assert load(b"\xef\xbb\xbfa: 1") == {"a": 1}
    assert load("\ufeffa: 1".encode("utf-16")) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "f.yaml:4:3", "already defined"),
        ("a: [1,\n", "f.yaml:2:1", "flow"),
        ("a: .nan\n", "f.yaml:1:4", "no JSON form"),
        ("a: -.inf\n", "f.yaml:1:4", "no JSON form"),
        ("a: b: c\n", "f.yaml:1:5", "mapping values"),
        ("\ta: b\n", "f.yaml:1:1", "cannot start any token"),
        ("a: *x\n", "f.yaml:1:4", "undefined alias"),
        ("a: !!bool yes\n", "f.yaml:1:4", "!!bool"),
        ("a: !!int 1e3\n", "f.yaml:1:4", "!!int"),
        ("? [a]\n: 1\n", "f.yaml:1:3", "scalar"),
        ("a: {<<: 1}\n", "f.yaml:1:9", "<<"),
        ("a: {<<: {b: 1}, <<: {c: 1}}\n", "f.yaml:1:17", "duplicate merge"),
    ],
)
def test_errors_point_to_the_place(text: str, where: str, message: str) -> None:
    with pytest.raises(YamlError) as caught:
        load_all(text, source="f.yaml")
    assert str(caught.value.where) == where
    assert message in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "[" * 5000,
        "{" * 5000,
        "- " * 5000,
        "a: &x [*x]",
        "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
        + "".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 10)}]\n"
            for i in range(9)
        ),
        "- a\n" * 100_001,
    ],
    ids=["flow list", "flow map", "block list", "cycle", "alias bomb", "many values"],
)
def test_hostile_texts_hit_a_limit(text: str) -> None:
    with pytest.raises(YamlLimitError):
        load_all(text)


def test_a_file_beyond_its_limit_is_refused_before_parsing() -> None:
    with pytest.raises(YamlLimitError, match="file_bytes"):
        load_all(b"a: 1" * 100, limits=Limits(file_bytes=100))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
    | st.sampled_from([*CASES, "a: b", "# x", "- a", "a\n", "\n", " a\n b", "x\n\n\n", "a\tb\nc"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=140) | st.sampled_from(CASES), inner, max_size=4)
    ),
    max_leaves=15,
)


def as_json(value: Any) -> Any:
    """Numbers as Go's JSON has them: integral floats are integers."""
    if isinstance(value, float) and value.is_integer() and -(2**63) <= value < 2**63:
        return int(value)
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return value


@given(json_values)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert load(dump({"v": value}))["v"] == as_json(value)


@given(json_values)
def test_json_is_yaml_but_for_surrogate_pairs(value: Any) -> None:
    text = json.dumps({"v": value})
    assume("\\ud8" not in text and "\\uda" not in text and "\\udb" not in text)
    assume("\\ud9" not in text)
    assert load(text)["v"] == as_json(value)


WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(
    ("false", "False", "FALSE"), False
)


@given(st.from_regex(r"[A-Za-z_/.0-9~+-]{1,12}", fullmatch=True))
def test_the_shortcut_by_the_first_character_changes_no_meaning(text: str) -> None:
    assume(text not in ("-", "---", "...") and not re.fullmatch(r"[-+]?\.(?i:inf|nan)", text))
    value = load(f"v: {text}\n")["v"]
    if text in WORDS:
        assert value is WORDS[text]
    elif isinstance(value, str):
        assert value == text
        assert not re.fullmatch(r"[-+]?(0|[1-9][0-9]{0,17})", text)
    else:
        assert text[0] in "0123456789+-."


@pytest.mark.parametrize("word", ["y", "Yes", "ON", "n", "No", "OFF"])
def test_old_booleans_are_booleans_only_where_asked(word: str) -> None:
    text = f"{word}: {word}\n"
    meaning = word.lower() in ("y", "yes", "on")
    assert load(text) == {word: word}
    assert load_all(text, booleans="yaml11")[0].value == {str(meaning).lower(): meaning}


def test_places_of_keys_and_values_are_found_for_messages() -> None:
    text = "a: 1\nb:\n- c: 2\n- d:  3\n"
    assert place(text, ("b", 1, "d")) == (4, 3)
    assert place(text, ("b", 1, "d"), key=False) == (4, 7)
    assert place(text, ("b", 7)) == (2, 1)
    assert place("a: [", ("a",)) == (0, 0)
