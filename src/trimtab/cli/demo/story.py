"""The demo: each step prints what it does and claims; each claim is checked as it is printed."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from trimtab.cli.commands.get import rows_table
from trimtab.cli.demo.examples import Checkout, examples_dir, write_manifests
from trimtab.cli.demo.gitserver import GitServer
from trimtab.cli.system import System
from trimtab.errors import TrimtabError
from trimtab.kube import NotFound
from trimtab.lang import yaml
from trimtab.objects import GroupKind, ObjectKey
from trimtab.server import Row

__all__ = ["Story", "tell"]

T = TypeVar("T")
MANAGER: Final = "trimtab-demo"
DEPLOYMENT: Final = GroupKind("apps", "Deployment")
APPLICATION: Final = GroupKind("argoproj.io", "Application")
INDENT: Final = "    "
SETTLE_S: Final = 90.0
STEP_S: Final = 30.0
NEW_TAG: Final = "1.2.4-dev.1"
OVERLAY: Final = "apps/overlays/development"
APP: Final = "my-app-development"


class Claim(msgspec.Struct, frozen=True):
    text: str
    held: bool


class Story:
    """Prints, and keeps what was claimed."""

    def __init__(self, out: Callable[[str], None]) -> None:
        self._out = out
        self._step = 0
        self.claims: list[Claim] = []

    def step(self, title: str) -> None:
        self._step += 1
        self._out(f"\n[{self._step}] {title}")

    def say(self, text: str) -> None:
        for line in text.splitlines():
            self._out(f"{INDENT}{line}".rstrip())

    def claim(self, text: str, held: bool) -> None:
        """Print a claim that was just checked."""
        self.claims.append(Claim(text, held))
        self._out(f"{INDENT}{'ok' if held else 'FAILED'}: {text}")

    @property
    def broken(self) -> list[str]:
        return [claim.text for claim in self.claims if not claim.held]


async def tell(system: System, data: Path, git: GitServer, story: Story) -> None:
    """Steps 2 to 6 and 8 of spec/experience.md 2 on a running system. Raises `TrimtabError` when
    a step cannot go on; claims that do not hold are in `story.broken`."""
    story.step("An embedded Kubernetes API server")
    story.say(f"up in {system.started_in_s:.2f} s at {system.cluster_url}")
    story.say(f"kubeconfig: {system.kubeconfig}")
    await _kubectl_works(system, story)
    config = await asyncio.to_thread(_publish, data, git, story)
    await _apply(system, data, git, story)
    await _commit_converges(system, config, story)
    await _deleted_comes_back(system, story)
    await _nothing_left_to_do(system, story)


async def _kubectl_works(system: System, story: Story) -> None:
    kubectl = Path(sys.executable).with_name("kubectl")
    program = str(kubectl) if kubectl.exists() else shutil.which("kubectl")
    if program is None:
        story.say("kubectl is not installed here; any version from 1.28 works with the kubeconfig")
        return
    process = await asyncio.create_subprocess_exec(
        program,
        "--kubeconfig",
        str(system.kubeconfig),
        # Discovery of a cluster that lives a minute must not stay in the user's home.
        "--cache-dir",
        str(system.kubeconfig.parent / "kubectl-cache"),
        "get",
        "namespaces",
        "-o",
        "name",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(STEP_S):
        out, err = await process.communicate()
    story.claim("the real kubectl works with it", b"namespace/default" in out)
    if process.returncode:
        story.say(err.decode(errors="replace"))


def _publish(data: Path, git: GitServer, story: Story) -> Checkout:
    story.step("A config repository and a chart repository on a Git server")
    checkouts = []
    for name in ("config-repo", "helm-charts"):
        git.create(name)
        source, target = examples_dir() / name, data / "checkouts" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        checkouts.append(Checkout.publish(source, target, git.url_of(name)))
        story.say(f"{git.url_of(name)}  (clone: {target})")
    return checkouts[0]


async def _apply(system: System, data: Path, git: GitServer, story: Story) -> None:
    story.step("Argo CD Applications and Flux objects, applied from files")
    started = time.monotonic()
    for file in write_manifests(data / "manifests", git.url):
        story.say(str(file))
        for document in yaml.load_all(file.read_bytes(), source=str(file)):
            await system.client.apply(document.value, manager=MANAGER, force=True)
    progress = _Progress(story)
    rows = await _until(
        system, SETTLE_S, lambda: _all_settled(system.rows()), progress=progress.show
    )
    progress.clear()
    story.say(rows_table(rows))
    applications = [row for row in rows if row.kind == "Application"]
    others = [row for row in rows if row.kind != "Application"]
    took = time.monotonic() - started
    story.claim(
        f"{len(applications)} Applications are Synced and Healthy",
        len(applications) == 4
        and all((row.state, row.health) == ("Synced", "Healthy") for row in applications),
    )
    story.claim(
        f"{len(others)} Flux objects are Ready",
        len(others) == 5 and all(row.state == "Ready=True" for row in others),
    )
    story.say(f"everything converged in {took:.1f} s")


async def _commit_converges(system: System, config: Checkout, story: Story) -> None:
    story.step("CI sets a new image tag in the development overlay, commits and pushes")
    image = f"my-registry.com/my-app:{NEW_TAG}"
    renders = system.render_count()
    config.set_image_tag(OVERLAY, "my-app", NEW_TAG)
    commit = await asyncio.to_thread(config.commit_and_push, f"Update my-app to {NEW_TAG}")
    pushed = time.monotonic()

    def applied() -> bool:
        status = (_live(system, APPLICATION, "argocd", APP) or {}).get("status") or {}
        sync = status.get("sync") or {}
        return (
            _image(_live(system, DEPLOYMENT, "development", "my-app")) == image
            and sync.get("status") == "Synced"
            and sync.get("revision") == commit
        )

    await _until(system, STEP_S, lambda: applied() or None)
    story.say(f"from push to converged: {(time.monotonic() - pushed) * 1000:.0f} ms")
    story.claim(f"the cluster runs {image}", _image(await _read_deployment(system)) == image)
    await _until(system, SETTLE_S, lambda: _all_settled(system.rows()))
    rendered = system.render_count() - renders
    story.claim("exactly one application was rendered again", rendered == 1)
    story.claim("the new pods are healthy", _row(system, APP).health == "Healthy")


async def _deleted_comes_back(system: System, story: Story) -> None:
    story.step("Somebody deletes a Deployment by hand")
    before = await _read_deployment(system)
    uid = before["metadata"]["uid"]
    await system.client.delete(DEPLOYMENT, "development", "my-app")
    deleted = time.monotonic()

    def back() -> bool:
        live = _live(system, DEPLOYMENT, "development", "my-app")
        return live is not None and live["metadata"]["uid"] != uid

    await _until(system, STEP_S, lambda: back() or None)
    story.say(f"from delete to re-created: {(time.monotonic() - deleted) * 1000:.0f} ms")
    after = await _read_deployment(system)
    story.claim("it came back as Git says", after["spec"] == before["spec"])
    await _until(system, SETTLE_S, lambda: _all_settled(system.rows()))
    story.claim("and is healthy again", _row(system, APP).health == "Healthy")


async def _nothing_left_to_do(system: System, story: Story) -> None:
    story.step("What to try next")
    story.say(f"state as JSON:  {system.server_url}/api/overview")
    story.say(f"export KUBECONFIG={system.kubeconfig}")
    story.say("trimtab get -A")
    story.say("kubectl get applications,kustomizations,helmreleases -A")
    story.say("kubectl -n production describe deployment my-app")
    story.say("trimtab sync my-app-production -n argocd")
    story.say("trimtab build examples/config-repo/apps/overlays/production")
    story.claim("nothing needs a person", not any(row.problem for row in system.rows()))


class _Progress:
    """The table as it changes: drawn in place on a terminal, a line a change without one."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._last = ""
        self._drawn = 0
        self._in_place = sys.stdout.isatty()

    def show(self, rows: list[Row]) -> None:
        settled = sum(row.settled for row in rows)
        text = _fit(rows_table(rows)) if self._in_place else f"{settled} of {len(rows)} settled"
        if text == self._last or not rows:
            return
        self.clear()
        self._last = text
        self._drawn = text.count("\n") + 1
        self._story.say(text)

    def clear(self) -> None:
        """Take the table that was drawn off the screen."""
        if self._in_place and self._drawn:
            sys.stdout.write(f"\x1b[{self._drawn}A\x1b[J")
            self._drawn = 0


def _fit(text: str) -> str:
    """Lines cut to the terminal, so that each takes one row and can be drawn over."""
    width = shutil.get_terminal_size().columns - len(INDENT) - 1
    return "\n".join(line[:width] for line in text.splitlines())


def _all_settled(rows: list[Row]) -> list[Row] | None:
    return rows if len(rows) >= 9 and all(row.settled for row in rows) else None


async def _until(
    system: System,
    limit_s: float,
    probe: Callable[[], T | None],
    progress: Callable[[list[Row]], None] | None = None,
) -> T:
    """The first answer of `probe` that is not None; asked whenever the cache changes."""
    deadline = time.monotonic() + limit_s
    while True:
        answer = probe()
        if answer is not None:
            return answer
        if progress is not None:
            progress(system.rows())
        if time.monotonic() > deadline:
            rows = [row for row in system.rows() if not row.settled] or system.rows()
            raise TrimtabError(
                f"not converged within {limit_s:g} s", why="\n" + rows_table(rows, wide=True)
            )
        await system.changed(0.05)


def _row(system: System, name: str) -> Row:
    return next(row for row in system.rows() if row.name == name)


def _live(system: System, gk: GroupKind, namespace: str, name: str) -> dict[str, Any] | None:
    found = system.cache.get(ObjectKey(gk.group, gk.kind, namespace, name))
    return found.obj if found else None


async def _read_deployment(system: System) -> dict[str, Any]:
    try:
        return await system.client.get(DEPLOYMENT, "development", "my-app")
    except NotFound as error:
        raise TrimtabError("the Deployment of the demo is gone", why=str(error)) from error


def _image(deployment: dict[str, Any] | None) -> str:
    if deployment is None:
        return ""
    return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])
