"""The form of the data files: cases, objects they share, differences that are known."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from trimtab.errors import Location, TrimtabError
from trimtab.lang import yaml

__all__ = ["BadCase", "Case", "Known", "Step", "Suite", "load_suite"]

HOME: Final = Path(__file__).parent


class BadCase(TrimtabError):
    """A data file that cannot be read as cases."""

    reason = "BadCase"


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One request and what has to come back.

    `do`: `METHOD path`. `body` is sent as JSON, `raw` and `base64` as they are; `type` names the
    content type, in full or short (json, merge, json-patch, strategic, apply, yaml, protobuf).
    `user` and `groups` impersonate; `token` replaces the administrator's (empty: anonymous).
    `expect` is a pattern of the body (see `match`), `text` one of the body as text. `events`: the
    next events of a watch; `eof`: then it ends. `within`: ask again until it fits, in seconds.
    """

    do: str
    body: Any = msgspec.UNSET
    raw: str | None = None
    base64: str | None = None
    type: str = ""
    accept: str = ""
    headers: dict[str, str] = {}
    user: str = ""
    groups: list[str] = []
    token: str | None = None
    status: int = 200
    expect: Any = msgspec.UNSET
    message: Any = msgspec.UNSET
    text: Any = msgspec.UNSET
    answer: dict[str, Any] = {}
    events: list[Any] | None = None
    eof: bool = False
    capture: dict[str, str] = {}
    within: float = 0.0


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`id` as in the specification; `part` tells several cases of one id apart. `sure`: the public
    contract says so, or it is from memory. `cleanup`: paths to delete; the namespace goes anyway.
    """

    id: int
    name: str
    sure: Literal["contract", "memory"]
    steps: list[Step]
    part: str = ""
    cleanup: list[str] = []

    @property
    def key(self) -> str:
        return f"{self.id:03d}{'.' if self.part else ''}{self.part}"


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A difference of the embedded cluster that is known, and why it is there."""

    case: str
    reason: str


class Suite(msgspec.Struct, frozen=True):
    """Cases in order; `objects` that bodies use; `paths` by their short name."""

    cases: list[Case]
    objects: dict[str, Any]
    paths: dict[str, str]
    known: dict[str, str]

    def chosen(self, pattern: str) -> list[Case]:
        """Those whose key or file-like name `NNN name` fits a glob."""
        return [c for c in self.cases if fnmatch(c.key, pattern) or fnmatch(c.name, pattern)]


def load_suite(home: Path = HOME) -> Suite:
    """All cases below `home/cases`. Raises `BadCase` with the file."""
    shared = _read(home / "objects.yaml", dict[str, Any])
    known = _read(home / "known.yaml", list[Known])
    cases: list[Case] = []
    for file in sorted((home / "cases").glob("*.yaml")):
        cases += _read(file, list[Case])
    keys = [case.key for case in cases]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    strangers = sorted({each.case for each in known} - set(keys))
    if twice or strangers:
        raise BadCase(f"cases that stand twice: {twice}, or are known but absent: {strangers}")
    cases.sort(key=lambda case: case.key)
    return Suite(cases, shared["objects"], shared["paths"], {k.case: k.reason for k in known})


def _read(file: Path, type_: Any) -> Any:
    try:
        return msgspec.convert(yaml.load(file.read_bytes(), source=file.name), type_)
    except msgspec.ValidationError as error:
        raise BadCase(str(error), where=Location(file.name)) from error
