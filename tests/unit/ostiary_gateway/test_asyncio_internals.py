"""What is adjusted of asyncio's transports, and what of them stays as it is."""

import asyncio
from operator import attrgetter

from ostiary_gateway.asyncio_internals import READ_BYTES, limit_read_size

mark = attrgetter("_low_water")


async def held(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hold a connection open until its client closes it."""
    await reader.read()
    writer.close()


async def test_transports_read_little_at_once_and_share_the_number_at_which_writers_go_on() -> None:
    async with await asyncio.start_server(held, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        writers = [(await asyncio.open_connection(host, port))[1] for _ in range(3)]
        one, other, changed = transports = [writer.transport for writer in writers]
        limits = one.get_write_buffer_limits()
        changed.set_write_buffer_limits(high=4000)
        for transport in transports:
            limit_read_size(transport)
        assert vars(one)["max_size"] == READ_BYTES
        assert mark(one) is mark(other)
        assert one.get_write_buffer_limits() == other.get_write_buffer_limits() == limits
        assert changed.get_write_buffer_limits() == (1000, 4000)
        for writer in writers:
            writer.close()
            await writer.wait_closed()
