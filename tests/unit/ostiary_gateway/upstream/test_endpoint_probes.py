"""Endpoints that do not respond to probes get no requests, and any whole answer below 500 is a response."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from gateways import LONG_TIMEOUTS, LOOPBACK
from mcp_clients import eventually
from scripted_server import Script, read_request, scripted
from waiting import for_ever

from ostiary_core.contract.documents import ServerConfig
from ostiary_core.contract.server_resilience import ActiveHealthCheckConfig, EndpointConfig, HealthCheckConfig
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.endpoint_set import EndpointSet
from ostiary_gateway.upstream.server import UpstreamServer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
#: Long enough for a busy machine where an answer is due, and short where none comes.
SLOW, QUICK = 30_000, 300


def always(answer: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(answer)
            await writer.drain()

    return script


@asynccontextmanager
async def probed(scripts: Sequence[Script], *, milliseconds: int = SLOW) -> AsyncIterator[EndpointSet]:
    """The endpoints of a server with these scripts, probed often."""
    active = ActiveHealthCheckConfig(interval=20, timeout=milliseconds, unhealthy_threshold=2)
    async with AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(scripted(script)) for script in scripts]
        document = ServerConfig(
            name="up",
            url="http://mock.example/mcp",
            timeouts=LONG_TIMEOUTS,
            addresses=LOOPBACK,
            endpoints=[EndpointConfig(address="127.0.0.1", port=port) for port in ports],
            health_check=HealthCheckConfig(active=active),
        )
        server = UpstreamServer(document, own=OwnEndpoints(), connections=1, proxy="default/a", mark="m")
        assert server.endpoints is not None
        server.start()
        try:
            yield server.endpoints
        finally:
            server.close()
            await server.ended()


def unhealthy(endpoints: EndpointSet) -> list[bool]:
    return [each.is_unhealthy for each in endpoints]


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await for_ever()


async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n{")
    await writer.drain()


@pytest.mark.parametrize(
    ("script", "milliseconds"),
    [
        (always(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"), SLOW),
        (always(b"HTTP/1.1 503 Full\r\nContent-Length: 0\r\n\r\n"), SLOW),
        (always(b"SSH-2.0-OpenSSH\r\n"), SLOW),
        (half, SLOW),
        (silent, QUICK),
    ],
    ids=["500", "503", "not HTTP", "broken off", "silent"],
)
async def test_an_endpoint_that_does_not_respond_gets_no_requests(script: Script, milliseconds: int) -> None:
    async with probed([script, always(OK)], milliseconds=milliseconds) as endpoints:
        await eventually(lambda: unhealthy(endpoints) == [True, False])
        assert {each.state for each in (endpoints.pick() for _ in range(50))} == {"ready"}
        assert endpoints.states["unhealthy"] == 1


@pytest.mark.parametrize("status", [b"200 OK", b"202 Accepted", b"400 No", b"401 Who", b"404 Where", b"405 How"])
async def test_any_whole_answer_below_500_is_life(status: bytes) -> None:
    asked = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await read_request(reader)
        asked += 1
        writer.write(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)
        await writer.drain()

    async with probed([script]) as endpoints:
        await eventually(lambda: asked > 4)
        assert unhealthy(endpoints) == [False]


async def test_of_an_answer_without_end_a_part_is_read_and_passes() -> None:
    asked = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await read_request(reader)
        asked += 1
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 16_384)
            await writer.drain()

    async with probed([script]) as endpoints:
        await eventually(lambda: asked > 4)
        assert unhealthy(endpoints) == [False]


async def test_one_that_responds_again_gets_requests_again() -> None:
    answer = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        await writer.drain()

    async with probed([script, always(OK)]) as endpoints:
        await eventually(lambda: unhealthy(endpoints) == [True, False])
        answer = OK
        await eventually(lambda: unhealthy(endpoints) == [False, False])


async def test_with_no_endpoint_that_responds_requests_are_tried_all_the_same() -> None:
    broken = always(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
    async with probed([broken, broken]) as endpoints:
        await eventually(lambda: unhealthy(endpoints) == [True, True])
        assert endpoints.pick().is_unhealthy


async def test_a_probe_is_a_ping_in_no_session_with_the_headers_of_the_server_and_counts_as_no_request() -> None:
    heads: list[tuple[bytes, bytes]] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_request(reader))
        writer.write(OK)
        await writer.drain()

    async with probed([script]) as endpoints:
        await eventually(lambda: len(heads) > 1)
        assert endpoints.open_requests == 0
    head, body = heads[0]
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /mcp HTTP/1.1"
    assert {b"Host: mock.example", b"Mcp-Session-Id: ostiary-probe", b"Via: 1.1 m"} <= set(lines)
    assert json.loads(body)["method"] == "ping"


async def test_an_endpoint_that_hangs_is_probed_by_one_probe_at_a_time() -> None:
    connections = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await for_ever()

    asked = 0

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await read_request(reader)
        asked += 1
        writer.write(OK)
        await writer.drain()

    async with probed([script, other]):
        await eventually(lambda: asked > 10)
        assert connections == 1


async def test_probes_end_with_their_server() -> None:
    async with probed([always(OK)]) as endpoints:
        probes = endpoints.probes
        assert probes is not None
        await eventually(lambda: bool(probes._probes))
    assert not probes._probes
    assert probes._rounds is not None
    assert probes._rounds.done()
