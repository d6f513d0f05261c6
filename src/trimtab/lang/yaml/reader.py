"""YAML text to plain JSON values, on the events of a C parser and our own scalar rules.

Texts of the plain subset that most manifests are written in go through `fast`. For all others,
and for every error, libyaml composes nodes in C; scalars whose first character cannot begin a
number or a word of meaning are text, the rest is decided by `scalars`. Limits stand before
anything is expanded (spec/rendering.md 1).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from trimtab.errors import Location
from trimtab.lang.yaml import fast, scalars
from trimtab.lang.yaml.errors import YamlError, YamlLimitError
from trimtab.lang.yaml.scalars import BadScalarError, Booleans, Scalar, Timestamps

__all__ = ["Document", "Limits", "load", "load_all"]


class Limits(msgspec.Struct, frozen=True):
    """Bounds on one file. `file_bytes` of input; `nodes` per document after alias expansion;
    `depth` of nesting. Source: spec/rendering.md 1."""

    file_bytes: int = 16 * 1024 * 1024
    nodes: int = 100_000
    depth: int = 100


class Document(msgspec.Struct, frozen=True):
    """One document that is not empty. `line` (from 1) is where its content starts; `index`
    counts all documents of the file, empty ones included, from 0."""

    value: Any
    line: int
    index: int


_DEFAULT: Final = Limits()
_PLAIN: Final = "P"
_QUOTED: Final = "Q"
_MAYBE: Final = frozenset("0123456789+-.~nNtTfF")


def load_all(
    data: bytes | str,
    *,
    source: str = "<input>",
    limits: Limits = _DEFAULT,
    timestamps: Timestamps = "text",
    booleans: Booleans = "true_false",
) -> list[Document]:
    """All documents of a text that hold something.

    `timestamps="rfc3339"` writes an unquoted date as kustomize does (`2020-01-01T00:00:00Z`);
    `booleans="yaml11"` takes `yes`, `on`, `n` ... for booleans, as kubectl does for plain
    manifests and kustomize for its own file, and for JSON 6902 patches.
    Raises YamlError with line and column for bad YAML, repeated keys, values JSON cannot hold.
    Source: spec/rendering.md 2.
    """
    text = _text(data, source, limits)
    quick = fast.parse(
        text, nodes=limits.nodes, depth=limits.depth, timestamps=timestamps, booleans=booleans
    )
    if quick is not None:
        return [Document(value, line, index) for value, line, index in quick]
    return _load_exactly(text, source, limits, timestamps, booleans)


def _load_exactly(
    text: str, source: str, limits: Limits, timestamps: Timestamps, booleans: Booleans
) -> list[Document]:
    """All of YAML, and every error with its place."""
    builder = _Builder(source, limits, timestamps, booleans)
    documents: list[Document] = []
    try:
        parser = _Composer(text, source, limits)
        try:
            index = 0
            while parser.check_node():
                node = parser.get_node()
                empty = type(node) is ScalarNode and node.tag == _PLAIN and not node.value
                if node is not None and not empty:
                    value = builder.document(node)
                    if value is not None:
                        documents.append(Document(value, node.start_mark.line + 1, index))
                index += 1
        finally:
            parser.dispose()
    except yaml.YAMLError as error:
        raise _syntax_error(error, source) from error
    except (RecursionError, UnicodeError) as error:
        raise YamlError(f"cannot read: {error}", where=Location(source)) from error
    return documents


def load(data: bytes | str, *, source: str = "<input>", limits: Limits = _DEFAULT) -> Any:
    """The value of the only document; None when the text is empty."""
    documents = load_all(data, source=source, limits=limits)
    if len(documents) > 1:
        raise YamlError(
            "one document expected, found several", where=Location(source, documents[1].line)
        )
    return documents[0].value if documents else None


class _Composer(yaml.CSafeLoader):
    """libyaml's composer that only notes whether an untagged scalar was plain or quoted."""

    def resolve(self, kind: type, value: Any, implicit: Any) -> str:
        if kind is ScalarNode:
            return _PLAIN if implicit[0] else _QUOTED
        return ""

    def __init__(self, text: str, source: str, limits: Limits) -> None:
        super().__init__(text)
        self._deep = 0
        self._limit = limits.depth
        self._where = source

    def descend_resolver(self, current: Any, index: Any) -> None:
        """Called for each node before its children: the composer recurses in C, so depth is
        bounded here and not afterwards."""
        self._deep += 1
        if self._deep > self._limit + 1:
            mark = current.start_mark
            raise _too_deep(self._limit, Location(self._where, mark.line + 1, mark.column + 1))

    def ascend_resolver(self) -> None:
        self._deep -= 1


def _too_deep(depth: int, where: Location) -> YamlLimitError:
    return YamlLimitError(
        f"document is nested deeper than {depth} (or an alias contains itself)",
        where=where,
        why="limit depth",
    )


def _text(data: bytes | str, source: str, limits: Limits) -> str:
    if len(data) > limits.file_bytes:
        raise YamlLimitError(
            f"file is larger than {limits.file_bytes} bytes",
            where=Location(source),
            why="limit file_bytes",
        )
    if isinstance(data, bytes):
        encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise YamlError("not valid UTF-8 text", where=Location(source, line)) from error
    else:
        text = data
    return text.removeprefix("\ufeff")


def _syntax_error(error: yaml.YAMLError, source: str) -> YamlError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    context = getattr(error, "context", None)
    where = Location(source, mark.line + 1, mark.column + 1) if mark else Location(source)
    message = f"{context}: {problem}" if context else str(problem)
    return YamlError(message, where=where, hint=_hint(str(problem)))


def _hint(problem: str) -> str:
    if "character that cannot start any token" in problem:
        return "quote the value, or indent with spaces: a tab, `%`, `@` or a backquote begins here"
    if "mapping values are not allowed" in problem:
        return "quote a value that contains `: `, or check the indentation"
    if "could not find expected ':'" in problem or "did not find expected key" in problem:
        return "check the indentation of this line and the one before"
    return ""


class _Builder:
    """Nodes of one file to values, within the limits."""

    __slots__ = ("_booleans", "_depth", "_left", "_limits", "_maybe", "_source", "_timestamps")

    def __init__(
        self, source: str, limits: Limits, timestamps: Timestamps, booleans: Booleans
    ) -> None:
        self._booleans = booleans
        self._maybe = _MAYBE if booleans == "true_false" else _MAYBE | frozenset("yYoO")
        self._source = source
        self._limits = limits
        self._timestamps = timestamps
        self._left = 0
        self._depth = 0

    def document(self, node: Node) -> Any:
        self._left = self._limits.nodes
        self._depth = 0
        return self._value(node)

    def _value(self, node: Any) -> Any:
        kind = type(node)
        if kind is ScalarNode:
            tag = node.tag
            text: str = node.value
            if tag == _QUOTED or (tag == _PLAIN and text and text[0] not in self._maybe):
                return text
            return self._scalar(node)
        children = node.value
        self._left -= len(children) + 1
        self._depth += 1
        if self._left < 0 or self._depth > self._limits.depth:
            raise self._limit(node)
        value = (
            self._mapping(node, children)
            if kind is MappingNode
            else [self._value(child) for child in children]
        )
        self._depth -= 1
        return value

    def _mapping(self, node: MappingNode, children: list[tuple[Node, Node]]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        build = self._value
        maybe = self._maybe
        merge: Node | None = None
        for key_node, value_node in children:
            tag = key_node.tag
            key: Any = key_node.value
            if type(key_node) is not ScalarNode or (
                tag != _QUOTED and (tag != _PLAIN or not key or key[0] in maybe or key == "<<")
            ):
                if (key == "<<" and tag == _PLAIN) or tag == scalars.MERGE_TAG:
                    if merge is not None:
                        raise self._error("duplicate merge key `<<`", key_node)
                    merge = value_node
                    continue
                key = self._key(key_node)
            if key in result:
                raise self._error(f"key {key!r} is already defined in this mapping", key_node)
            result[key] = build(value_node)
        if merge is not None:
            self._merge(result, merge)
        return result

    def _merge(self, result: dict[str, Any], merge: Node) -> None:
        """`<<`: keys that are written win; of several sources the first one wins."""
        sources = (
            [merge]
            if isinstance(merge, MappingNode)
            else merge.value
            if isinstance(merge, yaml.SequenceNode)
            else []
        )
        if not sources or not all(isinstance(source, MappingNode) for source in sources):
            raise self._error("`<<` needs a mapping or a list of mappings", merge)
        for source in sources:
            for key, value in self._value(source).items():
                result.setdefault(key, value)

    def _key(self, node: Any) -> str:
        """A key as JSON has it: text. Numbers and booleans are written as JSON writes them."""
        if type(node) is not ScalarNode:
            raise self._error("a mapping key must be a scalar", node)
        value = node.value if node.tag == _QUOTED else self._scalar(node)
        if isinstance(value, str):
            return value
        if value is None:
            return "null"
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value)

    def _scalar(self, node: ScalarNode) -> Scalar:
        try:
            if node.tag == _PLAIN:
                return scalars.plain(node.value, self._timestamps, self._booleans)
            if node.tag == _QUOTED:
                return str(node.value)
            return scalars.tagged(node.value, node.tag, self._timestamps)
        except BadScalarError as error:
            raise self._error(str(error), node) from error

    def _error(self, message: str, node: Node) -> YamlError:
        mark = node.start_mark
        return YamlError(message, where=Location(self._source, mark.line + 1, mark.column + 1))

    def _limit(self, node: Node) -> YamlLimitError:
        mark = node.start_mark
        where = Location(self._source, mark.line + 1, mark.column + 1)
        if self._left < 0:
            return YamlLimitError(
                f"document has more than {self._limits.nodes} values once aliases are expanded",
                where=where,
                why="limit nodes",
            )
        return _too_deep(self._limits.depth, where)
