"""Which address a server is connected to, and how its name is resolved."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import pytest
from mcp_clients import eventually
from scripted_server import answering, scripted
from timeouts import TIMEOUT_SECONDS
from upstream_pool import OK, REQUEST, body

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints, networks
from ostiary_gateway.upstream.http1.dialer import Dialer, Resolver
from ostiary_gateway.upstream.http1.upstream_connection import UpstreamConnection


async def test_loopback_is_not_connected_to_without_a_grant() -> None:
    async with scripted(answering(OK)) as port:
        dialer = Dialer("localhost", port, 2.0, None, None, (), OwnEndpoints())
        with pytest.raises(UpstreamFault) as refused:
            await dialer.dial()

    assert refused.value.kind == faults.ADDRESS_FORBIDDEN


async def test_a_port_without_a_listener_is_unreachable() -> None:
    async with scripted(answering(OK)) as port:
        pass
    dialer = Dialer("127.0.0.1", port, 2.0, None, None, networks(["127.0.0.0/8"]), OwnEndpoints())
    with pytest.raises(UpstreamFault) as refused:
        await dialer.dial()

    assert refused.value.kind == faults.UNREACHABLE


async def test_an_address_that_does_not_answer_does_not_use_up_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(answering(OK)) as port, deaf_at("127.0.0.2", port):
        dialer = dialing(monkeypatch, port, "127.0.0.2", "127.0.0.1")
        connection = await dialer.dial()
        assert await body(await connection.exchange(REQUEST, seconds=TIMEOUT_SECONDS)) == b"ok"
        connection.close()


async def test_an_address_that_refuses_is_followed_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(answering(OK)) as port:
        dialer = dialing(monkeypatch, port, "127.0.0.3", "127.0.0.4", "127.0.0.1")
        connection = await dialer.dial()
        assert await body(await connection.exchange(REQUEST, seconds=TIMEOUT_SECONDS)) == b"ok"
        connection.close()


async def test_where_every_address_refuses_the_last_one_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(answering(OK)) as port:
        with pytest.raises(UpstreamFault, match=r"127\.0\.0\.4") as refused:
            await dialing(monkeypatch, port, "127.0.0.3", "127.0.0.4").dial()
    assert refused.value.kind == faults.UNREACHABLE


async def test_of_two_addresses_that_answer_at_once_one_connection_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    connect, both, made = Dialer._connect, asyncio.Barrier(2), []

    async def together(dialer: Dialer, _: str) -> UpstreamConnection:
        connection = await connect(dialer, "127.0.0.1")
        made.append(connection)
        await both.wait()
        return connection

    monkeypatch.setattr(Dialer, "_connect", together)
    async with scripted(answering(OK)) as port:
        kept = await dialing(monkeypatch, port, "127.0.0.1", "127.0.0.2").dial()
        await eventually(lambda: [connection for connection in made if connection.usable] == [kept])
        kept.close()
    assert len(made) == 2


def dialing(monkeypatch: pytest.MonkeyPatch, port: int, *addresses: str) -> Dialer:
    """A dialer for a name that resolves to these."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
    return Dialer("upstream.example", port, 5.0, None, None, networks(["127.0.0.0/8"]), OwnEndpoints())


@asynccontextmanager
async def deaf_at(address: str, port: int) -> AsyncIterator[None]:
    """A port whose backlog is full, so that a connection to it hangs."""
    with socket.socket() as server, ExitStack() as waiting:
        server.bind((address, port))
        server.listen(0)
        for _ in range(4):
            each = waiting.enter_context(socket.socket())
            each.setblocking(False)
            each.connect_ex((address, port))
        yield


async def test_a_name_of_the_internet_is_resolved_as_written_before_search_domains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def resolver(host: str, *_: object, **__: object) -> list[object]:
        asked.append(host)
        if host in {"none.example.com.", "db.internal.corp."}:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        if host == "again.example.com.":
            raise socket.gaierror(socket.EAI_AGAIN, "come again")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]

    monkeypatch.setattr("socket.getaddrinfo", resolver)
    for host in ("api.example.com", "crm.tools.svc.cluster.local", "crm.tools.svc", "crm.tools", "crm"):
        assert await Resolver(host, 80).addresses() == ["192.0.2.1"]
    assert asked == ["api.example.com.", "crm.tools.svc.cluster.local.", "crm.tools.svc", "crm.tools", "crm"]
    assert await Resolver("db.internal.corp", 80).addresses() == ["192.0.2.1"]
    assert asked[5:] == ["db.internal.corp.", "db.internal.corp"]
    with pytest.raises(socket.gaierror, match="come again"):
        await Resolver("again.example.com", 80).addresses()
