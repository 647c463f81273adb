"""Requests of the gateway's own to a server: a page of a list, a handshake, a probe.

They are sent while a request of a caller is handled, with the caller's credential and as children of its span. Their
ids are ours, so they cannot be those of the caller's requests in the same session.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp.meta_keys import META_CLIENT_CAPABILITIES, META_CLIENT_INFO, META_PROTOCOL_VERSION
from ostiary_core.mcp.methods import METHODS
from ostiary_core.upstream_faults import GATEWAY_ERRORS
from ostiary_core.version import __version__
from ostiary_gateway.errors import AttemptFailed, UpstreamFault
from ostiary_gateway.pipeline import record, server_revisions
from ostiary_gateway.pipeline.circuit_stage import admitted
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.mirrored_headers import encoded
from ostiary_gateway.pipeline.own_request import OwnRequest, own_id
from ostiary_gateway.pipeline.passed_on_credential import passed_on
from ostiary_gateway.pipeline.pinned_sessions.session_endpoint import endpoint_of
from ostiary_gateway.pipeline.retries.attempts import Attempts
from ostiary_gateway.pipeline.retries.driver import attempts_of_own, next_attempt, number_attempt
from ostiary_gateway.pipeline.server_answer import ServerAnswer, fault_of, read_answer, refused, status_fault
from ostiary_gateway.telemetry import ClientSpan, ServerSpan
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.circuit_breaker import CircuitPermit
from ostiary_gateway.upstream.http1 import request_head as http1
from ostiary_gateway.upstream.http1.request_head import Transmission
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse
from ostiary_gateway.upstream.server import UpstreamServer

#: How the gateway names itself to servers, as a client (specification, Implementation), and to clients, as a server.
GATEWAY_INFO: Final[Mapping[str, str]] = {"name": "ostiary", "title": "Ostiary", "version": __version__}


async def ask(
    exchange: Exchange,
    server: UpstreamServer,
    request: OwnRequest,
    *,
    span: ServerSpan,
    seconds: float,
    transmission: Transmission | None = None,
) -> ServerAnswer:
    """Send a request of the gateway's own to a server, and return its answer.

    All of it comes within ``seconds``. Requests of the server in between are refused, and its notifications ignored.
    ``transmission`` is told once it is written.

    An answer with a JSON-RPC error or an HTTP error status is returned: :func:`.server_answer.fault_of` says what it
    means where a result is needed. The server's health is told in either case.

    Raises:
        UpstreamFault: no connection, no credential, not in time, too large, or not MCP.
    """
    attempts = attempts_of_own(server, request, seconds=seconds, told=transmission)
    with admitted(
        exchange, server, span, is_request=not request.is_notification, is_pinned=bool(request.endpoint)
    ) as permit:
        while True:
            try:
                return await _attempt(exchange, server, request, span, seconds, transmission, permit, attempts)
            except AttemptFailed as failed:
                pause = failed.seconds
            await asyncio.sleep(pause)


async def _attempt(
    exchange: Exchange,
    server: UpstreamServer,
    request: OwnRequest,
    span: ServerSpan,
    seconds: float,
    transmission: Transmission | None,
    permit: CircuitPermit | None,
    attempts: Attempts | None,
) -> ServerAnswer:
    """Send a request once.

    Raises:
        AttemptFailed: it failed, and is sent again.
        UpstreamFault: see :func:`ask`.
    """
    identifier = None if request.is_notification else own_id()
    with own_span(span, server, request, identifier) as client:
        number_attempt(client, attempts)
        try:
            async with asyncio.timeout(seconds if attempts is None else attempts.seconds_left):
                answer = await _ask(exchange, server, request, identifier, client, transmission, attempts)
        except TimeoutError as error:
            words = f"the server did not answer {request.method} within {seconds:g} s"
            raise report_fault(server, client, UpstreamFault(faults.TIMEOUT, words), permit, attempts) from error
        except UpstreamFault as found:
            raise report_fault(server, client, found, permit, attempts) from found
        if attempts is not None and answer.status in GATEWAY_ERRORS:
            fault = status_fault(server, answer)
            if (failed := next_attempt(server, client, attempts, fault)) is not None:
                raise failed from fault
        _report(server, answer, client, permit)
        if (method := METHODS.get(request.method)) is not None and request.method in server_revisions.TEACHING:
            server_revisions.learn_of(server, method, request.params, answer.message)
        return answer


def own_span(span: ServerSpan, server: UpstreamServer, request: OwnRequest, identifier: str | None) -> ClientSpan:
    """Begin the span of a request of the gateway's own."""
    return span.client(
        server_name=server.name,
        address=server.address,
        port=server.port,
        method=request.method,
        target=request.name or None,
        request_id=identifier,
        protocol_version=request.revision or None,
        session_id=request.session_id,
    )


async def _ask(
    exchange: Exchange,
    server: UpstreamServer,
    request: OwnRequest,
    identifier: str | None,
    client: ClientSpan,
    transmission: Transmission | None,
    attempts: Attempts | None,
) -> ServerAnswer:
    body = own_body(request, identifier, client)
    response = await send_own(exchange, server, request, body, client, transmission, attempts)
    if response.endpoint is not None:
        client.reach(response.endpoint.peer)

    async def answer_server(message: dict[str, Any]) -> None:
        if not request.is_modern:  # in that era servers send no requests
            text = strict_json.dumps(refused(message))
            (await send_own(exchange, server, request, text, client)).close()

    try:
        return await read_answer(exchange, response, own_id=identifier, answer_server=answer_server)
    finally:
        response.close()


async def send_own(
    exchange: Exchange,
    server: UpstreamServer,
    request: OwnRequest,
    body: bytes | None,
    client: ClientSpan,
    transmission: Transmission | None = None,
    attempts: Attempts | None = None,
) -> UpstreamResponse:
    """Send a request of the gateway's own with this body, and return the response.

    Its head has not been judged.

    Raises:
        UpstreamFault: no connection, no credential, or no head in time.
    """
    lines = own_lines(exchange, server, request, client)
    caller = exchange.upstream_caller if server.needs_caller else None
    if attempts is not None:
        return await attempts.request(request.http_method, lines, body, passed=exchange.passed, caller=caller)
    return await server.request(
        request.http_method,
        lines,
        body,
        passed=exchange.passed,
        repeatable=request.is_repeatable,
        caller=caller,
        transmission=transmission,
        endpoint=endpoint_of(server, request.endpoint),
    )


def own_lines(exchange: Exchange, server: UpstreamServer, request: OwnRequest, client: ClientSpan) -> bytes:
    """Return the headers of a request of the gateway's own, without those of every request.

    Raises:
        UpstreamFault: one of them is not permitted in a header.
    """
    headers: dict[str, str] = {}
    if request.session_id is not None:
        headers["Mcp-Session-Id"] = request.session_id
    if request.revision:
        headers["MCP-Protocol-Version"] = request.revision
    if request.is_modern:
        headers["Mcp-Method"] = request.method
        if name := request.name:
            headers["Mcp-Name"] = encoded(name)
    lines = http1.lines(headers) if headers else b""
    if (given := passed_on(exchange, server)) is not None:
        lines += http1.private_line("Authorization", given)
    return lines + http1.lines(client.headers())


def own_body(request: OwnRequest, identifier: str | None, client: ClientSpan) -> bytes:
    """Serialise the request, with its envelope and our trace context.

    Raises:
        UpstreamFault: it holds something that JSON cannot represent.
    """
    meta: dict[str, Any] = dict(request.params.get("_meta") or {})
    if request.is_modern:
        envelope = {META_CLIENT_CAPABILITIES: {}, META_CLIENT_INFO: dict(GATEWAY_INFO)}
        meta = {**envelope, **meta, META_PROTOCOL_VERSION: request.revision}
    meta.update(client.context)
    params = {**request.params, "_meta": meta} if meta else request.params
    body: dict[str, Any] = {"jsonrpc": "2.0", "method": request.method}
    if identifier is not None:
        body["id"] = identifier
    if params:
        body["params"] = params
    try:
        return strict_json.dumps(body)
    except StrictJSONError as error:
        raise UpstreamFault(faults.INVALID, f"{request.method} cannot be sent: {error}") from None


def report_fault(
    server: UpstreamServer,
    client: ClientSpan,
    found: UpstreamFault,
    permit: CircuitPermit | None = None,
    attempts: Attempts | None = None,
) -> UpstreamFault | AttemptFailed:
    """Report a fault of the server.

    Return it as callers see it, or that the request is sent again.
    """
    if attempts is not None:
        failed = next_attempt(server, client, attempts, found)
        if failed is not None:
            return failed
    fault = server.as_seen(found)
    fault.message = server.credential.redacted(fault.message)
    record.failed(client, fault)
    server.health.failed(fault)
    if permit is not None:
        permit.failed(fault)
    return fault if attempts is None else attempts.told_to_caller(fault)


def _report(server: UpstreamServer, answer: ServerAnswer, client: ClientSpan, permit: CircuitPermit | None) -> None:
    """Report an answer to span and health: any whole one below HTTP 500 is a sign of life."""
    fault = fault_of(server, answer) if not answer.message and answer.status >= 300 else None
    client.respond(code=answer.error_code, http_status=answer.status)
    if server.sends_calls_only:  # the gateway has answered in its place
        return
    if fault is None:
        server.health.succeeded()
    elif fault.kind in (faults.INVALID, faults.REDIRECTED):
        server.health.responded()
    else:
        server.health.failed(fault)
    if permit is not None:
        permit.succeeded() if fault is None else permit.failed(fault)
