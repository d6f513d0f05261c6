"""The plain subset of YAML that most manifests are written in, read line by line.

Block mappings and lists, plain and simply quoted scalars, literal blocks, lists of words in
brackets. `parse` gives None for anything else, errors included, and the caller takes the exact
path. Law: where it gives something, it is what the exact path gives (spec/rendering.md 2).
"""

from __future__ import annotations

import re
from typing import Any, Final

from trimtab.lang.yaml.scalars import BadScalarError, Booleans, Scalar, Timestamps, plain

__all__ = ["parse"]

_UNUSUAL: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]"
)
_KEY: Final = re.compile(r"(?:([A-Za-z_][A-Za-z0-9_./$-]*)|\"([^\"\\]+)\"|'([^']+)'):(?: +|$)")
_SINGLE: Final = re.compile(r"'([^']*)'")
_DOUBLE: Final = re.compile(r'"([^"\\]*)"')
_WORD_LIST: Final = re.compile(r"\[[A-Za-z_][A-Za-z0-9_./-]*(?:, *[A-Za-z_][A-Za-z0-9_./-]*)*\]")
_TEXT_LIST: Final = re.compile(r'\["[^"\\]*"(?:, *"[^"\\]*")*\]')
_INDICATORS: Final = frozenset("?:,[]{}#&*!|>'\"%@`")
_KEY_WORDS: Final = frozenset(
    ("null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE")
)
_OLD_BOOLEANS: Final = frozenset(("y", "yes", "n", "no", "on", "off"))
_LONGEST_KEY: Final = 1000
_END: Final = -1


class _Unusual(Exception):
    """Something outside the subset."""


def parse(
    text: str, *, nodes: int, depth: int, timestamps: Timestamps, booleans: Booleans
) -> list[tuple[Any, int, int]] | None:
    """(value, line, index) of each document that is not empty; None outside the subset, and
    whenever the limits `nodes` and `depth` might be reached."""
    if _UNUSUAL.search(text) or text.count("\n") * 2 + text.count(",") > nodes:
        return None
    reader = _Lines(text, depth, timestamps, booleans)
    try:
        return reader.documents()
    except (_Unusual, BadScalarError):
        return None


class _Lines:
    """A cursor over lines: `col` and `content` of the line to be read, `col` -1 at the end of a
    document."""

    __slots__ = (
        "_booleans",
        "_lines",
        "_old_booleans",
        "_pos",
        "_room",
        "_timestamps",
        "_whole",
        "col",
        "content",
    )

    def __init__(self, text: str, depth: int, timestamps: Timestamps, booleans: Booleans) -> None:
        self._lines = text.split("\n")
        self._whole = text.endswith("\n")
        if self._whole:
            self._lines.pop()
        self._pos = -1
        self._room = depth
        self._timestamps = timestamps
        self._booleans = booleans
        self._old_booleans = booleans == "yaml11"
        self.col = _END
        self.content = ""

    def documents(self) -> list[tuple[Any, int, int]]:
        found: list[tuple[Any, int, int]] = []
        index = 0
        first = True
        total = len(self._lines)
        while self._pos < total:
            self._advance()
            if self.col != _END:
                line = self._pos + 1
                value = self._block()
                if self.col != _END:
                    raise _Unusual
                found.append((value, line, index))
                index += 1
            elif not first:
                index += 1
            first = False
        return found

    def _advance(self) -> None:
        """To the next line that is neither blank nor a comment, or to the document's end."""
        lines = self._lines
        pos = self._pos + 1
        total = len(lines)
        while pos < total:
            line = lines[pos]
            content = line.strip(" ")
            if content and content[0] != "#":
                if line[0] != " ":
                    if content == "---":
                        break
                    if content.startswith(("--- ", "...")):
                        raise _Unusual
                    self.col = 0
                else:
                    self.col = len(line) - len(line.lstrip(" "))
                self.content = content
                self._pos = pos
                return
            pos += 1
        self._pos = pos
        self.col = _END

    def _block(self) -> Any:
        content = self.content
        if content[0] == "-" and (len(content) == 1 or content[1] == " "):
            return self._sequence(self.col)
        return self._mapping(self.col)

    def _mapping(self, col: int) -> dict[str, Any]:
        self._room -= 1
        if self._room < 0:
            raise _Unusual
        result: dict[str, Any] = {}
        while self.col == col:
            content = self.content
            match = _KEY.match(content)
            if match is None or match.end() > _LONGEST_KEY:
                raise _Unusual
            key = match[1]
            if key is None:
                key = match[2] or match[3]
            elif key in _KEY_WORDS or (self._old_booleans and key.lower() in _OLD_BOOLEANS):
                raise _Unusual
            if key in result:
                raise _Unusual
            rest = content[match.end() :]
            if not rest or rest[0] == "#":
                self._advance()
                result[key] = self._nested(col)
            else:
                result[key] = self._literal(rest, col) if rest[0] == "|" else self._scalar(rest)
                self._advance()
        if self.col > col:
            raise _Unusual
        self._room += 1
        return result

    def _nested(self, col: int) -> Any:
        """The value below a key at `col` that has none on its line."""
        if self.col > col:
            return self._block()
        if self.col == col and (self.content == "-" or self.content.startswith("- ")):
            return self._sequence(col)
        return None

    def _sequence(self, col: int) -> list[Any]:
        self._room -= 1
        if self._room < 0:
            raise _Unusual
        result: list[Any] = []
        while self.col == col:
            content = self.content
            if content == "-":
                self._advance()
                result.append(self._block() if self.col > col else None)
                continue
            if not content.startswith("- "):
                break
            rest = content[2:].lstrip(" ")
            if rest[0] == "#":
                raise _Unusual
            dash = rest[0] == "-" and (len(rest) == 1 or rest[1] == " ")
            if dash or _KEY.match(rest):
                self.col = col + len(content) - len(rest)
                self.content = rest
                result.append(self._block())
                continue
            result.append(self._literal(rest, col) if rest[0] == "|" else self._scalar(rest))
            self._advance()
        if self.col > col:
            raise _Unusual
        self._room += 1
        return result

    def _scalar(self, rest: str) -> Any:
        first = rest[0]
        if first in _INDICATORS:
            return self._marked(rest, first)
        if first == "-" and (len(rest) == 1 or rest[1] == " "):
            raise _Unusual
        if " #" in rest:
            rest = rest[: rest.index(" #")].rstrip(" ")
        if ": " in rest or rest[-1] == ":":
            raise _Unusual
        return self._plain(rest)

    def _plain(self, text: str) -> Scalar:
        return plain(text, self._timestamps, self._booleans)

    def _marked(self, rest: str, first: str) -> Any:
        """A scalar or list that starts with an indicator."""
        if first == '"':
            match = _DOUBLE.fullmatch(rest)
        elif first == "'":
            match = _SINGLE.fullmatch(rest)
        elif rest == "{}":
            return {}
        elif rest == "[]":
            return []
        elif _TEXT_LIST.fullmatch(rest):
            return _DOUBLE.findall(rest)
        elif _WORD_LIST.fullmatch(rest):
            return [self._plain(word.strip(" ")) for word in rest[1:-1].split(",")]
        else:
            raise _Unusual
        if match is None:
            raise _Unusual
        return match[1]

    def _literal(self, header: str, col: int) -> str:
        """A literal block below a line at `col`; the cursor ends on its last line."""
        if header not in ("|", "|-", "|+"):
            raise _Unusual
        lines = self._lines
        start = pos = self._pos + 1
        total = len(lines)
        while pos < total and not lines[pos].strip(" "):
            pos += 1
        if pos == total:
            raise _Unusual
        indent = len(lines[pos]) - len(lines[pos].lstrip(" "))
        if indent <= col or any(len(line) > indent for line in lines[start:pos]):
            raise _Unusual
        margin = " " * indent
        pos = start
        body: list[str] = []
        while pos < total:
            line = lines[pos]
            if line.startswith(margin):
                body.append(line[indent:])
            elif not line.strip(" "):
                body.append("")
            else:
                break
            pos += 1
        if pos == total and not self._whole:
            raise _Unusual
        self._pos = pos - 1
        text = "\n".join(body) + "\n"
        if header == "|+":
            return text
        kept = text.rstrip("\n")
        if not kept:
            raise _Unusual
        return kept if header == "|-" else kept + "\n"
