"""Run everything in one process, until a signal: an embedded cluster (or yours, with
--kubeconfig), all controllers, and the HTTP side with health, metrics and a JSON overview.

examples:
  trimtab up                         embedded cluster in the user's cache directory
  trimtab up --demo                  the same, with examples, told step by step
  trimtab up --kubeconfig ~/.kube/config
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from trimtab.cli.target import default_data_dir
from trimtab.errors import TrimtabError
from trimtab.lang.duration import parse_duration

if TYPE_CHECKING:
    from trimtab.cli.system import Options, System

DEMO_POLL = "500ms"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, help="data directory (default: in the user's cache)")
    parser.add_argument("--port", type=int, default=0, help="port of the HTTP side (0: a free one)")
    parser.add_argument("--cluster-port", type=int, default=0, help="port of the embedded cluster")
    parser.add_argument("--kubeconfig", type=Path, help="use this cluster, start none")
    parser.add_argument("--kube-version", default="", help="minor version the cluster shows")
    parser.add_argument("--clock", default="real", help="real, or a factor such as 10")
    parser.add_argument("--poll", help="how often repositories are polled (default: 10s)")
    parser.add_argument("--demo", action="store_true", help="apply the examples and check them")
    parser.add_argument(
        "--keep", action="store_true", help="with --demo: keep the data directory at the end"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="log what is done")


def run(args: argparse.Namespace) -> int:
    if args.demo and args.kubeconfig:
        raise TrimtabError(
            "--demo uses an embedded cluster",
            why="it deletes and creates objects freely",
            hint="leave --kubeconfig out",
            reason="Usage",
        )
    data = (args.data or default_data_dir() / ("demo" if args.demo else "default")).resolve()
    poll = parse_duration(args.poll or (DEMO_POLL if args.demo else "10s"))
    if args.demo:
        _clear(data)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_main(args, data, poll))
    finally:
        if args.demo and not args.keep:
            shutil.rmtree(data, ignore_errors=True)


async def _main(args: argparse.Namespace, data: Path, poll_s: float) -> int:
    from trimtab.cli.system import Options, System
    from trimtab.runtime import Level, SystemClock, stderr_logger

    level = Level.INFO if args.verbose else Level.WARNING
    stop = asyncio.Event()
    _on_signals(stop)
    options = Options(
        data=data,
        kubeconfig=args.kubeconfig,
        port=args.port,
        cluster_port=args.cluster_port,
        kube_version=args.kube_version,
        clock=args.clock,
        poll_s=poll_s,
    )
    log = stderr_logger(clock=SystemClock(), level=level)
    async with System(options, log=log, rng=Random()) as system:  # noqa: S311 - jitter
        if args.demo:
            return await _demo(system, data, stop)
        _announce(system, options)
        await stop.wait()
        return 0


def _announce(system: System, options: Options) -> None:
    print(f"cluster:    {system.cluster_url}")
    print(f"kubeconfig: {system.kubeconfig}")
    print(f"overview:   {system.server_url}/api/overview")
    if options.kubeconfig is None:
        print(f"\nexport KUBECONFIG={system.kubeconfig}")
    print("Ctrl-C stops it.", flush=True)


async def _demo(system: System, data: Path, stop: asyncio.Event) -> int:
    """Tell the story; with a terminal, stay up afterwards (the Git server, too)."""
    from trimtab.cli.demo.gitserver import GitServer
    from trimtab.cli.demo.story import Story, tell

    story = Story(_out)
    with GitServer(data / "git") as git:
        if not await _unless_stopped(tell(system, data, git, story), stop):
            return 130
        if story.broken:
            raise TrimtabError(
                f"{len(story.broken)} of {len(story.claims)} claims do not hold",
                why="\n".join(story.broken),
                reason="ClaimFailed",
            )
        _out(f"\nAll {len(story.claims)} claims hold.")
        if sys.stdout.isatty():
            _out("It stays up until Ctrl-C.")
            await stop.wait()
    return 0


async def _unless_stopped(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Do `work`; False when a signal came first (the work is cancelled then)."""
    tasks = (asyncio.create_task(work), asyncio.create_task(stop.wait()))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not tasks[0].done():
            return False
        await tasks[0]
        return True
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _out(text: str) -> None:
    print(text, flush=True)


def _clear(data: Path) -> None:
    """A demo begins from nothing, but only in a directory that a demo made."""
    marker = data / ".trimtab-demo"
    if data.exists() and any(data.iterdir()) and not marker.exists():
        raise TrimtabError(
            "the data directory of a demo must be empty or a former demo's",
            where=str(data),
            hint="name another with --data",
            reason="NotADemo",
        )
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    marker.touch()


def _on_signals(stop: asyncio.Event) -> None:
    """The first signal stops in order; the second one stops now."""
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stop.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal, number)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed; None is asyncio's own loop."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
