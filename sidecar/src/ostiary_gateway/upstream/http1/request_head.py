"""Serializes a request. Every header name and value is checked, whatever its source."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from yarl import URL

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults

#: RFC 9110 §5.6.2 and §5.5, without the obsolete part of the latter: our values are ASCII.
_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?|")
_USUAL_PORTS: Final = {"http": 80, "https": 443}
#: Longer headers are not cached, in characters: clients choose names as well.
_CACHED_LENGTH: Final = 256


class Transmission:
    """Tells whether a request was written to a connection.

    Until then its server cannot have acted on it.
    """

    __slots__ = ("is_written",)

    def __init__(self) -> None:
        self.is_written = False


def authority(url: URL) -> str:
    """Return host and port of a URL as in a Host header (RFC 9110 §7.2).

    Without the scheme's default port.
    """
    host = url.host_subcomponent or ""
    return host if url.port == _USUAL_PORTS.get(url.scheme) else f"{host}:{url.port}"


def head_start(
    method: str, url: URL, headers: Mapping[str, str], *, host: str | None = None, absolute: bool = False
) -> bytes:
    """Return request line, Host and the headers that never change for a server; build it once.

    ``host`` is sent in place of the URL's own. ``absolute`` writes the whole URL, for a proxy (RFC 9112 §3.2.2).
    """
    target = f"{url.scheme}://{authority(url)}{url.raw_path_qs}" if absolute else url.raw_path_qs
    start = f"{method} {target} HTTP/1.1\r\n".encode("ascii")
    return start + lines({"Host": host or authority(url)}) + lines(headers)


def lines(headers: Mapping[str, str]) -> bytes:
    """Return the lines of headers.

    Raises:
        UpstreamFault: a name or value is not permitted in a header.
    """
    text = b""
    for name, value in headers.items():
        text += _cached_line(name, value) if len(name) + len(value) <= _CACHED_LENGTH else _line(name, value)
    return text


def private_line(name: str, value: str) -> bytes:
    """Return the line of a header with a secret value, which is not cached.

    Raises:
        UpstreamFault: the name or value is not permitted in a header.
    """
    return _line(name, value)


def trusted_lines(headers: Mapping[str, str]) -> bytes:
    """Return the lines of headers of our own making, such as the context of a span."""
    text = ""
    for name, value in headers.items():
        text += f"{name}: {value}\r\n"
    return text.encode("ascii")


def _line(name: str, value: str) -> bytes:
    if _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
        raise UpstreamFault(faults.INVALID, f"the header {name[:64]!r} cannot be sent")
    return f"{name}: {value}\r\n".encode("ascii")


#: Sessions, revisions and names repeat.
_cached_line: Final = lru_cache(maxsize=1024)(_line)


def message(start: bytes, more: bytes, body: bytes | None) -> bytes:
    """Return a whole request.

    The results of :func:`head_start` and :func:`lines`, and its body.
    """
    if body is None:
        return b"%b%b\r\n" % (start, more)
    return b"%b%bContent-Length: %d\r\n\r\n%b" % (start, more, len(body), body)
