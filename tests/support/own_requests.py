"""An exchange of a running gateway, for what the gateway itself asks its server, and a server of scripted answers.

async with own_requests(answers) as (exchange, server, received):
    await ask(exchange, server, OwnRequest(…), span=span_of(exchange), seconds=…)
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, cast

from gateways import BOUNDS, running_gateway
from scripted_server import read_request, scripted

from ostiary_core.contract.bounds import BoundsConfig
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.server.request import Request
from ostiary_gateway.telemetry import ServerSpan, Telemetry
from ostiary_gateway.upstream.server import UpstreamServer

#: Returns the bytes of a response to one message; None closes the connection.
Answer = Callable[[dict[str, Any]], bytes | None]


class Received(NamedTuple):
    """One request as its server got it: the head in lower case, and the message."""

    head: str
    message: dict[str, Any]


class OwnRequests(NamedTuple):
    """An exchange that has been routed, its server, and what that server received so far."""

    exchange: Exchange
    server: UpstreamServer
    received: list[Received]


def http_response(body: bytes, *, status: int = 200, kind: str = "application/json", **headers: str) -> bytes:
    """A whole response."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def result(message: Mapping[str, Any], **members: Any) -> bytes:
    """A JSON response to a message with this result."""
    return http_response(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": members}).encode())


def events(*messages: Mapping[str, Any]) -> bytes:
    """A response that is a stream of these messages."""
    body = b"".join(b"data: " + json.dumps(message).encode() + b"\n\n" for message in messages)
    return http_response(body, kind="text/event-stream")


def exchange_of(request: Request, snapshot: Any, proxy: Any) -> Exchange:
    """An exchange as the route stage leaves it."""
    return Exchange(request, snapshot, proxy)


def span_of(telemetry: Telemetry | None = None) -> ServerSpan:
    """A span that no exporter gets."""
    return (telemetry or Telemetry.disabled()).server_span(http_method="POST", traceparent=None, tracestate=None)


def request_with(headers: Mapping[str, str] | None = None) -> Request:
    """A POST whose connection is of no interest."""
    return Request(
        cast("Any", None),
        method="POST",
        target="/mock/mcp",
        headers=headers or {},
        repeated=frozenset(),
        minor_version=1,
        keep_alive=True,
    )


@asynccontextmanager
async def own_requests(
    answer: Answer | bytes | None,
    *,
    bounds: BoundsConfig = BOUNDS,
    headers: Mapping[str, str] | None = None,
    **entry: Any,
) -> AsyncIterator[OwnRequests]:
    """A gateway with one proxy, whose server gives each message this answer, or closes the connection for None."""
    received: list[Received] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await read_request(reader)
            received.append(Received(head.decode().lower(), json.loads(body)))
            response = answer(received[-1].message) if callable(answer) else answer
            if response is None:
                return
            writer.write(response)
            await writer.drain()

    async with scripted(script) as port, running_gateway(bounds=bounds) as gateway:
        await gateway.apply(gateway.entry("mock", f"http://127.0.0.1:{port}/mcp", **entry))
        snapshot = gateway.app.store.snapshot
        assert snapshot is not None
        proxy = snapshot.proxies["default/mock"]
        yield OwnRequests(exchange_of(request_with(headers), snapshot, proxy), proxy.server, received)
