"""One table over every Argo CD and Flux object.

examples:
  trimtab get -A
  trimtab get application my-app-production -n argocd
  trimtab get kustomizations -A --problems
  trimtab get -A -o json
"""

from __future__ import annotations

import argparse
import json

from trimtab.cli.report import table
from trimtab.cli.target import add_target_arguments, open_client
from trimtab.errors import TrimtabError
from trimtab.kube import NotFound, SimpleClient, UnknownKind
from trimtab.objects import GroupKind
from trimtab.server import READERS, Row, read_row, sort_rows

SHORT = {
    "app": "application",
    "gitrepo": "gitrepository",
    "helmrepo": "helmrepository",
    "ks": "kustomization",
    "hr": "helmrelease",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", help="application, kustomization, helmrelease ...")
    parser.add_argument("name", nargs="?", help="name of one object")
    parser.add_argument("-n", "--namespace", help="namespace (default: that of the context)")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="every namespace")
    parser.add_argument(
        "--problems", action="store_true", help="only what needs a person; exit 3 when there is any"
    )
    parser.add_argument("-o", "--output", choices=("wide", "json", "yaml", "name"), help="format")
    add_target_arguments(parser)


def run(args: argparse.Namespace) -> int:
    kinds = kinds_named(args.kind)
    with open_client(args) as client:
        namespace = None if args.all_namespaces else args.namespace or client.connection.namespace
        rows = fetch_rows(client, kinds, namespace)
    if args.name:
        rows = [row for row in rows if row.name == args.name]
        if not rows:
            kind = kinds[0].kind if args.kind else "object"
            raise TrimtabError(
                f'{kind} "{args.name}" not found',
                where=f"namespace {namespace}" if namespace else "",
                hint="trimtab get -A",
                reason="NotFound",
            )
    if args.problems:
        rows = [row for row in rows if row.problem]
    _print(rows, args)
    return 3 if args.problems and rows else 0


def kinds_named(word: str | None) -> list[GroupKind]:
    """The kinds `word` names: singular, plural or short, any case. All of them without a word."""
    if not word:
        return list(READERS)
    wanted = word.lower()
    wanted = SHORT.get(wanted, wanted)
    forms = (wanted, wanted.removesuffix("s"), wanted.removesuffix("ies") + "y")
    found = [gk for gk in READERS if gk.kind.lower() in forms]
    if not found:
        names = ", ".join(gk.kind.lower() for gk in READERS)
        raise TrimtabError(
            f'unknown kind "{word}"', why=f"known are {names}", hint="trimtab get -A"
        )
    return found


def fetch_rows(client: SimpleClient, kinds: list[GroupKind], namespace: str | None) -> list[Row]:
    """Rows of every object of `kinds`; a kind the cluster does not serve has none."""
    rows: list[Row] = []
    for gk in kinds:
        try:
            items = client.list(gk, namespace).items
        except (UnknownKind, NotFound):
            continue
        rows.extend(read_row(gk, item) for item in items)
    return sort_rows(rows)


def _print(rows: list[Row], args: argparse.Namespace) -> None:
    if args.output == "json":
        print(json.dumps({"items": [_plain(row) for row in rows]}, indent=2))
    elif args.output == "yaml":
        from trimtab.lang import yaml

        print(yaml.dump({"items": [_plain(row) for row in rows]}), end="")
    elif args.output == "name":
        for row in rows:
            print(f"{row.kind.lower()}/{row.name}")
    elif not rows:
        print("No problems found." if args.problems else "No resources found.")
    else:
        print(rows_table(rows, wide=args.output == "wide"))


def rows_table(rows: list[Row], *, wide: bool = False) -> str:
    """The table; messages are cut unless `wide`."""
    header = ("KIND", "NAMESPACE", "NAME", "STATE", "HEALTH", "REVISION", "MESSAGE")
    return table(
        header,
        [
            (
                row.kind,
                row.namespace,
                row.name,
                row.state,
                row.health,
                row.revision if wide else _short(row.revision),
                row.message if wide else _cut(row.message),
            )
            for row in rows
        ],
    )


def _plain(row: Row) -> dict[str, object]:
    return {field: getattr(row, field) for field in row.__struct_fields__}


def _short(revision: str) -> str:
    """`main@sha1:0123456789...` -> `main@0123456`; a bare commit -> its first seven digits."""
    label, found, commit = revision.rpartition(":")
    if found:
        return f"{label.removesuffix('sha1').removesuffix('sha256')}{commit[:7]}"
    return revision[:7] if len(revision) >= 40 else revision


def _cut(message: str, width: int = 70) -> str:
    line = " ".join(message.split())
    return line if len(line) <= width else line[: width - 3] + "..."
