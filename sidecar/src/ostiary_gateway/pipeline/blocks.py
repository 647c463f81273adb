"""Refuse what the gateway's settings block: a principal, a proxy or an upstream server.

The check needs no entry and no policy of the proxy to be valid. It comes after decoding, so that the response has the
id of the request: clients take an HTTP error for a fault of the connection, and would try again.
"""

from collections.abc import Iterable
from typing import Final

from ostiary_core.mcp import codes
from ostiary_core.policy.block_list import BlockList
from ostiary_core.policy.principal import Principal
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.telemetry.blocked_requests import BLOCKED_REQUESTS, PRINCIPAL_BLOCKED, PROXY_BLOCKED
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.server import UpstreamServer

_MESSAGES: Final = {
    PRINCIPAL_BLOCKED: "The operator of this gateway has blocked this caller",
    PROXY_BLOCKED: "The operator of this gateway has blocked this MCP proxy",
}


class BlockedError(Refusal):
    """A refusal because the settings block the caller or the proxy."""

    def __init__(self, reason: str) -> None:
        super().__init__(200, reason, _MESSAGES[reason], code=codes.DENIED)


def check_blocked(exchange: Exchange, blocked: BlockList) -> None:
    """Refuse a request whose proxy, caller or server is blocked.

    Of several servers all must be.

    Raises:
        Refusal: one of them is blocked.
    """
    reason = _reason(exchange, blocked)
    if reason is None:
        return
    BLOCKED_REQUESTS[reason].note(exchange.proxy.identity, _what(exchange, reason))
    if reason == faults.BLOCKED:
        raise faults.refusal(faults.blocked())
    raise BlockedError(reason)


def check_server_blocked(exchange: Exchange, server: UpstreamServer) -> None:
    """Refuse a request that only a blocked server of several could answer.

    Raises:
        Refusal: the server is blocked.
    """
    blocked = exchange.snapshot.blocked
    if blocked is not None and blocked.has_server(server.places):
        BLOCKED_REQUESTS[faults.BLOCKED].note(exchange.proxy.identity, f"its server {server.address}")
        raise faults.refusal(faults.blocked())


def is_blocked(exchange: Exchange) -> bool:
    """Return whether the config that an exchange has now blocks it."""
    blocked = exchange.snapshot.blocked
    return blocked is not None and _reason(exchange, blocked) is not None


def _reason(exchange: Exchange, blocked: BlockList) -> str | None:
    proxy = exchange.proxy
    if blocked.has_proxy(proxy.identity):
        return PROXY_BLOCKED
    if blocked.has_principal(exchange.principal):
        return PRINCIPAL_BLOCKED
    return faults.BLOCKED if all(blocked.has_server(server.places) for server in proxy.servers) else None


def _what(exchange: Exchange, reason: str) -> str:
    if reason == PRINCIPAL_BLOCKED:
        return f"the principal {_name(exchange.principal)}"
    return "this proxy" if reason == PROXY_BLOCKED else f"its server {_addresses(exchange.proxy.servers)}"


def _addresses(servers: Iterable[UpstreamServer]) -> str:
    return " and ".join(dict.fromkeys(server.address for server in servers))


def _name(principal: Principal) -> str:
    return ascii(principal.consumer)[1:-1] if principal.consumer else principal.id
