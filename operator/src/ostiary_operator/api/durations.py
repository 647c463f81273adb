"""Durations as Gateway API writes them (GEP-2257): `10s`, `1h30m`, `500ms`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from ostiary_operator.api.constraints import Rule, compiled, problem

DURATION_PATTERN = "^([0-9]{1,5}(h|m|s|ms)){1,4}$"
"""Word for word the pattern of GEP-2257."""

MILLISECONDS = {"h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}

_TERM = compiled("([0-9]+)(h|ms|m|s)")


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time in whole milliseconds, printed in the canonical form.

    `90s` and `1m30s` are equal.
    """

    milliseconds: int

    @property
    def seconds(self) -> float:
        """The length in seconds, as asyncio takes it."""
        return self.milliseconds / 1000

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a GEP-2257 duration.

        Raises:
            ValueError: the text is not one.
        """
        if compiled(DURATION_PATTERN).search(text) is None:
            raise ValueError(f"{text[:40]!r} is not a duration such as 10s, 1h30m or 500ms")
        return cls(sum(int(term[1]) * MILLISECONDS[term[2]] for term in _TERM.finditer(text)))

    def __str__(self) -> str:
        return "".join(self._terms()) or "0s"

    def _terms(self) -> Iterator[str]:
        rest = self.milliseconds
        for unit, size in MILLISECONDS.items():
            count, rest = divmod(rest, size)
            # GEP-2257 allows five digits a term. 99,999 hours are eleven years: a longer one takes a second term.
            while count > 99_999:
                yield f"99999{unit}"
                count -= 99_999
            if count:
                yield f"{count}{unit}"

    @classmethod
    def _validate(cls, value: Any) -> "Duration":
        if isinstance(value, cls):
            return value
        if not isinstance(value, str) or compiled(DURATION_PATTERN).search(value) is None:
            raise problem("is not a duration", "write whole numbers with h, m, s or ms, such as 10s or 1h30m")
        return cls.parse(value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validate, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "maxLength": 32, "pattern": DURATION_PATTERN}


def between(shortest: str, longest: str) -> Rule:
    """The bounds of a duration, both included."""
    low, high = Duration.parse(shortest), Duration.parse(longest)
    return Rule(
        f"duration(self) >= duration('{shortest}') && duration(self) <= duration('{longest}')",
        lambda value: low <= value <= high,
        f"must be from {shortest} to {longest}",
        "choose a duration within these bounds",
    )


#: Whole days, from 1 to 31; GEP-2257 has no unit for them.
_DAYS = "^([1-9]|[12][0-9]|3[01])d$"
_IN_BOUNDS = "duration(self) >= duration('1s') && duration(self) <= duration('744h')"


class LimitWindow(Duration):
    """A duration from 1s to 31d, for which days may be written as well: `7d`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a number of days, or a GEP-2257 duration.

        Raises:
            ValueError: the text is neither.
        """
        if compiled(_DAYS).search(text) is not None:
            return cls(int(text.removesuffix("d")) * 24 * MILLISECONDS["h"])
        found = Duration.parse(text)
        return cls(found.milliseconds)

    def __str__(self) -> str:
        return Duration.__str__(self)

    @classmethod
    def _validate(cls, value: Any) -> "LimitWindow":
        if isinstance(value, cls):
            return value
        is_text = isinstance(value, str) and any(compiled(each).search(value) for each in (_DAYS, DURATION_PATTERN))
        if not is_text:
            raise problem("is not a window", "write whole numbers with d, h, m, s or ms, such as 24h or 7d")
        found = cls.parse(value)
        if not 1_000 <= found.milliseconds <= 31 * 24 * MILLISECONDS["h"]:
            raise problem("must be from 1s to 31d", "choose a window within these bounds")
        return found

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {
            "type": "string",
            "maxLength": 32,
            "pattern": f"{_DAYS}|{DURATION_PATTERN}",
            "x-kubernetes-validations": [
                {
                    "rule": f"self.endsWith('d') || ({_IN_BOUNDS})",
                    "message": "must be from 1s to 31d; choose a window within these bounds",
                }
            ],
        }
