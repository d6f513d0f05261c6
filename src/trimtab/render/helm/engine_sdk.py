"""Helm's own Go library in this process: loaded in render workers only.

Charts go in as an archive in memory, so nothing is written and nothing else can be read.
"""

from __future__ import annotations

import ctypes
import hashlib
import io
import json
import tarfile
from collections import OrderedDict
from typing import Any

from trimtab.render.helm.engine import Chart, Release, Rendered
from trimtab.render.helm.failures import failure

__all__ = ["SdkEngine"]

_KEPT_OPEN = 32


class SdkEngine:
    """Keeps the last charts without subcharts open: other values do not load them again.

    A render decides which subcharts are enabled and takes the others out of the loaded chart, so
    a chart that has any is loaded for each render.
    """

    def __init__(self) -> None:
        # 90 ms and 93 MB: only where a chart is really rendered.
        from helm_python import _native, errors

        self._native = _native
        self._error = errors.HelmError
        self._charts: OrderedDict[bytes, Any] = OrderedDict()

    def render(self, chart: Chart, values: dict[str, Any], release: Release) -> Rendered:
        try:
            if any(path.startswith("charts/") for path in chart.files):
                handle = self._load(_archive(chart))
                try:
                    return self._render(handle, values, release)
                finally:
                    self._native.call_status("helm_chart_free", handle)
            return self._render(self._open(chart), values, release)
        except self._error as error:
            raise failure(str(error), getattr(error, "code", None), chart.name) from error

    def _render(self, handle: Any, values: dict[str, Any], release: Release) -> Rendered:
        templates = self._native.call_string(
            "helm_render", handle, json.dumps(values), json.dumps(_options(release))
        )
        crds = json.loads(self._native.call_string("helm_chart_crds", handle))
        found = tuple((item["filename"], item["data"]) for item in crds)
        return Rendered(json.loads(templates), found)

    def _open(self, chart: Chart) -> Any:
        archive = _archive(chart)
        digest = hashlib.sha256(archive).digest()
        handle = self._charts.get(digest)
        if handle is None:
            handle = self._charts[digest] = self._load(archive)
            if len(self._charts) > _KEPT_OPEN:
                self._native.call_status("helm_chart_free", self._charts.popitem(last=False)[1])
        self._charts.move_to_end(digest)
        return handle

    def _load(self, archive: bytes) -> Any:
        buffer = (ctypes.c_uint8 * len(archive)).from_buffer_copy(archive)
        number = self._native.call_handle(
            "helm_chart_load_archive", buffer, ctypes.c_uint64(len(archive))
        )
        return self._native.HANDLE(number)


def _options(release: Release) -> dict[str, Any]:
    options: dict[str, Any] = {
        "name": release.name,
        "namespace": release.namespace,
        "revision": release.revision,
        "is_install": not release.is_upgrade,
        "is_upgrade": release.is_upgrade,
    }
    if release.kube_version:
        options["kube_version"] = release.kube_version
    if release.api_versions:
        options["api_versions"] = list(release.api_versions)
    return options


def _archive(chart: Chart) -> bytes:
    """The chart as a .tgz with the same bytes for the same files."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w:gz", compresslevel=1) as archive:
        for path, content in sorted(chart.files.items()):
            member = tarfile.TarInfo(f"{chart.name}/{path}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return plain.getvalue()
