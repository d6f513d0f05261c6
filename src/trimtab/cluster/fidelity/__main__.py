"""`python -m trimtab.cluster.fidelity run|record`: the cases against any API server.

Without --server an embedded cluster is started for the run. Exit code 1: a case failed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from trimtab.cluster.fidelity.api import Server
from trimtab.cluster.fidelity.case import Suite, load_suite
from trimtab.cluster.fidelity.embedded import embedded_server
from trimtab.cluster.fidelity.normal import normalised
from trimtab.cluster.fidelity.runner import Outcome, run_case
from trimtab.errors import TrimtabError


def main() -> int:
    args = _arguments()
    try:
        suite = load_suite()
        with _server(args) as server:
            outcomes = [run_case(server, suite, case) for case in suite.chosen(args.cases)]
            if args.command == "record":
                return _record(server, outcomes, args.out)
            return _report(suite, outcomes, embedded=not args.server)
    except (TrimtabError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m trimtab.cluster.fidelity", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("run", "check the answers"), ("record", "write the answers down")):
        command = commands.add_parser(name, help=text)
        command.add_argument("--server", default="", metavar="URL")
        command.add_argument("--token-file", type=Path, metavar="FILE")
        command.add_argument("--ca", type=Path, metavar="FILE")
        command.add_argument("--cases", default="*", metavar="GLOB")
        if name == "record":
            beside = Path(__file__).parent / "recorded"
            command.add_argument("--out", type=Path, default=beside, metavar="DIRECTORY")
    args = parser.parse_args()
    if args.server and not args.token_file:
        parser.error("--server needs --token-file")
    return args


@contextlib.contextmanager
def _server(args: argparse.Namespace) -> Iterator[Server]:
    if not args.server:
        with embedded_server() as server:
            yield server
        return
    token = args.token_file.read_text().strip()
    yield Server(args.server, token, args.ca.read_text() if args.ca else "")


def _record(server: Server, outcomes: list[Outcome], out: Path) -> int:
    """One file a case in a folder named by the server's version."""
    folder = out / str(server.ask("GET", "/version").body["gitVersion"])
    folder.mkdir(parents=True, exist_ok=True)
    for each in outcomes:
        text = json.dumps(normalised(each), indent=1, sort_keys=True)
        (folder / f"{each.key}.json").write_text(f"{text}\n")
    sys.stdout.write(f"{len(outcomes)} cases recorded in {folder}\n")
    return 0


def _report(suite: Suite, outcomes: list[Outcome], *, embedded: bool) -> int:
    """`known.yaml` speaks of the embedded cluster: elsewhere every difference counts."""
    known = suite.known if embedded else {}
    passed = [each for each in outcomes if not each.problems]
    failed = [each for each in outcomes if each.problems and each.key not in known]
    for each in failed:
        sys.stdout.write(f"FAILED {each.key} {each.name}\n")
        sys.stdout.writelines(f"    {line}\n" for line in each.problems)
    for each in outcomes:
        if each.problems and each.key in known:
            sys.stdout.write(f"known  {each.key} {each.name}: {known[each.key]}\n")
    stale = [each for each in passed if each.key in known]
    for each in stale:
        sys.stdout.write(f"STALE  {each.key} {each.name}: passes, but stands in known.yaml\n")
    differing = len(outcomes) - len(passed) - len(failed)
    ids = len({each.key[:3] for each in outcomes})
    sys.stdout.write(
        f"{len(passed)} passed, {len(failed)} failed, {differing} known differences"
        f" ({len(outcomes)} cases of {ids} ids, {time.process_time():.0f} s of CPU)\n"
    )
    return 1 if failed or stale else 0


if __name__ == "__main__":
    sys.exit(main())
