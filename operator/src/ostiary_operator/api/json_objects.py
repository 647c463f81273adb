"""JSON of any shape and limited size in resources."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field, StrictStr

from ostiary_operator.api.constraints import Constraint, problem

_MAX_DEPTH: Final = 16
_MAX_VALUES: Final = 256
_MAX_CHARACTERS: Final = 8_192


@dataclass(frozen=True)
class _FreeForm(Constraint):
    """JSON of any shape. The API server cannot limit it, so only the models do."""

    def check(self, value: Any) -> Any:
        """Return the value, unless it is too large."""
        characters = 0
        for number, (depth, each) in enumerate(values_within(value)):
            characters += len(each) if isinstance(each, str) else 1
            if depth > _MAX_DEPTH:
                raise problem("is nested too deeply", f"use at most {_MAX_DEPTH} levels")
            if number > _MAX_VALUES or characters > _MAX_CHARACTERS:
                raise problem("is too large", f"use at most {_MAX_VALUES} values and {_MAX_CHARACTERS} characters")
        return value

    def extend(self, schema: dict[str, Any]) -> None:
        """Make the API server keep every member."""
        schema["x-kubernetes-preserve-unknown-fields"] = True


def values_within(value: Any) -> Iterator[tuple[int, Any]]:
    """Yield every value and key, each with its depth.

    There is no recursion, since the depth is not known to be small.
    """
    stack: list[tuple[int, Any]] = [(0, value)]
    while stack:
        depth, each = stack.pop()
        yield depth, each
        if isinstance(each, dict):
            stack += [(depth + 1, part) for item in each.items() for part in item]
        elif isinstance(each, list):
            stack += [(depth + 1, item) for item in each]


JsonObject = Annotated[dict[StrictStr, Any], Field(max_length=64), _FreeForm()]
"""A JSON object of any shape and limited size."""
