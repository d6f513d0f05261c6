"""`${name}` substitution as Flux's post-build step does it. Source: spec/flux.md 3.3.

Only `${` starts an expansion; `$name`, `$(name)` and a lone `$` are text. `$$` drops one `$`.
The dialect is not POSIX: `:?` and `:+` are defaults too, and a default is also taken for an
empty value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from trimtab.errors import Location, TrimtabError

__all__ = ["SubstitutionError", "substitute"]

MAX_OUTPUT: Final = 50 * 1024 * 1024
_MAX_DEPTH: Final = 20
_NAME: Final = re.compile(r"[^\W]+")
_CASES: Final = ("^^", ",,", "^", ",")
_DEFAULTS: Final = (":=", ":-", ":?", ":+", "=")


class SubstitutionError(TrimtabError):
    """The text cannot be substituted: bad syntax, or variables that are not set (strict)."""

    reason = "SubstitutionFailed"


class _Part(msgspec.Struct):
    """One expansion: `${name<op>args}`; `args` are parsed texts (lists of parts and strings)."""

    name: str
    op: str = ""
    args: tuple[tuple[str | _Part, ...], ...] = ()


def substitute(
    text: str, variables: Mapping[str, str], *, strict: bool = True, where: Location | None = None
) -> str:
    """`text` with every expansion replaced.

    With `strict`, a variable that is not set and has no default is an error; all such names are
    listed at once. Without it, it becomes the empty string. Raises `SubstitutionError`.
    """
    if "$" not in text:
        return text
    run = _Run(variables, strict=strict, where=where)
    result = run.expand(_Parser(text, where).parse())
    if run.missing:
        names = ", ".join(f'"{name}"' for name in sorted(run.missing))
        raise SubstitutionError(
            f"variable not set (strict mode): {names}",
            where=where,
            hint="set it under postBuild.substitute, or write ${name:=default}",
        )
    return result


class _Parser:
    """Text -> parts. One pass, no backtracking."""

    def __init__(self, text: str, where: Location | None) -> None:
        self.text = text
        self.where = where
        self.at = 0

    def parse(self) -> tuple[str | _Part, ...]:
        return self._text(stop="", depth=0)

    def _text(self, *, stop: str, depth: int, keep_escape: bool = False) -> tuple[str | _Part, ...]:
        """Parts up to (not including) an unnested character of `stop`, or the end."""
        parts: list[str | _Part] = []
        literal: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in stop:
                break
            if self.text.startswith("$$", self.at):
                self._escape(literal, keep=keep_escape)
            elif self.text.startswith("${", self.at):
                if literal:
                    parts.append("".join(literal))
                    literal = []
                parts.append(self._expansion(depth))
            elif char == "\\" and "/" in stop and self.text[self.at + 1 : self.at + 2] in "/\\":
                literal.append(self.text[self.at + 1 : self.at + 2])
                self.at += 2
            else:
                literal.append(char)
                self.at += 1
        if literal:
            parts.append("".join(literal))
        return tuple(parts)

    def _escape(self, literal: list[str], *, keep: bool) -> None:
        """`$$` is `$`; a brace behind it is text, so `$${a}` is `${a}`."""
        literal.append("$$" if keep else "$")
        self.at += 2
        if not keep and self.text.startswith("{", self.at):
            literal.append("{")
            self.at += 1

    def _expansion(self, depth: int) -> _Part:
        if depth >= _MAX_DEPTH:
            raise self._error(f"expansions nested deeper than {_MAX_DEPTH}")
        self.at += 2
        if self.text.startswith("#", self.at):
            self.at += 1
            part = _Part(self._name(), "len")
        else:
            part = self._operator(self._name(), depth + 1)
        if not self.text.startswith("}", self.at):
            raise self._error("missing closing brace")
        self.at += 1
        return part

    def _name(self) -> str:
        match = _NAME.match(self.text, self.at)
        if not match:
            raise self._error("unable to parse variable name")
        self.at = match.end()
        return match.group()

    def _operator(self, name: str, depth: int) -> _Part:
        rest = self.text[self.at : self.at + 2]
        for op in _CASES:
            if rest.startswith(op):
                self.at += len(op)
                return _Part(name, op)
        for op in _DEFAULTS:
            if rest.startswith(op):
                self.at += len(op)
                return _Part(
                    name, "default", (self._text(stop="}", depth=depth, keep_escape=True),)
                )
        if rest.startswith(":"):
            return self._arguments(name, "slice", ":", depth)
        if rest.startswith(("#", "%")):
            op = rest if rest in ("##", "%%") else rest[0]
            self.at += len(op)
            return _Part(name, op, (self._text(stop="}", depth=depth),))
        if rest.startswith("/"):
            op = rest if rest in ("//", "/#", "/%") else "/"
            self.at += len(op)
            old = self._text(stop="/}", depth=depth)
            return self._arguments(name, op, "/", depth, first=old)
        return _Part(name)

    def _arguments(
        self,
        name: str,
        op: str,
        separator: str,
        depth: int,
        first: tuple[str | _Part, ...] | None = None,
    ) -> _Part:
        args = [] if first is None else [first]
        while self.text.startswith(separator, self.at) and len(args) < 2:
            self.at += 1
            args.append(self._text(stop=separator + "}", depth=depth))
        return _Part(name, op, tuple(args))

    def _error(self, message: str) -> SubstitutionError:
        line = self.text.count("\n", 0, self.at) + 1
        column = self.at - self.text.rfind("\n", 0, self.at)
        where = Location(self.where.file, line, column) if self.where else None
        near = self.text[max(0, self.at - 20) : self.at + 10].strip()
        return SubstitutionError(
            f"{message} near {near!r}", where=where, hint="write $${...} to keep it as text"
        )


class _Run:
    """One substitution: the variables, and the names that were missed."""

    def __init__(
        self, variables: Mapping[str, str], *, strict: bool, where: Location | None
    ) -> None:
        self.variables = variables
        self.strict = strict
        self.where = where
        self.missing: set[str] = set()
        self._size = 0

    def expand(self, parts: tuple[str | _Part, ...]) -> str:
        out = [part if isinstance(part, str) else self._value(part) for part in parts]
        text = "".join(out)
        self._size += len(text)
        if self._size > MAX_OUTPUT:
            raise SubstitutionError(
                f"substituted text exceeds {MAX_OUTPUT} bytes", where=self.where
            )
        return text

    def _value(self, part: _Part) -> str:
        value = self.variables.get(part.name)
        if part.op == "default":
            return value or self.expand(part.args[0])
        if value is None:
            if self.strict:
                self.missing.add(part.name)
            return ""
        args = [self.expand(arg) for arg in part.args]
        return self._apply(part, value, args)

    def _apply(self, part: _Part, value: str, args: list[str]) -> str:
        match part.op:
            case "":
                return value
            case "len":
                return str(len(value.encode()))
            case "slice":
                return self._slice(part, value, args)
            case "^" | "^^" | "," | ",,":
                return _case(part.op, value)
            case "#" | "##" | "%" | "%%":
                return _cut(part.op, value, args[0])
            case _:
                return _replace(part.op, value, args[0], args[1] if len(args) > 1 else "")

    def _slice(self, part: _Part, value: str, args: list[str]) -> str:
        """Bytes, as the reference counts them; arguments that are no numbers change nothing."""
        data = value.encode()
        try:
            numbers = [_integer(arg) for arg in args]
        except ValueError:
            return value
        start = numbers[0]
        if start < 0:
            start = max(0, len(data) + start)
        if len(numbers) == 1:
            return data[start:].decode(errors="replace")
        if numbers[1] < 0:
            raise SubstitutionError(
                f"${{{part.name}:{args[0]}:{args[1]}}}: the length is negative", where=self.where
            )
        return data[start : start + numbers[1]].decode(errors="replace")


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ValueError(text)
    return int(text)


def _case(op: str, value: str) -> str:
    if op == "^^":
        return value.upper()
    if op == ",,":
        return value.lower()
    head = value[:1]
    return (head.upper() if op == "^" else head.lower()) + value[1:]


def _cut(op: str, value: str, pattern: str) -> str:
    """Cut the shortest or longest prefix or suffix that matches the glob `pattern`."""
    glob = re.compile(_glob(pattern), re.DOTALL)
    lengths: range = range(len(value) + 1)
    if len(op) == 2:
        lengths = range(len(value), -1, -1)
    for length in lengths:
        if op[0] == "#" and glob.fullmatch(value, 0, length):
            return value[length:]
        if op[0] == "%" and glob.fullmatch(value, len(value) - length):
            return value[: len(value) - length]
    return value


def _glob(pattern: str) -> str:
    out: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        closing = pattern.find("]", at + 1) if char == "[" else -1
        if char == "*":
            if not out or out[-1] != ".*":
                out.append(".*")
        elif char == "?":
            out.append(".")
        elif closing > at + 1:
            inner = pattern[at + 1 : closing].replace("\\", "\\\\").replace("[", "\\[")
            out.append(f"[{'^' + inner[1:] if inner[0] in '!^' and inner[1:] else inner}]")
            at = closing
        else:
            out.append(re.escape(char))
        at += 1
    return "".join(out)


def _replace(op: str, value: str, old: str, new: str) -> str:
    match op:
        case "/#":
            return new + value[len(old) :] if new and value.startswith(old) else value
        case "/%":
            return value[: len(value) - len(old)] + new if new and value.endswith(old) else value
        case "//":
            return value.replace(old, new) if old else value
        case _:
            return value.replace(old, new, 1) if old else value
