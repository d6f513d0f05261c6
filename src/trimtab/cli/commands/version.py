"""Print the version."""

from __future__ import annotations

import argparse

from trimtab import __version__


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", choices=("json",), help="as JSON")


def run(args: argparse.Namespace) -> int:
    print(f'{{"version": "{__version__}"}}' if args.output == "json" else f"trimtab {__version__}")
    return 0
