"""Judge a call again before its next round.

A client may take minutes for an answer, and a server runs a repeated call from the start. So each round is judged by
the config in force then, for a caller who is still the same, and counts for limits like a call of its own.
"""

from time import time
from typing import Any, Final

from ostiary_core.mcp import codes
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.authorize import authorize
from ostiary_gateway.pipeline.blocks import check_blocked
from ostiary_gateway.pipeline.content.restored_arguments import restore_tokens
from ostiary_gateway.pipeline.continuations.continuation_errors import continuation_lost
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.services import PipelineServices

_EXPIRED: Final = "The credential of this call has expired while it waited for input"


async def judge_round(exchange: Exchange, leg: Leg, services: PipelineServices, body: dict[str, Any]) -> None:
    """Check that a call may go on. ``body`` is its message, which was freed when it was sent.

    Raises:
        Refusal: the caller may no longer call this, a limit refuses it, or its server is no longer there.
    """
    current = services.snapshot()
    if current is not None and current is not exchange.snapshot:
        await _use(current, exchange, leg)
    expires = exchange.principal.expires_at
    if expires is not None and time() >= expires:
        raise Refusal(200, "CredentialExpired", _EXPIRED, code=codes.DENIED)
    if exchange.snapshot.blocked is not None:
        check_blocked(exchange, exchange.snapshot.blocked)
    if exchange.message is not None:
        exchange.message.body = body
        if exchange.content is not None:
            restore_tokens(exchange, exchange.content, exchange.message)  # what travelled was freed when it was sent
        exchange.usual, exchange.decision = None, authorize(exchange)
    await _count(exchange, services)


async def _use(current: Snapshot, exchange: Exchange, leg: Leg) -> None:
    """Judge by another config from now on.

    Raises:
        Refusal: it does not have this server any more, or not this caller.
    """
    proxy = current.proxies.get(exchange.proxy.identity)
    if proxy is None or proxy.uid != exchange.proxy.uid or leg.server not in proxy.servers:
        raise continuation_lost()
    exchange.snapshot, exchange.proxy = current, proxy
    if proxy.authenticator is not None:
        principal = await proxy.authenticator.authenticate(exchange.request, current.settings)
        if principal.id != exchange.principal.id:
            raise continuation_lost()
        exchange.principal = principal


async def _count(exchange: Exchange, services: PipelineServices) -> None:
    """Count the round for the limits of policies.

    What the round before it occupied is free again.
    """
    if exchange.limit_use is not None:
        services.limits.finish(exchange.limit_use)
        exchange.limit_use = None
    if exchange.proxy.limits is not None:
        counting = services.limits.take(exchange, exchange.proxy.limits)
        if counting is not None:
            await counting
