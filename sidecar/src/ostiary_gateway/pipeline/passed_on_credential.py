"""The caller's own credential, where its server judges it (passthrough).

Everything that is sent to a server for a caller asks here: the caller's request, the gateway's own ones, and what a
bridge sends besides.
"""

from ostiary_core.policy.principal import PASSTHROUGH
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.upstream.server import UpstreamServer


def passed_on(exchange: Exchange, server: UpstreamServer) -> str | None:
    """Return the value of ``Authorization`` that a caller has sent and this server gets.

    It is None where the gateway authenticates the caller, where the caller sent none, and where the server has a
    credential of the gateway's in its place.
    """
    if exchange.principal is not PASSTHROUGH or server.credential.is_set:
        return None
    return exchange.request.headers.get("authorization")
