"""Runs one case: its steps in a namespace of its own, then the cleanup."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Mapping
from typing import Final

import msgspec

from trimtab.cluster.fidelity.api import Answer, Server
from trimtab.cluster.fidelity.case import Case, Step, Suite
from trimtab.cluster.fidelity.match import differences
from trimtab.cluster.fidelity.values import fill, pick

__all__ = ["Outcome", "run_case"]

PAUSE_S: Final = 0.05
TYPES: Final[Mapping[str, str]] = {
    "json": "application/json",
    "merge": "application/merge-patch+json",
    "json-patch": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
    "yaml": "application/yaml",
    "protobuf": "application/vnd.kubernetes.protobuf",
}
_GROUP: Final = "application/json;g=meta.k8s.io;v=v1;as="
ACCEPT: Final[Mapping[str, str]] = {
    "table": f"{_GROUP}Table",
    "partial": f"{_GROUP}PartialObjectMetadata",
    "partials": f"{_GROUP}PartialObjectMetadataList",
}


class Outcome(msgspec.Struct, frozen=True):
    """`problems` is empty when the case passed; `answers` are those of its steps."""

    key: str
    name: str
    problems: list[str]
    answers: list[Answer]


def run_case(server: Server, suite: Suite, case: Case) -> Outcome:
    """Raises `BadCase` for a mistake in the data, OSError when the server cannot be reached."""
    run = secrets.token_hex(4)
    names = {**suite.paths, "run": run, "ns": f"f{case.id}-{run}", "group": f"g{run}.example"}
    answers: list[Answer] = []
    problems: list[str] = []
    made = server.ask(
        "POST",
        "/api/v1/namespaces",
        json.dumps({"metadata": {"name": names["ns"]}}).encode(),
        {"Content-Type": "application/json"},
    )
    if made.status != 201:
        return Outcome(case.key, case.name, [f"no namespace: {made.text}"], [made])
    try:
        for number, step in enumerate(case.steps, 1):
            answer, found = _step(server, suite, step, names)
            answers.append(answer)
            if found:
                what = f"step {number}, {fill(step.do, names, {})}"
                problems = [f"{what}: {line}" for line in found]
                break
    finally:
        for path in (*case.cleanup, f"/api/v1/namespaces/{names['ns']}"):
            server.ask("DELETE", fill(path, names, {}))
    return Outcome(case.key, case.name, problems, answers)


def _step(
    server: Server, suite: Suite, step: Step, names: dict[str, str]
) -> tuple[Answer, list[str]]:
    """The answer and what is wrong with it; captures go into `names`."""
    deadline = time.monotonic() + step.within
    while True:
        answer = _ask(server, suite, step, names)
        found = _judge(suite, step, names, answer)
        if not found or time.monotonic() >= deadline:
            break
        time.sleep(PAUSE_S)
    if found:
        return answer, found
    value = answer.events if step.events is not None else answer.body
    for name, path in step.capture.items():
        try:
            source = answer.headers if path.startswith("header:") else value
            names[name] = pick(source, path.removeprefix("header:"))
        except (KeyError, IndexError, ValueError):
            return answer, [f"nothing to capture at {path} in {answer.text[:500]}"]
    return answer, []


def _ask(server: Server, suite: Suite, step: Step, names: dict[str, str]) -> Answer:
    method, _, path = fill(step.do, names, {}).partition(" ")
    body, headers = _body(suite, step, names), dict(fill(step.headers, names, {}))
    if body is not None:
        kind = step.type or ("merge" if method == "PATCH" else "json")
        headers.setdefault("Content-Type", TYPES.get(kind, kind))
    if step.accept:
        headers["Accept"] = ACCEPT.get(step.accept, step.accept)
    if step.user:
        headers["Impersonate-User"] = fill(step.user, names, {})
    for group in step.groups:
        headers["Impersonate-Group"] = fill(group, names, {})
    return server.ask(
        method,
        path,
        body,
        headers,
        token=None if step.token is None else fill(step.token, names, {}),
        events=None if step.events is None else len(step.events),
        eof=step.eof,
    )


def _body(suite: Suite, step: Step, names: dict[str, str]) -> bytes | None:
    if step.raw is not None:
        return str(fill(step.raw, names, {})).encode()
    if step.base64 is not None:
        return base64.b64decode(step.base64)
    if step.body is msgspec.UNSET:
        return None
    return json.dumps(fill(step.body, names, suite.objects)).encode()


def _judge(suite: Suite, step: Step, names: dict[str, str], answer: Answer) -> list[str]:
    if answer.status != step.status:
        return [f"expected {step.status}, got {answer.status}: {answer.text[:800]}"]
    found: list[str] = []
    wanted = fill(step.answer, names, {})
    for name, pattern in wanted.items():
        got = {name: answer.headers[name]} if name in answer.headers else {}
        found += differences({name: pattern}, got, "header")
    body = answer.body
    if step.expect is not msgspec.UNSET:
        found += differences(fill(step.expect, names, suite.objects), body)
    if step.message is not msgspec.UNSET:
        found += differences({"message": fill(step.message, names, {})}, body)
    if step.text is not msgspec.UNSET:
        found += differences(fill(step.text, names, {}), answer.text, "text")
    if step.events is not None:
        found += differences(fill(step.events, names, suite.objects), answer.events, "events")
        if step.eof and not answer.ended:
            found.append("the watch did not end")
    return found
