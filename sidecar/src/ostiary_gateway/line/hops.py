"""Loop detection: refuse a request that has already passed this proxy."""

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.line.answers import ResponseSummary
from ostiary_gateway.line.exchange import Exchange
from ostiary_gateway.upstream import faults, hops


def check_loop(exchange: Exchange) -> None:
    """Record which proxies a request with the header ``Via`` has passed.

    Raises:
        Refusal: this proxy is among them, or there are too many.
    """
    exchange.passed = hops.earlier(exchange.request.headers["via"])
    if exchange.proxy.server.mark in exchange.passed:
        raise faults.refusal(UpstreamFault(faults.LOOP, "a request came back to this MCPProxy"))
    if len(exchange.passed) >= hops.MOST:
        raise faults.refusal(UpstreamFault(faults.LOOP, f"a request has passed {len(exchange.passed)} proxies"))


def record_result(exchange: Exchange, outcome: ResponseSummary) -> None:
    """Report to the server's health that it answered, perhaps with a gateway's refusal.

    A server that leads into a loop counts as faulty. Only a request that came without a mark proves that: a caller may
    have invented the mark that it sends, and must not be able to have this proxy, or one behind it, reported as faulty.
    """
    health = exchange.selected.health
    if outcome.reason == faults.LOOP and not exchange.passed:
        health.failed(UpstreamFault(faults.LOOP, "requests to it come back to this MCPProxy, or go on without end"))
    else:
        health.succeeded()
