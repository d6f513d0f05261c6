"""Plain HTTP requests to an API server."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

__all__ = ["Answer", "Server"]

TIMEOUT_S: Final = 15.0


class Answer(msgspec.Struct, frozen=True):
    """Header names are in small letters; repeated headers are joined by `, `."""

    status: int
    headers: dict[str, str]
    text: str
    events: list[Any] = []
    ended: bool = False

    @property
    def body(self) -> Any:
        """The value of a JSON body, else None."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


class Server:
    """One API server and the token of its administrator. `ca_pem` empty: the system's trust."""

    def __init__(self, url: str, token: str, ca_pem: str = "") -> None:
        self._parts = urlsplit(url)
        self._token = token
        self._trust = ssl.create_default_context(cadata=ca_pem or None)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        token: str | None = None,
        events: int | None = None,
        eof: bool = False,
    ) -> Answer:
        """`events`: read so many lines of a watch; `eof`: and then its end. Raises OSError."""
        given = {"User-Agent": "fidelity/1", **(headers or {})}
        used = self._token if token is None else token
        if used:
            given["Authorization"] = f"Bearer {used}"
        connection = self._connect()
        try:
            connection.request(method, self._parts.path + path, body=body, headers=given)
            answer = connection.getresponse()
            found: dict[str, str] = {}
            for name, value in answer.getheaders():
                known = found.get(name.lower())
                found[name.lower()] = f"{known}, {value}" if known else value
            if events is None or answer.status != 200:
                return Answer(answer.status, found, answer.read().decode("utf-8", "replace"))
            seen, ended = _events(answer, events, eof=eof)
            return Answer(answer.status, found, "", seen, ended)
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        host = self._parts.netloc
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, timeout=TIMEOUT_S)
        return http.client.HTTPSConnection(host, timeout=TIMEOUT_S, context=self._trust)


def _events(answer: http.client.HTTPResponse, wanted: int, *, eof: bool) -> tuple[list[Any], bool]:
    seen: list[Any] = []
    while eof or len(seen) < wanted:
        try:
            line = answer.readline()
        except TimeoutError:
            return seen, False
        if not line:
            return seen, True
        seen.append(json.loads(line))
    return seen, False
