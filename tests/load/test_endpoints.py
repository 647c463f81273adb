"""Eight endpoints under load, as processes: four are killed, or hang, and only what was in flight there suffers.

How soon and how fast is measured elsewhere; here it is who is answered, and that nothing is sent twice.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from endpoint_processes import EndpointProcess, endpoint_processes
from gateways import RunningGateway
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import eventually

CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
CALLERS = 24
#: Answers after an incident until a test has seen enough.
ENOUGH = 300
PASSIVE = {"passive": {"consecutive_gateway_errors": 5, "base_ejection_time": 30_000, "max_ejection_percent": 50}}
BREAKER = {"error_percent": 50, "minimum_requests": 20, "interval": 10_000, "open_for": 30_000}
RETRY = {"attempts": 1, "backoff": 25, "budget": {"percent": 20, "interval": 10_000}}


@dataclass
class Load:
    """Callers that call again as soon as they are answered, and what came of it."""

    answered: int = 0
    by: set[str] = field(default_factory=set)
    """The endpoints that answered calls which began after the last incident."""
    failed: list[tuple[int, str]] = field(default_factory=list)
    """Of each call that failed: the number of incidents when it began, and the reason."""
    incidents: int = 0

    async def run(self, caller: McpCaller) -> None:
        """Call until cancelled."""
        while True:
            began = self.incidents
            reply = await caller.post(CALL)
            if "error" in reply.json:
                self.failed.append((began, reply.error["data"]["reason"]))
                continue
            self.answered += 1
            if began == self.incidents:
                self.by.add(reply.result["content"][0]["text"])

    async def more(self, count: int = ENOUGH) -> None:
        """Wait for as many further answers."""
        wanted = self.answered + count
        await eventually(lambda: self.answered >= wanted)


@dataclass
class Scene:
    endpoints: list[EndpointProcess]
    load: Load


@pytest.fixture
async def scene(gateway: RunningGateway) -> AsyncIterator[Scene]:
    with endpoint_processes(8) as endpoints:
        server = {"endpoints": [each.place for each in endpoints], "health_check": PASSIVE, "retry": RETRY}
        server["circuit_breaker"] = BREAKER
        await gateway.apply(gateway.entry("mock", "http://mock.example/mcp", server=server))
        async with under_load(gateway) as load:
            await load.more()
            await eventually(lambda: len(load.by) == 8)
            yield Scene(endpoints, load)


@asynccontextmanager
async def under_load(gateway: RunningGateway) -> AsyncIterator[Load]:
    load = Load()
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(mcp_caller(gateway.url())) for _ in range(CALLERS)]
        tasks = [asyncio.create_task(load.run(each)) for each in callers]
        try:
            yield load
        finally:
            ended = [each.exception() for each in tasks if each.done()]
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert ended == []


async def test_of_eight_endpoints_four_are_killed_and_only_calls_in_flight_there_fail(scene: Scene) -> None:
    load = scene.load
    for each in scene.endpoints[:4]:
        each.kill()
    load.incidents += 1
    load.by.clear()
    await load.more()
    assert all(began == 0 for began, _ in load.failed), "a call that began later went to an endpoint that is gone"
    assert len(load.failed) <= CALLERS
    assert {reason for _, reason in load.failed} <= {"UpstreamReset"}
    assert load.by == {str(each.process.pid) for each in scene.endpoints[4:]}


async def test_of_eight_endpoints_four_hang_and_the_others_serve_on(scene: Scene) -> None:
    load = scene.load
    for each in scene.endpoints[:4]:
        each.stop()
    load.incidents += 1
    load.by.clear()
    await load.more()
    assert load.by == {str(each.process.pid) for each in scene.endpoints[4:]}
    for each in scene.endpoints[:4]:
        each.go_on()
    await eventually(lambda: len(load.by) == 8)
    assert load.failed == [], "what waited was answered, and nothing was given up"
