"""Values of parameters as text, in the styles of OpenAPI (Parameter Object, Style Values).

A value is plain, a list of plain values, or an object of plain values: deeper ones have no defined form.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import orjson

from ostiary_core.errors import OpenApiError
from ostiary_core.openapi.percent_encoding import encode

#: Writes one plain text: encoded for a path or a query, as it is for a header.
Writer: TypeAlias = Callable[[str], str]
_SAFE_INTEGER: Final = 2**53
_DELIMITERS: Final = {"form": ",", "spaceDelimited": "%20", "pipeDelimited": "%7C"}


def plain_text(value: Any) -> str:
    """Return a plain value as text.

    A number is as JSON writes it, but a whole one has no fraction.

    Raises:
        OpenApiError: it is a list or an object.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        raise OpenApiError("holds a list or an object within another, which cannot be sent here")
    if isinstance(value, float) and math.isfinite(value) and value.is_integer() and abs(value) < _SAFE_INTEGER:
        value = int(value)
    return json_text(value)


def json_text(value: Any) -> str:
    """Return a value as JSON."""
    return orjson.dumps(value).decode()


def in_query(name: str, value: Any, *, style: str, explode: bool) -> list[str]:
    """Return the pairs ``name=value`` of a parameter, encoded.

    There is none for null and for an empty list.

    Raises:
        OpenApiError: the value has no form in this style.
    """
    if value is None:
        return []
    key = encode(name)
    if style == "json":
        return [f"{key}={encode(json_text(value))}"]
    if isinstance(value, dict):
        return _object_in_query(key, value, style=style, explode=explode)
    if not isinstance(value, list):
        return [f"{key}={encode(plain_text(value))}"]
    texts = [encode(plain_text(each)) for each in value]
    if explode:
        return [f"{key}={text}" for text in texts]
    return [f"{key}={_DELIMITERS.get(style, ',').join(texts)}"] if texts else []


def _object_in_query(key: str, value: Mapping[str, Any], *, style: str, explode: bool) -> list[str]:
    pairs = [(encode(name), encode(plain_text(each))) for name, each in value.items()]
    if style == "deepObject":
        return [f"{key}%5B{name}%5D={text}" for name, text in pairs]
    if explode:
        raise OpenApiError("is an object whose members would be parameters of their own, which cannot be sent")
    return [f"{key}={_DELIMITERS[style].join(part for pair in pairs for part in pair)}"] if pairs else []


def in_path(name: str, value: Any, *, style: str, explode: bool) -> str:
    """Return the text of a parameter in a path, encoded.

    Raises:
        OpenApiError: the value has no form in this style.
    """
    if style == "json":
        return encode(json_text(value))
    if style == "matrix":
        return _matrix(encode(name), value, explode=explode)
    if style == "label":
        return "." + _joined(value, encode, separator="." if explode else ",", explode=explode)
    return _joined(value, encode, separator=",", explode=explode)


def in_header(value: Any, *, style: str, explode: bool) -> str:
    """Return the value of a header.

    Raises:
        OpenApiError: the value has no form in a header.
    """
    return json_text(value) if style == "json" else _joined(value, str, separator=",", explode=explode)


def _joined(value: Any, write: Writer, *, separator: str, explode: bool) -> str:
    if isinstance(value, dict):
        between = "=" if explode else ","
        return separator.join(f"{write(name)}{between}{write(plain_text(each))}" for name, each in value.items())
    return separator.join(_texts(value, write))


def _texts(value: Any, write: Writer) -> Sequence[str]:
    return [write(plain_text(each)) for each in (value if isinstance(value, list) else [value])]


def _matrix(name: str, value: Any, *, explode: bool) -> str:
    if isinstance(value, dict) and explode:
        return "".join(f";{encode(key)}={encode(plain_text(each))}" for key, each in value.items())
    if isinstance(value, list) and explode:
        return "".join(f";{name}={text}" for text in _texts(value, encode))
    return f";{name}={_joined(value, encode, separator=',', explode=False)}"
