"""Addresses of repositories: what is allowed, what is secret in them, what they are called."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

import msgspec

from trimtab.sources.errors import UrlInvalid
from trimtab.sources.model import Credentials

__all__ = ["GitUrl", "origin_of", "redact"]

_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/@\s]+@")
_SCP_LIKE = re.compile(r"(?P<user>[\w.-]+)@(?P<host>[\w.-]+):(?P<path>[^:].*)")
_HIDDEN_SCHEMES = ("http", "https")


def redact(text: str) -> str:
    """Text without the user information of any URL in it (an ssh user name stays)."""

    def clean(match: re.Match[str]) -> str:
        return match[0] if match["scheme"] == "ssh://" and ":" not in match[0][6:] else match[1]

    return _USERINFO.sub(clean, text)


def origin_of(url: str) -> tuple[str, str, int]:
    """(scheme, host, port): credentials are good for one of these and no other (SEC-07)."""
    parts = urlsplit(url)
    return (
        parts.scheme,
        parts.hostname or "",
        parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0),
    )


class GitUrl(msgspec.Struct, frozen=True):
    """One address of a Git repository. `address` is what git is given: nothing secret in it.

    Allowed: http, https, ssh, `user@host:path`; file and plain paths only where configured.
    """

    scheme: str
    address: str
    origin: str = ""
    credentials: Credentials | None = None

    @classmethod
    def parse(cls, url: str) -> GitUrl:
        """Raises UrlInvalid for what could be taken for an option or a remote helper."""
        if not url or url.startswith("-") or "::" in url or any(ord(char) < 32 for char in url):
            raise UrlInvalid(f"{redact(url)!r} is not an address of a Git repository")
        if "://" not in url:
            scp = _SCP_LIKE.fullmatch(url)
            if scp:
                return cls("ssh", url)
            return cls("file", url)
        return cls._parse_full(url)

    @classmethod
    def _parse_full(cls, url: str) -> GitUrl:
        try:
            parts = urlsplit(url)
            port = f":{parts.port}" if parts.port else ""
        except ValueError as error:
            raise UrlInvalid(f"{redact(url)!r} is not a URL", why=str(error)) from error
        scheme = parts.scheme.lower()
        if scheme not in ("http", "https", "ssh", "file"):
            raise UrlInvalid(
                f"{redact(url)}: {scheme} is not allowed", hint="use https, http or ssh"
            )
        if scheme == "file":
            return cls(scheme, url)
        host = parts.hostname or ""
        if not host or host.startswith("-") or (parts.username or "").startswith("-"):
            raise UrlInvalid(f"{redact(url)!r} names no host")
        if scheme == "ssh":
            user = f"{parts.username}@" if parts.username else ""
            return cls(scheme, f"ssh://{user}{host}{port}{parts.path}")
        shown = f"[{host}]" if ":" in host else host
        origin = f"{scheme}://{shown}{port}"
        query = f"?{parts.query}" if parts.query else ""
        found = None
        if parts.username or parts.password:
            found = Credentials(
                username=unquote(parts.username or ""), password=unquote(parts.password or "")
            )
        return cls(scheme, f"{origin}{parts.path}{query}", origin, found)

    def check(self, *, allow_local: bool) -> None:
        if self.scheme == "file" and not allow_local:
            raise UrlInvalid(
                f"{self.address}: local repositories are not allowed here",
                hint="use an https or ssh address",
            )
