"""The beginnings of REST requests to one server: what never changes is built once."""

from typing import Final

from yarl import URL

from ostiary_gateway.upstream.http1 import request_head as http1

#: The headers of every request, to any server.
_HEADERS: Final = {
    "Accept-Encoding": "identity",
    "Accept": "application/json, application/*+json;q=0.9, text/plain;q=0.8, */*;q=0.5",
}
_MCP: Final = b"mcp-"


class RestHeads:
    """Beginnings of requests by *request line*: the method, and behind a space path and query.

    A method alone is a request to the URL of the server. ``more`` are the lines of every request. ``absolute`` writes
    the whole URL, for a proxy.
    """

    def __init__(self, url: URL, more: bytes, *, host: str, absolute: bool) -> None:
        self._root = url.raw_path_qs
        self._origin = f"{url.scheme}://{http1.authority(url)}" if absolute else ""
        self._lines = http1.lines({"Host": host}) + http1.lines(_HEADERS) + more

    def __getitem__(self, request_line: str) -> bytes:
        """Return the beginning of a request; path and query must be encoded."""
        method, _, target = request_line.partition(" ")
        start = f"{method} {self._origin}{target or self._root} HTTP/1.1\r\n"
        return start.encode("ascii") + self._lines


def rest_lines(lines: bytes, of_call: bytes) -> bytes:
    """Return the header lines of a call.

    They are those of the gateway, and ``of_call`` from the arguments.

    Those of MCP mean nothing to a REST server. What the gateway says wins over an argument: of two lines with one name
    a server could read either.
    """
    kept = [line for line in lines.split(b"\r\n") if line and not _name(line).startswith(_MCP)]
    names = {_name(line) for line in kept}
    kept += [line for line in of_call.split(b"\r\n") if line and _name(line) not in names]
    return b"".join([line + b"\r\n" for line in kept])


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0].lower()
