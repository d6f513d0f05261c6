"""Answers without what differs from run to run, so that two recordings can be compared."""

from __future__ import annotations

import re
from typing import Any, Final

from trimtab.cluster.fidelity.api import Answer
from trimtab.cluster.fidelity.runner import Outcome

__all__ = ["normalised"]

_HEADERS: Final = ("content-type", "warning", "retry-after", "vary", "cache-control", "location")
_UID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_ADDRESS: Final = re.compile(r"\b\d+\.\d+\.\d+\.\d+\b")
_RUN: Final = re.compile(r"\b(f\d+-|g)[0-9a-f]{8}\b")


def normalised(outcome: Outcome) -> dict[str, Any]:
    """Each step's status, headers of interest and body or events: uids numbered as they come,
    versions by their rank, times, addresses and names of the run by their kind."""
    versions = sorted({v for each in outcome.answers for v in _versions(_content(each))})
    ranks = {str(version): f"<rv {rank}>" for rank, version in enumerate(versions, 1)}
    uids: dict[str, str] = {}
    steps = []
    for each in outcome.answers:
        headers = {name: each.headers[name] for name in _HEADERS if name in each.headers}
        content = _plain(_content(each), ranks, uids)
        steps.append({"status": each.status, "headers": headers, "content": content})
    return {"case": outcome.key, "name": outcome.name, "steps": steps}


def _content(answer: Answer) -> Any:
    if answer.events:
        return answer.events
    body = answer.body
    return answer.text if body is None else body


def _versions(value: Any) -> set[int]:
    if isinstance(value, list):
        return {found for item in value for found in _versions(item)}
    if not isinstance(value, dict):
        return set()
    found = {each for member in value.values() for each in _versions(member)}
    own = value.get("resourceVersion")
    return found | {int(own)} if isinstance(own, str) and own.isdigit() else found


def _plain(value: Any, ranks: dict[str, str], uids: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_plain(item, ranks, uids) for item in value]
    if isinstance(value, dict):
        return {
            _text(key, uids): ranks.get(member, member)
            if key == "resourceVersion" and isinstance(member, str)
            else _plain(member, ranks, uids)
            for key, member in value.items()
        }
    return _text(value, uids) if isinstance(value, str) else value


def _text(text: str, uids: dict[str, str]) -> str:
    text = _UID.sub(lambda found: uids.setdefault(found[0], f"<uid {len(uids) + 1}>"), text)
    text = _TIME.sub("<time>", text)
    text = _ADDRESS.sub("<address>", text)
    return _RUN.sub(lambda found: f"{found[1]}<run>", text)
