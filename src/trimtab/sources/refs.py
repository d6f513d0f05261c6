"""From what was asked (branch, tag, range, commit) to a commit, against one `ls-remote` answer."""

from __future__ import annotations

import re

import msgspec

from trimtab.lang.semver import SemverError, highest, parse_range
from trimtab.sources.errors import RevisionNotFound
from trimtab.sources.git import RemoteRefs
from trimtab.sources.model import GitRef

__all__ = ["Resolution", "resolve"]

_FULL_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SHORT_ID = re.compile(r"[0-9a-f]{7,63}")
_HEADS, _TAGS = "refs/heads/", "refs/tags/"


class Resolution(msgspec.Struct, frozen=True):
    """A commit id (or the start of one, where `short`), and the ref that led there.

    `label` is the branch or tag in short form, a full ref name for refs elsewhere, "" for a bare
    commit. `within` is the ref that must contain the commit ("" for any).
    """

    commit: str
    ref: str = ""
    label: str = ""
    short: bool = False
    within: str = ""


def resolve(wanted: GitRef, remote: RemoteRefs, *, url: str) -> Resolution:
    """Precedence: commit, name, semver, tag, branch, any; nothing set means HEAD.

    Raises RevisionNotFound naming `url` (shown as given: pass it redacted). Source:
    spec/flux.md 2.2, spec/argocd.md for `any`.
    """
    if wanted.commit:
        return _commit(wanted, remote, url)
    if wanted.name:
        return _named(wanted.name, remote, url, "ref")
    if wanted.semver:
        return _semver(wanted.semver, remote, url)
    if wanted.tag:
        return _named(_TAGS + wanted.tag, remote, url, "tag")
    if wanted.branch:
        return _named(_HEADS + wanted.branch, remote, url, "branch")
    return _any(wanted.any, remote, url)


def short_name(ref: str) -> str:
    return ref.removeprefix(_HEADS).removeprefix(_TAGS)


def _commit(wanted: GitRef, remote: RemoteRefs, url: str) -> Resolution:
    commit = wanted.commit.lower()
    if _FULL_ID.fullmatch(commit):
        short = False
    elif _SHORT_ID.fullmatch(commit):
        short = True
    else:
        raise RevisionNotFound(f"{wanted.commit!r} is not a commit id", hint="7 to 40 hex digits")
    within = ""
    if wanted.branch:
        within = _named(_HEADS + wanted.branch, remote, url, "branch").ref
    return Resolution(commit, label=wanted.branch, short=short, within=within)


def _named(name: str, remote: RemoteRefs, url: str, what: str) -> Resolution:
    commit = remote.refs.get(name)
    if commit is None:
        raise RevisionNotFound(
            f"{what} {short_name(name)} does not exist in {url}", hint=_nearby(remote, name)
        )
    return Resolution(commit, name, short_name(name))


def _semver(text: str, remote: RemoteRefs, url: str) -> Resolution:
    try:
        wanted = parse_range(text)
    except SemverError as error:
        raise RevisionNotFound(f"{text!r} is not a version range", why=error.message) from error
    tags = [ref.removeprefix(_TAGS) for ref in remote.refs if ref.startswith(_TAGS)]
    tag = highest(tags, wanted)
    if tag is None:
        raise RevisionNotFound(
            f"no tag of {url} is in the range {text}", why=f"{len(tags)} tags looked at"
        )
    return Resolution(remote.refs[_TAGS + tag], _TAGS + tag, tag)


def _any(text: str, remote: RemoteRefs, url: str) -> Resolution:
    if text in ("", "HEAD"):
        if not remote.head:
            raise RevisionNotFound(f"{url} has no HEAD", why="the repository is empty")
        return Resolution(remote.head, remote.head_ref or "HEAD", short_name(remote.head_ref))
    for name in (_HEADS + text, _TAGS + text, text):
        if name in remote.refs:
            return Resolution(remote.refs[name], name, short_name(name))
    if _FULL_ID.fullmatch(text.lower()):
        return Resolution(text.lower())
    if _SHORT_ID.fullmatch(text.lower()):
        return Resolution(text.lower(), short=True)
    try:
        return _semver(text, remote, url)
    except RevisionNotFound as error:
        raise RevisionNotFound(
            f"revision {text} does not exist in {url}",
            why="it is no branch, tag or commit, and no tag matches it as a version range",
            hint=_nearby(remote, text),
        ) from error


def _nearby(remote: RemoteRefs, name: str) -> str:
    """What there is instead: a few names of the same sort."""
    sort = _TAGS if name.startswith(_TAGS) else _HEADS
    names = sorted(ref.removeprefix(sort) for ref in remote.refs if ref.startswith(sort))
    if not names:
        return "the repository is empty" if not remote.refs else ""
    more = ", ..." if len(names) > 8 else ""
    return f"there {'is' if len(names) == 1 else 'are'}: {', '.join(names[:8])}{more}"
