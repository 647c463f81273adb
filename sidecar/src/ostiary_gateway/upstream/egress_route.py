"""How requests reach a server.

A request has a constant beginning, and a connection, direct or through an egress proxy.

These belong together: a request through an egress proxy names the absolute URL, and may hold that proxy's credentials.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from yarl import URL

from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.media_types import BOTH, EVENT_STREAM, JSON
from ostiary_gateway.upstream.http1 import request_head as http1
from ostiary_gateway.upstream.http1.dialer import Dialer
from ostiary_gateway.upstream.http1.pool import Pool
from ostiary_gateway.upstream.openapi.rest_heads import RestHeads

#: Shorter than the idle timeout of common servers (uvicorn closes after 5 s), so that we rarely use a closing one.
_KEEPALIVE_SECONDS: Final = 4.0
#: The constant headers of a method's requests, to any server.
_HEADERS: Final = {
    "POST": {"Accept-Encoding": "identity", "Accept": BOTH, "Content-Type": JSON},
    "GET": {"Accept-Encoding": "identity", "Accept": EVENT_STREAM},
    "DELETE": {"Accept-Encoding": "identity", "Accept": BOTH},
}


@dataclass(frozen=True, slots=True)
class Place:
    """The location of a server.

    It has a URL, a Host (None for that of the URL), and header lines for every request, which may hold a credential.
    Requests to one that ``is_rest`` have paths of their own.
    """

    url: URL
    host: str | None
    lines: SecretBytes
    is_rest: bool = False


class Heads(Protocol):
    """The beginnings of requests, by method; to a REST service, by request line."""

    def __getitem__(self, method: str, /) -> bytes:
        """Return the beginning of a request."""


class Route:
    """One route to a server.

    ``heads`` are the beginnings of requests by method, for the URL in use now.
    """

    def __init__(self, place: Place, dialer: Dialer, *, connections: int) -> None:
        self.dialer = dialer
        self._place = place
        # A server with TLS gets a tunnel; otherwise the egress proxy reads our requests.
        self._relayed_by = dialer.egress if dialer.tls is None else None
        self._configured: Heads = self.heads_at(place.url)
        self.heads = self._configured
        self.pool = Pool(dialer.dial, limit=connections, keep_seconds=_KEEPALIVE_SECONDS, wait_seconds=dialer.seconds)

    def heads_at(self, url: URL) -> Heads:
        """Return the beginnings of requests to a URL of the server."""
        more = self._place.lines.reveal()
        proxy = self._relayed_by
        if proxy is not None and proxy.authorization is not None:
            more += http1.trusted_lines({"Proxy-Authorization": proxy.authorization})
        host = self._place.host or http1.authority(url)
        if proxy is not None:  # it connects to what the request names
            url = url.with_host(self.dialer.host).with_port(self.dialer.port)
        if self._place.is_rest:
            return RestHeads(url, more, host=host, absolute=proxy is not None)
        return {
            method: http1.head_start(method, url, headers, host=host, absolute=proxy is not None) + more
            for method, headers in _HEADERS.items()
        }

    @property
    def is_moved(self) -> bool:
        """Whether requests go to another URL than the configured one."""
        return self.heads is not self._configured

    def move_back(self) -> None:
        """Go back to the configured URL."""
        self.heads = self._configured
