"""SEC-12 for log lines; spec/controller-runtime.md 12."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.runtime import Level, Logger, ManualClock, mask

from .fakes import Lines

SECRETS = st.lists(
    st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=4), max_size=4
)


@given(st.text(), SECRETS)
def test_no_secret_survives_masking(text: str, secrets: list[str]) -> None:
    masked = mask(" ".join([text, *secrets, "".join(secrets)]), secrets)
    for secret in secrets:
        assert secret not in masked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://user:pass@host/repo", "https://***@host/repo"),
        ("clone 'ssh://git:tok@h:22/r' failed", "clone 'ssh://***@h:22/r' failed"),
        ("https://token@host", "https://***@host"),
        ("https://h/x?token=abc&a=b", "https://h/x?token=***&a=b"),
        ("https://h/x?a=b&X-Amz-Signature=abc", "https://h/x?a=b&X-Amz-Signature=***"),
        ("mail a@b.c and git@github.com:x/y", "mail a@b.c and git@github.com:x/y"),
        ("https://host/path@v1", "https://host/path@v1"),
        ("one two", "one two"),
    ],
)
def test_urls_lose_their_credentials(text: str, expected: str) -> None:
    assert mask(text, []) == expected


def test_short_words_are_not_masked_and_longer_secrets_go_first() -> None:
    assert mask("a=b abc", ["a", "b"]) == "a=b abc"
    assert mask("secret-token", ["secret", "secret-token"]) == "***"


def test_a_plain_line_has_time_level_message_and_fields() -> None:
    lines = Lines()
    log = lines.logger(ManualClock()).bind(controller="apps")
    log.info("synced", key="team/a", note='two "words"', n=3, password="hunter2!")
    start = "2026-01-01T00:00:00.000Z INFO    synced controller=apps key=team/a "
    assert lines == [start + 'note="two \\"words\\"" n=3 password=***\n']


def test_a_json_line_stays_json_after_masking() -> None:
    lines = Lines()
    log = Logger(
        lines.append,
        clock=ManualClock(),
        as_json=True,
        level=Level.DEBUG,
        secrets=lambda: ['tr"icky', "canary-1"],
    )
    try:
        raise ValueError("canary-1 in a traceback")
    except ValueError as error:
        log.error(
            "failed", error=error, nested={"x": ['tr"icky']}, url="https://u:p@h", apiToken="t"
        )
    log.debug("seen", n=1)
    first, second = (json.loads(line) for line in lines)
    assert first["message"] == "failed"
    assert first["nested"] == {"x": ["***"]}
    assert first["url"] == "https://***@h"
    assert first["apiToken"] == "***"
    assert "ValueError" in first["stack"]
    assert "canary-1" not in lines.text
    assert second["n"] == 1


def test_lines_below_the_level_are_not_written() -> None:
    lines = Lines()
    lines.logger(ManualClock()).debug("quiet")
    assert lines == []
