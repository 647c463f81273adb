"""Has this request passed this proxy before? Then its server leads back here, and each turn costs as much again."""

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.line.answers import ResponseSummary
from ostiary_gateway.line.exchange import Exchange
from ostiary_gateway.upstream import faults, hops


def check_loop(exchange: Exchange) -> None:
    """Note the marks of the proxies that a request with the header ``Via`` has passed.

    Raises:
        Refusal: this proxy is among them, or there are too many.
    """
    exchange.passed = hops.earlier(exchange.request.headers["via"])
    if exchange.proxy.server.mark in exchange.passed:
        raise faults.refusal(UpstreamFault(faults.LOOP, "a request came back to this MCPProxy"))
    if len(exchange.passed) >= hops.MOST:
        raise faults.refusal(UpstreamFault(faults.LOOP, f"a request has passed {len(exchange.passed)} proxies"))


def note_refused(exchange: Exchange, outcome: ResponseSummary) -> None:
    """Tell the health of the server that it answered, perhaps with the refusal of a gateway behind it.

    One that leads into a loop did not do its part. Only a request that came without a mark proves that: a caller that
    sends a mark may have made it up, and must not have this proxy, or one behind it, reported for it.
    """
    health = exchange.selected.health
    if outcome.reason == faults.LOOP and not exchange.passed:
        health.failed(UpstreamFault(faults.LOOP, "requests to it come back to this MCPProxy, or go on without end"))
    else:
        health.succeeded()
