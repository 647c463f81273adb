"""Conditions of rules in CEL, the Common Expression Language.

This is the only module that imports the CEL engine. An expression is compiled when a policy is loaded, must return a
bool, and is evaluated with the engine's own limits on work. Only the value True counts as true. An evaluation error is
a result of its own: callers must never allow because of it.
"""

import enum
import re
from collections.abc import Mapping
from typing import Any, Final

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings

from ostiary_core.errors import ExpressionError
from ostiary_core.policy.expression_cost import ExpressionCost, measure
from ostiary_core.policy.principal import Principal

#: Characters of one expression.
MAX_CHARACTERS: Final = 4_096


class ExpressionResult(enum.Enum):
    """The result of evaluating an expression, or of several conditions together."""

    TRUE = "true"
    FALSE = "false"
    ERROR = "error"


_T: Final = cel.Type
#: The variables that depend on the caller alone.
PRINCIPAL_VARIABLES: Final[Mapping[str, Any]] = {
    "authenticated": _T.BOOL,
    "claims": _T.Map(_T.STRING, _T.DYN),
    "consumer": _T.STRING,
    "groups": _T.List(_T.STRING),
    "scopes": _T.List(_T.STRING),
}
#: The variables that depend on the message.
MESSAGE_VARIABLES: Final[Mapping[str, Any]] = {
    "args": _T.Map(_T.STRING, _T.DYN),
    "headers": _T.Map(_T.STRING, _T.STRING),
    "request": _T.Map(_T.STRING, _T.STRING),
}


def _environment(variables: Mapping[str, Any]) -> Any:
    return cel.NewEnv(variables=variables, extensions=[ext_strings.ExtStrings(), ext_optional.ExtOptional()])


_OF_PRINCIPAL: Final = _environment(PRINCIPAL_VARIABLES)
_OF_MESSAGE: Final = _environment({**PRINCIPAL_VARIABLES, **MESSAGE_VARIABLES})

_ERROR: Final = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): ([^\n]*)")
_STATUS: Final = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
_EXPECTING: Final = re.compile(r" expecting \{.*\}$")


#: Levels of nesting in arguments and claims: the engine recurses, and deeper values could end the process.
_DEPTH: Final = 64


class ExpressionContext:
    """The values of the variables of expressions, about one principal or message.

    ``size`` is the number of characters and values, None where they are nested too deeply. ``members`` are the names of
    members in the arguments, by their form without case.
    """

    __slots__ = ("activation", "members", "size")

    def __init__(self, environment: Any, values: Mapping[str, Any]) -> None:
        self.activation = environment.Activation(values)
        self.members: dict[str, set[str]] = {}
        self.size = self._measured([values[name] for name in values if name != "args"], keeps=False)
        arguments = self._measured([values.get("args")], keeps=True)
        self.size = self.size + arguments if self.size is not None and arguments is not None else None

    def _measured(self, level: list[Any], *, keeps: bool) -> int | None:
        size = 0
        for _ in range(_DEPTH):
            below: list[Any] = []
            for value in level:
                if isinstance(value, dict):
                    size += sum(map(len, value))
                    below += value.values()
                    for name in value if keeps else ():
                        self.members.setdefault(name.casefold(), set()).add(name)
                elif isinstance(value, list):
                    below += value
                size += 1 + (len(value) if isinstance(value, str) else 0)
            if not below:
                return size
            level = below
        return None

    def suits(self, cost: ExpressionCost) -> bool:
        """Return whether an expression can be judged on these values.

        A member that differs only in case from one that the expression reads may be that member to a server.
        """
        if self.size is None or self.size > cost.largest_input:
            return False
        found = (self.members.get(name.casefold(), ()) for name in cost.members) if self.members else ()
        return all(name in cost.members for names in found for name in names)

    @classmethod
    def of_principal(cls, principal: Principal) -> "ExpressionContext":
        """Return the context of expressions that read only the principal."""
        return cls(_OF_PRINCIPAL, _principal_values(principal))

    @classmethod
    def of_message(
        cls,
        principal: Principal,
        *,
        args: Mapping[str, Any],
        headers: Mapping[str, str],
        request: Mapping[str, str],
    ) -> "ExpressionContext":
        """Return the context of expressions that read a message."""
        values = {"args": dict(args), "headers": dict(headers), "request": dict(request)}
        return cls(_OF_MESSAGE, _principal_values(principal) | values)


def _principal_values(principal: Principal) -> dict[str, Any]:
    return {
        "authenticated": principal.authenticated,
        "claims": dict(principal.claims),
        "consumer": principal.consumer,
        "groups": sorted(principal.groups),
        "scopes": sorted(principal.scopes),
    }


class Expression:
    """A compiled expression.

    ``needs_message`` says that it reads more than the principal, so that it must be evaluated for each message.
    """

    __slots__ = ("_cost", "_program", "needs_message", "source")

    def __init__(self, source: str, program: Any, *, needs_message: bool) -> None:
        self.source = source
        self.needs_message = needs_message
        self._program = program
        self._cost = measure(program.serialize())

    @classmethod
    def compile(cls, source: str, *, principal_only: bool = False) -> "Expression":
        """Compile an expression. ``principal_only`` refuses one that reads the message.

        Raises:
            ExpressionError: it is too long, is not valid, or does not return a bool.
        """
        if len(source) > MAX_CHARACTERS:
            raise ExpressionError(f"is longer than {MAX_CHARACTERS} characters")
        try:
            return cls(source, _program(_OF_PRINCIPAL, source), needs_message=False)
        except ExpressionError:
            if principal_only:
                raise
        return cls(source, _program(_OF_MESSAGE, source), needs_message=True)

    def evaluate(self, context: ExpressionContext) -> ExpressionResult:
        """Evaluate it. An error, an exceeded limit of work and a value that is no bool are ERROR."""
        if not context.suits(self._cost):
            return ExpressionResult.ERROR
        try:
            value = self._program.eval(context.activation).value()
        except RuntimeError:
            return ExpressionResult.ERROR
        if value is True:
            return ExpressionResult.TRUE
        return ExpressionResult.FALSE if value is False else ExpressionResult.ERROR

    @property
    def weight(self) -> int:
        """The cost of compiling and evaluating it, in instructions of patterns: what budgets count."""
        return 32 + len(self.source) // 4

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)


def _program(environment: Any, source: str) -> Any:
    try:
        program = environment.compile(source)
    except RuntimeError as error:
        raise _compile_error(str(error)) from None
    if program.return_type() != _T.BOOL:
        raise ExpressionError(f"returns {program.return_type().name().lower()}, and must return bool")
    return program


def _compile_error(text: str) -> ExpressionError:
    """Return the first error of the engine, without what only its developers understand."""
    found = _ERROR.search(text)
    if found is None:
        return ExpressionError(_STATUS.sub("", _STATUS.sub("", text.split("\n", 1)[0])))
    line, column = max(int(found[1]), 1), max(int(found[2]), 1)
    message = _EXPECTING.sub("", _STATUS.sub("", found[3])).replace(" (in container '')", "")
    return ExpressionError(message, line=line, column=column)
