"""Whole numbers, as JSON has them."""

from typing import Any

from pydantic import BeforeValidator


def _from_float(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


INTEGRAL = BeforeValidator(_from_float)
"""Write it after a `StrictInt` and its bounds: it accepts `80.0`, as JSON Schema and the API server do."""
