"""The build: accumulate, generate, transform, and at the top finish names and order.

The order of steps is kustomize's (spec/rendering.md 3.2). A directory's resources are a set of
their own that is transformed before its parent sees it; a component works on its parent's set.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import msgspec

from trimtab.errors import Location, TrimtabError
from trimtab.lang.yaml import Document, load_all
from trimtab.render.errors import KustomizeError, RenderError
from trimtab.render.kustomize import file as kfile
from trimtab.render.kustomize import transform
from trimtab.render.kustomize.build_metadata import BuildMetadata
from trimtab.render.kustomize.documents import objects_of
from trimtab.render.kustomize.fieldspecs import (
    Tables,
    combine,
    default_tables,
    merge_tables,
)
from trimtab.render.kustomize.file import Kustomization
from trimtab.render.kustomize.generators import BEHAVIOURS, generate, merge_into
from trimtab.render.kustomize.hashing import name_hash
from trimtab.render.kustomize.names import fix_references
from trimtab.render.kustomize.order import sort_resources
from trimtab.render.kustomize.patches import Patch, Schemas, apply_patch, is_yaml, parse_patch
from trimtab.render.kustomize.replacements import apply_replacement, read_replacements
from trimtab.render.kustomize.resmap import ResMap
from trimtab.render.kustomize.resource import Resource, copy_json
from trimtab.render.kustomize.variables import Variables
from trimtab.render.model import KustomizeOptions, Manifest, Origin
from trimtab.sources import Tree

__all__ = ["Build"]

_REMOTE: Final = re.compile(
    r"^(?:[a-z][a-z0-9+.-]*://|[A-Za-z0-9_.-]+@[^/]+:|git::|github\.com[/:]|gh:)|[?&]ref=|//"
)
_LOCAL_CONFIG: Final = "config.kubernetes.io/local-config"
_DEPTH: Final = 64


class _Set:
    """What has been accumulated: resources, the tables they work with, variables."""

    __slots__ = ("resources", "tables", "variables")

    def __init__(self) -> None:
        self.resources = ResMap()
        self.tables: Tables | None = None
        self.variables = Variables()


class Build:
    """One build of one directory. Parses every file once, whoever asks for it."""

    def __init__(self, tree: Tree, options: KustomizeOptions, schemas: Schemas) -> None:
        self._tree = tree
        self._options = options
        self._schemas = schemas
        self._documents: dict[str, list[Document]] = {}
        self._warnings: list[str] = []
        self._metadata = BuildMetadata(())

    def run(self, path: str) -> tuple[list[Manifest], list[str]]:
        """Manifests in output order and the warnings. Raises RenderError."""
        root = _clean(path)
        top = self._read(root, via=())
        if self._options.overlay:
            top = kfile.merge_overlay(top, self._options.overlay)
        self._metadata = BuildMetadata(top.items("buildMetadata"), root=root)
        self._warnings.extend(f"{top.path}: {text}" for text in self._metadata.warnings)
        accumulated = _Set()
        self._accumulate(top, accumulated, (root,))
        with _blame(top):
            self._finish(top, accumulated)
        return [_manifest(resource) for resource in accumulated.resources], self._warnings

    # reading

    def _read(self, root: str, *, via: tuple[str, ...]) -> Kustomization:
        path = kfile.find(self._tree, root, via=via)
        if path is None:
            if self._options.generate and not via:
                return self._generated(root)
            raise KustomizeError(
                f"no kustomization file in {root or 'the root of the tree'}",
                where=Location(root or ".", via=via),
                hint=f"add one of {', '.join(kfile.FILE_NAMES)}, or check the path",
                reason="KustomizationNotFound",
            )
        allow_empty = self._options.generate and not via
        kustomization = kfile.read(
            self._tree.read(path), path, root, via=via, allow_empty=allow_empty
        )
        self._warnings.extend(kfile.deprecations(kustomization))
        return kustomization

    def _generated(self, root: str) -> Kustomization:
        """A kustomization of everything below a directory that has none (spec/flux.md 3.2)."""
        resources = sorted(self._discover(root, ""))
        name = posixpath.join(root, kfile.FILE_NAMES[0])
        fields = {"resources": resources} if resources else {"namespace": "_placeholder"}
        return Kustomization(root, name, fields, b"", (name,))

    def _discover(self, root: str, below: str) -> Iterator[str]:
        here = posixpath.join(root, below) if below else root
        for entry in self._tree.list(here):
            path = posixpath.join(below, entry.name) if below else entry.name
            full = posixpath.join(root, path) if root else path
            kind = self._tree.kind(full)
            if kind == "dir":
                if kfile.find(self._tree, full) is not None:
                    yield path
                else:
                    yield from self._discover(root, path)
            elif kind == "file" and entry.name.endswith((".yaml", ".yml")):
                yield path

    def _load(self, kustomization: Kustomization, path: str) -> bytes:
        """A file that a kustomization names, within the load restriction."""
        full = self._resolve(kustomization, path)
        root = kustomization.root
        if self._options.load_restriction == "root_only" and not _inside(full, root):
            raise KustomizeError(
                f"{path} is outside {root or 'the root'}, the directory of its kustomization",
                hint="move the file below it, or make its directory a kustomization",
                reason="LoadRestricted",
            )
        kind = self._tree.kind(full)
        if kind != "file":
            raise self._missing(full, path, kind == "dir")
        return self._tree.read(full)

    def _resolve(self, kustomization: Kustomization, path: str) -> str:
        if path.startswith("/"):
            raise KustomizeError(f"{path} is an absolute path", reason="PathEscapes")
        full = posixpath.normpath(posixpath.join(kustomization.root, path))
        if full == ".." or full.startswith("../"):
            raise KustomizeError(f"{path} leads out of the tree", reason="PathEscapes")
        return "" if full == "." else full

    def _missing(self, full: str, path: str, is_directory: bool) -> KustomizeError:
        if is_directory:
            return KustomizeError(f"{path} is a directory, a file is needed", reason="FileNotFound")
        folder = posixpath.dirname(full)
        names = []
        if self._tree.kind(folder) == "dir":
            names = sorted(entry.name for entry in self._tree.list(folder))
        near = f"{folder or 'the root'} holds: {', '.join(names[:12])}" if names else ""
        return KustomizeError(f"{path} does not exist", why="", hint=near, reason="FileNotFound")

    def _parsed(self, full: str, data: bytes) -> list[Document]:
        """Documents of a file, parsed once for each content and copied for each use."""
        oid = self._tree.oid(full)
        known = self._documents.get(oid) if oid else None
        if known is None:
            known = load_all(data, source=full, timestamps="rfc3339")
            self._documents[oid] = known
            return [Document(copy_json(d.value), d.line, d.index) for d in known]
        return [Document(copy_json(d.value), d.line, d.index) for d in known]

    # accumulation

    def _accumulate(self, kustomization: Kustomization, into: _Set, roots: tuple[str, ...]) -> None:
        for index, path in enumerate(
            [*kustomization.items("resources"), *kustomization.items("bases")]
        ):
            count = len(kustomization.items("resources"))
            place = ("resources", index) if index < count else ("bases", index - count)
            with _blame(kustomization, *place):
                self._add_resource(kustomization, path, into, roots)
        tables = default_tables()
        for index, path in enumerate(kustomization.items("configurations")):
            with _blame(kustomization, "configurations", index):
                tables = self._configured(kustomization, path, tables)
        into.tables = tables if into.tables is None else combine(into.tables, tables)
        self._run_generators(kustomization, into)
        for index, path in enumerate(kustomization.items("components")):
            with _blame(kustomization, "components", index):
                self._add_component(kustomization, path, into, roots)
        self._transform(kustomization, into)
        with _blame(kustomization, "vars"):
            into.variables.add(kustomization.items("vars"), into.resources)

    def _add_resource(
        self, kustomization: Kustomization, path: str, into: _Set, roots: tuple[str, ...]
    ) -> None:
        if not path:
            raise KustomizeError("an entry is empty", reason="KustomizationInvalid")
        full = "" if _REMOTE.search(path) else self._resolve(kustomization, path)
        kind = self._tree.kind(full) if full or not _REMOTE.search(path) else "absent"
        if kind == "file":
            data = self._load(kustomization, path)
            for resource in objects_of(self._parsed(full, data), full):
                self._metadata.written(resource, full)
                into.resources.append(resource)
            return
        if kind == "dir":
            self._add_directory(kustomization, full, into, roots, component=False)
            return
        if _REMOTE.search(path):
            raise _remote(path, allowed=self._options.allow_remote)
        raise self._missing(full, path, is_directory=False)

    def _add_component(
        self, kustomization: Kustomization, path: str, into: _Set, roots: tuple[str, ...]
    ) -> None:
        if _REMOTE.search(path):
            raise _remote(path, allowed=self._options.allow_remote)
        full = self._resolve(kustomization, path)
        kind = self._tree.kind(full)
        if kind == "absent" and self._options.ignore_missing_components:
            self._warnings.append(f"{kustomization.path}: component {path} does not exist")
            return
        if kind != "dir":
            raise KustomizeError(
                f"component {path} is not a directory",
                hint="a component is a directory with a kustomization of kind Component",
                reason="FileNotFound",
            )
        self._add_directory(kustomization, full, into, roots, component=True)

    def _add_directory(
        self,
        parent: Kustomization,
        root: str,
        into: _Set,
        roots: tuple[str, ...],
        *,
        component: bool,
    ) -> None:
        for visited in roots:
            if _inside(visited, root):
                loop = " -> ".join([*(r or "." for r in roots), root or "."])
                raise KustomizeError(f"kustomizations form a cycle: {loop}", reason="Cycle")
        if len(roots) >= _DEPTH:
            raise KustomizeError(
                f"kustomizations are nested deeper than {_DEPTH}", reason="LimitExceeded"
            )
        child = self._read(root, via=parent.via)
        if component and not child.is_component:
            raise KustomizeError(
                f"{child.path} is listed under `components` and is not a Component",
                hint="list it under `resources`, or set kind: Component",
                reason="KustomizationInvalid",
            )
        if child.is_component and not component:
            raise KustomizeError(
                f"{child.path} is a Component and is listed under `resources`",
                hint="list it under `components`",
                reason="KustomizationInvalid",
            )
        if component:
            self._accumulate(child, into, (*roots, root))
            return
        own = _Set()
        self._accumulate(child, own, (*roots, root))
        into.resources.extend(own.resources)
        if own.tables is not None:
            into.tables = own.tables if into.tables is None else combine(into.tables, own.tables)
        into.variables.extend(own.variables)

    def _configured(self, kustomization: Kustomization, path: str, tables: Tables) -> Tables:
        data = self._load(kustomization, path)
        full = self._resolve(kustomization, path)
        for document in load_all(data, source=full):
            config = kfile.checked(document.value, "configuration", data, full)
            tables = merge_tables(tables, config)
        return tables

    # generators

    def _run_generators(self, kustomization: Kustomization, into: _Set) -> None:
        shared = kustomization.get("generatorOptions")
        for field, kind in (("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret")):
            for index, args in enumerate(kustomization.items(field)):
                with _blame(kustomization, field, index):
                    resource = generate(
                        kind, args or {}, shared, lambda p: self._load(kustomization, p)
                    )
                    if resource.behavior and resource.behavior not in BEHAVIOURS:
                        self._warnings.append(
                            f"{kustomization.path}: behavior {resource.behavior!r} of generator "
                            f"{resource.name} is not known and counts as create"
                        )
                    resource.file = kustomization.path
                    self._metadata.generated(resource, kustomization.path, field)
                    self._absorb(into.resources, resource, kustomization.path, field)

    def _absorb(self, resources: ResMap, new: Resource, path: str, field: str) -> None:
        found = resources.by_any_id(new.id)
        if not found:
            if new.behavior in ("merge", "replace"):
                raise KustomizeError(
                    f"{new.id} does not exist, it cannot be changed by behavior {new.behavior}",
                    hint="use behavior: create, or check name and namespace in the base",
                    reason="TargetNotFound",
                )
            resources.append(new)
            return
        if len(found) > 1:
            raise KustomizeError(
                f"{len(found)} resources could be meant by {new.id}", reason="TargetAmbiguous"
            )
        old = found[0]
        if new.behavior not in ("merge", "replace"):
            raise KustomizeError(
                f"{new.id} exists already, from {old.where}",
                hint="set behavior: merge or behavior: replace",
                reason="DuplicateResource",
            )
        behavior = new.behavior
        merged = merge_into(old, new)
        merged.file, merged.document, merged.line = old.file, old.document, old.line
        merged.touch(f"{field} {behavior}", path)
        resources.replace(old, merged)

    # transformations

    def _transform(self, kustomization: Kustomization, into: _Set) -> None:
        resources, tables = into.resources, into.tables
        assert tables is not None
        get, items = kustomization.get, kustomization.items
        step = partial(self._step, kustomization, resources)

        merges = items("patchesStrategicMerge")
        for index, text in enumerate(merges):
            last = index == len(merges) - 1
            name = "PatchStrategicMergeTransformer" if last else ""
            with step(name, "patchesStrategicMerge", index) as done:
                done(apply_patch(resources, self._merge_patch(kustomization, text), self._schemas))
        for index, entry in enumerate(items("patches")):
            with step("PatchTransformer", "patches", index) as done:
                done(apply_patch(resources, self._patch(kustomization, entry), self._schemas))
        if get("namespace"):
            with step("NamespaceTransformer", "namespace") as done:
                done(transform.set_namespace(resources, get("namespace"), tables.namespace))
        if get("namePrefix"):
            with step("PrefixTransformer", "namePrefix") as done:
                done(transform.add_prefix(resources, get("namePrefix"), tables))
        if get("nameSuffix"):
            with step("SuffixTransformer", "nameSuffix") as done:
                done(transform.add_suffix(resources, get("nameSuffix"), tables))
        for index, entry in enumerate(items("labels")):
            with step("LabelTransformer", "labels", index) as done:
                specs = transform.label_specs(entry, tables)
                done(transform.set_labels(resources, entry.get("pairs") or {}, specs))
        if get("commonLabels") or items("labels"):
            with step("LabelTransformer", "commonLabels") as done:
                wanted = get("commonLabels") or {}
                if wanted:
                    done(transform.set_labels(resources, wanted, tables.common_labels))
        if get("commonAnnotations"):
            with step("AnnotationsTransformer", "commonAnnotations") as done:
                wanted = get("commonAnnotations")
                done(transform.set_annotations(resources, wanted, tables.common_annotations))
        self._transform_fields(kustomization, resources, tables)

    def _transform_fields(
        self, kustomization: Kustomization, resources: ResMap, tables: Tables
    ) -> None:
        """The second half: what follows the names."""
        items = kustomization.items
        step = partial(self._step, kustomization, resources)

        for index, entry in enumerate(items("patchesJson6902")):
            with step("PatchJson6902Transformer", "patchesJson6902", index) as done:
                patch = self._json_patch(kustomization, entry)
                done(apply_patch(resources, patch, self._schemas))
        for index, entry in enumerate(items("replicas")):
            with step("ReplicaCountTransformer", "replicas", index) as done:
                name, count = entry.get("name") or "", entry.get("count") or 0
                done(transform.set_replicas(resources, name, count, tables.replicas))
        for field in ("images", "imageTags"):
            for index, entry in enumerate(items(field)):
                with step("ImageTagTransformer", field, index) as done:
                    done(transform.set_image(resources, entry, tables.images))
        for index, entry in enumerate(items("replacements")):
            with step("ReplacementTransformer", "replacements", index) as done:
                for one in read_replacements(entry, lambda p: self._load(kustomization, p)):
                    done(apply_replacement(resources, one))

    @contextmanager
    def _step(
        self,
        kustomization: Kustomization,
        resources: ResMap,
        transformer: str,
        field: str,
        *index: int,
    ) -> Iterator[Callable[[list[Resource]], None]]:
        """One transformation: errors point to its field, what it touched remembers it."""

        def done(touched: list[Resource]) -> None:
            for resource in touched:
                resource.touch(field, kustomization.path)

        with _blame(kustomization, field, *index):
            yield done
        self._metadata.transformed(resources, kustomization.path, transformer)

    def _patch(self, kustomization: Kustomization, entry: Mapping[str, Any]) -> Patch:
        inline, path = str(entry.get("patch") or "").strip(), entry.get("path")
        if bool(inline) == bool(path):
            raise KustomizeError("a patch has either `path` or `patch`", reason="PatchInvalid")
        if path:
            text, source = self._load(kustomization, path), self._resolve(kustomization, path)
        else:
            text, source = inline.encode(), "given inline"
        return parse_patch(text, source, target=entry.get("target"), options=entry.get("options"))

    def _merge_patch(self, kustomization: Kustomization, text: str) -> Patch:
        if is_yaml(text):
            return parse_patch(text.encode(), "given inline")
        return parse_patch(self._load(kustomization, text), self._resolve(kustomization, text))

    def _json_patch(self, kustomization: Kustomization, entry: Mapping[str, Any]) -> Patch:
        target = entry.get("target")
        if not target or not target.get("name"):
            raise KustomizeError(
                "an entry of `patchesJson6902` needs a `target` with a name", reason="PatchInvalid"
            )
        patch = self._patch(kustomization, entry)
        if not patch.operations:
            raise KustomizeError(
                f"the patch {patch.source} is not a JSON 6902 patch", reason="PatchInvalid"
            )
        return msgspec.structs.replace(patch, legacy=True)

    # the end

    def _finish(self, top: Kustomization, accumulated: _Set) -> None:
        resources = accumulated.resources
        tables = accumulated.tables
        assert tables is not None
        for resource in resources:
            if resource.needs_hash:
                suffix = name_hash(resource.obj)
                resource.remember()
                resource.metadata["name"] = f"{resource.name}-{suffix}"
        fix_references(resources, tables.name_reference)
        self._warnings.extend(accumulated.variables.resolve(resources, tables.var_reference))
        for resource in list(resources):
            annotations = resource.metadata.get("annotations")
            local = annotations.get(_LOCAL_CONFIG) if isinstance(annotations, dict) else None
            if local is not None and local != "false":
                resources.remove(resource)
        sort_resources(resources, top.get("sortOptions"))
        self._metadata.write(resources)
        for resource in resources:
            if not resource.metadata.get("annotations"):
                resource.metadata.pop("annotations", None)


def _clean(path: str) -> str:
    cleaned = posixpath.normpath(path.strip("/") or ".")
    if cleaned == ".." or cleaned.startswith("../"):
        raise KustomizeError(f"{path} leads out of the tree", reason="PathEscapes")
    return "" if cleaned == "." else cleaned


def _inside(path: str, root: str) -> bool:
    """Whether `path` is `root` or below it."""
    return not root or path == root or path.startswith(f"{root}/")


def _remote(path: str, *, allowed: bool) -> KustomizeError:
    if allowed:
        return KustomizeError(
            f"remote resource {path}: remote bases are not supported yet",
            hint="vendor it into the repository",
            reason="RemoteUnsupported",
        )
    return KustomizeError(
        f"remote resource {path} is refused",
        why="remote bases are off",
        hint="vendor it into the repository, or let the operator allow remote bases",
        reason="RemoteRefused",
    )


@contextmanager
def _blame(kustomization: Kustomization, *path: str | int) -> Iterator[None]:
    """Give errors without a place the place of the field that asked, and all of them the chain
    of files that led there."""
    try:
        yield
    except TrimtabError as error:
        chain = kustomization.via
        where = error.where
        if where is None:
            error.where = (
                kustomization.where(*path) if path else Location(kustomization.path, via=chain[:-1])
            )
        elif isinstance(where, Location) and not where.via and where.file != kustomization.path:
            error.where = Location(where.file, where.line, where.column, chain)
        if isinstance(error, RenderError):
            raise
        raise KustomizeError(
            error.message,
            where=error.where,
            why=error.why,
            hint=error.hint,
            reason=error.reason,
        ) from error


def _manifest(resource: Resource) -> Manifest:
    origin = Origin(resource.file, resource.document, resource.line, tuple(resource.touched))
    return Manifest(resource.obj, origin)
