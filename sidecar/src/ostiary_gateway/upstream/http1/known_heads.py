"""The head of responses that a server repeats, so that llhttp need not parse each of them.

What llhttp has made of a head is kept with its bytes (:mod:`.head_template`); the next one means the
same but for the values of :data:`VARYING`, which have no meaning for the framing besides the length of the body. It is
one head for all connections to an endpoint. All that is not one whole response with status 200 is left to llhttp.
"""

from collections.abc import Mapping
from typing import Final

from ostiary_gateway.upstream.http1.head_template import LENGTH, HeadTemplate, template_of

#: The headers whose values may differ from response to response.
VARYING: Final = (LENGTH, b"date", b"mcp-session-id", b"x-request-id", b"etag", b"last-modified")
#: The status that is recognised, with which nearly every message is answered.
STATUS: Final = 200
_STATUS_LINE: Final = b"HTTP/1.1 200 "
#: Headers that say how the body is framed, or what the connection becomes.
_CONTROL: Final = frozenset({b"transfer-encoding", b"upgrade", b"trailer"})
_KEEPS: Final = b"keep-alive"


class KnownHeads:
    """The head that the responses of an endpoint repeat, once there were two.

    Where heads differ each time, one is kept ever more rarely: after 2, 4, 8, … other heads.
    """

    __slots__ = ("_headers", "_others", "_template", "_values")

    def __init__(self) -> None:
        self._template: HeadTemplate | None = None
        self._headers: dict[bytes, bytes] = {}
        #: The values that the headers have of the last head.
        self._values: Mapping[bytes, bytes] | None = None
        self._others = 0

    def read(self, data: bytes) -> tuple[dict[bytes, bytes], bytes] | None:
        """Return headers and body of a whole response whose head is known; None for any other."""
        found = self._template.read(data) if self._template is not None else None
        if found is None:
            return None
        values, begin = found
        if values is not self._values:
            self._values, self._headers = values, {**self._headers, **values}  # earlier responses keep theirs
        return self._headers, data[begin:]

    def note(self, data: bytes, headers: Mapping[bytes, bytes]) -> None:
        """Take what llhttp has made of a head, with the bytes of its whole response."""
        self._others += 1
        if self._others < 2 or self._others & (self._others - 1):
            return
        if not data.startswith(_STATUS_LINE) or not _is_usual(headers):
            return
        found = template_of(data, {name: headers[name] for name in VARYING if name in headers})
        if found is not None:
            self._template, self._headers, self._values = found, dict(headers), None


def _is_usual(headers: Mapping[bytes, bytes]) -> bool:
    return _CONTROL.isdisjoint(headers) and headers.get(b"connection", _KEEPS).lower() == _KEEPS
