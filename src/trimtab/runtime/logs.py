"""Logs as events: a constant message and fields, as one line of text or of JSON.

Secrets are masked where values become text (SEC-12). Source: spec/controller-runtime.md 12.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from typing import Any

import orjson

from trimtab.kube import Clock

__all__ = ["Level", "Logger", "mask", "scrub_urls", "stderr_logger"]

MASK = "***"
MIN_SECRET = 4
_URL_CREDENTIALS = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s@\"']+@")
_URL_QUERY = re.compile(
    r"(?i)(?P<name>[?&](?:access_token|token|password|secret|signature|sig|x-amz-signature)=)[^&\s\"']+"
)
_SECRET_FIELD = re.compile(r"(?i)(password|passwd|token|secret|authorization|private_?key)$")
_PLAIN = re.compile(r"[A-Za-z0-9_.,:/@+*%~()\[\]-]+")


class Level(IntEnum):
    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


def mask(text: str, secrets: Iterable[str]) -> str:
    """`text` with every secret (of at least 4 characters) and all credentials in URLs replaced.

    Longer secrets go first, so that one that contains another leaves no rest.
    """
    for secret in sorted((s for s in secrets if len(s) >= MIN_SECRET), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return scrub_urls(text)


def scrub_urls(text: str) -> str:
    """`text` without user information and secret query values in URLs."""
    text = _URL_CREDENTIALS.sub(rf"\g<scheme>{MASK}@", text)
    return _URL_QUERY.sub(rf"\g<name>{MASK}", text)


class Logger:
    """Writes lines to `write`. `bind` gives one that adds fields to each line."""

    def __init__(
        self,
        write: Callable[[str], object],
        *,
        clock: Clock,
        level: Level = Level.INFO,
        as_json: bool = False,
        secrets: Callable[[], Iterable[str]] = tuple,
        fields: Mapping[str, object] | None = None,
    ) -> None:
        self._write = write
        self._clock = clock
        self._level = level
        self._json = as_json
        self._secrets = secrets
        self._fields = dict(fields or {})

    def bind(self, **fields: object) -> Logger:
        """A logger whose lines carry these fields as well."""
        return Logger(
            self._write,
            clock=self._clock,
            level=self._level,
            as_json=self._json,
            secrets=self._secrets,
            fields={**self._fields, **fields},
        )

    def debug(self, message: str, /, **fields: object) -> None:
        self._log(Level.DEBUG, message, fields)

    def info(self, message: str, /, **fields: object) -> None:
        self._log(Level.INFO, message, fields)

    def warning(self, message: str, /, **fields: object) -> None:
        self._log(Level.WARNING, message, fields)

    def error(
        self, message: str, /, *, error: BaseException | None = None, **fields: object
    ) -> None:
        """With `error`, its traceback goes into the field `stack` (JSON) or below the line."""
        stack = "".join(traceback.format_exception(error)) if error is not None else ""
        self._log(Level.ERROR, message, fields, stack=stack)

    def _log(
        self, level: Level, message: str, fields: Mapping[str, object], *, stack: str = ""
    ) -> None:
        if level < self._level:
            return
        time = self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        name = level.name.lower()
        every = {
            key: MASK if _SECRET_FIELD.search(key) else value
            for key, value in {**self._fields, **fields}.items()
        }
        secrets = tuple(self._secrets())
        if self._json:
            document: dict[str, Any] = {"time": time, "level": name, "message": message}
            document.update({key: _json_value(value) for key, value in every.items()})
            if stack:
                document["stack"] = stack
            line = orjson.dumps(_masked(document, secrets), default=str).decode()
        else:
            parts = [f"{key}={_plain_value(value)}" for key, value in every.items()]
            line = mask(" ".join([time, name.upper().ljust(7), message, *parts]), secrets)
            if stack:
                line += "\n" + mask(stack.rstrip(), secrets)
        self._write(line + "\n")


def stderr_logger(*, clock: Clock, level: Level = Level.INFO, as_json: bool = False) -> Logger:
    """A logger on standard error."""
    return Logger(sys.stderr.write, clock=clock, level=level, as_json=as_json)


def _plain_value(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else orjson.dumps(text).decode()


def _json_value(value: object) -> object:
    return value if isinstance(value, bool | int | float | dict | list | None) else str(value)


def _masked(value: Any, secrets: tuple[str, ...]) -> Any:
    """Masked value by value: a replacement in the finished JSON could break it."""
    if isinstance(value, str):
        return mask(value, secrets)
    if isinstance(value, dict):
        return {str(key): _masked(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(item, secrets) for item in value]
    return value
