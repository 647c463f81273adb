"""Streams of the gateway's own from a server, and the end of sessions with it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ostiary_gateway.errors import AttemptFailed, UpstreamFault
from ostiary_gateway.pipeline.circuit_stage import admitted, note_head
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.own_request import OwnRequest, own_id
from ostiary_gateway.pipeline.retries.attempts import Attempts
from ostiary_gateway.pipeline.retries.driver import attempts_of_stream, number_attempt
from ostiary_gateway.pipeline.server_request import own_body, own_span, report_fault, send_own
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.telemetry import ClientSpan, ServerSpan
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse
from ostiary_gateway.upstream.server import UpstreamServer


@asynccontextmanager
async def own_stream(
    exchange: Exchange, server: UpstreamServer, request: OwnRequest, *, span: ServerSpan
) -> AsyncIterator[UpstreamResponse]:
    """Open a stream of the gateway's own: a listen, or a GET if that is the method.

    Yields the response as it arrives, whatever its status is; it is closed at the end.

    Raises:
        UpstreamFault: no connection, no credential, or no head in time.
    """
    attempts = attempts_of_stream(server, request.endpoint)
    with admitted(exchange, server, span) as permit:
        while True:
            identifier = None if request.method == "GET" else own_id()
            with own_span(span, server, request, identifier) as client:
                number_attempt(client, attempts)
                try:
                    response = await _opened(exchange, server, request, identifier, client, attempts)
                except UpstreamFault as found:
                    failed = report_fault(server, client, found, permit, attempts)
                    if not isinstance(failed, AttemptFailed):
                        raise failed from found
                else:
                    client.respond(http_status=response.status)
                    if permit is not None:
                        note_head(permit, response)
                    try:
                        yield response
                    finally:
                        response.close()
                    return
            await asyncio.sleep(failed.seconds)


async def _opened(
    exchange: Exchange,
    server: UpstreamServer,
    request: OwnRequest,
    identifier: str | None,
    client: ClientSpan,
    attempts: Attempts | None,
) -> UpstreamResponse:
    body = own_body(request, identifier, client) if identifier is not None else None
    return await send_own(exchange, server, request, body, client, attempts=attempts)


async def end_session(
    exchange: Exchange, server: UpstreamServer, session: UpstreamSession, *, span: ServerSpan, seconds: float
) -> None:
    """End a session with a server (specification, Session Management).

    One that it has forgotten is not there either.

    Raises:
        UpstreamFault: no connection, or no answer in time: the server ends the session by itself at some time.
    """
    request = OwnRequest("DELETE", {}, session.revision, session.upstream_id, session.endpoint)
    with own_span(span, server, request, None) as client:
        try:
            async with asyncio.timeout(seconds):
                response = await send_own(exchange, server, request, None, client)
        except TimeoutError as error:
            fault = UpstreamFault(faults.TIMEOUT, f"the server did not answer DELETE within {seconds:g} s")
            raise report_fault(server, client, fault) from error
        except UpstreamFault as found:
            raise report_fault(server, client, found) from found
        response.close()
        client.respond(http_status=response.status)
