"""Makes the endpoints of one server, as routing and limits are at that moment."""

from functools import partial

from yarl import URL

from ostiary_core.contract.documents import ServerConfig
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints, networks
from ostiary_gateway.upstream.egress import Egress
from ostiary_gateway.upstream.egress_route import Place
from ostiary_gateway.upstream.endpoint import UpstreamEndpoint
from ostiary_gateway.upstream.endpoint_place import EndpointPlace
from ostiary_gateway.upstream.http1.dialer import Dialer
from ostiary_gateway.upstream.tls_contexts import client_context


class EndpointFactory:
    """Makes endpoints of a server.

    ``lines`` are header lines of every request. Requests to every endpoint have the Host of the server, and the name in
    TLS is the server's: only the address differs.

    Raises:
        ValueError: the TLS material or the granted addresses of ``document`` cannot be used.
    """

    def __init__(
        self,
        document: ServerConfig,
        url: URL,
        lines: SecretBytes,
        *,
        own: OwnEndpoints,
        egress: Egress,
        connections: int,
        mark: str,
    ) -> None:
        tls = document.tls
        self._place = Place(url, document.host, lines, is_rest=document.openapi is not None)
        self._mark = mark
        self._tls = client_context(tls.ca if tls is not None else None) if url.scheme == "https" else None
        self._tls_name = tls.hostname if tls is not None else None
        self._seconds = document.timeouts.connect / 1000
        #: Half of a request's time at most, so that one whose endpoint is not there can go to another one.
        self._seconds_of_several = min(self._seconds, document.timeouts.request / 2000)
        self._granted = networks(document.addresses)
        self.own = own
        self.egress = egress
        self.connections = connections
        self.is_blocked = False

    def make(self, where: EndpointPlace | None = None) -> UpstreamEndpoint:
        """Return an endpoint at a place, or at the URL itself."""
        made = UpstreamEndpoint(
            self._place,
            partial(self._dialer, where),
            own=self.own,
            egress=self.egress,
            connections=self.connections,
            mark=self._mark,
            where=where,
        )
        if self.is_blocked:
            made.set_blocked(True)
        return made

    def _dialer(self, where: EndpointPlace | None) -> Dialer:
        url = self._place.url
        named = url.host or ""
        return Dialer(
            host=named if where is None else where.address,
            port=(url.port or 0) if where is None else where.port,
            seconds=self._seconds if where is None else self._seconds_of_several,
            tls=self._tls,
            tls_name=self._tls_name or (None if where is None else named),
            granted=self._granted,
            own=self.own,
        )
