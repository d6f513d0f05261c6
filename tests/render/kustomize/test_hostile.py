"""Whatever stands in a repository, a build ends in objects or in an error that we drew."""

from __future__ import annotations

import copy
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trimtab.errors import TrimtabError
from trimtab.lang.yaml import YamlError, dump_all, load_all
from trimtab.render.kustomize import build
from trimtab.sources import LocalTree

CORPUS = Path(__file__).parent / "corpus"
CASES = sorted(path for path in CORPUS.iterdir() if path.is_dir())
JUNK: list[Any] = [
    None, 1, True, "x", "", [], {}, [None], [1], ["x"], {"a": None}, {"a": 1}, [{"name": 1}],
    [[]], "a: b", "*", "[", "..", 1.5, "$(X)", "../..", {"$patch": "delete"},
]  # fmt: skip


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(item, dict | list):
            yield from paths(item, (*path, key))
        else:
            yield (*path, key)


def spoil(file: Path, rng: random.Random) -> None:
    """Put junk in the place of one value of a file."""
    documents = [document.value for document in load_all(file.read_bytes())]
    target = rng.choice([d for d in documents if isinstance(d, dict | list)])
    *way, last = rng.choice(list(paths(target)))
    for key in way:
        target = target[key]
    target[last] = copy.deepcopy(rng.choice(JUNK))
    file.write_text(dump_all(documents))


@pytest.mark.parametrize("seed", range(4))
def test_junk_in_any_place_is_refused_or_built(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    built = 0
    refusals: list[TrimtabError] = []
    for number in range(150):
        case = rng.choice(CASES)
        root = tmp_path / str(number)
        shutil.copytree(case, root)
        files = sorted(f for f in root.rglob("*.y*ml") if f.is_file())
        try:
            spoil(rng.choice(files), rng)
        except (YamlError, IndexError):
            continue
        try:
            build(LocalTree(root), "overlay" if (root / "overlay").is_dir() else "")
            built += 1
        except TrimtabError as error:
            refusals.append(error)
    assert built
    assert refusals
    assert all(error.where is not None for error in refusals)
