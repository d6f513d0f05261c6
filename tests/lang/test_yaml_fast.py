"""The fast path gives what the exact path gives, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trimtab.errors import TrimtabError
from trimtab.lang.yaml import Limits, dump, fast
from trimtab.lang.yaml.reader import _load_exactly

HERE = Path(__file__).parent
FILES = sorted((HERE.parent / "render" / "kustomize" / "corpus").rglob("*.y*ml"))
SCALARS = (HERE / "yaml_scalars.yaml.txt").read_text().splitlines()


def quick(text: str, booleans: Any = "true_false") -> list[tuple[Any, int, int]] | None:
    return fast.parse(text, nodes=100_000, depth=100, timestamps="rfc3339", booleans=booleans)


def exact(text: str, booleans: Any = "true_false") -> list[tuple[Any, int, int]] | None:
    try:
        documents = _load_exactly(text, "f.yaml", Limits(), "rfc3339", booleans)
    except TrimtabError:
        return None
    return [(d.value, d.line, d.index) for d in documents]


def assert_same(text: str, booleans: Any = "true_false") -> bool:
    found = quick(text, booleans)
    if found is None:
        return False
    assert repr(found) == repr(exact(text, booleans))
    return True


def test_every_file_of_the_corpus_reads_the_same_on_both_paths() -> None:
    taken = sum(assert_same(path.read_text()) for path in FILES)
    assert taken > len(FILES) // 4


@pytest.mark.parametrize("line", SCALARS)
def test_every_scalar_of_the_table_reads_the_same_on_both_paths(line: str) -> None:
    for text in (f"v: {line}\n", f"- {line}\n", f"v:\n- a: {line}\n  b: 1\n", f"v: {line} # c\n"):
        assert_same(text)
        assert_same(text, "yaml11")


words = st.sampled_from(
    [*SCALARS, "a", "b c", "x:y", "http://x/y", "a: b", "a:", "# c", "a #b", "a#b", "''", '"q"',
     "'it''s'", '"\\n"', "'a' # c", "[]", "{}", "[a, b]", '["a", "b"]', "[a,true, n1]", "[a: b]",
     "{a: b}", "|", "|-", "|+", ">", "|2", "-", "- a", "- - b", "- a: b", "&x", "*x", "!t", "?",
     "---", "...", "%T", "@", "`", "<<", "y", "No", "\u00e9", "\u00a0", "key: v", "k : v"]
)  # fmt: skip
keys = st.sampled_from(["a", "b", "c.d/e", '"q"', "'s'", "true", "y", "<<", "1", "a b", "-", "k$"])
line = st.one_of(
    st.builds("{}{}: {}".format, st.sampled_from(["", "- ", "- - "]), keys, words),
    st.builds("{}{}:".format, st.sampled_from(["", "- "]), keys),
    st.builds("- {}".format, words),
    words,
    st.sampled_from(["", "  ", "# c", "-", "---", "--- ", "--- a", "...", "\t", "\r"]),
)
texts = st.lists(
    st.builds("{}{}".format, st.sampled_from(["", " ", "  ", "   ", "    ", "      "]), line),
    max_size=8,
).map("\n".join)


@given(
    texts, st.sampled_from(["", "\n", "\n\n", "\n  \n"]), st.sampled_from(["true_false", "yaml11"])
)
@settings(max_examples=1500, deadline=None)
@example("a: |\n  x\n\n  y\n b: 1", "\n", "true_false")
@example("a: |+\n\n  x\n\n\nb: 1", "\n", "true_false")
@example("- |\n x\n- y", "\n", "true_false")
@example("a:\n- |\n x\nb: 1", "\n", "true_false")
@example("a:\n  - b: |\n     x\n    c: 1", "\n", "true_false")
@example("# c\n---\n# d\n---\na: 1\n---", "\n", "true_false")
@example("a: 1\n---\n---\nb: 1", "", "true_false")
def test_both_paths_agree_on_any_text(text: str, end: str, booleans: str) -> None:
    assert_same(text + end, booleans)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.text(max_size=20)
    | st.sampled_from([*SCALARS, "a\nb\n", "a\n\n b", "x\n\n\n", "\n", " a\nb"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["a", "b-c", "d.e/f", "on", "1", "x y"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(st.lists(values, max_size=3))
@settings(max_examples=300, deadline=None)
def test_both_paths_agree_on_what_we_write(documents: list[Any]) -> None:
    assert_same("---\n".join(dump(document) for document in documents))


def test_a_text_near_the_limits_is_left_to_the_exact_path() -> None:
    deep = "".join(f"{'  ' * i}a:\n" for i in range(101))
    assert quick(deep) is None
    assert quick("- a\n" * 50_001) is None
