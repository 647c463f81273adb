"""Arguments of a tool as the parts of a request: path and query, headers, body.

Nothing that a caller writes leaves its place: values are encoded whole, a path keeps its segments, and a header holds
printable ASCII. What cannot be sent so is refused with words for the model that wrote it.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from ostiary_core.contract.openapi import OpenApiOperationConfig, OpenApiParameterConfig
from ostiary_core.errors import OpenApiError
from ostiary_core.openapi.parameters import BODY, PLACEHOLDER
from ostiary_core.openapi.percent_encoding import climbs
from ostiary_core.openapi.serialization import in_header, in_path, in_query, plain_text

#: The longest path with query, in characters: servers refuse longer ones.
LONGEST_TARGET: Final = 8000
#: The longest value of a header.
LONGEST_HEADER: Final = 2048
_EMPTY: Final = "must not be empty: it is part of a path"
#: RFC 9110, section 5.5, without its obsolete part.
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?")


class RequestParts(NamedTuple):
    """What a request is made of.

    ``query`` has no question mark, and is empty without parameters; ``body`` is None without one.
    """

    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes | None


class RequestBuilder:
    """Builds the requests of one operation.

    ``base`` is the path of the server's URL, without a slash at its end.
    """

    def __init__(self, operation: OpenApiOperationConfig, base: str) -> None:
        given = operation.parameters or []
        pieces = PLACEHOLDER.split(operation.path)
        in_paths = {each.name: each for each in given if each.place == "path"}
        self._constant = [base + pieces[0], *pieces[2::2]]
        self._in_path = [in_paths[name] for name in pieces[1::2]]
        self._in_query = [each for each in given if each.place == "query"]
        self._in_header = [each for each in given if each.place == "header"]
        self._body = operation.body

    def without_nulls(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the arguments without the parameters that are null.

        Models write null for what they leave out.
        """
        if None not in arguments.values():
            return arguments
        return {name: value for name, value in arguments.items() if value is not None or name == BODY}

    def build(self, arguments: Mapping[str, Any]) -> RequestParts:
        """Return the parts of the request with these arguments, which match the tool's schema.

        Raises:
            OpenApiError: an argument cannot be sent; the message continues a sentence that begins with its name.
        """
        path, query = self._path(arguments), self._query(arguments)
        if len(path) + len(query) > LONGEST_TARGET:
            raise OpenApiError(f"The arguments make a URL of more than {LONGEST_TARGET} characters: use shorter ones")
        headers = self._headers(arguments)
        body = self._written_body(arguments.get(BODY)) if self._body is not None and BODY in arguments else None
        if body is not None and self._body is not None:
            headers["Content-Type"] = self._body.media_type
        return RequestParts(path, query, headers, body)

    def _path(self, arguments: Mapping[str, Any]) -> str:
        found = self._constant[0]
        for parameter, constant in zip(self._in_path, self._constant[1:], strict=True):
            value = arguments[parameter.argument]
            _refuse_segment(parameter, value)
            try:
                text = in_path(parameter.name, value, style=parameter.style, explode=parameter.explode)
            except (OpenApiError, UnicodeEncodeError) as error:
                raise _unsendable(parameter.argument, error) from None
            if not text:  # such as that of a list of one empty text: the path would be another one
                raise _unsendable(parameter.argument, _EMPTY)
            found += text + constant
        if self._in_path and climbs(found):  # such as {a}{b} with a dot in each
            raise OpenApiError("The arguments make a path with dot segments, which is not sent")
        return found

    def _query(self, arguments: Mapping[str, Any]) -> str:
        pairs: list[str] = []
        for parameter in self._in_query:
            value = arguments.get(parameter.argument)
            if value is None:
                continue
            try:
                pairs += in_query(parameter.name, value, style=parameter.style, explode=parameter.explode)
            except (OpenApiError, UnicodeEncodeError) as error:
                raise _unsendable(parameter.argument, error) from None
        return "&".join(pairs)

    def _headers(self, arguments: Mapping[str, Any]) -> dict[str, str]:
        found = {}
        for parameter in self._in_header:
            value = arguments.get(parameter.argument)
            if value is None:
                continue
            try:
                text = in_header(value, style=parameter.style, explode=parameter.explode)
            except OpenApiError as error:
                raise _unsendable(parameter.argument, error) from None
            if len(text) > LONGEST_HEADER or _HEADER_VALUE.fullmatch(text) is None:
                raise _unsendable(parameter.argument, "must be 1 to 2048 printable ASCII characters")
            found[parameter.name] = text
        return found

    def _written_body(self, value: Any) -> bytes:
        if self._body is None or self._body.format == "json":
            return orjson.dumps(value)
        try:
            if self._body.format == "text":
                return plain_text(value).encode()
            return _form(value).encode()
        except (OpenApiError, UnicodeEncodeError) as error:
            raise _unsendable(BODY, error) from None


def _form(value: Any) -> str:
    if not isinstance(value, dict):
        raise OpenApiError("must be an object, whose members are the fields of a form")
    pairs = []
    for name, each in value.items():
        pairs += in_query(name, each, style="form", explode=True)
    return "&".join(pairs)


def _refuse_segment(parameter: OpenApiParameterConfig, value: Any) -> None:
    """Refuse a value that is no part of one segment of a path, however a server reads it."""
    if value in (None, "", [], {}):
        raise _unsendable(parameter.argument, _EMPTY)
    texts = [value] if isinstance(value, str) else value if isinstance(value, list) else ()
    if isinstance(value, dict):
        texts = [*value, *value.values()]
    if any(isinstance(each, str) and climbs(each) for each in texts):
        raise _unsendable(parameter.argument, "must not hold dot segments or control characters: it is part of a path")


def _unsendable(argument: str, reason: object) -> OpenApiError:
    words = "holds characters that cannot be sent" if isinstance(reason, UnicodeEncodeError) else reason
    return OpenApiError(f"The argument {argument} {words}")
