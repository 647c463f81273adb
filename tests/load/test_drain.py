"""After SIGTERM every accepted call is answered, also while load balancers update."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from configs import entry
from mcp_clients import eventually
from minimal_http import MinimalCaller, minimal_callers, minimal_server
from ready_gateway import readiness, ready_gateway, upstream_at
from timeouts import TIMEOUT_SECONDS

DELAY = 1.5


class Tally:
    """How the calls of all callers ended."""

    def __init__(self) -> None:
        self.served = self.refused = self.unanswered = 0
        self.leaving = False
        self.served_while_leaving = 0

    async def call_on(self, caller: MinimalCaller) -> None:
        """Call again and again, on kept connections and new ones, until there is no gateway any more."""
        while True:
            try:
                status = await caller.call()
            except ConnectionRefusedError:
                return
            except OSError:
                caller.close()
                self.unanswered += 1
                continue
            self.served += status == 200
            self.served_while_leaving += status == 200 and self.leaving
            self.refused += status == 503


async def test_no_response_is_lost_when_a_gateway_is_terminated(tmp_path: Path) -> None:
    tally = Tally()
    async with minimal_server() as server:
        mock = entry("mock", servers=[upstream_at(server.url)])
        async with (
            ready_gateway(tmp_path, mock, delay=DELAY) as gateway,
            minimal_callers(gateway.port, "mock", 8) as callers,
        ):
            calling = [asyncio.create_task(tally.call_on(caller)) for caller in callers]
            await eventually(lambda: tally.served > 100)
            gateway.terminate()
            await eventually(is_leaving(lambda: readiness(gateway)))
            tally.leaving = True
            assert (tally.refused, tally.unanswered) == (0, 0)
            assert await gateway.ended() == 0
            await asyncio.wait_for(asyncio.gather(*calling), TIMEOUT_SECONDS)
        assert tally.served == server.calls  # whatever the server did, its caller has heard of it
        assert tally.served_while_leaving > 10
        assert "unanswered" not in gateway.log
        assert "Traceback" not in gateway.log


def is_leaving(status: Callable[[], Awaitable[int]]) -> Callable[[], Awaitable[bool]]:
    async def asked() -> bool:
        return await status() == 503

    return asked


async def test_while_it_leaves_each_answer_asks_the_caller_to_come_back_elsewhere(tmp_path: Path) -> None:
    async with minimal_server() as server:
        mock = entry("mock", servers=[upstream_at(server.url)])
        async with (
            ready_gateway(tmp_path, mock, delay=DELAY) as gateway,
            minimal_callers(gateway.port, "mock", 1) as [caller],
        ):
            assert await caller.call() == 200
            assert caller.connected
            gateway.terminate()
            await eventually(is_leaving(lambda: readiness(gateway)))
            assert await caller.call() == 200
            assert not caller.connected
            assert await caller.call() == 200  # and a new connection is still welcome
            assert await gateway.ended() == 0


async def test_calls_in_flight_when_the_delay_is_over_are_answered(tmp_path: Path) -> None:
    async with minimal_server() as server:
        mock = entry("mock", servers=[upstream_at(server.url)])
        async with ready_gateway(tmp_path, mock) as gateway, minimal_callers(gateway.port, "mock", 50) as callers:
            server.gate.clear()
            calls = [asyncio.create_task(caller.call()) for caller in callers]
            await eventually(lambda: server.calls == 50)
            gateway.terminate()
            await eventually(is_leaving(lambda: readiness(gateway)))
            server.gate.set()
            assert set(await asyncio.gather(*calls)) == {200}
            assert await gateway.ended() == 0
