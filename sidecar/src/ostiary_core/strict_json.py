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

#: Where a value stands: keys and places from the outside in.
Path = tuple[str | int, ...]


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
    stack: list[Any] = [whole]
    while stack:
        container = stack.pop()
        for key, item in container.items() if isinstance(container, dict) else enumerate(container):
            if isinstance(item, dict | list):
                stack.append(item)
            elif isinstance(item, float):
                if not math.isfinite(item):
                    where = _named(_path_to(whole, container, key))
                    raise StrictJSONError(f"{where} is a number too large to be finite (at most 1.7e308)")
            elif isinstance(item, int) and not _INT64_MIN <= item <= _UINT64_MAX:
                if not _is_of_javascript(item):
                    where = _named(_path_to(whole, container, key))
                    raise StrictJSONError(
                        f"{where} is an integer beyond 64 bits: send it as a string, or as a float such as 1e20"
                    )
                container[key] = float(item)
    return whole[0]


def _is_of_javascript(number: int) -> bool:
    return abs(number) < _JAVASCRIPT_INTEGERS and Decimal(repr(float(number))) == number


def _path_to(root: Any, container: Any, key: Any) -> Path:
    """Return where ``container[key]`` stands within ``root[0]``."""
    stack: list[tuple[Any, Path]] = [(root, ())]
    while stack:
        found, path = stack.pop()
        if found is container:
            return (*path, key)[1:]
        steps = found.items() if isinstance(found, dict) else enumerate(found)
        stack.extend((item, (*path, step)) for step, item in steps if isinstance(item, dict | list))
    return ()


def _named(path: Path) -> str:
    """Return where a value stands, in words of a bounded length."""
    named = ""
    for step in path:
        named += f"[{step}]" if isinstance(step, int) else f".{step}" if named else step
        if len(named) > _SHOWN:
            return f"{named[:_SHOWN]}…"
    return named or "the value"
