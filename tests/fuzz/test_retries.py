"""Whatever fails in an exchange, no call is carried out twice that its server's policy does not repeat."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from faulty_endpoints import Fault, FaultyServer, faulty_endpoints
from gateways import LONG_TIMEOUTS, LOOPBACK, RunningGateway, running_gateway
from hypothesis import event, given
from hypothesis import strategies as st
from mcp_caller import LEGACY, MODERN, McpCaller, legacy, mcp_caller, modern
from mcp_clients import eventually

from ostiary_core.contract.documents import ServerConfig
from ostiary_core.contract.server_selection import RoutingRuleConfig

#: The tools that ``names`` repeats, that a hint repeats, and that nothing repeats.
NAMED, HINTED, PLAIN = "get_users", "read_file", "create_user"
TOOLS = [
    {"name": name, "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": name == HINTED}}
    for name in (NAMED, HINTED, PLAIN)
]


@dataclass(frozen=True)
class Scene:
    """A server or two, what they repeat, the calls of a client, and what happens to them in this order."""

    selection: str | None
    revision: str | None
    attempts: int
    tools: dict[str, list[str]] | None
    dead: int
    has_sessions: bool
    calls: tuple[tuple[bool, str, bool], ...]
    faults: tuple[Fault, ...]


SCENES = st.builds(
    Scene,
    selection=st.sampled_from([None, "Merge", "Route"]),
    revision=st.sampled_from([None, MODERN, LEGACY]),
    attempts=st.integers(0, 3),
    tools=st.sampled_from([None, {"names": ["get_*"]}, {"hints": ["readOnlyHint"]}]),
    dead=st.integers(0, 2),
    has_sessions=st.booleans(),
    calls=st.lists(
        st.tuples(st.booleans(), st.sampled_from([NAMED, HINTED, PLAIN]), st.booleans()), min_size=1, max_size=3
    ).map(tuple),
    faults=st.lists(st.sampled_from([fault for fault in Fault if fault is not Fault.HANG]), max_size=8).map(tuple),
)


class Running:
    """A gateway and two servers in a loop of their own."""

    def __init__(self, runner: asyncio.Runner, gateway: RunningGateway, servers: list[FaultyServer]) -> None:
        self._runner = runner
        self._gateway = gateway
        self._servers = servers

    def play(self, scene: Scene) -> Counter[str]:
        """How often each call was carried out, by its mark."""
        return self._runner.run(self._play(scene))

    async def _play(self, scene: Scene) -> Counter[str]:
        for server in self._servers:
            server.plan()
            server.has_sessions = scene.has_sessions
        await self._gateway.apply(self._entry(scene))
        async with mcp_caller(self._gateway.url()) as caller:
            await caller.post(modern("tools/list"))  # hints are learned
            session = await self._session(caller) if scene.has_sessions else {}
            for server in self._servers:
                server.plan(*scene.faults, method="tools/call" if scene.has_sessions else None)
            for number, (is_modern, tool, has_state) in enumerate(scene.calls):
                params: dict[str, Any] = {"name": self._exposed(scene, tool), "arguments": {"mark": f"{number}"}}
                if is_modern and has_state:
                    params["inputResponses"] = {}
                made = (modern if is_modern else legacy)("tools/call", params, id=f"id-{number}")
                reply = await caller.post(made, {} if is_modern else session)
                if reply.status == 404 and session:
                    continue  # the client must initialize again
                answered = [message for message in reply.messages if "id" in message]
                assert [message["id"] for message in answered] == [f"id-{number}"], reply
        await eventually(lambda: self._gateway.app.pipeline.limiter.requests == 0)
        return Counter(
            message["params"]["arguments"]["mark"]
            for server in self._servers
            for _, message in server.received
            if message.get("method") == "tools/call"
        )

    @staticmethod
    async def _session(caller: McpCaller) -> dict[str, str]:
        """Initialize, and return the headers of the session."""
        info = {"name": "test", "version": "1"}
        reply = await caller.post(
            legacy("initialize", {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": info})
        )
        session = reply.headers.get("Mcp-Session-Id")
        return {"Mcp-Session-Id": session, "MCP-Protocol-Version": LEGACY} if session else {}

    @staticmethod
    def _exposed(scene: Scene, tool: str) -> str:
        return f"a_{tool}" if scene.selection == "Merge" else tool

    def _entry(self, scene: Scene) -> Any:
        described = []
        for name, server in zip("ab", self._servers, strict=True):
            retry = {"attempts": scene.attempts, **({"tools": scene.tools} if scene.tools else {})}
            ports = server.ports[: 2 + scene.dead]
            endpoints = [{"address": "127.0.0.1", "port": port} for port in ports]
            more: dict[str, Any] = {"prefix": f"{name}_"} if scene.selection == "Merge" else {}
            more |= {"endpoints": endpoints, "retry": {**retry, "backoff": 0}, "protocol_version": scene.revision}
            config = {"name": name, "url": server.url, "timeouts": LONG_TIMEOUTS, "addresses": LOOPBACK, **more}
            described.append(ServerConfig.model_validate(config, strict=False))
        more_of_entry: dict[str, Any] = {}
        if scene.selection == "Route":
            more_of_entry["routing"] = [RoutingRuleConfig(name="all", servers=["a", "b"])]
        if scene.selection is None:
            return self._gateway.entry("mock", "", servers=described[:1])
        return self._gateway.entry("mock", "", servers=described, server_selection=scene.selection, **more_of_entry)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def begin() -> tuple[RunningGateway, list[FaultyServer]]:
            gateway = await stack.enter_async_context(running_gateway())
            servers = [await stack.enter_async_context(faulty_endpoints(2, dead=2)) for _ in range(2)]
            for server in servers:
                server.result["tools"] = TOOLS
            return gateway, servers

        yield Running(runner, *runner.run(begin()))
        runner.run(stack.aclose())


@given(SCENES)
def test_no_call_is_carried_out_twice_unless_its_server_s_policy_repeats_it(running: Running, scene: Scene) -> None:
    carried_out = running.play(scene)
    event(json.dumps({"carried out at most": max(carried_out.values(), default=0)}))
    for number, (is_modern, tool, has_state) in enumerate(scene.calls):
        tools = scene.tools or {}
        allowed = (tool == NAMED and "names" in tools) or (tool == HINTED and "hints" in tools)
        once = not allowed or not scene.attempts or (is_modern and has_state)
        # One attempt more: a kept connection that its server closes just then is no attempt that counts.
        assert carried_out[f"{number}"] <= (1 if once else scene.attempts + 2)
