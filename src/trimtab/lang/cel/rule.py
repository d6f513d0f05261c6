"""A validation rule: compiled once, evaluated on `self` and, for transitions, `oldSelf`."""

from __future__ import annotations

from typing import Any, Final, Literal

from trimtab.lang.cel.engine import Program, compile_program
from trimtab.lang.cel.errors import CelError, EvaluationError
from trimtab.lang.cel.fields import check_fields, mentions
from trimtab.lang.cel.shape import ANY, Shape, to_cel
from trimtab.lang.cel.syntax import read_tree

__all__ = ["ABSENT", "Rule", "compile_rule"]

Result = Literal["bool", "string"]


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
_LONGEST: Final = 100_000
_OPTIONAL: Final = (
    "cel.bind(oldSelf, hasOldSelf__ ? optional.of(oldSelf) : optional.none(), (",
    "\n))",
)


class Rule:
    """`transition`: it reads `oldSelf`. Rules are immutable and hold no state of evaluations."""

    def __init__(
        self, text: str, program: Program, shape: Shape, *, transition: bool, result: Result
    ) -> None:
        self.text = text
        self.transition = transition
        self._program = program
        self._shape = shape
        self._result = result

    def evaluate(self, self_value: Any, old_value: Any = ABSENT) -> bool | str:
        """The result for JSON values. Raises `EvaluationError`."""
        had = old_value is not ABSENT
        found = self._program.run(
            {
                "self": to_cel(self_value, self._shape),
                "oldSelf": to_cel(old_value, self._shape) if had else None,
                "hasOldSelf__": had,
            }
        )
        if isinstance(found, bool if self._result == "bool" else str):
            return found
        raise EvaluationError(f"the result is no {self._result}", kind="result")


def compile_rule(
    text: str, *, shape: Shape = ANY, result: Result = "bool", optional_old: bool = False
) -> Rule:
    """Compile a rule for values of `shape`. `optional_old`: oldSelf is an optional value.

    Raises `CelError` for what is wrong and `CelUnsupported` for what this engine cannot run.
    """
    if not text.strip():
        raise CelError("the rule is empty")
    if len(text) > _LONGEST:
        raise CelError(f"the rule is longer than {_LONGEST} characters")
    program = compile_program(text)
    tree = read_tree(program.serialised)
    transition = mentions(tree, "oldSelf")
    if mentions(tree, "hasOldSelf__"):
        raise CelError("undeclared reference to 'hasOldSelf__'")
    if program.returns not in ("DYN", {"bool": "BOOL", "string": "STRING"}[result]):
        raise CelError(f"must evaluate to a {result}")
    check_fields(tree, text, {"self": shape, "oldSelf": ANY if optional_old else shape})
    if optional_old and transition:
        opening, closing = _OPTIONAL
        program = compile_program(f"{opening}{text}{closing}", prefix=len(opening))
    return Rule(text, program, shape, transition=transition, result=result)
