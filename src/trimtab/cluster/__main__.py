"""`python -m trimtab.cluster`: one embedded cluster in the foreground, until a signal."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from trimtab.cluster.server import EmbeddedCluster
from trimtab.errors import TrimtabError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m trimtab.cluster", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--name", default="trimtab")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--kube-version", default="")
    parser.add_argument("--clock", default="real")
    args = parser.parse_args()
    try:
        asyncio.run(_serve(args))
    except TrimtabError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


async def _serve(args: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with EmbeddedCluster(
        args.data,
        port=args.port,
        kube_version=args.kube_version,
        clock=args.clock,
        name=args.name,
    ):
        await stop.wait()


sys.exit(main())
