"""One bare repository per URL: fetched once for all who ask, used only when whole (REL-02).

A commit counts as here when the ref `refs/trimtab/commits/<id>` exists: git writes it after every
object was received and checked. A fetch that was cut leaves nothing that is ever read.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pygit2

from trimtab.sources.errors import RevisionNotFound, SourceError, StoreCorrupt
from trimtab.sources.git import GitProgram
from trimtab.sources.model import Credentials
from trimtab.sources.refs import Resolution
from trimtab.sources.url import GitUrl, redact

__all__ = ["Commit", "GitStore", "bare_store"]

_PINS = "refs/trimtab/commits/"


class Commit(msgspec.Struct, frozen=True):
    """A commit that is here with its tree. `date` is RFC 3339 with the author's offset."""

    id: str
    tree: str
    author: str
    date: str
    message: str


def bare_store(place: Path) -> Path:
    """An empty bare repository at `place`, made aside and moved there whole."""
    if not (place / "HEAD").exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
        pygit2.init_repository(str(fresh), bare=True)
        try:
            fresh.replace(place)
        except OSError:
            if (place / "HEAD").exists():  # another process was first
                shutil.rmtree(fresh, ignore_errors=True)
            else:  # what is left there is no repository any more
                shutil.rmtree(place)
                fresh.replace(place)
    return place


class GitStore:
    """The local copy of what was needed of one repository."""

    def __init__(self, root: Path, url: str, git: GitProgram) -> None:
        self.url = url
        self._git = git
        name = hashlib.sha256(GitUrl.parse(url).address.encode()).hexdigest()[:32]
        self.path = root / "git" / f"{name}.git"
        self.fetches = 0
        self._lock = asyncio.Lock()

    async def commit(
        self, wanted: Resolution, *, credentials: Credentials | None, timeout_s: float | None = None
    ) -> Commit:
        """The commit with its whole tree, fetched if it is not here. One fetch at a time.

        Raises RevisionNotFound, Unreachable, AuthFailed, StoreCorrupt.
        """
        if not (wanted.short or wanted.within):
            known = self._whole(wanted.commit)
            if known is not None:
                return known
        async with self._lock:
            known = None if wanted.short or wanted.within else self._whole(wanted.commit)
            if known is not None:
                return known
            try:
                return await self._fetch(wanted, credentials, timeout_s)
            except StoreCorrupt:
                # The store is a cache: start it anew, once.
                self._discard()
                return await self._fetch(wanted, credentials, timeout_s)

    async def _fetch(
        self, wanted: Resolution, credentials: Credentials | None, timeout_s: float | None
    ) -> Commit:
        bare_store(self.path)
        if wanted.short or wanted.within or not wanted.ref:
            commit = await self._fetch_by_id(wanted, credentials, timeout_s)
        else:
            commit = wanted.commit
            refspec = f"+{wanted.ref}:{_PINS}{commit}"
            await self._fetch_refs([refspec], credentials, timeout_s)
            if self._pin(commit) != commit:
                # The ref moved between the two answers: ask for the commit itself.
                self._unpin(commit)
                refspec = f"+{commit}:{_PINS}{commit}"
                await self._fetch_refs([refspec], credentials, timeout_s)
        found = self._whole(commit)
        if found is None:
            raise StoreCorrupt(f"commit {commit} of {redact(self.url)} did not arrive whole")
        return found

    async def _fetch_by_id(
        self, wanted: Resolution, credentials: Credentials | None, timeout_s: float | None
    ) -> str:
        """A commit that no ref names: asked for directly where possible, else searched in all."""
        if not (wanted.short or wanted.within):
            try:
                refspec = f"+{wanted.commit}:{_PINS}{wanted.commit}"
                await self._fetch_refs([refspec], credentials, timeout_s)
                return wanted.commit
            except SourceError as error:
                if error.reason not in ("RevisionNotFound", "Unreachable"):
                    raise
        source = wanted.within or "refs/*"
        target = "refs/trimtab/all/" + ("within" if wanted.within else "*")
        await self._fetch_refs([f"+{source}:{target}"], credentials, timeout_s, depth=None)
        return self._search(wanted)

    def _search(self, wanted: Resolution) -> str:
        repository = self._repository()
        place = f"branch {wanted.label} of " if wanted.within else ""
        missing = RevisionNotFound(f"commit {wanted.commit} is not in {place}{redact(self.url)}")
        try:
            found = repository[wanted.commit]
        except (KeyError, ValueError) as error:
            raise missing from error
        if not isinstance(found, pygit2.Commit):
            raise missing
        if wanted.within:
            tip = repository.references["refs/trimtab/all/within"].target
            if found.id != tip and not repository.descendant_of(tip, found.id):
                raise missing
        repository.references.create(_PINS + str(found.id), found.id, force=True)
        return str(found.id)

    async def _fetch_refs(
        self,
        refspecs: list[str],
        credentials: Credentials | None,
        timeout_s: float | None,
        depth: int | None = 1,
    ) -> None:
        self.fetches += 1
        await self._git.fetch(
            self.path,
            self.url,
            refspecs,
            credentials=credentials,
            depth=depth,
            timeout_s=timeout_s,
        )

    def _whole(self, commit: str) -> Commit | None:
        """The commit, if its pin stands and its objects can be read."""
        if self._pin(commit) != commit:
            return None
        try:
            return _commit_of(self._repository()[commit])
        except (KeyError, pygit2.GitError):
            return None

    def _pin(self, commit: str) -> str:
        """Where the pin of a commit leads (annotated tags peeled); "" when there is none."""
        if not (self.path / "HEAD").exists():
            return ""
        try:
            reference = self._repository().references.get(_PINS + commit)
            return str(reference.peel(pygit2.Commit).id) if reference is not None else ""
        except (KeyError, ValueError, pygit2.GitError):
            return ""

    def _unpin(self, commit: str) -> None:
        self._repository().references.delete(_PINS + commit)

    def _repository(self) -> Any:
        return pygit2.Repository(str(self.path))

    def _discard(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def _commit_of(commit: Any) -> Commit:
    author = commit.author
    offset = timezone(timedelta(minutes=author.offset))
    return Commit(
        id=str(commit.id),
        tree=str(commit.tree.id),
        author=f"{author.name} <{author.email}>",
        date=datetime.fromtimestamp(author.time, tz=offset).isoformat(),
        message=commit.message,
    )
