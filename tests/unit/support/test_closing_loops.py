import asyncio
import socket

from ostiary_gateway.asyncio_internals import is_unsent

_MORE_THAN_KERNELS_TAKE = b"x" * (64 << 20)


async def _left_open() -> list[socket.socket]:
    """Leave a connection open whose client waits to send what its server does not read; return both ends' sockets."""
    loop = asyncio.get_running_loop()
    accepted: asyncio.Queue[asyncio.BaseTransport] = asyncio.Queue()

    class Server(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            transport.pause_reading()
            accepted.put_nowait(transport)

    server = await loop.create_server(Server, "127.0.0.1", 0)
    client, _ = await loop.create_connection(asyncio.Protocol, *server.sockets[0].getsockname())
    client.write(_MORE_THAN_KERNELS_TAKE)
    client.close()
    assert is_unsent(client)
    ends = [client, await accepted.get()]
    server.close()
    return [each.get_extra_info("socket")._sock for each in ends]  # asyncio shows a wrapper of each socket


def test_a_loop_that_is_closed_closes_connections_that_still_wait_to_send() -> None:
    sockets = asyncio.run(_left_open())

    assert [each.fileno() for each in sockets] == [-1, -1]


async def _closed_while_sending() -> asyncio.WriteTransport:
    """Close a connection before all is sent, and wait until it is; return its transport."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    class Client(asyncio.Protocol):
        def connection_lost(self, _: Exception | None) -> None:
            ended.set_result(None)

    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    client, _ = await loop.create_connection(Client, *server.sockets[0].getsockname())
    client.write(_MORE_THAN_KERNELS_TAKE)
    client.close()
    await ended
    server.close()
    return client


def test_a_connection_that_was_closed_while_it_was_sending_lets_its_loop_be_closed() -> None:
    assert asyncio.run(_closed_while_sending()).is_closing()
