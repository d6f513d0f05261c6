"""The hash suffix is the one kubectl gives, on generated inputs and on any input."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trimtab.lang.yaml import dump
from trimtab.render.kustomize import build
from trimtab.render.kustomize.hashing import name_hash
from trimtab.sources import LocalTree

ALPHABET = "abcXYZ019 _-.:=#<>&\"'\\/\t{}[]%$\u00e9\u2028\u2029\U0001f600"


def texts(rng: random.Random) -> str:
    return "".join(rng.choice(ALPHABET) for _ in range(rng.randint(0, 40)))


def generators(rng: random.Random, count: int) -> dict[str, Any]:
    """A kustomization of `count` generators of each kind with random literals."""

    def entry(prefix: str, index: int) -> dict[str, Any]:
        literals = [f"k{i}.{rng.randint(0, 9)}={texts(rng)}" for i in range(rng.randint(0, 5))]
        return {"name": f"{prefix}-{index}", "literals": literals}

    secrets = [entry("s", i) for i in range(count)]
    for secret in secrets:
        if rng.random() < 0.3:
            secret["type"] = f"example.com/{rng.randint(0, 9)}"
    return {
        "configMapGenerator": [entry("c", i) for i in range(count)],
        "secretGenerator": secrets,
    }


def test_five_hundred_random_generators_hash_as_kubectl_hashes(
    tmp_path: Path, kubectl: Callable[[Path], list[Any] | None]
) -> None:
    spec = generators(random.Random(7), 250)
    (tmp_path / "kustomization.yaml").write_text(dump(spec))
    theirs = kubectl(tmp_path)
    manifests, _ = build(LocalTree(tmp_path), "")
    assert theirs is not None
    assert len(theirs) == 500
    assert [manifest.obj for manifest in manifests] == theirs


data = st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=20), max_size=4)


@given(data, st.text(max_size=10))
def test_the_name_does_not_change_the_hash(values: dict[str, str], name: str) -> None:
    first = {"kind": "ConfigMap", "metadata": {"name": "a"}, "data": values}
    second = {"kind": "ConfigMap", "metadata": {"name": name}, "data": values}
    assert name_hash(first) == name_hash(second)


@given(data, data)
def test_other_data_gives_another_hash(one: dict[str, str], two: dict[str, str]) -> None:
    def hashed(values: dict[str, str]) -> str:
        encoded = {k: base64.b64encode(v.encode()).decode() for k, v in values.items()}
        return name_hash({"kind": "Secret", "type": "Opaque", "data": encoded})

    assert (hashed(one) == hashed(two)) == (one == two)


@given(data)
def test_a_hash_is_ten_letters_that_spell_no_word(values: dict[str, str]) -> None:
    suffix = name_hash({"kind": "ConfigMap", "data": values})
    assert len(suffix) == 10
    assert not set(suffix) & set("013ae")
