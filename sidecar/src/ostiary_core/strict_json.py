"""Strict JSON for all input, and the one serializer for all output.

Differences between parsers can bypass a policy: where the gateway reads one name and the upstream another, the wrong
one is judged. So duplicate keys (also behind escapes), bad UTF-8, lone surrogates, NaN, trailing bytes and nesting
beyond 200 are refused, and so are numbers that another parser might round: integers beyond 64 bits and floats that
overflow.

A text that is, byte by byte, what our serializer writes of the value that was read of it needs no further check: a
duplicate key would be lost, white space too, a number out of range would be refused or become another. Most clients and
servers write JSON as it does, so nearly every text is read in this way, in less than half of the time.

JavaScript writes a float below 1e21 without an exponent: its 1e20 is 100000000000000000000. An integer beyond 64 bits
that is spelt as JavaScript spells a float is that float to every parser, and is written as one.
"""

import math
from collections.abc import Generator
from itertools import islice
from typing import Any

import jiter
import orjson

from ostiary_core.errors import StrictJSONError

# A number can leave the safe range only by a long run of digits or an exponent of three digits: a run of seventeen and
# an exponent of two are far from 1e308. Searching for those in a text whose digits (and plus signs, which may begin an
# exponent) have all become 0 is fifteen times faster than a regular expression; no such number is missed, and a false
# match, within a string, only costs the check of all values.
_DIGITS_AS_ZERO = bytes.maketrans(b"123456789+E", b"0000000000e")
_LONG_EXPONENT = b"0e000"
_LONG_RUN = b"0" * 18

_INT64_MIN = -(2**63)
_UINT64_MAX = 2**64 - 1
#: From this value on JavaScript writes an exponent (ECMA-262, Number::toString).
_JAVASCRIPT_INTEGERS = 10**21
_SHOWN = 128
#: The number of values that are checked in one step.
_VALUES_AT_ONCE = 2048

#: Where a text is written with spaces, its first members show it.
_SHOWS_SPACES = 64
_SPACED = b'": '
#: In place of the value of a text that our serializer would write differently.
_DIFFERENT = object()

#: The path of a value: that of its container, and its key or index in it.
Trail = tuple[Any, str | int]


def loads(text: bytes) -> Any:
    """Parse one JSON value.

    Raises:
        StrictJSONError: the text is not strict JSON; the message says why and where.
    """
    value = _as_we_write(text)
    if value is not _DIFFERENT:
        return value
    value = _parsed(text)
    if not may_hold_wild_numbers(text):
        return value
    steps = _without_wild_numbers(value)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def loads_tame(text: bytes) -> Any:
    """Parse like :func:`loads` a text that is known to hold no number which is out of range.

    Raises:
        StrictJSONError: the text is not strict JSON.
    """
    value = _as_we_write(text)
    return value if value is not _DIFFERENT else _parsed(text)


def loading(text: bytes) -> Generator[None, None, Any]:
    """Parse like :func:`loads`, in steps between which other work may be done.

    It is for large texts.

    Raises:
        StrictJSONError: the text is not strict JSON.
    """
    value = _as_we_write(text)
    yield
    if value is not _DIFFERENT:
        return value
    value = _parsed(text)
    yield
    if may_hold_wild_numbers(text):
        yield
        value = yield from _without_wild_numbers(value)
    return value


def _as_we_write(text: bytes) -> Any:
    """Return the value of a text that is what :func:`dumps` writes of it, else ``_DIFFERENT``.

    Such a text has one reading: each of its bytes follows from the value, and a member or number that another parser
    could see in it would be in the value, too.
    """
    if _SPACED in text[:_SHOWS_SPACES]:
        return _DIFFERENT
    try:
        value = jiter.from_json(text)
        return value if orjson.dumps(value) == text else _DIFFERENT
    except (ValueError, TypeError):  # which of its faults is told, the strict parser decides
        return _DIFFERENT


def _parsed(text: bytes) -> Any:
    try:
        return jiter.from_json(text, catch_duplicate_keys=True, allow_inf_nan=False)
    except ValueError as error:
        raise StrictJSONError(str(error)) from None


def dumps(value: Any) -> bytes:
    """Serialise a value that :func:`loads` returned, in the order of its keys.

    Raises:
        StrictJSONError: the value holds something that JSON cannot (a bug, or a number beyond 64 bits).
    """
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise StrictJSONError(str(error)) from None


def may_hold_wild_numbers(text: bytes) -> bool:
    """Return whether each value of a text must be checked.

    It may hold a number that is out of range.
    """
    flat = text.translate(_DIGITS_AS_ZERO)
    return _LONG_RUN in flat or _LONG_EXPONENT in flat


def _without_wild_numbers(value: Any) -> Generator[None, None, Any]:
    """Return the value with floats in place of JavaScript's long integers, in steps.

    Raises:
        StrictJSONError: it holds a number that is out of range; the message says where.
    """
    whole = [value]
    stack: list[tuple[Any, Trail | None]] = [(whole, None)]
    looked_at = 0
    while stack:
        container, trail = stack.pop()
        members = iter(container.items() if type(container) is dict else enumerate(container))
        while some := list(islice(members, _VALUES_AT_ONCE)):
            _tame(container, some, trail, stack)
            looked_at += len(some)
            if looked_at >= _VALUES_AT_ONCE:
                looked_at = 0
                yield
    return whole[0]


def _tame(
    container: Any, members: list[tuple[Any, Any]], trail: Trail | None, stack: list[tuple[Any, Trail | None]]
) -> None:
    """Check some members of a container; push those that are containers on the stack."""
    for key, item in members:
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


def _as_javascript_means(number: int, trail: Trail) -> float:
    if abs(number) < _JAVASCRIPT_INTEGERS:
        as_float = float(number)
        # The shortest digits of this float, as JavaScript writes them, followed by zeros.
        if repr(as_float).partition("e")[0].replace(".", "").rstrip("0") == str(number).rstrip("0"):
            return as_float
    raise StrictJSONError(
        f"{_named(trail)} is an integer beyond 64 bits: send it as a string, or as a float such as 1e20"
    )


def _named(trail: Trail | None) -> str:
    """Return the path of a value, as text of a limited length."""
    path: list[str | int] = []
    while trail is not None:
        trail, step = trail
        path.append(step)
    named = ""
    for step in reversed(path[:-1]):  # without the index in the list around the whole
        named += f"[{step}]" if isinstance(step, int) else f".{step}" if named else step
    return (named if len(named) <= _SHOWN else f"{named[:_SHOWN]}…") or "the value"
