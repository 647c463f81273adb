"""Strict JSON for everything that comes over the wire, and the one serializer for everything that goes out.

Parsers that differ are a way past a policy: where the gateway reads one name and the upstream another, the wrong one
is judged. So duplicate keys (also behind escapes), bad UTF-8, lone surrogates, NaN, trailing bytes and nesting beyond
200 are refused, and so are numbers that another parser might round: integers beyond 64 bits and floats that overflow.
"""

import math
from typing import Any

import jiter
import orjson

from ostiary_core.errors import StrictJSONError

# A number can only leave the safe range through a long run of digits or an exponent of three digits: a run of seventeen
# and an exponent of two are far from 1e308. Looking for those in a text whose digits (and plus signs, which may begin
# an exponent) have all become 0 is fifteen times faster than a regular expression; no such number is missed, and a hit
# on something else, within a string, costs the walk and nothing more.
_DIGITS_AS_ZERO = bytes.maketrans(b"123456789+E", b"0000000000e")
_LONG_EXPONENT = b"0e000"
_LONG_RUN = b"0" * 18

_INT64_MIN = -(2**63)
_UINT64_MAX = 2**64 - 1


def loads(text: bytes) -> Any:
    """Parse one JSON value.

    Raises:
        StrictJSONError: the text is not strict JSON; the message says why and where.
    """
    try:
        value = jiter.from_json(text, catch_duplicate_keys=True, allow_inf_nan=False)
    except ValueError as error:
        raise StrictJSONError(str(error)) from None
    if _may_hold_wild_numbers(text):
        _refuse_wild_numbers(value)
    return value


def dumps(value: Any) -> bytes:
    """Serialise a value that :func:`loads` returned, in the order of its keys.

    Raises:
        StrictJSONError: the value holds something that JSON cannot (a bug, or a number beyond 64 bits).
    """
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise StrictJSONError(str(error)) from None


def _may_hold_wild_numbers(text: bytes) -> bool:
    flat = text.translate(_DIGITS_AS_ZERO)
    return _LONG_RUN in flat or _LONG_EXPONENT in flat


def _refuse_wild_numbers(value: Any) -> None:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
        elif isinstance(item, float):
            if not math.isfinite(item):
                raise StrictJSONError("a number is too large to be finite")
        elif isinstance(item, int) and not _INT64_MIN <= item <= _UINT64_MAX:
            raise StrictJSONError("an integer is beyond 64 bits")
