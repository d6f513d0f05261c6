"""A chart's files out of a tree, as Helm would find them in the directory."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from trimtab.errors import Location
from trimtab.lang import yaml
from trimtab.lang.semver import SemverError, parse_range, parse_version
from trimtab.render.errors import HelmError, LimitExceeded
from trimtab.render.helm.engine import Chart
from trimtab.sources import Tree

__all__ = ["read_chart"]

_MAX_FILES = 10_000
_MAX_DEPTH = 32


def read_chart(tree: Tree, path: str, *, skip_schema: bool, kube_version: str) -> Chart:
    """Every file of the chart in `path` but what .helmignore names.

    Raises HelmError for a Chart.yaml that is not one, for a dependency that is not in charts/,
    and for a Kubernetes version the chart does not allow.
    """
    prefix = f"{path}/" if path else ""
    place = f"{prefix}Chart.yaml"
    if tree.kind(place) != "file":
        raise HelmError("there is no chart", where=place, hint="a chart has a Chart.yaml")
    about = yaml.load(tree.read(place), source=place)
    if not isinstance(about, dict) or not isinstance(about.get("name"), str) or not about["name"]:
        raise HelmError("Chart.yaml has no `name`", where=place)
    name = about["name"]
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name) or set(name) == {"."}:
        raise HelmError(f"{name[:80]!r} cannot be a chart's name", where=place)
    ignored = _ignore_rules(tree, prefix)
    files: dict[str, bytes] = {}
    _collect(tree, prefix, "", ignored, files, 0)
    if skip_schema:
        files = {key: data for key, data in files.items() if not _is_schema(key)}
    _check_dependencies(about, files, place)
    _check_kube_version(about, kube_version, place)
    return Chart(name, files)


def _is_schema(path: str) -> bool:
    return path.rsplit("/", 1)[-1] == "values.schema.json"


def _collect(
    tree: Tree,
    prefix: str,
    relative: str,
    ignored: list[_Rule],
    files: dict[str, bytes],
    depth: int,
) -> None:
    if depth > _MAX_DEPTH:
        raise LimitExceeded("the chart is nested too deep", why=f"limit depth={_MAX_DEPTH}")
    for entry in tree.list((prefix + relative).rstrip("/")):
        inner = relative + entry.name
        place = prefix + inner
        kind = tree.kind(place) if entry.kind == "link" else entry.kind
        if any(rule.ignores(inner, is_dir=kind == "dir") for rule in ignored):
            continue
        if kind == "dir":
            _collect(tree, prefix, inner + "/", ignored, files, depth + 1)
        elif kind == "file":
            files[inner] = tree.read(place)
            if len(files) > _MAX_FILES:
                raise LimitExceeded("the chart has too many files", why=f"limit files={_MAX_FILES}")


def _check_dependencies(about: dict[str, Any], files: dict[str, bytes], place: str) -> None:
    """Each dependency must be in charts/: as a directory with its name, or as an archive."""
    rows = about.get("dependencies") or []
    if not isinstance(rows, list):
        raise HelmError("`dependencies` is not a list", where=place)
    there = {name for key in files if (name := _subchart(key, files[key]))}
    archives = [key[7:] for key in files if re.fullmatch(r"charts/[^/]+\.tgz", key)]
    missing = [
        name
        for row in rows
        if isinstance(row, dict)
        and (name := str(row.get("name", ""))) not in there
        and not any(archive.startswith(f"{name}-") for archive in archives)
    ]
    if missing:
        raise HelmError(
            f"dependencies are not in charts/: {', '.join(missing)}",
            reason="DependencyMissing",
            where=place,
            hint="run `helm dependency build` and commit charts/; "
            "dependencies are not downloaded yet",
        )


def _subchart(path: str, data: bytes) -> str:
    """The name of the chart whose Chart.yaml stands right below charts/."""
    if not re.fullmatch(r"charts/[^/]+/Chart\.yaml", path):
        return ""
    about = yaml.load(data, source=path)
    return str(about.get("name", "")) if isinstance(about, dict) else ""


def _check_kube_version(about: dict[str, Any], kube_version: str, place: str) -> None:
    wanted = about.get("kubeVersion")
    if not wanted or not kube_version:
        return
    try:
        allowed = parse_range(str(wanted)).matches(parse_version(kube_version))
    except SemverError as error:
        raise HelmError("`kubeVersion` cannot be read", where=place, why=error.message) from error
    if not allowed:
        raise HelmError(
            f"the chart needs Kubernetes {wanted}, the destination has {kube_version}",
            reason="KubeVersionMismatch",
            where=place,
        )


class _Rule(msgspec.Struct, frozen=True):
    """One line of .helmignore. `!` ignores whatever does not match, as Helm does."""

    pattern: re.Pattern[str]
    negated: bool
    only_dirs: bool
    whole_path: bool

    def ignores(self, path: str, *, is_dir: bool) -> bool:
        if self.only_dirs and not is_dir:
            return self.negated
        name = path if self.whole_path else path.rsplit("/", 1)[-1]
        return (self.pattern.fullmatch(name) is not None) is not self.negated


def _ignore_rules(tree: Tree, prefix: str) -> list[_Rule]:
    # Helm's own first rule: hidden files among the templates are not templates.
    lines = ["templates/.?*"]
    place = f"{prefix}.helmignore"
    if tree.kind(place) == "file":
        lines += tree.read(place).decode("utf-8", "replace").splitlines()
    return [_rule(line.strip(), place) for line in lines if line.strip() and line[:1] != "#"]


def _rule(line: str, place: str) -> _Rule:
    if "**" in line:
        raise HelmError("`**` is not allowed in .helmignore", where=Location(place))
    negated = line.startswith("!")
    text = line[1:] if negated else line
    only_dirs = text.endswith("/")
    text = text.rstrip("/")
    whole = "/" in text
    return _Rule(_shell_pattern(text.removeprefix("/")), negated, only_dirs, whole)


def _shell_pattern(text: str) -> re.Pattern[str]:
    """Go's filepath.Match: stars and question marks stay within one name."""
    parts = []
    for piece in re.findall(r"\[\^?[^\]]+\]|\\.|.", text):
        if piece == "*":
            parts.append("[^/]*")
        elif piece == "?":
            parts.append("[^/]")
        elif len(piece) > 2 and piece[0] == "[":
            parts.append(piece.replace("\\", "\\\\"))
        else:
            parts.append(re.escape(piece[-1]))
    return re.compile("".join(parts))
