"""Git over HTTP: what a SourceSpec names becomes a whole tree, or an error that says why."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pygit2
import pytest

from trimtab.cli.demo.gitserver import GitServer
from trimtab.sources import (
    AuthFailed,
    Credentials,
    GitProgram,
    GitRef,
    RevisionNotFound,
    Snapshot,
    SourceError,
    SourceService,
    SourceSpec,
    Unreachable,
    UrlInvalid,
)


def using(tmp_path: Path, clock: Any, work: Callable[[SourceService], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        service = SourceService(
            tmp_path / "cache", clock=clock, git=GitProgram(timeout_s=20), timeout_s=20
        )
        try:
            return await work(service)
        finally:
            await service.close()

    return asyncio.run(run())


def spec(repository: Any, **ref: str) -> SourceSpec:
    return SourceSpec("git", repository.url, GitRef(**ref))


def test_a_branch_becomes_a_snapshot_with_its_tree(tmp_path, clock, repository) -> None:
    commit = repository.commit({"app/a.yaml": "a: 1\n"}, message="first")

    async def work(service: SourceService) -> tuple[Snapshot, bytes]:
        snapshot = await service.snapshot(spec(repository, branch="main"))
        return snapshot, service.tree(snapshot).read("app/a.yaml")

    snapshot, content = using(tmp_path, clock, work)
    assert (snapshot.revision, snapshot.label, content) == (commit, "main", b"a: 1\n")
    assert snapshot.author == "Ada <ada@example.org>"
    assert snapshot.date.endswith("+01:00")
    assert snapshot.message == "first"


@pytest.mark.parametrize(
    ("ref", "expected", "label"),
    [
        ({}, "second", "main"),
        ({"any": "HEAD"}, "second", "main"),
        ({"any": "main"}, "second", "main"),
        ({"any": "v1.0.0"}, "first", "v1.0.0"),
        ({"any": "~1.1"}, "side", "v1.1.3"),
        ({"any": "refs/heads/side"}, "side", "side"),
        ({"tag": "v1.1.3"}, "side", "v1.1.3"),
        ({"semver": ">=1.0.0"}, "side", "v1.1.3"),
        ({"semver": ">=1.0.0-0"}, "second", "v2.0.0-rc.1"),
        ({"name": "refs/heads/side"}, "side", "side"),
        ({"branch": "main", "tag": "v1.0.0"}, "first", "v1.0.0"),
    ],
)
def test_every_way_to_name_a_revision_leads_to_its_commit(
    tmp_path, clock, repository, ref, expected, label
) -> None:
    commits = {"first": repository.commit({"a": "1"})}
    commits["side"] = repository.commit({"a": "2"}, branch="side")
    commits["second"] = repository.commit({"a": "3"})
    repository.tag("v1.0.0", commits["first"])
    repository.tag("v1.1.3", commits["side"], annotated=True)
    repository.tag("v2.0.0-rc.1", commits["second"])
    snapshot = using(tmp_path, clock, lambda service: service.snapshot(spec(repository, **ref)))
    assert (snapshot.revision, snapshot.label) == (commits[expected], label)


@pytest.mark.parametrize("length", [40, 9])
def test_a_commit_that_no_ref_names_is_found_by_full_and_short_id(
    tmp_path, clock, repository, length
) -> None:
    first = repository.commit({"a": "1"})
    repository.commit({"a": "2"})

    async def work(service: SourceService) -> bytes:
        snapshot = await service.snapshot(spec(repository, any=first[:length]))
        assert snapshot.revision == first
        return service.tree(snapshot).read("a")

    assert using(tmp_path, clock, work) == b"1"


def test_a_commit_must_be_in_the_branch_that_is_named_with_it(tmp_path, clock, repository) -> None:
    repository.commit({"a": "1"})
    other = repository.commit({"a": "2"}, branch="side")
    with pytest.raises(RevisionNotFound, match="is not in branch main"):
        using(
            tmp_path,
            clock,
            lambda service: service.snapshot(spec(repository, branch="main", commit=other)),
        )


def test_a_missing_branch_names_the_branches_there_are(tmp_path, clock, repository) -> None:
    repository.commit({"a": "1"})
    with pytest.raises(RevisionNotFound, match="branch nope does not exist") as caught:
        using(tmp_path, clock, lambda service: service.snapshot(spec(repository, branch="nope")))
    assert caught.value.hint == "there is: main"


def test_an_empty_repository_says_so(tmp_path, clock, repository) -> None:
    with pytest.raises(RevisionNotFound) as caught:
        using(tmp_path, clock, lambda service: service.snapshot(spec(repository)))
    assert "empty" in str(caught.value)


def test_an_unreachable_repository_is_an_error_without_its_credentials(tmp_path, clock) -> None:
    url = "http://someone:hunter2@127.0.0.1:9/x.git"
    with pytest.raises(Unreachable) as caught:
        using(tmp_path, clock, lambda service: service.snapshot(SourceSpec("git", url)))
    assert "hunter2" not in str(caught.value)
    assert "http://127.0.0.1:9/x.git" in str(caught.value)


def test_credentials_are_needed_sent_and_never_shown(tmp_path, clock, repository_on) -> None:
    with GitServer(tmp_path / "private", basic=("bot", "s3cret-canary")) as server:
        repository = repository_on(server)
        repository.commit({"a": "1"})
        good = Credentials(username="bot", password="s3cret-canary")
        bad = Credentials(username="bot", password="wrong-canary")

        async def work(service: SourceService) -> Snapshot:
            for credentials in (None, bad):
                with pytest.raises(AuthFailed) as caught:
                    await service.snapshot(
                        SourceSpec("git", repository.url, credentials=credentials)
                    )
                assert "canary" not in str(caught.value)
            return await service.snapshot(SourceSpec("git", repository.url, credentials=good))

        snapshot = using(tmp_path, clock, work)
        assert "canary" not in repr(snapshot)
        for file in (tmp_path / "cache").rglob("*"):
            assert not file.is_file() or b"canary" not in file.read_bytes()


def test_what_one_may_read_is_not_given_to_another_from_the_cache(
    tmp_path, clock, repository_on
) -> None:
    with GitServer(tmp_path / "private", basic=("bot", "pw")) as server:
        repository = repository_on(server)
        commit = repository.commit({"a": "1"})

        async def work(service: SourceService) -> None:
            mine = SourceSpec(
                "git", repository.url, GitRef(commit=commit), credentials=Credentials("bot", "pw")
            )
            await service.snapshot(mine)
            with pytest.raises(AuthFailed):
                await service.snapshot(SourceSpec("git", repository.url, GitRef(commit=commit)))

        using(tmp_path, clock, work)


def test_credentials_do_not_follow_a_redirect_to_another_host(
    tmp_path, clock, repository_on
) -> None:
    """SEC-07."""
    seen: list[str | None] = []

    class Spy(GitServer):
        def admits(self, header: str | None) -> bool:
            seen.append(header)
            return super().admits(header)

    with Spy(tmp_path / "other", basic=("bot", "pw")) as other:
        repository_on(other).commit({"a": "1"})

        class Redirect(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(302)
                self.send_header("Location", other.url + self.path)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        front = ThreadingHTTPServer(("127.0.0.1", 0), Redirect)
        threading.Thread(target=front.serve_forever, args=(0.05,), daemon=True).start()
        url = f"http://127.0.0.1:{front.server_address[1]}/config.git"
        try:
            for credentials in (Credentials("bot", "pw"), Credentials(bearer_token="token")):
                source = SourceSpec("git", url, credentials=credentials)
                with pytest.raises(SourceError):
                    using(tmp_path, clock, lambda service, s=source: service.snapshot(s))
        finally:
            front.shutdown()
            front.server_close()
    assert set(seen) == {None}


def test_a_bearer_token_is_sent_to_its_own_host(tmp_path, clock, repository_on) -> None:
    class Tokens(GitServer):
        def admits(self, header: str | None) -> bool:
            return header == "Bearer good-token"

    with Tokens(tmp_path / "served") as server:
        repository = repository_on(server)
        commit = repository.commit({"a": "1"})
        source = SourceSpec(
            "git", repository.url, credentials=Credentials(bearer_token="good-token")
        )
        found = using(tmp_path, clock, lambda service: service.snapshot(source))
        assert found.revision == commit


def test_a_local_directory_is_a_snapshot_only_where_it_is_allowed(tmp_path, clock) -> None:
    place = tmp_path / "work"
    place.mkdir()
    (place / "a").write_text("1")
    source = SourceSpec("local", str(place))
    with pytest.raises(UrlInvalid):
        using(tmp_path, clock, lambda service: service.snapshot(source))

    async def take() -> list[str]:
        service = SourceService(tmp_path, clock=clock, git=GitProgram(allow_local=True))
        one = await service.snapshot(source)
        assert service.tree(one).read("a") == b"1"
        (place / "a").write_text("2")
        other = await service.snapshot(source)
        await service.close()
        return [one.revision, other.revision]

    assert len(set(asyncio.run(take()))) == 2


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch /tmp/x",
        "ext::sh -c id",
        "-c core.sshCommand=id",
        "ssh://-oProxyCommand=id/x",
        "ssh://-oProxyCommand=id@host/x",
        "file:///etc",
        "/etc",
        "ftp://host/x",
        "http:///x",
        "http://host/a\nb",
        "",
    ],
)
def test_an_address_that_could_run_or_read_something_is_refused(tmp_path, clock, url) -> None:
    """SEC-05."""
    with pytest.raises(UrlInvalid):
        using(tmp_path, clock, lambda service: service.snapshot(SourceSpec("git", url)))


@pytest.mark.parametrize("ref", ["--upload-pack=id", "a b", "main\n", "../../etc"])
def test_a_revision_that_looks_like_an_option_is_only_a_missing_revision(
    tmp_path, clock, repository, ref
) -> None:
    repository.commit({"a": "1"})
    with pytest.raises(RevisionNotFound):
        using(tmp_path, clock, lambda service: service.snapshot(spec(repository, any=ref)))


def test_a_real_push_is_seen_after_the_poll_interval_or_when_fresh(
    tmp_path, clock, repository
) -> None:
    repository.commit({"a": "1"})
    work_copy = tmp_path / "work"
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*git, "clone", "-q", repository.url, str(work_copy)], check=True)

    def push(text: str) -> None:
        (work_copy / "a").write_text(text)
        subprocess.run([*git, "commit", "-qam", text], cwd=work_copy, check=True)
        subprocess.run([*git, "push", "-q"], cwd=work_copy, check=True)

    async def work(service: SourceService) -> list[bytes]:
        async def look(*, fresh: bool = False) -> bytes:
            snapshot = await service.snapshot(spec(repository, branch="main"), fresh=fresh)
            return service.tree(snapshot).read("a")

        seen = [await look()]
        await asyncio.to_thread(push, "2")
        seen.append(await look())
        clock.advance(121)
        seen.append(await look())
        await asyncio.to_thread(push, "3")
        seen.append(await look(fresh=True))
        return seen

    assert using(tmp_path, clock, work) == [b"1", b"1", b"2", b"3"]


def test_a_force_pushed_branch_is_followed(tmp_path, clock, repository) -> None:
    repository.commit({"a": "1"})
    repository.commit({"a": "2"})
    other = repository.commit({"a": "new"}, branch="other")

    async def work(service: SourceService) -> str:
        await service.snapshot(spec(repository, branch="main"))
        repository.git.references.create("refs/heads/main", pygit2.Oid(hex=other), force=True)
        return (await service.snapshot(spec(repository, branch="main"), fresh=True)).revision

    assert using(tmp_path, clock, work) == other


def test_many_who_ask_at_once_cause_one_question_and_one_fetch(
    tmp_path, clock, repository, server
) -> None:
    repository.commit({"a": "1"})

    async def work(service: SourceService) -> None:
        wanted = spec(repository, branch="main")
        found = await asyncio.gather(*(service.snapshot(wanted) for _ in range(20)))
        assert len({snapshot.tree for snapshot in found}) == 1
        assert (service.stats.listings, service.stats.fetches) == (1, 1)

    using(tmp_path, clock, work)
