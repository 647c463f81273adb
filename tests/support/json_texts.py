"""JSON in every spelling that a client may send, and a JSON reader that shares no code with ours.

``read_strictly`` is the standard library's parser with its leniencies removed. Both readers must give the same
result for the same bytes; where they differ, two readings of one message are possible.
"""

import json
import math
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

#: A value may be nested in at most this number of containers.
DEPTH = 200

_TRICKY_NUMBERS = ["0", "-0", "1", "-1", "01", "1.", ".5", "+1", "0x10", "1_0", "\u0661", "1e", "1e+", "1E+2", "1e-2"]
_TRICKY_NUMBERS += ["-0.0", "0.1", "1.0", "1e22", "1e308", "1.7976931348623157e308", "1.7976931348623159e308", "1e309"]
_TRICKY_NUMBERS += ["-1e999", "1e-400", "5e-324", "2.4703282292062327e-324", "0.30000000000000004", "9007199254740993"]
_TRICKY_NUMBERS += ["9007199254740993.0", "9223372036854775807", "9223372036854775808", "18446744073709551615"]
_TRICKY_NUMBERS += ["18446744073709551616", "-9223372036854775808", "-9223372036854775809"]
_TRICKY_NUMBERS += ["NaN", "Infinity", "-Infinity", "nan", "true", "false", "null", "None"]
_HUGE_NUMBERS = ["9" * 30, "-" + "9" * 400, "9" * 5000, "0." + "1" * 900, "1" + "0" * 400 + ".0", "1e" + "9" * 30]
_TRICKY_STRINGS = [
    r'"\ud800"',
    r'"\ude00\ud83d"',
    r'"\ud83d\ude00"',
    r'"\u0000"',
    '"\x00"',
    '"\x1f"',
    '"\x7f\x80\u2028\ufeff\uffff"',
    r'"\x41"',
    r'"\u00g0"',
    r'"\u+123"',
    r'"\/\b\f\n\r\t\\\""',
    "'a'",
    '"a',
    '"\ud800"',  # an encoded surrogate: what CESU-8 and lenient readers take
]
_SPACES = st.sampled_from(["", "", "", " ", "\n", "\t\r\n ", "\x0b", "\xa0", "\ufeff", "/**/", "\x00"])

any_text = st.text(alphabet=st.characters(codec="utf-8"), max_size=12)


def _escaped(text: str) -> str:
    return "".join(
        f"\\u{unit[0] << 8 | unit[1]:04x}"
        for c in text
        for pair in [c.encode("utf-16-be")]
        for unit in (pair[at : at + 2] for at in range(0, len(pair), 2))
    )


_SPELLINGS: list[Callable[[str], str]] = [
    lambda text: json.dumps(text, ensure_ascii=False),
    json.dumps,
    lambda text: f'"{_escaped(text)}"',
    lambda text: f'"{_escaped(text).upper().replace("U", "u")}"',
    lambda text: f'"{_escaped(text[:1])}{json.dumps(text[1:])[1:]}',
    lambda text: json.dumps(text).replace("/", r"\/"),
]


def strings(texts: st.SearchStrategy[str] = any_text) -> st.SearchStrategy[str]:
    """Texts as JSON strings, in one of the spellings that mean the same."""
    return st.builds(lambda text, spell: spell(text), texts, st.sampled_from(_SPELLINGS))


_scalars = st.one_of(
    st.sampled_from(_TRICKY_NUMBERS),
    st.sampled_from(_HUGE_NUMBERS),
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    strings(),
    st.sampled_from(_TRICKY_STRINGS),
)


def _array(items: list[str], space: str) -> str:
    return f"[{space}{f'{space},'.join(items)}{space}]"


def _object(members: list[tuple[str, str]], space: str) -> str:
    return f"{{{space}{f'{space},{space}'.join(f'{key}{space}:{value}' for key, value in members)}{space}}}"


def objects(keys: st.SearchStrategy[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Objects of these keys (JSON strings) and values (JSON texts); keys may be duplicate."""
    return st.builds(_object, st.lists(st.tuples(keys, values), max_size=4), _SPACES)


#: Texts of JSON, and what almost is.
values = st.recursive(
    _scalars,
    lambda inner: (
        st.builds(_array, st.lists(inner, max_size=4), _SPACES)
        | objects(strings(st.sampled_from(["a", "b", "", "A"])) | strings(), inner)
    ),
    max_leaves=12,
)


def _nested(value: str, depth: int, opening: str) -> str:
    return opening * depth + value + ("]" if opening == "[" else "}") * depth


deep_values = st.builds(
    _nested, st.sampled_from(["", "1", "[]", "{}"]), st.integers(190, 210), st.sampled_from(["[", '{"a":'])
)
_INSERTS = [b"", b"\xef\xbb\xbf", b"\x00", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b'"', b"{", b"}"]
_INSERTS += [b"[", b",", b":", b"\\", b"\\u", b" ", b"\n", b"1", b"-", b"e9", b"\xe2\x80\xa8", b"//"]


@st.composite
def mangled(draw: st.DrawFn, texts: st.SearchStrategy[str] = values) -> bytes:
    """The bytes of such a text, often with some put in or taken out."""
    text = bytearray(draw(texts).encode("utf-8", "surrogatepass"))
    for _ in range(draw(st.sampled_from([0, 0, 1, 3]))):
        place = draw(st.integers(0, len(text)))
        text[place : place + draw(st.integers(0, 2))] = draw(st.sampled_from(_INSERTS))
    return bytes(text)


def read_strictly(text: bytes) -> Any:
    """Read one JSON value as RFC 8259 has it, without anything that readers take differently.

    Raises:
        ValueError: it is none, or one that some reader could take for another.
    """
    try:
        value = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse,
            parse_int=_bounded,
            parse_float=_finite,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    _check(value, 0)
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _bounded(digits: str) -> int | float:
    number = int(digits)
    if -(2**63) <= number < 2**64:
        return number
    # JavaScript writes floats below 1e21 like this: the digits that distinguish it from its neighbours, then zeros.
    if abs(number) < 10**21 and _shortest(digits) == digits:
        return float(digits)
    raise ValueError("beyond 64 bits")


def _shortest(digits: str) -> str:
    """The digits as JavaScript writes this float."""
    shortest = next(text for text in (f"{float(digits):.{n}e}" for n in range(17)) if float(text) == float(digits))
    sign = "-" if shortest.startswith("-") else ""
    mantissa, _, exponent = shortest.lstrip("-").partition("e")
    return sign + mantissa.replace(".", "").ljust(int(exponent) + 1, "0")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _check(value: Any, depth: int) -> None:
    if depth > DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        value.encode()  # half a surrogate pair cannot be written
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            key.encode()
            _check(item, depth + 1)


def identical(one: Any, other: Any) -> bool:
    """Compare two values as JSON: also the types of numbers, the sign of zero and the order of keys."""
    return json.dumps(one) == json.dumps(other)
