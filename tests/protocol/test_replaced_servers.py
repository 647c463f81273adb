"""Servers that are replaced while the gateway runs: by one of the other era, or by one without the old sessions."""

from typing import Any, Literal

import pytest
from aiohttp import web
from api_keys import AGENT_KEY, api_key, bearer, keyed
from gateways import RunningGateway
from mcp_caller import LEGACY, MODERN, McpCaller, is_modern, legacy, mcp_caller, modern
from mcp_clients import ERAS, Era, eventually
from merged_proxies import merged
from modern_server import complete, initialized, refused
from upstreams import Arrived, Upstream, answer, document, events, serving
from waiting import for_ever

from ostiary_gateway.upstream import server_eras

Kind = Literal["one server", "merged"]
KINDS: tuple[Kind, ...] = ("one server", "merged")
CAPABILITIES: dict[str, Any] = {"tools": {"listChanged": True}}
ARGUMENTS: dict[str, Any] = {"name": "which", "arguments": {}}


class ReplacedServer:
    """A server of one era, with sessions in the legacy one; its tool tells which."""

    def __init__(self, era: Era) -> None:
        self.era = era
        self.sessions: set[str] = set()
        self.opened = 0
        self.listened = 0

    def replace(self, era: Era) -> None:
        """Start again without the old sessions."""
        self.era = era
        self.sessions.clear()

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        """Answer one request."""
        if arrived.http_method == "POST" and self.era == "modern":
            return self._modern(arrived)
        if arrived.http_method == "POST" and arrived.method == "initialize":
            return self._initialize(arrived)
        if self.era == "modern" or arrived.http_method == "DELETE":
            return web.Response(status=405)
        return await self._in_session(request, arrived)

    def _modern(self, arrived: Arrived) -> web.Response:
        if not is_modern(arrived.message):
            return refused(arrived, -32022, data={"supported": [MODERN], "requested": ""})
        if arrived.method == "server/discover":
            return complete(arrived, {"supportedVersions": [MODERN], "capabilities": CAPABILITIES})
        return complete(arrived, self._result(arrived))

    def _initialize(self, arrived: Arrived) -> web.Response:
        self.opened += 1
        self.sessions.add(session := f"session-{self.opened}")
        about = {"serverInfo": {"name": "old", "version": "1"}, "capabilities": CAPABILITIES}
        return document(answer(arrived, {"protocolVersion": LEGACY, **about}), headers={"Mcp-Session-Id": session})

    async def _in_session(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        session = arrived.headers.get("Mcp-Session-Id")
        if session not in self.sessions:
            return web.Response(status=404) if session is not None else refused(arrived, -32000)
        if arrived.http_method == "GET":
            async with events(request):
                self.listened += 1
                await for_ever()
        if "id" not in arrived.message:
            return web.Response(status=202)
        return document(answer(arrived, self._result(arrived)))

    def _result(self, arrived: Arrived) -> dict[str, Any]:
        if arrived.method == "tools/list":
            return {"tools": [{"name": "which", "inputSchema": {"type": "object"}}]}
        return {"content": [{"type": "text", "text": self.era}]} if arrived.method == "tools/call" else {}


async def placed(gateway: RunningGateway, kind: Kind, upstream: Upstream, other: Upstream) -> None:
    """Put the server behind the gateway, alone or with another one."""
    policies = [keyed(api_key(AGENT_KEY))]
    urls, prefixes = {"first": upstream.url, "other": other.url}, {"first": ""}
    entry = gateway.entry("mock", upstream.url, policies)
    await gateway.apply(entry if kind == "one server" else merged(gateway, urls, policies, prefixes=prefixes))


async def which(caller: McpCaller, client: Era) -> str | None:
    """What the tool answers; None for a failure. A legacy client initializes again where it is told to."""
    reply = await caller.post((modern if client == "modern" else legacy)("tools/call", ARGUMENTS))
    if client == "legacy" and reply.status in (400, 404):
        await initialized(caller)
        reply = await caller.post(legacy("tools/call", ARGUMENTS))
    message = reply.json
    return str(message["result"]["content"][0]["text"]) if "result" in message else None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("client", ERAS)
@pytest.mark.parametrize("era", ERAS)
async def test_clients_soon_work_with_a_server_of_the_other_era_that_replaces_theirs(
    gateway: RunningGateway, kind: Kind, client: Era, era: Era, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_eras, "UNDECIDED_SECONDS", 0.0)
    server, second = ReplacedServer(era), ReplacedServer("legacy")
    async with serving(server.script) as upstream, serving(second.script) as other, mcp_caller(gateway.url()) as caller:
        caller.credential = bearer(AGENT_KEY)
        await placed(gateway, kind, upstream, other)
        if client == "legacy":
            await initialized(caller)
        assert [await which(caller, client) for _ in range(2)] == [era] * 2

        replacement: Era = "legacy" if era == "modern" else "modern"
        server.replace(replacement)

        async def answers() -> bool:
            return await which(caller, client) == replacement

        await eventually(answers)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("era", ERAS)
async def test_a_list_is_soon_that_of_a_server_of_the_other_era(
    gateway: RunningGateway, kind: Kind, era: Era, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_eras, "UNDECIDED_SECONDS", 0.0)
    server, second = ReplacedServer(era), ReplacedServer("legacy")
    async with serving(server.script) as upstream, serving(second.script) as other, mcp_caller(gateway.url()) as caller:
        caller.credential = bearer(AGENT_KEY)
        await placed(gateway, kind, upstream, other)

        async def is_listed() -> bool:
            listed = (await caller.post(modern("tools/list"))).json
            return "which" in {tool["name"] for tool in listed.get("result", {}).get("tools", ())}

        assert await is_listed()
        server.replace("legacy" if era == "modern" else "modern")
        await eventually(is_listed)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_modern_listener_hears_of_changes_from_a_legacy_server_that_has_started_again(
    gateway: RunningGateway, kind: Kind
) -> None:
    server, second = ReplacedServer("legacy"), ReplacedServer("legacy")
    listen = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id="listen-1")
    async with serving(server.script) as upstream, serving(second.script) as other, mcp_caller(gateway.url()) as caller:
        caller.credential = bearer(AGENT_KEY)
        await placed(gateway, kind, upstream, other)
        assert await which(caller, "modern") == "legacy"
        server.replace("legacy")
        async with caller.stream(listen) as stream:
            acknowledged = await stream.message()
            assert acknowledged["params"]["notifications"] == {"toolsListChanged": True}
            await eventually(lambda: server.listened > 0)
