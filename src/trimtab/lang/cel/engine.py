"""The CEL engine behind one narrow door: compile a text, run it on values.

Nothing here loads `cel_expr_python` before the first rule is compiled. Source: ADR 13.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, Final

from trimtab.lang.cel.errors import CelError, CelUnsupported, EvaluationError
from trimtab.lang.cel.fields import MAKES_MAPS
from trimtab.lang.cel.library import TEXTS_AND_LISTS, Function
from trimtab.lang.cel.library_kubernetes import KUBERNETES

__all__ = ["Program", "compile_program"]

_EXTENSIONS: Final = ("bindings", "encoders", "lists", "math", "sets", "two-var-comprehensions")
_KINDS: Final = (
    "bool", "int", "uint", "double", "string", "bytes", "list", "map", "null", "timestamp",
    "duration",
)  # fmt: skip
_VARIABLES: Final = ("self", "oldSelf", "hasOldSelf__")
_PROBLEM: Final = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
# What a real server takes and this engine does not: the rule is not wrong, it cannot be run.
_GAPS: Final = (
    (r"Exceeded max recursion depth", "the engine does not parse expressions nested as deeply"),
    (r"cel\.@mapInsert", MAKES_MAPS),
    (r"undeclared reference to 'format'", "the engine has no library of named formats"),
    (r"undeclared reference to '(?:reverse|first|last)'", "the engine lacks the function"),
    (
        r"overload for '_[<>]=?_' applied to '\((?:u?int|double), (?:u?int|double)\)'",
        "the engine does not compare numbers of different types",
    ),
    (r"overload for 'string' applied to '\(map\(string, string\)\)'", "no text of such a value"),
)
_NO_KEY: Final = re.compile(r'Key not found in map : "(.*)"')


class Program:
    """A compiled expression: `returns` is BOOL, STRING, DYN ...; `serialised` its checked tree."""

    def __init__(self, expression: Any) -> None:
        self._expression = expression
        self.returns = str(expression.return_type().name())
        self.serialised = bytes(expression.serialize())

    def run(self, data: Mapping[str, Any]) -> Any:
        """The plain result. Raises `EvaluationError`."""
        try:
            value = self._expression.eval(data=data)
            if value.type().name() != "ERROR":
                return value.plain_value()
            raise _failure(str(value.plain_value()))
        except (RuntimeError, TypeError) as error:
            raise _failure(str(error)) from error


def compile_program(text: str, *, prefix: int = 0) -> Program:
    """Compile. `prefix` is how many code points of the first line the caller put in front.

    Raises `CelError` with the place, or `CelUnsupported`.
    """
    try:
        return Program(_environment().compile(text))
    except RuntimeError as error:
        raise _refusal(str(error), prefix) from error


def _refusal(report: str, prefix: int) -> CelError:
    for pattern, reason in _GAPS:
        if re.search(pattern, report):
            return CelUnsupported(reason)
    found = _PROBLEM.findall(report)
    if not found:
        return CelError(report.splitlines()[0] if report else "compilation failed")
    line, column = int(found[0][0]), int(found[0][1])
    message = "; ".join(each[2].strip() for each in found)
    return CelError(message, line=line, column=column - prefix if line == 1 else column)


def _failure(report: str) -> EvaluationError:
    status, _, detail = report.partition(": ")
    text = detail if status.isupper() and detail else report
    if "Iteration budget exceeded" in text:
        return EvaluationError("the rule goes through too many elements", kind="budget")
    if key := _NO_KEY.search(text):
        return EvaluationError(f"no such key: {key[1]}", kind="key")
    if "No matching overloads" in text or "no such overload" in text:
        return EvaluationError(text, kind="overload")
    return EvaluationError(text)


@functools.cache
def _environment() -> Any:
    from cel_expr_python import cel  # large, and only compiling a rule needs it

    names = "".join(f'  - name: "{name}"\n' for name in _EXTENSIONS)
    # Later versions of `optional` bring list functions that Kubernetes does not have.
    text = f'name: "rules"\nextensions:\n{names}  - name: "optional"\n    version: 1\n'
    types = {kind: getattr(cel.Type, kind.upper()) for kind in _KINDS}
    types["any"] = cel.Type.DYN
    types["strings"] = cel.Type.List(cel.Type.STRING)
    types["object"] = cel.Type.Map(cel.Type.STRING, cel.Type.STRING)
    overloads: dict[str, list[Any]] = {}
    for function in (*TEXTS_AND_LISTS, *KUBERNETES):
        for parameters in _expanded(function):
            ident = f"trimtab_{function.name}_{'_'.join(parameters)}_{function.method}"
            overloads.setdefault(function.name, []).append(
                cel.Overload(
                    ident.lower().replace(".", "_"),
                    types[function.result],
                    [types[each] for each in parameters],
                    function.method,
                    function.call,
                )
            )
    return cel.NewEnv(
        config=cel.NewEnvConfigFromYaml(text),
        variables=dict.fromkeys(_VARIABLES, cel.Type.DYN),
        functions=[cel.FunctionDecl(name, each) for name, each in overloads.items()],
    )


def _expanded(function: Function) -> list[tuple[str, ...]]:
    """One overload for each kind of value, where a parameter takes any."""
    *before, last = function.parameters
    return [(*before, kind) for kind in _KINDS] if last == "any" else [function.parameters]
