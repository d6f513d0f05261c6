"""Render a directory to standard output: kustomize, Helm or plain manifests.

Prints one YAML stream and nothing else; errors and warnings go to standard error with
file:line:column.

examples:
  trimtab build examples/config-repo/apps/overlays/production
  trimtab build charts/web --name web --namespace prod --values values-prod.yaml --set image.tag=2
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from trimtab.errors import TrimtabError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, help="directory to render")
    parser.add_argument(
        "--kind",
        choices=("auto", "kustomize", "helm", "directory", "jsonnet"),
        default="auto",
        help="what the directory is (default: found out)",
    )
    parser.add_argument(
        "--root",
        type=Path,
        help="root of the repository: files above it cannot be read (default: the Git work tree)",
    )
    parser.add_argument("-n", "--namespace", default="", help="namespace of the destination")
    parser.add_argument("--kube-version", default="", help="Kubernetes version to render for")
    parser.add_argument("--api-versions", action="append", default=[], help="API versions there")
    helm = parser.add_argument_group("Helm")
    helm.add_argument("--name", default="release", help="release name (default: release)")
    helm.add_argument("-f", "--values", action="append", default=[], help="values file in the tree")
    helm.add_argument("--set", action="append", default=[], dest="sets", help="name=value")
    helm.add_argument("--set-string", action="append", default=[], help="name=value, as text")
    helm.add_argument("--skip-crds", action="store_true", help="leave crds/ out")
    helm.add_argument("--skip-tests", action="store_true", help="leave test hooks out")
    plain = parser.add_argument_group("plain directories")
    plain.add_argument("--recurse", action="store_true", help="read directories below, too")
    plain.add_argument("--include", default="", help="glob of files to read")
    plain.add_argument("--exclude", default="", help="glob of files to leave out")


def run(args: argparse.Namespace) -> int:
    from trimtab.lang import yaml
    from trimtab.render import render
    from trimtab.sources import LocalTree

    if not args.path.is_dir():
        raise TrimtabError(
            "no such directory",
            where=str(args.path),
            hint="give the directory that holds the kustomization, chart or manifests",
            reason="PathNotFound",
        )
    root = (args.root or _work_tree(args.path)).resolve()
    path = args.path.resolve()
    if not path.is_relative_to(root):
        raise TrimtabError(
            f"the directory is not below the root {args.root}",
            where=str(args.path),
            reason="PathEscapes",
        )
    relative = path.relative_to(root).as_posix()
    manifests = render(_request(args, "" if relative == "." else relative), LocalTree(root))
    for warning in manifests.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    # Kustomize prints keys in alphabetic order (spec/rendering.md 3.9).
    sort_keys = manifests.engine == "kustomize"
    sys.stdout.write(yaml.dump_all(manifests.objects, sort_keys=sort_keys))
    return 0


def _request(args: argparse.Namespace, path: str):  # type: ignore[no-untyped-def]  # its type is imported lazily
    from trimtab.render import (
        Destination,
        DirectoryOptions,
        HelmOptions,
        HelmParameter,
        RenderRequest,
    )

    parameters = [_parameter(text, force_string=False) for text in args.sets]
    parameters += [_parameter(text, force_string=True) for text in args.set_string]
    return RenderRequest(
        path=path,
        engine=args.kind,
        destination=Destination(
            namespace=args.namespace,
            kube_version=args.kube_version,
            api_versions=tuple(args.api_versions),
        ),
        helm=HelmOptions(
            release_name=args.name,
            value_files=tuple(args.values),
            parameters=tuple(
                HelmParameter(name=name, value=value, force_string=force)
                for name, value, force in parameters
            ),
            skip_crds=args.skip_crds,
            skip_tests=args.skip_tests,
        ),
        directory=DirectoryOptions(
            recurse=args.recurse, include=args.include, exclude=args.exclude
        ),
    )


def _parameter(text: str, *, force_string: bool) -> tuple[str, str, bool]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise TrimtabError(
            f"'{text}' is not name=value", where="--set", hint="--set image.tag=1.2.3"
        )
    return name, value, force_string


def _work_tree(path: Path) -> Path:
    """The Git work tree around `path`, or `path` itself: bases beside an overlay can be read."""
    for folder in (path.resolve(), *path.resolve().parents):
        if (folder / ".git").exists():
            return folder
    return path
