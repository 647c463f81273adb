"""How requests get to a server: what each begins with, and the connections that they take, directly or by a proxy.

Both belong together: what is written for an egress proxy names the whole URL, and holds what that proxy alone may read.
"""

from dataclasses import dataclass
from typing import Final

from yarl import URL

from ostiary_gateway.media_types import BOTH, EVENT_STREAM, JSON
from ostiary_gateway.upstream.http1 import request as http1
from ostiary_gateway.upstream.http1.dialing import Dialer
from ostiary_gateway.upstream.http1.pool import Pool

#: Shorter than the idle time of common servers (uvicorn closes after 5 s), so that we rarely meet a closing one.
_KEEPALIVE_SECONDS: Final = 4.0
#: What every request of a method says, to any server.
_HEADERS: Final = {
    "POST": {"Accept-Encoding": "identity", "Accept": BOTH, "Content-Type": JSON},
    "GET": {"Accept-Encoding": "identity", "Accept": EVENT_STREAM},
    "DELETE": {"Accept-Encoding": "identity", "Accept": BOTH},
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is: its URL, what is sent as Host (None for the URL's own), and lines for every request."""

    url: URL
    host: str | None
    lines: bytes


class Route:
    """One way to a server. ``heads`` are the beginnings of requests by method, where they go now."""

    def __init__(self, place: Place, dialer: Dialer, *, connections: int) -> None:
        self.dialer = dialer
        self._place = place
        # A server that speaks TLS has a tunnel; else it is the proxy that reads our requests.
        self._relayed_by = dialer.egress if dialer.tls is None else None
        self._configured = self.heads = self.heads_at(place.url)
        self.pool = Pool(dialer.dial, limit=connections, keep_seconds=_KEEPALIVE_SECONDS, wait_seconds=dialer.seconds)

    def heads_at(self, url: URL) -> dict[str, bytes]:
        """Return the beginnings of requests to a URL of the server."""
        more = self._place.lines
        proxy = self._relayed_by
        if proxy is not None and proxy.authorization is not None:
            more += http1.trusted_lines({"Proxy-Authorization": proxy.authorization})
        return {
            method: http1.head_start(method, url, headers, host=self._place.host, absolute=proxy is not None) + more
            for method, headers in _HEADERS.items()
        }

    @property
    def is_moved(self) -> bool:
        """Whether requests go elsewhere than configured."""
        return self.heads is not self._configured

    def move_back(self) -> None:
        """Go where it was configured."""
        self.heads = self._configured
