"""Constraints of rules on the arguments of a call, as JSON Schema's keywords define them.

Values are never converted: the number 10 is not the text "10", and true is not 1. A constraint is three-valued, like an
expression: a value of a type that it cannot judge is an error, so a Deny rule cannot be evaded with another type.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ostiary_core.contract.access import ArgumentConfig
from ostiary_core.errors import PatternError
from ostiary_core.policy.cost_limits import STEPS, length_of
from ostiary_core.policy.expressions import ExpressionResult
from ostiary_core.policy.name_matcher import compile_expression

_ABSENT: Final = object()
_LOOK_ALIKE: Final = object()
_TOO_MANY: Final = object()
_SPELLED: Final = "must be given in exactly this spelling, without another that differs only in upper and lower case,"
#: Values and characters of a constraint that a message repeats.
_SHOWN_VALUES: Final = 16
_SHOWN_CHARACTERS: Final = 256
#: The most members of an object on the path to an argument. Comparing more names would delay other requests.
_MEMBERS: Final = 4_096
#: The limit for the matches of all patterns with one message, as a multiple of the most costly one allowed.
_MATCHES: Final = 8


class ConstrainedArguments:
    """The arguments of one message, as constraints read them.

    A policy may have a thousand constraints. So the names of each object are compared once for all of them, and all
    matches of patterns share a budget of steps.
    """

    __slots__ = ("_folded", "_root", "_steps")

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._root = arguments
        self._folded: dict[int, dict[str, str | None]] = {}
        self._steps = _MATCHES * STEPS

    def at(self, path: tuple[str, ...]) -> Any:
        """Return the value at a path.

        A member that differs from it only in case may be that member to a server.
        """
        found: Any = self._root
        for member in path:
            if not isinstance(found, dict):
                return _ABSENT
            if len(found) > _MEMBERS:
                return _TOO_MANY
            name = self._names(found).get(member.casefold(), _ABSENT)
            if name is _ABSENT:
                return _ABSENT
            if name != member:
                return _LOOK_ALIKE
            found = found[member]
        return found

    def _names(self, found: dict[str, Any]) -> dict[str, str | None]:
        """Return the names of an object by their form without case.

        None for several with the same form.
        """
        names = self._folded.get(id(found))
        if names is None:
            names = self._folded[id(found)] = {}
            for name in found:
                folded = name.casefold()
                names[folded] = None if folded in names else name
        return names

    def can_match(self, expression: Any, text: str) -> bool:
        """Return whether a text can be matched, and take the steps from the budget."""
        steps = length_of(text) * expression.programsize
        if steps > STEPS or steps > self._steps:
            return False
        self._steps -= steps
        return True


@dataclass(frozen=True, slots=True)
class ArgumentConstraint:
    """A constraint on the argument that ``path`` leads to. An absent argument fails it."""

    path: tuple[str, ...]
    values: tuple[Any, ...] | None = None
    pattern: str | None = None
    minimum: int | float | None = None
    maximum: int | float | None = None
    max_length: int | None = None
    expression: Any = None

    @classmethod
    def build(cls, config: ArgumentConfig) -> "ArgumentConstraint":
        """Compile a constraint of the contract.

        Raises:
            PatternError: its pattern is invalid, or it constrains nothing.
        """
        values = (config.const,) if config.const is not None else tuple(config.enum) if config.enum else None
        if config.const is not None and config.enum is not None:
            values = tuple(value for value in config.enum if same(value, config.const))
        made = cls(
            path=tuple(config.path),
            values=values,
            pattern=config.pattern,
            minimum=config.minimum,
            maximum=config.maximum,
            max_length=config.max_length,
            expression=compile_expression(config.pattern) if config.pattern is not None else None,
        )
        if not made.path or made.schema() == {}:
            raise PatternError(f"the constraint on argument {made.title or '(without a path)'} constrains nothing")
        return made

    @property
    def title(self) -> str:
        """The path as messages write it."""
        return ".".join(self.path)

    @property
    def permits_nothing(self) -> bool:
        """Whether no value meets it: its keywords contradict each other."""
        is_number = self.minimum is not None or self.maximum is not None
        is_text = self.pattern is not None or self.max_length is not None
        if is_number and is_text:
            return True
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            return True
        kind = "number" if is_number else "string" if is_text else None
        fitting = [value for value in self.values or () if kind in (None, _kind(value))]
        return self.values is not None and not any(self._permits(value) for value in fitting)

    @property
    def weight(self) -> int:
        """The cost of judging, in instructions: what budgets count."""
        size = self.expression.programsize if self.expression is not None else 0
        return 8 + size + len(self.values or ())

    def evaluate(self, arguments: ConstrainedArguments) -> ExpressionResult:
        """Judge a call's arguments.

        A value of a type that cannot be judged is ERROR, an absent one FALSE.
        """
        value = arguments.at(self.path)
        if value is _ABSENT:
            return ExpressionResult.FALSE
        if value is _LOOK_ALIKE or value is _TOO_MANY or not self._can_judge(value, arguments):
            return ExpressionResult.ERROR
        return ExpressionResult.TRUE if self._permits(value) else ExpressionResult.FALSE

    def _can_judge(self, value: Any, arguments: ConstrainedArguments) -> bool:
        if self.values is not None and _kind(value) not in {_kind(each) for each in self.values}:
            return False
        if (self.minimum is not None or self.maximum is not None) and _kind(value) != "number":
            return False
        if (self.pattern is not None or self.max_length is not None) and not isinstance(value, str):
            return False
        return self.expression is None or arguments.can_match(self.expression, value)

    def _permits(self, value: Any) -> bool:
        if self.values is not None and not any(same(value, each) for each in self.values):
            return False
        if self.minimum is not None and value < self.minimum:
            return False
        if self.maximum is not None and value > self.maximum:
            return False
        if self.max_length is not None and len(value) > self.max_length:
            return False
        return self.expression is None or _found(self.expression, value)

    def schema(self) -> dict[str, Any]:
        """Return the constraint as keywords of JSON Schema."""
        keywords = {
            "enum": list(self.values) if self.values is not None else None,
            "pattern": self.pattern,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "maxLength": self.max_length,
        }
        return {key: value for key, value in keywords.items() if value is not None}

    def requirement(self, arguments: ConstrainedArguments | None = None) -> str:
        """Return what the argument must be, as a sentence that a model can act on.

        ``arguments`` are those that do not meet it, where they are known.
        """
        spelled = arguments is not None and arguments.at(self.path) is _LOOK_ALIKE
        given = _SPELLED if spelled else "must be given"
        return f"argument {self.title!r} {given} and {' and '.join(self._requirements())}"

    def _requirements(self) -> Iterable[str]:
        if self.values is not None:
            yield f"be {_listed(self.values)}"
        if self.minimum is not None:
            yield f"be a number of at least {self.minimum}"
        if self.maximum is not None:
            yield f"be a number of at most {self.maximum}"
        if self.max_length is not None:
            yield f"be text of at most {self.max_length} characters"
        if self.pattern is not None:
            yield f"be text that matches the regular expression {self.pattern}"


def _listed(values: tuple[Any, ...]) -> str:
    shown = [json.dumps(value, ensure_ascii=False)[:_SHOWN_CHARACTERS] for value in values[:_SHOWN_VALUES]]
    more = [f"{len(values) - len(shown)} more values"] if len(values) > len(shown) else []
    return f"one of {', '.join(shown + more)}" if len(values) > 1 else shown[0]


def _found(expression: Any, text: str) -> bool:
    try:
        return expression.search(text) is not None
    except UnicodeEncodeError:  # half a surrogate pair
        return False


def _kind(value: Any) -> str:
    """Return the JSON type of a value; integers are numbers."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    if value is None:
        return "null"
    return "object" if isinstance(value, dict) else "array"


def same(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal: numbers by value, true is not 1."""
    if _kind(one) != _kind(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
