"""Conditions of rules in CEL, the Common Expression Language.

An expression is compiled when a policy is loaded, must return a bool, and is evaluated with the engine's own limits on
work. Only the value True counts as true. An evaluation error is a result of its own: callers must never allow because
of it.
"""

import enum
import functools
import re
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, Final, NamedTuple

from ostiary_core.errors import ExpressionError
from ostiary_core.policy.expression_cost import LARGEST_INPUT, STEPS, ExpressionCost, measure
from ostiary_core.policy.principal import Principal

#: Characters of one expression.
MAX_CHARACTERS: Final = 4_096


class ExpressionResult(enum.Enum):
    """The result of evaluating an expression, or of several conditions together."""

    TRUE = "true"
    FALSE = "false"
    ERROR = "error"


#: The variables that depend on the caller alone, with their types in CEL.
PRINCIPAL_VARIABLES: Final[Mapping[str, str]] = {
    "authenticated": "bool",
    "claims": "map(string, dyn)",
    "consumer": "string",
    "groups": "list(string)",
    "scopes": "list(string)",
}
#: The variables that depend on the message.
MESSAGE_VARIABLES: Final[Mapping[str, str]] = {
    "args": "map(string, dyn)",
    "headers": "map(string, string)",
    "request": "map(string, string)",
}
#: The variable that depends on the response to the message.
RESULT_VARIABLES: Final[Mapping[str, str]] = {"result": "map(string, dyn)"}


@functools.cache
def engine() -> ModuleType:
    """Return the module of the CEL engine."""
    from ostiary_core.policy import cel_engine  # noqa: PLC0415  see its docstring

    return cel_engine


_ERROR: Final = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): ([^\n]*)")
_STATUS: Final = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
_EXPECTING: Final = re.compile(r" expecting \{.*\}$")


#: Levels of nesting in arguments and claims: the engine recurses, and deeper values could end the process.
_DEPTH: Final = 64


class _Extent(NamedTuple):
    """The size of the values of variables."""

    values: int = 0
    characters: int = 0


class _Budget:
    """The steps that are left for all evaluations about one principal or message."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = STEPS


class ExpressionContext:
    """The values of the variables of expressions, about one principal or message.

    All evaluations on one context share a budget of steps, and so do contexts that are made from it. The engine gets
    the values when they are first needed: values that are too large or nested too deeply are never given to it.
    """

    __slots__ = ("_activation", "_budget", "_environment", "_extents", "_members", "_values")

    def __init__(self, environment: Any, values: Mapping[str, Any], budget: _Budget | None = None) -> None:
        self._environment = environment
        self._values = values
        self._activation: Any = None
        self._budget = budget or _Budget()
        #: Names of members in the arguments, by their form without case.
        self._members: dict[str, set[str]] = {}
        self._extents = self._measured()

    @property
    def activation(self) -> Any:
        """The values as the engine reads them."""
        if self._activation is None:
            self._activation = self._environment.Activation(self._values)
        return self._activation

    def _measured(self) -> dict[str, _Extent] | None:
        """Return the size of each variable.

        None where all are too large together, or one is nested too deeply.
        """
        extents, total = {}, 0
        for name, value in self._values.items():
            # This is part of every call that a condition judges, and half of the variables are texts.
            is_text = isinstance(value, str)
            extent = _Extent(1, len(value)) if is_text else self._extent(value, keeps_members=name == "args")
            if extent is None:
                return None
            extents[name] = extent
            total += extent.values + extent.characters
        return extents if total <= LARGEST_INPUT else None

    def _extent(self, value: Any, *, keeps_members: bool) -> _Extent | None:
        values = characters = 0
        level = [value]
        for _ in range(_DEPTH):
            below: list[Any] = []
            for each in level:
                if isinstance(each, str):
                    characters += len(each)
                elif isinstance(each, list):
                    below += each
                elif isinstance(each, dict):
                    characters += sum(map(len, each))
                    below += each.values()
                    if keeps_members and characters <= LARGEST_INPUT:
                        self._keep_members(each)
            values += len(level)
            if values + characters + len(below) > LARGEST_INPUT:
                return None
            if not below:
                return _Extent(values, characters)
            level = below
        return None

    def _keep_members(self, names: Iterable[str]) -> None:
        for name in names:
            self._members.setdefault(name.casefold(), set()).add(name)

    def admits(self, cost: ExpressionCost) -> bool:
        """Return whether an expression can be judged, and take its steps from the budget.

        A member that differs only in case from one that the expression reads may be that member to a server.
        """
        if self._extents is None:
            return False
        extents = [self._extents[name] for name in cost.variables]
        steps = cost.steps(values=sum(each[0] for each in extents), characters=sum(each[1] for each in extents))
        if steps > self._budget.left:
            return False
        self._budget.left -= steps
        found = (self._members.get(name.casefold(), ()) for name in cost.members) if self._members else ()
        return all(name in cost.members for names in found for name in names)

    @classmethod
    def of_principal(cls, principal: Principal) -> "ExpressionContext":
        """Return the context of expressions that read only the principal."""
        return cls(engine().OF_PRINCIPAL, _principal_values(principal))

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
        return cls(engine().OF_MESSAGE, _principal_values(principal) | values)

    def with_result(self, result: Mapping[str, Any]) -> "ExpressionContext":
        """Return the context of expressions that read the result of this message."""
        return type(self)(engine().OF_RESULT, {**self._values, "result": dict(result)}, self._budget)

    def with_args(self, args: Mapping[str, Any]) -> "ExpressionContext":
        """Return the context of this message with other arguments."""
        return type(self)(self._environment, {**self._values, "args": dict(args)}, self._budget)

    @property
    def is_readable(self) -> bool:
        """Whether the values are small enough to be read at all."""
        return self._extents is not None


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
        try:
            return cls(source, _program(engine().OF_PRINCIPAL, source), needs_message=False)
        except ExpressionError:
            if principal_only:
                raise
        return cls(source, _program(engine().OF_MESSAGE, source), needs_message=True)

    def evaluate(self, context: ExpressionContext) -> ExpressionResult:
        """Evaluate it. An error, an exceeded limit of work and a value that is no bool are ERROR."""
        if not context.admits(self._cost):
            return ExpressionResult.ERROR
        try:
            value = self._program.eval(context.activation).value()
        except RuntimeError:
            return ExpressionResult.ERROR
        if value is True:
            return ExpressionResult.TRUE
        return ExpressionResult.FALSE if value is False else ExpressionResult.ERROR

    def reads(self, variable: str) -> bool:
        """Return whether it reads a variable."""
        return variable in self._cost.variables

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


def compile_program(environment: Any, source: str) -> Any:
    """Return the program of an expression in an environment of the engine.

    Raises:
        ExpressionError: it is too long, or is not valid there.
    """
    if len(source) > MAX_CHARACTERS:
        raise ExpressionError(f"is longer than {MAX_CHARACTERS} characters")
    try:
        return environment.compile(source)
    except RuntimeError as error:
        raise _compile_error(str(error)) from None


def _program(environment: Any, source: str) -> Any:
    program = compile_program(environment, source)
    if program.return_type() != engine().BOOL:
        found = program.return_type().name().lower()
        remedy = ": compare it, as in args.urgent == true" if found == "dyn" else ""
        raise ExpressionError(f"returns {found}, and must return bool{remedy}")
    return program


def _compile_error(text: str) -> ExpressionError:
    """Return the first error of the engine, without what only its developers understand."""
    found = _ERROR.search(text)
    if found is None:
        return ExpressionError(_STATUS.sub("", _STATUS.sub("", text.split("\n", 1)[0])))
    line, column = max(int(found[1]), 1), max(int(found[2]), 1)
    message = _EXPECTING.sub("", _STATUS.sub("", found[3])).replace(" (in container '')", "")
    return ExpressionError(message, line=line, column=column)
