"""Which cluster a command talks to.

In this order: `--kubeconfig`, `--data` (the embedded cluster of that directory), `$KUBECONFIG`,
`~/.kube/config`, and what a Pod is given.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from trimtab.errors import TrimtabError
from trimtab.kube import Connection, SimpleClient, in_cluster, load_kubeconfig

__all__ = ["add_target_arguments", "connection_of", "default_data_dir", "open_client"]


def add_target_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("cluster")
    group.add_argument("--kubeconfig", type=Path, help="kubeconfig file")
    group.add_argument("--context", help="context in it")
    group.add_argument("--data", type=Path, help="data directory of an embedded cluster")


def default_data_dir() -> Path:
    """Where `up` and `cluster` keep their data when nothing is said: below the user's cache
    directory (`$XDG_CACHE_HOME`, else `~/.cache`)."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "trimtab"


def connection_of(args: argparse.Namespace) -> Connection:
    """The connection the arguments and the environment name. Raises `ConfigError` and such."""
    if args.kubeconfig:
        return load_kubeconfig(args.kubeconfig, args.context)
    if args.data:
        return load_kubeconfig(embedded_kubeconfig(args.data), args.context)
    named = os.environ.get("KUBECONFIG")
    if named:
        return load_kubeconfig(named.split(os.pathsep)[0], args.context)
    usual = Path.home() / ".kube" / "config"
    if usual.exists():
        return load_kubeconfig(usual, args.context)
    inside = in_cluster()
    if inside is None:
        raise TrimtabError(
            "no cluster is named",
            why="neither --kubeconfig, --data, $KUBECONFIG nor ~/.kube/config is there",
            hint="export KUBECONFIG=$(trimtab cluster kubeconfig)",
            reason="NoCluster",
        )
    return inside


def embedded_kubeconfig(data: Path) -> Path:
    from trimtab.cluster import process

    return process.kubeconfig_path(data)


def open_client(args: argparse.Namespace) -> SimpleClient:
    return SimpleClient(connection_of(args), user_agent="trimtab-cli")
