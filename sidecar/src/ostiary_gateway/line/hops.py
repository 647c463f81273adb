"""Has this request passed this proxy before? Then its server leads back here, and each turn costs as much again."""

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.line.exchange import Exchange
from ostiary_gateway.upstream import faults, hops


def check_loop(exchange: Exchange) -> None:
    """Note the marks of the proxies that a request with the header ``Via`` has passed.

    Raises:
        Refusal: this proxy is among them, or there are too many.
    """
    exchange.passed = hops.earlier(exchange.request.headers["via"])
    server = exchange.proxy.server
    if server.mark in exchange.passed:
        fault = UpstreamFault(faults.LOOP, "a request came back to this MCPProxy: the server's address leads to it")
        server.health.failed(fault)
        raise faults.refusal(fault)
    if len(exchange.passed) >= hops.MOST:
        raise faults.refusal(UpstreamFault(faults.LOOP, f"a request has passed {len(exchange.passed)} proxies"))
