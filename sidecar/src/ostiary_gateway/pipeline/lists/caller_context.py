"""What a server can tell callers apart by.

That is the credential that the server is presented. A list is shared only among callers that look the same to its
server. Where the credential is the gateway's own, all callers do. Where it is made for the caller, or is the caller's
own, each credential has its own lists.
"""

from collections.abc import Hashable
from weakref import ref

from ostiary_core.policy.principal import PASSTHROUGH
from ostiary_gateway.identity.credential_cache import digest_of
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.lists.kept_lists import RawListRequest
from ostiary_gateway.upstream.server import UpstreamServer


def list_request(
    exchange: Exchange, server: UpstreamServer, *, method: str, revision: str, cursor: str | None = None
) -> RawListRequest:
    """Return the request for a list as the caller of an exchange makes it."""
    return RawListRequest(
        method,
        revision,
        context=presented(exchange, server),
        principal=_principal(exchange),
        cursor=cursor,
    )


def presented(exchange: Exchange, server: UpstreamServer) -> Hashable:
    """Return what tells the credential that a server gets for this caller from others.

    It is None for the gateway's own.

    An exchanged token, or an assertion, is made of the whole principal, with its claims and groups. So its identity
    counts, which a changed one does not share.
    """
    if server.credential.is_of_caller:
        return ref(exchange.principal)
    return _passed_through(exchange) if not server.credential.is_set else None


def _principal(exchange: Exchange) -> Hashable:
    """Return what tells one caller from all others."""
    return exchange.principal.id, _passed_through(exchange)


def _passed_through(exchange: Exchange) -> bytes | None:
    """Return the digest of a credential that the gateway does not verify itself."""
    if exchange.principal is not PASSTHROUGH or "authorization" not in exchange.request.headers:
        return None
    return digest_of(exchange.request.headers["authorization"])
