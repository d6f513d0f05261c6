"""Which command was typed, and how its failure is told.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a difference was found (ARCHITECTURE 7).
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from trimtab import __version__
from trimtab.cli.report import print_error
from trimtab.errors import TrimtabError

__all__ = ["main"]


class Command(NamedTuple):
    """A row of the help page; the module is imported when the command is chosen."""

    name: str
    summary: str


COMMANDS = (
    Command("up", "run everything in one process, with an embedded cluster or yours"),
    Command("cluster", "start, stop and inspect an embedded cluster in the background"),
    Command("build", "render a directory to standard output"),
    Command("get", "one table over every Argo CD and Flux object"),
    Command("sync", "sync or reconcile objects now, and wait"),
    Command("version", "print the version"),
)

EPILOG = """examples:
  trimtab up --demo                         see the whole system work
  trimtab build examples/config-repo/apps/overlays/production
  trimtab get -A
  trimtab sync my-app-production -n argocd
"""


class Parser(argparse.ArgumentParser):
    """Usage errors in the one shape all errors have."""

    def error(self, message: str) -> NoReturn:
        print_error(
            TrimtabError(message, where=self.prog, hint=f"{self.prog} --help", reason="Usage")
        )
        raise SystemExit(2)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Never lets an expected failure show a traceback."""
    args = _parse(sys.argv[1:] if argv is None else list(argv))
    try:
        return int(args.run(args))
    except TrimtabError as error:
        print_error(error)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader (head, less) has gone: what it did not want is not a failure.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    top = Parser(
        prog="trimtab",
        description="A GitOps control plane: what stands in Git becomes what runs in Kubernetes.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"trimtab {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in argv if not word.startswith("-")), "")
    for command in COMMANDS:
        if command.name != chosen:
            commands.add_parser(command.name, help=command.summary, add_help=False)
            continue
        module = importlib.import_module(f"trimtab.cli.commands.{command.name}")
        parser = commands.add_parser(
            command.name,
            help=command.summary,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(parser)
        parser.set_defaults(run=module.run)
    return top.parse_args(argv)
