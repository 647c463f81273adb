"""What labels a request in metrics: nothing that a caller or a server may choose freely.

Methods are from our table or are HTTP's; proxies, servers, policies and rules are names of the config; a tool, prompt
or resource is named only where its server has listed it or a rule writes it out. Lifecycle methods name nothing.
"""

from typing import Final

from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.telemetry.request_labels import PlainLabels
from ostiary_gateway.telemetry.semantic_conventions import ALLOW, DENY

_NAMELESS: Final = ("", "", "")
_UNDECIDED: Final = ("", "", "", "")
_NOT_SENT: Final = ("", "", "")


def request_labels(span: ServerSpan, exchange: Exchange | None) -> PlainLabels:
    """Return the labels of a request that has ended.

    ``exchange`` is None where no proxy has its path.
    """
    code = str(span.rpc_code) if span.rpc_code is not None else ""
    error_type = span.error_type or ""
    if exchange is None:
        return ("", "", *_NAMELESS, error_type, code, span.http_status, *_NOT_SENT, *_UNDECIDED)
    message, method = exchange.message, ""
    if message is not None and message.method is not None:
        method = message.method.name
    elif exchange.request.method != "POST":
        method = exchange.request.method
    return (
        method,
        exchange.proxy.identity,
        *_names(exchange),
        error_type,
        code,
        span.http_status,
        *_sent(span, exchange),
        *_decided(exchange),
    )


def _names(exchange: Exchange) -> tuple[str, str, str]:
    """Return the tool, prompt or resource that a message names, if that is known to exist."""
    message = exchange.message
    if message is None or not (name := message.name) or message.method is None:
        return _NAMELESS
    proxy, method, leg = exchange.proxy, message.method.name, exchange.leg
    known, own = (proxy.known, name) if leg is None or leg.message is None else (leg.server.known, leg.message.name)
    if method == "tools/call":
        return (name, "", "") if own in known.tools or name in proxy.spelled_names else _NAMELESS
    if method == "prompts/get":
        return ("", name, "") if own in known.prompts or name in proxy.spelled_names else _NAMELESS
    return ("", "", name) if method.startswith("resources/") and own in known.resources else _NAMELESS


def _sent(span: ServerSpan, exchange: Exchange) -> tuple[str, str, str]:
    """Return the server that a message was sent to, and how it ended there."""
    client, leg = span.upstream, exchange.leg
    if client is None or leg is None:
        return _NOT_SENT
    return leg.server.name, client.error_type or "", str(client.rpc_code) if client.rpc_code is not None else ""


def _decided(exchange: Exchange) -> tuple[str, str, str, str]:
    """Return policy, rule and result of the decision on a message, and the reason of a denial."""
    decision = exchange.decision
    if decision is None:
        return _UNDECIDED
    if decision.allowed:
        return decision.policy, decision.rule, ALLOW, ""
    return decision.policy, decision.rule, DENY, decision.reason.value
