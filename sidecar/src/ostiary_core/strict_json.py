"""Strict JSON for everything that comes over the wire, and the one serializer for everything that goes out.

Parsers that differ are a way past a policy: where the gateway reads one name and the upstream another, the wrong one
is judged. So duplicate keys (also behind escapes), bad UTF-8, lone surrogates, NaN, trailing bytes and nesting beyond
200 are refused, and so are numbers that another parser might round: integers beyond 64 bits and floats that overflow.

JavaScript writes a float below 1e21 without an exponent: its 1e20 is 100000000000000000000. An integer beyond 64 bits
that is spelt as JavaScript spells a float is that float, to every parser, and goes out as one.
"""

import math
from decimal import Decimal
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
#: From here on JavaScript writes an exponent (ECMA-262, Number::toString).
_JAVASCRIPT_INTEGERS = 10**21
_SHOWN = 128

#: Where a value stands: that of its container, and its key or place in that.
Trail = tuple[Any, str | int]


def loads(text: bytes) -> Any:
    """Parse one JSON value.

    Raises:
        StrictJSONError: the text is not strict JSON; the message says why and where.
    """
    try:
        value = jiter.from_json(text, catch_duplicate_keys=True, allow_inf_nan=False)
    except ValueError as error:
        raise StrictJSONError(str(error)) from None
    return _without_wild_numbers(value) if _may_hold_wild_numbers(text) else value


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


def _without_wild_numbers(value: Any) -> Any:
    """Return the value with floats in place of JavaScript's long integers.

    Raises:
        StrictJSONError: it holds a number that is out of range; the message says where.
    """
    whole = [value]
    stack: list[tuple[Any, Trail | None]] = [(whole, None)]
    while stack:
        container, trail = stack.pop()
        for key, item in container.items() if type(container) is dict else enumerate(container):
            kind = type(item)
            if kind is str:
                continue
            if kind is dict or kind is list:
                stack.append((item, (trail, key)))
            elif kind is float:
                if not math.isfinite(item):
                    raise StrictJSONError(f"{_named((trail, key))} is a number too large to be finite")
            elif kind is int and not _INT64_MIN <= item <= _UINT64_MAX:
                container[key] = _as_javascript_means(item, (trail, key))
    return whole[0]


def _as_javascript_means(number: int, trail: Trail) -> float:
    if abs(number) < _JAVASCRIPT_INTEGERS and Decimal(repr(float(number))) == number:
        return float(number)
    raise StrictJSONError(
        f"{_named(trail)} is an integer beyond 64 bits: send it as a string, or as a float such as 1e20"
    )


def _named(trail: Trail | None) -> str:
    """Return where a value stands, in words of a bounded length."""
    path: list[str | int] = []
    while trail is not None:
        trail, step = trail
        path.append(step)
    named = ""
    for step in reversed(path[:-1]):  # without the place in what was put around the whole
        named += f"[{step}]" if isinstance(step, int) else f".{step}" if named else step
    return (named if len(named) <= _SHOWN else f"{named[:_SHOWN]}…") or "the value"
