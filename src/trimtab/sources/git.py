"""The `git` program, run so that nothing from outside steers it (spec/rendering.md 8, SEC-05..07).

No shell, no user or system configuration, no hooks, no prompts, an allow-list of protocols, a
time limit, its own process group. Credentials travel in the environment and only to the origin
they were given for; they never stand on a command line or in an error.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import msgspec

from trimtab.sources.errors import (
    AuthFailed,
    LimitExceeded,
    RevisionNotFound,
    SourceError,
    Unreachable,
)
from trimtab.sources.model import Credentials
from trimtab.sources.url import GitUrl, redact

__all__ = ["GitProgram", "RemoteRefs"]

_PASSED_ON = ("PATH", "SYSTEMROOT", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
# Git asks this for a user and password of exactly one origin; the values stay in its environment.
_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" '
    '"$TRIMTAB_GIT_USERNAME" "$TRIMTAB_GIT_PASSWORD"; }; f'
)
_MAX_ANSWER = 64 * 1024 * 1024


class RemoteRefs(msgspec.Struct, frozen=True):
    """One `ls-remote` answer. `refs`: full name -> commit id, annotated tags peeled.
    `head` is what HEAD points to (id), `head_ref` its branch; both "" in an empty repository."""

    refs: dict[str, str]
    head: str = ""
    head_ref: str = ""


class GitProgram:
    """Runs `git`. `allow_local` also allows paths and file:// of this machine (tests, laptops).

    `timeout_s` bounds each command. `environ` is where PATH and proxy settings are taken from.
    """

    def __init__(
        self,
        program: str = "git",
        *,
        allow_local: bool = False,
        timeout_s: float = 60.0,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._program = program
        self._timeout_s = timeout_s
        self.allow_local = allow_local
        source = os.environ if environ is None else environ
        kept = {name: source[name] for name in _PASSED_ON if name in source}
        for name in _PROXIES:
            kept |= {form: source[form] for form in (name, name.upper()) if form in source}
        self._environ = kept

    async def ls_remote(
        self, url: str, *, credentials: Credentials | None = None, timeout_s: float | None = None
    ) -> RemoteRefs:
        """Every ref of a remote. Raises Unreachable, AuthFailed."""
        answer = await self.run(
            ["ls-remote", "--symref", "--end-of-options", GitUrl.parse(url).address],
            url=url,
            credentials=credentials,
            timeout_s=timeout_s,
        )
        return parse_refs(answer.decode("utf-8", "replace"))

    async def fetch(
        self,
        store: Path,
        url: str,
        refspecs: Sequence[str],
        *,
        credentials: Credentials | None = None,
        depth: int | None = 1,
        timeout_s: float | None = None,
    ) -> None:
        """Fetch refspecs into a bare store. Objects are checked before a ref names them."""
        options = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"]
        if depth is not None:
            options.append(f"--depth={depth}")
        elif (store / "shallow").exists():
            options.append("--unshallow")
        address = GitUrl.parse(url).address
        await self.run(
            ["fetch", *options, "--end-of-options", address, *refspecs],
            url=url,
            store=store,
            credentials=credentials,
            timeout_s=timeout_s,
        )

    async def run(
        self,
        arguments: Sequence[str],
        *,
        url: str,
        store: Path | None = None,
        credentials: Credentials | None = None,
        timeout_s: float | None = None,
    ) -> bytes:
        """Standard output of one command. Failures become SourceErrors naming `url` redacted."""
        address = GitUrl.parse(url)
        address.check(allow_local=self.allow_local)
        credentials = address.credentials or credentials
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        with ExitStack() as stack:
            environ = self._environment(address, credentials, stack)
            command = [self._program, *(["--git-dir", str(store)] if store else []), *arguments]
            code, out, err = await _run(command, environ, limit_s, redact(url))
        if code:
            raise _failure(url, _scrub(err.decode("utf-8", "replace"), credentials), limit_s)
        return out

    def _environment(
        self, address: GitUrl, credentials: Credentials | None, stack: ExitStack
    ) -> dict[str, str]:
        protocols = "http:https:ssh:file" if self.allow_local else "http:https:ssh"
        environ = self._environ | {
            "LC_ALL": "C",
            "HOME": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "",
            "GIT_ALLOW_PROTOCOL": protocols,
            "GIT_PROTOCOL_FROM_USER": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_SSH_VARIANT": "ssh",
        }
        settings = {
            "core.hooksPath": os.devnull,
            "core.fsmonitor": "false",
            "gc.auto": "0",
            "maintenance.auto": "false",
            "protocol.version": "2",
            "transfer.fsckObjects": "true",
            "fetch.recurseSubmodules": "false",
            "submodule.recurse": "false",
            "credential.helper": "",
            "http.followRedirects": "initial",
            "http.lowSpeedLimit": "100",
            "http.lowSpeedTime": "30",
            "safe.directory": "*",
        }
        if address.scheme == "ssh":
            environ["GIT_SSH_COMMAND"] = _ssh_command(credentials, stack)
        elif credentials is not None:
            _add_http(settings, environ, address, credentials, stack)
        environ["GIT_CONFIG_COUNT"] = str(len(settings))
        for index, (key, value) in enumerate(settings.items()):
            environ[f"GIT_CONFIG_KEY_{index}"] = key
            environ[f"GIT_CONFIG_VALUE_{index}"] = value
        return environ


def parse_refs(answer: str) -> RemoteRefs:
    """`git ls-remote --symref` text to refs; a peeled line (`^{}`) replaces its tag's own id."""
    refs: dict[str, str] = {}
    head = head_ref = ""
    for line in answer.splitlines():
        value, _, name = line.partition("\t")
        if value.startswith("ref: "):
            head_ref = value.removeprefix("ref: ") if name == "HEAD" else head_ref
        elif name == "HEAD":
            head = value
        elif name:
            refs[name.removesuffix("^{}")] = value
    return RemoteRefs(refs, head, head_ref)


def _add_http(
    settings: dict[str, str],
    environ: dict[str, str],
    address: GitUrl,
    credentials: Credentials,
    stack: ExitStack,
) -> None:
    """Credentials for one origin: Git itself compares scheme, host and port before it uses them."""
    origin = address.origin
    if credentials.bearer_token:
        settings[f"http.{origin}/.extraHeader"] = (
            f"Authorization: Bearer {credentials.bearer_token}"
        )
        # An extra header would follow a redirect to another host.
        settings["http.followRedirects"] = "false"
    elif credentials.username or credentials.password:
        settings[f"credential.{origin}.helper"] = _HELPER
        environ["TRIMTAB_GIT_USERNAME"] = credentials.username or "git"
        environ["TRIMTAB_GIT_PASSWORD"] = credentials.password
    if credentials.ca:
        settings[f"http.{origin}/.sslCAInfo"] = str(_secret_file("ca.pem", credentials.ca, stack))


def _ssh_command(credentials: Credentials | None, stack: ExitStack) -> str:
    """ssh that reads no configuration and trusts only the given host keys."""
    words = ["ssh", "-F", os.devnull, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
    words += ["-o", "ConnectTimeout=15", "-o", f"GlobalKnownHostsFile={os.devnull}"]
    if credentials is not None and credentials.known_hosts:
        hosts = _secret_file("known_hosts", credentials.known_hosts, stack)
        words += ["-o", f"UserKnownHostsFile={hosts}"]
    else:
        words += ["-o", f"UserKnownHostsFile={os.devnull}"]
    if credentials is not None and credentials.ssh_private_key:
        key = _secret_file("identity", credentials.ssh_private_key.rstrip("\n") + "\n", stack)
        words += ["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-i", str(key)]
    return shlex.join(words)


def _secret_file(name: str, text: str, stack: ExitStack) -> Path:
    """A file only we can read, gone when the command has ended."""
    holder: AbstractContextManager[str] = tempfile.TemporaryDirectory(prefix="trimtab-git-")
    place = Path(stack.enter_context(holder)) / name
    descriptor = os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return place


async def _run(
    command: Sequence[str], environ: Mapping[str, str], timeout_s: float, url: str
) -> tuple[int, bytes, bytes]:
    """(exit code, output, errors). The whole process group is killed when time runs out."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            close_fds=True,
        )
    except FileNotFoundError as error:
        raise SourceError(
            "the git program is not installed", reason="GitMissing", hint="install git"
        ) from error
    try:
        async with asyncio.timeout(timeout_s):
            out, err = await asyncio.gather(
                _bounded(process.stdout, url), _bounded(process.stderr, url)
            )
            return await process.wait(), out, err
    except TimeoutError as error:
        raise Unreachable(
            f"{url} did not answer within {timeout_s:g} s", why="the git command was ended"
        ) from error
    finally:
        await _end(process)


async def _bounded(stream: asyncio.StreamReader | None, url: str) -> bytes:
    assert stream is not None
    chunks: list[bytes] = []
    size = 0
    while chunk := await stream.read(65536):
        size += len(chunk)
        if size > _MAX_ANSWER:
            raise LimitExceeded(f"{url} sends too much", why=f"limit git_answer={_MAX_ANSWER}")
        chunks.append(chunk)
    return b"".join(chunks)


async def _end(process: asyncio.subprocess.Process) -> None:
    """No process of this command outlives it, also when the caller was cancelled."""
    if process.returncode is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        await asyncio.shield(process.wait())


def _scrub(text: str, credentials: Credentials | None) -> str:
    """Git's own words without anything secret in them."""
    if credentials is not None:
        for name in ("password", "bearer_token", "ssh_private_key"):
            secret = getattr(credentials, name)
            if secret:
                text = text.replace(secret, "***")
    return " ".join(redact(text).split())[:2000]


_AUTH = (
    "authentication failed",
    "could not read username",
    "could not read password",
    "terminal prompts disabled",
    "permission denied (publickey",
    "host key verification failed",
    "returned error: 401",
    "returned error: 403",
    "invalid credentials",
)
_MISSING = ("couldn't find remote ref", "not our ref", "no such remote ref", "unadvertised object")


def _failure(url: str, why: str, limit_s: float) -> SourceError:
    text = why.lower()
    name = redact(url)
    if any(part in text for part in _AUTH):
        return AuthFailed(
            f"{name} refuses the credentials",
            why=why,
            hint="check the Secret with the repository's credentials and its known_hosts",
        )
    if "no space left on device" in text:
        return SourceError(
            f"no room to store {name}", reason="DiskFull", why=why, hint="free space for the cache"
        )
    if any(part in text for part in _MISSING):
        return RevisionNotFound(f"{name} does not have the revision", why=why)
    hint = "check the URL; a private repository without credentials also looks like a missing one"
    return Unreachable(
        f"cannot read {name}", why=why or f"git failed within {limit_s:g} s", hint=hint
    )
