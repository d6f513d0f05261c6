"""Rendered texts to manifests in Helm's order, hooks last (spec/rendering.md 4.2)."""

from __future__ import annotations

from typing import Any

from trimtab.errors import Location
from trimtab.lang import yaml
from trimtab.objects.kind_order import CREATION_ORDER
from trimtab.render.errors import HelmError
from trimtab.render.helm.engine import Rendered
from trimtab.render.manifests import manifests_of
from trimtab.render.model import HelmOptions, Manifest

__all__ = ["HOOK", "INSTALL_ORDER", "manifests_from"]

HOOK = "helm.sh/hook"
_WEIGHT = "helm.sh/hook-weight"
_TESTS = frozenset(("test", "test-success", "test-failure"))

INSTALL_ORDER = (
    "PriorityClass",
    *CREATION_ORDER,
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
)
_RANK = {kind: rank for rank, kind in enumerate(INSTALL_ORDER)}


def manifests_from(
    rendered: Rendered, chart: str, path: str, options: HelmOptions
) -> list[Manifest]:
    """crds/ first, then objects in Helm's install order, then hooks by weight.

    Origins name the template's file in the tree and the line in its rendered text. NOTES.txt is
    left out, test hooks with `skip_tests`, crds/ with `skip_crds`.
    """
    crds: list[Manifest] = []
    if not options.skip_crds:
        for name, text in rendered.crds:
            crds += _parse(place_in_tree(name, chart, path), text)
    objects: list[Manifest] = []
    hooks: list[Manifest] = []
    for name, text in sorted(rendered.templates.items()):
        if name.endswith("NOTES.txt") or not text.strip():
            continue
        for item in _parse(place_in_tree(name, chart, path), text):
            events = hook_events(item.obj)
            if not events:
                objects.append(item)
            elif not (options.skip_tests and events & _TESTS):
                hooks.append(item)
    return crds + sorted(objects, key=_install_key) + sorted(hooks, key=_hook_key)


def place_in_tree(name: str, chart: str, path: str) -> str:
    """`<chart>/templates/x.yaml` as a path of the tree."""
    inner = name.removeprefix(f"{chart}/")
    return f"{path}/{inner}" if path else inner


def hook_events(obj: dict[str, Any]) -> frozenset[str]:
    text = str((obj["metadata"].get("annotations") or {}).get(HOOK) or "")
    return frozenset(event.strip() for event in text.split(",") if event.strip())


def _parse(file: str, text: str) -> list[Manifest]:
    try:
        documents = yaml.load_all(text, source=file)
    except yaml.YamlError as error:
        line = error.where.line if isinstance(error.where, Location) else 0
        lines = text.splitlines()
        shown = lines[line - 1].strip()[:120] if 0 < line <= len(lines) else ""
        raise HelmError(
            "the template gives text that is not YAML",
            reason="YamlInvalid",
            where=Location(file),
            why=f"line {line} of the rendered text ({shown}): {error.message}",
            hint=error.hint or "check `indent` and `nindent` around it",
        ) from error
    return manifests_of(documents, file)


def _install_key(item: Manifest) -> tuple[int, str, str]:
    kind = str(item.obj["kind"])
    return _RANK.get(kind, len(_RANK)), kind if kind not in _RANK else "", _name(item)


def _hook_key(item: Manifest) -> tuple[int, int, str, str]:
    annotations = item.obj["metadata"].get("annotations") or {}
    try:
        weight = int(str(annotations.get(_WEIGHT) or 0))
    except ValueError:
        weight = 0
    return weight, *_install_key(item)


def _name(item: Manifest) -> str:
    metadata = item.obj["metadata"]
    return str(metadata.get("name") or metadata.get("generateName") or "")
