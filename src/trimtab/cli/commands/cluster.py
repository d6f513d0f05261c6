"""An embedded cluster in the background: a Kubernetes API for kubectl, tests and controllers.

examples:
  trimtab cluster start
  export KUBECONFIG=$(trimtab cluster kubeconfig)
  kubectl get nodes
  trimtab cluster stop
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from trimtab.cli.report import table
from trimtab.cli.target import default_data_dir


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    start = verbs.add_parser("start", help="start it, return when it is ready")
    start.add_argument("--port", type=int, default=0, help="port (0: a free one)")
    start.add_argument("--kube-version", default="", help="minor version it shows")
    start.add_argument("--clock", default="real", help="real, manual, or a factor such as 10")
    stop = verbs.add_parser("stop", help="stop it; what it holds stays")
    status = verbs.add_parser("status", help="does it run? exit 1 when it does not")
    status.add_argument("-o", "--output", choices=("json",), help="as JSON")
    kubeconfig = verbs.add_parser("kubeconfig", help="print the path of its kubeconfig")
    kubeconfig.add_argument("--raw", action="store_true", help="print the content instead")
    reset = verbs.add_parser("reset", help="stop it and delete everything it holds")
    for verb in (start, stop, status, kubeconfig, reset):
        verb.add_argument("--data", type=Path, help="data directory (default: in the user's cache)")
        verb.add_argument("--name", default="default", help="which of your clusters")


def run(args: argparse.Namespace) -> int:
    data = (args.data or default_data_dir() / args.name).resolve()
    return {
        "start": _start,
        "stop": _stop,
        "status": _status,
        "kubeconfig": _kubeconfig,
        "reset": _reset,
    }[args.verb](args, data)


def _start(args: argparse.Namespace, data: Path) -> int:
    from trimtab.cluster import process

    state = process.start(
        data,
        name="trimtab" if args.name == "default" else args.name,
        port=args.port,
        kube_version=args.kube_version,
        clock=args.clock,
    )
    took = f"ready after {state.started_s:.2f} s" if state.started_s else "was running already"
    print(f"cluster at {state.url}, {took}")
    print(f"export KUBECONFIG={state.kubeconfig}")
    return 0


def _stop(_args: argparse.Namespace, data: Path) -> int:
    from trimtab.cluster import process

    print("stopped" if process.stop(data) else "it was not running")
    return 0


def _status(args: argparse.Namespace, data: Path) -> int:
    from trimtab.cluster import process

    state = process.status(data)
    word = "ready" if state.ready else "starting" if state.pid else "stopped"
    if args.output == "json":
        print(
            json.dumps(
                {
                    "status": word,
                    "pid": state.pid,
                    "url": state.url,
                    "kubeconfig": state.kubeconfig,
                    "data": str(data),
                }
            )
        )
    else:
        row = (word, str(state.pid or "-"), state.url or "-", str(data))
        print(table(("STATUS", "PID", "URL", "DATA"), [row]))
    return 0 if state.ready else 1


def _kubeconfig(args: argparse.Namespace, data: Path) -> int:
    from trimtab.cluster import process

    path = process.kubeconfig_path(data)
    print(path.read_text() if args.raw else path, end="" if args.raw else "\n")
    return 0


def _reset(_args: argparse.Namespace, data: Path) -> int:
    from trimtab.cluster import process

    process.reset(data)
    print(f"{data / 'cluster'} is gone")
    return 0
