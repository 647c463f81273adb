import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from mcp_clients import ERAS, Era, connect
from timeouts import TIMEOUT_SECONDS

from ostiary_operator.demo.mock_server import service
from ostiary_operator.demo.mock_server.service import ListenError, serve


@asynccontextmanager
async def _serving() -> AsyncIterator[str]:
    """The server inside this process, as another command may run it in addition to its own work."""
    stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(port=0, stop=stop, ready=url.set_result))
    try:
        yield await url
    finally:
        stop.set()
        await asyncio.wait_for(serving, TIMEOUT_SECONDS)


@pytest.mark.parametrize("era", ERAS)
async def test_it_runs_inside_another_process(era: Era) -> None:
    async with _serving() as url, connect(url, era=era) as client:
        answer = await client.call_tool("add", {"a": 2, "b": 2})

    assert answer.structured_content == {"sum": 4}


async def test_it_leaves_the_signals_to_its_caller() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with _serving():
        during = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    assert during == before


async def test_two_servers_do_not_share_their_data() -> None:
    async with (
        _serving() as one,
        _serving() as two,
        connect(one, era="modern") as writer,
        connect(two, era="modern") as reader,
    ):
        await writer.call_tool("delete_user", {"user_id": 1})
        answer = await reader.call_tool("get_user", {"user_id": 1})

    assert not answer.is_error


async def test_a_port_in_use_is_distinguished_from_an_address_of_another_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ListenError) as busy:
        await serve(port=taken.getsockname()[1], stop=asyncio.Event())
    with pytest.raises(ListenError) as foreign:
        await serve(host="192.0.2.1", port=0, stop=asyncio.Event())
    with pytest.raises(ListenError) as unknown:
        await serve(host="no-such-host.invalid", port=0, stop=asyncio.Event())

    assert busy.value.port_refused
    assert not foreign.value.port_refused
    assert not unknown.value.port_refused


def test_the_listener_says_that_it_is_tcp() -> None:
    # Without it asyncio leaves Nagle's algorithm on, and a JSON answer waits 40 ms for an acknowledgement.
    with service._listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "localhost"), ("::1", "[::1]"), ("mock.test", "mock.test")],  # noqa: S104  only shown
)
def test_the_url_that_is_shown_can_be_opened(host: str, shown: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert service._url(host, listener) == f"http://{shown}:{listener.getsockname()[1]}/mcp"
