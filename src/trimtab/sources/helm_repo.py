"""HTTP Helm repositories: index, version range, chart archive -> Snapshot (spec/flux.md 2.4)."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urljoin

import aiohttp
import msgspec

from trimtab.lang.semver import SemverError, highest, parse_range
from trimtab.sources.archive import ArchiveLimits, unpack_tgz
from trimtab.sources.errors import ChartNotFound, RevisionNotFound, SourceError, Unsupported
from trimtab.sources.helm_index import chart_entries, check_index
from trimtab.sources.http_fetch import Answer, fetch
from trimtab.sources.model import Credentials, Snapshot, SourceSpec
from trimtab.sources.url import origin_of, redact

__all__ = ["HelmRepositories"]

MAX_INDEX_BYTES = 50 * 1024 * 1024
MAX_CHART_BYTES = 10 * 1024 * 1024


class _Clock(Protocol):
    def monotonic(self) -> float: ...


class _Index(msgspec.Struct, frozen=True):
    answer: Answer
    at: float


class HelmRepositories:
    """Charts of HTTP repositories, unpacked into one store below `root`.

    Credentials go to the index's own origin; to the chart's only when it is the same one.
    """

    def __init__(self, root: Path, *, clock: _Clock, timeout_s: float) -> None:
        self._store = root / "charts.git"
        self._clock = clock
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._indexes: dict[str, _Index] = {}
        self._charts: dict[str, str] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def snapshot(self, spec: SourceSpec, *, max_age_s: float) -> Snapshot:
        """The chart's files as a tree: Chart.yaml stands at its root.

        Raises RevisionNotFound, Unreachable, AuthFailed, ArchiveInvalid, Unsupported.
        """
        if spec.kind == "oci" or spec.url.startswith("oci://"):
            raise Unsupported(
                f"{redact(spec.url)}: charts and artifacts in OCI registries cannot be read yet",
                hint="use an HTTP Helm repository or a Git repository",
            )
        key = _key(spec.url, spec.credentials)
        async with self._locks.setdefault(key, asyncio.Lock()):
            index = await self._index(spec, key, max_age_s)
            return await self._chosen(spec, index, key)

    async def index(self, spec: SourceSpec) -> bytes:
        """The repository's index.yaml as it is now; unchanged ones are not sent again (ETag).

        Raises RevisionNotFound, Unreachable, AuthFailed, LimitExceeded, SourceError.
        """
        key = _key(spec.url, spec.credentials)
        async with self._locks.setdefault(key, asyncio.Lock()):
            index = await self._index(spec, key, 0.0)
        check_index(index, source=f"{redact(spec.url)}/index.yaml")
        return index

    async def chart(self, spec: SourceSpec, index: bytes) -> Snapshot:
        """As `snapshot`, by an index the caller keeps: the same index gives the same version."""
        key = _key(spec.url, spec.credentials)
        async with self._locks.setdefault(key, asyncio.Lock()):
            return await self._chosen(spec, index, key)

    async def _chosen(self, spec: SourceSpec, index: bytes, key: str) -> Snapshot:
        entry = self._choose(spec, index)
        tree = await self._chart(spec, entry, key)
        clean = msgspec.structs.replace(spec, credentials=None, url=redact(spec.url))
        return Snapshot(
            source=clean,
            revision=str(entry["version"]),
            tree=tree,
            store=str(self._store),
            label=str(entry["version"]),
            date=str(entry.get("created") or ""),
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _index(self, spec: SourceSpec, key: str, max_age_s: float) -> bytes:
        known = self._indexes.get(key)
        now = self._clock.monotonic()
        if known is None or now - known.at >= max_age_s:
            answer = await self._fetch(
                spec.url.rstrip("/") + "/index.yaml",
                MAX_INDEX_BYTES,
                spec.credentials,
                known.answer if known else None,
            )
            if answer.status == 304 and known is not None:
                answer = known.answer
            known = self._indexes[key] = _Index(answer, now)
        return known.answer.body

    def _choose(self, spec: SourceSpec, index: bytes) -> dict[str, Any]:
        name = redact(spec.url)
        entries = chart_entries(index, spec.chart, source=f"{name}/index.yaml")
        if not entries:
            raise ChartNotFound(f"chart {spec.chart} does not exist in {name}")
        try:
            version = highest(entries, parse_range(spec.version))
        except SemverError as error:
            raise ChartNotFound(f"chart {spec.chart}: {error.message}") from error
        if version is None:
            newest = ", ".join(list(entries)[:5])
            raise ChartNotFound(
                f"no version of chart {spec.chart} in {name} matches {spec.version}",
                hint=f"the first in its index are: {newest}",
            )
        return entries[version]

    async def _chart(self, spec: SourceSpec, entry: dict[str, Any], key: str) -> str:
        """Tree id of one version's archive, fetched once while the index gives the same digest."""
        urls = entry.get("urls")
        if not isinstance(urls, list) or not urls:
            raise RevisionNotFound(
                f"chart {spec.chart} {entry['version']} has no address in its index"
            )
        url = urljoin(spec.url.rstrip("/") + "/", str(urls[0]))
        digest = str(entry.get("digest") or "").removeprefix("sha256:")
        known = f"{key} {url} {digest}"
        if known not in self._charts:
            same = origin_of(url) == origin_of(spec.url)
            credentials = spec.credentials if same else None
            answer = await self._fetch(url, MAX_CHART_BYTES, credentials, None)
            if digest and hashlib.sha256(answer.body).hexdigest() != digest:
                raise SourceError(
                    f"{redact(url)} is not what the index says", reason="DigestMismatch"
                )
            self._charts[known] = await asyncio.to_thread(
                unpack_tgz,
                answer.body,
                self._store,
                limits=ArchiveLimits(packed_bytes=MAX_CHART_BYTES),
                strip=1,
                name=redact(url),
            )
        return self._charts[known]

    async def _fetch(
        self, url: str, max_bytes: int, credentials: Credentials | None, known: Answer | None
    ) -> Answer:
        if self._session is None:
            self._session = aiohttp.ClientSession(auto_decompress=False)
        return await fetch(
            self._session,
            url,
            max_bytes=max_bytes,
            timeout_s=self._timeout_s,
            credentials=credentials,
            known=known,
        )


def _key(url: str, credentials: Credentials | None) -> str:
    return hashlib.sha256(url.encode() + b"\0" + msgspec.msgpack.encode(credentials)).hexdigest()
