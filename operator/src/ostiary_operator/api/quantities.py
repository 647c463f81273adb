"""Sizes in bytes as Kubernetes writes them (`4Mi`, `1G`), and whole numbers of JSON."""

from typing import Any, Self

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from ostiary_operator.api.constraints import Rule, compiled, problem

SIZE_PATTERN = "^[0-9]{1,15}(k|M|G|T|Ki|Mi|Gi|Ti)?$"
FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


class Size(int):
    """A number of bytes. It prints as a multiple of the largest binary unit that divides it."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a size.

        Raises:
            ValueError: the text is not one.
        """
        if compiled(SIZE_PATTERN).search(text) is None:
            raise ValueError(f"{text[:40]!r} is not a size such as 512Ki, 4Mi or 1048576")
        digits = text.rstrip("kKMGTi")
        return cls(int(digits) * FACTORS[text[len(digits) :]])

    def __str__(self) -> str:
        unit = next((unit for unit in ("Ti", "Gi", "Mi", "Ki") if self and self % FACTORS[unit] == 0), "")
        return f"{int(self) // FACTORS[unit]}{unit}"

    @classmethod
    def _validate(cls, value: Any) -> "Size":
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return cls(value)
        if isinstance(value, str) and compiled(SIZE_PATTERN).search(value) is not None:
            return cls.parse(value)
        raise problem("is not a size", "write a number of bytes, or one with Ki, Mi or Gi, such as 4Mi")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validate, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "pattern": SIZE_PATTERN}, {"type": "integer", "minimum": 0}]}


def between_sizes(smallest: str, largest: str) -> Rule:
    """The bounds of a size, both included.

    Settings are not a custom resource, so it needs no CEL.
    """
    low, high = Size.parse(smallest), Size.parse(largest)
    return Rule(
        "true",
        lambda value: low <= value <= high,
        f"must be from {smallest} to {largest}",
        "choose a size within these bounds",
    )


def _from_float(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


INTEGRAL = BeforeValidator(_from_float)
"""Write it after a `StrictInt` and its bounds: it accepts `80.0`, as JSON Schema and the API server do."""
